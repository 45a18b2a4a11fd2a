"""What a trained run samples: four ways to draw latent codes, and how their images compare with the test images.

An AE has no prior, so codes from N(0, I) ask its decoder for something it was not trained for. Three more samplers show
what the decoder can do: a Gaussian and a mixture fitted to the codes, and the codes themselves, which are the ceiling.

References:
    Ghosh et al. 2020, "From Variational to Deterministic Autoencoders" (arXiv:1903.12436), ex-post density estimation.
    Dowson & Landau 1982, "The Fréchet distance between multivariate normal distributions".
    Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule…" (arXiv:1706.08500), the distance on features.
    Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric…" (arXiv:1904.06991).
    Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics…" (arXiv:2002.09797), density and coverage.
"""

import warnings
from collections.abc import Iterator

import numpy as np
import sklearn.exceptions
import sklearn.mixture
from threadpoolctl import threadpool_limits

from vae_jax.data import Dataset
from vae_jax.evaluation.classifier import Classifier
from vae_jax.evaluation.subsets import MAX_IMAGES, chunks, limit, subset
from vae_jax.runs import TrainedRun

NUM_COMPONENTS = 10  # of the mixture, as in Ghosh et al. 2020
MIXTURE_CODES = 5_000  # the mixture is fitted to, at most
FULL_DIMS = 128  # latent dimensions up to which the mixture has full covariances
NEIGHBOUR_IMAGES = 2_000  # of each side that are compared in pairs, at most
PRECISION_K, DENSITY_K = 3, 5  # neighbours that make a radius, as their papers recommend
ROWS = 1_000  # of a distance matrix at once
# Share of a squared radius at which a point counts as on the radius: rounding of matrix products must not put a copy of
# the neighbour that makes the radius inside.
AT_RADIUS = 1 - 1e-10

Numbers = dict[str, float | str | None]


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
    train_images = subset(train_images, limit(MAX_IMAGES, train_images.shape[1:]))
    codes_random, *randoms = np.random.default_rng(seed).spawn(5)
    mean, logvar = run.encode(train_images)
    if logvar is not None:
        mean = mean + np.exp(logvar / 2) * codes_random.standard_normal(mean.shape, np.float32)
    z = mean.astype(np.float64)
    shape = (num_samples, z.shape[1])
    draws = {"prior": randoms[0].standard_normal(shape)}
    if np.isfinite(z).all():
        draws["gaussian"] = _draw_gaussian(z, num_samples, randoms[1])
        draws["mixture"] = _draw_mixture(z, num_samples, randoms[2])
        draws["aggregate"] = z[randoms[3].choice(len(z), num_samples, replace=num_samples > len(z))]
    else:
        draws |= {name: np.full(shape, np.nan) for name in ("gaussian", "mixture", "aggregate")}
    return {name: draw.astype(np.float32) for name, draw in draws.items()}


def _draw_gaussian(z: np.ndarray, num_samples: int, random: np.random.Generator) -> np.ndarray:
    mean, variances, axes = principal_axes(z)
    return mean + (random.standard_normal((num_samples, z.shape[1])) * np.sqrt(variances)) @ axes.T


def _draw_mixture(z: np.ndarray, num_samples: int, random: np.random.Generator) -> np.ndarray:
    z = z[random.choice(len(z), min(len(z), MIXTURE_CODES), replace=False)]
    # In standard deviations of each dimension, one ridge fits all; a collapsed dimension keeps its only value.
    mean, scale = z.mean(axis=0), z.std(axis=0)
    standard = (z - mean) / np.where(scale > 0, scale, 1)
    distinct = len(np.unique(standard, axis=0))
    if distinct == 1:
        return np.tile(mean, (num_samples, 1))
    mixture = sklearn.mixture.GaussianMixture(
        min(NUM_COMPONENTS, distinct),
        covariance_type="full" if z.shape[1] <= FULL_DIMS else "diag",
        reg_covar=1e-6,
        random_state=np.random.RandomState(random.integers(2**32)),
    )
    # What EM gains after 100 iterations does not show in samples.
    with warnings.catch_warnings(action="ignore", category=sklearn.exceptions.ConvergenceWarning):
        mixture.fit(standard)
    draws, _ = mixture.sample(num_samples)
    return mean + scale * random.permutation(draws)  # scikit-learn sorts them by component


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes the mean float64[F] and unbiased covariance float64[F, F] of [N, F] features; 0 for a single one."""
    features = np.asarray(features, np.float64)
    size = features.shape[1]
    covariance = np.cov(features, rowvar=False) if len(features) > 1 else np.zeros((size, size))
    return features.mean(axis=0), covariance.reshape(size, size)


def principal_axes(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Computes the mean of codes [N, D], ascending variances float64[D], and their axes float64[D, D] as columns."""
    mean, covariance = moments(codes)
    variances, axes = np.linalg.eigh(covariance)
    return mean, np.maximum(variances, 0), axes  # rounding may push a variance of 0 below it


def frechet_distance(features_a: np.ndarray, features_b: np.ndarray) -> float:
    """Computes the squared Fréchet distance between Gaussians with the moments of [N, F] and [M, F] features.

    It grows as N and M shrink, so only distances of equally many images compare.
    """
    return frechet_from_moments(*moments(features_a), *moments(features_b))


def frechet_from_moments(
    mean_a: np.ndarray, covariance_a: np.ndarray, mean_b: np.ndarray, covariance_b: np.ndarray
) -> float:
    """Computes |μa − μb|² + tr(Σa + Σb − 2 (Σa Σb)^½) from means [F] and covariances [F, F].

    The eigenvalues of Σa Σb are those of the symmetric Σa^½ Σb Σa^½, the squared singular values of Σb^½ Σa^½. Computed
    as singular values they are never complex, and no square root costs half of their digits.
    """
    singular_values = np.linalg.svd(_half(covariance_b).T @ _half(covariance_a), compute_uv=False)
    spread = np.trace(covariance_a) + np.trace(covariance_b) - 2 * singular_values.sum()
    return max(0.0, float(np.square(mean_a - mean_b).sum() + spread))


def _half(covariance: np.ndarray) -> np.ndarray:
    """A factor H with H Hᵀ = Σ, which is Σ^½ up to a rotation; a rotation changes no singular value."""
    variances, axes = np.linalg.eigh(covariance)
    return axes * np.sqrt(np.maximum(variances, 0))


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = PRECISION_K) -> tuple[float, float]:
    """Computes the share of fakes in the k-neighbour ball of a real one, and of real ones in the ball of a fake.

    The radius of a ball is the distance to the k-th nearest of its own set. Features are [N, F] and [M, F]; N, M > k.
    """
    precision = _inside(fake, real, _squared_radii(real, k)).any(axis=1).mean()
    recall = _inside(real, fake, _squared_radii(fake, k)).any(axis=1).mean()
    return float(precision), float(recall)


def density_coverage(real: np.ndarray, fake: np.ndarray, k: int = DENSITY_K) -> tuple[float, float]:
    """Computes the mean number of real k-neighbour balls around a fake over k, and the share of balls with a fake.

    Density is about 1 for fakes like the real ones and may exceed it; for balls and features see `precision_recall`.
    """
    inside = _inside(fake, real, _squared_radii(real, k))
    return float(inside.sum(axis=1).mean() / k), float(inside.any(axis=0).mean())


def _inside(points: np.ndarray, centres: np.ndarray, squared_radii: np.ndarray) -> np.ndarray:
    """Whether each point is nearer to each centre than its radius, bool[P, C]; a point on the radius is outside."""
    return np.concatenate([rows < AT_RADIUS * squared_radii for rows in _squared_distances(points, centres)])


def _squared_radii(points: np.ndarray, k: int) -> np.ndarray:
    """Squared distance of each point to its k-th nearest other, float64[P]."""
    if len(points) <= k:
        raise ValueError(f"{len(points)} points have no {k}-th nearest neighbour")
    # The nearest is the point itself, at distance 0.
    return np.concatenate([np.partition(rows, k, axis=1)[:, k] for rows in _squared_distances(points, points)])


def _squared_distances(a: np.ndarray, b: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of the float64[A, B] matrix of squared distances, some at a time."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    norms_b = np.square(b).sum(axis=1)
    for rows in chunks(a, ROWS):
        norms = np.square(rows).sum(axis=1)[:, None] + norms_b
        squared = norms - 2 * rows @ b.T
        # Points that float32 features cannot tell apart are one; otherwise copies of an image would lie 1e-7 apart.
        yield np.where(squared > 1e-13 * norms, squared, 0)


def confidence(probabilities: np.ndarray) -> float:
    """Computes the mean largest of [N, C] class probabilities; near 1 if every image clearly shows a class."""
    return float(probabilities.max(axis=1).mean(dtype=np.float64))


def class_entropy(probabilities: np.ndarray) -> float:
    """Computes the entropy of the predicted classes in nats from [N, C] probabilities; log C if all are as frequent."""
    shares = np.bincount(probabilities.argmax(axis=1)) / len(probabilities)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum() + 0.0)  # + 0.0 turns the -0 of a single class into 0


@threadpool_limits.wrap(limits=1)  # on matrices this small, threads mostly wait for each other
@np.errstate(all="ignore")  # decodes of a bad run may not be finite
def evaluate_samples(
    run: TrainedRun, dataset: Dataset, classifier: Classifier, samplers: dict[str, np.ndarray]
) -> Numbers:
    """Compares the decodes of each sampler's codes float32[M, D] with at most 10,000 test images, in features.

    A sampler has seven numbers, each None if a pixel is not finite or there are too few images. `frechet_floor` is the
    distance of M training images from the test images, which no sampler is expected to beat. `classifier_digest` is
    there because only Fréchet distances of one classifier compare.
    """
    shape = dataset.test.images.shape[1:]
    reference, _ = classifier.predict(subset(dataset.test.images, limit(MAX_IMAGES, shape)) / np.float32(255))
    num_floor = max(len(z) for z in samplers.values())
    floor, _ = classifier.predict(subset(dataset.train.images, num_floor) / np.float32(255))
    numbers: Numbers = {"classifier_accuracy": classifier.accuracy, "classifier_digest": classifier.digest}
    numbers["frechet_floor"] = frechet_distance(reference, floor) if min(len(reference), len(floor)) > 1 else None
    for sampler, z in samplers.items():
        measured = _compare(reference, *classifier.predict(run.decode(z)))
        numbers |= {f"{sampler}_{name}": value for name, value in measured.items()}
    return numbers


def _compare(reference: np.ndarray, features: np.ndarray, probabilities: np.ndarray) -> dict[str, float | None]:
    """The numbers of one sampler."""
    names = ("frechet", "precision", "recall", "density", "coverage", "confidence", "class_entropy")
    if min(len(reference), len(features)) <= max(PRECISION_K, DENSITY_K) or not np.isfinite(features).all():
        return dict.fromkeys(names)
    real, fake = subset(reference, NEIGHBOUR_IMAGES), subset(features, NEIGHBOUR_IMAGES)
    of_features = frechet_distance(reference, features), *precision_recall(real, fake), *density_coverage(real, fake)
    of_classes = confidence(probabilities), class_entropy(probabilities)
    return dict(zip(names, of_features + of_classes, strict=True))
