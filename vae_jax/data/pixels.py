"""Scales the pixels of the user's files to uint8: what is black there becomes 0, and what is white becomes 255."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from vae_jax.data.splits import DataError
from vae_jax.fields import format_value

_DARK = 1 / 4  # of white: where no training image is as bright, something else must be white
_CHUNK_PIXELS = 1 << 20  # at once, because floats take many times the memory of the result


class PixelRange(NamedTuple):
    """What black and white are in the units of some pixels."""

    black: float = 0
    white: float = 255


BYTES = PixelRange()


class Scaled(NamedTuple):
    """The images of some files, scaled."""

    images: list[np.ndarray]  # uint8[N, H, W] of each file
    pixel_range: PixelRange  # what black and white are in integers that have the units of the training images
    content: str  # what the pixels were, and how they were scaled


class _Pixels(NamedTuple):
    """The pixels of a file."""

    place: str  # names them in error messages
    images: np.ndarray
    low: Any  # the least and the greatest, as NumPy scalars
    high: Any
    units: PixelRange


def scale(files: dict[str, np.ndarray], pixel_max: float) -> Scaled:
    """Scales the images of some files to uint8.

    Bools are black and white, and so are integers if all files together have two values. Otherwise 0 is black.

    Args:
        files: images [N, H, W] of any real type, by what names them in error messages; the training images first.
        pixel_max: what is white; 0 for what the type says: 255 for integers, 1 for floats and bools.

    Raises:
        DataError: pixels are negative, brighter than white or not finite, or all training images are dark.
    """
    two = None if pixel_max else _two_values([images for images in files.values() if images.dtype.kind != "f"])
    every = [_Pixels(name, a, *_extremes(a), _units(a.dtype, pixel_max, two)) for name, a in files.items()]
    train = every[0]
    for pixels in every:
        others = [other.high for other in every if other.images.dtype.kind == pixels.images.dtype.kind]
        _check(pixels, brightest=max(others), is_train=pixels is train)
    content = " and ".join(sorted({_describe(pixels.images.dtype, pixel_max, two) for pixels in every}))
    pixel_range = PixelRange(white=pixel_max or 255) if train.images.dtype.kind == "f" else train.units
    return Scaled([to_uint8(pixels.images, pixels.units) for pixels in every], pixel_range, content)


def to_uint8(images: np.ndarray, units: PixelRange) -> np.ndarray:
    """Scales images [N, H, W] in these units to uint8: (pixel - black) / (white - black) * 255, rounded."""
    if images.dtype == np.uint8 and units == BYTES:
        return np.ascontiguousarray(images)
    black, white = map(float, units)
    result = np.empty(images.shape, np.uint8)
    for part, scaled in zip(_chunks(images), _chunks(result), strict=True):
        if part.dtype == np.float16 and white != 1:  # it has few digits, and may not have room for white
            part = part.astype(np.float32)
        scaled[:] = np.rint((part - black) / (white - black) * 255)
    return result


def _chunks(images: np.ndarray) -> Iterator[np.ndarray]:
    step = max(1, _CHUNK_PIXELS // max(1, images[:1].size))
    return (images[start : start + step] for start in range(0, len(images), step))


def _two_values(files: list[np.ndarray]) -> PixelRange | None:
    """Returns the two values that all pixels have; None if there are more or fewer."""
    extremes = [int(end) for images in files for end in _extremes(images)]
    low, high = min(extremes, default=0), max(extremes, default=0)
    is_two = low < high and all(np.all((part == low) | (part == high)) for images in files for part in _chunks(images))
    return PixelRange(low, high) if is_two else None


def _extremes(images: np.ndarray) -> tuple[Any, Any]:
    numbers = images.view(np.uint8) if images.dtype == bool else images
    with np.errstate(invalid="ignore"):
        return numbers.min(), numbers.max()


def _units(dtype: np.dtype, pixel_max: float, two: PixelRange | None) -> PixelRange:
    if dtype.kind in "iu":
        return two or PixelRange(white=pixel_max or 255)
    with np.errstate(over="ignore"):  # floats may have more digits in a message than in the file
        return PixelRange(white=float(dtype.type(pixel_max or 1)) if dtype.kind == "f" else pixel_max or 1)


def _check(pixels: _Pixels, brightest: Any, is_train: bool) -> None:
    """Raises a DataError if pixels are out of range, or all training images are dark."""
    _, images, low, high, (black, white) = pixels
    found = f"{pixels.place} has {images.dtype.name} pixels from {_text(low)} to {_text(high)}"
    units = f"where {_text(black)} is black and {_text(white)} is white"
    remedy = f"pass what is white in these files, such as --pixel_max={_text(brightest)}"
    if not (low >= black and high < np.inf):  # true for NaN, too
        raise DataError(f"{found}, {units}; rescale them to numbers from {_text(black)} to {_text(white)}")
    if high > white:
        raise DataError(f"{found}, {units}; {remedy}, or clip them")
    if is_train and high <= black:
        raise DataError(f"{pixels.place} has black pixels only; get the images again")
    if is_train and float(high) - black < _DARK * (white - black):
        raise DataError(f"{found}, {units}, too dark to train on; {remedy}")


def _describe(dtype: np.dtype, pixel_max: float, two: PixelRange | None) -> str:
    """Says what the pixels were and how they were scaled, for the provenance."""
    is_integer = dtype.kind in "iu"
    if (two and is_integer) or (dtype.kind == "b" and not pixel_max):
        values = f" ({two.black} and {two.white})" if two and is_integer else ""
        return f"{dtype.name} pixels, black and white{values}"
    factor = f" / {format_value(pixel_max)}" if pixel_max else ""
    return f"{dtype.name} pixels" + ("" if is_integer and pixel_max in (0, 255) else f" times 255{factor}, rounded")


def _text(number: Any) -> str:
    """The shortest digits that read back equal."""
    return str(number).removesuffix(".0")
