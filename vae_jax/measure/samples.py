"""What a trained run samples: five ways to draw latent codes, and how their images compare with the test images.

They differ in what they know of the codes: nothing; mean and standard deviation of each dimension; mean and covariance;
a mixture fitted to them; the codes themselves, which are the ceiling.

Decoders blur, and a blurred image may be judged to show nothing. So the share of implausible samples is stated beside
that of the run's own reconstructions, and their difference, the excess, is what compares runs.

References:
    Ghosh et al. 2020, "From Variational to Deterministic Autoencoders" (arXiv:1903.12436), ex-post density estimation.
"""

import math
import warnings
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from vae_jax.data import Dataset
from vae_jax.measure import recipe
from vae_jax.measure.distances import (
    NEIGHBOURS,
    coverage,
    frechet_distance,
    frechet_from_moments,
    moments,
    squared_radii,
)
from vae_jax.measure.entry import SHARE, Measurement, for_each
from vae_jax.measure.judges import Judge
from vae_jax.measure.subsets import MAX_IMAGES, limit, subset
from vae_jax.training.runs import TrainedRun, in_chunks

MIN_SAMPLES, MAX_SAMPLES = 1_000, 10_000  # of each sampler; as many as test images between them
NUM_COMPONENTS = 10  # of the mixture, as in Ghosh et al. 2020
MIXTURE_CODES = 5_000  # the mixture is fitted to, at most
FULL_DIMS = 128  # latent dimensions up to which the mixture has full covariances
NEIGHBOUR_IMAGES = 2_000  # of each side that are compared in pairs, at most
NUM_PAIRS = 1_000  # of test images, between whose codes the midpoints lie, at most

SAMPLERS = {
    "prior": "N(0, I) samples",
    "standardized": "samples of N(0, I) in standardized codes",
    "gaussian": "samples of the codes' own Gaussian",
    "mixture": "samples of the codes' own mixture",
    "aggregate": "decodes of training codes",
}
"""The distributions codes are sampled from, by the prefix of their numbers' names, with what is sampled."""
GAPS = ("prior", "standardized")  # samplers that know nothing of how the dimensions hang together

_SAMPLES = [{"sampler": sampler, "samples": samples} for sampler, samples in SAMPLERS.items()]
_SQUARED = "squared feature distance"
_HENDRYCKS = "Hendrycks et al. 2019, Deep Anomaly Detection with Outlier Exposure"

MEASUREMENTS = {
    "reconstruction_implausible": Measurement("implausible reconstructions", SHARE, "lower", "reconstructions",
        "Share of decodes of the mean codes of test images that the judge rejects.", _HENDRYCKS),
    "midpoint_implausible": Measurement("implausible midpoints", SHARE, "lower", "interpolations",
        "Share of decodes halfway between two test codes that the judge rejects.", _HENDRYCKS),
    "midpoint_implausible_excess": Measurement("excess of implausible midpoints", SHARE, "lower", "interpolations",
        "Share of implausible midpoints minus that of the run's own reconstructions, which rewards bad "
        "reconstructions: to be read beside them."),
    **for_each(_SAMPLES, {
        "{sampler}_frechet": Measurement("Fréchet distance of {samples}", _SQUARED, "lower", "ladder",
            "Squared Fréchet distance of {samples} from the test images, in the features of the judge.",
            "Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule, with another network"),
        "{sampler}_coverage": Measurement("coverage of {samples}", SHARE, "higher", "ladder",
            "Share of test images that have {samples} in their 5-neighbour ball.",
            "Naeem et al. 2020, Reliable Fidelity and Diversity Metrics for Generative Models"),
        "{sampler}_implausible": Measurement("implausible {samples}", SHARE, "lower", "samples",
            "Share of {samples} that the judge rejects.", _HENDRYCKS),
    }),
    **for_each([each for each in _SAMPLES if each["sampler"] in GAPS], {
        "{sampler}_gap": Measurement("gap of {samples}", _SQUARED, "lower", "ladder",
            "Squared Fréchet distance of {samples} minus that of decodes of training codes: what is lost by not "
            "knowing the codes. Samples that are bad wherever they come from have a small one."),
    }),
    "classifier_accuracy": Measurement("accuracy of the judge", SHARE, None, "",
        "Share of the test images whose class the judge tells; a property of the data set and not of the run."),
    "frechet_floor": Measurement("floor of the Fréchet distance", _SQUARED, None, "",
        "Fréchet distance of as many training images from the test images, below which no sampler can be expected."),
}  # fmt: skip


@threadpool_limits.wrap(limits=1)  # on matrices this small, threads mostly wait for each other
@np.errstate(all="ignore")  # codes of a bad run may overflow; the draws are then not finite
def draw_samplers(run: TrainedRun, train_images: np.ndarray, num_samples: int, seed: int) -> dict[str, np.ndarray]:
    """Draws latent codes in five ways, in random order, float32[num_samples, D] each.

    - `prior`: N(0, I).
    - `standardized`: independent Gaussians with each dimension's mean and standard deviation of the codes.
    - `gaussian`: a Gaussian with the mean and full covariance of the codes of the training images.
    - `mixture`: 10 Gaussians with full covariances (diagonal ones beyond 128 dimensions), fitted to at most 5,000 of
      those codes.
    - `aggregate`: codes of training images, whose decodes are reconstructions.

    The code of an image is z ~ q(z | x) for a VAE and the point it is encoded as for an AE. Codes that are not finite,
    as a bad run has them, make all samplers but `prior` NaN. At most 10,000 of the images uint8[N, H, W] are encoded;
    of images so large that their decodes exceed `subsets.MAX_PIXELS`, fewer samples are drawn.
    """
    num_samples = limit(num_samples, train_images.shape[1:])
    z, random = codes_to_fit(run, train_images, seed)
    shape = (num_samples, z.shape[1])
    draws = {"prior": random["prior"].standard_normal(shape)}
    if np.isfinite(z).all():
        noise = random["standardized"].standard_normal(shape)
        draws["standardized"] = z.mean(axis=0) + z.std(axis=0) * noise
        draws["gaussian"] = _draw_gaussian(z, num_samples, random["gaussian"])
        draws["mixture"] = _draw_mixture(z, num_samples, random["mixture"])
        draws["aggregate"] = z[random["aggregate"].choice(len(z), num_samples, replace=num_samples > len(z))]
    else:
        draws |= {name: np.full(shape, np.nan) for name in random if name != "prior"}
    return {name: draw.astype(np.float32) for name, draw in draws.items()}


def draw_measured(run: TrainedRun, dataset: Dataset) -> dict[str, np.ndarray]:
    """Draws the codes that an evaluation measures: as many as there are test images, within bounds, of seed 0."""
    num_samples = min(max(len(dataset.test.images), MIN_SAMPLES), MAX_SAMPLES)
    return draw_samplers(run, dataset.train.images, num_samples, seed=0)


def codes_to_fit(
    run: TrainedRun, train_images: np.ndarray, seed: int
) -> tuple[np.ndarray, dict[str, np.random.Generator]]:
    """Draws the codes that samplers are fitted to, z float64[N, D] of at most 10,000 of the images uint8[N, H, W].

    Returns:
        The codes, and the random numbers of each sampler by its name.
    """
    names = ("prior", "gaussian", "mixture", "aggregate", "standardized")  # in the order of their seeds
    codes_random, *randoms = np.random.default_rng(seed).spawn(1 + len(names))
    mean, logvar = run.encode(subset(train_images, limit(MAX_IMAGES, train_images.shape[1:])))
    if logvar is not None:
        mean = mean + np.exp(logvar / 2) * codes_random.standard_normal(mean.shape, np.float32)
    return mean.astype(np.float64), dict(zip(names, randoms, strict=True))


def _draw_gaussian(z: np.ndarray, num_samples: int, random: np.random.Generator) -> np.ndarray:
    mean, variances, axes = principal_axes(z)
    return mean + (random.standard_normal((num_samples, z.shape[1])) * np.sqrt(variances)) @ axes.T


def _draw_mixture(z: np.ndarray, num_samples: int, random: np.random.Generator) -> np.ndarray:
    fitted = fit_mixture(z, random)
    draws, _ = fitted.mixture.sample(num_samples)
    return fitted.mean + fitted.scale * random.permutation(draws)  # scikit-learn sorts them by component


class Fitted(NamedTuple):
    """A mixture of Gaussians, fitted to codes in standard deviations of each dimension."""

    mean: np.ndarray  # float64[D], of the codes
    scale: np.ndarray  # float64[D], their standard deviation
    mixture: Any  # scikit-learn's, of (codes - mean) / scale

    def components(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns weights [K], means [K, D], and factors F of covariances F Fᵀ: [K, D, D], or [K, D] of diagonals."""
        covariances = self.mixture.covariances_
        if covariances.ndim == 3:
            factors = np.linalg.cholesky(covariances) * self.scale[:, None]
        else:
            factors = np.sqrt(covariances) * self.scale
        return self.mixture.weights_, self.mean + self.scale * self.mixture.means_, factors


def fit_mixture(z: np.ndarray, random: np.random.Generator) -> Fitted:
    """Fits 10 Gaussians, of full covariances up to `FULL_DIMS` dimensions, to at most 5,000 of the codes [N, D]."""
    import sklearn.exceptions  # which takes seconds to import
    import sklearn.mixture

    z = z[random.choice(len(z), min(len(z), MIXTURE_CODES), replace=False)]
    # In standard deviations of each dimension, one ridge fits all; a collapsed dimension keeps its only value.
    mean, scale = z.mean(axis=0), z.std(axis=0)
    standard = (z - mean) / np.where(scale > 0, scale, 1)
    distinct = len(np.unique(standard, axis=0))
    mixture = sklearn.mixture.GaussianMixture(
        min(NUM_COMPONENTS, distinct),
        covariance_type="full" if z.shape[1] <= FULL_DIMS else "diag",
        reg_covar=1e-6,
        random_state=np.random.RandomState(random.integers(2**32)),
    )
    # What EM gains after 100 iterations does not show in samples.
    with warnings.catch_warnings(action="ignore", category=sklearn.exceptions.ConvergenceWarning):
        mixture.fit(np.resize(standard, (max(2, len(standard)), z.shape[1])))  # a single code is taken twice
    return Fitted(mean, scale, mixture)


def principal_axes(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Computes the mean of codes [N, D], ascending variances float64[D], and their axes float64[D, D] as columns."""
    mean, covariance = moments(codes)
    variances, axes = np.linalg.eigh(covariance)
    return mean, np.maximum(variances, 0), axes  # rounding may push a variance of 0 below it


def decode_shrunk(run: TrainedRun, z: np.ndarray, image_shape: tuple[int, ...]) -> np.ndarray:
    """Decodes codes float[N, D] of a run on images of this shape to what a judge sees of them, float32[N, h, w].

    That is everything, unless the images are so large that it averages them over blocks, as is done here first.
    """
    shrunk: np.ndarray = in_chunks(lambda part: recipe.shrunk(run.decode(part)), z, image_shape)
    return shrunk


def midpoints(codes: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Returns the points halfway between random pairs of codes float[N, D]: float64[count, D]."""
    start = random.integers(len(codes), size=count)
    end = (start + random.integers(1, max(2, len(codes)), size=count)) % len(codes)  # another one
    return (codes[start] + codes[end]) / 2


class Reference(NamedTuple):
    """The test images that samples are compared with, in features."""

    moments: tuple[np.ndarray, np.ndarray]
    points: np.ndarray  # float32[N, F], at most NEIGHBOUR_IMAGES
    radii: np.ndarray  # float64[N], squared distances to the nearest other ones

    @classmethod
    def of(cls, features: np.ndarray) -> "Reference | None":
        """Takes features float32[R, F]; None if they are too few for neighbours."""
        if len(features) <= NEIGHBOURS:
            return None
        points = subset(features, NEIGHBOUR_IMAGES)
        return cls(moments(features), points, squared_radii(points))


@threadpool_limits.wrap(limits=1)  # on matrices this small, threads mostly wait for each other
@np.errstate(all="ignore")  # decodes of a bad run may not be finite
def evaluate_samples(
    run: TrainedRun, dataset: Dataset, judge: Judge, samplers: dict[str, np.ndarray]
) -> dict[str, float]:
    """Compares the decodes of each sampler's codes float32[M, D] with at most 10,000 test images.

    A number is NaN if a pixel is not finite or there are too few images. `frechet_floor` is the distance of M training
    images from the test images, which no sampler is expected to beat. A gap is what a sampler loses beside the codes
    themselves.
    """
    shape = dataset.test.images.shape[1:]
    images = subset(dataset.test.images, limit(MAX_IMAGES, shape))
    features = judge.features(images / np.float32(255))
    reference = Reference.of(features)
    numbers = {
        "classifier_accuracy": judge.accuracy,
        "frechet_floor": _floor(features, dataset, judge, samplers),
    }
    codes = run.encode(images).mean.astype(np.float64)
    own = _implausible(judge, decode_shrunk(run, codes, shape))
    middle = midpoints(codes, limit(NUM_PAIRS, shape), np.random.default_rng(0))
    between = _implausible(judge, decode_shrunk(run, middle, shape))
    numbers |= {"reconstruction_implausible": own, "midpoint_implausible": between}
    numbers["midpoint_implausible_excess"] = between - own
    for sampler, z in samplers.items():  # decodes of one at a time, which bounds the memory
        measured = _compare(reference, judge, decode_shrunk(run, z, shape))
        numbers |= {f"{sampler}_{name}": value for name, value in measured.items()}
    for sampler in GAPS:
        numbers[f"{sampler}_gap"] = numbers[f"{sampler}_frechet"] - numbers["aggregate_frechet"]
    return numbers


def _floor(features: np.ndarray, dataset: Dataset, judge: Judge, samplers: dict[str, np.ndarray]) -> float:
    """The Fréchet distance of as many training images as there are samples."""
    num_samples = max(len(z) for z in samplers.values())
    others = judge.features(subset(dataset.train.images, num_samples) / np.float32(255))
    return frechet_distance(features, others) if min(len(features), len(others)) > 1 else math.nan


def _implausible(judge: Judge, images: np.ndarray) -> float:
    """The share of images that are implausible; NaN if a pixel is not finite."""
    return judge.implausible(images) if np.isfinite(images).all() else math.nan


def _compare(reference: Reference | None, judge: Judge, images: np.ndarray) -> dict[str, float]:
    """The numbers of one sampler's images."""
    features, scores = judge.look(images)
    is_finite = bool(np.isfinite(images).all())
    rejected = float(np.mean(scores < judge.threshold)) if is_finite else math.nan
    numbers = {"frechet": math.nan, "coverage": math.nan, "implausible": rejected}
    if reference is not None and len(features) > 1 and is_finite and np.isfinite(features).all():
        numbers["frechet"] = frechet_from_moments(*reference.moments, *moments(features))
        numbers["coverage"] = coverage(reference.points, reference.radii, subset(features, NEIGHBOUR_IMAGES))
    return numbers
