"""Verdicts and differences as rows of text: a table for each model and the baseline it is compared with."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from vae_jax.claims.choice import Choice
from vae_jax.claims.claims import BY_CONSTRUCTION, Claim
from vae_jax.claims.intervals import Estimate
from vae_jax.claims.summary import DASH, rounded
from vae_jax.claims.verdicts import ONE_SEED, VERDICTS, Difference, Verdict
from vae_jax.models import MODELS
from vae_jax.report.page.language import Language


class VerdictTable(NamedTuple):
    """What is said of a model beside its baseline."""

    model: str  # title
    baseline: str  # title
    given: list[str]  # what is true by construction
    claims: dict[Claim, list[Verdict]]  # a verdict a setting
    others: dict[str, list[Difference]]  # by measurement, a difference a setting

    @property
    def verdicts(self) -> list[Verdict]:
        """All that is in it."""
        return [verdict for rows in self.claims.values() for verdict in rows]

    @property
    def has_settings(self) -> bool:
        """Whether there is anything that tells settings apart."""
        return any(verdict.pair.setting for verdict in self.verdicts)

    @property
    def corrected(self) -> str:
        """How many rows of each family are corrected together, `14` or `7 and 7`."""
        families = Counter(row.pair.family for row in self.verdicts if not math.isnan(row.p))
        return " + ".join(map(str, families.values()))

    @property
    def has_one_seed(self) -> bool:
        """Whether rows have no interval, because there is one seed."""
        return any(verdict.note == ONE_SEED for verdict in self.verdicts)


def arrange(verdicts: Sequence[Verdict], others: Sequence[Difference], _: Language) -> list[VerdictTable]:
    """Makes a table for each model and its baseline, with a row for each claim and setting."""
    tables = dict[str, VerdictTable]()
    for row in verdicts:
        model, baseline = MODELS[row.model], MODELS[row.baseline]
        titles = {"model": model.title, "baseline": baseline.title}
        given = [_(text, **titles) for text, holds in BY_CONSTRUCTION.items() if holds(model, baseline)]
        table = tables.setdefault(row.model, VerdictTable(model.title, baseline.title, given, {}, {}))
        table.claims.setdefault(row.claim, []).append(row)
    for other in others:
        if (name := other.pair.model[0].model) in tables:
            tables[name].others.setdefault(other.measurement, []).append(other)
    return list(tables.values())


def tally(verdicts: Iterable[Verdict], _: Language) -> str:
    """Counts the verdicts, `12 supported, 1 contradicted, 3 level, 3 not resolved`."""
    counts = Counter(verdict.verdict for verdict in verdicts)
    return ", ".join(_("{n} {verdict}", n=counts[kind], verdict=_(kind)) for kind in VERDICTS if counts[kind])


def number(numbers: Sequence[float | None], estimate: Estimate) -> str:
    """Formats the mean of a number over seeds, with as many decimals as its difference has."""
    if not numbers or None in numbers:
        return DASH
    low, high = estimate.interval()
    mean = math.fsum(n for n in numbers if n is not None) / len(numbers)
    return rounded(mean, 0 if math.isnan(low) else (high - low) / 2)


def interval(estimate: Estimate) -> str:
    """Formats `-8.00 [-8.30, -7.70]`: the estimate and its 95 % interval, before any correction."""
    value, (low, high) = estimate.value, estimate.interval()
    if math.isnan(value):
        return DASH
    if math.isnan(low):
        return f"{value:.3g} [{DASH}]"
    if high - low < 1e-9:  # rounding only
        low = high = value
    low_text, text, high_text = (rounded(number, (high - low) / 2) for number in (low, value, high))
    return f"{text} [{low_text}, {high_text}]"


def p_value(row: Verdict | Choice) -> str:
    """Formats `0.012` or `< 0.001`."""
    return DASH if math.isnan(row.p) else "< 0.001" if row.p < 0.001 else f"{row.p:.2g}"


def seeds_of(row: Verdict | Difference, _: Language) -> str:
    """Says how many seeds the models have, `5 seeds` or `5 and 3 seeds`."""
    counts = [len(row.model_numbers), len(row.baseline_numbers)]
    if counts[0] == counts[1]:
        return _.plural("{n} seed", "{n} seeds", counts[0])
    return _("{model} and {baseline} seeds", model=counts[0], baseline=counts[1])


def counts(cell: str, _: Language) -> str:
    """Says how many runs a row stands for, `3 (1 diverged)`."""
    return re.sub(r"(\d+) (diverged|failed)", lambda match: _(f"{{n}} {match[2]}", n=match[1]), cell)
