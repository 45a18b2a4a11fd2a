"""Scales the pixels of the user's files to uint8: what is black there becomes 0, and what is white becomes 255."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from vae_jax.data.splits import DataError
from vae_jax.fields import format_value

_DARK = 1 / 4  # of white: where no training image is as bright, something else must be white
WHITE = "pass what is white in these files, such as --pixel_max={}"
_CHUNK_PIXELS = 1 << 20  # at once, because floats take many times the memory of the result


class PixelRange(NamedTuple):
    """What black and white are in the units of some pixels."""

    black: float = 0
    white: float = 255


BYTES = PixelRange()


class Scaled(NamedTuple):
    """The images of some files, scaled."""

    images: list[np.ndarray]  # uint8, of the shape in each file
    pixel_range: PixelRange  # what black and white are in integers that have the units of the training images
    content: str  # what the pixels were, and how they were scaled


def scale(files: dict[str, np.ndarray], pixel_max: float, white: str = WHITE) -> Scaled:
    """Scales the images of some files to uint8.

    Bools are black and white, and so are integers if all files together have two values. Floats are from -1 to 1 if
    they come near to both, and from 0 to 255 if they are whole numbers that come near to 255. Otherwise 0 is black.

    Args:
        files: images [N, ...] of any real type, by what names them in error messages; the training images first.
        pixel_max: what is white in integers and floats; 0 for what is above, or else 255 in integers and 1 in floats.
        white: how messages tell a person to say what is white, with {} for the brightest pixel.

    Raises:
        DataError: pixels are negative, brighter than white or not finite, or all training images are dark.
    """
    two = None if pixel_max else _two_values([images for images in files.values() if images.dtype.kind != "f"])
    ends = {place: _extremes(images) for place, images in files.items()}
    of_floats = None if pixel_max else _float_range([images for images in files.values() if images.dtype.kind == "f"])
    units, contents = zip(*(_units(images.dtype, pixel_max, two, of_floats) for images in files.values()), strict=True)
    for index, (place, images) in enumerate(files.items()):
        alike = [ends[other][1] for other, a in files.items() if a.dtype.kind == images.dtype.kind]
        found = f"{place} has {images.dtype.name} pixels"
        remedy = white.format(_text(max(alike)))
        _check(found, *ends[place], units[index], remedy, is_train=index == 0)
    is_float = next(iter(files.values())).dtype.kind == "f"
    pixel_range = PixelRange(white=pixel_max or 255) if is_float else units[0]
    scaled = [to_uint8(images, of_file) for images, of_file in zip(files.values(), units, strict=True)]
    return Scaled(scaled, pixel_range, " and ".join(sorted(set(contents))))


def to_uint8(images: np.ndarray, units: PixelRange) -> np.ndarray:
    """Scales images [N, ...] in these units to uint8: (pixel - black) / (white - black) * 255, rounded."""
    if images.dtype == np.uint8 and units == BYTES:
        return np.ascontiguousarray(images)
    black, white = map(float, units)
    result = np.empty(images.shape, np.uint8)
    for part, scaled in zip(_chunks(images), _chunks(result), strict=True):
        if part.dtype == np.float16 and (black, white) != (0, 1):  # it has few digits, and may not have room for white
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


def _float_range(files: list[np.ndarray]) -> PixelRange | None:
    """Returns what black and white are in floats that cannot be meant to lie from 0 to 1; None if that is not clear."""
    if not files:
        return None
    lows, highs = zip(*map(_extremes, files), strict=True)
    if -1 <= min(lows) < -0.5 and 0.5 < max(highs) <= 1:
        return PixelRange(-1, 1)
    is_whole = min(lows) >= 0 and _DARK * 255 <= max(highs) <= 255
    is_whole = is_whole and all(np.all(np.rint(part) == part) for images in files for part in _chunks(images))
    return BYTES if is_whole else None


def _extremes(images: np.ndarray) -> tuple[Any, Any]:
    numbers = images.view(np.uint8) if images.dtype == bool else images
    with np.errstate(invalid="ignore"):
        return numbers.min(), numbers.max()


def _units(
    dtype: np.dtype, pixel_max: float, two: PixelRange | None, of_floats: PixelRange | None
) -> tuple[PixelRange, str]:
    """Returns what black and white are in pixels of this type, and says what they were and how they are scaled."""
    if dtype.kind == "f" and of_floats:
        return (
            of_floats,
            f"{dtype.name} pixels from {of_floats.black} to {of_floats.white}, scaled to bytes and rounded",
        )
    if dtype.kind == "b":
        return PixelRange(white=1), "bool pixels, black and white"
    if dtype.kind in "iu" and two:
        return two, f"{dtype.name} pixels, black and white ({two.black} and {two.white})"
    if dtype.kind in "iu" and pixel_max in (0, 255):
        return BYTES, f"{dtype.name} pixels"
    factor = f" / {format_value(pixel_max)}" if pixel_max else ""
    with np.errstate(over="ignore"):  # floats may have more digits in a message than in the file
        white = float(dtype.type(pixel_max or 1)) if dtype.kind == "f" else pixel_max
    return PixelRange(white=white), f"{dtype.name} pixels times 255{factor}, rounded"


def _check(found: str, low: Any, high: Any, units: PixelRange, remedy: str, is_train: bool) -> None:
    """Raises a DataError if pixels from `low` to `high` are out of range, or those of all training images are dark."""
    (black, white), pixels = units, f"{found} from {_text(low)} to {_text(high)}"
    where = f"where {_text(black)} is black and {_text(white)} is white"
    if not (low >= black and high < np.inf):  # true for NaN, too
        raise DataError(f"{pixels}, {where}; rescale them to numbers from {_text(black)} to {_text(white)}")
    if high > white:
        raise DataError(f"{pixels}, {where}; {remedy}, or clip them")
    if is_train and high <= black:
        raise DataError(f"{found} that are all black; get the images again")
    if is_train and float(high) - black < _DARK * (white - black):
        raise DataError(f"{pixels}, {where}, too dark to train on; {remedy}")


def _text(number: Any) -> str:
    """The shortest digits that read back equal."""
    return str(number).removesuffix(".0")
