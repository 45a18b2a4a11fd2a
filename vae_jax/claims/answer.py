"""Verdicts -> the answer: a few sentences on what turning an AE into a VAE buys, and what it costs.

They are about the main pair, the last model and its baseline, and each says what its verdicts say and no more.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from vae_jax.claims.claims import CLAIMS, PRICE
from vae_jax.claims.results import Results, grouped, setting_of
from vae_jax.claims.summary import DASH, rounded, spread
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


class Texts(NamedTuple):
    """The texts of one language; a phrase {what} is about {model} and {baseline}."""

    phrases: Mapping[str, tuple[str, str, str]]  # by measurement: its topic, and what is gained or lost
    at: str  # before what is said of one {setting} of several
    gained: str
    lost: str
    paid: str
    other: Mapping[str, str]  # by verdict: around a list of topics
    numbers: str  # after a phrase: {value}, the {baseline}'s {other}, and the {estimate} in [{low}, {high}]
    one_seed: str  # around the list of topics with their numbers
    counted: str  # after a phrase: it is so in {k} of {n} settings
    trained: str  # what is said without a comparison
    labels: Mapping[str, str]  # of the main numbers of models that are compared with nothing
    last: str  # between the last two of a list
    to: str  # between the least and the greatest of several numbers


ENGLISH = Texts(
    {claim.measurement: (claim.topic, claim.gain, claim.loss) for claim in CLAIMS},
    at="at {setting}, {what}",
    gained="beside the {baseline}, the {model} has {what}",
    lost="beside the {baseline}, the {model} has {what}, against the claim",
    paid="the price: {what}",
    other={LEVEL: "no difference that matters: {what}", NOT_RESOLVED: "not resolved: {what}",
           NOT_JUDGED: "not judged, as a model does not reconstruct: {what}"},
    numbers="{what} ({value} against {other}; difference {estimate} [{low}, {high}])",
    one_seed="{model} against {baseline}, one seed, so no interval and no verdict: {what}",
    counted="{what} (in {k} of {n} settings)",
    trained="trained on {dataset}, the {model} has a {label} of {value} nats per image",
    labels={"test_elbo": "test ELBO", "test_distortion": "test distortion"},
    last=" and ",
    to="{low} to {high}",
)  # fmt: skip


def answer(results: Results, verdicts: Sequence[Verdict], texts: Texts = ENGLISH) -> list[str]:
    """Answers the question of an experiment that compares models.

    Args:
        results: of all runs.
        verdicts: what `judge` makes of them.
        texts: of a language.

    Returns:
        Sentences on what is gained, lost and paid, with the number and interval of the first of each, and on what is
        level, not resolved or not judged. With one seed, the numbers. Without a comparison, a sentence on each model
        that was trained; none if no run is evaluated.
    """
    rows = _main_pair(verdicts)
    if not rows:
        return [_sentence(text) for text in _alone(results, texts)]
    settings = dict.fromkeys(row.pair.setting for row in rows)
    groups = [[row for row in rows if row.pair.setting == setting] for setting in settings]
    if len(groups) > MAX_SETTINGS:
        groups = [rows]
    sentences = []
    for group in groups:
        said = _said(group, len(settings), texts)
        at = texts.at if 1 < len(settings) == len(groups) else "{what}"
        sentences += [at.format(setting=group[0].pair.setting, what=text) for text in said[:1]] + said[1:]
    return [_sentence(text) for text in sentences]


def _main_pair(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts on the last model and its baseline."""
    order = list(MODELS)
    last = max((row.model for row in verdicts), key=order.index, default=None)
    return [row for row in verdicts if row.model == last]


def _said(rows: Sequence[Verdict], num_settings: int, texts: Texts) -> list[str]:
    """What is said of verdicts in one setting, or in all of them."""
    names = {"model": MODELS[rows[0].model].title, "baseline": MODELS[rows[0].baseline].title}
    if all(row.note == ONE_SEED for row in rows):
        topics = [f"{texts.phrases[row.claim.measurement][0]} {_span(row.model_numbers, texts)} / "
                  f"{_span(row.baseline_numbers, texts)}" for row in rows]  # fmt: skip
        return [texts.one_seed.format(what=", ".join(topics), **names)]
    said = []
    for form, verdict, index, is_price in (
        (texts.gained, SUPPORTED, 1, False), (texts.lost, CONTRADICTED, 2, False),
        (texts.paid, SUPPORTED, 1, True), (texts.gained, CONTRADICTED, 2, True),
    ):  # fmt: skip
        chosen = [row for row in rows if row.verdict == verdict and (row.claim is PRICE) == is_price]
        if chosen:
            said.append(form.format(what=_list(_phrases(chosen, index, num_settings, texts), texts), **names))
    for verdict, form in texts.other.items():
        topics = _phrases([row for row in rows if row.verdict == verdict], 0, num_settings, texts)
        if topics:
            said.append(form.format(what=_list(topics, texts)))
    return said


def _phrases(rows: Sequence[Verdict], index: int, num_settings: int, texts: Texts) -> list[str]:
    """A phrase for each claim among the verdicts: the first with its numbers, or in how many settings it is so."""
    found = list[str]()
    for claim in dict.fromkeys(row.claim for row in rows):
        of_claim = [row for row in rows if row.claim is claim]
        phrase = texts.phrases[claim.measurement][index]
        if len({row.pair.setting for row in rows}) > 1 or num_settings > MAX_SETTINGS:
            phrase = texts.counted.format(what=phrase, k=len(of_claim), n=num_settings)
        elif index and not found:
            phrase = _with_numbers(phrase, of_claim[0], texts)
        found.append(phrase)
    return found


def _with_numbers(phrase: str, row: Verdict, texts: Texts) -> str:
    low, high = row.estimate.interval()
    shown = {"low": low, "high": high, "estimate": row.estimate.value}
    shown |= {"value": _mean(row.model_numbers), "other": _mean(row.baseline_numbers)}
    reach = (high - low) / 2
    numbers = {name: rounded(number, reach) for name, number in shown.items()}
    return texts.numbers.format(what=phrase, baseline=MODELS[row.baseline].title, **numbers)


def _alone(results: Results, texts: Texts) -> list[str]:
    """What was trained, and the main number of each model."""
    found: dict[str, list[float]] = {}
    for runs in grouped(results.configs, setting_of):
        name = _main_number(runs[0].model)
        text = spread(name, results.of(runs))
        if text != DASH:
            found.setdefault(runs[0].model, []).append(float(text.split()[0]))
    return [
        texts.trained.format(
            model=MODELS[model].title,
            dataset=", ".join(dict.fromkeys(config.dataset for config in results.rows if config.model == model)),
            label=texts.labels[_main_number(model)],
            value=_span(values, texts),
        )
        for model, values in found.items()
    ]


def _main_number(model: str) -> str:
    return "test_elbo" if MODELS[model].has_variance else "test_distortion"


def _mean(numbers: Sequence[float | None]) -> float:
    return math.fsum(number for number in numbers if number is not None) / len(numbers)


def _span(numbers: Sequence[float | None], texts: Texts) -> str:
    """The least and the greatest of some numbers, with four digits."""
    ends = [f"{end(number for number in numbers if number is not None):.4g}" for end in (min, max)]
    return ends[0] if ends[0] == ends[1] else texts.to.format(low=ends[0], high=ends[1])


def _list(parts: Sequence[str], texts: Texts) -> str:
    """`a, b and c`."""
    *first, last = parts
    return f"{', '.join(first)}{texts.last}{last}" if first else last


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
