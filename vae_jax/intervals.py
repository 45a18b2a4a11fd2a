"""What a few seeds say about all seeds: t-intervals, equivalence, Holm's correction, and how many seeds it would take.

Numbers in, numbers out. Every estimate is a mean over seeds and has a Student t distribution around the truth.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

ALPHA = 0.05  # a verdict may be wrong this often
POWER = 0.8  # how often enough seeds lead to a verdict
MOST_SEEDS = 100  # more are not counted


class Estimate(NamedTuple):
    """A mean over seeds, and how far another choice of seeds may be from it."""

    value: float
    error: float  # its standard error; NaN where one seed leaves none
    freedom: float  # degrees of freedom of the error
    freedom_per_seed: float  # what one seed more adds to them
    seeds: int

    def interval(self, level: float = 1 - ALPHA) -> tuple[float, float]:
        """Returns the ends of the two-sided t-interval, NaN where there is no error."""
        reach = self.error * float(scipy.stats.t.ppf((1 + level) / 2, self.freedom))
        return self.value - reach, self.value + reach

    def p_value(self, null: float = 0.0) -> float:
        """Returns the two-sided p-value of "the truth is `null`"; NaN where there is no error."""
        return float(2 * scipy.stats.t.sf(abs(self.value - null) / self.error, self.freedom))

    def is_level(self, margin: float) -> bool:
        """Whether the 90 % interval lies within ± margin: two one-sided tests at 5 % each.

        See Lakens 2017, Equivalence Tests.
        """
        low, high = self.interval(1 - 2 * ALPHA)
        return -margin <= low and high <= margin  # false for NaN


def mean_of(values: Sequence[float]) -> Estimate:
    """Estimates a mean from one value a seed."""
    n = len(values)
    return Estimate(float(np.mean(values)), _error(values, values), n - 1.0, 1.0, n)


def paired_difference(baseline: Sequence[float], model: Sequence[float]) -> Estimate:
    """Estimates the mean of model - baseline from runs in pairs, one pair a seed: what both share cancels."""
    n, differences = len(model), np.subtract(model, baseline)
    return Estimate(float(np.mean(differences)), _error(differences, [*model, *baseline]), n - 1.0, 1.0, n)


def welch_difference(baseline: Sequence[float], model: Sequence[float]) -> Estimate:
    """Estimates mean(model) - mean(baseline) from seeds that do not pair, whose spreads may differ.

    See Welch 1947, The generalization of 'Student's' problem.
    """
    seeds = min(len(baseline), len(model))
    difference = float(np.mean(model) - np.mean(baseline))
    errors = np.array([_error(values, values) for values in (baseline, model)])
    error = math.hypot(*errors)
    shares = (errors / error) ** 2  # of the variance; fourth powers of the numbers themselves may overflow
    freedom = float(1 / np.sum(shares**2 / np.subtract([len(baseline), len(model)], 1))) if seeds > 1 else math.nan
    return Estimate(difference, error, freedom, freedom / max(seeds - 1, 1), seeds)


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Returns the least-squares slope of y over x."""
    return float(scipy.stats.linregress(x, y).slope)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p-values adjusted for as many tests, in their order; NaN stands for no test and stays.

    Calling what is at most 0.05 significant is wrong anywhere among them in at most 5 % of cases, however the tests
    depend on each other. See Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure.
    """
    tests = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    adjusted, largest = [math.nan] * len(p_values), 0.0
    for rank, (p, index) in enumerate(tests):
        largest = max(largest, min(1.0, (len(tests) - rank) * p))
        adjusted[index] = largest
    return adjusted


def seeds_to_resolve(estimate: Estimate, null: float, margin: float | None, alpha: float = ALPHA) -> int | None:
    """Returns how many seeds would lead to a verdict with a power of 0.8, if the truth is what these seeds say.

    It is the smallest n at which the two-sided test of `null` at level alpha, or the test of "level" if there is a
    margin, succeeds with that probability. The error shrinks with the root of n. The power is that of a shifted t:
    P(T > t(1 - α/2) - |value - null| / error), and for "level" as in Julious 2004, Sample Sizes for Clinical Trials
    with Normal Data. None if there is no error, or if more than `MOST_SEEDS` would be needed.
    """
    n = np.arange(estimate.seeds + 1, MOST_SEEDS + 1)
    error = estimate.error * np.sqrt(estimate.seeds / n)
    t = scipy.stats.t(estimate.freedom + estimate.freedom_per_seed * (n - estimate.seeds))
    power = t.cdf(abs(estimate.value - null) / error - t.ppf(1 - alpha / 2))
    if margin is not None:
        reach = t.ppf(1 - ALPHA)
        is_level = t.cdf((margin - estimate.value) / error - reach) - t.cdf(reach - (margin + estimate.value) / error)
        power = np.maximum(power, is_level)
    enough = n[power >= POWER]  # none for NaN
    return int(enough[0]) if enough.size else None


def _error(values: Sequence[float] | np.ndarray, measured: Sequence[float]) -> float:
    """The standard error of a mean, at least the rounding of what was measured; NaN for a single value."""
    if len(values) < 2:
        return math.nan
    rounding = float(np.finfo(float).eps * np.abs(measured).max())
    return max(float(np.std(values, ddof=1)) / math.sqrt(len(values)), rounding, float(np.finfo(float).tiny))
