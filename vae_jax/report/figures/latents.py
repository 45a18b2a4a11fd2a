"""Figures of the latent space: codes and posteriors."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from vae_jax.claims.results import grouped, setting_of
from vae_jax.config import Config
from vae_jax.models import MODEL_FIELDS
from vae_jax.report.figures import planes
from vae_jax.report.figures.inputs import Chosen, Inputs
from vae_jax.report.figures.panels import Drawing, draw_panels, figure, share_legend

MAX_PLANES = 8  # more would be too small for the names of classes
MAX_ELLIPSES = 60
WINDOW = 1 / 4  # of the plane, which posteriors show
WIDEST = 3  # times the narrowest model's extent, which panels beside each other show at most
MAX_KEYS = 26  # classes in a legend


class Plane(NamedTuple):
    """Codes of one run as they are drawn in a plane."""

    codes: np.ndarray  # float[N, 2]
    axes: tuple[str, str]  # names
    prior_dims: int  # of N(0, I), 1 or 2
    outside: float  # share of the finite codes farther from 0 than two standard deviations; NaN if there are none
    limit: float


@figure
def latent_space(inputs: Inputs) -> Drawing | None:
    """Latent space.

    Codes (posterior means) of test images, coloured by class, with the name of each class where it is dense. Models
    beside each other have one scale; dashed are one and two standard deviations of N(0, I), and above stands what share
    of the codes lies beyond two: of N(0, I) it is 13.5 % in two dimensions and 4.6 % in one. More than two dimensions
    are projected onto the two directions in which the codes vary most, with their shares of the variance.
    """
    chosen = inputs.choose(most=MAX_PLANES)
    drawn_of = planes_of(inputs, chosen.configs)

    def draw(config: Config, ax: Axes) -> str:
        draw_plane(inputs, config, ax, drawn_of[config])
        return f"{_percent(drawn_of[config].outside)} > 2 sd"

    return _with_class_key(inputs, chosen, draw_panels(inputs, chosen, {"": draw}, (3.6, 3.8)))


@figure
def posteriors(inputs: Inputs) -> Drawing | None:
    """Posteriors: points and distributions.

    The posterior of each of some test images in the middle of the codes, as an ellipse of one standard deviation around
    its mean, or as a point for a model without a posterior variance. Each panel has its own scale, a quarter of all
    codes wide. Where ellipses overlap, the decoder has to produce similar images, and no point between them is unknown
    to it.
    """
    chosen = inputs.choose([config for config in inputs.configs if config.latent_dim == 2])

    def draw(config: Config, ax: Axes) -> None:
        mean, logvar = inputs.codes(config)
        labels = inputs.test(config, len(mean)).labels
        center, limit = _middle(mean), WINDOW * limit_of(mean)
        seen = np.flatnonzero((np.abs(mean - center) <= limit).all(axis=1))[:MAX_ELLIPSES]
        seen = seen if len(seen) else np.arange(min(len(mean), MAX_ELLIPSES))  # of a diverged run
        logvar, labels = (None if each is None else each[seen] for each in (logvar, labels))
        planes.posterior_ellipses(ax, mean[seen], logvar, labels, limit, center, inputs.dataset(config).classes)

    return _with_class_key(inputs, chosen, draw_panels(inputs, chosen, {"": draw}, (4.6, 4.8)))


def planes_of(inputs: Inputs, configs: Sequence[Config]) -> dict[Config, Plane]:
    """Returns the planes of runs; those that differ in their model only have one scale, if none is far wider."""
    own = {config: _plane(inputs, config) for config in configs}
    shared = dict[Config, Plane]()
    for group in grouped(configs, lambda config: setting_of(config, ("model", *MODEL_FIELDS))):
        limits = [own[config].limit for config in group]
        limit = min(max(limits), WIDEST * min(limits))
        shared |= {config: own[config]._replace(limit=limit) for config in group}
    return shared


def draw_plane(inputs: Inputs, config: Config, ax: Axes, plane: Plane) -> None:
    """Draws a run's codes of test images in a plane of `planes_of`."""
    labels, classes = inputs.test(config, len(plane.codes)).labels, inputs.dataset(config).classes
    planes.latent_codes(ax, plane.codes, labels, plane.limit, plane.axes, classes, plane.prior_dims)


def limit_of(codes: np.ndarray) -> float:
    """Returns where the axes of a panel end: beyond two standard deviations, and beyond all codes but far ones."""
    reach = np.abs(codes[np.isfinite(codes)])
    return max(2.6, 1.05 * float(min(reach.max(), 1.3 * np.quantile(reach, 0.995)))) if reach.size else 2.6


def _with_class_key(inputs: Inputs, chosen: Chosen, drawing: Drawing | None) -> Drawing | None:
    """Adds a legend beneath a figure's panels, with the classes, if all panels have the same few."""
    if drawing is not None:
        first, *others = [inputs.dataset(config).classes for config in chosen.configs]
        is_same = len(first) <= MAX_KEYS and all(classes == first for classes in others)
        share_legend(drawing.figure, planes.class_key(first) if is_same else [])
    return drawing


def _middle(codes: np.ndarray) -> np.ndarray:
    """Returns the median float64[2] of the finite codes; 0 if there are none."""
    finite = codes[np.isfinite(codes).all(axis=1)]
    return np.median(finite, axis=0) if len(finite) else np.zeros(2)


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.0f} %"


def _plane(inputs: Inputs, config: Config) -> Plane:
    """Returns a run's codes of test images as they are, or along their two principal axes through the origin.

    The codes are not centred: the prior's mean stays at the origin, and its projection is N(0, I) again. A single
    dimension is spread at random over the other axis.
    """
    codes = inputs.codes(config).mean.astype(np.float64)
    names, dims = ("z₁", "z₂"), min(2, codes.shape[1])
    finite = codes[np.isfinite(codes).all(axis=1)]
    if codes.shape[1] > 2:
        centred = finite - finite.sum(axis=0) / max(1, len(finite))
        variances, axes = np.linalg.eigh(centred.T @ centred)  # ascending
        codes, finite = codes @ axes[:, :-3:-1], finite @ axes[:, :-3:-1]
        shares = variances[:-3:-1].clip(0) / max(variances.sum(), np.finfo(float).tiny)
        names = (f"axis 1 ({_percent(shares[0])})", f"axis 2 ({_percent(shares[1])})")
    limit = limit_of(codes)
    outside = float(np.mean(np.linalg.norm(finite, axis=1) > 2)) if len(finite) else np.nan
    if dims == 1:
        names = ("z₁", "(spread at random)")
        codes = np.column_stack([codes, np.random.default_rng(0).uniform(-0.8 * limit, 0.8 * limit, len(codes))])
    return Plane(codes, names, dims, outside, limit)
