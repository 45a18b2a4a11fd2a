"""The whole difference between an autoencoder and a variational autoencoder: two short functions.

Everything here is arrays in, arrays out, one value per example; whoever trains takes the mean over examples, once.
Sums run over pixels and over latent dimensions, so that every number is in nats per image.

References:
    Kingma & Welling 2014, "Auto-Encoding Variational Bayes" (arXiv:1312.6114).
    Higgins et al. 2017, "beta-VAE" (the weight of the KL term).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class Posterior(NamedTuple):
    """What an encoder says of each image: a VAE a diagonal Gaussian q(z | x), an AE a point and no variance."""

    mean: Array  # float32[B, D]
    logvar: Array | None  # float32[B, D]; None for an AE


class Pixels(NamedTuple):
    """What a decoder says of each pixel: the parameters of p(x | z)."""

    logits: Array  # float32[B, H, W]; the sigmoid of it is the mean pixel (but see `pixel_mean`)
    logvar: Array  # float32[]; the log-variance that all pixels of a Gaussian share


class Terms(NamedTuple):
    """What an image costs, in nats: `loss` is what is minimized; the ELBO is -(distortion + rate)."""

    loss: Array  # float32[B]: distortion + kl_weight · penalty
    distortion: Array  # float32[B]: -log p(x | z)
    rate: Array  # float32[B]: KL(q(z | x) || p(z)); 0 for an AE
    penalty: Array  # float32[B]: the rate with its free bits; equal to the rate where there are none


Encode = Callable[[Array], Posterior]
Decode = Callable[[Array], Pixels]
NegativeLogLikelihood = Callable[[Pixels, Array], Array]


def ae_objective(
    encode: Encode, decode: Decode, nll: NegativeLogLikelihood, images: Array, key: Array, kl_weight: Array,
    free_bits: Array,
) -> Terms:  # fmt: skip
    """Autoencoder: compress each image to a point z, decompress it, and pay for what is lost.

    The signature is `vae_objective`'s; an autoencoder has no noise and no KL term, so the last three do nothing.
    """
    del key, kl_weight, free_bits
    z = encode(images).mean
    distortion = nll(decode(z), images)
    nothing = jnp.zeros_like(distortion)
    return Terms(loss=distortion, distortion=distortion, rate=nothing, penalty=nothing)


def vae_objective(
    encode: Encode, decode: Decode, nll: NegativeLogLikelihood, images: Array, key: Array, kl_weight: Array,
    free_bits: Array,
) -> Terms:  # fmt: skip
    """Variational autoencoder: the code is a distribution, and leaving the standard normal costs, too.

    Args:
        encode: images to the posterior q(z | x).
        decode: codes to the parameters of p(x | z).
        nll: -log p(x | z), nats per image.
        images: float32[B, H, W] in [0, 1].
        key: consumed by the noise of the codes.
        kl_weight: float32[], the weight of the KL term; 1 gives the negative ELBO.
        free_bits: float32[], nats per latent dimension that cost nothing (Kingma et al. 2016, arXiv:1606.04934,
            eq. 15, here for each image instead of the mean over a batch, so that the loss of an image does not
            depend on its neighbours).
    """
    mean, logvar = encode(images)
    if logvar is None:
        raise ValueError("the encoder gives no variance: it is an autoencoder's")
    z = reparameterize(key, mean, logvar)
    distortion = nll(decode(z), images)
    kl = gaussian_kl(mean, logvar)
    penalty = jnp.sum(jnp.maximum(kl, free_bits), axis=-1)
    return Terms(distortion + kl_weight * penalty, distortion, jnp.sum(kl, axis=-1), penalty)


OBJECTIVES = {"ae": ae_objective, "vae": vae_objective}


def reparameterize(key: Array, mean: Array, logvar: Array) -> Array:
    """Z = mean + exp(logvar / 2) · ε with ε ~ N(0, I): a draw that gradients pass through.

    Args:
        key: consumed.
        mean: float32[B, D].
        logvar: float32[B, D].

    Returns:
        float32[B, D].

    References:
        Kingma & Welling 2014, section 2.4.
    """
    eps = jax.random.normal(key, mean.shape, mean.dtype)
    return mean + jnp.exp(logvar / 2) * eps


def gaussian_kl(mean: Array, logvar: Array) -> Array:
    """KL(N(mean, exp(logvar)) || N(0, 1)) of each dimension, in nats.

    -½ (1 + logvar - exp(logvar) - mean²), with exp(logvar) - 1 computed at once, which keeps the digits near 0.

    References:
        Kingma & Welling 2014, appendix B.
    """
    return 0.5 * (jnp.expm1(logvar) - logvar + jnp.square(mean))


def bernoulli_nll(pixels: Pixels, images: Array) -> Array:
    """-Σ x log p + (1 - x) log(1 - p) with p = sigmoid(logits): binary cross-entropy, nats per image.

    A likelihood for binary pixels only; for grey ones it is a usual loss, but not a density.

    Args:
        pixels: logits float32[B, H, W].
        images: float32[B, H, W] in [0, 1].

    Returns:
        float32[B], finite with its gradient for any finite logits.
    """
    _check_shapes(pixels, images)
    return _sum_softplus(pixels.logits) - jnp.sum(images * pixels.logits, axis=(1, 2))


def continuous_bernoulli_nll(pixels: Pixels, images: Array) -> Array:
    """The Bernoulli's cross-entropy, normalized to a density of grey pixels in [0, 1]; nats per image.

    References:
        Loaiza-Ganem & Cunningham 2019 (arXiv:1907.06845), eq. 2 and 3.
    """
    return bernoulli_nll(pixels, images) - jnp.sum(_log_normalizer(pixels.logits), axis=(1, 2))


def gaussian_nll(pixels: Pixels, images: Array) -> Array:
    """-Σ log N(x; sigmoid(logits), exp(logvar)), nats per image: squared error, scaled and normalized.

    With a learned logvar this is the σ-VAE of Rybkin et al. 2021 (arXiv:2006.13202).
    """
    _check_shapes(pixels, images)
    squared_error = jnp.square(images - jax.nn.sigmoid(pixels.logits))
    nll = 0.5 * (jnp.log(2 * jnp.pi) + pixels.logvar + squared_error * jnp.exp(-pixels.logvar))
    return jnp.sum(nll, axis=(1, 2))


LIKELIHOODS: dict[str, NegativeLogLikelihood] = {
    "bernoulli": bernoulli_nll,
    "continuous_bernoulli": continuous_bernoulli_nll,
    "gaussian": gaussian_nll,
    "learned_gaussian": gaussian_nll,
}


def log_density_parts(likelihood: str, pixels: Pixels, images: Array) -> tuple[Array, Array, Array]:
    """log p(x | z) = <natural(z), x> + of_z + of_x: all four likelihoods are linear in the image but for its own term.

    So the densities of N images at G codes are one matrix product.

    Args:
        likelihood: a name of LIKELIHOODS.
        pixels: logits float32[G, H, W].
        images: float32[N, H, W] in [0, 1].

    Returns:
        natural float32[G, H, W], of_z float32[G] and of_x float32[N], in nats.
    """
    logits, logvar = pixels
    if likelihood in ("gaussian", "learned_gaussian"):
        mean, precision = jax.nn.sigmoid(logits), jnp.exp(-logvar)
        constant = 0.5 * images[0].size * (jnp.log(2 * jnp.pi) + logvar)
        of_z = -0.5 * precision * jnp.sum(jnp.square(mean), axis=(1, 2)) - constant
        return mean * precision, of_z, -0.5 * precision * jnp.sum(jnp.square(images), axis=(1, 2))
    of_z = -_sum_softplus(logits)
    if likelihood == "continuous_bernoulli":
        of_z += jnp.sum(_log_normalizer(logits), axis=(1, 2))
    return logits, of_z, jnp.zeros(len(images))


def pixel_mean(likelihood: str, pixels: Pixels) -> Array:
    """E[x | z] in [0, 1], float32[B, H, W]: what a decoded image looks like."""
    if likelihood != "continuous_bernoulli":
        return jax.nn.sigmoid(pixels.logits)
    # With λ = sigmoid(l), eq. 8 of Loaiza-Ganem & Cunningham is 1 / (1 - exp(-l)) - 1 / l, which is 1/2 + l/12 near 0.
    small = jnp.abs(pixels.logits) < 0.05
    safe = jnp.where(small, 1.0, pixels.logits)
    return jnp.where(small, 0.5 + pixels.logits / 12, -1 / jnp.expm1(-safe) - 1 / safe)


def binarize(method: str, images: Array, key: Array) -> Array:
    """The pixels that a model is to see, float32 in [0, 1]: as they are, cut at 1/2, or drawn with p = pixel.

    Args:
        method: none | threshold | dynamic.
        images: float32[B, H, W] in [0, 1].
        key: consumed by `dynamic`, unused otherwise.

    References:
        Salakhutdinov & Murray 2008 (binary pixels drawn with the grey values as probabilities).
    """
    if method == "dynamic":
        return jax.random.bernoulli(key, images).astype(images.dtype)
    return (images >= 0.5).astype(images.dtype) if method == "threshold" else images


def _log_normalizer(logits: Array) -> Array:
    """Log C(λ) of the continuous Bernoulli, λ = sigmoid(logits): log(l / tanh(l / 2)), log 2 + l²/12 near l = 0."""
    small = jnp.abs(logits) < 0.05
    # The branch that is not taken must have a finite gradient, too: NaN times 0 is NaN.
    safe = jnp.where(small, 1.0, jnp.abs(logits))
    return jnp.where(small, jnp.log(2.0) + jnp.square(logits) / 12, jnp.log(safe) - jnp.log(jnp.tanh(safe / 2)))


@jax.custom_jvp
def _sum_softplus(logits: Array) -> Array:
    """Σ log(1 + exp(l)) over the pixels of float32[..., H, W], with one logarithm for up to 112 pixels.

    1 + exp(-|l|) is at most 2, so that a product of 112 of them stays below float32's 2¹²⁸. A logarithm for each pixel
    would cost a CPU a third of the time of the decoder's matrix products.
    """
    pixels = logits.reshape(*logits.shape[:-2], -1)
    num_pixels = pixels.shape[-1]
    size = max(divisor for divisor in range(1, 113) if num_pixels % divisor == 0)
    factors = (1 + jnp.exp(-jnp.abs(pixels))).reshape(*pixels.shape[:-1], num_pixels // size, size)
    return jnp.sum(jnp.log(jnp.prod(factors, axis=-1)), axis=-1) + jnp.sum(jax.nn.relu(pixels), axis=-1)


@_sum_softplus.defjvp
def _sum_softplus_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (logits,), (direction,) = primals, tangents
    return _sum_softplus(logits), jnp.sum(jax.nn.sigmoid(logits) * direction, axis=(-2, -1))


def _check_shapes(pixels: Pixels, images: Array) -> None:
    # Equal ranks of unequal sizes would broadcast, and the sum would be of something else.
    if pixels.logits.shape != images.shape:
        raise ValueError(f"logits {pixels.logits.shape} and images {images.shape} differ in shape")
