"""Convolutions as matrix products equal flax's layers in parameters, values and gradients."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vae_jax.model import convolutions

pytestmark = pytest.mark.usefixtures("cheap_compilation")

PAIRS = [(convolutions.Conv, nn.Conv), (convolutions.ConvTranspose, nn.ConvTranspose)]
SIDES = st.tuples(st.integers(1, 7), st.integers(1, 7))
KERNELS = st.tuples(st.integers(1, 5), st.integers(1, 5))
STRIDES = st.tuples(st.integers(1, 4), st.integers(1, 4))


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def assert_equal_layers(ours, flaxs, images):
    found, shapes = (jax.eval_shape(layer.init, jax.random.key(1), images)["params"] for layer in (ours, flaxs))
    assert found == shapes
    kernel = normal(*shapes["kernel"].shape)
    params = {"kernel": kernel / np.sqrt(np.float32(kernel[..., 0].size)), "bias": normal(ours.features)}

    def value_and_gradients(layer):
        def value(params, images):
            out = layer.apply({"params": params}, images)
            return jnp.sum(np.sin(np.arange(out.size, dtype=np.float32)).reshape(out.shape) * out), out

        (_, out), gradients = jax.jit(jax.value_and_grad(value, (0, 1), has_aux=True))(params, images)
        return out, gradients

    # Sums of at most 5 * 5 * 64 products in float32, in two orders.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
        value_and_gradients(ours), value_and_gradients(flaxs),
    )  # fmt: skip


@pytest.mark.parametrize(("ours", "flaxs"), PAIRS)
@settings(max_examples=4, deadline=None)
@given(size=SIDES, kernel_size=KERNELS, strides=STRIDES, padding=st.sampled_from(["SAME", "VALID"]))
@example(size=(3, 4), kernel_size=(2, 3), strides=(3, 1), padding="VALID")  # gaps between the patches, and none
def test_any_size_kernel_stride_and_padding(ours, flaxs, size, kernel_size, strides, padding):
    if padding == "VALID":
        size = tuple(max(side, taps) for side, taps in zip(size, kernel_size, strict=True))
    images = normal(2, *size, 3)
    arguments = {"features": 4, "kernel_size": kernel_size, "strides": strides, "padding": padding}
    assert_equal_layers(ours(**arguments), flaxs(**arguments), images)


@pytest.mark.parametrize(("ours", "flaxs"), PAIRS)
@pytest.mark.parametrize("channels", [1, 32])
def test_the_layers_of_the_networks(ours, flaxs, channels):
    layers, images = [layer(64, (3, 3), (2, 2)) for layer in (ours, flaxs)], normal(3, 7, 14, channels)
    assert_equal_layers(*layers, images)
    found, expected = (jax.jit(layer.init)(jax.random.key(1), images)["params"] for layer in layers)
    jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize(("ours", "flaxs"), PAIRS)
def test_other_devices_call_the_convolution_of_xla(ours, flaxs, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    images = normal(2, 6, 5, 3)
    layer = ours(4, (3, 3), (2, 2))
    assert "conv_general_dilated" in str(jax.make_jaxpr(lambda x: layer.init(jax.random.key(0), x))(images))
    assert_equal_layers(layer, flaxs(4, (3, 3), (2, 2)), images)
