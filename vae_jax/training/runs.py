"""Trained runs: their parameters, and both halves of the network as functions of NumPy arrays."""

import functools
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import numpy as np
from jax import Array

from vae_jax import environment, files
from vae_jax.config import Config, ConfigError
from vae_jax.data import Dataset
from vae_jax.data.identity import check_identity, load_dataset
from vae_jax.data.pixels import BYTES, PixelRange, to_uint8
from vae_jax.errors import DamagedError, MismatchError, UserError
from vae_jax.files import exists
from vae_jax.model import networks
from vae_jax.model.likelihoods import pixel_mean
from vae_jax.model.networks import Params, chunk_size, init_params, make_key
from vae_jax.model.objectives import Posterior
from vae_jax.model.programs import Program, make_program, observed_pixels
from vae_jax.workdir import DataIdentity, is_trained, read_config, read_identity, way_out

CHUNK = 2000  # images that go through a network at once outside training, or fewer large ones


class Codes(NamedTuple):
    """The encoder's output for N images, as NumPy arrays."""

    mean: np.ndarray  # float32[N, D]
    logvar: np.ndarray | None  # float32[N, D]; None for a model without noise


class TrainedRun(NamedTuple):
    """A run with its parameters, and both halves of its network as functions of NumPy arrays."""

    config: Config
    params: Params
    encode: Callable[
        [Any], Codes
    ]  # images [N, *image_shape] or one, uint8 or float in [0, 1], to Codes of float32[N, D]
    decode: Callable[[Any], np.ndarray]  # float[N, D] to mean pixels float32[N, *image_shape] in [0, 1]
    program: Program
    identity: DataIdentity | None  # of its data set; None for a run that is in memory only
    pixel_range: PixelRange = BYTES  # what black and white are in integers that have the units of its files

    @property
    def name(self) -> str:
        """The run's name."""
        return self.config.name

    def encode_as_filed(self, images: Any) -> Codes:
        """Encodes images in the units of the run's files, as well as those that `encode` takes.

        Bools are black and white. Integers are in the units of the files if these have room for all of them, and
        otherwise from 0 to 255, as in a `Dataset`.
        """
        return self.encode(_scaled(images, self.pixel_range))


@environment.own_settings()
def load_run(run: Path) -> TrainedRun:
    """Loads a trained run from its folder, WORKDIR/runs/NAME.

    Raises:
        UserError: the folder is no run's, the run is unfinished, or one of its files is damaged.
    """
    _check_is_run(run)
    config, path = read_config(run), run / "params.safetensors"
    try:
        header = files.read_header(path)
        if Config.from_dict(header["config"]) != config:
            raise MismatchError("does not belong to the Config beside it")
        program, pixel_range = make_program(config, tuple(header["image_shape"])), PixelRange(*header["pixel_range"])
        flat, _ = files.read_arrays(path, param_shapes(program))
    except (DamagedError, MismatchError) as error:
        raise UserError(f"{path} {error}; {way_out(run)}") from error
    except (ConfigError, LookupError, TypeError) as error:  # of a header that other code wrote
        raise UserError(f"{path} is damaged ({error}); {way_out(run)}") from error
    params = flax.traverse_util.unflatten_dict(flat, sep="/")
    return trained_run(config, program, params, read_identity(run), pixel_range)


def write_params(
    run: Path, config: Config, params: Params, image_shape: Sequence[int], pixel_range: PixelRange = BYTES
) -> None:
    """Writes the parameters of a trained run, which marks the run as trained.

    Raises:
        UserError: the file cannot be written.
    """
    flat = flax.traverse_util.flatten_dict(params, sep="/")
    header = {"config": config.to_dict(), "image_shape": list(image_shape), "pixel_range": list(pixel_range)}
    files.write_arrays(run / "params.safetensors", flat, header)


@functools.cache  # a network is traced, and the runs of a workdir share few networks
def param_shapes(program: Program) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Returns the shape and dtype of each parameter by its path, such as `encoder/mean/kernel`."""
    params = jax.eval_shape(functools.partial(init_params, program.network), make_key(0))
    return {name: (leaf.shape, leaf.dtype) for name, leaf in flax.traverse_util.flatten_dict(params, sep="/").items()}


def dataset_of(run: TrainedRun, data_dir: str | None = None) -> Dataset:
    """Loads the data set a run was trained on.

    Raises:
        UserError: it is missing or damaged, or its images are not those the run was trained on.
    """
    dataset = load_dataset(run.config, data_dir)
    if run.identity:
        check_identity(run.name, run.identity, dataset)
    return dataset


def _check_is_run(run: Path) -> None:
    """Raises UserError that says what to load instead, unless this is the folder of a trained run."""
    if is_trained(run):
        return
    if not exists(run):
        raise UserError(f"there is no folder {run}; load WORKDIR/runs/NAME")
    if exists(run / "experiment.json") or (run / "runs").is_dir():
        names = sorted(path.name for path in (run / "runs").glob("*/"))
        example = f", such as {run / 'runs' / names[0]}" if names else ""
        raise UserError(f"{run} is a workdir; load one of its runs{example}")
    if exists(run / "config.json"):
        raise UserError(f"the run in {run} is not finished; launch its experiment again")
    raise UserError(f"{run} holds no run; load WORKDIR/runs/NAME")


def trained_run(
    config: Config, program: Program, params: Params, identity: DataIdentity | None = None,
    pixel_range: PixelRange = BYTES,
) -> TrainedRun:  # fmt: skip
    """Makes a run in memory from its Config, its program, and parameters without a leading axis."""
    params = jax.device_put(params)  # once, and not with every chunk
    encode, decode = partial(_encode_all, program, params), partial(_decode_all, program, params)
    return TrainedRun(config, params, encode, decode, program, identity, pixel_range)


def _scaled(images: Any, of_files: PixelRange) -> np.ndarray:
    """Scales integers and bools that a user passes to uint8 from 0 to 255; returns anything else as it is."""
    array = np.asarray(images)
    if array.dtype.kind not in "biu" or not array.ndim:
        return array
    if array.dtype == bool or not array.size:
        return to_uint8(array, PixelRange(white=1))
    low, high, room = array.min(), array.max(), np.iinfo(array.dtype)
    # A type without room for what is white in the files is another, such as the uint8 of a `Dataset` from 16-bit files.
    is_of_files = room.min <= of_files.black <= low and high <= of_files.white <= room.max
    black, white = units = of_files if is_of_files else BYTES
    if not black <= low <= high <= white:
        raise ValueError(
            f"integer images must lie in [0, 255] or [{of_files.black:g}, {of_files.white:g}], not in [{low}, {high}]"
        )
    return to_uint8(array, units)


def check_images(images: Any, image_shape: tuple[int, ...]) -> np.ndarray:
    """Checks images a user passes, and returns them as [N, *image_shape].

    Args:
        images: uint8 from 0 to 255, or floats in [0, 1]; [N, *image_shape], or without N for one image.
        image_shape: of the run: H and W, and then 3 for colour.

    Returns:
        uint8[N, *image_shape] or float32[N, *image_shape].

    Raises:
        ValueError: another dtype, shape or range.
    """
    array = np.asarray(images)
    array = array[None] if array.ndim == len(image_shape) else array
    if array.ndim != 1 + len(image_shape) or array.shape[1:] != image_shape:
        one = ", ".join(map(str, image_shape))
        raise ValueError(f"images must have shape [N, {one}] or [{one}], not {list(np.shape(images))}")
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"images must be uint8 from 0 to 255 or floats in [0, 1], not {array.dtype}")
    if array.size and not (array.min() >= 0 and array.max() <= 1):  # also false for NaN
        low, high = array.min(), array.max()
        raise ValueError(
            f"floating-point images must lie in [0, 1], not in [{low:.4g}, {high:.4g}]; pass 0 to 255 as uint8"
        )
    return array.astype(np.float32)


def check_codes(z: Any, latent_dim: int) -> np.ndarray:
    """Checks codes a user passes, and returns them as float32[N, D]; takes [N, D], or [D] for one code.

    Raises:
        ValueError: another shape, or not real numbers.
    """
    array = np.asarray(z)
    array = array[None] if array.ndim == 1 else array
    if array.ndim != 2 or array.shape[1] != latent_dim:
        raise ValueError(f"codes must have shape [N, {latent_dim}] or [{latent_dim}], not {list(np.shape(z))}")
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise ValueError(f"codes must be real numbers, not {array.dtype}")
    return array.astype(np.float32)


@partial(jax.jit, static_argnames="program")
def _encode(program: Program, params: Params, images: Array) -> Posterior:
    # Training redraws dynamically binarized pixels at each step; here one draw stands for them.
    return networks.encode(program.network, params, observed_pixels(program, images, make_key(0)))


@partial(jax.jit, static_argnames="program")
def _decode(program: Program, params: Params, z: Array) -> Array:
    return pixel_mean(program.config.likelihood, networks.decode(program.network, params, z))


def in_chunks(function: Callable[[Any], Any], rows: np.ndarray, image_shape: Sequence[int]) -> Any:
    """Joins what a function returns, arrays or tuples of them, for as many rows at a time as are a chunk of images."""
    size = chunk_size(CHUNK, image_shape)
    parts = [function(rows[start : start + size]) for start in range(0, len(rows), size)]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *parts)


@environment.own_settings()
def _encode_all(program: Program, params: Params, images: Any) -> Codes:
    images = check_images(images, program.network.image_shape)
    if not len(images):
        empty = np.zeros((0, program.config.latent_dim), np.float32)
        return Codes(empty, empty if program.network.has_variance else None)
    return Codes(*in_chunks(partial(_encode, program, params), images, program.network.image_shape))


@environment.own_settings()
def _decode_all(program: Program, params: Params, z: Any) -> np.ndarray:
    z = check_codes(z, program.config.latent_dim)
    if not len(z):
        return np.zeros((0, *program.network.image_shape), np.float32)
    decoded: np.ndarray = in_chunks(partial(_decode, program, params), z, program.network.image_shape)
    return decoded
