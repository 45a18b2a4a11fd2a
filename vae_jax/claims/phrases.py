"""Phrases of the answer: how the number of a claim differs between two settings."""

from collections.abc import Sequence
from typing import NamedTuple

from vae_jax.claims.claims import CLAIMS, PRICE, Claim
from vae_jax.claims.intervals import Estimate, difference
from vae_jax.claims.results import Results
from vae_jax.claims.summary import Translate, finite, rounded
from vae_jax.claims.verdicts import Runs


class Moved(NamedTuple):
    """A claim's number from one setting to another."""

    claim: Claim
    estimate: Estimate  # of the second - the first

    @property
    def is_certain(self) -> bool:
        """True if the 95 % interval excludes 0."""
        low, high = self.estimate.interval()
        return low > 0 or high < 0

    @property
    def is_gain(self) -> bool:
        """True if the number moved in the direction of the claim; for the price, if reconstructions became better."""
        return self._holds != (self.claim is PRICE)

    @property
    def _holds(self) -> bool:
        return (self.estimate.value > 0) == (self.claim.says == "higher")

    @property
    def words(self) -> str:
        """What the second setting then has, beside the first."""
        return self.claim.gain if self._holds else self.claim.loss


def moved(results: Results, before: Runs, after: Runs) -> list[Moved]:
    """Returns how each claim's number, where all runs have it, differs between two settings."""
    found = []
    for claim in CLAIMS:
        first, second = (finite(results.numbers(claim.measurement, runs)) for runs in (before, after))
        if first and second:
            found.append(Moved(claim, difference(first, second)))
    return found


def certain(results: Results, before: Runs, after: Runs) -> list[Moved]:
    """Returns the claims whose numbers certainly differ between two settings."""
    return [each for each in moved(results, before, after) if each.is_certain]


def phrase(moved: Moved, _: Translate) -> str:
    """Says `fewer holes`."""
    return _(moved.words)


def with_interval(moved: Moved, _: Translate) -> str:
    """Says `fewer holes (-0.52 [-0.56, -0.48])`."""
    text = "{what} ({numbers})"
    if moved.claim is PRICE:
        text = "{what} ({numbers} nats an image)"
    elif moved.claim.measurement.endswith(("gap", "frechet")):
        text = "{what} (Fréchet distance {numbers})"
    return _(text, what=phrase(moved, _), numbers=interval(moved.estimate))


def interval(estimate: Estimate, signed: bool = True) -> str:
    """Formats `+16.5 [15.6, 17.4]`, with as many decimals as give half the interval two digits."""
    low, high = estimate.interval()
    value, *ends = (rounded(number, (high - low) / 2) for number in (estimate.value, low, high))
    return f"{'+' * (signed and estimate.value > 0)}{value} [{', '.join(ends)}]"


def at_dims(dims: int, _: Translate) -> str:
    """Says `at 16 dimensions`."""
    return _("at {dims}", dims=dims_text(dims, _))


def dims_text(dims: int, _: Translate) -> str:
    """Says `16 dimensions`."""
    return _("one dimension") if dims == 1 else _("{n} dimensions", n=dims)


def listed(parts: Sequence[str], _: Translate) -> str:
    """Says `a, b and c`."""
    *first, last = parts
    return _("{first} and {last}", first=", ".join(first), last=last) if first else last
