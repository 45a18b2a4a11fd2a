"""One display for a whole sweep: a bar on a terminal, some plain lines elsewhere."""

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tqdm import tqdm

LINES = 20  # of a sweep, where there is no terminal to draw a bar on


class Progress:
    """How far a sweep is: groups and runs done, images per second over all runs, and the time that is left."""

    def __init__(self, num_groups: int, num_runs: int, num_images: int) -> None:
        """Of what is to do: `num_images` counts each image as often as a run sees it."""
        self.num_groups, self.num_runs, self.num_images = num_groups, num_runs, num_images
        self.groups = self.runs = self.images = self.lines = 0
        self.seconds = 0.0  # of training: what is compiled and written in between is not its speed
        self.bar = tqdm(
            total=num_images,
            disable=None,
            dynamic_ncols=True,
            bar_format="{desc} |{bar:20}| {percentage:3.0f}%{postfix}",
        )
        self._describe()

    def epoch(self, rows: Sequence[Mapping[str, Any]], num_images: int, seconds: float) -> None:
        """An epoch of a group is done; shows the means of its runs' rows.

        Args:
            rows: of metrics.jsonl, one of each run.
            num_images: that the runs have seen in it, together.
            seconds: that it took.
        """
        self.images += num_images
        self.seconds += seconds
        speed = self.images / self.seconds
        left = tqdm.format_interval((self.num_images - self.images) / speed)
        means = [
            f"{name} {_mean([row[f'train_{name}'] for row in rows]):.2f}"
            for name in ("loss", "distortion", "rate")
            if all(f"train_{name}" in row for row in rows)
        ]
        text = ", ".join([f"{speed:,.0f} images/s", f"{left} left", *means])
        if not self.bar.disable:
            self.bar.set_postfix_str(text, refresh=False)
            self.bar.update(num_images)
        elif self.images * LINES >= (self.lines + 1) * self.num_images:
            self.lines = self.images * LINES // self.num_images
            percentage = 100 * self.images // self.num_images
            print(f"{self._where()}, {percentage} %, {text}", file=sys.stderr, flush=True)

    def group(self, num_runs: int) -> None:
        """A group is done."""
        self.groups += 1
        self.runs += num_runs
        self._describe()

    def say(self, text: str) -> None:
        """Prints a line on stderr, above the bar."""
        tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        """Leaves the bar as it is."""
        self.bar.close()

    def _describe(self) -> None:
        self.bar.set_description_str(self._where(), refresh=False)

    def _where(self) -> str:
        return f"{self.runs}/{self.num_runs} runs, {self.groups}/{self.num_groups} groups done"


def _mean(values: Sequence[float | None]) -> float:
    return sum(math.nan if value is None else value for value in values) / len(values)
