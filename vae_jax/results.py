"""All numbers of an experiment's runs, read once, and the tables made of them."""

import csv
import io
import math
import statistics
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vae_jax import workdir as disk
from vae_jax.config import Config, varying_fields
from vae_jax.fields import format_value
from vae_jax.measurements import MEASUREMENTS

# First what may be compared between the rows of a sweep; the loss may not, since its weights are part of the sweep.
SUMMARY = (
    "validation_elbo", "prior_frechet", "test_active_units", "test_distortion", "test_rate", "test_mse",
    "train_seconds",
)  # fmt: skip

# Numbers of runs that differ in one of these are not comparable: other images, another density, another classifier.
COMPARABLE_FIELDS = ("dataset", "validation_fraction", "binarization", "likelihood")

LARGEST = 1e100  # number in a table; the square of a larger one may overflow
DASH = "–"  # stands for a number or a setting that a run does not have
WIDTH = 100  # of plain text, characters
HEADING_WIDTH = 10  # to which a heading may be wrapped where its column is narrower


class Table(NamedTuple):
    """Text in rows and columns."""

    columns: list[str]
    units: list[str]  # of each column, or an empty text
    rows: list[list[str]]
    num_settings: int  # columns at the left that say which runs a row is about
    best: frozenset[tuple[int, int]] = frozenset()  # row and column of each cell that is the best of its column


class Results(NamedTuple):
    """The runs of an experiment and what is known about them, each in the order of the experiment."""

    configs: tuple[Config, ...]  # the experiment's runs, trained or not
    rows: Mapping[Config, Mapping[str, Any]]  # of each evaluated run: its numbers, by their names in `MEASUREMENTS`
    reasons: Mapping[Config, str]  # of each run whose training or evaluation failed

    @property
    def evaluated(self) -> list[tuple[Config, Mapping[str, Any]]]:
        """The evaluated runs and their numbers."""
        return list(self.rows.items())

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
    rows, reasons = dict[Config, dict[str, Any]](), dict[Config, str]()
    for config in configs:
        folder = disk.run_dir(workdir, config)
        if disk.is_evaluated(folder):
            content = _read(folder / "evaluation.json")
        elif not disk.is_trained(folder) and (folder / "failed.json").exists():
            content = _read(folder / "failed.json")
        else:
            continue
        if "failed" in content:
            reasons[config] = content["failed"]
        else:
            rows[config] = content | _numbers_of_training(folder, "diverged_epoch" in content)
    return Results(tuple(configs), rows, reasons)


def write_csv(path: Path, results: Results) -> None:
    """Writes a row for each evaluated or failed run: its settings, its numbers, and the reason for a failure.

    A setting or number that a run does not have is an empty cell. Lists are left out.
    """
    fields = results.setting_fields
    numbers = [name for name in results.measured if MEASUREMENTS[name].kind is not list]
    text = io.StringIO()
    writer = csv.DictWriter(
        text, ["run", *fields, *numbers, "failed"], restval="", extrasaction="ignore", lineterminator="\n"
    )
    writer.writeheader()
    for config in results.reported:
        failed = {"failed": results.reasons.get(config)}
        writer.writerow({"run": config.name, **_settings(config, fields), **results.rows.get(config, {}), **failed})
    disk.write_text(path, text.getvalue())


def summarize(results: Results) -> Table:
    """Tabulates the mean ± standard deviation over seeds of each setting, and marks the best mean of each column.

    A mean is marked if its measurement has a direction and it is better than that of every other comparable setting,
    of which there is at least one: of the same images, binarization and likelihood.
    """
    fields = [name for name in results.setting_fields if name != "seed"]
    groups: dict[tuple[str, ...], list[Config]] = {}
    for config in results.reported:
        settings = _settings(config, fields)
        groups.setdefault(tuple(settings.get(name, DASH) for name in fields), []).append(config)
    rows = [
        [*setting, _seeds(results, group), *(_cell(name, results, group) for name in SUMMARY)]
        for setting, group in groups.items()
    ]
    comparable: dict[tuple[Any, ...], list[int]] = {}
    for index, (config, *_) in enumerate(groups.values()):
        comparable.setdefault(tuple(getattr(config, name) for name in COMPARABLE_FIELDS), []).append(index)
    best = frozenset(
        (index, column)
        for column, name in enumerate(SUMMARY, len(fields) + 1)
        for indices in comparable.values()
        for index in _best(MEASUREMENTS[name].better, {index: rows[index][column] for index in indices})
    )
    described = [MEASUREMENTS[name] for name in SUMMARY]
    return Table(
        [*fields, "seeds", *(entry.label for entry in described)],
        [""] * (len(fields) + 1) + [entry.unit for entry in described],
        rows, len(fields) + 1, best,
    )  # fmt: skip


def describe(config: Config, configs: Sequence[Config], without: Sequence[str] = ()) -> str:
    """Returns what tells a setting from the others of its model, `latent_dim 8, kl_weight 2`; empty if nothing does."""
    names = [name for name in varying_fields(configs) if name not in ("model", "seed", *without)]
    return ", ".join(f"{name} {value}" for name, value in _settings(config, names).items())


def mean_sd(values: Sequence[float | None]) -> str:
    """Formats `153.40 ± 0.52`, with four decimals below 1; a dash if there are no values or one is missing."""
    numbers = [value for value in values if value is not None and math.isfinite(value)]
    if not numbers or len(numbers) < len(values):  # the others cannot stand for what is missing
        return DASH
    mean = statistics.fmean(numbers)
    decimals = 4 if abs(mean) < 1 else 2
    if len(numbers) == 1:
        return f"{mean:.{decimals}f}"
    return f"{mean:.{decimals}f} ± {statistics.stdev(numbers):.{decimals}f}"


def format_table(table: Table) -> str:
    """Formats a table as plain text, 100 characters wide; an asterisk marks the best cells.

    Columns that do not fit beside the others stand below them, with the settings again. The last lines give the units.
    """
    headings = [
        textwrap.wrap(heading, max([HEADING_WIDTH, *(len(row[j]) for row in table.rows)]), break_long_words=False)
        for j, heading in enumerate(table.columns)
    ]
    height = max(map(len, headings))
    marked = {column for _, column in table.best}
    columns = []
    for j, heading in enumerate(headings):
        # A column with a mark has room for one in all its cells, so that the numbers stay aligned.
        cells = [row[j] + ("*" if (i, j) in table.best else " " * (j in marked)) for i, row in enumerate(table.rows)]
        lines = [""] * (height - len(heading)) + heading + cells
        columns.append([line.rjust(max(map(len, lines))) for line in lines])
    settings = columns[: table.num_settings]
    blocks = [[*settings]]
    for column in columns[table.num_settings :]:
        is_full = sum(len(other[0]) + 2 for other in blocks[-1]) + len(column[0]) > WIDTH
        if is_full and len(blocks[-1]) > len(settings):
            blocks.append([*settings])
        blocks[-1].append(column)
    texts = ["\n".join("  ".join(line).rstrip() for line in zip(*block, strict=True)) for block in blocks]
    units = [f"{name} ({unit})" for name, unit in zip(table.columns, table.units, strict=True) if unit]
    legend = f"Units: {', '.join(units)}." + (" An asterisk marks the best among comparable rows." if marked else "")
    return "\n\n".join([*(text.strip("\n") for text in texts), textwrap.fill(legend, WIDTH)])


def _settings(config: Config, fields: Sequence[str]) -> dict[str, str]:
    """The values of those fields that the run reads."""
    return {name: format_value(getattr(config, name)) for name in fields if config.uses(name)}


def _seeds(results: Results, configs: Sequence[Config]) -> str:
    """How many runs a row of the summary stands for: `3`, `3 (1 diverged)`, `3 (1 failed)`."""
    diverged = len(results.diverged.keys() & configs)
    failed = len(results.reasons.keys() & configs)
    notes = [f"{count} {what}" for count, what in ((diverged, "diverged"), (failed, "failed")) if count]
    return f"{len(configs)} ({', '.join(notes)})" if notes else str(len(configs))


def _cell(name: str, results: Results, configs: Sequence[Config]) -> str:
    text = mean_sd([results.rows[config].get(name) for config in configs if config in results.rows])
    # Runs that train together have equal shares of one time, which is no spread over seeds.
    return text.split(" ± ")[0] if name == "train_seconds" else text


def _best(better: str | None, cells: Mapping[int, str]) -> list[int]:
    """The row with the best mean, as it is printed; none if fewer than two rows have one, or on a tie."""
    means = {row: float(cell.split(" ± ")[0]) for row, cell in cells.items() if cell != DASH}
    if better is None or len(means) < 2:
        return []
    target = (max if better == "higher" else min)(means.values())
    winners = [row for row, mean in means.items() if mean == target]
    return winners if len(winners) == 1 else []


def _numbers_of_training(folder: Path, diverged: bool) -> dict[str, float]:
    if not disk.is_trained(folder):  # a file was lost since it was evaluated
        return {}
    elbo = None if diverged else disk.read_metrics(folder)[-1].get("validation_elbo")
    numbers = {"validation_elbo": elbo, "train_seconds": disk.read_seconds(folder)}
    return {name: value for name, value in numbers.items() if value is not None}


def _read(path: Path) -> dict[str, Any]:
    """The numbers of evaluation.json; or only `failed`, the reason in evaluation.json or failed.json."""
    content = disk.read_json(path)
    if isinstance(content, dict) and isinstance(content.get("failed"), str):
        return {"failed": content["failed"].strip() or "unknown reason"}
    is_valid = isinstance(content, dict) and "failed" not in content and path.name == "evaluation.json"
    if not is_valid or not all(_is_valid(entry.kind, content.get(name)) for name, entry in MEASUREMENTS.items()):
        raise disk.UserError(f"{path} is damaged (it holds neither numbers nor a reason); delete it and launch again")
    return {
        name: float(content[name]) if entry.kind is float and content[name] is not None else content[name]
        for name, entry in MEASUREMENTS.items()
        if name in content
    }


def _is_valid(kind: type, value: Any) -> bool:
    """Whether evaluation.json may hold this value for a number of this kind; every number may be None."""
    if value is None:
        return True
    if kind is list:
        return isinstance(value, list) and all(map(_is_number, value))
    return type(value) is bool if kind is bool else _is_number(value)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= LARGEST  # false for NaN
