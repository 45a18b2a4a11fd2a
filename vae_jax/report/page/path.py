"""The path of the KL weight, from the AE to a VAE that is pulled hard, in one latent plane that stays where it is.

The codes of each run are turned about the origin, by the rotation or reflection that brings them nearest to the
reference's (orthogonal Procrustes; Schönemann 1966), and seen along the reference's axes. N(0, I) is the same before
and after, and no distance changes. What is saved of a run is not turned.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vae_jax.claims.results import Results, grouped, setting_of
from vae_jax.config import Config
from vae_jax.measure.latents import matching_rotation
from vae_jax.measure.samples import principal_axes
from vae_jax.measure.subsets import subset
from vae_jax.models import MODELS
from vae_jax.report.page.sheets import classes, sheet
from vae_jax.report.page.weights import encode_array
from vae_jax.training.runs import Codes, TrainedRun, dataset_of, load_run
from vae_jax.workdir import run_dir

LEAST_WEIGHTS = 3
CODES = 600  # test images whose codes are shown
POSTERIORS = 40  # of them, whose posterior is
DRAWS = 8  # from N(0, I), the same for all runs
SIDE = 20  # rows and columns of the plane that is decoded
SD = 2.2  # of N(0, I), that the plane shows at the least
SHOWN = 0.98  # share of the codes of all runs that the plane shows; those of an AE may lie far from the others


class Plane(NamedTuple):
    """How a run is seen: its codes z, as rows, are turned to z Rᵀ, and seen at the places z Rᵀ B."""

    turn: np.ndarray  # R, float64[D, D], orthogonal
    basis: np.ndarray  # B, float64[D, 2], orthonormal columns; the same for all runs

    def places(self, z: np.ndarray) -> np.ndarray:
        """Returns where codes [N, D] are seen, [N, 2]."""
        seen: np.ndarray = z @ self.turn.T @ self.basis
        return seen

    def covariances(self, logvar: np.ndarray) -> np.ndarray:
        """Returns how N(mean, exp(logvar)) are seen, for logvar [N, D]: the entries xx, xy and yy, [N, 3]."""
        axes = self.basis.T @ self.turn
        full = np.einsum("id,nd,jd->nij", axes, np.exp(logvar), axes)
        return full[:, [0, 0, 1], [0, 1, 1]]

    def codes(self, turned: np.ndarray) -> np.ndarray:
        """Returns the codes [N, D] of points that are turned already, [N, D]."""
        z: np.ndarray = (turned @ self.turn).astype(np.float32)
        return z


def planes(codes: Sequence[np.ndarray], reference: np.ndarray) -> list[Plane]:
    """Turns codes, each [N, D] of the same images, to those of the reference, and sees them along its axes.

    They are the two latent dimensions, or of more than two the reference's two principal axes.
    """
    dims = reference.shape[1]
    basis = np.eye(dims)[:, :2] if dims == 2 else principal_axes(reference)[2][:, ::-1][:, :2]
    return [Plane(matching_rotation(each, reference), basis) for each in codes]


def weights_of(configs: Sequence[Config]) -> dict[float, Config]:
    """The runs of a path by their KL weight, rising, that differ in nothing else; the AE is the one of weight 0.

    They are of the last model that has such runs, rather at 2 dimensions, and of the seed that has most of them. Empty
    without three weights, or without a plane.
    """
    for model in reversed(MODELS):
        swept = [c for c in configs if c.model == model and c.uses("kl_weight") and c.kl_weight and c.latent_dim > 1]
        groups = grouped(swept, lambda c: (*setting_of(c, without=("kl_weight",)), c.seed))
        paths = [_start(group[0], configs) | {c.kl_weight: c for c in group} for group in groups]
        if able := [path for path in paths if len(path) >= LEAST_WEIGHTS]:
            best = min(able, key=lambda path: (next(iter(path.values())).latent_dim, -len(path)))
            return dict(sorted(best.items()))
    return {}


def _start(first: Config, configs: Sequence[Config]) -> dict[float, Config]:
    """The run of the baseline that has no KL weight, which is the path's at weight 0."""
    own = ("model", *MODELS[first.model].fields)
    for config in configs:
        is_baseline = config.model in MODELS[first.model].baselines and not config.uses("kl_weight")
        if is_baseline and config.seed == first.seed and setting_of(config, own) == setting_of(first, own):
            return {0.0: config}
    return {}


def build(results: Results, trained: Sequence[Config], workdir: Path, data_dir: str | None) -> dict[str, Any] | None:
    """Returns the plane of each run of the path, JSON-ready; None if there is no path, or a code is not finite.

    Raises:
        UserError: a run or its data set cannot be loaded.
    """
    path = weights_of(trained)
    if not path:
        return None
    runs = [load_run(run_dir(workdir, config)) for config in path.values()]
    dataset = dataset_of(runs[0], data_dir)
    images = subset(dataset.test.images, CODES)
    codes = [run.encode(images) for run in runs]
    if not all(np.isfinite(each.mean).all() for each in codes):
        return None
    start = min(range(len(path)), key=lambda i: abs(math.log(list(path)[i] or math.inf)))
    seen = planes([each.mean for each in codes], codes[start].mean)
    places = [plane.places(each.mean) for plane, each in zip(seen, codes, strict=True)]
    box = bounds(places)
    eps = np.random.default_rng(0).standard_normal((DRAWS, runs[0].config.latent_dim))
    steps = [
        {"weight": weight, "places": encode_array(place), "posteriors": encode_array(_posteriors(plane, each)),
         "inside": inside(place, box), **_numbers(results, run.config), **_decoded(run, plane, eps, box)}
        for weight, run, plane, each, place in zip(path, runs, seen, codes, places, strict=True)
    ]  # fmt: skip
    return {
        "dims": runs[0].config.latent_dim, "seed": runs[0].config.seed, "start": start, "box": box, "side": SIDE,
        "draws": (eps @ seen[0].basis).tolist(), "steps": steps, "count": len(images),
        **classes(dataset, CODES),
    }  # fmt: skip


def _numbers(results: Results, config: Config) -> dict[str, Any]:
    row, model = results.rows[config], MODELS[config.model]
    rate = row.get("test_rate") if model.has_variance else None
    return {"title": model.title, "distortion": row.get("test_distortion"), "rate": rate}


def _posteriors(plane: Plane, codes: Codes) -> np.ndarray:
    """Those of the first codes, [N, 3]; none for codes that are points."""
    return np.zeros((0, 3)) if codes.logvar is None else plane.covariances(codes.logvar[:POSTERIORS])


def _decoded(run: TrainedRun, plane: Plane, eps: np.ndarray, box: Sequence[float]) -> dict[str, Any]:
    """The decodes of draws [N, D] from N(0, I), and of the plane; beside it, the turned codes are 0."""
    return {
        "decodes": sheet(run.decode(plane.codes(eps)), DRAWS),
        "grid": sheet(run.decode(plane.codes(lattice(box) @ plane.basis.T)), SIDE, "WEBP"),
    }


def lattice(box: Sequence[float]) -> np.ndarray:
    """The middles of the cells of a box, [SIDE², 2], its upper row first."""
    x0, y0, x1, y1 = box
    steps = (np.arange(SIDE) + 0.5) / SIDE
    y, x = np.meshgrid(y1 - steps * (y1 - y0), x0 + steps * (x1 - x0), indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1)


def bounds(places: Sequence[np.ndarray]) -> list[float]:
    """Left, bottom, right and top of what shows nearly all codes, and N(0, I)."""
    tail = (1 - SHOWN) / 2
    pooled = np.concatenate(places)
    low = np.minimum(np.quantile(pooled, tail, axis=0), -SD)
    high = np.maximum(np.quantile(pooled, 1 - tail, axis=0), SD)
    return [float(value) for value in (*(low - 0.03 * (high - low)), *(high + 0.03 * (high - low)))]


def inside(places: np.ndarray, box: Sequence[float]) -> int:
    """How many places lie in a box."""
    return int(((places >= box[:2]) & (places <= box[2:])).all(axis=1).sum())
