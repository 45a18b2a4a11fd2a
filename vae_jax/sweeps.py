"""The host loop: trains the runs that are due, group by group, over all local devices.

Runs that agree in their static fields are one group: one compiled program, one data set on each device. While a group
trains, the programs of the next ones are compiled in the background.
"""

import functools
import math
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from tqdm import tqdm

from vae_jax import training
from vae_jax.checkpoints import export_params
from vae_jax.config import Config, group, static_part
from vae_jax.files import write_json
from vae_jax.models import Autoencoder, make_model
from vae_jax.runs import load_dataset
from vae_jax.training import Metrics, TrainState
from vae_jax.workdir import is_trained, run_dir, write_metrics, write_timing

LINES_PER_GROUP = 10  # of plain progress, where there is no terminal to draw a bar on


class _Program(NamedTuple):
    """A group's compiled program; its runs axis is filled up to a multiple of the number of devices."""

    model: Autoencoder
    runs_at_once: int  # on a device
    num_images: int  # in an epoch
    init: Callable[[], TrainState]
    train_epoch: Callable[[TrainState, int], tuple[TrainState, Metrics]]
    validate: Callable[[TrainState], Metrics] | None  # None without validation images


def train_due(
    configs: Sequence[Config], workdir: Path, *, data_dir: str | None = None, tensorboard: bool = False,
    runs_per_device: int | None = None,
) -> None:  # fmt: skip
    """Trains what is not trained yet; runs that are one compiled program train together.

    Args:
        configs: of the experiment.
        workdir: where each run's folder is.
        data_dir: where prepared data sets lie.
        tensorboard: whether to write event files.
        runs_per_device: how many runs a device vectorizes together. None is one on a CPU and, on an accelerator, all;
            where they do not fit in memory, half of them, and so on.

    Raises:
        UserError: a data set is not there, or the workdir cannot be written.
    """
    groups = group(config for config in configs if not is_trained(run_dir(workdir, config)))
    with ThreadPoolExecutor(1) as background:
        try:
            programs = [background.submit(_compile, members, data_dir, runs_per_device) for members in groups]
            for index, (members, future) in enumerate(zip(groups, programs, strict=True)):
                title, program = f"group {index + 1}/{len(groups)}", future.result()
                while not _fits(members, workdir, program, title, tensorboard):
                    program = _compile(members, data_dir, program.runs_at_once // 2)
        finally:
            # After an interrupt or an error nobody waits for programs that will not run.
            background.shutdown(wait=False, cancel_futures=True)


def _fits(configs: Sequence[Config], workdir: Path, program: "_Program", title: str, tensorboard: bool) -> bool:
    """Trains a group, or says that it does not fit in a device's memory with as many runs at once."""
    try:
        _train_group(configs, workdir, program, title, tensorboard)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error) or program.runs_at_once == 1:
            raise
        print(f"{title}: no memory for {program.runs_at_once} runs at once on a device, trying half", file=sys.stderr)
        return False
    return True


def _compile(configs: Sequence[Config], data_dir: str | None, runs_per_device: int | None) -> _Program:
    config = static_part(configs[0])
    dataset = load_dataset(config.dataset, validation_fraction=config.validation_fraction, data_dir=data_dir)
    mesh = _mesh(len(configs))
    num_devices = mesh.size if mesh else 1
    # Each device has as many runs; the last run fills up, and its copies are left out of all that is written.
    filled = [*configs, *[configs[-1]] * (-len(configs) % num_devices)]
    most = len(filled) // num_devices
    runs_at_once = min(most, runs_per_device or (1 if jax.default_backend() == "cpu" else most))
    mean_pixel = float(dataset.train.images.mean()) / 255 if config.mean_bias else None
    model = make_model(config, dataset.train.images.shape[1:], mean_pixel)
    by_run, whole = (NamedSharding(mesh, spec) if mesh else None for spec in (PartitionSpec("runs"), PartitionSpec()))
    numbers = jax.device_put(training.hyperparameters(filled), by_run)
    train_images = jax.device_put(dataset.train.images, whole)
    options: dict[str, Any] = {"mesh": mesh, "runs_at_once": runs_at_once}
    init = training.init_states.lower(model, numbers, mesh=mesh).compile()
    states = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=by_run),
        jax.eval_shape(functools.partial(training.init_states, model), numbers),
    )
    train = training.train_epoch.lower(model, train_images, states, numbers, np.int32(0), **options).compile()
    validate: Callable[[TrainState], Metrics] | None = None
    if len(dataset.validation.images):
        images = jax.device_put(dataset.validation.images, whole)
        evaluate = training.evaluate.lower(model, images, states.params, numbers, **options).compile()
        validate = lambda states: evaluate(images, states.params, numbers)  # noqa: E731
    return _Program(
        model, runs_at_once, len(train_images), lambda: init(numbers),
        lambda states, epoch: train(train_images, states, numbers, np.int32(epoch)), validate,
    )  # fmt: skip


def _mesh(num_runs: int) -> Mesh | None:
    """As many local devices as there are runs for; None for one device, which needs no mesh."""
    devices = jax.local_devices()[:num_runs]
    return Mesh(np.array(devices), ("runs",)) if len(devices) > 1 else None


def _train_group(configs: Sequence[Config], workdir: Path, program: _Program, title: str, tensorboard: bool) -> None:
    num_epochs, num_images = configs[0].num_epochs, program.num_images
    folders = [_fresh_folder(run_dir(workdir, config), config) for config in configs]
    histories: list[list[dict[str, Any]]] = [[] for _ in configs]
    timing: list[dict[str, float]] = []
    loggers = [_event_writer(folder) for folder in folders] if tensorboard else []
    progress = _Progress(title, configs, num_images)
    states = program.init()
    for epoch in range(num_epochs):
        start = time.perf_counter()
        states, train = program.train_epoch(states, epoch)
        jax.block_until_ready(train)
        # The runs of a group share the devices, so a run's time is its share.
        seconds = (time.perf_counter() - start) / len(configs)
        timing.append({"epoch": epoch + 1, "seconds": seconds, "images_per_second": num_images / seconds})
        metrics = {"train": train}
        if program.validate:
            metrics["validation"] = program.validate(states)
        metrics, alive = jax.device_get((metrics, states.alive))
        for index, folder in enumerate(folders):
            if histories[index] and "diverged" in histories[index][-1]:
                continue
            row = {"epoch": epoch + 1} | metrics_row(configs[index], metrics, index)
            if not alive[index]:
                row["diverged"] = True
            histories[index].append(row)
            write_metrics(folder, histories[index])
            write_timing(folder, timing)
        for logger, history in zip(loggers, histories, strict=False):
            _log_events(logger, history[-1])
        progress.update(epoch + 1, [history[-1] for history in histories], seconds * len(configs))
    for logger in loggers:
        logger.close()
    params = jax.device_get(states.params)
    for index, folder in enumerate(folders):
        own = jax.tree.map(lambda leaf, index=index: leaf[index], params)
        export_params(folder / "params.safetensors", configs[index], own, program.model.image_shape)


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
    # What a cut-off run left behind is from another attempt: the run starts over.
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
    write_json(folder / "config.json", config.to_dict())
    return folder


class _Progress:
    """A bar on a terminal, some plain lines elsewhere; numbers are means over the group's runs."""

    def __init__(self, title: str, configs: Sequence[Config], num_images: int) -> None:
        self.num_epochs = configs[0].num_epochs
        self.num_images = num_images * len(configs)
        self.title = f"{title}: {configs[0].name}" + (f" and {len(configs) - 1} more" if len(configs) > 1 else "")
        self.bar = tqdm(total=self.num_epochs, desc=self.title, unit="epoch", disable=None)

    def update(self, epoch: int, rows: list[dict[str, Any]], seconds: float) -> None:
        """Shows the group's rows of this epoch."""
        rows = [{name: math.nan if value is None else value for name, value in row.items()} for row in rows]
        parts = [
            f"{name} {sum(row[f'train_{name}'] for row in rows) / len(rows):.2f}"
            for name in ("loss", "distortion", "rate")
            if all(f"train_{name}" in row for row in rows)
        ]
        parts.append(f"{self.num_images / seconds:,.0f} images/s")
        if not self.bar.disable:
            self.bar.set_postfix_str(", ".join(parts))
            self.bar.update()
            if epoch == self.num_epochs:
                self.bar.close()
        elif epoch == self.num_epochs or epoch % max(1, self.num_epochs // LINES_PER_GROUP) == 0:
            print(f"{self.title}: epoch {epoch}/{self.num_epochs}, {', '.join(parts)}", file=sys.stderr, flush=True)


def _event_writer(folder: Path) -> Any:
    # The optional dependency of an option; the launcher has checked that it is there.
    from tensorboardX import SummaryWriter

    return SummaryWriter(str(folder / "tensorboard"))


def _log_events(writer: Any, row: dict[str, Any]) -> None:
    for name, value in row.items():
        if name != "epoch" and value is not None:
            writer.add_scalar(name, value, row["epoch"])
