"""Figures of the latent space: codes, posteriors, and where in the plane decodes are plausible."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from vae_jax.config import FIELDS, Config
from vae_jax.measure.instruments import FOLDER
from vae_jax.measure.judges import THRESHOLD, is_classifiable, load_or_train
from vae_jax.measure.samples import decode_shrunk
from vae_jax.models import MODEL_FIELDS
from vae_jax.report.figures import planes
from vae_jax.report.figures.grids import by_dataset, lines_of
from vae_jax.report.figures.inputs import Chosen, Inputs
from vae_jax.report.figures.panels import Drawing, draw_panels, figure, handles_of, share_legend

MAX_ELLIPSES = 60
ZOOM = 4  # of posteriors
MAX_KEYS = 10  # classes in a legend
SHARED = [name for name in FIELDS if name not in MODEL_FIELDS and name != "model"]
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

    Codes (posterior means) of test images, coloured by class, some as the number of their class. Each panel has its own
    scale; dashed are one and two standard deviations of N(0, I). More than two dimensions are projected onto the two
    directions in which the codes vary most, with their shares of the variance.
    """
    chosen = inputs.choose()
    planes_of = {config: _plane(inputs, config) for config in chosen.configs}
    limits = {config: _limit(plane.codes) for config, plane in planes_of.items()}
    frames: dict[Config, tuple[float, str]] = {}
    for line in lines_of(chosen.configs):
        nearest = min(line, key=lambda config: limits[config])
        wide = [config for config in line if limits[config] > 1.3 * limits[nearest]]
        frames |= dict.fromkeys(wide, (limits[nearest], f"panel of the {inputs.label(nearest, SHARED)}"))

    def draw(config: Config, ax: Axes) -> str:
        codes, labels, names, outside = planes_of[config]
        limit, dims = limits[config], codes.shape[1]
        if dims == 1:  # spread at random over the other axis
            codes = np.column_stack([codes, np.random.default_rng(0).uniform(-0.8 * limit, 0.8 * limit, len(codes))])
        planes.latent_codes(codes, labels, limit, ax, names, _classes(inputs, config), dims, frames.get(config))
        return f"{_percent(outside)} > 2 sd"

    seen = sorted({plane.codes.shape[1] for plane in planes_of.values()})
    expected = " and ".join(f"{OUTSIDE_2SD[dims]} in {dims} dimension{'s'[: dims - 1]}" for dims in seen)
    facts = (
        f"Above each panel: what share of the codes is drawn beyond two standard deviations; of N(0, I), {expected}."
    )
    if frames:
        facts += " The grey frame is as large as the panel that the legend names."
    return _with_class_key(inputs, chosen, draw_panels(inputs, chosen, draw, (3.6, 3.8), facts))


def draw_codes(inputs: Inputs, config: Config, ax: Axes) -> None:
    """Draws a run's codes of test images, in a plane at its own scale, without a legend."""
    codes, labels, names, _ = _plane(inputs, config)
    planes.latent_codes(codes, labels, _limit(codes), ax, names, _classes(inputs, config))
    if (legend := ax.get_legend()) is not None:
        legend.remove()


@figure
def posteriors(inputs: Inputs) -> Drawing | None:
    """Posteriors: points and distributions.

    The posterior of each of some test images, as an ellipse of one standard deviation around its mean, or as a point
    for a model without a posterior variance; below, the square enlarged, with more images. Each panel has its own
    scale. Where ellipses overlap, the decoder has to produce similar images.
    """
    chosen = inputs.choose([config for config in inputs.configs if config.latent_dim == 2])

    def whole(config: Config, ax: Axes) -> None:
        mean = inputs.codes(config).mean
        draw(config, ax, np.zeros(2), (limit := _limit(mean)), [*_middle(mean), limit / ZOOM])

    def enlarged(config: Config, ax: Axes) -> None:
        mean = inputs.codes(config).mean
        draw(config, ax, _middle(mean), _limit(mean) / ZOOM, None)

    def draw(config: Config, ax: Axes, center: np.ndarray, limit: float, window: list[float] | None) -> None:
        mean, logvar = inputs.codes(config)
        labels = inputs.test(config, len(mean)).labels
        seen = np.flatnonzero((np.abs(mean - center) <= limit).all(axis=1))[:MAX_ELLIPSES]
        seen = seen if len(seen) else np.arange(min(len(mean), MAX_ELLIPSES))  # of a diverged run
        logvar, labels = (None if each is None else each[seen] for each in (logvar, labels))
        planes.posterior_ellipses(mean[seen], logvar, labels, limit, ax, center, _classes(inputs, config), window)

    drawn = draw_panels(inputs, chosen, {"": whole, f"{ZOOM} × larger": enlarged}, (3.4, 3.5))
    return _with_class_key(inputs, chosen, drawn)


@figure
def plausibility(inputs: Inputs) -> Drawing | None:
    """Plausible images in the latent plane.

    How much the decode of each point looks like the data, as a network judges that was trained to reject what does not:
    the share of held-out real images that look no better, on one scale for all models. On the darker side of a solid
    line decodes are implausible. Dots are codes of test images, and bold numbers stand near the medians of their
    classes; dashed circles are N(0, I) at one and two standard deviations. The axes differ between models.
    """
    flat = [config for config in inputs.configs if config.latent_dim == 2]
    labelled = [group for group in by_dataset(flat) if is_classifiable(inputs.dataset(group[0]))]
    if not labelled:
        return None
    chosen = inputs.choose([config for group in labelled for config in group])
    axes = []

    def draw(config: Config, ax: Axes) -> str:
        planes.plausibility_map(*_plausibility_map(inputs, config), ax)
        axes.append(ax)
        said = ",\n".join(_shares(inputs, config))
        return said and f"implausible: {said}"

    shares = [(inputs.label(config), _shares(inputs, config)) for config in chosen.configs]
    known = "; ".join(f"{label}: {', '.join(said)}" for label, said in shares if said)
    drawing = draw_panels(inputs, chosen, draw, (3.6, 3.8), known and f"Decodes that are implausible: {known}.")
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


def _with_class_key(inputs: Inputs, chosen: Chosen, drawing: Drawing | None) -> Drawing | None:
    """Moves the legends of a figure's panels beneath them, with the classes, if all panels have the same few."""
    if drawing is not None:
        lists = [_classes(inputs, config) for config in chosen.configs]
        same = lists[0] is not None and all(each == lists[0] for each in lists) and len(lists[0]) <= MAX_KEYS
        key = planes.class_key(lists[0]) if same and lists[0] else []
        share_legend(drawing.figure, [*key, *handles_of(drawing.figure)], columns=7)
    return drawing


def _limit(codes: np.ndarray) -> float:
    """Returns where the axes of a panel end: beyond two standard deviations, and beyond all codes but far ones."""
    reach = np.abs(codes[np.isfinite(codes)])
    return max(2.6, 1.05 * float(min(reach.max(), 1.3 * np.quantile(reach, 0.995)))) if reach.size else 2.6


def _middle(codes: np.ndarray) -> np.ndarray:
    """Returns the median float64[2] of the finite codes; 0 if there are none."""
    finite = codes[np.isfinite(codes).all(axis=1)]
    return np.median(finite, axis=0) if len(finite) else np.zeros(2)


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.0f} %"


def _plane(inputs: Inputs, config: Config) -> Plane:
    """Returns a run's codes of test images as they are, or along their two principal axes through the origin.

    The codes are not centred: the prior's mean stays at the origin, and its projection is N(0, I) again.
    """
    codes = inputs.codes(config).mean.astype(np.float64)
    labels = inputs.test(config, len(codes)).labels
    names = ("z₁", "z₂" if codes.shape[1] == 2 else "(spread at random)")
    finite = codes[np.isfinite(codes).all(axis=1)]
    if codes.shape[1] > 2:
        centred = finite - finite.sum(axis=0) / max(1, len(finite))
        variances, axes = np.linalg.eigh(centred.T @ centred)  # ascending
        codes, finite = codes @ axes[:, :-3:-1], finite @ axes[:, :-3:-1]
        shares = variances[:-3:-1].clip(0) / max(variances.sum(), np.finfo(float).tiny)
        names = (f"axis 1 ({_percent(shares[0])})", f"axis 2 ({_percent(shares[1])})")
    outside = float(np.mean(np.linalg.norm(finite, axis=1) > 2)) if len(finite) else np.nan
    return Plane(codes, labels, names, outside)


def _plausibility_map(inputs: Inputs, config: Config) -> tuple[np.ndarray, float, np.ndarray, np.ndarray | None, float]:
    """Returns scores over the plane and their threshold, codes, their labels, and where the plane ends."""
    run, test = inputs.run(config), inputs.test(config, MAX_CODES_ON_MAP)
    judge = load_or_train(inputs.dataset(config), inputs.workdir / FOLDER)
    codes = run.encode(test.images).mean
    finite = codes[np.isfinite(codes).all(axis=1)]
    limit = max(3.0, 1.05 * float(np.quantile(np.abs(finite), 0.995))) if len(finite) else 3.0
    side = (np.arange(MAP_SIDE) + 0.5) / MAP_SIDE * 2 * limit - limit
    z = np.stack(np.meshgrid(side, side[::-1]), axis=-1).reshape(-1, 2)  # row 0 is the top
    scores = judge.scores(decode_shrunk(run, z, test.images.shape[1:]))
    return scores.reshape(MAP_SIDE, MAP_SIDE), judge.threshold, codes, test.labels, limit
