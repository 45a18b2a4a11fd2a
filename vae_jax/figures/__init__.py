"""Figures of an experiment's trained runs: WORKDIR/figures/NAME.png (300 dpi) and NAME.pdf.

A figure is one function under `@figure`; its docstring is its title and caption. The modules `numbers`, `latents`,
`density` and `decodes` hold them; `plots`, `planes` and `images` draw arrays on matplotlib's axes.
"""

from vae_jax.figures import backend  # isort: skip  # before anything that imports matplotlib

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from vae_jax.config import Experiment
from vae_jax.figures import decodes, density, latents, numbers
from vae_jax.figures.inputs import Inputs
from vae_jax.figures.panels import FIGURES
from vae_jax.figures.style import in_style, render
from vae_jax.results import Results
from vae_jax.workdir import Picture, UserError, is_trained, remove, run_dir, write_bytes

__all__ = ["FIGURES", "Drawn", "backend", "decodes", "density", "draw", "latents", "numbers"]


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
    """Draws an experiment's figures from its trained runs.

    A figure that fails does not stop the others. Files of a figure that is not drawn are removed, so that none of an
    earlier launch is taken for one of this. `progress` is called before each figure with the number of figures done,
    the number of all, and its name; what it raises ends the drawing.
    """
    trained = [config for config in results.configs if is_trained(run_dir(workdir, config))]
    inputs = Inputs(trained, dict(results.evaluated), experiment.base, workdir, data_dir)
    drawn = Drawn([], [])
    for index, name in enumerate(experiment.figures):
        progress(index, len(experiment.figures), name)
        picture = None
        try:
            picture = _draw_one(name, inputs) if trained else None
        except Exception as error:
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            drawn.failures.append((name, " ".join(reason.split())))
        if picture is not None:
            drawn.pictures.append(picture)
        else:
            for suffix in ("png", "pdf"):
                remove(workdir / "figures" / f"{name}.{suffix}")
    return drawn


def _draw_one(name: str, inputs: Inputs) -> Picture | None:
    entry = FIGURES[name]
    with in_style():
        drawing = entry.draw(inputs)
        if drawing is None:
            return None
        png = render(drawing.figure, "png")
        drawing.figure.set_layout_engine("none")  # the layout takes long, and it is found
        pdf = render(drawing.figure, "pdf")
    write_bytes(inputs.workdir / "figures" / f"{name}.png", png)
    write_bytes(inputs.workdir / "figures" / f"{name}.pdf", pdf)
    return Picture(name, entry.title, f"{entry.caption} {drawing.facts}".strip())
