"""What a few seeds say about all seeds: Welch's interval, equivalence, Holm's correction, and how many seeds it takes.

Numbers in, numbers out.
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
    """A difference of two means over seeds, and how far another choice of seeds may be from it."""

    value: float
    error: float  # its standard error; NaN where one seed leaves none
    freedom: float  # degrees of freedom of the error (Welch 1947)
    seeds: int  # of the side with fewer

    def interval(self, level: float = 1 - ALPHA) -> tuple[float, float]:
        """Returns the ends of the two-sided t-interval, NaN where there is no error."""
        low, high = scipy.stats.t.interval(level, self.freedom, self.value, self.error)
        return float(low), float(high)

    @property
    def p(self) -> float:
        """The two-sided p-value of "there is no difference"; NaN where there is no error."""
        return float(2 * scipy.stats.t.sf(abs(self.value) / self.error, self.freedom))

    def is_level(self, margin: float) -> bool:
        """Whether the 90 % interval lies within ± margin: two one-sided tests at 5 % each (Lakens 2017)."""
        low, high = self.interval(1 - 2 * ALPHA)
        return -margin <= low and high <= margin  # false for NaN


def difference(baseline: Sequence[float], model: Sequence[float]) -> Estimate:
    """Estimates mean(model) - mean(baseline) of seeds whose spreads may differ.

    Two models of one seed are not more alike than two of different seeds, so nothing is paired. The error is at least
    the rounding of the numbers. See Welch 1947, The generalization of 'Student's' problem.
    """
    seeds, value = min(len(baseline), len(model)), float(np.mean(model) - np.mean(baseline))
    if seeds < 2:
        return Estimate(value, math.nan, math.nan, seeds)
    errors = np.array([_error(values) for values in (baseline, model)])
    error = math.hypot(*errors)
    shares = (errors / error) ** 2  # of the variance; SciPy takes fourth powers of the numbers, which may overflow
    freedom = 1 / np.sum(shares**2 / np.subtract([len(baseline), len(model)], 1))
    return Estimate(value, error, float(freedom), seeds)


def mean_of(values: Sequence[float]) -> Estimate:
    """Estimates a mean over seeds."""
    if len(values) < 2:
        return Estimate(float(np.mean(values)), math.nan, math.nan, len(values))
    return Estimate(float(np.mean(values)), _error(values), len(values) - 1, len(values))


def probability_of_improvement(baseline: Sequence[float], model: Sequence[float], better: str) -> float:
    """Returns how often the model's number is better than the baseline's, of a random seed each; ties count half.

    See Agarwal et al. 2021, Deep Reinforcement Learning at the Edge of the Statistical Precipice (arXiv:2108.13264).
    """
    signs = np.sign(np.subtract.outer(model, baseline)) * (1 if better == "higher" else -1)
    return float(np.mean((1 + signs) / 2))


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


def seeds_to_resolve(estimate: Estimate, margin: float, alpha: float = ALPHA) -> int | None:
    """Returns how many seeds a model would lead to a verdict with a power of 0.8, if the truth is what these seeds say.

    It is the smallest n at which the two-sided test at level alpha, or the test of "level", succeeds with that
    probability. The error shrinks with the root of n. The power is that of a shifted t: P(T > t(1 - α/2) - |value| /
    error), and for "level" as in Julious 2004, Sample Sizes for Clinical Trials with Normal Data. None if there is no
    error, or if more than `MOST_SEEDS` would be needed.
    """
    n = np.arange(estimate.seeds + 1, MOST_SEEDS + 1)
    error = estimate.error * np.sqrt(estimate.seeds / n)
    t = scipy.stats.t(estimate.freedom * (n - 1) / max(1, estimate.seeds - 1))
    power = t.cdf(abs(estimate.value) / error - t.ppf(1 - alpha / 2))
    reach = t.ppf(1 - ALPHA)
    level = t.cdf((margin - estimate.value) / error - reach) - t.cdf(reach - (margin + estimate.value) / error)
    enough = n[np.maximum(power, level) >= POWER]  # none for NaN
    return int(enough[0]) if enough.size else None


def _error(values: Sequence[float]) -> float:
    """The standard error of a mean of two values or more, at least their rounding.

    `scipy.stats.ttest_ind` has no such floor: equal numbers have no p-value, and rounding alone is significant.
    """
    limits = np.finfo(float)
    return float(max(scipy.stats.sem(values), limits.eps * np.abs(values).max(), limits.tiny))
