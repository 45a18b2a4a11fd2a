"""All numbers of an experiment's runs, read once, and the tables made of them."""

import collections
import contextlib
import csv
import io
import json
import math
import statistics
import textwrap
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vae_jax import workdir as disk
from vae_jax.config import FIELDS, Config, varying_fields
from vae_jax.errors import UserError
from vae_jax.fields import format_value
from vae_jax.files import exists, read_json, write_text
from vae_jax.measure.measurements import MEASUREMENTS

# First what may be compared between the rows of a sweep; the loss may not, since its weights are part of the sweep.
SUMMARY = (
    "test_elbo", "prior_frechet", "test_active_units", "test_distortion", "test_rate", "test_mse",
    "train_seconds",
)  # fmt: skip

OF_VALIDATION = ("validation_elbo", "validation_distortion")  # what comes from metrics.jsonl

# Numbers of runs that differ in one of these are not comparable: other images, another density, another judge.
COMPARABLE_FIELDS = ("dataset", "validation_fraction", "binarization", "likelihood")

EVERY_SECONDS = 3.0  # at the least, between two looks for runs that have finished
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
    spread: str = ""  # what ± is in its cells; empty if there is none


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
        made: what made each run's evaluation, as `evaluation.made_by` returns it.
    """
    others = set[Config]()
    groups: dict[tuple[Any, ...], dict[Config, str]] = {}
    for config, entry in made.items():
        data = tuple(getattr(config, name) for name in COMPARABLE_FIELDS)
        samples = entry.get("num_likelihood_samples")
        rest = {name: value for name, value in entry.items() if name != "num_likelihood_samples"}
        groups.setdefault((*data, "by"), {})[config] = json.dumps(rest, sort_keys=True)
        if samples is not None:
            groups.setdefault((*data, "samples"), {})[config] = str(samples)
    for group in groups.values():
        (usual, _), *_ = collections.Counter(group.values()).most_common(1)
        others |= {config for config, value in group.items() if value != usual}
    return others


def write_csv(path: Path, results: Results) -> None:
    """Writes a row for each evaluated or failed run: its settings, its numbers, and the reason for a failure.

    The columns are the same for all experiments, so that their tables can be put together. A setting or number that a
    run does not have is an empty cell. Lists are left out.
    """
    numbers = [name for name, entry in MEASUREMENTS.items() if entry.kind is not list]
    text = io.StringIO()
    writer = csv.DictWriter(
        text, ["run", *FIELDS, *numbers, "failed"], restval="", extrasaction="ignore", lineterminator="\n"
    )
    writer.writeheader()
    for config in results.reported:
        failed = {"failed": results.reasons.get(config)}
        writer.writerow(
            {"run": config.name, **_settings(config, list(FIELDS)), **results.rows.get(config, {}), **failed}
        )
    write_text(path, text.getvalue())


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

    def _finished(self) -> list[int | None]:
        """When each run's evaluation, or the record of its failure, was written."""
        folders = [disk.run_dir(self._workdir, config) for config in self._configs]
        return [_modified(folder / name) for folder in folders for name in ("evaluation.json", "failed.json")]


def _modified(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def summarize(results: Results) -> Table:
    """Tabulates the mean over seeds of each setting with its spread, and marks the best mean of each column.

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
        if config in results.shown:
            continue
        comparable.setdefault(tuple(getattr(config, name) for name in COMPARABLE_FIELDS), []).append(index)
    best = frozenset(
        (index, column)
        for column, name in enumerate(SUMMARY, len(fields) + 1)
        for indices in comparable.values()
        for index in _best(MEASUREMENTS[name].better, {index: rows[index][column] for index in indices})
    )
    described = [MEASUREMENTS[name] for name in SUMMARY]
    cells = (cell for row in rows for cell in zip(SUMMARY, row[-len(SUMMARY) :], strict=True))
    return Table(
        [*fields, "seeds", *(entry.label for entry in described)],
        [""] * (len(fields) + 1) + [entry.unit for entry in described],
        rows, len(fields) + 1, best, explain_spread(cells),
    )  # fmt: skip


def describe(config: Config, fields: Sequence[str]) -> str:
    """Returns the values of those of the fields that the run reads, `latent_dim 8, kl_weight 2`."""
    return ", ".join(f"{name} {value}" for name, value in _settings(config, fields).items())


def spread(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Formats a number of the runs of one setting, `163.9 ± 1.4 (± 1.6)`: two spreads, which answer two questions.

    The first is the standard deviation over seeds: what another training would give. The second, where the
    measurement has one, is the standard error over the test images, the root mean square of the runs': what other
    images would give. The larger has two digits, and all have its decimals. A dash if a run has no finite number,
    since the others cannot stand for it.
    """
    values = _finite(row.get(name) for row in rows)
    if not values:
        return DASH
    errors = _finite(row.get(f"{name}_error") for row in rows) if MEASUREMENTS[name].error else None
    parts = {"± {}": statistics.stdev(values)} if len(values) > 1 else {}
    # An error of 0 is that of a number that is exact.
    parts |= {"(± {})": math.sqrt(statistics.fmean(error**2 for error in errors))} if errors and any(errors) else {}
    largest = max(parts.values(), default=0)
    shown = [form.format(_small(part, largest)) for form, part in parts.items()]
    return " ".join([rounded(statistics.fmean(values), largest), *shown])


def rounded(number: float, spread: float) -> str:
    """Formats a number with as many decimals as give its spread two digits; with four digits if it has no spread."""
    if not 1e-6 < spread < 1e6 or abs(number) > 1e9 or spread < 1e-6 * abs(number):
        return f"{number:.{2 if number == spread else 4}g}"
    return f"{number:.{max(0, 1 - math.floor(math.log10(spread)))}f}"


def _small(part: float, largest: float) -> str:
    """A spread beside a larger one, which is not rounded to 0."""
    text = rounded(part, largest)
    return text if part == 0 or float(text) > 0 else f"{part:.1g}"


def explain_spread(cells: Iterable[tuple[str, str]]) -> str:
    """Says what ± is in cells that `spread` made, each after the name of its number; an empty text if there is none."""
    over_seeds, over = spreads_in(cells)
    if not over:
        return "Mean ± standard deviation over seeds." if over_seeds else ""
    first = "Mean ± standard deviation over seeds" if over_seeds else "One seed"
    return f"{first} (± standard error over {', '.join(over)})."


def spreads_in(cells: Iterable[tuple[str, str]]) -> tuple[bool, list[str]]:
    """Returns whether cells that `spread` made show a spread over seeds, and what their standard errors are over."""
    cells = list(cells)
    over = dict.fromkeys(MEASUREMENTS[name].error for name, cell in cells if "(±" in cell)
    return any(" ± " in cell for _, cell in cells), list(over)


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
    legend = [
        table.spread,
        f"Units: {', '.join(units)}.",
        "An asterisk marks the best among comparable rows." * bool(marked),
    ]
    return "\n\n".join([*(text.strip("\n") for text in texts), textwrap.fill(" ".join(filter(None, legend)), WIDTH)])


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
    text = spread(name, [results.rows[config] for config in configs if config in results.rows])
    # Runs that train together have equal shares of one time, which is no spread over seeds.
    return text.split(" ± ")[0] if name == "train_seconds" else text


def _finite(numbers: Iterable[float | None]) -> list[float]:
    """The numbers; none if one of them is missing or not finite."""
    found = list(numbers)
    finite = [number for number in found if number is not None and math.isfinite(number)]
    return finite if len(finite) == len(found) else []


def _best(better: str | None, cells: Mapping[int, str]) -> list[int]:
    """The row with the best mean, as it is printed; none if fewer than two rows have one, or on a tie."""
    means = {row: float(cell.split()[0]) for row, cell in cells.items() if cell != DASH}
    if better is None or len(means) < 2:
        return []
    target = (max if better == "higher" else min)(means.values())
    winners = [row for row, mean in means.items() if mean == target]
    return winners if len(winners) == 1 else []


def _numbers_of_training(config: Config, folder: Path, diverged: bool) -> dict[str, float]:
    if not disk.is_trained(folder):  # a file was lost since it was evaluated
        return {}
    epochs = disk.read_metrics(folder)
    # Early stopping keeps the parameters of the epoch with the least validation loss, the first of them.
    kept = min(epochs, key=_validation_loss) if config.patience else epochs[-1]
    numbers = {name: None if diverged else kept.get(name) for name in OF_VALIDATION}
    numbers["train_seconds"] = disk.read_seconds(folder)
    return {name: value for name, value in numbers.items() if value is not None}


def _validation_loss(row: Mapping[str, Any]) -> float:
    loss = row.get("validation_loss")
    return math.inf if loss is None else float(loss)


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
