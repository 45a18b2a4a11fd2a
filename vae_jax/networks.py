"""Linen encoder, decoder and autoencoder: pure functions of their parameters, without noise."""

import math
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from vae_jax.convolutions import Conv, ConvTranspose
from vae_jax.objectives import Posterior, Reconstruction

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
MIN_CONV_SIDE = 4  # pixels: two halvings must leave at least one


def dense(x: Array, features: int, name: str, bias_init: nn.initializers.Initializer | None = None) -> Array:
    """Applies a linear layer, float32[B, I] to float32[B, features], initialized as PyTorch does.

    Weights and biases are uniform in ±1/√I, as in the published results that we compare with. With zero biases, Linen's
    default, every kink of the decoder's first layer passes through the latent origin, and a two-dimensional model ends
    about one nat worse.
    """
    bound = 1 / math.sqrt(x.shape[-1])

    def uniform(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return nn.Dense(features, kernel_init=uniform, bias_init=bias_init or uniform, name=name)(x)


class Encoder(nn.Module):
    """Maps images to codes: [convolutions,] dense hidden layers, then a head for the mean and maybe one for logvar."""

    latent_dim: int
    hidden_dims: tuple[int, ...]
    activation: str
    convolutions: bool
    has_variance: bool

    @nn.compact
    def __call__(self, images: Array) -> Posterior:
        """Maps float32[B, H, W] in [0, 1] to a Posterior of float32[B, latent_dim]."""
        activation = ACTIVATIONS[self.activation]
        x = images
        if self.convolutions:
            x = x[..., None]
            for index, features in enumerate(CONV_FEATURES):
                x = activation(Conv(features, (3, 3), strides=(2, 2), name=f"conv_{index}")(x))
        x = x.reshape(x.shape[0], -1)
        for index, width in enumerate(self.hidden_dims):
            x = activation(dense(x, width, f"hidden_{index}"))
        mean = dense(x, self.latent_dim, "mean")
        return Posterior(mean, dense(x, self.latent_dim, "logvar") if self.has_variance else None)


class Decoder(nn.Module):
    """Maps codes to reconstructions: the encoder's layers mirrored."""

    image_shape: tuple[int, int]
    hidden_dims: tuple[int, ...]
    activation: str
    convolutions: bool
    learned_logvar: bool
    mean_pixel: float | None

    @nn.compact
    def __call__(self, z: Array) -> Reconstruction:
        """Maps float32[B, latent_dim] to a Reconstruction with logits float32[B, H, W]."""
        height, width = self.image_shape
        activation = ACTIVATIONS[self.activation]
        bias_init, zeros = None, nn.initializers.zeros
        if self.mean_pixel is not None:
            mean_pixel = min(max(self.mean_pixel, 1e-3), 1 - 1e-3)
            bias_init = nn.initializers.constant(math.log(mean_pixel / (1 - mean_pixel)))
        x = z
        for index, features in enumerate(reversed(self.hidden_dims)):
            x = activation(dense(x, features, f"hidden_{index}"))
        if self.convolutions:
            # The encoder rounds each halving up; what that adds is cropped below.
            small = (math.ceil(height / 4), math.ceil(width / 4), CONV_FEATURES[-1])
            x = activation(dense(x, math.prod(small), "unflatten")).reshape(-1, *small)
            x = activation(ConvTranspose(CONV_FEATURES[0], (3, 3), strides=(2, 2), name="conv_0")(x))
            x = ConvTranspose(1, (3, 3), strides=(2, 2), bias_init=bias_init or zeros, name="logits")(x)
            x = x[:, :height, :width]
        else:
            x = dense(x, height * width, "logits", bias_init)
        # All pixels share one variance (Rybkin et al. 2021): 1 unless it is learned.
        logvar = self.param("logvar", zeros, ()) if self.learned_logvar else jnp.zeros(())
        return Reconstruction(x.reshape(-1, height, width), logvar)


class Autoencoder(nn.Module):
    """An encoder and a decoder. AE and VAE differ in the encoder's head and in the objective only.

    Attributes:
        image_shape: height and width, pixels.
        latent_dim: dimensions of the code.
        hidden_dims: widths of the encoder's dense layers; the decoder mirrors them.
        activation: a name of ACTIVATIONS.
        convolutions: whether two strided convolutions come before the dense layers; needs MIN_CONV_SIDE pixels.
        has_variance: whether the encoder outputs a log-variance.
        learned_logvar: whether the decoder learns the log-variance of its pixels.
        mean_pixel: starts the decoder's output bias at this mean pixel in [0, 1]; None starts it at its default.
    """

    image_shape: tuple[int, int]
    latent_dim: int
    hidden_dims: tuple[int, ...] = (512,)
    activation: str = "relu"
    convolutions: bool = False
    has_variance: bool = True
    learned_logvar: bool = False
    mean_pixel: float | None = None

    def setup(self) -> None:
        """Makes the encoder and the decoder."""
        layers = (self.hidden_dims, self.activation, self.convolutions)
        self.encoder = Encoder(self.latent_dim, *layers, self.has_variance)
        self.decoder = Decoder(self.image_shape, *layers, self.learned_logvar, self.mean_pixel)

    def encode(self, images: Array) -> Posterior:
        """Maps float32[B, H, W] in [0, 1] to a Posterior of float32[B, latent_dim]."""
        return self.encoder(images)

    def decode(self, z: Array) -> Reconstruction:
        """Maps float32[B, latent_dim] to a Reconstruction with logits float32[B, H, W]."""
        return self.decoder(z)

    def __call__(self, images: Array) -> Reconstruction:
        """Decodes the mean code, which touches every parameter, as initialization needs."""
        return self.decode(self.encode(images).mean)


def encode(network: Autoencoder, params: Params, images: Array) -> Posterior:
    """Applies `Autoencoder.encode` with these parameters."""
    return cast(Posterior, network.apply({"params": params}, images, method="encode"))


def decode(network: Autoencoder, params: Params, z: Array) -> Reconstruction:
    """Applies `Autoencoder.decode` with these parameters."""
    return cast(Reconstruction, network.apply({"params": params}, z, method="decode"))


def init_params(network: Autoencoder, key: Array) -> Params:
    """Draws initial parameters; the key is consumed."""
    return cast(Params, network.init(key, jnp.zeros((1, *network.image_shape)))["params"])
