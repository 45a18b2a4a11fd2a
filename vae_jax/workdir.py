"""What is on disk of a workdir and of a run: paths, a run's Config and metrics, the experiment's record.

    WORKDIR/experiment.json  results.csv  report.html  figures/  made.json  lock.json  drawing.json
    WORKDIR/instruments/  the networks that measure its runs
    WORKDIR/runs/NAME-HASH/config.json  metrics.jsonl  params.safetensors  evaluation.json  timing.jsonl
                           checkpoint.safetensors (while it trains)

Every file of a run but timing.jsonl is a function of its Config and its images: byte for byte the same, however often
the run was interrupted. Standard library only, so that a dry run answers at once.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vae_jax.config import Config, ConfigError, Experiment, Shown
from vae_jax.errors import UserError
from vae_jax.files import DELETE, exists, read_bytes, read_json, write_json, write_lines

# What a launch leaves in its workdir.
WRITTEN = {
    "experiment.json", "runs", "instruments", "figures", "tables", "results.csv", "report.html", "made.json",
}  # fmt: skip
OF_SYSTEMS = {"lost+found", "$RECYCLE.BIN", "System Volume Information", "@eaDir", "__pycache__"}  # folders
ENDINGS = ("diverged", "stopped")  # what marks a run's last row of metrics.jsonl, if it ended before its last epoch
TRAINED_FILES = ("config.json", "metrics.jsonl", "params.safetensors")  # the last is written last


class DataIdentity(NamedTuple):
    """What identifies the images, labels and factors a run is trained and measured on, and how they were split."""

    sha256: str
    """SHA-256 of all pixels."""
    labels_sha256: str | None
    counts: dict[str, int]
    """Images per split."""
    factors_sha256: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns the parts by name, JSON-ready; factors are absent where there are none."""
        return {name: part for name, part in self._asdict().items() if name != "factors_sha256" or part is not None}


class Picture(NamedTuple):
    """A figure on disk: WORKDIR/figures/NAME.png, and the same in other formats."""

    name: str
    title: str
    caption: str  # says what to look for
    suffixes: tuple[str, ...] = ("png", "pdf")


def run_dir(workdir: Path, config: Config) -> Path:
    """Returns the folder of a run."""
    return workdir / "runs" / config.name


def is_trained(run: Path) -> bool:
    """Whether the run in this folder is fully trained and has all its files; raises UserError as `exists`."""
    return all(_is_file(run / name) for name in TRAINED_FILES)


def is_evaluated(run: Path) -> bool:
    """Whether the run in this folder has an evaluation; raises UserError as `exists`."""
    return _is_file(run / "evaluation.json")


def _is_file(path: Path) -> bool:
    return exists(path) and path.is_file()


def write_config(run: Path, config: Config, identity: DataIdentity) -> None:
    """Writes config.json: the Config, and the identity of the data set it is trained on."""
    write_json(run / "config.json", {"config": config.to_dict(), "data": identity.to_dict()})


def read_config(run: Path) -> Config:
    """Reads the Config of the run in this folder.

    Raises:
        UserError: config.json is missing or damaged.
    """
    return _read_config(run)[0]


def read_identity(run: Path) -> DataIdentity:
    """Reads the identity of the data set a run is trained on.

    Raises:
        UserError: config.json is missing or damaged.
    """
    return _read_config(run)[1]


def _read_config(run: Path) -> tuple[Config, DataIdentity]:
    path = run / "config.json"
    content = read_json(path, way_out=way_out(run))
    try:
        return Config.from_dict(content["config"]), DataIdentity(**content["data"])
    except (ConfigError, LookupError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); {way_out(run)}") from error


def way_out(run: Path) -> str:
    """Returns what to do about a damaged file of a run: nothing that deletes another one, such as its parameters."""
    return f"restore it, or move {run} away and launch again"


def write_metrics(run: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes metrics.jsonl: one JSON object per epoch, a function of the run's Config and images alone."""
    write_lines(run / "metrics.jsonl", rows)


def write_timing(run: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Writes timing.jsonl: `epoch`, `seconds` and `images_per_second` of each epoch."""
    write_lines(run / "timing.jsonl", rows)


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Reads metrics.jsonl of a trained run: one row per epoch, up to the last or the one in which the run ended.

    Raises:
        UserError: metrics.jsonl or config.json is missing or damaged.
    """
    path = run / "metrics.jsonl"
    rows = _read_lines(path, way_out(run))
    if not is_history(rows, read_config(run).num_epochs):
        raise UserError(f"{path} is damaged (not one object per epoch); {way_out(run)}")
    return rows


def has_ended(row: Mapping[str, Any]) -> bool:
    """Whether this row of metrics.jsonl is a run's last because it diverged, or because early stopping ended it."""
    return any(name in row for name in ENDINGS)


def is_history(rows: Any, num_epochs: int) -> bool:
    """Whether these are the rows of metrics.jsonl after `num_epochs` epochs; a run that ended early may have fewer."""
    if not isinstance(rows, list) or not all(_is_metrics_row(row, epoch) for epoch, row in enumerate(rows, 1)):
        return False
    ended = [has_ended(row) for row in rows]
    return not any(ended[:-1]) and (len(rows) == num_epochs or (0 < len(rows) < num_epochs and ended[-1]))


def read_timing(run: Path) -> list[dict[str, float]] | None:
    """Reads timing.jsonl; None if it is missing, since no other number depends on it.

    Raises:
        UserError: timing.jsonl is damaged.
    """
    path = run / "timing.jsonl"
    if not exists(path):
        return None
    rows = _read_lines(path, DELETE)
    if not all(isinstance(row, dict) and _is_number(row.get("seconds")) for row in rows):
        raise UserError(f"{path} is damaged (not one object per epoch); {DELETE}")
    return rows


def read_seconds(run: Path) -> float | None:
    """Returns the training time of a run in seconds; None if timing.jsonl is missing.

    Raises:
        UserError: timing.jsonl is damaged.
    """
    rows = read_timing(run)
    return None if rows is None else float(sum(row["seconds"] for row in rows))


def _read_lines(path: Path, way_out: str) -> list[Any]:
    """The objects of a file with one a line; an editor may have added a byte order mark and blank lines."""
    try:
        return [json.loads(line) for line in read_bytes(path).decode("utf-8-sig").splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}); {way_out}") from error


def _is_metrics_row(row: Any, epoch: int) -> bool:
    if not isinstance(row, dict) or row.get("epoch") != epoch or "train_loss" not in row:
        return False
    endings = [row[name] for name in ENDINGS if name in row]
    numbers = (value for name, value in row.items() if name not in ENDINGS)
    is_marked_once = len(endings) <= 1 and all(ending is True for ending in endings)
    return is_marked_once and all(value is None or _is_number(value) for value in numbers)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max  # false for NaN


def check_workdir(workdir: Path, experiment: Experiment) -> dict[str, Any]:
    """Checks that a folder may hold this experiment.

    One that holds no experiment yet may hold files that no launch writes, such as a log, and what systems and editors
    leave. It may not hold a name that a launch writes, unless a run lies beside it, nor another folder that is not
    empty: these may be another program's results.

    Returns:
        The record of the last launch in this folder; empty if there was none.

    Raises:
        UserError: the folder holds another experiment, another program's results, or a symbolic link where it writes.
    """
    try:
        entries = sorted(workdir.iterdir()) if workdir.exists() else []
        is_new = not (workdir / "experiment.json").exists()
        is_ours = (workdir / "made.json").exists() or any(workdir.glob("runs/*/config.json"))
        taken = [path for path in entries if _may_be_foreign(path, is_ours)] if is_new else []
    except OSError as error:
        raise UserError(f"cannot use workdir {workdir}: {error.strerror or error}") from error
    if taken:
        what = f"no experiment, but {taken[0].name}, which another program may have left"
        raise UserError(f"{workdir} holds {what}; choose another --workdir")
    record = {} if is_new else read_record(workdir)
    if record and (held := record["experiment"]) != experiment.name:
        raise UserError(f"{workdir} holds experiment {held!r}, not {experiment.name!r}; choose another --workdir")
    # A link could lead writes and deletions out of the folder. The folder itself may be one.
    for entry in entries:
        for path in (entry, *entry.rglob("*")) if entry.name in WRITTEN else ():
            if path.is_symlink():
                raise UserError(f"{path} is a symbolic link and may lead out of the workdir; replace it by its target")
    return record


def _may_be_foreign(path: Path, is_ours: bool) -> bool:
    """Whether a launch would write over this entry of a workdir without an experiment, or it looks like results."""
    if path.name.startswith(".") or path.name in OF_SYSTEMS or (path.is_dir() and not any(path.iterdir())):
        return False
    return not is_ours if path.name in WRITTEN else path.is_dir()


def write_record(workdir: Path, experiment: Experiment, record: Mapping[str, Any]) -> None:
    """Writes experiment.json: the experiment, and the record of how its numbers were produced."""
    described = {
        "experiment": experiment.name,
        "question": experiment.question,
        "figures": list(experiment.figures),
        "base": experiment.base.to_dict(),
        "grids": [
            {
                "shown": isinstance(grid, Shown),
                "values": {
                    name: [list(value) if isinstance(value, tuple) else value for value in values]
                    for name, values in grid.items()
                },
            }
            for grid in experiment.grids
        ],
    }
    write_json(workdir / "experiment.json", described | dict(record))


def read_record(workdir: Path) -> dict[str, Any]:
    """Reads experiment.json.

    Raises:
        UserError: the file is missing or damaged.
    """
    path = workdir / "experiment.json"
    if not exists(path):
        raise UserError(f"{workdir} holds no experiment (it has no experiment.json)")
    record = read_json(path)
    if not isinstance(record, dict) or not isinstance(record.get("experiment"), str):
        raise UserError(f"{path} is damaged (it names no experiment); delete it and launch again")
    return record


def read_experiment(workdir: Path) -> Experiment:
    """Reads the experiment that a workdir holds, with the grid of its last launch.

    Raises:
        UserError: experiment.json is missing or damaged.
    """
    record = read_record(workdir)
    try:
        return Experiment(
            name=record["experiment"],
            question=record["question"],
            base=Config.from_dict(record["base"]),
            grids=tuple((Shown if grid["shown"] else dict)(grid["values"]) for grid in record["grids"]),
            figures=record["figures"],
        )
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise UserError(f"{workdir / 'experiment.json'} is damaged ({error}); delete it and launch again") from error
