"""Verdicts in tables: a row for each measurement and setting, and a column for each model of one baseline."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from vae_jax.choice import Choice
from vae_jax.claims import AS_GOOD, BY_CONSTRUCTION, CLAIMS, CLAIMS_ALONE, DOSE_RESPONSE, Claim
from vae_jax.models import MODELS
from vae_jax.page.language import Language
from vae_jax.results import DASH, rounded, spreads_in
from vae_jax.verdicts import (
    ALONE,
    CONTRADICTED,
    LEVEL,
    NOT_RESOLVED,
    ONE_SEED,
    PAIRED,
    SLOPE,
    SUPPORTED,
    WELCH,
    Verdict,
)

ORDER = (*CLAIMS, *CLAIMS_ALONE, DOSE_RESPONSE)
KINDS = (SUPPORTED, CONTRADICTED, LEVEL, NOT_RESOLVED)


class Row(NamedTuple):
    """The verdicts on one measurement in one setting."""

    measurement: str
    setting: str
    cells: dict[str, Verdict]  # by model

    @property
    def baseline_value(self) -> str:
        """The baseline's number, of the model that has most seeds in common with it."""
        return max(self.cells.values(), key=lambda verdict: verdict.estimate.seeds).baseline_value

    @property
    def margin(self) -> float | None:
        """The smallest difference that matters, where the verdict depends on it."""
        verdict = next(iter(self.cells.values()))
        is_as_good = verdict.claim.says[self.measurement] == AS_GOOD
        return None if verdict.test == SLOPE else abs(verdict.null) if is_as_good else verdict.margin


class VerdictTable(NamedTuple):
    """The verdicts on models that are compared with one baseline, or alone, or over the KL weight."""

    test: str  # ALONE, SLOPE, or an empty text for comparisons
    models: dict[str, str]  # titles by name; each has a column, and is corrected on its own
    baseline: str  # title, or an empty text
    given: list[str]  # what is true by construction
    claims: dict[str, dict[str, list[Row]]]  # by sentence and measurement, a row a setting
    language: Language

    @property
    def title(self) -> str:
        """`RAE and VAE compared with AE`."""
        t, (*first, last) = self.language.texts, self.models.values()
        names = t["and_last"].format(first=", ".join(first), last=last) if first else last
        alone = "title_alone_many" if first else "title_alone_one"
        form = {ALONE: alone, SLOPE: "title_slope"}.get(self.test, "title_comparison")
        return t[form].format(models=names, baseline=self.baseline)

    @property
    def difference(self) -> str:
        """What the estimates are, in a heading."""
        t = self.language.texts
        model = next(iter(self.models.values())) if len(self.models) == 1 else t["several_models"]
        return {ALONE: t["mean"], SLOPE: t["slope"]}.get(self.test, f"{model} - {self.baseline}")

    @property
    def verdicts(self) -> list[Verdict]:
        """All that is in it."""
        rows = [row for claim in self.claims.values() for rows in claim.values() for row in rows]
        return [verdict for row in rows for verdict in row.cells.values()]

    @property
    def has_settings(self) -> bool:
        """Whether there is anything that tells settings apart."""
        return any(verdict.setting for verdict in self.verdicts)

    @property
    def corrected(self) -> int:
        """Rows that a model's p-values are corrected for, the most of any model."""
        return max(Counter(verdict.model for verdict in self.verdicts if not math.isnan(verdict.p)).values(), default=0)

    @property
    def spread(self) -> str:
        """What ± is in it."""
        cells = [
            (verdict.measurement, text)
            for verdict in self.verdicts
            for text in (verdict.model_value, verdict.baseline_value)
        ]
        return explain_spread(cells, self.language)

    @property
    def traits(self) -> set[str]:
        """What its legend has to explain."""
        verdicts = self.verdicts
        found = {verdict.verdict for verdict in verdicts}
        found |= {WELCH} & {verdict.test for verdict in verdicts}
        found |= {AS_GOOD} & {verdict.claim.says[verdict.measurement] for verdict in verdicts}
        return found | {ONE_SEED for verdict in verdicts if verdict.note.startswith(ONE_SEED)}


def arrange(verdicts: Sequence[Verdict], language: Language) -> list[VerdictTable]:
    """Puts the verdicts on models of one baseline side by side."""
    groups: dict[tuple[str | None, str], list[Verdict]] = {}
    for verdict in verdicts:
        test = verdict.test if verdict.test in (ALONE, SLOPE) else ""
        groups.setdefault((verdict.baseline, test), []).append(verdict)
    return [_table(test, baseline, group, language) for (baseline, test), group in groups.items()]


def findings(measurements: Mapping[str, Sequence[Row]]) -> list[tuple[Row, str, Verdict]]:
    """Lists the verdicts on a claim one by one, each with its row and its model's name."""
    return [(row, name, cell) for rows in measurements.values() for row in rows for name, cell in row.cells.items()]


def tally(verdicts: Iterable[Verdict], language: Language) -> str:
    """Counts the verdicts, `12 supported, 1 contradicted, 3 level, 3 not resolved`."""
    counts = Counter(verdict.verdict for verdict in verdicts)
    return ", ".join(
        language.texts["tally"].format(n=counts[kind], verdict=language.verdict(kind)) for kind in KINDS if counts[kind]
    )


def explain_spread(cells: Iterable[tuple[str, str]], language: Language) -> str:
    """Says what ± is in cells of numbers, as `results.explain_spread` does in English."""
    over_seeds, over = spreads_in(cells)
    if not over:
        return language.texts["spread_seeds"] if over_seeds else ""
    text = language.texts["spread_seeds_and" if over_seeds else "spread_one_seed_and"]
    return text.format(over=", ".join(map(language.errors, over)))


def interval(verdict: Verdict | Choice) -> str:
    """Formats `-8.00 [-8.30, -7.70]`: the estimate and its 95 % interval, before any correction."""
    value, (low, high) = verdict.estimate.value, verdict.estimate.interval()
    if math.isnan(value):
        return DASH
    if math.isnan(low):
        return f"{value:.3g} [{DASH}]"
    if high - low < 1e-12:  # rounding only
        low = high = value
    low_text, text, high_text = (rounded(number, (high - low) / 2) for number in (low, value, high))
    return f"{text} [{low_text}, {high_text}]"


def p_value(verdict: Verdict | Choice) -> str:
    """Formats `0.012` or `< 0.001`."""
    return DASH if math.isnan(verdict.p) else "< 0.001" if verdict.p < 0.001 else f"{verdict.p:.2g}"


def test_of(verdict: Verdict, language: Language) -> str:
    """Says what was compared, `5 pairs`."""
    counted = {PAIRED: "pairs", SLOPE: "slopes"}.get(verdict.test, "seeds")
    text = language.counted(counted, verdict.estimate.seeds)
    return language.texts["welch"].format(seeds=text) if verdict.test == WELCH else text


def _table(test: str, baseline: str | None, verdicts: Sequence[Verdict], language: Language) -> VerdictTable:
    models = {verdict.model: MODELS[verdict.model].title for verdict in verdicts}
    title = MODELS[baseline].title if baseline else ""
    given = [
        language.sentence(claim, language.texts["and_the"].join(about), title)
        for claim in BY_CONSTRUCTION
        if baseline and (about := [models[name] for name in models if claim.is_about(MODELS[name], MODELS[baseline])])
    ]
    rows: dict[str, dict[str, dict[str, Row]]] = {}
    for verdict in sorted(verdicts, key=lambda verdict: ORDER.index(verdict.claim)):  # some are about few models
        sentence = _sentence(verdict.claim, verdicts, title, language)
        found = rows.setdefault(sentence, {}).setdefault(verdict.measurement, {})
        row = found.setdefault(verdict.setting, Row(verdict.measurement, verdict.setting, {}))
        row.cells[verdict.model] = verdict
    return VerdictTable(
        test, models, title, given,
        {claim: {name: [*found.values()] for name, found in names.items()} for claim, names in rows.items()},
        language,
    )  # fmt: skip


def _sentence(claim: Claim, verdicts: Sequence[Verdict], baseline: str, language: Language) -> str:
    """The claim about the model it is about, or about "the model" if there are several."""
    models = {verdict.model for verdict in verdicts if verdict.claim is claim}
    model = MODELS[models.pop()].title if len(models) == 1 else language.texts["several_models"]
    return language.sentence(claim, model, baseline)
