"""A small digit classifier: sets of images are compared in its features, and it says which class a sample shows.

The features of Inception, made for photographs, say little about digits; a classifier of the data set itself is the
usual replacement.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import flax.traverse_util
import numpy as np

from vae_jax.arrays import Arrays
from vae_jax.data import Dataset
from vae_jax.data.identity import identity_of
from vae_jax.evaluation import instruments, recipe
from vae_jax.evaluation.subsets import MAX_IMAGES, limit, subset

MAX_CLASSES = 1_000


class Classifier(NamedTuple):
    """A trained classifier of C classes with F features."""

    predict: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    """float32[N, H, W] in [0, 1] to features float32[N, F] and probabilities float32[N, C]."""
    accuracy: float  # share of the test images
    digest: str  # SHA-256 of its parameters


def is_classifiable(dataset: Dataset) -> bool:
    """Whether the data set has labels, of at most `MAX_CLASSES` classes, to train a classifier with."""
    labels = dataset.train.labels
    return labels is not None and dataset.test.labels is not None and len(np.unique(labels)) <= MAX_CLASSES


def load_or_train(dataset: Dataset, folder: Path | None = None, seed: int = 0) -> Classifier:
    """Loads the data set's classifier, or trains it on the training split in seconds; see `instruments.load_or_train`.

    On one machine, the same seed gives the same digest.

    Args:
        dataset: that `is_classifiable`.
        folder: WORKDIR/instruments; None to use the user's cache alone.
        seed: of the initial parameters, the order of the images and their shifts.
    """
    if not is_classifiable(dataset):
        raise ValueError(f"{dataset.name} has no labels of at most {MAX_CLASSES} classes to train a classifier with")
    network = _network(dataset)
    shapes = recipe.param_shapes(network, dataset.train.images)
    found = instruments.load_or_train(
        instruments.CLASSIFIER,
        dataset.name,
        identity_of(dataset),
        seed,
        shapes,
        partial(_trained, dataset, seed),
        folder,
    )
    predict = partial(recipe.predict, network, flax.traverse_util.unflatten_dict(found.arrays, sep="/"))
    return Classifier(predict, found.accuracy, found.digest)


def _network(dataset: Dataset) -> recipe.Network:
    assert dataset.train.labels is not None
    return recipe.Network(len(np.unique(dataset.train.labels)))


def _trained(dataset: Dataset, seed: int) -> tuple[Arrays, float]:
    train, test, network = dataset.train, dataset.test, _network(dataset)
    assert train.labels is not None
    assert test.labels is not None
    classes, labels = np.unique(train.labels, return_inverse=True)
    schedule = recipe.Schedule(recipe.MIN_EPOCHS, recipe.MIN_STEPS, recipe.LEARNING_RATE)
    params = recipe.train(network, train.images, labels, seed, schedule)
    chosen = subset(np.arange(len(test.images)), limit(MAX_IMAGES, test.images.shape[1:]))
    _, probabilities = recipe.predict(network, params, test.images[chosen] / np.float32(255))
    accuracy = float(np.mean(classes[probabilities.argmax(axis=1)] == test.labels[chosen]))
    return flax.traverse_util.flatten_dict(params, sep="/"), accuracy
