"""What a model says of held-out images, in nats per image: ELBO, its parts, and the log-likelihood that it bounds.

All estimates see the same pixels (binarized once, with a fixed key, if the model is trained on binary ones), so
ELBO ≤ importance-sampled bound ≤ exact log-likelihood holds up to the Monte Carlo errors, which are stated.

Standard errors over test images, as a sample of all images, are those of a mean: sd / √N.

References:
    Burda, Grosse & Salakhutdinov 2016, "Importance Weighted Autoencoders" (arXiv:1509.00519): active units.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.config import DYNAMIC_FIELDS, Config
from vae_jax.measure import marginal
from vae_jax.measure.entry import ALEMI, KINGMA, NATS, SHARE, TEST_IMAGES, Measurement
from vae_jax.measure.quadrature import exact_log_likelihood
from vae_jax.measure.subsets import MAX_IMAGES, limit, subset
from vae_jax.model.likelihoods import LIKELIHOODS, Reconstruction, pixel_mean
from vae_jax.model.networks import Params, chunk_size, decode, encode, make_key
from vae_jax.model.objectives import Hyperparameters, Terms
from vae_jax.model.programs import Program, objective_terms, observed_pixels
from vae_jax.models import MODELS
from vae_jax.training.runs import TrainedRun, in_chunks
from vae_jax.training.step import batches

ACTIVE_VARIANCE = 0.01  # of the posterior mean, above which a dimension is active (Burda et al. 2016, 5.2)
NOISE_DRAWS = 8  # per image; one would leave the mean over 1,000 images an error of 0.09 nats, eight leave 0.05
MIN_SHARE = 0.99  # of images with an exact value; 1 % that had none have moved a mean by 0.4 nats
SAMPLED_BESIDE_EXACT = 100  # images whose bound is sampled where the exact value is known: it gives the gap
HALF_LEVEL = 1 / 510  # half a grey level
LEAST_VARIANCE = 1e-6  # of a pixel, about that of a byte's rounding


_BURDA = "Burda et al. 2016, Importance Weighted Autoencoders"

MEASUREMENTS = {
    "test_loss": Measurement("test loss", NATS, None, "training_curves",
        "The run's own objective on the test images, comparable only between runs of one objective.",
        error=TEST_IMAGES),
    "test_distortion": Measurement("test distortion", NATS, "lower", "reconstructions",
        "-log p(x | z) of the test images, at z drawn from q(z | x), or at the code where it is a point.",
        ALEMI, error=TEST_IMAGES),
    "mean_image_distortion": Measurement("distortion of the mean image", NATS, None, "",
        "-log p(x) of the test images where each pixel is predicted by its mean over the training images: what a "
        "model knows that looks at no image. A property of the data set and the likelihood."),
    "test_noise_cost": Measurement("cost of the noise", NATS, "lower", "",
        "Distortion at drawn codes minus distortion at mean codes of the test images, as a mean over eight draws; 0 "
        "where a code is a point."),
    "test_mse": Measurement("squared error", "per pixel", "lower", "reconstructions",
        "Mean squared difference per pixel of the decode of the mean code from the grey test image in [0, 1], "
        "which is not what a model trained on binary pixels sees."),
    "test_rate": Measurement("test rate", NATS, None, "rate_distortion",
        "KL divergence of q(z | x) from N(0, I), the most a code can say about its image.", ALEMI),
    "test_elbo": Measurement("test ELBO", NATS, "higher", "rate_distortion",
        "-(distortion + rate), a lower bound of log p(x) with KL weight 1.", KINGMA, error=TEST_IMAGES),
    "test_kl_per_dimension": Measurement("KL per dimension", NATS, None, "kl_per_dimension",
        "The rate of each latent dimension.", kind=list),
    "test_active_units": Measurement("active units", "dimensions", None, "kl_per_dimension",
        "Number of latent dimensions whose posterior mean has a variance above 0.01 over the test images.",
        _BURDA, kind=int),
    "test_log_likelihood_sampled": Measurement("sampled log-likelihood", NATS, "higher", "",
        "Importance-weighted lower bound of log p(x), some nats below it; where the exact value is known, that minus "
        "the gap of at most 100 images. Like all log-likelihoods, of runs whose p(x | z) is a density of their pixels.",
        _BURDA),
    "test_log_likelihood_sampled_error": Measurement("error of the sampled log-likelihood", NATS, "lower", "",
        "Standard error of the importance-weighted bound over repeated draws, not its distance from log p(x)."),
    "test_log_likelihood_samples": Measurement("samples of the log-likelihood", "samples per image", None, "",
        "Number of importance samples per image.", kind=int),
    "test_log_likelihood_exact": Measurement("exact log-likelihood", NATS, "higher", "",
        "log p(x) by quadrature, for one or two latent dimensions: the mean over the images that it resolves."),
    "test_log_likelihood_exact_share": Measurement("images of the exact log-likelihood", SHARE, None, "",
        "Share of images whose log p(x) the quadrature resolves; the exact value and the cost of inference are of "
        "these images, and of none below 0.99."),
    "test_posterior_kl": Measurement("cost of inference", NATS, "lower", "",
        "log p(x) - ELBO = KL divergence of q(z | x) from p(z | x): what amortized Gaussian inference costs.",
        "Cremer et al. 2018, Inference Suboptimality in Variational Autoencoders"),
}  # fmt: skip


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
    run: TrainedRun, images: np.ndarray, train_images: np.ndarray, *, num_samples: int
) -> dict[str, Any]:
    """Computes all numbers of this module for a run, by name.

    A model without a posterior variance has a loss, distortions and a squared error, and no other number.
    Log-likelihoods, and what is held against them, are of runs whose p(x | z) is a density of their pixels: of others
    they would mean nothing and take most of the time. The exact one is a mean over the images that the quadrature
    resolves, and NaN if these are less than `MIN_SHARE`. At most 10,000 of the test images
    uint8[N, H, W] are used, for the log-likelihood at most `marginal.affordable_images`, fewer for large decoders only.
    """
    images = subset(images, limit(MAX_IMAGES, images.shape[1:]))
    train_images = subset(train_images, limit(MAX_IMAGES, train_images.shape[1:]))
    pixels = evaluation_pixels(run, images)
    terms, model = elbo_terms(run, pixels), MODELS[run.config.model]
    of_image = mean_image_distortion(run.config.likelihood, pixels, evaluation_pixels(run, train_images))
    numbers: dict[str, Any] = {
        **_with_error("test_loss", terms.loss()),
        **_with_error("test_distortion", terms.distortion),
        "mean_image_distortion": of_image,
        # Where the code is a point, it is the mean code.
        "test_noise_cost": (terms.distortion - mean_code_distortion(run, pixels)).mean() if model.has_variance else 0.0,
        "test_mse": squared_errors(run, images).mean(),
    }
    if not model.has_variance:
        return numbers
    elbo = -np.asarray(terms.distortion + terms.rate)
    numbers |= {"test_rate": terms.rate.mean(), **_with_error("test_elbo", elbo), **rate_parts(run, pixels)}
    if not is_density(run.config, pixels):
        return numbers
    most = marginal.affordable_images(run)
    return numbers | _log_likelihoods(run, subset(pixels, most), subset(elbo, most), num_samples)


def _with_error(name: str, values: Any) -> dict[str, float]:
    """The mean of float64[N] and its standard error, by name; the error of a single value is NaN."""
    error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
    return {name: float(values.mean()), f"{name}_error": error}


def mean_image_distortion(likelihood: str, pixels: np.ndarray, train_pixels: np.ndarray) -> float:
    """Computes -log p(x) of pixels float32[N, H, W] if each is predicted by its mean over those of training; nats.

    It is what is known without a code. The mean of a pixel is kept half a grey level away from black and white for the
    Bernoulli likelihoods, where it would be certain. A learned variance is the most likely one of the training pixels.
    """
    mean, variance = train_pixels.mean(axis=0, dtype=np.float64), 1.0
    if likelihood == "learned_gaussian":
        variance = max(float(np.square(train_pixels - mean).mean()), LEAST_VARIANCE)
    if likelihood in ("bernoulli", "continuous_bernoulli"):
        mean = mean.clip(HALF_LEVEL, 1 - HALF_LEVEL)
    logvar = jnp.float32(math.log(variance))
    low, high = np.full_like(mean, -1e3), np.full_like(mean, 1e3)  # logits; half a grey level has one of 510 at most
    for _ in range(40):  # each halves the interval
        logits = np.float32((low + high) / 2)
        is_low = pixel_mean(likelihood, Reconstruction(jnp.asarray(logits), logvar)) < mean
        low, high = np.where(is_low, logits, low), np.where(is_low, high, logits)

    def nll(pixels: np.ndarray) -> jax.Array:
        constant = jnp.broadcast_to(jnp.asarray(logits), pixels.shape)
        return LIKELIHOODS[likelihood](Reconstruction(constant, logvar), jnp.asarray(pixels))

    return float(in_chunks(nll, pixels, pixels.shape[1:]).mean(dtype=np.float64))


def _log_likelihoods(run: TrainedRun, pixels: np.ndarray, elbo: np.ndarray, num_samples: int) -> dict[str, Any]:
    has_exact, everyone = run.config.latent_dim <= 2, np.arange(len(pixels))
    values = exact_log_likelihood(run, pixels) if has_exact else np.full(len(pixels), np.nan)
    resolved = np.flatnonzero(~np.isnan(values))
    share = len(resolved) / len(pixels)
    known = share >= MIN_SHARE
    rows = resolved if known else everyone  # of which a mean is then NaN
    chosen = subset(rows, SAMPLED_BESIDE_EXACT) if known else everyone
    sampled = marginal.importance_sampled(run, pixels[chosen], num_samples)
    exact, gap = values[rows].mean(), (values[chosen] - sampled.values).mean()
    numbers = {
        "test_log_likelihood_samples": num_samples,
        "test_log_likelihood_sampled": exact - gap if known else sampled.values.mean(),
        "test_log_likelihood_sampled_error": sampled.error,
    }
    if has_exact:
        numbers |= {
            "test_log_likelihood_exact": exact,
            "test_log_likelihood_exact_share": share,
            # log p(x) - ELBO(x) = KL(q(z|x) || p(z|x)): what amortized, Gaussian inference costs.
            "test_posterior_kl": (values - elbo)[rows].mean(),
        }
    return numbers


def squared_errors(run: TrainedRun, images: np.ndarray) -> np.ndarray:
    """Computes the mean squared error per pixel of the decode of each image's mean code, float64[N].

    The target is the image, uint8[N, H, W] or [N, H, W, 3], over 255, also where the model is trained on binary pixels.
    """

    def errors(images: np.ndarray) -> np.ndarray:
        squares = np.square(run.decode(run.encode(images).mean) - images / np.float32(255))
        return np.asarray(squares.mean(axis=tuple(range(1, squares.ndim)), dtype=np.float64))

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
def rate_parts(run: TrainedRun, pixels: np.ndarray) -> dict[str, Any]:
    """Splits the rate by latent dimension, nats per image, and counts those whose posterior mean varies."""
    mean, logvar = marginal.posterior(run, pixels)
    kl = 0.5 * (np.expm1(logvar) - logvar + mean**2)
    variances = mean.var(axis=0)
    return {
        "test_kl_per_dimension": kl.mean(axis=0).tolist(),
        "test_active_units": int((variances > ACTIVE_VARIANCE).sum()) if np.isfinite(variances).all() else math.nan,
    }


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
