"""What a trained run draws: four ways to choose latent codes, and how their images compare with the test images.

An AE has no prior, so to decode N(0, I) is to ask it for what it never promised. Three more samplers tell what its
decoder could do: a Gaussian and a mixture fitted to the codes, and the codes themselves, which are the ceiling.

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
from vae_jax.runs import TrainedRun

NUM_COMPONENTS = 10  # of the mixture, as in Ghosh et al. 2020
MIXTURE_CODES = 5_000  # that the mixture is fitted to, at most
NEIGHBOUR_IMAGES = 2_000  # of each side that are compared pair by pair, at most
PRECISION_K, DENSITY_K = 3, 5  # neighbours that make a radius, as their papers recommend
ROWS = 1_000  # of a distance matrix at once
# Of a squared radius, from which on a point is at the radius: a copy of the neighbour that makes the radius is so, and
# not inside by how a matrix product on this machine rounds, which float64 leaves far below that.
AT_RADIUS = 1 - 1e-10

Numbers = dict[str, float | str | None]


@threadpool_limits.wrap(limits=1)  # the matrices are small: threads wait for each other, ten times as long
def draw_samplers(run: TrainedRun, train_images: np.ndarray, num_samples: int, seed: int) -> dict[str, np.ndarray]:
    """Latent codes drawn in four ways, in random order, float32[num_samples, D] each.

    - `prior`: N(0, I).
    - `gaussian`: a Gaussian with the mean and full covariance of the codes of the train images.
    - `mixture`: 10 Gaussians with full covariances, fitted to up to 5,000 of those codes.
    - `aggregate`: codes of train images, whose decodes are reconstructions.

    The code of an image is z ~ q(z | x) for a VAE and the point that it is encoded to for an AE. Codes that are not
    finite, as a diverged run has them, make all but `prior` NaN.

    Args:
        run: trained.
        train_images: uint8[N, H, W], at least 2.
        num_samples: M, of each sampler.
        seed: of all that is drawn.
    """
    codes_random, *randoms = np.random.default_rng(seed).spawn(5)
    z = _codes(run, train_images, codes_random).astype(np.float64)
    shape = (num_samples, z.shape[1])
    draws = {"prior": randoms[0].standard_normal(shape)}
    if np.isfinite(z).all():
        draws["gaussian"] = _draw_gaussian(z, num_samples, randoms[1])
        draws["mixture"] = _draw_mixture(z, num_samples, randoms[2])
        draws["aggregate"] = z[randoms[3].choice(len(z), num_samples, replace=num_samples > len(z))]
    else:
        draws |= {name: np.full(shape, np.nan) for name in ("gaussian", "mixture", "aggregate")}
    return {name: draw.astype(np.float32) for name, draw in draws.items()}


def _codes(run: TrainedRun, images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A code of each image, float32[N, D]."""
    mean, logvar = run.encode(images)
    if logvar is None:
        return mean
    eps = random.standard_normal(mean.shape, np.float32)
    with np.errstate(over="ignore"):  # a diverged run's standard deviations may be infinite
        return mean + np.exp(logvar / 2) * eps


def _draw_gaussian(z: np.ndarray, num_samples: int, random: np.random.Generator) -> np.ndarray:
    mean, covariance = moments(z)
    variances, axes = np.linalg.eigh(covariance)
    # A collapsed dimension has variance 0, which rounding may push below.
    scales = np.sqrt(np.maximum(variances, 0))
    return mean + (random.standard_normal((num_samples, z.shape[1])) * scales) @ axes.T


def _draw_mixture(z: np.ndarray, num_samples: int, random: np.random.Generator) -> np.ndarray:
    z = z[random.choice(len(z), min(len(z), MIXTURE_CODES), replace=False)]
    # In units of each dimension's standard deviation one ridge fits all; a collapsed one keeps its only value.
    mean, scale = z.mean(axis=0), z.std(axis=0)
    standard = (z - mean) / np.where(scale > 0, scale, 1)
    mixture = sklearn.mixture.GaussianMixture(
        min(NUM_COMPONENTS, len(np.unique(standard, axis=0))),
        reg_covar=1e-6,
        random_state=np.random.RandomState(random.integers(2**32)),
    )
    with warnings.catch_warnings():
        # After 100 iterations of EM what is left to gain does not show in samples.
        warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
        mixture.fit(standard)
    draws, _ = mixture.sample(num_samples)
    return mean + scale * random.permutation(draws)  # they come sorted by component


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean float64[F] and unbiased covariance float64[F, F] of [N, F] features, N at least 2."""
    features = np.asarray(features, np.float64)
    return features.mean(axis=0), np.cov(features, rowvar=False).reshape(features.shape[1], -1)


def frechet_distance(features_a: np.ndarray, features_b: np.ndarray) -> float:
    """Squared Fréchet distance between Gaussians with the moments of [N, F] and [M, F] features.

    It grows as N and M shrink: compare only what has as many images.
    """
    return frechet_from_moments(*moments(features_a), *moments(features_b))


def frechet_from_moments(
    mean_a: np.ndarray, covariance_a: np.ndarray, mean_b: np.ndarray, covariance_b: np.ndarray
) -> float:
    """|μa − μb|² + tr(Σa + Σb − 2 (Σa Σb)^½), of means [F] and covariances [F, F].

    The eigenvalues of Σa Σb are those of the symmetric Σa^½ Σb Σa^½, the squared singular values of Σb^½ Σa^½: taken
    as such they are never complex, nor are they squared before their root is drawn, which would cost half the digits.
    """
    singular_values = np.linalg.svd(_half(covariance_b).T @ _half(covariance_a), compute_uv=False)
    spread = np.trace(covariance_a) + np.trace(covariance_b) - 2 * singular_values.sum()
    return max(0.0, float(np.square(mean_a - mean_b).sum() + spread))


def _half(covariance: np.ndarray) -> np.ndarray:
    """A factor H with H Hᵀ = Σ: Σ^½ but for a rotation, which changes no singular value."""
    variances, axes = np.linalg.eigh(covariance)
    return axes * np.sqrt(np.maximum(variances, 0))


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = PRECISION_K) -> tuple[float, float]:
    """Share of fakes within the k-neighbour ball of a real one, and of real ones within that of a fake.

    Args:
        real: features [N, F], N > k.
        fake: features [M, F], M > k.
        k: neighbours whose farthest is the ball's radius.
    """
    precision = _inside(fake, real, _squared_radii(real, k)).any(axis=1).mean()
    recall = _inside(real, fake, _squared_radii(fake, k)).any(axis=1).mean()
    return float(precision), float(recall)


def density_coverage(real: np.ndarray, fake: np.ndarray, k: int = DENSITY_K) -> tuple[float, float]:
    """Real k-neighbour balls around a fake, over k, in the mean; and share of real balls with a fake in them.

    Density is about 1 for fakes like the real ones, and may be more; arguments as in `precision_recall`.
    """
    inside = _inside(fake, real, _squared_radii(real, k))
    return float(inside.sum(axis=1).mean() / k), float(inside.any(axis=0).mean())


def _inside(points: np.ndarray, centres: np.ndarray, squared_radii: np.ndarray) -> np.ndarray:
    """Whether each point is nearer to each centre than its radius, bool[P, C]; at the radius is outside."""
    return np.concatenate([rows < AT_RADIUS * squared_radii for rows in _squared_distances(points, centres)])


def _squared_radii(points: np.ndarray, k: int) -> np.ndarray:
    """Squared distance of each point to its k-th nearest other, float64[P]."""
    if len(points) <= k:
        raise ValueError(f"{len(points)} points have no {k}-th nearest neighbour")
    # The nearest of all is the point itself, at 0.
    return np.concatenate([np.partition(rows, k, axis=1)[:, k] for rows in _squared_distances(points, points)])


def _squared_distances(a: np.ndarray, b: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of the float64[A, B] matrix of squared distances, some at a time."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    norms_b = np.square(b).sum(axis=1)
    for start in range(0, len(a), ROWS):
        rows = a[start : start + ROWS]
        norms = np.square(rows).sum(axis=1)[:, None] + norms_b
        squared = norms - 2 * rows @ b.T
        # What float32 features cannot tell apart is one point: else copies of an image would lie some 1e-7 away.
        yield np.where(squared > 1e-13 * norms, squared, 0)


def confidence(probabilities: np.ndarray) -> float:
    """Mean over [N, C] probabilities of the largest: near 1 where every image is clearly of a class."""
    return float(probabilities.max(axis=1).mean(dtype=np.float64))


def class_entropy(probabilities: np.ndarray) -> float:
    """Entropy in nats of the shares of the predicted classes, of [N, C] probabilities; log C where all are equal."""
    shares = np.bincount(probabilities.argmax(axis=1)) / len(probabilities)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum() + 0.0)  # + 0.0: one class alone would have -0


@threadpool_limits.wrap(limits=1)  # the matrices are small: threads wait for each other, ten times as long
def evaluate_samples(
    run: TrainedRun, dataset: Dataset, classifier: Classifier, samplers: dict[str, np.ndarray]
) -> Numbers:
    """Compares the decodes of each sampler's codes with the test images, in the classifier's features.

    Args:
        run: trained.
        dataset: whose test split is the reference.
        classifier: of this data set.
        samplers: codes float32[M, D] by name.

    Returns:
        `<sampler>_frechet`, `_precision`, `_recall`, `_density`, `_coverage`, `_confidence`, `_class_entropy` (nats),
        each None where a pixel is not finite or there are too few images for it; `frechet_floor`, the distance of M
        train images from the test images, below which no sampler need go; `classifier_accuracy` on test, and
        `classifier_digest`: Fréchet distances are comparable only where it is the same.
    """
    reference, _ = classifier.predict(dataset.test.images / np.float32(255))
    num_floor = max(len(z) for z in samplers.values())
    floor, _ = classifier.predict(_subset(dataset.train.images, num_floor) / np.float32(255))
    numbers: Numbers = {
        "classifier_accuracy": classifier.accuracy,
        "classifier_digest": classifier.digest,
        "frechet_floor": frechet_distance(reference, floor) if min(len(reference), len(floor)) > 1 else None,
    }
    for name, z in samplers.items():
        measured = _compare(reference, *classifier.predict(run.decode(z)))
        numbers |= {f"{name}_{number}": value for number, value in measured.items()}
    return numbers


def _compare(reference: np.ndarray, features: np.ndarray, probabilities: np.ndarray) -> dict[str, float | None]:
    """The numbers of one sampler, without its name."""
    names = ("frechet", "precision", "recall", "density", "coverage", "confidence", "class_entropy")
    if min(len(reference), len(features)) <= max(PRECISION_K, DENSITY_K) or not np.isfinite(features).all():
        return dict.fromkeys(names)
    real, fake = _subset(reference, NEIGHBOUR_IMAGES), _subset(features, NEIGHBOUR_IMAGES)
    neighbours = (*precision_recall(real, fake), *density_coverage(real, fake))
    frechet = frechet_distance(reference, features)
    return dict(
        zip(names, (frechet, *neighbours, confidence(probabilities), class_entropy(probabilities)), strict=True)
    )


def _subset(rows: np.ndarray, size: int) -> np.ndarray:
    """Up to so many rows, drawn at random but always the same: a data set's first half need not be like its second."""
    if len(rows) <= size:
        return rows
    return rows[np.random.default_rng(0).permutation(len(rows))[:size]]
