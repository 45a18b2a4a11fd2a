"""Whether an image looks like the data: a network that was shown what does not.

A classifier that has only seen digits calls noise a digit. So this one has one class more, the reject class, and is
trained with outlier exposure (Hendrycks et al. 2019, arXiv:1812.04606) on the kinds of `outliers`. An image's score is
its rank among real images that the network has not seen (a conformal p-value, Bates et al. 2023, arXiv:2104.08279).
"""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import flax.linen as nn
import flax.traverse_util
import jax.numpy as jnp
import numpy as np
from jax import Array

from vae_jax.arrays import Arrays
from vae_jax.convolutions import Conv, conv
from vae_jax.data import Dataset, Split
from vae_jax.data.identity import identity_of
from vae_jax.evaluation import instruments, outliers, recipe
from vae_jax.evaluation.subsets import limit, subset
from vae_jax.networks import Params, dense

FEATURES = (16, 32)  # of the two convolutions
MIN_SIDE = 10  # pixels, to which smaller images are padded: two convolutions leave one pixel of it
HIDDEN_DIM = 128
SCHEDULE = recipe.Schedule(min_epochs=8, min_steps=1_200, learning_rate=4e-3)
COPIES = 3  # of each real image: one as it is, the others jittered; and as many outliers
MAX_REAL = 20_000  # real images with their copies
HELD_OUT = 10  # one of so many training images is not trained on, nor is any validation image
MAX_HELD_OUT = 2_000  # of each split
THRESHOLD = 0.04  # share of real images that count as implausible; up to 6 % of others, as 700 estimate it to 1 %


class Plausibility(NamedTuple):
    """Judges whether images look like those of a data set."""

    logits: Callable[
        [np.ndarray], np.ndarray
    ]  # float32[N, H, W] in [0, 1] to the log odds against rejection, float64[N]
    held_out: np.ndarray  # float32[R], ascending logits of real images that were not trained on
    accuracy: float  # share of them whose class is told, too
    digest: str  # SHA-256 of the parameters and `held_out`
    threshold: float = THRESHOLD  # a lower score is implausible

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Computes the share of held-out real images that look no better, float64[N] in [0, 1].

        It is evenly distributed for real images, and 0 for images float32[N, H, W] with a pixel that is not finite.
        """
        logits = self.logits(images)
        ranks = np.searchsorted(self.held_out, logits, side="right") / len(self.held_out)
        return np.where(np.isnan(logits), 0.0, ranks)

    def implausible(self, images: np.ndarray) -> float:
        """Computes the share of images whose score is below the threshold, 0 to 1."""
        return float(np.mean(self.scores(images) < self.threshold))


class Network(nn.Module):
    """Two convolutions, then dense layers; strokes are told from crossings by what is near each other."""

    num_classes: int

    @nn.compact
    def __call__(self, images: Array) -> tuple[Array, Array]:
        """Maps float32[B, H, W] in [0, 1] to features float32[B, F] and logits [B, C + 1], the last of rejection."""
        border = [(0, max(0, MIN_SIDE - side)) for side in images.shape[1:]]
        x = jnp.pad(images, ((0, 0), *border))[..., None]
        for index, features in enumerate(FEATURES):
            layer = _Conv(features, (4, 4), strides=(2, 2), padding="VALID", name=f"conv_{index}")
            x = nn.relu(layer(x))
        x = nn.relu(dense(x.reshape(x.shape[0], -1), HIDDEN_DIM, "hidden"))
        return x, dense(x, self.num_classes + 1, "logits")


class _Conv(Conv):
    """A convolution that is a matrix product on every device: other gradients of one may add up in varying order."""

    def convolve(self, images: Array, kernel: Array) -> Array:
        return conv(images, kernel, self.strides, self.padding)


def load_or_train(dataset: Dataset, folder: Path | None = None, seed: int = 0) -> Plausibility:
    """Loads the judge of a data set, or trains it in seconds; see `instruments.load_or_train`.

    It sees images of the training and validation splits only. With so few images that none can be held out, those
    trained on stand in for them.

    Args:
        dataset: that `classifier.is_classifiable`.
        folder: WORKDIR/instruments; None to use the user's cache alone.
        seed: of what is held out, the outliers, the initial parameters and the order of the images.
    """
    assert dataset.train.labels is not None
    classes = np.unique(dataset.train.labels)
    network = Network(len(classes))
    num_held = sum(_num_held_out(dataset)) or len(dataset.train.images)
    shapes = recipe.param_shapes(network, dataset.train.images) | {"held_out": ((num_held,), np.dtype(np.float32))}
    train = partial(_trained, dataset, network, classes, seed)
    found = instruments.load_or_train(
        instruments.JUDGE, dataset.name, identity_of(dataset), seed, shapes, train, folder
    )
    params = {name: array for name, array in found.arrays.items() if name != "held_out"}
    logits = partial(_logits, network, flax.traverse_util.unflatten_dict(params, sep="/"))
    return Plausibility(logits, found.arrays["held_out"], found.accuracy, found.digest)


def _num_held_out(dataset: Dataset) -> tuple[int, int]:
    """Returns how many of the training and validation images are held out."""
    most = limit(MAX_HELD_OUT, dataset.train.images.shape[1:])
    return min(len(dataset.train.images) // HELD_OUT, most), min(len(dataset.validation.images), most)


def _trained(dataset: Dataset, network: Network, classes: np.ndarray, seed: int) -> tuple[Arrays, float]:
    """Returns the parameters and the scores of held-out images, and the share of these whose class is told."""
    train, validation = dataset.train, dataset.validation
    random = np.random.default_rng(seed)
    order, (num_train, num_validation) = random.permutation(len(train.images)), _num_held_out(dataset)
    held = [train.where(order[:num_train]), validation.where(subset(np.arange(len(validation.images)), num_validation))]
    if num_train + num_validation == 0:
        held = [train]
    images, labels = _exposed(train, order[num_train:], classes, random)
    params = recipe.train(network, images, labels, seed, SCHEDULE)
    pixels = np.concatenate([split.images for split in held]) / np.float32(255)
    expected = np.concatenate([split.labels for split in held if split.labels is not None])
    _, probabilities = recipe.predict(network, params, pixels)
    flat = flax.traverse_util.flatten_dict(params, sep="/")
    flat["held_out"] = np.sort(_log_odds(probabilities)).astype(np.float32)
    return flat, float(np.mean(classes[probabilities[:, :-1].argmax(axis=1)] == expected))


def _exposed(
    real: Split, rows: np.ndarray, classes: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns real images as they are, real ones jittered, and as many outliers, uint8[N, H, W], with labels int[N].

    Args:
        real: images with labels.
        rows: int[M], of the images to take, in random order.
        classes: int[C], all labels.
        random: of jitter and outliers.
    """
    assert real.labels is not None
    count = min(COPIES * len(rows), MAX_REAL)
    plain = math.ceil(count / COPIES)
    once = recipe.shrunk(real.images, rows[:count])
    chosen = np.arange(count) % len(once)
    images = once[chosen]
    images = np.concatenate([images[:plain], outliers.jittered(images[plain:], random)])
    rejected = outliers.outliers(once, count, random)
    labels = np.searchsorted(classes, real.labels[rows[chosen]])
    return np.concatenate([images, rejected]), np.concatenate([labels, np.full(len(rejected), len(classes))])


def _logits(network: Network, params: Params, images: np.ndarray) -> np.ndarray:
    return _log_odds(recipe.predict(network, params, images)[1])


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    """Computes log(1 - r) - log(r) float64[N] from probabilities [N, C + 1], the last of which is r, to reject."""
    known = probabilities[:, :-1].sum(axis=1, dtype=np.float64)  # 1 - r would lose the digits of small values
    with np.errstate(divide="ignore"):
        return np.log(known) - np.log(probabilities[:, -1].astype(np.float64))
