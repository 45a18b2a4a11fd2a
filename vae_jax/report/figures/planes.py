"""Plots of a latent plane: codes, posteriors and where decodes are plausible. Arrays in, matplotlib Axes out.

Each function draws on `ax`, or on the axes of a new figure if `ax` is None, and returns the axes. A wrong shape is a
ValueError that names the argument. In shapes, N is the number of codes.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.colors import to_rgba_array
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D
from numpy.typing import ArrayLike

from vae_jax.report.figures.style import CLASS_COLORS, as_array, in_style, new_axes

MAX_CLASS_NUMBERS = 40  # more would cover the codes
MAX_NUMBERS = 200  # codes drawn as the number of their class
NUMBER_SIZE = 6.5  # points
DENSITY_RANGE = (-4.0, 3.0)  # nats below and above the level of holes that a scale shows


@in_style()
def latent_codes(
    codes: ArrayLike, labels: ArrayLike | None, limit: float, ax: Axes | None = None,
    axis_labels: tuple[str, str] = ("z₁", "z₂"), classes: Sequence[int] | None = None, prior_dims: int = 2,
    frame: tuple[float, str] | None = None,
) -> Axes:  # fmt: skip
    """Plots codes as dots in the colours of their classes, some as the number of their class, and N(0, I).

    The numbers stand apart from each other, so that each can be read. Codes beyond the limit are counted.

    Args:
        codes: float[N, 2], the means of the posteriors.
        labels: int[N], or None.
        limit: of both axes.
        ax: axes to draw on.
        axis_labels: of the two axes.
        classes: all labels of the data set, so that a class has one colour in every panel; None for those seen.
        prior_dims: 2 draws N(0, I) as circles at one and two standard deviations, 1 draws N(0, 1) on the first axis as
            lines.
        frame: half the side of a square around 0, and what it shows.
    """
    points, numbers = _labelled(codes, labels)
    ax = ax or new_axes(4.5, 4.5)
    colors = _class_colors(len(points), numbers, classes)
    ax.scatter(points[:, 0], points[:, 1], s=3, c=colors, alpha=0.5, linewidths=0, rasterized=True)
    _draw_prior(ax, prior_dims)
    if numbers is not None and len(np.unique(numbers)) <= MAX_CLASS_NUMBERS:
        _draw_numbers(ax, points, numbers, colors, limit)
    if frame is not None:
        ax.add_patch(_square(0, 0, *frame))
    ax.legend(loc="upper right")
    if hidden := int((~(np.abs(points) <= limit).all(axis=1)).sum()):
        box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 2}
        note = f"{hidden:,} of {len(points):,} not shown"
        ax.text(0.03, 0.03, note, transform=ax.transAxes, fontsize="small", bbox=box, zorder=5)
    ax.set(xlabel=axis_labels[0], ylabel=axis_labels[1], xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    return ax


@in_style()
def posterior_ellipses(
    codes: ArrayLike, logvar: ArrayLike | None, labels: ArrayLike | None, limit: float, ax: Axes | None = None,
    center: ArrayLike = (0.0, 0.0), classes: Sequence[int] | None = None, window: ArrayLike | None = None,
) -> Axes:  # fmt: skip
    """Plots posteriors as ellipses of one standard deviation in the colours of their classes, and N(0, I).

    Args:
        codes: float[N, 2], the means of the posteriors.
        logvar: float[N, 2]; None draws points.
        labels: int[N], or None.
        limit: half the side of the plane that is shown.
        ax: axes to draw on.
        center: float[2], the middle of the plane that is shown.
        classes: all labels of the data set, so that a class has one colour in every panel; None for those seen.
        window: float[3], the middle and half the side of a square that another panel enlarges, which is marked.
    """
    points, numbers = _labelled(codes, labels)
    x, y = as_array("center", center, 2)
    ax = ax or new_axes(4.5, 4.5)
    colors = _class_colors(len(points), numbers, classes)
    sd = np.zeros_like(points)
    if logvar is not None:
        with np.errstate(over="ignore"):  # the variances of a diverged run may be infinite
            sd = np.exp(as_array("logvar", logvar, *points.shape) / 2)
    drawn = np.isfinite(points).all(axis=1) & np.isfinite(sd).all(axis=1)
    if logvar is not None:
        ax.add_collection(EllipseCollection(
            2 * sd[drawn, 0], 2 * sd[drawn, 1], np.zeros(drawn.sum()), units="xy", offsets=points[drawn],
            offset_transform=ax.transData, facecolors=to_rgba_array(colors[drawn], 0.2), edgecolors=colors[drawn],
            linewidths=0.8,
        ))  # fmt: skip
    size = 14 if logvar is None else 5
    ax.scatter(points[drawn, 0], points[drawn, 1], s=size, c=_darker(colors[drawn]), linewidths=0, zorder=3)
    _draw_prior(ax, 2)
    if window is not None:
        u, v, half = as_array("window", window, 3)
        ax.add_patch(_square(u, v, half, "enlarged below"))
    ax.legend(loc="upper right")
    ax.set(xlabel="z₁", ylabel="z₂", xlim=(x - limit, x + limit), ylim=(y - limit, y + limit), aspect="equal")
    return ax


@in_style()
def plausibility_map(
    scores: ArrayLike, threshold: float, codes: ArrayLike, labels: ArrayLike | None, limit: float,
    ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Shows how plausible the decode of each point of the plane is, with the codes on it. Brighter is more plausible.

    Args:
        scores: float[R, C] in [0, 1], row 0 at the top; a decode below the threshold is implausible.
        threshold: which a solid line marks; dashed circles are one and two standard deviations of N(0, I).
        codes: float[N, 2].
        labels: int[N], or None.
        limit: of both axes.
        ax: axes to draw on. `color_bar` adds the scale, once for panels that share it.
    """
    values = as_array("scores", scores, "R", "C")
    points, numbers = _labelled(codes, labels)
    ax = ax or new_axes(5.2, 4.5)
    # White with black edges shows on bright and dark ground alike.
    ax.scatter(points[:, 0], points[:, 1], s=4, color="white", edgecolors="black", linewidths=0.3, rasterized=True)
    _draw_map(ax, values, limit, (0, 1), threshold)
    _draw_prior(ax, 2)  # without a legend, which would hide the map
    for circle in ax.lines:
        circle.set_path_effects([patheffects.withStroke(linewidth=2.5, foreground="white", alpha=0.7)])
    _name_classes(ax, points, numbers, limit)
    return ax


@in_style()
def density_map(
    log_density: ArrayLike, codes: ArrayLike, labels: ArrayLike | None, limit: float, ax: Axes | None = None
) -> Axes:
    """Shows how dense codes are over the plane, with some of them on it. Brighter is denser.

    Args:
        log_density: float[R, C], row 0 at the top, nats above the level that a solid line marks; what is below 0 is a
            hole. Dashed circles mark one and two standard deviations of N(0, I).
        codes: float[N, 2].
        labels: int[N], or None.
        limit: of both axes.
        ax: axes to draw on. `density_bar` adds the scale, once for panels that share it.
    """
    values = as_array("log_density", log_density, "R", "C")
    points, numbers = _labelled(codes, labels)
    ax = ax or new_axes(5.2, 4.5)
    ax.scatter(points[:, 0], points[:, 1], s=2, color="black", alpha=0.35, linewidths=0, rasterized=True)
    _draw_map(ax, values, limit, DENSITY_RANGE, 0)
    _draw_prior(ax, 2, "white")  # without a legend, which would hide the map
    _name_classes(ax, points, numbers, limit)
    return ax


def _draw_map(ax: Axes, values: np.ndarray, limit: float, ends: tuple[float, float], level: float) -> None:
    """Draws values float[R, C] over the plane, from dark to bright between the ends, and a solid line at the level."""
    extent = (-limit, limit, -limit, limit)
    ax.imshow(np.ma.masked_invalid(values), cmap="cividis", extent=extent, vmin=ends[0], vmax=ends[1])
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() < level < finite.max():  # contour warns where it finds no line
        lines = ax.contour(values, [level], colors="black", linewidths=1.5, extent=extent, origin="upper")
        lines.set_path_effects([patheffects.withStroke(linewidth=3.5, foreground="white")])
    ax.set(xlabel="z₁", ylabel="z₂", xlim=extent[:2], ylim=extent[2:])


def density_bar(axes: Sequence[Axes]) -> Any:
    """Adds one colour bar beside panels of `density_map`, with the level of holes marked."""
    label = "log q(z), nats above the level\nthat holds 95 % of q(z)"
    bar = axes[0].figure.colorbar(axes[0].images[0], ax=list(axes), label=label, extend="both", shrink=0.8, aspect=30)
    bar.ax.axhline(0, color="black", linewidth=1.5)
    return bar


def color_bar(axes: Sequence[Axes], threshold: float, label: str) -> Any:
    """Adds one colour bar beside panels of `plausibility_map` that share a scale, with the threshold marked."""
    bar = axes[0].figure.colorbar(axes[0].images[0], ax=list(axes), label=label, shrink=0.8, aspect=30)
    bar.ax.axhline(threshold, color="white", linewidth=1.5)
    return bar


def _labelled(codes: ArrayLike, labels: ArrayLike | None) -> tuple[np.ndarray, np.ndarray | None]:
    points = as_array("codes", codes, "N", 2)
    return points, None if labels is None else as_array("labels", labels, len(points)).astype(int)


def _class_colors(count: int, labels: np.ndarray | None, classes: Sequence[int] | None) -> np.ndarray:
    """Returns a colour float[4] per code: by the rank of its class, or the first colour without labels."""
    if labels is None:
        return np.repeat(CLASS_COLORS[:1], count, axis=0)
    known = np.union1d(labels, labels if classes is None else classes)
    palette = CLASS_COLORS
    if len(known) > len(palette):
        palette = matplotlib.colormaps["turbo"](np.linspace(0, 1, len(known)))
    return palette[np.searchsorted(known, labels)]


def class_key(classes: Sequence[int]) -> list[Line2D]:
    """Returns a labelled dot per class for a legend of two rows."""
    colors = _class_colors(len(classes), np.asarray(classes), classes)
    dots = [
        Line2D([], [], color=color, marker="o", linestyle="", label=str(number))
        for color, number in zip(colors, classes, strict=True)
    ]
    half = (len(dots) + 1) // 2  # a legend fills its columns from top to bottom
    return [dot for pair in itertools.zip_longest(dots[:half], dots[half:]) for dot in pair if dot is not None]


def _square(x: float, y: float, half: float, label: str) -> Rectangle:
    return Rectangle(
        (x - half, y - half), 2 * half, 2 * half, fill=False, edgecolor="0.3", linewidth=1.2, label=label, zorder=4
    )


def _darker(colors: np.ndarray) -> np.ndarray:
    """Returns colours float[N, 4] that can be read on white."""
    return np.column_stack([0.65 * colors[:, :3], colors[:, 3]])


def _draw_numbers(ax: Axes, points: np.ndarray, numbers: np.ndarray, colors: np.ndarray, limit: float) -> None:
    """Draws some codes as the numbers of their classes: the first ones that are not too near to each other."""
    chosen: list[int] = []
    size = _in_units(ax, NUMBER_SIZE, limit)
    gap = size * np.array([0.65, 0.9])  # digits are narrow
    for index in np.flatnonzero((np.abs(points) <= limit - size / 2).all(axis=1)):
        if len(chosen) < MAX_NUMBERS and np.all((np.abs(points[chosen] - points[index]) > gap).any(axis=1)):
            chosen.append(int(index))
    outline = [patheffects.withStroke(linewidth=1.5, foreground="white")]
    for number in np.unique(numbers[chosen]):
        of_class = [index for index in chosen if numbers[index] == number]
        glyphs = TextPath((0, 0), str(number), size=1)
        middle = glyphs.get_extents()
        marker = glyphs.transformed(Affine2D().translate(-(middle.x0 + middle.x1) / 2, -(middle.y0 + middle.y1) / 2))
        ax.scatter(
            points[of_class, 0], points[of_class, 1], s=NUMBER_SIZE**2, color=_darker(colors[of_class[:1]]),
            marker=marker, linewidths=0, zorder=3, path_effects=outline,
        )  # fmt: skip


def _in_units(ax: Axes, points: float, limit: float) -> float:
    """Converts typographic points to units of axes from -limit to limit, as wide as they are before the layout."""
    return 2 * limit * points / (ax.get_window_extent().width / ax.figure.dpi * 72)


def _name_classes(ax: Axes, points: np.ndarray, classes: np.ndarray | None, limit: float) -> None:
    """Writes each class's number at its median, or beside it if two would cover each other."""
    finite = np.isfinite(points).all(axis=1)
    numbers = np.unique(classes[finite]) if classes is not None else np.array([])
    if 0 < len(numbers) <= MAX_CLASS_NUMBERS:
        medians = np.array([np.median(points[finite & (classes == number)], axis=0) for number in numbers])
        gap = _in_units(ax, 1.3 * matplotlib.rcParams["font.size"], limit)
        for number, (x, y) in zip(numbers, _spread(medians, gap), strict=True):
            text = ax.text(x, y, str(number), ha="center", va="center", weight="bold", clip_on=True)
            text.set_path_effects([patheffects.withStroke(linewidth=2.5, foreground="white")])


def _spread(places: np.ndarray, gap: float) -> np.ndarray:
    """Pushes places float[N, 2] that are nearer to each other than the gap apart."""
    if len(np.unique(places, axis=0)) < len(places):  # equal places would never part
        angles = 2 * np.pi * np.arange(len(places)) / len(places)
        places = places + 1e-3 * gap * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for _ in range(50):
        apart = places[:, None] - places
        distance = np.linalg.norm(apart, axis=-1, keepdims=True).clip(1e-9)
        places = places + (apart * (gap / distance - 1).clip(0, 1)).sum(axis=1) / 2
    return places


def _draw_prior(ax: Axes, dims: int, color: str = "black") -> None:
    look: dict[str, Any] = {"color": color, "linestyle": "--", "linewidth": 1}
    angle = np.linspace(0, 2 * np.pi, 181)
    for radius, suffix in ((1, ", 1 and 2 sd"), (2, None)):
        label = suffix and ("N(0, I)" if dims == 2 else "N(0, 1)") + suffix
        if color != "black":  # seen on any colour of a map
            look["path_effects"] = [patheffects.withStroke(linewidth=2.2, foreground="black")]
        if dims == 2:
            ax.plot(radius * np.cos(angle), radius * np.sin(angle), label=label, **look)
        else:
            ax.axvline(-radius, label=label, **look)
            ax.axvline(radius, **look)
