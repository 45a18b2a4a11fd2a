"""Linen encoder, decoder and autoencoder: pure functions of their parameters, in which no noise is drawn."""

import math
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vae_jax.config import Config, ConfigError
from vae_jax.objectives import Pixels, Posterior

Params = dict[str, Any]

ACTIVATIONS = {
    "relu": nn.relu,
    "tanh": nn.tanh,
    "gelu": nn.gelu,
    "silu": nn.silu,
    "elu": nn.elu,
    "leaky_relu": nn.leaky_relu,
}
CONV_FEATURES = (32, 64)  # of the two convolutions; each halves height and width


def dense(x: Array, features: int, name: str, bias_init: nn.initializers.Initializer | None = None) -> Array:
    """A linear layer, float32[B, I] to float32[B, features], that starts as PyTorch's does.

    Weights and biases are uniform in ±1/√I: so started the published numbers that we compare with. The biases matter:
    from zeros (Linen's own), every kink of the decoder's first layer goes through the origin of the latent space, and a
    two-dimensional model ends about one nat worse.
    """
    bound = 1 / math.sqrt(x.shape[-1])

    def uniform(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return nn.Dense(features, kernel_init=uniform, bias_init=bias_init or uniform, name=name)(x)


class Encoder(nn.Module):
    """Images to codes: [convolutions,] dense hidden layers, then one linear head (AE) or two (VAE)."""

    config: Config

    @nn.compact
    def __call__(self, images: Array) -> Posterior:
        """float32[B, H, W] in [0, 1] to a Posterior of float32[B, latent_dim]."""
        config = self.config
        activation = ACTIVATIONS[config.activation]
        x = images
        if config.architecture == "conv":
            x = x[..., None]
            for index, features in enumerate(CONV_FEATURES):
                x = activation(nn.Conv(features, (3, 3), strides=(2, 2), name=f"conv_{index}")(x))
        x = x.reshape(x.shape[0], -1)
        for index, width in enumerate(config.hidden_dims):
            x = activation(dense(x, width, f"hidden_{index}"))
        mean = dense(x, config.latent_dim, "mean")
        logvar = dense(x, config.latent_dim, "logvar") if config.model == "vae" else None
        return Posterior(mean, logvar)


class Decoder(nn.Module):
    """Codes to pixels: the encoder's layers mirrored."""

    config: Config
    image_shape: tuple[int, int]
    mean_pixel: float | None = None  # where the output bias starts; None for 0

    @nn.compact
    def __call__(self, z: Array) -> Pixels:
        """float32[B, latent_dim] to Pixels with logits float32[B, H, W]."""
        config, (height, width) = self.config, self.image_shape
        activation = ACTIVATIONS[config.activation]
        bias_init, zeros = None, nn.initializers.zeros
        if self.mean_pixel is not None:
            mean_pixel = np.clip(self.mean_pixel, 1e-3, 1 - 1e-3)
            bias_init = nn.initializers.constant(np.log(mean_pixel / (1 - mean_pixel)))
        x = z
        for index, features in enumerate(reversed(config.hidden_dims)):
            x = activation(dense(x, features, f"hidden_{index}"))
        if config.architecture == "conv":
            small = (height // 4, width // 4, CONV_FEATURES[-1])
            x = activation(dense(x, math.prod(small), "unflatten")).reshape(-1, *small)
            x = activation(nn.ConvTranspose(CONV_FEATURES[0], (3, 3), strides=(2, 2), name="conv_0")(x))
            x = nn.ConvTranspose(1, (3, 3), strides=(2, 2), bias_init=bias_init or zeros, name="logits")(x)
        else:
            x = dense(x, height * width, "logits", bias_init)
        # One variance for all pixels (Rybkin et al. 2021); 1 unless it is learned.
        learned = config.likelihood == "learned_gaussian"
        logvar = self.param("logvar", nn.initializers.zeros, ()) if learned else jnp.zeros(())
        return Pixels(x.reshape(-1, height, width), logvar)


class Autoencoder(nn.Module):
    """An AE or a VAE: they differ in the encoder's head and in the objective, and in nothing else."""

    config: Config
    image_shape: tuple[int, int]
    mean_pixel: float | None = None

    def setup(self) -> None:
        """Makes the two halves."""
        self.encoder = Encoder(self.config)
        self.decoder = Decoder(self.config, self.image_shape, self.mean_pixel)

    def encode(self, images: Array) -> Posterior:
        """float32[B, H, W] in [0, 1] to a Posterior of float32[B, latent_dim]."""
        return self.encoder(images)

    def decode(self, z: Array) -> Pixels:
        """float32[B, latent_dim] to Pixels with logits float32[B, H, W]."""
        return self.decoder(z)

    def __call__(self, images: Array) -> Pixels:
        """The decode of the mean code: touches every parameter, which is what initialization needs."""
        return self.decode(self.encode(images).mean)


def encode(model: Autoencoder, params: Params, images: Array) -> Posterior:
    """`Autoencoder.encode` with these parameters."""
    return cast(Posterior, model.apply({"params": params}, images, method="encode"))


def decode(model: Autoencoder, params: Params, z: Array) -> Pixels:
    """`Autoencoder.decode` with these parameters."""
    return cast(Pixels, model.apply({"params": params}, z, method="decode"))


def make_model(config: Config, image_shape: tuple[int, int], mean_pixel: float | None = None) -> Autoencoder:
    """The Autoencoder of a Config for images of that size.

    Raises:
        ConfigError: `architecture=conv` and a height or width that is not a multiple of 4.
    """
    if config.architecture == "conv" and (image_shape[0] % 4 or image_shape[1] % 4):
        raise ConfigError(f"architecture=conv needs a height and a width in multiples of 4, not {image_shape}")
    return Autoencoder(config, image_shape, mean_pixel if config.mean_bias else None)
