"""The registry of figures: a decorated function per figure, whose docstring is its title and caption."""

from collections.abc import Callable
from typing import NamedTuple

from matplotlib.figure import Figure

from vae_jax.figures.inputs import Inputs


class Drawing(NamedTuple):
    """What a figure function draws."""

    figure: Figure
    facts: str = ""
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
