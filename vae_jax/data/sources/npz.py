"""Reads images and labels that NumPy saved. Pickled objects are never loaded."""

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from vae_jax.data import pixels
from vae_jax.data.checks import (
    NUM_BINS,
    as_texts,
    check_file,
    check_images,
    check_labels,
    check_size,
    number_classes,
    number_factors,
)
from vae_jax.data.fit import Wanted
from vae_jax.data.sources import files
from vae_jax.data.splits import DataError, Source, Split, whole_or_split
from vae_jax.errors import reason

# The arrays of each split as libraries and data sets name them: images, and labels, which all splits or none have.
_LAYOUTS: list[dict[str, tuple[str, str]]] = [
    {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")},  # Keras
    {"whole": ("images", "labels")},
    {  # MedMNIST
        "train": ("train_images", "train_labels"),
        "validation": ("val_images", "val_labels"),
        "test": ("test_images", "test_labels"),
    },
    {"whole": ("imgs", "latents_classes")},  # dSprites
    {"whole": ("arr_0", "")},  # numpy.savez without names
]
_DSPRITES = ("color", "shape", "scale", "orientation", "posX", "posY")  # the columns of `latents_classes`
_FACTORS, _FACTOR_NAMES = "factors", "factor_names"  # what each image of one array was generated from
_NEEDS = (
    "npz:FILE needs x_train and x_test (and y_train and y_test, if there are labels), "
    "or images (and labels, if there are any)"
)


@files("npz", "FILE")
def read(path: Path, wanted: Wanted) -> Source:
    """Reads an .npz file with arrays of the names in `_LAYOUTS`.

    Images have a shape that `check_images` takes, and `pixels.scale` scales them. Labels are integers of shape N or
    N x 1, texts, or one-hot, and may be absent. Images of one array are shuffled and split into train and test, and may
    have `factors`, of shape N x K, which `number_factors` numbers, and `factor_names`, K texts; those of dSprites'
    `latents_classes` are read, too. In the provenance, `content` says how the images were scaled, `class_names` what
    the labels number if they are texts, `factor_names` which factors vary, and `unused` which arrays were not read.

    Raises:
        DataError: the file is missing, unreadable or damaged, or its arrays are not as above.
    """
    with _open(path) as archive:
        layout, unused = _layout(path, archive)
        files = {
            split: (f"{images} in {path}", _read_array(path, archive, images)) for split, (images, _) in layout.items()
        }
        found = {f"{name} in {path}": _read_array(path, archive, name) for _, name in layout.values() if name}
        own = [name for name in (_FACTORS, _FACTOR_NAMES) if "whole" in layout and {_FACTORS, name} <= set(unused)]
        of_factors = {name: _read_array(path, archive, name) for name in own}
    images = {place: check_images(place, array) for place, array in files.values()}
    labels, class_names = number_classes({place: _classes(place, array) for place, array in found.items()})
    checked: list[np.ndarray | None] = [None] * len(images)
    if labels:
        checked = [check_labels(*named, of) for named, of in zip(labels.items(), images.values(), strict=True)]
    scaled = pixels.scale(images, wanted.pixel_max)
    splits = dict(zip(layout, map(Split, scaled.images, checked), strict=True))
    factors, factor_names, cut = _factors(path, of_factors, found, scaled.images[0])
    if factors is not None:
        splits["whole"] = splits["whole"]._replace(factors=factors)
    splits, note = whole_or_split(str(path), splits, "x_train and x_test")
    is_factors = any(name == "latents_classes" for _, name in layout.values())
    content = f"NPZ file with {scaled.content}{'; classes are the shapes' * is_factors}{cut}{note}"
    origin: dict[str, Any] = {"source": "NPZ file", "version": None, "file": str(path), "content": content}
    unused = [name for name in unused if factors is None or name not in of_factors]
    names = {"class_names": class_names, "factor_names": factor_names, "unused": unused}
    origin |= {name: value for name, value in names.items() if value}
    return splits, origin | {"pixel_range": list(scaled.pixel_range)}


@files("npy", "FILE")
def read_npy(path: Path, wanted: Wanted) -> Source:
    """Reads images, without labels, from an .npy file; they are as those of an .npz file.

    Raises:
        DataError: the file is missing, unreadable or damaged, or holds no images.
    """
    check_file(path, "npy:FILE needs an array of images that numpy.save saved")
    check_size(str(path), path.stat().st_size)
    try:
        with open(path, "rb") as file:
            array = _read(file)
    except PermissionError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except Exception as error:  # NumPy raises various errors on damaged files
        raise DataError(f"cannot read {path} ({reason(error)}); save it again with numpy.save") from error
    scaled = pixels.scale({str(path): check_images(str(path), array)}, wanted.pixel_max)
    splits, note = whole_or_split(
        str(path), {"whole": Split(scaled.images[0], None)}, "npz:FILE with x_train and x_test"
    )
    origin = {
        "source": "NPY file",
        "version": None,
        "file": str(path),
        "content": f"NPY file with {scaled.content}{note}",
    }
    return splits, origin | {"pixel_range": list(scaled.pixel_range)}


def _classes(place: str, array: np.ndarray) -> np.ndarray:
    """Returns the shapes of dSprites' factors, and any other array as it is."""
    return array[:, _DSPRITES.index("shape")] if _is_dsprites(place, array) else array


def _is_dsprites(place: str, array: np.ndarray) -> bool:
    return place.startswith("latents_classes in ") and array.shape[1:] == (len(_DSPRITES),)


def _factors(
    path: Path, own: dict[str, np.ndarray], labels: dict[str, np.ndarray], images: np.ndarray
) -> tuple[np.ndarray | None, list[str], str]:
    """Returns factors int32[N, K] of images in one array, None without any; their names; how the provenance goes on.

    Args:
        path: of the file, for messages.
        own: the arrays `factors` and `factor_names`, as far as they are there.
        labels: by what names them in messages; those of dSprites have factors.
        images: uint8[N, ...].
    """
    found = [(place, array, list(_DSPRITES)) for place, array in labels.items() if _is_dsprites(place, array)]
    if _FACTORS in own:
        found = [(f"{_FACTORS} in {path}", own[_FACTORS], _names(path, own.get(_FACTOR_NAMES)))]
    if not found:
        return None, [], ""
    factors, names, cut = number_factors(*found[0], images)
    return factors, names, f"; {', '.join(cut)} cut into {NUM_BINS} values" if cut else ""


def _names(path: Path, array: np.ndarray | None) -> list[str]:
    """Returns the texts in the array `factor_names`."""
    if array is None:
        return []
    if array.dtype.kind not in "US" or array.ndim != 1 or len(set(array.tolist())) < len(array):
        raise DataError(f"{_FACTOR_NAMES} in {path} must be different texts of shape K; save them as such")
    return as_texts(array).tolist()


def _open(path: Path) -> zipfile.ZipFile:
    check_file(path, _NEEDS)
    try:
        return zipfile.ZipFile(path)
    except PermissionError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except Exception as error:  # zipfile raises various errors on damaged files
        raise DataError(f"{path} is not a readable .npz file ({reason(error)}); save it with numpy.savez") from error


def _layout(path: Path, archive: zipfile.ZipFile) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Returns the names of the arrays of each split, with "" for no labels, and of those that are not read."""
    found = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
    known = found & {name for layout in _LAYOUTS for names in layout.values() for name in names}
    for layout in _LAYOUTS:
        images, labels = ({names[index] for names in layout.values()} for index in (0, 1))
        if known == images or (known == images | labels and "" not in labels):
            splits = {split: (names[0], names[1] if known > images else "") for split, names in layout.items()}
            return splits, sorted(found - known)
    listed = ", ".join(map(repr, sorted(found)[:8])) + (", …" if len(found) > 8 else "")
    raise DataError(f"{path} has {f'the arrays {listed}' if found else 'no arrays'}; {_NEEDS}")


def _read_array(path: Path, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    info, place = archive.getinfo(f"{name}.npy"), f"{name} in {path}"
    check_size(place, info.file_size)
    try:
        with archive.open(info) as file:
            return _read(file)
    except Exception as error:  # zipfile, zlib and NumPy raise various errors on damaged files
        raise DataError(f"cannot read {place} ({reason(error)}); save it again with numpy.savez") from error


def _read(file: IO[bytes]) -> np.ndarray:
    array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    if file.read(1):  # the checksum of a ZIP file is verified at the end of the stream only
        raise ValueError("it goes on after its last element")
    return array
