"""Verdicts -> the answer: a few sentences on what turning an AE into a VAE buys, and what it costs.

They are about the main pair, the last model and its baseline, and each says what its verdicts say and no more.
"""

import math
from collections.abc import Sequence
from typing import Literal

from vae_jax.claims.claims import CLAIMS, PRICE, Claim
from vae_jax.claims.results import Results, grouped, setting_of
from vae_jax.claims.summary import DASH, Translate, rounded, spread
from vae_jax.claims.verdicts import (
    CONTRADICTED,
    LEVEL,
    NOT_JUDGED,
    NOT_RESOLVED,
    ONE_SEED,
    SUPPORTED,
    Verdict,
)
from vae_jax.models import MODELS

MAX_SETTINGS = 3  # that have sentences of their own; of more, it is counted how many a phrase is true of

Form = Literal["topic", "gain", "loss"]
"""Which of a claim's phrases."""

_GAINS = CLAIMS[:-1]
_SENTENCES: tuple[tuple[str, Sequence[Claim], Form, str], ...] = (
    (SUPPORTED, _GAINS, "gain", "beside the {baseline}, the {model} has {what}"),
    (CONTRADICTED, _GAINS, "loss", "beside the {baseline}, the {model} has {what}, against the claim"),
    (SUPPORTED, [PRICE], "gain", "the price: {what}"),
    (CONTRADICTED, [PRICE], "loss", "beside the {baseline}, the {model} has {what}"),
    (LEVEL, CLAIMS, "topic", "no difference that matters: {what}"),
    (NOT_RESOLVED, CLAIMS, "topic", "not resolved: {what}"),
    (NOT_JUDGED, CLAIMS, "topic", "not judged, as a model does not reconstruct: {what}"),
)  # fmt: skip
"""Each sentence of an answer: the verdict and claims that it is about, the phrase of a claim that it uses, its text."""


def answer(results: Results, verdicts: Sequence[Verdict], _: Translate = str.format) -> list[str]:
    """Answers the question of an experiment that compares models.

    Args:
        results: of all runs.
        verdicts: what `judge` makes of them.
        _: into the language of the answer; as it is, English.

    Returns:
        Sentences on what is gained, lost and paid, with the number and interval of the first of each, and on what is
        level, not resolved or not judged. With one seed, the numbers. Without a comparison, a sentence on each model
        that was trained; none if no run is evaluated.
    """
    rows = _main_pair(verdicts)
    if not rows:
        return [_sentence(text) for text in _alone(results, _)]
    settings = dict.fromkeys(row.pair.setting for row in rows)
    groups = [[row for row in rows if row.pair.setting == setting] for setting in settings]
    if len(groups) > MAX_SETTINGS:
        groups = [rows]
    sentences = []
    for group in groups:
        first, *rest = _said(group, len(settings), _)
        if 1 < len(settings) == len(groups):
            first = _("at {setting}, {what}", setting=group[0].pair.setting, what=first)
        sentences += [first, *rest]
    return [_sentence(text) for text in sentences]


def _main_pair(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts on the last model and its baseline."""
    order = list(MODELS)
    last = max((row.model for row in verdicts), key=order.index, default=None)
    return [row for row in verdicts if row.model == last]


def _said(rows: Sequence[Verdict], num_settings: int, _: Translate) -> list[str]:
    """Returns the sentences about the verdicts of one setting, or of all settings."""
    names = {"model": MODELS[rows[0].model].title, "baseline": MODELS[rows[0].baseline].title}
    said = []
    if single := [row for row in rows if row.note == ONE_SEED]:
        topics = [f"{_(row.claim.topic)} {_span(row.model_numbers, _)} / {_span(row.baseline_numbers, _)}"
                  for row in single]  # fmt: skip
        text = "{model} against {baseline}, one seed, so no interval and no verdict: {what}"
        said.append(_(text, what=", ".join(topics), **names))
    rows = [row for row in rows if row.note != ONE_SEED]
    for verdict, claims, form, text in _SENTENCES:
        chosen = [row for row in rows if row.verdict == verdict and row.claim in claims]
        if chosen:
            said.append(_(text, what=_list(_phrases(chosen, form, num_settings, _), _), **names))
    return said


def _phrases(rows: Sequence[Verdict], form: Form, num_settings: int, _: Translate) -> list[str]:
    """A phrase for each claim among the verdicts: the first with its numbers, or in how many settings it is so."""
    found = list[str]()
    for claim in dict.fromkeys(row.claim for row in rows):
        of_claim = [row for row in rows if row.claim is claim]
        phrase = _(getattr(claim, form))
        if len({row.pair.setting for row in rows}) > 1 or num_settings > MAX_SETTINGS:
            phrase = _("{what} (in {k} of {n} settings)", what=phrase, k=len(of_claim), n=num_settings)
        elif form != "topic" and not found:
            phrase = _with_numbers(phrase, of_claim[0], _)
        found.append(phrase)
    return found


def _with_numbers(phrase: str, row: Verdict, _: Translate) -> str:
    low, high = row.estimate.interval()
    shown = {"low": low, "high": high, "estimate": row.estimate.value}
    shown |= {"value": _mean(row.model_numbers), "other": _mean(row.baseline_numbers)}
    numbers = {name: rounded(number, (high - low) / 2) for name, number in shown.items()}
    text = "{what} ({value} against {other}; difference {estimate} [{low}, {high}])"
    return _(text, what=phrase, baseline=MODELS[row.baseline].title, **numbers)


def _alone(results: Results, _: Translate) -> list[str]:
    """What was trained, and the main number of each model."""
    found: dict[str, list[float]] = {}
    for runs in grouped(results.configs, setting_of):
        name = "test_elbo" if MODELS[runs[0].model].has_variance else "test_distortion"
        text = spread(name, results.of(runs))
        if text != DASH:
            found.setdefault(runs[0].model, []).append(float(text.split()[0]))
    elbo = "trained on {dataset}, the {model} has a test ELBO of {value} nats per image"
    distortion = "trained on {dataset}, the {model} has a test distortion of {value} nats per image"
    return [
        _(
            elbo if MODELS[model].has_variance else distortion,
            model=MODELS[model].title,
            dataset=", ".join(dict.fromkeys(config.dataset for config in results.rows if config.model == model)),
            value=_span(values, _),
        )
        for model, values in found.items()
    ]


def _mean(numbers: Sequence[float | None]) -> float:
    return math.fsum(number for number in numbers if number is not None) / len(numbers)


def _span(numbers: Sequence[float | None], _: Translate) -> str:
    """The least and the greatest of some numbers, with four digits."""
    low, high = (f"{end(number for number in numbers if number is not None):.4g}" for end in (min, max))
    return low if low == high else _("{low} to {high}", low=low, high=high)


def _list(parts: Sequence[str], _: Translate) -> str:
    """`a, b and c`."""
    *first, last = parts
    return _("{first} and {last}", first=", ".join(first), last=last) if first else last


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
