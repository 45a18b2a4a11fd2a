"""How far one set of images is from another, in features: the Fréchet distance, and the coverage.

References:
    Dowson & Landau 1982, "The Fréchet distance between multivariate normal distributions".
    Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule…" (arXiv:1706.08500), the distance on features.
    Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics…" (arXiv:2002.09797), coverage.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from vae_jax.measure.subsets import chunks

NEIGHBOURS = 5  # that make a radius, as Naeem et al. recommend
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


class Neighbours(NamedTuple):
    """Points, and how far the nearest others are."""

    points: np.ndarray  # float64[N, F]
    squared: np.ndarray  # float64[N, K], ascending squared distances to the K nearest others

    @classmethod
    def of(cls, features: np.ndarray, k: int = NEIGHBOURS) -> "Neighbours":
        """Finds the k nearest others of each of N > k points [N, F]."""
        if len(features) <= k:
            raise ValueError(f"{len(features)} points have no {k}-th nearest neighbour")
        points = np.asarray(features, np.float64)
        nearest = [np.partition(rows, k, axis=1)[:, : k + 1] for rows in _squared_distances(points, points)]
        return cls(points, np.sort(np.concatenate(nearest), axis=1)[:, 1:])  # the nearest is the point itself


def coverage(real: Neighbours, fakes: np.ndarray, k: int = NEIGHBOURS) -> float:
    """Computes the share of real points whose ball, out to the k-th nearest other real one, holds a fake of [M, F].

    A point on the radius is outside.
    """
    radii, covered = AT_RADIUS * real.squared[:, k - 1], np.zeros(len(real.points), bool)
    for rows in _squared_distances(np.asarray(fakes, np.float64), real.points):
        covered |= (rows < radii).any(axis=0)
    return float(covered.mean())


def _squared_distances(a: np.ndarray, b: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of the matrix of squared distances of float64[A, F] and [B, F], some at a time."""
    norms_b = np.square(b).sum(axis=1)
    for rows in chunks(a, ROWS):
        norms = np.square(rows).sum(axis=1)[:, None] + norms_b
        squared = norms - 2 * rows @ b.T
        # Points that float32 features cannot tell apart are one; otherwise copies of an image would lie 1e-7 apart.
        yield np.where(squared > 1e-13 * norms, squared, 0)
