"""How many images an evaluation looks at, whatever the data set: bounds of its time and memory.

Each module states its own limit in images; `limit` lowers it for large images.
"""

from collections.abc import Iterator

import numpy as np

MAX_IMAGES = 10_000  # of a split
MAX_PIXELS = 1 << 25  # in one array of images; 128 MiB in float32


def limit(most: int, image_shape: tuple[int, ...]) -> int:
    """Returns how many images of this shape to look at: `most`, or fewer if they exceed `MAX_PIXELS`."""
    return max(1, min(most, MAX_PIXELS // max(1, int(np.prod(image_shape)))))


def subset(rows: np.ndarray, most: int) -> np.ndarray:
    """Returns at most this many rows: all of them, or a random choice that is the same on every call."""
    if len(rows) <= most:
        return rows
    # The first rows of a data set need not be like the others.
    return rows[np.random.default_rng(0).permutation(len(rows))[:most]]


def block_means(images: np.ndarray, tall: int, wide: int) -> np.ndarray:
    """Averages images [N, H, W] or [N, H, W, 3] over blocks of so many pixels.

    Blocks at the edges are filled up with the last pixel.
    """
    count, height, width, *channels = images.shape
    edges = ((0, 0), (0, -height % tall), (0, -width % wide), *((0, 0) for _ in channels))
    padded = np.pad(images, edges, mode="edge")
    blocks = padded.reshape(count, -(-height // tall), tall, -(-width // wide), wide, *channels)
    return blocks.mean(axis=(2, 4), dtype=np.float32)


def chunks(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yields rows, `size` at a time."""
    return (rows[start : start + size] for start in range(0, len(rows), size))
