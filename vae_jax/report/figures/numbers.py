"""Figures of numbers: training curves, and what was measured against hyperparameters."""

import itertools
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from vae_jax.claims.results import setting_of
from vae_jax.config import FIELDS, Config
from vae_jax.measure.measurements import MEASUREMENTS
from vae_jax.report.figures import plots
from vae_jax.report.figures.grids import by_dataset, names_of
from vae_jax.report.figures.inputs import Chosen, Inputs, is_number, spaced, values_of
from vae_jax.report.figures.panels import NO_BREAK_SPACE, Drawing, figure, finish, handles_of, share_legend
from vae_jax.report.figures.style import SERIES_COLORS, SERIES_LINES, Look, new_figure, ordered_colors, series_looks
from vae_jax.workdir import read_metrics, run_dir

MAX_VALUES = 10  # rows or columns of a heat map
MAX_MAPS = 4  # settings with heat maps of their own
TERMS = ("distortion", "rate", "loss")


@figure
def training_curves(inputs: Inputs) -> Drawing | None:
    """Training curves.

    Distortion, rate and loss per epoch (mean and standard deviation over seeds); a model whose loss is its distortion
    has one curve. A training curve that falls while the validation curve rises shows overfitting; distortion and rate
    show what the KL term trades. The curves of the first tenth of the epochs may leave the panels.
    """
    chosen = inputs.choose()
    histories = {c: read_metrics(run_dir(inputs.workdir, c)) for s in chosen.configs for c in inputs.seeds(s)}
    groups = by_dataset(chosen.configs)
    panels = {
        (dataset, split, term): curves
        for dataset in (group[0].dataset for group in groups)
        for split in ("train", "validation")
        for term in TERMS
        if (curves := _curves(inputs, histories, dataset, f"{split}_{term}"))
    }
    rows, terms = list(dict.fromkeys(key[:2] for key in panels)), [t for t in TERMS if any(t in key for key in panels)]
    drawn, axes = new_figure(len(rows), len(terms), 3.2 * len(terms), 2.5 * len(rows) + 0.5)
    looks, key = _looks(inputs, chosen.configs)
    for (dataset, split, term), curves in panels.items():
        group = next(group for group in groups if group[0].dataset == dataset)
        name = f"{inputs.value(group[0], 'dataset')}\n" if len(groups) > 1 else ""
        ax = axes[rows.index((dataset, split)), terms.index(term)]
        plots.training_curve(curves, f"{name}{split} {term}\n(nats per image)", ax, looks)
        if (dataset, split) != rows[-1]:
            ax.set_xlabel("")
    for dataset, term in dict.fromkeys((dataset, term) for dataset, _, term in panels):
        splits = [split for split in ("train", "validation") if (dataset, split, term) in panels]
        settled = [c[:, c.shape[1] // 10 :].ravel() for split in splits for c in panels[dataset, split, term].values()]
        together = [axes[rows.index((dataset, split)), terms.index(term)] for split in splits]
        _limit(together, np.concatenate(settled))
    if any(curve.shape[1] > 1 for curves in panels.values() for curve in curves.values()):
        for line in key:
            line.set_marker("")  # as the curves have none
    share_legend(drawn, key or handles_of(drawn))
    return finish(drawn, chosen.note)


def _swept(configs: Sequence[Config]) -> str | None:
    """Returns the field that makes the axis of `sweep`; None if no field but the model and the seed has two values."""
    swept = [name for name in FIELDS if name != "seed" and len(values_of(configs, name)) > 1]
    if not swept or swept == ["model"]:
        return None
    # A number makes the better axis; among equals, the field with most values.
    return max(swept, key=lambda name: (is_number(name), name != "model", len(values_of(configs, name))))


def _varies(*names: str) -> Callable[[Sequence[Config]], bool]:
    return lambda configs: all(len(values_of(configs, name)) > 1 for name in names)


@figure(when=lambda configs: _swept(configs) not in (None, "dataset"))
def sweep(inputs: Inputs) -> Drawing | None:
    """The sweep.

    Test numbers (mean and standard deviation over seeds) against the swept hyperparameter. Where a curve is flat, it
    makes no difference. Active units are the latent dimensions that a model with a posterior variance uses.
    """
    name = _swept(inputs.configs)
    return None if name is None else _against(inputs, name, (
        "test_elbo", "test_distortion", "test_rate", "test_active_units", "prior_frechet", "gaussian_frechet",
    ))  # fmt: skip


@figure(when=_varies("kl_weight"))
def dose_response(inputs: Inputs) -> Drawing | None:
    """Dose and response: the KL weight.

    How far the codes are from N(0, I), what is lost by sampling it without a look at them, how much of their Gaussian
    lies in holes, how much a small step changes, what it costs in distortion, and what rate is left, against the KL
    weight (mean and standard deviation over seeds).
    """
    if len(values_of(inputs.configs, "kl_weight")) < 2:
        return None
    return _against(inputs, "kl_weight", (
        "kl_prior_knn", "prior_gap", "gaussian_hole_mass", "step_0_3_change", "test_distortion", "test_rate",
    ))  # fmt: skip


@figure(when=_varies("kl_weight"))
def rate_distortion(inputs: Inputs) -> Drawing | None:
    """Rate and distortion over the KL weight.

    One point per KL weight, with the weight beside it, one small marker per seed, one panel per data set. The ELBO is
    constant along a grey line. A model further to the lower left is better; a KL weight only chooses a place on its
    curve.
    """
    weights = values_of(inputs.configs, "kl_weight")
    chosen = inputs.choose([config for config in inputs.configs if config.uses("kl_weight")], without=["kl_weight"])
    rate, distortion = (_measured(inputs, chosen, {"kl_weight": weights}, n) for n in ("test_rate", "test_distortion"))
    groups = by_dataset([config for config in chosen.configs if inputs.label(config, ["kl_weight"]) in rate])
    if len(weights) < 2 or not groups:
        return None
    columns = min(2, len(groups))
    rows = math.ceil(len(groups) / columns)
    drawn, axes = new_figure(rows, columns, *((7, 4.8) if columns == 1 else (10, 4 * rows)))
    for ax, group in zip(axes.flat, groups, strict=False):
        labels = [inputs.label(config, ["kl_weight"]) for config in group]
        dims = [config.latent_dim for config in group]
        plots.rate_distortion(
            {label: rate[label] for label in labels}, {label: distortion[label] for label in labels},
            [f"{weight:g}" for weight in weights], ax, dims if len(set(dims)) == len(dims) > 1 else None,
        )  # fmt: skip
    return finish(drawn, chosen.note)


@figure(when=_varies("latent_dim", "kl_weight"))
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
    drawn, axes = new_figure(len(maps), 1, 8, len(maps) * (1.2 + 0.55 * len(dims)))
    names = [f"{dim}" for dim in dims], [f"{weight:g}" for weight in weights]
    for ax, (label, number) in zip(axes.flat, maps, strict=True):
        better = MEASUREMENTS[number].better
        plots.heat_map(measured[number][label], *names, "kl_weight", "latent_dim", axis_label(number, 20), ax, better)
        if len(labels) > 1:
            ax.set_title(label)
    few, all_ = (math.prod(map(len, values.values())) for values in (shown, every))
    return finish(drawn, chosen.note or ("" if few == all_ else f"{few} of {all_} settings"))


@figure
def ladder(inputs: Inputs) -> Drawing | None:
    """What must be known of the codes.

    How far samples are from test images, and how many test images they cover, as more is known of the model's codes:
    nothing (N(0, I)); their mean and covariance (a Gaussian); a mixture of ten Gaussians; the codes of training images
    (mean and standard deviation over seeds). What a model gains from left to right is what its prior does not know.
    """
    chosen = inputs.choose([config for config in inputs.configs if config in inputs.numbers])
    rungs = {"N(0, I)": "prior", "Gaussian": "gaussian", "mixture": "mixture", "codes": "aggregate"}
    dims = sorted({config.latent_dim for config in chosen.configs})
    panels: dict[tuple[str, int], dict[str, np.ndarray]] = {}
    for number, dim in itertools.product(("frechet", "coverage"), dims):
        lines = {}
        for setting in chosen.configs:
            rows = [inputs.numbers[c] for c in inputs.seeds(setting) if c in inputs.numbers]
            values = [_pad([row.get(f"{sampler}_{number}") for row in rows], len(rows)) for sampler in rungs.values()]
            if setting.latent_dim == dim and np.isfinite(values).any():
                lines[inputs.label(setting, ["latent_dim"])] = np.array(values)
        if lines:
            panels[number, dim] = lines
    if not panels:
        return None
    numbers, dims = list(dict.fromkeys(n for n, _ in panels)), list(dict.fromkeys(dim for _, dim in panels))
    drawn, axes = new_figure(len(numbers), len(dims), max(5.0, 3.2 * len(dims)), 2.4 * len(numbers) + 0.6)
    looks, key = _looks(inputs, chosen.configs, without=["latent_dim"])
    labels = {"frechet": "Fréchet distance of samples", "coverage": "coverage of test images"}
    for (number, dim), lines in panels.items():
        ax = axes[numbers.index(number), dims.index(dim)]
        width = max(line.shape[1] for line in lines.values())
        padded = {label: np.pad(line, ((0, 0), (0, width - line.shape[1])), constant_values=np.nan)
                  for label, line in lines.items()}  # fmt: skip
        plots.sweep_curve(list(rungs), padded, "", labels[number], ax, looks)
        if number == "frechet":
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter("{x:g}")  # the default is a formula, and formulas are not set
            ax.yaxis.set_minor_locator(NullLocator())
            ax.set_title(f"{dim} dimensions" if dim > 1 else "1 dimension")
        else:
            ax.set_ylim(0, 1)
            ax.set_xlabel("sampled from")
    share_legend(drawn, key or handles_of(drawn))
    return finish(drawn, chosen.note)


@figure
def kl_per_dimension(inputs: Inputs) -> Drawing | None:
    """KL of each latent dimension.

    Dimensions in falling order of their KL (mean and standard deviation over seeds), which is the most that a dimension
    says about an image. A dimension near 0 is not used.
    """
    measured = {c: inputs.numbers.get(c, {}).get("test_kl_per_dimension") for c in inputs.configs if c.latent_dim > 2}
    kls = {config: kl for config, kl in measured.items() if kl}
    if not kls:
        return None
    chosen = inputs.choose(list(kls))
    panels: dict[int, dict[str, list[list[float]]]] = {}
    for setting in chosen.configs:
        seeds = [kls[config] for config in inputs.seeds(setting) if config in kls]
        label = inputs.label(setting, ["latent_dim"])
        panels.setdefault(setting.latent_dim, {})[label] = [sorted(seed, reverse=True) for seed in seeds]
    looks, _ = _looks(inputs, chosen.configs, without=["latent_dim"])
    height = max(2.2, 0.6 + 0.22 * max(map(len, panels.values())))  # inches, with room for the legend
    drawn, axes = new_figure(len(panels), 1, 8, height * len(panels))
    for ax, (latent_dim, series) in zip(axes.flat, sorted(panels.items()), strict=True):
        plots.bars(series, "dimension, by KL", "KL\n(nats per image)", ax, looks)
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
    rows = math.ceil(len(panels) / 2)
    drawn, axes = new_figure(rows, 2, 8, 2.5 * rows + 0.6)
    looks, key = _looks(inputs, chosen.configs, without=[name])
    for ax, (number, lines) in zip(axes.flat, panels.items(), strict=False):
        plots.sweep_curve(x, lines, name, axis_label(number), ax, looks)
    order = {label: rank for rank, label in enumerate(looks)}  # the first panel may be of the last model alone
    share_legend(drawn, key or sorted(handles_of(drawn), key=lambda handle: order[str(handle.get_label())]))
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
    """Returns a metric per epoch, float[S, E] by setting, NaN after a divergence.

    Settings of other data sets, without the metric, or whose loss is their distortion, have none.
    """
    split, _, term = name.partition("_")
    curves: dict[str, list[list[float]]] = {}
    for config, epochs in histories.items():
        values = [row.get(name) for row in epochs] if config.dataset == dataset and name in epochs[0] else []
        if values and (term != "loss" or values != [row.get(f"{split}_distortion") for row in epochs]):
            curves.setdefault(inputs.label(config), []).append(_pad(values, config.num_epochs))
    return {label: np.array(seeds) for label, seeds in curves.items()}


def _looks(
    inputs: Inputs, configs: Sequence[Config], without: Sequence[str] = ()
) -> tuple[dict[str, Look], list[Line2D]]:
    """Returns a look by label of each setting, and the key to them.

    Where settings make a grid, its longer side is hues, from dark to light if they are many or numbers, and its shorter
    one dashes; otherwise series differ in both. Settings that differ only in fields of `without` look alike.
    """
    firsts = {inputs.label(config, without): config for config in reversed(configs)}
    labels = list(dict.fromkeys(inputs.label(config, without) for config in configs))
    names = names_of(inputs, list(firsts.values()), without)
    sides = [list(dict.fromkeys(names[firsts[label]][side] for label in labels)) for side in (0, 1)]
    hue, dash = (0, 1) if len(sides[0]) > len(sides[1]) else (1, 0)
    plain = series_looks(len(sides[hue]))
    if len(plain) > (len(SERIES_COLORS) if len(sides[dash]) == 1 else 2):
        plain = [
            look._replace(color=color) for look, color in zip(plain, ordered_colors(range(len(plain))), strict=True)
        ]
    looks = {}
    for label in labels:
        look = plain[sides[hue].index(names[firsts[label]][hue])]
        if len(sides[dash]) > 1:
            line, marker = SERIES_LINES[sides[dash].index(names[firsts[label]][dash]) % len(SERIES_LINES)]
            look = look._replace(linestyle=line, marker=marker)
        looks[label] = look
    if len(sides[dash]) == 1:
        return looks, []
    lines = {name: {"color": look.color} for name, look in zip(sides[hue], plain, strict=True)}
    lines |= {
        name: {"color": "0.3", "linestyle": line, "marker": marker}
        for name, (line, marker) in zip(sides[dash], itertools.cycle(SERIES_LINES), strict=False)
    }
    return looks, [Line2D([], [], label=name, **look) for name, look in lines.items()]


def _pad(values: Sequence[float | None], size: int) -> list[float]:
    """Returns the values with NaN for None, and after them up to the size."""
    return [math.nan if value is None else value for value in values] + [math.nan] * (size - len(values))


def _limit(axes: Sequence[Axes], values: np.ndarray) -> None:
    """Limits the y axes of some panels, all alike, to the finite ones of these values."""
    values = values[np.isfinite(values)]
    for ax in axes if values.size else ():
        margin = 0.05 * np.ptp(values) + 1e-6
        ax.set_ylim(values.min() - margin, values.max() + margin)
