"""What a model says of held-out images, in nats per image: ELBO, its parts, and the log-likelihood that it bounds.

All estimates see the same pixels (binarized once, with a fixed key, if the model is trained on binary ones), so
ELBO ≤ importance-sampled bound ≤ exact log-likelihood holds up to the Monte Carlo errors, which are stated.

Standard errors over test images, as a sample of all images, are those of a mean: sd / √N.

References:
    Burda, Grosse & Salakhutdinov 2016, "Importance Weighted Autoencoders" (arXiv:1509.00519): active units.
    Hoffman & Johnson 2016, "ELBO surgery": the rate is mutual information plus marginal KL.
    Poole et al. 2019, "On Variational Bounds of Mutual Information" (arXiv:1905.06922), section 2.4: where q(z | x) is
    known, InfoNCE is a lower and its leave-one-out variant an upper bound.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.config import DYNAMIC_FIELDS, Config
from vae_jax.evaluation import marginal
from vae_jax.evaluation.density import log_mixture
from vae_jax.evaluation.quadrature import exact_log_likelihood
from vae_jax.evaluation.subsets import MAX_IMAGES, limit, subset
from vae_jax.likelihoods import LIKELIHOODS
from vae_jax.models import MODELS
from vae_jax.networks import Params, chunk_size, decode, encode, make_key
from vae_jax.objectives import Hyperparameters, Terms
from vae_jax.programs import Program, objective_terms, observed_pixels
from vae_jax.runs import TrainedRun, in_chunks
from vae_jax.training import batches

ACTIVE_VARIANCE = 0.01  # of the posterior mean, above which a dimension is active (Burda et al. 2016, 5.2)
INFORMATION_DRAWS = 4000  # z at which q(z) is computed for the mutual information, at least one per test image
NOISE_DRAWS = 8  # per image; one would leave the mean over 1,000 images an error of 0.09 nats, eight leave 0.05
MIN_SHARE = 0.99  # of images with an exact value; 1 % that had none have moved a mean by 0.4 nats
SAMPLED_BESIDE_EXACT = 100  # images whose bound is sampled where the exact value is known: it gives the gap
SATURATED = 1.0  # nats; a mutual information that is nearer to its cap may be far larger


def is_density(config: Config, pixels: np.ndarray) -> bool:
    """Whether p(x | z) is a proper density of the pixels the model sees, float32[N, H, W].

    Bernoulli is a density of binary pixels; continuous Bernoulli and Gaussian are densities of grey ones. For grey
    pixels, the Bernoulli cross-entropy is a loss but not a likelihood.
    """
    is_binary = bool(np.all((pixels == 0) | (pixels == 1)))
    return is_binary == (config.likelihood == "bernoulli")


def evaluation_pixels(run: TrainedRun, images: np.ndarray) -> np.ndarray:
    """Converts uint8[N, H, W] images to the pixels the model sees, float32 in [0, 1]; dynamic ones are drawn once."""
    return np.asarray(observed_pixels(run.program, jnp.asarray(images), make_key(0)))


@np.errstate(all="ignore")  # codes of a bad run may overflow; the numbers are then not finite
def evaluate_likelihood(
    run: TrainedRun, images: np.ndarray, train_images: np.ndarray, *, num_samples: int = marginal.NUM_SAMPLES
) -> dict[str, Any]:
    """Computes all numbers of this module for a run, by name.

    A model without a posterior variance has a loss, distortions and a squared error, and no other number.
    `test_log_likelihood_…` becomes `test_not_a_likelihood_…` if p(x | z) is not a density of the pixels. The exact
    log-likelihood and all that is held against it are means over the images that the quadrature resolves, and NaN if
    these are less than `MIN_SHARE`. At most 10,000 of the test images uint8[N, H, W] are used, for the log-likelihood
    at most `marginal.affordable_images`, which is fewer for large decoders only, and for q(z) at most 10,000 of the
    training images too.
    """
    images = subset(images, limit(MAX_IMAGES, images.shape[1:]))
    pixels = evaluation_pixels(run, images)
    terms = elbo_terms(run, pixels)
    # Where the code is a point, it is the mean code; computed again it would differ by rounding.
    noisy = MODELS[run.config.model].noise != "none"
    of_mean = mean_code_distortion(run, pixels) if noisy else terms.distortion
    means: dict[str, Any] = {
        "test_loss": terms.loss(),
        "test_distortion": terms.distortion,
        "test_distortion_mean_code": of_mean,
        "test_noise_cost": terms.distortion - of_mean,
        "test_mse": squared_errors(run, images),
    }
    if not MODELS[run.config.model].has_variance:
        return _with_errors(means)
    elbo = -np.asarray(terms.distortion + terms.rate)
    numbers = _with_errors(means | {"test_rate": terms.rate, "test_elbo": elbo})
    train_pixels = evaluation_pixels(run, subset(train_images, limit(MAX_IMAGES, train_images.shape[1:])))
    numbers |= {f"test_{name}": value for name, value in rate_parts(run, pixels, train_pixels).items()}
    most = marginal.affordable_images(run)
    return numbers | _log_likelihoods(run, subset(pixels, most), subset(elbo, most), num_samples)


def _with_errors(values: dict[str, np.ndarray]) -> dict[str, float]:
    """The mean of each float64[N] and its standard error, by name; the error of a single value is NaN."""
    numbers = {}
    for name, each in values.items():
        numbers[name] = float(each.mean())
        numbers[f"{name}_error"] = float(each.std(ddof=1) / math.sqrt(len(each))) if len(each) > 1 else math.nan
    return numbers


def _log_likelihoods(run: TrainedRun, pixels: np.ndarray, elbo: np.ndarray, num_samples: int) -> dict[str, Any]:
    name = "test_log_likelihood" if is_density(run.config, pixels) else "test_not_a_likelihood"
    has_exact, everyone = run.config.latent_dim <= 2, np.arange(len(pixels))
    values, errors = exact_log_likelihood(run, pixels) if has_exact else np.full((2, len(pixels)), np.nan)
    resolved = np.flatnonzero(~np.isnan(values))
    share = len(resolved) / len(pixels)
    known = share >= MIN_SHARE
    rows = resolved if known else everyone  # of which a mean is then NaN
    chosen = subset(rows, SAMPLED_BESIDE_EXACT) if known else everyone
    sampled = marginal.importance_sampled(run, pixels[chosen], num_samples)
    exact, gap = values[rows].mean(), (values[chosen] - sampled.values).mean()
    numbers = {
        f"{name}_samples": num_samples,
        f"{name}_images": len(pixels),
        f"{name}_sampled": exact - gap if known else sampled.values.mean(),
        f"{name}_sampled_error": sampled.error,
        f"{name}_sampled_low_ess": np.mean(~(sampled.ess >= marginal.LOW_ESS)),
    }
    if has_exact:
        numbers |= {
            f"{name}_sampled_gap": gap,
            f"{name}_exact": exact,
            f"{name}_exact_error": errors[rows].mean(),
            f"{name}_exact_share": share,
            # log p(x) - ELBO(x) = KL(q(z|x) || p(z|x)): what amortized, Gaussian inference costs.
            "test_posterior_kl": (values - elbo)[rows].mean(),
        }
    return numbers


def squared_errors(run: TrainedRun, images: np.ndarray) -> np.ndarray:
    """Computes the mean squared error per pixel of the decode of each image's mean code, float64[N].

    The target is the grey image uint8[N, H, W] over 255, also where the model is trained on binary pixels.
    """

    def errors(images: np.ndarray) -> np.ndarray:
        squares = np.square(run.decode(run.encode(images).mean) - images / np.float32(255))
        return np.asarray(squares.mean(axis=(1, 2), dtype=np.float64))

    return np.asarray(in_chunks(errors, images, images.shape[1:]))


def mean_code_distortion(run: TrainedRun, pixels: np.ndarray) -> np.ndarray:
    """Computes -log p(x | z) at the mean code of float32[N, H, W] pixels, float64[N] nats."""
    nll = in_chunks(partial(_mean_code_nll, run.program, run.params), pixels, pixels.shape[1:])
    return np.asarray(nll, np.float64)


def elbo_terms(run: TrainedRun, pixels: np.ndarray) -> Terms:
    """Computes the objective's terms of each image, float64[N] nats: the means over draws of z with fixed keys.

    An objective may compare a batch as a whole, so batches are as large as in training, but for large images.
    """
    size = chunk_size(run.config.batch_size, pixels.shape[1:])
    hyperparameters = {name: jnp.float32(getattr(run.config, name)) for name in DYNAMIC_FIELDS}
    num_draws = 1 if MODELS[run.config.model].noise == "none" else NOISE_DRAWS
    keys = jax.random.split(make_key(1), num_draws)
    draws = [_terms(run.program, run.params, hyperparameters, pixels, key, batch_size=size) for key in keys]
    return jax.tree.map(lambda *draws: np.mean(draws, axis=0, dtype=np.float64), *draws)


@np.errstate(all="ignore")  # the numbers of extreme posteriors are not finite
def rate_parts(run: TrainedRun, pixels: np.ndarray, train_pixels: np.ndarray) -> dict[str, Any]:
    """Splits the rate of a VAE into mutual information and marginal KL, and by latent dimension.

    q(z) is the mean of the posteriors of these N test images and of the training images: a mixture of M Gaussians. With
    it I_q(x; z) = E log q(z | x) / q(z), over z drawn for test images, is InfoNCE's lower bound of what it would be
    with all images there are, and at most log M; near that it is saturated, and says "at least". Without the image's
    own posterior in q(z) it is the leave-one-out upper bound; the rate is another one, and the lesser is returned. The
    marginal KL, rate - I_q, is then an upper bound, and rate - bound >= 0 a lower one.
    Numbers are in nats per image, but `active_units` is how many dimensions have a posterior mean that varies.
    """
    mean, logvar = marginal.posterior(run, pixels)
    kl = 0.5 * (np.expm1(logvar) - logvar + mean**2)
    train_mean, train_logvar = marginal.posterior(run, train_pixels)
    every_mean, every_logvar = np.concatenate([mean, train_mean]), np.concatenate([logvar, train_logvar])
    information, bound = mutual_information(every_mean, every_logvar, num_test=len(mean))
    rate = float(kl.sum(axis=1).mean())
    variances, cap = mean.var(axis=0), math.log(len(every_mean))
    return {
        "mutual_information": information,
        "mutual_information_bound": min(bound, rate) if math.isfinite(bound) else rate,
        "mutual_information_saturated": not information < cap - SATURATED,
        "marginal_kl": rate - information,
        "kl_per_dimension": kl.mean(axis=0).tolist(),
        "active_units": int((variances > ACTIVE_VARIANCE).sum()) if np.isfinite(variances).all() else math.nan,
    }


def mutual_information(mean: np.ndarray, logvar: np.ndarray, num_test: int) -> tuple[float, float]:
    """Bounds what a code says about its image from below and from above, nats (Poole et al. 2019, section 2.4).

    Args:
        mean: float64[M, D], of M >= 2 posteriors, of which q(z) is the mixture.
        logvar: float64[M, D].
        num_test: how many of them, the first ones, the codes are drawn from, one or more each.
    """
    rows = np.tile(np.arange(num_test), math.ceil(INFORMATION_DRAWS / num_test))
    sd = np.exp(logvar / 2)
    eps = np.random.default_rng(0).standard_normal((len(rows), mean.shape[1]))
    own = -0.5 * np.sum(eps**2 + logvar[rows] + math.log(2 * math.pi), axis=1)
    others = log_mixture(mean[rows] + sd[rows] * eps, mean, sd, without=rows)
    # An image's own term is known exactly, however narrow its posterior is.
    everything = np.logaddexp(own, others + math.log(len(mean) - 1)) - math.log(len(mean))
    return float(np.mean(own - everything)), float(np.mean(own - others))


@partial(jax.jit, static_argnames="program")
def _mean_code_nll(program: Program, params: Params, pixels: jax.Array) -> jax.Array:
    mean = encode(program.network, params, pixels).mean
    return LIKELIHOODS[program.config.likelihood](decode(program.network, params, mean), pixels)


@partial(jax.jit, static_argnames=("program", "batch_size"))
def _terms(
    program: Program, params: Params, hyperparameters: Hyperparameters, pixels: jax.Array, key: jax.Array,
    *, batch_size: int,
) -> Terms:  # fmt: skip
    order, weights = batches(None, len(pixels), batch_size)

    def of_batch(batch: tuple[jax.Array, jax.Array, jax.Array]) -> Terms:
        index, rows, weights = batch
        batch_key = jax.random.fold_in(key, index)
        return objective_terms(program, params, hyperparameters, pixels[rows], weights, batch_key)

    terms = jax.lax.map(of_batch, (jnp.arange(len(order)), order, weights))
    return jax.tree.map(lambda each: each.reshape(-1)[: len(pixels)], terms)
