"""Figures of an experiment's trained runs: WORKDIR/figures/NAME.png (300 dpi), and beside it PDF, SVG or both.

A figure is one function under `@figure`; its docstring is its title and caption. The modules `numbers`, `latents`,
`maps`, `factors`, `decodes` and `overview` hold them; `plots`, `planes` and `images` draw arrays on matplotlib's axes.
`animation` makes the one picture that moves, WORKDIR/figures/kl_weight.webp.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from vae_jax.claims.results import Results
from vae_jax.config import FIGURE_FORMATS, Experiment, Options
from vae_jax.data.arrays import NoArraysError
from vae_jax.errors import UserError
from vae_jax.files import remove, write_bytes
from vae_jax.report.figures import animation, decodes, factors, latents, maps, numbers, overview
from vae_jax.report.figures.inputs import HEAT_MAPS, Inputs
from vae_jax.report.figures.panels import FIGURES
from vae_jax.report.figures.style import in_style, render
from vae_jax.workdir import Picture, is_trained, run_dir

__all__ = ["FIGURES", "Drawn", "decodes", "draw", "factors", "latents", "maps", "numbers", "overview"]

DEFAULTS = Options()
ANIMATION = "kl_weight.webp"


class Drawn(NamedTuple):
    """What `draw` has drawn, and the names of figures that failed, each with its reason in one line."""

    pictures: list[Picture]
    failures: list[tuple[str, str]]
    files: list[str]
    """Paths below the workdir of all that was written."""
    left_out: list[str]
    """Names of figures that need the images of runs on arrays, which were not passed."""


def draw(
    experiment: Experiment,
    results: Results,
    workdir: Path,
    options: Options = DEFAULTS,
    progress: Callable[[int, int, str], object] = lambda *_: None,
) -> Drawn:
    """Draws an experiment's figures from its trained runs, and before them those that fit its grid unasked.

    A figure that fails does not stop the others. Files of a figure that is not drawn are removed, so that none of an
    earlier launch is taken for one of this. `progress` is called before each figure with the number of figures done,
    the number of all, and its name, and after the last without a name: with the number of those that there are now, and
    of these and those that failed; what it raises ends the drawing.
    """
    every = [config for config in results.configs if is_trained(run_dir(workdir, config))]
    trained, shown = ([c for c in every if (c in results.shown) == is_shown] for is_shown in (False, True))
    inputs = Inputs(
        trained, results.rows, experiment.base, workdir, options.data_dir, shown, options.heat_maps or HEAT_MAPS
    )
    formats = tuple(dict.fromkeys((FIGURE_FORMATS[0], *options.figure_format)))
    drawn = Drawn([], [], [], [])
    fitting = [n for n, entry in FIGURES.items() if entry.when and n not in experiment.figures and entry.when(trained)]
    names = list(options.only_figures or [*fitting, *experiment.figures])
    names += [ANIMATION] if options.animate else []
    for index, name in enumerate(names if trained else ()):
        progress(index, len(names), name)
        try:
            files, pictures = _draw_one(name, inputs, formats)
            for file, content in files.items():
                write_bytes(workdir / "figures" / file, content)
        except NoArraysError:
            drawn.left_out.append(name)
        except Exception as error:
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            drawn.failures.append((name, " ".join(reason.split())))
        else:
            drawn.pictures.extend(pictures)
            drawn.files.extend(f"figures/{file}" for file in files)
    done = len({Path(file).stem for file in drawn.files})
    progress(done, done + len(drawn.failures), "")
    for file in {ANIMATION, *(f"{name}.{suffix}" for name in {*FIGURES, *names} for suffix in FIGURE_FORMATS)}:
        if f"figures/{file}" not in drawn.files:
            remove(workdir / "figures" / file)
    return drawn


def _draw_one(name: str, inputs: Inputs, formats: Sequence[str]) -> tuple[dict[str, bytes], list[Picture]]:
    """Returns the files of a figure by name, and the figure; nothing if the runs have nothing to show in it."""
    if name == ANIMATION:
        return {name: animation.animate(inputs)}, []
    entry = FIGURES[name]
    with in_style():
        drawing = entry.draw(inputs)
        files = render(drawing.figure, formats) if drawing else {}
    pictures = (
        [Picture(name, entry.title, f"{entry.caption} {drawing.facts}".strip(), tuple(formats))] if drawing else []
    )
    return {f"{name}.{suffix}": content for suffix, content in files.items()}, pictures
