"""The figure of the aggregate code q(z) as a density, and of the holes in it."""

import numpy as np
from matplotlib.axes import Axes

from vae_jax.config import Config
from vae_jax.measure.density import hole_level, run_density
from vae_jax.report.figures import planes
from vae_jax.report.figures.inputs import Inputs
from vae_jax.report.figures.panels import Drawing, draw_panels, figure

MAX_CODES = 2000  # points on a map
SIDE = 160  # cells along each side of a map
LEAST_LIMIT = 3.0  # of the axes: N(0, I) is always seen


@figure
def holes(inputs: Inputs) -> Drawing | None:
    """Holes in the latent plane.

    Density of the codes of training images, q(z): of their posteriors, or of the points they are, smoothed by as much
    as makes left-out codes most likely. Brighter is denser. A solid line is the level above which 95 % of q(z) lies;
    its darker side, which it may enclose, is a hole. Dots are codes of test images, and bold numbers stand near the
    medians of their classes; dashed circles are N(0, I) at one and two standard deviations. The axes differ between
    models: an autoencoder's codes may have any scale.
    """
    chosen = inputs.choose([config for config in inputs.configs if config.latent_dim == 2])
    axes = []

    def draw(config: Config, ax: Axes) -> str:
        test = inputs.test(config, MAX_CODES)
        codes = inputs.codes(config).mean[: len(test.images)]
        limit = _limit(codes)
        planes.density_map(_map(inputs, config, limit), codes, test.labels, limit, ax)
        axes.append(ax)
        share = inputs.numbers.get(config, {}).get("gaussian_hole_mass")
        return "" if share is None else f"{100 * share:.0f} % of their Gaussian in holes"

    drawing = draw_panels(inputs, chosen, draw, (3.6, 3.8), _facts(inputs, chosen.configs))
    if drawing is not None:
        planes.density_bar(axes)
    return drawing


def _map(inputs: Inputs, config: Config, limit: float) -> np.ndarray:
    """Returns log q(z) over the plane minus the level of its holes, float64[SIDE, SIDE] nats, row 0 at the top."""
    density = run_density(inputs.run(config), inputs.dataset(config).train.images)
    if density is None:  # of a bad run
        return np.full((SIDE, SIDE), np.nan)
    side = (np.arange(SIDE) + 0.5) / SIDE * 2 * limit - limit
    z = np.stack(np.meshgrid(side, side[::-1]), axis=-1).reshape(-1, 2)
    with np.errstate(invalid="ignore"):  # codes on a line have no density
        return (density.log(z) - hole_level(density)).reshape(SIDE, SIDE)


def _limit(codes: np.ndarray) -> float:
    """Returns where the axes end: at nearly all codes, and beyond N(0, I)."""
    finite = codes[np.isfinite(codes).all(axis=1)]
    return max(LEAST_LIMIT, 1.1 * float(np.quantile(np.abs(finite), 0.999))) if len(finite) else LEAST_LIMIT


def _facts(inputs: Inputs, configs: list[Config]) -> str:
    """Says how much of the codes' own Gaussian lies in the holes of each panel."""
    masses = {config: inputs.numbers.get(config, {}).get("gaussian_hole_mass") for config in configs}
    shares = [f"{inputs.label(config)} {100 * mass:.0f} %" for config, mass in masses.items() if mass is not None]
    if not shares:
        return ""
    return (
        f"Of a Gaussian with the codes' own mean and covariance, in holes lie: {'; '.join(shares)}. Of q(z) itself it "
        "is 5 %."
    )
