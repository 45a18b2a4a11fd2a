"""A trained run to numbers: evaluation.json beside its parameters.

This module is imported before training starts, and `parts` with the libraries that it needs, which takes seconds, once
there is a run to evaluate.
"""

import hashlib
import importlib
import json
import math
import threading
from pathlib import Path
from typing import Any

from vae_jax.config import Options
from vae_jax.measurements import MEASUREMENTS
from vae_jax.runs import load_run
from vae_jax.workdir import UserError, is_trained, read_json, write_json

FORMAT = 6  # of the computation of the numbers; increased whenever one of them is computed in another way
DEFAULTS = Options()


def evaluate_run(
    folder: Path, *, data_dir: str | None = None, num_likelihood_samples: int = DEFAULTS.num_likelihood_samples
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
    from vae_jax.evaluation import parts

    numbers: dict[str, Any] = {"evaluation": digest()}
    failures = []
    try:
        for part, compute in parts.of_run(folder, data_dir, num_likelihood_samples):
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


def prepare() -> None:
    """Imports in the background what an evaluation needs, so that it need not wait for that after training."""
    threading.Thread(target=importlib.import_module, args=[f"{__name__}.parts"], daemon=True).start()


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
