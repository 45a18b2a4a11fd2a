"""Distances between sets of features against closed forms, a double loop, SciPy and prdc."""

import numpy as np
import prdc
import pytest
import scipy.linalg

from vae_jax.measure import distances


def made_up_features(seed, num=(300, 250), dims=8, apart=1.0):
    random = np.random.default_rng(seed)
    real, fake = random.normal(0, 1, (num[0], dims)), random.normal(apart, 0.8, (num[1], dims))
    return real.astype(np.float32), fake.astype(np.float32)


def covariance(random, dims):
    factor = random.normal(size=(dims, 2 * dims))
    return factor @ factor.T / dims


# Fréchet distance


@pytest.mark.parametrize("num", [2000, 20])  # with fewer images than features, the covariance is singular
def test_frechet_of_a_set_with_itself_is_zero(num):
    features = np.maximum(0, np.random.default_rng(0).normal(-0.5, 5, (num, 64))).astype(np.float32)
    features[:, 7] = 0  # a feature that no image has
    trace = np.trace(np.cov(features, rowvar=False))
    assert distances.frechet_distance(features, features) == pytest.approx(0, abs=1e-6 * trace)
    assert distances.frechet_distance(features, features[::-1]) == pytest.approx(0, abs=1e-6 * trace)


def test_frechet_of_axis_aligned_gaussians_in_closed_form():
    """Each axis is its own: (μa − μb)² + (σa − σb)²."""
    mean_a, sd_a = np.array([0.0, 1.0, -2.0]), np.array([1.0, 0.0, 3.0])
    mean_b, sd_b = np.array([0.5, 1.0, 2.0]), np.array([4.0, 2.0, 0.1])
    expected = 0.25 + 0 + 16 + 9 + 4 + 2.9**2
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]  # turning both changes nothing
    for axes in (np.eye(3), turn):
        a, b = axes @ np.diag(sd_a**2) @ axes.T, axes @ np.diag(sd_b**2) @ axes.T
        found = distances.frechet_from_moments(axes @ mean_a, a, axes @ mean_b, b)
        assert found == pytest.approx(expected, rel=1e-7)  # √1e-16


@pytest.mark.parametrize("dims", [1, 2, 40])
def test_frechet_against_sqrtm(dims):
    random = np.random.default_rng(2)
    mean_a, mean_b, a, b = *random.normal(size=(2, dims)), covariance(random, dims), covariance(random, dims)
    root = scipy.linalg.sqrtm(a @ b)
    expected = np.sum((mean_a - mean_b) ** 2) + np.trace(a + b - 2 * np.real(root))
    assert distances.frechet_from_moments(mean_a, a, mean_b, b) == pytest.approx(expected, rel=1e-8)
    assert distances.frechet_from_moments(mean_b, b, mean_a, a) == pytest.approx(expected, rel=1e-8)


def test_frechet_of_features_is_that_of_their_moments():
    real, fake = made_up_features(3, num=(50, 40), dims=3)
    real, fake = real + 1000, fake + 1000  # where float32 sums would lose the variance
    (mean_a, a), (mean_b, b) = ((x.mean(axis=0), np.cov(x.T)) for x in (np.float64(real), np.float64(fake)))
    expected = np.sum((mean_a - mean_b) ** 2) + np.trace(a + b - 2 * np.real(scipy.linalg.sqrtm(a @ b)))
    assert distances.frechet_distance(real, fake) == pytest.approx(expected, rel=1e-8)


# Coverage


def coverage(real, fake, k=distances.NEIGHBOURS):
    return distances.coverage(real, distances.squared_radii(real, k), fake)


def test_a_copy_of_the_neighbour_at_the_radius_is_at_the_radius():
    """Two points are each other's nearest. A fake at one of them lies exactly at the radius of the other: outside.

    Distances come from matrix products, whose last bits depend on where in the matrix a pair of points stands.
    """
    for num_points in range(20, 200, 7):
        random = np.random.default_rng(num_points)
        real = random.normal(size=(num_points, 65)).astype(np.float32)
        assert coverage(real, random.permutation(real)) == 1, num_points
        padded = random.permutation(np.concatenate([real[1:2], real[2:] + 1000]))
        assert coverage(real[:2], padded, 1) == 0.5, num_points  # the copied point, and not the other


@pytest.mark.parametrize("k", [5, 2])
@pytest.mark.parametrize(("dims", "apart"), [(1, 0.5), (8, 0.3), (8, 1.0), (128, 0.6)])
def test_coverage_against_prdc(k, dims, apart):
    real, fake = made_up_features(4, dims=dims, apart=apart)
    expected = prdc.compute_prdc(np.float64(real), np.float64(fake), nearest_k=k)["coverage"]
    assert 0.05 < expected < 0.99
    assert coverage(real, fake, k) == pytest.approx(expected, abs=1e-12)


def test_coverage_by_hand():
    """On a line, k = 1: each real ball reaches to the next real point, 1 away, but that of 10 reaches 2 and 18.

    0.5 is in the balls of 0 and 1, 2.5 in those of 2 and 10, 30 in none.
    """
    real, fake = np.float32([[0], [1], [2], [10]]), np.float32([[0.5], [2.5], [30]])
    assert coverage(real, fake, 1) == 1
    assert coverage(real, fake[:1], 1) == 0.5
    assert coverage(real, fake[1:], 1) == 0.5
    assert coverage(real, np.float32([[1.0]]), 1) == 0.25  # at the radius of 0 and of 2 is outside
    assert coverage(real, fake + 100, 1) == 0


def test_copies_of_one_image_are_no_variety():
    """A point of some length, where rounding would put copies apart and give them a ball."""
    real = np.random.default_rng(5).normal(30, 1, (200, 128)).astype(np.float32)
    fake = np.repeat(real[:1], 100, axis=0)
    squared = np.square(np.float64(real)[:, None] - np.float64(real)).sum(axis=2)
    radii = np.sort(squared, axis=1)[:, 5]
    assert coverage(real, fake) == np.mean(squared[0] < radii * (1 - 1e-9)) < 0.1
    assert not np.any(distances.squared_radii(fake))
