"""Trains a chunk of runs: as many runs of one compiled program as one device takes at once.

A chunk exists in memory only. Each of its runs has its own files, and resumes from its own epoch.
"""

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import SingleDeviceSharding

from vae_jax import environment
from vae_jax.config import Config, Options
from vae_jax.data import Dataset
from vae_jax.data.identity import check_fits, check_identity, load_dataset
from vae_jax.errors import UserError
from vae_jax.files import exists
from vae_jax.model.networks import QUICK_COMPILATION
from vae_jax.model.programs import Program, make_program
from vae_jax.session import Progress, Stop
from vae_jax.training import checkpoints, step
from vae_jax.training.checkpoints import Checkpoint
from vae_jax.training.journal import FinishedElsewhereError, Journal, Saver
from vae_jax.training.step import Metrics, TrainState
from vae_jax.workdir import DataIdentity, is_trained, read_identity, run_dir

KEPT_PROGRAMS = 4  # compiled, a device


class Watch(NamedTuple):
    """What a chunk in the launch's own process reports to, and who may stop it."""

    stop: Stop
    progress: Progress
    training: Callable[[], object] = lambda: None  # called whenever a program is compiled and its training begins


class Compiled(NamedTuple):
    """A program compiled for k runs on one device."""

    init: Callable[..., TrainState]
    train_epoch: Callable[..., tuple[TrainState, Metrics]]
    evaluate: Callable[..., Metrics] | None  # None without a validation set


def program_of(config: Config, dataset: Dataset) -> Program:
    """Makes the program of a run on a data set.

    Raises:
        ConfigError: as `check_fits`.
    """
    check_fits(config, dataset)
    images = dataset.train.images
    return make_program(config, images.shape[1:], float(images.mean()) / 255 if config.mean_bias else None)


def train(
    configs: Sequence[Config], identity: DataIdentity, workdir: Path, options: Options, watch: Watch | None = None,
    upcoming: Sequence[Config] = (),
) -> None:  # fmt: skip
    """Trains runs of one program, on JAX's default device, and writes their files.

    A run that was interrupted resumes from its newest undamaged checkpoint, and ends bit for bit as if it had not been
    interrupted. Runs that do not fit in the device's memory together are trained in halves.

    Args:
        configs: runs with equal static fields; finished ones are skipped.
        identity: of the data set, as the launch has it.
        workdir: where each run's folder is.
        options: how to train.
        watch: what to report to; None in a worker of another process.
        upcoming: the next chunk, whose program is compiled in the background.

    Raises:
        UserError: the data set is missing or another one, a file cannot be written, or a checkpoint cannot be used.
        StoppedError: a stop was requested; all that is needed to resume is saved.
    """
    dataset = load_dataset(configs[0], options.data_dir)
    check_identity(configs[0].name, identity, dataset)
    program = program_of(configs[0], dataset)
    starts: dict[int, list[tuple[Config, Checkpoint | None]]] = {}
    for config in configs:
        folder = run_dir(workdir, config)
        if not is_trained(folder):
            if exists(folder / "config.json"):
                check_identity(config.name, read_identity(folder), dataset)
            saved = checkpoints.newest(folder, config, program)
            starts.setdefault(saved.epoch if saved else 0, []).append((config, saved))
    for members in starts.values():
        with contextlib.suppress(FinishedElsewhereError):
            _train_halving(members, program, dataset, workdir, options, watch, upcoming)


_most_at_once: dict[Program, int] = {}  # runs that were found to fit in a device's memory


def _train_halving(
    members: list[tuple[Config, Checkpoint | None]], program: Program, dataset: Dataset, workdir: Path,
    options: Options, watch: Watch | None, upcoming: Sequence[Config],
) -> None:  # fmt: skip
    """Trains runs from the same epoch on; if the device's memory does not take them together, in halves."""
    most = _most_at_once.get(program, len(members))
    for start in range(0, len(members), most):
        part = members[start : start + most]
        try:
            _train_together(part, program, dataset, workdir, options, watch, upcoming)
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            if len(part) == 1:
                raise UserError(f"no memory on the device for {part[0][0].name}") from error
            _most_at_once[program] = len(part) // 2
            if watch:
                watch.progress.say(f"no memory for {len(part)} runs at once on a device, trying half")
            return _train_halving(members[start:], program, dataset, workdir, options, watch, upcoming)
    return None


def _train_together(
    members: list[tuple[Config, Checkpoint | None]], program: Program, dataset: Dataset, workdir: Path,
    options: Options, watch: Watch | None, upcoming: Sequence[Config],
) -> None:  # fmt: skip
    configs, device = [config for config, _ in members], _device()
    journal = Journal(configs, [saved for _, saved in members], dataset, workdir)
    if watch:
        watch.progress.doing("compiling")
    compiled = _wait(_compiled(program, len(configs), dataset, device), watch)
    if upcoming:
        # One program ahead, and no more: compiled programs take memory.
        other = load_dataset(upcoming[0], options.data_dir)
        _compiled(program_of(upcoming[0], other), len(upcoming), other, device)
    if watch:
        watch.training()
    hyperparameters = jax.device_put(step.hyperparameters(configs), device)
    saved_states = [saved.state for _, saved in members if saved]
    states = _stack(saved_states, device) if saved_states else compiled.init(hyperparameters)
    tensorboard = journal.folders if options.tensorboard else []
    with _event_writers(tensorboard, journal.epoch) as writers, Saver(options.checkpoint_every_seconds) as saver:
        for _ in range(journal.epoch, program.config.num_epochs):
            states, going = _train_one_epoch(compiled, states, hyperparameters, _images_on(device, dataset), journal)
            for writer, row in zip(writers, journal.last_rows, strict=False):
                _log_events(writer, row)
            if watch:
                watch.progress.epoch(journal.last_rows[0], len(configs) * journal.num_images, journal.seconds)
            if journal.epoch == program.config.num_epochs or not going:
                break
            if watch and watch.stop.asked:
                watch.stop.reached.set()
                journal.write()
                saver.wait()
                journal.checkpoint(states)()
                watch.stop.check()
            elif saver.is_due:
                saver.start(journal.checkpoint(states))
    journal.finish(states)
    if watch:
        unseen = (program.config.num_epochs - journal.epoch) * len(configs) * journal.num_images  # of runs that ended
        watch.progress.trained(len(configs), unseen)


def _train_one_epoch(
    compiled: Compiled, states: TrainState, hyperparameters: Any, images: tuple[Any, Any], journal: Journal
) -> tuple[TrainState, bool]:
    """Trains all runs for an epoch and records it; returns the new states, and whether any run goes on."""
    train_images, validation_images = images
    patience = journal.configs[0].patience
    start = time.perf_counter()
    states, metrics = compiled.train_epoch(train_images, states, hyperparameters, np.int32(journal.epoch))
    jax.block_until_ready(metrics)
    seconds = time.perf_counter() - start
    splits = {"train": metrics}
    if compiled.evaluate:
        splits["validation"] = compiled.evaluate(validation_images, states.params, hyperparameters)
        if states.best is not None:
            states = states._replace(best=step.keep_best(states, splits["validation"].loss, patience))
    splits, alive, going = jax.device_get((splits, states.alive, step.is_going(states, patience)))
    journal.add(splits, alive, going, seconds)
    return states, bool(going.any())


def _wait(future: Future[Compiled], watch: Watch | None) -> Compiled:
    """Waits for a program; raises StoppedError as soon as a stop is requested."""
    while True:
        if watch:
            watch.stop.check()
        with contextlib.suppress(TimeoutError):
            return future.result(timeout=0.1)


def _device() -> Any:
    """Returns the device that `jax.default_device` selects in this thread."""
    return getattr(jax.config, "jax_default_device", None) or jax.local_devices()[0]


def _stack(states: Sequence[TrainState], device: Any) -> TrainState:
    return jax.device_put(jax.tree.map(lambda *leaves: np.stack(leaves), *states), device)


_compiler = ThreadPoolExecutor(1, thread_name_prefix="compiler")
_programs: dict[Any, Future[Compiled]] = {}
_images: dict[Any, Any] = {}
_cache_lock = threading.Lock()


def _compiled(program: Program, num_runs: int, dataset: Dataset, device: Any) -> Future[Compiled]:
    """Returns the program compiled for k runs, or starts to compile it in the background."""
    shapes = dataset.train.images.shape, dataset.validation.images.shape
    key = program, num_runs, shapes, device
    with _cache_lock:
        if key not in _programs:
            _drop_oldest(_programs, KEPT_PROGRAMS * jax.local_device_count())
            _programs[key] = _compiler.submit(_compile, program, num_runs, *shapes, device)
        return _programs[key]


@environment.own_settings()
def _compile(
    program: Program, num_runs: int, train_shape: tuple[int, ...], validation_shape: tuple[int, ...], device: Any
) -> Compiled:
    place = functools.partial(jax.ShapeDtypeStruct, sharding=SingleDeviceSharding(device))

    def placed(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: place(leaf.shape, leaf.dtype), tree)

    numbers = placed(step.hyperparameters([program.config] * num_runs))
    states = placed(jax.eval_shape(functools.partial(step.init_states, program), numbers))
    epoch = jax.ShapeDtypeStruct((), np.int32)
    init = step.init_states.lower(program, numbers).compile(QUICK_COMPILATION)
    train = step.train_epoch.lower(program, place(train_shape, np.uint8), states, numbers, epoch).compile()
    if not validation_shape[0]:
        return Compiled(init, train, None)
    images = place(validation_shape, np.uint8)
    return Compiled(init, train, step.evaluate.lower(program, images, states.params, numbers).compile())


def _images_on(device: Any, dataset: Dataset) -> Any:
    """Returns the training and validation images on a device, where the runs of a data set share them."""
    splits = dataset.train.images, dataset.validation.images
    key = device, dataset.provenance["sha256"], *(split.shape for split in splits)
    with _cache_lock:
        if key not in _images:
            _drop_oldest(_images, 2 * jax.local_device_count())
            _images[key] = jax.device_put(splits, device)
        return _images[key]


def _drop_oldest(cache: dict[Any, Any], most: int) -> None:
    while len(cache) >= most:
        del cache[next(iter(cache))]


@contextlib.contextmanager
def _event_writers(folders: Sequence[Path], epoch: int) -> Iterator[list[Any]]:
    if not folders:
        yield []
        return
    from tensorboardX import SummaryWriter  # an optional dependency; the launcher checks that it is installed

    # `purge_step` hides the events of epochs that are trained again.
    writers = [SummaryWriter(str(folder / "tensorboard"), purge_step=epoch + 1) for folder in folders]
    try:
        yield writers
    finally:
        for writer in writers:
            writer.close()


def _log_events(writer: Any, row: dict[str, Any]) -> None:
    for name, value in row.items():
        if name != "epoch" and value is not None:
            writer.add_scalar(name, value, row["epoch"])
