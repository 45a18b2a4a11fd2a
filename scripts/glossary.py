"""Writes docs/glossary.md: what every column of results.csv means.

python -m scripts.glossary
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from vae_jax import command
from vae_jax.files import write_text
from vae_jax.measure.measurements import MEASUREMENTS

PATH = Path(__file__).resolve().parents[1] / "docs" / "glossary.md"
HEAD = """# Glossary
Every number of `results.csv` and `evaluation.json`, written by `python -m scripts.glossary` from
[measurements.py](../vae_jax/measure/measurements.py). Beside them stand the fields of a run's `Config` that vary
(`vae-jax --help` explains them), and `failed`, the reason for a failure.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code, see `command.guard`."""
    return command.run(__doc__, flags.FlagValues(), _write, argv)


def markdown() -> str:
    """Returns the text of the glossary: the name of each number, its meaning, and what else its entry says."""
    entries = [
        f"- **`{name}`**: {entry.meaning}" + "".join(f" *{term}:* {fact}" for term, fact in entry.facts)
        for name, entry in MEASUREMENTS.items()
    ]
    return "\n".join([HEAD, *entries, ""])


def _write(values: flags.FlagValues, positional: list[str]) -> None:
    command.refuse(positional)
    write_text(PATH, markdown())
    print(f"{len(MEASUREMENTS)} numbers in {PATH}")


if __name__ == "__main__":
    sys.exit(main())
