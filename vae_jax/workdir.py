"""What is on disk: which file lies where in a workdir, and which runs of an experiment are done.

    WORKDIR/experiment.json  results.csv  report.html  figures/
    WORKDIR/runs/NAME-HASH/config.json  metrics.jsonl  params.safetensors  evaluation.json

No JAX is imported here, so that a dry run answers at once.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from vae_jax.config import Config, ConfigError, Experiment
from vae_jax.files import UserError, read_json, write_json, write_text

OF_A_LAUNCH = {"runs", "classifiers", "figures", "results.csv", "report.html"}  # what lies beside experiment.json
OF_A_TRAINED_RUN = ("config.json", "metrics.jsonl", "params.safetensors")  # the last is written last


class Picture(NamedTuple):
    """A figure on disk: WORKDIR/figures/NAME.png and NAME.pdf."""

    name: str
    title: str
    caption: str  # one sentence that says what to look for


def run_dir(workdir: Path, config: Config) -> Path:
    """Where everything of one run lies."""
    return workdir / "runs" / config.name


def is_trained(run: Path) -> bool:
    """Whether the run in this folder is trained to its end, and no file of it was lost since."""
    return all((run / name).is_file() for name in OF_A_TRAINED_RUN)


def is_evaluated(run: Path) -> bool:
    """Whether the run in this folder has its evaluation."""
    return (run / "evaluation.json").is_file()


def write_metrics(run: Path, rows: list[dict[str, Any]]) -> None:
    """Writes metrics.jsonl whole: one JSON object per epoch."""
    write_text(run / "metrics.jsonl", "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl of a trained run, one per epoch of its Config.

    Raises:
        UserError: the file is missing or damaged, or config.json is.
    """
    path = run / "metrics.jsonl"
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}); delete {run} and launch again") from error
    if len(rows) != read_config(run).num_epochs or not all(_is_row(row, epoch) for epoch, row in enumerate(rows, 1)):
        raise UserError(f"{path} is damaged (not one object per epoch); delete {run} and launch again")
    return rows


def _is_row(row: Any, epoch: int) -> bool:
    if not isinstance(row, dict) or row.get("epoch") != epoch or row.get("seconds") is None or "train_loss" not in row:
        return False
    numbers = (value for name, value in row.items() if name != "diverged")
    return row.get("diverged", True) is True and all(value is None or type(value) in (int, float) for value in numbers)


def read_config(run: Path) -> Config:
    """The Config of the run in this folder.

    Raises:
        UserError: config.json is missing or damaged.
    """
    try:
        return Config.from_dict(read_json(run / "config.json"))
    except ConfigError as error:
        raise UserError(f"{run / 'config.json'} is damaged ({error}); delete {run} and launch again") from error


def claim(workdir: Path, experiment: Experiment) -> None:
    """Makes sure that this folder may hold this experiment, and that it can be written.

    Raises:
        UserError: it holds another experiment, or something else, or cannot be written.
    """
    try:
        entries = list(workdir.iterdir()) if workdir.exists() else []
    except OSError as error:
        raise UserError(f"cannot use workdir {workdir}: {error.strerror or error}") from error
    if (workdir / "experiment.json").exists():
        held = read_record(workdir)["experiment"]
        if held != experiment.name:
            raise UserError(f"{workdir} holds experiment {held!r}, not {experiment.name!r}; choose another --workdir")
    elif {entry.name for entry in entries} - OF_A_LAUNCH:
        raise UserError(f"{workdir} is not empty and holds no experiment; choose another --workdir")


def write_record(workdir: Path, experiment: Experiment, record: Mapping[str, Any]) -> None:
    """Writes experiment.json: the experiment, and whatever else is to be known of how its numbers came about."""
    described = {
        "experiment": experiment.name,
        "question": experiment.question,
        "figures": list(experiment.figures),
        "base": experiment.base.to_dict(),
        "grid": {
            name: [list(value) if isinstance(value, tuple) else value for value in values]
            for name, values in experiment.grid.items()
        },
    }
    write_json(workdir / "experiment.json", described | dict(record))


def read_record(workdir: Path) -> dict[str, Any]:
    """The content of experiment.json.

    Raises:
        UserError: it is missing or damaged.
    """
    path = workdir / "experiment.json"
    if not path.exists():
        raise UserError(f"{workdir} holds no experiment (there is no experiment.json in it)")
    record = read_json(path)
    if not isinstance(record, dict) or not isinstance(record.get("experiment"), str):
        raise UserError(f"{path} is damaged (it names no experiment); delete it and launch again")
    return record


def read_experiment(workdir: Path) -> Experiment:
    """The experiment that a workdir holds, with the grid of its last launch.

    Raises:
        UserError: experiment.json is missing or damaged.
    """
    record = read_record(workdir)
    try:
        grid = {
            name: [tuple(value) if isinstance(value, list) else value for value in values]
            for name, values in record["grid"].items()
        }
        return Experiment(
            name=record["experiment"],
            question=str(record["question"]),
            figures=tuple(map(str, record["figures"])),
            base=Config.from_dict(record["base"]),
        ).override(grid)
    except (AttributeError, KeyError, TypeError, ConfigError) as error:
        raise UserError(f"{workdir / 'experiment.json'} is damaged ({error}); delete it and launch again") from error
