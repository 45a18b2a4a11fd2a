"""Objectives against hand-computed values, float64 NumPy and SciPy, Monte Carlo, and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads

from vae_jax import objectives
from vae_jax.models import MODELS
from vae_jax.objectives import Posterior, Reconstruction

RTOL = 1e-5  # float32 has 24 bits; sums over a few hundred terms keep five decimal digits


def reconstruction(logits, logvar=0.0):
    return Reconstruction(jnp.asarray(logits, jnp.float32), jnp.float32(logvar))


def made_up(seed, batch=3, side=5):
    random = np.random.default_rng(seed)
    return random.normal(0, 3, (batch, side, side)), random.random((batch, side, side))


def test_kl_hand_computed():
    # KL(N(0,1)||N(0,1)) = 0; KL(N(1,1)||·) = 1/2; KL(N(0,e)||·) = (e - 2)/2; KL(N(2, 1/4)||·) = (1/4 + 4 - 1 + ln 4)/2.
    mean = jnp.array([[0.0, 1.0, 0.0, 2.0]])
    logvar = jnp.array([[0.0, 0.0, 1.0, np.log(0.25)]])
    expected = [[0.0, 0.5, (np.e - 2) / 2, (0.25 + 4 - 1 + np.log(4)) / 2]]
    np.testing.assert_allclose(objectives.gaussian_kl(mean, logvar), expected, rtol=1e-6)


def test_kl_is_the_mean_log_ratio_under_q():
    mean, logvar = np.array([0.7, -1.5]), np.array([-1.0, 0.8])
    sd = np.exp(logvar / 2)
    z = mean + sd * np.random.default_rng(0).standard_normal((400_000, 2))
    ratio = scipy.stats.norm.logpdf(z, mean, sd) - scipy.stats.norm.logpdf(z)
    error = ratio.std(axis=0) / np.sqrt(len(z))
    kl = objectives.gaussian_kl(jnp.asarray(mean, jnp.float32), jnp.asarray(logvar, jnp.float32))
    assert np.all(np.abs(kl - ratio.mean(axis=0)) < 4 * error)  # 4 standard errors


@given(st.floats(-3, 3), st.floats(-6, 6))
def test_kl_is_never_negative_and_zero_only_at_the_prior(mean, logvar):
    kl = float(objectives.gaussian_kl(jnp.float32(mean), jnp.float32(logvar)))
    assert kl >= 0
    assert kl == pytest.approx(0.5 * (np.expm1(logvar) - logvar + mean**2), rel=1e-4, abs=1e-6)


def test_bernoulli_against_float64():
    logits, images = made_up(0)
    p = scipy.special.expit(logits)
    expected = -(images * np.log(p) + (1 - images) * np.log1p(-p)).sum(axis=(1, 2))
    np.testing.assert_allclose(
        objectives.bernoulli_nll(reconstruction(logits), jnp.float32(images)), expected, rtol=RTOL
    )


def test_continuous_bernoulli_against_float64_quadrature():
    logits, images = made_up(1)
    logits[0, 0] = [0.0, 1e-4, -0.049, 0.051, 30.0]  # both sides of the series around 0
    log_p, log_q = scipy.special.log_expit(logits), scipy.special.log_expit(-logits)

    def integral(log_p, log_q):
        return scipy.integrate.quad(lambda x: np.exp(x * log_p + (1 - x) * log_q), 0, 1)[0]

    density = images * log_p + (1 - images) * log_q - np.log(np.vectorize(integral)(log_p, log_q))
    actual = objectives.continuous_bernoulli_nll(reconstruction(logits), jnp.float32(images))
    np.testing.assert_allclose(actual, -density.sum(axis=(1, 2)), rtol=RTOL, atol=1e-4)


@pytest.mark.parametrize("logvar", [0.0, -3.0])
def test_gaussian_against_scipy(logvar):
    logits, images = made_up(2)
    expected = -scipy.stats.norm.logpdf(images, scipy.special.expit(logits), np.exp(logvar / 2)).sum(axis=(1, 2))
    actual = objectives.gaussian_nll(reconstruction(logits, logvar), jnp.float32(images))
    np.testing.assert_allclose(actual, expected, rtol=RTOL)


def test_pixel_mean_is_the_mean_of_the_density():
    logits = np.array([[[-30.0, -2.0, -0.051, -0.049, 0.0, 1e-3, 0.3, 8.0]]])
    lam = scipy.special.expit(logits)

    def mean(lam):
        weight = scipy.integrate.quad(lambda x: lam**x * (1 - lam) ** (1 - x), 0, 1)[0]
        return scipy.integrate.quad(lambda x: x * lam**x * (1 - lam) ** (1 - x), 0, 1)[0] / weight

    actual = objectives.pixel_mean("continuous_bernoulli", reconstruction(logits))
    np.testing.assert_allclose(actual, np.vectorize(mean)(lam), atol=5e-6)
    np.testing.assert_allclose(objectives.pixel_mean("bernoulli", reconstruction(logits)), lam, rtol=RTOL)


@pytest.mark.parametrize("nll", objectives.LIKELIHOODS.values())
def test_likelihoods_are_finite_with_their_gradients_at_extreme_logits(nll):
    logits = jnp.array([[[-200.0, 200.0, 0.0, -1e9, 1e9, 1e-30]]])
    images = jnp.array([[[1.0, 0.0, 0.5, 1.0, 0.0, 1.0]]])

    def loss(logits):
        return nll(Reconstruction(logits, jnp.float32(0)), images)[0]

    value, gradient = jax.value_and_grad(loss)(logits)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_the_elbo_is_finite_with_its_gradient_at_extreme_logvars():
    def loss(logvar):
        z = objectives.reparameterize(jax.random.key(0), jnp.zeros((1, 2)), logvar)
        logits = jnp.clip(z, -200, 200)[:, :, None]
        nll = objectives.bernoulli_nll(Reconstruction(logits, jnp.float32(0)), jnp.ones((1, 2, 1)))
        return nll[0] + objectives.gaussian_kl(jnp.zeros((1, 2)), logvar).sum()

    value, gradient = jax.value_and_grad(loss)(jnp.array([[50.0, -50.0]]))
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("name", objectives.LIKELIHOODS)
def test_gradients_by_finite_differences(name):
    logits, images = made_up(3, batch=2, side=3)

    def loss(logits, logvar, mean, posterior_logvar):
        nll = objectives.LIKELIHOODS[name](Reconstruction(logits, logvar), jnp.asarray(images))
        return nll.sum() + objectives.gaussian_kl(mean, posterior_logvar).sum()

    with jax.enable_x64(True):
        arguments = (jnp.asarray(logits), jnp.array(-0.5), jnp.array([[0.3, -2.0]]), jnp.array([[-1.0, 0.5]]))
        check_grads(loss, arguments, order=1, modes=("rev",), rtol=1e-6, atol=1e-6)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="differ in shape"):
        objectives.bernoulli_nll(reconstruction(np.zeros((2, 4, 4))), jnp.zeros((1, 4, 4)))


def linear_model(logvar):
    """A two-pixel model whose numbers can be done by hand: code = first row, logits = code."""

    def encode(images):
        mean = images[:, 0, :]
        return Posterior(mean, None if logvar is None else jnp.full_like(mean, logvar))

    return encode, lambda z: Reconstruction(z[:, None, :], jnp.float32(0))


IMAGES = np.array([[[1.0, 0.0]], [[0.5, 1.0]]], np.float32)


def hyperparameters(kl_weight=1.0, free_bits=0.0):
    return {"kl_weight": jnp.float32(kl_weight), "free_bits": jnp.float32(free_bits)}


def test_ae_objective_hand_computed():
    terms = objectives.ae_objective(
        *linear_model(None), objectives.bernoulli_nll, IMAGES, jax.random.key(0), hyperparameters(3)
    )
    softplus = np.log1p(np.exp([[1.0, 0.0], [0.5, 1.0]]))
    expected = softplus.sum(1) - [1.0, 0.25 + 1.0]
    np.testing.assert_allclose(terms.loss(), expected, rtol=RTOL)
    np.testing.assert_allclose(terms.distortion, expected, rtol=RTOL)
    np.testing.assert_array_equal(terms.rate, [0, 0])


def test_vae_with_no_kl_weight_and_no_variance_is_the_ae():
    def loss(objective, logvar):
        arguments = objectives.bernoulli_nll, IMAGES, jax.random.key(1), hyperparameters(kl_weight=0)
        return objective(*linear_model(logvar), *arguments).loss()

    ae = loss(objectives.ae_objective, None)
    np.testing.assert_array_equal(loss(objectives.vae_objective, -210.0), ae)  # exp(-105) is 0 in float32
    noisy = loss(objectives.vae_objective, 0.0)
    assert not np.allclose(noisy, ae)


def test_vae_objective_weighs_the_kl_and_gives_free_bits():
    nll = objectives.bernoulli_nll

    def cost(free_bits):  # KL of a dimension is mean²/2: [[.5, 0], [.125, .5]]
        key = jax.random.key(2)
        return objectives.vae_objective(*linear_model(0.0), nll, IMAGES, key, hyperparameters(4, free_bits))

    terms = cost(0)
    np.testing.assert_allclose(terms.rate, [0.5, 0.625], rtol=RTOL)
    np.testing.assert_allclose(terms.loss(), terms.distortion + 4 * terms.rate, rtol=RTOL)
    z = objectives.reparameterize(jax.random.key(2), IMAGES[:, 0], jnp.zeros((2, 2)))
    np.testing.assert_allclose(terms.distortion, nll(Reconstruction(z[:, None], jnp.float32(0)), IMAGES), rtol=RTOL)
    free = cost(0.2)
    np.testing.assert_allclose(free.penalty, 4 * np.array([0.5 + 0.2, 0.2 + 0.5]), rtol=RTOL)
    np.testing.assert_allclose(free.rate, terms.rate)
    np.testing.assert_allclose(free.loss(0.25), free.distortion + free.penalty / 4, rtol=RTOL)  # warm-up


def test_a_vae_needs_a_variance():
    with pytest.raises(ValueError, match="log-variance"):
        objectives.vae_objective(
            *linear_model(None), objectives.bernoulli_nll, IMAGES, jax.random.key(0), hyperparameters()
        )


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_an_objective(name):
    logvar = 0.0 if MODELS[name].has_variance else None
    arguments = objectives.bernoulli_nll, IMAGES, jax.random.key(0), hyperparameters()
    terms = objectives.objective_of(name)(*linear_model(logvar), *arguments)
    assert terms.loss().shape == (2,)
    assert {*MODELS[name].baselines} <= {*MODELS} - {name}


def test_reparameterize_has_the_moments_it_is_asked_for():
    mean, logvar = jnp.array([1.0, -2.0]), jnp.array([0.0, 2.0])
    z = objectives.reparameterize(jax.random.key(3), *(jnp.broadcast_to(a, (100_000, 2)) for a in (mean, logvar)))
    sd = np.exp(np.asarray(logvar) / 2)
    np.testing.assert_allclose(z.mean(0), mean, atol=5 * sd.max() / np.sqrt(100_000))  # 5 standard errors
    np.testing.assert_allclose(z.std(0), sd, rtol=5 / np.sqrt(2 * 100_000))
    ones = jnp.ones((3, 2))
    gradient = jax.grad(lambda mean: objectives.reparameterize(jax.random.key(4), mean, 0 * ones).sum())(ones)
    np.testing.assert_array_equal(gradient, np.ones((3, 2)))


def test_binarize():
    images = jnp.array([[[0.0, 0.49, 0.5, 1.0]]])
    np.testing.assert_array_equal(objectives.binarize("none", images, jax.random.key(0)), images)
    np.testing.assert_array_equal(objectives.binarize("threshold", images, jax.random.key(0)), [[[0, 0, 1, 1]]])
    drawn = objectives.binarize("dynamic", jnp.broadcast_to(images, (20_000, 1, 4)), jax.random.key(0))
    assert set(np.unique(drawn)) == {0.0, 1.0}
    np.testing.assert_allclose(drawn.mean(0), images[0], atol=5 * 0.5 / np.sqrt(20_000))


@pytest.mark.parametrize("num_pixels", [1, 112, 127, 784])
def test_softplus_summed_with_few_logarithms(num_pixels):
    logits = np.random.default_rng(0).normal(0, 20, (50, num_pixels))
    logits[:4] = np.array([0.0, -1e3, 1e3, 1e-8])[:, None]
    actual = objectives._sum_softplus(jnp.asarray(logits, jnp.float32)[:, None, :])
    # A factor keeps 24 bits: 6e-8 of each of up to 784, beside float32's own rounding of the sum.
    np.testing.assert_allclose(actual, np.logaddexp(0, logits).sum(axis=1), rtol=1e-6, atol=1e-4)
