"""What the sources of data make, and the error they raise."""

from typing import Any, NamedTuple

import numpy as np

from vae_jax.files import UserError


class DataError(UserError):
    """A data set is missing or damaged; the message is one line: what, and the way out."""


class Split(NamedTuple):
    """Images of one use, with the label of each where the data set has labels."""

    images: np.ndarray  # uint8[N, H, W]
    labels: np.ndarray | None  # int32[N]

    def where(self, mask: np.ndarray) -> "Split":
        """The images, with their labels, at which mask: bool[N] is true."""
        return Split(self.images[mask], None if self.labels is None else self.labels[mask])


class Dataset(NamedTuple):
    """A data set in memory; images of all splits have one size."""

    name: str
    train: Split
    validation: Split
    test: Split
    provenance: dict[str, Any]  # JSON-ready: name, source, version, sha256 of the pixels, counts
