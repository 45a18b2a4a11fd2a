"""Plots of a latent plane: codes, posteriors, and maps of a value. Arrays in, on matplotlib's axes.

`codes` are float[N, 2], the means of posteriors, `labels` int[N] or None, and `classes` the names of all classes of the
data set by their labels, ascending, so that a class has one colour in every panel. Axes end at `limit` on all sides.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.colors import to_rgba_array
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from vae_jax.report.figures.plots import shortened
from vae_jax.report.figures.style import CLASS_COLORS

MAX_NAMES = 40  # more would cover the codes
NAME_SIZE, MIN_WIDTH = 9, 110  # of names, and of a panel that has them, points
CHARACTER = 0.75  # width of a character of a name, of its size
MIN_NAME = 8  # characters that a name has before it is cut off
NAMES_SHARE = 0.4  # of the width of a panel, that a longer name takes at most
MAX_KEY = 24  # characters of a name in a legend


def latent_codes(
    ax: Axes, codes: np.ndarray, labels: np.ndarray | None, limit: float, axis_labels: tuple[str, str],
    classes: Mapping[int, str], prior_dims: int = 2,
) -> None:  # fmt: skip
    """Plots codes as dots in the colours of their classes, with the name of each class, and N(0, I).

    Codes beyond the limit are counted. A prior of one dimension is drawn as lines across the first axis, of two as
    circles.
    """
    colors = class_colors(len(codes), labels, classes)
    ax.scatter(codes[:, 0], codes[:, 1], s=6, c=colors, alpha=0.7, linewidths=0, rasterized=True)
    draw_prior(ax, prior_dims)
    _draw_names(ax, codes, labels, limit, classes)
    if hidden := int((~(np.abs(codes) <= limit).all(axis=1)).sum()):
        box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 2}
        note = f"{hidden:,} of {len(codes):,} not shown"
        ax.text(0.03, 0.03, note, transform=ax.transAxes, fontsize="small", bbox=box, zorder=5)
    ax.set(xlabel=axis_labels[0], ylabel=axis_labels[1], xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")


def posterior_ellipses(
    ax: Axes, codes: np.ndarray, logvar: np.ndarray | None, labels: np.ndarray | None, limit: float,
    center: np.ndarray, classes: Mapping[int, str],
) -> None:  # fmt: skip
    """Plots posteriors as ellipses of one standard deviation in the colours of their classes, and N(0, I).

    `logvar` is float[N, 2], or None for points. The axes end at the limit from the center, float[2].
    """
    colors, sd = class_colors(len(codes), labels, classes), np.zeros_like(codes)
    if logvar is not None:
        with np.errstate(over="ignore"):  # the variances of a diverged run may be infinite
            sd = np.exp(logvar / 2)
    drawn = np.isfinite(codes).all(axis=1) & np.isfinite(sd).all(axis=1)
    if logvar is not None:
        ax.add_collection(EllipseCollection(
            2 * sd[drawn, 0], 2 * sd[drawn, 1], np.zeros(drawn.sum()), units="xy", offsets=codes[drawn],
            offset_transform=ax.transData, facecolors=to_rgba_array(colors[drawn], 0.2), edgecolors=colors[drawn],
            linewidths=0.8,
        ))  # fmt: skip
    size = 24 if logvar is None else 5
    ax.scatter(codes[drawn, 0], codes[drawn, 1], s=size, c=_darker(colors[drawn]), linewidths=0, zorder=3)
    draw_prior(ax)
    x, y = center
    ax.set(xlabel="z₁", ylabel="z₂", xlim=(x - limit, x + limit), ylim=(y - limit, y + limit), aspect="equal")


def plane_map(
    ax: Axes, values: np.ndarray, level: float, ends: tuple[float, float], codes: np.ndarray,
    labels: np.ndarray | None, limit: float, classes: Mapping[int, str],
) -> None:  # fmt: skip
    """Shows values float[R, C] over the plane, row 0 at the top, with codes on it, and N(0, I).

    A solid line marks the level. `ends` are the values of the darkest and of the brightest colour, whose scale
    `level_bar` adds, once for panels that share it.
    """
    extent = (-limit, limit, -limit, limit)
    ax.imshow(np.ma.masked_invalid(values), cmap="cividis", extent=extent, vmin=ends[0], vmax=ends[1])
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() < level < finite.max():  # contour warns where it finds no line
        lines = ax.contour(values, [level], colors="black", linewidths=1.5, extent=extent, origin="upper")
        lines.set_path_effects([withStroke(linewidth=3.5, foreground="white")])
    # White with black edges shows on bright and dark ground alike.
    ax.scatter(codes[:, 0], codes[:, 1], s=3, color="white", edgecolors="black", linewidths=0.3, rasterized=True)
    draw_prior(ax, color="white", path_effects=[withStroke(linewidth=2.2, foreground="black")])
    _draw_names(ax, codes, labels, limit, classes)
    ax.set(xlabel="z₁", ylabel="z₂", xlim=extent[:2], ylim=extent[2:])


def level_bar(axes: Sequence[Axes], level: float, label: str) -> None:
    """Adds one colour bar beside panels of `plane_map` that share a scale, with the level marked."""
    bar = axes[0].figure.colorbar(axes[0].images[0], ax=list(axes), label=label, shrink=0.8, aspect=30)
    line = bar.ax.axhline(level, color="black", linewidth=1.5)
    line.set_path_effects([withStroke(linewidth=3.5, foreground="white")])


def class_key(classes: Mapping[int, str]) -> list[Line2D]:
    """Returns a dot with a name per class for a legend."""
    colors = class_colors(len(classes), np.array(list(classes)), classes)
    return [Line2D([], [], color=color, marker="o", linestyle="", label=shortened(name, MAX_KEY))
            for color, name in zip(colors, classes.values(), strict=True)]  # fmt: skip


def class_colors(count: int, labels: np.ndarray | None, classes: Mapping[int, str]) -> np.ndarray:
    """Returns a colour float[4] per code: by the rank of its class, or the first colour without labels."""
    if labels is None:
        return np.repeat(CLASS_COLORS[:1], count, axis=0)
    palette = CLASS_COLORS
    if len(classes) > len(palette):
        palette = matplotlib.colormaps["turbo"](np.linspace(0, 1, len(classes)))
    return palette[np.searchsorted(list(classes), labels)]


def _darker(colors: np.ndarray) -> np.ndarray:
    """Returns colours float[N, 4] that can be read on white."""
    return np.column_stack([0.65 * colors[:, :3], colors[:, 3]])


def _draw_names(
    ax: Axes, codes: np.ndarray, labels: np.ndarray | None, limit: float, classes: Mapping[int, str]
) -> None:
    """Writes the name of each class near the median of its codes, on one where it covers no other name.

    A class whose nearest half is covered has none, and so has a panel too narrow for names. Long names are cut off.
    """
    width = ax.get_window_extent().width / ax.figure.dpi * 72  # points, before the layout
    if labels is None or len(np.unique(labels)) > MAX_NAMES or width < MIN_WIDTH:
        return
    most = max(MIN_NAME, int(NAMES_SHARE * width / (CHARACTER * NAME_SIZE)))
    height = 2 * limit * NAME_SIZE / width  # in units of z
    taken, sizes = np.empty((0, 2)), np.empty((0, 2))
    inside = (np.abs(codes) <= limit - height / 2).all(axis=1)
    look: dict[str, Any] = {"weight": "bold", "ha": "center", "va": "center", "zorder": 4}
    for number in np.unique(labels[inside]):
        name, own = shortened(classes[int(number)], most), codes[inside & (labels == number)]
        nearest = np.argsort(np.linalg.norm(own - np.median(own, axis=0), axis=1))[: math.ceil(len(own) / 2)]
        size = height * np.array([CHARACTER * len(name), 1])
        within = np.maximum(0, limit - np.maximum(size, height) / 2)  # a long name does not reach over the edge
        places = np.clip(own[nearest], -within, within)
        gap = 1.2 * (sizes + size) / 2
        free = [place for place in places if np.all((np.abs(taken - place) > gap).any(axis=1))]
        if free:
            taken, sizes = np.vstack([taken, free[0]]), np.vstack([sizes, size])
            text = ax.text(free[0][0], free[0][1], name, fontsize=NAME_SIZE, **look)
            text.set_path_effects([withStroke(linewidth=2, foreground="white")])


def draw_prior(ax: Axes, dims: int = 2, color: str = "black", **look: Any) -> None:
    """Draws one and two standard deviations of N(0, I) as circles, or of N(0, 1) as lines."""
    look |= {"color": color, "linestyle": "--", "linewidth": 1}
    angle, name = np.linspace(0, 2 * np.pi, 181), "N(0, I)" if dims == 2 else "N(0, 1)"
    for radius, label in ((1, f"{name}, 1 and 2 sd"), (2, None)):
        if dims == 2:
            ax.plot(radius * np.cos(angle), radius * np.sin(angle), label=label, **look)
        else:
            ax.axvline(-radius, label=label, **look)
            ax.axvline(radius, **look)
