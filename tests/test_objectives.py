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

from vae_jax.model import likelihoods, objectives
from vae_jax.model.likelihoods import Reconstruction
from vae_jax.model.objectives import Batch, BoundNetwork, Posterior
from vae_jax.models import MODELS

pytestmark = pytest.mark.usefixtures("cheap_compilation")

RTOL = 1e-5  # float32 has 24 bits; sums over a few hundred terms keep five decimal digits


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


def test_the_elbo_is_finite_with_its_gradient_at_extreme_logvars():
    def loss(logvar):
        z = objectives.reparameterize(jax.random.key(0), jnp.zeros((1, 2)), logvar)
        logits = jnp.clip(z, -200, 200)[:, :, None]
        nll = likelihoods.bernoulli_nll(Reconstruction(logits, jnp.float32(0)), jnp.ones((1, 2, 1)))
        return nll[0] + objectives.gaussian_kl(jnp.zeros((1, 2)), logvar).sum()

    value, gradient = jax.jit(jax.value_and_grad(loss))(np.float32([[50.0, -50.0]]))
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("name", likelihoods.LIKELIHOODS)
def test_gradients_by_finite_differences(name):
    random = np.random.default_rng(3)
    logits, images = random.normal(0, 3, (2, 3, 3)), random.random((2, 3, 3))

    @jax.jit
    def loss(logits, logvar, mean, posterior_logvar):
        nll = likelihoods.LIKELIHOODS[name](Reconstruction(logits, logvar), jnp.asarray(images))
        return nll.sum() + objectives.gaussian_kl(mean, posterior_logvar).sum()

    with jax.enable_x64(True):
        arguments = (jnp.asarray(logits), jnp.array(-0.5), jnp.array([[0.3, -2.0]]), jnp.array([[-1.0, 0.5]]))
        check_grads(loss, arguments, order=1, modes=("rev",), rtol=1e-6, atol=1e-6)


DECODER = {"logits": {"kernel": jnp.array([[1.0, -2.0], [0.5, 0.0]]), "bias": jnp.array([100.0, 100.0])}}


def linear_model(logvar):
    """A two-pixel model whose numbers can be done by hand: code = first row, logits = code."""

    def encode(images):
        mean = images[:, 0, :]
        return Posterior(mean, None if logvar is None else jnp.full_like(mean, logvar))

    return BoundNetwork(
        encode, lambda z: Reconstruction(z[:, None, :], jnp.float32(0)), likelihoods.bernoulli_nll, DECODER
    )  # fmt: skip


IMAGES = np.array([[[1.0, 0.0]], [[0.5, 1.0]]], np.float32)


def hyperparameters(kl_weight=1.0, free_bits=0.0, decoder_l2=0.0):
    values = {"kl_weight": kl_weight, "free_bits": free_bits, "decoder_l2": decoder_l2}
    return {name: jnp.float32(value) for name, value in values.items()}


def batch(model, key, *numbers, images=IMAGES):
    """A batch of images that all count, with a key of this seed."""
    key = jax.random.key(key) if isinstance(key, int) else key
    return Batch(model, images, jnp.ones(len(images)), key, hyperparameters(*numbers))


def test_ae_objective_hand_computed():
    terms = objectives.ae_objective(batch(linear_model(None), 0, 3, 0, 3))
    softplus = np.log1p(np.exp([[1.0, 0.0], [0.5, 1.0]]))
    expected = softplus.sum(1) - [1.0, 0.25 + 1.0]
    np.testing.assert_allclose(terms.loss(), expected, rtol=RTOL)
    np.testing.assert_allclose(terms.distortion, expected, rtol=RTOL)
    np.testing.assert_array_equal(terms.rate, [0, 0])


def test_rae_objective_is_the_ae_with_a_pull_and_a_decay():
    def terms(objective, *numbers):
        return objective(batch(linear_model(None), 0, *numbers))

    ae = terms(objectives.ae_objective)
    rae = terms(objectives.rae_objective, 4, 0, 0.1)
    np.testing.assert_array_equal(rae.distortion, ae.distortion)
    np.testing.assert_array_equal(rae.rate, [0, 0])
    # ½‖z‖² of the codes (1, 0) and (0.5, 1); the kernel's squared norm is 1 + 4 + 0.25, and biases do not count.
    np.testing.assert_allclose(rae.penalty, 4 * np.array([0.5, 0.625]) + 0.1 * 5.25, rtol=RTOL)
    np.testing.assert_array_equal(terms(objectives.rae_objective, 0, 0, 0).loss(), ae.loss())


def test_cv_vae_objective_is_the_vae_without_what_its_noise_costs():
    sd = 0.3
    model = linear_model(2 * np.log(sd))
    cv_vae, vae = (
        objective(batch(model, 5, 4)) for objective in (objectives.cv_vae_objective, objectives.vae_objective)
    )
    np.testing.assert_array_equal(cv_vae.distortion, vae.distortion)  # the same draw
    np.testing.assert_array_equal(cv_vae.rate, vae.rate)
    constant = 2 * (sd**2 - 1 - np.log(sd**2)) / 2  # of two dimensions: KL(N(0, sd²) || N(0, 1))
    np.testing.assert_allclose(vae.penalty - cv_vae.penalty, np.full(2, 4 * constant), rtol=RTOL)
    np.testing.assert_allclose(cv_vae.penalty, 4 * np.array([0.5, 0.625]), rtol=RTOL)


def test_vae_with_no_kl_weight_and_no_variance_is_the_ae():
    def loss(objective, logvar):
        return objective(batch(linear_model(logvar), 1, 0)).loss()

    ae = loss(objectives.ae_objective, None)
    for objective in (objectives.vae_objective, objectives.cv_vae_objective):
        np.testing.assert_array_equal(loss(objective, -210.0), ae)  # exp(-105) is 0 in float32
        assert not np.allclose(loss(objective, 0.0), ae)


def test_vae_objective_weighs_the_kl_and_gives_free_bits():
    def cost(free_bits):  # KL of a dimension is mean²/2: [[.5, 0], [.125, .5]]
        return objectives.vae_objective(batch(linear_model(0.0), 2, 4, free_bits))

    terms = cost(0)
    np.testing.assert_allclose(terms.rate, [0.5, 0.625], rtol=RTOL)
    np.testing.assert_allclose(terms.loss(), terms.distortion + 4 * terms.rate, rtol=RTOL)
    z = objectives.reparameterize(jax.random.key(2), IMAGES[:, 0], jnp.zeros((2, 2)))
    expected = likelihoods.bernoulli_nll(Reconstruction(z[:, None], jnp.float32(0)), IMAGES)
    np.testing.assert_allclose(terms.distortion, expected, rtol=RTOL)
    free = cost(0.2)
    np.testing.assert_allclose(free.penalty, 4 * np.array([0.5 + 0.2, 0.2 + 0.5]), rtol=RTOL)
    np.testing.assert_allclose(free.rate, terms.rate)
    np.testing.assert_allclose(free.loss(0.25), free.distortion + free.penalty / 4, rtol=RTOL)  # warm-up


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.has_variance])
@pytest.mark.parametrize("importance_samples", [0, 2])
def test_noise_needs_a_variance(name, importance_samples):
    objective = objectives.objective_of(name, importance_samples)
    with pytest.raises(ValueError, match="log-variance"):
        objective(batch(linear_model(None), 0))


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_an_objective(name):
    logvar = 0.0 if MODELS[name].has_variance else None
    objective = objectives.objective_of(name)
    terms = objective(batch(linear_model(logvar), 0))
    assert terms.loss().shape == (2,)
    assert {*MODELS[name].baselines} <= {*MODELS} - {name}


# p(z) = N(0, I) and p(x | z) = N(Wz + b, σ² I). The columns of W are orthogonal, so that the posterior is diagonal.
W = np.array([[1.0, 0.5], [-2.0, 0.25], [0.0, 1.5]])
W[:, 1] -= W[:, 0] * (W[:, 0] @ W[:, 1]) / (W[:, 0] @ W[:, 0])
B, SIGMA = np.array([0.3, -0.2, 0.1]), 0.7
X = np.array([[1.0, -2.0, 0.4], [-0.5, 0.3, 2.0]])
POSTERIOR_VAR = 1 / (1 + np.square(W).sum(axis=0) / SIGMA**2)
POSTERIOR_MEAN = (X - B) @ W * POSTERIOR_VAR / SIGMA**2
LOG_P = scipy.stats.multivariate_normal(B, W @ W.T + SIGMA**2 * np.eye(3)).logpdf(X)


def linear_gaussian(shift=0.0, logvar_shift=0.0):
    """The model above with the exact posterior as q, or with one whose means and log-variances are shifted."""

    def encode(images):
        mean = jnp.float32(POSTERIOR_MEAN) + shift
        return Posterior(mean, jnp.broadcast_to(jnp.log(jnp.float32(POSTERIOR_VAR)), mean.shape) + logvar_shift)

    def decode(z):
        return Reconstruction((z @ jnp.float32(W).T + jnp.float32(B)[None])[:, None], jnp.float32(0))

    def nll(reconstruction, images):
        square = jnp.sum(jnp.square(images - reconstruction.logits), axis=(1, 2))
        return square / (2 * SIGMA**2) + 1.5 * np.log(2 * np.pi * SIGMA**2)

    return BoundNetwork(encode, decode, nll, {})


def iwae_losses(num_samples, num_keys, shift=0.5, logvar_shift=0.4):
    """Losses float32[num_keys, 2] of a q that is off by this much, each with a key of its own."""

    def loss(key):
        inputs = batch(linear_gaussian(shift, logvar_shift), key, images=jnp.float32(X)[:, None])
        return objectives.iwae_objective(inputs, num_samples=num_samples).loss()

    return jax.jit(lambda key: jax.vmap(loss)(jax.random.split(key, num_keys)))(jax.random.key(num_samples))


def elbo(shift, logvar_shift):
    """The ELBO of the linear model in closed form: log p(x) - KL(q || posterior), summed over both images."""
    variance_ratio = jnp.exp(logvar_shift)
    kl = 0.5 * (variance_ratio - 1 - logvar_shift + jnp.square(shift) / POSTERIOR_VAR)
    return LOG_P.sum() - 2 * kl.sum()


@pytest.mark.parametrize("num_samples", [1, 3, 40])
def test_with_the_exact_posterior_the_iwae_bound_is_the_log_likelihood_for_every_k(num_samples):
    losses = iwae_losses(num_samples, 5, shift=0.0, logvar_shift=0.0)
    np.testing.assert_allclose(losses, np.broadcast_to(-LOG_P, (5, 2)), rtol=RTOL)


def test_the_iwae_bound_rises_with_k_from_the_elbo_to_the_log_likelihood():
    sizes = (1, 5, 50, 2000)
    draws = {k: -np.asarray(iwae_losses(k, 40_000 // k), np.float64).sum(axis=1) for k in sizes}
    bounds = np.array([draws[k].mean() for k in sizes])
    errors = np.array([draws[k].std() / np.sqrt(len(draws[k])) for k in sizes])
    assert np.all(np.diff(bounds) > 2 * np.hypot(errors[:-1], errors[1:]))
    assert abs(bounds[0] - elbo(np.full(2, 0.5), np.full(2, 0.4))) < 4 * errors[0]
    # The gap is about half the variance of the mean weight, 0.002 nats at 2,000 draws.
    assert abs(LOG_P.sum() - bounds[-1]) < 4 * errors[-1] + 0.01
    assert errors[-1] < 0.02


def test_the_gradient_of_the_iwae_with_one_draw_is_that_of_the_elbo():
    def loss(parameters, key):
        inputs = batch(linear_gaussian(*parameters), key, images=jnp.float32(X)[:, None])
        return objectives.iwae_objective(inputs, num_samples=1).loss().sum()

    at = jnp.full((1, 2), 0.5), jnp.full((1, 2), 0.4)
    keys = jax.random.split(jax.random.key(8), 40_000)
    gradients = jax.jit(jax.vmap(jax.grad(loss), in_axes=(None, 0)))(at, keys)
    expected = jax.jit(jax.grad(lambda parameters: -elbo(*parameters)))((at[0][0], at[1][0]))
    for drawn, exact in zip(gradients, expected, strict=True):
        drawn = np.asarray(drawn, np.float64)[:, 0]
        error = drawn.std(axis=0) / np.sqrt(len(drawn))
        assert np.all(np.abs(drawn.mean(axis=0) - exact) < 4 * error)  # 4 standard errors


def test_iwae_objective_hand_computed():
    """In float64 NumPy from the same draws, with a weight of the KL term."""
    key, k = jax.random.key(3), 4

    def objective(key):
        inputs = batch(linear_gaussian(0.5, 0.4), key, 2.5, images=jnp.float32(X)[:, None])
        return objectives.iwae_objective(inputs, num_samples=k)

    terms = jax.jit(objective)(jax.random.clone(key))
    mean, sd = POSTERIOR_MEAN + 0.5, np.sqrt(POSTERIOR_VAR * np.exp(0.4))
    z = mean + sd * np.asarray(jax.random.normal(key, (k, 2, 2)), np.float64)
    log_ratio = (scipy.stats.norm.logpdf(z, mean, sd) - scipy.stats.norm.logpdf(z)).sum(axis=-1)
    nll = -scipy.stats.norm.logpdf(X, z @ W.T + B, SIGMA).sum(axis=-1)
    expected = np.log(k) - scipy.special.logsumexp(-nll - 2.5 * log_ratio, axis=0)
    np.testing.assert_allclose(terms.loss(), expected, rtol=RTOL)
    np.testing.assert_allclose(terms.distortion, nll.mean(axis=0), rtol=RTOL)
    kl = 0.5 * (sd**2 + mean**2 - 1 - 2 * np.log(sd)).sum(axis=1)
    np.testing.assert_allclose(terms.rate, kl, rtol=RTOL)


def test_draws_in_turns_are_the_same_as_at_once(monkeypatch):
    num_samples = 7  # in turns of two, and one

    def loss(shift):
        inputs = batch(linear_gaussian(shift, 0.4), 4, images=jnp.float32(X)[:, None])
        return objectives.iwae_objective(inputs, num_samples=num_samples).loss().sum()

    at_once = jax.jit(jax.value_and_grad(loss))(0.5)
    monkeypatch.setattr(objectives, "MAX_DECODED_PIXELS", 2 * X.size)
    in_turns = jax.jit(jax.value_and_grad(lambda shift: loss(shift)))(0.5)  # another function, so traced again
    np.testing.assert_allclose(in_turns, at_once, rtol=RTOL)


def test_memory_of_many_draws_is_bounded():
    """Ten times as many draws take the memory of their codes, and not of their decodes."""
    kernel = jnp.zeros((2, 784))

    def memory(num_samples):
        def loss(kernel, images):
            encode = linear_model(0.0).encode
            model = BoundNetwork(
                lambda images: encode(images[:, :1, :2]),
                lambda z: Reconstruction((z @ kernel).reshape(-1, 28, 28), jnp.float32(0)),
                likelihoods.bernoulli_nll, {},
            )  # fmt: skip
            inputs = batch(model, 0, images=images)
            return objectives.iwae_objective(inputs, num_samples=num_samples).loss().sum()

        compiled = jax.jit(jax.grad(loss)).lower(kernel, jnp.zeros((128, 28, 28))).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    few, many = memory(100), memory(1000)
    decodes = 900 * 128 * 784 * 4
    assert many - few < 0.05 * decodes
    assert many < 5 * 4 * objectives.MAX_DECODED_PIXELS


def test_reparameterize_has_the_moments_it_is_asked_for():
    mean, logvar = jnp.array([1.0, -2.0]), jnp.array([0.0, 2.0])
    z = objectives.reparameterize(jax.random.key(3), *(jnp.broadcast_to(a, (100_000, 2)) for a in (mean, logvar)))
    sd = np.exp(np.asarray(logvar) / 2)
    np.testing.assert_allclose(z.mean(0), mean, atol=5 * sd.max() / np.sqrt(100_000))  # 5 standard errors
    np.testing.assert_allclose(z.std(0), sd, rtol=5 / np.sqrt(2 * 100_000))
    ones = jnp.ones((3, 2))
    gradient = jax.grad(lambda mean: objectives.reparameterize(jax.random.key(4), mean, 0 * ones).sum())(ones)
    np.testing.assert_array_equal(gradient, np.ones((3, 2)))
