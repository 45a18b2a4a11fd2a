"""A trained run as JSON: its parameters, the codes of some images, and what its samplers need.

Parameters are rounded to float16, which halves the page. On the quickstart's runs that moves no pixel by more than
0.002, half a grey level; int8, with a scale per column, moves pixels of an AE by 0.13 and 12 bits by 0.01.
"""

import base64
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from threadpoolctl import threadpool_limits

from vae_jax.evaluation.samples import FULL_DIMS, NUM_COMPONENTS, codes_to_fit, fit_mixture, principal_axes
from vae_jax.models import MODELS
from vae_jax.objectives import gaussian_kl
from vae_jax.runs import Codes, TrainedRun, trained_run

LARGEST = float(np.finfo(np.float16).max)
SEED = 0  # of the fitted samplers and the codes they are fitted to


class Packed(NamedTuple):
    """A run as the page takes it."""

    content: dict[str, Any]  # JSON-ready
    error: float  # the largest difference of a pixel, on the codes of the images, that rounding makes
    codes: np.ndarray  # float32[N, D], the means


def encode_array(array: np.ndarray, dtype: str = "<f4") -> str:
    """Returns an array's values as base64, in C order; `dtype` with its byte order."""
    return base64.b64encode(array.astype(dtype).tobytes()).decode("ascii")


def is_packable(run: TrainedRun) -> bool:
    """Whether all parameters are finite and small enough for float16."""
    return all(bool((np.abs(leaf) <= LARGEST).all()) for leaf in _flat(run).values())  # false for NaN


def packed_size(run: TrainedRun, num_images: int) -> int:
    """Returns about how many bytes a run takes in the page."""
    dims = run.config.latent_dim
    floats = 2 * num_images * dims + (NUM_COMPONENTS + 1) * dims * min(dims, FULL_DIMS)
    return 4 * (2 * sum(leaf.size for leaf in _flat(run).values()) + 4 * floats) // 3 + 2000


@np.errstate(all="ignore")  # codes of a bad run may overflow
def pack(run: TrainedRun, images: np.ndarray, train_images: np.ndarray) -> Packed | None:
    """Packs a run with its codes of some images; None for a bad run, whose codes or decodes are not all finite.

    Args:
        run: whose parameters are packable.
        images: uint8[N, H, W], whose codes the page shows.
        train_images: uint8[M, H, W], to whose codes a Gaussian and a mixture are fitted.
    """
    flat, codes, config = _flat(run), run.encode(images), run.config
    rounded = {name: leaf.astype("<f2") for name, leaf in flat.items()}
    widened = jax.tree.map(lambda leaf: np.asarray(leaf).astype(np.float16).astype(np.float32), run.params)
    in_page = trained_run(config, run.program, widened)
    error = float(np.abs(in_page.decode(codes.mean) - run.decode(codes.mean)).max())
    kl, samplers = _kl(codes), _samplers(run, train_images)
    if samplers is None or not np.isfinite([error, *(kl or [])]).all():
        return None
    noise = MODELS[config.model].noise
    content = {
        "name": run.name,
        "model": config.model,
        "title": MODELS[config.model].title,
        "noise": noise,
        "fixed_logvar": float(codes.logvar[0, 0]) if noise == "fixed" and codes.logvar is not None else None,
        "likelihood": config.likelihood,
        "activation": config.activation,
        "binarization": config.binarization,
        "latent_dim": config.latent_dim,
        "image_shape": list(run.program.network.image_shape),
        "params": [[name, list(leaf.shape)] for name, leaf in rounded.items()],
        "weights": base64.b64encode(b"".join(leaf.tobytes() for leaf in rounded.values())).decode("ascii"),
        "mean": encode_array(codes.mean),
        "logvar": encode_array(codes.logvar) if noise == "learned" and codes.logvar is not None else None,
        "kl": kl,
        "axes": encode_array(principal_axes(codes.mean)[2].T[::-1][:2]),
        **samplers,
    }
    return Packed(content, error, codes.mean)


def _flat(run: TrainedRun) -> dict[str, np.ndarray]:
    """The parameters by their paths, such as `encoder/mean/kernel`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(run.params)
    return {"/".join(key.key for key in path): np.asarray(leaf) for path, leaf in leaves}


def _kl(codes: Codes) -> list[float] | None:
    """KL of each latent dimension from N(0, 1), nats, mean over images; None for codes that are points."""
    if codes.logvar is None:
        return None
    kl = np.asarray(gaussian_kl(jnp.asarray(codes.mean), jnp.asarray(codes.logvar)))
    return [float(value) for value in kl.mean(axis=0)]


@threadpool_limits.wrap(limits=1)  # on matrices this small, threads mostly wait for each other
def _samplers(run: TrainedRun, train_images: np.ndarray) -> dict[str, Any] | None:
    """The Gaussian and the mixture of `evaluation.samples.draw_samplers`, as means and factors F of covariances F Fᵀ.

    A factor is [D, D], or the [D] of its diagonal where the latent space is larger than a full covariance is fitted in.
    None if a code is not finite.
    """
    z, random = codes_to_fit(run, train_images, SEED)
    if not np.isfinite(z).all():
        return None
    full = z.shape[1] <= FULL_DIMS
    if full:
        center, variances, axes = principal_axes(z)
        factor = axes * np.sqrt(variances)
    else:
        center, factor = z.mean(axis=0), z.std(axis=0)
    mean, scale, mixture = fit_mixture(z, random["mixture"])
    if mixture is None:
        fitted = _sampler([1.0], mean[None], (np.diag(scale) if full else scale)[None])
    else:
        covariances = mixture.covariances_
        factors = np.linalg.cholesky(covariances) * scale[:, None] if full else np.sqrt(covariances) * scale
        fitted = _sampler(mixture.weights_, mean + scale * mixture.means_, factors)
    return {"gaussian": _sampler([1.0], center[None], factor[None]), "mixture": fitted}


def _sampler(weights: Any, means: np.ndarray, factors: np.ndarray) -> dict[str, Any]:
    """Components of a mixture: weights [K], means [K, D] and factors [K, D, D] or [K, D]."""
    return {
        "weights": [float(weight) for weight in weights],
        "means": encode_array(means),
        "factors": encode_array(factors),
    }
