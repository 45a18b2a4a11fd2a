"""Figures of decoded images: reconstructions, samples, the manifold, interpolations, traversals."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.stats
from matplotlib.axes import Axes

from vae_jax.claims.results import grouped
from vae_jax.config import Config
from vae_jax.data import Dataset
from vae_jax.measure.samples import draw_samplers
from vae_jax.report.figures import factors, images
from vae_jax.report.figures.inputs import RUNGS, Inputs, shrunk, spaced, values_of
from vae_jax.report.figures.panels import Drawing, broken, draw_panels, figure, finish, is_wide, seed_of
from vae_jax.report.figures.plots import format_number, shortened
from vae_jax.report.figures.style import new_figure

MAX_CLASSES = 26  # columns of reconstructions
MAX_NAME = 14  # characters of the name of a class beside images
NUM_PATHS = 5
MAX_DIMENSIONS = 5  # rows of traversals
MANIFOLD_SIDE = 20
SAMPLES_SIDE = 6  # of a grid of samples by KL weight
MAX_CELLS = 32  # settings that are compared by their KL weight


@figure
def reconstructions(inputs: Inputs) -> Drawing | None:
    """Originals and reconstructions.

    A test image of each class, or some where there are no classes, and what each model makes of it from its mean code;
    beside it stands the mean distortion of all test images. A code of few numbers says little more than what is shown,
    and the rest comes out as the average: blurred. With more numbers an image also keeps how it was drawn, and what a
    VAE then lacks is what did not show through the noise of its codes.
    """
    chosen = inputs.choose()
    groups = grouped(chosen.configs, lambda config: (config.dataset, config.latent_dim))
    firsts = [one_per_class(inputs.dataset(group[0]), MAX_CLASSES) for group in groups]
    slanted = [names is not None and max(map(len, names)) > min(7, 78 // len(names)) for _, names in firsts]
    heights = [0.62 * (len(group) + 1) + 0.6 + 0.5 * slant for group, slant in zip(groups, slanted, strict=True)]
    drawn, axes = new_figure(len(groups), 1, 8, sum(heights), height_ratios=heights)
    for ax, group, (originals, names), slant in zip(axes.flat, groups, firsts, slanted, strict=True):
        rows = {"original": shrunk(originals / np.float32(255))}
        for config in group:
            distortion = inputs.numbers.get(config, {}).get("test_distortion")
            cost = "" if distortion is None else f"{distortion:.1f} nats"
            row = [broken(inputs.label(config, ["dataset", "latent_dim"]), 24), cost, inputs.note(config)]
            run = inputs.run(config)
            rows["\n".join(filter(None, row))] = shrunk(run.decode(run.encode(originals).mean))
        images.image_grid(ax, np.stack(list(rows.values())), list(rows), names)
        if slant:
            ax.set_xticks(ax.get_xticks(), names, rotation=45, ha="right", rotation_mode="anchor")
        of = [inputs.value(group[0], "dataset")] if len({config.dataset for config in chosen.configs}) > 1 else []
        size = group[0].latent_dim
        ax.set_title(", ".join([*of, f"{size} number{'s'[: size - 1]} for each image"]))
    return finish(drawn, chosen.note, seed_of(inputs, chosen.configs))


@figure
def manifold(inputs: Inputs) -> Drawing | None:
    """The decoder's manifold.

    Decodes of a grid over the plane, at equal shares of N(0, I). Where the codes fill N(0, I), all that the model can
    draw is in it, each class in a place of its own; where they do not, classes are missing, or shapes are unlike any
    image.
    """
    chosen = inputs.choose([config for config in inputs.configs if config.latent_dim == 2])
    z = scipy.stats.norm.ppf((np.arange(MANIFOLD_SIDE) + 0.5) / MANIFOLD_SIDE).astype(np.float32)
    ends = (0, MANIFOLD_SIDE - 1)
    ticks = [format_number(value, 1) if index in ends else "" for index, value in enumerate(z)]

    def draw(config: Config, ax: Axes) -> None:
        decoded = inputs.decode(config, np.stack(np.meshgrid(z, z[::-1]), axis=-1))  # row 0 has the highest z₂
        images.image_grid(ax, decoded, ticks[::-1], ticks, "z₁", "z₂", gap=0)

    return draw_panels(inputs, chosen, {"": draw}, (5, 5))


@figure
def samples(inputs: Inputs) -> Drawing | None:
    """Samples, by what is known of the codes.

    Decodes of draws of N(0, I), which needs no look at the codes; of a Gaussian with their mean and covariance; of a
    mixture of ten Gaussians fitted to them; and of codes of training images themselves. The same draws of N(0, I) for
    all models with as many latent dimensions. Where the first rows are unlike the last, the model samples badly because
    its codes are elsewhere, and not because it could not draw.
    """
    chosen = inputs.choose()
    rows, columns, size = (2, 10, (4.6, 3.3)) if is_wide(inputs, chosen) else (3, 5, (1.8, 3.6))

    def draw(config: Config, ax: Axes) -> None:
        sheets = [images.mosaic(each) for each in decode_rungs(inputs, config, list(RUNGS), rows, columns)]
        images.image_grid(ax, np.stack(sheets)[:, None], [*RUNGS.values()], gap=6)

    return draw_panels(inputs, chosen, {"": draw}, size)


@figure
def samples_by_kl_weight(inputs: Inputs) -> Drawing | None:
    """Samples of N(0, I), by KL weight.

    Decodes of draws of N(0, I), one seed per cell, the same draws in all cells with as many latent dimensions, and
    first those of the models without a KL weight. As the weight grows the codes fill N(0, I) and samples come to look
    like the data, until they all turn into one blur.
    """
    every = replace(inputs, configs=[*inputs.configs, *inputs.shown])  # whose KL weights are named
    if len(values_of(every.configs, "kl_weight")) < 2:
        return None

    def draw(config: Config, ax: Axes) -> None:
        z = np.random.default_rng(0).standard_normal((SAMPLES_SIDE, SAMPLES_SIDE, config.latent_dim), np.float32)
        images.image_grid(ax, every.decode(config, z))

    return draw_panels(every, every.choose(most=MAX_CELLS), {"": draw}, (2.2, 2.3))


@figure
def interpolations(inputs: Inputs) -> Drawing | None:
    """Interpolations.

    Decodes along the straight line between the codes of two test images, which stand at both ends; their classes, if
    they have any, are named beside them. If all decodes are plausible, the space between codes means something.
    """
    chosen = inputs.choose()
    steps, size = (9, (4.6, 2.4)) if is_wide(inputs, chosen) else (5, (2.2, 1.8))
    t = np.linspace(0, 1, steps, dtype=np.float32)[:, None]

    def draw(config: Config, ax: Axes) -> None:
        ends, classes = one_per_class(inputs.dataset(config), 2 * NUM_PATHS)
        codes, half = inputs.run(config).encode(ends).mean, len(ends) // 2
        pairs = [(start, start + half) for start in range(half)] or [(0, 0)]
        z = np.stack([(1 - t) * codes[start] + t * codes[end] for start, end in pairs])
        paths, originals = inputs.decode(config, z), shrunk(ends / np.float32(255))
        tiles = [[originals[start], *path, originals[end]] for (start, end), path in zip(pairs, paths, strict=True)]
        names = None if classes is None else [_way(classes[start], classes[end]) for start, end in pairs]
        images.image_grid(ax, np.array(tiles), names, breaks=(1, steps + 1))

    return draw_panels(inputs, chosen, {"": draw}, size)


@figure
def traversals(inputs: Inputs) -> Drawing | None:
    """Traversals of single dimensions.

    In each row one dimension moves by standard deviations of the codes, while the others stay at the mean code: the
    dimensions of the largest KL, or of the largest variance where there is no KL, at most five. What changes along a
    row is what that dimension means; a row that does not change is a dimension that is not used. Where factors are
    known, a dimension that knows a tenth of one or more is named after the one it knows most of.
    """
    chosen = inputs.choose([config for config in inputs.configs if config.latent_dim > 2])
    values = np.linspace(-3, 3, 9 if is_wide(inputs, chosen) else 5, dtype=np.float32)

    def draw(config: Config, ax: Axes) -> None:
        codes = inputs.codes(config).mean
        center, sd = codes.mean(axis=0), codes.std(axis=0)
        dimensions, known = factors.by_kl(inputs, config)[:MAX_DIMENSIONS], factors.known_factors(inputs, config)
        z = np.broadcast_to(center, (len(dimensions), len(values), len(center))).copy()
        for row, dimension in enumerate(dimensions):
            z[row, :, dimension] += values * sd[dimension]
        names = [factors.named_after(known, dimension) for dimension in dimensions]
        steps = [f"{format_number(value, 0)} sd" if value in (-3, 0, 3) else "" for value in values]
        images.image_grid(ax, inputs.decode(config, z), names, steps)

    return draw_panels(inputs, chosen, {"": draw}, (3.8, 2.4))


def one_per_class(dataset: Dataset, most: int) -> tuple[np.ndarray, list[str] | None]:
    """Returns the first test image of each of at most `most` classes, and their names; without labels, the first ten.

    Long names are cut off.
    """
    test, classes = dataset.test, dataset.classes
    if test.labels is None:
        return test.images[: min(10, most)], None
    labels, places = np.unique(test.labels, return_index=True)
    chosen = spaced(range(len(labels)), most)
    return test.images[places[chosen]], [shortened(classes[label], MAX_NAME) for label in labels[chosen].tolist()]


def _way(start: str, end: str) -> str:
    """Returns `0 → 5`; long names have a line each."""
    return start + (" → " if len(start + end) < MAX_NAME // 2 else "\n→ ") + end


def decode_rungs(inputs: Inputs, config: Config, rungs: Sequence[str], rows: int, columns: int) -> np.ndarray:
    """Decodes draws of some samplers of `draw_samplers`, by name: float32[rungs, rows, columns, h, w]."""
    draws = draw_samplers(inputs.run(config), inputs.dataset(config).train.images, rows * columns, seed=0)
    decoded = inputs.decode(config, np.stack([draws[name] for name in rungs]))
    return decoded.reshape(len(rungs), rows, columns, *decoded.shape[2:])
