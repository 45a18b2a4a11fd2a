"""The aggregate code as a density against SciPy and float64 NumPy, and holes against closed forms."""

import numpy as np
import pytest
import scipy.special
import scipy.stats

from vae_jax.config import Config
from vae_jax.measure import density, subsets
from vae_jax.measure.density import Density
from vae_jax.measure.latents import Whitening
from vae_jax.training.runs import Codes, TrainedRun


def rng(seed=0):
    return np.random.default_rng(seed)


def mixture_of(mean, sd):
    """A mixture in its own frame, not widened."""
    mean, sd = np.atleast_2d(mean), np.atleast_2d(sd)
    dims = mean.shape[1]
    frame = Whitening(np.zeros(dims), np.eye(dims), np.eye(dims))
    covariance = np.cov(mean, rowvar=False, bias=True).reshape(dims, dims) + np.diag(np.square(sd).mean(axis=0))
    return Density(frame, np.float32(mean), np.float32(sd), 0.0, (mean.mean(axis=0), covariance))


# The mixture.


@pytest.mark.parametrize("dims", [1, 2, 16])
def test_the_log_density_of_a_mixture_by_scipy(dims):
    mean, sd = rng().normal(0, 2, (30, dims)), rng(1).uniform(0.01, 1, (30, dims))
    z = mean[rng(2).integers(30, size=300)] + 0.1 * rng(3).standard_normal((300, dims))  # two blocks
    each = scipy.stats.norm(mean, sd).logpdf(z[:, None]).sum(axis=-1)
    expected = scipy.special.logsumexp(each, axis=1) - np.log(30)
    # float32: sums of up to 16 squares, ((z - m) / sd)² of 1e4 and more, keep seven digits.
    np.testing.assert_allclose(density.log_mixture(z, mean, sd), expected, rtol=1e-5, atol=1e-4)
    without = rng(4).integers(30, size=300)
    each[np.arange(300), without] = -np.inf
    expected = scipy.special.logsumexp(each, axis=1) - np.log(29)
    np.testing.assert_allclose(density.log_mixture(z, mean, sd, without), expected, rtol=1e-5, atol=1e-4)


def test_narrow_components_keep_their_digits():
    z, mean = np.array([[3.0 + 2e-3], [3.0 - 1e-3]]), np.array([[3.0], [-3.0]])
    expected = scipy.stats.norm(3, 1e-3).logpdf(z[:, 0]) - np.log(2)
    # float32 knows z to 2.4e-7, 2.4e-4 sd; the product form z² / sd² - 2 z m / sd² + … would be off by about 1.
    np.testing.assert_allclose(density.log_mixture(z, mean, np.full((2, 1), 1e-3)), expected, atol=2e-3)


@pytest.mark.parametrize("noise", [False, True])
def test_a_density_is_in_nats_of_the_codes_own_coordinates(noise):
    mean = rng().normal(5, [3.0, 0.2], (1000, 2)).astype(np.float32)
    codes = Codes(mean, np.log(np.float32([[0.5, 0.01]])).repeat(1000, axis=0) if noise else None)
    found = density.aggregate_density(codes, rng())
    z = rng(1).normal(5, [2.0, 0.2], (50, 2))
    if noise:
        sd = np.hypot(np.sqrt([0.5, 0.01]), found.bandwidth * np.sqrt(mean.var(axis=0) + np.array([0.5, 0.01])))
        each = scipy.stats.norm(mean, sd).logpdf(z[:, None]).sum(axis=-1)
        expected = scipy.special.logsumexp(each, axis=1) - np.log(1000)
    else:  # SciPy's estimate has the same kernel, a factor times the covariance of the data
        expected = scipy.stats.gaussian_kde(mean.T, bw_method=found.bandwidth).logpdf(z.T)
    np.testing.assert_allclose(found.log(z), expected, rtol=1e-4, atol=1e-3)


def test_the_bandwidth_of_points_is_near_the_best_one():
    """For normal points Silverman's rule minimizes the squared error, and the likelihood wants about as much."""
    for dims in (1, 2, 8):
        codes = Codes(rng(dims).normal(size=(3000, dims)).astype(np.float32), None)
        silverman = (4 / (dims + 2) / 3000) ** (1 / (dims + 4))
        assert 0.5 < density.aggregate_density(codes, rng()).bandwidth / silverman < 2


def test_the_bandwidth_is_the_most_likely_one_by_numpy():
    mean, sd = rng().normal(0, 1, (150, 2)), np.full((150, 2), 0.05)
    z = mean + sd * rng(1).standard_normal(mean.shape)  # of all components, whatever their order
    own = np.eye(150, dtype=bool)

    def score(h):
        each = scipy.stats.norm(mean, np.hypot(sd, h)).logpdf(z[:, None]).sum(axis=-1)
        return scipy.special.logsumexp(np.where(own, -np.inf, each), axis=1).mean()

    found = density.aggregate_density(Codes(np.float32(mean), np.float32(2 * np.log(sd))), rng())
    best = max(density.BANDWIDTHS, key=score)
    assert 1 / 1.5 < found.bandwidth / best < 1.5  # other noise: the next candidate at most


def test_posteriors_that_overlap_are_hardly_widened():
    mean = rng().normal(0, 0.3, (2000, 2)).astype(np.float32)
    variances = rng(1).uniform(0.5, 2, (2000, 2)).astype(np.float32)
    found = density.aggregate_density(Codes(mean, np.log(variances)), rng())
    assert found.bandwidth < 0.3  # beside posteriors of 0.96 standard deviations: 5 % of their width
    center, covariance = found.moments
    scale = np.diag(found.frame.from_white)
    expected = np.cov(mean.T, bias=True) + np.diag(variances.mean(axis=0))  # the law of total variance
    np.testing.assert_allclose(covariance * np.outer(scale, scale), expected, rtol=1e-5)
    np.testing.assert_allclose(center * scale + found.frame.center, mean.mean(axis=0), atol=1e-6)


def test_draws_are_those_of_the_mixture():
    found = mixture_of([[-3.0, 0.0], [3.0, 1.0]], [[0.5, 0.1], [1.0, 2.0]])
    draws = found.draw(40_000, rng())
    right = draws[draws[:, 0] > 0]
    assert len(right) / 40_000 == pytest.approx(0.5, abs=0.003)  # 0.13 % of the wide one lies on the other side
    np.testing.assert_allclose(right.mean(axis=0), [3, 1], atol=0.05)
    np.testing.assert_allclose(right.std(axis=0), [1, 2], rtol=0.02)  # known to 0.5 %


# Holes.


@pytest.mark.parametrize("dims", [1, 2, 3, 16])
@pytest.mark.parametrize("sd", [0.5, 1.5])
def test_a_gaussian_has_five_percent_of_its_mass_beyond_its_own_level(dims, sd):
    mass, error = density.hole_mass(mixture_of(np.full(dims, 3.0), sd * np.geomspace(0.5, 2, dims)), rng())
    assert (error == 0) == (dims <= 2)
    # A grid of 256 cells along 9 sd, whose contour is interpolated.
    assert mass == pytest.approx(0.05, abs=max(0.002, 4 * error))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_two_clusters_have_a_hole_between_them_in_closed_form(dims):
    """At ± 2 on one axis with sd 0.3, and N(0, 0.3²) on the others: balls around both hold 95 % of it.

    Draws of the Gaussian have a variance of 4.09 on that axis; how many are in no ball is counted over a million.
    """
    mean = np.zeros((2, dims))
    mean[:, 0] = -2, 2
    mass, error = density.hole_mass(mixture_of(mean, np.full((2, dims), 0.3)), rng())
    assert (error == 0) == (dims <= 2)
    draws = rng(1).standard_normal((1_000_000, dims)) * [np.sqrt(4.09), *[0.3] * (dims - 1)]
    distance = np.minimum(*[np.linalg.norm(draws - center, axis=1) for center in mean])
    expected = np.mean(distance > 0.3 * np.sqrt(scipy.stats.chi2(dims).ppf(0.95)))
    if dims == 1:  # by the distribution function
        r, normal = 1.96 * 0.3, scipy.stats.norm(0, np.sqrt(4.09))
        assert expected == pytest.approx(1 - 2 * (normal.cdf(2 + r) - normal.cdf(2 - r)), abs=0.002)
    assert expected > 0.6
    assert mass == pytest.approx(expected, abs=max(0.004, 4 * error))


def test_the_level_of_a_gaussian_in_closed_form():
    found = mixture_of([[1.0, -1.0]], [[0.5, 2.0]])
    axes, log_q, share = density.grid(found)
    assert [axis.mean() for axis in axes] == pytest.approx([1, -1], abs=1e-6)  # of the middles of cells
    assert share.sum() == pytest.approx(1, abs=1e-4)  # 4.5 sd
    exact = -np.log(2 * np.pi * 0.5 * 2.0) + np.log(0.05)  # the radius² of 95 % is -2 log 0.05
    assert density.level(log_q, share) == pytest.approx(exact, abs=0.01)
    draws = density.log_mixture(found.draw(50_000, rng()), found.mean, found.sd)
    assert density.level(draws) == pytest.approx(exact, abs=4 * np.sqrt(0.95 / 0.05 / 50_000))


def test_the_level_is_in_nats_of_the_codes_own_coordinates():
    found = density.aggregate_density(Codes(rng().normal(5, [30.0, 0.2], (2000, 2)).astype(np.float32), None), rng())
    z = found.draw(20_000, rng()) @ found.frame.from_white + found.frame.center
    share = np.mean(found.log(z) < density.hole_level(found))
    assert share == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 20_000))


def test_a_ring_has_a_hole_in_the_middle():
    """Codes on a circle, each known to 0.1: within ± 0.196 of the circle are 95 % of them, at any angle."""
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    ring = mixture_of(2 * np.stack([np.cos(angle), np.sin(angle)], axis=1), np.full((400, 2), 0.1))
    inner, outer = 2 - 1.96 * 0.1, 2 + 1.96 * 0.1
    # The curvature tilts the density across the ring by 0.1 / 2, which moves the edges by about 0.1² / 4.
    gaussian = scipy.stats.rayleigh(scale=np.sqrt(2 + 0.01))
    expected = 1 - (gaussian.cdf(outer) - gaussian.cdf(inner))
    assert density.hole_mass(ring, rng()) == (pytest.approx(expected, abs=0.005), 0)


def test_the_error_of_draws_counts_those_of_the_gaussian_and_those_of_the_level(monkeypatch):
    """With 4,000 draws each, of log-densities that are handed out: 1, 2, …, 4000 of q(z), and of the Gaussian u times.

    The level is the 5 % quantile, 200.95; one standard error of its rank is 13.8 to either side, 14 draws.
    """
    own = np.arange(1.0, 4001)
    of_gaussian = np.concatenate([np.full(600, 100.0), np.full(40, 190.5), np.full(100, 210.5), np.full(3260, 900.0)])
    handed = iter([rng().permutation(own), rng(1).permutation(of_gaussian)])
    monkeypatch.setattr(density, "log_mixture", lambda *_: next(handed))
    mass, error = density.hole_mass(mixture_of(np.zeros((2, 3)), np.ones((2, 3))), rng())
    assert mass == 640 / 4000
    of_level = (740 - 600) / 4000 / 2  # 190.5 and 210.5 are within one standard error, 187 to 215
    assert error == pytest.approx(np.sqrt(0.16 * 0.84 / 4000 + of_level**2), rel=1e-12)


def test_a_grid_that_is_too_coarse_gives_way_to_draws():
    """Two components so far apart that no cell is as small as they are: nearly all between them is a hole."""
    apart = mixture_of([[0.0, 0.0], [1000.0, 0.0]], [[0.1, 0.1]] * 2)
    mass, error = density.hole_mass(apart, rng())
    assert 0 < error < 0.01
    assert mass > 0.99
    exact = np.log(0.5 * 0.05 / (2 * np.pi * 0.1**2))  # of half a Gaussian
    assert density.hole_level(apart) == pytest.approx(exact, abs=4 * np.sqrt(0.95 / 0.05 / 5000))


# A whole run.


def toy_run(latent_dim=2, logvar=None, scale=1.0, unused=0):
    """A run whose codes are random but for `unused` dimensions, of four grey levels of an image."""

    def encode(images):
        grey = images.reshape(len(images), -1)[:, :latent_dim].astype(np.float64) / 128 - 1
        grey[:, latent_dim - unused :] = 1
        mean = (scale * grey).astype(np.float32)
        return Codes(mean, None if logvar is None else np.full_like(mean, logvar))

    return TrainedRun(Config(latent_dim=latent_dim), {}, encode, lambda z: z, None, None)


IMAGES = rng(3).integers(0, 256, (150, 4, 4)).astype(np.uint8)
NAMES = ["gaussian_hole_mass", "gaussian_hole_mass_error"]


@pytest.mark.usefixtures("coarse_grids")
@pytest.mark.parametrize("logvar", [None, -3.0])
@pytest.mark.parametrize("latent_dim", [1, 2, 5])
def test_a_run_has_every_number(latent_dim, logvar):
    numbers = density.evaluate_density(toy_run(latent_dim, logvar), IMAGES)
    assert list(numbers) == NAMES
    assert all(type(value) is float and 0 <= value <= 1 for value in numbers.values())
    assert numbers == density.evaluate_density(toy_run(latent_dim, logvar), IMAGES)


@pytest.mark.usefixtures("coarse_grids")
def test_holes_do_not_depend_on_the_scale_of_an_aes_codes():
    one, sixteen = (density.evaluate_density(toy_run(scale=scale), IMAGES) for scale in (1.0, 16.0))
    assert one["gaussian_hole_mass"] == pytest.approx(sixteen["gaussian_hole_mass"], abs=1e-3)


@pytest.mark.usefixtures("coarse_grids")
def test_codes_in_a_plane_have_the_holes_of_the_plane():
    numbers = density.evaluate_density(toy_run(3, unused=1), IMAGES)
    flat = density.evaluate_density(toy_run(2), IMAGES)
    assert numbers["gaussian_hole_mass"] == pytest.approx(flat["gaussian_hole_mass"], abs=0.02)
    assert np.isneginf(density.run_density(toy_run(3, unused=1), IMAGES).log(np.zeros((4, 3)))).all()


@pytest.mark.usefixtures("coarse_grids")
@pytest.mark.parametrize("logvar", [None, -1e4, -60.0, 80.0])
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e30])
def test_extreme_codes_are_no_error(scale, logvar):
    numbers = density.evaluate_density(toy_run(scale=scale, logvar=logvar), IMAGES)
    assert all(0 <= numbers[name] <= 1 for name in NAMES)


@pytest.mark.usefixtures("coarse_grids")
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("logvar", [None, 0.0])
def test_few_images_are_no_error(count, logvar):
    numbers = density.evaluate_density(toy_run(logvar=logvar), IMAGES[:count])
    assert all(0 <= numbers[name] <= 1 for name in NAMES)


def test_codes_that_are_not_finite_have_no_numbers():
    assert density.evaluate_density(toy_run(scale=np.inf), IMAGES) == {}
    assert density.evaluate_density(toy_run(logvar=np.nan), IMAGES) == {}
    assert density.evaluate_density(toy_run(logvar=1e4), IMAGES) == {}


@pytest.mark.usefixtures("coarse_grids")
def test_a_random_subset_of_many_images_is_used(monkeypatch):
    seen = []
    run = toy_run()
    watched = run._replace(encode=lambda images: seen.append(images) or run.encode(images))
    monkeypatch.setattr(density, "MAX_COMPONENTS", 100)
    density.evaluate_density(watched, IMAGES)
    assert seen[0].shape == (100, 4, 4)
    assert not np.array_equal(seen[0], IMAGES[:100])
    monkeypatch.setattr(subsets, "MAX_PIXELS", 160)
    density.evaluate_density(watched, IMAGES)
    assert seen[1].shape == (10, 4, 4)
