"""Plots of numbers: curves, the rate-distortion plane and heat maps. Arrays in, on matplotlib's axes.

In shapes, S is the number of seeds. Values that are not finite are left out. `looks` has a look per label.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from vae_jax.report.figures.style import SERIES_COLORS, SERIES_LINES, Look, ordered_colors

LABEL_GAP = 16  # points between labels along a line
MAX_LETTERS = 27  # below a map of shares, that fit side by side
MAX_TICKS = 12  # values of a hyperparameter that have a tick


def training_curve(
    ax: Axes, curves: Mapping[str, np.ndarray], ylabel: str, looks: Mapping[str, Look], width: float = 1.5
) -> None:
    """Plots the mean over seeds of float[S, E] by label at epochs 1 to E, in a band of ± one standard deviation.

    `width` is that of the lines, points.
    """
    for label, values in curves.items():
        mean, sd = _mean_sd(values, axis=0)
        epochs, color = np.arange(1, len(mean) + 1), looks[label].color
        marker = looks[label].marker if len(mean) == 1 else ""  # a line through one point is invisible
        ax.plot(epochs, mean, color=color, linestyle=looks[label].linestyle, marker=marker, linewidth=width)
        ax.fill_between(epochs, mean - sd, mean + sd, color=color, alpha=0.2, linewidth=0)
    ax.set(xlabel="epoch", ylabel=ylabel, xlim=(0.5, max(values.shape[1] for values in curves.values()) + 0.5))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def sweep_curve(
    ax: Axes, x: Sequence[float] | Sequence[str], values: Mapping[str, np.ndarray], xlabel: str, ylabel: str,
    looks: Mapping[str, Look],
) -> None:  # fmt: skip
    """Plots the mean over seeds ± one standard deviation of float[X, S] by label against a hyperparameter.

    Rising numbers `x` that span more than a factor of four have a logarithmic axis, on which 0 stands left of the
    smallest positive one. Texts `x` stand evenly spaced.
    """
    texts, crowded = [value if isinstance(value, str) else f"{value:g}" for value in x], 40  # characters
    points = np.arange(len(x)) if isinstance(x[0], str) else np.asarray(x)
    for label, each in values.items():
        mean, sd = _mean_sd(each, axis=1)
        ax.errorbar(points, mean, sd, capsize=3, **looks[label]._asdict())
    if not isinstance(x[0], str) and len(x) > 2 and points[0] >= 0 and points[-1] > 4 * points[0]:
        # From `linthresh` on this is a logarithmic axis; below, it has a place for 0.
        ax.set_xscale("symlog", linthresh=points[points > 0].min())
        ax.xaxis.set_minor_locator(NullLocator())
        crowded = 12
    step = math.ceil(len(x) / MAX_TICKS)
    width = sum(max(map(len, text.split("\n"))) for text in texts[::step])
    ax.set_xticks(points[::step], texts[::step], rotation=30 if width > crowded else 0)
    if all(np.all(each[np.isfinite(each)] % 1 == 0) for each in values.values()):
        ax.yaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))  # there is no half of a dimension
    ax.set(xlabel=xlabel, ylabel=ylabel)


def rate_distortion(
    ax: Axes, rate: Mapping[str, np.ndarray], distortion: Mapping[str, np.ndarray], point_labels: Sequence[str],
    shades: Sequence[float] | None = None,
) -> None:  # fmt: skip
    """Plots distortion against rate, float[X, S] by label: a small marker per seed and a line through the means.

    Rate + distortion = -ELBO, so the ELBO is constant along the grey diagonals. The X texts, such as KL weights, stand
    beside the means. A number per label, such as its latent_dim, shades its line: the higher, the lighter.

    References:
        Alemi et al. 2018, "Fixing a Broken ELBO" (arXiv:1711.00464), figure 1.
    """
    colors = ordered_colors(shades) if shades is not None else [SERIES_COLORS[i % 5] for i in range(len(rate))]
    means = []
    for index, (label, color) in enumerate(zip(rate, colors, strict=True)):
        line, marker = SERIES_LINES[index % len(SERIES_LINES)]
        x, y = (_mean_sd(each[label], axis=1)[0] for each in (rate, distortion))
        ax.scatter(rate[label], distortion[label], s=14, color=color, marker=marker, alpha=0.6, linewidths=0)
        ax.plot(x, y, label=label, color=color, linestyle=line)
        means.append((x, y))
    _iso_elbo(ax)
    for x, y in means:
        _label_points(ax, x, y, point_labels)
    ax.xaxis.set_major_locator(MaxNLocator(6))  # long numbers would overlap
    ax.set(xlabel="rate (nats per image)", ylabel="distortion (nats per image)")
    ax.legend()


def heat_map(
    ax: Axes, values: np.ndarray, row_labels: Sequence[str], column_labels: Sequence[str], xlabel: str, ylabel: str,
    label: str, better: str | None,
) -> None:  # fmt: skip
    """Shows float[R, C, S] as colours, each cell with its `mean ± sd` over seeds; a cell without a value is hatched.

    Row 0 is the top. `label` is the quantity and its unit. Brighter is better, if `better` is "higher" or "lower", and
    higher for any other value.
    """
    mean, sd = _mean_sd(values, axis=2)
    image = ax.imshow(np.ma.masked_invalid(mean), cmap="cividis_r" if better == "lower" else "cividis", aspect="auto")
    finite = mean[np.isfinite(mean)]
    greatest = np.abs(finite).max(initial=0) or 1
    # The largest number has four digits.
    decimals = 0 if np.all(finite % 1 == 0) else max(0, 3 - math.floor(math.log10(greatest)))
    for (row, column), value in np.ndenumerate(mean):
        text = "–"
        if np.isfinite(value):
            error = sd[row, column]
            text = format_number(value, decimals) + (f"\n± {error:.{decimals}f}" if np.isfinite(error) else "")
        else:
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="0.9", edgecolor="0.6", hatch="///"))
        ax.text(column, row, text, color=_ink(image, value), ha="center", va="center", fontsize="small")
    bar = ax.figure.colorbar(image, ax=ax, label=label, aspect=10)
    if better == "lower":
        bar.ax.invert_yaxis()  # so that the best is at the top of every bar
    label_cells(ax, range(mean.shape[0]), row_labels, range(mean.shape[1]), column_labels)
    ax.set(xlabel=xlabel, ylabel=ylabel)


def share_map(ax: Axes, shares: np.ndarray, row_labels: Sequence[str], column_labels: Sequence[str]) -> None:
    """Shows shares float[R, C] as colours from 0 to 1, brighter for more, each cell with its percent; NaN is a dash."""
    image = ax.imshow(np.ma.masked_invalid(shares), cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        text = f"{100 * share:.0f}" if np.isfinite(share) else "–"
        ax.text(column, row, text, color=_ink(image, share), ha="center", va="center", fontsize="small")
    label_cells(ax, range(len(shares)), row_labels, range(shares.shape[1]), column_labels)
    is_crowded = len(column_labels) * max(map(len, column_labels)) > MAX_LETTERS
    ax.tick_params("x", labelrotation=90 if is_crowded else 0)


def _ink(image: AxesImage, value: float) -> str:
    """The colour of a text on a cell of this value that can be read; black on a cell without a value."""
    is_dark = np.isfinite(value) and np.dot(image.to_rgba(np.asarray(value))[:3], (0.299, 0.587, 0.114)) < 0.5
    return "white" if is_dark else "black"


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


def shortened(text: str, most: int) -> str:
    """Cuts a name off at so many characters."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _mean_sd(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the finite values; NaN for the mean of none and the deviation of one."""
    finite = np.ma.masked_invalid(values)
    return finite.mean(axis).filled(np.nan), finite.std(axis, ddof=1).filled(np.nan)


def _label_points(ax: Axes, x: np.ndarray, y: np.ndarray, texts: Sequence[str]) -> None:
    """Writes texts beside the points float[N] of a line, but not where one would cover the one before."""
    last = np.full(2, -np.inf)
    for text, place in zip(texts, np.column_stack([x, y]), strict=True):
        at = ax.transData.transform(place) / ax.figure.dpi * 72  # points
        if np.isfinite(at).all() and np.abs(at - last).max() > LABEL_GAP:
            ax.annotate(text, place, (4, 4), textcoords="offset points", fontsize="small")
            last = at


def _iso_elbo(ax: Axes) -> None:
    """Draws lines of equal rate + distortion behind the data, within the limits of the axes."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    levels = MaxNLocator(8).tick_values(left + bottom, right + top)
    for index, level in enumerate(levels):
        label = None if index else f"equal ELBO, {levels[1] - levels[0]:g} nats apart"
        ax.plot([left, right], [level - left, level - right], color="0.85", linewidth=0.8, zorder=0, label=label)
    ax.set(xlim=(left, right), ylim=(bottom, top))
