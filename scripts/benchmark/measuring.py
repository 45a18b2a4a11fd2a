"""Measuring in turn: contestants take turns, as the speed of a shared machine changes from moment to moment."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from vae_jax.errors import UserError

LARGEST_DIFFERENCE = 0.02  # of two losses, as a share; contestants that differ more do not compute the same


class Row(NamedTuple):
    """What one contestant took."""

    name: str
    seconds: float  # median
    ratio: float  # median over rounds of its time over the first contestant's in the same round
    spread: tuple[float, float]  # least and greatest of these ratios
    loss: float | None = None  # after the last round, nats per image


class Table(NamedTuple):
    """The result of one benchmark."""

    name: str
    unit: str  # of what was timed, such as `s per epoch`
    rows: list[Row]
    note: str = ""

    def text(self) -> str:
        """Returns the table as lines of text."""
        lines = [f"{self.name}, {self.unit}{f' ({self.note})' if self.note else ''}"]
        for row in self.rows:
            loss = "" if row.loss is None else f"; loss {row.loss:.2f}"
            low, high = row.spread
            lines.append(f"  {row.name:28} {row.seconds:8.4g} s  x {row.ratio:.2f} ({low:.2f} to {high:.2f}){loss}")
        return "\n".join(lines)


def seconds(function: Callable[[], Any]) -> float:
    """Returns how long a call takes, and the computation that it starts."""
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def rounds(measures: Sequence[Callable[[], float]], repeats: int) -> list[list[float]]:
    """Measures in turn; returns the values of each round."""
    return [[measure() for measure in measures] for _ in range(repeats)]


def medians(measures: Sequence[Callable[[], float]], repeats: int) -> list[float]:
    """Measures in turn; returns the median of each."""
    return [statistics.median(found) for found in zip(*rounds(measures, repeats), strict=True)]


def table(
    name: str, unit: str, measures: Mapping[str, Callable[[], float]], repeats: int, note: str = "",
    losses: Mapping[str, float] | None = None,
) -> Table:  # fmt: skip
    """Measures contestants in turn, by name, and compares each with the first.

    Raises:
        UserError: the losses differ by more than LARGEST_DIFFERENCE, so that the contestants are not comparable.
    """
    found = rounds(list(measures.values()), repeats)
    if losses is not None:
        check_losses(losses)
    rows = []
    for index, contestant in enumerate(measures):
        ratios = [times[index] / times[0] for times in found]
        median = statistics.median(times[index] for times in found)
        loss = None if losses is None else losses[contestant]
        rows.append(Row(contestant, median, statistics.median(ratios), (min(ratios), max(ratios)), loss))
    return Table(name, unit, rows, note)


def race(name: str, unit: str, contestants: Mapping[str, Iterator[float]], repeats: int, note: str = "") -> Table:
    """Lets contestants take a step in turn, after one that warms up; each step yields the loss."""
    losses = {contestant: next(steps) for contestant, steps in contestants.items()}

    def step(contestant: str) -> float:
        return seconds(lambda: losses.update({contestant: next(contestants[contestant])}))

    measures = {contestant: lambda contestant=contestant: step(contestant) for contestant in contestants}
    return table(name, unit, measures, repeats, note, losses)


def check_losses(losses: Mapping[str, float]) -> None:
    """Raises UserError if a loss differs from the first one by more than LARGEST_DIFFERENCE."""
    first = next(iter(losses.values()))
    for contestant, loss in losses.items():
        if not abs(loss - first) <= LARGEST_DIFFERENCE * abs(first):
            raise UserError(f"{contestant} has a loss of {loss:.2f}, not {first:.2f}: it does not compute the same")
