"""Parameters on disk, as .safetensors: plain arrays, no code."""

import json
from pathlib import Path

import flax.traverse_util
import jax
import numpy as np
import safetensors
import safetensors.numpy

from vae_jax.config import Config
from vae_jax.files import UserError, write_bytes
from vae_jax.models import Params

MOST_PIXELS = 1 << 16  # of a height or a width; a header may say anything


def export_params(path: Path, config: Config, params: Params, image_shape: tuple[int, int]) -> None:
    """Writes the parameters of one run, whole, with its Config and image size in the header.

    Raises:
        UserError: the file cannot be written.
    """
    flat = flax.traverse_util.flatten_dict(jax.tree.map(np.asarray, params), sep="/")
    # One entry: several would be written in an order that changes, and equal runs have equal files.
    header = {"run": json.dumps({"config": config.to_dict(), "image_shape": image_shape})}
    # A transposed view would be written in the order of its memory.
    content = safetensors.numpy.save({name: np.ascontiguousarray(a) for name, a in flat.items()}, metadata=header)
    write_bytes(path, content)


def import_params(path: Path) -> tuple[Config, Params, tuple[int, int]]:
    """Config, parameters and image size (height, width) as `export_params` wrote them.

    Raises:
        UserError: the file is missing, or is not one of these.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            header = json.loads(file.metadata()["run"])
            flat = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        height, width = map(int, header["image_shape"])
        if not (0 < height < MOST_PIXELS and 0 < width < MOST_PIXELS):
            raise ValueError(f"images of {height} x {width} pixels")
        return Config.from_dict(header["config"]), flax.traverse_util.unflatten_dict(flat, sep="/"), (height, width)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except (safetensors.SafetensorError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it and launch again") from error
