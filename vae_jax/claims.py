"""Common claims about latent spaces, and verdicts on them computed from the numbers of trained runs.

A claim compares each model with its baseline over seeds, or follows a model over the KL weight. Every verdict is
computed from a 95 % interval.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from vae_jax.config import Config, canonical
from vae_jax.models import MODELS, Model
from vae_jax.results import Results, describe

SUPPORTED, CONTRADICTED, NOT_RESOLVED = "supported", "contradicted", "not resolved"
ONE_SEED, MISSING_NUMBER = "one seed", "a run has no finite number"  # why a verdict may be impossible
MIN_WEIGHTS = 3  # KL weights of a slope
LEVEL = 0.95  # of the intervals


class Claim(NamedTuple):
    """A sentence, and what it says about measurements."""

    text: str
    """The sentence, with `{model}` and `{baseline}` in place of their titles."""
    says: Mapping[str, str]
    """By measurement: whether the model's number is "higher" or "lower" than the baseline's, or rises or falls."""
    is_about: Callable[[Model], bool] = lambda model: True
    """Whether it says anything about this model."""


class Verdict(NamedTuple):
    """A verdict on what one claim says about one measurement, in one setting."""

    claim: str
    measurement: str
    """Its name in `MEASUREMENTS`."""
    setting: str
    """What the runs have in common, such as `latent_dim 2`."""
    model: str
    """Its name in `MODELS`."""
    baseline: str | None
    """The model it is compared with; None for a slope over the KL weight."""
    model_value: str
    """Mean ± standard deviation over seeds; empty for a slope."""
    baseline_value: str
    seeds: int
    """Runs on the side that has fewer, or for a slope at the KL weight that has fewest."""
    difference: float
    """Model - baseline, or the slope per doubling of the KL weight."""
    low: float
    """Lower end of the 95 % interval of the difference; NaN if there is none."""
    high: float
    verdict: str = NOT_RESOLVED
    """`SUPPORTED`, `CONTRADICTED` or `NOT_RESOLVED`."""
    reason: str = ""
    """Why there is no interval; empty if there is one."""


CLAIMS = (
    Claim(
        "The {baseline} maps an image to a point, the {model} to a distribution around it",
        {"posterior_width": "higher"},
        lambda model: model.has_variance,
    ),
    Claim(
        "Nearby codes decode to similar images in the {model}, less so in the {baseline}",
        {"step_0_1_change": "lower", "step_0_3_change": "lower", "step_1_0_change": "lower", "step_0_3_flips": "lower"},
    ),
    Claim(
        "Samples of N(0, I) are plausible images from the {model}, not from the {baseline}",
        {"prior_frechet": "lower", "hole_mass_prior": "lower", "gaussian_frechet": "lower", "mixture_frechet": "lower"},
    ),
    Claim(
        "The KL term pulls the codes towards N(0, I) and closes the gaps",
        {"kl_prior_knn": "lower", "mmd_prior": "lower", "hole_mass_gaussian": "lower"},
        lambda model: "kl_weight" in model.fields,
    ),
    Claim(
        "Similar images cluster, and more so in the {model}",
        {"knn_accuracy": "higher", "silhouette": "higher", "nmi": "higher"},
    ),
    Claim("Unseen codes decode to plausible images", {"midpoint_plausible": "higher", "cycle_error": "lower"}),
    Claim("The price: the {model} gives up reconstruction", {"test_distortion": "higher", "test_mse": "higher"}),
)

DOSE_RESPONSE = Claim(
    "The more the KL term weighs, the closer the codes are to N(0, I), the fewer the holes, and the higher the price",
    {"kl_prior_knn": "lower", "hole_mass_prior": "lower", "test_distortion": "higher"},
)


def judge_claims(results: Results) -> list[Verdict]:
    """Judges all claims: each model against its baseline in each setting, then each model over the KL weight."""
    return _comparisons(results) + _dose_responses(results)


def difference_interval(baseline: Sequence[float], model: Sequence[float]) -> tuple[float, float, float]:
    """Returns mean(model) - mean(baseline) and the ends of its Welch t-interval, NaN if either has fewer than 2 values.

    References:
        Welch 1947, The generalization of 'Student's' problem.
    """
    difference = float(np.mean(model) - np.mean(baseline))
    if min(len(baseline), len(model)) < 2:
        return difference, math.nan, math.nan
    if np.ptp(baseline) == 0 and np.ptp(model) == 0:
        return difference, difference, difference
    scale = float(np.abs([*model, *baseline]).max())  # without which fourth powers may overflow
    test = scipy.stats.ttest_ind(np.divide(model, scale), np.divide(baseline, scale), equal_var=False)
    interval = test.confidence_interval(LEVEL)
    return difference, scale * float(interval.low), scale * float(interval.high)


def slope_interval(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Returns the least-squares slope of y over x and the ends of its t-interval, NaN if an x has only one y.

    With one run at each x, the scatter around the line has no spread between seeds in it, only how far the response is
    from a straight line; it cannot say whether other seeds would give another slope.
    """
    fit = scipy.stats.linregress(x, y)
    slope = float(fit.slope)
    if min(np.unique(x, return_counts=True)[1]) < 2:
        return slope, math.nan, math.nan
    reach = float(scipy.stats.t.ppf((1 + LEVEL) / 2, len(x) - 2) * fit.stderr)
    return slope, slope - reach, slope + reach


def judge(low: float, high: float, says: str) -> str:
    """Returns the verdict on "the difference is above 0" (if it `says` "higher", else below) from its interval."""
    if low > 0 or high < 0:
        return SUPPORTED if (low > 0) == (says == "higher") else CONTRADICTED
    return NOT_RESOLVED  # also for NaN


def _comparisons(results: Results) -> list[Verdict]:
    """Verdicts for each pair of a model and its baseline, by claim, measurement and setting."""
    pairs = _pairs(results)
    return [
        _compare(claim, name, model, setting, [[run.get(name) for run in runs] for runs in pair])
        for model in dict.fromkeys(model for model, _ in pairs)
        for claim in CLAIMS
        if claim.is_about(MODELS[model])
        for name in claim.says
        for (other, setting), pair in pairs.items()
        if other == model and all(any(run.get(name) is not None for run in runs) for runs in pair)
    ]


def _pairs(results: Results) -> dict[tuple[str, str], tuple[list[Any], list[Any]]]:
    """By model and setting: the numbers of the baseline's runs and of the model's, one a seed."""
    runs_of: dict[Config, list[Any]] = {}
    for config, row in results.evaluated:
        runs_of.setdefault(dataclasses.replace(config, seed=0), []).append(row)
    pairs = {}
    for config, runs in runs_of.items():
        if baseline := MODELS[config.model].baseline:
            twins = runs_of.get(canonical(dataclasses.replace(config, model=baseline)))
            if twins:
                pairs[config.model, describe(config, results.configs)] = twins, runs
    return pairs


def _compare(claim: Claim, name: str, model: str, setting: str, pair: Sequence[Sequence[float | None]]) -> Verdict:
    baseline = str(MODELS[model].baseline)
    numbers = [[value for value in values if value is not None] for values in pair]
    row = Verdict(
        claim.text.format(model=MODELS[model].title, baseline=MODELS[baseline].title), name, setting, model, baseline,
        _mean_sd(numbers[1]), _mean_sd(numbers[0]), min(map(len, pair)), *difference_interval(*numbers),
    )  # fmt: skip
    return _judged(row, claim, any(None in values for values in pair))


def _dose_responses(results: Results) -> list[Verdict]:
    """Verdicts on the slopes over log2 of the KL weight, by measurement, model and setting."""
    doses: dict[tuple[str, str], list[tuple[float, Any]]] = {}
    for config, row in results.evaluated:
        if config.uses("kl_weight") and config.kl_weight > 0:  # 0 has no logarithm
            key = config.model, describe(config, results.configs, without=("kl_weight",))
            doses.setdefault(key, []).append((config.kl_weight, row))
    return [
        _slope(name, model, setting, [(weight, row.get(name)) for weight, row in runs])
        for name in DOSE_RESPONSE.says
        for (model, setting), runs in doses.items()
        if len({weight for weight, row in runs if row.get(name) is not None}) >= MIN_WEIGHTS
    ]


def _slope(name: str, model: str, setting: str, runs: Sequence[tuple[float, float | None]]) -> Verdict:
    weights = [weight for weight, _ in runs]
    points = [(math.log2(weight), value) for weight, value in runs if value is not None]
    row = Verdict(
        DOSE_RESPONSE.text, name, setting, model, None, "", "", min(map(weights.count, weights)),
        *slope_interval([x for x, _ in points], [y for _, y in points]),
    )  # fmt: skip
    return _judged(row, DOSE_RESPONSE, len(points) < len(runs))


def _judged(row: Verdict, claim: Claim, missing: bool) -> Verdict:
    """The verdict from the interval; with none if a number is missing, since no other seed can stand for that run."""
    if missing:
        return row._replace(low=math.nan, high=math.nan, reason=MISSING_NUMBER)
    verdict = judge(row.low, row.high, claim.says[row.measurement])
    return row._replace(verdict=verdict, reason=ONE_SEED if math.isnan(row.low) else "")


def _mean_sd(values: Sequence[float]) -> str:
    mean = f"{np.mean(values):.3g}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.2g}"
