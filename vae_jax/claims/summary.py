"""Numbers of an experiment's runs -> a table of its settings, and numbers with their spread as text."""

import math
import statistics
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from vae_jax.claims.results import Results, comparable, grouped, setting_of, settings_texts
from vae_jax.config import Config, varying_fields
from vae_jax.measure.measurements import MEASUREMENTS

# First what may be compared between the rows of a sweep; the loss may not, since its weights are part of the sweep.
SUMMARY = (
    "test_elbo", "prior_frechet", "test_active_units", "test_distortion", "test_rate", "test_mse",
    "train_seconds",
)  # fmt: skip

Translate = Callable[..., str]
"""Maps an English text, and values for its {names}, to the text with them filled in."""

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


def summarize(results: Results) -> Table:
    """Tabulates the mean over seeds of each setting with its spread, and marks the best mean of each column.

    A mean is marked if its measurement has a direction and it is better than that of every other comparable setting,
    of which there is at least one: of the same images, binarization and likelihood.
    """
    fields = list(dict.fromkeys(("model", *varying_fields(results.configs))))
    fields = [name for name in fields if name != "seed"]
    settings = grouped(results.reported, setting_of)
    rows = [
        [*(settings_texts(runs[0], fields).get(name, DASH) for name in fields), _seeds(results, runs),
         *(_cell(name, results, runs) for name in SUMMARY)]
        for runs in settings
    ]  # fmt: skip
    judged = [index for index, runs in enumerate(settings) if runs[0] not in results.shown]
    best = frozenset(
        (index, column)
        for column, name in enumerate(SUMMARY, len(fields) + 1)
        for indices in grouped(judged, lambda index: comparable(settings[index][0]))
        for index in _best(MEASUREMENTS[name].better, {index: rows[index][column] for index in indices})
    )
    described = [MEASUREMENTS[name] for name in SUMMARY]
    cells = (cell for row in rows for cell in zip(SUMMARY, row[-len(SUMMARY) :], strict=True))
    return Table(
        [*fields, "seeds", *(entry.label for entry in described)],
        [""] * (len(fields) + 1) + [entry.unit for entry in described],
        rows, len(fields) + 1, best, explain_spread(cells),
    )  # fmt: skip


def spread(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Formats a number of the runs of one setting, `163.9 ± 1.4 (± 1.6)`: two spreads, which answer two questions.

    The first is the standard deviation over seeds: what another training would give. The second, where the
    measurement has one, is the standard error over the test images, the root mean square of the runs': what other
    images would give. The larger has two digits, and all have its decimals. A dash if a run has no finite number,
    since the others cannot stand for it.
    """
    values = finite(row.get(name) for row in rows)
    if not values:
        return DASH
    errors = finite(row.get(f"{name}_error") for row in rows) if MEASUREMENTS[name].error else None
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


def finite(numbers: Iterable[float | None]) -> list[float]:
    """Returns the numbers; none if one of them is missing or not finite."""
    found = list(numbers)
    finite = [number for number in found if number is not None and math.isfinite(number)]
    return finite if len(finite) == len(found) else []


def explain_spread(cells: Iterable[tuple[str, str]], _: Translate = str.format) -> str:
    """Says what ± is in cells that `spread` made, each after the name of its number; an empty text if there is none."""
    cells = list(cells)
    over_seeds = any(" ± " in cell for _name, cell in cells)
    over = dict.fromkeys(MEASUREMENTS[name].error for name, cell in cells if "(±" in cell)
    if not over:
        return _("Mean ± standard deviation over seeds.") if over_seeds else ""
    errors = ", ".join(map(_, over))
    if over_seeds:
        return _("Mean ± standard deviation over seeds (± standard error over {over}).", over=errors)
    return _("One seed (± standard error over {over}).", over=errors)


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


def _seeds(results: Results, configs: Sequence[Config]) -> str:
    """How many runs a row of the summary stands for: `3`, `3 (1 diverged)`, `3 (1 failed)`."""
    diverged = len(results.diverged.keys() & configs)
    failed = len(results.reasons.keys() & configs)
    notes = [f"{count} {what}" for count, what in ((diverged, "diverged"), (failed, "failed")) if count]
    return f"{len(configs)} ({', '.join(notes)})" if notes else str(len(configs))


def _cell(name: str, results: Results, configs: Sequence[Config]) -> str:
    text = spread(name, results.of(configs))
    # Runs that train together have equal shares of one time, which is no spread over seeds.
    return text.split(" ± ")[0] if name == "train_seconds" else text


def _best(better: str | None, cells: Mapping[int, str]) -> list[int]:
    """The row with the best mean, as it is printed; none if fewer than two rows have one, or on a tie."""
    means = {row: float(cell.split()[0]) for row, cell in cells.items() if cell != DASH}
    if better is None or len(means) < 2:
        return []
    target = (max if better == "higher" else min)(means.values())
    winners = [row for row, mean in means.items() if mean == target]
    return winners if len(winners) == 1 else []
