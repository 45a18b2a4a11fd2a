"""Numbers of a sweep -> which setting is best by each criterion, and whether other seeds would choose it, too.

What is chosen is compared with the next best by a t-test over seeds, at 5 %. Looking for the best among many settings
first does not make this test any less strict, as long as the settings' errors are independent and normal; see Gutmann &
Maymin 1987, Is the Selected Population the Best?
"""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from vae_jax.claims.intervals import ALPHA, Estimate, difference
from vae_jax.claims.results import (
    COMPARABLE_FIELDS,
    Results,
    comparable,
    describe,
    fields_by_model,
    grouped,
    setting_of,
)
from vae_jax.claims.summary import finite, spread
from vae_jax.config import Config
from vae_jax.models import MODELS

RESOLVED, TIED, NOT_RESOLVED, ONE_SEED = "resolved", "tied", "not resolved", "one seed"

CRITERIA = {
    "validation_elbo": "higher",
    "prior_frechet": "lower",
    "validation_distortion": "lower",
    "test_active_units": "higher",
}
"""What a setting may be chosen by, and which direction is better. The test ELBO is none: it judges what was chosen."""


class Choice(NamedTuple):
    """The best setting of a model by one criterion, and the next best."""

    criterion: str  # its name in `MEASUREMENTS`
    model: str  # its name in `MODELS`; empty for the best of all models, whose titles then stand in the settings
    within: str  # what these settings have in common, where not all runs can be compared; or empty
    setting: str  # the best, such as `latent_dim 16, kl_weight 0.5`
    value: str  # its mean and spreads
    next_setting: str
    next_value: str
    estimate: Estimate  # of best - next
    tied: int  # settings that are as good as the best one, with it
    settings: int  # all that have a number
    outcome: str  # RESOLVED, TIED, NOT_RESOLVED or ONE_SEED

    @property
    def p(self) -> float:
        """The p-value of "the two are equal"; NaN for one seed."""
        return self.estimate.p


class _Setting(NamedTuple):
    runs: list[Config]
    numbers: list[float]  # one an evaluated run
    mean: float


def choose(results: Results) -> list[Choice]:
    """Chooses by each criterion: for each model a setting, of those that can be compared, and one of all models."""
    settings = grouped(results.judged, setting_of)
    choices = list[Choice]()
    for name in CRITERIA:
        for of_all in grouped(settings, lambda runs: comparable(runs[0])):
            found = [_measured(results, name, group) for group in grouped(of_all, lambda runs: runs[0].model)]
            own = [_best(results, name, group) for group in found if len(group) > 1]
            choices += own
            if own and len([group for group in found if group]) > 1:
                choices.append(_best(results, name, _measured(results, name, of_all))._replace(model=""))
    return choices


def _measured(results: Results, name: str, group: Sequence[list[Config]]) -> list[_Setting]:
    """The settings that have a number, the best first; not those of which an evaluated run has none."""
    found = [
        _Setting(runs, numbers, statistics.fmean(numbers))
        for runs in group
        if (numbers := finite(results.numbers(name, runs)))
    ]
    return sorted(found, key=lambda setting: setting.mean, reverse=CRITERIA[name] == "higher")


def _best(results: Results, name: str, settings: Sequence[_Setting]) -> Choice:
    best, other = settings[:2]
    fields = fields_by_model(results.judged)
    has_models = len({setting.runs[0].model for setting in settings}) > 1
    estimate = difference(other.numbers, best.numbers)
    tied = sum(setting.mean == best.mean for setting in settings)
    outcome = ONE_SEED if math.isnan(estimate.p) else RESOLVED if estimate.p <= ALPHA else NOT_RESOLVED
    outcome = TIED if tied > 1 else outcome

    def described(setting: _Setting) -> str:
        config = setting.runs[0]
        own = describe(config, [field for field in fields[config.model] if field not in COMPARABLE_FIELDS])
        return ", ".join(filter(None, [MODELS[config.model].title * has_models, own]))

    common = [field for field in fields[best.runs[0].model] if field in COMPARABLE_FIELDS]
    of_best, of_other = described(best), described(other)
    value, next_value = (spread(name, results.of(setting.runs)) for setting in (best, other))
    return Choice(
        name, best.runs[0].model, describe(best.runs[0], common), of_best, value, of_other, next_value, estimate, tied,
        len(settings), outcome,
    )  # fmt: skip
