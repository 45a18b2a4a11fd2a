"""The first screen of the page: draws by what is known of the codes, and the plane along the KL weight (path.py).

Both are decoded here, so that some tens of kB stand in the page for a network of megabytes.
"""

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from vae_jax.claims.results import Results, grouped, setting_of
from vae_jax.claims.summary import finite
from vae_jax.claims.verdicts import Runs, pairs
from vae_jax.config import Config
from vae_jax.errors import UserError
from vae_jax.measure.samples import draw_measured
from vae_jax.models import MODELS
from vae_jax.report.page import path
from vae_jax.report.page.sheets import sheet
from vae_jax.training.runs import dataset_of, load_run
from vae_jax.workdir import is_trained, run_dir

LADDER = ("prior", "gaussian", "mixture", "aggregate")  # samplers, by how much they know of the codes
DRAWS = 16  # of each sampler
MAX_SIDE = 64  # pixels of an image, beyond which decodes are no smaller than networks


def build(results: Results, workdir: Path, data_dir: str | None = None) -> dict[str, Any] | None:
    """Returns `draws` and `plane`, JSON-ready, each None if there is nothing to show; None if there is neither.

    So it is where the data set of the runs is elsewhere, or its images are large.
    """
    trained = [c for c in results.rows if c not in results.diverged and is_trained(run_dir(workdir, c))]
    try:
        shapes = [dataset_of(load_run(run_dir(workdir, c)), data_dir).test.images.shape[1:] for c in trained[:1]]
        if not shapes or max(shapes[0][:2]) > MAX_SIDE:
            return None
        draws = _draws(results, trained, workdir, data_dir)
        plane = path.build(results, trained, workdir, data_dir)
    except UserError:
        return None
    return {"draws": draws, "plane": plane} if draws or plane else None


def _draws(results: Results, trained: Collection[Config], workdir: Path, data_dir: str | None) -> dict[str, Any] | None:
    """The first draws of the first seed, and the means over seeds of all that were measured, where there is a judge."""
    shown = []
    for runs in compared(results):
        able = [config for config in runs if config in trained]
        ladder = [
            {name: _mean(results, f"{sampler}_{name}", able) for name in ("frechet", "coverage")} for sampler in LADDER
        ]
        if not able:
            return None
        run = load_run(run_dir(workdir, able[0]))
        samplers = draw_measured(run, dataset_of(run, data_dir))
        decoded = run.decode(np.concatenate([samplers[name][:DRAWS] for name in LADDER]))
        if not np.isfinite(decoded).all():
            return None
        title = MODELS[run.config.model].title
        measured = [] if any(None in rung.values() for rung in ladder) else ladder
        shown.append({"title": title, "seeds": len(able), "ladder": measured, "sheet": sheet(decoded, DRAWS)})
    dims = compared(results)[0][0].latent_dim if shown else 0
    return {"models": shown, "dims": dims} if shown else None


def compared(results: Results) -> list[Runs]:
    """The runs of the baseline and of the last model at the largest dimension that both have, or of a model alone.

    Of several KL weights it is the one nearest to 1.
    """
    order = list(MODELS)

    def rank(runs: Runs) -> tuple[int, int, float]:
        weight = runs[0].kl_weight
        return order.index(runs[0].model), runs[0].latent_dim, -abs(math.log(weight)) if weight else -math.inf

    if found := list(pairs(results)):
        best = max(found, key=lambda pair: rank(pair.model))
        return [best.baseline, best.model]
    settings = grouped(results.judged, setting_of)
    return [max(settings, key=rank)] if settings else []


def _mean(results: Results, name: str, runs: Runs) -> float | None:
    values = finite(results.numbers(name, runs))
    return float(np.mean(values)) if values else None
