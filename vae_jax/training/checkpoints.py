"""A run's checkpoint: what its training resumes from, WORKDIR/runs/NAME/checkpoint.safetensors."""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax

from vae_jax import files, session
from vae_jax.config import Config, ConfigError
from vae_jax.errors import DamagedError, MismatchError, UserError
from vae_jax.model.programs import Program
from vae_jax.training import step
from vae_jax.training.step import TrainState


class Checkpoint(NamedTuple):
    """A run after some epochs: all that is needed to resume."""

    epoch: int  # epochs done
    metrics: list[dict[str, Any]]  # rows of metrics.jsonl
    timing: list[dict[str, float]]  # rows of timing.jsonl
    state: TrainState  # NumPy arrays without a leading axis


def write(folder: Path, config: Config, checkpoint: Checkpoint) -> None:
    """Writes a run's checkpoint, in place of the one before.

    Raises:
        UserError: it cannot be written; the one before is still whole.
    """
    epoch, metrics, timing, state = checkpoint
    header = {"epoch": epoch, "config": config.to_dict(), "metrics": metrics, "timing": timing}
    files.write_arrays(path_of(folder), _flatten(state), header)


def read(folder: Path, config: Config, program: Program) -> Checkpoint | None:
    """Reads the checkpoint of a run; None if there is none, or a damaged one, which is said on stderr.

    Args:
        folder: of the run.
        config: of the run.
        program: of the run, which determines the names, shapes and dtypes of its arrays.

    Raises:
        UserError: the checkpoint was written by code with another Config or network, or cannot be read.
    """
    path, shapes = path_of(folder), _shapes(program)
    leaves = _flatten(shapes)
    try:
        found, header = files.read_arrays(path, {name: (leaf.shape, leaf.dtype) for name, leaf in leaves.items()})
        if Config.from_dict(header["config"]) != config:
            raise MismatchError("belongs to another Config")
    except DamagedError as error:
        session.say(f"{path} {error}; the run starts over")
        return None
    except (MismatchError, ConfigError, LookupError) as error:  # the last two of a field that this code does not have
        what = f"{path} {error}" if isinstance(error, MismatchError) else f"{path} belongs to another Config"
        raise UserError(f"{what}, so other code wrote it; delete it to train the run from the start") from error
    except UserError:
        if files.exists(path):
            raise
        return None
    state = jax.tree.unflatten(jax.tree.structure(shapes), [found[name] for name in leaves])
    return Checkpoint(header["epoch"], header["metrics"], header["timing"], state)


def epochs_done(folder: Path) -> int:
    """Returns how many epochs a run's checkpoint stands for; 0 if there is none, or a damaged one.

    Raises:
        UserError: the folder cannot be read, which does not mean that it holds none.
    """
    try:
        return int(files.read_header(path_of(folder))["epoch"]) if files.exists(path_of(folder)) else 0
    except (DamagedError, LookupError):
        return 0


def path_of(folder: Path) -> Path:
    """Returns the path of a run's checkpoint."""
    return folder / "checkpoint.safetensors"


@functools.lru_cache(maxsize=16)
def _shapes(program: Program) -> Any:
    """Returns the shapes and dtypes of a run's TrainState, without computing it."""
    states = jax.eval_shape(lambda: step.init_states(program, step.hyperparameters([program.config])))
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), states)


def _flatten(tree: Any) -> dict[str, Any]:
    """Names the leaves by their paths, such as `params/encoder/hidden_0/kernel`."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
