"""Linen encoder, decoder and autoencoder: pure functions of their parameters, without noise."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from vae_jax.model.convolutions import Conv, ConvTranspose
from vae_jax.model.likelihoods import Reconstruction
from vae_jax.model.objectives import Posterior

Params = dict[str, Any]

ACTIVATIONS = {
    "relu": nn.relu,
    "tanh": nn.tanh,
    "gelu": nn.gelu,
    "silu": nn.silu,
    "elu": nn.elu,
    "leaky_relu": nn.leaky_relu,
}
CHUNK_PIXELS = 1 << 21  # 8 MiB in float32, of which the layers of a network take a multiple


def chunk_size(most: int, image_shape: Sequence[int]) -> int:
    """Returns how many images of this shape to handle at once: `most`, or fewer if they exceed `CHUNK_PIXELS`."""
    return max(1, min(most, CHUNK_PIXELS // max(1, math.prod(image_shape))))


def dense(
    x: Array, features: int, name: str, bias_init: nn.initializers.Initializer | None = None,
    initialization: str = "pytorch",
) -> Array:  # fmt: skip
    """Applies a linear layer, float32[B, I] to float32[B, features].

    Args:
        x: the input.
        features: of the output.
        name: of the layer's parameters.
        bias_init: draws the biases; None leaves it to the initialization.
        initialization: `pytorch` draws weights and biases uniformly in ±1/√I, as PyTorch does and so most published
            results. With zero biases, every kink of the decoder's first ReLU layer passes through the latent origin,
            and a two-dimensional model ends about one nat worse. `glorot` draws weights uniformly in
            ±√(6 / (I + features)), and biases are 0 (Glorot & Bengio 2010, eq. 16).
    """
    if initialization == "glorot":
        kernel_init, bias_init = nn.initializers.glorot_uniform(), bias_init or nn.initializers.zeros
        return nn.Dense(features, kernel_init=kernel_init, bias_init=bias_init, name=name)(x)
    bound = 1 / math.sqrt(x.shape[-1])

    def uniform(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return nn.Dense(features, kernel_init=uniform, bias_init=bias_init or uniform, name=name)(x)


def _conv_init(initialization: str) -> nn.initializers.Initializer:
    """Linen's default draws the kernels of convolutions, unless Glorot's initialization is asked for."""
    return nn.initializers.glorot_uniform() if initialization == "glorot" else nn.initializers.lecun_normal()


class Encoder(nn.Module):
    """Maps images to codes: [convolutions,] dense hidden layers, then a head for the mean and maybe one for logvar."""

    latent_dim: int
    hidden_dims: tuple[int, ...]
    activation: str
    conv_features: tuple[int, ...]
    initialization: str
    has_variance: bool
    noise_sd: float | None

    @nn.compact
    def __call__(self, images: Array) -> Posterior:
        """Maps float32[B, H, W] or [B, H, W, 3] in [0, 1] to a Posterior of float32[B, latent_dim]."""
        activation, linear = ACTIVATIONS[self.activation], partial(dense, initialization=self.initialization)
        conv_init, x = _conv_init(self.initialization), images.reshape(*images.shape[:3], -1)
        for index, features in enumerate(self.conv_features):
            layer = Conv(features, (3, 3), strides=(2, 2), kernel_init=conv_init, name=f"conv_{index}")
            x = activation(layer(x))
        x = x.reshape(x.shape[0], -1)
        for index, width in enumerate(self.hidden_dims):
            x = activation(linear(x, width, f"hidden_{index}"))
        mean = linear(x, self.latent_dim, "mean")
        if not self.has_variance:
            return Posterior(mean, None)
        if self.noise_sd is not None:
            return Posterior(mean, jnp.full_like(mean, 2 * math.log(self.noise_sd)))
        return Posterior(mean, linear(x, self.latent_dim, "logvar"))


class Decoder(nn.Module):
    """Maps codes to reconstructions: the encoder's layers mirrored."""

    image_shape: tuple[int, ...]
    hidden_dims: tuple[int, ...]
    activation: str
    conv_features: tuple[int, ...]
    initialization: str
    learned_logvar: bool
    mean_pixel: float | None

    @nn.compact
    def __call__(self, z: Array) -> Reconstruction:
        """Maps float32[B, latent_dim] to a Reconstruction with logits float32[B, *image_shape]."""
        (height, width), channels = self.image_shape[:2], math.prod(self.image_shape[2:])
        activation, linear = ACTIVATIONS[self.activation], partial(dense, initialization=self.initialization)
        bias_init, zeros = None, nn.initializers.zeros
        if self.mean_pixel is not None:
            mean_pixel = min(max(self.mean_pixel, 1e-3), 1 - 1e-3)
            bias_init = nn.initializers.constant(math.log(mean_pixel / (1 - mean_pixel)))
        x = z
        for index, features in enumerate(reversed(self.hidden_dims)):
            x = activation(linear(x, features, f"hidden_{index}"))
        if self.conv_features:
            # The encoder rounds each halving up; what that adds is cropped below.
            halved = 2 ** len(self.conv_features)
            small = (math.ceil(height / halved), math.ceil(width / halved), self.conv_features[-1])
            x = activation(linear(x, math.prod(small), "unflatten")).reshape(-1, *small)
            transposed = partial(
                ConvTranspose, kernel_size=(3, 3), strides=(2, 2), kernel_init=_conv_init(self.initialization)
            )
            for index, features in enumerate(reversed(self.conv_features[:-1])):
                x = activation(transposed(features, name=f"conv_{index}")(x))
            x = transposed(channels, bias_init=bias_init or zeros, name="logits")(x)
            x = x[:, :height, :width]
        else:
            x = linear(x, height * width * channels, "logits", bias_init)
        # All pixels share one variance (Rybkin et al. 2021): 1 unless it is learned.
        logvar = self.param("logvar", zeros, ()) if self.learned_logvar else jnp.zeros(())
        return Reconstruction(x.reshape(-1, *self.image_shape), logvar)


class Autoencoder(nn.Module):
    """An encoder and a decoder. Models differ in the encoder's head and in the objective only.

    Attributes:
        image_shape: height and width, pixels, and then 3 if images are in colour.
        latent_dim: dimensions of the code.
        hidden_dims: widths of the encoder's dense layers; the decoder mirrors them.
        activation: a name of ACTIVATIONS.
        conv_features: channels of the strided convolutions before the dense layers; none for no convolution.
        has_variance: whether the encoder outputs a log-variance.
        noise_sd: the standard deviation of all codes, if the encoder does not learn the log-variance.
        learned_logvar: whether the decoder learns the log-variance of its pixels.
        mean_pixel: starts the decoder's output bias at this mean pixel in [0, 1]; None starts it at its default.
        initialization: of all other parameters, pytorch or glorot; see `dense`.
    """

    image_shape: tuple[int, ...]
    latent_dim: int
    hidden_dims: tuple[int, ...] = (512,)
    activation: str = "relu"
    conv_features: tuple[int, ...] = ()
    has_variance: bool = True
    noise_sd: float | None = None
    learned_logvar: bool = False
    mean_pixel: float | None = None
    initialization: str = "pytorch"

    def setup(self) -> None:
        """Makes the encoder and the decoder."""
        layers = (self.hidden_dims, self.activation, self.conv_features, self.initialization)
        self.encoder = Encoder(self.latent_dim, *layers, self.has_variance, self.noise_sd)
        self.decoder = Decoder(self.image_shape, *layers, self.learned_logvar, self.mean_pixel)

    def encode(self, images: Array) -> Posterior:
        """Maps float32[B, *image_shape] in [0, 1] to a Posterior of float32[B, latent_dim]."""
        return self.encoder(images)

    def decode(self, z: Array) -> Reconstruction:
        """Maps float32[B, latent_dim] to a Reconstruction with logits float32[B, *image_shape]."""
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


# Compiler options for a program that draws initial parameters. It runs once, so it needs few of LLVM's optimizations;
# the parameters are the same bits.
QUICK_COMPILATION: dict[str, str | bool] = {"xla_backend_optimization_level": "1"}


def make_key(seed: int | Array) -> Array:
    """Makes a PRNG key from a seed, of the kind that all results depend on, whichever the process has chosen."""
    return jax.random.key(seed, dtype="threefry2x32")


def init_params(network: Autoencoder, key: Array) -> Params:
    """Draws initial parameters; the key is consumed."""
    return cast(Params, network.init(key, jnp.zeros((1, *network.image_shape)))["params"])
