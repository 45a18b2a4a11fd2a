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
    from numpy.typing import ArrayLike

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


def train(
    config: "Config", images: "ArrayLike | None" = None, labels: "ArrayLike | None" = None,
    test_images: "ArrayLike | None" = None, test_labels: "ArrayLike | None" = None, *,
    workdir: str | PathLike[str] | None = None, data_dir: str | None = None,
) -> "Run":  # fmt: skip
    """Trains a single run, as a launch does, but does not evaluate it.

    Args:
        config: defines the run; `vae_jax.config.Config(model="vae", latent_dim=2)`. With images, its dataset is set to
            `array:`.
        images: what to train on in place of a data set that the Config names, [N, H, W] or [N, H, W, 1]: uint8, floats
            in [0, 1] or bools; `Config.pixel_max` says what else is white. The Config's `validation_fraction` comes off
            them.
        labels: their classes, integers [N] from 0; None without labels.
        test_images: as `images`, for evaluation; None to split one image in five off.
        test_labels: integers [N], exactly where there are `labels` and `test_images`.
        workdir: keeps the run in WORKDIR/runs/NAME, where it resumes if it was interrupted and is not trained twice;
            None leaves no files.
        data_dir: folder of the prepared data sets; None for the default.

    Returns:
        What `load_run` returns.

    Raises:
        UserError: the data set is missing or damaged, the images are none or not those that the run in the workdir was
            trained on, the run cannot be trained, the workdir is in use, or the process has a setting of JAX's that
            changes results and cannot be set aside.
        ConfigError: the architecture does not take the images of the data set, or the Config names another data set.
    """
    import tempfile

    from vae_jax.data.arrays import gather, on_arrays
    from vae_jax.data.identity import given
    from vae_jax.launch import sweeps

    own = gather(images, labels, test_images, test_labels)
    config = on_arrays(config) if own else config
    with tempfile.TemporaryDirectory(prefix="vae_jax-", ignore_cleanup_errors=True) as folder, given(own):
        return load_run(sweeps.train_one(config, Path(workdir or folder).expanduser(), data_dir))


def load_data(
    name: str | None = None, data_dir: str | None = None, pixel_max: float = 0.0, image_size: int = 0,
    channels: str = "", **arrays: "ArrayLike | None",
) -> "Dataset":  # fmt: skip
    """Loads a data set by its name, or makes one of images, with splits `train`, `validation` and `test`.

    Args:
        name: `mnist_5k`, which needs no download, or any other that `--dataset` takes; None with images.
        data_dir: folder of the prepared data sets; None for the default.
        pixel_max: what is white in files or images of your own; 0 for what `--pixel_max=0` means.
        image_size: height and width that the images get, pixels; 0 for their own.
        channels: `grey` makes colours grey; without it they are refused.
        **arrays: `images`, `labels`, `test_images` and `test_labels`, as `train` takes them.

    Returns:
        The data set: each split has `images`, uint8[N, H, W], `labels`, int32[N] or None, and `factors`, int32[N, K] or
        None: the values, counted from 0, of what each image was generated from.

    Raises:
        ConfigError: there is no data set of this name, or neither a name nor images, or both.
        DataError: it is missing, damaged or too small; a `UserError`.
    """
    from vae_jax import data
    from vae_jax.data.arrays import NAME, gather
    from vae_jax.fields import ConfigError

    own = gather(**arrays)
    if (own is None) == (name is None):
        raise ConfigError("load_data takes the name of a data set, or images=...")
    return data.load(
        name or NAME, pixel_max=pixel_max, image_size=image_size, channels=channels, data_dir=data_dir, given=own
    )


def load_dataset(path: str | PathLike[str], data_dir: str | None = None, **arrays: "ArrayLike | None") -> "Dataset":
    """Loads the data set a run was trained on, with splits `train`, `validation` and `test`.

    Args:
        path: the run's folder, WORKDIR/runs/NAME.
        data_dir: folder of the prepared data sets; None for the default.
        **arrays: of a run that was trained on images in memory, all of them and of their labels, as `train` had them.

    Returns:
        What `load_data` returns.

    Raises:
        UserError: the run or its data set is missing or damaged, or the images are not those it was trained on.
        ConfigError: there are images, but the run was trained on a data set with a name.
    """
    from vae_jax.data.arrays import NAME, gather
    from vae_jax.data.identity import given
    from vae_jax.fields import ConfigError
    from vae_jax.training import runs

    run, own = runs.load_run(Path(path).expanduser()), gather(**arrays)
    if own and run.config.dataset != NAME:
        raise ConfigError(f"{run.name} was trained on {run.config.dataset}; load its data set without images")
    with given(own):
        return runs.dataset_of(run, data_dir)
