"""Checks of a user's files and the arrays in them: each raises a DataError that says what to do."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vae_jax.data.splits import DataError
from vae_jax.files import exists

MAX_BYTES = 1 << 31  # per array, because data sets are held in memory
_LEAST_SIDE = 4  # pixels, of square images in rows: two numbers are rather height and width
_MAX_LABEL = 65535  # the judge has one output for each label up to the largest
_MAX_VALUES = 100  # of a factor in floats; beyond it, hardly any two images would share one
NUM_BINS = 20  # that its values are then cut into


def check_file(path: Path, needs: str) -> None:
    """Raises a DataError, which ends with what the source `needs`, unless there is a file at this path."""
    if not exists(path) or not path.is_file():
        raise DataError(f"{path} is not there, or is not a file; {needs}")


def check_size(place: str, size: int) -> None:
    """Raises a DataError if what is read at once, a file or an array, has more than `MAX_BYTES`."""
    if size > MAX_BYTES:
        raise DataError(f"{place} has {size} bytes; use fewer or smaller images, up to {MAX_BYTES} bytes")


def as_texts(array: np.ndarray) -> np.ndarray:
    """Returns texts of NumPy's kinds U and S as those of kind U; a byte that is no UTF-8 is replaced."""
    return np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array


def check_images(place: str, array: np.ndarray) -> np.ndarray:
    """Returns images of any real type as [N, H, W], or as [N, H, W, 3] in colour.

    Args:
        place: names the array in messages.
        array: of shape N x H x W, N x H x W x 1 or N x H x W x 3, with channels first, or rows of square images.

    Raises:
        DataError: the array is something else, or is empty.
    """
    array = _arrange(array)
    shape = array.shape
    if array.dtype.kind not in "biuf" or not (len(shape) == 3 or shape[3:] in ((1,), (3,))):
        raise DataError(
            f"{place} has {_describe(array)}; images must be integers, floats or bools of shape N x H x W, "
            "N x H x W x 1 or, in colour, N x H x W x 3, so convert them"
        )
    _check_not_empty(place, array)
    return array if shape[3:] == (3,) else array.reshape(shape[:3])


def _arrange(array: np.ndarray) -> np.ndarray:
    """Returns images [N, C, H, W] as [N, H, W, C], rows [N, H * H] as [N, H, H], and anything else as it is."""
    shape = array.shape
    if len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3):
        return np.moveaxis(array, 1, -1)
    side = math.isqrt(shape[1]) if len(shape) == 2 else 0
    is_rows = side >= _LEAST_SIDE and side**2 == shape[1] != shape[0]  # a square array is one image
    return array.reshape(-1, side, side) if is_rows else array


def number_classes(arrays: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str] | None]:
    """Numbers classes that are texts or one-hot.

    Args:
        arrays: the labels of the splits of one data set, by what names them in messages.

    Returns:
        The same by name: texts of shape N or N x 1 as int[N], which number the sorted texts of all arrays; one-hot rows
        as int[N]; anything else as it is, for `check_labels`. And the texts in their order, or None.
    """
    if arrays and all(array.dtype.kind in "US" and array.shape in _columns(array) for array in arrays.values()):
        texts = [as_texts(array).ravel() for array in arrays.values()]
        names, numbers = np.unique(np.concatenate(texts), return_inverse=True)
        parts = np.split(numbers, np.cumsum([len(part) for part in texts])[:-1])
        return dict(zip(arrays, parts, strict=True)), names.tolist()
    return {place: array.argmax(1) if _is_one_hot(array) else array for place, array in arrays.items()}, None


def _columns(array: np.ndarray) -> tuple[tuple[int, ...], ...]:
    return (array.shape[:1], (*array.shape[:1], 1))


def _is_one_hot(array: np.ndarray) -> bool:
    is_table = array.dtype.kind in "biuf" and array.ndim == 2 and array.shape[1] > 1 and len(array) > 0
    return is_table and bool(np.all((array == 0) | (array == 1)) and np.all(np.count_nonzero(array, axis=1) == 1))


def check_labels(place: str, array: np.ndarray, images: np.ndarray, *, columns: tuple[int, ...] = (1,)) -> np.ndarray:
    """Returns the labels of images as int32[N].

    Args:
        place: names the array in messages.
        array: integers of shape N or N x C with C in `columns`; of several columns, the first is taken.
        images: [N, ...].
        columns: numbers of columns that the array may have.

    Raises:
        DataError: the array is something else, is empty, has labels out of range, or not one for each image.
    """
    shape = array.shape
    if array.dtype.kind not in "iu" or not (len(shape) == 1 or (len(shape) == 2 and shape[1] in columns)):
        shapes = " or ".join(["N", *(f"N x {count}" for count in columns)])
        raise DataError(f"{place} has {_describe(array)}; labels must be integers of shape {shapes}, so convert them")
    _check_not_empty(place, array)
    labels = array.reshape(shape[0], -1)[:, 0]
    low, high = labels.min(), labels.max()
    if low < 0 or high > _MAX_LABEL:
        raise DataError(f"{place} has labels from {low} to {high}; renumber them from 0 to at most {_MAX_LABEL}")
    if len(images) != len(labels):
        raise DataError(
            f"{place} has {len(labels)} labels for {len(images)} images; get images and labels from one data set"
        )
    return labels.astype(np.int32)


def number_factors(
    place: str, array: np.ndarray, names: Sequence[str], images: np.ndarray
) -> tuple[np.ndarray | None, list[str], list[str]]:
    """Numbers the values of each generating factor from 0, in their order.

    A column of floats with more than 100 values is continuous: its values are cut into 20 bins of equally many values.
    A column with one value is no factor, and is left out.

    Args:
        place: names the array in messages.
        array: numbers of shape N x K.
        names: of the columns; none for `factor 1` and so on.
        images: [N, ...].

    Returns:
        int32[N, K'] for the K' columns that are left (None if there are none), their names, and which were cut.

    Raises:
        DataError: the array is something else, has numbers that are not finite, or not a row for each image.
    """
    if array.dtype.kind not in "biuf" or array.ndim != 2:
        raise DataError(
            f"{place} has {_describe(array)}; factors must be integers or floats of shape N x K, so convert them"
        )
    if len(array) != len(images):
        raise DataError(f"{place} has {len(array)} rows for {len(images)} images; give each image a row")
    names = names or [f"factor {number}" for number in range(1, array.shape[1] + 1)]
    if len(names) != array.shape[1]:
        raise DataError(f"{place} has {array.shape[1]} columns and {len(names)} names; give each column a name")
    if not np.all(np.isfinite(array)):
        raise DataError(f"{place} has numbers that are not finite; replace them")
    columns, kept, cut = [], list[str](), list[str]()
    for name, column in zip(names, array.T, strict=True):
        values, numbers = np.unique(column, return_inverse=True)
        if len(values) < 2:
            continue
        if array.dtype.kind == "f" and len(values) > _MAX_VALUES:
            numbers = numbers * NUM_BINS // len(values)
            cut.append(name)
        columns.append(numbers.astype(np.int32))
        kept.append(name)
    return np.stack(columns, axis=1) if columns else None, kept, cut


def _check_not_empty(place: str, array: np.ndarray) -> None:
    if array.size == 0:
        raise DataError(f"{place} is empty: it has {_describe(array)}; get the file again")


def _describe(array: np.ndarray) -> str:
    """Describes type and shape, as in `uint8 elements of shape 12 x 28 x 28`."""
    kind = "text" if array.dtype.kind in "US" else f"{array.dtype.name} elements"
    return f"{kind} of shape {' x '.join(map(str, array.shape)) or '()'}"
