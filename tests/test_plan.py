"""The estimate of a dry run: it counts the weights that a network has, and time that grows with them."""

import math

import pytest

from vae_jax.config import Config
from vae_jax.launch import plan
from vae_jax.model.programs import make_program
from vae_jax.training.runs import param_shapes


@pytest.mark.parametrize(
    "fields",
    [{"hidden_dims": (64, 16)}, {"hidden_dims": ()}, {"architecture": "conv", "hidden_dims": (32,)},
     {"architecture": "conv", "conv_features": (4,), "hidden_dims": ()}],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(28, 28), (8, 12), (8, 12, 3)])
def test_the_weights_are_those_of_the_network(fields, shape):
    config = Config(model="ae", latent_dim=8, **fields)
    kernels = [math.prod(s) for name, (s, _) in param_shapes(make_program(config, shape)).items() if "kernel" in name]
    assert plan._size(config, shape)[0] == sum(kernels)


def test_products_count_both_passes_and_every_draw():
    config = Config(hidden_dims=(10,), latent_dim=2)
    one = 784 * 10 + 10 * 2
    assert plan._size(config, (28, 28)) == (2 * one, 2 * one)
    assert plan._size(Config(hidden_dims=(10,), importance_samples=5), (28, 28))[1] == 6 * one


@pytest.mark.parametrize(("epochs", "unit"), [(1, " s on"), (20_000, " min on"), (900_000, " h on")])
def test_the_time_has_a_fitting_unit(epochs, unit, write_npz):
    from vae_jax import data

    dataset = data.load(write_npz(num_train=300, shape=(28, 28)))
    text = plan._estimate([Config(dataset=dataset.name, num_epochs=epochs)] * 2, {dataset.name: dataset})
    assert text.startswith("about ")
    assert unit in text
    assert "MB of parameters" in text


def test_the_time_is_that_of_three_passes_over_every_image_in_every_epoch(monkeypatch, write_npz):
    """Forward, and backward at twice the cost: 300 images of 15,720 products, 4 times, on a machine made for it."""
    from vae_jax import data

    dataset = data.load(write_npz(num_train=300, shape=(28, 28)), validation_fraction=0.0)
    monkeypatch.setattr(plan, "PRODUCTS_PER_SECOND", 3 * 300 * 4 * 15_720 / 50)
    config = Config(dataset=dataset.name, hidden_dims=(10,), latent_dim=2, num_epochs=4)
    text = plan._estimate([config], {dataset.name: dataset})
    assert text.startswith(f"about {50 + plan.START_SECONDS + plan.EVALUATION_SECONDS:.0f} s on")
    assert plan._estimate([config] * 2, {dataset.name: dataset}).startswith("about 2 min on")  # 133 s
