"""A trained run to numbers: evaluation.json beside its parameters."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vae_jax.evaluation import classifier, marginal, plausibility
from vae_jax.evaluation.density import evaluate_density
from vae_jax.evaluation.latents import evaluate_latents
from vae_jax.evaluation.likelihood import evaluate_likelihood
from vae_jax.evaluation.samples import draw_samplers, evaluate_samples
from vae_jax.measurements import MEASUREMENTS
from vae_jax.runs import dataset_of, load_run
from vae_jax.workdir import UserError, is_trained, read_json, read_metrics, write_json

FORMAT = 3  # of the computation of the numbers; increased whenever one of them is computed in another way
MIN_SAMPLES, MAX_SAMPLES = 1_000, 10_000  # of each sampler; as many as test images between them


def evaluate_run(
    folder: Path, *, data_dir: str | None = None, num_likelihood_samples: int = marginal.NUM_SAMPLES
) -> dict[str, Any]:
    """Evaluates the trained run in WORKDIR/runs/NAME, writes its evaluation.json and returns the numbers.

    An error is recorded instead of raised, so that one run never stops the evaluation of another: `failed` then says in
    one line what went wrong, beside the numbers of the parts that succeeded. A run that diverged has `diverged_epoch`
    and no other number, because its parameters are the last finite ones and not the requested ones.

    Args:
        folder: of the run.
        data_dir: where tensorflow-datasets keeps its data sets; None for its standard place.
        num_likelihood_samples: of the importance-sampled bound, per image.

    Returns:
        JSON-ready numbers by name, None where one is not finite, and `evaluation`, the digest that `is_current` checks.

    Raises:
        UserError: the folder holds no trained run, or evaluation.json cannot be written.
    """
    if not is_trained(folder):
        load_run(folder)  # raises an error that says why
    numbers: dict[str, Any] = {"evaluation": digest()}
    failures = []
    try:
        for part, compute in _parts(folder, data_dir, num_likelihood_samples):
            try:
                numbers |= compute()
            except Exception as error:
                failures.append(f"{part}: {_one_line(error)}")
    except Exception as error:
        failures.append(_one_line(error))
    if failures:
        numbers["failed"] = "; ".join(failures)
    numbers = {name: _json_ready(value) for name, value in numbers.items()}
    write_json(folder / "evaluation.json", numbers)
    return numbers


def is_current(folder: Path) -> bool:
    """Whether the run in this folder has an evaluation that did not fail and has today's numbers."""
    try:
        numbers = read_json(folder / "evaluation.json")
    except UserError:  # missing or damaged
        return False
    return isinstance(numbers, dict) and numbers.get("evaluation") == digest() and "failed" not in numbers


def digest() -> str:
    """Returns what identifies the numbers of an evaluation: their names, and how they are computed."""
    return hashlib.sha256(json.dumps([FORMAT, sorted(MEASUREMENTS)]).encode()).hexdigest()[:12]


def _parts(
    folder: Path, data_dir: str | None, num_likelihood_samples: int
) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Yields the parts of an evaluation by name; the failure of one leaves the others."""
    run = load_run(folder)
    diverged = [row["epoch"] for row in read_metrics(folder) if row.get("diverged")]
    if diverged:
        yield "metrics", lambda: {"diverged_epoch": diverged[0]}
        return
    dataset = dataset_of(run, data_dir)
    test, train = dataset.test.images, dataset.train.images
    yield "likelihood", lambda: evaluate_likelihood(run, test, train, num_samples=num_likelihood_samples)
    yield "density of the codes", lambda: evaluate_density(run, train)
    if classifier.is_classifiable(dataset):
        features = classifier.load_or_train(dataset)
        num_samples = min(max(len(test), MIN_SAMPLES), MAX_SAMPLES)
        samplers = draw_samplers(run, train, num_samples, seed=0)
        judge = plausibility.load_or_train(dataset)
        yield "samples", lambda: evaluate_samples(run, dataset, features, judge, samplers)
        yield "latent space", lambda: evaluate_latents(run, dataset, features, samplers["gaussian"])


def _json_ready(value: Any) -> Any:
    """The value as JSON can express it; None for a number, or a list with one, that is not finite."""
    if isinstance(value, list):
        return value if all(map(math.isfinite, value)) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return float(value) if math.isfinite(value) else None


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}".removesuffix(": ")
