"""A trained run to numbers: evaluation.json beside its parameters."""

import importlib
import math
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vae_jax import environment, source
from vae_jax.errors import UserError, one_line
from vae_jax.files import read_json, write_json
from vae_jax.measure import instruments, parts
from vae_jax.measure.marginal import NUM_SAMPLES
from vae_jax.models import MODELS
from vae_jax.training.runs import load_run
from vae_jax.workdir import is_trained, read_config, read_identity

SOURCES = (
    "environment.py", "measure", "model", "models.py", "training/runs.py", "training/step.py",
)  # fmt: skip
"""The code that the numbers of a trained run depend on."""


@environment.own_settings()
def evaluate_run(
    folder: Path, *, data_dir: str | None = None, num_likelihood_samples: int = NUM_SAMPLES
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
        JSON-ready numbers by name, None where one is not finite, and `evaluation`, what made them; see `made_by`.

    Raises:
        UserError: the folder holds no trained run, evaluation.json cannot be written, or as `environment.own_settings`.
    """
    if not is_trained(folder):
        load_run(folder)  # raises an error that says why
    numbers: dict[str, Any] = {}
    failures = []
    try:
        for part, compute in parts.of_run(folder, data_dir, num_likelihood_samples):
            try:
                numbers |= compute()
            except Exception as error:
                failures.append(f"{part}: {one_line(error)}")
    except Exception as error:
        failures.append(one_line(error))
    if failures:
        numbers["failed"] = "; ".join(failures)
    numbers = {name: _json_ready(value) for name, value in numbers.items()}
    numbers["evaluation"] = made_by(folder, num_likelihood_samples, "diverged_epoch" in numbers)
    write_json(folder / "evaluation.json", numbers)
    return numbers


def prepare() -> None:
    """Imports scikit-learn in the background, which takes seconds, so that no evaluation need wait for that."""
    threading.Thread(target=importlib.import_module, args=["sklearn.mixture"], daemon=True).start()


def is_current(folder: Path, num_likelihood_samples: int) -> bool:
    """Whether the run in this folder has an evaluation that did not fail and that would be made in the same way now."""
    numbers = _read(folder)
    is_whole = isinstance(numbers.get("evaluation"), dict) and "failed" not in numbers
    return is_whole and numbers["evaluation"] == made_by(folder, num_likelihood_samples, "diverged_epoch" in numbers)


def made_by(folder: Path, num_likelihood_samples: int, diverged: bool = False) -> dict[str, Any]:
    """Returns what makes a run's evaluation today: only numbers that were made by the same may meet in a mean.

    These are the digest of the code that measures, the digest of the workdir's instrument for the run's data set, and
    the samples per image of the importance-sampled bound for a model that has one. A run that diverged is not measured.

    Raises:
        UserError: config.json is damaged.
    """
    made: dict[str, Any] = {"source": source.digest(*SOURCES)}
    if diverged:
        return made
    if digest := instruments.digest(folder.parents[1] / instruments.FOLDER, read_identity(folder)):
        made["judge"] = digest
    if MODELS[read_config(folder).model].has_variance:
        made["num_likelihood_samples"] = num_likelihood_samples
    return made


def samples_in_use(folders: Iterable[Path]) -> int:
    """Returns the samples per image that the evaluations in these folders have: the most, or `NUM_SAMPLES` if none."""
    made = (_read(folder).get("evaluation") for folder in folders)
    used = [entry.get("num_likelihood_samples") for entry in made if isinstance(entry, dict)]
    return max((count for count in used if type(count) is int), default=NUM_SAMPLES)


def _read(folder: Path) -> dict[str, Any]:
    """The content of evaluation.json; empty if it is missing or damaged."""
    try:
        content = read_json(folder / "evaluation.json")
    except UserError:
        return {}
    return content if isinstance(content, dict) else {}


def _json_ready(value: Any) -> Any:
    """The value as JSON can express it; None for a number, or a list with one, that is not finite."""
    if isinstance(value, list):
        return value if all(map(math.isfinite, value)) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return float(value) if math.isfinite(value) else None
