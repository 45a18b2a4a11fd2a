"""`conv`: gradient steps of a 32-64 convolutional VAE at batch 128, with our convolutions and with XLA's."""

from collections.abc import Iterator
from functools import partial
from unittest import mock

import jax
import numpy as np

from scripts.benchmark.measuring import race, training_images
from scripts.benchmark.train import BATCH, LATENT_DIM, flax_epochs, ours
from vae_jax.config import Config
from vae_jax.model import convolutions

WIDTH = 128  # of the dense layers; with 16, losses depend on how long training stays on its first plateau


def benchmark(dataset: str, num_steps: int) -> str:
    """Races both over five rounds of so many steps."""
    images = training_images(dataset, num_steps * BATCH)
    return race(f"conv, s per {num_steps} steps of batch {BATCH}", contestants(images), 5)


def contestants(images: np.ndarray) -> dict[str, Iterator[float]]:
    """Returns iterators that train an epoch of these images and yield its mean loss."""
    config = Config(architecture="conv", hidden_dims=(WIDTH,), latent_dim=LATENT_DIM, batch_size=BATCH)
    return {"vae_jax": ours(images, config), "XLA's convolutions": xla_conv(images, config)}


def xla_conv(images: np.ndarray, config: Config) -> Iterator[float]:
    """Trains the same program, step by step, with XLA's convolutions in place of ours."""
    epochs = flax_epochs(images, config)
    conv, transposed = (
        partial(function, dimension_numbers=convolutions.CHANNELS_LAST)
        for function in (jax.lax.conv_general_dilated, jax.lax.conv_transpose)
    )
    with mock.patch.multiple(convolutions, conv=conv, conv_transpose=transposed):  # while the step is traced
        first = next(epochs)
    yield first
    yield from epochs
