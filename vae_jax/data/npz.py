"""Reads images and labels that `numpy.savez` saved. Pickled objects are never loaded."""

import os
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from vae_jax.data import decoding
from vae_jax.data.decoding import Header, Read
from vae_jax.data.splits import TEST_DIVISOR, DataError, Source, Split, split_test

# The names of the arrays of each split: images and, if there are any, labels. Arrays with other names are ignored.
_LAYOUTS: list[dict[str, list[str]]] = [
    {"train": ["x_train", "y_train"], "test": ["x_test", "y_test"]},
    {"train": ["x_train"], "test": ["x_test"]},
    {"whole": ["images", "labels"]},
    {"whole": ["images"]},
]
_NEEDS = (
    "npz:FILE needs x_train and x_test (and y_train and y_test, if there are labels), "
    "or images (and labels, if there are any)"
)


def read(path: Path) -> Source:
    """Reads an .npz file with the arrays `x_train`, `y_train`, `x_test`, `y_test`, or `images` and `labels`.

    Images have the shape N x H x W or N x H x W x 1. They are uint8, or floats from 0 to 1, which are multiplied by 255
    and rounded. Labels are integers of shape N or N x 1, and may be absent. `images` are shuffled and split into train
    and test. In the provenance, `content` says how the images were converted.

    Raises:
        DataError: the file is missing or damaged, or its arrays are not as above.
    """
    if not os.path.isfile(path):
        raise DataError(f"{path} is not there, or is not a file; {_NEEDS}")
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # zipfile raises various errors on damaged files
        raise DataError(f"{path} is not a readable .npz file ({_summary(error)}); save it with numpy.savez") from error
    splits, pixels = {}, set()
    with archive:
        for split, (images_name, *labels_names) in _layout(path, archive).items():
            images, dtype = _read_array(path, archive, images_name, partial(decoding.read_images, allow_floats=True))
            labels = None
            for name in labels_names:
                labels, _ = _read_array(path, archive, name, decoding.read_labels)
                decoding.check_counts(f"{name} in {path}", images, labels)
            splits[split] = Split(images, labels)
            pixels.add(f"{dtype.name} pixels" + ("" if dtype == np.uint8 else " times 255, rounded"))
    content = "NPZ file with " + " and ".join(sorted(pixels))
    if "whole" in splits:
        if len(splits["whole"].images) < TEST_DIVISOR:
            raise DataError(
                f"{path} has too few images ({len(splits['whole'].images)}) to split off a test set; "
                f"it needs {TEST_DIVISOR} or more, or x_train and x_test"
            )
        splits = split_test(splits["whole"])
        content += f"; 1 image in {TEST_DIVISOR} split off for testing"
    return splits, {"source": "NPZ file", "version": None, "file": str(path), "content": content}


def _layout(path: Path, archive: zipfile.ZipFile) -> dict[str, list[str]]:
    found = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
    names_of = [set().union(*layout.values()) for layout in _LAYOUTS]
    for layout, names in zip(_LAYOUTS, names_of, strict=True):
        if found & set().union(*names_of) == names:
            return layout
    listed = ", ".join(map(repr, sorted(found)[:8])) + (", …" if len(found) > 8 else "")
    raise DataError(f"{path} has {f'the arrays {listed}' if found else 'no arrays'}; {_NEEDS}")


def _read_array(
    path: Path, archive: zipfile.ZipFile, name: str, read_array: Callable[[Header, Read], np.ndarray]
) -> tuple[np.ndarray, np.dtype]:
    """Reads one array; also returns the type that it has in the file."""
    place = f"{name} in {path}"
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
            header = Header(place, dtype, shape, "F" if is_fortran else "C")
            return read_array(header, file.read), dtype
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise various errors on damaged files
        raise DataError(f"cannot read {place} ({_summary(error)}); save it again with numpy.savez") from error


def _summary(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
