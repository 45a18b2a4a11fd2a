"""Grids of images as one mosaic. Arrays in, matplotlib Axes out. In shapes, [H, W] are an image's pixels."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from vae_jax.report.figures.plots import label_cells
from vae_jax.report.figures.style import as_array, in_style, new_axes


@in_style()
def image_grid(
    images: ArrayLike, ax: Axes | None = None, row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None, xlabel: str = "", ylabel: str = "", gap: int = 1,
    breaks: Sequence[int] = (),
) -> Axes:  # fmt: skip
    """Shows float[R, C, H, W] as one mosaic, row 0 at the top: 0 is black, 1 is white, and a tile of NaN is blank.

    It draws on `ax`, or on the axes of a new figure if `ax` is None, and returns the axes. R and C labels stand beside
    rows and columns, `gap` pixels between tiles, and a third of a tile before each column of `breaks`. A wrong shape is
    a ValueError.
    """
    tiles = as_array("images", images, "R", "C", "H", "W")
    R, C, H, W = tiles.shape
    inches = min(0.5, 6 / max(R, C))
    ax = ax or new_axes(1 + C * inches, 0.8 + R * inches * H / W)
    joined, rows, columns = mosaic(tiles, gap), np.arange(R) * (H + gap), np.arange(C) * (W + gap)
    for column in sorted(breaks, reverse=True):
        joined = np.insert(joined, [columns[column]] * (W // 3), np.nan, axis=1)
        columns[column:] += W // 3
    # "none" embeds the pixels as they are in a PDF, where "nearest" would enlarge them to 300 dpi.
    ax.imshow(joined, cmap="gray", vmin=0, vmax=1, interpolation="none")
    # Labels beside the wrong number of tiles raise.
    label_cells(ax, rows + (H - 1) / 2, row_labels, columns + (W - 1) / 2, column_labels)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return ax


def mosaic(tiles: np.ndarray, gap: int = 1) -> np.ndarray:
    """Joins float[R, C, H, W] to one image; between the tiles are `gap` pixels of NaN, which is transparent."""
    R, C, H, W = tiles.shape
    joined = np.full((R, H + gap, C, W + gap), np.nan, np.float32)
    joined[:, :H, :, :W] = tiles.transpose(0, 2, 1, 3)
    return joined.reshape(R * (H + gap), C * (W + gap))[: R * (H + gap) - gap, : C * (W + gap) - gap]
