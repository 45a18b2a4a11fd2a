"""The log-likelihood log p(x) = log ∫ p(x | z) p(z) dz: an importance-sampled bound on it.

`quadrature` computes it where the latent space has one or two dimensions.

References:
    Burda, Grosse & Salakhutdinov 2016, "Importance Weighted Autoencoders" (arXiv:1509.00519), eq. 8.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jax import Array

from vae_jax.measure.subsets import chunks, limit, subset
from vae_jax.model.likelihoods import LIKELIHOODS, Reconstruction
from vae_jax.model.networks import Params, chunk_size, decode, encode, make_key
from vae_jax.model.programs import Program
from vae_jax.training.runs import TrainedRun

NUM_SAMPLES = 500  # importance samples per image
MAX_PRODUCTS = 6e12  # multiplications of either estimate; up to two minutes on two CPU cores
PIXEL_PRODUCTS = 50  # multiplications that the exponentials of one decoded pixel cost as much time as
REPEATED_IMAGES = 50  # or a fifth of all, if that is more, are sampled twice for the error of the bound


class SampledBound(NamedTuple):
    """An importance-sampled bound on log p(x) of each image, and what says how far it may be off."""

    values: np.ndarray  # float64[N], nats
    error: float  # standard error of the mean over images, from sampling some of them twice; blind to the bias


def affordable_images(run: TrainedRun) -> int:
    """Returns how many images fit into `MAX_PRODUCTS` at `NUM_SAMPLES` decodes each; more samples take longer."""
    return max(1, int(MAX_PRODUCTS / (NUM_SAMPLES * decoder_products(run))))


def posterior(run: TrainedRun, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Encodes float32[N, H, W] pixels as the mean and the log-variance of q(z | x), float64[N, D] each."""
    mean, logvar = run.encode(pixels)
    assert logvar is not None
    return mean.astype(np.float64), logvar.astype(np.float64)


@np.errstate(all="ignore")  # extreme weights give NaN, which the caller reports
def importance_sampled(run: TrainedRun, pixels: np.ndarray, num_samples: int, seed: int = 2) -> SampledBound:
    """Estimates log 1/k Σ p(x, z_i) / q(z_i | x) with z_i ~ q(z | x), a lower bound in expectation that rises with k.

    The run's model has a posterior variance; k samples are drawn per image of float32[N, H, W] pixels, as the model
    sees them. At most `REPEATED_IMAGES` or a fifth of the images get k samples a second time: half the mean squared
    difference estimates the variance of an image's value, of which the error of the mean follows. It says how far
    another seed would be off, and not how far the bound is below log p(x): heavy tails hide the largest weights from
    both draws alike. With 5,000 samples, 10,000 images of a 784-200-200-50 model take five to ten minutes on two CPU
    cores.
    """
    values = sampled_bounds(run, pixels, num_samples, make_key(seed))
    chosen = subset(np.arange(len(pixels)), max(REPEATED_IMAGES, len(pixels) // 5))
    again = sampled_bounds(run, pixels[chosen], num_samples, jax.random.fold_in(make_key(seed), len(pixels)))
    variance = np.mean(np.square(again - values[chosen])) / 2
    return SampledBound(values, float(np.sqrt(variance / len(values))))


def sampled_bounds(run: TrainedRun, pixels: np.ndarray, num_samples: int, key: Array) -> np.ndarray:
    """Draws k samples per image and computes the bounds, float64[N]."""
    # As many decoder rows at once as fit in the caches of a CPU, or keep an accelerator busy.
    shape = pixels.shape[1:]
    rows = chunk_size(1024, shape) if jax.default_backend() == "cpu" else limit(65536, shape)
    per_step = min(num_samples, 64, rows)
    values = []
    size = max(1, rows // per_step)
    for index, chunk in enumerate(chunks(pixels, size)):
        chunk_key = jax.random.fold_in(key, index)
        full = np.resize(chunk, (size, *chunk.shape[1:]))  # a shorter last one would be compiled anew
        logs = _log_weights(run.program, run.params, full, chunk_key, num_samples=num_samples, per_step=per_step)
        logs = np.asarray(logs, np.float64).reshape(-1, size)[:num_samples, : len(chunk)]
        values.append(scipy.special.logsumexp(logs, axis=0) - math.log(num_samples))
    return np.concatenate(values)


def decoder_products(run: TrainedRun) -> int:
    """Counts the multiplications of a decode; convolutions count as if every layer had the size of the image."""
    num_pixels = math.prod(run.program.network.image_shape)
    kernels = [leaf for leaf in jax.tree.leaves(run.params["decoder"]) if leaf.ndim > 1]
    return sum(leaf.size * (num_pixels if leaf.ndim == 4 else 1) for leaf in kernels) + PIXEL_PRODUCTS * num_pixels


@partial(jax.jit, static_argnames=("program", "num_samples", "per_step"))
def _log_weights(
    program: Program, params: Params, pixels: Array, key: Array, *, num_samples: int, per_step: int
) -> Array:
    """The logs of each image's importance weights, float32[steps, per_step, B]; the first `num_samples` count."""
    mean, logvar = encode(program.network, params, pixels)
    assert logvar is not None
    nll = jax.vmap(LIKELIHOODS[program.config.likelihood], in_axes=(Reconstruction(0, None), None))  # type: ignore[arg-type]

    def step(index: Array) -> Array:
        eps = jax.random.normal(jax.random.fold_in(key, index), (per_step, *mean.shape))
        z = mean[None] + jnp.exp(logvar / 2)[None] * eps
        logits, pixel_logvar = decode(program.network, params, z.reshape(-1, mean.shape[1]))
        distortion = nll(Reconstruction(logits.reshape(per_step, *pixels.shape), pixel_logvar), pixels)
        return -distortion - 0.5 * jnp.sum(jnp.square(z) - jnp.square(eps) - logvar[None], axis=-1)

    return jax.lax.map(step, jnp.arange(-(-num_samples // per_step)))
