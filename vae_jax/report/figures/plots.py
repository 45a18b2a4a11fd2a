"""Plots of numbers: curves, bars, the rate-distortion plane and heat maps. Arrays in, matplotlib Axes out.

Each function draws on `ax`, or on the axes of a new figure if `ax` is None, and returns the axes. A wrong shape is a
ValueError that names the argument. In shapes, S is the number of seeds. Values that are not finite are left out.
`looks` has a look per label; without them, series differ in colour, line and marker.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from vae_jax.report.figures.style import (
    SERIES_COLORS,
    Look,
    as_array,
    as_arrays,
    in_style,
    new_axes,
    ordered_colors,
    series_looks,
)

MAX_TICKS = 6  # values of a hyperparameter that are ticks of a linear axis


@in_style()
def training_curve(
    curves: Mapping[str, ArrayLike], ylabel: str, ax: Axes | None = None, looks: Mapping[str, Look] | None = None
) -> Axes:
    """Plots the mean over seeds of float[S, E] by label at epochs 1 to E, in a band of ± one standard deviation."""
    checked = as_arrays("curves", curves, "S", "E")
    ax = ax or new_axes(5, 3.6)
    for label, mean, sd, look in _summaries(checked, 0, looks):
        epochs = np.arange(1, len(mean) + 1)
        marker = look["marker"] if len(mean) == 1 else ""  # a line through one point is invisible
        ax.plot(epochs, mean, label=label, **look | {"marker": marker})
        ax.fill_between(epochs, mean - sd, mean + sd, color=look["color"], alpha=0.2, linewidth=0)
    ax.set(xlabel="epoch", ylabel=ylabel, xlim=(0.5, max(curve.shape[1] for curve in checked.values()) + 0.5))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return _legend(ax, checked, axis=0)


@in_style()
def sweep_curve(
    x: Sequence[float] | Sequence[str], values: Mapping[str, ArrayLike], xlabel: str, ylabel: str,
    ax: Axes | None = None, looks: Mapping[str, Look] | None = None,
) -> Axes:  # fmt: skip
    """Plots the mean over seeds ± one standard deviation of float[X, S] by label against a hyperparameter.

    Rising numbers `x` that span more than a factor of four have a logarithmic axis, on which 0 stands left of the
    smallest positive one. Texts `x` stand evenly spaced.
    """
    texts = [value for value in x if isinstance(value, str)]
    points = np.arange(len(x)) if texts else as_array("x", x, "X")
    checked = as_arrays("values", values, len(points), "S")
    ax = ax or new_axes(5, 3.6)
    for label, mean, sd, look in _summaries(checked, 1, looks):
        ax.errorbar(points, mean, sd, label=label, capsize=3, **look)
    if texts:
        ax.set_xticks(points, texts, rotation=30 if sum(map(len, texts)) > 40 else 0)
    elif len(points) > 2 and points[0] >= 0 and points[-1] > 4 * points[0]:
        # From `linthresh` on this is a logarithmic axis; below, it has a place for 0.
        ax.set_xscale("symlog", linthresh=points[points > 0].min())
        ax.set_xticks(points, thin([f"{point:g}" for point in points], 12))
        ax.xaxis.set_minor_locator(NullLocator())
    elif len(points) <= MAX_TICKS:
        ax.set_xticks(points)
    if all(np.all(value % 1 == 0) for each in checked.values() for value in each[np.isfinite(each)]):
        ax.yaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))  # there is no half of a dimension
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return _legend(ax, checked, axis=1)


@in_style()
def bars(
    values: Mapping[str, ArrayLike], xlabel: str, ylabel: str, ax: Axes | None = None,
    looks: Mapping[str, Look] | None = None,
) -> Axes:  # fmt: skip
    """Plots the mean over seeds of float[S, D] by label as bars at 1 to D, with error bars of ± one standard deviation.

    Bars of zero height keep their place.
    """
    checked = as_arrays("values", values, "S", "D")
    ax = ax or new_axes(5, 3.6)
    width = 0.8 / len(checked)
    # Bars have no line style to tell them apart, so many series take shades of an ordered palette.
    many = ordered_colors(np.arange(len(checked))) if looks is None and len(checked) > len(SERIES_COLORS) else None
    outlined = {"elinewidth": 1, "path_effects": [patheffects.withStroke(linewidth=2.5, foreground="white")]}
    for index, (label, mean, sd, look) in enumerate(_summaries(checked, 0, looks)):
        places = np.arange(1, len(mean) + 1) + (index - (len(checked) - 1) / 2) * width
        color = look["color"] if many is None else many[index]
        ax.bar(places, mean, width, yerr=sd, color=color, capsize=2, label=label, error_kw=outlined)
    ax.set(xlabel=xlabel, ylabel=ylabel, xlim=(0.4, max(value.shape[1] for value in checked.values()) + 0.6))
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    return _legend(ax, checked, axis=0)


@in_style()
def rate_distortion(
    rate: Mapping[str, ArrayLike], distortion: Mapping[str, ArrayLike], point_labels: Sequence[str],
    ax: Axes | None = None, shades: Sequence[float] | None = None,
) -> Axes:  # fmt: skip
    """Plots distortion against rate, float[X, S] by label: a small marker per seed and a line through the means.

    Rate + distortion = -ELBO, so the ELBO is constant along the grey diagonals. The X texts, such as KL weights, stand
    beside the means. A number per label, such as its latent_dim, shades its line: the higher, the lighter.

    References:
        Alemi et al. 2018, "Fixing a Broken ELBO" (arXiv:1711.00464), figure 1.
    """
    rates = as_arrays("rate", rate, len(point_labels), "S")
    distortions = {label: as_array(f"distortion[{label!r}]", distortion[label], *rates[label].shape) for label in rates}
    colors = [None] * len(rates) if shades is None else ordered_colors(as_array("shades", shades, len(rates)))
    ax = ax or new_axes(5, 4)
    series = zip(_summaries(rates, 1), _summaries(distortions, 1), colors, strict=True)
    for (label, x, _, look), (_, y, _, _), shade in series:
        color = look["color"] if shade is None else shade
        ax.scatter(rates[label], distortions[label], s=14, color=color, marker=look["marker"], alpha=0.6, linewidths=0)
        ax.plot(x, y, label=label, color=color, linestyle=look["linestyle"])
        for text, mean_rate, mean_distortion in zip(point_labels, x, y, strict=True):
            ax.annotate(text, (mean_rate, mean_distortion), (4, 4), textcoords="offset points", fontsize="small")
    _iso_elbo(ax)
    ax.xaxis.set_major_locator(MaxNLocator(6))  # long numbers would overlap
    ax.set(xlabel="rate (nats per image)", ylabel="distortion (nats per image)")
    ax.legend()
    return ax


@in_style()
def heat_map(
    values: ArrayLike, row_labels: Sequence[str], column_labels: Sequence[str], xlabel: str, ylabel: str, label: str,
    ax: Axes | None = None, better: str | None = None,
) -> Axes:  # fmt: skip
    """Shows float[R, C, S] as colours, each cell with its `mean ± sd` over seeds; a cell without a value is hatched.

    Row 0 is the top. `label` is the quantity and its unit. Brighter is better, if `better` is "higher" or "lower", and
    higher for any other value.
    """
    mean, sd = _mean_sd(as_array("values", values, len(row_labels), len(column_labels), "S"), axis=2)
    ax = ax or new_axes(2 + 0.8 * mean.shape[1], 1 + 0.6 * mean.shape[0])
    image = ax.imshow(np.ma.masked_invalid(mean), cmap="cividis_r" if better == "lower" else "cividis", aspect="auto")
    finite = mean[np.isfinite(mean)]
    greatest = np.abs(finite).max(initial=0) or 1
    # The largest number has four digits.
    decimals = 0 if np.all(finite % 1 == 0) else max(0, 3 - math.floor(math.log10(greatest)))
    for (row, column), value in np.ndenumerate(mean):
        text, color = "–", "black"
        if np.isfinite(value):
            color = "white" if np.dot(image.to_rgba(value)[:3], (0.299, 0.587, 0.114)) < 0.5 else "black"
            error = sd[row, column]
            text = format_number(value, decimals) + (f"\n± {error:.{decimals}f}" if np.isfinite(error) else "")
        else:
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="0.9", edgecolor="0.6", hatch="///"))
        ax.text(column, row, text, color=color, ha="center", va="center", fontsize="small")
    # An inset is as high as the map, whatever the layout.
    bar = ax.figure.colorbar(image, cax=ax.inset_axes((1.03, 0, 0.04, 1)), label=label)
    if better == "lower":
        bar.ax.invert_yaxis()  # so that the best is at the top of every bar
    label_cells(ax, range(mean.shape[0]), row_labels, range(mean.shape[1]), column_labels)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return ax


def label_cells(
    ax: Axes, rows: ArrayLike, row_labels: Sequence[str] | None, columns: ArrayLike, column_labels: Sequence[str] | None
) -> None:
    """Writes texts beside the rows and columns of a picture that fills its axes, in place of ticks."""
    ax.set_xticks([] if column_labels is None else columns, column_labels)
    ax.set_yticks([] if row_labels is None else rows, row_labels)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def format_number(value: float, decimals: int) -> str:
    """Formats a number with a true minus sign and without a negative zero."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "−")


def thin(labels: Sequence[str], most: int = 8) -> list[str]:
    """Empties some labels so that about `most` remain, evenly spaced, with both ends if an even step allows it."""
    least = math.ceil(len(labels) / most)
    step = next((step for step in range(least, 2 * least + 1) if (len(labels) - 1) % step == 0), least)
    return [label if index % step == 0 else "" for index, label in enumerate(labels)]


def _mean_sd(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the finite values; NaN for the mean of none and the deviation of one."""
    finite = np.ma.masked_invalid(values)
    return finite.mean(axis).filled(np.nan), finite.std(axis, ddof=1).filled(np.nan)


def _summaries(
    series: Mapping[str, np.ndarray], axis: int, looks: Mapping[str, Look] | None = None
) -> Iterator[tuple[str, np.ndarray, np.ndarray, dict[str, Any]]]:
    """Yields label, mean, standard deviation and look of each series; `axis` is that of the seeds."""
    looks = dict(zip(series, series_looks(len(series)), strict=True)) if looks is None else looks
    for label, values in series.items():
        yield label, *_mean_sd(values, axis), looks[label]._asdict()


def _legend(ax: Axes, series: Mapping[str, np.ndarray], axis: int) -> Axes:
    """Adds a legend, whose title explains bands and error bars if any series has more than one seed."""
    spread = any(value.shape[axis] > 1 for value in series.values())
    ax.legend(title="mean ± sd over seeds" if spread else None, alignment="left")
    return ax


def _iso_elbo(ax: Axes) -> None:
    """Draws lines of equal rate + distortion behind the data, within the limits of the axes."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    levels = MaxNLocator(8).tick_values(left + bottom, right + top)
    for index, level in enumerate(levels):
        label = None if index else f"equal ELBO, {levels[1] - levels[0]:g} nats apart"
        ax.plot([left, right], [level - left, level - right], color="0.85", linewidth=0.8, zorder=0, label=label)
    ax.set(xlim=(left, right), ylim=(bottom, top))
