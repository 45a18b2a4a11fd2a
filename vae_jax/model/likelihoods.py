"""The likelihoods p(x | z) of an image's pixels: negative logarithms, means, and the binary pixels a model may see.

Arrays in, arrays out, one value per example. Sums run over pixels and their channels, so every value is in nats per
image. Images are [B, H, W], or [B, H, W, 3] in colour.

References:
    Loaiza-Ganem & Cunningham 2019, "The continuous Bernoulli" (arXiv:1907.06845).
    Rybkin, Daniilidis & Levine 2021, "Simple and Effective VAE Training with Calibrated Decoders" (arXiv:2006.13202).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class Reconstruction(NamedTuple):
    """The decoder's output: the parameters of p(x | z)."""

    logits: Array  # float32[B, H, W] or [B, H, W, 3]; see `pixel_mean` for the mean pixels
    logvar: Array  # float32[]; the log-variance that all pixels of a Gaussian share


NegativeLogLikelihood = Callable[[Reconstruction, Array], Array]


def bernoulli_nll(reconstruction: Reconstruction, images: Array) -> Array:
    """Computes the binary cross-entropy -Σ x log p + (1 - x) log(1 - p) with p = sigmoid(logits), nats per image.

    It is a likelihood of binary pixels only; for grey pixels it is a common loss, but not a density.

    Args:
        reconstruction: logits of the shape of the images.
        images: float32[B, H, W] or [B, H, W, 3] in [0, 1].

    Returns:
        float32[B], finite and with a finite gradient for all finite logits.

    Raises:
        ValueError: logits and images differ in shape.
    """
    _check_shapes(reconstruction, images)
    return _sum_softplus(reconstruction.logits) - _sum(images * reconstruction.logits)


def continuous_bernoulli_nll(reconstruction: Reconstruction, images: Array) -> Array:
    """Computes the Bernoulli's cross-entropy, normalized to a density of grey pixels in [0, 1]; nats per image.

    References:
        Loaiza-Ganem & Cunningham 2019 (arXiv:1907.06845), eq. 2 and 3.
    """
    return bernoulli_nll(reconstruction, images) - _sum(_log_normalizer(reconstruction.logits))


def gaussian_nll(reconstruction: Reconstruction, images: Array) -> Array:
    """Computes -Σ log N(x; sigmoid(logits), exp(logvar)), nats per image.

    With a learned logvar this is the σ-VAE of Rybkin et al. 2021 (arXiv:2006.13202).
    """
    _check_shapes(reconstruction, images)
    squared_error = jnp.square(images - jax.nn.sigmoid(reconstruction.logits))
    logvar = reconstruction.logvar
    nll = 0.5 * (jnp.log(2 * jnp.pi) + logvar + squared_error * jnp.exp(-logvar))
    return _sum(nll)


LIKELIHOODS: dict[str, NegativeLogLikelihood] = {
    "bernoulli": bernoulli_nll,
    "continuous_bernoulli": continuous_bernoulli_nll,
    "gaussian": gaussian_nll,
    "learned_gaussian": gaussian_nll,
}


def log_density_parts(likelihood: str, reconstruction: Reconstruction, images: Array) -> tuple[Array, Array, Array]:
    """Splits log p(x | z) into <natural(z), x> + of_z + of_x, so that N images at G codes are one matrix product.

    All four likelihoods are linear in the image, up to a term of the image alone.

    Args:
        likelihood: a name of LIKELIHOODS.
        reconstruction: logits float32[G, H, W] or [G, H, W, 3].
        images: float32[N, H, W] or [N, H, W, 3] in [0, 1].

    Returns:
        natural, of the shape of the logits, of_z float32[G] and of_x float32[N], in nats.
    """
    logits, logvar = reconstruction
    if likelihood in ("gaussian", "learned_gaussian"):
        mean, precision = jax.nn.sigmoid(logits), jnp.exp(-logvar)
        constant = 0.5 * images[0].size * (jnp.log(2 * jnp.pi) + logvar)
        of_z = -0.5 * precision * _sum(jnp.square(mean)) - constant
        return mean * precision, of_z, -0.5 * precision * _sum(jnp.square(images))
    of_z = -_sum_softplus(logits)
    if likelihood == "continuous_bernoulli":
        of_z += _sum(_log_normalizer(logits))
    return logits, of_z, jnp.zeros(len(images))


def pixel_mean(likelihood: str, reconstruction: Reconstruction) -> Array:
    """Computes E[x | z] in [0, 1], of the shape of the logits: the decoded image."""
    logits = reconstruction.logits
    if likelihood != "continuous_bernoulli":
        return jax.nn.sigmoid(logits)
    # With λ = sigmoid(l), eq. 8 of Loaiza-Ganem & Cunningham is 1 / (1 - exp(-l)) - 1 / l, which is 1/2 + l/12 near 0.
    small = jnp.abs(logits) < 0.05
    safe = jnp.where(small, 1.0, logits)
    return jnp.where(small, 0.5 + logits / 12, -1 / jnp.expm1(-safe) - 1 / safe)


def binarize(method: str, images: Array, key: Array) -> Array:
    """Returns the pixels a model is trained on: unchanged, thresholded at 1/2, or drawn with p = pixel.

    Args:
        method: none | threshold | dynamic.
        images: float32[B, H, W] or [B, H, W, 3] in [0, 1].
        key: PRNG key; consumed by `dynamic`, unused otherwise.

    Returns:
        The same shape, in [0, 1].

    References:
        Salakhutdinov & Murray 2008 (binary pixels drawn with the grey values as probabilities).
    """
    if method == "dynamic":
        return jax.random.bernoulli(key, images).astype(images.dtype)
    return (images >= 0.5).astype(images.dtype) if method == "threshold" else images


def _log_normalizer(logits: Array) -> Array:
    """Computes log C(λ) of the continuous Bernoulli, λ = sigmoid(l): log(l / tanh(l / 2)), or log 2 + l²/12 near 0."""
    small = jnp.abs(logits) < 0.05
    # `where` differentiates both branches, and NaN times 0 is NaN, so the unused one must be finite too.
    safe = jnp.where(small, 1.0, jnp.abs(logits))
    return jnp.where(small, jnp.log(2.0) + jnp.square(logits) / 12, jnp.log(safe) - jnp.log(jnp.tanh(safe / 2)))


def _sum(pixels: Array) -> Array:
    """Sums over all axes but the first."""
    return jnp.sum(pixels, axis=range(1, pixels.ndim))


@jax.custom_jvp
def _sum_softplus(logits: Array) -> Array:
    """Sums log(1 + exp(l)) over the pixels of float32[B, ...], with one logarithm per 112 pixels or fewer.

    1 + exp(-|l|) is at most 2, so a product of 112 of them stays below float32's 2¹²⁸. One logarithm per pixel would
    take a CPU a third of the time of the decoder's matrix products.
    """
    pixels = logits.reshape(len(logits), -1)
    num_pixels = pixels.shape[-1]
    size = max(divisor for divisor in range(1, 113) if num_pixels % divisor == 0)
    factors = (1 + jnp.exp(-jnp.abs(pixels))).reshape(-1, num_pixels // size, size)
    return jnp.sum(jnp.log(jnp.prod(factors, axis=-1)), axis=-1) + jnp.sum(jax.nn.relu(pixels), axis=-1)


@_sum_softplus.defjvp
def _sum_softplus_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (logits,), (direction,) = primals, tangents
    return _sum_softplus(logits), _sum(jax.nn.sigmoid(logits) * direction)


def _check_shapes(reconstruction: Reconstruction, images: Array) -> None:
    # Equal ranks of different sizes would broadcast silently.
    if reconstruction.logits.shape != images.shape:
        raise ValueError(f"logits {reconstruction.logits.shape} and images {images.shape} differ in shape")
