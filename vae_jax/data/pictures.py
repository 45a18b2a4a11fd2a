"""Decodes pictures that people have: PNG, JPEG and WebP files of any mode, to images of one size."""

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vae_jax.data.checks import MAX_BYTES
from vae_jax.data.fit import GREY, RGB, Wanted, resampled, squares, to_grey, to_rgb
from vae_jax.data.splits import DataError
from vae_jax.errors import reason

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_FORMATS = ("PNG", "JPEG", "WEBP")
_MOST_PIXELS = 1 << 25  # of one picture, because a damaged header may promise any number
_MOST_NAMED = 10  # broken pictures in a message
_AT_ONCE = 256  # pictures that are decoded before the first problem is reported
_DARK = 64  # where no picture is as bright, 255 is not what is white in it


class Picture(NamedTuple):
    """A picture that is not decoded yet."""

    name: str  # in messages
    content: Path | bytes  # the file, or what is in one


class Decoded(NamedTuple):
    """A picture that is decoded."""

    image: np.ndarray  # uint8[H, W], or in colour uint8[H, W, 3]
    done: list[str]  # to its pixels


def decode(place: str, pictures: Sequence[Picture], wanted: Wanted) -> tuple[np.ndarray, str]:
    """Decodes pictures to images of one size.

    Pictures are turned as their EXIF orientation says, what is transparent in them is shown over white, and 16 bits
    become 8. Where all pixels are 0 or 1, these are black and white. Of an animation, the first frame is taken. All are
    in colour if one of them is.

    Args:
        place: where the pictures are, in messages.
        pictures: one or more.
        wanted: whether colours become grey, and the size of the images.

    Returns:
        uint8[N, H, W], or in colour uint8[N, H, W, 3], and what was done to the pixels.

    Raises:
        DataError: pictures are broken, or too large together, dark, or of several sizes.
    """
    images, broken, done, total = list[np.ndarray](), list[str](), dict[str, None](), 0
    for picture, found in _decode_all(pictures, wanted):
        if isinstance(found, str):
            broken.append(f"{picture.name} ({found})")
            continue
        images.append(found.image)
        done |= dict.fromkeys(found.done)
        if (total := total + found.image.size) > MAX_BYTES:
            raise DataError(f"{place} has more than {MAX_BYTES} pixels; use fewer images, or --image_size")
    if broken:
        named = ", ".join(broken[:_MOST_NAMED])
        more = f", and {len(broken) - _MOST_NAMED} more" if len(broken) > _MOST_NAMED else ""
        raise DataError(f"{place} has {len(broken)} broken of {len(pictures)} pictures: {named}{more}; remove them")
    if not wanted.image_size and max(int(image.max()) for image in images) == 1:
        images, done = [image * np.uint8(255) for image in images], done | {"0 and 1 made black and white": None}
    if 0 < sum(image.ndim == 3 for image in images) < len(images):
        images, done = [image if image.ndim == 3 else to_rgb(image) for image in images], done | {RGB: None}
    _check_alike(place, pictures, images)
    last = resampled(wanted.image_size)
    return np.stack(images), "; ".join(["picture files", *sorted(done, key=lambda text: (text == last, text))])


def _check_alike(place: str, pictures: Sequence[Picture], images: list[np.ndarray]) -> None:
    """Raises a DataError if images are of several sizes, or are all dark."""
    for picture, image in zip(pictures, images, strict=True):
        if image.shape != images[0].shape:
            first, other = (" x ".join(map(str, shape[:2])) for shape in (images[0].shape, image.shape))
            raise DataError(
                f"{place} has images of several sizes ({pictures[0].name} {first} pixels, {picture.name} {other}); "
                "pass --image_size, such as --image_size=32"
            )
    if (brightest := max(int(image.max()) for image in images)) < _DARK:
        raise DataError(f"{place} has pixels up to {brightest} of 255, too dark to train on; make what is white 255")


def _decode_all(pictures: Sequence[Picture], wanted: Wanted) -> Iterator[tuple[Picture, Decoded | str]]:
    """Decodes pictures on all cores, a few ahead of what is asked for."""
    from PIL import Image

    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # of odd metadata, and of large pictures, which have a limit here
        Image.init()  # before threads do it at once
        for start in range(0, len(pictures), _AT_ONCE):
            part = pictures[start : start + _AT_ONCE]
            yield from zip(part, pool.map(partial(_decode, wanted=wanted), part), strict=True)


def _decode(picture: Picture, wanted: Wanted) -> Decoded | str:
    """Returns an image, or why it cannot be read."""
    from PIL import Image

    content = picture.content
    try:
        with Image.open(io.BytesIO(content) if isinstance(content, bytes) else content, formats=_FORMATS) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                return f"{opened.width} x {opened.height} pixels are too many"
            pixels, done = _pixels(opened)
    except Exception as error:  # Pillow raises various errors on damaged files
        is_unknown = isinstance(error, Image.UnidentifiedImageError)
        return "not a PNG, JPEG or WebP picture" if is_unknown else reason(error)
    image = pixels
    if pixels.ndim == 3 and not np.any(pixels[..., :1] != pixels):
        image = pixels[..., 0]
    elif pixels.ndim == 3 and wanted.channels == "grey":
        image, done = to_grey(pixels), [*done, GREY]
    if wanted.image_size and image.shape[:2] != (wanted.image_size, wanted.image_size):
        image, done = squares(image[None], wanted.image_size)[0], [*done, resampled(wanted.image_size)]
    return Decoded(np.ascontiguousarray(image), done)


def _pixels(picture: "ImageFile") -> tuple[np.ndarray, list[str]]:
    """Returns the pixels of an open picture of any mode, uint8[H, W] or uint8[H, W, 3], and what was done to them."""
    from PIL import Image, ImageOps

    ImageOps.exif_transpose(picture, in_place=True)
    upright: Image.Image = picture
    if upright.mode.startswith("I"):
        return np.rint(np.asarray(upright) / 257).astype(np.uint8), ["16 bits made 8"]
    if upright.has_transparency_data:
        shown = upright.convert("RGBA")
        over = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown)
        return np.asarray(over.convert("RGB")), ["what is transparent shown over white"]
    return np.asarray(upright.convert("L" if upright.mode in ("1", "L") else "RGB")), []
