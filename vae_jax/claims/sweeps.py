"""What the sweeps of an experiment say: KL weights, latent dimensions, or ingredients between two models."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from vae_jax.claims.claims import CLAIMS, PRICE
from vae_jax.claims.intervals import difference
from vae_jax.claims.phrases import Moved, at_dims, certain, interval, listed, moved, phrase, with_interval
from vae_jax.claims.results import Results, fields_by_model, grouped, setting_of
from vae_jax.claims.summary import Translate, finite
from vae_jax.claims.verdicts import ONE_SEED, Runs, reconstructs
from vae_jax.models import MODELS

FEW = 3  # values that make a sweep
MOST_GAINS = 2  # of each half of the path of the KL weight that a sentence has room for


class Answer(NamedTuple):
    """What an experiment says, in sentences."""

    sentences: Sequence[str] = ()  # one or two, of 60 words at most
    rest: Sequence[str] = ()


# KL weights.


def of_weights(results: Results, _: Translate) -> Answer | None:
    """Says what a model gains and loses as its KL weight rises: from the smallest to 1, and from 1 to the largest.

    Where 1 is not between them, the middle weight takes its place. A weight at which a model does not reconstruct is
    left out. None without three weights, or if more varies.
    """
    main = main_model(results)
    if main is None or not set(fields_by_model(results.judged)[main]) <= {"kl_weight", "latent_dim"}:
        return None
    weights = _by_weight(results, main)
    if len(weights) < FEW:
        return None
    known = list(weights)
    middle = 1.0 if 1.0 in known[1:-1] else known[len(known) // 2]
    names = {"at": at_dims(weights[middle][0].latent_dim, _), "model": MODELS[main].title}
    if any(len(group) < 2 for group in weights.values()):
        values = [_("{value} at weight {weight}", weight=f"{weight:g}", value=_price(results, weights[weight]))
                  for weight in (known[0], middle, known[-1])]  # fmt: skip
        text = _("{at}, the distortion of the {model}, in nats an image, is {what}", what=listed(values, _), **names)
        return Answer([text, _(ONE_SEED)])
    texts = ("{at}, KL weight {high} instead of {low} brings the {model} {gains}, and costs {cost} nats of distortion",
             "from {low} to {high}, it brings {gains}, and costs {cost} nats")  # fmt: skip
    sentences, rest = list[str](), list[str]()
    for text, low, high in zip(texts, (known[0], middle), (middle, known[-1]), strict=True):
        found = certain(results, weights[low], weights[high])
        gains = [each for each in found if each.is_gain][:MOST_GAINS]
        # The first gain has its numbers.
        said = [(phrase if n or sentences else with_interval)(each, _) for n, each in enumerate(gains)]
        cost = interval(difference(*(finite(results.numbers(PRICE.measurement, weights[w])) for w in (low, high))))
        nothing = _("nothing that is resolved")
        ends = {"low": f"{low:g}", "high": f"{high:g}"}
        sentences.append(_(text, gains=listed(said, _) if said else nothing, cost=cost, **ends, **names))
        what = "; ".join(with_interval(each, _) for each in found) or nothing
        rest.append(_("{at}, from KL weight {low} to {high}: {what}", what=what, **ends, **names))
    return Answer(sentences, rest)


def _by_weight(results: Results, model: str) -> dict[float, Runs]:
    """The settings of a model that reconstruct, at its largest dimension, by their rising KL weight."""
    dims = max(config.latent_dim for config in results.judged if config.model == model)
    runs = [c for c in results.judged if c.model == model and c.latent_dim == dims and c.uses("kl_weight")]
    return {
        group[0].kl_weight: group
        for group in sorted(grouped(runs, setting_of), key=lambda group: group[0].kl_weight)
        if reconstructs(results, group) and finite(results.numbers(PRICE.measurement, group))
    }


# Latent dimensions.


def of_dimensions(results: Results, _: Translate) -> Answer | None:
    """How many dimensions are enough for each of the last two models: more do not lower the distortion.

    None without three dimensions of each, or if more varies.
    """
    fields = fields_by_model(results.judged)
    models = [name for name in MODELS if name in fields][-2:]
    if not models or any(fields[name] != ["latent_dim"] for name in models):
        return None
    sentences = []
    for model in reversed(models):
        settings = grouped([c for c in results.judged if c.model == model], setting_of)
        able = [runs for runs in settings if finite(results.numbers(PRICE.measurement, runs))]
        if len(able) < FEW:
            return None
        sentences.append(_enough(results, sorted(able, key=lambda runs: runs[0].latent_dim), _))
    return Answer(sentences)


def _enough(results: Results, settings: Sequence[Runs], _: Translate) -> str:
    """How many dimensions are enough for a model, of settings in rising order."""
    title = MODELS[settings[0][0].model].title
    dims = [runs[0].latent_dim for runs in settings]
    if any(len(runs) < 2 for runs in settings):
        text = (
            "with {dims} dimensions, the distortion of the {model} is {what} nats an image "
            "(one seed: no interval, no verdict)"
        )
        what = listed([_price(results, runs) for runs in settings], _)
        return _(text, model=title, dims=listed([str(n) for n in dims], _), what=what)
    numbers = [finite(results.numbers(PRICE.measurement, runs)) for runs in settings]

    def is_enough(n: int) -> bool:
        return not any(difference(numbers[n], more).interval()[1] < 0 for more in numbers[n + 1 :])

    n = next(n for n in range(len(dims)) if is_enough(n))
    before, after = (n - 1, n) if n == len(dims) - 1 else (n, n + 1)
    text = "the {model} has enough with {fewer} dimensions: {more} change its distortion by {numbers} nats an image"
    if after == n:
        text = "the {model} still gains with {more} dimensions, the most tried: {numbers} nats beside {fewer}"
    numbers_text = interval(difference(numbers[before], numbers[after]))
    return _(text, model=title, fewer=dims[before], more=dims[after], numbers=numbers_text)


# Ingredients.


def of_ingredients(results: Results, _: Translate) -> Answer | None:
    """What each ingredient gives, one added to the other from a baseline to the last model, and what it costs.

    Each claim is told of the ingredient that moves its number most. None without two ingredients that have a name, or
    with one seed.
    """
    chain = _chain(results)
    if len(chain) < FEW or any(len(runs) < 2 for runs in chain):
        return None
    names = [_ingredient(*pair, _) for pair in itertools.pairwise(chain)]
    if not all(names):
        return None
    steps = [moved(results, *pair) for pair in itertools.pairwise(chain)]
    given: list[list[Moved]] = [[] for _name in names]
    for claim in CLAIMS[:-1]:
        gains = [(n, each) for n, step in enumerate(steps) for each in step
                 if each.claim is claim and each.is_certain and each.is_gain]  # fmt: skip
        if gains:
            n, best = max(gains, key=lambda pair: abs(pair[1].estimate.value))
            given[n].append(best)
    nothing = _("nothing that is resolved")
    parts = [_("{ingredient} gives {what}", ingredient=name, what=with_interval(each[0], _) if each else nothing)
             for name, each in zip(names, given, strict=True)]  # fmt: skip
    sentences = [_("{at}, {what}", at=at_dims(chain[0][0].latent_dim, _), what=listed(parts, _))]
    if costs := [interval(each.estimate) for step in steps for each in step if each.claim is PRICE]:
        sentences.append(_("in this order, they cost {what} nats of distortion", what=listed(costs, _)))
    all_of = ["; ".join(with_interval(each, _) for each in step if each.is_certain) or nothing for step in steps]
    rest = [_("{ingredient}: {what}", ingredient=name, what=what) for name, what in zip(names, all_of, strict=True)]
    return Answer(sentences, rest)


def _chain(results: Results) -> list[Runs]:
    """The settings from a model without baselines to the last model, at the largest dimension of the last one.

    Of several KL weights it is the one nearest to 1.
    """
    main = main_model(results)
    if main is None:
        return []
    models = {config.model for config in results.judged}
    names = [main]
    while before := [name for name in MODELS[names[0]].baselines if name in models]:
        names.insert(0, before[-1])
    dims = max(config.latent_dim for config in results.judged if config.model == main)
    chain = []
    for name in names:
        settings = grouped((c for c in results.judged if c.model == name and c.latent_dim == dims), setting_of)
        if not settings:
            return []
        chain.append(min(settings, key=off_one))
    return chain


def _ingredient(before: Runs, after: Runs, _: Translate) -> str:
    """Names what the second setting has and the first lacks, pull or noise or both; empty for neither."""
    noise, other = (MODELS[runs[0].model].noise for runs in (after, before))
    changes = []
    if after[0].uses("kl_weight") and not before[0].uses("kl_weight"):
        changes.append(_("the pull to 0"))
    if other == "none" != noise:
        changes.append(_("learned noise" if noise == "learned" else "noise"))
    elif (other, noise) == ("fixed", "learned"):
        changes.append(_("learning its size"))
    return listed(changes, _) if changes else ""


def main_model(results: Results) -> str | None:
    """The last model that is judged."""
    models = {config.model for config in results.judged}
    return next((name for name in reversed(MODELS) if name in models), None)


def off_one(runs: Runs) -> float:
    """How far a setting's KL weight is from 1, the ELBO's."""
    return abs(math.log(runs[0].kl_weight)) if runs[0].kl_weight else math.inf


def _price(results: Results, runs: Runs) -> str:
    numbers = finite(results.numbers(PRICE.measurement, runs))
    return f"{math.fsum(numbers) / len(numbers):.4g}"
