"""Figures of decoded images: reconstructions, samples, manifolds, interpolations, traversals."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import scipy.stats
from matplotlib.axes import Axes

from vae_jax.claims.results import grouped
from vae_jax.config import Config
from vae_jax.data import Split
from vae_jax.measure.samples import draw_samplers
from vae_jax.report.figures import images
from vae_jax.report.figures.inputs import Inputs, shrunk, spaced, values_of
from vae_jax.report.figures.panels import Drawing, broken, draw_panels, figure, finish, is_wide, seed_of
from vae_jax.report.figures.plots import format_number
from vae_jax.report.figures.style import new_figure

MAX_CLASSES = 26  # columns of reconstructions
NUM_PATHS = 5
MANIFOLD_SIDE, SMALL_MANIFOLD_SIDE = 11, 7
SAMPLES_SIDE, SMALL_SAMPLES_SIDE = 8, 6
SAMPLER_NAMES = {
    "prior": "N(0, I)", "standardized": "standardized", "gaussian": "Gaussian", "mixture": "mixture",
    "aggregate": "codes of\nimages",
}  # fmt: skip
MAX_CELLS = 32  # settings that are compared by their KL weight
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@figure
def reconstructions(inputs: Inputs) -> Drawing | None:
    """Originals and reconstructions.

    A test image of each class, or some where there are no classes, and what each model makes of it from its mean code.
    What is blurred or changed did not fit through the latent space.
    """
    chosen = inputs.choose()
    groups = grouped(chosen.configs, lambda config: config.dataset)
    heights = [0.62 * (len(group) + 1) + 0.6 for group in groups]
    drawn, axes = new_figure(len(groups), 1, 8, sum(heights), height_ratios=heights)
    for ax, group in zip(axes.flat, groups, strict=True):
        originals, labels = one_per_class(inputs.dataset(group[0]).test, MAX_CLASSES)
        rows = {"original": shrunk(originals / np.float32(255))}
        for config in group:
            name = [broken(inputs.label(config, ["dataset"]), 24), inputs.note(config)]
            run = inputs.run(config)
            rows["\n".join(filter(None, name))] = shrunk(run.decode(run.encode(originals).mean))
        names = None if labels is None else [str(label) for label in labels]
        images.image_grid(ax, np.stack(list(rows.values())), list(rows), names)
        if len(groups) > 1:
            ax.set_title(inputs.value(group[0], "dataset"))
    return finish(drawn, chosen.note, seed_of(inputs, chosen.configs))


@figure
def manifold(inputs: Inputs) -> Drawing | None:
    """The decoder's manifold.

    Decodes of a grid over the plane: at equal shares of the prior N(0, I), and at equal shares of each model's own
    codes, dimension by dimension. Where the codes fill the prior, both are the same smooth atlas of images; where they
    do not, the first shows only a part of what the model can draw, or shapes unlike any image.
    """
    chosen = inputs.choose([config for config in inputs.configs if config.latent_dim == 2])
    side = MANIFOLD_SIDE if is_wide(inputs, chosen) else SMALL_MANIFOLD_SIDE
    shares = (np.arange(side) + 0.5) / side

    def of_prior(config: Config, ax: Axes) -> None:
        z = scipy.stats.norm.ppf(shares).astype(np.float32)
        draw(config, ax, np.stack([z, z]))

    def of_codes(config: Config, ax: Axes) -> None:
        codes = inputs.codes(config).mean
        finite = codes[np.isfinite(codes).all(axis=1)]
        draw(config, ax, np.quantile(finite, shares, axis=0).T if len(finite) else np.full((2, side), np.nan))

    def draw(config: Config, ax: Axes, z: np.ndarray) -> None:
        ends = (0, side // 2, side - 1)
        columns, rows = (
            [format_number(value, 1) if index in ends else "" for index, value in enumerate(values)] for values in z
        )
        images.image_grid(ax, _decode_plane(inputs, config, z), rows[::-1], columns, "z₁", "z₂")

    return draw_panels(inputs, chosen, {"N(0, I)": of_prior, "own codes": of_codes}, (3.6, 3.6))


@figure
def manifold_by_kl_weight(inputs: Inputs) -> Drawing | None:
    """The decoder's manifold, by KL weight.

    Decodes of the same grid over the plane for each KL weight, one seed each, at equal shares of the prior N(0, I), z₁
    to the right and z₂ upwards. If the weight is too small, most of the grid lies where no codes are; if it is too
    large, neighbours look alike, because the codes say little about an image.
    """
    flat = [config for config in (*inputs.configs, *inputs.shown) if config.latent_dim == 2]
    return _by_kl_weight(inputs, flat, decode_prior_plane, SMALL_MANIFOLD_SIDE)


@figure
def samples(inputs: Inputs) -> Drawing | None:
    """Samples of N(0, I).

    Decodes of points drawn from the prior, the same points for all models with as many latent dimensions. They look
    like the data where codes are spread as the prior is, and like something else where codes have another scale or
    leave holes.
    """
    chosen = inputs.choose()
    side = SAMPLES_SIDE if is_wide(inputs, chosen) else SMALL_SAMPLES_SIDE

    def draw(config: Config, ax: Axes) -> None:
        images.image_grid(ax, decode_prior(inputs, config, side))

    return draw_panels(inputs, chosen, {"": draw}, (3.4, 3.6))


@figure
def samples_by_kl_weight(inputs: Inputs) -> Drawing | None:
    """Samples of N(0, I), by KL weight.

    Decodes of points drawn from the prior, one seed per cell, the same points in all cells with as many latent
    dimensions. As the weight grows the codes fill the prior and samples come to look like the data, until they all
    turn into one blur.
    """
    return _by_kl_weight(inputs, [*inputs.configs, *inputs.shown], decode_prior, SMALL_SAMPLES_SIDE)


@figure
def samplers(inputs: Inputs) -> Drawing | None:
    """Samples of five samplers.

    Decodes of codes from N(0, I), of the same standardized to each dimension's mean and standard deviation, from a
    Gaussian and a mixture of ten fitted to the model's own codes, and of codes of training images. The first rows
    against the last show how much of a model's bad samples is the sampler's fault.
    """
    chosen = inputs.choose()
    rows, columns, size = (2, 10, (4.6, 3.9)) if is_wide(inputs, chosen) else (3, 5, (1.8, 4.2))

    def draw(config: Config, ax: Axes) -> None:
        draws = draw_samplers(inputs.run(config), inputs.dataset(config).train.images, rows * columns, seed=0)
        decoded = inputs.decode(config, np.stack(list(draws.values())))
        sheets = [images.mosaic(each.reshape(rows, columns, *each.shape[1:])) for each in decoded]
        images.image_grid(ax, np.stack(sheets)[:, None], [SAMPLER_NAMES[name] for name in draws], gap=6)

    return draw_panels(inputs, chosen, {"": draw}, size)


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
        ends, labels = one_per_class(inputs.dataset(config).test, 2 * NUM_PATHS)
        codes, half = inputs.run(config).encode(ends).mean, len(ends) // 2
        pairs = [(start, start + half) for start in range(half)] or [(0, 0)]
        z = np.stack([(1 - t) * codes[start] + t * codes[end] for start, end in pairs])
        paths, originals = inputs.decode(config, z), shrunk(ends / np.float32(255))
        tiles = [[originals[start], *path, originals[end]] for (start, end), path in zip(pairs, paths, strict=True)]
        names = None if labels is None else [f"{labels[start]} → {labels[end]}" for start, end in pairs]
        images.image_grid(ax, np.array(tiles), names, breaks=(1, steps + 1))

    return draw_panels(inputs, chosen, {"": draw}, size)


@figure
def traversals(inputs: Inputs) -> Drawing | None:
    """Traversals of single dimensions.

    In each row one dimension moves while the others stay at the mean code: the dimensions that vary most, at most
    eight, by standard deviations of the codes. What changes along a row is what that dimension means; a row that does
    not change is a dimension that is not used.
    """
    chosen = inputs.choose([config for config in inputs.configs if config.latent_dim > 2])
    values = np.linspace(-3, 3, 9 if is_wide(inputs, chosen) else 5, dtype=np.float32)

    def draw(config: Config, ax: Axes) -> None:
        codes = inputs.codes(config).mean
        center, sd = codes.mean(axis=0), codes.std(axis=0)
        dimensions = np.argsort(-sd)[:8]
        z = np.broadcast_to(center, (len(dimensions), len(values), len(center))).copy()
        for row, dimension in enumerate(dimensions):
            z[row, :, dimension] += values * sd[dimension]
        names = [f"z{dimension + 1}".translate(SUBSCRIPTS) for dimension in dimensions]
        steps = [f"{format_number(value, 0)} sd" if value in (-3, 0, 3) else "" for value in values]
        images.image_grid(ax, inputs.decode(config, z), names, steps)

    return draw_panels(inputs, chosen, {"": draw}, (3.8, 3.6))


def one_per_class(split: Split, most: int) -> tuple[np.ndarray, list[int] | None]:
    """Returns the first image of each of at most `most` classes, and their labels; without labels, the first ten."""
    if split.labels is None:
        return split.images[: min(10, most)], None
    classes, places = np.unique(split.labels, return_index=True)
    chosen = spaced(range(len(classes)), most)
    return split.images[places[chosen]], classes[chosen].tolist()


def decode_prior(inputs: Inputs, config: Config, side: int) -> np.ndarray:
    """Decodes points of N(0, I), the same for all runs with as many latent dimensions: float32[side, side, H, W]."""
    return inputs.decode(config, np.random.default_rng(0).standard_normal((side, side, config.latent_dim), np.float32))


def decode_prior_plane(inputs: Inputs, config: Config, side: int) -> np.ndarray:
    """Decodes a grid over the plane in which each point stands for an equal share of N(0, I); see `_decode_plane`."""
    z = scipy.stats.norm.ppf((np.arange(side) + 0.5) / side).astype(np.float32)
    return _decode_plane(inputs, config, np.stack([z, z]))


def _decode_plane(inputs: Inputs, config: Config, z: np.ndarray) -> np.ndarray:
    """Decodes the grid of z₁ and z₂, rising, float[2, side]: float32[side, side, H, W], row 0 has the highest z₂."""
    return inputs.decode(config, np.stack(np.meshgrid(z[0], z[1][::-1]), axis=-1))


def _by_kl_weight(
    inputs: Inputs, configs: Sequence[Config], decode: Callable[[Inputs, Config, int], np.ndarray], side: int
) -> Drawing | None:
    """Draws what the decoder of each run makes of a grid of codes, side by side by KL weight."""
    weighted = [config for config in configs if config.uses("kl_weight")]
    every = replace(inputs, configs=[*inputs.configs, *inputs.shown])  # whose KL weights are named

    def draw(config: Config, ax: Axes) -> None:
        images.image_grid(ax, decode(every, config, side))

    several = len(values_of(weighted, "kl_weight")) > 1
    return draw_panels(every, every.choose(weighted, MAX_CELLS), {"": draw}, (2.2, 2.3)) if several else None
