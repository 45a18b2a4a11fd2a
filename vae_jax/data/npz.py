"""Reads images and labels that `numpy.savez` saved. Pickled objects are never loaded."""

import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vae_jax.data import decoding, pixels
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


def read(path: Path, pixel_max: float) -> Source:
    """Reads an .npz file with the arrays `x_train`, `y_train`, `x_test`, `y_test`, or `images` and `labels`.

    Images have the shape N x H x W or N x H x W x 1, and `pixels.scale` scales them. Labels are integers of shape N or
    N x 1, and may be absent. `images` are shuffled and split into train and test. In the provenance, `content` says how
    the images were scaled.

    Raises:
        DataError: the file is missing, unreadable or damaged, or its arrays are not as above.
    """
    files, all_labels = {}, []
    with _open(path) as archive:
        layout = _layout(path, archive)
        for images_name, *labels_names in layout.values():
            images = _read_array(path, archive, images_name, decoding.read_images)
            labels = None
            for name in labels_names:
                labels = _read_array(path, archive, name, decoding.read_labels)
                decoding.check_counts(f"{name} in {path}", images, labels)
            files[f"{images_name} in {path}"] = images
            all_labels.append(labels)
    scaled = pixels.scale(files, pixel_max)
    splits = dict(zip(layout, map(Split, scaled.images, all_labels), strict=True))
    content = f"NPZ file with {scaled.content}"
    if "whole" in splits:
        if len(splits["whole"].images) < TEST_DIVISOR:
            raise DataError(
                f"{path} has too few images ({len(splits['whole'].images)}) to split off a test set; "
                f"it needs {TEST_DIVISOR} or more, or x_train and x_test"
            )
        splits = split_test(splits["whole"])
        content += f"; 1 image in {TEST_DIVISOR} split off for testing"
    origin = {"source": "NPZ file", "version": None, "file": str(path), "content": content}
    return splits, origin | {"pixel_range": list(scaled.pixel_range)}


def _open(path: Path) -> zipfile.ZipFile:
    try:
        is_file = stat.S_ISREG(os.stat(path).st_mode)  # nobody may ever write to a pipe
        if is_file:
            open(path, "rb").close()
    except PermissionError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except (OSError, ValueError):  # the latter of a name that no file can have
        is_file = False
    if not is_file:
        raise DataError(f"{path} is not there, or is not a file; {_NEEDS}")
    try:
        return zipfile.ZipFile(path)
    except Exception as error:  # zipfile raises various errors on damaged files
        raise DataError(f"{path} is not a readable .npz file ({_summary(error)}); save it with numpy.savez") from error


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
) -> np.ndarray:
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
            return read_array(header, file.read)
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise various errors on damaged files
        raise DataError(f"cannot read {place} ({_summary(error)}); save it again with numpy.savez") from error


def _summary(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
