"""Convolutions that are fast on a CPU: flax's layers with the same parameters, each computed as one matrix product.

XLA's convolutions, and even more their gradients, take a CPU several times as long as the products they consist of. On
other devices these layers call XLA's. `python -m scripts.benchmark conv` shows whether they are still worth having.

A convolution gathers the patch under each window, and multiplies patches and kernel (im2col). A transposed one
multiplies pixels and kernel, and adds the patches that this makes where they overlap (col2im). Each is the gradient of
the other. Pixels a stride apart, which the same weight meets, are split into arrays of their own first, so that all
else is slices of stride 1; as `lax.split` is joined again in the gradient, XLA makes fast gradients of both by itself.
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
    """How patches lie along one side of the images, its height or its width."""

    size: int  # pixels of the images
    taps: int  # pixels of a patch
    stride: int  # pixels from one patch to the next
    low: int  # zeros ahead of the images
    num_patches: int

    @property
    def num_blocks(self) -> int:
        """How many blocks of `stride` pixels the patches touch."""
        return self.num_patches + -(-self.taps // self.stride) - 1

    @property
    def high(self) -> int:
        """Zeros after the images, up to the end of the last block, or minus the pixels that no patch touches."""
        return self.num_blocks * self.stride - self.size - self.low


def conv(images: Array, kernel: Array, strides: tuple[int, int], padding: str) -> Array:
    """Computes `lax.conv_general_dilated` of float32[B, H, W, I] and a kernel float32[K, L, I, O]."""
    pads = lax.padtype_to_pads(images.shape[1:3], kernel.shape[:2], strides, padding)
    sides = [
        _Side(size, taps, stride, low, (size + low + high - taps) // stride + 1)
        for size, taps, stride, (low, high) in zip(images.shape[1:3], kernel.shape[:2], strides, pads, strict=True)
    ]
    return _patches(images, *sides) @ kernel.reshape(-1, kernel.shape[3])


def conv_transpose(images: Array, kernel: Array, strides: tuple[int, int], padding: str) -> Array:
    """Computes `lax.conv_transpose` of float32[B, H, W, I] and a kernel float32[K, L, I, O].

    XLA spreads the pixels a stride apart, puts some zeros ahead of the first, and convolves. So tap k of the kernel
    takes pixel i to pixel stride * i + zeros - k of the result: a patch of the kernel, turned around.
    """
    sides = []
    for size, taps, stride in zip(images.shape[1:3], kernel.shape[:2], strides, strict=True):
        if padding == "VALID":
            zeros, length = taps - 1, (size - 1) * stride + max(taps, stride)
        else:
            zeros, length = taps - 1 if stride >= taps else -(-(taps + stride - 2) // 2), size * stride
        sides.append(_Side(length, taps, stride, taps - 1 - zeros, size))
    turned = kernel[::-1, ::-1].transpose(2, 0, 1, 3)
    return _add_patches(images @ turned.reshape(kernel.shape[2], -1), *sides)


def _patches(images: Array, down: _Side, across: _Side) -> Array:
    """Gathers the patches of [B, H, W, C]: [B, num_patches, num_patches, taps * taps * C]."""
    pads = [(0, 0, 0), (down.low, down.high, 0), (across.low, across.high, 0), (0, 0, 0)]
    padded = lax.pad(images, jnp.zeros((), images.dtype), pads)
    blocks = padded.reshape(-1, down.num_blocks, down.stride, across.num_blocks, across.stride, images.shape[3])
    phases = [
        [column[:, :, 0, :, 0] for column in lax.split(row, [1] * across.stride, axis=4)]
        for row in lax.split(blocks, [1] * down.stride, axis=2)
    ]
    parts = []
    for i in range(down.taps):
        for j in range(across.taps):
            top, left = i // down.stride, j // across.stride
            phase = phases[i % down.stride][j % across.stride]
            parts.append(phase[:, top : top + down.num_patches, left : left + across.num_patches])
    return jnp.concatenate(parts, axis=-1)


def _add_patches(patches: Array, down: _Side, across: _Side) -> Array:
    """Adds up patches where they overlap, the transpose of `_patches`: from what that returns to [B, H, W, C]."""
    batch, zero, num_taps = patches.shape[0], jnp.zeros((), patches.dtype), down.taps * across.taps
    shape = (batch, down.num_blocks, across.num_blocks, patches.shape[3] // num_taps)
    phases = [[jnp.zeros(shape, patches.dtype)] * across.stride for _ in range(down.stride)]
    for tap, part in enumerate(lax.split(patches, [shape[3]] * num_taps, axis=3)):
        (top, i), (left, j) = divmod(tap // across.taps, down.stride), divmod(tap % across.taps, across.stride)
        below, right = down.num_blocks - down.num_patches - top, across.num_blocks - across.num_patches - left
        phases[i][j] += lax.pad(part, zero, [(0, 0, 0), (top, below, 0), (left, right, 0), (0, 0, 0)])
    blocks = jnp.stack([jnp.stack(row, axis=3) for row in phases], axis=2)
    padded = blocks.reshape(batch, down.num_blocks * down.stride, across.num_blocks * across.stride, shape[3])
    return lax.pad(padded, zero, [(0, 0, 0), (-down.low, -down.high, 0), (-across.low, -across.high, 0), (0, 0, 0)])
