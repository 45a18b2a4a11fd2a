"""One language of the page: its own texts, and what other rooms say in English."""

import re
from typing import Any

from markupsafe import Markup, escape

from vae_jax.claims.claims import Claim
from vae_jax.measure.measurements import MEASUREMENTS
from vae_jax.report.page.texts import terms
from vae_jax.report.page.texts.page import PAGE


def filled(text: str, **values: Any) -> Markup:
    """Returns a text as markup with its {names} filled in; a value that is no markup is escaped."""
    return Markup(escape(text)).format(**values)


class Language:
    """The texts of one language. What `texts.terms` lacks stays English.

    Attributes:
        code: `en` or `ko`, a key of `texts.page.PAGE`.
        texts: the texts of the page by name.
    """

    def __init__(self, code: str = "en") -> None:
        self.code = code
        self.texts = PAGE[code]

    def fill(self, name: str, **values: Any) -> Markup:
        """Returns a text of the page; see `filled`."""
        return filled(self.texts[name], **values)

    def counted(self, what: str, n: int) -> str:
        """Returns `1 seed`, `2 seeds`."""
        return self.texts[f"{what}_one" if n == 1 else f"{what}_many"].format(n=n)

    def counts(self, cell: str) -> str:
        """Returns how many runs a row stands for, `3 (1 diverged)`."""
        return re.sub(r"(\d+) (diverged|failed)", lambda match: self.texts[match[2]].format(n=match[1]), cell)

    def question(self, english: str) -> str | None:
        """Returns the question of an experiment; None where it is in English only."""
        return english if self.code == "en" else terms.QUESTIONS[self.code].get(english)

    def verdict(self, kind: str) -> str:
        """Returns the name of a verdict."""
        return self.texts[f"verdict_{kind.replace(' ', '_')}"]

    def sentence(self, claim: Claim, model: str, baseline: str = "") -> str:
        """Returns what is claimed about a model and a baseline of these titles."""
        return self.given(claim.text).format(model=model, baseline=baseline)

    def given(self, text: str) -> str:
        """Returns a sentence about a {model} and a {baseline}."""
        return terms.SENTENCES.get(self.code, {}).get(text, text)

    def label(self, measurement: str) -> str:
        """Returns the short name of a measurement."""
        return terms.LABELS.get(self.code, {}).get(measurement, MEASUREMENTS[measurement].label)

    def unit(self, unit: str) -> str:
        """Returns a unit of measurements."""
        return terms.UNITS.get(self.code, {}).get(unit, unit)

    def errors(self, over: str) -> str:
        """Returns what a standard error is over."""
        return terms.ERRORS.get(self.code, {}).get(over, over)

    def note(self, note: str) -> str:
        """Returns the note of a verdict."""
        return "; ".join(self._part(part) for part in note.split("; "))

    def title(self, figure: str, english: str) -> str:
        """Returns the title of a figure, by its name."""
        return terms.FIGURES.get(self.code, {}).get(figure, english)

    def _part(self, part: str) -> str:
        for pattern, text in terms.NOTES.get(self.code, {}).items():
            if match := re.fullmatch(pattern, part):
                return match.expand(text)
        return part
