"""Figures of an experiment's trained runs: WORKDIR/figures/NAME.png (300 dpi) and NAME.pdf.

A figure is one function under `@figure`; its docstring is its title and caption. The modules `numbers`, `latents`,
`maps`, `decodes` and `overview` hold them; `plots`, `planes` and `images` draw arrays on matplotlib's axes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from vae_jax.claims.results import Results
from vae_jax.config import Experiment
from vae_jax.errors import UserError
from vae_jax.files import remove, write_bytes
from vae_jax.report.figures import decodes, latents, maps, numbers, overview
from vae_jax.report.figures.inputs import Inputs
from vae_jax.report.figures.panels import FIGURES
from vae_jax.report.figures.style import in_style, render
from vae_jax.workdir import Picture, is_trained, run_dir

__all__ = ["FIGURES", "Drawn", "decodes", "draw", "latents", "maps", "numbers", "overview"]


class Drawn(NamedTuple):
    """What `draw` has drawn, and the names of figures that failed, each with its reason in one line."""

    pictures: list[Picture]
    failures: list[tuple[str, str]]


def draw(
    experiment: Experiment,
    results: Results,
    workdir: Path,
    data_dir: str | None = None,
    progress: Callable[[int, int, str], object] = lambda *_: None,
) -> Drawn:
    """Draws an experiment's figures from its trained runs, and before them those that fit its grid unasked.

    A figure that fails does not stop the others. Files of a figure that is not drawn are removed, so that none of an
    earlier launch is taken for one of this. `progress` is called before each figure with the number of figures done,
    the number of all, and its name, and after the last with the number of those that there are now and without a name;
    what it raises ends the drawing.
    """
    every = [config for config in results.configs if is_trained(run_dir(workdir, config))]
    trained, shown = ([c for c in every if (c in results.shown) == is_shown] for is_shown in (False, True))
    inputs = Inputs(trained, results.rows, experiment.base, workdir, data_dir, shown)
    drawn = Drawn([], [])
    fitting = [n for n, entry in FIGURES.items() if entry.when and n not in experiment.figures and entry.when(trained)]
    names = [*fitting, *experiment.figures]
    for index, name in enumerate(names):
        progress(index, len(names), name)
        try:
            drawn.pictures.extend(_draw_one(name, inputs) if trained else [])
        except Exception as error:
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            drawn.failures.append((name, " ".join(reason.split())))
    progress(len(drawn.pictures), len(names), "")
    for name in {*FIGURES, *names} - {picture.name for picture in drawn.pictures}:
        for suffix in ("png", "pdf"):
            remove(workdir / "figures" / f"{name}.{suffix}")
    return drawn


def _draw_one(name: str, inputs: Inputs) -> list[Picture]:
    """Draws and writes a figure, if the runs have something to show in it."""
    entry = FIGURES[name]
    with in_style():
        drawing = entry.draw(inputs)
        files = render(drawing.figure) if drawing else {}
    for suffix, content in files.items():
        write_bytes(inputs.workdir / "figures" / f"{name}.{suffix}", content)
    return [Picture(name, entry.title, f"{entry.caption} {drawing.facts}".strip())] if drawing else []
