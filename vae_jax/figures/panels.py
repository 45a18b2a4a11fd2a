"""Layouts: a panel per run, a group of panels per data set, and one legend for all."""

import math
import textwrap
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_jax.config import Config
from vae_jax.figures.inputs import Chosen, Inputs, lines_of
from vae_jax.figures.style import new_figure

MAX_COLUMNS = 3
NO_BREAK_SPACE = "\u00a0"
PAGE = 12  # inches, the width of the widest figure


def draw_panels(chosen: Chosen, draw: Callable[[Config, Axes], None], size: tuple[float, float]) -> Figure:
    """Makes a figure with a panel per run: models of one setting side by side, else up to three panels in a row.

    Args:
        chosen: the runs.
        draw: draws a run's panel on its axes.
        size: width and height of a panel, inches.
    """
    lines = lines_of(chosen.configs)
    if all(len(line) == 1 for line in lines):
        lines = [list(chosen.configs)]
        columns = min(len(chosen.configs), 3)
    else:
        longest = max(map(len, lines))
        columns = math.ceil(longest / math.ceil(longest / MAX_COLUMNS))  # 4 are two rows of 2
    heights = [math.ceil(len(line) / columns) for line in lines]
    scale = min(1.0, PAGE / (columns * size[0]))
    figure, axes = new_figure(sum(heights), columns, columns * size[0] * scale, sum(heights) * size[1] * scale)
    unused = set(axes.flat)
    for index, line in enumerate(lines):
        places = axes[sum(heights[:index]) :].flat
        for config, ax in zip(line, places, strict=False):
            draw(config, ax)
            unused.remove(ax)
    for ax in unused:
        ax.remove()
    write_note(figure, chosen.note)
    return figure


def panel_title(inputs: Inputs, config: Config, width: int = 32) -> str:
    """Returns the title of a run's panel in lines of at most `width` characters, broken between fields."""
    glued = inputs.title(config).replace(" ", NO_BREAK_SPACE).replace(f",{NO_BREAK_SPACE}", ", ")
    lines = [line for part in glued.split("\n") for line in textwrap.wrap(part, width)]
    return "\n".join(lines).replace(NO_BREAK_SPACE, " ")


def by_dataset(configs: Sequence[Config]) -> list[list[Config]]:
    """Groups runs by the data set they see, in order of first appearance."""
    groups: dict[str, list[Config]] = {}
    for config in configs:
        groups.setdefault(config.dataset, []).append(config)
    return list(groups.values())


def sentence(chosen: Chosen) -> str:
    """Returns the sentence of a caption that says how many settings are shown, or nothing if all are."""
    return f"{chosen.note} are shown." if chosen.note else ""


def write_note(figure: Figure, note: str) -> None:
    """Writes a note such as `12 of 14 settings` above the panels."""
    if note:
        figure.suptitle(note, style="italic")


def share_legend(figure: Figure) -> None:
    """Replaces the legends of all panels by one beneath them, which no curve can run into."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    titles = set()
    for ax in figure.axes:
        if (legend := ax.get_legend()) is not None:
            titles.add(legend.get_title().get_text())
            legend.remove()
    title = max(titles, default="") or None
    for ncols in range(min(4, len(labels)), 0, -1):
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=ncols, title=title)
        if ncols == 1 or legend.get_window_extent().width < figure.bbox.width:
            return
        legend.remove()
