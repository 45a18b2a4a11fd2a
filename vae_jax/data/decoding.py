"""Reads arrays of images and labels from untrusted files: headers are checked before memory is allocated for them."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from vae_jax.data.splits import DataError

# Reads up to the given number of bytes.
Read = Callable[[int], bytes]

_MAX_BYTES = 1 << 31  # per array, because data sets are held in memory
_MAX_LABEL = 65535  # the judge has one output for each label up to the largest
_CHUNK_BYTES = 1 << 20


class Header(NamedTuple):
    """What a file says about the array that follows."""

    place: str  # names the array in error messages
    dtype: np.dtype
    shape: tuple[int, ...]
    order: Literal["C", "F"] = "C"

    def describe(self) -> str:
        """Describes type and shape, as in `uint8 elements of shape 12 x 28 x 28`."""
        sizes = " x ".join(map(str, self.shape[:6])) + (" x …" if len(self.shape) > 6 else "")
        kind = "text" if self.dtype.kind in "US" else f"{self.dtype.name} elements"
        return f"{kind} of shape {sizes or '()'}"


def read_images(header: Header, read: Read) -> np.ndarray:
    """Reads images of shape N x H x W or N x H x W x 1, of any real type, as [N, H, W] in their own type.

    Raises:
        DataError: the array is something else, is empty, cut short or too large.
    """
    place, dtype, shape = header[:3]
    if dtype.kind not in "biuf" or not (len(shape) == 3 or (len(shape) == 4 and shape[3] == 1)):
        these = "the colour images to grey" if len(shape) == 4 and shape[3] in (3, 4) else "them"
        raise DataError(
            f"{place} has {header.describe()}; images must be integers, floats or bools of shape N x H x W or "
            f"N x H x W x 1, so convert {these}"
        )
    return _read_array(header, read).reshape(shape[:3])


def read_labels(header: Header, read: Read, *, columns: tuple[int, ...] = (1,)) -> np.ndarray:
    """Reads labels, integers of shape N or N x C with C in `columns`, as int32[N]; of several columns, the first.

    Raises:
        DataError: the array is something else, is empty, cut short or too large, or has labels out of range.
    """
    place, dtype, shape = header[:3]
    if dtype.kind not in "iu" or not (len(shape) == 1 or (len(shape) == 2 and shape[1] in columns)):
        is_text = dtype.kind in "US"
        shapes = " or ".join(["N", *(f"N x {count}" for count in columns)])
        way = "number the classes, as numpy.unique(labels, return_inverse=True)[1] does" if is_text else "convert them"
        raise DataError(f"{place} has {header.describe()}; labels must be integers of shape {shapes}, so {way}")
    labels = _read_array(header, read).reshape(shape[0], -1)[:, 0]
    low, high = labels.min(), labels.max()
    if low < 0 or high > _MAX_LABEL:
        raise DataError(f"{place} has labels from {low} to {high}; renumber them from 0 to at most {_MAX_LABEL}")
    return labels.astype(np.int32)


def check_counts(place: str, images: np.ndarray, labels: np.ndarray) -> None:
    """Raises a DataError unless each image has a label; `place` names the labels."""
    if len(images) != len(labels):
        raise DataError(
            f"{place} has {len(labels)} labels for {len(images)} images; get images and labels from one data set"
        )


def _read_array(header: Header, read: Read) -> np.ndarray:
    """Reads an array of one element or more, which must end where the file ends."""
    place, dtype, shape, order = header
    if min(shape) < 1:
        raise DataError(f"{place} is empty: it has {header.describe()}; get the file again")
    size = math.prod(shape) * dtype.itemsize
    if size > _MAX_BYTES:
        raise DataError(
            f"{place} promises {size} bytes, more than the {_MAX_BYTES} allowed; use fewer or smaller images, "
            "or get the file again"
        )
    content = bytearray()
    # In chunks, so that memory grows with what the file holds and not with what its header promises. One byte more
    # than promised, because gzip and zip verify their checksum only at the end of the stream.
    while chunk := read(min(_CHUNK_BYTES, size + 1 - len(content))):
        content += chunk
    if len(content) != size:
        problem = "is cut short" if len(content) < size else "goes on after its last element"
        raise DataError(f"{place} {problem}: its header promises {size} bytes; get the file again")
    return np.frombuffer(content, dtype).reshape(shape, order=order)
