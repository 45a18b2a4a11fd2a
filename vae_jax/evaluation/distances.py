"""How far one set of images is from another, in features: Fréchet and kernel distances, precision, recall and kin.

References:
    Dowson & Landau 1982, "The Fréchet distance between multivariate normal distributions".
    Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule…" (arXiv:1706.08500), the distance on features.
    Bińkowski et al. 2018, "Demystifying MMD GANs" (arXiv:1801.01401), the kernel distance.
    Arvesen 1969, "Jackknifing U-statistics".
    Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric…" (arXiv:1904.06991).
    Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics…" (arXiv:2002.09797), density and coverage.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from vae_jax.evaluation.subsets import chunks

PRECISION_K, DENSITY_K = 3, 5  # neighbours that make a radius, as their papers recommend
KID_BLOCKS = 20  # of images, each left out once for the error of the kernel distance
ROWS = 1_000  # of a distance matrix at once
# Share of a squared radius at which a point counts as on the radius: rounding of matrix products must not put a copy of
# the neighbour that makes the radius inside.
AT_RADIUS = 1 - 1e-10


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes the mean float64[F] and unbiased covariance float64[F, F] of [N, F] features; 0 for a single one."""
    features = np.asarray(features, np.float64)
    size = features.shape[1]
    covariance = np.cov(features, rowvar=False) if len(features) > 1 else np.zeros((size, size))
    return features.mean(axis=0), covariance.reshape(size, size)


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


def kid(real: np.ndarray, fake: np.ndarray, num_blocks: int = KID_BLOCKS) -> tuple[float, float]:
    """Estimates the squared maximum mean discrepancy of [N, F] and [M, F] features, and its standard error.

    The unbiased U-statistic with the kernel (xᵀy / F + 1)³ (Bińkowski et al. 2018, KID): about 0, of either sign, for
    equal distributions, whatever N and M, which are to be at least 3.
    The error is over both sets of images: the
    jackknife that leaves out one of `num_blocks` blocks of each at a time.
    """
    num_blocks = min(num_blocks, len(real), len(fake))
    x, y = (np.array_split(np.asarray(features, np.float64), num_blocks) for features in (real, fake))
    sums = [_kernel_sums(x, x), _kernel_sums(y, y), _kernel_sums(x, y)]
    for within, blocks in zip(sums, (x, y), strict=False):  # a point is not compared with itself
        within[np.diag_indices(num_blocks)] -= [_cubic(np.square(block).mean(axis=1)).sum() for block in blocks]
    whole = _discrepancy(len(real), len(fake), *(part.sum() for part in sums))
    left_out = np.array([[len(block) for block in blocks] for blocks in (x, y)])
    kept = [part.sum() - part.sum(axis=0) - part.sum(axis=1) + np.diag(part) for part in sums]
    without = _discrepancy(len(real) - left_out[0], len(fake) - left_out[1], *kept)
    return float(whole), float(np.sqrt((num_blocks - 1) * np.var(without)))


def _discrepancy(n: Any, m: Any, xx: Any, yy: Any, xy: Any) -> Any:
    """The squared mean discrepancy from sums of the kernel over all pairs of different points."""
    return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)


def _cubic(products: np.ndarray) -> np.ndarray:
    return (products + 1) ** 3


def _kernel_sums(x: list[np.ndarray], y: list[np.ndarray]) -> np.ndarray:
    """The sums of the kernel over all pairs of each two blocks, float64[X, Y]."""
    return np.array([[_cubic(a @ b.T / a.shape[1]).sum() for b in y] for a in x])


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
