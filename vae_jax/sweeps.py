"""The host loop: trains the runs that are due, group by group, over all local devices.

Runs that agree in their static fields are one group: one compiled program, one data set on each device. While a group
trains, the next one's program is compiled in the background.
"""

import contextlib
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from vae_jax import checkpoints, training
from vae_jax.checkpoints import Checkpoint, Saver, export_params
from vae_jax.config import Config, group, static_part
from vae_jax.data import Dataset
from vae_jax.files import UserError, remove, write_json
from vae_jax.interrupts import Stop
from vae_jax.models import Autoencoder, make_model
from vae_jax.progress import Progress
from vae_jax.runs import load_dataset
from vae_jax.training import Metrics, TrainState
from vae_jax.workdir import is_trained, run_dir, write_metrics, write_timing

METRICS_EVERY_SECONDS = 1.0  # the rows in between are written with the next ones


class Options(NamedTuple):
    """How to train, which changes the time that it takes and no result."""

    data_dir: str | None = None  # where prepared data sets lie
    tensorboard: bool = False  # whether to write event files
    # How many runs a device vectorizes together. None is one on a CPU and, on an accelerator, all; where they do not
    # fit in memory, half of them, and so on.
    runs_per_device: int | None = None
    checkpoint_every_seconds: float = 60.0  # at the end of an epoch


DEFAULTS = Options()


class _Group(NamedTuple):
    """Runs that train together, from the start or from a checkpoint of them."""

    configs: list[Config]
    saved: Checkpoint | None = None

    @property
    def epoch(self) -> int:
        return self.saved.epoch if self.saved else 0


class _Program(NamedTuple):
    """A group's compiled program; its runs axis is filled up to a multiple of the number of devices."""

    model: Autoencoder
    runs_at_once: int  # on a device
    num_images: int  # in an epoch
    init: Callable[[], TrainState]
    restore: Callable[[TrainState], TrainState]  # from NumPy arrays without the filling
    train_epoch: Callable[[TrainState, int], tuple[TrainState, Metrics]]
    validate: Callable[[TrainState], Metrics] | None  # None without validation images


def train_due(
    configs: Sequence[Config], workdir: Path, options: Options = DEFAULTS, stop: Stop | None = None
) -> None:  # fmt: skip
    """Trains what is not trained yet; runs that are one compiled program train together.

    A run that was cut off goes on from its newest whole checkpoint, and ends bit for bit as if it had not been.

    Args:
        configs: of the experiment.
        workdir: where each run's folder is; no other process may train these runs.
        options: how to train.
        stop: looked up after each epoch.

    Raises:
        UserError: a data set is not there, the workdir cannot be written, or a checkpoint is of other code.
        StoppedError: `stop` is set; what is needed to go on is saved.
    """
    stop = stop or Stop()
    groups = _groups([config for config in configs if not is_trained(run_dir(workdir, config))], workdir)
    num_images = sum(_images_to_see(members, options) for members in groups)
    progress = Progress(len(groups), sum(len(members.configs) for members in groups), num_images)
    background = ThreadPoolExecutor(1)
    # One ahead, and no more: compiled programs take memory.
    upcoming = [background.submit(_compile, members.configs, options) for members in groups[:1]]
    try:
        for index, members in enumerate(groups):
            program = _result(upcoming.pop(), stop)
            upcoming = [background.submit(_compile, later.configs, options) for later in groups[index + 1 : index + 2]]
            while not _fits(members, workdir, program, options, stop, progress):
                options = options._replace(runs_per_device=program.runs_at_once // 2)
                program = _compile(members.configs, options)
            progress.group(len(members.configs))
    finally:
        progress.close()
        # After an interrupt or an error nobody waits for a program that will not run.
        background.shutdown(wait=False, cancel_futures=True)
    for folder in checkpoints.folders(workdir):
        configs = checkpoints.members(folder)
        # Of a group whose runs were finished without each other.
        if configs and all(is_trained(run_dir(workdir, config)) for config in configs):
            checkpoints.remove(folder)


def _groups(due: Sequence[Config], workdir: Path) -> list[_Group]:
    """The due runs: first those with checkpoints, as they were saved together, then the others by their program."""
    left, saved = set(due), []
    for path in checkpoints.folders(workdir):
        known = checkpoints.members(path)
        # Where nothing says whose they are, they may be those of due runs.
        if not (known and left.isdisjoint(known)) and (newest := checkpoints.newest(path)):
            saved.append(newest)
    groups = []
    # A run is in two of them where a part of its group went on without the others: the later one counts.
    for checkpoint in sorted(saved, key=lambda checkpoint: checkpoint.epoch, reverse=True):
        if members := [config for config in checkpoint.configs if config in left]:
            groups.append(_Group(members, checkpoint.of(members)))
            left -= set(members)
    return groups + [_Group(members) for members in group(config for config in due if config in left)]


def _images_to_see(members: _Group, options: Options) -> int:
    config, images = members.configs[0], _dataset(members.configs[0], options).train.images
    if members.saved and members.saved.image_shape != images.shape[1:]:
        raise UserError(f"{config.name} began with images of another size; choose another --workdir")
    return len(members.configs) * (config.num_epochs - members.epoch) * len(images)


def _dataset(config: Config, options: Options) -> Dataset:
    return load_dataset(config.dataset, validation_fraction=config.validation_fraction, data_dir=options.data_dir)


def _result(future: Future[_Program], stop: Stop) -> _Program:
    """The program when it is compiled; StoppedError as soon as it is not wanted any more."""
    while True:
        stop.check()
        with contextlib.suppress(TimeoutError):
            return future.result(timeout=0.1)


def _compile(configs: Sequence[Config], options: Options) -> _Program:
    config, dataset = static_part(configs[0]), _dataset(configs[0], options)
    mesh = _mesh(len(configs))
    num_devices = mesh.size if mesh else 1
    # Each device has as many runs; the last run fills up, and its copies are left out of all that is written.
    filled = [*range(len(configs)), *[len(configs) - 1] * (-len(configs) % num_devices)]
    most = len(filled) // num_devices
    runs_at_once = min(most, options.runs_per_device or (1 if jax.default_backend() == "cpu" else most))
    mean_pixel = float(dataset.train.images.mean()) / 255 if config.mean_bias else None
    model = make_model(config, dataset.train.images.shape[1:], mean_pixel)
    by_run, whole = (NamedSharding(mesh, spec) if mesh else None for spec in (PartitionSpec("runs"), PartitionSpec()))
    numbers = jax.device_put(training.hyperparameters([configs[index] for index in filled]), by_run)
    splits = {"train": dataset.train.images, "validation": dataset.validation.images}
    images = {name: jax.ShapeDtypeStruct(split.shape, split.dtype, sharding=whole) for name, split in splits.items()}
    # Not before the program runs: beside the group that trains now there may be no room.
    put = functools.cache(lambda name: jax.device_put(splits[name], whole))
    over: dict[str, Any] = {"mesh": mesh, "runs_at_once": runs_at_once}
    init = training.init_states.lower(model, numbers, mesh=mesh).compile()
    states = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=by_run),
        jax.eval_shape(functools.partial(training.init_states, model), numbers),
    )
    train = training.train_epoch.lower(model, images["train"], states, numbers, np.int32(0), **over).compile()
    validate: Callable[[TrainState], Metrics] | None = None
    if len(splits["validation"]):
        evaluate = training.evaluate.lower(model, images["validation"], states.params, numbers, **over).compile()
        validate = lambda states: evaluate(put("validation"), states.params, numbers)  # noqa: E731
    return _Program(
        model, runs_at_once, len(splits["train"]), lambda: init(numbers),
        lambda states: jax.device_put(jax.tree.map(lambda leaf: leaf[filled], states), by_run),
        lambda states, epoch: train(put("train"), states, numbers, np.int32(epoch)), validate,
    )  # fmt: skip


def _mesh(num_runs: int) -> Mesh | None:
    """As many local devices as there are runs for; None for one device, which needs no mesh."""
    devices = jax.local_devices()[:num_runs]
    return Mesh(np.array(devices), ("runs",)) if len(devices) > 1 else None


def _fits(
    members: _Group, workdir: Path, program: _Program, options: Options, stop: Stop, progress: Progress
) -> bool:  # fmt: skip
    """Trains a group, or says that it does not fit in a device's memory with as many runs at once."""
    try:
        _train_group(members, workdir, program, options, stop, progress)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        if program.runs_at_once == 1:
            count, name = len(members.configs), members.configs[0].name
            raise UserError(f"no memory for {count} runs like {name}; launch fewer of them at once") from error
        progress.say(f"no memory for {program.runs_at_once} runs at once on a device, trying half")
        return False
    return True


def _train_group(
    members: _Group, workdir: Path, program: _Program, options: Options, stop: Stop, progress: Progress
) -> None:  # fmt: skip
    num_epochs = members.configs[0].num_epochs
    history = _History(members, workdir, program)
    saver, last_save = Saver(workdir, members.configs, members.epoch), time.monotonic()
    states = program.restore(members.saved.states) if members.saved else program.init()
    with _event_writers(history.folders if options.tensorboard else [], members.epoch) as writers:
        for epoch in range(members.epoch + 1, num_epochs + 1):
            start = time.perf_counter()
            states, train = program.train_epoch(states, epoch - 1)
            jax.block_until_ready(train)
            seconds = time.perf_counter() - start
            metrics = {"train": train} | ({"validation": program.validate(states)} if program.validate else {})
            metrics, alive = jax.device_get((metrics, states.alive))
            rows = history.add(epoch, metrics, alive, seconds)
            for writer, row in zip(writers, rows, strict=False):
                _log_events(writer, row)
            progress.epoch(rows, len(rows) * program.num_images, seconds)
            if epoch == num_epochs or not alive.any():
                break
            if stop.asked:
                stop.reached.set()
                history.write()
                saver.save(history.checkpoint(states))
                saver.wait()
                stop.check()
            elif time.monotonic() - last_save >= options.checkpoint_every_seconds and not saver.busy:
                saver.save(history.checkpoint(states))
                last_save = time.monotonic()
    history.finish(states)
    saver.remove()


class _History:
    """What a group's runs have on disk: config.json, metrics.jsonl, timing.jsonl, and at the end the parameters."""

    def __init__(self, members: _Group, workdir: Path, program: _Program) -> None:
        self.configs, self.program, self.epoch = members.configs, program, members.epoch
        self.metrics: list[list[dict[str, Any]]] = [[] for _ in members.configs]
        self.timing: list[dict[str, float]] = []
        if members.saved:
            self.metrics, self.timing = [[*rows] for rows in members.saved.metrics], [*members.saved.timing]
        self.folders = [_fresh_folder(run_dir(workdir, config), config) for config in members.configs]
        self.write()

    def add(self, epoch: int, metrics: dict[str, Metrics], alive: np.ndarray, seconds: float) -> list[dict[str, Any]]:
        """Takes down an epoch of all runs, which together took so many seconds; returns each run's last row."""
        self.epoch = epoch
        share = seconds / len(self.configs)  # of the devices, which the runs of a group share
        self.timing.append({"epoch": epoch, "seconds": share, "images_per_second": self.program.num_images / share})
        for index, rows in enumerate(self.metrics):
            if not (rows and "diverged" in rows[-1]):
                row = {"epoch": epoch} | metrics_row(self.configs[index], metrics, index)
                rows.append(row if alive[index] else row | {"diverged": True})
        if time.monotonic() - self.written >= METRICS_EVERY_SECONDS:
            self.write()
        return [rows[-1] for rows in self.metrics]

    def checkpoint(self, states: TrainState) -> Checkpoint:
        """What is needed to go on; a copy, because the next epoch is trained in the memory of `states`."""
        count = len(self.configs)
        copies = jax.tree.map(lambda leaf: np.array(leaf[:count]), jax.device_get(states))
        metrics = [[*rows] for rows in self.metrics]
        return Checkpoint(self.epoch, self.configs, self.program.model.image_shape, metrics, [*self.timing], copies)

    def finish(self, states: TrainState) -> None:
        """Writes all that is not written yet; a run's parameters say that it is trained to its end."""
        self.write()
        params = jax.device_get(states.params)
        for index, folder in enumerate(self.folders):
            own = jax.tree.map(lambda leaf, index=index: leaf[index], params)
            export_params(folder / "params.safetensors", self.configs[index], own, self.program.model.image_shape)

    def write(self) -> None:
        """Writes what is taken down."""
        for folder, rows in zip(self.folders, self.metrics, strict=True):
            if not (folder / "config.json").exists():  # a new one would hold a part of the run
                raise UserError(f"{folder} has vanished or was emptied; launch again")
            write_metrics(folder, rows)
            write_timing(folder, self.timing[: len(rows)])
        self.written = time.monotonic()


def metrics_row(config: Config, metrics: dict[str, Metrics], index: int) -> dict[str, float | None]:
    """`{split}_loss`, `_distortion`, and for a VAE `_rate` and `_elbo`, nats per image; None if not finite."""
    row: dict[str, float | None] = {}
    for split, values in metrics.items():
        loss, distortion, rate = (float(value[index]) for value in values)
        row[f"{split}_loss"], row[f"{split}_distortion"] = loss, distortion
        if config.model == "vae":
            row[f"{split}_rate"], row[f"{split}_elbo"] = rate, -(distortion + rate)
    return {name: value if value is not None and math.isfinite(value) else None for name, value in row.items()}


def _fresh_folder(folder: Path, config: Config) -> Path:
    # What is in it is of an attempt that was cut off; only event files are gone on with.
    for path in list(folder.iterdir()) if folder.is_dir() else ():
        if path.name != "tensorboard":
            remove(path)
    write_json(folder / "config.json", config.to_dict())
    return folder


@contextlib.contextmanager
def _event_writers(folders: Sequence[Path], epoch: int) -> Iterator[list[Any]]:
    if not folders:
        yield []
        return
    # The optional dependency of an option; the launcher has checked that it is there.
    from tensorboardX import SummaryWriter

    # Events of epochs that are trained again are not shown twice.
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
