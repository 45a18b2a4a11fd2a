"""What a figure is, and its layout: a panel per run, a group of panels per data set, one legend for all."""

import itertools
import math
import textwrap
from collections.abc import Callable, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_jax.config import Config
from vae_jax.figures.inputs import Chosen, Inputs, setting_of
from vae_jax.figures.style import new_figure
from vae_jax.models import MODEL_FIELDS

MAX_COLUMNS = 3
NO_BREAK_SPACE = "\u00a0"
PAGE = 12  # inches, the width of the widest figure


class Drawing(NamedTuple):
    """What a figure function draws."""

    figure: Figure
    facts: str
    """Sentences computed from the runs that are shown; they follow the caption."""


class Entry(NamedTuple):
    """A figure that an experiment can ask for by its function's name."""

    title: str
    caption: str
    draw: Callable[[Inputs], Drawing | None]
    """Returns None if the runs have nothing to show in it."""


FIGURES: dict[str, Entry] = {}


def figure(function: Callable[[Inputs], Drawing | None]) -> Callable[[Inputs], Drawing | None]:
    """Registers a figure under the function's name. Its docstring is a title, an empty line and a caption."""
    title, caption = (function.__doc__ or "").split("\n\n")
    FIGURES[function.__name__] = Entry(title.strip().rstrip("."), " ".join(caption.split()), function)
    return function


def finish(drawn: Figure, note: str, facts: str = "") -> Drawing:
    """Removes spare axes, and writes a note such as `12 of 14 settings` above the panels and after the facts."""
    for ax in drawn.axes:
        if not ax.has_data():
            ax.remove()
    if note:
        drawn.suptitle(note, style="italic")
        facts = f"{facts} {note} are shown.".strip()
    return Drawing(drawn, facts)


def draw_panels(
    inputs: Inputs, chosen: Chosen, draw: Callable[[Config, Axes], object], size: tuple[float, float], facts: str = ""
) -> Drawing | None:
    """Makes a figure with a panel per run: models of one setting side by side, else up to three panels in a row.

    `draw` draws a run on the axes of its panel, whose width and height in inches are `size`. None if there is no run.
    """
    if not chosen.configs:
        return None
    lines = lines_of(chosen.configs)
    if all(len(line) == 1 for line in lines):
        lines = [chosen.configs]
        columns = min(len(chosen.configs), MAX_COLUMNS)
    else:
        longest = max(map(len, lines))
        columns = math.ceil(longest / math.ceil(longest / MAX_COLUMNS))  # 4 are two rows of 2
    heights = [math.ceil(len(line) / columns) for line in lines]
    scale = min(1.0, PAGE / (columns * size[0]))
    drawn, axes = new_figure(sum(heights), columns, columns * size[0] * scale, sum(heights) * size[1] * scale)
    for index, line in enumerate(lines):
        for config, ax in zip(line, axes[sum(heights[:index]) :].flat, strict=False):
            draw(config, ax)
            ax.set_title(panel_title(inputs, config))
    return finish(drawn, chosen.note, facts)


def panel_title(inputs: Inputs, config: Config) -> str:
    """Returns the title of a run's panel in lines of at most 32 characters, broken between fields."""
    glued = inputs.title(config).replace(" ", NO_BREAK_SPACE).replace(f",{NO_BREAK_SPACE}", ", ")
    lines = [line for part in glued.split("\n") for line in textwrap.wrap(part, 32)]
    return "\n".join(lines).replace(NO_BREAK_SPACE, " ")


def lines_of(configs: Sequence[Config]) -> list[list[Config]]:
    """Groups neighbours that differ only in their model or in fields of some models: a baseline and its variants."""
    shared = ("model", *MODEL_FIELDS)
    return [list(line) for _, line in itertools.groupby(configs, lambda config: setting_of(config, shared))]


def by_dataset(configs: Sequence[Config]) -> list[list[Config]]:
    """Groups runs by the data set they see, in order of first appearance."""
    groups: dict[str, list[Config]] = {}
    for config in configs:
        groups.setdefault(config.dataset, []).append(config)
    return list(groups.values())


def share_legend(drawn: Figure) -> None:
    """Replaces the legends of all panels by one beneath them, which no curve can run into."""
    handles, labels = drawn.axes[0].get_legend_handles_labels()
    title = ""
    for ax in drawn.axes:
        if (legend := ax.get_legend()) is not None:
            title = legend.get_title().get_text() or title
            legend.remove()
    for ncols in range(min(4, len(labels)), 0, -1):
        legend = drawn.legend(handles, labels, loc="outside lower center", ncols=ncols, title=title or None)
        if ncols == 1 or legend.get_window_extent().width < drawn.bbox.width:
            return
        legend.remove()
