"""Reads images and labels that `numpy.savez` saved. Pickled objects are never loaded."""

import zipfile
from pathlib import Path

import numpy as np

from vae_jax.data import pixels
from vae_jax.data.checks import MAX_BYTES, check_images, check_labels
from vae_jax.data.fit import Wanted
from vae_jax.data.sources import files
from vae_jax.data.splits import DataError, Source, Split, whole_or_split
from vae_jax.files import exists

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


@files("npz", "FILE")
def read(path: Path, wanted: Wanted) -> Source:
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
            place = f"{images_name} in {path}"
            images = files[place] = check_images(place, _read_array(place, archive, images_name))
            labels = None
            for name in labels_names:
                place = f"{name} in {path}"
                labels = check_labels(place, _read_array(place, archive, name), images)
            all_labels.append(labels)
    scaled = pixels.scale(files, wanted.pixel_max)
    splits = dict(zip(layout, map(Split, scaled.images, all_labels), strict=True))
    content = f"NPZ file with {scaled.content}"
    splits, note = whole_or_split(str(path), splits, "x_train and x_test")
    content += note
    origin = {"source": "NPZ file", "version": None, "file": str(path), "content": content}
    return splits, origin | {"pixel_range": list(scaled.pixel_range)}


def _open(path: Path) -> zipfile.ZipFile:
    if not exists(path) or not path.is_file():
        raise DataError(f"{path} is not there, or is not a file; {_NEEDS}")
    try:
        return zipfile.ZipFile(path)
    except PermissionError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
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


def _read_array(place: str, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > MAX_BYTES:
        raise DataError(f"{place} has {info.file_size} bytes; use fewer or smaller images, up to {MAX_BYTES} bytes")
    try:
        with archive.open(info) as file:
            array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
            if file.read(1):  # the checksum is verified at the end of the stream only
                raise ValueError("it goes on after its last element")
            return array
    except Exception as error:  # zipfile, zlib and NumPy raise various errors on damaged files
        raise DataError(f"cannot read {place} ({_summary(error)}); save it again with numpy.savez") from error


def _summary(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
