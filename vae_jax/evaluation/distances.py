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
from typing import Any, NamedTuple

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


class KernelSums(NamedTuple):
    """Features in blocks, and the sums of the kernel over all pairs of different points of each two blocks."""

    blocks: list[np.ndarray]  # float64[n, F] each
    within: np.ndarray  # float64[B, B]

    @classmethod
    def of(cls, features: np.ndarray, num_blocks: int = KID_BLOCKS) -> "KernelSums":
        """Splits features [N, F] into blocks, as many as there are points if these are fewer."""
        blocks = np.array_split(np.asarray(features, np.float64), min(num_blocks, len(features)))
        within = np.zeros((len(blocks), len(blocks)))
        for i, block in enumerate(blocks):
            for j in range(i + 1):
                within[i, j] = within[j, i] = _kernel_sum(block, blocks[j])
            within[i, i] -= _cubic(np.square(block).mean(axis=1)).sum()  # a point is not compared with itself
        return cls(blocks, within)

    @property
    def sizes(self) -> np.ndarray:
        """Points of each block, int[B]."""
        return np.array([len(block) for block in self.blocks])


def kid(real: KernelSums, fake: KernelSums) -> tuple[float, float]:
    """Estimates the squared maximum mean discrepancy of features in equally many blocks, and its standard error.

    The unbiased U-statistic with the kernel (xᵀy / F + 1)³ (Bińkowski et al. 2018, KID): about 0, of either sign, for
    equal distributions, whatever the numbers of points, which are to be at least 3. The error is over both sets: the
    jackknife that leaves out one block of each at a time.
    """
    num_blocks = len(real.blocks)
    sums = [real.within, fake.within, np.array([[_kernel_sum(a, b) for b in fake.blocks] for a in real.blocks])]
    n, m = real.sizes, fake.sizes
    whole = _discrepancy(n.sum(), m.sum(), *(part.sum() for part in sums))
    kept = [part.sum() - part.sum(axis=0) - part.sum(axis=1) + np.diag(part) for part in sums]
    without = _discrepancy(n.sum() - n, m.sum() - m, *kept)
    return float(whole), float(np.sqrt((num_blocks - 1) * np.var(without)))


def _discrepancy(n: Any, m: Any, xx: Any, yy: Any, xy: Any) -> Any:
    """The squared mean discrepancy from sums of the kernel over all pairs of different points."""
    return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)


def _cubic(products: np.ndarray) -> np.ndarray:
    products = products + 1
    return products * products * products  # NumPy's ** 3 takes eight times as long


def _kernel_sum(a: np.ndarray, b: np.ndarray) -> float:
    """The sum of the kernel over all pairs of a point [N, F] and one [M, F]."""
    return float(_cubic(a @ b.T / a.shape[1]).sum())


class Neighbours(NamedTuple):
    """Points, and how far the nearest others are."""

    points: np.ndarray  # float64[N, F]
    squared: np.ndarray  # float64[N, K], ascending squared distances to the K nearest others

    @classmethod
    def of(cls, features: np.ndarray, k: int = max(PRECISION_K, DENSITY_K)) -> "Neighbours":
        """Finds the k nearest others of each of N > k points [N, F]."""
        if len(features) <= k:
            raise ValueError(f"{len(features)} points have no {k}-th nearest neighbour")
        points = np.asarray(features, np.float64)
        nearest = [np.partition(rows, k, axis=1)[:, : k + 1] for rows in _squared_distances(points, points)]
        return cls(points, np.sort(np.concatenate(nearest), axis=1)[:, 1:])  # the nearest is the point itself


def precision_recall_density_coverage(
    real: Neighbours, fake: Neighbours, precision_k: int = PRECISION_K, density_k: int = DENSITY_K
) -> tuple[float, float, float, float]:
    """Compares two sets by the balls around their points, which reach to the k-th nearest of their own set.

    Precision is the share of fakes in a real one's ball, recall that of real ones in a fake's. With `density_k`
    neighbours, density is the mean number of real balls around a fake over k, about 1 for fakes like the real ones and
    more for denser ones, and coverage the share of real balls with a fake. A point on the radius is outside.
    """
    radii = [AT_RADIUS * near.squared[:, k - 1] for near, k in ((real, precision_k), (fake, precision_k))]
    density_radii = AT_RADIUS * real.squared[:, density_k - 1]
    is_precise, recalled, num_balls, covered = [], np.zeros(len(real.points), bool), 0, np.zeros(len(real.points), bool)
    start = 0
    for rows in _squared_distances(fake.points, real.points):
        is_precise.append((rows < radii[0]).any(axis=1))
        recalled |= (rows < radii[1][start : start + len(rows), None]).any(axis=0)
        inside = rows < density_radii
        num_balls += int(inside.sum())
        covered |= inside.any(axis=0)
        start += len(rows)
    density = num_balls / len(fake.points) / density_k
    return float(np.concatenate(is_precise).mean()), float(recalled.mean()), density, float(covered.mean())


def _squared_distances(a: np.ndarray, b: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of the matrix of squared distances of float64[A, F] and [B, F], some at a time."""
    norms_b = np.square(b).sum(axis=1)
    for rows in chunks(a, ROWS):
        norms = np.square(rows).sum(axis=1)[:, None] + norms_b
        squared = norms - 2 * rows @ b.T
        # Points that float32 features cannot tell apart are one; otherwise copies of an image would lie 1e-7 apart.
        yield np.where(squared > 1e-13 * norms, squared, 0)
