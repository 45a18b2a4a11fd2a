"""All numbers of an experiment's runs, read once; how runs are grouped into settings; and results.csv."""

import collections
import contextlib
import csv
import io
import json
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from vae_jax import workdir as disk
from vae_jax.config import FIELDS, Config, varying_fields
from vae_jax.errors import UserError
from vae_jax.fields import format_value
from vae_jax.files import exists, read_json, write_text
from vae_jax.measure.measurements import MEASUREMENTS

# Numbers of runs that differ in one of these are not comparable: other images, another density, another judge.
COMPARABLE_FIELDS = ("dataset", "validation_fraction", "binarization", "likelihood")

EVERY_SECONDS = 3.0  # at the least, between two looks for runs that have finished
LARGEST = 1e100  # number in a table; the square of a larger one may overflow

Item = TypeVar("Item")


class Results(NamedTuple):
    """The runs of an experiment and what is known about them, each in the order of the experiment."""

    configs: tuple[Config, ...]  # the experiment's runs, trained or not
    rows: Mapping[Config, Mapping[str, Any]]  # of each evaluated run: its numbers, by their names in `MEASUREMENTS`
    reasons: Mapping[Config, str]  # of each run whose training or evaluation failed
    shown: Collection[Config] = ()  # runs that are trained and drawn, but neither judged nor chosen

    @property
    def judged(self) -> list[Config]:
        """The runs that are judged."""
        return [config for config in self.configs if config not in self.shown]

    @property
    def reported(self) -> list[Config]:
        """The runs that have numbers or a reason for having none."""
        return [config for config in self.configs if config in self.rows or config in self.reasons]

    @property
    def diverged(self) -> dict[Config, int]:
        """The epoch in which each diverged run diverged."""
        return {config: row["diverged_epoch"] for config, row in self.rows.items() if "diverged_epoch" in row}

    @property
    def measured(self) -> list[str]:
        """Names of the numbers that at least one run has, in the order of `MEASUREMENTS`."""
        return [name for name in MEASUREMENTS if any(name in row for row in self.rows.values())]

    def of(self, runs: Iterable[Config]) -> list[Mapping[str, Any]]:
        """Returns the numbers of those of these runs that are evaluated, in the order of their seeds."""
        evaluated = (config for config in runs if config in self.rows)
        return [self.rows[config] for config in sorted(evaluated, key=lambda config: config.seed)]

    def numbers(self, name: str, runs: Iterable[Config]) -> list[Any]:
        """Returns one number of the evaluated runs, in the order of their seeds; None where a run lacks it."""
        return [row.get(name) for row in self.of(runs)]


def grouped(items: Iterable[Item], key: Callable[[Item], Any]) -> list[list[Item]]:
    """Groups what has equal keys, in order of first appearance."""
    groups: dict[Any, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def setting_of(config: Config, without: Sequence[str] = ()) -> tuple[Any, ...]:
    """Returns all values of a Config but the seed and some fields: equal for runs that differ in nothing else."""
    return tuple(getattr(config, name) for name in FIELDS if name not in ("seed", *without))


def comparable(config: Config) -> tuple[Any, ...]:
    """Returns what runs must have in common if their numbers are to be compared."""
    return tuple(getattr(config, name) for name in COMPARABLE_FIELDS)


def fields_by_model(configs: Iterable[Config]) -> dict[str, list[str]]:
    """Returns the names of the fields that tell a model's settings apart, by model."""
    groups = grouped(configs, lambda config: config.model)
    return {runs[0].model: [name for name in varying_fields(runs) if name != "seed"] for runs in groups}


def collect(workdir: Path, configs: Sequence[Config], shown: Collection[Config] = ()) -> Results:
    """Reads the numbers of all runs, of which those `shown` are not judged.

    They are those of evaluation.json, those of the validation images after the epoch whose parameters were kept, and
    `train_seconds`. A diverged run has only `diverged_epoch` and `train_seconds`, and a failed run has a reason in
    place of numbers. So has a run whose evaluation was made by other instruments, code or sample counts than those of
    most runs of its data: numbers of different instruments never meet in a mean.

    Raises:
        UserError: a file of a run is damaged.
    """
    rows, reasons = dict[Config, dict[str, Any]](), dict[Config, str]()
    made = dict[Config, dict[str, Any]]()
    for config in configs:
        folder = disk.run_dir(workdir, config)
        if disk.is_evaluated(folder):
            content = _read(folder / "evaluation.json")
        elif not disk.is_trained(folder) and exists(folder / "failed.json"):
            content = _read(folder / "failed.json")
        else:
            continue
        if "failed" in content:
            reasons[config] = content["failed"]
        else:
            made[config] = content.pop("evaluation")
            rows[config] = content | _numbers_of_training(config, folder, "diverged_epoch" in content)
    for config in _measured_otherwise({c: made[c] for c, row in rows.items() if "diverged_epoch" not in row}):
        del rows[config]
        reasons[config] = (
            "evaluated by other code or instruments, or with other sample counts; launch to evaluate again"
        )
    return Results(tuple(configs), rows, reasons, shown)


def _measured_otherwise(made: Mapping[Config, Mapping[str, Any]]) -> set[Config]:
    """The runs whose evaluation was not made as those of most runs of their data were.

    Args:
        made: what made each run's evaluation, as `measure.made_by` returns it.
    """
    others = set[Config]()
    for part in (
        lambda entry: json.dumps(dict(entry) | {"num_likelihood_samples": None}, sort_keys=True),
        lambda entry: entry.get("num_likelihood_samples"),  # of models that have a bound
    ):
        values = {config: value for config, entry in made.items() if (value := part(entry)) is not None}
        for runs in grouped(values, comparable):
            (usual, _), *_ = collections.Counter(values[config] for config in runs).most_common(1)
            others |= {config for config in runs if values[config] != usual}
    return others


def csv_of(results: Results) -> str:
    """Returns results.csv: a row for each evaluated or failed run, its settings, its numbers, why it failed.

    The columns are the same for all experiments, so that their tables can be put together. A setting or number that a
    run does not have is an empty cell. Lists are left out.
    """
    numbers = [name for name, entry in MEASUREMENTS.items() if entry.kind is not list]
    rows = [
        {"run": config.name, **settings_texts(config, FIELDS), **results.rows.get(config, {})}
        | {"failed": results.reasons.get(config)}
        for config in results.reported
    ]
    return _csv(["run", *FIELDS, *numbers, "failed"], rows)


def write_csv(path: Path, results: Results) -> None:
    """Writes results.csv; UserError if it cannot be written."""
    write_text(path, csv_of(results))


def write_rows(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes a CSV file with these columns, empty if there are none; the cell of what a row does not have is empty.

    Raises:
        UserError: the file cannot be written.
    """
    write_text(path, _csv(list(columns), rows))


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    if columns:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


class LiveCsv:
    """Writes results.csv of a workdir while its runs finish: whole each time, and at most every few seconds."""

    def __init__(self, workdir: Path, configs: Sequence[Config]) -> None:
        self._workdir, self._configs = workdir, configs
        self._written, self._next = self._finished(), 0.0

    def update(self, now: bool = False) -> None:
        """Writes the file if a run has finished since, and the last look is long enough ago or it is to be `now`."""
        start = time.monotonic()
        if not now and start < self._next:
            return
        if (finished := self._finished()) != self._written:
            with contextlib.suppress(UserError):  # what is damaged, or a full disk, ends a launch at its end
                write_csv(self._workdir / "results.csv", collect(self._workdir, self._configs))
                self._written = finished
        # Many runs take long to read.
        self._next = start + max(EVERY_SECONDS, 20 * (time.monotonic() - start))

    def _finished(self) -> list[int]:
        """When the runs' evaluations, and the records of their failures, were written."""
        folders = [disk.run_dir(self._workdir, config) for config in self._configs]
        times = list[int]()
        for path in (folder / name for folder in folders for name in ("evaluation.json", "failed.json")):
            with contextlib.suppress(OSError):  # there is none
                times.append(path.stat().st_mtime_ns)
        return times


def describe(config: Config, fields: Sequence[str]) -> str:
    """Returns the values of those of the fields that the run reads, `latent_dim 8, kl_weight 2`."""
    return ", ".join(f"{name} {value}" for name, value in settings_texts(config, fields).items())


def settings_texts(config: Config, fields: Iterable[str]) -> dict[str, str]:
    """The values of those fields that the run reads."""
    return {name: format_value(getattr(config, name)) for name in fields if config.uses(name)}


def _numbers_of_training(config: Config, folder: Path, diverged: bool) -> dict[str, float]:
    if not disk.is_trained(folder):  # a file was lost since it was evaluated
        return {}
    epochs = disk.read_metrics(folder)
    losses = [math.inf if row.get("validation_loss") is None else row["validation_loss"] for row in epochs]
    # Early stopping keeps the parameters of the epoch with the least validation loss, the first of them.
    kept = epochs[losses.index(min(losses)) if config.patience else -1]
    of_validation = () if diverged else ("validation_elbo", "validation_distortion")
    numbers = {name: kept.get(name) for name in of_validation} | {"train_seconds": disk.read_seconds(folder)}
    return {name: value for name, value in numbers.items() if value is not None}


def _read(path: Path) -> dict[str, Any]:
    """The numbers of evaluation.json and what made them; or only `failed`, the reason in it or in failed.json."""
    content = read_json(path)
    if isinstance(content, dict) and isinstance(content.get("failed"), str):
        return {"failed": content["failed"].strip() or "unknown reason"}
    is_valid = isinstance(content, dict) and "failed" not in content and path.name == "evaluation.json"
    if not is_valid or not all(_is_valid(entry.kind, content.get(name)) for name, entry in MEASUREMENTS.items()):
        raise UserError(f"{path} is damaged (it holds neither numbers nor a reason); delete it and launch again")
    numbers = {
        name: float(content[name]) if entry.kind is float and content[name] is not None else content[name]
        for name, entry in MEASUREMENTS.items()
        if name in content
    }
    made_by = content.get("evaluation")
    return numbers | {"evaluation": made_by if isinstance(made_by, dict) else {}}


def _is_valid(kind: type, value: Any) -> bool:
    """Whether evaluation.json may hold this value for a number of this kind; every number may be None."""
    if value is None:
        return True
    if kind is list:
        return isinstance(value, list) and all(map(_is_number, value))
    return type(value) is bool if kind is bool else _is_number(value)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= LARGEST  # false for NaN
