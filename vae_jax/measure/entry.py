"""What is known of a number of a run: its unit, its meaning, and which direction is better.

Entries stand beside the code that computes their numbers; `measurements` collects them.
"""

from typing import Literal, NamedTuple


class Measurement(NamedTuple):
    """One number of a run."""

    label: str  # a short name for table headings and axes
    unit: str  # empty for a number without one
    better: Literal["higher", "lower"] | None  # None where neither is
    figure: str  # that shows it; empty if none does
    meaning: str  # one sentence that says what is measured
    source: str = ""  # the paper that defines it, if there is one
    kind: type = float  # what evaluation.json holds: `float`, `int`, `bool`, or `list` for a list of floats
    error: str = ""  # what the standard error NAME_error is over, such as "test images"; empty if there is none

    @property
    def heading(self) -> str:
        """The label with its unit, `test distortion (nats per image)`."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What a glossary says of it beside its meaning: the unit, the better direction, the source and so on."""
        facts = {
            "Unit": self.unit,
            "Better": self.better,
            "Standard error over": self.error,
            "Source": self.source,
        }
        return [(term, fact if fact.endswith((".", "?")) else f"{fact}.") for term, fact in facts.items() if fact]


def for_each(variants: list[dict[str, str]], entries: dict[str, Measurement]) -> dict[str, Measurement]:
    """Returns every entry in every variant: the words in braces are filled in."""
    return {
        name.format(**words): Measurement._make(text.format(**words) if type(text) is str else text for text in entry)
        for words in variants
        for name, entry in entries.items()
    }


NATS = "nats per image"
SHARE = "share"
CODE_SD = "standard deviations of all codes"
TEST_IMAGES = "test images"

ALEMI = "Alemi et al. 2018, Fixing a Broken ELBO"
KINGMA = "Kingma & Welling 2014, Auto-Encoding Variational Bayes"
