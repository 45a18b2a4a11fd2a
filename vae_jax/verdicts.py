"""Numbers -> verdicts on the claims.

Runs of one seed start from the same parameters and see the same batches, so the seed is the unit of everything: each
seed gives one difference, one number or one slope, and a t-test over seeds says whether other seeds would agree.

How a verdict is reached. The rows of one table (a model against one baseline, on its own, or over the KL weight) are
tested together: their p-values are Holm's, so that any row is called *supported* or *contradicted* by chance in at
most 5 % of tables. A row is *level* if the 90 % interval of its difference lies within ± the smallest difference that
matters: two one-sided tests, at 5 % a row and not corrected. Level wins over the other two: a difference that is there
but too small to matter supports nothing. It only takes verdicts away, so the 5 % for a table still hold. All else is
*not resolved*, with the number of seeds that would resolve it.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from typing import Any, NamedTuple

from vae_jax import claims
from vae_jax.claims import Claim
from vae_jax.config import FIELDS, Config, varying_fields
from vae_jax.intervals import (
    ALPHA,
    MOST_SEEDS,
    Estimate,
    holm,
    mean_of,
    paired_difference,
    seeds_to_resolve,
    slope,
    welch_difference,
)  # fmt: skip
from vae_jax.measurements import MEASUREMENTS
from vae_jax.models import MODEL_FIELDS, MODELS
from vae_jax.results import Results, describe, spread

SUPPORTED, CONTRADICTED, LEVEL, NOT_RESOLVED = "supported", "contradicted", "level", "not resolved"
PAIRED, WELCH, ALONE, SLOPE = "paired t", "Welch's t", "t of one model", "t of slopes"  # how the seeds are compared
ONE_SEED, MISSING_NUMBER = "one seed", "a run has no finite number"  # why a verdict may be impossible
MIN_WEIGHTS = 3  # KL weights of a slope

Runs = list[Config]  # of one setting, one a seed


class Verdict(NamedTuple):
    """A verdict on what one claim says about one measurement, in one setting."""

    claim: Claim
    measurement: str  # its name in `MEASUREMENTS`
    setting: str  # what the runs have in common, such as `latent_dim 2`
    model: str  # its name in `MODELS`
    baseline: str | None  # the model it is compared with; None for a model alone and for a slope
    test: str  # PAIRED, WELCH, ALONE or SLOPE
    model_value: str  # mean and its spreads; empty for a slope
    baseline_value: str  # likewise; empty if there is no baseline
    estimate: Estimate  # of model - baseline, of the model's number, or of the slope per doubling of the KL weight
    says: str  # "higher" or "lower" than `null`
    null: float  # what the estimate is tested against
    margin: float | None  # an estimate within ± margin is level; None where that is not asked
    p: float = math.nan  # after Holm's correction; NaN if there is no test
    verdict: str = NOT_RESOLVED  # or SUPPORTED, CONTRADICTED or LEVEL
    note: str = ""  # why there is no verdict and what it would take, or what limits it


def judge_claims(results: Results) -> list[Verdict]:
    """Judges all claims: each model against its baselines in each setting, each alone, then each over the KL weight.

    The verdicts of a table stand together, and the models are in the order of the experiment.
    """
    models = list(dict.fromkeys(config.model for config in results.configs))
    tables: dict[Any, list[Verdict]] = {}
    for rows in (_comparisons(results), _alone(results), _dose_responses(results)):
        for row in sorted(rows, key=lambda row: models.index(row.model)):
            tables.setdefault((row.model, row.baseline, row.test == SLOPE), []).append(row)
    return [verdict for rows in tables.values() for verdict in judge_table(rows)]


def judge_table(rows: Sequence[Verdict]) -> list[Verdict]:
    """Judges the rows of one table together; see the head of this module."""
    raw = [row.estimate.p_value(row.null) for row in rows]
    adjusted = holm(raw)
    # The level at which Holm's procedure stopped: what the next row would have to reach.
    alpha = ALPHA / max(1, sum(p > ALPHA for p in adjusted))
    return [_judge(row._replace(p=p), alone, alpha) for row, p, alone in zip(rows, adjusted, raw, strict=True)]


def _judge(row: Verdict, uncorrected: float, alpha: float) -> Verdict:
    if math.isnan(row.p):
        return _noted(row, NOT_RESOLVED, MISSING_NUMBER if math.isnan(row.estimate.value) else ONE_SEED)
    is_significant = row.p <= ALPHA
    if row.margin is not None and row.estimate.is_level(row.margin):
        return _noted(row, LEVEL, "differs, by less than matters" if is_significant else "")
    if is_significant:
        holds = (row.estimate.value > row.null) == (row.says == "higher")
        return _noted(row, SUPPORTED if holds else CONTRADICTED, "")
    seeds = seeds_to_resolve(row.estimate, row.null, row.margin, alpha)
    needed = f"about {seeds} seeds would resolve it" if seeds else f"over {MOST_SEEDS} seeds would resolve it"
    return _noted(row, NOT_RESOLVED, f"{'not after the correction; ' * (uncorrected <= ALPHA)}{needed}")


def _noted(row: Verdict, verdict: str, note: str) -> Verdict:
    return row._replace(verdict=verdict, note="; ".join(filter(None, [note, row.note])))


def _comparisons(results: Results) -> list[Verdict]:
    """What the claims say of each model and its baselines, by claim, measurement and setting; not judged yet."""
    pairs = list(_pairs(results))
    return [
        _compare(results, claim, name, setting, model, baseline)
        for claim in claims.CLAIMS
        for name in claim.says
        for setting, model, baseline in pairs
        if claim.is_about(MODELS[model[0].model], MODELS[baseline[0].model])
        and all(_is_measured(results, name, runs) for runs in (model, baseline))
    ]


def _pairs(results: Results) -> Iterator[tuple[str, Runs, Runs]]:
    """Each setting, with the runs of a model and of its baseline, which agree in all fields that both models read."""
    settings, varying = group_seeds(results.configs), settings_fields(results.configs)
    for model, baseline in [(name, other) for name in varying for other in MODELS[name].baselines]:
        shared = [name for name in FIELDS if name not in ("model", "seed") and _both_read(name, model, baseline)]
        own = [name for name in varying.get(baseline, []) if name not in shared]
        twins: dict[Any, list[Runs]] = {}
        for runs in settings:
            if runs[0].model == baseline:
                twins.setdefault(_values(runs[0], shared), []).append(runs)
        for runs in settings:
            for twin in twins.get(_values(runs[0], shared), []) if runs[0].model == model else []:
                of_baseline = describe(twin[0], own)  # which may have several settings
                parts = describe(runs[0], varying[model]), of_baseline and f"{MODELS[baseline].title}: {of_baseline}"
                yield ", ".join(filter(None, parts)), runs, twin


def group_seeds(configs: Iterable[Config], without: tuple[str, ...] = ()) -> list[Runs]:
    """The runs that differ in nothing but their seeds, and in the fields without which they are compared."""
    defaults: dict[str, Any] = {name: FIELDS[name].default for name in ("seed", *without)}
    settings: dict[Config, Runs] = {}
    for config in configs:
        settings.setdefault(dataclasses.replace(config, **defaults), []).append(config)
    return list(settings.values())


def settings_fields(configs: Sequence[Config]) -> dict[str, list[str]]:
    """By model: the fields that tell its settings apart."""
    runs_of: dict[str, Runs] = {}
    for config in configs:
        runs_of.setdefault(config.model, []).append(config)
    return {model: [name for name in varying_fields(runs) if name != "seed"] for model, runs in runs_of.items()}


def _both_read(name: str, *models: str) -> bool:
    return all(name not in MODEL_FIELDS or name in MODELS[model].fields for model in models)


def _values(config: Config, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(getattr(config, name) for name in names)


def _compare(results: Results, claim: Claim, name: str, setting: str, model: Runs, baseline: Runs) -> Verdict:
    models, is_paired, note = (model[0].model, baseline[0].model), _seeds(model) == _seeds(baseline), ""
    if is_paired:  # a seed without one of its two runs says nothing about the difference
        found = [_seeds(_evaluated(results, runs)) for runs in (model, baseline)]
        model, baseline = ([run for run in runs if run.seed in found[0] & found[1]] for runs in (model, baseline))
        note = _without(found[0] ^ found[1])
    entry, says, null, margin = MEASUREMENTS[name], claim.says[name], 0.0, MEASUREMENTS[name].margin
    if says == claims.AS_GOOD:  # non-inferiority: the baseline is not worse by the margin or more
        assert margin is not None, name
        says, null, margin = ("higher", -margin, None) if entry.better == "lower" else ("lower", margin, None)
    difference = paired_difference if is_paired else welch_difference
    return Verdict(
        claim, name, setting, *models, PAIRED if is_paired else WELCH,
        _spread(results, name, model), _spread(results, name, baseline),
        _estimate(difference, _numbers(results, name, baseline), _numbers(results, name, model)),
        says, null, margin, note=note,
    )  # fmt: skip


def _alone(results: Results) -> list[Verdict]:
    """What is claimed of each model alone; not judged yet."""
    varying = settings_fields(results.configs)
    return [
        Verdict(
            claim, name, describe(runs[0], varying[runs[0].model]), runs[0].model, None, ALONE,
            _spread(results, name, runs), "", _estimate(mean_of, _numbers(results, name, runs)), says,
            claims.NEAR, None, note=_without(_seeds(runs) - _seeds(_evaluated(results, runs))),
        )
        for claim in claims.CLAIMS_ALONE
        for name, says in claim.says.items()
        for runs in group_seeds(results.configs)
        if _is_measured(results, name, runs)
    ]  # fmt: skip


def _dose_responses(results: Results) -> list[Verdict]:
    """What is claimed of the slopes over log2 of the KL weight, by measurement, model and setting; not judged yet."""
    varying = settings_fields(results.configs)
    dosed = [config for config in results.rows if config.uses("kl_weight") and config.kl_weight > 0]  # 0 has no log
    settings = group_seeds(dosed, without=("kl_weight",))
    return [
        _dose_response(results, name, runs, [field for field in varying[runs[0].model] if field != "kl_weight"])
        for name in claims.DOSE_RESPONSE.says
        for runs in settings
        if _is_measured(results, name, runs) and len({config.kl_weight for config in runs}) >= MIN_WEIGHTS
    ]


def _dose_response(results: Results, name: str, runs: Runs, fields: Sequence[str]) -> Verdict:
    """Fits a line for each seed, since runs of one seed resemble each other and do not scatter on their own."""
    doses = sorted({math.log2(config.kl_weight) for config in runs})
    lines: dict[int, dict[float, Any]] = {seed: {} for seed in sorted(_seeds(runs))}
    for config in runs:
        lines[config.seed][math.log2(config.kl_weight)] = results.rows[config].get(name)
    whole = {seed: [line[dose] for dose in doses] for seed, line in lines.items() if len(line) == len(doses)}
    slopes = [None if None in responses else slope(doses, responses) for responses in whole.values()]
    # Level is what changes by less than matters from the smallest weight to the largest.
    margin = MEASUREMENTS[name].margin
    return Verdict(
        claims.DOSE_RESPONSE, name, describe(runs[0], fields), runs[0].model, None, SLOPE, "", "",
        _estimate(mean_of, slopes), claims.DOSE_RESPONSE.says[name], 0.0,
        None if margin is None else margin / (doses[-1] - doses[0]), note=_without(lines.keys() - whole.keys()),
    )  # fmt: skip


def _seeds(runs: Iterable[Config]) -> set[int]:
    return {config.seed for config in runs}


def _evaluated(results: Results, runs: Runs) -> Runs:
    return [config for config in runs if config in results.rows]


def _numbers(results: Results, name: str, runs: Runs) -> list[float | None]:
    """A measurement of the evaluated runs, in the order of their seeds."""
    return [results.rows[config].get(name) for config in sorted(_evaluated(results, runs), key=lambda c: c.seed)]


def _is_measured(results: Results, name: str, runs: Runs) -> bool:
    return any(number is not None for number in _numbers(results, name, runs))


def _spread(results: Results, name: str, runs: Runs) -> str:
    return spread(name, [results.rows[config] for config in _evaluated(results, runs)])


def _estimate(estimator: Callable[..., Estimate], *sides: Sequence[float | None]) -> Estimate:
    """NaN if a number is missing, since no other seed can stand for that run."""
    if all(sides) and not any(None in numbers for numbers in sides):
        return estimator(*sides)
    return Estimate(math.nan, math.nan, math.nan, math.nan, min(map(len, sides)))


def _without(seeds: Set[int]) -> str:
    """Says which seeds are left out, because one of their runs has no numbers."""
    return f"without seed{'s' * (len(seeds) > 1)} {', '.join(map(str, sorted(seeds)))}" if seeds else ""
