"""Measuring in turn: contestants alternate, as the speed of a shared machine changes from moment to moment."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from vae_jax import data

# The largest share by which two losses may differ and still count as equal. At 20 latent dimensions a loss varies over
# seeds by 0.2 % (standard deviation) after an epoch of 60,000 images, and by 0.5 % after 300 steps, as measured. So 4 %
# are at least 5 standard deviations of a difference; at 2 dimensions they would not be. An AE's loss is 25 % lower.
LARGEST_DIFFERENCE = 0.04


def training_images(dataset: str, count: int, image_size: int = 0, channels: str = "") -> np.ndarray:
    """Loads so many training images uint8[count, H, W] or [count, H, W, 3], repeated where there are fewer."""
    images = data.load(dataset, image_size=image_size, channels=channels, validation_fraction=0.0).train.images
    return np.resize(images, (count, *images.shape[1:]))


def seconds(function: Callable[[], Any]) -> float:
    """Returns how long a call takes, and the computation that it starts."""
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def alternate(measures: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Measures in turn; returns the values of each by name, one a round."""
    rounds = [[measure() for measure in measures.values()] for _ in range(repeats)]
    return dict(zip(measures, map(list, zip(*rounds, strict=True)), strict=True))


def table(title: str, times: Mapping[str, Sequence[float]], notes: Mapping[str, str] | None = None) -> str:
    """Formats a row for each contestant, with the ratio of its time to that of the first in the same round.

    Args:
        title: what was timed.
        times: seconds by contestant, one a round.
        notes: what else a row says.
    """
    lines, first = [title], next(iter(times.values()))
    for name, values in times.items():
        ratios = [value / other for value, other in zip(values, first, strict=True)]
        spread = f"x {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        lines.append(f"  {name:28} {statistics.median(values):8.4g} s  {spread}{(notes or {}).get(name, '')}")
    return "\n".join(lines)


def race(title: str, contestants: Mapping[str, Iterator[float]], repeats: int) -> str:
    """Lets contestants take a step in turn, after one that compiles; each step yields its mean loss, nats per image.

    A contestant whose library is missing is skipped. A loss that is not the first contestant's is marked: such a time
    is that of another computation.
    """
    losses: dict[str, float] = {}
    skipped = defaultdict[str, list[str]](list)
    for name, steps in contestants.items():
        try:
            losses[name] = next(steps)
        except ImportError as error:
            skipped[str(error)].append(name)
    for reason, names in skipped.items():
        print(f"skipped: {', '.join(names)}: {reason} (extra bench)")

    def step(name: str) -> Callable[[], float]:
        return lambda: seconds(lambda: losses.update({name: next(contestants[name])}))

    times = alternate({name: step(name) for name in losses}, repeats)
    first = next(iter(losses.values()))
    notes = {
        name: f"; loss {loss:.2f}{'' if is_same(loss, first) else ', ANOTHER ONE'}" for name, loss in losses.items()
    }
    return table(title, times, notes)


def is_same(loss: float, other: float) -> bool:
    """Returns whether two losses are as close as the losses of two seeds."""
    return abs(loss - other) <= LARGEST_DIFFERENCE * abs(other)  # false for NaN
