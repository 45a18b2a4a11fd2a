"""Numbers of finished runs as tables: a row per run for results.csv, a row per setting with mean ± sd over seeds."""

import csv
import dataclasses
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vae_jax.config import FIELDS, Config, canonical, format_value, varying_fields
from vae_jax.evaluation import claims
from vae_jax.evaluation.claims import Verdict
from vae_jax.files import UserError, read_json, write_text
from vae_jax.workdir import is_evaluated, is_trained, read_metrics, read_seconds, run_dir

# What the summary shows, with its heading and unit; every number is in results.csv.
SUMMARY_COLUMNS = {
    "test_loss": "loss (nats)",
    "test_distortion": "distortion (nats)",
    "test_rate": "rate (nats)",
    "test_elbo": "ELBO (nats)",
    "test_mse": "squared error per pixel",
    "train_seconds": "training (s)",
}

LARGEST = 1e100  # of a number in a table; the square of one beyond it may overflow
DASH = "–"  # where a model has no such number or setting


class Table(NamedTuple):
    """Text in rows and columns."""

    columns: list[str]
    rows: list[list[str]]


def collect(workdir: Path, configs: Sequence[Config]) -> list[dict[str, Any]]:
    """A dict per evaluated run: its name, the Config fields that vary and that it uses (model always), its numbers.

    The numbers are those of evaluation.json, `validation_elbo` after the last epoch, and `train_seconds`.

    Raises:
        UserError: a file of a run is damaged.
    """
    fields = tuple(dict.fromkeys(("model", *varying_fields(configs))))
    rows = []
    for config in configs:
        folder = run_dir(workdir, config)
        if is_evaluated(folder):
            used = [name for name in fields if FIELDS[name].metadata["used"](config)]
            settings = {name: format_value(getattr(config, name)) for name in used}
            numbers = _read_evaluation(folder / "evaluation.json") | _numbers_of_training(folder)
            rows.append({"run": config.name} | settings | numbers)
    return rows


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes the rows of `collect` whole; a number that a run has not is an empty cell, and lists are left out."""
    longest_first = sorted(rows, key=len, reverse=True)  # so that a VAE's rate stands between its neighbours
    names = list(dict.fromkeys(n for row in longest_first for n, v in row.items() if not isinstance(v, list | dict)))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def summarize(configs: Sequence[Config], rows: Sequence[dict[str, Any]]) -> Table:
    """Mean ± standard deviation over seeds of each setting; a dash where a model has no such number."""
    settings = [name for name in dict.fromkeys(("model", *varying_fields(configs))) if name != "seed"]
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(name, DASH) for name in settings), []).append(row)
    body = [
        [*setting, _seeds(members), *(_cell(name, [row.get(name) for row in members]) for name in SUMMARY_COLUMNS)]
        for setting, members in groups.items()
    ]
    return Table([*settings, "seeds", *SUMMARY_COLUMNS.values()], body)


def judge_claims(configs: Sequence[Config], rows: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """Verdicts on the claims: AE against VAE of each setting, and VAEs over the KL weight where it varies.

    Args:
        configs: the experiment's runs.
        rows: `collect`'s.
    """
    numbers = {row["run"]: row for row in rows}
    evaluated = [config for config in configs if config.name in numbers]
    pairs: dict[str, tuple[list[Any], list[Any]]] = {}
    doses: dict[str, list[tuple[float, Any]]] = {}
    for vae in (config for config in evaluated if config.model == "vae"):
        own = numbers[vae.name]
        doses.setdefault(describe(vae, configs, without=("kl_weight",)), []).append((vae.kl_weight, own))
        twin = _without_seed(canonical(dataclasses.replace(vae, model="ae")))
        if twins := [numbers[ae.name] for ae in evaluated if _without_seed(ae) == twin]:
            pairs.setdefault(describe(vae, configs), (twins, []))[1].append(own)
    return claims.compare(pairs) + claims.dose_response(doses)


def describe(config: Config, configs: Sequence[Config], without: Sequence[str] = ()) -> str:
    """What tells a setting from the others of its model: `latent_dim 8, kl_weight 2`; empty where nothing does."""
    names = [name for name in varying_fields(configs) if name not in ("model", "seed", *without)]
    return ", ".join(
        f"{name} {format_value(getattr(config, name))}" for name in names if FIELDS[name].metadata["used"](config)
    )


def mean_sd(values: Sequence[float | None]) -> str:
    """`153.40 ± 0.52`, four decimals below 1; a dash where a value is missing."""
    numbers = [value for value in values if value is not None and math.isfinite(value)]
    if not numbers or len(numbers) < len(values):
        return DASH
    mean = statistics.fmean(numbers)
    decimals = 4 if abs(mean) < 1 else 2
    if len(numbers) == 1:
        return f"{mean:.{decimals}f}"
    return f"{mean:.{decimals}f} ± {statistics.stdev(numbers):.{decimals}f}"


def format_table(table: Table) -> str:
    """The table as aligned plain text."""
    lines = [table.columns, *table.rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(table.columns))]
    return "\n".join("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in lines)


def _numbers_of_training(folder: Path) -> dict[str, float]:
    if not is_trained(folder):  # a file was lost since it was evaluated
        return {}
    numbers = {
        "validation_elbo": read_metrics(folder)[-1].get("validation_elbo"),
        "train_seconds": read_seconds(folder),
    }
    return {name: value for name, value in numbers.items() if value is not None}


def _read_evaluation(path: Path) -> dict[str, Any]:
    numbers = read_json(path)
    keys = (*SUMMARY_COLUMNS, *(measurement.key for claim in claims.CLAIMS for measurement in claim.measurements))
    if not isinstance(numbers, dict) or not all(_is_number_or_none(numbers.get(key)) for key in keys):
        raise UserError(f"{path} is damaged (not an object of numbers); delete it and launch again")
    return numbers | {key: float(numbers[key]) for key in keys if numbers.get(key) is not None}


def _is_number_or_none(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and abs(value) <= LARGEST)  # NaN is not


def _seeds(members: Sequence[Mapping[str, Any]]) -> str:
    """How many runs a row of the summary stands for: `3`, or `3 (1 diverged)`."""
    diverged = sum("diverged_epoch" in row for row in members)
    return f"{len(members)} ({diverged} diverged)" if diverged else str(len(members))


def _cell(name: str, values: Sequence[float | None]) -> str:
    text = mean_sd(values)
    # Runs that train together have equal shares of one time, which is no spread over seeds.
    return text.split(" ± ")[0] if name == "train_seconds" else text


def _without_seed(config: Config) -> Config:
    return dataclasses.replace(config, seed=0)
