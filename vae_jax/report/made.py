"""What the pictures and the page of a workdir were made from, so that a launch makes again only what would change.

All of them are made from the same things: the runs, their numbers, the experiment, and this code. WORKDIR/made.json has
one digest of these beside the digests of the files that were made.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vae_jax import source
from vae_jax.claims.results import Results
from vae_jax.config import Experiment
from vae_jax.errors import UserError
from vae_jax.files import read_json, sha256, write_json
from vae_jax.workdir import run_dir

FILES = ("config.json", "metrics.jsonl", "params.safetensors")  # of a run
PACKAGES = ("jax", "jaxlib", "flax", "numpy", "scipy", "scikit-learn", "matplotlib", "pillow", "jinja2")


def digest(experiment: Experiment, workdir: Path, results: Results) -> str:
    """Returns the SHA-256 of everything that pictures and page are made from, but for the time and the command."""
    numbers = [
        (config.name, results.rows.get(config), results.reasons.get(config),
         [_digest_of(run_dir(workdir, config) / name) for name in FILES])
        for config in results.configs
    ]  # fmt: skip
    asked = experiment.name, experiment.question, experiment.base.to_dict(), list(experiment.figures)
    code = source.digest(suffixes=(".py", ".html", ".css", ".js", ".json"))
    return sha256(json.dumps([numbers, asked, code, [source.version(name) for name in PACKAGES]]))


class Made:
    """The files of a workdir that were made from what there is now.

    Attributes:
        workdir: where they are.
        digest: of what there is now.
        entries: by name, what each was made from, the digests of its files, and facts about it.
    """

    def __init__(self, workdir: Path, digest: str, again: bool = False) -> None:
        """Reads the record of earlier launches; with `again` nothing counts as made."""
        self.workdir, self.digest = workdir, digest
        self.entries: dict[str, Any] = {}
        if not again:
            try:
                found = read_json(workdir / "made.json")
            except UserError:  # missing or damaged
                return
            self.entries = found if isinstance(found, dict) else {}

    def find(self, name: str) -> list[Any] | None:
        """Returns the facts about what is made already; None if it has to be made."""
        entry = self.entries.get(name)
        if not isinstance(entry, Mapping) or entry.get("digest") != self.digest:
            return None
        files, facts = entry.get("files"), entry.get("facts")
        if not isinstance(files, Mapping) or not isinstance(facts, list):
            return None
        return facts if all(_digest_of(self.workdir / path) == value for path, value in files.items()) else None

    def add(self, name: str, files: Sequence[str], facts: Sequence[Any] = ()) -> None:
        """Records that files, by their paths below the workdir, are made from what there is now."""
        found = {path: _digest_of(self.workdir / path) for path in files}
        self.entries[name] = {"digest": self.digest, "files": found, "facts": list(facts)}

    def write(self) -> None:
        """Writes the record of what is made from what there is now.

        Raises:
            UserError: it cannot be written.
        """
        now = {name: entry for name, entry in self.entries.items() if self.find(name) is not None}
        write_json(self.workdir / "made.json", now)


def _digest_of(path: Path) -> str | None:
    """The SHA-256 of a file; None if it cannot be read."""
    try:
        return sha256(path.read_bytes())
    except OSError:
        return None
