"""Numbers and verdicts -> the answer: two sentences that a stranger reads first, and the rest, which the page folds.

What varies in an experiment says of which kind it is: ingredients between two models, KL weights, latent dimensions, a
model beside its baseline, or a model alone. Each number is at one latent dimension, the largest, and has its 95 %
interval over seeds. Only the claims about a model and its baseline have verdicts; what is said of weights, dimensions
and ingredients is what these intervals say.
"""

import math
from collections.abc import Sequence
from typing import Literal

from vae_jax.claims.claims import CLAIMS, PRICE, Claim
from vae_jax.claims.intervals import mean_of
from vae_jax.claims.phrases import Moved, at_dims, dims_text, interval, listed, phrase, with_interval
from vae_jax.claims.results import Results, grouped, setting_of
from vae_jax.claims.summary import Translate, finite
from vae_jax.claims.sweeps import Answer, of_dimensions, of_ingredients, of_weights, off_one
from vae_jax.claims.verdicts import CONTRADICTED, LEVEL, NOT_JUDGED, NOT_RESOLVED, ONE_SEED, SUPPORTED, Verdict
from vae_jax.models import MODELS

MOST_GAINS, MOST_LOSSES = 3, 3  # that two sentences have room for
MAX_SETTINGS = 3  # of which the rest has sentences; of more, it is counted how many a phrase is true of

Form = Literal["topic", "gain", "loss"]
"""Which of a claim's phrases."""

_GAINS = CLAIMS[:-1]
_REST: tuple[tuple[str, Sequence[Claim], Form, str], ...] = (
    (SUPPORTED, _GAINS, "gain", "beside the {baseline}, the {model} has {what}"),
    (CONTRADICTED, _GAINS, "loss", "against the claim, the {model} has {what}"),
    (SUPPORTED, [PRICE], "gain", "the price: {what}"),
    (CONTRADICTED, [PRICE], "loss", "beside the {baseline}, the {model} has {what}"),
    (LEVEL, CLAIMS, "topic", "no difference that matters: {what}"),
    (NOT_RESOLVED, CLAIMS, "topic", "not resolved: {what}"),
    (NOT_JUDGED, CLAIMS, "topic", "not judged, as a model does not reconstruct: {what}"),
)  # fmt: skip
"""Each sentence of the rest: the verdict and claims that it is about, the phrase of a claim that it uses, its text."""


def answer(results: Results, verdicts: Sequence[Verdict], _: Translate = str.format) -> Answer:
    """Answers the question of an experiment.

    Args:
        results: of all runs.
        verdicts: what `judge` makes of them.
        _: into the language of the answer; as it is, English.

    Returns:
        Sentences and the rest; with one seed, numbers. None if no run is evaluated.
    """
    rows = _main_pair(verdicts)
    found = of_ingredients(results, _) or of_weights(results, _) or of_dimensions(results, _)
    if not found:
        found = Answer(_beside_baseline(rows, _), _rest(rows, _)) if rows else Answer(_alone(results, _))
    return Answer(*([_sentence(text) for text in part] for part in found))


def _main_pair(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts on the last model and its baseline."""
    order = list(MODELS)
    last = max((row.model for row in verdicts), key=order.index, default=None)
    return [row for row in verdicts if row.model == last]


# A model beside its baseline.


def _beside_baseline(rows: Sequence[Verdict], _: Translate) -> list[str]:
    """What the verdicts say at the largest dimension and the KL weight nearest to 1."""
    dims = max(row.pair.model[0].latent_dim for row in rows)
    rows = [row for row in rows if row.pair.model[0].latent_dim == dims]
    nearest = min(off_one(row.pair.model) for row in rows)
    rows = [row for row in rows if off_one(row.pair.model) == nearest]
    names = {"model": MODELS[rows[0].model].title, "baseline": MODELS[rows[0].baseline].title, "at": at_dims(dims, _)}
    if single := [row for row in rows if row.note == ONE_SEED and row.pair.setting == rows[0].pair.setting]:
        numbers = [f"{_span(row.model_numbers, _)} / {_span(row.baseline_numbers, _)}" for row in single]
        shown = [f"{_(row.claim.topic)} {both}" for row, both in zip(single, numbers, strict=True)]
        what = _("{at}, {model} / {baseline}: {what}", what=", ".join(shown), **names)
        return [what, _(ONE_SEED)]
    if len({row.pair.setting for row in rows}) > 1:
        first, *others = _said(rows, len({row.pair.setting for row in rows}), _)
        return [_("{at}, {what}", at=names["at"], what=first), *others[:1]]
    moved = [Moved(row.claim, row.estimate) for row in rows if row.verdict in (SUPPORTED, CONTRADICTED)]
    if not moved:
        return [_("{at}, no difference between {model} and {baseline} is resolved", **names)]
    gains, losses = _gains_and_losses(moved, _)
    gained = _("{at}, beside the {baseline}, the {model} has {what}", what=listed(gains, _), **names)
    nothing = _("{at}, the {model} has no advantage over the {baseline} that is resolved", **names)
    paid = [_("it pays with {what}", what=listed(losses, _))] if losses else []
    return [gained if gains else nothing, *paid]


def _gains_and_losses(moved: Sequence[Moved], _: Translate) -> tuple[list[str], list[str]]:
    """A few phrases for each; the first gain and the price have their numbers."""
    gains = [each for each in moved if each.is_gain][:MOST_GAINS]
    losses = sorted((each for each in moved if not each.is_gain), key=lambda each: each.claim is not PRICE)
    gained = [with_interval(each, _) if n == 0 else phrase(each, _) for n, each in enumerate(gains)]
    lost = [with_interval(each, _) if each.claim is PRICE else phrase(each, _) for each in losses]
    return gained, lost[:MOST_LOSSES]


# A model alone.


def _alone(results: Results, _: Translate) -> list[str]:
    """What was trained, and its main number."""
    sentences = []
    for runs in grouped(results.judged, lambda config: config.model):
        model = MODELS[runs[0].model]
        name = "test_elbo" if model.has_variance else "test_distortion"
        settings = [numbers for group in grouped(runs, setting_of) if (numbers := finite(results.numbers(name, group)))]
        if not settings:
            continue
        dims = sorted({config.latent_dim for config in runs})
        what = dims_text(dims[0], _) if len(dims) == 1 else _("{low} to {high} dimensions", low=dims[0], high=dims[-1])
        data = ", ".join(dict.fromkeys(config.dataset for config in runs))
        text = ("trained on {dataset}, the {model} of {dims} has a test ELBO of {value}" if model.has_variance
                else "trained on {dataset}, the {model} of {dims} has a test distortion of {value}")  # fmt: skip
        if len(settings) > 1:
            means = [math.fsum(numbers) / len(numbers) for numbers in settings]
            value = _("{span} nats an image in {n} settings", span=_span(means, _), n=len(settings))
        elif len(settings[0]) > 1:
            value = _("{value} nats an image", value=interval(mean_of(settings[0]), signed=False))
        else:
            value = _("{value} nats an image (one seed: no interval, no verdict)", value=f"{settings[0][0]:.4g}")
        sentences.append(_(text, dataset=data, model=model.title, dims=what, value=value))
    return sentences[-2:]


# The rest.


def _rest(rows: Sequence[Verdict], _: Translate) -> list[str]:
    """What the verdicts say of each setting."""
    rows = [row for row in rows if row.note != ONE_SEED]
    settings = dict.fromkeys(row.pair.setting for row in rows)
    groups = [[row for row in rows if row.pair.setting == setting] for setting in settings]
    if len(groups) > MAX_SETTINGS:
        groups = [rows]
    sentences = []
    for group in groups:
        first, *others = _said(group, len(settings), _)
        if 1 < len(settings) == len(groups):
            first = _("at {setting}, {what}", setting=group[0].pair.setting, what=first)
        sentences += [first, *others]
    return sentences


def _said(rows: Sequence[Verdict], num_settings: int, _: Translate) -> list[str]:
    """Returns the sentences about the verdicts of one setting, or of all settings."""
    names = {"model": MODELS[rows[0].model].title, "baseline": MODELS[rows[0].baseline].title}
    said = []
    for verdict, claims, form, text in _REST:
        chosen = [row for row in rows if row.verdict == verdict and row.claim in claims]
        if chosen:
            said.append(_(text, what=listed(_phrases(chosen, form, num_settings, _), _), **names))
    return said


def _phrases(rows: Sequence[Verdict], form: Form, num_settings: int, _: Translate) -> list[str]:
    """A phrase for each claim among the verdicts, or in how many settings it is so."""
    found = list[str]()
    for claim in dict.fromkeys(row.claim for row in rows):
        of_claim = [row for row in rows if row.claim is claim]
        phrase = _(getattr(claim, form))
        if len({row.pair.setting for row in rows}) > 1 or num_settings > MAX_SETTINGS:
            phrase = _("{what} (in {k} of {n} settings)", what=phrase, k=len(of_claim), n=num_settings)
        elif form != "topic":
            phrase = _("{what} ({numbers})", what=phrase, numbers=interval(of_claim[0].estimate))
        found.append(phrase)
    return found


def _span(numbers: Sequence[float | None], _: Translate) -> str:
    """The least and the greatest of some numbers, with four digits."""
    low, high = (f"{end(number for number in numbers if number is not None):.4g}" for end in (min, max))
    return low if low == high else _("{low} to {high}", low=low, high=high)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
