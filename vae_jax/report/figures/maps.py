"""The map of the latent plane: where codes are dense."""

import numpy as np
from matplotlib.axes import Axes

from vae_jax.config import Config
from vae_jax.measure.density import hole_level, run_density
from vae_jax.report.figures import planes
from vae_jax.report.figures.inputs import Inputs
from vae_jax.report.figures.latents import limit_of
from vae_jax.report.figures.panels import Drawing, draw_panels, figure

MAX_DOTS = 2000  # codes on the map
SIDE = 160  # cells along each side
ENDS = (-4.0, 3.0)  # nats below and above the level of holes that the scale shows


@figure
def holes(inputs: Inputs) -> Drawing | None:
    """Holes in the latent plane.

    Density of the codes of training images, q(z): of their posteriors, or of the points they are, smoothed by as much
    as makes left-out codes most likely. Brighter is denser. A solid line is the level above which 95 % of q(z) lies;
    its darker side, which it may enclose, is a hole. Above each panel stands how much of a Gaussian with the codes' own
    mean and covariance lies in holes, where it was measured; of q(z) itself it is 5 %. Dots are codes of test images,
    with the name of each class; dashed circles are N(0, I) at one and two standard deviations. The axes differ
    between models: an autoencoder's codes may have any scale.
    """
    axes = []

    def draw(config: Config, ax: Axes) -> str:
        test = inputs.test(config, MAX_DOTS)
        codes = inputs.codes(config).mean[: len(test.images)]
        limit = limit_of(codes)
        steps = (np.arange(SIDE) + 0.5) / SIDE * 2 * limit - limit
        z = np.stack(np.meshgrid(steps, steps[::-1]), axis=-1).reshape(-1, 2)  # row 0 is the top
        values = _above_holes(inputs, config, z).reshape(SIDE, SIDE)
        planes.plane_map(ax, values, 0, ENDS, codes, test.labels, limit, inputs.dataset(config).classes)
        axes.append(ax)
        share = inputs.numbers.get(config, {}).get("gaussian_hole_mass")
        return "" if share is None else f"{100 * share:.0f} % of their Gaussian\nin holes"

    chosen = inputs.choose([config for config in inputs.configs if config.latent_dim == 2])
    drawing = draw_panels(inputs, chosen, {"": draw}, (3.6, 3.8))
    if drawing is not None:
        planes.level_bar(axes, 0, "log q(z), nats above the level\nthat holds 95 % of q(z)")
    return drawing


def _above_holes(inputs: Inputs, config: Config, z: np.ndarray) -> np.ndarray:
    """Returns how far log q(z) lies above the level of holes at points float64[N, 2]: float64[N], nats."""
    density = run_density(inputs.run(config), inputs.dataset(config).train.images)
    if density is None:  # of a bad run
        return np.full(len(z), np.nan)
    with np.errstate(invalid="ignore"):  # codes on a line have no density
        return np.asarray(density.log(z) - hole_level(density))
