"""Grids of images as one mosaic. Arrays in, on matplotlib's axes. In shapes, [H, W] are an image's pixels."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from vae_jax.report.figures.plots import label_cells


def image_grid(
    ax: Axes, tiles: np.ndarray, row_labels: Sequence[str] | None = None, column_labels: Sequence[str] | None = None,
    xlabel: str = "", ylabel: str = "", gap: int = 1, breaks: Sequence[int] = (),
) -> None:  # fmt: skip
    """Shows float[R, C, H, W] as one mosaic, row 0 at the top: 0 is black, 1 is white, and a tile of NaN is blank.

    R and C labels stand beside rows and columns, `gap` pixels between tiles, and a third of a tile before each column
    of `breaks`. Labels beside the wrong number of tiles are a ValueError.
    """
    R, C, H, W = tiles.shape
    joined, rows, columns = mosaic(tiles, gap), np.arange(R) * (H + gap), np.arange(C) * (W + gap)
    for column in sorted(breaks, reverse=True):
        joined = np.insert(joined, [columns[column]] * (W // 3), np.nan, axis=1)
        columns[column:] += W // 3
    # "none" embeds the pixels as they are in a PDF, where "nearest" would enlarge them to 300 dpi.
    ax.imshow(joined, cmap="gray", vmin=0, vmax=1, interpolation="none")
    label_cells(ax, rows + (H - 1) / 2, row_labels, columns + (W - 1) / 2, column_labels)
    ax.set(xlabel=xlabel, ylabel=ylabel)


def mosaic(tiles: np.ndarray, gap: int = 1) -> np.ndarray:
    """Joins float[R, C, H, W] to one image; between the tiles are `gap` pixels of NaN, which is transparent."""
    R, C, H, W = tiles.shape
    joined = np.full((R, H + gap, C, W + gap), np.nan, np.float32)
    joined[:, :H, :, :W] = tiles.transpose(0, 2, 1, 3)
    return joined.reshape(R * (H + gap), C * (W + gap))[: R * (H + gap) - gap, : C * (W + gap) - gap]
