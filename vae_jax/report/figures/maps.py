"""Figures of maps of the latent plane: where decodes are plausible, and where codes are dense."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes

from vae_jax.claims.results import grouped
from vae_jax.config import Config
from vae_jax.measure.density import hole_level, run_density
from vae_jax.measure.instruments import FOLDER
from vae_jax.measure.judges import THRESHOLD, is_classifiable, load_or_train
from vae_jax.measure.samples import decode_shrunk
from vae_jax.report.figures import planes
from vae_jax.report.figures.inputs import Inputs
from vae_jax.report.figures.latents import limit_of
from vae_jax.report.figures.panels import Drawing, draw_panels, figure

MAX_DOTS = 2000  # codes on a map
JUDGED_SIDE, DENSE_SIDE = 80, 160  # cells along each side of a map
DENSITY_ENDS = (-4.0, 3.0)  # nats below and above the level of holes that the scale shows


@figure
def plausibility(inputs: Inputs) -> Drawing | None:
    """Plausible images in the latent plane.

    How much the decode of each point looks like the data, as a network judges that was trained to reject what does not:
    the share of held-out real images that look no better, on one scale for all models. On the darker side of a solid
    line decodes are implausible; above each panel stands how many are, where it was measured. Dots are codes of test
    images, some as the number of their class; dashed circles are N(0, I) at one and two standard deviations. The axes
    differ between models.
    """
    flat = [config for config in inputs.configs if config.latent_dim == 2]
    groups = grouped(flat, lambda config: config.dataset)
    labelled = [config for group in groups if is_classifiable(inputs.dataset(group[0])) for config in group]

    def scores(config: Config, z: np.ndarray) -> np.ndarray:
        dataset = inputs.dataset(config)
        judge = load_or_train(dataset, inputs.workdir / FOLDER)
        return judge.scores(decode_shrunk(inputs.run(config), z, dataset.test.images.shape[1:]))

    def note(config: Config) -> str:
        numbers = inputs.numbers.get(config, {})
        named = {"N(0, I)": "prior_implausible", "reconstructions": "reconstruction_implausible"}
        said = [f"{100 * numbers[key]:.0f} % of {name}" for name, key in named.items() if numbers.get(key) is not None]
        return f"implausible: {', '.join(said)}" if said else ""

    label = "share of real images that look no better"
    return _draw_maps(inputs, labelled, scores, JUDGED_SIDE, THRESHOLD, (0, 1), note, label)


@figure
def holes(inputs: Inputs) -> Drawing | None:
    """Holes in the latent plane.

    Density of the codes of training images, q(z): of their posteriors, or of the points they are, smoothed by as much
    as makes left-out codes most likely. Brighter is denser. A solid line is the level above which 95 % of q(z) lies;
    its darker side, which it may enclose, is a hole. Above each panel stands how much of a Gaussian with the codes' own
    mean and covariance lies in holes, where it was measured; of q(z) itself it is 5 %. Dots are codes of test images,
    some as the number of their class; dashed circles are N(0, I) at one and two standard deviations. The axes differ
    between models: an autoencoder's codes may have any scale.
    """

    def above_holes(config: Config, z: np.ndarray) -> np.ndarray:
        density = run_density(inputs.run(config), inputs.dataset(config).train.images)
        if density is None:  # of a bad run
            return np.full(len(z), np.nan)
        with np.errstate(invalid="ignore"):  # codes on a line have no density
            return np.asarray(density.log(z) - hole_level(density))

    def note(config: Config) -> str:
        share = inputs.numbers.get(config, {}).get("gaussian_hole_mass")
        return "" if share is None else f"{100 * share:.0f} % of their Gaussian in holes"

    flat = [config for config in inputs.configs if config.latent_dim == 2]
    label = "log q(z), nats above the level\nthat holds 95 % of q(z)"
    return _draw_maps(inputs, flat, above_holes, DENSE_SIDE, 0, DENSITY_ENDS, note, label)


def _draw_maps(
    inputs: Inputs, configs: Sequence[Config], values: Callable[[Config, np.ndarray], np.ndarray], side: int,
    level: float, ends: tuple[float, float], note: Callable[[Config], str], label: str,
) -> Drawing | None:  # fmt: skip
    """Draws a map per run, of its `values` at points float64[side * side, 2] of the plane, and one colour bar."""
    axes = []

    def draw(config: Config, ax: Axes) -> str:
        test = inputs.test(config, MAX_DOTS)
        codes = inputs.codes(config).mean[: len(test.images)]
        limit = limit_of(codes)
        steps = (np.arange(side) + 0.5) / side * 2 * limit - limit
        z = np.stack(np.meshgrid(steps, steps[::-1]), axis=-1).reshape(-1, 2)  # row 0 is the top
        planes.plane_map(ax, values(config, z).reshape(side, side), level, ends, codes, test.labels, limit)
        axes.append(ax)
        return note(config)

    drawing = draw_panels(inputs, inputs.choose(configs), {"": draw}, (3.6, 3.8))
    if drawing is not None:
        planes.level_bar(axes, level, label)
    return drawing
