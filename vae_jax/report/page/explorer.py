"""The explorer of the page: which runs it holds, and all that its scripts need, as one JSON-ready dict."""

import base64
import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae_jax.claims.results import Results, grouped, settings_texts
from vae_jax.claims.sweeps import off_one
from vae_jax.config import Config, varying_fields
from vae_jax.data import Dataset
from vae_jax.errors import UserError
from vae_jax.measure import judges
from vae_jax.measure.instruments import FOLDER
from vae_jax.measure.latents import matching_rotation
from vae_jax.measure.samples import decode_shrunk
from vae_jax.measure.subsets import subset
from vae_jax.models import MODEL_FIELDS, MODELS
from vae_jax.report.page.sheets import classes, sheet
from vae_jax.report.page.weights import Packed, encode_array, is_packable, pack, packed_size
from vae_jax.training.runs import TrainedRun, dataset_of, load_dataset, load_run
from vae_jax.workdir import is_trained, run_dir

MAX_BYTES = 5_000_000  # that the runs take in a page with room for them
BACKGROUND_BYTES = 5_000  # of a run, for its settings and the background of its plane
LEAST_SHARE = 0.28  # of the size of a run's file, that the run takes in the page: 7 of 32 bits, as base64
MAX_DIGITS, MIN_DIGITS = 1000, 20  # test images whose codes are shown
DIGIT_PIXELS = MAX_DIGITS * 28 * 28  # of all of them
GRID = 48  # rows and columns of the plausibility grid

Look = Callable[[np.ndarray], np.ndarray]
"""Maps images that `decode_shrunk` returns to how plausible each is, float[N] in [0, 1]; one scale for all runs."""


def looks_of(results: Results, workdir: Path) -> Callable[[Dataset], Look | None]:
    """Has judges look at the data sets whose runs they judged when these were evaluated: none is trained here.

    A score of twice the threshold or more counts as 1: ranks among real images say nothing further above.
    """
    judged = {config.dataset for config, row in results.rows.items() if "reconstruction_implausible" in row}

    def look_of(dataset: Dataset) -> Look | None:
        if dataset.name not in judged or not judges.is_classifiable(dataset):
            return None
        judge = judges.load_or_train(dataset, workdir / FOLDER)
        return lambda images: np.minimum(1, judge.scores(images) / (2 * judge.threshold))

    return look_of


def build(
    results: Results,
    workdir: Path,
    data_dir: str | None = None,
    looks: Callable[[Dataset], Look | None] | None = None,
    max_bytes: int = MAX_BYTES,
) -> dict[str, Any] | None:
    """Returns what the page's explorer needs: the runs that fit, and their codes of the same test images.

    What does not fit is left out, the largest runs first. Where not every model has a run that fits, all are coarser.

    Args:
        results: of the experiment; diverged and untrained runs are left out.
        workdir: of the runs.
        data_dir: where prepared data sets are.
        looks: of `looks_of`, whose grid becomes the background of a plane; None for no background, as each of its
            values may be.
        max_bytes: that the runs and images may take.

    Returns:
        A JSON-ready dict, without `runs` if none fits; None if no run can be shown, or the images are not there.
    """
    trained = [c for c in results.judged if c not in results.diverged and is_trained(run_dir(workdir, c))]
    # A slider for the KL weight shows little with two values, so that its runs are coarser and more.
    coarse = "kl_weight" in varying_fields([config for config in trained if config.uses("kl_weight")])
    try:
        data_sets = {config.dataset: load_dataset(config, data_dir) for config in reversed(trained)}
        sheets = {name: _pack_images(dataset) for name, dataset in data_sets.items()}
        for_runs = min(MAX_BYTES, max_bytes - sum(len(sheet["uri"]) for sheet in sheets.values()))
        runs, is_full = _choose(trained, workdir, for_runs, coarse)
        if is_full and not coarse:
            coarser, _ = _choose(trained, workdir, for_runs, coarse=True)
            coarse = len(_models(coarser)) > len(_models(runs))
            runs = coarser if coarse else runs
        found = [(run, _pack(run, dataset_of(run, data_dir), coarse)) for run in runs]
    except UserError:  # the report of a workdir whose data set is elsewhere has no explorer
        return None
    able = [(run, item) for run, item in found if item is not None]
    pairs = _fitting(able, for_runs)
    if not pairs:
        return {"runs": []} if is_full or able else None
    runs, packed = map(list, zip(*pairs, strict=True))
    shown = list(dict.fromkeys(run.config.dataset for run in runs))
    _align(runs, packed)
    if looks is not None:
        makers = {name: looks(data_sets[name]) for name in shown}
        for run, item in zip(runs, packed, strict=True):
            if (look := makers[run.config.dataset]) is not None:
                item.content["plausibility"] = _plausibility_grid(run, item, look)
    fields = [name for name in varying_fields([run.config for run in runs]) if name != "model"]
    for run, item in zip(runs, packed, strict=True):
        item.content["settings"] = settings_texts(run.config, fields)
        # What tells the run from all others of the experiment, in this page or not.
        others = settings_texts(run.config, [name for name in varying_fields(results.configs) if name != "model"])
        item.content["label"] = " ".join([MODELS[run.config.model].title, *(f"{n} {v}" for n, v in others.items())])
        item.content["images"] = shown.index(run.config.dataset)
    return {
        "fields": fields,
        "images": [sheets[name] for name in shown],
        "runs": [item.content for item in packed],
        "total": len(results.configs),
        "error": max(item.error for item in packed),
    }


def _choose(configs: Sequence[Config], workdir: Path, max_bytes: int, coarse: bool) -> tuple[list[TrainedRun], bool]:
    """Loads as many runs as fit, and says whether one does not.

    They are the first seed of every setting, then the next. Models of a setting stay together, if they ever fit so.
    """
    shared = [name for name in varying_fields(configs) if name not in ("model", "seed", *MODEL_FIELDS)]
    seeds = list(dict.fromkeys(config.seed for config in configs))
    settings = list(dict.fromkeys(tuple(getattr(c, name) for name in shared) for c in configs))
    groups: dict[tuple[int, int], list[Config]] = {}
    for config in configs:
        setting = tuple(getattr(config, name) for name in shared)
        groups.setdefault((seeds.index(config.seed), settings.index(setting)), []).append(config)
    chosen: list[TrainedRun] = []
    is_full = False
    for _, group in sorted(groups.items()):
        fitting: list[TrainedRun] = []
        room = max_bytes - sum(_size(run, coarse) for run in chosen)
        for config in _spread(group):
            folder = run_dir(workdir, config)
            if LEAST_SHARE * (folder / "params.safetensors").stat().st_size > room:
                is_full = True
            elif is_packable(run := load_run(folder)):
                size = _size(run, coarse)
                is_full |= size > room
                if size <= room:
                    room -= size
                    fitting.append(run)
        if not chosen or len(_models(fitting)) == len({config.model for config in group}):
            chosen += fitting
    names = [config.name for config in configs]  # a field that a run ignores may have had another default
    return sorted(chosen, key=lambda run: names.index(run.name)), is_full


def _models(runs: Sequence[TrainedRun]) -> set[str]:
    return {run.config.model for run in runs}


def _fitting(pairs: Sequence[tuple[TrainedRun, Packed]], max_bytes: int) -> list[tuple[TrainedRun, Packed]]:
    """Leaves out the largest runs until the others, whose size was only foreseen, fit indeed."""
    sizes = {run.name: len(json.dumps(item.content)) + BACKGROUND_BYTES for run, item in pairs}
    while sizes and sum(sizes.values()) > max_bytes:
        del sizes[max(sizes, key=lambda name: sizes[name])]
    return [(run, item) for run, item in pairs if run.name in sizes]


def _spread(configs: Sequence[Config]) -> list[Config]:
    """Orders the runs of one setting so that any first few have all models, and values from end to end."""
    lines = []
    for model in MODELS:
        line = [config for config in configs if config.model == model]
        order = [0, len(line) - 1]
        for parts in (2, 4, 8, 16, 32, 64):
            order += [len(line) * part // parts for part in range(1, parts)]
        lines.append([line[i] for i in dict.fromkeys([*order, *range(len(line))]) if 0 <= i < len(line)])
    return [config for rank in itertools.zip_longest(*lines) for config in rank if config is not None]


def _size(run: TrainedRun, coarse: bool) -> int:
    most = _num_images(run.program.network.image_shape)
    num_images = min(most, run.identity.counts["test"]) if run.identity else most
    return packed_size(run, num_images, coarse) + BACKGROUND_BYTES


def _pack(run: TrainedRun, dataset: Dataset, coarse: bool) -> Packed | None:
    return pack(run, _images(dataset), dataset.train.images, coarse)


def _num_images(shape: tuple[int, ...]) -> int:
    return max(MIN_DIGITS, min(MAX_DIGITS, DIGIT_PIXELS // math.prod(shape)))


def _images(dataset: Dataset) -> np.ndarray:
    images = dataset.test.images
    return subset(images, _num_images(images.shape[1:]))


def _pack_images(dataset: Dataset) -> dict[str, Any]:
    """One PNG of all images, in rows, and their classes."""
    images = _images(dataset)
    return sheet(images) | classes(dataset, len(images))


def _align(runs: Sequence[TrainedRun], packed: Sequence[Packed]) -> None:
    """Turns the plane of each run of two dimensions to that of the last model whose KL weight is nearest to 1.

    A run's `rotation` R [2, 2] maps its codes z to places R z, see `matching_rotation`. N(0, I) stays the same.
    """
    flat = [n for n, run in enumerate(runs) if run.config.latent_dim == 2]
    for indices in grouped(flat, lambda n: runs[n].config.dataset):
        order = list(MODELS)
        last = max(order.index(runs[n].config.model) for n in indices)
        of_last = [n for n in indices if order.index(runs[n].config.model) == last]
        reference = min(of_last, key=lambda n: off_one([runs[n].config]))
        for n in indices:
            if n != reference:
                turn = matching_rotation(packed[n].codes, packed[reference].codes)
                packed[n].content["rotation"] = encode_array(turn)


def _plausibility_grid(run: TrainedRun, item: Packed, look: Look) -> dict[str, Any] | None:
    """How plausible the decodes of a grid of places are, uint8[GRID, GRID], top row first; None beyond 2 dimensions."""
    if run.config.latent_dim != 2:
        return None
    rotation = np.eye(2)
    if "rotation" in item.content:
        rotation = np.frombuffer(base64.b64decode(item.content["rotation"]), "<f4").reshape(2, 2)
    places = item.codes @ rotation.T
    low, high = np.minimum(places.min(axis=0), -3), np.maximum(places.max(axis=0), 3)
    middle, half = (low + high) / 2, 0.6 * float((high - low).max())
    steps = (np.arange(GRID) + 0.5) / GRID * 2 - 1
    y, x = np.meshgrid(-steps, steps, indexing="ij")
    grid = np.stack([x.ravel(), y.ravel()], axis=1) * half + middle
    decoded = decode_shrunk(run, grid @ rotation, run.program.network.image_shape)  # z = Rᵀ p, for rows p
    values = np.nan_to_num(look(decoded))
    content = base64.b64encode(np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)).decode("ascii")
    box = [float(v) for v in (middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)]
    return {"box": box, "side": GRID, "values": content}
