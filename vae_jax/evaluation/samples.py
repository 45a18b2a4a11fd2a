"""What a trained run samples: four ways to draw latent codes, and how their images compare with the test images.

An AE has no prior, so codes from N(0, I) ask its decoder for something it was not trained for. Three more samplers show
what the decoder can do: a Gaussian and a mixture fitted to the codes, and the codes themselves, which are the ceiling.

Decoders blur, and a blurred image may be judged to show nothing. So the share of implausible samples is stated beside
that of the run's own reconstructions, and their difference, the excess, is what compares runs.

References:
    Ghosh et al. 2020, "From Variational to Deterministic Autoencoders" (arXiv:1903.12436), ex-post density estimation.
"""

import math
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import sklearn.exceptions
import sklearn.mixture
from threadpoolctl import threadpool_limits

from vae_jax.data import Dataset
from vae_jax.evaluation import recipe
from vae_jax.evaluation.classifier import Classifier
from vae_jax.evaluation.distances import (
    DENSITY_K,
    PRECISION_K,
    KernelSums,
    Neighbours,
    frechet_distance,
    frechet_from_moments,
    kid,
    moments,
    precision_recall_density_coverage,
)
from vae_jax.evaluation.plausibility import Plausibility
from vae_jax.evaluation.subsets import MAX_IMAGES, limit, subset
from vae_jax.runs import TrainedRun, in_chunks

NUM_COMPONENTS = 10  # of the mixture, as in Ghosh et al. 2020
MIXTURE_CODES = 5_000  # the mixture is fitted to, at most
FULL_DIMS = 128  # latent dimensions up to which the mixture has full covariances
NEIGHBOUR_IMAGES = 2_000  # of each side that are compared in pairs, at most
KID_IMAGES = 5_000  # the same, for the kernel distance
NUM_PAIRS = 1_000  # of test images, between whose codes the midpoints lie, at most

Numbers = dict[str, float | None]


@threadpool_limits.wrap(limits=1)  # on matrices this small, threads mostly wait for each other
@np.errstate(all="ignore")  # codes of a bad run may overflow; the draws are then not finite
def draw_samplers(run: TrainedRun, train_images: np.ndarray, num_samples: int, seed: int) -> dict[str, np.ndarray]:
    """Draws latent codes in four ways, in random order, float32[num_samples, D] each.

    - `prior`: N(0, I).
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
        draws["gaussian"] = _draw_gaussian(z, num_samples, random["gaussian"])
        draws["mixture"] = _draw_mixture(z, num_samples, random["mixture"])
        draws["aggregate"] = z[random["aggregate"].choice(len(z), num_samples, replace=num_samples > len(z))]
    else:
        draws |= {name: np.full(shape, np.nan) for name in ("gaussian", "mixture", "aggregate")}
    return {name: draw.astype(np.float32) for name, draw in draws.items()}


def codes_to_fit(
    run: TrainedRun, train_images: np.ndarray, seed: int
) -> tuple[np.ndarray, dict[str, np.random.Generator]]:
    """Draws the codes that samplers are fitted to, z float64[N, D] of at most 10,000 of the images uint8[N, H, W].

    Returns:
        The codes, and the random numbers of each sampler by its name.
    """
    names = ("prior", "gaussian", "mixture", "aggregate")
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
    if fitted.mixture is None:
        return np.tile(fitted.mean, (num_samples, 1))
    draws, _ = fitted.mixture.sample(num_samples)
    return fitted.mean + fitted.scale * random.permutation(draws)  # scikit-learn sorts them by component


class Fitted(NamedTuple):
    """A mixture of Gaussians, fitted to codes in standard deviations of each dimension."""

    mean: np.ndarray  # float64[D], of the codes
    scale: np.ndarray  # float64[D], their standard deviation
    mixture: sklearn.mixture.GaussianMixture | None  # of (codes - mean) / scale; None if all codes are one point


def fit_mixture(z: np.ndarray, random: np.random.Generator) -> Fitted:
    """Fits 10 Gaussians, of full covariances up to `FULL_DIMS` dimensions, to at most 5,000 of the codes [N, D]."""
    z = z[random.choice(len(z), min(len(z), MIXTURE_CODES), replace=False)]
    # In standard deviations of each dimension, one ridge fits all; a collapsed dimension keeps its only value.
    mean, scale = z.mean(axis=0), z.std(axis=0)
    standard = (z - mean) / np.where(scale > 0, scale, 1)
    distinct = len(np.unique(standard, axis=0))
    if distinct == 1:
        return Fitted(mean, scale, None)
    mixture = sklearn.mixture.GaussianMixture(
        min(NUM_COMPONENTS, distinct),
        covariance_type="full" if z.shape[1] <= FULL_DIMS else "diag",
        reg_covar=1e-6,
        random_state=np.random.RandomState(random.integers(2**32)),
    )
    # What EM gains after 100 iterations does not show in samples.
    with warnings.catch_warnings(action="ignore", category=sklearn.exceptions.ConvergenceWarning):
        mixture.fit(standard)
    return Fitted(mean, scale, mixture)


def principal_axes(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Computes the mean of codes [N, D], ascending variances float64[D], and their axes float64[D, D] as columns."""
    mean, covariance = moments(codes)
    variances, axes = np.linalg.eigh(covariance)
    return mean, np.maximum(variances, 0), axes  # rounding may push a variance of 0 below it


def decode_shrunk(run: TrainedRun, z: np.ndarray, image_shape: tuple[int, ...]) -> np.ndarray:
    """Decodes codes float[N, D] of a run on images [H, W] to what classifiers and judges see of them, float32[N, h, w].

    That is everything, unless the images are so large that these average them over blocks, as is done here first.
    """
    shrunk: np.ndarray = in_chunks(lambda part: recipe.shrunk(run.decode(part)), z, image_shape)
    return shrunk


def confidence(probabilities: np.ndarray) -> float:
    """Computes the mean largest of [N, C] class probabilities; near 1 if every image clearly shows a class."""
    return float(probabilities.max(axis=1).mean(dtype=np.float64))


def class_entropy(probabilities: np.ndarray) -> float:
    """Computes the entropy of the predicted classes in nats from [N, C] probabilities; log C if all are as frequent."""
    shares = np.bincount(probabilities.argmax(axis=1)) / len(probabilities)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum() + 0.0)  # + 0.0 turns the -0 of a single class into 0


def midpoints(codes: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Returns the points halfway between random pairs of codes float[N, D]: float64[count, D]."""
    start = random.integers(len(codes), size=count)
    end = (start + random.integers(1, max(2, len(codes)), size=count)) % len(codes)  # another one
    return (codes[start] + codes[end]) / 2


class Reference(NamedTuple):
    """The test images that samples are compared with, in features."""

    moments: tuple[np.ndarray, np.ndarray]
    neighbours: Neighbours  # at most NEIGHBOUR_IMAGES
    kernel: KernelSums  # at most KID_IMAGES

    @classmethod
    def of(cls, features: np.ndarray) -> "Reference | None":
        """Takes features float32[R, F]; None if they are too few for neighbours."""
        if len(features) <= max(PRECISION_K, DENSITY_K):
            return None
        near = Neighbours.of(subset(features, NEIGHBOUR_IMAGES))
        return cls(moments(features), near, KernelSums.of(subset(features, KID_IMAGES)))


@threadpool_limits.wrap(limits=1)  # on matrices this small, threads mostly wait for each other
@np.errstate(all="ignore")  # decodes of a bad run may not be finite
def evaluate_samples(
    run: TrainedRun, dataset: Dataset, classifier: Classifier, judge: Plausibility, samplers: dict[str, np.ndarray]
) -> Numbers:
    """Compares the decodes of each sampler's codes float32[M, D] with at most 10,000 test images.

    A number is None if a pixel is not finite or there are too few images. `frechet_floor` is the distance of M training
    images from the test images, which no sampler is expected to beat.
    """
    shape = dataset.test.images.shape[1:]
    images = subset(dataset.test.images, limit(MAX_IMAGES, shape))
    features = classifier.predict(images / np.float32(255))[0]
    reference, floor = Reference.of(features), _floor(features, dataset, classifier, samplers)
    numbers: Numbers = {"classifier_accuracy": classifier.accuracy, "frechet_floor": floor}
    codes = run.encode(images).mean.astype(np.float64)
    own = _Share.of(judge, decode_shrunk(run, codes, shape))
    numbers |= own.named("reconstruction_implausible")
    middle = midpoints(codes, limit(NUM_PAIRS, shape), np.random.default_rng(0))

    def look(z: np.ndarray) -> tuple[_Share, tuple[np.ndarray, np.ndarray]]:
        decoded = decode_shrunk(run, z, shape)
        return _Share.of(judge, decoded), classifier.predict(decoded)  # on the device of this thread

    predicted = []
    for name, z in {"midpoint": middle, **samplers}.items():  # decodes of one at a time, which bounds the memory
        share, found = look(z)
        numbers |= share.named(f"{name}_implausible") | (share - own).named(f"{name}_implausible_excess")
        if name in samplers:
            predicted.append(found)
    with ThreadPoolExecutor(len(samplers)) as pool:
        compared = pool.map(lambda found: _compare(reference, floor, *found), predicted)
        for sampler, measured in zip(samplers, compared, strict=True):
            numbers |= {f"{sampler}_{name}": value for name, value in measured.items()}
    return numbers


def _floor(
    features: np.ndarray, dataset: Dataset, classifier: Classifier, samplers: dict[str, np.ndarray]
) -> float | None:
    """The Fréchet distance of as many training images as there are samples."""
    num_samples = max(len(z) for z in samplers.values())
    others, _ = classifier.predict(subset(dataset.train.images, num_samples) / np.float32(255))
    if min(len(features), len(others)) < 2:
        return None
    return frechet_distance(features, others)


class _Share(NamedTuple):
    """A share of images, or a difference of two, with its standard error; None if a pixel is not finite."""

    value: float | None
    error: float | None

    @classmethod
    def of(cls, judge: Plausibility, images: np.ndarray) -> "_Share":
        """The share of images that are implausible."""
        if not np.isfinite(images).all():
            return cls(None, None)
        share = judge.implausible(images)
        return cls(share, math.sqrt(share * (1 - share) / len(images)))

    def __sub__(self, other: "_Share") -> "_Share":
        if self.value is None or self.error is None or other.value is None or other.error is None:
            return _Share(None, None)
        return _Share(self.value - other.value, math.hypot(self.error, other.error))

    def named(self, name: str) -> Numbers:
        return {name: self.value, f"{name}_error": self.error}


@np.errstate(all="ignore")  # of this thread
def _compare(
    reference: Reference | None, floor: float | None, features: np.ndarray, probabilities: np.ndarray
) -> Numbers:
    """The numbers of one sampler."""
    names = (
        "frechet", "frechet_relative", "frechet_over_floor", "kid", "kid_error", "precision", "recall", "density",
        "coverage", "confidence", "class_entropy",
    )  # fmt: skip
    if reference is None or len(features) <= max(PRECISION_K, DENSITY_K) or not np.isfinite(features).all():
        return dict.fromkeys(names)
    distance = frechet_from_moments(*reference.moments, *moments(features))
    values = (
        distance, _ratio(distance, float(np.trace(reference.moments[1]))), _ratio(distance, floor),
        *_kid(reference.kernel, subset(features, KID_IMAGES)),
        *precision_recall_density_coverage(reference.neighbours, Neighbours.of(subset(features, NEIGHBOUR_IMAGES))),
        confidence(probabilities), class_entropy(probabilities),
    )  # fmt: skip
    return dict(zip(names, values, strict=True))


def _kid(real: KernelSums, features: np.ndarray) -> tuple[float, float]:
    num_blocks = min(len(real.blocks), len(features))
    if num_blocks < len(real.blocks):
        real = KernelSums.of(np.concatenate(real.blocks), num_blocks)
    return kid(real, KernelSums.of(features, num_blocks))


def _ratio(value: float, unit: float | None) -> float | None:
    return value / unit if unit else None
