"""`train`: an epoch of 60,000 images of the 784-512-20 VAE at batch 128, ours and as others write it.

The contestants are iterators that train an epoch and yield its mean loss. PyTorch and Keras are the extra `bench`.
"""

import os
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from scripts.benchmark.measuring import race, training_images
from vae_jax.config import Config
from vae_jax.model.objectives import gaussian_kl
from vae_jax.model.programs import make_program, objective_terms
from vae_jax.training import step

BATCH, LATENT_DIM = 128, 20
CONFIG = Config(latent_dim=LATENT_DIM, batch_size=BATCH)


def benchmark(dataset: str, num_epochs: int) -> str:
    """Races all that are installed over so many epochs."""
    images = training_images(dataset, 60_000)
    contestants = {
        "vae_jax": ours(images, CONFIG),
        "Flax, a jitted step a batch": flax_epochs(images, CONFIG),
        "PyTorch over a tensor": torch_epochs(images),
        "PyTorch with a DataLoader": torch_epochs(images, with_loader=True),
        "Keras 3 on JAX": keras_epochs(images),
    }
    return race("train, s per epoch of 60,000 images", contestants, num_epochs)


def ours(images: np.ndarray, config: Config) -> Iterator[float]:
    """Trains a run of this project."""
    program = make_program(config, images.shape[1:])
    hyperparameters = step.hyperparameters([config])
    states = step.init_states(program, hyperparameters)
    on_device = jax.device_put(images)
    for epoch in range(1000):
        states, metrics = step.train_epoch(program, on_device, states, hyperparameters, np.int32(epoch))
        yield float(metrics.loss[0])


def flax_epochs(images: np.ndarray, config: Config) -> Iterator[float]:
    """Calls one jitted step for each batch, as most examples of Flax do, from the parameters that ours starts from."""
    program, of_runs = make_program(config, images.shape[1:]), step.hyperparameters([config])
    params_of_runs, optimizer = step.init_states(program, of_runs).params, optax.adam(1e-3)
    params, hyperparameters = jax.tree.map(lambda leaf: np.asarray(leaf)[0], (params_of_runs, of_runs))

    @jax.jit
    def update(params: Any, state: Any, batch: jax.Array, key: jax.Array) -> tuple[Any, Any, jax.Array]:
        def loss_of(params: Any) -> jax.Array:
            pixels = batch.astype(jnp.float32) / 255
            return objective_terms(program, params, hyperparameters, pixels, jnp.ones(BATCH), key).loss().mean()

        loss, gradient = jax.value_and_grad(loss_of)(params)
        change, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, change), state, loss

    state, random = jax.jit(optimizer.init)(params), np.random.default_rng(0)
    while True:
        losses, order = [], random.permutation(len(images))[: len(images) // BATCH * BATCH]
        for indices in order.reshape(-1, BATCH):
            key = jax.random.key(int(random.integers(1 << 31)))
            params, state, loss = update(params, state, images[indices], key)
            losses.append(loss)
        yield float(jnp.mean(jnp.stack(losses)))


def torch_epochs(images: np.ndarray, with_loader: bool = False) -> Iterator[float]:
    """Trains in PyTorch, over a tensor in memory or with a DataLoader of single images."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    x = torch.from_numpy(images.reshape(len(images), -1).astype(np.float32) / 255)
    encoder = nn.Sequential(nn.Linear(x.shape[1], 512), nn.ReLU(), nn.Linear(512, 2 * LATENT_DIM))
    decoder = nn.Sequential(nn.Linear(LATENT_DIM, 512), nn.ReLU(), nn.Linear(512, x.shape[1]))
    yield from torch_vae(x, encoder, decoder, with_loader)


def torch_vae(x: Any, encoder: Any, decoder: Any, with_loader: bool = False) -> Iterator[float]:
    """Trains a VAE in PyTorch on a tensor of images; the encoder returns means and log-variances side by side."""
    import torch
    from torch import nn

    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), BATCH, shuffle=True)
    optimizer = torch.optim.Adam(nn.ModuleList([encoder, decoder]).parameters(), lr=1e-3)
    while True:
        total = 0.0
        in_memory = (x[indices] for indices in torch.randperm(len(x)).split(BATCH))
        for batch in (batch for (batch,) in loader) if with_loader else in_memory:
            mean, logvar = encoder(batch).chunk(2, dim=1)
            logits = decoder(mean + torch.exp(logvar / 2) * torch.randn_like(mean))
            distortion = nn.functional.binary_cross_entropy_with_logits(logits, batch, reduction="sum")
            loss = distortion - 0.5 * (1 + logvar - logvar.exp() - mean.square()).sum()
            optimizer.zero_grad()
            (loss / len(batch)).backward()
            optimizer.step()
            total += float(loss.detach())
        yield total / len(x)


def keras_epochs(images: np.ndarray) -> Iterator[float]:
    """Trains by `fit` of Keras 3 on its JAX backend."""
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    keras.utils.set_random_seed(0)
    num_pixels = images[0].size

    class Sampling(keras.layers.Layer):
        """Draws a code, and adds the KL divergence to the loss."""

        def __init__(self) -> None:
            super().__init__()
            self.seed_generator = keras.random.SeedGenerator(0)

        def call(self, inputs: Any) -> Any:
            mean, logvar = inputs
            self.add_loss(keras.ops.mean(keras.ops.sum(gaussian_kl(mean, logvar), axis=1)))
            eps = keras.random.normal(keras.ops.shape(mean), seed=self.seed_generator)
            return mean + keras.ops.exp(logvar / 2) * eps

    def summed(images: Any, logits: Any) -> Any:
        return num_pixels * keras.losses.binary_crossentropy(images, logits, from_logits=True)

    inputs = keras.Input((num_pixels,))
    hidden = keras.layers.Dense(512, "relu")(inputs)
    z = Sampling()([keras.layers.Dense(LATENT_DIM)(hidden), keras.layers.Dense(LATENT_DIM)(hidden)])
    model = keras.Model(inputs, keras.layers.Dense(num_pixels)(keras.layers.Dense(512, "relu")(z)))
    model.compile(keras.optimizers.Adam(1e-3), loss=summed)
    x = images.reshape(len(images), -1).astype(np.float32) / 255
    while True:
        yield model.fit(x, x, batch_size=BATCH, verbose=0).history["loss"][0]
