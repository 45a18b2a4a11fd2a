"""Whether the pictures and the page of a workdir are current: WORKDIR/made.json says what they were made from."""

import json
from collections.abc import Sequence
from pathlib import Path

from vae_jax import source
from vae_jax.claims.results import Results
from vae_jax.config import Experiment
from vae_jax.errors import UserError
from vae_jax.files import exists, read_json, remove, sha256, write_json
from vae_jax.workdir import TRAINED_FILES, run_dir

FILE = "made.json"
PACKAGES = ("jax", "jaxlib", "flax", "numpy", "scipy", "scikit-learn", "matplotlib", "pillow", "jinja2")


def digest(experiment: Experiment, workdir: Path, results: Results, *options: str | bool | Sequence[str] | None) -> str:
    """Returns the SHA-256 of everything that pictures and page are made from, but for the time and the command."""
    runs = [
        [config.name, results.rows.get(config), results.reasons.get(config), *_files(run_dir(workdir, config))]
        for config in results.configs
    ]
    asked = [experiment.name, experiment.question, experiment.base.to_dict(), experiment.figures, options]
    code = [source.digest(suffixes=(".py", ".html", ".css", ".js", ".json")), *map(source.version, PACKAGES)]
    return sha256(json.dumps([runs, asked, code]))


def is_current(workdir: Path, digest: str) -> bool:
    """Whether all that was made is still there, and was made from what has this digest."""
    try:
        found = read_json(workdir / FILE)
    except UserError:  # missing or damaged
        return False
    match found:
        case {"digest": str(made_from), "files": list(files)}:
            return made_from == digest and all(exists(workdir / str(path)) for path in files)
    return False


def record(workdir: Path, digest: str, files: Sequence[str]) -> None:
    """Records what files, by their paths below the workdir, were made from. UserError if that cannot be written."""
    write_json(workdir / FILE, {"digest": digest, "files": files})


def forget(workdir: Path) -> None:
    """Removes the record, before the files that it names are replaced."""
    remove(workdir / FILE)


def _files(run: Path) -> list[str | None]:
    paths = [run / name for name in TRAINED_FILES]
    return [sha256(path.read_bytes()) if exists(path) else None for path in paths]
