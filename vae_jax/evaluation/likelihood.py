"""What a model says of held-out images, in nats per image: ELBO, its parts, and the log-likelihood that it bounds.

Every estimate here is of the same pixels (binarized once, with a fixed key, where the model saw binary ones), so that
ELBO ≤ importance-sampled bound ≤ exact log-likelihood holds up to the Monte Carlo errors that are stated.

References:
    Burda, Grosse & Salakhutdinov 2016, "Importance Weighted Autoencoders" (arXiv:1509.00519): IWAE bound, active units.
    Hoffman & Johnson 2016, "ELBO surgery": the rate is mutual information plus marginal KL.
"""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vae_jax.config import Config
from vae_jax.models import Autoencoder, Params, decode, encode
from vae_jax.objectives import LIKELIHOODS, OBJECTIVES, Pixels, Terms, binarize, log_density_parts
from vae_jax.runs import TrainedRun

ACTIVE_VARIANCE = 0.01  # of the posterior mean, above which a dimension is active (Burda et al. 2016, section 5.2)
GRID_TOLERANCE = 0.01  # nats between two successive quadratures that are taken for converged
MOST_GRID_POINTS = 2_000_000


class LogLikelihood(NamedTuple):
    """log p(x) of each image, or a bound of it."""

    values: np.ndarray  # float64[N], nats
    error: float  # of the mean over these images: a standard error (sampled), or a difference of two grids (exact)
    resolved: bool  # whether no image's posterior was narrower than the sampling or the grid can tell


def is_density(config: Config) -> bool:
    """Whether p(x | z) is a proper density of the pixels that the model saw.

    Bernoulli is one of binary pixels, continuous Bernoulli and Gaussian are of grey ones. Of grey pixels, the Bernoulli
    cross-entropy is a loss, but no likelihood.
    """
    binary = config.binarization != "none" or config.dataset == "binarized_mnist"
    return binary == (config.likelihood == "bernoulli")


def observed_pixels(config: Config, images: np.ndarray) -> np.ndarray:
    """What the model sees of uint8[N, H, W] images: float32[N, H, W] in [0, 1], dynamic pixels drawn once for all."""
    pixels = jnp.asarray(images, jnp.float32) / 255
    return np.asarray(binarize(config.binarization, pixels, jax.random.key(0)))


def evaluate_likelihood(run: TrainedRun, images: np.ndarray, *, num_samples: int = 500) -> dict[str, Any]:
    """All numbers of this module for a run, by name, on uint8[N, H, W] images of the test split.

    An AE has a loss, a distortion and a squared error, and nothing else. What would be `test_log_likelihood_…` is named
    `test_not_a_likelihood_…` where p(x | z) is no density of the pixels. A number that is not finite is None.
    """
    pixels = observed_pixels(run.config, images)
    terms = elbo_terms(run, pixels)
    mean_error = np.square(run.decode(run.encode(images).mean) - images / np.float32(255)).mean(dtype=np.float64)
    numbers: dict[str, Any] = {
        "test_loss": terms.loss.mean(),
        "test_distortion": terms.distortion.mean(),
        "test_mse": mean_error,
    }
    if run.config.model == "vae":
        elbo = -(terms.distortion + terms.rate)
        numbers |= {"test_rate": terms.rate.mean(), "test_elbo": elbo.mean()}
        numbers |= {f"test_{name}": value for name, value in rate_parts(run, pixels).items()}
        sampled = importance_sampled(run, pixels, num_samples)
        name = "test_log_likelihood" if is_density(run.config) else "test_not_a_likelihood"
        numbers |= {
            f"{name}_sampled": sampled.values.mean(),
            f"{name}_sampled_error": sampled.error,
            f"{name}_sampled_resolved": sampled.resolved,
            f"{name}_samples": num_samples,
        }
        if run.config.latent_dim <= 2:
            exact = exact_log_likelihood(run, pixels)
            numbers |= {
                f"{name}_exact": exact.values.mean(),
                f"{name}_exact_error": exact.error,
                f"{name}_exact_resolved": exact.resolved,
                # log p(x) - ELBO(x) = KL(q(z|x) || p(z|x)): what amortized, Gaussian inference costs.
                "test_posterior_kl": (exact.values - elbo).mean(),
            }
    return {name: _json_number(value) for name, value in numbers.items()}


def elbo_terms(run: TrainedRun, pixels: np.ndarray) -> Terms:
    """The objective's terms of each image, float64[N] nats; z is drawn once per image with a fixed key."""
    numbers = [jnp.float32(value) for value in (run.config.kl_weight, run.config.free_bits)]
    key = jax.random.key(1)
    chunks = [
        _terms(run.model, run.params, chunk, jax.random.fold_in(key, index), *numbers)
        for index, chunk in enumerate(_chunks(pixels, 2000))
    ]
    return jax.tree.map(lambda *parts: np.concatenate(parts).astype(np.float64), *chunks)


def rate_parts(run: TrainedRun, pixels: np.ndarray) -> dict[str, Any]:
    """The rate of a VAE, taken apart: mutual information + marginal KL, and KL and activity of each dimension.

    q(z) is the aggregate posterior of these N images, a mixture of N Gaussians, so that I_q(x; z) is at most log N. Its
    density is exact; the expectation over z is over four draws per image.
    """
    mean, logvar = (np.asarray(part, np.float64) for part in _posterior(run, pixels))
    kl = 0.5 * (np.expm1(logvar) - logvar + mean**2)
    eps = np.random.default_rng(0).standard_normal((4, *mean.shape))
    log_ratio = [_log_ratio(mean + np.exp(logvar / 2) * draw, draw, mean, logvar) for draw in eps]
    information = float(np.mean(log_ratio))
    return {
        "mutual_information": information,
        "marginal_kl": kl.sum(axis=1).mean() - information,
        "kl_per_dimension": kl.mean(axis=0).tolist(),
        "active_units": int((mean.var(axis=0) > ACTIVE_VARIANCE).sum()),
    }


def importance_sampled(run: TrainedRun, pixels: np.ndarray, num_samples: int, seed: int = 2) -> LogLikelihood:
    """log 1/k Σ p(x, z_i) / q(z_i | x), z_i ~ q(z | x): a lower bound in expectation that rises with k (IWAE).

    The error is the delta method's standard error of each image's log-mean, for the mean over images. The bound counts
    as resolved where each image's weights are worth more than five samples.
    """
    # As many decoder rows at once as fit in the caches of a CPU, or keep an accelerator busy.
    rows = 1024 if jax.default_backend() == "cpu" else 65536
    per_step = min(num_samples, 64)
    key = jax.random.key(seed)
    parts = []
    for index, chunk in enumerate(_chunks(pixels, max(1, rows // per_step))):
        chunk_key = jax.random.fold_in(key, index)
        parts.append(_weights(run.model, run.params, chunk, chunk_key, num_samples=num_samples, per_step=per_step))
    top, total, squares = (np.concatenate([np.asarray(p[i], np.float64) for p in parts]) for i in range(3))
    variance = np.maximum(squares / total**2 - 1 / num_samples, 0)
    values = top + np.log(total) - math.log(num_samples)
    resolved = num_samples < 5 or bool(np.all(total**2 / squares > 5))
    return LogLikelihood(values, float(np.sqrt(variance.sum()) / len(values)), resolved)


def exact_log_likelihood(run: TrainedRun, pixels: np.ndarray) -> LogLikelihood:
    """log ∫ p(x | z) p(z) dz of each image by the trapezoidal rule, for one or two latent dimensions.

    The grid covers the prior and every posterior by eight standard deviations, and its step is halved until the mean
    over images changes by less than GRID_TOLERANCE. For a Gaussian integrand the rule converges exponentially once the
    step is below its standard deviation; an image that fewer than two grid points account for is narrower than that,
    and then the result is not resolved.

    Raises:
        ValueError: more than two latent dimensions.
    """
    if run.config.latent_dim > 2:
        raise ValueError(f"quadrature needs latent_dim of 1 or 2, not {run.config.latent_dim}")
    mean, logvar = (np.asarray(part, np.float64) for part in _posterior(run, pixels))
    sd = np.exp(logvar / 2)
    low = np.minimum((mean - 8 * sd).min(axis=0), -8.0)
    high = np.maximum((mean + 8 * sd).max(axis=0), 8.0)
    step = float(np.clip(2 * np.median(sd), 1e-3, 0.5))
    values = _quadrature(run, pixels, low, high, step)[0]
    while True:
        step /= 2
        finer, points = _quadrature(run, pixels, low, high, step)
        error = float(np.abs(finer - values).mean())
        resolved = bool(np.all(points > 2))
        values = finer
        too_large = np.prod((high - low) / (step / 2) + 1) > MOST_GRID_POINTS
        if (error < GRID_TOLERANCE and resolved) or too_large:
            return LogLikelihood(values, error, resolved and error < GRID_TOLERANCE)


def _quadrature(
    run: TrainedRun, pixels: np.ndarray, low: np.ndarray, high: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """log p(x) float64[N] on one grid, and how many grid points account for each image, float64[N]."""
    axes = [np.arange(math.floor(a / step), math.ceil(b / step) + 1) * step for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes)).astype(np.float32)
    state = tuple(jnp.full(len(pixels), value, jnp.float32) for value in (-np.inf, 0.0, 0.0))
    for chunk in _chunks(grid, 2048):
        # The last chunk is filled up with a point without weight, so that there is one program.
        padding = 2048 - len(chunk)
        weights = np.pad(np.zeros(len(chunk), np.float32), (0, padding), constant_values=-np.inf)
        state = _add_grid_points(run.model, run.params, pixels, np.pad(chunk, ((0, padding), (0, 0))), weights, state)
    top, total, squares = (np.asarray(part, np.float64) for part in state)
    return top + np.log(total) + len(axes) * math.log(step), total**2 / squares


@partial(jax.jit, static_argnames="model")
def _terms(model: Autoencoder, params: Params, pixels: Array, key: Array, kl_weight: Array, free_bits: Array) -> Terms:
    halves = partial(encode, model, params), partial(decode, model, params)
    nll = LIKELIHOODS[model.config.likelihood]
    return OBJECTIVES[model.config.model](*halves, nll, pixels, key, kl_weight, free_bits)


@partial(jax.jit, static_argnames=("model", "num_samples", "per_step"))
def _weights(
    model: Autoencoder, params: Params, pixels: Array, key: Array, *, num_samples: int, per_step: int
) -> tuple[Array, Array, Array]:
    """Of the importance weights w of each image: log max w, Σ w / max w and Σ (w / max w)², float32[B] each."""
    mean, logvar = encode(model, params, pixels)
    assert logvar is not None
    nll = jax.vmap(LIKELIHOODS[model.config.likelihood], in_axes=(Pixels(0, None), None))  # type: ignore[arg-type]

    def step(state: tuple[Array, Array, Array], index: Array) -> tuple[tuple[Array, Array, Array], None]:
        eps = jax.random.normal(jax.random.fold_in(key, index), (per_step, *mean.shape))
        z = mean[None] + jnp.exp(logvar / 2)[None] * eps
        logits, pixel_logvar = decode(model, params, z.reshape(-1, mean.shape[1]))
        distortion = nll(Pixels(logits.reshape(per_step, *pixels.shape), pixel_logvar), pixels)
        log_w = -distortion - 0.5 * jnp.sum(jnp.square(z) - jnp.square(eps) - logvar[None], axis=-1)
        counted = index * per_step + jnp.arange(per_step) < num_samples
        return _add_logs(state, jnp.where(counted[:, None], log_w, -jnp.inf)), None

    empty = jnp.full(len(mean), -jnp.inf), jnp.zeros(len(mean)), jnp.zeros(len(mean))
    return jax.lax.scan(step, empty, jnp.arange(-(-num_samples // per_step)))[0]


@partial(jax.jit, static_argnames="model")
def _add_grid_points(
    model: Autoencoder, params: Params, pixels: Array, z: Array, log_weights: Array, state: tuple[Array, Array, Array]
) -> tuple[Array, Array, Array]:
    """Adds grid points float32[G, D] to the running integrals of each image."""
    natural, of_z, of_x = log_density_parts(model.config.likelihood, decode(model, params, z), pixels)
    log_prior = -0.5 * jnp.sum(jnp.square(z), axis=1) - 0.5 * z.shape[1] * math.log(2 * math.pi)
    per_point = of_z + log_prior + log_weights
    log_joint = natural.reshape(len(z), -1) @ pixels.reshape(len(pixels), -1).T + per_point[:, None] + of_x[None]
    return _add_logs(state, log_joint)


def _add_logs(state: tuple[Array, Array, Array], logs: Array) -> tuple[Array, Array, Array]:
    """A running (log max w, Σ w / max w, Σ (w / max w)²), with the weights exp(float32[S, B]) added."""
    top, total, squares = state
    new_top = jnp.maximum(top, jnp.max(logs, axis=0))
    old, new = jnp.exp(top - new_top), jnp.exp(logs - new_top[None])
    return new_top, total * old + jnp.sum(new, axis=0), squares * old**2 + jnp.sum(jnp.square(new), axis=0)


def _log_ratio(z: np.ndarray, eps: np.ndarray, mean: np.ndarray, logvar: np.ndarray) -> np.ndarray:
    """log q(z_i | x_i) - log 1/N Σ_j q(z_i | x_j), float64[N], where z_i was drawn with eps_i."""
    own = -0.5 * np.sum(eps**2 + logvar, axis=1)
    precision = np.exp(-logvar)
    constant = -0.5 * np.sum(logvar + mean**2 * precision, axis=1)
    log_q = np.empty(len(z))
    for start in range(0, len(z), 1000):  # 80 MB at ten thousand images
        part = z[start : start + 1000]
        logs = part @ (mean * precision).T - 0.5 * part**2 @ precision.T + constant
        log_q[start : start + 1000] = np.logaddexp.reduce(logs, axis=1) - math.log(len(mean))
    return own - log_q


def _posterior(run: TrainedRun, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    parts = [_encode(run.model, run.params, chunk) for chunk in _chunks(pixels, 2000)]
    mean, logvar = (np.concatenate([np.asarray(part[i]) for part in parts]) for i in range(2))
    return mean, logvar


_encode = partial(jax.jit, static_argnames="model")(encode)


def _chunks(array: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (array[start : start + size] for start in range(0, len(array), size))


def _json_number(value: Any) -> Any:
    if isinstance(value, (bool, int, list)):
        return value
    return float(value) if math.isfinite(value) else None
