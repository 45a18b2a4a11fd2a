"""Figures of numbers: training curves, and what was measured against hyperparameters."""

import itertools
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from vae_jax.claims.results import grouped, setting_of
from vae_jax.config import FIELDS, Config
from vae_jax.measure.measurements import MEASUREMENTS
from vae_jax.models import MODEL_FIELDS, MODELS
from vae_jax.report.figures import plots
from vae_jax.report.figures.inputs import RUNGS, Chosen, Inputs, is_number, spaced, values_of
from vae_jax.report.figures.panels import Drawing, figure, finish, label_once, looks_of, share_legend
from vae_jax.report.figures.style import Look, new_figure
from vae_jax.workdir import read_metrics, run_dir

MAX_VALUES = 10  # rows or columns of a heat map
MAX_MAPS = 4  # settings with heat maps of their own
WIDTHS = {"train": 0.8, "validation": 2.0}  # of the curves of a split, points
TERMS = ("distortion", "rate")
SWEPT = (
    "test_distortion", "test_rate", "test_elbo", "prior_frechet", "gaussian_hole_mass", "step_0_3_change", "mig",
)  # fmt: skip
WIDE_LADDERS = 3  # panels in a row that have room for the names of rungs side by side
LADDERS = {
    "frechet": "Fréchet distance of samples\n(lower is better)",
    "coverage": "coverage of test images\n(higher is better)",
}


@figure
def training_curves(inputs: Inputs) -> Drawing | None:
    """Training curves.

    Distortion and rate per epoch (mean and standard deviation over seeds), of validation images and, thinner, of
    training images. Thin curves that fall on while the thick ones rise show overfitting; distortion and rate show what
    the KL term trades. A row has one scale; the first tenth of the epochs may leave it.
    """
    chosen = inputs.choose()
    groups = grouped(chosen.configs, lambda config: (config.dataset, config.latent_dim))
    looks = looks_of(inputs, chosen.configs, without=["dataset", "latent_dim"])
    drawn, axes = new_figure(len(TERMS), len(groups), max(5.0, min(10.0, 3.6 * len(groups))), 5)
    several = len({config.dataset for config in chosen.configs}) > 1
    for row, term in enumerate(TERMS):
        settled = []
        for ax, group in zip(axes[row], groups, strict=True):
            for split, width in WIDTHS.items():
                if curves := _curves(inputs, group, split, term):
                    plots.training_curve(ax, curves, f"{term}\n(nats per image)", looks, width)
                    settled += [c[:, c.shape[1] // 10 :].ravel() for c in curves.values()]
        values = np.concatenate([*settled, []])
        values = values[np.isfinite(values)]
        for ax in axes[row] if values.size else ():
            margin = 0.05 * np.ptp(values) + 1e-6
            ax.set_ylim(values.min() - margin, values.max() + margin)
    for ax, group in zip(axes[0], groups, strict=True):
        of = [inputs.value(group[0], "dataset")] if several else []
        ax.set_title(", ".join([*of, _dimensions(group[0].latent_dim)]))
    label_once(axes)
    has_epochs = any(config.num_epochs > 1 for config in chosen.configs)
    key = {label: look._replace(marker="") for label, look in looks.items()} if has_epochs else looks
    return _finish(inputs, chosen, drawn, key, [
        Line2D([], [], color="0.5", linewidth=WIDTHS["validation"], label="validation images"),
        Line2D([], [], color="0.5", linewidth=WIDTHS["train"], label="training images"),
    ])  # fmt: skip


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

    Test numbers (mean and standard deviation over seeds) against the swept hyperparameter: above, what it costs; below,
    what it does to samples of N(0, I), to holes between the codes, to small steps and, where factors are known, to the
    gap between the two dimensions that know most of one. A model that ignores the hyperparameter is a level line. Where
    a curve is flat, it makes no difference.
    """
    name = _swept(inputs.configs)
    if name is None:
        return None
    chosen = inputs.choose(without=[name])
    values = values_of(inputs.configs, name)
    panels = {number: lines for number in SWEPT if (lines := _measured(inputs, chosen, {name: values}, number))}
    if not panels:
        return None
    texts = {getattr(config, name): inputs.value(config, name) for config in inputs.configs if config.uses(name)}
    x = values if is_number(name) else [texts[value] for value in values]
    rows = math.ceil(len(panels) / 3)
    drawn, axes = new_figure(rows, min(3, len(panels)), 10, 2.7 * rows)
    looks = looks_of(inputs, chosen.configs, without=[name])
    for ax, (number, lines) in zip(axes.flat, panels.items(), strict=False):
        plots.sweep_curve(ax, x, lines, name, _axis_label(number), looks)
    label_once(axes)
    return _finish(inputs, chosen, drawn, looks)


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
    known = [config for config in chosen.configs if inputs.label(config, ["kl_weight"]) in rate]
    groups = grouped(known, lambda config: config.dataset)
    if len(weights) < 2 or not groups:
        return None
    columns = min(2, len(groups))
    rows = math.ceil(len(groups) / columns)
    drawn, axes = new_figure(rows, columns, *((7, 4.8) if columns == 1 else (10, 4 * rows)))
    for ax, group in zip(axes.flat, groups, strict=False):
        labels = [inputs.label(config, ["kl_weight"]) for config in group]
        dims = [config.latent_dim for config in group]
        shades = dims if len(set(dims)) == len(dims) > 1 else None
        plots.rate_distortion(
            ax, {label: rate[label] for label in labels}, {label: distortion[label] for label in labels},
            [f"{weight:g}" for weight in weights], shades,
        )  # fmt: skip
    return finish(drawn, chosen.note)


@figure(when=_varies("latent_dim", "kl_weight"))
def heat_maps(inputs: Inputs) -> Drawing | None:
    """Latent dimensions against KL weight.

    Mean ± standard deviation over seeds, and first the models without a KL weight. Brighter is better, or, of a number
    that has no better side, higher. Look for the brightest cell, and whether it is the same for all numbers.
    """
    weighted = [config for config in inputs.configs if config.uses("kl_weight")]
    every = {name: values_of(weighted, name) for name in ("latent_dim", "kl_weight")}
    shown = {name: spaced(values, MAX_VALUES, getattr(inputs.base, name)) for name, values in every.items()}
    chosen = inputs.choose(weighted, MAX_MAPS, without=list(every))
    measured = [(c, number, _cells(inputs, c, shown, number)) for c in chosen.configs for number in inputs.heat_maps]
    maps = [(inputs.label(config, list(every)), number, *cells) for config, number, cells in measured if cells]
    dims, weights = shown.values()
    if min(len(dims), len(weights)) < 2 or not maps:
        return None
    drawn, axes = new_figure(len(maps), 1, 8, len(maps) * (1.2 + 0.55 * len(dims)))
    rows, names = [f"{dim}" for dim in dims], [f"{weight:g}" for weight in weights]
    for ax, (label, number, cells, beside) in zip(axes.flat, maps, strict=True):
        better = MEASUREMENTS[number].better
        plots.heat_map(ax, cells, rows, [*beside, *names], "kl_weight", "latent_dim", _axis_label(number, 20), better)
        if len(chosen.configs) > 1:
            ax.set_title(label)
    few, all_ = (math.prod(map(len, values.values())) for values in (shown, every))
    return finish(drawn, chosen.note or ("" if few == all_ else f"{few} of {all_} settings"))


def _cells(
    inputs: Inputs, setting: Config, axes: Mapping[str, Sequence[Any]], number: str
) -> tuple[np.ndarray, list[str]] | None:
    """Returns a number by latent_dim and KL weight, float[D, M + W, S]: first of the M models without a weight, named.

    None if the setting does not have the number.
    """
    measured = [*_measured(inputs, Chosen([setting], ""), axes, number).values()]
    if not measured:
        return None
    but = ["model", *MODEL_FIELDS, "latent_dim"]
    others = [c for c in inputs.configs if not c.uses("kl_weight") and setting_of(c, but) == setting_of(setting, but)]
    names = list[str]()
    for group in reversed(grouped(others, lambda config: config.model)):
        dims = {"latent_dim": axes["latent_dim"]}
        for cells in _measured(inputs, Chosen(group, ""), dims, number).values():
            measured.insert(0, cells[:, None])
            names.insert(0, MODELS[group[0].model].title)
    return np.concatenate(measured, axis=1), names


@figure
def ladder(inputs: Inputs) -> Drawing | None:
    """What must be known of the codes.

    How far samples are from test images, and how many test images they cover, as more is known of the model's codes:
    nothing, so that N(0, I) is sampled; their mean and covariance (a Gaussian); a mixture of ten Gaussians; the codes
    of training images themselves (mean and standard deviation over seeds). What a model gains from left to right is
    what N(0, I) does not know of its codes.
    """
    chosen = inputs.choose([config for config in inputs.configs if config in inputs.numbers])
    dims = values_of(chosen.configs, "latent_dim")
    looks = looks_of(inputs, chosen.configs, without=["latent_dim"])
    drawn, axes = new_figure(2, max(1, len(dims)), max(5.0, min(10.0, 4.2 * len(dims))), 5.4)
    for (row, number), (column, dim) in itertools.product(enumerate(("frechet", "coverage")), enumerate(dims)):
        rungs = [_measured(inputs, chosen, {"latent_dim": [dim]}, f"{sampler}_{number}") for sampler in RUNGS]
        blank = np.full((1, _num_seeds(inputs)), np.nan)
        lines = {label: np.concatenate([rung.get(label, blank) for rung in rungs]) for label in looks}
        lines = {label: line for label, line in lines.items() if np.isfinite(line).any()}
        if lines:
            ax = axes[row, column]
            plots.sweep_curve(ax, [*RUNGS.values()], lines, "known of the codes", LADDERS[number], looks)
            ax.tick_params("x", labelrotation=90 if len(dims) > WIDE_LADDERS else 0)
            if number == "frechet":
                ax.set(yscale="log", title=_dimensions(dim))
                ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                ax.yaxis.set_major_formatter("{x:g}")  # the default is a formula, and formulas are not set
                ax.yaxis.set_minor_locator(NullLocator())
            else:
                ax.set_ylim(0, 1)
    if not any(ax.has_data() for ax in axes.flat):
        return None
    label_once(axes)
    return _finish(inputs, chosen, drawn, looks)


@figure
def kl_per_dimension(inputs: Inputs) -> Drawing | None:
    """KL of each latent dimension.

    Dimensions in falling order of their KL (mean and standard deviation over seeds), which is the most that a dimension
    says about an image. A dimension near 0 is not used.
    """
    measured = {c: inputs.numbers.get(c, {}).get("test_kl_per_dimension") for c in inputs.configs if c.latent_dim > 2}
    kls = {config: sorted(kl, reverse=True) for config, kl in measured.items() if kl}
    if not kls:
        return None
    chosen = inputs.choose(list(kls))
    groups = sorted(grouped(chosen.configs, lambda config: config.latent_dim), key=lambda group: group[0].latent_dim)
    looks = looks_of(inputs, chosen.configs, without=["latent_dim"])
    drawn, axes = new_figure(len(groups), 1, 8, 2.2 * len(groups))
    for ax, group in zip(axes.flat, groups, strict=True):
        seeds = {inputs.label(c, ["latent_dim"]): [kls[run] for run in inputs.seeds(c) if run in kls] for c in group}
        series = {label: np.array(rows).T for label, rows in seeds.items()}
        ranks = [f"{rank}" for rank in range(1, group[0].latent_dim + 1)]
        plots.sweep_curve(ax, ranks, series, "dimension, by KL", "KL\n(nats per image)", looks)
        ax.set_title(f"latent_dim {group[0].latent_dim}")
    top = max(ax.get_ylim()[1] for ax in axes.flat)
    for ax in axes.flat:
        ax.set_ylim(0, top)
    return _finish(inputs, chosen, drawn, looks)


def _dimensions(count: int) -> str:
    return f"{count} dimension{'s'[: count - 1]}"


def _axis_label(name: str, width: int = 26) -> str:
    """Returns a measurement's label and unit, in lines of at most `width` characters where words allow it."""
    unit = [f"({MEASUREMENTS[name].unit})"] if MEASUREMENTS[name].unit else []
    label = MEASUREMENTS[name].label.replace("(0, I)", "(0,\N{NO-BREAK SPACE}I)")
    return "\n".join([*textwrap.wrap(label, width), *unit])


def _measured(inputs: Inputs, chosen: Chosen, axes: Mapping[str, Sequence[Any]], number: str) -> dict[str, np.ndarray]:
    """Returns a number over the values of some fields and over seeds, by label of the setting that these fields leave.

    The arrays are float[values of the first field, ..., S], NaN where a seed is missing. A setting without the number
    has none.
    """
    shown = {setting_of(config, list(axes)) for config in chosen.configs}
    cells: dict[str, dict[tuple[Any, ...], list[float]]] = {}
    for config, row in inputs.numbers.items():
        if setting_of(config, list(axes)) in shown and (value := row.get(number)) is not None:
            at = cells.setdefault(inputs.label(config, list(axes)), {})
            # A model that ignores a field has the same number at all of its values.
            for place in itertools.product(*([getattr(config, n)] if config.uses(n) else axes[n] for n in axes)):
                at.setdefault(place, []).append(value)
    shape = *map(len, axes.values()), _num_seeds(inputs)
    return {
        label: np.array([_pad(at.get(place, []), shape[-1]) for place in itertools.product(*axes.values())])
        .reshape(shape)
        for label, at in cells.items()
    }  # fmt: skip


def _curves(inputs: Inputs, settings: Sequence[Config], split: str, term: str) -> dict[str, np.ndarray]:
    """Returns a metric per epoch, float[S, E] by label of each setting, NaN after a divergence.

    Settings without the metric have none.
    """
    curves: dict[str, list[list[float]]] = {}
    for config in (run for setting in settings for run in inputs.seeds(setting)):
        epochs = read_metrics(run_dir(inputs.workdir, config))
        values = [row.get(f"{split}_{term}") for row in epochs] if f"{split}_{term}" in epochs[0] else []
        if values:
            curves.setdefault(inputs.label(config, ["dataset", "latent_dim"]), []).append(
                _pad(values, config.num_epochs)
            )
    return {label: np.array(seeds) for label, seeds in curves.items()}


def _finish(
    inputs: Inputs, chosen: Chosen, drawn: Figure, looks: Mapping[str, Look], more: Sequence[Line2D] = ()
) -> Drawing:
    """Adds the key to the looks, and more of it, beneath the panels."""
    several = any(len(inputs.seeds(config)) > 1 for config in chosen.configs)
    key = [Line2D([], [], label=label, **look._asdict()) for label, look in looks.items()]
    share_legend(drawn, [*key, *more], "mean ± sd over seeds" if several else None)
    return finish(drawn, chosen.note)


def _num_seeds(inputs: Inputs) -> int:
    return len({config.seed for config in inputs.configs})


def _pad(values: Sequence[float | None], size: int) -> list[float]:
    """Returns the values with NaN for None, and after them up to the size."""
    return [math.nan if value is None else value for value in values] + [math.nan] * (size - len(values))
