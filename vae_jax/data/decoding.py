"""Turns arrays in untrusted files into images and labels. Headers are checked before memory is allocated for them."""

import math
from collections.abc import Callable

import numpy as np

from vae_jax.data.records import DataError

# Checks the type and shape of an array, which the first argument names in error messages.
Check = Callable[[str, np.dtype, tuple[int, ...]], None]

_MAX_BYTES = 1 << 31  # per array, because data sets are held in memory
_MAX_LABEL = 65535  # the classifier has one output for each label up to the largest
_CHUNK_BYTES = 1 << 20


def check_images(place: str, dtype: np.dtype, shape: tuple[int, ...], *, allow_floats: bool = False) -> None:
    """Checks that an array of this type and shape can hold grey images.

    Args:
        place: names the array in error messages.
        dtype: type of its elements; uint8, or any float if `allow_floats`.
        shape: N x H x W or N x H x W x 1.
        allow_floats: accept floats, too, which `to_images` converts.

    Raises:
        DataError: the type or shape is wrong, or the array is empty.
    """
    is_float = allow_floats and dtype.kind == "f"
    if (dtype != np.uint8 and not is_float) or not (len(shape) == 3 or (len(shape) == 4 and shape[3] == 1)):
        types = "uint8 (0 to 255) or floats (0 to 1)" if allow_floats else "uint8"
        colour = len(shape) == 4 and shape[3] in (3, 4)
        raise DataError(
            f"{place} has {_describe(dtype, shape)}; images must be {types} of shape N x H x W or N x H x W x 1, "
            f"so convert {'the colour images to grey' if colour else 'them'}"
        )
    _check_not_empty(place, dtype, shape)


def check_labels(place: str, dtype: np.dtype, shape: tuple[int, ...], *, columns: tuple[int, ...] = (1,)) -> None:
    """Checks that an array of this type and shape can hold labels.

    Args:
        place: names the array in error messages.
        dtype: type of its elements; any integer.
        shape: N, or N x C with C in `columns`.
        columns: allowed numbers of columns, of which `to_labels` uses the first.

    Raises:
        DataError: the type or shape is wrong, or the array is empty.
    """
    if dtype.kind not in "iu" or not (len(shape) == 1 or (len(shape) == 2 and shape[1] in columns)):
        shapes = " or ".join(["N", *(f"N x {count}" for count in columns)])
        raise DataError(
            f"{place} has {_describe(dtype, shape)}; labels must be integers of shape {shapes}, so convert them"
        )
    _check_not_empty(place, dtype, shape)


def read_elements(
    read: Callable[[int], bytes], dtype: np.dtype, shape: tuple[int, ...], limit: int, place: str
) -> bytearray:
    """Reads the elements of an array, which must end where the file ends.

    Args:
        read: reads up to the given number of bytes that follow the header.
        dtype: type of the elements according to the header.
        shape: shape of the array according to the header.
        limit: the most bytes that the file can hold after the header.
        place: names the array in error messages.

    Raises:
        DataError: there are fewer or more bytes than the header says, or too many to hold in memory.
    """
    size = math.prod(shape) * dtype.itemsize
    if size > limit:
        raise DataError(
            f"{place} is cut short or damaged: its header promises {size} bytes, more than the file can hold; "
            "get the file again"
        )
    if size > _MAX_BYTES:
        raise DataError(f"{place} has {size} bytes, more than the {_MAX_BYTES} allowed; use fewer or smaller images")
    content = bytearray()
    # In chunks, so that memory grows with what the file holds and not with what its header promises. One byte more
    # than promised, because gzip and zip verify their checksum only at the end of the stream.
    while chunk := read(min(_CHUNK_BYTES, size + 1 - len(content))):
        content += chunk
    if len(content) != size:
        problem = "is cut short" if len(content) < size else "goes on after its last element"
        raise DataError(f"{place} {problem}: its header promises {size} bytes; get the file again")
    return content


def to_images(array: np.ndarray, place: str) -> np.ndarray:
    """Converts an array that passed `check_images` to uint8[N, H, W].

    Floats are multiplied by 255 and rounded, in place.

    Raises:
        DataError: a float is NaN or is not between 0 and 1.
    """
    images = array.reshape(array.shape[:3])
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images)
    with np.errstate(invalid="ignore"):
        low, high = images.min(), images.max()
    if not (low >= 0 and high <= 1):  # true for NaN, too
        raise DataError(
            f"{place} has pixels from {low:g} to {high:g}; floats must be between 0 and 1 and never NaN, "
            "so rescale them or save them as uint8"
        )
    # In place, because a copy of the floats would take many times the memory of the result.
    images *= 255
    return np.rint(images, out=images).astype(np.uint8, order="C")


def to_labels(array: np.ndarray, place: str) -> np.ndarray:
    """Converts an array that passed `check_labels` to int32[N]; of several columns, it takes the first.

    Raises:
        DataError: a label is negative or larger than 65535.
    """
    labels = array if array.ndim == 1 else array[:, 0]
    low, high = labels.min(), labels.max()
    if low < 0 or high > _MAX_LABEL:
        raise DataError(f"{place} has labels from {low} to {high}; renumber them from 0 to at most {_MAX_LABEL}")
    return labels.astype(np.int32)


def check_counts(place: str, images: np.ndarray, labels: np.ndarray) -> None:
    """Checks that each image has a label; `place` names the labels in error messages.

    Raises:
        DataError: the numbers of images and labels differ.
    """
    if len(images) != len(labels):
        raise DataError(
            f"{place} has {len(labels)} labels for {len(images)} images; get images and labels from one data set"
        )


def _check_not_empty(place: str, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    if min(shape) < 1:
        raise DataError(f"{place} is empty: it has {_describe(dtype, shape)}; get the file again")


def _describe(dtype: np.dtype, shape: tuple[int, ...]) -> str:
    sizes = " x ".join(map(str, shape[:6])) + (" x …" if len(shape) > 6 else "")
    return f"{dtype.name} elements of shape {sizes or '()'}"
