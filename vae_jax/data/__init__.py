"""Loads named data sets into memory, as uint8 images and integer labels.

Each source of data is a module of `sources`.
"""

import hashlib
import os
from pathlib import Path

import numpy as np

from vae_jax.config import FIELDS, Config
from vae_jax.data import arrays
from vae_jax.data.fit import Wanted, fit
from vae_jax.data.sources import FORMATS, NAMED, NOUNS
from vae_jax.data.splits import DataError, Dataset, Split, split_validation
from vae_jax.fields import ConfigError, check_value, nearest

__all__ = ["NAMES", "DataError", "Dataset", "Split", "check_name", "load", "noun_of"]

NAMES = tuple(NAMED)
_SPLITS = ("train", "validation", "test")


def check_name(name: str) -> None:
    """Raises a ConfigError unless `name` is a valid name of a data set; does not look for its files.

    A path without its prefix is suggested with it. Arrays have no name that a launch could find them by.
    """
    if name == arrays.NAME:
        raise ConfigError(
            f"dataset={name} is for images in memory, which a launch cannot see; pass them to vae_jax.train, or save "
            "them with numpy.savez and launch with npz:FILE"
        )
    prefix, _, path = name.partition(":")
    if name in NAMED or (prefix in FORMATS and path.strip()):
        return
    known = [*NAMES, *(f"{prefix}:{kind}" for prefix, (kind, _) in FORMATS.items())]
    raise ConfigError(
        f"dataset must be {', '.join(known[:-1])} or {known[-1]}, not {name!r}{_prefixed(name) or nearest(name, known)}"
    )


def noun_of(name: str) -> str:
    """Returns what an image of a data set shows, as its source says: a digit, or else just an image."""
    return NOUNS.get(name, "image")


def _prefixed(name: str) -> str:
    """Returns `"; did you mean npz:FILE?"` for the path, by the ending of a file or what is in a folder, or ""."""
    prefix, _, rest = name.partition(":")
    path = rest if prefix.lower() in FORMATS else name
    ending = os.path.splitext(path)[1].lower().removeprefix(".")
    if ending in FORMATS:
        return f"; did you mean {ending}:{path}?"
    if not path or not os.path.isdir(folder := os.path.expanduser(path)):
        return ""
    kind = "idx" if any(Path(folder).glob("*idx*")) else "images"
    return f"; did you mean {kind}:{path}?"


def load(
    name: str, *, pixel_max: float = 0.0, image_size: int = 0, channels: str = "", validation_fraction: float = 1 / 12,
    data_dir: Path | str | None = None, given: arrays.Arrays | None = None,
) -> Dataset:  # fmt: skip
    """Loads a data set, and splits off a validation set if it has none.

    Args:
        name: one of `NAMES`, a prefix of `sources.FORMATS` and a path, as `idx:DIR` (four IDX files), or `array:`
            (`given`).
        pixel_max: what is white in the user's own files; 0 for what `pixels.scale` takes it to be.
        image_size: height and width that the images get, pixels; 0 for their own.
        channels: `grey` makes colours grey; without it they are refused.
        validation_fraction: fraction of the train split that becomes the validation split, from 0 to 0.9. Ignored
            where there is one already, as in `binarized_mnist`.
        data_dir: where tensorflow-datasets keeps its data sets; None for its default.
        given: the arrays of `array:`.

    Returns:
        The data set. The digests in its provenance, `sha256` of the pixels, `labels_sha256` of the labels (None
        without labels) and `factors_sha256` (absent without factors), do not depend on the validation split.

    Raises:
        ConfigError: an unknown name, a number out of bounds, or `pixel_max` of a published data set.
        DataError: the data set is missing or damaged, or `array:` was not given; or it is in colour, has no test
            images, or leaves fewer than 2 images to train on.
    """
    if name != arrays.NAME:
        check_name(name)
    check_value(FIELDS["validation_fraction"], validation_fraction)
    wanted = Wanted(pixel_max, image_size, channels)
    for field, value in wanted._asdict().items():
        check_value(FIELDS[field], value)
    if name == arrays.NAME:
        if given is None:
            raise arrays.NoArraysError
        splits, origin = arrays.read(given, pixel_max)
    elif name in NAMED:
        if pixel_max:
            raise ConfigError(f"pixel_max is for files of your own, not for {name}")
        splits, origin = NAMED[name](name, data_dir)
    else:
        prefix, _, path = name.partition(":")
        if pixel_max and not Config(dataset=name).uses("pixel_max"):
            raise ConfigError(f"pixel_max is for arrays, not for pictures as {prefix}: reads them")
        splits, origin = FORMATS[prefix][1](Path(os.path.expanduser(path)), wanted)
    splits, done = fit(name, splits, wanted)
    if done:
        content = [origin.get("content") or str(origin["source"]), *done]
        origin = origin | {"content": "; ".join(content)}
    digests = _digests([splits[split] for split in _SPLITS if split in splits])
    num_images = len(splits["train"].images)
    if "validation" not in splits:
        splits |= split_validation(splits["train"], validation_fraction)
    counts = {split: len(splits[split].images) for split in _SPLITS}
    _check_usable(name, splits, num_images)
    provenance = {"name": name, "pixel_range": [0, 255], **origin, **digests, "counts": counts}
    return Dataset(name, **splits, provenance=provenance)


def _check_usable(name: str, splits: dict[str, Split], num_images: int) -> None:
    """Raises a DataError unless there are images to train and to test on, all of one size.

    Of `num_images` a source has to train on, some are in the validation split now.
    """
    num_train = len(splits["train"].images)
    if num_train < 2:
        raise DataError(
            f"{name} leaves {num_train} of {num_images} train images after the validation split; "
            "training needs 2 or more, so lower validation_fraction or add images"
        )
    if len(splits["test"].images) == 0:
        raise DataError(f"{name} has no test images; evaluation needs 1 or more, so add some")
    train_size, test_size = (" x ".join(map(str, splits[split].images.shape[1:])) for split in ("train", "test"))
    if train_size != test_size:
        raise DataError(
            f"{name} has train images of {train_size} pixels and test images of {test_size}; give both the same size, "
            "or pass --image_size"
        )


def _digests(splits: list[Split]) -> dict[str, str | None]:
    """Computes SHA-256 of the pixels (uint8), and of labels and factors (little-endian int32), of all splits."""
    images, labels, factors = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
    for split in splits:
        images.update(np.ascontiguousarray(split.images, np.uint8).data)
        for digest, numbers in ((labels, split.labels), (factors, split.factors)):
            if numbers is not None:
                digest.update(np.ascontiguousarray(numbers, "<i4").data)
    has_labels, has_factors = (part is not None for part in splits[0][1:])
    digests = {"sha256": images.hexdigest(), "labels_sha256": labels.hexdigest() if has_labels else None}
    return digests | ({"factors_sha256": factors.hexdigest()} if has_factors else {})
