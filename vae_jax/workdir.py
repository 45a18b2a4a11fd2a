"""What is on disk: which file lies where in a workdir, and which runs of an experiment are done.

    WORKDIR/experiment.json  results.csv  report.html  figures/  checkpoints/  lock-0.json
    WORKDIR/runs/NAME-HASH/config.json  metrics.jsonl  params.safetensors  evaluation.json  timing.jsonl

All that is in a run's folder but timing.jsonl is the same, byte for byte, whenever and however often it was cut off and
launched again. No JAX is imported here, so that a dry run answers at once.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vae_jax.config import Config, ConfigError, Experiment
from vae_jax.files import TEMPORARY, UserError, read_bytes, read_json, remove, write_json, write_text

# What lies beside experiment.json.
OF_A_LAUNCH = {"runs", "checkpoints", "classifiers", "figures", "results.csv", "report.html", "lock-0.json"}
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


def write_metrics(run: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes metrics.jsonl whole: one JSON object per epoch."""
    _write_lines(run / "metrics.jsonl", rows)


def write_timing(run: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Writes timing.jsonl whole: `epoch`, `seconds` and `images_per_second` of each epoch.

    Apart from metrics.jsonl, whose content is a function of the Config alone.
    """
    _write_lines(run / "timing.jsonl", rows)


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl of a trained run: one per epoch of its Config, or up to the one in which it diverged.

    Raises:
        UserError: the file is missing or damaged, or config.json is.
    """
    rows = _read_lines(run / "metrics.jsonl", f"delete {run}")
    if not is_history(rows, read_config(run).num_epochs):
        raise UserError(f"{run / 'metrics.jsonl'} is damaged (not one object per epoch); delete {run} and launch again")
    return rows


def is_history(rows: Any, num_epochs: int) -> bool:
    """Whether these are the rows of metrics.jsonl after so many epochs: fewer only of a run that diverged."""
    if not isinstance(rows, list) or not all(_is_metrics_row(row, epoch) for epoch, row in enumerate(rows, 1)):
        return False
    diverged = ["diverged" in row for row in rows]
    return not any(diverged[:-1]) and (len(rows) == num_epochs or (0 < len(rows) < num_epochs and diverged[-1]))


def read_timing(run: Path) -> list[dict[str, float]] | None:
    """The rows of timing.jsonl; None where it is lost, which no other number depends on.

    Raises:
        UserError: timing.jsonl is damaged.
    """
    path = run / "timing.jsonl"
    if not path.exists():
        return None
    rows = _read_lines(path, "delete it")
    if not all(isinstance(row, dict) and _is_number(row.get("seconds")) for row in rows):
        raise UserError(f"{path} is damaged (not one object per epoch); delete it and launch again")
    return rows


def read_seconds(run: Path) -> float | None:
    """How long the run was trained, in seconds; None where timing.jsonl is lost.

    Raises:
        UserError: timing.jsonl is damaged.
    """
    rows = read_timing(run)
    return None if rows is None else float(sum(row["seconds"] for row in rows))


def _write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def _read_lines(path: Path, way_out: str) -> list[Any]:
    try:
        return [json.loads(line) for line in read_bytes(path).decode().splitlines()]
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}); {way_out} and launch again") from error


def _is_metrics_row(row: Any, epoch: int) -> bool:
    if not isinstance(row, dict) or row.get("epoch") != epoch or "train_loss" not in row:
        return False
    numbers = (value for name, value in row.items() if name != "diverged")
    return row.get("diverged", True) is True and all(value is None or _is_number(value) for value in numbers)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max  # NaN is not


def read_config(run: Path) -> Config:
    """The Config of the run in this folder.

    Raises:
        UserError: config.json is missing or damaged.
    """
    try:
        return Config.from_dict(read_json(run / "config.json"))
    except ConfigError as error:
        raise UserError(f"{run / 'config.json'} is damaged ({error}); delete {run} and launch again") from error


def claim(workdir: Path, experiment: Experiment) -> dict[str, Any]:
    """Makes sure that this folder may hold this experiment.

    Returns:
        The record of its last launch in this folder; empty where there was none.

    Raises:
        UserError: it holds another experiment, or something else, or a link.
    """
    try:
        entries = list(workdir.iterdir()) if workdir.exists() else []
    except OSError as error:
        raise UserError(f"cannot use workdir {workdir}: {error.strerror or error}") from error
    if (workdir / "experiment.json").exists():
        record = read_record(workdir)
        if (held := record["experiment"]) != experiment.name:
            raise UserError(f"{workdir} holds experiment {held!r}, not {experiment.name!r}; choose another --workdir")
    elif {entry.name for entry in entries} - OF_A_LAUNCH:
        raise UserError(f"{workdir} is not empty and holds no experiment; choose another --workdir")
    else:
        record = {}
    refuse_links(workdir)
    return record


def refuse_links(workdir: Path) -> None:
    """Makes sure that what is written to this folder is written inside it, and what is deleted is.

    Raises:
        UserError: there is a symbolic link in it; the folder may be one itself.
    """
    for path in workdir.rglob("*"):
        if path.is_symlink():
            raise UserError(f"{path} is a link, and may lead out of the workdir; put in its place what it leads to")


def remove_leftovers(workdir: Path) -> None:
    """Deletes the temporary files of writes that were cut off."""
    for path in workdir.rglob(f".*{TEMPORARY}"):
        remove(path)


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
