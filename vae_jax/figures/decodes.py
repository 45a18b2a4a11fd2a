"""Figures of decoded images: reconstructions, samples, manifolds, interpolations, traversals."""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.stats
from matplotlib.axes import Axes

from vae_jax.config import Config
from vae_jax.data import Split
from vae_jax.evaluation.samples import draw_samplers
from vae_jax.figures import images
from vae_jax.figures.inputs import Chosen, Inputs, first, setting_of, spaced
from vae_jax.figures.panels import by_dataset, draw_panels, panel_title, sentence, write_note
from vae_jax.figures.registry import Drawing, figure
from vae_jax.figures.style import new_figure
from vae_jax.runs import TrainedRun

MAX_CLASSES = 26  # columns of reconstructions
MAX_CODES = 5000  # that the spread of a dimension is computed from
NUM_PATHS = 5
MANIFOLD_SIDE = 15
SAMPLER_NAMES = {"prior": "N(0, I)", "gaussian": "Gaussian", "mixture": "mixture", "aggregate": "codes"}
SHEET_COLUMNS = 12  # of the samples of a sampler
# Sheets by KL weight: rows and columns of cells, and images along the side of a cell.
MAX_CELLS = 8
CELL_MANIFOLD_SIDE, CELL_SAMPLES_SIDE = 12, 6


@figure
def reconstructions(inputs: Inputs) -> Drawing | None:
    """Originals and reconstructions.

    The first test image of each class, and what each model makes of it from its mean code. What is blurred or changed
    did not fit through the latent space.
    """
    chosen = inputs.choose()
    groups = by_dataset(chosen.configs)
    heights = [0.72 * (len(group) + 1) + 0.6 for group in groups]
    drawn, axes = new_figure(len(groups), 1, 10, sum(heights), height_ratios=heights)
    for ax, group in zip(axes.flat, groups, strict=True):
        originals, labels = one_per_class(inputs.dataset(group[0]).test, MAX_CLASSES)
        rows = {inputs.title(c, ["dataset"]): (run := inputs.run(c)).decode(run.encode(originals).mean) for c in group}
        names = None if labels is None else [str(label) for label in labels]
        title = inputs.value(group[0], "dataset") if len(groups) > 1 else ""
        images.reconstructions(originals / np.float32(255), rows, ax, names, title)
    write_note(drawn, chosen.note)
    return Drawing(drawn, sentence(chosen))


@figure
def manifold(inputs: Inputs) -> Drawing | None:
    """The decoder's manifold.

    Decodes of a grid over the plane, at equal shares of the prior N(0, I). Where the codes fill the prior it is a
    smooth atlas of images; where they do not, shapes are unlike any image, or large areas look the same.
    """
    chosen = inputs.choose([config for config in inputs.configs if config.latent_dim == 2])
    if not chosen.configs:
        return None

    def draw(config: Config, ax: Axes) -> None:
        decoded, side = _decode_plane(inputs.run(config), MANIFOLD_SIDE)
        images.manifold(decoded, side, side, ax, panel_title(inputs, config))

    drawn = draw_panels(chosen, draw, (4.6, 4.9))
    return Drawing(drawn, sentence(chosen))


@figure
def manifold_by_kl_weight(inputs: Inputs) -> Drawing | None:
    """The decoder's manifold, by KL weight.

    Decodes of the same grid over the plane for each KL weight, one seed each, at equal shares of the prior N(0, I), z₁
    to the right and z₂ upwards. If the weight is too small, most of the grid lies where no codes are; if it is too
    large, neighbours look alike, because the codes say little about an image.
    """
    flat = [config for config in inputs.configs if config.latent_dim == 2]
    return _by_kl_weight(inputs, flat, lambda run: _decode_plane(run, CELL_MANIFOLD_SIDE)[0][::-1])  # row 0 is the top


@figure
def samples(inputs: Inputs) -> Drawing | None:
    """Samples of N(0, I).

    Decodes of points drawn from the prior, the same points for all models with as many latent dimensions. They look
    like the data where the codes fill the prior, and like something else where the codes leave holes.
    """
    chosen = inputs.choose()

    def draw(config: Config, ax: Axes) -> None:
        images.samples(_decode_prior(inputs.run(config), 64), ax, columns=8, title=panel_title(inputs, config))

    drawn = draw_panels(chosen, draw, (4.2, 4.7))
    return Drawing(drawn, sentence(chosen))


@figure
def samples_by_kl_weight(inputs: Inputs) -> Drawing | None:
    """Samples of N(0, I), by KL weight.

    Decodes of points drawn from the prior, one seed per cell, the same points in all cells with as many latent
    dimensions. As the weight grows the codes fill the prior and samples come to look like the data, until they all
    turn into one blur.
    """

    def sheet(run: TrainedRun) -> np.ndarray:
        decoded = _decode_prior(run, CELL_SAMPLES_SIDE**2)
        return decoded.reshape(CELL_SAMPLES_SIDE, CELL_SAMPLES_SIDE, *decoded.shape[1:])

    return _by_kl_weight(inputs, inputs.configs, sheet)


@figure
def samplers(inputs: Inputs) -> Drawing | None:
    """Samples of four samplers.

    Decodes of codes from N(0, I), from a Gaussian and a mixture of ten fitted to the model's own codes, and of codes
    of training images. The first row against the others shows how much of a model's bad samples is the sampler's fault.
    """
    chosen = inputs.choose()

    def draw(config: Config, ax: Axes) -> None:
        run = inputs.run(config)
        draws = draw_samplers(run, inputs.dataset(config).train.images, 2 * SHEET_COLUMNS, seed=0)
        decoded = np.concatenate([run.decode(z) for z in draws.values()])
        tiles = decoded.reshape(2 * len(draws), SHEET_COLUMNS, *decoded.shape[1:])
        rows = [label for name in draws for label in (SAMPLER_NAMES.get(name, name), "")]
        images.image_grid(tiles, ax, rows, title=panel_title(inputs, config))

    drawn = draw_panels(chosen, draw, (5.0, 4.0))
    return Drawing(drawn, sentence(chosen))


@figure
def interpolations(inputs: Inputs) -> Drawing | None:
    """Interpolations.

    Decodes along the straight line between the codes of two test images, of the classes named beside it. If all of
    them are plausible, the space between codes means something.
    """
    chosen = inputs.choose()
    t = np.linspace(0, 1, 11, dtype=np.float32)[:, None]

    def draw(config: Config, ax: Axes) -> None:
        run = inputs.run(config)
        ends, labels = one_per_class(inputs.dataset(config).test, 2 * NUM_PATHS)
        codes = run.encode(ends).mean
        half = len(ends) // 2
        pairs = [(start, start + half) for start in range(half)] or [(0, 0)]
        paths = [run.decode((1 - t) * codes[start] + t * codes[end]) for start, end in pairs]
        names = None if labels is None else [f"{labels[start]} → {labels[end]}" for start, end in pairs]
        images.interpolations(np.stack(paths), ax, panel_title(inputs, config), names)

    drawn = draw_panels(chosen, draw, (4.8, 3.0))
    return Drawing(drawn, sentence(chosen))


@figure
def traversals(inputs: Inputs) -> Drawing | None:
    """Traversals of single dimensions.

    One dimension moves while the others stay at the mean code, the dimensions that vary most first. What changes along
    a row is what that dimension means; a row that does not change is a dimension that is not used.
    """
    chosen = inputs.choose([config for config in inputs.configs if config.latent_dim > 2])
    if not chosen.configs:
        return None
    values = np.linspace(-3, 3, 11, dtype=np.float32)

    def draw(config: Config, ax: Axes) -> None:
        run = inputs.run(config)
        codes = run.encode(first(inputs.dataset(config).test, MAX_CODES).images).mean
        center, sd = codes.mean(axis=0), codes.std(axis=0)
        dimensions = np.argsort(-sd)[:8]
        z = np.broadcast_to(center, (len(dimensions), len(values), len(center))).copy()
        for row, dimension in enumerate(dimensions):
            z[row, :, dimension] += values * sd[dimension]
        decoded = run.decode(z.reshape(-1, len(center)))
        tiles = decoded.reshape(*z.shape[:2], *decoded.shape[1:])
        images.traversals(tiles, values, ax, dimensions.tolist(), panel_title(inputs, config))

    drawn = draw_panels(chosen, draw, (4.8, 4.2))
    return Drawing(drawn, sentence(chosen))


def one_per_class(split: Split, most: int) -> tuple[np.ndarray, list[int] | None]:
    """Returns the first image of each of at most `most` classes, and their labels; without labels, the first ten."""
    if split.labels is None:
        return split.images[: min(10, most)], None
    classes, places = np.unique(split.labels, return_index=True)
    chosen = spaced(range(len(classes)), most)
    return split.images[places[chosen]], classes[chosen].tolist()


def _decode_prior(run: TrainedRun, count: int) -> np.ndarray:
    """Decodes points drawn from N(0, I), the same for all runs with as many latent dimensions: float32[count, H, W]."""
    return run.decode(np.random.default_rng(0).standard_normal((count, run.config.latent_dim), np.float32))


def _decode_plane(run: TrainedRun, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Decodes a grid over the plane in which each point stands for an equal share of the prior N(0, I).

    Returns:
        Images float32[side, side, H, W], of which [r, c] is the decode of (z[c], z[r]), and z float32[side], rising.
    """
    z = scipy.stats.norm.ppf((np.arange(side) + 0.5) / side).astype(np.float32)
    decoded = run.decode(np.stack(np.meshgrid(z, z), axis=-1).reshape(-1, 2))
    return decoded.reshape(side, side, *decoded.shape[1:]), z


def _by_kl_weight(
    inputs: Inputs, configs: Sequence[Config], sheet: Callable[[TrainedRun], np.ndarray]
) -> Drawing | None:
    """Draws the sheet float[r, c, H, W] of each run that has a KL weight: a column per weight, a row per setting.

    Data sets have axes of their own, since their images may differ in size. The first seed stands for a setting.
    """
    weighted = [config for config in configs if config.uses("kl_weight")]
    every = sorted({config.kl_weight for config in weighted})
    if len(every) < 2:
        return None
    weights = spaced(every, MAX_CELLS, inputs.base.kl_weight)
    rows = inputs.choose(weighted, MAX_CELLS, without=["kl_weight"])
    cells: dict[tuple[object, ...], Config] = {}
    for config in weighted:
        cells.setdefault((setting_of(config, ["kl_weight"]), config.kl_weight), config)
    groups = by_dataset(rows.configs)
    size = min(2.4, 10.5 / len(weights))
    heights = [0.6 + size * len(group) for group in groups]
    drawn, axes = new_figure(len(groups), 1, 1.8 + size * len(weights), sum(heights), height_ratios=heights)
    for ax, group in zip(axes.flat, groups, strict=True):
        places = [[cells.get((setting_of(config, ["kl_weight"]), weight)) for weight in weights] for config in group]
        tiles = [[None if c is None else sheet(inputs.run(c)) for c in line] for line in places]
        blank = np.full_like(next(tile for line in tiles for tile in line if tile is not None), np.nan)
        grid = np.array([[blank if tile is None else tile for tile in line] for line in tiles])
        names = [inputs.label(config, ["kl_weight"]).replace(", ", "\n") for config in group]
        images.sheets(grid, names, [f"{weight:g}" for weight in weights], "kl_weight", ax)
    shown = f"{len(weights)} of {len(every)} KL weights" if len(weights) < len(every) else ""
    note = ", ".join(filter(None, [rows.note, shown]))
    write_note(drawn, note)
    return Drawing(drawn, sentence(Chosen(rows.configs, note)))
