"""Images that show nothing the data show, made of the data themselves: what a reject class is trained with.

Outlier exposure (Hendrycks et al. 2019, arXiv:1812.04606) works for kinds of outliers that were left out if those that
were not are many and near the data. Most of these are near: real images that are warped, torn, scribbled over, or
overlaid with something that is no real image. What the judge is tested with is never among them: independent noise,
permuted patches, inverted images, and two real images mixed or superposed as they are.

Images are float32[N, H, W] in [0, 1]. Lengths are in pixels of an image of 28 x 28, and grow with larger ones.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.fft import irfft2, rfft2

from vae_jax.measure.subsets import chunks
from vae_jax.model.networks import chunk_size

ROWS = 2_000  # images at once, or fewer large ones, which bounds the memory


def smooth_fields(shape: tuple[int, int, int], lengths: tuple[float, float], random: np.random.Generator) -> np.ndarray:
    """Draws smooth Gaussian random fields [N, H, W] of unit variance; each has its correlation length in a range."""
    count, height, width = shape
    sd = random.uniform(*lengths, count) * _unit(shape)
    noise = random.standard_normal((count, 2 * height, 2 * width), np.float32)
    fields = _smooth(noise, sd)[:, :height, :width]
    return fields / np.maximum(fields.std(axis=(1, 2), keepdims=True), 1e-6)


def blur(images: np.ndarray, sd: np.ndarray | float) -> np.ndarray:
    """Blurs images with a Gaussian, on a background of 0; its sd float[N] in pixels."""
    count, height, width = images.shape
    border = ((0, 0), (0, height), (0, width))
    return _smooth(np.pad(images, border), np.broadcast_to(sd, count))[:, :height, :width].clip(0, 1)


def _smooth(images: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Convolves periodic images with Gaussians."""
    height, width = images.shape[1:]
    square = (np.fft.fftfreq(height)[:, None] ** 2 + np.fft.rfftfreq(width) ** 2).astype(np.float32)
    gains = np.exp(-2 * np.pi**2 * np.square(sd, dtype=np.float32)[:, None, None] * square)
    return np.asarray(irfft2(rfft2(images) * gains, s=(height, width)))


def jitter(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Changes images no more than keeps them plausible: by a small affine map and, most of them, up to a pixel of blur.

    What a decoder draws is always a little blurred; that alone is to be no reason to reject it.
    """
    moved = _affine(images, random, turn=10, scale=(0.9, 1.1), shear=0.15)
    return blur(moved, random.uniform(-0.7, 1, len(images)).clip(0) * _unit(images.shape))


def texture(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Blots: a smooth random field, more or less steep."""
    gain, level = _per_image(images, random, 0.5, 6), random.normal(size=(len(images), 1, 1))
    return _sigmoid(gain * (smooth_fields(images.shape, (1, 5), random) - level))


def strokes(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Curves as a pen draws them: level lines of a random field, in a part of the image."""
    field, width = smooth_fields(images.shape, (1.5, 4), random), _per_image(images, random, 0.1, 0.5)
    part = _sigmoid(4 * (smooth_fields(images.shape, (4, 7), random) - random.normal(0, 0.5, (len(images), 1, 1))))
    return np.clip(1.5 - np.abs(field) / width, 0, 1) * part


def warped(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A real image, deformed beyond recognition."""
    down, right = (smooth_fields(images.shape, (2.5, 5), random) for _ in range(2))
    far = _per_image(images, random, 3, 8) * _unit(images.shape)
    rows, columns = np.mgrid[: images.shape[1], : images.shape[2]]
    return _sampled(images, rows + far * down, columns + far * right)


def displaced(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A real image, turned, mirrored, sheared, of another size and out of its place."""
    return _affine(images, random, turn=180, scale=(0.5, 1.5), shear=0.8, shift=8, mirror=True)


def torn(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A real image without a part of it."""
    return images * _mask(images, random)


def mosaic(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Parts of two real images, side by side."""
    return np.where(_mask(images, random), images, images[random.permutation(len(images))])


def tinted(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A real image whose ink fades away here and there."""
    level = random.normal(0, 0.5, (len(images), 1, 1))
    return images * _sigmoid(3 * (smooth_fields(images.shape, (1, 4), random) - level))


def scribbled(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A real image with strokes over it."""
    return _brighter(images, strokes(images, random), random)


def veiled(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A real image behind blots."""
    return _brighter(images, texture(images, random), random)


def superposed(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A real image with the ink of a warped or displaced one."""
    return _brighter(images, _foreign(images, random), random)


def faded(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A real image that fades into a warped or displaced one."""
    weight = _per_image(images, random, 0.35, 0.65)
    return weight * images + (1 - weight) * _foreign(images, random)


KINDS: dict[Callable[[np.ndarray, np.random.Generator], np.ndarray], int] = {
    texture: 1, strokes: 1, warped: 2, displaced: 2, torn: 1, mosaic: 1, tinted: 1, scribbled: 1, veiled: 1,
    superposed: 7, faded: 5,
}  # fmt: skip
"""Each kind with its share of all outliers; most are of the kinds that are hardest to tell from real images."""


def jittered(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Jitters each of real images uint8[N, H, W]."""
    return _bytes([jitter(_floats(part), random) for part in chunks(images, chunk_size(ROWS, images.shape[1:]))])


def outliers(images: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Makes `count` outliers or a few more, of all `KINDS`, from real images uint8[M, H, W]: uint8[N, H, W]."""
    made, rows = [], chunk_size(ROWS, images.shape[1:])
    for kind, share in KINDS.items():
        chosen = random.integers(len(images), size=math.ceil(count * share / sum(KINDS.values())))
        made += [kind(_floats(images[part]), random) for part in chunks(chosen, rows)]
    return _bytes(made)


def _floats(images: np.ndarray) -> np.ndarray:
    return images / np.float32(255)


def _bytes(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.rint(part.clip(0, 1) * 255).astype(np.uint8) for part in parts])


def _unit(shape: tuple[int, ...]) -> float:
    return max(shape[1:]) / 28


def _per_image(images: np.ndarray, random: np.random.Generator, low: float, high: float) -> np.ndarray:
    return random.uniform(low, high, (len(images), 1, 1)).astype(np.float32)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return (1 + np.tanh(x / 2)) / 2


def _mask(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """About half of each image, in one or a few pieces."""
    return smooth_fields(images.shape, (3, 7), random) > random.normal(0, 0.3, (len(images), 1, 1))


def _brighter(a: np.ndarray, b: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The brighter one of two images in each pixel, each somewhat dimmed."""
    return np.maximum(_per_image(a, random, 0.5, 1) * a, _per_image(a, random, 0.5, 1) * b)


def _foreign(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    others = images[random.permutation(len(images))]
    is_warped = random.random((len(images), 1, 1)) < 0.5
    return np.where(is_warped, warped(others, random), displaced(others, random))


def _affine(
    images: np.ndarray, random: np.random.Generator, *, turn: float, scale: tuple[float, float], shear: float,
    shift: float = 0.0, mirror: bool = False,
) -> np.ndarray:  # fmt: skip
    """Maps each image about its centre: turned by up to `turn` degrees, scaled, sheared, shifted, maybe mirrored."""
    count, height, width = images.shape
    angle = np.deg2rad(random.uniform(-turn, turn, count))
    size, slant = random.uniform(*scale, count), random.uniform(-shear, shear, count)
    sine, cosine = np.sin(angle), np.cos(angle)
    sign = np.where(random.random(count) < 0.5 * mirror, -1, 1)
    matrices = np.array([[cosine, (slant * cosine - sine) * sign], [sine, (slant * sine + cosine) * sign]]) / size
    offset = random.uniform(-shift, shift, (2, count, 1, 1)) * _unit(images.shape)
    rows, columns = np.mgrid[:height, :width] - np.array([height - 1, width - 1])[:, None, None] / 2
    rows, columns = rows - offset[0], columns - offset[1]
    to = [line[0][:, None, None] * rows + line[1][:, None, None] * columns for line in matrices]
    return _sampled(images, to[0] + (height - 1) / 2, to[1] + (width - 1) / 2)


def _sampled(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Reads images at places [N, H, W] between pixels, bilinearly, on a background of 0."""
    count, height, width = images.shape
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    rows, columns = np.clip(rows, -1, height) + 1, np.clip(columns, -1, width) + 1
    top, left = np.minimum(rows.astype(np.intp), height), np.minimum(columns.astype(np.intp), width)
    down, right = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    flat = padded.reshape(-1)
    at = (np.arange(count)[:, None, None] * (height + 2) + top) * (width + 2) + left
    upper = flat[at] * (1 - right) + flat[at + 1] * right
    lower = flat[at + width + 2] * (1 - right) + flat[at + width + 3] * right
    return upper * (1 - down) + lower * down
