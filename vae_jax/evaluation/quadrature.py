"""The log-likelihood log p(x) = log ∫ p(x | z) p(z) dz by the midpoint rule, in one or two latent dimensions.

The first grid covers all of the latent space that can matter, for every image. Each finer grid has only the tiles of
cells where the one before found mass, and each tile only the images that have mass there: an image's posterior covers a
few of some hundred tiles. A tile is decoded once, and its images are one matrix product.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from vae_jax.evaluation import marginal
from vae_jax.likelihoods import log_density_parts
from vae_jax.networks import Params, decode
from vae_jax.programs import Program
from vae_jax.runs import TrainedRun

MAX_GRID_POINTS = 1 << 20  # decoded by one quadrature
GRID_TOLERANCE = 0.01  # nats; two successive quadratures that are closer have converged
SETTLED = GRID_TOLERANCE / 5  # nats; an image that changes less is not refined any more
GRID_REACH = 64.0  # the grid stays within this distance of the origin along each axis, and up to a tile beyond
FIRST_STEPS = (0.125, 0.5)  # least and greatest step of the first grid
SIDE = 16  # cells of a tile along each axis; even
NEGLIGIBLE = 30.0  # nats below an image's best cell; a million such cells together are 1e-7 nats
BLOCK = 128  # images that meet a tile in one matrix product


class LogLikelihood(NamedTuple):
    """log p(x) of each image by quadrature."""

    values: np.ndarray  # float64[N], nats; NaN where it is unknown
    error: float  # mean absolute difference of two grids
    resolved: bool  # False if some image's posterior is too narrow for the grid


class _Grid(NamedTuple):
    """Square tiles of SIDE cells along each axis, and the images that have mass in each of them."""

    low: np.ndarray  # float64[D], corner of the tile at 0
    step: float  # side of a cell
    places: np.ndarray  # int[T, D], in units of a tile
    images: Sequence[np.ndarray]  # int32 each, of every tile

    @property
    def size(self) -> int:
        """The number of cells."""
        return len(self.places) * SIDE ** len(self.low)

    def products(self, of_decode: int, num_pixels: int) -> int:
        """The multiplications of its quadrature."""
        return SIDE ** len(self.low) * (len(self.places) * of_decode + sum(map(len, self.images)) * num_pixels)

    def centers(self, tile: int) -> np.ndarray:
        """The centers of a tile's cells, float32[SIDE ** D, D]."""
        cells = np.stack(np.unravel_index(np.arange(SIDE ** len(self.low)), (SIDE,) * len(self.low)), axis=-1)
        return (self.low + (self.places[tile] * SIDE + cells + 0.5) * self.step).astype(np.float32)


class _Parts(NamedTuple):
    """Quarters of tiles, or halves in one dimension, each with the images that may have mass in it."""

    places: list[np.ndarray]  # int[D] each, in units of half a tile
    images: list[np.ndarray]  # int32 each
    bounds: list[np.ndarray]  # float32 each, about the largest log joint of each of these images there, nats

    def grid(self, grid: _Grid, top: np.ndarray, is_open: np.ndarray) -> _Grid:
        """Returns the grid with half the step, for the images that are open, where they have mass."""
        places, images = [], []
        for place, rows, bounds in zip(*self, strict=True):
            kept = rows[(bounds > top[rows] - NEGLIGIBLE) & is_open[rows]]
            if len(kept):
                places.append(place)
                images.append(kept)
        return _Grid(grid.low, grid.step / 2, np.array(places), images)


def exact_log_likelihood(run: TrainedRun, pixels: np.ndarray) -> LogLikelihood:
    """Computes log ∫ p(x | z) p(z) dz of each image by the midpoint rule, for one or two latent dimensions.

    The first grid covers eight standard deviations of the prior and of every posterior, whatever the encoder says of an
    image. Its step is halved, where images have mass, until the mean absolute change over images is below
    `GRID_TOLERANCE` and no image depends on fewer than two grid points; an image that changes by less than `SETTLED`
    keeps its value. For a Gaussian integrand the rule converges exponentially once the step is below its standard
    deviation. The result is not resolved if that takes more than `MAX_GRID_POINTS` or `marginal.MAX_PRODUCTS`, if a
    posterior lies beyond `GRID_REACH`, or if float32 rounds the log joint by more than the tolerance. For run and
    pixels see `marginal.importance_sampled`.
    """
    if run.config.latent_dim > 2:
        raise ValueError(f"quadrature needs latent_dim of 1 or 2, not {run.config.latent_dim}")
    values, change, is_open = (np.full(len(pixels), value) for value in (np.nan, np.nan, True))
    found = LogLikelihood(values, math.nan, resolved=False)
    grid = _first_grid(*marginal.posterior(run, pixels))
    points_left, products_left = MAX_GRID_POINTS, marginal.MAX_PRODUCTS
    on_device = jnp.asarray(pixels.reshape(len(pixels), -1))
    of_x = _image_terms(run.program, run.params, on_device)
    while grid:
        points_left -= grid.size
        products_left -= grid.products(marginal.decoder_products(run), pixels[0].size)
        if min(points_left, products_left) < 0:
            break
        now, points, top, parts = _integrate(run, on_device, of_x, grid)
        change = np.where(is_open, np.abs(now - values), change)  # NaN on the first grid
        values = np.where(is_open, now, values)
        is_open &= ~((change < SETTLED) & (points > 2))
        error = float(change.mean())
        if math.isnan(found.error):  # of the first grid, which has all images; a NaN is not exact
            is_exact = float(np.spacing(np.abs(of_x) + np.abs(top)).mean()) < GRID_TOLERANCE
        resolved = is_exact and not np.any(is_open & (points <= 2)) and error < GRID_TOLERANCE
        found = LogLikelihood(values, error, resolved)
        if resolved or not is_exact or not np.isfinite(values).all():
            break
        grid = parts.grid(grid, top, is_open)
    return found


def _first_grid(mean: np.ndarray, logvar: np.ndarray) -> _Grid | None:
    """The coarsest grid for posteriors float64[N, D]; None if one of them is out of reach."""
    if not np.all(np.abs(mean) <= GRID_REACH) or np.isnan(logvar).any():  # a NaN is out of reach
        return None
    sd = np.exp(np.clip(logvar, -100, 100) / 2)
    step = float(np.clip(2 * np.median(sd), *FIRST_STEPS))
    low = np.clip((mean - 8 * sd).min(axis=0), -GRID_REACH, -8.0)
    high = np.clip((mean + 8 * sd).max(axis=0), 8.0, GRID_REACH)
    counts = np.ceil((high - low) / (SIDE * step)).astype(int)
    places = np.stack(np.unravel_index(np.arange(counts.prod()), counts), axis=-1)
    return _Grid(low, step, places, [np.arange(len(mean), dtype=np.int32)] * len(places))


def _integrate(
    run: TrainedRun, pixels: Array, of_x: Array, grid: _Grid
) -> tuple[np.ndarray, np.ndarray, np.ndarray, _Parts]:
    """Integrates over the tiles of a grid.

    Args:
        run: whose decoder is asked.
        pixels: float32[N, H * W].
        of_x: float32[N], the terms of the images alone.
        grid: what to integrate over.

    Returns:
        log p(x) float64[N], how many grid points account for each image float64[N], the largest log joint float32[N],
        and where it is large. Of images that are in no tile, no value is meant.
    """
    dims = len(grid.low)
    state = tuple(jnp.full(len(pixels), value, jnp.float32) for value in (-np.inf, 0.0, 0.0))
    parts = _Parts([], [], [])
    corners = np.stack(np.unravel_index(np.arange(2**dims), (2,) * dims), axis=-1)
    blocks = np.full((-(-len(pixels) // BLOCK), BLOCK), len(pixels), np.int32)
    for tile, rows in enumerate(grid.images):
        num_blocks = -(-len(rows) // BLOCK)
        blocks.flat[: num_blocks * BLOCK] = np.pad(
            rows, (0, num_blocks * BLOCK - len(rows)), constant_values=len(pixels)
        )
        state, bounds = _add_tile(
            run.program, run.params, pixels, of_x, grid.centers(tile), blocks, np.int32(num_blocks), state
        )
        top, bounds = np.asarray(state[0])[rows], np.asarray(bounds)[:, : len(rows)]
        for corner, bound in zip(corners, bounds, strict=True):
            kept = bound > top - NEGLIGIBLE  # the final top is no less
            if kept.any():
                parts.places.append(2 * grid.places[tile] + corner)
                parts.images.append(rows[kept])
                parts.bounds.append(bound[kept])
    top, total, squares = (np.asarray(part, np.float64) for part in state)
    with np.errstate(all="ignore"):  # a decode that is not finite
        return top + np.log(total) + dims * math.log(grid.step), total**2 / squares, np.asarray(state[0]), parts


@partial(jax.jit, static_argnames="program")
def _image_terms(program: Program, params: Params, pixels: Array) -> Array:
    """The term of log p(x | z) of the image alone, float32[N] nats, which is the same at every z."""
    anywhere = decode(program.network, params, jnp.zeros((1, program.config.latent_dim)))
    images = pixels.reshape(-1, *program.network.image_shape)
    return log_density_parts(program.config.likelihood, anywhere, images)[2]


@partial(jax.jit, static_argnames="program")
def _add_tile(
    program: Program, params: Params, pixels: Array, of_x: Array, z: Array, blocks: Array, num_blocks: Array,
    state: tuple[Array, Array, Array],
) -> tuple[tuple[Array, Array, Array], Array]:  # fmt: skip
    """Adds the cells of a tile to the running integrals of some images.

    Args:
        program: of the run.
        params: of the run.
        pixels: float32[N, H * W].
        of_x: float32[N].
        z: float32[SIDE ** D, D], the cells.
        blocks: int32[number of blocks, BLOCK], numbers of images; N stands for none.
        num_blocks: how many of them count.
        state: (log max w, Σ w / max w, Σ (w / max w)²), float32[N] each.

    Returns:
        The state, and for each part of the tile the bound of each image, float32[2 ** D, blocks * BLOCK].
    """
    images = pixels[:1].reshape(1, *program.network.image_shape)
    natural, of_z, _ = log_density_parts(program.config.likelihood, decode(program.network, params, z), images)
    natural = natural.reshape(len(z), -1)
    per_point = of_z - 0.5 * jnp.sum(jnp.square(z), axis=1) - 0.5 * z.shape[1] * math.log(2 * math.pi)

    def add(block: Array, carry: tuple[tuple[Array, Array, Array], Array]) -> tuple[tuple[Array, Array, Array], Array]:
        state, bounds = carry
        rows = blocks[block]
        logs = natural @ pixels.at[rows].get(mode="clip").T + per_point[:, None] + of_x.at[rows].get(mode="clip")[None]
        top, total, squares = (part.at[rows].get(mode="clip") for part in state)
        added = marginal.add_logs((top, total, squares), logs)
        state = jax.tree.map(lambda part, new: part.at[rows].set(new, mode="drop"), state, added)
        return state, jax.lax.dynamic_update_slice(bounds, _bounds(logs, z.shape[1]), (0, block * blocks.shape[1]))

    bounds = jnp.zeros((2 ** z.shape[1], blocks.size))
    return jax.lax.fori_loop(0, num_blocks, add, (state, bounds))


def _bounds(logs: Array, dims: int) -> Array:
    """About the largest log joint between the cells of each part of a tile, float32[2 ** D, B].

    It is the largest at the cells, plus the largest difference of neighbours along each axis. At the peak of a Gaussian
    with precision Λ, the nearest cell is at most h² / 4 · tr Λ below the peak, and the differences are at least
    h² · tr Λ together.

    Args:
        logs: float32[SIDE ** D, B].
        dims: D.
    """
    cells = logs.reshape(*(2, SIDE // 2) * dims, -1)
    axes = tuple(range(1, 2 * dims, 2))
    largest = jnp.max(cells, axis=axes)
    for axis in axes:
        largest += jnp.max(jnp.abs(jnp.diff(cells, axis=axis)), axis=axes)
    return largest.reshape(2**dims, -1)
