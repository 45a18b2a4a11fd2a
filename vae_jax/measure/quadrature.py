"""The log-likelihood log p(x) = log ∫ p(x | z) p(z) dz of each image by the midpoint rule, in one or two dimensions.

A grid covers N(0, I) and the codes. Where an image has mass, its step is halved until the image is resolved, which some
images are sooner than others. One with a posterior that is too narrow stays unresolved; the others are not affected.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vae_jax.measure import marginal
from vae_jax.measure.subsets import chunks
from vae_jax.model.likelihoods import log_density_parts
from vae_jax.model.networks import Params, chunk_size, decode
from vae_jax.model.programs import Program
from vae_jax.training.runs import TrainedRun

CELLS, TILE = 4096, 256  # of the grid, and of finer ones, which are visited tile by tile
HALVINGS = 6  # of the step, at most
PRIOR_REACH, CODES_REACH = 8.0, 3.0  # the grid extends so far from 0, where N(0, I) has all but 1e-15, and from codes
OUTLIER = 12.0  # codes that are so many times as far from their median as half of them do not widen the grid
TOLERANCE = 0.02  # nats; see `exact_log_likelihood`
NEGLIGIBLE = 20.0  # nats below log p(x); a thousand cells with so little mass are 2e-6 nats
BORDER = 8.0  # nats below log p(x) that a cell at the border has at most
FEW, MANY = 128, 1024  # images that are multiplied by the cells of a tile at once


@np.errstate(all="ignore")  # codes and decodes that are not finite
def exact_log_likelihood(run: TrainedRun, pixels: np.ndarray) -> np.ndarray:
    """Computes log ∫ p(x | z) p(z) dz of each image by the midpoint rule, float64[N] nats; NaN where unresolved.

    The latent space has one or two dimensions. An image is resolved if every other point along each axis, whichever
    these are, gives its value within `TOLERANCE`. All points are then off by far less: by the fourth power of that for
    a Gaussian, by a quarter where the decoder has kinks. Besides, its code and its mass lie within the grid, and
    float32 holds its log joint. Tiles that most images need come first, until `marginal.MAX_PRODUCTS` are spent. For
    run and pixels see `marginal.importance_sampled`.
    """
    dims, decodes = run.config.latent_dim, marginal.MAX_PRODUCTS / marginal.decoder_products(run) - CELLS
    if dims > 2:
        raise ValueError(f"quadrature needs latent_dim of 1 or 2, not {dims}")
    if decodes < 0:
        return np.full(len(pixels), np.nan)
    mean = run.encode(pixels).mean.astype(np.float64)
    low, high = _box(mean)
    side, tile_side = (round(cells ** (1 / dims)) for cells in (CELLS, TILE))
    step, integrate = (high - low) / side, partial(_integrate, run, jnp.asarray(pixels))
    sums, largest, border, of_x = integrate(np.arange(len(pixels)), low, step, side)
    values, errors = _value(sums, step)
    inside = ((mean >= low) & (mean <= high)).all(axis=1) & (border < values - BORDER)
    sound = inside & (np.spacing(np.abs(of_x) + np.abs(values).astype(np.float32)) < TOLERANCE)
    parts = [(np.zeros(dims, int), np.arange(len(pixels)), largest)]
    for _ in range(HALVINGS):
        narrow = sound & (errors > TOLERANCE)
        least, tiles = np.where(narrow, values - NEGLIGIBLE, np.inf), []
        for corner, rows, largest in parts:
            for place in np.ndindex(largest.shape[:-1]):
                if len(chosen := rows[largest[place] > least[rows]]):
                    tiles.append((2 * corner + tile_side * np.array(place), chosen))
        sums[:, narrow], step, parts = -np.inf, step / 2, []
        for corner, rows in sorted(tiles, key=lambda tile: -len(tile[1])):
            decodes -= TILE * -(-len(rows) // MANY)
            if decodes < 0:
                sums[:, rows] = np.nan
                continue
            found, largest, *_ = integrate(rows, low + corner * step, step, tile_side)
            sums[:, rows] = np.logaddexp(sums[:, rows], found)
            parts.append((corner, rows, largest))
        values, errors = np.where(narrow, _value(sums, step), (values, errors))
    return np.where(sound & (errors < TOLERANCE), values, np.nan)


def _box(mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two opposite corners of the grid, float64[D] each, for codes float64[N, D]."""
    codes = np.nan_to_num(mean)
    middle = np.median(codes, axis=0)
    reach = OUTLIER * np.median(np.abs(codes - middle), axis=0)
    low, high = (np.clip(end, middle - reach, middle + reach) for end in (codes.min(axis=0), codes.max(axis=0)))
    return np.minimum(low - CODES_REACH, -PRIOR_REACH), np.maximum(high + CODES_REACH, PRIOR_REACH)


def _value(sums: np.ndarray, step: np.ndarray) -> np.ndarray:
    """log p(x) and its error, float64[2, N], from the logarithms of the sums over every other cell."""
    total = np.logaddexp.reduce(sums, axis=0)
    return np.stack([total + np.log(step).sum(), np.abs(sums + math.log(len(sums)) - total).max(axis=0)])


def _integrate(
    run: TrainedRun, pixels: Array, rows: np.ndarray, low: np.ndarray, step: np.ndarray, side: int
) -> list[np.ndarray]:
    """Calls `_log_sums` for a batch of images at a time; the last one is filled up, as another size compiles anew."""
    size, found = min(FEW if len(rows) <= 2 * FEW else MANY, len(pixels)), []
    for batch in chunks(rows, size):
        parts = _log_sums(run.program, run.params, pixels, np.resize(batch, size), low, step, side=side)
        found.append([np.asarray(part)[..., : len(batch)] for part in parts])
    return [np.concatenate(parts, axis=-1) for parts in zip(*found, strict=True)]


@partial(jax.jit, static_argnames=("program", "side"))
def _log_sums(
    program: Program, params: Params, pixels: Array, rows: Array, low: Array, step: Array, *, side: int
) -> tuple[Array, Array, Array, Array]:
    """Evaluates the log joint of images at the centers of cells.

    Args:
        program: of the run.
        params: of the run.
        pixels: float32[N, H, W].
        rows: int[B], numbers of images.
        low: float32[D], the corner of the first cell.
        step: float32[D], the sides of a cell.
        side: cells along each axis.

    Returns:
        As logarithms: the sums over every other center along each axis, float32[2 ** D, B]; about the largest mass of a
        cell in each part of TILE / 2 ** D cells, float32[*parts, B], and in the outermost cells, float32[B]; and the
        factor of p(x | z) that is the same at every z, float32[B].
    """
    dims, images, log_area = low.shape[0], pixels[rows], jnp.sum(jnp.log(step))
    centers = low[None] + (jnp.arange(side)[:, None] + 0.5) * step[None]
    z = jnp.stack(jnp.meshgrid(*centers.T, indexing="ij"), axis=-1)

    def log_joint(z: Array) -> tuple[Array, Array]:
        natural, of_z, of_x = log_density_parts(program.config.likelihood, decode(program.network, params, z), images)
        of_z -= 0.5 * jnp.sum(jnp.square(z) + math.log(2 * math.pi), axis=1)
        return natural.reshape(len(z), -1) @ images.reshape(len(images), -1).T + of_z[:, None] + of_x[None], of_x

    at_once = 1 << chunk_size(TILE, images.shape[1:]).bit_length() - 1  # a power of two, as is the number of cells
    logs, of_x = jax.lax.map(log_joint, z.reshape(-1, at_once, dims))
    lattices = logs.reshape(*(side // 2, 2) * dims, -1)
    sums = jax.nn.logsumexp(lattices, axis=tuple(range(0, 2 * dims, 2))).reshape(2**dims, -1)
    logs = logs.reshape(*(side,) * dims, -1)
    inner = np.pad(np.ones((side - 2,) * dims, bool), 1)
    border = jnp.max(jnp.where(inner[..., None], -jnp.inf, logs), axis=range(dims))
    # A parabola rises by at most half of this from the center of a cell to a point in it.
    rise = sum(jnp.abs(jnp.asarray(jnp.gradient(logs, axis=axis))) for axis in range(dims))
    half = round(TILE ** (1 / dims)) // 2
    largest = jnp.max((logs + rise).reshape(*(side // half, half) * dims, -1), axis=range(1, 2 * dims, 2))
    return sums, largest + log_area, border + log_area, of_x[0]
