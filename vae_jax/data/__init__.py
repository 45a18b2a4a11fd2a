"""Loads named data sets into memory, as uint8 images and integer labels.

Each source of data is a module with a function `read`, and one entry below. Importing this package is cheap: sources
import the libraries they need when they are read.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vae_jax.config import FIELDS
from vae_jax.data import bundled, idx, npz, tfds
from vae_jax.data.records import DataError, Dataset, Split
from vae_jax.data.splitting import split_validation
from vae_jax.fields import ConfigError, check_value, nearest

__all__ = ["NAMES", "DataError", "Dataset", "Split", "check_name", "load"]

# What a source returns: the splits `train`, `test` and, if it has one, `validation`; and its part of the provenance.
_Read = tuple[dict[str, Split], dict[str, Any]]

# Published data sets, read by name; `data_dir` is for tensorflow-datasets.
_NAMED: dict[str, Callable[[str, Path | str | None], _Read]] = {
    bundled.NAME: lambda name, data_dir: bundled.read(),
    **dict.fromkeys(tfds.NAMES, tfds.read),
}
# The user's own files, named PREFIX:PATH: the kind of path, and the function that reads it.
_FORMATS: dict[str, tuple[str, Callable[[Path], _Read]]] = {"idx": ("DIR", idx.read), "npz": ("FILE", npz.read)}

NAMES = tuple(_NAMED)


def check_name(name: str) -> None:
    """Checks that `name` is a valid name of a data set, without looking for its files.

    Raises:
        ConfigError: it is not; the message suggests the nearest name.
    """
    prefix, _, path = name.partition(":")
    if name in _NAMED or (prefix in _FORMATS and path.strip()):
        return
    known = [*NAMES, *(f"{prefix}:{kind}" for prefix, (kind, _) in _FORMATS.items())]
    raise ConfigError(f"dataset must be {', '.join(known[:-1])} or {known[-1]}, not {name!r}{nearest(name, known)}")


def load(name: str, *, validation_fraction: float = 1 / 12, data_dir: Path | str | None = None) -> Dataset:
    """Loads a data set, and splits off a validation set if it has none.

    Args:
        name: one of `NAMES`, `idx:DIR` (a folder of four IDX files) or `npz:FILE` (arrays saved by NumPy).
        validation_fraction: fraction of the train split that becomes the validation split, from 0 to 0.9. Ignored by
            `binarized_mnist`, which has a validation split.
        data_dir: where tensorflow-datasets keeps its data sets; None for its default.

    Returns:
        The data set. Its provenance has the `source` and `version`, the `counts` of images in each split, and two
        digests that do not depend on the validation split: `sha256` of the pixels and `labels_sha256` of the labels
        (None without labels).

    Raises:
        ConfigError: an unknown name, or a fraction out of bounds.
        DataError: the data set is missing or damaged, has no test images, or leaves fewer than 2 images to train on.
    """
    check_name(name)
    check_value(FIELDS["validation_fraction"], validation_fraction)
    splits, origin = _read(name, data_dir)
    # Before the validation split, so that the digests identify the data and not how they are split.
    digests = _digests(splits)
    num_images = len(splits["train"].images)
    if "validation" not in splits:
        splits |= split_validation(splits["train"], validation_fraction)
    train, validation, test = splits["train"], splits["validation"], splits["test"]
    counts = {"train": len(train.images), "validation": len(validation.images), "test": len(test.images)}
    _check_usable(name, train, test, num_images)
    return Dataset(name, train, validation, test, {"name": name, **origin, **digests, "counts": counts})


def _read(name: str, data_dir: Path | str | None) -> _Read:
    if name in _NAMED:
        return _NAMED[name](name, data_dir)
    prefix, _, path = name.partition(":")
    return _FORMATS[prefix][1](Path(os.path.expanduser(path)))


def _digests(splits: dict[str, Split]) -> dict[str, str | None]:
    """Computes SHA-256 of the pixels (uint8) and labels (little-endian int32) of train, [validation,] test."""
    parts = [splits[name] for name in ("train", "validation", "test") if name in splits]
    images, labels = hashlib.sha256(), hashlib.sha256()
    for part in parts:
        images.update(np.ascontiguousarray(part.images, np.uint8).data)
        if part.labels is not None:
            labels.update(np.ascontiguousarray(part.labels, "<i4").data)
    has_labels = parts[0].labels is not None
    return {"sha256": images.hexdigest(), "labels_sha256": labels.hexdigest() if has_labels else None}


def _check_usable(name: str, train: Split, test: Split, num_images: int) -> None:
    """Raises a DataError if training or testing on these splits is bound to fail."""
    if len(train.images) < 2:
        raise DataError(
            f"{name} leaves {len(train.images)} of {num_images} train images after the validation split; "
            "training needs 2 or more, so lower validation_fraction or add images"
        )
    if len(test.images) == 0:
        raise DataError(f"{name} has no test images; evaluation needs 1 or more, so add some")
    if train.images.shape[1:] != test.images.shape[1:]:
        sizes = [" x ".join(map(str, split.images.shape[1:])) for split in (train, test)]
        raise DataError(
            f"{name} has train images of {sizes[0]} pixels and test images of {sizes[1]}; give both the same size"
        )
