"""What a figure is, and its layout: a panel per run, in rows and columns of settings, one legend for all."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from vae_jax.config import Config
from vae_jax.report.figures.grids import arrange, names_of
from vae_jax.report.figures.inputs import Chosen, Inputs
from vae_jax.report.figures.style import new_figure

PAGE = (10.0, 12.0)  # inches, the largest figure of panels
SMALL = 2.2  # inches, the width below which a panel is kept simple
NO_BREAK_SPACE = "\u00a0"


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


def draw_panels(
    inputs: Inputs, chosen: Chosen, draw: Draw | Mapping[str, Draw], size: tuple[float, float], facts: str = ""
) -> Drawing | None:
    """Makes a figure with a panel per run, arranged as a grid of settings. None if there is no run.

    Args:
        inputs: what is drawn from.
        chosen: the runs.
        draw: draws a run on the axes of its panel, and may return a note on it. Several, by name, have rows of their
            own, one below the other.
        size: width and height of a panel in inches; many panels are smaller.
        facts: for the caption.
    """
    if not chosen.configs:
        return None
    lines, names = arrange(inputs, chosen.configs), names_of(inputs, chosen.configs)
    draws = draw if isinstance(draw, Mapping) else {"": draw}
    places = [(part, line) for line in lines for part in draws]
    scale = min(1.0, PAGE[0] / (len(lines[0]) * size[0]), PAGE[1] / (len(places) * size[1]))
    width, height = scale * size[0], scale * size[1]
    drawn, axes = new_figure(len(places), len(lines[0]), len(lines[0]) * width, len(places) * height)
    panels = {
        (index, column): (part, config)
        for index, (part, line) in enumerate(places)
        for column, config in enumerate(line)
        if config is not None
    }
    notes = {place: draws[part](config, axes[place]) for place, (part, config) in panels.items()}
    _label_once({place: axes[place] for place in panels}, small=width < SMALL)
    sides = list(dict.fromkeys(side for side, _ in names.values()))
    broken = len(sides) == 1 and len(lines) > 1  # each panel has its own title
    for (row, column), (part, config) in panels.items():
        ax, first, (side, title) = axes[row, column], part == next(iter(draws)), names[config]
        titled = first if broken else not any((above, column) in panels for above in range(row))
        texts = [title if titled else "", notes[row, column], inputs.note(config) if first else ""]
        ax.set_title(wrap("\n".join(filter(None, texts)), int(9.5 * width)), fontsize=9.5 if width < SMALL else None)
        if not any((row, left) in panels for left in range(column)):
            named = [wrap(side, int(11 * height)) if len(sides) > 1 else "", part, ax.get_ylabel()]
            ax.set_ylabel("\n".join(filter(None, named)))
    facts = " ".join(filter(None, [facts, seed_of(inputs, chosen.configs)]))
    return finish(drawn, chosen.note, facts, sides[0] if len(sides) == 1 else "")


def _label_once(panels: Mapping[tuple[int, int], Axes], small: bool) -> None:
    """Leaves what all panels of a row have beside them at its left only, and what a column has at its bottom only.

    Small panels have no names of axes and few ticks.
    """
    for ax in panels.values() if small else ():
        if not ax.images:
            ax.set(xlabel="", ylabel="")
            ax.locator_params(nbins=3, steps=[1, 2, 5, 10])
    rows, columns = {row for row, _ in panels}, {column for _, column in panels}
    for row in rows:
        first, *others = [ax.yaxis for (r, _), ax in panels.items() if r == row]
        _label_first(first, others)
    for column in columns:
        *above, last = [ax.xaxis for (_, c), ax in panels.items() if c == column]
        _label_first(last, above)


def _label_first(first: Axis, others: Sequence[Axis]) -> None:
    """Removes from axes what the first of them says, too: its name, and texts in place of ticks."""

    def texts(axis: Axis) -> list[str]:
        return [text.get_text() for text in axis.get_ticklabels()]

    if all(axis.get_label_text() == first.get_label_text() for axis in others):
        for axis in others:
            axis.set_label_text("")
    # Ticks at numbers belong to the scale of their own panel.
    named = all(isinstance(axis.get_major_locator(), FixedLocator) for axis in (first, *others))
    if named and all(texts(axis) == texts(first) for axis in others):
        for axis in others:
            axis.set_tick_params(labelleft=False, labelbottom=False)


def seed_of(inputs: Inputs, shown: Sequence[Config]) -> str:
    """Says of which seed the runs are that are shown, if there are several."""
    seeds = {config.seed for config in shown}
    most = max(len(inputs.seeds(config)) for config in shown)
    return f"Of {most} seeds, seed {seeds.pop()} is drawn." if len(seeds) == 1 and most > 1 else ""


def wrap(text: str, width: int) -> str:
    """Breaks each line of a text between fields, so that it has at most so many characters where that is possible."""
    glued = text.replace(" ", NO_BREAK_SPACE).replace(f",{NO_BREAK_SPACE}", ", ")
    glued = glued.replace("(0, I)", f"(0,{NO_BREAK_SPACE}I)")
    lines = [line for part in glued.split("\n") for line in textwrap.wrap(part, max(width, 1), break_long_words=False)]
    return "\n".join(lines).replace(NO_BREAK_SPACE, " ")


def handles_of(drawn: Figure) -> list[Artist]:
    """Returns what the legends of all panels show, each label once."""
    handles: dict[str, Artist] = {}
    for ax in drawn.axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    return list(handles.values())


def share_legend(drawn: Figure, handles: Sequence[Artist], columns: int = 4) -> None:
    """Replaces the legends of all panels by one beneath them, which no curve can run into.

    It fills its columns, at most so many, from top to bottom.
    """
    title = ""
    for ax in drawn.axes:
        if (legend := ax.get_legend()) is not None:
            title = legend.get_title().get_text() or title
            legend.remove()
    labels = [str(handle.get_label()) for handle in handles]
    for ncols in range(min(columns, len(labels)), 0, -1):
        legend = drawn.legend(
            handles, labels, loc="outside lower center", ncols=ncols, title=title or None, handletextpad=0.5,
            columnspacing=1.2,
        )  # fmt: skip
        if ncols == 1 or legend.get_window_extent().width < drawn.bbox.width:
            return
        legend.remove()
