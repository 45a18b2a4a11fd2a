"""Autoencoders against variational autoencoders in JAX/Flax: train, sweep, measure, compare."""

import typing
from os import PathLike
from pathlib import Path

if typing.TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from vae_jax.config import Config
    from vae_jax.models import Params
    from vae_jax.runs import Codes


def load_run(
    path: str | PathLike[str],
) -> "tuple[Config, Params, Callable[[np.ndarray], Codes], Callable[[np.ndarray], np.ndarray]]":
    """Config, parameters and the two halves of a trained run, from its folder WORKDIR/runs/NAME.

    `encode` takes uint8[N, H, W] images to Codes of `mean` and, for a VAE, `logvar`, float32[N, D]; `decode` takes
    float32[N, D] to the mean pixels in [0, 1], float32[N, H, W].

    Raises:
        UserError: it is not trained to its end, or a file of it is damaged.
    """
    # JAX takes a second to import, which --help and wrong flags must not wait for.
    from vae_jax import runs

    run = runs.load_run(Path(path).expanduser())
    return run.config, run.params, run.encode, run.decode
