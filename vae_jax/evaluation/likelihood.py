"""What a model says of held-out images, in nats per image: ELBO, its parts, and the log-likelihood that it bounds.

All estimates see the same pixels (binarized once, with a fixed key, if the model is trained on binary ones), so
ELBO ≤ importance-sampled bound ≤ exact log-likelihood holds up to the Monte Carlo errors, which are stated.

References:
    Burda, Grosse & Salakhutdinov 2016, "Importance Weighted Autoencoders" (arXiv:1509.00519): active units.
    Hoffman & Johnson 2016, "ELBO surgery": the rate is mutual information plus marginal KL.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.config import DYNAMIC_FIELDS, Config
from vae_jax.evaluation import marginal
from vae_jax.evaluation.marginal import LogLikelihood
from vae_jax.evaluation.subsets import MAX_IMAGES, chunks, limit, subset
from vae_jax.models import MODELS
from vae_jax.objectives import Terms
from vae_jax.programs import objective_terms, observed_pixels
from vae_jax.runs import CHUNK, TrainedRun

ACTIVE_VARIANCE = 0.01  # of the posterior mean, above which a dimension is active (Burda et al. 2016, 5.2)


def is_density(config: Config) -> bool:
    """Whether p(x | z) is a proper density of the pixels the model is trained on.

    Bernoulli is a density of binary pixels; continuous Bernoulli and Gaussian are densities of grey ones. For grey
    pixels, the Bernoulli cross-entropy is a loss but not a likelihood.
    """
    binary = config.binarization != "none" or config.dataset == "binarized_mnist"
    return binary == (config.likelihood == "bernoulli")


def evaluation_pixels(run: TrainedRun, images: np.ndarray) -> np.ndarray:
    """Converts uint8[N, H, W] images to the pixels the model sees, float32 in [0, 1]; dynamic ones are drawn once."""
    return np.asarray(observed_pixels(run.program, jnp.asarray(images), jax.random.key(0)))


@np.errstate(all="ignore")  # codes of a bad run may overflow; the numbers are then not finite
def evaluate_likelihood(
    run: TrainedRun, images: np.ndarray, *, num_samples: int = marginal.NUM_SAMPLES
) -> dict[str, Any]:
    """Computes all numbers of this module for a run, by name.

    An AE has a loss, a distortion and a squared error, and no other number. `test_log_likelihood_…` becomes
    `test_not_a_likelihood_…` if p(x | z) is not a density of the pixels. The exact log-likelihood is NaN if the
    quadrature does not resolve it. At most 10,000 of the test images uint8[N, H, W] are used, and for the
    log-likelihood at most `marginal.affordable_images`, which is fewer for large decoders only.
    """
    images = subset(images, limit(MAX_IMAGES, images.shape[1:]))
    pixels = evaluation_pixels(run, images)
    terms = elbo_terms(run, pixels)
    mean_error = np.square(run.decode(run.encode(images).mean) - images / np.float32(255)).mean(dtype=np.float64)
    numbers: dict[str, Any] = {"test_loss": terms.loss().mean(), "test_distortion": terms.distortion.mean()}
    numbers["test_mse"] = mean_error
    if MODELS[run.config.model].has_variance:
        elbo = -np.asarray(terms.distortion + terms.rate)
        numbers |= {"test_rate": terms.rate.mean(), "test_elbo": elbo.mean()}
        numbers |= {f"test_{name}": value for name, value in rate_parts(run, pixels).items()}
        most = marginal.affordable_images(run)
        numbers |= _log_likelihoods(run, subset(pixels, most), subset(elbo, most), num_samples)
    return numbers


def _log_likelihoods(run: TrainedRun, pixels: np.ndarray, elbo: np.ndarray, num_samples: int) -> dict[str, Any]:
    name = "test_log_likelihood" if is_density(run.config) else "test_not_a_likelihood"
    estimates = {"sampled": marginal.importance_sampled(run, pixels, num_samples)}
    numbers: dict[str, Any] = {f"{name}_samples": num_samples, f"{name}_images": len(pixels)}
    if run.config.latent_dim <= 2:
        exact = marginal.exact_log_likelihood(run, pixels)
        if not exact.resolved:
            exact = LogLikelihood(np.full_like(exact.values, np.nan), math.nan, resolved=False)
        # log p(x) - ELBO(x) = KL(q(z|x) || p(z|x)): what amortized, Gaussian inference costs.
        numbers["test_posterior_kl"] = (exact.values - elbo).mean()
        estimates["exact"] = exact
    for kind, (values, error, resolved) in estimates.items():
        numbers |= {f"{name}_{kind}": values.mean(), f"{name}_{kind}_error": error, f"{name}_{kind}_resolved": resolved}
    return numbers


def elbo_terms(run: TrainedRun, pixels: np.ndarray) -> Terms:
    """Computes the objective's terms of each image, float64[N] nats; z is drawn once per image with a fixed key."""
    hyperparameters = {name: jnp.float32(getattr(run.config, name)) for name in DYNAMIC_FIELDS}
    key = jax.random.key(1)
    parts = [
        _terms(run.program, run.params, hyperparameters, chunk, jax.random.fold_in(key, index))
        for index, chunk in enumerate(chunks(pixels, CHUNK))
    ]
    return jax.tree.map(lambda *parts: np.concatenate(parts).astype(np.float64), *parts)


@np.errstate(all="ignore")  # the numbers of extreme posteriors are not finite
def rate_parts(run: TrainedRun, pixels: np.ndarray) -> dict[str, Any]:
    """Splits the rate of a VAE into mutual information and marginal KL, and by latent dimension.

    q(z) is the aggregate posterior of these N images, a mixture of N Gaussians, so I_q(x; z) is at most log N. Its
    density is exact; the expectation over z is a mean over four draws per image. Numbers are in nats per image, but
    `active_units` is how many dimensions have a posterior mean that varies.
    """
    mean, logvar = marginal.posterior(run, pixels)
    kl = 0.5 * (np.expm1(logvar) - logvar + mean**2)
    eps = np.random.default_rng(0).standard_normal((4, *mean.shape))
    log_ratio = [_log_ratio(mean + np.exp(logvar / 2) * draw, draw, mean, logvar) for draw in eps]
    information, variances = float(np.mean(log_ratio)), mean.var(axis=0)
    return {
        "mutual_information": information,
        "marginal_kl": kl.sum(axis=1).mean() - information,
        "kl_per_dimension": kl.mean(axis=0).tolist(),
        "active_units": int((variances > ACTIVE_VARIANCE).sum()) if np.isfinite(variances).all() else math.nan,
    }


def _log_ratio(z: np.ndarray, eps: np.ndarray, mean: np.ndarray, logvar: np.ndarray) -> np.ndarray:
    """log q(z_i | x_i) - log 1/N Σ_j q(z_i | x_j), float64[N], where z_i is drawn with eps_i."""
    own = -0.5 * np.sum(eps**2 + logvar, axis=1)
    precision = np.exp(-logvar)
    constant = -0.5 * np.sum(logvar + mean**2 * precision, axis=1)
    log_q = np.empty(len(z))
    for start in range(0, len(z), 1000):  # 80 MB at ten thousand images
        part = z[start : start + 1000]
        logs = part @ (mean * precision).T - 0.5 * part**2 @ precision.T + constant
        # The products above cancel to few digits if a posterior is narrow; an image's own term is known exactly.
        rows = np.arange(len(part))
        logs[rows, start + rows] = own[start : start + 1000]
        log_q[start : start + 1000] = np.logaddexp.reduce(logs, axis=1) - math.log(len(mean))
    return own - log_q


_terms = partial(jax.jit, static_argnames="program")(objective_terms)
