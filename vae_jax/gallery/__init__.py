"""Finished runs to figures on disk: which runs go into which picture, what is computed for it, and its caption."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from vae_jax import figures
from vae_jax.config import ConfigError, Experiment, nearest
from vae_jax.files import write_bytes
from vae_jax.gallery import evidence, pictures
from vae_jax.gallery.scene import Scene, chosen_settings
from vae_jax.runs import load_run
from vae_jax.workdir import Picture, is_trained, run_dir

# By name, in the order in which a reader wants them. The docstring of each is its title and its caption.
FIGURES: dict[str, Callable[[Scene], Figure | None]] = {
    function.__name__: function
    for function in (
        evidence.sweep, evidence.rate_distortion, evidence.heat_maps, evidence.dose_response, pictures.training_curves,
        pictures.reconstructions, pictures.latent_space, pictures.posteriors, pictures.manifold,
        pictures.manifold_by_kl_weight, evidence.holes, pictures.samples, pictures.samples_by_kl_weight,
        evidence.samplers, pictures.interpolations, pictures.traversals, evidence.kl_per_dimension,
    )
}  # fmt: skip


def draw(experiment: Experiment, workdir: Path, *, data_dir: str | None = None) -> list[Picture]:
    """Draws an experiment's figures from its trained runs: figures/NAME.png (300 dpi) and NAME.pdf.

    Raises:
        UserError: a file of a run is damaged, a data set is not there, or the workdir cannot be written.
        ConfigError: the experiment asks for a figure that there is not.
    """
    check(experiment.figures)
    configs = [config for config in experiment.configs if is_trained(run_dir(workdir, config))]
    panels = [load_run(run_dir(workdir, config)) for config in chosen_settings(configs)]
    scene = Scene(configs, workdir, panels, data_dir)
    drawn = []
    with figures.style():
        for name in experiment.figures if configs else ():
            if (figure := FIGURES[name](scene)) is not None:
                _save(figure, workdir / "figures" / name)
                title, caption = (FIGURES[name].__doc__ or "").split("\n\n")[:2]
                drawn.append(Picture(name, title.rstrip("."), " ".join(caption.split())))
    return drawn


def check(names: Sequence[str]) -> None:
    """Raises ConfigError for a figure that there is not."""
    for name in names:
        if name not in FIGURES:
            raise ConfigError(f"unknown figure {name!r}{nearest(name, FIGURES)}; there are {', '.join(FIGURES)}")


def _save(figure: Figure, path: Path) -> None:
    for suffix, metadata in (("png", {}), ("pdf", {"CreationDate": None})):
        content = io.BytesIO()
        figure.savefig(content, format=suffix, dpi=300, metadata=metadata)
        write_bytes(path.with_suffix(f".{suffix}"), content.getvalue())
    plt.close(figure)
