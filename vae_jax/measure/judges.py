"""The judge of a data set: one small network that compares sets of images, and says whether an image looks like data.

The features of Inception, made for photographs, say little about digits; a classifier of the data set itself is the
usual replacement. But a classifier that has only seen digits calls noise a digit. So this one has one class more, the
reject class, and is trained with outlier exposure (Hendrycks et al. 2019, arXiv:1812.04606) on the kinds of `outliers`.
An image's score is its rank among real images that the network has not seen (a conformal p-value, Bates et al. 2023,
arXiv:2104.08279).
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
from scipy.special import logsumexp

from vae_jax.data import Dataset, Split
from vae_jax.data.identity import identity_of
from vae_jax.files import Arrays
from vae_jax.measure import instruments, outliers, recipe
from vae_jax.measure.subsets import MAX_IMAGES, limit, subset
from vae_jax.model.convolutions import Conv, conv
from vae_jax.model.networks import dense

MAX_CLASSES = 1_000
CHANNELS = (16, 32)  # of the two convolutions
MIN_SIDE = 14  # pixels, to which smaller images are padded: two convolutions leave four places of it
HIDDEN_DIM = 128  # of the feature space
SCHEDULE = recipe.Schedule(min_epochs=8, min_steps=1_800, learning_rate=4e-3)
COPIES = 3  # of each real image: one as it is, the others jittered; and as many outliers
MAX_REAL = 20_000  # real images with their copies
HELD_OUT = 10  # one of so many training images is not trained on, nor is any validation image
MAX_HELD_OUT = 2_000  # of each split
THRESHOLD = 0.04  # share of real images that count as implausible; up to 6 % of others, as 700 estimate it to 1 %


class Judge(NamedTuple):
    """Looks at images as a network does that was trained with those of a data set, of C classes."""

    predict: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    """float32[N, H, W] in [0, 1] to features float32[N, F] and logits float32[N, C + 1], the last of rejection."""
    held_out: np.ndarray  # float32[R], ascending log odds against rejection of real images that were not trained on
    accuracy: float  # share of the test images whose class is told
    digest: str  # SHA-256 of the parameters and `held_out`
    threshold: float = THRESHOLD  # a lower score is implausible

    def features(self, images: np.ndarray) -> np.ndarray:
        """Maps images float32[N, H, W] in [0, 1] to features float32[N, F]."""
        return self.predict(images)[0]

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Computes the share of held-out real images that look no better, float64[N] in [0, 1].

        It is evenly distributed for real images, and 0 for images float32[N, H, W] with a pixel that is not finite.
        """
        return self.look(images)[1]

    def look(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Computes `features` and `scores` at once."""
        features, logits = self.predict(images)
        odds = log_odds(logits)
        ranks = np.searchsorted(self.held_out, odds, side="right") / len(self.held_out)
        return features, np.where(np.isnan(odds), 0.0, ranks)

    def implausible(self, images: np.ndarray) -> float:
        """Computes the share of images whose score is below the threshold, 0 to 1."""
        return float(np.mean(self.scores(images) < self.threshold))


def log_odds(logits: np.ndarray) -> np.ndarray:
    """Computes log(1 - r) - log(r) float64[N] from logits float32[N, C + 1], the last of which is of r, to reject."""
    known = logits[:, :-1].astype(np.float64)
    return np.asarray(logsumexp(known, axis=1)) - logits[:, -1]


def is_classifiable(dataset: Dataset) -> bool:
    """Whether a judge can be trained on the data set: on grey images with labels of at most `MAX_CLASSES` classes.

    It was validated on grey strokes only (`scripts/non_digits.py`), so none is trained on colours.
    """
    labels, has_labels = dataset.train.labels, dataset.test.labels is not None
    return not dataset.in_colour and labels is not None and has_labels and len(np.unique(labels)) <= MAX_CLASSES


class Network(nn.Module):
    """Two convolutions, then dense layers; strokes are told from crossings by what is near each other.

    Features are smooth (GELU), so that few of them are 0 for every image, as half of a ReLU's are.
    """

    num_classes: int

    @nn.compact
    def __call__(self, images: Array) -> tuple[Array, Array]:
        """Maps float32[B, H, W] in [0, 1] to features float32[B, F] and logits [B, C + 1], the last of rejection."""
        missing = [max(0, MIN_SIDE - side) for side in images.shape[1:]]
        x = jnp.pad(images, ((0, 0), *((m // 2, m - m // 2) for m in missing)))[..., None]
        for index, channels in enumerate(CHANNELS):
            layer = _Conv(channels, (4, 4), strides=(2, 2), padding="VALID", name=f"conv_{index}")
            x = nn.relu(layer(x))
        features = nn.gelu(dense(x.reshape(x.shape[0], -1), HIDDEN_DIM, "hidden"))
        return features, dense(features, self.num_classes + 1, "logits")


class _Conv(Conv):
    """A convolution that is a matrix product on every device: other gradients of one may add up in varying order."""

    def convolve(self, images: Array, kernel: Array) -> Array:
        return conv(images, kernel, self.strides, self.padding)


def load_or_train(dataset: Dataset, folder: Path | None = None, seed: int = 0) -> Judge:
    """Loads the judge of a data set, or trains it in seconds; see `instruments.load_or_train`.

    It is trained with images of the training and validation splits only. With so few images that none can be held out,
    those trained on stand in for them. On one machine, the same seed gives the same digest.

    Args:
        dataset: that `is_classifiable`.
        folder: WORKDIR/instruments; None to use the user's cache alone.
        seed: of what is held out, the outliers, the initial parameters and the order of the images.
    """
    if not is_classifiable(dataset):
        raise ValueError(f"{dataset.name} is in colour, or has no labels of at most {MAX_CLASSES} classes")
    assert dataset.train.labels is not None
    classes = np.unique(dataset.train.labels)
    network = Network(len(classes))
    train = partial(_trained, dataset, network, classes, seed)
    found = instruments.load_or_train(dataset.name, identity_of(dataset), seed, train, folder)
    params = {name: array for name, array in found.arrays.items() if name != "held_out"}
    predict = partial(recipe.predict, network, flax.traverse_util.unflatten_dict(params, sep="/"))
    return Judge(predict, found.arrays["held_out"], found.accuracy, found.digest)


def _trained(dataset: Dataset, network: Network, classes: np.ndarray, seed: int) -> tuple[Arrays, float]:
    """Returns the parameters with the log odds of held-out images, and the share of test images whose class is told."""
    train, validation, test = dataset.train, dataset.validation, dataset.test
    random, shape = np.random.default_rng(seed), train.images.shape[1:]
    order, most = random.permutation(len(train.images)), limit(MAX_HELD_OUT, shape)
    num_held = min(len(order) // HELD_OUT, most)
    held = np.concatenate([train.images[order[:num_held]], subset(validation.images, most)])
    images, labels = _exposed(train, order[num_held:], classes, random)
    params = recipe.train(network, images, labels, seed, SCHEDULE)
    _, logits = recipe.predict(network, params, (held if len(held) else train.images) / np.float32(255))
    flat = flax.traverse_util.flatten_dict(params, sep="/")
    flat["held_out"] = np.sort(log_odds(logits)).astype(np.float32)
    asked = test.where(subset(np.arange(len(test.images)), limit(MAX_IMAGES, shape)))
    _, logits = recipe.predict(network, params, asked.images / np.float32(255))
    return flat, float(np.mean(classes[logits[:, :-1].argmax(axis=1)] == asked.labels))


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
