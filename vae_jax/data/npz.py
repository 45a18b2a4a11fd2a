"""Reads images and labels that `numpy.savez` saved.

Files are untrusted: pickled objects are never loaded, and sizes are checked before memory is allocated.
"""

import os
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vae_jax.data import decoding
from vae_jax.data.records import DataError, Split
from vae_jax.data.splitting import TEST_DIVISOR, split_test

# For each set of array names: the images and the labels of each split. Arrays with other names are ignored.
_LAYOUTS: dict[frozenset[str], dict[str, tuple[str, str | None]]] = {
    frozenset({"x_train", "y_train", "x_test", "y_test"}): {
        "train": ("x_train", "y_train"),
        "test": ("x_test", "y_test"),
    },
    frozenset({"x_train", "x_test"}): {"train": ("x_train", None), "test": ("x_test", None)},
    frozenset({"images", "labels"}): {"whole": ("images", "labels")},
    frozenset({"images"}): {"whole": ("images", None)},
}
_NEEDS = (
    "npz:FILE needs x_train and x_test (and y_train and y_test, if there are labels), "
    "or images (and labels, if there are any)"
)


def read(path: Path) -> tuple[dict[str, Split], dict[str, Any]]:
    """Reads an .npz file with the arrays `x_train`, `y_train`, `x_test`, `y_test`, or `images` and `labels`.

    Images have the shape N x H x W or N x H x W x 1. They are uint8, or floats from 0 to 1, which are multiplied by 255
    and rounded. Labels are integers of shape N or N x 1, and may be absent. `images` are shuffled and split into train
    and test.

    Returns:
        The splits `train` and `test`; and the provenance, whose `content` says how the images were converted.

    Raises:
        DataError: the file is missing or damaged, or its arrays are not as above.
    """
    if not os.path.isfile(path):
        raise DataError(f"{path} is not there, or is not a file; {_NEEDS}")
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # zipfile raises various errors on damaged files
        raise DataError(f"{path} is not a readable .npz file ({_summary(error)}); save it with numpy.savez") from error
    with archive:
        parts = {split: _read_split(path, archive, *names) for split, names in _layout(path, archive).items()}
    splits = {split: images for split, (images, _) in parts.items()}
    content = "NPZ file with " + " and ".join(sorted({pixels for _, pixels in parts.values()}))
    if "whole" in splits:
        splits = _split_whole(path, splits["whole"])
        content += f"; 1 image in {TEST_DIVISOR} split off for testing"
    return splits, {"source": "NPZ file", "version": None, "file": str(path), "content": content}


def _layout(path: Path, archive: zipfile.ZipFile) -> dict[str, tuple[str, str | None]]:
    """Finds the names of the images and of the labels (None without labels) of each split."""
    found = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
    layout = _LAYOUTS.get(frozenset(found & frozenset().union(*_LAYOUTS)))
    if layout is None:
        names = ", ".join(map(repr, sorted(found)[:8])) + (", …" if len(found) > 8 else "")
        raise DataError(f"{path} has {f'the arrays {names}' if found else 'no arrays'}; {_NEEDS}")
    return layout


def _read_split(path: Path, archive: zipfile.ZipFile, images_name: str, labels_name: str | None) -> tuple[Split, str]:
    """Reads the images and labels of a split; also returns a description of the pixels for the provenance."""
    place = f"{images_name} in {path}"
    array = _read_array(archive, images_name, place, partial(decoding.check_images, allow_floats=True))
    pixels = f"{array.dtype.name} pixels" + ("" if array.dtype == np.uint8 else " times 255, rounded")
    images, labels = decoding.to_images(array, place), None
    if labels_name is not None:
        place = f"{labels_name} in {path}"
        labels = decoding.to_labels(_read_array(archive, labels_name, place, decoding.check_labels), place)
        decoding.check_counts(place, images, labels)
    return Split(images, labels), pixels


def _read_array(archive: zipfile.ZipFile, name: str, place: str, check: decoding.Check) -> np.ndarray:
    """Reads one array after `check` has accepted its header; messages call it `place`."""
    info = archive.getinfo(f"{name}.npy")
    try:
        # NumPy writes only these two, and decoders of the others can fill the memory from a few bytes.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("unknown compression")
        with archive.open(info) as file:
            # Later versions are for structured arrays, and their headers can be as long as the file.
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("not version 1.0 of the .npy format")
            shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
            check(place, dtype, shape)
            content = decoding.read_elements(file.read, dtype, shape, info.file_size - file.tell(), place)
            return np.frombuffer(content, dtype=dtype).reshape(shape, order="F" if is_fortran else "C")
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise various errors on damaged files
        raise DataError(f"cannot read {place} ({_summary(error)}); save it again with numpy.savez") from error


def _split_whole(path: Path, whole: Split) -> dict[str, Split]:
    if len(whole.images) < TEST_DIVISOR:
        raise DataError(
            f"{path} has too few images ({len(whole.images)}) to split off a test set; "
            f"it needs {TEST_DIVISOR} or more, or x_train and x_test"
        )
    return split_test(whole)


def _summary(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
