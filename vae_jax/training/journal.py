"""The files of runs while they train: config.json, metrics and times, checkpoints, and the parameters last."""

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vae_jax.config import Config
from vae_jax.data import Dataset
from vae_jax.data.identity import identity_of
from vae_jax.data.pixels import PixelRange
from vae_jax.errors import UserError
from vae_jax.files import exists, remove
from vae_jax.models import MODELS
from vae_jax.training import checkpoints
from vae_jax.training.checkpoints import Checkpoint
from vae_jax.training.runs import write_params
from vae_jax.training.step import Metrics, TrainState, final_params
from vae_jax.workdir import has_ended, is_trained, run_dir, write_config, write_metrics, write_timing

METRICS_EVERY_SECONDS = 1.0  # rows of metrics.jsonl are written together


class FinishedElsewhereError(Exception):
    """Another worker has finished these runs."""


class Saver:
    """Writes checkpoints in the background, one at a time and at most one per `every_seconds`."""

    def __init__(self, every_seconds: float) -> None:
        self._every_seconds, self._last = every_seconds, time.monotonic()
        self._background = ThreadPoolExecutor(1)
        self._written: Future[None] | None = None

    def __enter__(self) -> "Saver":
        return self

    def __exit__(self, *_: object) -> None:
        self._background.shutdown(wait=True)

    @property
    def is_due(self) -> bool:
        """Whether the last checkpoint is long enough ago, and written."""
        busy = self._written is not None and not self._written.done()
        return not busy and time.monotonic() - self._last >= self._every_seconds

    def start(self, write: Callable[[], None]) -> None:
        """Starts to write.

        Raises:
            UserError: the checkpoint before could not be written.
        """
        self.wait()
        self._last, self._written = time.monotonic(), self._background.submit(write)

    def wait(self) -> None:
        """Waits until the last checkpoint is written, and raises what that raised."""
        if self._written is not None:
            self._written.result()


class Journal:
    """Records the epochs of runs that train together, and writes each run's files."""

    def __init__(
        self, configs: Sequence[Config], saved: Sequence[Checkpoint | None], dataset: Dataset, workdir: Path
    ) -> None:
        self.configs = configs
        self.num_images, *self.image_shape = dataset.train.images.shape
        self.pixel_range = PixelRange(*dataset.provenance["pixel_range"])
        self.folders = [run_dir(workdir, config) for config in configs]
        self.epoch = saved[0].epoch if saved[0] else 0
        self.seconds = 0.0
        self.metrics = [[*checkpoint.metrics] if checkpoint else [] for checkpoint in saved]
        self.timing = [[*checkpoint.timing] if checkpoint else [] for checkpoint in saved]
        for folder, config in zip(self.folders, configs, strict=True):
            _remove_unfinished(folder, self.epoch)
            write_config(folder, config, identity_of(dataset))
        self.write()

    @property
    def last_rows(self) -> list[dict[str, Any]]:
        """The last row of each run's metrics.jsonl."""
        return [rows[-1] for rows in self.metrics]

    def add(self, metrics: dict[str, Metrics], alive: np.ndarray, going: np.ndarray, seconds: float) -> None:
        """Records an epoch of all runs; a run that ended before has no more rows.

        Args:
            metrics: by split, with a leading axis of runs.
            alive: bool[k]; False for a run that diverged.
            going: bool[k]; False for a run that diverged, or that early stopping has ended.
            seconds: the epoch's duration for all runs together.
        """
        self.epoch, self.seconds = self.epoch + 1, seconds
        share = seconds / len(self.configs)
        for index, rows in enumerate(self.metrics):
            if not (rows and has_ended(rows[-1])):
                row = {"epoch": self.epoch} | metrics_row(self.configs[index], metrics, index)
                ending = {} if going[index] else {"stopped" if alive[index] else "diverged": True}
                rows.append(row | ending)
                self.timing[index].append(
                    {"epoch": self.epoch, "seconds": share, "images_per_second": self.num_images / share}
                )
        if time.monotonic() - self.written >= METRICS_EVERY_SECONDS:
            self.write()

    def write(self) -> None:
        """Writes the metrics and times so far.

        Raises:
            UserError: a run's folder has vanished, or cannot be written.
        """
        if all(is_trained(folder) for folder in self.folders):
            raise FinishedElsewhereError
        for folder, metrics, timing in zip(self.folders, self.metrics, self.timing, strict=True):
            if not exists(folder / "config.json"):  # a new folder would hold only a part of the run
                raise UserError(f"{folder} has vanished or was emptied; launch again")
            write_metrics(folder, metrics)
            write_timing(folder, timing)
        self.written = time.monotonic()

    def checkpoint(self, states: TrainState) -> Callable[[], None]:
        """Copies all that is needed to resume, and returns the function that writes it."""
        # A copy, because the next epoch is trained in the memory of `states`.
        copies = jax.tree.map(np.array, jax.device_get(states))
        rows = [([*metrics], [*timing]) for metrics, timing in zip(self.metrics, self.timing, strict=True)]
        epoch = self.epoch

        def write() -> None:
            for index, (folder, config) in enumerate(zip(self.folders, self.configs, strict=True)):
                state = jax.tree.map(lambda leaf, index=index: leaf[index], copies)
                checkpoints.write(folder, config, Checkpoint(epoch, *rows[index], state))

        return write

    def finish(self, states: TrainState) -> None:
        """Writes all that is left; the parameters, written last, mark a run as trained."""
        self.write()
        params = jax.device_get(final_params(states))
        for index, (folder, config) in enumerate(zip(self.folders, self.configs, strict=True)):
            own = jax.tree.map(lambda leaf, index=index: leaf[index], params)
            write_params(folder, config, own, self.image_shape, self.pixel_range)
            checkpoints.remove_all(folder)


def metrics_row(config: Config, metrics: dict[str, Metrics], index: int) -> dict[str, float | None]:
    """Returns the row of one run: `{split}_loss`, `{split}_distortion` and, for a model with a rate, `_rate`, `_elbo`.

    All are nats per image; None stands for a number that is not finite.
    """
    row: dict[str, float | None] = {}
    for split, values in metrics.items():
        loss, distortion, rate = (float(value[index]) for value in values)
        row[f"{split}_loss"], row[f"{split}_distortion"] = loss, distortion
        if MODELS[config.model].has_variance:
            row[f"{split}_rate"], row[f"{split}_elbo"] = rate, -(distortion + rate)
    return {name: value if value is not None and math.isfinite(value) else None for name, value in row.items()}


def _remove_unfinished(folder: Path, epoch: int) -> None:
    """Deletes what an interrupted training left, but for checkpoints up to this epoch and event files."""
    checkpoints.remove_all(folder, after=epoch)
    for name in ("params.safetensors", "evaluation.json", "failed.json", "metrics.jsonl", "timing.jsonl"):
        remove(folder / name)
