"""Figures of numbers: training curves, and what was measured against hyperparameters."""

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from vae_jax.config import FIELDS, Config
from vae_jax.figures import plots
from vae_jax.figures.inputs import Chosen, Inputs, is_number, rectangular, setting_of, spaced
from vae_jax.figures.panels import NO_BREAK_SPACE, by_dataset, sentence, share_legend, write_note
from vae_jax.figures.registry import Drawing, figure
from vae_jax.figures.style import new_figure
from vae_jax.measurements import MEASUREMENTS
from vae_jax.workdir import read_metrics, run_dir

MAX_VALUES = 10  # rows or columns of a heat map
MAX_MAPS = 4  # settings with heat maps of their own
TERMS = ("loss", "distortion", "rate")


@figure
def training_curves(inputs: Inputs) -> Drawing | None:
    """Training curves.

    Loss, distortion and rate per epoch (mean and standard deviation over seeds). A training curve that falls while the
    validation curve rises shows overfitting; distortion and rate show what the KL term trades. The curves of the first
    tenth of the epochs may leave the panels.
    """
    chosen = inputs.choose()
    histories = _histories(inputs, chosen)
    terms = [term for term in TERMS if any(f"train_{term}" in rows[0] for rows in histories.values())]
    panels = [
        (group, split)
        for group in by_dataset(chosen.configs)
        for split in ("train", "validation")
        if any(f"{split}_loss" in histories[config][0] for config in histories if config.dataset == group[0].dataset)
    ]
    drawn, axes = new_figure(len(panels), len(terms), 3.6 * len(terms), 3 * len(panels) + 0.5)
    several = len({config.dataset for config in chosen.configs}) > 1
    settled: dict[tuple[str, str], list[tuple[Axes, dict[str, np.ndarray]]]] = {}
    for row, (group, split) in zip(axes, panels, strict=True):
        dataset = group[0].dataset
        name = f"{inputs.value(group[0], 'dataset')}\n" if several else ""
        for ax, term in zip(row, terms, strict=True):
            # Settings of other data sets and models without the term are NaN, so that colours are the same everywhere.
            curves = _curves(inputs, histories, dataset, f"{split}_{term}")
            plots.training_curve(curves, f"{name}{split} {term}\n(nats per image)", ax)
            settled.setdefault((dataset, term), []).append((ax, curves))
    for pairs in settled.values():
        _limit_to_settled(*zip(*pairs, strict=True))
    share_legend(drawn)
    write_note(drawn, chosen.note)
    return Drawing(drawn, sentence(chosen))


@figure
def sweep(inputs: Inputs) -> Drawing | None:
    """The sweep.

    Test numbers (mean and standard deviation over seeds) against the swept hyperparameter. Where the curves turn flat,
    more of it buys nothing. Active units are the latent dimensions that a model with a posterior variance uses.
    """
    swept = [name for name in FIELDS if name != "seed" and len(inputs.swept_values(name)) > 1]
    if not swept or swept == ["model"]:
        return None
    # A number makes the better axis; among equals, the field with most values.
    name = max(swept, key=lambda name: (is_number(name), name != "model", len(inputs.swept_values(name))))
    return _against(inputs, name, (
        "test_elbo", "test_distortion", "test_rate", "test_active_units", "prior_frechet", "mixture_frechet",
    ))  # fmt: skip


@figure
def dose_response(inputs: Inputs) -> Drawing | None:
    """Dose and response: the KL weight.

    How far the codes are from N(0, I), how many of its samples are implausible, how far samples are from test images,
    and what it costs in distortion, against the KL weight (mean and standard deviation over seeds).
    """
    if len(inputs.swept_values("kl_weight")) < 2:
        return None
    return _against(inputs, "kl_weight", ("kl_prior_knn", "hole_mass_prior", "prior_frechet", "test_distortion"))


@figure
def rate_distortion(inputs: Inputs) -> Drawing | None:
    """Rate and distortion over the KL weight.

    One point per KL weight, one small marker per seed, one panel per data set. The ELBO is constant along a grey line.
    A model further to the lower left is better; a KL weight only chooses a place on its curve.
    """
    weights = inputs.swept_values("kl_weight")
    chosen = inputs.choose([config for config in inputs.configs if config.uses("kl_weight")], without=["kl_weight"])
    rate, distortion = (_by_value(inputs, chosen, "kl_weight", n) for n in ("test_rate", "test_distortion"))
    groups = by_dataset([config for config in chosen.configs if inputs.label(config, ["kl_weight"]) in rate])
    if len(weights) < 2 or not groups:
        return None
    columns = min(2, len(groups))
    rows = math.ceil(len(groups) / columns)
    drawn, axes = new_figure(rows, columns, *((9, 6) if columns == 1 else (12, 4.5 * rows)))
    for ax in axes.flat[len(groups) :]:
        ax.remove()
    for ax, group in zip(axes.flat, groups, strict=False):
        labels = [inputs.label(config, ["kl_weight"]) for config in group]
        dims = [config.latent_dim for config in group]
        plots.rate_distortion(
            {label: rate[label] for label in labels}, {label: distortion[label] for label in labels},
            [f"{weight:g}" for weight in weights], ax, dims if len(set(dims)) == len(dims) > 1 else None,
        )  # fmt: skip
    write_note(drawn, chosen.note)
    return Drawing(drawn, sentence(chosen))


@figure
def heat_maps(inputs: Inputs) -> Drawing | None:
    """Latent dimensions against KL weight.

    Mean ± standard deviation over seeds. The validation ELBO weighs both terms alike, so a setting may be chosen by
    it. Brighter is better, or, for active units, higher. Look for where the ELBO is highest, and whether samples of
    N(0, I) are nearest to test images there too.
    """
    dims, weights = (_spaced_values(inputs, name) for name in ("latent_dim", "kl_weight"))
    every = len(inputs.swept_values("latent_dim")) * len(inputs.swept_values("kl_weight"))
    if min(len(dims), len(weights)) < 2:
        return None
    weighted = [config for config in inputs.configs if config.uses("kl_weight")]
    chosen = inputs.choose(weighted, MAX_MAPS, without=["latent_dim", "kl_weight"])
    maps = [
        (config, number, cells)
        for config in chosen.configs
        for number in ("validation_elbo", "test_active_units", "prior_frechet")
        if (cells := _cells(inputs, config, number, dims, weights)) is not None
    ]
    if not maps:
        return None
    drawn, axes = new_figure(len(maps), 1, 9, len(maps) * (1.4 + 0.6 * len(dims)))
    names = [f"{dim}" for dim in dims], [f"{weight:g}" for weight in weights]
    for ax, (config, number, cells) in zip(axes.flat, maps, strict=True):
        better = MEASUREMENTS[number].better
        plots.heat_map(*cells, *names, "kl_weight", "latent_dim", axis_label(number, 20), ax, better)
        if len(chosen.configs) > 1:
            ax.set_title(inputs.label(config, ["latent_dim", "kl_weight"]))
    shown = len(dims) * len(weights)
    note = chosen.note or ("" if shown == every else f"{shown} of {every} settings")
    write_note(drawn, note)
    return Drawing(drawn, sentence(Chosen([], note)))


@figure
def kl_per_dimension(inputs: Inputs) -> Drawing | None:
    """KL of each latent dimension.

    Dimensions in falling order of their KL (mean and standard deviation over seeds), which is what a dimension says
    about an image. A dimension near 0 is not used.
    """
    measured = [config for config in inputs.configs if inputs.numbers.get(config, {}).get("test_kl_per_dimension")]
    if not measured:
        return None
    chosen = inputs.choose(measured)
    kl: dict[int, dict[str, list[list[float]]]] = {}
    for config in chosen.configs:
        seeds = [other for other in measured if setting_of(other) == setting_of(config)]
        rows = [sorted(inputs.numbers[seed]["test_kl_per_dimension"], reverse=True) for seed in seeds]
        kl.setdefault(config.latent_dim, {})[inputs.label(config, ["latent_dim"])] = rows
    height = max(2.6, 0.8 + 0.25 * max(map(len, kl.values())))  # inches, with room for the legend
    drawn, axes = new_figure(len(kl), 1, 9, height * len(kl))
    for ax, (latent_dim, values) in zip(axes.flat, sorted(kl.items()), strict=True):
        series = {label: np.array(seeds) for label, seeds in values.items()}
        plots.bars(series, "dimension, by KL", "KL\n(nats per image)", ax)
        ax.set_title(f"latent_dim {latent_dim}")
        # Beside the bars, which many settings would hide.
        ax.legend(title=ax.get_legend().get_title().get_text(), loc="upper left", bbox_to_anchor=(1.01, 1))
    top = max(ax.get_ylim()[1] for ax in axes.flat)
    for ax in axes.flat:
        ax.set_ylim(0, top)
    write_note(drawn, chosen.note)
    return Drawing(drawn, sentence(chosen))


def axis_label(name: str, width: int = 26) -> str:
    """Returns a measurement's label and unit, in lines of at most `width` characters where words allow it."""
    measurement = MEASUREMENTS[name]
    unit = [f"({measurement.unit})"] if measurement.unit else []
    lines = textwrap.wrap(measurement.label.replace("(0, I)", f"(0,{NO_BREAK_SPACE}I)"), width)
    return "\n".join(lines + unit).replace(NO_BREAK_SPACE, " ")


def _against(inputs: Inputs, name: str, numbers: Sequence[str]) -> Drawing | None:
    """Plots numbers against a hyperparameter, in a panel for each number that a run has."""
    chosen = inputs.choose([config for config in inputs.configs if config.uses(name)], without=[name])
    panels = {number: lines for number in numbers if (lines := _by_value(inputs, chosen, name, number))}
    if not panels:
        return None
    values = inputs.swept_values(name)
    x, ticks = (values, None) if is_number(name) else (range(len(values)), _names(inputs, name))
    labels = dict.fromkeys(inputs.label(config, [name]) for config in chosen.configs)
    rows = math.ceil(len(panels) / 2)
    drawn, axes = new_figure(rows, 2, 9, 3 * rows + 0.6)
    for ax in axes.flat[len(panels) :]:
        ax.remove()
    for ax, (number, lines) in zip(axes.flat, panels.items(), strict=False):
        # What has no such number (an AE has no rate) keeps its place in the order of colours.
        every = {label: lines.get(label, np.full((len(x), 1), np.nan)) for label in labels}
        logx = ticks is None and values[0] >= 0 and values[-1] > 4 * max(values[0], values[1] / 4)
        plots.sweep_curve(x, every, name, axis_label(number), logx, ax, ticks)
    share_legend(drawn)
    write_note(drawn, chosen.note)
    return Drawing(drawn, sentence(chosen))


def _names(inputs: Inputs, field: str) -> list[str]:
    one = {getattr(config, field): config for config in inputs.configs if config.uses(field)}
    return [inputs.value(one[value], field) for value in inputs.swept_values(field)]


def _by_value(inputs: Inputs, chosen: Chosen, name: str, number: str) -> dict[str, np.ndarray]:
    """Returns a number over the values of a field: float[X, S] by setting, NaN where a seed is missing."""
    x = inputs.swept_values(name)
    shown = {setting_of(config, [name]) for config in chosen.configs}
    cells: dict[str, list[list[float]]] = {}
    for config, row in inputs.numbers.items():
        if setting_of(config, [name]) in shown and (value := row.get(number)) is not None:
            line = cells.setdefault(inputs.label(config, [name]), [[] for _ in x])
            line[x.index(getattr(config, name))].append(value)
    return rectangular(cells)


def _spaced_values(inputs: Inputs, field: str) -> list[Any]:
    """Returns the values of a field among the runs that have a KL weight, at most `MAX_VALUES`."""
    values = sorted({getattr(config, field) for config in inputs.configs if config.uses("kl_weight")})
    return spaced(values, MAX_VALUES, getattr(inputs.base, field))


def _cells(
    inputs: Inputs, setting: Config, number: str, dims: list[Any], weights: list[Any]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns mean and standard deviation over seeds by latent_dim and KL weight, float[R, C], or None if empty."""
    free = ("latent_dim", "kl_weight")
    seeds: dict[tuple[Any, Any], list[float]] = {}
    for config, row in inputs.numbers.items():
        if setting_of(config, free) == setting_of(setting, free) and (value := row.get(number)) is not None:
            seeds.setdefault((config.latent_dim, config.kl_weight), []).append(value)

    def over_seeds(statistic: Callable[[list[float]], float], least: int) -> np.ndarray:
        return np.array([
            [statistic(seeds[d, w]) if len(seeds.get((d, w), [])) >= least else math.nan for w in weights] for d in dims
        ])  # fmt: skip

    if not seeds:
        return None
    return over_seeds(lambda values: float(np.mean(values)), 1), over_seeds(lambda v: float(np.std(v, ddof=1)), 2)


def _histories(inputs: Inputs, chosen: Chosen) -> dict[Config, list[dict[str, Any]]]:
    """Reads the epochs of all seeds of the chosen settings, in the order of the settings."""
    seeds: dict[tuple[Any, ...], list[Config]] = {setting_of(config): [] for config in chosen.configs}
    for config in inputs.configs:
        if setting_of(config) in seeds:
            seeds[setting_of(config)].append(config)
    return {c: read_metrics(run_dir(inputs.workdir, c)) for configs in seeds.values() for c in configs}


def _curves(
    inputs: Inputs, histories: dict[Config, list[dict[str, Any]]], dataset: str, name: str
) -> dict[str, np.ndarray]:
    """Returns a metric per epoch, float[S, E] by setting; NaN for other data sets and after a divergence."""
    curves: dict[str, list[list[float]]] = {}
    for config, epochs in histories.items():
        values = [row.get(name) if config.dataset == dataset else None for row in epochs]
        values += [None] * (config.num_epochs - len(values))
        curves.setdefault(inputs.label(config), []).append([math.nan if v is None else v for v in values])
    return {label: np.array(seeds) for label, seeds in curves.items()}


def _limit_to_settled(axes: Sequence[Axes], curves: Sequence[dict[str, np.ndarray]]) -> None:
    """Limits the y axes of some panels, all alike, to their curves after the first tenth of the epochs."""
    late = [seeds[:, seeds.shape[1] // 10 :].ravel() for panel in curves for seeds in panel.values()]
    values = np.concatenate(late)
    values = values[np.isfinite(values)]
    if values.size:
        margin = 0.05 * np.ptp(values) + 1e-6
        for ax in axes:
            ax.set_ylim(values.min() - margin, values.max() + margin)
