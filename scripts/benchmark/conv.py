"""`conv`: gradient steps of a 32-64 convolutional VAE: with our convolutions, with XLA's, and in PyTorch."""

from collections.abc import Iterator
from functools import partial
from unittest import mock

import jax
import numpy as np

from scripts.benchmark.measuring import race, training_images
from scripts.benchmark.train import BATCH, LATENT_DIM, flax_epochs, ours, torch_vae
from vae_jax.config import Config
from vae_jax.model import convolutions

WIDTH = 128  # of the dense layers; with 16, losses depend on how long training stays on its first plateau


def benchmark(dataset: str, num_steps: int, image_size: int = 0, channels: str = "") -> str:
    """Races them over five rounds of so many steps; size and channels are as the fields of a Config."""
    images = training_images(dataset, num_steps * BATCH, image_size, channels)
    size = " x ".join(map(str, images.shape[1:]))
    return race(f"conv, s per {num_steps} steps of batch {BATCH}, images {size}", contestants(images), 5)


def contestants(images: np.ndarray) -> dict[str, Iterator[float]]:
    """Returns iterators that train an epoch of these images and yield its mean loss."""
    config = Config(architecture="conv", hidden_dims=(WIDTH,), latent_dim=LATENT_DIM, batch_size=BATCH)
    return {
        "vae_jax": ours(images, config),
        "XLA's convolutions": xla_conv(images, config),
        "PyTorch over a tensor": torch_conv(images),
    }


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


def torch_conv(images: np.ndarray) -> Iterator[float]:
    """Trains in PyTorch, over a tensor in memory."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    colours = images.reshape(*images.shape[:3], -1).transpose(0, 3, 1, 2)
    x = torch.from_numpy(colours.astype(np.float32) / 255)
    channels, (height, width) = x.shape[1], (side // 4 for side in x.shape[2:])
    first, second = Config().conv_features
    encoder = nn.Sequential(
        nn.Conv2d(channels, first, 3, 2, 1), nn.ReLU(), nn.Conv2d(first, second, 3, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(second * height * width, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2 * LATENT_DIM),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(LATENT_DIM, WIDTH), nn.ReLU(), nn.Linear(WIDTH, second * height * width), nn.ReLU(),
        nn.Unflatten(1, (second, height, width)),
        nn.ConvTranspose2d(second, first, 3, 2, 1, 1), nn.ReLU(), nn.ConvTranspose2d(first, channels, 3, 2, 1, 1),
    )  # fmt: skip
    yield from torch_vae(x, encoder, decoder)
