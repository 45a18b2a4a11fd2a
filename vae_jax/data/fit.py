"""Fits images to what a run takes: grey or in colour, and squares of one size where it asks for these."""

from typing import NamedTuple

import numpy as np

from vae_jax.data.splits import Split

_CHUNK_PIXELS = 1 << 20  # of one image at once, because floats take eight times the memory


class Wanted(NamedTuple):
    """The fields of a Config that say how pixels are read."""

    pixel_max: float = 0.0
    image_size: int = 0
    channels: str = ""


GREY = "colour made grey (luma of Rec. 601)"  # what a source says that it did
RGB = "grey images as three equal channels"


def resampled(size: int) -> str:
    """Says what `squares` did, for the provenance."""
    return f"central square resampled by area to {size} x {size} pixels"


def fit(splits: dict[str, Split], wanted: Wanted) -> tuple[dict[str, Split], list[str]]:
    """Makes the images of a data set alike, and squares of the size that is wanted.

    They are in colour if those of one split are, unless it is said what they shall be.

    Args:
        splits: with images uint8[N, H, W], or in colour uint8[N, H, W, 3]; colours that are all grey count as grey.
        wanted: what is asked for.

    Returns:
        The splits with images uint8[N, H, W], or in colour uint8[N, H, W, 3], the same arrays where nothing was to be
        done, and what was done to them.
    """
    done = []
    images = {split: part.images for split, part in splits.items()}
    if all(map(_is_plain, images.values())):
        images = {
            split: of_split if of_split.ndim == 3 else np.ascontiguousarray(of_split[..., 0])
            for split, of_split in images.items()
        }
    in_colour = [of_split.ndim == 4 for of_split in images.values()]
    if any(in_colour) and wanted.channels == "grey":
        images = {split: to_grey(of_split) if of_split.ndim == 4 else of_split for split, of_split in images.items()}
        done.append(GREY)
    elif (any(in_colour) or wanted.channels == "rgb") and not all(in_colour):
        images = {split: to_rgb(of_split) if of_split.ndim == 3 else of_split for split, of_split in images.items()}
        done.append(RGB)
    if (size := wanted.image_size) and any(of_split.shape[1:3] != (size, size) for of_split in images.values()):
        images = {split: squares(of_split, size) for split, of_split in images.items()}
        done.append(resampled(size))
    return {split: part._replace(images=images[split]) for split, part in splits.items()}, done


def to_grey(images: np.ndarray) -> np.ndarray:
    """Returns the luma of colours uint8[..., H, W, 3], as Pillow computes it: uint8[..., H, W]."""
    from PIL import Image

    rows = np.ascontiguousarray(images).reshape(-1, images.shape[-2], 3)
    return np.asarray(Image.fromarray(rows).convert("L")).reshape(images.shape[:-1])


def to_rgb(images: np.ndarray) -> np.ndarray:
    """Returns grey images uint8[..., H, W] as three equal channels: uint8[..., H, W, 3]."""
    return np.repeat(images[..., None], 3, axis=-1)


def squares(images: np.ndarray, size: int) -> np.ndarray:
    """Crops images to their central squares, and resamples these by area.

    Each new pixel is the mean of what it covers, to which a pixel that is covered in part counts in part. Sums are of
    integers and exact, so that they round alike on every machine.

    Args:
        images: uint8[N, H, W], or in colour uint8[N, H, W, 3].
        size: height and width of the result.

    Returns:
        uint8[N, size, size], or in colour uint8[N, size, size, 3].
    """
    if images.ndim == 4:
        return np.stack([squares(images[..., channel], size) for channel in range(images.shape[3])], axis=-1)
    side, result = min(images.shape[1:]), np.empty((len(images), size, size), np.uint8)
    top, left = (images.shape[1] - side) // 2, (images.shape[2] - side) // 2
    old, new = np.arange(side) * size, np.arange(size)[:, None] * side  # where pixels start, in parts of a pixel
    covered = np.clip(np.minimum(old + size, new + side) - np.maximum(old, new), 0, None).astype(float)
    for image, small in zip(images[:, top : top + side, left : left + side], result, strict=True):
        rows = np.concatenate([part @ covered.T for part in np.array_split(image, side * side // _CHUNK_PIXELS + 1)])
        sums = (covered @ rows).astype(np.int64)
        small[:] = (2 * sums + side * side) // (2 * side * side)
    return result


def _is_plain(images: np.ndarray) -> bool:
    """Whether images are grey: they have one channel, or three equal ones."""
    parts = np.array_split(images, len(images) // 64 + 1)
    return images.ndim == 3 or all(np.all(part[..., :1] == part) for part in parts)
