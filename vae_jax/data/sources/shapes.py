"""Draws small coloured shapes whose generating factors are known, without a download."""

import itertools
from pathlib import Path

import numpy as np

from vae_jax.data.sources import named
from vae_jax.data.splits import Source, Split, split_test

NAME = "shapes"
SHAPES = ("square", "disc", "triangle")
_SIZES = (2, 3, 4, 5)  # half the side of a square, pixels; disc and triangle have its area
_NUM_PLACES = 8  # along x as along y
_STEP = 2  # pixels between two places
_PATCH = 18  # pixels of height and width around a shape, all of which lie in the image at every place
_SIDE = _PATCH + (_NUM_PLACES - 1) * _STEP
# Red, yellow, green, cyan, blue and magenta. They are paler than they could be, so that blue, the darkest, can be seen
# where it is grey, too: their lumas (Rec. 601) are 121, 233, 176, 198, 86 and 143.
_COLOURS = np.array(
    [(255, 64, 64), (255, 255, 64), (64, 255, 64), (64, 255, 255), (64, 64, 255), (255, 64, 255)], np.int64
)
_PARTS = 8  # a pixel is the mean of 8 x 8 points


@named(NAME, noun="shape")
def read(name: str = NAME, data_dir: Path | str | None = None) -> Source:
    """Draws every combination of the factors once, in colour on black: 4,608 images of 32 x 32 pixels.

    The factors are `shape` (3, which is the label), `size` (4), `x` and `y` (8 each, two pixels apart, of the centre of
    mass) and `hue` (6, 60 degrees apart). Shapes of one size have one area, to 2 %. Made grey, the hues are six levels
    of brightness. Pixels are computed from integers, and so are the same on every machine.
    """
    counts = len(SHAPES), len(_SIZES), _NUM_PLACES, _NUM_PLACES, len(_COLOURS)
    factors = np.array(list(itertools.product(*map(range, counts))), np.int32)
    points = _PARTS**2
    inked = (2 * _masks()[..., None, None] * _COLOURS + points) // (2 * points)  # [3, 4, H, W, 6, 3], rounded
    images = np.zeros((len(factors), _SIDE, _SIDE, 3), np.uint8)
    for image, (shape, size, x, y, hue) in zip(images, factors, strict=True):
        top, left = y * _STEP, x * _STEP
        image[top : top + _PATCH, left : left + _PATCH] = inked[shape, size, :, :, hue]
    content = "{} shapes in {} sizes at {} x {} places in {} hues".format(*counts)
    content += "; 1 image in 5 split off for testing"
    origin = {"source": "drawn by vae_jax", "version": None, "content": content}
    named = {"class_names": list(SHAPES), "factor_names": ["shape", "size", "x", "y", "hue"]}
    return split_test(Split(images, factors[:, 0].copy(), factors)), origin | named


def _masks() -> np.ndarray:
    """Counts the points of each pixel that lie in a shape around the middle of a patch: int[3, 4, 18, 18]."""
    count = _PATCH * _PARTS
    away = 2 * np.arange(count) + 1 - count  # of points from the middle, in halves of their distance
    x, y = np.abs(away), away[:, None]
    masks = []
    for half in _SIZES:
        unit = 2 * _PARTS * half
        square = np.maximum(x, np.abs(y)) < unit
        disc = 355 * (x**2 + y**2) < 113 * 4 * unit**2  # 355 / 113 is pi to seven digits
        # Its base is 3/2 sides of the square, its height 4/3 of a side, and its centre a third of that above the base.
        triangle = (9 * y < 8 * unit) & (16 * x < 9 * y + 16 * unit)
        masks.append([square, disc, triangle])
    return np.array(masks).reshape(-1, 3, _PATCH, _PARTS, _PATCH, _PARTS).sum((3, 5)).swapaxes(0, 1)
