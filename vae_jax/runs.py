"""Trained runs: from disk, or from parameters in memory, with both halves as functions of NumPy arrays."""

import functools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vae_jax import data, models
from vae_jax.checkpoints import import_params
from vae_jax.config import Config, ConfigError, static_part
from vae_jax.files import UserError
from vae_jax.models import Autoencoder, Params, make_model
from vae_jax.objectives import Posterior, binarize, pixel_mean
from vae_jax.workdir import read_config

CHUNK = 2000  # images that go through a network at once outside training

load_dataset = functools.lru_cache(maxsize=4)(data.load)


class Codes(NamedTuple):
    """What an encoder says of N images, as NumPy arrays."""

    mean: np.ndarray  # float32[N, D]
    logvar: np.ndarray | None  # float32[N, D]; None for an AE


class TrainedRun(NamedTuple):
    """A run with its parameters, and its two halves as functions of NumPy arrays."""

    config: Config
    params: Params
    encode: Callable[[np.ndarray], Codes]  # uint8[N, H, W] to Codes of float32[N, D]
    decode: Callable[[np.ndarray], np.ndarray]  # float32[N, D] to mean pixels float32[N, H, W] in [0, 1]
    model: Autoencoder

    @property
    def name(self) -> str:
        """The run's name."""
        return self.config.name


def load_run(run: Path) -> TrainedRun:
    """A trained run from its folder.

    Raises:
        UserError: it is not trained to its end, or a file of it is damaged.
    """
    config = read_config(run)
    path = run / "params.safetensors"
    config_of_params, params, image_shape = import_params(path)
    try:
        model = make_model(static_part(config), image_shape)
        fits = config == config_of_params and _have_shapes_of(model, params)
    except ConfigError:  # a size that the architecture does not take
        fits = False
    if not fits:
        raise UserError(f"{path} is not of the Config beside it; delete {run} and launch again")
    return trained_run(config, model, params)


def trained_run(config: Config, model: Autoencoder, params: Params) -> TrainedRun:
    """A run in memory: its Config, the model of that Config, and parameters without a runs axis."""
    return TrainedRun(config, params, partial(_encode_all, model, params), partial(_decode_all, model, params), model)


def _have_shapes_of(model: Autoencoder, params: Params) -> bool:
    images = jax.ShapeDtypeStruct((1, *model.image_shape), jnp.float32)
    expected = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    shapes, found = (jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), tree) for tree in (expected, params))
    return shapes == found


@partial(jax.jit, static_argnames="model")
def _encode(model: Autoencoder, params: Params, images: Array) -> Posterior:
    # Pixels that are drawn anew at each step in training are drawn once and for all here.
    key = jax.random.key(0)
    pixels = binarize(model.config.binarization, images.astype(jnp.float32) / 255, key)
    return models.encode(model, params, pixels)


@partial(jax.jit, static_argnames="model")
def _decode(model: Autoencoder, params: Params, z: Array) -> Array:
    return pixel_mean(model.config.likelihood, models.decode(model, params, z))


def _encode_all(model: Autoencoder, params: Params, images: np.ndarray) -> Codes:
    chunks = [_encode(model, params, images[start : start + CHUNK]) for start in range(0, len(images), CHUNK)]
    return Codes(*jax.tree.map(lambda *parts: np.concatenate(parts), *chunks))


def _decode_all(model: Autoencoder, params: Params, z: np.ndarray) -> np.ndarray:
    z = np.asarray(z, np.float32)
    return np.concatenate([_decode(model, params, z[start : start + CHUNK]) for start in range(0, len(z), CHUNK)])
