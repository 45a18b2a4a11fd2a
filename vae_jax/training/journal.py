"""The files of runs while they train: config.json, metrics and times, checkpoints, and the parameters last."""

import math
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from vae_jax.config import Config
from vae_jax.data.identity import identity_of
from vae_jax.data.pixels import PixelRange
from vae_jax.errors import UserError
from vae_jax.files import exists, remove
from vae_jax.models import MODELS
from vae_jax.training import checkpoints
from vae_jax.training.checkpoints import Checkpoint
from vae_jax.training.resolve import Run
from vae_jax.training.runs import write_params
from vae_jax.training.step import Metrics, TrainState, final_params
from vae_jax.workdir import has_ended, is_trained, write_config, write_metrics, write_timing

METRICS_EVERY_SECONDS = 1.0  # rows of metrics.jsonl are written together


class FinishedElsewhereError(Exception):
    """Another worker has finished these runs."""


class Journal:
    """Records the epochs of runs that train together from the same epoch on, and writes each run's files."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs, self.epoch, self.seconds = runs, runs[0].epoch, 0.0
        self.num_images = len(runs[0].dataset.train.images)
        self.metrics = [[*run.saved.metrics] if run.saved else [] for run in runs]
        self.timing = [[*run.saved.timing] if run.saved else [] for run in runs]
        self.saved_at = time.monotonic()
        for run in runs:
            _remove_unfinished(run)
            write_config(run.folder, run.config, identity_of(run.dataset))
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
        share = seconds / len(self.runs)
        time_row = {"epoch": self.epoch, "seconds": share, "images_per_second": self.num_images / share}
        for index, run in enumerate(self.runs):
            rows = self.metrics[index]
            if not (rows and has_ended(rows[-1])):
                row = {"epoch": self.epoch} | metrics_row(run.config, metrics, index)
                ending = {} if going[index] else {"stopped" if alive[index] else "diverged": True}
                rows.append(row | ending)
                self.timing[index].append(time_row)
        if time.monotonic() - self.written_at >= METRICS_EVERY_SECONDS:
            self.write()

    def write(self) -> None:
        """Writes the metrics and times so far.

        Raises:
            FinishedElsewhereError: another worker has finished all these runs, whose files are left alone.
            UserError: a run's folder has vanished, or cannot be written.
        """
        if all(is_trained(run.folder) for run in self.runs):
            raise FinishedElsewhereError
        for run, metrics, timing in zip(self.runs, self.metrics, self.timing, strict=True):
            if not exists(run.folder / "config.json"):  # a new folder would hold only a part of the run
                raise UserError(f"{run.folder} has vanished or was emptied; launch again")
            write_metrics(run.folder, metrics)
            write_timing(run.folder, timing)
        self.written_at = time.monotonic()

    def checkpoint(self, states: TrainState) -> None:
        """Writes all that is needed to resume."""
        for index, state in enumerate(_one_by_one(states, len(self.runs))):
            saved = Checkpoint(self.epoch, self.metrics[index], self.timing[index], state)
            checkpoints.write(self.runs[index].folder, self.runs[index].config, saved)
        self.saved_at = time.monotonic()

    def finish(self, states: TrainState) -> None:
        """Writes all that is left; the parameters, written last, mark a run as trained."""
        self.write()
        for run, params in zip(self.runs, _one_by_one(final_params(states), len(self.runs)), strict=True):
            images, pixel_range = run.dataset.train.images, PixelRange(*run.dataset.provenance["pixel_range"])
            write_params(run.folder, run.config, params, images.shape[1:], pixel_range)
            remove(checkpoints.path_of(run.folder))


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


def _one_by_one(states: Any, count: int) -> list[Any]:
    """Copies what belongs to `count` runs along a leading axis to NumPy arrays without it, one tree a run."""
    found = jax.device_get(states)
    return [jax.tree.map(lambda leaf, index=index: leaf[index], found) for index in range(count)]


def _remove_unfinished(run: Run) -> None:
    """Deletes what an interrupted training left, but for event files and the checkpoint that the run resumes from."""
    if not run.saved:
        remove(checkpoints.path_of(run.folder))
    for name in ("params.safetensors", "evaluation.json", "failed.json", "metrics.jsonl", "timing.jsonl"):
        remove(run.folder / name)
