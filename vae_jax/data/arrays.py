"""Images and labels that a person has in memory, as the data set `array:`, which is in no file."""

import dataclasses
import os
from typing import Any, NamedTuple

import numpy as np

from vae_jax.config import Config
from vae_jax.data import pixels
from vae_jax.data.checks import check_images, check_labels
from vae_jax.data.splits import DataError, Source, Split, whole_or_split
from vae_jax.errors import reason
from vae_jax.fields import ConfigError

NAME = "array:"
ORIGIN: dict[str, Any] = {"name": NAME, "source": "arrays in memory", "version": None}
_PLACES = ("the array images", "the array labels"), ("the array test_images", "the array test_labels")
_WHITE = "say what is white, such as pixel_max={} in the Config or load_data"


class Arrays(NamedTuple):
    """Images and labels in memory, as NumPy arrays or anything that `numpy.asarray` converts."""

    images: Any  # [N, H, W], [N, H, W, 1] or [N, H, W, 3]: uint8, other integers, bools, or floats in [0, 1]
    labels: Any = None  # integers [N]; None without labels
    test_images: Any = None  # as `images`; None to split one image in five off for testing
    test_labels: Any = None  # integers [N]; given exactly if `labels` and `test_images` are


class NoArraysError(DataError):
    """The images of `array:` are needed, and were not passed."""

    def __init__(self) -> None:
        super().__init__(
            f"the images of {NAME} are in no file: pass what the run was or is to be trained on, as in "
            "load_dataset(run, images=...), train(config, images) or train_and_evaluate(configs, workdir, images=...)"
        )


def gather(images: Any = None, labels: Any = None, test_images: Any = None, test_labels: Any = None) -> Arrays | None:
    """Returns the arrays that a function of the API was given; None without images.

    Raises:
        ConfigError: images are missing, or labels of one of two sets of images.
    """
    others = {"labels": labels, "test_images": test_images, "test_labels": test_labels}
    given = [name for name, array in others.items() if array is not None]
    if images is None and given:
        raise ConfigError(f"{given[0]} was passed without images; pass both")
    if isinstance(images, str | os.PathLike):
        raise ConfigError(f"images must be an array, not {str(images)!r}; name the argument if it is a folder")
    if test_labels is not None and not (test_images is not None and labels is not None):
        raise ConfigError("test_labels needs test_images and labels; pass all three")
    if labels is not None and test_images is not None and test_labels is None:
        raise ConfigError("labels and test_images were passed without test_labels; pass these, or no labels")
    return None if images is None else Arrays(images, labels, test_images, test_labels)


def on_arrays(config: Config) -> Config:
    """Returns the Config of the same run on arrays; raises ConfigError if its data set was set to another."""
    if config.dataset not in (NAME, Config().dataset):
        raise ConfigError(f"images were passed, but the Config's dataset is {config.dataset}; leave one of them out")
    return dataclasses.replace(config, dataset=NAME)


def read(arrays: Arrays, pixel_max: float) -> Source:
    """Makes splits of arrays: the same that `npz:FILE` makes of a file that they are saved in.

    Raises:
        DataError: an array is empty, or has another type, shape, range or length than `Arrays` says.
    """
    given = {f"the array {name}": _array(name, array) for name, array in arrays._asdict().items() if array is not None}
    images, labels = {}, []
    for place, place_of_labels in _PLACES:
        if place in given:
            images[place] = check_images(place, given[place])
            has_labels = place_of_labels in given
            labels.append(check_labels(place_of_labels, given[place_of_labels], images[place]) if has_labels else None)
    scaled = pixels.scale(images, pixel_max, white=_WHITE)
    # A data set stays as it is when the caller's array changes.
    parts = map(Split, map(np.copy, scaled.images), labels)
    splits = dict(zip(("train", "test") if len(images) > 1 else ("whole",), parts, strict=True))
    splits, rest = whole_or_split("the array images", splits, "test_images")
    content = f"arrays in memory with {scaled.content}{rest}"
    return splits, ORIGIN | {"content": content, "pixel_range": list(scaled.pixel_range)}


def _array(name: str, given: Any) -> np.ndarray:
    try:
        array = np.asarray(given)
    except Exception as error:  # of what another library holds on a device, or of lists of different lengths
        raise DataError(f"{name} cannot be made a NumPy array ({reason(error)}); pass one") from error
    if array.size == 0 and array.ndim:
        raise DataError(f"the array {name} is empty: it has shape {' x '.join(map(str, array.shape))}; pass a full one")
    return array
