"""What a device reaches in matrix products alone, and how many of them training takes."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from scripts.benchmark.measuring import seconds
from vae_jax.config import Config
from vae_jax.model.networks import init_params
from vae_jax.model.programs import make_program


def flops_per_image(config: Config, image_shape: tuple[int, int]) -> int:
    """Counts floating-point operations of matrix products, forward and backward; the images need no gradient."""
    network = make_program(config, image_shape).network
    params = jax.eval_shape(lambda: init_params(network, jax.random.key(0)))
    sizes = {(half, name): layer["kernel"].size for half in params for name, layer in params[half].items()}
    return 6 * sum(sizes.values()) - 2 * sizes["encoder", "hidden_0"]


@jax.jit
def _step_products(x: Any, h: Any, w_in: Any, w_out: Any) -> Any:
    # Encoder forward and weights' gradient; decoder forward, hidden layer's and weights' gradient.
    return x @ w_in, x.T @ h, h @ w_out, x @ w_out.T, h.T @ x


def speed_of_step_products(num_pixels: int, width: int, batch_size: int) -> float:
    """Measures the five large products of a gradient step, with nothing between them, FLOP/s."""
    shapes = (batch_size, num_pixels), (batch_size, width), (num_pixels, width), (width, num_pixels)
    operands = [jax.random.normal(jax.random.key(index), shape) for index, shape in enumerate(shapes)]
    return 5 * 2 * math.prod((batch_size, num_pixels, width)) / _bestseconds(lambda: _step_products(*operands), 50)


def matmul_peak(size: int = 2048, repeats: int = 8) -> float:
    """Measures the best of some float32 matrix products of this device, FLOP/s."""
    a = jax.random.normal(jax.random.key(0), (size, size))
    return 2 * size**3 / _bestseconds(lambda: jnp.matmul(a, a), repeats)


def _bestseconds(function: Callable[[], Any], repeats: int) -> float:
    jax.block_until_ready(function())  # compiles
    return min(seconds(function) for _ in range(repeats))
