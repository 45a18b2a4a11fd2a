"""Networks: shapes, heads, symmetry of AE and VAE, initial bias, determinism."""

import dataclasses
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.config import Config, ConfigError
from vae_jax.model import networks
from vae_jax.model.networks import ACTIVATIONS
from vae_jax.model.programs import make_program

pytestmark = pytest.mark.usefixtures("cheap_compilation")


encode, decode = (jax.jit(function, static_argnums=0) for function in (networks.encode, networks.decode))


@partial(jax.jit, static_argnums=0)
def draw(network, seed, images):
    return network.init(jax.random.key(seed), images)["params"]


@partial(jax.jit, static_argnums=0)
def apply(network, params, images):
    return network.apply({"params": params}, images)


def images_of(shape):
    return np.random.default_rng(7).random((3, *shape), np.float32)


def init(config, shape=(8, 12), mean_pixel=None, seed=0):
    network, images = make_program(config, shape, mean_pixel).network, images_of(shape)
    return network, draw(network, seed, images), images


def shapes_of(config, shape=(8, 12)):
    """Returns the shapes of the parameters, of the posterior and of the reconstruction."""
    network, images = make_program(config, shape).network, images_of(shape)
    params = jax.eval_shape(partial(draw, network), 0, images)
    posterior = jax.eval_shape(partial(encode, network), params, images)
    found = params, posterior, jax.eval_shape(partial(apply, network), params, images)
    return jax.tree.map(lambda leaf: leaf.shape, found)


@pytest.mark.parametrize("shape", [(8, 12), (8, 12, 3)])
@pytest.mark.parametrize(
    ("architecture", "model", "hidden_dims"),
    [("mlp", "ae", ()), ("mlp", "vae", (16,)), ("conv", "ae", (16, 8)), ("conv", "vae", ())],
)
def test_shapes(architecture, model, hidden_dims, shape):
    config = Config(architecture=architecture, model=model, hidden_dims=hidden_dims, latent_dim=5)
    _, posterior, pixels = shapes_of(config, shape)
    assert posterior == ((3, 5), None if model == "ae" else (3, 5))
    assert pixels == ((3, *shape), ())


@pytest.mark.parametrize("shape", [(9, 13), (9, 13, 3)])
def test_convolutions_have_the_channels_that_are_asked_for(shape):
    config = Config(architecture="conv", conv_features=(5, 6, 7), hidden_dims=(4,))
    params, _, pixels = shapes_of(config, shape)
    channels = shape[2] if len(shape) > 2 else 1
    kernels = {half: {name: layer["kernel"] for name, layer in params[half].items()} for half in params}
    assert [kernels["encoder"][f"conv_{n}"] for n in range(3)] == [(3, 3, channels, 5), (3, 3, 5, 6), (3, 3, 6, 7)]
    assert kernels["encoder"]["hidden_0"] == (2 * 2 * 7, 4)  # 9 x 13, 5 x 7, 3 x 4, 2 x 2
    assert kernels["decoder"]["unflatten"] == (4, 2 * 2 * 7)
    assert [kernels["decoder"][f"conv_{n}"] for n in range(2)] == [(3, 3, 7, 6), (3, 3, 6, 5)]
    assert kernels["decoder"]["logits"] == (3, 3, 5, channels)
    assert pixels.logits == (3, *shape)


def test_an_encoder_of_colours_is_linens_convolutions_of_three_channels():
    module, params, images = init(
        Config(architecture="conv", conv_features=(5,), hidden_dims=(), model="ae"), (6, 7, 3)
    )
    p = jax.tree.map(np.asarray, params["encoder"])
    linens = jax.jit(nn.Conv(5, (3, 3), strides=(2, 2)).apply)
    x = np.maximum(linens({"params": p["conv_0"]}, images), 0).reshape(3, -1)
    mean = encode(module, params, images).mean
    expected = x @ p["mean"]["kernel"] + p["mean"]["bias"]
    np.testing.assert_allclose(mean, expected, rtol=1e-4, atol=1e-6)  # float32, in another order


def test_the_dense_network_is_what_numpy_says():
    module, params, images = init(Config(model="vae", hidden_dims=(6, 4), activation="tanh"))
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)

    def dense(layer, x):
        return x @ layer["kernel"] + layer["bias"]

    hidden = np.asarray(images, np.float64).reshape(3, -1)
    for name in ("hidden_0", "hidden_1"):
        hidden = np.tanh(dense(p["encoder"][name], hidden))
    mean, logvar = encode(module, params, images)
    np.testing.assert_allclose(mean, dense(p["encoder"]["mean"], hidden), rtol=1e-5, atol=1e-6)  # float32
    np.testing.assert_allclose(logvar, dense(p["encoder"]["logvar"], hidden), rtol=1e-5, atol=1e-6)
    assert p["encoder"]["hidden_0"]["kernel"].shape == (96, 6)
    assert p["decoder"]["hidden_0"]["kernel"].shape == (2, 4)  # the decoder mirrors the encoder
    assert p["decoder"]["hidden_1"]["kernel"].shape == (4, 6)
    assert apply(module, params, images).logvar == 0


def test_an_ae_is_the_vae_without_its_second_head():
    ae, vae = (shapes_of(Config(model=model))[0] for model in ("ae", "vae"))
    assert vae["encoder"].pop("logvar") == {"kernel": (512, 2), "bias": (2,)}
    assert ae == vae


def test_the_noise_of_a_cv_vae_has_one_size_and_no_parameters():
    config = Config(model="cv_vae", noise_sd=0.25, latent_dim=3, hidden_dims=())
    module, params, images = init(config)
    assert "logvar" not in params["encoder"]
    mean, logvar = encode(module, params, images)
    assert mean.shape == (3, 3)
    np.testing.assert_allclose(logvar, np.full((3, 3), np.log(0.25**2)), rtol=1e-6)


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_initializations(architecture):
    """Dense layers are uniform up to their bound; convolutions have the standard deviation of Linen's initializer."""
    config = Config(architecture=architecture, model="ae", conv_features=(32,), hidden_dims=(300,), latent_dim=40)
    for initialization in ("pytorch", "glorot"):
        _, params, _ = init(dataclasses.replace(config, initialization=initialization), (28, 28))
        layers = {**params["encoder"], **{f"decoder_{name}": layer for name, layer in params["decoder"].items()}}
        for name, layer in layers.items():
            kernel, bias = np.asarray(layer["kernel"]), np.asarray(layer["bias"])
            window, (fan_in, fan_out) = np.prod(kernel.shape[:-2]), kernel.shape[-2:]
            if initialization == "glorot":
                bound = np.sqrt(6 / (window * (fan_in + fan_out)))
                np.testing.assert_array_equal(bias, 0)
            elif kernel.ndim == 4:
                np.testing.assert_allclose(kernel.std(), 1 / np.sqrt(window * fan_in), rtol=0.2)  # 288 numbers or more
                continue
            else:
                bound = 1 / np.sqrt(fan_in)
                assert 0.8 * bound < np.abs(bias).max() <= bound, name  # 40 numbers or more
            # The largest of n uniform numbers is within 10/n of the bound but for a chance of e⁻¹⁰.
            assert (1 - 10 / kernel.size) * bound < np.abs(kernel).max() <= bound * (1 + 1e-6), name


def test_initial_output_bias_gives_the_mean_pixel():
    def bias(mean_pixel=0.13, **fields):
        network = make_program(Config(**fields), (8, 12), mean_pixel).network
        return jax.jit(lambda key: networks.init_params(network, key)["decoder"]["logits"]["bias"])(jax.random.key(0))

    for fields in ({"initialization": "pytorch"}, {"initialization": "glorot"}, {"architecture": "conv"}):
        np.testing.assert_allclose(jax.nn.sigmoid(bias(mean_bias=True, **fields)), 0.13, rtol=1e-5)
    assert 0 < np.abs(bias(mean_bias=False)).max() <= 1 / np.sqrt(512)
    for mean_pixel in (0.0, 1.0):  # black images, and white ones
        assert np.all(np.isfinite(bias(mean_pixel, mean_bias=True, architecture="conv")))


def test_a_learned_variance_is_a_parameter():
    module, params, images = init(Config(likelihood="learned_gaussian", model="ae", hidden_dims=()))
    assert params["decoder"]["logvar"].shape == ()
    params["decoder"]["logvar"] = jnp.float32(-1.5)
    assert apply(module, params, images).logvar == -1.5


def test_no_noise_inside():
    module, params, images = init(Config(model="vae"))
    first, second = (apply(module, params, images) for _ in range(2))
    np.testing.assert_array_equal(first.logits, second.logits)


def test_the_seed_decides_the_parameters():
    _, first, _ = init(Config(), seed=0)
    _, again, _ = init(Config(), seed=0)
    _, other, _ = init(Config(), seed=1)
    assert jax.tree.all(jax.tree.map(np.array_equal, first, again))
    assert not np.array_equal(first["encoder"]["mean"]["kernel"], other["encoder"]["mean"]["kernel"])


def test_every_activation_has_its_flag_and_is_used():
    assert tuple(ACTIVATIONS) == Config.__dataclass_fields__["activation"].metadata["choices"]
    _, params, images = init(Config())
    made = [make_program(Config(activation=name), (8, 12)).network for name in ACTIVATIONS]
    logits = [apply(network, params, images).logits for network in made]
    assert all(not np.allclose(a, b) for index, a in enumerate(logits) for b in logits[:index])


@pytest.mark.parametrize("shape", [(4, 4), (5, 4), (7, 9), (30, 34), (28, 28)])
@pytest.mark.parametrize("model", ["ae", "vae"])
def test_conv_takes_any_size_from_4_pixels(shape, model):
    _, _, pixels = shapes_of(Config(architecture="conv", model=model, hidden_dims=(8,)), shape)
    assert pixels.logits == (3, *shape)


def test_conv_parameters_of_28_by_28_images_are_those_of_version_0_1_0():
    shapes, _, _ = shapes_of(Config(architecture="conv", hidden_dims=(16,)), (28, 28))
    assert shapes["encoder"]["hidden_0"]["kernel"] == (7 * 7 * 64, 16)
    assert shapes["decoder"]["unflatten"]["kernel"] == (16, 7 * 7 * 64)
    assert shapes["decoder"]["conv_0"]["kernel"] == (3, 3, 64, 32)
    assert shapes["decoder"]["logits"]["kernel"] == (3, 3, 32, 1)


def test_conv_refuses_smaller_images():
    with pytest.raises(ConfigError, match="at least 4 x 4 pixels, not 3 x 28"):
        make_program(Config(architecture="conv"), (3, 28))
    make_program(Config(), (1, 1))


def test_a_network_does_not_depend_on_data_set_or_optimizer():
    first = make_program(Config(), (8, 8)).network
    assert first == make_program(Config(dataset="mnist", optimizer="sgd", seed=3), (8, 8)).network
    assert first != make_program(Config(latent_dim=3), (8, 8)).network


def test_a_decoder_of_a_side_that_is_no_multiple_of_four_draws_the_upper_left_of_one_that_is():
    """Both have the same parameters, since the encoder rounds each halving up."""
    config = Config(architecture="conv", hidden_dims=(6,), latent_dim=2)
    whole, part = (make_program(config, shape).network for shape in ((8, 12), (7, 10)))
    shapes, of_part = (jax.eval_shape(partial(networks.init_params, n), jax.random.key(0)) for n in (whole, part))
    assert shapes == of_part
    random = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: random.normal(0, 0.1, leaf.shape).astype(np.float32), shapes)
    z = random.standard_normal((3, 2), np.float32)
    expected = np.asarray(decode(whole, params, z).logits)[:, :7, :10]
    np.testing.assert_allclose(decode(part, params, z).logits, expected, rtol=1e-6)
    assert len(np.unique(expected)) > 100
