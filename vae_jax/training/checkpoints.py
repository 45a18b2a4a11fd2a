"""A run's checkpoints: what its training resumes from, in the run's own folder.

WORKDIR/runs/NAME/checkpoint-EPOCH.safetensors    the state, and the metrics up to there; the last two are kept
"""

import functools
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import jax

from vae_jax import files, session
from vae_jax.config import Config, ConfigError
from vae_jax.errors import DamagedError, MismatchError, UserError
from vae_jax.model.programs import Program
from vae_jax.training import step
from vae_jax.training.step import TrainState
from vae_jax.workdir import is_history

KEPT = 2  # the newest, and one in case that is damaged


class Checkpoint(NamedTuple):
    """A run after some epochs: all that is needed to resume."""

    epoch: int  # epochs done
    metrics: list[dict[str, Any]]  # rows of metrics.jsonl
    timing: list[dict[str, float]]  # rows of timing.jsonl
    state: TrainState  # NumPy arrays without a leading axis


def write(folder: Path, config: Config, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint, and deletes all but the last two.

    Raises:
        UserError: it cannot be written; earlier checkpoints are still whole.
    """
    epoch, metrics, timing, state = checkpoint
    header = {"epoch": epoch, "config": config.to_dict(), "metrics": metrics, "timing": timing}
    files.write_arrays(path_of(folder, epoch), _flatten(state), header)
    for old in epochs(folder)[:-KEPT]:
        files.remove(path_of(folder, old))


def newest(folder: Path, config: Config, program: Program) -> Checkpoint | None:
    """Reads the newest undamaged checkpoint of a run; None if there is none. Reports damage on stderr.

    Args:
        folder: of the run.
        config: of the run.
        program: of the run, which determines the names, shapes and dtypes of its arrays.

    Raises:
        UserError: the checkpoint was written by code with another Config or network.
    """
    found = epochs(folder)
    for epoch in reversed(found):
        path = path_of(folder, epoch)
        try:
            return _read(path, epoch, config, program)
        except DamagedError as error:
            session.say(f"{path} {error}; not used")
        except UserError:
            if files.exists(path):  # or else another worker has finished the run and deleted its checkpoints
                raise
    if found and epochs(folder):
        session.say(f"{folder} has no undamaged checkpoint; the run starts over")
    return None


def epochs(folder: Path) -> list[int]:
    """Returns the epochs of a run's checkpoints, rising.

    Raises:
        UserError: the folder cannot be read, which does not mean that it holds none.
    """
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror or error}") from error
    matches = (re.fullmatch(r"checkpoint-([0-9]{1,9})\.safetensors", name) for name in names)
    return sorted(int(match[1]) for match in matches if match)


def path_of(folder: Path, epoch: int) -> Path:
    """Returns the path of a checkpoint."""
    return folder / f"checkpoint-{epoch}.safetensors"


def remove_all(folder: Path, after: int = 0) -> None:
    """Deletes a run's checkpoints after some epoch."""
    for epoch in epochs(folder):
        if epoch > after:
            files.remove(path_of(folder, epoch))


def _read(path: Path, epoch: int, config: Config, program: Program) -> Checkpoint:
    header = files.read_header(path)
    way_out = f"delete {path} to train the run from the start"
    try:
        is_of_run = Config.from_dict(header.get("config", {})) == config
    except ConfigError:  # a field that this code does not have
        is_of_run = False
    if not is_of_run:
        raise UserError(f"{path} belongs to another Config; {way_out}")
    metrics, timing = header.get("metrics", []), header.get("timing", [])
    is_whole = isinstance(metrics, list) and is_history(metrics, epoch) and isinstance(timing, list)
    if header.get("epoch") != epoch or not is_whole:
        raise DamagedError("is damaged: it does not have a row of metrics for each epoch")
    shapes = _shapes(program)
    leaves = _flatten(shapes)
    try:
        found, _ = files.read_arrays(path, {name: (leaf.shape, leaf.dtype) for name, leaf in leaves.items()})
    except MismatchError as error:
        raise UserError(f"{path} {error}, so other code wrote it; {way_out}") from error
    state = jax.tree.unflatten(jax.tree.structure(shapes), [found[name] for name in leaves])
    return Checkpoint(epoch, metrics, timing, state)


@functools.lru_cache(maxsize=16)
def _shapes(program: Program) -> Any:
    """Returns the shapes and dtypes of a run's TrainState, without computing it."""
    states = jax.eval_shape(lambda: step.init_states(program, step.hyperparameters([program.config])))
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), states)


def _flatten(tree: Any) -> dict[str, Any]:
    """Names the leaves by their paths, such as `params/encoder/hidden_0/kernel`."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
