"""Numbers -> verdicts on the claims, and differences in all other numbers. docs/method.md explains the rules.

A seed is the unit: each gives one number a model. Nothing is paired, the test is Welch's t. The rows of a family are
corrected together by Holm's procedure, so that any of them is *supported* or *contradicted* by chance in at most 5 % of
families. A family holds all claims about a model and its baseline at all latent dimensions; another pair, or another
value of any other field, is another family. A row is *level* if two one-sided tests at 5 % say that the difference is
smaller than what matters; that goes first. A row is *not judged* if one of its models does not reconstruct.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vae_jax.claims.claims import CLAIMS, OF_GAIN, PRICE, RELATIVE, Claim
from vae_jax.claims.intervals import (
    ALPHA,
    MOST_SEEDS,
    Estimate,
    difference,
    holm,
    probability_of_improvement,
    seeds_to_resolve,
)
from vae_jax.claims.results import Results, comparable, describe, fields_by_model, grouped, setting_of, write_rows
from vae_jax.config import FIELDS, Config
from vae_jax.measure.measurements import MEASUREMENTS
from vae_jax.models import MODEL_FIELDS, MODELS

SUPPORTED, CONTRADICTED, LEVEL, NOT_RESOLVED, NOT_JUDGED = VERDICTS = (
    "supported", "contradicted", "level", "not resolved", "not judged",
)  # fmt: skip
ONE_SEED, MISSING_NUMBER = "one seed: no interval, no verdict", "a run has no finite number"  # why there is no verdict
NO_ESTIMATE = Estimate(math.nan, math.nan, math.nan, 0)
LEAST_GAIN = 0.5  # of the best model's gain over the mean training image, below which a model does not reconstruct
MOST_REJECTED = 0.5  # share of reconstructions, above which nothing is said of what must be plausible

Runs = list[Config]  # of one setting, one a seed
Numbers = Sequence[float | None]  # of these runs, in the order of their seeds


class Pair(NamedTuple):
    """The runs of a model and of the baseline that it is compared with, in one setting."""

    setting: str  # what tells it from other settings, such as `latent_dim 2`
    family: str  # whose rows are corrected together, such as `VAE against AE`
    model: Runs
    baseline: Runs

    def numbers(self, results: Results, name: str) -> tuple[list[Any], list[Any]]:
        """Returns a number of the evaluated runs of both."""
        return results.numbers(name, self.model), results.numbers(name, self.baseline)


class Verdict(NamedTuple):
    """What the seeds say of one claim in one setting."""

    claim: Claim
    pair: Pair
    model_numbers: Numbers
    baseline_numbers: Numbers
    estimate: Estimate  # of model - baseline
    margin: float = math.nan  # an estimate within ± margin is level
    p: float = math.nan  # after Holm's correction; NaN if there is no test
    verdict: str = NOT_RESOLVED  # one of VERDICTS
    note: str = ""  # why there is no verdict and what it would take

    @property
    def model(self) -> str:
        """The model's name in `MODELS`."""
        return self.pair.model[0].model

    @property
    def baseline(self) -> str:
        """The baseline's name in `MODELS`."""
        return self.pair.baseline[0].model


class Difference(NamedTuple):
    """A number that is no primary one: described, and not judged."""

    measurement: str
    pair: Pair
    model_numbers: Numbers
    baseline_numbers: Numbers
    estimate: Estimate  # of model - baseline
    probability: float  # that the model's number is better, of a random seed each


def judge(results: Results) -> list[Verdict]:
    """Judges all claims about each model and its baseline in each setting that the experiment judges.

    A row for which neither model was measured, as without labels, is left out.
    """
    gains = _gains(results)
    rows = [
        _row(results, claim, pair, gains)
        for pair in pairs(results)
        for claim in CLAIMS
        if all(set(numbers) - {None} for numbers in pair.numbers(results, claim.measurement))
    ]
    for family in grouped(range(len(rows)), lambda index: rows[index].pair.family):
        adjusted = holm([math.nan if rows[i].verdict == NOT_JUDGED else rows[i].estimate.p for i in family])
        # The level at which Holm's procedure stopped: what the next row would have to reach.
        alpha = ALPHA / max(1, sum(p > ALPHA for p in adjusted))
        for i, p in zip(family, adjusted, strict=True):
            rows[i] = _judged(rows[i]._replace(p=p), alpha)
    return rows


def describe_others(results: Results) -> list[Difference]:
    """Compares each model and its baseline in all numbers that have a direction and are no primary ones."""
    primary = {claim.measurement for claim in CLAIMS}
    found = []
    for pair in pairs(results):
        for name, entry in MEASUREMENTS.items():
            is_error = name.endswith("_error") and name.removesuffix("_error") in MEASUREMENTS
            if entry.better is None or name in primary or is_error:
                continue
            model, baseline = pair.numbers(results, name)
            if model and baseline and None not in (*model, *baseline):
                chance = probability_of_improvement(baseline, model, entry.better)
                found.append(Difference(name, pair, model, baseline, difference(baseline, model), chance))
    return found


def pairs(results: Results) -> Iterator[Pair]:
    """Each model with the first of its baselines that the experiment has, in each setting that is judged.

    Both agree in all fields that both models read.
    """
    settings, fields = grouped(results.judged, setting_of), fields_by_model(results.judged)
    for model in (name for name in MODELS if name in fields):
        baseline = next((name for name in MODELS[model].baselines if name in fields), None)
        if baseline is None:
            continue
        shared = [name for name in FIELDS if name not in ("model", "seed") and _both_read(name, model, baseline)]
        own = [name for name in fields[baseline] if name not in shared]  # of which the baseline has several settings
        names = f"{MODELS[model].title} against {MODELS[baseline].title}"
        for runs, twin in itertools.product(settings, settings):
            are_pair = (runs[0].model, twin[0].model) == (model, baseline)
            if not are_pair or any(getattr(runs[0], name) != getattr(twin[0], name) for name in shared):
                continue
            of_baseline = describe(twin[0], own) and f"{MODELS[baseline].title}: {describe(twin[0], own)}"
            but_dims = [name for name in fields[model] if name != "latent_dim"]
            setting = [describe(runs[0], fields[model]), of_baseline]
            family = [names, describe(runs[0], but_dims), of_baseline]
            yield Pair(", ".join(filter(None, setting)), ", ".join(filter(None, family)), runs, twin)


def write_tables(folder: Path, verdicts: Sequence[Verdict], others: Sequence[Difference]) -> None:
    """Writes primaries.csv, a row per verdict, and descriptive.csv, a row per other number.

    Raises:
        UserError: a file cannot be written.
    """
    primaries = [
        {"claim": row.claim.text.format(model=MODELS[row.model].title, baseline=MODELS[row.baseline].title),
         **_columns(row.claim.measurement, row),
         "margin": row.margin, "p": row.estimate.p, "p_holm": row.p, "verdict": row.verdict, "note": row.note}
        for row in verdicts
    ]  # fmt: skip
    descriptive = [_columns(row.measurement, row) | {"probability_of_improvement": row.probability} for row in others]
    for name, rows in {"primaries": primaries, "descriptive": descriptive}.items():
        # A NaN is no number.
        cells = [{column: "" if cell != cell else cell for column, cell in row.items()} for row in rows]
        write_rows(folder / f"{name}.csv", rows[0] if rows else (), cells)


def _columns(name: str, row: Verdict | Difference) -> dict[str, Any]:
    pair, (low, high) = row.pair, row.estimate.interval()
    return {
        "setting": pair.setting, "family": pair.family, "number": name, "model": pair.model[0].model,
        "baseline": pair.baseline[0].model, "model_mean": _mean(row.model_numbers),
        "baseline_mean": _mean(row.baseline_numbers), "difference": row.estimate.value, "low": low, "high": high,
        "seeds": f"{len(row.model_numbers)} and {len(row.baseline_numbers)}",
    }  # fmt: skip


def _row(results: Results, claim: Claim, pair: Pair, gains: dict[tuple[Any, ...], float]) -> Verdict:
    """What a claim says in a setting, before the correction; it has a verdict only if it is not judged."""
    model, baseline = pair.numbers(results, claim.measurement)
    if None in (*model, *baseline):
        return Verdict(claim, pair, model, baseline, NO_ESTIMATE, note=MISSING_NUMBER)
    row = Verdict(claim, pair, model, baseline, difference(baseline, model), _margin(results, claim, pair))
    for runs in (pair.model, pair.baseline) if claim is not PRICE else ():
        title, share = MODELS[runs[0].model].title, gains.get(setting_of(runs[0]), 1.0)
        rejected = _mean(results.numbers("reconstruction_implausible", runs))
        if share < LEAST_GAIN:
            note = f"the {title} does not reconstruct: it gains {100 * share:.0f} % of what the best gains"
            return row._replace(verdict=NOT_JUDGED, note=note)
        if claim.of_plausible and rejected > MOST_REJECTED:
            note = f"{100 * rejected:.0f} % of the {title}’s reconstructions are implausible"
            return row._replace(verdict=NOT_JUDGED, note=note)
    return row


def _judged(row: Verdict, alpha: float) -> Verdict:
    """The verdict, given p after the correction, and the level that a further row would have to reach."""
    if row.verdict == NOT_JUDGED or row.note:
        return row
    if math.isnan(row.p):
        return row._replace(note=ONE_SEED)
    is_significant = row.p <= ALPHA
    if row.estimate.is_level(row.margin):
        return row._replace(verdict=LEVEL, note="differs, by less than matters" if is_significant else "")
    if is_significant:
        holds = (row.estimate.value > 0) == (row.claim.says == "higher")
        return row._replace(verdict=SUPPORTED if holds else CONTRADICTED)
    seeds = seeds_to_resolve(row.estimate, row.margin, alpha)
    needed = f"about {seeds} seeds would resolve it" if seeds else f"over {MOST_SEEDS} seeds would resolve it"
    return row._replace(note=f"{'not after the correction; ' * (row.estimate.p <= ALPHA)}{needed}")


def _margin(results: Results, claim: Claim, pair: Pair) -> float:
    if claim.margin is not None:
        return claim.margin
    if claim is PRICE:
        return OF_GAIN * _gain(results, pair.baseline)
    return RELATIVE * abs(sum(map(_mean, pair.numbers(results, claim.measurement))) / 2)


def reconstructs(results: Results, runs: Runs) -> bool:
    """Whether a setting's gain over the mean training image, in nats, is unknown or large enough for verdicts."""
    return _gains(results).get(setting_of(runs[0]), 1.0) >= LEAST_GAIN


def _gains(results: Results) -> dict[tuple[Any, ...], float]:
    """By setting: the nats it gains over the mean training image, as a share of the best at its latent dimension."""
    shares = dict[tuple[Any, ...], float]()
    settings = grouped(results.judged, setting_of)
    for group in grouped(settings, lambda runs: (runs[0].latent_dim, *comparable(runs[0]))):
        gains = {setting_of(runs[0]): _gain(results, runs) for runs in group}
        known = {setting: gain for setting, gain in gains.items() if not math.isnan(gain)}
        best = max(known.values(), default=0.0)
        shares |= {setting: gain / best if best > 0 else 0.0 for setting, gain in known.items()}
    return shares


def _gain(results: Results, runs: Runs) -> float:
    """The mean over seeds of the nats by which a setting's distortion is below the mean training image's."""
    return _mean(results.numbers("mean_image_distortion", runs)) - _mean(results.numbers("test_distortion", runs))


def _mean(numbers: Numbers) -> float:
    """NaN if a number is missing, since no other seed can stand for that run."""
    return math.nan if not numbers or None in numbers else math.fsum(numbers) / len(numbers)  # type: ignore[arg-type]


def _both_read(name: str, *models: str) -> bool:
    return all(name not in MODEL_FIELDS or name in MODELS[model].fields for model in models)
