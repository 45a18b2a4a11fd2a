"""The types that data sources return, and the error they raise."""

from typing import Any, NamedTuple

import numpy as np

from vae_jax.workdir import UserError


class DataError(UserError):
    """A data set is missing, damaged or unusable; the message says in one line what is wrong and how to fix it."""


class Split(NamedTuple):
    """The images of one split, with their labels if the data set has labels."""

    images: np.ndarray  # uint8[N, H, W]
    labels: np.ndarray | None  # int32[N]

    def where(self, index: np.ndarray) -> "Split":
        """Selects images and labels by `index`: a mask bool[N] or positions int[K]."""
        return Split(self.images[index], None if self.labels is None else self.labels[index])


class Dataset(NamedTuple):
    """A data set in memory. The images of all splits have the same size."""

    name: str
    train: Split
    validation: Split
    test: Split
    provenance: dict[str, Any]  # JSON-ready: name, source, version, digests of the pixels and labels, counts
