"""The 784-512-2 VAE at batch 128, as others would write it: iterators that train an epoch and yield its loss."""

import importlib.util
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vae_jax.config import DYNAMIC_FIELDS, Config
from vae_jax.model.networks import init_params
from vae_jax.model.objectives import gaussian_kl
from vae_jax.model.programs import make_program, objective_terms
from vae_jax.training import step

BATCH = 128
CONV_WIDTH = 128  # with 16, losses depend on how long training stays on its first plateau


def of_training(images: np.ndarray) -> dict[str, Iterator[float]]:
    """Returns the contestants that are installed, ours first; says of the others that they are not."""
    found = {"vae_jax": ours(images), "flax, a jitted step a batch": flax_loop(images)}
    if importlib.util.find_spec("torch"):
        found["PyTorch over a tensor"] = torch_epochs(images)
        found["PyTorch with a DataLoader"] = torch_epochs(images, loader=True)
        if torch_compiles():
            found["torch.compile over a tensor"] = torch_epochs(images, compiled=True)
        else:
            print("skipped: torch.compile does not work here")
    else:
        print("skipped: PyTorch is not installed (extra bench)")
    if importlib.util.find_spec("keras"):
        found["Keras 3 on JAX"] = keras_epochs(images)
    else:
        print("skipped: Keras is not installed (extra bench)")
    return found


def ours(images: np.ndarray, config: Config | None = None) -> Iterator[float]:
    """Trains a run of this project."""
    config = config or Config()
    program = make_program(config, images.shape[1:])
    hyperparameters = step.hyperparameters([config])
    states = step.init_states(program, hyperparameters)
    on_device = jax.device_put(images)
    for epoch in range(1000):
        states, metrics = step.train_epoch(program, on_device, states, hyperparameters, np.int32(epoch))
        yield float(metrics.loss[0])


def flax_loop(images: np.ndarray) -> Iterator[float]:
    """Calls one jitted step for each batch, as most examples of Flax do."""
    program = make_program(Config(), images.shape[1:])
    params, optimizer = init_params(program.network, jax.random.key(0)), optax.adam(1e-3)
    hyperparameters = {name: jnp.float32(getattr(Config(), name)) for name in DYNAMIC_FIELDS}

    @jax.jit
    def step(params: Any, state: Any, batch: jax.Array, key: jax.Array) -> tuple[Any, Any, jax.Array]:
        def loss_of(params: Any) -> jax.Array:
            pixels = batch.astype(jnp.float32) / 255
            return objective_terms(program, params, hyperparameters, pixels, jnp.ones(BATCH), key).loss().mean()

        loss, gradient = jax.value_and_grad(loss_of)(params)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state, loss

    state, random = optimizer.init(params), np.random.default_rng(0)
    while True:
        losses, order = [], random.permutation(len(images))[: len(images) // BATCH * BATCH]
        for indices in order.reshape(-1, BATCH):
            key = jax.random.key(int(random.integers(1 << 31)))
            params, state, loss = step(params, state, images[indices], key)
            losses.append(loss)
        yield float(jnp.mean(jnp.stack(losses)))


def torch_compiles() -> bool:
    """Whether torch.compile finds the compiler that it needs."""
    import torch

    try:
        return float(torch.compile(lambda x: 2 * x)(torch.ones(()))) == 2
    except Exception:  # of whatever kind; there is no compiler, or it fails
        return False


def torch_epochs(images: np.ndarray, loader: bool = False, compiled: bool = False) -> Iterator[float]:
    """Trains in PyTorch, over a tensor in memory or with a DataLoader of single images."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    num_pixels = images[0].size
    encoder = nn.Sequential(nn.Linear(num_pixels, 512), nn.ReLU())
    mean_head, logvar_head = nn.Linear(512, 2), nn.Linear(512, 2)
    decoder = nn.Sequential(nn.Linear(2, 512), nn.ReLU(), nn.Linear(512, num_pixels))
    layers = nn.ModuleList([encoder, mean_head, logvar_head, decoder])

    def loss_of(batch: Any) -> Any:
        hidden = encoder(batch)
        mean, logvar = mean_head(hidden), logvar_head(hidden)
        z = mean + torch.exp(logvar / 2) * torch.randn_like(mean)
        distortion = nn.functional.binary_cross_entropy_with_logits(decoder(z), batch, reduction="sum")
        return distortion - 0.5 * (1 + logvar - logvar.exp() - mean.square()).sum()

    x = torch.from_numpy(images.reshape(len(images), -1).astype(np.float32) / 255)
    batches: Callable[[], Any] = lambda: (x[indices] for indices in torch.randperm(len(x)).split(BATCH))  # noqa: E731
    if loader:
        data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), BATCH, shuffle=True)
        batches = lambda: (batch for (batch,) in data)  # noqa: E731
    yield from _torch_loop(layers, torch.compile(loss_of) if compiled else loss_of, batches, len(x))


def _torch_loop(layers: Any, loss_of: Callable, batches: Callable[[], Any], num_images: int) -> Iterator[float]:
    import torch

    optimizer = torch.optim.Adam(layers.parameters(), lr=1e-3)
    while True:
        total = 0.0
        for batch in batches():
            loss = loss_of(batch)
            optimizer.zero_grad()
            (loss / len(batch)).backward()
            optimizer.step()
            total += float(loss.detach())
        yield total / num_images


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
    z = Sampling()([keras.layers.Dense(2)(hidden), keras.layers.Dense(2)(hidden)])
    model = keras.Model(inputs, keras.layers.Dense(num_pixels)(keras.layers.Dense(512, "relu")(z)))
    model.compile(keras.optimizers.Adam(1e-3), loss=summed)
    x = images.reshape(len(images), -1).astype(np.float32) / 255
    while True:
        yield model.fit(x, x, batch_size=BATCH, verbose=0).history["loss"][0]


def conv_steps(images: np.ndarray, num_steps: int) -> dict[str, Iterator[float]]:
    """Returns contestants that train a 32-64 convolutional VAE for some steps at a time."""
    images = np.resize(images, (num_steps * BATCH, *images.shape[1:]))
    config = Config(architecture="conv", hidden_dims=(CONV_WIDTH,))
    found = {"vae_jax": ours(images, config), "flax's nn.Conv": flax_conv(images, config)}
    if importlib.util.find_spec("torch"):
        found["PyTorch"] = torch_conv(images)
    return found


def flax_conv(images: np.ndarray, config: Config) -> Iterator[float]:
    """Trains the same program, step by step, with XLA's convolutions in place of ours."""
    from vae_jax.model import convolutions

    program = make_program(config, images.shape[1:])
    params, optimizer = init_params(program.network, jax.random.key(0)), optax.adam(1e-3)
    state = optimizer.init(params)
    hyperparameters = {name: jnp.float32(getattr(config, name)) for name in DYNAMIC_FIELDS}

    def step(params: Any, state: Any, batch: jax.Array, key: jax.Array) -> tuple[Any, Any, jax.Array]:
        def loss_of(params: Any) -> jax.Array:
            return objective_terms(program, params, hyperparameters, batch / 255, jnp.ones(BATCH), key).loss().mean()

        loss, gradient = jax.value_and_grad(loss_of)(params)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state, loss

    arguments = params, state, images[:BATCH].astype(np.float32), jax.random.key(0)
    ours, ours_transposed = convolutions.conv, convolutions.conv_transpose
    named = partial(jax.lax.conv_general_dilated, dimension_numbers=convolutions.CHANNELS_LAST)
    transposed = partial(jax.lax.conv_transpose, dimension_numbers=convolutions.CHANNELS_LAST)
    try:  # while the step is traced
        convolutions.conv, convolutions.conv_transpose = named, transposed
        compiled = jax.jit(step).lower(*arguments).compile()
    finally:
        convolutions.conv, convolutions.conv_transpose = ours, ours_transposed
    random = np.random.default_rng(0)
    while True:
        losses = []
        for indices in random.permutation(len(images)).reshape(-1, BATCH):
            key = jax.random.key(int(random.integers(1 << 31)))
            params, state, loss = compiled(params, state, images[indices].astype(np.float32), key)
            losses.append(loss)
        yield float(jnp.mean(jnp.stack(losses)))


def torch_conv(images: np.ndarray) -> Iterator[float]:
    """Trains the same layers in PyTorch eager."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    height, width = images.shape[1:]
    small = (64, -(-height // 4), -(-width // 4))
    size = small[0] * small[1] * small[2]
    encoder = nn.Sequential(
        nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(size, CONV_WIDTH), nn.ReLU(),
    )  # fmt: skip
    mean_head, logvar_head = nn.Linear(CONV_WIDTH, 2), nn.Linear(CONV_WIDTH, 2)
    decoder = nn.Sequential(
        nn.Linear(2, CONV_WIDTH), nn.ReLU(), nn.Linear(CONV_WIDTH, size), nn.ReLU(), nn.Unflatten(1, small),
        nn.ConvTranspose2d(64, 32, 3, 2, 1, 1), nn.ReLU(), nn.ConvTranspose2d(32, 1, 3, 2, 1, 1),
    )  # fmt: skip
    layers = nn.ModuleList([encoder, mean_head, logvar_head, decoder])
    for layer in (*encoder, *decoder):  # as ours starts
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=(9 * layer.in_channels) ** -0.5)
            nn.init.zeros_(layer.bias)

    def loss_of(batch: Any) -> Any:
        hidden = encoder(batch)
        mean, logvar = mean_head(hidden), logvar_head(hidden)
        logits = decoder(mean + torch.exp(logvar / 2) * torch.randn_like(mean))[:, :, :height, :width]
        distortion = nn.functional.binary_cross_entropy_with_logits(logits, batch, reduction="sum")
        return distortion - 0.5 * (1 + logvar - logvar.exp() - mean.square()).sum()

    x = torch.from_numpy(images[:, None].astype(np.float32) / 255)
    yield from _torch_loop(layers, loss_of, lambda: (x[i] for i in torch.randperm(len(x)).split(BATCH)), len(x))
