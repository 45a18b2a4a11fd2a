"""Kinds of images that a judge of plausibility is asked about, to see what share of each it calls implausible.

None of them is among the kinds of `outliers` that the judge is trained with, and all are made of test images, so the
answer is about images that are new to it in both respects.
"""

from typing import NamedTuple

import numpy as np

from vae_jax.data import Split
from vae_jax.measure.outliers import blur

PATCH = 7  # pixels, the side of a patch that is moved as a whole


class Probe(NamedTuple):
    """Images of one kind."""

    name: str
    images: np.ndarray  # float32[N, H, W] in [0, 1]
    is_real: bool
    bound: float  # of the share that is to be implausible: the most of real images, the least of others

    def is_met(self, share: float) -> bool:
        """Whether the bound is met by the share that a judge calls implausible."""
        return share <= self.bound if self.is_real else share >= self.bound


def probes(real: Split, seed: int = 0) -> list[Probe]:
    """Makes all kinds of test images uint8[N, H, W] with labels; pairs of two classes only if there are two."""
    assert real.labels is not None
    noise, patches, pairs = np.random.default_rng(seed).spawn(3)
    images = real.images / np.float32(255)
    found = [
        Probe("real test images", images, True, 0.07),
        Probe("blurred by one pixel", blur(images, 1.0), True, 0.1),
        Probe("independent noise of the same mean", _noise(images, noise), False, 0.99),
        Probe("patches in random order", shuffle_patches(images, patches), False, 0.99),
        Probe("inverted", 1 - images, False, 0.99),
    ]
    if len(np.unique(real.labels)) > 1:
        first, second = pairs_of_two_classes(real.labels, pairs)
        a, b = images[first], images[second]
        found += [
            Probe("cross-fades of two classes, 50/50", (a + b) / 2, False, 0.8),
            Probe("superpositions of two classes", np.maximum(a, b), False, 0.75),
        ]
    return found


def _noise(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Pixels that are white with the probability of their mean over all images and pixels, else black."""
    return (random.random(images.shape) < images.mean()).astype(np.float32)


def shuffle_patches(images: np.ndarray, random: np.random.Generator, side: int = PATCH) -> np.ndarray:
    """Puts the patches of each image in random order; what is left at the right and bottom edges stays."""
    count, height, width = images.shape
    rows, columns = height // side, width // side
    shape = (count, rows, side, columns, side)
    patches = images[:, : rows * side, : columns * side].reshape(shape).transpose(0, 1, 3, 2, 4)
    flat = patches.reshape(count, rows * columns, side, side)
    order = random.permuted(np.tile(np.arange(rows * columns), (count, 1)), axis=1)
    moved = np.take_along_axis(flat, order[:, :, None, None], axis=1).reshape(patches.shape)
    found = images.copy()
    found[:, : rows * side, : columns * side] = moved.transpose(0, 1, 3, 2, 4).reshape(count, rows * side, -1)
    return found


def pairs_of_two_classes(labels: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices of two images of different classes, int[N] each; each image is the first of one pair."""
    first = random.permutation(len(labels))
    second = np.empty_like(first)
    for label in np.unique(labels):
        of_label = labels[first] == label
        second[of_label] = random.choice(np.flatnonzero(labels != label), of_label.sum())
    return first, second
