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

    text: str  # with `{model}` and `{baseline}` in place of their titles
    says: Mapping[str, str]  # by measurement: whether the model's number is "higher" or "lower", or rises or falls
    is_about: Callable[[Model], bool] = lambda model: True  # whether it says anything about this model


class Verdict(NamedTuple):
    """A verdict on what one claim says about one measurement, in one setting."""

    claim: str
    measurement: str  # its name in `MEASUREMENTS`
    setting: str  # what the runs have in common, such as `latent_dim 2`
    model: str  # its name in `MODELS`
    baseline: str | None  # the model it is compared with; None for a slope over the KL weight
    model_value: str  # mean ± standard deviation over seeds; empty for a slope
    baseline_value: str
    seeds: int  # runs on the side that has fewer, or for a slope at the KL weight that has fewest
    difference: float  # model - baseline, or the slope per doubling of the KL weight
    low: float  # lower end of the 95 % interval of the difference; NaN if there is none
    high: float
    verdict: str = NOT_RESOLVED  # or SUPPORTED or CONTRADICTED
    reason: str = ""  # why there is no interval; empty if there is one


CLAIMS = (
    Claim(
        "The {baseline} maps an image to a point, the {model} to a distribution around it",
        {"posterior_width": "higher"},
        lambda model: model.noise != "none",
    ),
    Claim(
        "Nearby codes decode to similar images in the {model}, less so in the {baseline}",
        {"step_0_1_change": "lower", "step_0_3_change": "lower", "step_1_0_change": "lower", "step_0_3_flips": "lower"},
    ),
    Claim(
        "Samples of N(0, I) are plausible images from the {model}, not from the {baseline}",
        {
            "prior_frechet": "lower",
            "prior_implausible_excess": "lower",
            "gaussian_frechet": "lower",
            "mixture_frechet": "lower",
        },
    ),
    Claim(
        "The KL term pulls the codes towards N(0, I) and closes the gaps",
        {"kl_prior_knn": "lower", "mmd_prior": "lower", "gaussian_implausible_excess": "lower"},
        lambda model: "kl_weight" in model.fields,
    ),
    Claim(
        "Similar images cluster, and more so in the {model}",
        {"knn_accuracy": "higher", "silhouette": "higher", "nmi": "higher"},
    ),
    Claim("Unseen codes decode to plausible images", {"midpoint_implausible_excess": "lower", "cycle_error": "lower"}),
    Claim("The price: the {model} gives up reconstruction", {"test_distortion": "higher", "test_mse": "higher"}),
)

DOSE_RESPONSE = Claim(
    "The more the KL term weighs, the closer the codes are to N(0, I), the fewer the holes, and the higher the price",
    {"kl_prior_knn": "lower", "prior_implausible_excess": "lower", "test_distortion": "higher"},
)


def judge_claims(results: Results) -> list[Verdict]:
    """Judges all claims: each model against its baselines in each setting, then each model over the KL weight."""
    return _comparisons(results) + _dose_responses(results)


def difference_interval(baseline: Sequence[float], model: Sequence[float]) -> tuple[float, float, float]:
    """Returns mean(model) - mean(baseline) and the ends of its Welch t-interval, NaN if either has fewer than 2 values.

    See Welch 1947, The generalization of 'Student's' problem.
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
        _compare(claim, name, model, baseline, setting, [[run.get(name) for run in runs] for runs in pair])
        for claim in CLAIMS
        for name in claim.says
        for (model, baseline, setting), pair in pairs.items()
        if claim.is_about(MODELS[model]) and all(any(run.get(name) is not None for run in runs) for runs in pair)
    ]


def _pairs(results: Results) -> dict[tuple[str, str, str], tuple[list[Any], list[Any]]]:
    """By model, baseline and setting: the numbers of the baseline's runs and of the model's, one a seed."""
    runs_of: dict[Config, list[Any]] = {}
    for config, row in results.rows.items():
        runs_of.setdefault(dataclasses.replace(config, seed=0), []).append(row)
    pairs = {}
    for config, runs in runs_of.items():
        for baseline in MODELS[config.model].baselines:
            twins = runs_of.get(canonical(dataclasses.replace(config, model=baseline)))
            if twins:
                pairs[config.model, baseline, describe(config, results.configs)] = twins, runs
    return pairs


def _compare(
    claim: Claim, name: str, model: str, baseline: str, setting: str, pair: Sequence[Sequence[float | None]]
) -> Verdict:
    of_baseline, of_model = ([value for value in values if value is not None] for values in pair)
    verdict = Verdict(
        claim.text.format(model=MODELS[model].title, baseline=MODELS[baseline].title), name, setting, model, baseline,
        _mean_sd(of_model), _mean_sd(of_baseline), min(map(len, pair)), *difference_interval(of_baseline, of_model),
    )  # fmt: skip
    return _judged(verdict, claim, any(None in values for values in pair))


def _dose_responses(results: Results) -> list[Verdict]:
    """Verdicts on the slopes over log2 of the KL weight, by measurement, model and setting."""
    doses: dict[tuple[str, str], list[tuple[float, Any]]] = {}
    for config, row in results.rows.items():
        if config.uses("kl_weight") and config.kl_weight > 0:  # 0 has no logarithm
            key = config.model, describe(config, results.configs, without=("kl_weight",))
            doses.setdefault(key, []).append((math.log2(config.kl_weight), row))
    verdicts = []
    for name in DOSE_RESPONSE.says:
        for (model, setting), runs in doses.items():
            weights = [weight for weight, _ in runs]
            points = [(weight, row[name]) for weight, row in runs if row.get(name) is not None]
            if len({weight for weight, _ in points}) >= MIN_WEIGHTS:
                verdict = Verdict(
                    DOSE_RESPONSE.text, name, setting, model, None, "", "", min(map(weights.count, weights)),
                    *slope_interval([x for x, _ in points], [y for _, y in points]),
                )  # fmt: skip
                verdicts.append(_judged(verdict, DOSE_RESPONSE, len(points) < len(runs)))
    return verdicts


def _judged(verdict: Verdict, claim: Claim, missing: bool) -> Verdict:
    """Judges the interval; there is none if a number is missing, since no other seed can stand for that run."""
    if missing:
        return verdict._replace(low=math.nan, high=math.nan, reason=MISSING_NUMBER)
    judged = judge(verdict.low, verdict.high, claim.says[verdict.measurement])
    return verdict._replace(verdict=judged, reason=ONE_SEED if math.isnan(verdict.low) else "")


def _mean_sd(values: Sequence[float]) -> str:
    mean = f"{np.mean(values):.3g}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.2g}"
