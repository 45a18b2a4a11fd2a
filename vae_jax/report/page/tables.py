"""Verdicts and differences as cards, maps and rows of text: for each model and the baseline it is compared with."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from vae_jax.claims.choice import Choice
from vae_jax.claims.claims import BY_CONSTRUCTION, Claim
from vae_jax.claims.intervals import Estimate
from vae_jax.claims.ranges import Setting, main_field, named, others, values_of, where
from vae_jax.claims.results import settings_texts
from vae_jax.claims.summary import DASH, rounded
from vae_jax.claims.verdicts import CONTRADICTED, ONE_SEED, SUPPORTED, VERDICTS, Difference, Verdict
from vae_jax.config import varying_fields
from vae_jax.models import MODELS
from vae_jax.report.page.language import Language

MAX_MARKS = 4  # settings whose marks stand in a strip and whose numbers in the cards; of more there is a map
SENTENCES = {
    "supported": "The {model} has {what} {where}",
    "contradicted": "Against the claim, the {model} has {what} {where}",
    "level": "No difference that matters {where}",
    "not resolved": "Not resolved {where}",
    "not judged": "Not judged {where}, as a model does not reconstruct",
}  # fmt: skip
"""What a card says of the settings with each verdict."""


class MapRow(NamedTuple):
    """The verdicts on a claim along the main field of a sweep."""

    others: str  # the values of the other fields
    cells: list[int | None]  # by value of the main field, the index among the claim's verdicts


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
    def settings(self) -> dict[str, Setting]:
        """What tells the settings apart, by the text that a pair has for it."""
        pairs = {row.pair.setting: row.pair for row in self.verdicts}
        models = [pair.model[0] for pair in pairs.values()]
        baselines = [pair.baseline[0] for pair in pairs.values()]
        shared = [name for name in varying_fields(models) if name not in ("model", "seed")]
        own = [name for name in varying_fields(baselines) if name not in ("model", "seed", *shared)]
        return {
            text: dict.fromkeys(shared, DASH)  # of a field that a run of these settings does not read
            | settings_texts(model, shared)
            | {f"{self.baseline}: {name}": value for name, value in settings_texts(baseline, own).items()}
            for text, model, baseline in zip(pairs, models, baselines, strict=True)
        }

    @property
    def has_map(self) -> bool:
        """Whether there are more settings than marks in a strip."""
        return len(self.settings) > MAX_MARKS

    @property
    def columns(self) -> list[str]:
        """The values of the main field."""
        settings = list(self.settings.values())
        return values_of(settings, main_field(settings))

    def names(self, _: Language) -> list[str]:
        """Names the settings, `16 dimensions`."""
        return [others(setting, "", _) for setting in self.settings.values()]

    def name(self, row: Verdict | Difference, _: Language) -> str:
        """Names the setting of a row; empty if there is one setting."""
        return others(self.settings[row.pair.setting], "", _)

    def column_name(self, value: str, _: Language) -> str:
        """Names a value of the main field."""
        return named(main_field(list(self.settings.values())), value, _)

    def map_rows(self, _: Language) -> dict[Claim, list[MapRow]]:
        """Returns a row of a map of the verdicts for each claim and each value of the other fields."""
        settings, columns = self.settings, self.columns
        field, found = main_field(list(settings.values())), dict[Claim, list[MapRow]]()
        for claim, rows in self.claims.items():
            cells = dict[str, list[int | None]]()
            for index, row in enumerate(rows):
                setting = settings[row.pair.setting]
                column = columns.index(setting[field])
                cells.setdefault(others(setting, field, _), [None] * len(columns))[column] = index
            found[claim] = [MapRow(name, indices) for name, indices in cells.items()]
        return found

    def sentence(self, claim: Claim, _: Language) -> str:
        """Says what the seeds say of a claim: for each verdict, in which settings."""
        rows, texts = self.claims[claim], list[str]()
        settings = [self.settings[row.pair.setting] for row in rows]
        for verdict, text in SENTENCES.items():
            if chosen := [index for index, row in enumerate(rows) if row.verdict == verdict]:
                phrase = {SUPPORTED: claim.gain, CONTRADICTED: claim.loss}.get(verdict, "")
                said = _(text, model=self.model, what=_(phrase), where=where(settings, chosen, _))
                texts.append(f"{' '.join(said.split()).replace(' ,', ',')}.")
        return " ".join(texts)

    def corrected(self, _: Language) -> str:
        """How many rows of a family are corrected together, `14`, or `7 or 14` where families differ."""
        families = Counter(row.pair.family for row in self.verdicts if not math.isnan(row.p))
        return _(" or ").join(map(str, sorted(set(families.values()))))

    @property
    def has_one_seed(self) -> bool:
        """Whether rows have no interval, because there is one seed."""
        return any(verdict.note == ONE_SEED for verdict in self.verdicts)


def arrange(verdicts: Sequence[Verdict], differences: Sequence[Difference], _: Language) -> list[VerdictTable]:
    """Makes a table for each model and its baseline, the main pair first, with a row for each claim and setting."""
    tables = dict[str, VerdictTable]()
    for row in verdicts:
        model, baseline = MODELS[row.model], MODELS[row.baseline]
        titles = {"model": model.title, "baseline": baseline.title}
        given = [_(text, **titles) for text, holds in BY_CONSTRUCTION.items() if holds(model, baseline)]
        table = tables.setdefault(row.model, VerdictTable(model.title, baseline.title, given, {}, {}))
        table.claims.setdefault(row.claim, []).append(row)
    for other in differences:
        if (name := other.pair.model[0].model) in tables:
            tables[name].others.setdefault(other.measurement, []).append(other)
    return list(tables.values())[::-1]


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


def margins(rows: Sequence[Verdict], _: Language) -> str:
    """Formats from where on a difference matters, `0.02` or `1.1 to 2.3`."""
    low, high = (f"{end(row.margin for row in rows if row.margin == row.margin):.2g}" for end in (min, max))
    return low if low == high else _("{low} to {high}", low=low, high=high)


def seeds_of(row: Verdict | Difference, _: Language) -> str:
    """Says how many seeds the models have, `5 seeds` or `5 and 3 seeds`."""
    counts = [len(row.model_numbers), len(row.baseline_numbers)]
    if counts[0] == counts[1]:
        return _.plural("{n} seed", "{n} seeds", counts[0])
    return _("{model} and {baseline} seeds", model=counts[0], baseline=counts[1])


def counts(cell: str, _: Language) -> str:
    """Says how many runs a row stands for, `3 (1 diverged)`."""
    return re.sub(r"(\d+) (diverged|failed)", lambda match: _(f"{{n}} {match[2]}", n=match[1]), cell)
