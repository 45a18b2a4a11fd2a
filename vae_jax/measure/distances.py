"""How far one set of images is from another, in features: the Fréchet distance, and the coverage.

References:
    Dowson & Landau 1982, "The Fréchet distance between multivariate normal distributions".
    Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule…" (arXiv:1706.08500), the distance on features.
    Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics…" (arXiv:2002.09797), coverage.
"""

import numpy as np

NEIGHBOURS = 5  # that make a radius, as Naeem et al. recommend
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


def squared_radii(points: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """Computes the squared distance of each of N > k points [N, F] from its k-th nearest other, float64[N]."""
    return np.partition(_squared_distances(points, points), k, axis=1)[:, k]  # the nearest is the point itself


def coverage(real: np.ndarray, radii: np.ndarray, fakes: np.ndarray) -> float:
    """Computes the share of real points [N, F] whose ball, of a squared radius float64[N], holds a fake of [M, F].

    A point on the radius is outside.
    """
    return float((_squared_distances(fakes, real) < AT_RADIUS * radii).any(axis=0).mean())


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances of [A, F] and [B, F], float64[A, B]."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    norms = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)
    squared = norms - 2 * a @ b.T
    # Points that float32 features cannot tell apart are one; otherwise copies of an image would lie 1e-7 apart.
    return np.where(squared > 1e-13 * norms, squared, 0)
