"""How a network that looks at images is trained: arrays in, parameters out."""

import math
from functools import partial
from typing import NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from vae_jax import environment
from vae_jax.measure.subsets import block_means, chunks
from vae_jax.model.networks import Params, chunk_size, make_key
from vae_jax.training.step import batches

BATCH_SIZE = 128
MAX_SHIFT = 2  # pixels, each way; without shifts the network memorizes 3,667 images
MAX_SIDE = 64  # pixels; larger images are averaged over blocks first
CHUNK = 256  # images that go through a network at once; patches of many more leave the caches, at twice the time


def shrunk(images: np.ndarray, chosen: np.ndarray | None = None) -> np.ndarray:
    """Averages images [N, H, W] over blocks until no side exceeds MAX_SIDE pixels; keeps the dtype.

    `chosen` are the indices int[M] of the images to return; None returns all.
    """
    height, width = images.shape[1:]
    tall, wide = math.ceil(height / MAX_SIDE), math.ceil(width / MAX_SIDE)
    if tall == wide == 1:
        return images if chosen is None else images[chosen]
    rows = np.arange(len(images)) if chosen is None else chosen
    parts = chunks(rows, chunk_size(100, images.shape[1:]))
    means = np.concatenate([block_means(images[part], tall, wide) for part in parts])
    return np.rint(means).astype(np.uint8) if images.dtype == np.uint8 else means


_State = tuple[Params, optax.OptState]


class Schedule(NamedTuple):
    """How long and how fast a network is trained: for whole epochs, until there are enough of them and of steps."""

    min_epochs: int
    min_steps: int
    learning_rate: float  # of Adam; decays to 0 along a cosine


@environment.own_settings()
def train(network: nn.Module, images: np.ndarray, labels: np.ndarray, seed: int, schedule: Schedule) -> Params:
    """Trains a network to tell classes.

    Args:
        network: maps float32[B, H, W] in [0, 1] to features and logits float32[B, C].
        images: uint8[N, H, W], no larger than `shrunk` leaves them.
        labels: int[N] from 0 to C - 1.
        seed: of the initial parameters, the order of the images and their shifts.
        schedule: of the training.
    """
    init_key, train_key = jax.random.split(make_key(seed))
    steps_per_epoch = math.ceil(len(images) / BATCH_SIZE)
    num_epochs = max(schedule.min_epochs, math.ceil(schedule.min_steps / steps_per_epoch))
    decay = schedule.learning_rate, num_epochs * steps_per_epoch
    params = jax.jit(network.init)(init_key, jnp.zeros((1, *images.shape[1:])))["params"]
    state = params, _optimizer(decay).init(params)
    images, labels = jax.device_put((images, labels.astype(np.int32)))
    for epoch in range(num_epochs):
        state = _train_epoch(network, decay, images, labels, state, jax.random.fold_in(train_key, epoch))
    return cast(Params, jax.device_get(state[0]))


def _optimizer(decay: tuple[float, int]) -> optax.GradientTransformationExtraArgs:
    """Adam, whose learning rate decays to 0 in so many steps."""
    return optax.adam(optax.cosine_decay_schedule(*decay))


@partial(jax.jit, static_argnames=("network", "decay"), donate_argnames="state")
def _train_epoch(
    network: nn.Module, decay: tuple[float, int], images: Array, labels: Array, state: _State, key: Array
) -> _State:
    """Trains for one pass over all images uint8[N, H, W], each with a new shift, and their labels int32[N]."""
    shuffle_key, shifts_key = jax.random.split(key)
    order, weights = batches(shuffle_key, images.shape[0], BATCH_SIZE)
    optimizer = _optimizer(decay)

    def step(state: _State, inputs: tuple[Array, Array, Array]) -> tuple[_State, None]:
        params, opt_state = state
        index, indices, weights = inputs
        pixels = shifted(images[indices], jax.random.fold_in(shifts_key, index)).astype(jnp.float32) / 255

        def mean_loss(params: Params) -> Array:
            _, logits = network.apply({"params": params}, pixels)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels[indices])
            return jnp.sum(weights * losses) / jnp.sum(weights)

        updates, opt_state = optimizer.update(jax.grad(mean_loss)(params), opt_state)
        return (optax.apply_updates(params, updates), opt_state), None

    state, _ = jax.lax.scan(step, state, (jnp.arange(order.shape[0]), order, weights))
    return state


def shifted(images: Array, key: Array) -> Array:
    """Moves each of the images [B, H, W] by up to MAX_SHIFT pixels each way, on a background of 0."""
    border = (MAX_SHIFT, MAX_SHIFT)
    corners = jax.random.randint(key, (images.shape[0], 2), 0, 2 * MAX_SHIFT + 1)
    window = partial(jax.lax.dynamic_slice, slice_sizes=images.shape[1:])
    return jax.vmap(window)(jnp.pad(images, ((0, 0), border, border)), corners)


@partial(jax.jit, static_argnames="network")
def _predict_chunk(network: nn.Module, params: Params, images: Array) -> tuple[Array, Array]:
    return cast(tuple[Array, Array], network.apply({"params": params}, images))


@environment.own_settings()
def predict(network: nn.Module, params: Params, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maps float32[N, H, W] in [0, 1] to features float32[N, F] and logits float32[N, C]."""
    found = []
    for chunk in chunks(images, CHUNK):
        small = shrunk(chunk)
        full = np.resize(small, (CHUNK, *small.shape[1:]))  # a shorter one would be compiled anew
        found.append([np.asarray(part)[: len(chunk)] for part in _predict_chunk(network, params, full)])
    features, logits = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return features, logits
