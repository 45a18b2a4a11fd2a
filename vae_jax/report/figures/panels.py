"""What a figure is, and its layout: a panel per run, in rows and columns of settings; looks and one legend for all."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from vae_jax.config import Config, varying_fields
from vae_jax.models import MODEL_FIELDS, MODELS
from vae_jax.report.figures.inputs import Chosen, Inputs, values_of
from vae_jax.report.figures.style import SERIES_COLORS, SERIES_LINES, Look, new_figure, ordered_colors

MAX_COLUMNS = 4  # of settings that differ in one way, which make no grid
PAGE = (10.0, 12.0)  # inches, the largest figure of panels


class Drawing(NamedTuple):
    """What a figure function draws."""

    figure: Figure
    facts: str
    """Sentences about the runs that are shown; they follow the caption."""


class Entry(NamedTuple):
    """A figure that an experiment can ask for by its function's name."""

    title: str
    caption: str
    draw: Callable[[Inputs], Drawing | None]
    """Returns None if the runs have nothing to show in it."""
    when: Callable[[Sequence[Config]], bool] | None
    """Says of an experiment's runs whether it is drawn without being asked for."""


FIGURES: dict[str, Entry] = {}

Function = Callable[[Inputs], Drawing | None]
Draw = Callable[[Config, Axes], str | None]


def figure(function: Function | None = None, *, when: Callable[[Sequence[Config]], bool] | None = None) -> Any:
    """Registers a figure under the function's name. Its docstring is a title, an empty line and a caption.

    An experiment lists its figures; one with `when` is also drawn where it is not listed and `when` is true of the
    trained runs.
    """

    def register(function: Function) -> Function:
        title, caption = (function.__doc__ or "").split("\n\n")
        FIGURES[function.__name__] = Entry(title.strip().rstrip("."), " ".join(caption.split()), function, when)
        return function

    return register if function is None else register(function)


def finish(drawn: Figure, note: str, facts: str = "", heading: str = "") -> Drawing:
    """Removes spare axes, and writes a heading and a note such as `12 of 14 settings` above the panels.

    The note also stands after the facts.
    """
    for ax in drawn.axes:
        if not ax.has_data():
            ax.remove()
    if heading or note:
        drawn.suptitle(", ".join(filter(None, [heading, note])), style="italic")
    return Drawing(drawn, f"{facts} {note} are shown.".strip() if note else facts)


def is_wide(inputs: Inputs, chosen: Chosen) -> bool:
    """Whether the panels of these settings have room for many images: at most two stand in a row."""
    return max(map(len, arrange(inputs, chosen.configs)), default=1) <= 2


def draw_panels(inputs: Inputs, chosen: Chosen, draws: Mapping[str, Draw], size: tuple[float, float]) -> Drawing | None:
    """Makes a figure with a panel per run, arranged as a grid of settings. None if there is no run.

    Args:
        inputs: what is drawn from.
        chosen: the runs.
        draws: each draws a run on the axes of its panel, and may return a note on it. Several have rows of their own,
            one below the other, with their names beside them.
        size: width and height of a panel in inches; many panels are smaller.
    """
    if not chosen.configs:
        return None
    lines, names = arrange(inputs, chosen.configs), names_of(inputs, chosen.configs)
    rows = [(part, line) for line in lines for part in draws]
    scale = min(1.0, PAGE[0] / (len(lines[0]) * size[0]), PAGE[1] / (len(rows) * size[1]))
    width, height = scale * size[0], scale * size[1]
    drawn, axes = new_figure(len(rows), len(lines[0]), len(lines[0]) * width, len(rows) * height)
    panels = [
        (axes[row, column], row, part, config)
        for row, (part, line) in enumerate(rows)
        for column, config in enumerate(line)
        if config is not None
    ]
    notes = [draws[part](config, ax) for ax, _, part, config in panels]
    label_once(axes)
    sides = list(dict.fromkeys(side for side, _ in names.values()))
    titled, named = set[str](), set[int]()  # columns and rows
    for (ax, row, part, config), note in zip(panels, notes, strict=True):
        side, title = names[config]
        texts = ["" if title in titled else title, note, inputs.note(config) if part == next(iter(draws)) else ""]
        ax.set_title("\n".join(broken(text, 9.5 * width) for text in texts if text))
        if row not in named:
            beside = [broken(side, 11 * height) if len(sides) > 1 else "", part, ax.get_ylabel()]
            ax.set_ylabel("\n".join(filter(None, beside)))
        titled.add(title)
        named.add(row)
    return finish(drawn, chosen.note, seed_of(inputs, chosen.configs), sides[0] if len(sides) == 1 else "")


def names_of(inputs: Inputs, configs: Sequence[Config], without: Sequence[str] = ()) -> dict[Config, tuple[str, str]]:
    """Returns the names of the row and of the column in which a grid of settings has each run.

    Columns are models and the fields of single models, such as `VAE, kl_weight 4`; rows are what all models share, such
    as `latent_dim 8`. Where that makes one column, the shared field with most values becomes the columns.
    Fields of `without` are in no name.
    """
    across = _column_fields(configs, without)
    several = len({config.model for config in inputs.configs}) > 1
    names = {}
    for config in configs:
        fields = inputs.fields(config, without)
        model = [] if several or not across & set(fields) else ["model"]
        column = inputs.label(config, [*model, *without, *(name for name in fields if name not in across)])
        names[config] = (inputs.label(config, ["model", *without, *across]), column)
    return names


def arrange(inputs: Inputs, configs: Sequence[Config]) -> list[list[Config | None]]:
    """Arranges runs in the rows and columns of `names_of`, None where there is no run; a long single row is broken."""
    names, across = names_of(inputs, configs), _column_fields(configs)
    order = {name: values_of(configs, name) for name in varying_fields(configs) if name in across}

    def place(config: Config) -> list[int]:
        at = [values.index(getattr(config, name)) if config.uses(name) else -1 for name, values in order.items()]
        return [list(MODELS).index(config.model), *at]

    rows = list(dict.fromkeys(row for row, _ in names.values()))
    if len(rows) > 1:
        columns = list(dict.fromkeys(names[config][1] for config in sorted(configs, key=place)))
        runs = {name: config for config, name in reversed(names.items())}
        return [[runs.get((row, column)) for column in columns] for row in rows]
    width = math.ceil(len(configs) / max(1, math.ceil(len(configs) / MAX_COLUMNS)))  # 5 are 3 and 2
    line: list[Config | None] = [*configs, *[None] * (-len(configs) % max(1, width))]
    return [line[start : start + width] for start in range(0, len(line), width)] if line else []


def _column_fields(configs: Sequence[Config], without: Sequence[str] = ()) -> set[str]:
    """Returns the fields that, beside the model, make the columns."""
    varying = [name for name in varying_fields(configs) if name not in ("model", "seed", *without)]
    if len({config.model for config in configs}) > 1 or MODEL_FIELDS & set(varying) or not varying:
        return MODEL_FIELDS
    # Rows are latent dimensions wherever something else can be columns.
    return MODEL_FIELDS | {max(reversed(varying), key=lambda n: (n != "latent_dim", len(values_of(configs, n))))}


def looks_of(inputs: Inputs, configs: Sequence[Config], without: Sequence[str] = ()) -> dict[str, Look]:
    """Returns a look by label of each setting; settings that differ only in fields of `without` look alike.

    Where settings make a grid, its longer side is hues, from dark to light if they are many, and its shorter one
    dashes; otherwise series differ in both.
    """
    names = names_of(inputs, configs, without)
    places = {inputs.label(config, without): names[config] for config in configs}
    sides = [list(dict.fromkeys(side)) for side in zip(*places.values(), strict=True)] or [[], []]
    hue = 0 if len(sides[0]) > len(sides[1]) else 1
    dash = 1 - hue if len(sides[1 - hue]) > 1 else hue
    is_long = len(sides[hue]) > (len(SERIES_COLORS) if dash == hue else 2)
    colors = list(ordered_colors(range(len(sides[hue])))) if is_long else SERIES_COLORS
    return {
        label: Look(colors[sides[hue].index(place[hue])], *SERIES_LINES[sides[dash].index(place[dash]) % 4])
        for label, place in places.items()
    }


def label_once(axes: np.ndarray) -> None:
    """Leaves what all panels of a row have beside them at its left only, and what a column has at its bottom only.

    That is the name of an axis, and texts in place of ticks. `Axes.label_outer` also removes what differs.
    """
    lines = [[ax.yaxis for ax in row if ax.has_data()] for row in axes]
    lines += [[ax.xaxis for ax in column[::-1] if ax.has_data()] for column in axes.T]
    for first, *others in filter(None, lines):
        alike = all(axis.get_label_text() == first.get_label_text() for axis in others)
        ticks = _tick_texts(first)
        for axis in others:
            axis.set_label_text("" if alike else axis.get_label_text())
        if ticks and all(_tick_texts(axis) == ticks for axis in others):
            for axis in others:
                axis.set_tick_params(labelleft=False, labelbottom=False)


def _tick_texts(axis: Axis) -> list[str]:
    """Returns the texts in place of ticks; none for ticks at numbers, which belong to the scale of their own panel."""
    is_fixed = isinstance(axis.get_major_locator(), FixedLocator)
    return [text.get_text() for text in axis.get_ticklabels()] if is_fixed else []


def seed_of(inputs: Inputs, shown: Sequence[Config]) -> str:
    """Says of which seed the runs are that are shown, if there are several."""
    seeds = {config.seed for config in shown}
    most = max(len(inputs.seeds(config)) for config in shown)
    return f"Of {most} seeds, seed {seeds.pop()} is drawn." if len(seeds) == 1 and most > 1 else ""


def broken(text: str, width: float) -> str:
    """Breaks a text between fields, but not within `N(0, I)`, if it has more characters than this."""
    return text if len(text) <= width else re.sub(r", (?!I\))", ",\n", text)


def share_legend(drawn: Figure, handles: Sequence[Artist] = (), title: str | None = None) -> None:
    """Writes a legend beneath all panels, where no curve runs into it: of these artists, and of labels in panels."""
    artists, labels = list(handles), [str(handle.get_label()) for handle in handles]  # two may have one name
    for ax in drawn.axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            if label not in labels:
                artists.append(handle)
                labels.append(label)
    inches = sum(0.55 + 0.08 * len(label) for label in labels)  # of all in one row
    width, height = drawn.get_size_inches()
    columns = max(1, int(len(labels) * width / max(inches, width)))
    drawn.set_figheight(height + 0.2 * math.ceil(len(labels) / columns) + (0.4 if title else 0.2))
    drawn.legend(
        artists, labels, loc="outside lower center", ncols=columns, title=title, handletextpad=0.5,
        columnspacing=1.2,
    )  # fmt: skip
