"""All numbers of an experiment's runs, read once, and the tables made of them."""

import csv
import dataclasses
import io
import math
import statistics
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vae_jax.config import Config, varying_fields
from vae_jax.fields import format_value
from vae_jax.measurements import MEASUREMENTS
from vae_jax.workdir import (
    UserError,
    is_evaluated,
    is_trained,
    read_json,
    read_metrics,
    read_seconds,
    run_dir,
    write_text,
)

# First what may be compared between the rows of a sweep; the loss may not, since its weights are part of the sweep.
SUMMARY = (
    "validation_elbo", "prior_frechet", "test_active_units", "test_distortion", "test_rate", "test_mse",
    "train_seconds",
)  # fmt: skip

# Numbers of runs that differ in one of these are not comparable: other images, another density, another classifier.
COMPARABLE_FIELDS = ("dataset", "validation_fraction", "binarization", "likelihood")

LARGEST = 1e100  # number in a table; the square of a larger one may overflow
DASH = "–"  # stands for a number or a setting that a run does not have
HEADING_WIDTH = 18  # characters, in plain text


class Table(NamedTuple):
    """Text in rows and columns."""

    columns: list[str]
    units: list[str]
    """The unit of each column, or an empty text."""
    rows: list[list[str]]
    best: frozenset[tuple[int, int]] = frozenset()
    """Row and column of each cell that is the best of its column."""


@dataclasses.dataclass(frozen=True)
class Results:
    """The runs of an experiment and what is known about them."""

    configs: tuple[Config, ...]
    """The experiment's runs, trained or not."""
    rows: Mapping[str, Mapping[str, Any]]
    """By name of each evaluated run: its numbers, by their names in `MEASUREMENTS`."""
    reasons: Mapping[str, str]
    """By name of each run whose training or evaluation failed: the reason."""

    def row_of(self, config: Config) -> Mapping[str, Any]:
        """Returns the numbers of a run, empty if it has none."""
        return self.rows.get(config.name, {})

    @property
    def evaluated(self) -> list[tuple[Config, Mapping[str, Any]]]:
        """The evaluated runs and their numbers, in the order of the experiment."""
        return [(config, self.rows[config.name]) for config in self.configs if config.name in self.rows]

    @property
    def failures(self) -> list[tuple[str, str]]:
        """The name of each failed run and the reason, in the order of the experiment."""
        return [(config.name, self.reasons[config.name]) for config in self.configs if config.name in self.reasons]

    @property
    def diverged(self) -> list[tuple[str, int]]:
        """The name of each diverged run and the epoch in which it diverged, in the order of the experiment."""
        return [(config.name, row["diverged_epoch"]) for config, row in self.evaluated if "diverged_epoch" in row]

    @property
    def measured(self) -> list[str]:
        """Names of the numbers that at least one run has, in the order of `MEASUREMENTS`."""
        return [name for name in MEASUREMENTS if any(name in row for row in self.rows.values())]

    @property
    def setting_fields(self) -> list[str]:
        """Names of the Config fields that tell the runs apart: the model, and all that vary."""
        return list(dict.fromkeys(("model", *varying_fields(self.configs))))


def collect(workdir: Path, configs: Sequence[Config]) -> Results:
    """Reads the numbers of all runs.

    They are those of evaluation.json, `validation_elbo` after the last epoch, and `train_seconds`. A diverged run has
    only `diverged_epoch` and `train_seconds`, and a failed run has a reason in place of numbers.

    Raises:
        UserError: a file of a run is damaged.
    """
    rows, reasons = dict[str, dict[str, Any]](), dict[str, str]()
    for config in configs:
        folder = run_dir(workdir, config)
        if is_evaluated(folder):
            content = _read_evaluation(folder / "evaluation.json")
            if "failed" in content:
                reasons[config.name] = content["failed"]
            else:
                rows[config.name] = content | _numbers_of_training(folder, "diverged_epoch" in content)
        elif not is_trained(folder) and (path := folder / "failed.json").exists():
            reasons[config.name] = _checked_reason(path, read_json(path))
    return Results(tuple(configs), rows, reasons)


def write_csv(path: Path, results: Results) -> None:
    """Writes a row for each evaluated or failed run: its settings, its numbers, and the reason for a failure.

    A setting or number that a run does not have is an empty cell. Lists are left out.
    """
    numbers = [name for name in results.measured if MEASUREMENTS[name].kind is not list]
    text = io.StringIO()
    columns = ["run", *results.setting_fields, *numbers, "failed"]
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for config in results.configs:
        name = config.name
        if name in results.rows or name in results.reasons:
            row = {"run": name} | _settings(config, results.setting_fields) | dict(results.row_of(config))
            writer.writerow(row | ({"failed": results.reasons[name]} if name in results.reasons else {}))
    write_text(path, text.getvalue())


def summarize(results: Results) -> Table:
    """Tabulates the mean ± standard deviation over seeds of each setting, and marks the best mean of each column.

    A mean is marked if its measurement has a direction and it is better than that of every other comparable setting,
    of which there is at least one: of the same images, binarization and likelihood.
    """
    fields = [name for name in results.setting_fields if name != "seed"]
    groups: dict[tuple[str, ...], list[Config]] = {}
    for config in results.configs:
        if config.name in results.rows or config.name in results.reasons:
            settings = _settings(config, fields)
            groups.setdefault(tuple(settings.get(name, DASH) for name in fields), []).append(config)
    values = [[[row.get(name) for row in _rows_of(results, group)] for name in SUMMARY] for group in groups.values()]
    rows = [
        [*setting, _seeds(results, group), *map(_cell, SUMMARY, cells)]
        for (setting, group), cells in zip(groups.items(), values, strict=True)
    ]
    comparable = [tuple(getattr(group[0], name) for name in COMPARABLE_FIELDS) for group in groups.values()]
    best = frozenset(
        (row, len(fields) + 1 + column)
        for column, name in enumerate(SUMMARY)
        for kind in dict.fromkeys(comparable)
        if (row := _best(name, {i: values[i][column] for i, other in enumerate(comparable) if other == kind}))
        is not None
    )
    described = [MEASUREMENTS[name] for name in SUMMARY]
    columns = [*fields, "seeds", *(measurement.label for measurement in described)]
    units = [""] * (len(fields) + 1) + [measurement.unit for measurement in described]
    return Table(columns, units, rows, best)


def glossary(names: Sequence[str] = tuple(MEASUREMENTS)) -> Table:
    """Tabulates the meaning, unit, direction and source of measurements."""
    rows = [
        [name, entry.meaning, entry.unit or DASH, entry.better or DASH, entry.source or DASH]
        for name, entry in ((name, MEASUREMENTS[name]) for name in names)
    ]
    return Table(["name", "meaning", "unit", "better", "source"], [""] * 5, rows)


def describe(config: Config, configs: Sequence[Config], without: Sequence[str] = ()) -> str:
    """Returns what tells a setting from the others of its model, `latent_dim 8, kl_weight 2`; empty if nothing does."""
    names = [name for name in varying_fields(configs) if name not in ("model", "seed", *without)]
    return ", ".join(f"{name} {value}" for name, value in _settings(config, names).items())


def mean_sd(values: Sequence[float | None]) -> str:
    """Formats `153.40 ± 0.52`, with four decimals below 1; a dash if there are no values or one is missing."""
    numbers = _finite(values)
    if not numbers:
        return DASH
    mean = statistics.fmean(numbers)
    decimals = 4 if abs(mean) < 1 else 2
    if len(numbers) == 1:
        return f"{mean:.{decimals}f}"
    return f"{mean:.{decimals}f} ± {statistics.stdev(numbers):.{decimals}f}"


def format_table(table: Table) -> str:
    """Formats a table as aligned plain text; an asterisk marks the best cells."""
    marked = {column for _, column in table.best}
    headings = [
        textwrap.wrap(f"{column} ({unit})" if unit else column, HEADING_WIDTH, break_long_words=False)
        for column, unit in zip(table.columns, table.units, strict=True)
    ]
    height = max(map(len, headings))
    lines = [[heading[line] if line < len(heading) else "" for heading in headings] for line in range(height)]
    for i, row in enumerate(table.rows):
        # A column with a mark has room for one in all its cells, so that the numbers stay aligned.
        lines.append([text + ("*" if (i, j) in table.best else " " * (j in marked)) for j, text in enumerate(row)])
    widths = [max(len(line[index]) for line in lines) for index in range(len(headings))]
    return "\n".join(
        "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _settings(config: Config, fields: Sequence[str]) -> dict[str, str]:
    """The values of those fields that the run reads."""
    return {name: format_value(getattr(config, name)) for name in fields if config.uses(name)}


def _rows_of(results: Results, configs: Sequence[Config]) -> list[Mapping[str, Any]]:
    return [results.rows[config.name] for config in configs if config.name in results.rows]


def _seeds(results: Results, configs: Sequence[Config]) -> str:
    """How many runs a row of the summary stands for: `3`, `3 (1 diverged)`, `3 (1 failed)`."""
    diverged = sum("diverged_epoch" in row for row in _rows_of(results, configs))
    failed = sum(config.name in results.reasons for config in configs)
    notes = [f"{count} {what}" for count, what in ((diverged, "diverged"), (failed, "failed")) if count]
    return f"{len(configs)} ({', '.join(notes)})" if notes else str(len(configs))


def _cell(name: str, values: Sequence[float | None]) -> str:
    text = mean_sd(values)
    # Runs that train together have equal shares of one time, which is no spread over seeds.
    return text.split(" ± ")[0] if name == "train_seconds" else text


def _best(name: str, values: Mapping[int, Sequence[float | None]]) -> int | None:
    """The row with the best mean, as it is printed; None if fewer than two rows have one, or on a tie."""
    better = MEASUREMENTS[name].better
    means = {row: float(mean_sd(cell).split(" ± ")[0]) for row, cell in values.items() if _finite(cell)}
    if better is None or len(means) < 2:
        return None
    target = (max if better == "higher" else min)(means.values())
    winners = [row for row, mean in means.items() if mean == target]
    return winners[0] if len(winners) == 1 else None


def _finite(values: Sequence[float | None]) -> list[float]:
    """The values; none if one is missing or not finite, since the others cannot stand for it."""
    numbers = [value for value in values if value is not None and math.isfinite(value)]
    return numbers if len(numbers) == len(values) else []


def _numbers_of_training(folder: Path, diverged: bool) -> dict[str, float]:
    if not is_trained(folder):  # a file was lost since it was evaluated
        return {}
    elbo = None if diverged else read_metrics(folder)[-1].get("validation_elbo")
    numbers = {"validation_elbo": elbo, "train_seconds": read_seconds(folder)}
    return {name: value for name, value in numbers.items() if value is not None}


def _read_evaluation(path: Path) -> dict[str, Any]:
    """The numbers of evaluation.json, or only `failed`."""
    content = read_json(path)
    if isinstance(content, dict) and "failed" in content:
        return {"failed": _checked_reason(path, content)}
    if not isinstance(content, dict) or not all(_is_valid(name, content.get(name)) for name in MEASUREMENTS):
        raise UserError(f"{path} is damaged (not an object of numbers); delete it and launch again")
    return {
        name: float(content[name]) if entry.kind is float and content[name] is not None else content[name]
        for name, entry in MEASUREMENTS.items()
        if name in content
    }


def _checked_reason(path: Path, content: Any) -> str:
    reason = content.get("failed") if isinstance(content, dict) else None
    if not isinstance(reason, str):
        raise UserError(f"{path} is damaged (it gives no reason); delete it and launch again")
    return reason.strip() or "unknown reason"


def _is_valid(name: str, value: Any) -> bool:
    """Whether evaluation.json may hold this value under this name; every number may be None."""
    kind = MEASUREMENTS[name].kind
    if kind is list and isinstance(value, list):
        return all(map(_is_number, value))
    return value is None or (type(value) is bool if kind is bool else kind is not list and _is_number(value))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= LARGEST  # false for NaN
