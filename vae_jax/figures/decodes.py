"""Figures of decoded images: reconstructions, samples, manifolds, interpolations, traversals."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import scipy.stats
from matplotlib.axes import Axes

from vae_jax.config import Config
from vae_jax.data import Split
from vae_jax.evaluation.samples import draw_samplers
from vae_jax.figures import images
from vae_jax.figures.inputs import Inputs, setting_of, spaced, values_of
from vae_jax.figures.panels import Drawing, by_dataset, draw_panels, figure, finish
from vae_jax.figures.plots import format_number, thin
from vae_jax.figures.style import new_figure
from vae_jax.runs import TrainedRun

MAX_CLASSES = 26  # columns of reconstructions
MAX_CODES = 5000  # that the spread of a dimension is computed from
NUM_PATHS = 5
MANIFOLD_SIDE = 15
SAMPLER_NAMES = {"prior": "N(0, I)", "gaussian": "Gaussian", "mixture": "mixture", "aggregate": "codes"}
SAMPLES_SIDE = 8
SHEET_COLUMNS = 12  # of the samples of a sampler
# Sheets by KL weight: rows and columns of cells, and images along the side of a cell.
MAX_CELLS = 8
CELL_MANIFOLD_SIDE, CELL_SAMPLES_SIDE = 12, 6
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


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
        tiles = np.stack([originals / np.float32(255), *rows.values()])
        images.image_grid(tiles, ax, ["original", *rows], None if labels is None else [str(label) for label in labels])
        if len(groups) > 1:
            ax.set_title(inputs.value(group[0], "dataset"))
    return finish(drawn, chosen.note)


@figure
def manifold(inputs: Inputs) -> Drawing | None:
    """The decoder's manifold.

    Decodes of a grid over the plane, at equal shares of the prior N(0, I). Where the codes fill the prior it is a
    smooth atlas of images; where they do not, shapes are unlike any image, or large areas look the same.
    """
    chosen = inputs.choose([config for config in inputs.configs if config.latent_dim == 2])

    def draw(config: Config, ax: Axes) -> None:
        decoded, z = _decode_plane(inputs.run(config), MANIFOLD_SIDE)
        rows, columns = (thin([format_number(value, 1) for value in side]) for side in (z[::-1], z))
        images.image_grid(decoded, ax, rows, columns, "z₁", "z₂")

    return draw_panels(inputs, chosen, draw, (4.6, 4.9))


@figure
def manifold_by_kl_weight(inputs: Inputs) -> Drawing | None:
    """The decoder's manifold, by KL weight.

    Decodes of the same grid over the plane for each KL weight, one seed each, at equal shares of the prior N(0, I), z₁
    to the right and z₂ upwards. If the weight is too small, most of the grid lies where no codes are; if it is too
    large, neighbours look alike, because the codes say little about an image.
    """
    flat = [config for config in inputs.configs if config.latent_dim == 2]
    return _by_kl_weight(inputs, flat, lambda run: _decode_plane(run, CELL_MANIFOLD_SIDE)[0])


@figure
def samples(inputs: Inputs) -> Drawing | None:
    """Samples of N(0, I).

    Decodes of points drawn from the prior, the same points for all models with as many latent dimensions. They look
    like the data where the codes fill the prior, and like something else where the codes leave holes.
    """

    def draw(config: Config, ax: Axes) -> None:
        images.image_grid(_decode_prior(inputs.run(config), SAMPLES_SIDE), ax)

    return draw_panels(inputs, inputs.choose(), draw, (4.2, 4.7))


@figure
def samples_by_kl_weight(inputs: Inputs) -> Drawing | None:
    """Samples of N(0, I), by KL weight.

    Decodes of points drawn from the prior, one seed per cell, the same points in all cells with as many latent
    dimensions. As the weight grows the codes fill the prior and samples come to look like the data, until they all
    turn into one blur.
    """
    return _by_kl_weight(inputs, inputs.configs, lambda run: _decode_prior(run, CELL_SAMPLES_SIDE))


@figure
def samplers(inputs: Inputs) -> Drawing | None:
    """Samples of four samplers.

    Decodes of codes from N(0, I), from a Gaussian and a mixture of ten fitted to the model's own codes, and of codes
    of training images. The first row against the others shows how much of a model's bad samples is the sampler's fault.
    """

    def draw(config: Config, ax: Axes) -> None:
        run = inputs.run(config)
        draws = draw_samplers(run, inputs.dataset(config).train.images, 2 * SHEET_COLUMNS, seed=0)
        decoded = np.concatenate([run.decode(z) for z in draws.values()])
        tiles = decoded.reshape(2 * len(draws), SHEET_COLUMNS, *decoded.shape[1:])
        images.image_grid(tiles, ax, [label for name in draws for label in (SAMPLER_NAMES[name], "")])

    return draw_panels(inputs, inputs.choose(), draw, (5.0, 4.0))


@figure
def interpolations(inputs: Inputs) -> Drawing | None:
    """Interpolations.

    Decodes along the straight line between the codes of two test images, of the classes named beside it. If all of
    them are plausible, the space between codes means something.
    """
    t = np.linspace(0, 1, 11, dtype=np.float32)[:, None]

    def draw(config: Config, ax: Axes) -> None:
        run = inputs.run(config)
        ends, labels = one_per_class(inputs.dataset(config).test, 2 * NUM_PATHS)
        codes = run.encode(ends).mean
        half = len(ends) // 2
        pairs = [(start, start + half) for start in range(half)] or [(0, 0)]
        paths = [run.decode((1 - t) * codes[start] + t * codes[end]) for start, end in pairs]
        names = None if labels is None else [f"{labels[start]} → {labels[end]}" for start, end in pairs]
        positions = thin([f"{position:.2g}" for position in t.flat])
        images.image_grid(np.stack(paths), ax, names, positions, "position t on the path")

    return draw_panels(inputs, inputs.choose(), draw, (4.8, 3.0))


@figure
def traversals(inputs: Inputs) -> Drawing | None:
    """Traversals of single dimensions.

    One dimension moves while the others stay at the mean code, the dimensions that vary most first. What changes along
    a row is what that dimension means; a row that does not change is a dimension that is not used.
    """
    chosen = inputs.choose([config for config in inputs.configs if config.latent_dim > 2])
    values = np.linspace(-3, 3, 11, dtype=np.float32)

    def draw(config: Config, ax: Axes) -> None:
        run = inputs.run(config)
        codes = run.encode(inputs.test(config, MAX_CODES).images).mean
        center, sd = codes.mean(axis=0), codes.std(axis=0)
        dimensions = np.argsort(-sd)[:8]
        z = np.broadcast_to(center, (len(dimensions), len(values), len(center))).copy()
        for row, dimension in enumerate(dimensions):
            z[row, :, dimension] += values * sd[dimension]
        decoded = run.decode(z.reshape(-1, len(center)))
        tiles = decoded.reshape(*z.shape[:2], *decoded.shape[1:])
        names = [f"z{dimension + 1}".translate(SUBSCRIPTS) for dimension in dimensions]
        steps = thin([format_number(value, 1) for value in values])
        images.image_grid(tiles, ax, names, steps, "standard deviations of the codes")

    return draw_panels(inputs, chosen, draw, (4.8, 4.2))


def one_per_class(split: Split, most: int) -> tuple[np.ndarray, list[int] | None]:
    """Returns the first image of each of at most `most` classes, and their labels; without labels, the first ten."""
    if split.labels is None:
        return split.images[: min(10, most)], None
    classes, places = np.unique(split.labels, return_index=True)
    chosen = spaced(range(len(classes)), most)
    return split.images[places[chosen]], classes[chosen].tolist()


def _decode_prior(run: TrainedRun, side: int) -> np.ndarray:
    """Decodes points of N(0, I), the same for all runs with as many latent dimensions: float32[side, side, H, W]."""
    decoded = run.decode(np.random.default_rng(0).standard_normal((side**2, run.config.latent_dim), np.float32))
    return decoded.reshape(side, side, *decoded.shape[1:])


def _decode_plane(run: TrainedRun, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Decodes a grid over the plane in which each point stands for an equal share of the prior N(0, I).

    Returns:
        Images float32[side, side, H, W], z₁ to the right and z₂ upwards, so row 0 has the highest z₂; and z
        float32[side], rising.
    """
    z = scipy.stats.norm.ppf((np.arange(side) + 0.5) / side).astype(np.float32)
    decoded = run.decode(np.stack(np.meshgrid(z, z[::-1]), axis=-1).reshape(-1, 2))
    return decoded.reshape(side, side, *decoded.shape[1:]), z


def _by_kl_weight(
    inputs: Inputs, configs: Sequence[Config], sheet: Callable[[TrainedRun], np.ndarray]
) -> Drawing | None:
    """Draws the sheet float[r, c, H, W] of each run that has a KL weight: a column per weight, a row per setting.

    Data sets have axes of their own, since their images may differ in size. The first seed stands for a setting.
    """
    weighted = [config for config in configs if config.uses("kl_weight")]
    every = values_of(weighted, "kl_weight")
    if len(every) < 2:
        return None
    weights = spaced(every, MAX_CELLS, inputs.base.kl_weight)
    rows = inputs.choose(weighted, MAX_CELLS, without=["kl_weight"])
    first_seeds = {setting_of(config): config for config in reversed(weighted)}
    groups = by_dataset(rows.configs)
    size = min(2.4, 10.5 / len(weights))
    heights = [0.6 + size * len(group) for group in groups]
    drawn, axes = new_figure(len(groups), 1, 1.8 + size * len(weights), sum(heights), height_ratios=heights)
    for ax, group in zip(axes.flat, groups, strict=True):
        places = [[first_seeds.get(setting_of(replace(c, kl_weight=w))) for w in weights] for c in group]
        mosaics = {c: images.mosaic(sheet(inputs.run(c))) for line in places for c in line if c is not None}
        blank = np.full_like(next(iter(mosaics.values())), np.nan)
        tiles = np.array([[blank if c is None else mosaics[c] for c in line] for line in places])
        names = [inputs.label(config, ["kl_weight"]).replace(", ", "\n") for config in group]
        gap = math.ceil(blank.shape[1] / 15)
        images.image_grid(tiles, ax, names, [f"{weight:g}" for weight in weights], "kl_weight", gap=gap)
    shown = f"{len(weights)} of {len(every)} KL weights" if len(weights) < len(every) else ""
    return finish(drawn, ", ".join(filter(None, [rows.note, shown])))
