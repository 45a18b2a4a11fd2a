"""The estimate of a dry run: time that grows with the multiplications of a network."""

import math

import pytest

from vae_jax.config import Config
from vae_jax.launch import plan
from vae_jax.model.programs import make_program
from vae_jax.training.runs import param_shapes


@pytest.mark.parametrize("hidden_dims", [(64, 16), ()])
def test_a_dense_network_multiplies_as_often_as_it_has_weights(hidden_dims):
    config = Config(model="ae", latent_dim=8, hidden_dims=hidden_dims)
    shapes = param_shapes(make_program(config, (8, 12)))
    assert plan._products(config, (8, 12)) == sum(math.prod(shape) for shape, _ in shapes.values() if len(shape) == 2)


def test_a_convolution_multiplies_in_each_of_its_windows():
    config = Config(model="ae", architecture="conv", latent_dim=2, hidden_dims=())
    one_way = 3 * 3 * 32 * (4 * 6) + 3 * 3 * 32 * 64 * (2 * 3) + 64 * (2 * 3) * 2
    assert plan._products(config, (8, 12)) == 2 * one_way


def test_products_count_both_passes_and_every_draw():
    one = 784 * 10 + 10 * 2
    assert plan._products(Config(hidden_dims=(10,)), (28, 28)) == 2 * one
    assert plan._products(Config(hidden_dims=(10,), importance_samples=5), (28, 28)) == 6 * one


@pytest.mark.parametrize(("epochs", "unit"), [(1, " s on"), (20_000, " min on"), (900_000, " h on")])
def test_the_time_has_a_fitting_unit(epochs, unit, write_npz):
    from vae_jax import data

    dataset = data.load(write_npz(num_train=300, shape=(28, 28)))
    text = plan._estimate([Config(dataset=dataset.name, num_epochs=epochs)] * 2, {dataset.name: dataset})
    assert text.startswith("about ")
    assert unit in text
