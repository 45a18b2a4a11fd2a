"""Likelihoods against a linear-Gaussian VAE, whose marginal is known, and against each other on a trained model."""

import dataclasses
import itertools
import math
from functools import partial

import jax
import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from drawn import params_of

from vae_jax.config import Config
from vae_jax.measure import likelihood, marginal, quadrature, subsets
from vae_jax.model import networks
from vae_jax.model.likelihoods import LIKELIHOODS, Reconstruction, log_density_parts
from vae_jax.model.programs import make_program
from vae_jax.training import runs as runs_module
from vae_jax.training import step
from vae_jax.training.runs import trained_run

pytestmark = pytest.mark.usefixtures("cheap_compilation")

SIGMA = 0.005  # of a pixel
ROUNDING = 1e-2  # nats that float32 keeps of ((x - m) / σ)², with x / σ up to 100, and few cells average


def linear_gaussian(latent_dim, widening=1.3, shape=(3, 2)):
    """A VAE with p(x | z) = N(1/2 + W z, σ²I) and images of it; q(z | x) is the true posterior, widened.

    The decoder's mean is sigmoid(l) = 1/2 + l/4 - l³/48...; with |l| < 0.05 the cubic is below 3e-6, 1/2000 of σ.
    """
    random = np.random.default_rng(latent_dim)
    num_pixels = math.prod(shape)
    W = random.normal(0, 0.003, (num_pixels, latent_dim))
    precision = np.eye(latent_dim) + W.T @ W / SIGMA**2
    # A diagonal posterior needs orthogonal columns.
    W = np.linalg.svd(W, full_matrices=False)[0] * 0.006
    precision = np.eye(latent_dim) + W.T @ W / SIGMA**2
    gain = np.linalg.solve(precision, W.T) / SIGMA**2
    config = Config(hidden_dims=(), latent_dim=latent_dim, likelihood="learned_gaussian")
    params = {
        "encoder": {
            "mean": {"kernel": gain.T, "bias": -gain @ np.full(num_pixels, 0.5)},
            "logvar": {
                "kernel": np.zeros((num_pixels, latent_dim)),
                "bias": np.log(1 / np.diag(precision)) + 2 * np.log(widening),
            },
        },
        "decoder": {
            "logits": {"kernel": 4 * W.T, "bias": np.zeros(num_pixels)},
            "logvar": np.float64(2 * np.log(SIGMA)),
        },
    }
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), params)
    run = trained_run(config, make_program(config, shape), params)
    z = random.standard_normal((40, latent_dim))
    x = 0.5 + z @ W.T + SIGMA * random.standard_normal((40, num_pixels))
    exact = scipy.stats.multivariate_normal(np.full(num_pixels, 0.5), W @ W.T + SIGMA**2 * np.eye(num_pixels)).logpdf(x)
    return run, x.reshape(-1, *shape).astype(np.float32), exact


@pytest.mark.parametrize("latent_dim", [1, 2])
def test_quadrature_is_exact_for_a_linear_gaussian_model(latent_dim):
    run, pixels, exact = linear_gaussian(latent_dim)
    actual = quadrature.exact_log_likelihood(run, pixels)
    np.testing.assert_allclose(actual, exact, atol=ROUNDING)


def brute_force(run, pixels, side=800, reach=8.0):
    """log p(x) of a model with one hidden layer of ReLUs, float64 NumPy, by the sum over a grid of ± reach."""
    dims, params = run.config.latent_dim, jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), run.params["decoder"])
    axis = reach * (2 * (np.arange(side) + 0.5) / side - 1)
    z = np.stack(np.meshgrid(*[axis] * dims, indexing="ij"), axis=-1).reshape(-1, dims)
    hidden = np.maximum(z @ params["hidden_0"]["kernel"] + params["hidden_0"]["bias"], 0)
    logits = hidden @ params["logits"]["kernel"] + params["logits"]["bias"]
    prior = scipy.stats.norm.logpdf(z).sum(axis=1) + dims * np.log(2 * reach / side)
    images = pixels.reshape(len(pixels), -1).astype(np.float64)
    if run.config.likelihood == "bernoulli":
        of_z = np.logaddexp(0, logits).sum(axis=1)
        joints = (logits @ x - of_z for x in images)
    else:
        means, constant = scipy.special.expit(logits), 0.5 * logits.shape[1] * math.log(2 * math.pi * SIGMA**2)
        of_z = 0.5 * np.square(means).sum(axis=1)
        joints = ((means @ x - of_z - 0.5 * x @ x) / SIGMA**2 - constant for x in images)
    return np.array([scipy.special.logsumexp(joint + prior) for joint in joints])


@pytest.mark.parametrize("latent_dim", [1, 2])
def test_quadrature_is_that_of_a_grid_ten_times_as_fine_in_float64(latent_dim):
    """Random weights, six times those of a new network: posteriors of several modes, with kinks."""
    config = Config(hidden_dims=(7,), latent_dim=latent_dim, binarization="threshold")
    program = make_program(config, (3, 4))
    params = params_of(program, latent_dim)
    params["decoder"] = jax.tree.map(lambda leaf: 6 * leaf, params["decoder"])
    run = trained_run(config, program, params)
    pixels = (np.random.default_rng(0).random((12, 3, 4)) < 0.5).astype(np.float32)
    actual = quadrature.exact_log_likelihood(run, pixels)
    np.testing.assert_allclose(actual, brute_force(run, pixels), atol=quadrature.TOLERANCE / 4)


@pytest.fixture(scope="module")
def two_widths():
    """A VAE whose posterior is 12 times as narrow along z1 > 0 as along z1 < 0, 12 and 4 images of there, log p(x)."""
    config = Config(hidden_dims=(3,), latent_dim=2, likelihood="learned_gaussian", activation="relu")
    u = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 2)))[0].T
    to_hidden = np.array([[1, -1, 0], [0, 0, 1.0]])  # the third is linear, as far as z2 > -20
    params = {
        "encoder": {
            "hidden_0": {"kernel": np.zeros((6, 3)), "bias": np.zeros(3)},
            "mean": {"kernel": np.zeros((3, 2)), "bias": np.zeros(2)},
            "logvar": {"kernel": np.zeros((3, 2)), "bias": np.zeros(2)},
        },
        "decoder": {
            "hidden_0": {"kernel": to_hidden, "bias": np.array([0, 0, 20.0])},
            "logits": {"kernel": np.stack([1.2 * u[0], -0.1 * u[0], 0.1 * u[1]]), "bias": -2 * u[1]},
            "logvar": np.float64(2 * np.log(SIGMA)),
        },
    }
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), params)
    run = trained_run(config, make_program(config, (3, 2)), params)
    random = np.random.default_rng(1)
    z = np.stack([np.r_[random.uniform(-2, -1, 12), random.uniform(0.5, 1, 4)], random.normal(size=16)], axis=1)
    images = np.rint(255 * (run.decode(z) + SIGMA * random.standard_normal((16, 3, 2)))).astype(np.uint8)
    return run, images, brute_force(run, images / 255)


def test_an_image_that_is_too_narrow_leaves_the_values_of_the_others(two_widths, monkeypatch):
    run, images, exact = two_widths
    pixels = likelihood.evaluation_pixels(run, images)
    every = quadrature.exact_log_likelihood(run, pixels)
    np.testing.assert_allclose(every, exact, atol=quadrature.TOLERANCE)
    monkeypatch.setattr(quadrature, "HALVINGS", 1)  # the last step is 1/12, and the narrow sd 1/60
    some = quadrature.exact_log_likelihood(run, pixels)
    np.testing.assert_array_equal(np.isnan(some), np.arange(16) >= 12)
    np.testing.assert_allclose(some[:12], exact[:12], atol=quadrature.TOLERANCE)


def test_what_is_held_against_exact_values_is_of_the_same_images(two_widths, monkeypatch):
    """The ELBO of the narrow images is farther below their log p(x) than that of the wide ones: no mean mixes them."""
    run, images, exact = two_widths
    seen = likelihood.evaluation_pixels(run, images)
    terms = likelihood.elbo_terms(run, seen)
    inference = exact + terms.distortion + terms.rate
    monkeypatch.setattr(quadrature, "HALVINGS", 1)
    monkeypatch.setattr(likelihood, "MIN_SHARE", 0.75)
    numbers = likelihood.evaluate_likelihood(run, images, images, num_samples=200)
    name, wide = "test_log_likelihood", slice(0, 12)
    bound = marginal.importance_sampled(run, seen[wide], 200)
    assert numbers[f"{name}_exact_share"] == 0.75
    assert numbers[f"{name}_exact"] == pytest.approx(exact[wide].mean(), abs=quadrature.TOLERANCE)
    assert numbers["test_posterior_kl"] == pytest.approx(inference[wide].mean(), abs=quadrature.TOLERANCE)
    assert abs(inference.mean() - inference[wide].mean()) > 10
    gap = exact[wide].mean() - bound.values.mean()
    found = numbers[f"{name}_exact"] - numbers[f"{name}_sampled"]
    assert found == pytest.approx(gap, abs=4 * bound.error + quadrature.TOLERANCE)
    monkeypatch.setattr(likelihood, "MIN_SHARE", 0.76)
    numbers = likelihood.evaluate_likelihood(run, images, images, num_samples=200)
    assert math.isnan(numbers[f"{name}_exact"])
    assert math.isnan(numbers["test_posterior_kl"])
    assert numbers[f"{name}_exact_share"] == 0.75
    of_all = marginal.importance_sampled(run, seen, 200)
    assert numbers[f"{name}_sampled"] == pytest.approx(of_all.values.mean())


@pytest.mark.parametrize("latent_dim", [2, 4])
def test_importance_sampling_finds_the_exact_marginal(latent_dim):
    run, pixels, exact = linear_gaussian(latent_dim)
    actual = marginal.importance_sampled(run, pixels, 3000)
    assert abs(actual.values.mean() - exact.mean()) < 4 * actual.error + 2e-3  # 4 standard errors, and float32
    # With the true posterior every weight is p(x): no variance, exact from the first sample.
    run, pixels, exact = linear_gaussian(latent_dim, widening=1.0)
    for num_samples in (1, 100):  # 100 are two steps, the second of them not full
        few = marginal.importance_sampled(run, pixels, num_samples)
        np.testing.assert_allclose(few.values, exact, atol=5e-3)


@pytest.mark.parametrize("repeated", [200, 10])
def test_the_stated_error_is_the_spread_over_seeds(monkeypatch, repeated):
    monkeypatch.setattr(marginal, "REPEATED_IMAGES", repeated)
    run, pixels, _ = linear_gaussian(2, widening=1.5)
    estimates = [marginal.importance_sampled(run, pixels, 100, seed=seed) for seed in range(3, 23)]
    spread = np.std([estimate.values.mean() for estimate in estimates], ddof=1)
    stated = np.sqrt(np.mean([estimate.error**2 for estimate in estimates]))
    assert 0.5 < spread / stated < 2  # 20 seeds: sd known to ±16 %


def test_the_stated_error_is_that_of_a_mean_of_values_that_differ_so_when_drawn_twice(monkeypatch):
    """Two draws that differ by 2 have a variance of 2 each: of a mean over 72 images that is 1/36."""
    run, pixels, _ = linear_gaussian(2, widening=1.5)
    pixels, values = np.resize(pixels, (72, *pixels.shape[1:])), iter([3.0, 5.0])
    monkeypatch.setattr(marginal, "sampled_bounds", lambda run, pixels, *_: np.full(len(pixels), next(values)))
    bound = marginal.importance_sampled(run, pixels, 7)
    np.testing.assert_array_equal(bound.values, np.full(72, 3.0))
    assert bound.error == pytest.approx(1 / 6, rel=1e-12)


def test_the_error_of_heavy_tailed_weights_is_the_spread_over_seeds_too():
    """The second moment of these weights is infinite, so one draw does not know its own error."""
    run, pixels, exact = linear_gaussian(2, widening=0.3)
    estimates = [marginal.importance_sampled(run, pixels, 100, seed=seed) for seed in range(3, 43)]
    means = [estimate.values.mean() for estimate in estimates]
    stated = np.sqrt(np.mean([estimate.error**2 for estimate in estimates]))
    assert 0.6 < np.std(means, ddof=1) / stated < 1.7  # 40 seeds: ±11 %, and the tails
    assert np.mean(means) < exact.mean() - 5 * stated  # it is not the distance from the truth


def test_weights_are_those_of_their_definition():
    """log p(x, z) / q(z | x) at the drawn z, in float64 NumPy for the linear-Gaussian model."""
    run, pixels, _ = linear_gaussian(2, widening=1.5)
    key = jax.random.key(7)
    logs = marginal._log_weights(run.program, run.params, pixels[:3], key, num_samples=7, per_step=4)
    assert logs.shape == (2, 4, 3)
    mean, logvar = marginal.posterior(run, pixels[:3])
    W = np.asarray(run.params["decoder"]["logits"]["kernel"], np.float64).T / 4
    for draw in range(2):
        eps = np.asarray(jax.random.normal(jax.random.fold_in(key, draw), (4, 3, 2)), np.float64)
        z = mean + np.exp(logvar / 2) * eps
        residual = pixels[:3].reshape(3, -1) - 0.5 - z @ W.T
        expected = scipy.stats.norm(0, SIGMA).logpdf(residual).sum(-1) + scipy.stats.norm.logpdf(z).sum(-1)
        expected -= scipy.stats.norm(mean, np.exp(logvar / 2)).logpdf(z).sum(-1)
        np.testing.assert_allclose(logs[draw], expected, atol=2e-2)  # float32, and the cubic of the sigmoid


def test_the_bound_of_known_weights(monkeypatch):
    logs = np.log(np.concatenate([np.full((90, 2), 1.0), np.arange(2, 22).reshape(10, 2)]))
    # A chunk is filled up by repeating its images.
    monkeypatch.setattr(marginal, "_log_weights", lambda *args, **__: logs[:, np.arange(len(args[2])) % 2])
    values = marginal.sampled_bounds(linear_gaussian(1)[0], np.zeros((2, 3, 2), np.float32), 100, jax.random.key(0))
    weights = np.exp(logs)
    np.testing.assert_allclose(values, np.log(weights.mean(axis=0)))


def test_elbo_bound_and_exact_are_in_order_and_rise_with_k():
    run, pixels, exact = linear_gaussian(2, widening=2.0)
    terms = likelihood.elbo_terms(run, pixels)
    elbo = -(terms.distortion + terms.rate).mean()
    bounds = [marginal.importance_sampled(run, pixels, k) for k in (1, 100, 3000)]
    levels = [bound.values.mean() for bound in bounds]
    slack = 4 * max(bound.error for bound in bounds[1:])
    assert elbo < levels[1] + slack
    assert all(low < high + slack for low, high in itertools.pairwise(levels))
    assert levels[-1] < exact.mean() + 4 * bounds[-1].error + 2e-3
    assert elbo < exact.mean() - 0.3  # KL(q || posterior) of a posterior twice as wide, 2 dims: 2(4 - 1 - ln 4)/2 = 1.6


def test_posterior_kl_is_the_closed_form():
    run, pixels, _ = linear_gaussian(2, widening=2.0)
    terms = likelihood.elbo_terms(run, np.tile(pixels, (100, 1, 1)))  # the ELBO's own noise goes down
    exact = quadrature.exact_log_likelihood(run, pixels).mean()
    gap = exact + (terms.distortion + terms.rate).mean()
    noise = terms.distortion.std() / np.sqrt(len(terms.distortion))
    assert gap == pytest.approx(4 - 1 - np.log(4), abs=4 * noise + 5e-3)


def test_each_image_s_code_is_drawn_eight_times():
    """The error of the distortion of one draw has a variance of which an eighth is left."""
    run, pixels, _ = linear_gaussian(2, widening=1.5)
    many = np.tile(pixels, (20, 1, 1))
    mean, logvar = marginal.posterior(run, many)
    W = np.asarray(run.params["decoder"]["logits"]["kernel"], np.float64).T / 4
    residual = many.reshape(len(many), -1) - 0.5 - mean @ W.T
    variance = np.exp(logvar)
    constant = 3 * np.log(2 * np.pi * SIGMA**2)
    expected = (np.square(residual).sum(axis=1) + variance @ np.square(W).sum(axis=0)) / (2 * SIGMA**2) + constant
    # ‖r - W s ε‖² / 2σ² of independent ε: a linear and a quadratic part.
    linear = (np.square(residual @ W) * variance).sum(axis=1) / SIGMA**4
    of_one = linear + np.square(variance * np.square(W).sum(axis=0)).sum(axis=1) / (2 * SIGMA**4)
    errors = likelihood.elbo_terms(run, many).distortion - expected
    # The variance of 800 such means is known to ±7 %, as they are nearly Gaussian.
    assert np.mean(np.square(errors)) == pytest.approx(of_one.mean() / 8, rel=0.3)


def test_mass_beyond_the_grid_is_not_called_resolved():
    """All codes are said to be 0; the mass of the images is at 11, where sd is 1/12, and the grid ends at 8."""
    run, pixels, _ = linear_gaussian(1)
    kernel = 10 * np.asarray(run.params["decoder"]["logits"]["kernel"])
    run.params["encoder"]["mean"] = jax.tree.map(np.zeros_like, run.params["encoder"]["mean"])
    run.params["decoder"]["logits"] = {"kernel": kernel, "bias": -11 * kernel[0]}
    assert np.isnan(quadrature.exact_log_likelihood(run, pixels)).all()


def test_the_grid_reaches_beyond_the_prior_and_all_codes():
    low, high = quadrature._box(np.array([[0.0, -9.0], [9.0, 0.0]]))
    np.testing.assert_array_equal([low, high], [[-8, -12], [12, 8]])  # 8 from 0, and 3 from codes


def test_images_far_away_are_not_resolved_and_do_not_change_the_others():
    run, pixels, exact = linear_gaussian(2)
    alone = quadrature.exact_log_likelihood(run, pixels)
    # The encoder is linear: an image of 20 times the contrast has a code as many times as far away, here 24 and more.
    contrast = pixels[np.abs(run.encode(pixels).mean).max(axis=1) > 1.2] - 0.5
    far = np.clip(0.5 + 20 * contrast, 0, 1)
    both = quadrature.exact_log_likelihood(run, np.concatenate([pixels, far]))
    assert len(far) > 5
    assert np.isnan(both[40:]).all()
    np.testing.assert_allclose(both[:40], exact, atol=ROUNDING)
    np.testing.assert_allclose(both[:40], alone, atol=ROUNDING)


EXTREMES = [
    *(("mean", value) for value in (100.0, 1e30, np.inf, np.nan)),
    *(("logvar", value) for value in (-1e4, -1e2, 1e2, 1e4, np.inf, np.nan)),
]


@pytest.mark.parametrize("latent_dim", [1, 2])
@pytest.mark.parametrize(("part", "value"), EXTREMES)
def test_extreme_posteriors_end_without_a_warning(latent_dim, part, value):
    """The marginal does not depend on q(z | x), so it stays exact wherever the encoder points within reach."""
    run, pixels, exact = linear_gaussian(latent_dim)
    run.params["encoder"][part]["bias"] = np.full(latent_dim, value, np.float32)
    actual = quadrature.exact_log_likelihood(run, pixels)
    if part == "logvar" or value == 100:  # a grid of ± 100 is fine enough
        np.testing.assert_allclose(actual, exact, atol=ROUNDING)
    else:
        assert np.isnan(actual).all()
    images = np.rint(pixels * 255).astype(np.uint8)
    numbers = likelihood.evaluate_likelihood(run, images, images, num_samples=100)
    known = numbers["test_log_likelihood_exact_share"] >= likelihood.MIN_SHARE
    assert math.isfinite(numbers["test_log_likelihood_exact"]) == known
    assert math.isfinite(numbers["test_posterior_kl"]) <= known


def decodes_of(monkeypatch):
    """Returns a list to which every later call adds the number of its decodes."""
    sizes, integrate = [], quadrature._log_sums
    monkeypatch.setattr(
        quadrature, "_log_sums",
        lambda *args, side: sizes.append(side ** len(args[-1])) or integrate(*args, side=side),
    )  # fmt: skip
    return sizes


def test_the_decodes_of_a_quadrature_are_bounded_and_images_lose_their_values_one_by_one(two_widths, monkeypatch):
    run, images, _ = two_widths
    pixels = likelihood.evaluation_pixels(run, images)
    sizes = decodes_of(monkeypatch)
    every = quadrature.exact_log_likelihood(run, pixels)
    assert not np.isnan(every).any()
    needed, shares = sum(sizes), []
    for part in (1.0, 0.9, 0.8):
        sizes.clear()
        # A decode counts 2 * 3 + 3 * 6 products, and 50 for each of 6 pixels.
        monkeypatch.setattr(marginal, "MAX_PRODUCTS", part * needed * (24 + 50 * 6))
        some = quadrature.exact_log_likelihood(run, pixels)
        assert sum(sizes) <= part * needed
        known = ~np.isnan(some)
        np.testing.assert_array_equal(some[known], every[known])
        assert known[:12].all()  # those that are wide
        shares.append(known.mean())
    assert shares[0] == 1 > shares[1] > shares[2]
    sizes.clear()
    monkeypatch.setattr(marginal, "MAX_PRODUCTS", 10)  # also before the first grid
    assert np.isnan(quadrature.exact_log_likelihood(run, pixels)).all()
    assert not sizes


@pytest.mark.parametrize("side", [28, 512])
def test_the_memory_of_a_quadrature_is_bounded(side):
    """By the joint of images and cells, and by the pixels that are decoded at once."""
    program = make_program(Config(hidden_dims=(8,)), (side, side))
    count = min(quadrature.MANY, subsets.MAX_PIXELS // side**2)
    shapes = [((count, side, side), np.float32), ((count,), np.int32), ((2,), np.float32), ((2,), np.float32)]
    arguments = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in shapes]
    compiled = quadrature._log_sums.lower(program, params_of(program), *arguments, side=64).compile()
    joint, images = 4 * count * quadrature.CELLS, 4 * count * side**2
    bound = 4 * joint + 2 * images + 4 * 4 * networks.CHUNK_PIXELS
    assert compiled.memory_analysis().temp_size_in_bytes < bound


def test_what_float32_cannot_hold_is_not_called_resolved():
    run, pixels, _ = linear_gaussian(2)
    # Log joints of 3e7 nats, of which float32 keeps 2: many cells are equal.
    run.params["decoder"]["logvar"] = np.float32(2 * np.log(1e-4))
    run.params["decoder"]["logits"]["kernel"] = np.asarray(run.params["decoder"]["logits"]["kernel"]) / 50
    assert np.isnan(quadrature.exact_log_likelihood(run, pixels)).all()


def test_a_posterior_far_narrower_than_the_truth_changes_nothing(monkeypatch):
    run, pixels, exact = linear_gaussian(2, widening=1e-3)
    sizes = decodes_of(monkeypatch)
    np.testing.assert_allclose(quadrature.exact_log_likelihood(run, pixels), exact, atol=ROUNDING)
    assert sum(sizes) == quadrature.CELLS


@pytest.mark.parametrize("latent_dim", [1, 2])
def test_the_grid_finds_posteriors_wherever_the_encoder_says_they_are(latent_dim):
    """The encoder says that all images are at 3, with a standard deviation of 1/1000."""
    run, pixels, exact = linear_gaussian(latent_dim, widening=1e-3)
    mean = run.params["encoder"]["mean"]
    run.params["encoder"]["mean"] = jax.tree.map(np.full_like, mean, {"kernel": 0, "bias": 3})
    np.testing.assert_allclose(quadrature.exact_log_likelihood(run, pixels), exact, atol=ROUNDING)


@pytest.mark.parametrize("tilt", [0.0, 0.9])
def test_narrow_and_tilted_posteriors_are_found_between_the_cells(tilt):
    """Standard deviations are 1/50, or 1/90 and 1/5 along the diagonals; the first step is 1/6."""
    run, *_ = linear_gaussian(2)
    W = np.asarray(run.params["decoder"]["logits"]["kernel"], np.float64).T / 4 @ [[40, 40 * tilt], [40 * tilt, 40]]
    run.params["decoder"]["logits"]["kernel"] = np.float32(4 * W.T)
    exact = scipy.stats.multivariate_normal(np.full(6, 0.5), W @ W.T + SIGMA**2 * np.eye(6))
    # z near 0, where the decoder's sigmoid is linear.
    z = np.random.default_rng(0).uniform(-0.05, 0.05, (40, 2))
    x = 0.5 + z @ W.T + SIGMA * np.random.default_rng(1).standard_normal((40, 6))
    actual = quadrature.exact_log_likelihood(run, x.reshape(-1, 3, 2).astype(np.float32))
    np.testing.assert_allclose(actual, exact.logpdf(x), atol=2e-2)


def test_an_image_s_value_does_not_depend_on_the_others(monkeypatch):
    run, pixels, _ = linear_gaussian(2)
    together = quadrature.exact_log_likelihood(run, pixels)
    monkeypatch.setattr(quadrature, "FEW", 16)  # of 40 images: the last batch is not full
    monkeypatch.setattr(quadrature, "MANY", 16)
    np.testing.assert_allclose(quadrature.exact_log_likelihood(run, pixels), together, atol=ROUNDING)
    one = quadrature.exact_log_likelihood(run, pixels[7:8])
    np.testing.assert_allclose(one, together[7:8], atol=2 * ROUNDING)


def test_quadrature_is_for_one_or_two_dimensions():
    run, pixels, _ = linear_gaussian(3)
    with pytest.raises(ValueError, match="latent_dim of 1 or 2"):
        quadrature.exact_log_likelihood(run, pixels)


@pytest.mark.parametrize("shape", [(5, 5), (5, 4, 3)])
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_densities_as_a_matrix_product(name, shape):
    random = np.random.default_rng(0)
    pixels = Reconstruction(random.normal(0, 3, (4, *shape)).astype(np.float32), np.float32(-0.7))
    images = random.random((3, *shape), np.float32)
    natural, of_z, of_x = map(np.asarray, jax.jit(partial(log_density_parts, name))(pixels, images))
    actual = natural.reshape(4, -1) @ images.reshape(3, -1).T + of_z[:, None] + of_x[None]
    nll = jax.jit(LIKELIHOODS[name])
    for g in range(4):
        one = Reconstruction(np.broadcast_to(pixels.logits[g], images.shape), pixels.logvar)
        np.testing.assert_allclose(actual[g], -np.asarray(nll(one, images)), rtol=1e-5, atol=1e-4)


def encoder_of(means, logvars):
    """A VAE whose posterior of image i is N(means[i], exp(logvars[i])): image i has pixel i white."""
    means, logvars = np.asarray(means, np.float64), np.asarray(logvars, np.float64)
    num_images, latent_dim = means.shape
    config = Config(hidden_dims=(num_images,), latent_dim=latent_dim, activation="relu")
    shape = (1, num_images)
    params = {
        "encoder": {
            "hidden_0": {"kernel": np.eye(num_images), "bias": np.zeros(num_images)},
            "mean": {"kernel": means, "bias": np.zeros(latent_dim)},
            "logvar": {"kernel": logvars, "bias": np.zeros(latent_dim)},
        },
        "decoder": {},
    }
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), params)
    return trained_run(config, make_program(config, shape), params), np.eye(num_images, dtype=np.float32)[:, None, :]


@pytest.mark.parametrize("logvar", [1e4, -1e4])
def test_rate_parts_of_overflowing_variances_are_not_finite_and_no_error(logvar):
    parts = likelihood.rate_parts(*encoder_of(np.zeros((3, 2)), np.full((3, 2), logvar)))
    assert np.isfinite(parts["test_kl_per_dimension"]).all() == (logvar < 0)
    assert parts["test_active_units"] == 0


def test_active_units_and_kl_per_dimension():
    random = np.random.default_rng(0)
    means = np.stack([random.normal(0, 1, 50), np.full(50, 0.3), random.normal(0, 0.05, 50)], axis=1)
    parts = likelihood.rate_parts(*encoder_of(means, np.zeros((50, 3))))
    assert parts["test_active_units"] == 1
    np.testing.assert_allclose(parts["test_kl_per_dimension"], 0.5 * (means**2).mean(0), rtol=1e-4)


def of_mean_image(name, x, train):
    """-log p(x) of each image, each pixel predicted by its mean, in float64 NumPy from the densities."""
    mean = train.mean(axis=0, dtype=np.float64)
    if "gaussian" in name:
        sd = np.sqrt(np.mean((train - mean) ** 2)) if name == "learned_gaussian" else 1.0
        return -scipy.stats.norm(mean, sd).logpdf(x).sum(axis=(1, 2))
    mean = np.clip(mean, 0.5 / 255, 254.5 / 255)
    if name == "bernoulli":
        return -(x * np.log(mean) + (1 - x) * np.log(1 - mean)).sum(axis=(1, 2))
    grid = (np.arange(20_000) + 0.5) / 20_000  # a continuous Bernoulli has the density of e^(l x) on [0, 1]

    def excess(logit, mean):
        return np.average(grid, weights=np.exp(logit * grid)) - mean

    logits = [scipy.optimize.brentq(excess, -600, 600.5, args=(m,)) for m in mean.ravel()]
    logits = np.reshape(logits, mean.shape)
    return -(np.log(logits / np.expm1(logits)) + logits * x).sum(axis=(1, 2))


@pytest.mark.parametrize("name", sorted(LIKELIHOODS))
def test_the_mean_images_distortion_is_that_of_a_decoder_that_knows_the_mean(name):
    """Pixels of all means, of which two are always black or white in training."""
    images = np.random.default_rng(5).random((40, 3, 4)) ** np.geomspace(0.1, 9, 12).reshape(3, 4)
    train, test = np.float32(images[:30]), np.float32(images[30:])
    train[:, 0, 0], train[:, 2, 3] = 1, 0
    expected = of_mean_image(name, test.astype(np.float64), train.astype(np.float64)).mean()
    found = likelihood.mean_image_distortion(name, test, train)
    # float32 knows a mean near white to 6e-8 of half a grey level, and its logit of 510 to 0.02.
    assert found == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize("name", sorted(LIKELIHOODS))
def test_the_mean_image_of_pixels_that_never_change_is_finite(name):
    images = np.zeros((10, 3, 4), np.float32)
    images[:, 0] = 1
    assert math.isfinite(likelihood.mean_image_distortion(name, images, images))
    assert math.isfinite(likelihood.mean_image_distortion(name, 1 - images, images))


@pytest.mark.parametrize(
    ("fields", "proper"),
    [
        ({}, False), ({"binarization": "dynamic"}, True), ({"binarization": "threshold"}, True),
        ({"dataset": "npz:black_and_white"}, True), ({"likelihood": "continuous_bernoulli"}, True),
        ({"likelihood": "gaussian"}, True), ({"likelihood": "learned_gaussian", "binarization": "threshold"}, False),
        ({"likelihood": "continuous_bernoulli", "dataset": "npz:black_and_white"}, False),
    ],
)  # fmt: skip
def test_grey_bernoulli_is_not_a_density(fields, proper):
    config = Config(**fields)
    images = np.random.default_rng(0).choice([0, 255] if ":" in config.dataset else [0, 100, 255], (3, 4, 4))
    run = trained_run(config, make_program(config, (4, 4)), {})
    pixels = likelihood.evaluation_pixels(run, images.astype(np.uint8))
    assert likelihood.is_density(config, pixels) == proper


@pytest.fixture(scope="module")
def trained():
    """A VAE, trained a little on made-up binary images of four patterns, an untrained AE, and images to test on."""
    random = np.random.default_rng(0)
    patterns = random.random((4, 6, 6)) < 0.5
    images = (patterns[random.integers(0, 4, 600)] ^ (random.random((600, 6, 6)) < 0.1)).astype(np.uint8) * 255
    ae, vae = (Config(model=name, hidden_dims=(32,), binarization="threshold", batch_size=50) for name in ("ae", "vae"))
    of_ae, program, numbers = make_program(ae, (6, 6)), make_program(vae, (6, 6)), step.hyperparameters([vae])
    states = step.init_states(program, numbers)
    for epoch in range(12):
        states, _ = step.train_epoch(program, images[:500], states, numbers, np.int32(epoch))
    params = jax.tree.map(lambda leaf: np.asarray(leaf)[0], states.params)
    runs = {"ae": trained_run(ae, of_ae, params_of(of_ae)), "vae": trained_run(vae, program, params)}
    return runs, images[500:]


def test_quadrature_and_5000_samples_agree_on_a_trained_model(trained):
    runs, images = trained
    pixels = likelihood.evaluation_pixels(runs["vae"], images)
    exact = quadrature.exact_log_likelihood(runs["vae"], pixels)
    sampled = marginal.importance_sampled(runs["vae"], pixels, 5000)
    assert abs(exact.mean() - sampled.values.mean()) < 4 * sampled.error + quadrature.TOLERANCE


def test_the_density_of_all_binary_images_sums_to_one():
    """Four pixels have sixteen images: Σ p(x) = 1 for any parameters."""
    config = Config(hidden_dims=(5,), binarization="threshold")
    program = make_program(config, (2, 2))
    params = params_of(program, 3)
    everything = ((np.arange(16)[:, None] >> np.arange(4)) % 2).reshape(16, 2, 2).astype(np.float32)
    exact = quadrature.exact_log_likelihood(trained_run(config, program, params), everything)
    assert np.exp(exact).sum() == pytest.approx(1, abs=1e-4)  # float32


def test_numbers_of_a_run(trained):
    runs, images = trained
    vae = likelihood.evaluate_likelihood(runs["vae"], images, images[:50], num_samples=50)
    assert vae["test_elbo"] == pytest.approx(-(vae["test_distortion"] + vae["test_rate"]))
    assert vae["test_loss"] == pytest.approx(-vae["test_elbo"], rel=1e-6)
    assert vae["test_rate"] == pytest.approx(sum(vae["test_kl_per_dimension"]), rel=1e-5)
    pixels = likelihood.evaluation_pixels(runs["vae"], images)
    of_mean = likelihood.mean_code_distortion(runs["vae"], pixels).mean()
    assert vae["test_noise_cost"] == pytest.approx(vae["test_distortion"] - of_mean)
    assert vae["test_noise_cost"] > 0
    train = likelihood.evaluation_pixels(runs["vae"], images[:50])
    expected = likelihood.mean_image_distortion("bernoulli", pixels, train)
    assert vae["mean_image_distortion"] == pytest.approx(expected)
    assert vae["mean_image_distortion"] > vae["test_distortion"]
    assert vae["test_elbo"] < vae["test_log_likelihood_exact"]
    assert vae["test_posterior_kl"] == pytest.approx(vae["test_log_likelihood_exact"] - vae["test_elbo"])
    assert vae["test_log_likelihood_sampled"] < vae["test_log_likelihood_exact"]
    ae = likelihood.evaluate_likelihood(runs["ae"], images, images, num_samples=1)
    assert set(ae) == {
        "test_loss", "test_loss_error", "test_distortion", "test_distortion_error", "mean_image_distortion",
        "test_noise_cost", "test_mse",
    }  # fmt: skip
    assert ae["test_distortion"] == ae["test_loss"]
    assert ae["test_noise_cost"] == 0


def test_distortion_and_squared_error_of_the_mean_code_are_those_of_a_decode(trained):
    """Bernoulli cross-entropy in float64 from decoded pixels; the squared error's target is the grey image.

    The mean image is of the pixels the model sees, too.
    """
    runs, images = trained
    grey = (images // 255 * 200 + 20).astype(np.uint8)  # thresholded to the same pixels
    numbers = likelihood.evaluate_likelihood(runs["vae"], grey, grey, num_samples=50)
    pixels = images.astype(np.float64) / 255
    found = likelihood.mean_code_distortion(runs["vae"], likelihood.evaluation_pixels(runs["vae"], grey))
    decoded = runs["vae"].decode(runs["vae"].encode(grey).mean).astype(np.float64)
    each = -(pixels * np.log(decoded) + (1 - pixels) * np.log1p(-decoded)).sum(axis=(1, 2))
    np.testing.assert_allclose(found, each, rtol=1e-4)
    errors = np.square(decoded - grey / 255).mean(axis=(1, 2))
    assert numbers["test_mse"] == pytest.approx(errors.mean(), rel=1e-5)
    of_image = of_mean_image("bernoulli", pixels, pixels).mean()
    assert numbers["mean_image_distortion"] == pytest.approx(of_image, rel=1e-5)
    terms = likelihood.elbo_terms(runs["vae"], likelihood.evaluation_pixels(runs["vae"], grey))
    assert numbers["test_distortion_error"] == pytest.approx(scipy.stats.sem(terms.distortion), rel=1e-6)


def test_dynamic_pixels_are_the_same_for_every_estimate():
    config = Config(binarization="dynamic")
    run = trained_run(config, make_program(config, (4, 4)), {})
    grey = np.full((50, 4, 4), 100, np.uint8)
    first, second = (likelihood.evaluation_pixels(run, grey) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert set(np.unique(first)) == {0, 1}


def test_many_or_large_images_are_evaluated_on_a_random_subset(trained, monkeypatch):
    runs, images = trained
    monkeypatch.setattr(subsets, "MAX_PIXELS", 40 * 36)
    monkeypatch.setattr(marginal, "MAX_PRODUCTS", 10 * 500 * (2 * 32 + 32 * 36 + 50 * 36))
    seen, of_samples = [], []
    terms, sample = likelihood.elbo_terms, marginal.importance_sampled
    monkeypatch.setattr(likelihood, "elbo_terms", lambda run, pixels: seen.append(pixels) or terms(run, pixels))
    monkeypatch.setattr(
        marginal, "importance_sampled", lambda run, pixels, k: of_samples.append(pixels) or sample(run, pixels, k)
    )
    likelihood.evaluate_likelihood(runs["vae"], images, images, num_samples=50)
    assert seen[0].shape == (40, 6, 6)
    assert not np.array_equal(seen[0], likelihood.evaluation_pixels(runs["vae"], images)[:40])
    assert of_samples[0].shape == (10, 6, 6)


def test_what_goes_through_a_network_at_once_is_bounded_in_pixels(trained, monkeypatch):
    runs, images = trained
    whole = likelihood.evaluate_likelihood(runs["vae"], images, images, num_samples=50)
    monkeypatch.setattr(networks, "CHUNK_PIXELS", 7 * 36)
    seen = []
    for module, name, place in (
        (runs_module, "_encode", 2),
        (runs_module, "_decode", 2),
        (likelihood, "_mean_code_nll", 2),
    ):
        function = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, f=function, at=place: seen.append(len(args[at])) or f(*args))
    terms, log_weights = likelihood._terms, marginal._log_weights
    monkeypatch.setattr(
        likelihood, "_terms", lambda *args, batch_size: seen.append(batch_size) or terms(*args, batch_size=batch_size)
    )
    monkeypatch.setattr(
        marginal, "_log_weights",
        lambda *args, **kwargs: seen.append(len(args[2]) * kwargs["per_step"]) or log_weights(*args, **kwargs),
    )  # fmt: skip
    parts = likelihood.evaluate_likelihood(runs["vae"], images, images, num_samples=50)
    assert max(seen) == 7
    assert parts["test_mse"] == pytest.approx(whole["test_mse"], rel=1e-6)  # float32 sums in another order
    assert parts["test_log_likelihood_sampled"] == pytest.approx(whole["test_log_likelihood_sampled"], abs=1)


def test_what_is_no_density_has_no_likelihood(trained):
    runs, images = trained
    config = dataclasses.replace(runs["vae"].config, binarization="none")
    grey = trained_run(config, make_program(config, (6, 6)), runs["vae"].params)
    numbers = likelihood.evaluate_likelihood(grey, images // 2, images // 2, num_samples=5)
    assert "test_elbo" in numbers
    assert not [name for name in numbers if "log_likelihood" in name or name == "test_posterior_kl"]


def test_beside_the_exact_value_the_bound_is_sampled_for_few_images(trained, monkeypatch):
    runs, images = trained
    of_all = likelihood.evaluate_likelihood(runs["vae"], images, images, num_samples=50)
    monkeypatch.setattr(likelihood, "SAMPLED_BESIDE_EXACT", 5)
    of_five = likelihood.evaluate_likelihood(runs["vae"], images, images, num_samples=50)
    assert of_five["test_log_likelihood_exact"] == of_all["test_log_likelihood_exact"]
    pixels = likelihood.evaluation_pixels(runs["vae"], images)
    exact, few = quadrature.exact_log_likelihood(runs["vae"], pixels), subsets.subset(np.arange(len(images)), 5)
    bound = marginal.importance_sampled(runs["vae"], pixels[few], 50).values
    expected = of_all["test_log_likelihood_exact"] - (exact[few] - bound).mean()
    assert of_five["test_log_likelihood_sampled"] == pytest.approx(expected, rel=1e-9)
    assert of_five["test_log_likelihood_sampled"] != of_all["test_log_likelihood_sampled"]
