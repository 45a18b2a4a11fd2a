"""Convolutions that are fast on a CPU: flax's layers with the same parameters, each computed as one matrix product.

XLA's convolutions, and even more their gradients, take a CPU several times as long as the products they consist of. On
other devices these layers call XLA's. `python -m scripts.benchmark conv` shows whether they are still worth having.

Pixels that are a stride apart meet the same weights. So both functions treat each block of stride x stride pixels as
the channels of one pixel, which leaves a convolution of stride 1, whose windows are the rows of a matrix.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.linear import default_kernel_init
from jax import Array, lax

CHANNELS_LAST = ("NHWC", "HWIO", "NHWC")


class Conv(nn.Module):
    """A convolution with the parameters of `flax.linen.Conv`: kernel float32[K, L, I, features] and bias.

    Attributes:
        features: channels of the output.
        kernel_size: height and width of the kernel, pixels.
        strides: pixels from one window to the next, down and across.
        padding: SAME or VALID.
        kernel_init: initializer of the kernel.
        bias_init: initializer of the bias.
    """

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: str = "SAME"
    kernel_init: nn.initializers.Initializer = default_kernel_init
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, images: Array) -> Array:
        """Maps float32[B, H, W, I] to float32[B, H', W', features]."""
        kernel = self.param("kernel", self.kernel_init, (*self.kernel_size, images.shape[-1], self.features))
        bias = self.param("bias", self.bias_init, (self.features,))
        return self.convolve(images, kernel) + bias[None, None, None]

    def convolve(self, images: Array, kernel: Array) -> Array:
        """Computes the layer without its bias."""
        if jax.default_backend() == "cpu":
            return conv(images, kernel, self.strides, self.padding)
        return lax.conv_general_dilated(images, kernel, self.strides, self.padding, dimension_numbers=CHANNELS_LAST)


class ConvTranspose(Conv):
    """A transposed convolution with the parameters of `flax.linen.ConvTranspose`; attributes as `Conv`."""

    def convolve(self, images: Array, kernel: Array) -> Array:
        """Computes the layer without its bias."""
        if jax.default_backend() == "cpu":
            return conv_transpose(images, kernel, self.strides, self.padding)
        return lax.conv_transpose(images, kernel, self.strides, self.padding, dimension_numbers=CHANNELS_LAST)


class _Side(NamedTuple):
    """How one side of the images, its height or its width, is divided into blocks."""

    stride: int  # pixels in a block
    num_windows: int
    window: int  # blocks in a window
    low: int  # zeros ahead of the images
    high: int  # zeros after them, or minus the pixels that are cropped
    shift: int  # zeros ahead of the kernel, which fill its first block
    size: int  # pixels of the result


def conv(images: Array, kernel: Array, strides: tuple[int, int], padding: str) -> Array:
    """Computes `lax.conv_general_dilated` of float32[B, H, W, I] and a kernel float32[K, L, I, O]."""
    pads = lax.padtype_to_pads(images.shape[1:3], kernel.shape[:2], strides, padding)
    sides = []
    for size, taps, stride, (low, high) in zip(images.shape[1:3], kernel.shape[:2], strides, pads, strict=True):
        num_windows, window = (size + low + high - taps) // stride + 1, -(-taps // stride)
        sides.append(
            _Side(stride, num_windows, window, low, (num_windows + window - 1) * stride - size - low, 0, num_windows)
        )
    weights = _blocks(kernel, sides).transpose(0, 2, 1, 3, 4, 5)
    down, across = sides
    blocks = _pad(images, sides).reshape(
        -1,
        down.num_windows + down.window - 1,
        down.stride,
        across.num_windows + across.window - 1,
        across.stride,
        images.shape[3],
    )
    blocks = blocks.transpose(0, 1, 3, 2, 4, 5)
    return _windows(blocks.reshape(*blocks.shape[:3], -1), sides) @ weights.reshape(-1, kernel.shape[3])


def conv_transpose(images: Array, kernel: Array, strides: tuple[int, int], padding: str) -> Array:
    """Computes `lax.conv_transpose` of float32[B, H, W, I] and a kernel float32[K, L, I, O].

    XLA spreads the pixels a stride s apart, with some zeros ahead of the first, and convolves. So pixel s·i + p of the
    result is the sum over o of pixel i + o times the weights s·o + zeros - p.
    """
    sides = []
    for size, taps, stride in zip(images.shape[1:3], kernel.shape[:2], strides, strict=True):
        if padding == "VALID":
            zeros, length = taps - 1, (size - 1) * stride + max(taps, stride)
        else:
            zeros, length = taps - 1 if stride >= taps else -(-(taps + stride - 2) // 2), size * stride
        low, num_windows = zeros // stride, -(-length // stride)
        window = low + (taps + stride - 2 - zeros) // stride + 1
        shift = stride - 1 - zeros % stride
        sides.append(_Side(stride, num_windows, window, low, num_windows + window - 1 - size - low, shift, length))
    weights = _blocks(kernel, sides)[:, ::-1, :, ::-1].transpose(0, 2, 4, 1, 3, 5)
    down, across = sides
    products = _windows(_pad(images, sides), sides) @ weights.reshape(-1, down.stride * across.stride * kernel.shape[3])
    blocks = products.reshape(-1, down.num_windows, across.num_windows, down.stride, across.stride, kernel.shape[3])
    pixels = blocks.transpose(0, 1, 3, 2, 4, 5).reshape(
        -1, down.num_windows * down.stride, across.num_windows * across.stride, kernel.shape[3]
    )
    return pixels[:, : down.size, : across.size]


def _pad(images: Array, sides: list[_Side]) -> Array:
    """Pads or crops height and width of [B, H, W, C]."""
    pads = [(0, 0, 0), *((side.low, side.high, 0) for side in sides), (0, 0, 0)]
    return lax.pad(images, jnp.zeros((), images.dtype), pads)


def _blocks(kernel: Array, sides: list[_Side]) -> Array:
    """Divides a kernel [K, L, I, O] into the blocks of a window: [window, stride, window, stride, I, O]."""
    pads = [(s.shift, s.window * s.stride - taps - s.shift) for s, taps in zip(sides, kernel.shape, strict=False)]
    shape = [number for side in sides for number in (side.window, side.stride)]
    return jnp.pad(kernel, [*pads, (0, 0), (0, 0)]).reshape(*shape, *kernel.shape[2:])


def _windows(images: Array, sides: list[_Side]) -> Array:
    """Gathers the windows of [B, H, W, C]: [B, num_windows, num_windows, window * window * C]."""
    down, across = sides
    corners = [(i, j) for i in range(down.window) for j in range(across.window)]
    return jnp.concatenate(
        [images[:, i : i + down.num_windows, j : j + across.num_windows] for i, j in corners], axis=-1
    )
