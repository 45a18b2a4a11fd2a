"""Figures of the latent space: codes, posteriors, and where in the plane decodes are plausible."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from vae_jax.config import Config
from vae_jax.evaluation.classifier import is_classifiable
from vae_jax.evaluation.plausibility import THRESHOLD, load_or_train
from vae_jax.figures import planes
from vae_jax.figures.inputs import Inputs
from vae_jax.figures.panels import Drawing, by_dataset, draw_panels, figure

MAX_CODES = 5000  # points in a latent space
MAX_ELLIPSES = 500
MAX_CODES_ON_MAP = 2000
MAP_SIDE = 80  # decodes along each side of a map of plausibility
OUTSIDE_2SD = {1: "4.6 %", 2: "13.5 %"}  # of N(0, I), by number of dimensions


class Plane(NamedTuple):
    """Codes of one run as they are drawn in a plane."""

    codes: np.ndarray  # float[N, K], K is 1 or 2
    labels: np.ndarray | None  # int[N]
    axes: tuple[str, str]  # names
    outside: float  # share of the finite codes farther from 0 than two standard deviations; NaN if there are none


@figure
def latent_space(inputs: Inputs) -> Drawing | None:
    """Latent space.

    Codes (posterior means) of test images, coloured by class, on the same axes for all models of a data set, with
    N(0, I) at one and two standard deviations. More than two dimensions are projected onto the two directions in which
    the codes vary most.
    """
    chosen = inputs.choose()
    planes_of = {config: _plane(inputs, config) for config in chosen.configs}
    limits = {group[0].dataset: _limit([planes_of[c].codes for c in group]) for group in by_dataset(chosen.configs)}

    def draw(config: Config, ax: Axes) -> None:
        codes, labels, names, outside = planes_of[config]
        limit, dims = limits[config.dataset], codes.shape[1]
        if dims == 1:  # spread at random over the other axis
            codes = np.column_stack([codes, np.random.default_rng(0).uniform(-0.8 * limit, 0.8 * limit, len(codes))])
        planes.latent_codes(
            codes, None, labels, limit, ax, names, _classes(inputs, config), dims, f"{_percent(outside)} beyond 2 sd"
        )

    shares = "; ".join(f"{inputs.label(config)} {_percent(plane.outside)}" for config, plane in planes_of.items())
    seen = sorted({plane.codes.shape[1] for plane in planes_of.values()})
    expected = " and ".join(f"{OUTSIDE_2SD[dims]} in {dims} dimension{'s'[: dims - 1]}" for dims in seen)
    facts = f"Codes that are drawn farther from 0 than two standard deviations: {shares}. Of N(0, I), {expected}."
    return draw_panels(inputs, chosen, draw, (4.6, 4.9), facts)


@figure
def posteriors(inputs: Inputs) -> Drawing | None:
    """Posteriors: points and distributions.

    The posterior of each of some test images, as an ellipse of one standard deviation, or as a point for a model
    without a posterior variance. Where ellipses overlap, the decoder has to produce similar images.
    """
    chosen = inputs.choose([config for config in inputs.configs if config.latent_dim == 2])
    seen = {config: inputs.test(config, MAX_ELLIPSES) for config in chosen.configs}
    encoded = {config: inputs.run(config).encode(split.images) for config, split in seen.items()}
    limits = {group[0].dataset: _limit([encoded[c].mean for c in group]) for group in by_dataset(chosen.configs)}

    def draw(config: Config, ax: Axes) -> None:
        planes.latent_codes(
            *encoded[config], seen[config].labels, limits[config.dataset], ax, classes=_classes(inputs, config)
        )

    return draw_panels(inputs, chosen, draw, (4.6, 4.9))


@figure
def plausibility(inputs: Inputs) -> Drawing | None:
    """Plausible images in the latent plane.

    How much the decode of each point looks like the data, as a network judges that was trained to reject what does not:
    the share of held-out real images that look no better, on one scale for all models. Within the solid lines decodes
    are plausible. Dots are codes of test images, dashed circles are N(0, I) at one and two standard deviations. The
    axes differ between models.
    """
    flat = [config for config in inputs.configs if config.latent_dim == 2]
    labelled = [group for group in by_dataset(flat) if is_classifiable(inputs.dataset(group[0]))]
    if not labelled:
        return None
    chosen = inputs.choose([config for group in labelled for config in group])
    axes = []

    def draw(config: Config, ax: Axes) -> None:
        said = ",\n".join(_shares(inputs, config))
        planes.plausibility_map(*_plausibility_map(inputs, config), ax, said and f"{said}\nimplausible")
        axes.append(ax)

    shares = [(inputs.label(config), _shares(inputs, config)) for config in chosen.configs]
    known = "; ".join(f"{label}: {', '.join(said)}" for label, said in shares if said)
    drawing = draw_panels(inputs, chosen, draw, (4.6, 4.9), known and f"Decodes that are implausible: {known}.")
    planes.color_bar(axes, THRESHOLD, "share of real images that look no better")
    return drawing


def _shares(inputs: Inputs, config: Config) -> list[str]:
    """Says what shares of N(0, I) samples and of reconstructions are implausible, as far as they are known."""
    numbers = inputs.numbers.get(config, {})
    named = {"N(0, I)": numbers.get("prior_implausible"), "reconstructions": numbers.get("reconstruction_implausible")}
    return [f"{_percent(share)} of {name}" for name, share in named.items() if share is not None]


def _classes(inputs: Inputs, config: Config) -> list[int] | None:
    """Returns the labels of a run's data set, so that a class has one colour in all panels."""
    dataset = inputs.dataset(config)
    parts = [split.labels for split in (dataset.train, dataset.test) if split.labels is not None]
    return np.unique(np.concatenate(parts)).tolist() if parts else None


def _limit(codes: Sequence[np.ndarray]) -> float:
    """Returns where the axes of all panels end: at nearly all codes of each, and beyond two standard deviations."""
    reach = [np.abs(each[np.isfinite(each)]) for each in codes]
    return max([2.6, *(1.05 * float(np.quantile(values, 0.995)) for values in reach if values.size)])


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.0f} %"


def _plane(inputs: Inputs, config: Config) -> Plane:
    """Returns a run's codes of test images as they are, or along their two principal axes through the origin.

    The codes are not centred: the prior's mean stays at the origin, and its projection is N(0, I) again.
    """
    images, labels = inputs.test(config, MAX_CODES)
    codes = inputs.run(config).encode(images).mean.astype(np.float64)
    names = ("z₁", "z₂" if codes.shape[1] == 2 else "(spread at random)")
    finite = codes[np.isfinite(codes).all(axis=1)]
    if codes.shape[1] > 2:
        centred = finite - finite.sum(axis=0) / max(1, len(finite))
        variances, axes = np.linalg.eigh(centred.T @ centred)  # ascending
        codes, finite = codes @ axes[:, :-3:-1], finite @ axes[:, :-3:-1]
        shares = variances[:-3:-1].clip(0) / max(variances.sum(), np.finfo(float).tiny)
        names = (f"principal axis 1 ({_percent(shares[0])} of variance)", f"axis 2 ({_percent(shares[1])})")
    outside = float(np.mean(np.linalg.norm(finite, axis=1) > 2)) if len(finite) else np.nan
    return Plane(codes, labels, names, outside)


def _plausibility_map(inputs: Inputs, config: Config) -> tuple[np.ndarray, float, np.ndarray, np.ndarray | None, float]:
    """Returns scores over the plane and their threshold, codes, their labels, and where the plane ends."""
    run, judge, test = inputs.run(config), load_or_train(inputs.dataset(config)), inputs.test(config, MAX_CODES_ON_MAP)
    codes = run.encode(test.images).mean
    finite = codes[np.isfinite(codes).all(axis=1)]
    limit = max(3.0, 1.05 * float(np.quantile(np.abs(finite), 0.995))) if len(finite) else 3.0
    side = (np.arange(MAP_SIDE) + 0.5) / MAP_SIDE * 2 * limit - limit
    z = np.stack(np.meshgrid(side, side[::-1]), axis=-1).reshape(-1, 2)  # row 0 is the top
    scores = judge.scores(run.decode(z)).reshape(MAP_SIDE, MAP_SIDE)
    return scores, judge.threshold, codes, test.labels, limit
