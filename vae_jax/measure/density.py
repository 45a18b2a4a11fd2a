"""The aggregate code q(z) as a density, and the holes in it: where a sampler lands and no training code lies.

q(z) = 1/N Σ N(z; m_n, s_n² + h²) over N training images: their posteriors N(m_n, s_n²), or the points m_n of a model
without noise, each widened by the same bandwidth h (in standard deviations of all codes). Leave-one-out likelihood
chooses h. For posteriors that overlap it is next to 0; for points q(z) is a kernel density estimate. Models with and
without noise are measured alike, and posteriors that do not overlap leave no holes between any two training images.

A hole is where q(z) is below its own 95 % level, the density above which 95 % of q(z) lies. A sampler that is q(z)
itself has 5 % of its mass there.

References:
    Rosca, Lakshminarayanan & Mohamed 2018, "Distribution Matching in Variational Inference" (arXiv:1802.06847), on
    what the prior samples where the aggregate posterior is not. Habbema, Hermans & van den Broek 1974 and Duin 1976,
    the leave-one-out choice of a bandwidth. Hyndman 1996, "Computing and Graphing Highest Density Regions".
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.interpolate import RegularGridInterpolator
from scipy.special import ndtri

from vae_jax.measure.entry import SHARE, Measurement
from vae_jax.measure.latents import Whitening, whitening
from vae_jax.measure.subsets import limit, subset
from vae_jax.training.runs import Codes, TrainedRun

MAX_COMPONENTS = 5000  # training images, chosen at random
MASS = 0.95  # of q(z), above the level
BANDWIDTHS = np.geomspace(0.01, 1.28, 15)  # standard deviations of all codes; a bandwidth is good within a factor 1.4
GRID_SIDES = {1: 1 << 13, 2: 1 << 8}  # cells along each axis, by number of dimensions
NORMAL_SIDES = {1: 1 << 13, 2: 1 << 9}  # points along each axis, of equal mass under N(0, I)
REACH = 4.5  # standard deviations of each component, that the grid covers
GRID_LOSS = 0.01  # of the mass of q(z), beyond which the grid is too coarse
ROWS = 256  # points whose densities are computed at once; times `MAX_COMPONENTS`, 5 MB


MEASUREMENTS = {
    "gaussian_hole_mass": Measurement("samples of the codes' own Gaussian in holes", SHARE, "lower", "holes",
        "Share of samples of the codes' own Gaussian where the density of all training codes is below the level that "
        "holds 95 % of them; 0.05 for codes that are Gaussian, as those of a collapsed model.",
        "after Rosca et al. 2018, Distribution Matching in Variational Inference", error="draws"),
}  # fmt: skip


class Density(NamedTuple):
    """q(z) as a mixture of N Gaussians with diagonal covariances in a frame of K <= D coordinates."""

    frame: Whitening  # from codes to coordinates of about unit variance
    mean: np.ndarray  # float32[N, K]
    sd: np.ndarray  # float32[N, K], widened
    bandwidth: float  # standard deviations of all codes
    moments: tuple[np.ndarray, np.ndarray]  # of the codes before widening, in the frame: float64[K] and float64[K, K]

    def log(self, z: np.ndarray) -> np.ndarray:
        """Computes log q(z) of points float[M, D], float64[M]; -inf if the codes lie in a plane."""
        return log_mixture(self.frame.apply(z), self.mean, self.sd) + self.log_volume

    @property
    def log_volume(self) -> float:
        """The log of the volume in the frame of a unit volume of codes; -inf if the codes lie in a plane."""
        size = self.frame.to_white.shape
        return float(np.linalg.slogdet(self.frame.to_white)[1]) if size[0] == size[1] else -math.inf

    def draw(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Draws coordinates float64[count, K]; components take turns, which is as exact and varies less."""
        chosen = random.permutation(np.resize(random.permutation(len(self.mean)), count))
        return self.mean[chosen] + self.sd[chosen] * random.standard_normal((count, self.mean.shape[1]))


def log_mixture(z: np.ndarray, mean: np.ndarray, sd: np.ndarray, without: np.ndarray | None = None) -> np.ndarray:
    """Computes the log of the mean of N(z; mean_n, diag sd_n²) over n, float64[M] nats.

    It is computed in float32 from differences z - mean, so that narrow components lose no digits.

    Args:
        z: float[M, K].
        mean: float[N, K].
        sd: float[N, K], above 0.
        without: int[M], the component that each point leaves out; None leaves none out.
    """
    count = len(mean) - (without is not None)
    without = np.full(len(z), -1) if without is None else without
    components = jnp.asarray(mean, jnp.float32), jnp.asarray(sd, jnp.float32)
    padding = -len(z) % ROWS  # so that there is one program
    rows = np.pad(np.asarray(z, np.float32), ((0, padding), (0, 0))).reshape(-1, ROWS, mean.shape[1])
    left_out = np.pad(np.asarray(without, np.int32), (0, padding)).reshape(-1, ROWS)
    logs = np.concatenate([np.asarray(_log_sums(*block, *components)) for block in zip(rows, left_out, strict=True)])
    return logs[: len(z)].astype(np.float64) - math.log(count) - 0.5 * mean.shape[1] * math.log(2 * math.pi)


@jax.jit
def _log_sums(z: Array, left_out: Array, mean: Array, sd: Array) -> Array:
    """log Σ_n exp(-½ Σ_k ((z - mean_n) / sd_n)² - Σ_k log sd_n), float32[ROWS]."""

    def add_dimension(logs: Array, parts: tuple[Array, Array, Array]) -> tuple[Array, None]:
        z, mean, sd = parts
        return logs - 0.5 * jnp.square((z[:, None] - mean[None]) / sd[None]), None

    constant = -jnp.sum(jnp.log(sd), axis=1)
    start = jnp.where(jnp.arange(len(mean))[None] == left_out[:, None], -jnp.inf, constant[None])
    logs, _ = jax.lax.scan(add_dimension, start, (z.T, mean.T, sd.T))
    return jax.nn.logsumexp(logs, axis=1)


def aggregate_density(codes: Codes, random: np.random.Generator) -> Density:
    """Fits q(z) to the codes of N training images, all finite."""
    means = codes.mean.astype(np.float64)
    if codes.logvar is None:
        frame = whitening(means)
        mean = frame.apply(means)
        sd = np.zeros_like(mean)
    else:
        variances = np.exp(codes.logvar.astype(np.float64))
        # Only scaled, since a rotation would not leave the covariances diagonal.
        scale = np.sqrt(means.var(axis=0) + variances.mean(axis=0))
        scale = np.where(scale > 0, scale, 1.0)
        frame = Whitening(means.mean(axis=0), np.diag(1 / scale), np.diag(scale))
        mean, sd = frame.apply(means), np.sqrt(variances) / scale
    moments = mean.mean(axis=0), np.cov(mean, rowvar=False, bias=True).reshape(2 * mean.shape[1:])
    moments[1][np.diag_indices(len(moments[0]))] += np.square(sd).mean(axis=0)
    bandwidth = _bandwidth(mean, sd, random)
    widened = np.hypot(sd, bandwidth).astype(np.float32)
    return Density(frame, mean.astype(np.float32), widened, bandwidth, moments)


def _bandwidth(mean: np.ndarray, sd: np.ndarray, random: np.random.Generator) -> float:
    """The bandwidth under which draws of some components are most likely, each without its own component."""
    if len(mean) == 1:
        return 0.0 if sd.all() else 1.0
    count = min(len(mean), max(200, 32_000 // max(32, mean.shape[1])))
    chosen = random.permutation(len(mean))[:count]
    z = mean[chosen] + sd[chosen] * random.standard_normal((count, mean.shape[1]))
    candidates = [0.0, *BANDWIDTHS] if sd.all() else list(BANDWIDTHS)
    scores = [log_mixture(z, mean, np.hypot(sd, h), without=chosen).mean() for h in candidates]
    return float(candidates[int(np.argmax(np.nan_to_num(scores, nan=-np.inf)))])


def hole_mass(density: Density, random: np.random.Generator) -> tuple[float, float]:
    """Computes how much of the Gaussian with the codes' moments is in holes of q(z), and its standard error.

    It shows the shape of q(z) and not its scale. In one or two dimensions it is a sum over a grid, with error 0, where
    the grid resolves q(z); otherwise a mean over draws.
    """
    center, covariance = density.moments
    variances, directions = np.linalg.eigh(covariance)
    factor = (directions * np.sqrt(variances.clip(0))).T  # Gaussian draws are center + eps · factor
    if (cells := grid(density)) is None:
        return _mass_by_draws(density, center, factor, random)
    axes, log_q, share = cells
    values = log_q.reshape([len(axis) for axis in axes])
    between = RegularGridInterpolator(axes, values, bounds_error=False, fill_value=-np.inf)
    side, dims = NORMAL_SIDES[len(axes)], len(axes)
    normal = ndtri((np.arange(side) + 0.5) / side)
    eps = np.stack(np.meshgrid(*[normal] * dims, indexing="ij"), axis=-1).reshape(-1, dims)
    return float(np.mean(between(center + eps @ factor) < level(log_q, share))), 0.0


def grid(density: Density) -> tuple[list[np.ndarray], np.ndarray, np.ndarray] | None:
    """Computes q(z) on a grid over its one or two coordinates; None if there are more, or the grid is too coarse.

    Returns:
        The axes, and the log-density and the mass of each of G cells.
    """
    if density.mean.shape[1] not in GRID_SIDES:
        return None
    low = (density.mean - REACH * density.sd).min(axis=0).astype(np.float64)
    high = (density.mean + REACH * density.sd).max(axis=0).astype(np.float64)
    side = GRID_SIDES[len(low)]
    steps = (high - low) / side
    axes = [start + (np.arange(side) + 0.5) * step for start, step in zip(low, steps, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    log_q = log_mixture(points, density.mean, density.sd)
    share = np.exp(log_q) * math.prod(steps)
    return (axes, log_q, share) if abs(share.sum() - 1) < GRID_LOSS else None


def level(log_q: np.ndarray, share: np.ndarray | None = None) -> float:
    """Returns the log-density above which `MASS` of q(z) lies, from its values float64[M] at draws or at grid cells.

    Args:
        log_q: of each draw or cell.
        share: mass of each cell; None for draws.
    """
    order = np.argsort(-log_q)
    mass = np.cumsum(np.full(len(log_q), 1 / len(log_q)) if share is None else share[order] / share.sum())
    return float(np.interp(MASS, mass, log_q[order]))


def hole_level(density: Density) -> float:
    """Returns the level below which q(z) is a hole, as `Density.log` counts."""
    if cells := grid(density):
        return level(*cells[1:]) + density.log_volume
    draws = density.draw(MAX_COMPONENTS, np.random.default_rng(0))
    return level(log_mixture(draws, density.mean, density.sd)) + density.log_volume


def _mass_by_draws(
    density: Density, center: np.ndarray, factor: np.ndarray, random: np.random.Generator
) -> tuple[float, float]:
    """A mean over draws. The error counts the draws of the Gaussian and those that the level is a quantile of."""
    dims = density.mean.shape[1]
    count = min(4000, max(500, 128_000 // dims))
    own = np.sort(log_mixture(density.draw(count, random), density.mean, density.sd))
    off = math.sqrt(MASS * (1 - MASS) / count)
    low, threshold, high = np.quantile(own, [max(0.0, 1 - MASS - off), 1 - MASS, 1 - MASS + off])
    log_q = log_mixture(center + random.standard_normal((count, dims)) @ factor, density.mean, density.sd)
    mass = float(np.mean(log_q < threshold))
    of_level = (np.mean(log_q < high) - np.mean(log_q < low)) / 2
    return mass, math.hypot(math.sqrt(mass * (1 - mass) / count), of_level)


@np.errstate(all="ignore")  # codes of a bad run may overflow
def evaluate_density(run: TrainedRun, train_images: np.ndarray) -> dict[str, float]:
    """Computes all numbers of this module for a run, by name; none if its codes are not finite.

    At most 5,000 training images uint8[N, H, W] are encoded.
    """
    density = run_density(run, train_images)
    if density is None:
        return {}
    mass, error = hole_mass(density, np.random.default_rng(0))
    return {"gaussian_hole_mass": mass, "gaussian_hole_mass_error": error}


def run_density(run: TrainedRun, train_images: np.ndarray) -> Density | None:
    """Fits q(z) to a run's codes of at most 5,000 training images uint8[N, H, W]; None if one is not finite."""
    codes = run.encode(subset(train_images, limit(MAX_COMPONENTS, train_images.shape[1:])))
    sd = np.ones(1) if codes.logvar is None else np.exp(codes.logvar.astype(np.float64) / 2)
    if not (np.isfinite(codes.mean).all() and np.isfinite(sd).all()):
        return None
    return aggregate_density(codes, np.random.default_rng(0))
