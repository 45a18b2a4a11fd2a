"""The static part of a run, which its compiled programs depend on, and its objective with everything filled in."""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from vae_jax.config import Config, static_part
from vae_jax.model.likelihoods import LIKELIHOODS, binarize
from vae_jax.model.networks import Autoencoder, Params, decode, encode
from vae_jax.model.objectives import Batch, BoundNetwork, Hyperparameters, Terms, objective_of
from vae_jax.models import MODELS


class Program(NamedTuple):
    """The part of a run that its compiled programs depend on; hashable, so it can be a static argument."""

    config: Config  # its dynamic fields at their defaults
    network: Autoencoder


def make_program(config: Config, image_shape: tuple[int, ...], mean_pixel: float | None = None) -> Program:
    """Makes the program of a Config.

    Args:
        config: of any run of the program.
        image_shape: height and width of the images, pixels, and then 3 if they are in colour.
        mean_pixel: mean of the training images in [0, 1], read where `config.mean_bias` is set.

    Raises:
        ConfigError: the architecture does not take images of this size.
    """
    config.check_image_shape(image_shape)
    model = MODELS[config.model]
    network = Autoencoder(
        image_shape=image_shape,
        latent_dim=config.latent_dim,
        hidden_dims=config.hidden_dims,
        activation=config.activation,
        conv_features=config.conv_features if config.architecture == "conv" else (),
        has_variance=model.has_variance,
        noise_sd=config.noise_sd if model.noise == "fixed" else None,
        learned_logvar=config.likelihood == "learned_gaussian",
        mean_pixel=mean_pixel if config.mean_bias else None,
        initialization=config.initialization,
    )
    return Program(static_part(config), network)


def objective_terms(
    program: Program, params: Params, hyperparameters: Hyperparameters, pixels: Array, weights: Array, key: Array
) -> Terms:
    """Computes the objective's terms for each image of a batch.

    Args:
        program: the static part of the run.
        params: its parameters.
        hyperparameters: its dynamic fields.
        pixels: float32[B, *image_shape] in [0, 1], binarized where the model is trained on binary pixels.
        weights: float32[B], 1 for an image that counts and 0 for one that fills up the batch.
        key: PRNG key for ε; consumed.
    """
    network = BoundNetwork(
        partial(encode, program.network, params),
        partial(decode, program.network, params),
        LIKELIHOODS[program.config.likelihood],
        params["decoder"],
    )
    objective = objective_of(program.config.model, program.config.importance_samples)
    return objective(Batch(network, pixels, weights, key, hyperparameters))


def observed_pixels(program: Program, images: Array, key: Array) -> Array:
    """Converts images to the pixels the model is trained on, float32[B, *image_shape] in [0, 1].

    Args:
        program: the static part of the run, which says whether pixels are binarized.
        images: uint8[B, *image_shape], or float32[B, *image_shape] in [0, 1].
        key: PRNG key; consumed by dynamic binarization, unused otherwise.
    """
    pixels = images.astype(jnp.float32) / 255 if images.dtype == jnp.uint8 else images
    return binarize(program.config.binarization, pixels, key)
