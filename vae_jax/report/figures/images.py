"""Grids of images as one mosaic. Arrays in, on matplotlib's axes. In shapes, [H, W] are an image's pixels.

Images in colour have three channels after these.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from vae_jax.report.figures.plots import label_cells


def image_grid(
    ax: Axes, tiles: np.ndarray, row_labels: Sequence[str] | None = None, column_labels: Sequence[str] | None = None,
    xlabel: str = "", ylabel: str = "", gap: int = 1, breaks: Sequence[int] = (),
) -> None:  # fmt: skip
    """Shows float[R, C, H, W] as one mosaic, row 0 at the top: 0 is black, 1 is white, and a tile of NaN is blank.

    Images in colour are float[R, C, H, W, 3].

    R and C labels stand beside rows and columns, `gap` pixels between tiles, and a third of a tile before each column
    of `breaks`. Labels beside the wrong number of tiles are a ValueError.
    """
    R, C, H, W = tiles.shape[:4]
    joined, rows, columns = mosaic(tiles, gap), np.arange(R) * (H + gap), np.arange(C) * (W + gap)
    for column in sorted(breaks, reverse=True):
        joined = np.insert(joined, [columns[column]] * (W // 3), np.nan, axis=1)
        columns[column:] += W // 3
    if joined.ndim == 3:  # matplotlib leaves out NaN where there is one channel only
        joined = np.concatenate([np.nan_to_num(joined), np.isfinite(joined[..., :1])], axis=-1)
    # "none" embeds the pixels as they are in a PDF, where "nearest" would enlarge them to 300 dpi.
    ax.imshow(joined, cmap="gray", vmin=0, vmax=1, interpolation="none")
    label_cells(ax, rows + (H - 1) / 2, row_labels, columns + (W - 1) / 2, column_labels)
    ax.set(xlabel=xlabel, ylabel=ylabel)


def mosaic(tiles: np.ndarray, gap: int = 1) -> np.ndarray:
    """Joins float[R, C, H, W] or [R, C, H, W, 3] to one image; between tiles are `gap` pixels of NaN, transparent."""
    R, C, H, W, *channels = tiles.shape
    joined = np.full((R, H + gap, C, W + gap, *channels), np.nan, np.float32)
    joined[:, :H, :, :W] = tiles.swapaxes(1, 2)
    return joined.reshape(R * (H + gap), C * (W + gap), *channels)[: R * (H + gap) - gap, : C * (W + gap) - gap]
