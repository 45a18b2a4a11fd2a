"""Likelihoods against float64 NumPy and SciPy, quadrature, and at extreme logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from vae_jax.model import likelihoods
from vae_jax.model.likelihoods import Reconstruction

pytestmark = pytest.mark.usefixtures("cheap_compilation")

RTOL = 1e-5  # float32 has 24 bits; sums over a few hundred terms keep five decimal digits


def reconstruction(logits, logvar=0.0):
    return Reconstruction(jnp.asarray(logits, jnp.float32), jnp.float32(logvar))


def made_up(seed, batch=3, side=5):
    random = np.random.default_rng(seed)
    return random.normal(0, 3, (batch, side, side)), random.random((batch, side, side))


def test_bernoulli_against_float64():
    logits, images = made_up(0)
    p = scipy.special.expit(logits)
    expected = -(images * np.log(p) + (1 - images) * np.log1p(-p)).sum(axis=(1, 2))
    np.testing.assert_allclose(
        likelihoods.bernoulli_nll(reconstruction(logits), jnp.float32(images)), expected, rtol=RTOL
    )


def test_continuous_bernoulli_against_float64_quadrature():
    logits, images = made_up(1)
    logits[0, 0] = [0.0, 1e-4, -0.049, 0.051, 30.0]  # both sides of the series around 0
    log_p, log_q = scipy.special.log_expit(logits), scipy.special.log_expit(-logits)

    def integral(log_p, log_q):
        return scipy.integrate.quad(lambda x: np.exp(x * log_p + (1 - x) * log_q), 0, 1)[0]

    density = images * log_p + (1 - images) * log_q - np.log(np.vectorize(integral)(log_p, log_q))
    actual = likelihoods.continuous_bernoulli_nll(reconstruction(logits), jnp.float32(images))
    np.testing.assert_allclose(actual, -density.sum(axis=(1, 2)), rtol=RTOL, atol=1e-4)


@pytest.mark.parametrize("logit", [-0.049, -0.02, 0.0, 0.03, 0.049, 0.051])
def test_the_normalizer_near_zero_is_that_of_its_closed_form(logit):
    """log C = log(l / tanh(l / 2)) of one pixel in float64, where a sum of many pixels would hide a term of 2e-4."""
    image = np.full((1, 1, 1), 0.3, np.float32)
    closed = np.log(logit / np.tanh(logit / 2)) if logit else np.log(2)
    expected = np.logaddexp(0, logit) - np.float64(image[0, 0, 0]) * logit - closed
    actual = likelihoods.continuous_bernoulli_nll(reconstruction([[[logit]]]), jnp.asarray(image))
    np.testing.assert_allclose(actual, expected, atol=5e-7)  # float32's rounding of terms near 0.7


@pytest.mark.parametrize("logvar", [0.0, -3.0])
def test_gaussian_against_scipy(logvar):
    logits, images = made_up(2)
    expected = -scipy.stats.norm.logpdf(images, scipy.special.expit(logits), np.exp(logvar / 2)).sum(axis=(1, 2))
    actual = likelihoods.gaussian_nll(reconstruction(logits, logvar), jnp.float32(images))
    np.testing.assert_allclose(actual, expected, rtol=RTOL)


@pytest.mark.parametrize("name", likelihoods.LIKELIHOODS)
def test_colours_are_three_times_as_many_pixels(name):
    """Values and gradients of [B, H, W, 3] are the sums of those of the three channels, each a grey image."""
    random = np.random.default_rng(3)
    logits, images = random.normal(0, 3, (2, 4, 5, 3)).astype(np.float32), random.random((2, 4, 5, 3), np.float32)

    @jax.jit
    def values_and_gradient(logits, images):
        def summed(logits):
            values = likelihoods.LIKELIHOODS[name](reconstruction(logits, -1.0), images)
            return values.sum(), values

        gradient, values = jax.grad(summed, has_aux=True)(logits)
        return values, gradient

    values, gradient = values_and_gradient(logits, images)
    of_channels = [values_and_gradient(logits[..., c], images[..., c]) for c in range(3)]
    np.testing.assert_allclose(values, np.sum([channel[0] for channel in of_channels], axis=0), rtol=RTOL)
    expected = np.stack([channel[1] for channel in of_channels], axis=-1)
    np.testing.assert_allclose(gradient, expected, rtol=RTOL, atol=1e-6)  # the rounding of ones


def test_pixel_mean_is_the_mean_of_the_density():
    logits = np.array([[[-30.0, -2.0, -0.051, -0.049, 0.0, 1e-3, 0.3, 8.0]]])
    lam = scipy.special.expit(logits)

    def mean(lam):
        weight = scipy.integrate.quad(lambda x: lam**x * (1 - lam) ** (1 - x), 0, 1)[0]
        return scipy.integrate.quad(lambda x: x * lam**x * (1 - lam) ** (1 - x), 0, 1)[0] / weight

    actual = likelihoods.pixel_mean("continuous_bernoulli", reconstruction(logits))
    np.testing.assert_allclose(actual, np.vectorize(mean)(lam), atol=5e-6)
    np.testing.assert_allclose(likelihoods.pixel_mean("bernoulli", reconstruction(logits)), lam, rtol=RTOL)


@pytest.mark.parametrize("nll", likelihoods.LIKELIHOODS.values())
def test_likelihoods_are_finite_with_their_gradients_at_extreme_logits(nll):
    logits = jnp.array([[[-200.0, 200.0, 0.0, -1e9, 1e9, 1e-30]]])
    images = jnp.array([[[1.0, 0.0, 0.5, 1.0, 0.0, 1.0]]])

    def loss(logits):
        return nll(Reconstruction(logits, jnp.float32(0)), images)[0]

    value, gradient = jax.jit(jax.value_and_grad(loss))(logits)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="differ in shape"):
        likelihoods.bernoulli_nll(reconstruction(np.zeros((2, 4, 4))), jnp.zeros((1, 4, 4)))


def test_binarize():
    images = jnp.array([[[0.0, 0.49, 0.5, 1.0]]])
    np.testing.assert_array_equal(likelihoods.binarize("none", images, jax.random.key(0)), images)
    np.testing.assert_array_equal(likelihoods.binarize("threshold", images, jax.random.key(0)), [[[0, 0, 1, 1]]])
    drawn = likelihoods.binarize("dynamic", jnp.broadcast_to(images, (20_000, 1, 4)), jax.random.key(0))
    assert set(np.unique(drawn)) == {0.0, 1.0}
    np.testing.assert_allclose(drawn.mean(0), images[0], atol=5 * 0.5 / np.sqrt(20_000))


@pytest.mark.parametrize("num_pixels", [1, 112, 127, 784])
def test_softplus_summed_with_few_logarithms(num_pixels):
    logits = np.random.default_rng(0).normal(0, 20, (50, num_pixels))
    logits[:4] = np.array([0.0, -1e3, 1e3, 1e-8])[:, None]
    actual = likelihoods._sum_softplus(jnp.asarray(logits, jnp.float32)[:, None, :])
    # A factor keeps 24 bits: 6e-8 of each of up to 784, beside float32's own rounding of the sum.
    np.testing.assert_allclose(actual, np.logaddexp(0, logits).sum(axis=1), rtol=1e-6, atol=1e-4)
