"""Numbers -> verdicts on the seven claims, and differences in all other numbers. docs/method.md explains the rules.

A seed is the unit: each gives one number a model. Nothing is paired, the test is Welch's t. The rows of a family are
corrected together by Holm's procedure, so that any of them is *supported* or *contradicted* by chance in at most 5 % of
families. A family holds all claims about a model and its baseline at all latent dimensions; another pair, or another
value of any other field, is another family. A row is *level* if two one-sided tests at 5 % say that the difference is
smaller than what matters; that goes first. A row is *not judged* if one of its models does not reconstruct.
"""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
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
from vae_jax.claims.results import COMPARABLE_FIELDS, Results, describe
from vae_jax.config import FIELDS, Config, varying_fields
from vae_jax.files import write_text
from vae_jax.measure.measurements import MEASUREMENTS
from vae_jax.models import MODEL_FIELDS, MODELS

SUPPORTED, CONTRADICTED, LEVEL, NOT_RESOLVED, NOT_JUDGED = VERDICTS = (
    "supported", "contradicted", "level", "not resolved", "not judged",
)  # fmt: skip
ONE_SEED, MISSING_NUMBER = "one seed: no interval, no verdict", "a run has no finite number"  # why there is no verdict
LEAST_GAIN = 0.5  # of the best model's gain over the mean training image, below which a model does not reconstruct
MOST_REJECTED = 0.5  # share of reconstructions, above which nothing is said of midpoints

Runs = list[Config]  # of one setting, one a seed


class Pair(NamedTuple):
    """The runs of a model and of the baseline that it is compared with, in one setting."""

    setting: str  # what tells it from other settings, such as `latent_dim 2`
    family: str  # whose rows are corrected together, such as `VAE against AE`
    model: Runs
    baseline: Runs


class Verdict(NamedTuple):
    """What the seeds say of one claim in one setting."""

    claim: Claim
    pair: Pair
    model_numbers: list[float | None]  # one a seed, in the order of the seeds
    baseline_numbers: list[float | None]
    estimate: Estimate  # of model - baseline
    margin: float  # an estimate within ± margin is level
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
    model_numbers: list[float]
    baseline_numbers: list[float]
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
        if all(any(n is not None for n in _numbers(results, claim.measurement, runs)) for runs in pair[2:])
    ]
    families: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        families.setdefault(row.pair.family, []).append(index)
    for members in families.values():
        raw = [math.nan if rows[i].verdict == NOT_JUDGED else rows[i].estimate.p for i in members]
        adjusted = holm(raw)
        # The level at which Holm's procedure stopped: what the next row would have to reach.
        alpha = ALPHA / max(1, sum(p > ALPHA for p in adjusted))
        for i, p, alone in zip(members, adjusted, raw, strict=True):
            rows[i] = _judged(rows[i]._replace(p=p), alone, alpha)
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
            model, baseline = (_numbers(results, name, runs) for runs in pair[2:])
            if model and baseline and None not in (*model, *baseline):
                estimate = difference(baseline, model)
                chance = probability_of_improvement(baseline, model, entry.better)
                found.append(Difference(name, pair, model, baseline, estimate, chance))
    return found


def pairs(results: Results) -> Iterator[Pair]:
    """Each model with the first of its baselines that the experiment has, in each setting that is judged.

    Both agree in all fields that both models read.
    """
    configs = results.judged
    settings, varying = group_seeds(configs), settings_fields(configs)
    for model in (name for name in MODELS if name in varying):
        baseline = next((name for name in MODELS[model].baselines if name in varying), None)
        if baseline is None:
            continue
        shared = [name for name in FIELDS if name not in ("model", "seed") and _both_read(name, model, baseline)]
        own = [name for name in varying[baseline] if name not in shared]  # of which the baseline has several settings
        for runs in settings:
            for twin in settings:
                are_pair = (runs[0].model, twin[0].model) == (model, baseline)
                if are_pair and _values(runs, shared) == _values(twin, shared):
                    parts = [describe(runs[0], varying[model])]
                    others = [describe(runs[0], [name for name in varying[model] if name != "latent_dim"])]
                    if of_baseline := describe(twin[0], own):
                        parts.append(f"{MODELS[baseline].title}: {of_baseline}")
                        others.append(parts[-1])
                    names = f"{MODELS[model].title} against {MODELS[baseline].title}"
                    yield Pair(", ".join(filter(None, parts)), ", ".join([names, *filter(None, others)]), runs, twin)


def group_seeds(configs: Iterable[Config]) -> list[Runs]:
    """The runs that differ in nothing but their seeds."""
    settings: dict[Config, Runs] = {}
    for config in configs:
        settings.setdefault(replace(config, seed=0), []).append(config)
    return list(settings.values())


def settings_fields(configs: Sequence[Config]) -> dict[str, list[str]]:
    """By model: the fields that tell its settings apart."""
    runs_of: dict[str, Runs] = {}
    for config in configs:
        runs_of.setdefault(config.model, []).append(config)
    return {model: [name for name in varying_fields(runs) if name != "seed"] for model, runs in runs_of.items()}


def write_tables(folder: Path, verdicts: Sequence[Verdict], others: Sequence[Difference]) -> None:
    """Writes primaries.csv, a row per verdict, and descriptive.csv, a row per other number.

    Raises:
        UserError: a file cannot be written.
    """
    primaries = [
        {"claim": row.claim.text.format(model=MODELS[row.model].title, baseline=MODELS[row.baseline].title),
         **_columns(row.claim.measurement, row.pair, row.model_numbers, row.baseline_numbers, row.estimate),
         "margin": row.margin, "p": row.estimate.p, "p_holm": row.p, "verdict": row.verdict, "note": row.note}
        for row in verdicts
    ]  # fmt: skip
    descriptive = [
        _columns(row.measurement, row.pair, row.model_numbers, row.baseline_numbers, row.estimate)
        | {"probability_of_improvement": row.probability}
        for row in others
    ]
    for name, rows in {"primaries": primaries, "descriptive": descriptive}.items():
        text = io.StringIO()
        if rows:
            writer = csv.DictWriter(text, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows({k: v if v == v else "" for k, v in row.items()} for row in rows)  # a NaN is no number
        write_text(folder / f"{name}.csv", text.getvalue())


def _columns(
    name: str, pair: Pair, model: Sequence[float | None], baseline: Sequence[float | None], estimate: Estimate
) -> dict[str, Any]:
    low, high = estimate.interval()
    return {
        "setting": pair.setting, "family": pair.family, "number": name, "model": pair.model[0].model,
        "baseline": pair.baseline[0].model, "model_mean": _mean(model), "baseline_mean": _mean(baseline),
        "difference": estimate.value, "low": low, "high": high, "seeds": f"{len(model)} and {len(baseline)}",
    }  # fmt: skip


def _row(results: Results, claim: Claim, pair: Pair, gains: dict[Config, float]) -> Verdict:
    """What a claim says in a setting, before the correction; it has a verdict only if it is not judged."""
    model, baseline = (_numbers(results, claim.measurement, runs) for runs in pair[2:])
    is_whole = bool(model and baseline) and None not in (*model, *baseline)
    estimate = difference(baseline, model) if is_whole else Estimate(math.nan, math.nan, math.nan, 0)
    row = Verdict(claim, pair, model, baseline, estimate, math.nan)
    if not is_whole:
        return row._replace(note=MISSING_NUMBER)
    row = row._replace(margin=_margin(results, claim, pair, (model, baseline)))
    if claim is not PRICE:
        for runs in pair[2:]:
            title, share = MODELS[runs[0].model].title, gains.get(replace(runs[0], seed=0), 1.0)
            if share < LEAST_GAIN:
                note = f"the {title} does not reconstruct: it gains {100 * share:.0f} % of what the best gains"
                return row._replace(verdict=NOT_JUDGED, note=note)
            rejected = _mean(_numbers(results, "reconstruction_implausible", runs))
            if claim.measurement.startswith("midpoint") and rejected > MOST_REJECTED:
                note = f"{100 * rejected:.0f} % of the {title}’s reconstructions are implausible"
                return row._replace(verdict=NOT_JUDGED, note=note)
    return row


def _judged(row: Verdict, uncorrected: float, alpha: float) -> Verdict:
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
    return row._replace(note=f"{'not after the correction; ' * (uncorrected <= ALPHA)}{needed}")


def _margin(results: Results, claim: Claim, pair: Pair, numbers: tuple[Sequence[Any], Sequence[Any]]) -> float:
    if claim.margin is not None:
        return claim.margin
    if claim is PRICE:
        return OF_GAIN * _gain(results, pair.baseline)
    return RELATIVE * abs(sum(map(_mean, numbers)) / 2)


def _gains(results: Results) -> dict[Config, float]:
    """By setting: the nats it gains over the mean training image, as a share of the best at its latent dimension."""
    groups: dict[Any, dict[Config, float]] = {}
    for runs in group_seeds(results.judged):
        gain = _gain(results, runs)
        if not math.isnan(gain):
            place = tuple(getattr(runs[0], name) for name in ("latent_dim", *COMPARABLE_FIELDS))
            groups.setdefault(place, {})[replace(runs[0], seed=0)] = gain
    return {
        setting: gain / best if (best := max(group.values())) > 0 else 0.0
        for group in groups.values()
        for setting, gain in group.items()
    }


def _gain(results: Results, runs: Runs) -> float:
    """The mean over seeds of the nats by which a setting's distortion is below the mean training image's."""
    images, own = (_numbers(results, name, runs) for name in ("mean_image_distortion", "test_distortion"))
    return _mean(images) - _mean(own)


def _numbers(results: Results, name: str, runs: Runs) -> list[Any]:
    """A number of the evaluated runs, in the order of their seeds."""
    evaluated = sorted((config for config in runs if config in results.rows), key=lambda config: config.seed)
    return [results.rows[config].get(name) for config in evaluated]


def _mean(numbers: Sequence[float | None]) -> float:
    """NaN if a number is missing, since no other seed can stand for that run."""
    return math.nan if not numbers or None in numbers else math.fsum(numbers) / len(numbers)  # type: ignore[arg-type]


def _both_read(name: str, *models: str) -> bool:
    return all(name not in MODEL_FIELDS or name in MODELS[model].fields for model in models)


def _values(runs: Runs, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(getattr(runs[0], name) for name in names)
