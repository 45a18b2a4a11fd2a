"""What a training goes on from, through orbax, and a finished run's parameters as .safetensors; no code in either.

    WORKDIR/checkpoints/GROUP/EPOCH/   the states of a group of runs, and their metrics up to there

A checkpoint carries SHA-256 digests of all that is read from it: one that is damaged is told from one of other code.
"""

import contextlib
import hashlib
import json
import logging
import math
import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import numpy as np
import orbax.checkpoint as ocp
import safetensors
import safetensors.numpy

from vae_jax import files, training
from vae_jax.config import Config, ConfigError, group, static_part
from vae_jax.files import UserError, write_bytes
from vae_jax.models import Params, make_model
from vae_jax.training import TrainState
from vae_jax.workdir import is_history

# All arrays are one on disk: of several that find no room, tensorstore prints tracebacks that nobody can catch.
BYTES = "bytes"
FORMAT = 1  # of a checkpoint; another one where older ones can no longer be gone on from
KEPT = 2  # checkpoints of a group: the newest, and one for the case that it is damaged
MOST_RECORD_BYTES = 1 << 28
MOST_PIXELS = 1 << 16  # of a height or a width; a header may say anything

# Orbax logs each failure with its traceback; it raises it too, and one line says so to the user.
logging.getLogger("absl").addFilter(lambda record: "orbax" not in record.pathname)


class Checkpoint(NamedTuple):
    """A group of R runs after some epochs: all that is needed to go on."""

    epoch: int  # epochs done
    configs: list[Config]
    image_shape: tuple[int, int]
    metrics: list[list[dict[str, Any]]]  # rows of each run's metrics.jsonl
    timing: list[dict[str, float]]  # rows of timing.jsonl, which the runs share
    states: TrainState  # NumPy arrays of leading axis R

    def of(self, configs: Sequence[Config]) -> "Checkpoint":
        """The same of some of its runs."""
        indices = [self.configs.index(config) for config in configs]
        states = jax.tree.map(lambda leaf: leaf[indices], self.states)
        return self._replace(configs=list(configs), metrics=[self.metrics[index] for index in indices], states=states)


class _DamagedError(Exception):
    """A checkpoint is not what was written."""


def folder_of(workdir: Path, configs: Sequence[Config]) -> Path:
    """Where the checkpoints of a group of runs lie."""
    names = "\n".join(config.name for config in configs)
    return workdir / "checkpoints" / hashlib.sha256(names.encode()).hexdigest()[:16]


def folders(workdir: Path) -> list[Path]:
    """Where all groups with checkpoints have theirs."""
    folder = workdir / "checkpoints"
    return sorted(folder.iterdir()) if folder.is_dir() else []


class Saver:
    """Writes a group's checkpoints in the background and keeps the last two.

    Raises:
        UserError: the place cannot be written. What was kept before is still whole.
    """

    def __init__(self, workdir: Path, configs: Sequence[Config], epoch: int) -> None:
        """Removes what is no checkpoint up to `epoch`: later ones are damaged, others the leftovers of a cut-off save.

        Nobody else may, nor orbax at any later time: to who reads, a save on its way looks like such leftovers.
        """
        self.folder = folder_of(workdir, configs)
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            kept = {str(step) for step in _steps(self.folder) if step <= epoch}
            for path in list(self.folder.iterdir()):
                if path.name not in kept:
                    files.remove(path)
            self._manager = _manager(self.folder)
        self._background = ThreadPoolExecutor(1)
        self._written = self._background.submit(lambda: None)

    @property
    def busy(self) -> bool:
        """Whether the last one is still being written."""
        return not self._written.done()

    def save(self, checkpoint: Checkpoint) -> None:
        """Begins to write; `checkpoint.states` must not change any more."""
        self.wait()
        self._written = self._background.submit(self._write, checkpoint)

    def wait(self) -> None:
        """Returns when what was begun is written."""
        with self._writing():
            self._written.result()

    def remove(self) -> None:
        """Deletes the group's checkpoints: its runs are finished."""
        self.wait()
        self._manager.close()
        remove(self.folder)

    def _write(self, checkpoint: Checkpoint) -> None:
        arrays = _flatten(checkpoint.states)
        record = {
            "format": FORMAT,
            "epoch": checkpoint.epoch,
            "configs": [config.to_dict() for config in checkpoint.configs],
            "image_shape": list(checkpoint.image_shape),
            "metrics": checkpoint.metrics,
            "timing": checkpoint.timing,
            "arrays": _describe(arrays),
            "arrays_sha256": _digest_of_arrays(arrays),
        }
        content = np.concatenate([np.ascontiguousarray(leaf).reshape(-1).view(np.uint8) for leaf in arrays.values()])
        items = ocp.args.Composite(
            states=ocp.args.PyTreeSave({BYTES: content}),
            record=ocp.args.JsonSave(record | {"sha256": _digest(record)}),
        )
        self._manager.save(checkpoint.epoch, args=items)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError, ValueError) as error:  # orbax and tensorstore do not say which
            # tensorstore ends its own with the system's reason and code.
            found = re.search(r"([^:]+) \[os_error_code", str(error))
            reason = found[1].strip() if found else getattr(error, "strerror", None) or _first_line(error)
            raise UserError(f"cannot write {self.folder}: {reason}; make room or choose another place") from error


def remove(folder: Path) -> None:
    """Deletes the checkpoints of a group."""
    files.remove(folder)
    with contextlib.suppress(OSError):  # where other groups have theirs
        folder.parent.rmdir()


def members(folder: Path) -> list[Config]:
    """The runs of a group's checkpoints; none where no checkpoint says it.

    Raises:
        UserError: they are of another format, or of a Config that this code does not know.
    """
    for step in sorted(_steps(folder), reverse=True):
        with contextlib.suppress(_DamagedError):
            return _configs(_read_record(folder / str(step)), folder)
    return []


def newest(folder: Path) -> Checkpoint | None:
    """The newest whole checkpoint of a group; None where there is none. Lines on stderr tell what is damaged.

    Raises:
        UserError: it is of another format, Config, network or dtype than this code makes.
    """
    steps = sorted(_steps(folder), reverse=True)
    for step in steps:
        try:
            return _load(folder, step)
        except (_DamagedError, AttributeError, LookupError, TypeError, ValueError) as error:
            print(f"{folder / str(step)} is damaged ({error}) and not used", file=sys.stderr)
    if steps:
        print(f"no checkpoint in {folder} is whole: its runs start over", file=sys.stderr)
    return None


def _load(folder: Path, step: int) -> Checkpoint:
    record = _read_record(folder / str(step))
    configs = _configs(record, folder)
    epoch, metrics, timing = record["epoch"], record["metrics"], record["timing"]
    height, width = map(int, record["image_shape"])
    if epoch != step or len(group(configs)) != 1 or not (0 < height < MOST_PIXELS and 0 < width < MOST_PIXELS):
        raise ValueError("no group of runs")
    if len(metrics) != len(configs) or not all(is_history(rows, epoch) for rows in metrics) or len(timing) != epoch:
        raise ValueError("not a row for each epoch")
    # What this code would make of these Configs: shapes and dtypes, without a computation.
    model = make_model(static_part(configs[0]), (height, width))
    numbers = training.hyperparameters(configs)
    expected = jax.eval_shape(lambda numbers: training.init_states(model, numbers), numbers)
    leaves = _flatten(expected)
    here, there = _describe(leaves), record["arrays"]
    for name in {**here, **there}:
        if here.get(name) != there.get(name):
            raise UserError(
                f"{folder} is of other code: {name} is {there.get(name)} there and {here.get(name)} here; "
                "delete it to train its runs from the start"
            )
    arrays = _read_arrays(folder, step, leaves)
    if _digest_of_arrays(arrays) != record["arrays_sha256"]:
        raise _DamagedError("its arrays do not have their checksum")
    states = jax.tree.unflatten(jax.tree.structure(expected), arrays.values())
    return Checkpoint(epoch, configs, (height, width), metrics, timing, states)


def _read_record(path: Path) -> dict[str, Any]:
    """The record of a checkpoint, as it was written.

    Raises:
        UserError: another format.
    """
    file = path / "record" / "metadata"
    try:
        if file.stat().st_size > MOST_RECORD_BYTES:
            raise _DamagedError("its record is too large")
        record = json.loads(file.read_bytes())
        whole = isinstance(record, dict) and record.pop("sha256", None) == _digest(record)
    except (OSError, ValueError, RecursionError) as error:
        raise _DamagedError(f"its record cannot be read: {_first_line(error)}") from error
    if not whole:
        raise _DamagedError("its record does not have its checksum")
    if record.get("format") != FORMAT:
        raise UserError(
            f"{path.parent} has format {record.get('format')!r}, this code reads {FORMAT}; "
            "delete it to train its runs from the start"
        )
    return record


def _configs(record: dict[str, Any], folder: Path) -> list[Config]:
    try:
        return [Config.from_dict(values) for values in record["configs"]]
    except (LookupError, TypeError) as error:
        raise _DamagedError("it names no runs") from error
    except ConfigError as error:
        raise UserError(f"{folder} is of other code: {error}; delete it to train its runs from the start") from error


def _read_arrays(folder: Path, step: int, expected: dict[str, jax.ShapeDtypeStruct]) -> dict[str, np.ndarray]:
    sizes = {name: math.prod(leaf.shape) * leaf.dtype.itemsize for name, leaf in expected.items()}
    try:
        manager = _manager(folder)
        found = manager.item_metadata(step)["states"][BYTES]
        if (found.shape, found.dtype) != ((sum(sizes.values()),), np.uint8):  # before anything is allocated
            raise _DamagedError("its arrays are not those of its record")
        restored = manager.restore(step, args=ocp.args.Composite(states=ocp.args.PyTreeRestore()))["states"]
        manager.close()
    except _DamagedError:
        raise
    except Exception as error:  # orbax and tensorstore raise their own, and do not say which
        raise _DamagedError(f"its arrays cannot be read: {_first_line(error)}") from error
    content, arrays, start = np.asarray(restored[BYTES]).tobytes(), {}, 0
    for name, leaf in expected.items():
        part = content[start : (start := start + sizes[name])]
        arrays[name] = np.frombuffer(part, leaf.dtype).reshape(leaf.shape)
    return arrays


def _manager(folder: Path) -> ocp.CheckpointManager:
    # Absolute, as tensorstore asks.
    return ocp.CheckpointManager(
        folder.resolve(),
        options=ocp.CheckpointManagerOptions(
            max_to_keep=KEPT,
            enable_async_checkpointing=False,  # a thread of ours writes: the digests take as long as the files
        ),
        item_handlers={
            # Of float32 numbers no compression saves a tenth, and it takes time from the training.
            "states": ocp.PyTreeCheckpointHandler(use_compression=False),
            "record": ocp.JsonCheckpointHandler(),
        },
    )


def _steps(folder: Path) -> list[int]:
    # A cut-off save has another name: orbax renames it when it is whole.
    with contextlib.suppress(OSError):
        return [int(path.name) for path in folder.iterdir() if path.name.isdecimal() and path.name.isascii()]
    return []


def _flatten(tree: Any) -> dict[str, Any]:
    """Leaves by their path: `params/encoder/hidden_0/kernel`."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def _describe(arrays: dict[str, Any]) -> dict[str, str]:
    return {name: f"{leaf.dtype}{list(leaf.shape)}" for name, leaf in arrays.items()}


def _digest(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _digest_of_arrays(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype}{list(arrays[name].shape)}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def export_params(path: Path, config: Config, params: Params, image_shape: tuple[int, int]) -> None:
    """Writes the parameters of one run, whole, with its Config, image size and their digest in the header.

    Raises:
        UserError: the file cannot be written.
    """
    flat = flax.traverse_util.flatten_dict(jax.tree.map(np.asarray, params), sep="/")
    run = {"config": config.to_dict(), "image_shape": image_shape, "sha256": _digest_of_arrays(flat)}
    # One entry: several would be written in an order that changes, and equal runs have equal files.
    header = {"run": json.dumps(run)}
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
        if _digest_of_arrays(flat) != header["sha256"]:
            raise ValueError("its arrays do not have their checksum")
        return Config.from_dict(header["config"]), flax.traverse_util.unflatten_dict(flat, sep="/"), (height, width)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except (safetensors.SafetensorError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it and launch again") from error
