"""Figures of an experiment's trained runs: WORKDIR/figures/NAME.png (300 dpi) and NAME.pdf.

A figure is one function under `@figure`; its docstring is its title and caption. The modules `numbers`, `latents` and
`decodes` hold them; `plots`, `planes` and `images` draw arrays on matplotlib's axes.
"""

from vae_jax.figures import backend  # isort: skip  # before anything that imports matplotlib

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from vae_jax.config import Experiment
from vae_jax.fields import ConfigError, nearest
from vae_jax.figures import decodes, latents, numbers
from vae_jax.figures.inputs import Inputs
from vae_jax.figures.registry import FIGURES
from vae_jax.figures.style import in_style, to_pdf, to_png
from vae_jax.results import Results
from vae_jax.workdir import Picture, UserError, is_trained, remove, run_dir, write_bytes

__all__ = ["FIGURES", "Drawn", "Failure", "backend", "check", "decodes", "draw", "latents", "numbers"]


class Failure(NamedTuple):
    """A figure that could not be drawn."""

    name: str
    reason: str  # one line


class Drawn(NamedTuple):
    """What `draw` has drawn."""

    pictures: list[Picture]
    failures: list[Failure]


def draw(
    experiment: Experiment,
    results: Results,
    workdir: Path,
    data_dir: str | None = None,
    progress: Callable[[int, int, str], object] | None = None,
) -> Drawn:
    """Draws an experiment's figures from its trained runs.

    A figure that fails does not stop the others. Files of a figure that is not drawn are removed, so that none of an
    earlier launch is taken for one of this.

    Args:
        experiment: its figures, and its base Config, which is always among the settings shown.
        results: the numbers of its runs.
        workdir: of the experiment.
        data_dir: folder of the prepared data sets; None for the default.
        progress: called before each figure with the number of figures done, the number of all, and its name. What it
            raises ends the drawing.

    Raises:
        ConfigError: the experiment names an unknown figure.
    """
    check(experiment.figures)
    trained = [config for config in results.configs if is_trained(run_dir(workdir, config))]
    inputs = Inputs(trained, dict(results.evaluated), experiment.base, workdir, data_dir)
    drawn = Drawn([], [])
    for index, name in enumerate(experiment.figures):
        if progress is not None:
            progress(index, len(experiment.figures), name)
        try:
            picture = _draw_one(name, inputs) if trained else None
        except UserError as error:
            drawn.failures.append(Failure(name, str(error)))
            picture = None
        except Exception as error:
            drawn.failures.append(Failure(name, " ".join(f"{type(error).__name__}: {error}".split())))
            picture = None
        if picture is not None:
            drawn.pictures.append(picture)
        else:
            for suffix in ("png", "pdf"):
                remove(workdir / "figures" / f"{name}.{suffix}")
    return drawn


def check(names: Sequence[str]) -> None:
    """Checks that figures exist.

    Raises:
        ConfigError: there is no figure of that name.
    """
    for name in names:
        if name not in FIGURES:
            raise ConfigError(f"unknown figure {name!r}{nearest(name, FIGURES)}; there are {', '.join(FIGURES)}")


def _draw_one(name: str, inputs: Inputs) -> Picture | None:
    entry = FIGURES[name]
    with in_style():
        drawing = entry.draw(inputs)
        if drawing is None:
            return None
        contents = {"png": to_png(drawing.figure)}
        drawing.figure.set_layout_engine("none")  # the layout takes long, and it is found
        contents["pdf"] = to_pdf(drawing.figure)
    for suffix, content in contents.items():
        write_bytes(inputs.workdir / "figures" / f"{name}.{suffix}", content)
    return Picture(name, entry.title, f"{entry.caption} {drawing.facts}".strip())
