"""Autoencoders against variational autoencoders in JAX/Flax: train, sweep, measure, compare.

JAX takes a second to import, which `--help` must not wait for: what needs it is imported when it is called.
"""

import typing
from os import PathLike
from pathlib import Path

from vae_jax.errors import UserError

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import numpy as np

    from vae_jax.config import Config
    from vae_jax.data import Dataset
    from vae_jax.launch.sweeps import train_and_evaluate
    from vae_jax.model.networks import Params
    from vae_jax.training.runs import Codes

    Run = tuple[Config, Params, Callable[[Any], Codes], Callable[[Any], np.ndarray]]

__all__ = ["UserError", "load_data", "load_dataset", "load_run", "train", "train_and_evaluate"]


def __getattr__(name: str) -> "Any":
    if name == "train_and_evaluate":
        from vae_jax.launch import sweeps

        return sweeps.train_and_evaluate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_run(path: str | PathLike[str]) -> "Run":
    """Loads a trained run from its folder, WORKDIR/runs/NAME.

    Returns:
        config: the run's Config.
        params: the parameters of its network.
        encode: maps images, [N, H, W] or [H, W] for one, to Codes: `mean` and, for a model with noise, `logvar`,
            float32[N, D]. Floats are in [0, 1], bools black and white. Integers are in the units of the files that the
            run was trained on, such as 0 and 1 or 0 to 4095, or from 0 to 255 where these have no room for them.
        decode: maps codes float[N, D] to mean pixels in [0, 1], float32[N, H, W].

    Raises:
        UserError: the folder is no run's, the run is unfinished, or one of its files is damaged; or, also of `encode`
            and `decode`, the process has a setting of JAX's that changes results and cannot be set aside.
    """
    from vae_jax.training import runs

    run = runs.load_run(Path(path).expanduser())
    return run.config, run.params, run.encode_as_filed, run.decode


def train(config: "Config", workdir: str | PathLike[str] | None = None, data_dir: str | None = None) -> "Run":
    """Trains a single run, as a launch does, but does not evaluate it.

    Args:
        config: defines the run; `vae_jax.config.Config(model="vae", latent_dim=2)`.
        workdir: keeps the run in WORKDIR/runs/NAME, where it resumes if it was interrupted and is not trained twice;
            None leaves no files.
        data_dir: folder of the prepared data sets; None for the default.

    Returns:
        What `load_run` returns.

    Raises:
        UserError: the data set is missing or damaged, the run cannot be trained, the workdir is in use, or the process
            has a setting of JAX's that changes results and cannot be set aside.
        ConfigError: the architecture does not take the images of the data set.
    """
    import tempfile

    from vae_jax.launch import sweeps

    with tempfile.TemporaryDirectory(prefix="vae_jax-", ignore_cleanup_errors=True) as folder:
        return load_run(sweeps.train_one(config, Path(workdir or folder).expanduser(), data_dir))


def load_data(
    name: str, data_dir: str | None = None, pixel_max: float = 0.0, image_size: int = 0, channels: str = ""
) -> "Dataset":
    """Loads a data set by its name, with splits `train`, `validation` and `test`.

    Args:
        name: `mnist_5k`, which needs no download, or any other that `--dataset` takes.
        data_dir: folder of the prepared data sets; None for the default.
        pixel_max: what is white in files of your own; 0 for what `--pixel_max=0` means.
        image_size: height and width that the images get, pixels; 0 for their own.
        channels: `grey` makes colours grey; without it they are refused.

    Returns:
        The data set: each split has `images`, uint8[N, H, W], and `labels`, int32[N] or None.

    Raises:
        ConfigError: there is no data set of this name.
        DataError: it is missing, damaged or too small; a `UserError`.
    """
    from vae_jax import data

    return data.load(name, pixel_max=pixel_max, image_size=image_size, channels=channels, data_dir=data_dir)


def load_dataset(path: str | PathLike[str], data_dir: str | None = None) -> "Dataset":
    """Loads the data set a run was trained on, with splits `train`, `validation` and `test`.

    Args:
        path: the run's folder, WORKDIR/runs/NAME.
        data_dir: folder of the prepared data sets; None for the default.

    Returns:
        What `load_data` returns.

    Raises:
        UserError: the run or its data set is missing or damaged, or the images are not those it was trained on.
    """
    from vae_jax.training import runs

    return runs.dataset_of(runs.load_run(Path(path).expanduser()), data_dir)
