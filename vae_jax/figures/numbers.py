"""Figures of numbers: training curves, and what was measured against hyperparameters."""

import itertools
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from vae_jax.config import FIELDS, Config
from vae_jax.figures import plots
from vae_jax.figures.inputs import Chosen, Inputs, is_number, setting_of, spaced, values_of
from vae_jax.figures.panels import NO_BREAK_SPACE, Drawing, by_dataset, figure, finish, share_legend
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
    histories = {c: read_metrics(run_dir(inputs.workdir, c)) for s in chosen.configs for c in inputs.seeds(s)}
    terms = [term for term in TERMS if any(f"train_{term}" in rows[0] for rows in histories.values())]
    panels = [
        (group, split)
        for group in by_dataset(chosen.configs)
        for split in ("train", "validation")
        if any(f"{split}_loss" in histories[config][0] for config in histories if config.dataset == group[0].dataset)
    ]
    drawn, axes = new_figure(len(panels), len(terms), 3.6 * len(terms), 3 * len(panels) + 0.5)
    several = len({group[0].dataset for group, _ in panels}) > 1
    limited: dict[tuple[str, str], tuple[list[Axes], list[np.ndarray]]] = {}
    for row, (group, split) in zip(axes, panels, strict=True):
        dataset = group[0].dataset
        name = f"{inputs.value(group[0], 'dataset')}\n" if several else ""
        for ax, term in zip(row, terms, strict=True):
            # Settings of other data sets and models without the term are NaN, so that colours are the same everywhere.
            curves = _curves(inputs, histories, dataset, f"{split}_{term}")
            plots.training_curve(curves, f"{name}{split} {term}\n(nats per image)", ax)
            together, settled = limited.setdefault((dataset, term), ([], []))
            together.append(ax)
            settled += [seeds[:, seeds.shape[1] // 10 :].ravel() for seeds in curves.values()]
    for together, settled in limited.values():
        _limit(together, np.concatenate(settled))
    share_legend(drawn)
    return finish(drawn, chosen.note)


@figure
def sweep(inputs: Inputs) -> Drawing | None:
    """The sweep.

    Test numbers (mean and standard deviation over seeds) against the swept hyperparameter. Where the curves turn flat,
    more of it buys nothing. Active units are the latent dimensions that a model with a posterior variance uses.
    """
    swept = [name for name in FIELDS if name != "seed" and len(values_of(inputs.configs, name)) > 1]
    if not swept or swept == ["model"]:
        return None
    # A number makes the better axis; among equals, the field with most values.
    name = max(swept, key=lambda name: (is_number(name), name != "model", len(values_of(inputs.configs, name))))
    return _against(inputs, name, (
        "test_elbo", "test_distortion", "test_rate", "test_active_units", "prior_frechet", "mixture_frechet",
    ))  # fmt: skip


@figure
def dose_response(inputs: Inputs) -> Drawing | None:
    """Dose and response: the KL weight.

    How far the codes are from N(0, I), how many of its samples are implausible, how far samples are from test images,
    and what it costs in distortion, against the KL weight (mean and standard deviation over seeds).
    """
    if len(values_of(inputs.configs, "kl_weight")) < 2:
        return None
    return _against(
        inputs, "kl_weight", ("kl_prior_knn", "prior_implausible_excess", "prior_frechet", "test_distortion")
    )


@figure
def rate_distortion(inputs: Inputs) -> Drawing | None:
    """Rate and distortion over the KL weight.

    One point per KL weight, one small marker per seed, one panel per data set. The ELBO is constant along a grey line.
    A model further to the lower left is better; a KL weight only chooses a place on its curve.
    """
    weights = values_of(inputs.configs, "kl_weight")
    chosen = inputs.choose([config for config in inputs.configs if config.uses("kl_weight")], without=["kl_weight"])
    rate, distortion = (_measured(inputs, chosen, {"kl_weight": weights}, n) for n in ("test_rate", "test_distortion"))
    groups = by_dataset([config for config in chosen.configs if inputs.label(config, ["kl_weight"]) in rate])
    if len(weights) < 2 or not groups:
        return None
    columns = min(2, len(groups))
    rows = math.ceil(len(groups) / columns)
    drawn, axes = new_figure(rows, columns, *((9, 6) if columns == 1 else (12, 4.5 * rows)))
    for ax, group in zip(axes.flat, groups, strict=False):
        labels = [inputs.label(config, ["kl_weight"]) for config in group]
        dims = [config.latent_dim for config in group]
        plots.rate_distortion(
            {label: rate[label] for label in labels}, {label: distortion[label] for label in labels},
            [f"{weight:g}" for weight in weights], ax, dims if len(set(dims)) == len(dims) > 1 else None,
        )  # fmt: skip
    return finish(drawn, chosen.note)


@figure
def heat_maps(inputs: Inputs) -> Drawing | None:
    """Latent dimensions against KL weight.

    Mean ± standard deviation over seeds. The validation ELBO weighs both terms alike, so a setting may be chosen by
    it. Brighter is better, or, for active units, higher. Look for where the ELBO is highest, and whether samples of
    N(0, I) are nearest to test images there too.
    """
    weighted = [config for config in inputs.configs if config.uses("kl_weight")]
    every = {name: values_of(weighted, name) for name in ("latent_dim", "kl_weight")}
    shown = {name: spaced(values, MAX_VALUES, getattr(inputs.base, name)) for name, values in every.items()}
    chosen = inputs.choose(weighted, MAX_MAPS, without=list(every))
    measured = {
        number: _measured(inputs, chosen, shown, number)
        for number in ("validation_elbo", "test_active_units", "prior_frechet")
    }
    labels = [inputs.label(config, list(every)) for config in chosen.configs]
    maps = [(label, number) for label in labels for number, cells in measured.items() if label in cells]
    dims, weights = shown.values()
    if min(len(dims), len(weights)) < 2 or not maps:
        return None
    drawn, axes = new_figure(len(maps), 1, 9, len(maps) * (1.4 + 0.6 * len(dims)))
    names = [f"{dim}" for dim in dims], [f"{weight:g}" for weight in weights]
    for ax, (label, number) in zip(axes.flat, maps, strict=True):
        better = MEASUREMENTS[number].better
        plots.heat_map(measured[number][label], *names, "kl_weight", "latent_dim", axis_label(number, 20), ax, better)
        if len(labels) > 1:
            ax.set_title(label)
    few, all_ = (math.prod(map(len, values.values())) for values in (shown, every))
    return finish(drawn, chosen.note or ("" if few == all_ else f"{few} of {all_} settings"))


@figure
def kl_per_dimension(inputs: Inputs) -> Drawing | None:
    """KL of each latent dimension.

    Dimensions in falling order of their KL (mean and standard deviation over seeds), which is what a dimension says
    about an image. A dimension near 0 is not used.
    """
    kls = {c: kl for c in inputs.configs if (kl := inputs.numbers.get(c, {}).get("test_kl_per_dimension"))}
    if not kls:
        return None
    chosen = inputs.choose(list(kls))
    panels: dict[int, dict[str, list[list[float]]]] = {}
    for setting in chosen.configs:
        seeds = [kls[config] for config in inputs.seeds(setting) if config in kls]
        label = inputs.label(setting, ["latent_dim"])
        panels.setdefault(setting.latent_dim, {})[label] = [sorted(seed, reverse=True) for seed in seeds]
    height = max(2.6, 0.8 + 0.25 * max(map(len, panels.values())))  # inches, with room for the legend
    drawn, axes = new_figure(len(panels), 1, 9, height * len(panels))
    for ax, (latent_dim, series) in zip(axes.flat, sorted(panels.items()), strict=True):
        plots.bars(series, "dimension, by KL", "KL\n(nats per image)", ax)
        ax.set_title(f"latent_dim {latent_dim}")
        # Beside the bars, which many settings would hide.
        ax.legend(title=ax.get_legend().get_title().get_text(), loc="upper left", bbox_to_anchor=(1.01, 1))
    top = max(ax.get_ylim()[1] for ax in axes.flat)
    for ax in axes.flat:
        ax.set_ylim(0, top)
    return finish(drawn, chosen.note)


def axis_label(name: str, width: int = 26) -> str:
    """Returns a measurement's label and unit, in lines of at most `width` characters where words allow it."""
    measurement = MEASUREMENTS[name]
    unit = [f"({measurement.unit})"] if measurement.unit else []
    lines = textwrap.wrap(measurement.label.replace("(0, I)", f"(0,{NO_BREAK_SPACE}I)"), width)
    return "\n".join(lines + unit).replace(NO_BREAK_SPACE, " ")


def _against(inputs: Inputs, name: str, numbers: Sequence[str]) -> Drawing | None:
    """Plots numbers against a hyperparameter, in a panel for each number that a run has."""
    chosen = inputs.choose([config for config in inputs.configs if config.uses(name)], without=[name])
    values = values_of(inputs.configs, name)
    panels = {number: lines for number in numbers if (lines := _measured(inputs, chosen, {name: values}, number))}
    if not panels:
        return None
    texts = {getattr(config, name): inputs.value(config, name) for config in inputs.configs if config.uses(name)}
    x = values if is_number(name) else [texts[value] for value in values]
    labels = [inputs.label(config, [name]) for config in chosen.configs]
    rows = math.ceil(len(panels) / 2)
    drawn, axes = new_figure(rows, 2, 9, 3 * rows + 0.6)
    for ax, (number, lines) in zip(axes.flat, panels.items(), strict=False):
        # What has no such number (an AE has no rate) keeps its place in the order of colours.
        every = {label: lines.get(label, np.full((len(x), 1), np.nan)) for label in labels}
        plots.sweep_curve(x, every, name, axis_label(number), ax)
    share_legend(drawn)
    return finish(drawn, chosen.note)


def _measured(inputs: Inputs, chosen: Chosen, axes: Mapping[str, Sequence[Any]], number: str) -> dict[str, np.ndarray]:
    """Returns a number over the values of some fields and over seeds, by label of the setting that these fields leave.

    The arrays are float[values of the first field, ..., S], NaN where a seed is missing. A setting without the number
    has none.
    """
    shown = {setting_of(config, list(axes)) for config in chosen.configs}
    cells: dict[str, dict[tuple[Any, ...], list[float]]] = {}
    for config, row in inputs.numbers.items():
        if setting_of(config, list(axes)) in shown and (value := row.get(number)) is not None:
            place = tuple(getattr(config, name) for name in axes)
            cells.setdefault(inputs.label(config, list(axes)), {}).setdefault(place, []).append(value)
    width = max((len(seeds) for places in cells.values() for seeds in places.values()), default=0)
    arrays = {}
    for label, places in cells.items():
        lines = [_pad(places.get(place, []), width) for place in itertools.product(*axes.values())]
        arrays[label] = np.array(lines).reshape(*map(len, axes.values()), width)
    return arrays


def _curves(
    inputs: Inputs, histories: dict[Config, list[dict[str, Any]]], dataset: str, name: str
) -> dict[str, np.ndarray]:
    """Returns a metric per epoch, float[S, E] by setting; NaN for other data sets and after a divergence."""
    curves: dict[str, list[list[float]]] = {}
    for config, epochs in histories.items():
        values = [row.get(name) for row in epochs] if config.dataset == dataset else []
        curves.setdefault(inputs.label(config), []).append(_pad(values, config.num_epochs))
    return {label: np.array(seeds) for label, seeds in curves.items()}


def _pad(values: Sequence[float | None], size: int) -> list[float]:
    """Returns the values with NaN for None, and after them up to the size."""
    return [math.nan if value is None else value for value in values] + [math.nan] * (size - len(values))


def _limit(axes: Sequence[Axes], values: np.ndarray) -> None:
    """Limits the y axes of some panels, all alike, to the finite ones of these values."""
    values = values[np.isfinite(values)]
    for ax in axes if values.size else ():
        margin = 0.05 * np.ptp(values) + 1e-6
        ax.set_ylim(values.min() - margin, values.max() + margin)
