"""Arrays in, matplotlib Axes out: every picture that compares an AE with a VAE. No training, no disk, no JAX.

Each function draws on `ax`, or on a new figure of fitting size where that is None, and returns the Axes it drew on.
A wrong shape is a ValueError that names the argument. In shapes S is seeds, N images, [H, W] an image's pixels.
A figure of several panels is opened and drawn inside `style()`, with `layout="compressed"`: a constrained layout
can cut titles off where the axes have a fixed aspect.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.colors import to_rgba_array
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import ArrayLike

# Paul Tol's "muted" scheme, which is safe for colour-blind readers, and a dark grey as the tenth class.
CLASS_COLORS = to_rgba_array(
    ["#332288", "#88CCEE", "#44AA99", "#117733", "#999933", "#DDCC77", "#CC6677", "#882255", "#AA4499", "#555555"]
)
# Paul Tol's "high-contrast" scheme, made to survive a grey print, and two more; 5 and 4 share no factor, so that
# twenty series have twenty looks.
SERIES_COLORS = ("#004488", "#BB5566", "#DDAA33", "#000000", "#44AA99")
SERIES_LINES = (("-", "o"), ("--", "s"), ("-.", "^"), (":", "D"))


def style() -> AbstractContextManager[None]:
    """Make figures in the project's look for as long as the context lasts.

    The sizes are for a figure 9 inches wide that is printed 7 inches wide, where no text falls under 7 points.
    """
    return plt.rc_context({
        "figure.constrained_layout.use": True, "figure.constrained_layout.h_pad": 0.08,
        "figure.constrained_layout.w_pad": 0.08, "savefig.dpi": 300, "pdf.fonttype": 42, "lines.markersize": 4.5,
        "font.size": 11, "axes.titlesize": 12, "xtick.labelsize": 10, "ytick.labelsize": 10,
        "legend.fontsize": 9.5, "legend.title_fontsize": 9.5,
        "axes.spines.top": False, "axes.spines.right": False,
    })  # fmt: skip


def training_curve(curves: Mapping[str, ArrayLike], ylabel: str, ax: Axes | None = None) -> Axes:
    """Mean over seeds of float[S, E] by label, at epochs 1 .. E, in a band of ± one standard deviation.

    A value that is not finite is left out; one seed has no band.
    """
    checked = _series("curves", curves, "S", "E")
    ax = _axes(ax, 5, 3.6)
    for label, mean, sd, look in _summaries(checked, axis=0):
        epochs = np.arange(1, len(mean) + 1)
        marker = look["marker"] if len(mean) == 1 else ""  # a line of one point is not to be seen
        ax.plot(epochs, mean, label=label, **look | {"marker": marker})
        ax.fill_between(epochs, mean - sd, mean + sd, color=look["color"], alpha=0.2, linewidth=0)
    ax.set(xlabel="epoch", ylabel=ylabel, xlim=(0.5, max(curve.shape[1] for curve in checked.values()) + 0.5))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return _legend(ax, checked, axis=0)


def sweep_curve(
    x: ArrayLike, values: Mapping[str, ArrayLike], xlabel: str, ylabel: str, logx: bool = False, ax: Axes | None = None
) -> Axes:
    """Mean over seeds of float[X, S] by label, ± one standard deviation, against a hyperparameter's values float[X].

    A seed that is not finite is left out; one seed has no error bar. With `logx` the ticks are the swept values, and
    0 stands about a decade left of the least positive one.
    """
    points = _array("x", x, "X")
    checked = _series("values", values, len(points), "S")
    if logx and not (points.min() >= 0 and points.max() > 0):
        raise ValueError(f"x must not be negative on a logarithmic axis, nor 0 throughout: {points}")
    ax = _axes(ax, 5, 3.6)
    order = np.argsort(points)
    for label, mean, sd, look in _summaries(checked, axis=1):
        ax.errorbar(points[order], mean[order], sd[order], label=label, capsize=3, **look)
    if logx:
        # From `linthresh` on this is a logarithmic axis; below, it has a place for 0.
        ax.set_xscale("symlog", linthresh=points[points > 0].min())
        ax.set_xticks(points, [f"{point:g}" for point in points])
        ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return _legend(ax, checked, axis=1)


def bars(values: Mapping[str, ArrayLike], xlabel: str, ylabel: str, ax: Axes | None = None) -> Axes:
    """Mean over seeds of float[S, D] by label as bars at 1 .. D, with whiskers of ± one standard deviation."""
    checked = _series("values", values, "S", "D")
    ax = _axes(ax, 5, 3.6)
    width = 0.8 / len(checked)
    # Bars have no line style to be told apart by: many take the shades of an ordered palette.
    many = _ordered_colors(np.arange(len(checked))) if len(checked) > len(SERIES_COLORS) else None
    outlined = {"elinewidth": 1, "path_effects": [patheffects.withStroke(linewidth=2.5, foreground="white")]}
    for index, (label, mean, sd, look) in enumerate(_summaries(checked, axis=0)):
        places = np.arange(1, len(mean) + 1) + (index - (len(checked) - 1) / 2) * width
        color = look["color"] if many is None else many[index]
        ax.bar(places, mean, width, yerr=sd, color=color, capsize=2, label=label, error_kw=outlined)
    ax.set(xlabel=xlabel, ylabel=ylabel, xlim=(0.4, max(value.shape[1] for value in checked.values()) + 0.6))
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    return _legend(ax, checked, axis=0)


def rate_distortion(
    rate: Mapping[str, ArrayLike], distortion: Mapping[str, ArrayLike], point_labels: Sequence[str],
    ax: Axes | None = None, shades: Sequence[float] | None = None,
    xlabel: str = "rate (nats per image)", ylabel: str = "distortion (nats per image)",
) -> Axes:  # fmt: skip
    """Distortion against rate, float[X, S] each by label: a small marker a seed, and a line through the means.

    The X `point_labels` (such as the kl_weight) stand at the means. `shades`, a number a label, such as the latent_dim,
    colours the lines from dark to light as it rises, in even steps. The plane is that of Alemi et al. (2018), "Fixing
    a Broken ELBO": rate + distortion = -ELBO, so that the grey diagonals are lines of equal ELBO.
    """
    rates = _series("rate", rate, len(point_labels), "S")
    if set(rate) != set(distortion):
        raise ValueError(f"distortion must have the labels of rate, {list(rate)}, not {list(distortion)}")
    distortions = {label: _array(f"distortion[{label!r}]", distortion[label], *rates[label].shape) for label in rates}
    colors = [None] * len(rates) if shades is None else _ordered_colors(_array("shades", shades, len(rates)))
    ax = _axes(ax, 5, 4)
    for (label, x, _, look), (_, y, _, _), shade in zip(
        _summaries(rates, 1), _summaries(distortions, 1), colors, strict=True
    ):
        color, line, marker = look.values()
        if shade is not None:
            color = shade
        ax.scatter(rates[label], distortions[label], s=14, color=color, marker=marker, alpha=0.6, linewidths=0)
        ax.plot(x, y, label=label, color=color, linestyle=line)
        for text, *mean in zip(point_labels, x, y, strict=True):
            ax.annotate(text, (mean[0], mean[1]), (4, 4), textcoords="offset points", fontsize="small")
    _iso_elbo(ax)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend()
    return ax


def latent_scatter(
    codes: ArrayLike, labels: ArrayLike | None = None, ax: Axes | None = None, limit: float | None = None,
    prior_circle: bool = True, title: str = "", xlabel: str = "z₁", ylabel: str = "z₂",
) -> Axes:  # fmt: skip
    """Codes float[N, 2] as points, in the colours of their classes int[N], each class's number at its median.

    Both axes run from -limit to limit, so that panels can share it (None: all codes and the circles); the codes beyond
    are counted in the panel. `prior_circle` adds one and two standard deviations of the prior N(0, I).
    """
    return posterior_ellipses(codes, None, labels, ax, limit, prior_circle, title, xlabel, ylabel)


def posterior_ellipses(
    mean: ArrayLike, logvar: ArrayLike | None, labels: ArrayLike | None = None, ax: Axes | None = None,
    limit: float | None = None, prior_circle: bool = True, title: str = "", xlabel: str = "z₁", ylabel: str = "z₂",
) -> Axes:  # fmt: skip
    """Each image's posterior as its ellipse of one standard deviation, from mean and logvar float[N, 2].

    An AE has no logvar (None): its codes are points. The rest is as in `latent_scatter`.
    """
    points, classes = _labelled("codes" if logvar is None else "mean", mean, labels)
    sd = np.zeros_like(points) if logvar is None else np.exp(_array("logvar", logvar, *points.shape) / 2)
    ax = _axes(ax, 4.5, 4.5)
    colors = CLASS_COLORS[np.zeros(len(points), int) if classes is None else classes % len(CLASS_COLORS)]
    if logvar is None:
        ax.scatter(points[:, 0], points[:, 1], s=5, c=colors, alpha=0.6, linewidths=0, rasterized=True)
    else:
        ax.add_collection(EllipseCollection(
            2 * sd[:, 0], 2 * sd[:, 1], np.zeros(len(sd)), units="xy", offsets=points, offset_transform=ax.transData,
            facecolors=to_rgba_array(colors, 0.25), edgecolors=to_rgba_array(colors, 0.8), linewidths=0.5,
            rasterized=True,
        ))  # fmt: skip
    if prior_circle:
        _prior_circles(ax)
    if limit is None:
        reach = np.abs(points) + sd
        limit = 1.05 * float(reach[np.isfinite(reach)].max(initial=2 if prior_circle else 1e-6))
    _class_numbers(ax, points, classes, gap=0.08 * limit)
    if hidden := int((~(np.abs(points) <= limit).all(axis=1)).sum()):
        ax.text(0.02, 0.02, f"{hidden:,} of {len(points):,} not shown", transform=ax.transAxes, fontsize="small",
                bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 2})  # fmt: skip
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel, xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    return ax


def hole_map(
    distance: ArrayLike, codes: ArrayLike, labels: ArrayLike | None, extent: tuple[float, float, float, float],
    threshold: float, ax: Axes | None = None, title: str = "", label: str = "distance to the nearest real image",
) -> Axes:  # fmt: skip
    """How far the decoder's image is from real ones over the latent plane, and where the codes lie in it.

    `distance` is float[R, C], at least 2 x 2, its row 0 at the top; `extent` is the plane's left, right, bottom and
    top edge; the contour parts what is within the `threshold` from the holes. Codes and labels are as in
    `latent_scatter`; `label` names the distance and its unit.
    """
    values = _array("distance", distance, "R", "C")
    if min(values.shape) < 2:
        raise ValueError(f"distance must be at least 2 x 2, not {values.shape}")
    points, classes = _labelled("codes", codes, labels)
    ax = _axes(ax, 5.2, 4.5)
    image = ax.imshow(values, cmap="cividis", extent=extent)
    finite = values[np.isfinite(values)]
    crossed = finite.size > 0 and finite.min() < threshold < finite.max()
    bar = _color_bar(ax, image, f"{label}\n({'line' if crossed else 'no line'} at threshold {threshold:.3g})")
    ax.scatter(points[:, 0], points[:, 1], s=2, color="white", alpha=0.6, linewidths=0, rasterized=True)
    if crossed:  # contour warns where it finds no line
        lines = ax.contour(values, [threshold], colors="white", linewidths=1.5, extent=extent, origin="upper")
        bar.add_lines(lines)
        lines.set_path_effects([patheffects.withStroke(linewidth=3.5, foreground="black")])
    _class_numbers(ax, points, classes, gap=0.04 * (extent[1] - extent[0]))
    ax.set(title=title, xlabel="z₁", ylabel="z₂", xlim=extent[:2], ylim=extent[2:])
    return ax


def heat_map(
    mean: ArrayLike, sd: ArrayLike | None, row_labels: Sequence[str], column_labels: Sequence[str],
    xlabel: str, ylabel: str, label: str, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Means float[R, C] as colours, each cell with its `mean ± sd`; one without a value (NaN) is hatched grey.

    Row 0 is the top; `label` names the quantity and its unit.
    """
    values = _array("mean", mean, len(row_labels), len(column_labels))
    spread = np.full_like(values, np.nan) if sd is None else _array("sd", sd, *values.shape)
    ax = _axes(ax, 2 + 0.8 * values.shape[1], 1 + 0.6 * values.shape[0])
    image = ax.imshow(np.ma.masked_invalid(values), cmap="cividis", aspect="auto")
    greatest = np.abs(values[np.isfinite(values)]).max(initial=0) or 1
    decimals = max(0, 3 - math.floor(math.log10(greatest)))  # four digits for the greatest, as many for all
    for (row, column), value in np.ndenumerate(values):
        text, color = "–", "black"
        if np.isfinite(value):
            color = "white" if np.dot(image.to_rgba(value)[:3], (0.299, 0.587, 0.114)) < 0.5 else "black"
            error = spread[row, column]
            text = _number(value, decimals) + (f"\n± {error:.{decimals}f}" if np.isfinite(error) else "")
        else:
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="0.9", edgecolor="0.6", hatch="///"))
        ax.text(column, row, text, color=color, ha="center", va="center", fontsize="small")
    _color_bar(ax, image, label)
    _label_cells(ax, range(values.shape[0]), row_labels, range(values.shape[1]), column_labels)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return ax


def image_grid(
    images: ArrayLike, ax: Axes | None = None, row_labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None, title: str = "", xlabel: str = "", ylabel: str = "", gap: int = 1,
) -> Axes:  # fmt: skip
    """Images float[R, C, H, W] as one mosaic, row 0 at the top: 0 is black, 1 is white, and a tile of NaN is blank.

    Values beyond 0 and 1 are clipped. Tiles are `gap` pixels apart, the R row and C column labels at their centres.
    """
    tiles = _array("images", images, "R", "C", "H", "W")
    R, C, H, W = tiles.shape
    for name, labels, size in (("row_labels", row_labels, R), ("column_labels", column_labels, C)):
        if labels is not None and len(labels) != size:
            raise ValueError(f"{name} must be {size} texts for images of shape {tiles.shape}, not {len(labels)}")
    inches = min(0.5, 6 / max(R, C))
    ax = _axes(ax, 1 + C * inches, 0.8 + R * inches * H / W)
    ax.imshow(_mosaic(tiles, gap), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    rows, columns = np.arange(R) * (H + gap) + (H - 1) / 2, np.arange(C) * (W + gap) + (W - 1) / 2
    _label_cells(ax, rows, row_labels, columns, column_labels)
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    return ax


def reconstructions(originals: ArrayLike, rows: Mapping[str, ArrayLike], ax: Axes | None = None) -> Axes:
    """Originals float[K, H, W] in the first row and, under them, each label's reconstructions float[K, H, W]."""
    first = _array("originals", originals, "K", "H", "W")
    others = _series("rows", rows, *first.shape)
    return image_grid(np.stack([first, *others.values()]), ax, ["original", *others])


def manifold(images: ArrayLike, z1: ArrayLike, z2: ArrayLike, ax: Axes | None = None, title: str = "") -> Axes:
    """Images float[R, C, H, W] over the latent plane, where `images[r, c]` is decoded from (z1[c], z2[r]).

    z₁ float[C] grows to the right and z₂ float[R] upwards, in whatever order they come.
    """
    tiles = _array("images", images, "R", "C", "H", "W")
    right, up = _array("z1", z1, tiles.shape[1]), _array("z2", z2, tiles.shape[0])
    columns, rows = np.argsort(right), np.argsort(-up)
    row_labels, column_labels = (_thin([_number(value, 1) for value in z]) for z in (up[rows], right[columns]))
    return image_grid(tiles[rows][:, columns], ax, row_labels, column_labels, title, "z₁", "z₂")


def samples(images: ArrayLike, ax: Axes | None = None, columns: int = 10, title: str = "") -> Axes:
    """Images float[N, H, W] in reading order, `columns` a row."""
    tiles = _array("images", images, "N", "H", "W")
    columns = max(1, min(columns, len(tiles)))
    blank = np.full((-len(tiles) % columns, *tiles.shape[1:]), np.nan)
    return image_grid(np.concatenate([tiles, blank]).reshape(-1, columns, *tiles.shape[1:]), ax, title=title)


def sheets(
    images: ArrayLike, row_labels: Sequence[str], column_labels: Sequence[str], xlabel: str = "",
    ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Mosaics beside each other: images float[R, C, r, c, H, W] as R rows and C columns of r x c images each.

    Row 0 is the top; a sheet of NaN is blank.
    """
    cells = _array("images", images, len(row_labels), len(column_labels), "r", "c", "H", "W")
    mosaics = np.array([[_mosaic(cell, 1) for cell in row] for row in cells])
    R, C, height, width = mosaics.shape
    inches = min(2.4, 10.5 / C)
    ax = _axes(ax, 1.5 + C * inches, 0.8 + R * inches * height / width)
    return image_grid(mosaics, ax, row_labels, column_labels, xlabel=xlabel, gap=math.ceil(width / 15))


def interpolations(images: ArrayLike, ax: Axes | None = None, title: str = "") -> Axes:
    """One path a row of float[R, T, H, W], from its start at t = 0 to its end at t = 1."""
    tiles = _array("images", images, "R", "T", "H", "W")
    positions = _thin([f"{t:.2g}" for t in np.linspace(0, 1, tiles.shape[1])])
    return image_grid(tiles, ax, None, positions, title, "position t on the path")


def traversals(
    images: ArrayLike, values: ArrayLike, ax: Axes | None = None, dimensions: Sequence[int] | None = None,
    title: str = "",
) -> Axes:  # fmt: skip
    """One latent dimension a row of float[D, T, H, W], set to each of the values float[T] while the others stay.

    Values are in standard deviations of the prior; `dimensions` are the D rows' indices from 0 (None: the first D).
    """
    tiles = _array("images", images, "D", "T", "H", "W")
    steps = _thin([_number(value, 1) for value in _array("values", values, tiles.shape[1])])
    names = [latent_name(index) for index in (range(len(tiles)) if dimensions is None else dimensions)]
    return image_grid(tiles, ax, names, steps, title, "value (prior standard deviations)")


def latent_name(index: int) -> str:
    """Name of a latent dimension by its index from 0: 0 is "z₁"."""
    return f"z{index + 1}".translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def _axes(ax: Axes | None, width: float, height: float) -> Axes:
    with style():
        return ax or plt.subplots(figsize=(width, height), layout="compressed")[1]


def _array(name: str, value: ArrayLike, *shape: int | str) -> np.ndarray:
    """`value` as float64 of that shape, in which a letter stands for any size but 0."""
    array = np.asarray(value)
    fits = array.ndim == len(shape) and array.size > 0
    if not fits or any(want not in (size, str(want)) for want, size in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{name} must have shape [{', '.join(map(str, shape))}], not {list(array.shape)}")
    return array.astype(float)


def _mosaic(tiles: np.ndarray, gap: int) -> np.ndarray:
    """float[R, C, H, W] as one picture; between the tiles are `gap` pixels of NaN, which is transparent."""
    R, C, H, W = tiles.shape
    mosaic = np.full((R, H + gap, C, W + gap), np.nan)
    mosaic[:, :H, :, :W] = tiles.transpose(0, 2, 1, 3)
    return mosaic.reshape(R * (H + gap), C * (W + gap))[: R * (H + gap) - gap, : C * (W + gap) - gap]


def _series(name: str, values: Mapping[str, ArrayLike], *shape: int | str) -> dict[str, np.ndarray]:
    if not values:
        raise ValueError(f"{name} must hold at least one label")
    return {label: _array(f"{name}[{label!r}]", value, *shape) for label, value in values.items()}


def _labelled(name: str, codes: ArrayLike, labels: ArrayLike | None) -> tuple[np.ndarray, np.ndarray | None]:
    points = _array(name, codes, "N", 2)
    return points, None if labels is None else _array("labels", labels, len(points)).astype(int)


def _summaries(
    series: Mapping[str, np.ndarray], axis: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray, dict[str, Any]]]:
    """Label, mean, standard deviation and look of each series over the finite values along the axis of seeds.

    The mean of nothing is NaN and so is the deviation of one value; matplotlib leaves both out.
    """
    for index, (label, values) in enumerate(series.items()):
        finite = np.ma.masked_invalid(values)
        line, marker = SERIES_LINES[index % len(SERIES_LINES)]
        look = {"color": SERIES_COLORS[index % len(SERIES_COLORS)], "linestyle": line, "marker": marker}
        yield label, finite.mean(axis).filled(np.nan), finite.std(axis, ddof=1).filled(np.nan), look


def _ordered_colors(values: np.ndarray) -> np.ndarray:
    """A colour for each value, from dark to light by its rank; equal values have one colour."""
    distinct, ranks = np.unique(values, return_inverse=True)
    return plt.get_cmap("cividis")(np.linspace(0, 0.95, len(distinct)))[ranks]


def _legend(ax: Axes, series: Mapping[str, np.ndarray], axis: int) -> Axes:
    """Add a legend that says what bands and bars are, where there are any: more than one seed along the axis."""
    spread = any(value.shape[axis] > 1 for value in series.values())
    ax.legend(title="mean ± sd over seeds" if spread else None, alignment="left")
    return ax


def _number(value: float, decimals: int) -> str:
    return f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "−")  # + 0.0: there is no negative zero


def _thin(labels: Sequence[str], most: int = 8) -> list[str]:
    """Empty some labels so that about `most` stay, both ends among them where an even step allows it."""
    least = math.ceil(len(labels) / most)
    step = next((step for step in range(least, 2 * least + 1) if (len(labels) - 1) % step == 0), least)
    return [label if index % step == 0 else "" for index, label in enumerate(labels)]


def _label_cells(
    ax: Axes, rows: ArrayLike, row_labels: Sequence[str] | None, columns: ArrayLike, column_labels: Sequence[str] | None
) -> None:
    """Put texts instead of ticks beside a picture that fills its axes."""
    ax.set_xticks([] if column_labels is None else columns, column_labels)
    ax.set_yticks([] if row_labels is None else rows, row_labels)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def _color_bar(ax: Axes, image: Any, label: str) -> Any:
    # An inset: a colour bar beside axes of equal aspect would be higher than they are.
    return ax.figure.colorbar(image, cax=ax.inset_axes((1.03, 0, 0.04, 1)), label=label)


def _class_numbers(ax: Axes, points: np.ndarray, classes: np.ndarray | None, gap: float) -> None:
    """Write each class's number at its median; numbers nearer to each other than the gap are pushed apart."""
    if classes is None:
        return
    finite = np.isfinite(points).all(axis=1)
    numbers = np.unique(classes[finite])
    places = np.array([np.median(points[finite & (classes == number)], axis=0) for number in numbers]).reshape(-1, 2)
    for _ in range(50):
        apart = places[:, None] - places
        distance = np.linalg.norm(apart, axis=-1, keepdims=True).clip(1e-9)
        places = places + (apart * (gap / distance - 1).clip(0, 1)).sum(axis=1) / 2
    for number, (x, y) in zip(numbers, places, strict=True):
        text = ax.text(x, y, str(number), ha="center", va="center", weight="bold", clip_on=True)
        text.set_path_effects([patheffects.withStroke(linewidth=2.5, foreground="white")])


def _prior_circles(ax: Axes) -> None:
    angle = np.linspace(0, 2 * np.pi, 181)
    for radius, label in ((1, "N(0, I), 1 and 2 sd"), (2, None)):
        ax.plot(radius * np.cos(angle), radius * np.sin(angle), "k--", linewidth=1, label=label)
    ax.legend(loc="upper right")


def _iso_elbo(ax: Axes) -> None:
    """Draw lines of equal rate + distortion behind what is there, within its limits."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    levels = MaxNLocator(8).tick_values(left + bottom, right + top)
    for index, level in enumerate(levels):
        label = None if index else f"equal ELBO, {levels[1] - levels[0]:g} nats apart"
        ax.plot([left, right], [level - left, level - right], color="0.85", linewidth=0.8, zorder=0, label=label)
    ax.set(xlim=(left, right), ylim=(bottom, top))
