"""Parameters of networks that nobody trained."""

import math
from typing import Any

import flax.traverse_util
import numpy as np

from vae_jax.model.programs import Program
from vae_jax.training.runs import param_shapes


def params_of(program: Program, seed: int = 0) -> dict[str, Any]:
    """Draws parameters about as large as new ones are, by NumPy, so that nothing is compiled.

    As Flax does, it gives those of one name and shape the same values in every network.
    """
    shapes = param_shapes(program)

    def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
        inputs = math.prod(shapes[name.replace("bias", "kernel")][0][:-1])
        return np.random.default_rng([seed, *name.encode()]).uniform(-1, 1, shape) / math.sqrt(inputs)

    flat = {name: draw(name, shape).astype(np.float32) for name, (shape, _) in shapes.items()}
    return flax.traverse_util.unflatten_dict(flat, sep="/")
