"""Pictures of models: training curves, codes, decodes."""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import scipy.stats
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_jax import figures, results
from vae_jax.config import Config
from vae_jax.data import Split
from vae_jax.gallery.scene import Scene, draw_panels, evenly_spaced, share_legend, shown
from vae_jax.runs import TrainedRun
from vae_jax.workdir import read_metrics, run_dir

MOST_CODES = 5000  # points of a latent picture
MOST_ELLIPSES = 500
MANIFOLD_SIDE = 15
# By KL weight: rows and columns of cells, and images along the side of one.
MOST_CELLS = 8
CELL_MANIFOLD_SIDE, CELL_SAMPLES_SIDE = 12, 6


def training_curves(scene: Scene) -> Figure:
    """Training curves.

    Loss, distortion and rate by epoch (mean and standard deviation over seeds): a train curve that falls while the
    validation curve rises is overfitting; distortion and rate show what the KL term trades.
    """
    histories: dict[str, list[list[dict[str, Any]]]] = {}
    shown = {scene.label(run.config) for run in scene.panels}
    for config in scene.configs:
        if (label := scene.label(config)) in shown:
            rows = read_metrics(run_dir(scene.workdir, config))
            rows += [{}] * (config.num_epochs - len(rows))  # of a run that diverged
            histories.setdefault(label, []).append(rows)
    splits = [s for s in ("train", "validation") if all(f"{s}_loss" in h[0][0] for h in histories.values())]
    terms = [t for t in ("loss", "distortion", "rate") if any(f"train_{t}" in h[0][0] for h in histories.values())]
    figure, axes = plt.subplots(
        len(splits), len(terms), figsize=(3.6 * len(terms), 3.0 * len(splits)), squeeze=False, sharey="col"
    )
    settled: dict[str, list[np.ndarray]] = {}
    for row, split in enumerate(splits):
        for column, term in enumerate(terms):
            # An AE has no rate: NaN keeps its place in the order of colours.
            curves = {
                label: np.array([[_number(epoch.get(f"{split}_{term}")) for epoch in run] for run in runs])
                for label, runs in histories.items()
            }
            figures.training_curve(curves, f"{split} {term}\n(nats per image)", axes[row, column])
            # The first epochs are on another scale; the curves may leave the picture there.
            settled.setdefault(term, []).extend(curve[:, curve.shape[1] // 10 :].ravel() for curve in curves.values())
    for column, values in enumerate(settled.values()):
        finite = np.concatenate(values)[np.isfinite(np.concatenate(values))]
        if finite.size:  # a run may have diverged from its start
            margin = 0.05 * np.ptp(finite) + 1e-6
            axes[0, column].set_ylim(finite.min() - margin, finite.max() + margin)
    share_legend(figure)
    return figure


def reconstructions(scene: Scene) -> Figure:
    """Originals and reconstructions.

    The first test image of each class, and what each model makes of it from its mean code: a blurred or changed digit
    is what did not fit through the latent space.
    """
    originals = one_per_class(scene.dataset(scene.panels[0]).test)
    rows = {scene.title(run): run.decode(run.encode(originals).mean) for run in scene.panels}
    figure, ax = plt.subplots(figsize=(10, 0.72 * (len(rows) + 1) + 0.2), layout="compressed")
    figures.reconstructions(originals / np.float32(255), rows, ax)
    return figure


def latent_space(scene: Scene) -> Figure:
    """Latent space.

    Codes (posterior means) of test images on equal axes, by class, with the circles of N(0, I); more than two
    dimensions through their principal components. A VAE's codes keep to the circles and lie close together; an AE's
    lie wherever training left them.
    """
    planes = [_plane(run, *shown(scene.dataset(run).test, MOST_CODES)) for run in scene.panels]
    limit = _limit(codes for codes, _, _ in planes)

    def panel(run: TrainedRun, ax: Axes) -> None:
        codes, labels, axis_names = planes[scene.panels.index(run)]
        figures.latent_scatter(codes, labels, ax, limit, True, scene.title(run), *axis_names)

    return draw_panels(scene, scene.panels, panel, (4.6, 4.9))


def posteriors(scene: Scene) -> Figure | None:
    """Posteriors: points against distributions.

    One ellipse (one standard deviation) per test image: an AE maps an image to a point, a VAE to a distribution, and
    where ellipses overlap the decoder has to make similar images.
    """
    runs = [run for run in scene.panels if run.config.latent_dim == 2]
    if not runs:
        return None
    seen = {run.name: shown(scene.dataset(run).test, MOST_ELLIPSES) for run in runs}
    encoded = {run.name: run.encode(seen[run.name].images) for run in runs}
    limit = _limit(codes.mean for codes in encoded.values())

    def panel(run: TrainedRun, ax: Axes) -> None:
        mean, logvar = encoded[run.name]
        figures.posterior_ellipses(mean, logvar, seen[run.name].labels, ax, limit, title=scene.title(run))

    return draw_panels(scene, runs, panel, (4.6, 4.9))


def manifold(scene: Scene) -> Figure | None:
    """The decoder's manifold.

    Decodes of a grid over the plane, at equal shares of the prior N(0, I): a smooth atlas of digits where the codes
    fill the prior; shapes that are no digits, or the same digit over large areas, where they do not.
    """
    runs = [run for run in scene.panels if run.config.latent_dim == 2]
    if not runs:
        return None

    def panel(run: TrainedRun, ax: Axes) -> None:
        images, side = _decode_plane(run, MANIFOLD_SIDE)
        figures.manifold(images, side, side, ax, scene.title(run))

    return draw_panels(scene, runs, panel, (4.6, 4.9))


def manifold_by_kl_weight(scene: Scene) -> Figure | None:
    """The decoder's manifold, by KL weight.

    Decodes of the same grid over the plane for each KL weight, one seed each, at equal shares of the prior N(0, I),
    z₁ to the right and z₂ upwards. With too small a weight most of the grid lies where no codes are; with too large a
    one neighbours look alike, as the codes say less and less of an image.
    """
    flat = [config for config in scene.configs if config.latent_dim == 2]
    return _by_kl_weight(scene, flat, lambda run: _decode_plane(run, CELL_MANIFOLD_SIDE)[0][::-1])  # row 0 is the top


def samples(scene: Scene) -> Figure:
    """Samples of N(0, I).

    Decodes of points drawn from the prior, the same points for models of one latent dimension: digits where the codes
    fill the prior, and something else where they leave holes in it.
    """

    def panel(run: TrainedRun, ax: Axes) -> None:
        figures.samples(_decode_prior(run, 64), ax, columns=8, title=scene.title(run))

    return draw_panels(scene, scene.panels, panel, (4.2, 4.7))


def samples_by_kl_weight(scene: Scene) -> Figure | None:
    """Samples of N(0, I), by KL weight.

    Decodes of points drawn from the prior, one seed a cell, the same points in all cells of one latent dimension. From
    left to right the codes come to fill the prior, and samples turn into digits; past that, they turn into one blur.
    """

    def sheet(run: TrainedRun) -> np.ndarray:
        images = _decode_prior(run, CELL_SAMPLES_SIDE**2)
        return images.reshape(CELL_SAMPLES_SIDE, CELL_SAMPLES_SIDE, *images.shape[1:])

    return _by_kl_weight(scene, scene.configs, sheet)


def interpolations(scene: Scene) -> Figure:
    """Interpolations.

    Decodes along the straight line between the codes of two test digits: passing through plausible digits means that
    the space between codes means something.
    """
    ends = one_per_class(scene.dataset(scene.panels[0]).test)
    pairs = [(start, end) for start, end in ((1, 7), (3, 8), (4, 9), (0, 6), (2, 5)) if end < len(ends)]
    t = np.linspace(0, 1, 11, dtype=np.float32)[:, None]

    def panel(run: TrainedRun, ax: Axes) -> None:
        codes = run.encode(ends).mean
        paths = [run.decode((1 - t) * codes[start] + t * codes[end]) for start, end in pairs or [(0, -1)]]
        figures.interpolations(np.stack(paths), ax, scene.title(run))

    return draw_panels(scene, scene.panels, panel, (4.8, 3.0))


def traversals(scene: Scene) -> Figure | None:
    """Traversals of single dimensions.

    One dimension moves while the others stay at the mean code, the most varying dimensions first: what changes along a
    row is what that dimension means, and a row that does not change is a dimension that is not used.
    """
    runs = [run for run in scene.panels if run.config.latent_dim > 2]
    if not runs:
        return None
    values = np.linspace(-3, 3, 11, dtype=np.float32)

    def panel(run: TrainedRun, ax: Axes) -> None:
        codes = run.encode(shown(scene.dataset(run).test, MOST_CODES).images).mean
        center, sd = codes.mean(axis=0), codes.std(axis=0)
        dimensions = np.argsort(-sd)[:8]
        z = np.broadcast_to(center, (len(dimensions), len(values), len(center))).copy()
        for row, dimension in enumerate(dimensions):
            z[row, :, dimension] += values * sd[dimension]
        images = run.decode(z.reshape(-1, len(center)))
        images = images.reshape(*z.shape[:2], *images.shape[1:])
        figures.traversals(images, values, ax, [int(dimension) for dimension in dimensions], scene.title(run))
        ax.set_xlabel("standard deviations of the codes")

    return draw_panels(scene, runs, panel, (4.8, 4.2))


def _decode_prior(run: TrainedRun, count: int) -> np.ndarray:
    """Images float32[count, H, W] of points drawn from N(0, I), the same for all runs of one latent dimension."""
    return run.decode(np.random.default_rng(0).standard_normal((count, run.config.latent_dim), np.float32))


def _decode_plane(run: TrainedRun, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Images float32[side, side, H, W] of a plane of codes, [r, c] at (z[c], z[r]), and z float32[side], rising.

    Each stands for an equal share of the prior N(0, I).
    """
    z = scipy.stats.norm.ppf((np.arange(side) + 0.5) / side).astype(np.float32)
    images = run.decode(np.stack(np.meshgrid(z, z), axis=-1).reshape(-1, 2))
    return images.reshape(side, side, *images.shape[1:]), z


def _by_kl_weight(scene: Scene, configs: Sequence[Config], sheet: Callable[[TrainedRun], np.ndarray]) -> Figure | None:
    """The sheet float[r, c, H, W] of each VAE: a column a KL weight, a row for whatever else its setting is.

    The first seed stands for a setting; of more columns or rows than fit, evenly spaced ones. None where the KL weight
    does not vary.
    """
    cells: dict[str, dict[float, Config]] = {}
    vaes = [config for config in configs if config.model == "vae"]
    for config in sorted(vaes, key=lambda config: config.latent_dim):
        row = results.describe(config, scene.configs, without=["kl_weight"]).replace(", ", "\n")
        cells.setdefault(row, {}).setdefault(config.kl_weight, config)
    weights = evenly_spaced(sorted({config.kl_weight for config in vaes}), MOST_CELLS)
    if len(weights) < 2:
        return None
    rows = evenly_spaced(list(cells), MOST_CELLS)
    sheets = {place: sheet(scene.load(cells[place[0]][place[1]]))
              for place in itertools.product(rows, weights) if place[1] in cells[place[0]]}  # fmt: skip
    blank = np.full_like(next(iter(sheets.values())), np.nan)  # where a run is not trained
    grid = np.array([[sheets.get((row, weight), blank) for weight in weights] for row in rows])
    figure = figures.sheets(grid, rows, [f"{weight:g}" for weight in weights], "kl_weight").get_figure(root=True)
    return figure


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def one_per_class(split: Split) -> np.ndarray:
    """The first image of each class in the order of the classes; without labels, the first ten."""
    if split.labels is None:
        return split.images[:10]
    return split.images[np.unique(split.labels, return_index=True)[1]]


def _limit(panels: Iterable[np.ndarray]) -> float:
    """Where the equal axes of all panels end: at nearly all codes of each, and beyond the circles of N(0, I)."""
    reach = [np.abs(codes[np.isfinite(codes)]) for codes in panels]
    return max([2.2, *(1.05 * float(np.quantile(values, 0.995)) for values in reach if values.size)])


def _plane(run: TrainedRun, images: np.ndarray, labels: np.ndarray | None) -> tuple[np.ndarray, Any, tuple[str, str]]:
    """Codes as float[N, 2] with their labels and the names of the axes: as they are, or two principal components."""
    codes = run.encode(images).mean
    if codes.shape[1] == 2:
        return codes, labels, ("z₁", "z₂")
    if codes.shape[1] == 1:
        jitter = np.random.default_rng(0).uniform(-1, 1, codes.shape)
        return np.concatenate([codes, jitter], axis=1), labels, ("z₁", "(spread at random)")
    finite = codes[np.isfinite(codes).all(axis=1)]  # none of a run that diverged
    center = finite.sum(axis=0) / max(1, len(finite))
    _, axes = np.linalg.eigh((finite - center).T @ (finite - center))  # the greatest variance is the last
    return (codes - center) @ axes[:, :-3:-1], labels, ("principal component 1", "principal component 2")
