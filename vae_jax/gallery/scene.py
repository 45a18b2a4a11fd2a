"""What pictures of an experiment are drawn from, and how panels are laid out."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_jax import results
from vae_jax.config import FIELDS, Config
from vae_jax.data import Dataset, Split
from vae_jax.runs import TrainedRun, load_dataset, load_run
from vae_jax.workdir import run_dir

Item = TypeVar("Item")
MOST_PANELS = 12  # settings that one figure shows; of more, evenly spaced ones


class Scene(NamedTuple):
    """What pictures are drawn from: an experiment's trained runs, and one run for each of the settings shown."""

    configs: Sequence[Config]
    workdir: Path
    panels: Sequence[TrainedRun]
    data_dir: str | None

    def dataset(self, run: TrainedRun) -> Dataset:
        """The data set of a run."""
        fraction = run.config.validation_fraction
        return load_dataset(run.config.dataset, validation_fraction=fraction, data_dir=self.data_dir)

    def load(self, config: Config) -> TrainedRun:
        """One of the runs, whether it is among the panels or not."""
        return load_run(run_dir(self.workdir, config))

    def label(self, config: Config, without: Sequence[str] = ()) -> str:
        """What tells a setting from the others, but for some fields: `VAE, latent_dim 8`."""
        setting = results.describe(config, self.configs, without)
        return f"{config.model.upper()}, {setting}" if setting else config.model.upper()

    def title(self, run: TrainedRun) -> str:
        """The setting, and the name of the run that stands for it."""
        return f"{self.label(run.config)}\n{run.name}"

    def evaluated(self) -> list[tuple[Config, dict[str, Any]]]:
        """The runs that have numbers, with them."""
        rows = {row["run"]: row for row in results.collect(self.workdir, self.configs)}
        return [(config, rows[config.name]) for config in self.configs if config.name in rows]

    def swept_values(self, field: str) -> list[Any]:
        """The values of a field, rising, among the runs that use it: an AE has no place on the axis of KL weights."""
        used = FIELDS[field].metadata["used"]
        return sorted({getattr(config, field) for config in self.configs if used(config)})


def chosen_settings(configs: Sequence[Config]) -> list[Config]:
    """One run (the first seed) of each setting, AE before VAE of the same setting, at most MOST_PANELS."""
    settings: dict[Config, Config] = {}
    for config in configs:
        settings.setdefault(without(config, "seed"), config)
    pairs: dict[Config, list[Config]] = {}
    for setting, config in settings.items():
        pairs.setdefault(without(setting, "model"), []).append(config)
    lines = [sorted(line, key=lambda config: config.model) for line in pairs.values()]
    width = max(map(len, lines), default=1)
    return [config for line in evenly_spaced(lines, MOST_PANELS // width) for config in line]


def evenly_spaced(items: Sequence[Item], most: int) -> list[Item]:
    """The items where they are no more than `most`; else so many, the first and the last among them."""
    return [items[round(index)] for index in np.linspace(0, len(items) - 1, min(most, len(items)))]


def draw_panels(
    scene: Scene, runs: Sequence[TrainedRun], panel: Callable[[TrainedRun, Axes], None], size: tuple[float, float]
) -> Figure:
    """One panel a run: AE beside VAE where both are there, else up to three in a row."""
    models = [run.config.model for run in runs]
    paired = models == ["ae", "vae"] * (len(models) // 2)
    columns = 2 if paired else min(len(runs), 3)
    lines = math.ceil(len(runs) / columns)
    # A figure is printed at the width of a page, whatever the number of its columns.
    scale = min(1.0, 12 / (columns * size[0]))
    figure, axes = plt.subplots(
        lines, columns, figsize=(columns * size[0] * scale, lines * size[1] * scale), squeeze=False, layout="compressed"
    )
    for ax in axes.flat[len(runs) :]:
        ax.set_visible(False)
    for run, ax in zip(runs, axes.flat, strict=False):
        panel(run, ax)
    return figure


def share_legend(figure: Figure) -> None:
    """One legend beneath all panels in the place of each panel's own: many settings would hide the curves."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    titles = set()
    for ax in figure.axes:
        if (legend := ax.get_legend()) is not None:
            titles.add(legend.get_title().get_text())
            legend.remove()
    title = "".join(titles) or None
    for ncols in range(min(4, len(labels)), 0, -1):
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=ncols, title=title)
        if ncols == 1 or legend.get_window_extent().width < figure.bbox.width:
            return
        legend.remove()


def without(config: Config, field: str) -> Config:
    """The Config with that field at its default: equal for runs that differ in nothing else."""
    default: dict[str, Any] = {field: FIELDS[field].default}
    return dataclasses.replace(config, **default)


def is_number(field: str) -> bool:
    """Whether the field is one number, which can be an axis."""
    return type(FIELDS[field].default) in (int, float)


def shown(split: Split, most: int) -> Split:
    """The first images of a split, no more than a picture can show."""
    return Split(split.images[:most], None if split.labels is None else split.labels[:most])


def rectangular(cells: dict[str, list[list[float]]]) -> dict[str, np.ndarray]:
    """Lists of seeds as float[X, S], NaN where a seed is missing."""
    width = max((len(seeds) for line in cells.values() for seeds in line), default=0)
    return {
        label: np.array([seeds + [math.nan] * (width - len(seeds)) for seeds in line]) for label, line in cells.items()
    }
