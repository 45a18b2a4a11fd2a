"""Trains a chunk of runs: as many runs of one compiled program as one device takes at once.

A chunk exists in memory only. Each of its runs has its own files, and resumes from its own epoch.
"""

import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import SingleDeviceSharding

from vae_jax import environment
from vae_jax.config import Config, Options
from vae_jax.data import Dataset
from vae_jax.data.identity import load_dataset
from vae_jax.errors import UserError
from vae_jax.model.networks import QUICK_COMPILATION
from vae_jax.model.programs import Program
from vae_jax.session import Progress, Stop
from vae_jax.training import step
from vae_jax.training.journal import FinishedElsewhereError, Journal
from vae_jax.training.resolve import Chunk, Run, program_of, resolve
from vae_jax.training.step import Metrics, TrainState

KEPT_PROGRAMS = 16  # compiled, of all devices

Shapes = tuple[tuple[int, ...], tuple[int, ...]]  # of the images that runs are trained and validated on


class Watch(NamedTuple):
    """Who may stop the training, and what it reports to."""

    stop: Stop
    progress: Progress


class Compiled(NamedTuple):
    """A program compiled for k runs on one device."""

    init: Callable[..., TrainState]
    train_epoch: Callable[..., tuple[TrainState, Metrics]]
    evaluate: Callable[..., Metrics] | None  # None without a validation set


def train(chunk: Chunk, options: Options, watch: Watch) -> None:
    """Trains the runs of a chunk that are not trained yet, on JAX's default device, and writes their files.

    A run that was interrupted resumes from its checkpoint, and ends bit for bit as if it had not been interrupted. Runs
    that do not fit in the device's memory together are trained in halves.

    Raises:
        UserError: as `resolve`, or a file cannot be written, or the device has no memory for a single run.
        StoppedError: a stop was requested; all that is needed to resume is saved.
    """
    resolved = sorted(resolve(chunk.runs, options.data_dir), key=lambda run: run.epoch)
    left = [list(runs) for _, runs in itertools.groupby(resolved, key=lambda run: run.epoch)]
    while left:
        most = _most_at_once.get(left[0][0].program, len(left[0]))
        runs, rest = left[0][:most], left[0][most:]
        left = [rest, *left[1:]] if rest else left[1:]
        try:
            with contextlib.suppress(FinishedElsewhereError):
                _train_together(runs, chunk.upcoming, options, watch)
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            if len(runs) == 1:
                raise UserError(f"no memory on the device for {runs[0].config.name}") from error
            watch.progress.say(f"no memory for {len(runs)} runs at once on a device, trying half")
            _most_at_once[runs[0].program] = len(runs) // 2
            left.insert(0, runs)


_most_at_once: dict[Program, int] = {}  # runs that were found to fit in a device's memory


def _train_together(runs: Sequence[Run], upcoming: Sequence[Config], options: Options, watch: Watch) -> None:
    """Trains runs of one program, all from the same epoch on, to their end."""
    program, dataset, device = runs[0].program, runs[0].dataset, _device()
    journal = Journal(runs)
    watch.progress.doing("compiling")
    compiled = _wait(_compiled(program, len(runs), _shapes(dataset), device), watch.stop)
    _compile_ahead(upcoming, options, device)
    hyperparameters = jax.device_put(step.hyperparameters([run.config for run in runs]), device)
    images = jax.device_put((dataset.train.images, dataset.validation.images), device)
    saved = [run.saved.state for run in runs if run.saved]
    states = _stack(saved, device) if saved else compiled.init(hyperparameters)
    with _event_writers(runs if options.tensorboard else []) as log:
        for _ in range(journal.epoch, program.config.num_epochs):
            states, going = _train_one_epoch(compiled, states, hyperparameters, images, journal)
            log(journal.last_rows)
            watch.progress.epoch(journal.last_rows[0], len(runs) * journal.num_images, journal.seconds)
            if journal.epoch == program.config.num_epochs or not going:
                break
            if watch.stop.asked:
                watch.stop.reached.set()
                journal.write()
            if watch.stop.asked or time.monotonic() - journal.saved_at >= options.checkpoint_every_seconds:
                journal.checkpoint(states)
            watch.stop.check()
    journal.finish(states)
    unseen = (program.config.num_epochs - journal.epoch) * len(runs) * journal.num_images  # of runs that ended early
    watch.progress.trained(len(runs), unseen)


def _train_one_epoch(
    compiled: Compiled, states: TrainState, hyperparameters: Any, images: tuple[Any, Any], journal: Journal
) -> tuple[TrainState, bool]:
    """Trains all runs for an epoch and records it; returns the new states, and whether any run goes on."""
    train_images, validation_images = images
    patience = journal.runs[0].config.patience
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


def _wait(future: Future[Compiled], stop: Stop) -> Compiled:
    """Waits for a program; raises StoppedError as soon as a stop is requested."""
    while True:
        stop.check()
        with contextlib.suppress(TimeoutError):
            return future.result(timeout=0.1)


def _device() -> Any:
    """Returns the device that `jax.default_device` selects in this thread."""
    return getattr(jax.config, "jax_default_device", None) or jax.local_devices()[0]


def _stack(states: Sequence[TrainState], device: Any) -> TrainState:
    return jax.device_put(jax.tree.map(lambda *leaves: np.stack(leaves), *states), device)


def _shapes(dataset: Dataset) -> Shapes:
    return dataset.train.images.shape, dataset.validation.images.shape


def _compile_ahead(upcoming: Sequence[Config], options: Options, device: Any) -> None:
    """Starts to compile the next chunk's program while this one trains; no more, as compiled programs take memory."""
    if upcoming:
        dataset = load_dataset(upcoming[0], options.data_dir)
        _compiled(program_of(upcoming[0], dataset), len(upcoming), _shapes(dataset), device)


_compiler = ThreadPoolExecutor(1, thread_name_prefix="compiler")


@functools.lru_cache(maxsize=KEPT_PROGRAMS)
def _compiled(program: Program, num_runs: int, shapes: Shapes, device: Any) -> Future[Compiled]:
    """Returns the program compiled for k runs, or starts to compile it in the background."""
    return _compiler.submit(_compile, program, num_runs, *shapes, device)


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


@contextlib.contextmanager
def _event_writers(runs: Sequence[Run]) -> Iterator[Callable[[list[dict[str, Any]]], None]]:
    """Gives a function that writes a row of each run's metrics to TensorBoard's event files in the run's folder."""
    if runs:
        from tensorboardX import SummaryWriter  # an optional dependency; the launcher checks that it is installed
    # `purge_step` hides the events of epochs that are trained again.
    writers = [SummaryWriter(str(run.folder / "tensorboard"), purge_step=run.epoch + 1) for run in runs]

    def log(rows: list[dict[str, Any]]) -> None:
        for writer, row in zip(writers, rows, strict=False):
            for name, value in row.items():
                if name != "epoch" and value is not None:
                    writer.add_scalar(name, value, row["epoch"])

    try:
        yield log
    finally:
        for writer in writers:
            writer.close()
