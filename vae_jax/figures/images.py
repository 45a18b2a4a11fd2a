"""Grids of images: reconstructions, samples, manifolds, interpolations, traversals. Arrays in, matplotlib Axes out.

Each function draws on `ax`, or on the axes of a new figure if `ax` is None, and returns the axes. A wrong shape is a
ValueError that names the argument. In shapes, [H, W] are an image's pixels.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from vae_jax.figures.plots import format_number, label_cells, thin
from vae_jax.figures.shapes import as_array, as_arrays
from vae_jax.figures.style import in_style, new_axes


@in_style()
def image_grid(
    images: ArrayLike, ax: Axes | None = None, row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None, title: str = "", xlabel: str = "", ylabel: str = "", gap: int = 1,
) -> Axes:  # fmt: skip
    """Shows images as one mosaic: 0 is black, 1 is white, and a tile of NaN is blank.

    Args:
        images: float[R, C, H, W]; row 0 is the top. Values are clipped to 0 and 1.
        ax: axes to draw on.
        row_labels: R texts.
        column_labels: C texts.
        title: of the axes.
        xlabel: of the axes.
        ylabel: of the axes.
        gap: pixels between tiles.
    """
    tiles = as_array("images", images, "R", "C", "H", "W")
    R, C, H, W = tiles.shape
    for name, labels, size in (("row_labels", row_labels, R), ("column_labels", column_labels, C)):
        if labels is not None and len(labels) != size:
            raise ValueError(f"{name} must be {size} texts for images of shape {tiles.shape}, not {len(labels)}")
    inches = min(0.5, 6 / max(R, C))
    ax = ax or new_axes(1 + C * inches, 0.8 + R * inches * H / W)
    ax.imshow(_mosaic(tiles, gap), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    rows, columns = np.arange(R) * (H + gap) + (H - 1) / 2, np.arange(C) * (W + gap) + (W - 1) / 2
    label_cells(ax, rows, row_labels, columns, column_labels)
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    return ax


def reconstructions(
    originals: ArrayLike, rows: Mapping[str, ArrayLike], ax: Axes | None = None,
    column_labels: Sequence[str] | None = None, title: str = "",
) -> Axes:  # fmt: skip
    """Shows originals float[K, H, W] in the first row, and each label's reconstructions float[K, H, W] below them."""
    first = as_array("originals", originals, "K", "H", "W")
    others = as_arrays("rows", rows, *first.shape)
    return image_grid(np.stack([first, *others.values()]), ax, ["original", *others], column_labels, title)


def manifold(images: ArrayLike, z1: ArrayLike, z2: ArrayLike, ax: Axes | None = None, title: str = "") -> Axes:
    """Shows images float[R, C, H, W] over the latent plane, where `images[r, c]` is decoded from (z1[c], z2[r]).

    z₁ float[C] increases to the right and z₂ float[R] upwards, in whatever order they are given.
    """
    tiles = as_array("images", images, "R", "C", "H", "W")
    right, up = as_array("z1", z1, tiles.shape[1]), as_array("z2", z2, tiles.shape[0])
    columns, rows = np.argsort(right), np.argsort(-up)
    row_labels, column_labels = (thin([format_number(value, 1) for value in z]) for z in (up[rows], right[columns]))
    return image_grid(tiles[rows][:, columns], ax, row_labels, column_labels, title, "z₁", "z₂")


def samples(images: ArrayLike, ax: Axes | None = None, columns: int = 10, title: str = "") -> Axes:
    """Shows images float[N, H, W] in reading order, `columns` per row."""
    tiles = as_array("images", images, "N", "H", "W")
    columns = max(1, min(columns, len(tiles)))
    blank = np.full((-len(tiles) % columns, *tiles.shape[1:]), np.nan)
    return image_grid(np.concatenate([tiles, blank]).reshape(-1, columns, *tiles.shape[1:]), ax, title=title)


def sheets(
    images: ArrayLike, row_labels: Sequence[str], column_labels: Sequence[str], xlabel: str = "",
    ax: Axes | None = None, title: str = "",
) -> Axes:  # fmt: skip
    """Shows float[R, C, r, c, H, W] as R rows and C columns of mosaics, each of r x c images.

    Row 0 is the top; a mosaic of NaN is blank.
    """
    cells = as_array("images", images, len(row_labels), len(column_labels), "r", "c", "H", "W")
    mosaics = np.array([[_mosaic(cell, 1) for cell in row] for row in cells])
    R, C, height, width = mosaics.shape
    inches = min(2.4, 10.5 / C)
    ax = ax or new_axes(1.5 + C * inches, 0.8 + R * inches * height / width)
    return image_grid(mosaics, ax, row_labels, column_labels, title, xlabel, gap=math.ceil(width / 15))


def interpolations(
    images: ArrayLike, ax: Axes | None = None, title: str = "", row_labels: Sequence[str] | None = None
) -> Axes:
    """Shows one path per row of float[R, T, H, W], from its start at t = 0 to its end at t = 1."""
    tiles = as_array("images", images, "R", "T", "H", "W")
    positions = thin([f"{t:.2g}" for t in np.linspace(0, 1, tiles.shape[1])])
    return image_grid(tiles, ax, row_labels, positions, title, "position t on the path")


def traversals(
    images: ArrayLike, values: ArrayLike, ax: Axes | None = None, dimensions: Sequence[int] | None = None,
    title: str = "",
) -> Axes:  # fmt: skip
    """Shows one latent dimension per row of float[D, T, H, W], set to each value while the others stay.

    Args:
        images: float[D, T, H, W].
        values: float[T], in standard deviations of the codes.
        ax: axes to draw on.
        dimensions: the D rows' indices from 0; None for the first D.
        title: of the axes.
    """
    tiles = as_array("images", images, "D", "T", "H", "W")
    steps = thin([format_number(value, 1) for value in as_array("values", values, tiles.shape[1])])
    names = [latent_name(index) for index in (range(len(tiles)) if dimensions is None else dimensions)]
    return image_grid(tiles, ax, names, steps, title, "standard deviations of the codes")


def latent_name(index: int) -> str:
    """Names a latent dimension by its index from 0: 0 is "z₁"."""
    return f"z{index + 1}".translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def _mosaic(tiles: np.ndarray, gap: int) -> np.ndarray:
    """Joins float[R, C, H, W] to one image; between the tiles are `gap` pixels of NaN, which is transparent."""
    R, C, H, W = tiles.shape
    mosaic = np.full((R, H + gap, C, W + gap), np.nan)
    mosaic[:, :H, :, :W] = tiles.transpose(0, 2, 1, 3)
    return mosaic.reshape(R * (H + gap), C * (W + gap))[: R * (H + gap) - gap, : C * (W + gap) - gap]
