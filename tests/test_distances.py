"""Distances between sets of features against closed forms, a double loop, SciPy and prdc."""

import numpy as np
import prdc
import pytest
import scipy.linalg

from vae_jax.evaluation import distances


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


# Neighbours


def balls(real, fake, precision_k=3, density_k=5):
    near = [distances.Neighbours.of(points, max(precision_k, density_k)) for points in (real, fake)]
    return distances.precision_recall_density_coverage(*near, precision_k, density_k)


def test_a_copy_of_the_neighbour_at_the_radius_is_at_the_radius():
    # Distances come from matrix products, whose last bits depend on where in the matrix a pair of points stands.
    for num_points in range(20, 200, 7):
        random = np.random.default_rng(num_points)
        real = random.normal(size=(num_points, 65)).astype(np.float32)
        assert balls(real, random.permutation(real))[2:] == (1, 1), num_points


@pytest.mark.parametrize("rows", [1000, 64])
@pytest.mark.parametrize(("k_precision", "k_density"), [(3, 5), (1, 2)])
@pytest.mark.parametrize(("dims", "apart"), [(1, 0.5), (8, 0.3), (8, 1.5), (128, 0.2)])
def test_neighbours_against_prdc(rows, k_precision, k_density, dims, apart, monkeypatch):
    monkeypatch.setattr(distances, "ROWS", rows)
    real, fake = made_up_features(4, dims=dims, apart=apart)
    of_precision, of_density = (
        prdc.compute_prdc(np.float64(real), np.float64(fake), nearest_k=k) for k in (k_precision, k_density)
    )
    expected = [of_precision[name] for name in ("precision", "recall")]
    expected += [of_density[name] for name in ("density", "coverage")]
    assert balls(real, fake, k_precision, k_density) == pytest.approx(expected, abs=1e-12)


def test_neighbours_by_hand():
    """On a line, k = 1: each real ball reaches to the next real point, 1 away, but that of 10 reaches 8 and 12 further.

    Of the fakes, 0.5 is in two balls, 2.5 in those of 2 and 10 (radius 8), 30 in none. Fakes have radii 2, 2 and 27.5.
    """
    real, fake = np.float32([[0], [1], [2], [10]]), np.float32([[0.5], [2.5], [30]])
    assert balls(real, fake, 1, 1) == (2 / 3, 1.0, (2 + 2 + 0) / 3, 4 / 4)
    assert balls(real, fake + 100, 1, 1) == (0, 0, 0, 0)


def test_copies_of_one_image_are_no_variety():
    """A point of some length, where rounding would put copies apart and give them a ball."""
    real = np.random.default_rng(5).normal(30, 1, (200, 128)).astype(np.float32)
    fake = np.repeat(real[:1], 100, axis=0)
    precision, recall, density, coverage = balls(real, fake)
    assert (precision, recall) == (1, 0)
    assert density > 0
    assert coverage <= 0.1
    assert not np.any(distances.Neighbours.of(fake).squared)


def test_a_neighbour_has_to_be_there():
    points = np.zeros((3, 2), np.float32)
    with pytest.raises(ValueError, match="3 points have no 3-th nearest neighbour"):
        distances.Neighbours.of(points, 3)


# Kernel distance


def kid(real, fake, num_blocks=distances.KID_BLOCKS):
    num_blocks = min(num_blocks, len(real), len(fake))
    return distances.kid(*(distances.KernelSums.of(points, num_blocks) for points in (real, fake)))


def naive_kid(real, fake):
    """The definition, pair by pair."""

    def mean(a, b, itself):
        values = [(x @ y / len(x) + 1) ** 3 for i, x in enumerate(a) for j, y in enumerate(b) if itself or i != j]
        return sum(values) / len(values)

    real, fake = real.astype(np.float64), fake.astype(np.float64)
    return mean(real, real, False) + mean(fake, fake, False) - 2 * mean(real, fake, True)


@pytest.mark.parametrize("num", [(40, 31), (7, 6), (3, 3)])
@pytest.mark.parametrize("num_blocks", [3, 20])
def test_the_kernel_distance_against_a_double_loop(num, num_blocks):
    real, fake = made_up_features(0, num, apart=0.3)
    assert kid(real, fake, num_blocks)[0] == pytest.approx(naive_kid(real, fake), rel=1e-10)
    assert kid(fake, real, num_blocks)[0] == pytest.approx(naive_kid(real, fake), rel=1e-10)


def test_the_error_of_the_kernel_distance_is_the_jackknife_of_the_double_loop():
    real, fake = made_up_features(1, (12, 8), apart=0.3)
    blocks = list(zip(np.array_split(np.arange(12), 4), np.array_split(np.arange(8), 4), strict=True))
    without = [naive_kid(np.delete(real, a, axis=0), np.delete(fake, b, axis=0)) for a, b in blocks]
    expected = np.sqrt(3 / 4 * np.sum((np.array(without) - np.mean(without)) ** 2))
    assert kid(real, fake, 4)[1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("apart", [0.0, 1.0])
def test_the_kernel_distance_is_unbiased_and_its_error_is_its_spread(apart):
    """Over 300 draws. Between N(0, 1) and N(a, 1) in one dimension, E (xy + 1)³ has a closed form."""
    random = np.random.default_rng(2)
    draws = [(random.normal(0, 1, (40, 1)), random.normal(apart, 1, (60, 1))) for _ in range(300)]
    found, errors = np.array([kid(*draw) for draw in draws]).T

    def kernel(a, b):  # E x = a, E x² = 1 + a², E x³ = 3 a + a³
        return (3 * a + a**3) * (3 * b + b**3) + 3 * (1 + a**2) * (1 + b**2) + 3 * a * b + 1

    expected = kernel(0, 0) + kernel(apart, apart) - 2 * kernel(0, apart)
    assert found.mean() == pytest.approx(expected, abs=4 * found.std() / np.sqrt(300))
    # The jackknife overestimates where the distributions are equal and the statistic degenerates.
    assert 0.85 < np.sqrt(np.mean(errors**2)) / found.std() < 1.6


def test_the_kernel_distance_knows_equal_sets_of_any_size():
    """Fréchet distances of small sets are biased; 20 and 2,000 points of one distribution are both at 0."""
    random = np.random.default_rng(3)
    for size in (20, 2000):
        found = [kid(*random.normal(size=(2, size, 4)))[0] for _ in range(200 if size == 20 else 5)]
        assert np.mean(found) == pytest.approx(0, abs=4 * np.std(found) / np.sqrt(len(found)))
