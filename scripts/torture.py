"""Kills a sweep again and again, until it is finished, and compares what it left with the uninterrupted one.

    python -m scripts.torture --kills=N [--seed=0]

A launch is killed at a random moment by SIGKILL, asked to stop by SIGTERM, or finds the disk full: from that moment on
no file may grow beyond a random size. Then the same command is launched again. Every file must come out byte for byte
as in a sweep that nobody disturbed, but for the clock: timing.jsonl, `train_seconds` in results.csv, and what
experiment.json and report.html say of the launches.
"""

import csv
import json
import math
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from absl import flags

from scripts import command
from vae_jax.files import UserError

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENT = """
from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="torture",
    question="What is lost?",
    base=Config(hidden_dims=(64,), num_epochs=40),
    grid={"model": ("ae", "vae"), "seed": (0, 1)},
    figures=("training_curves", "latent_space"),
)
"""
KINDS = ("SIGKILL", "SIGTERM", "full disk")
PATIENCE = 300.0  # seconds after which a launch hangs
OF_THE_CLOCK = {"timing.jsonl", "report.html"}
OF_A_LAUNCH = ("command", "git_commit", "started", "wall_seconds", "earlier_launches")


class Kill(NamedTuple):
    """What was done to a launch, and what came of it."""

    kind: str
    exit_code: int
    retrained: int  # epochs in metrics.jsonl that no checkpoint had


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 0, 1 where something was lost, 2 for wrong usage."""
    values = flags.FlagValues()
    flags.DEFINE_integer("kills", 20, "launches to kill", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("seed", 0, "of the moments and the ways", lower_bound=0, flag_values=values)
    flags.DEFINE_boolean("evaluate", True, "evaluate the runs, too", values)
    return command.run(__doc__, values, _torture, argv)


def _torture(values: flags.FlagValues, positional: list[str]) -> None:
    command.refuse(positional)
    draw, kills, differences, sweeps = random.Random(values.seed), list[Kill](), list[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        experiment = Path(folder, "torture.py")
        experiment.write_text(EXPERIMENT)
        launch = [sys.executable, "-m", "experiments.launch", f"--experiment={experiment}",
                  "--checkpoint_every_seconds=0.5", f"--evaluate={values.evaluate}"]  # fmt: skip
        start = time.monotonic()
        _finish(_start(launch, Path(folder, "undisturbed")))
        seconds = time.monotonic() - start
        print(f"seed {values.seed}; undisturbed: {seconds:.1f} s", flush=True)
        while len(kills) < values.kills:
            sweeps += 1
            workdir = Path(folder, f"sweep-{sweeps}")
            # The last epochs are as likely to be hit as the first: half of the kills come early in a launch.
            while len(kills) < values.kills:
                process = _start(launch, workdir)
                delay = draw.uniform(0, seconds) * draw.choice((0.5, 1.0))
                if (kill := _kill(process, workdir, draw.choice(KINDS), delay, draw)) is None:
                    break
                kills.append(kill)
                print(f"{len(kills):4} {kill.kind:9} after {delay:5.1f} s, exit code {kill.exit_code:4}", end=", ")
                print(f"{kill.retrained:2} epochs to train again", flush=True)
            _finish(_start(launch, workdir))
            differences += compare(Path(folder, "undisturbed"), workdir)
    by_kind = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(kill.kind for kill in kills).items()))
    print(f"{len(kills)} kills survived ({by_kind}) in {sweeps} sweeps", end="; ")
    print(f"{sum(kill.retrained for kill in kills)} epochs retrained; {len(differences)} differences found")
    if differences:
        raise UserError("differences: " + "; ".join(differences))


def _start(launch: Sequence[str], workdir: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        [*launch, f"--workdir={workdir}"], cwd=ROOT, env=environment, text=True, errors="replace",
        # A pipe: a file would be subject to the limit on files.
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def _finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=PATIENCE)
    if process.returncode != 0:
        raise UserError(f"a launch that nobody disturbed ended with {process.returncode}: {errors[-2000:]}")


def _kill(
    process: subprocess.Popen[str], workdir: Path, kind: str, delay: float, draw: random.Random
) -> Kill | None:  # fmt: skip
    """Kills the launch after so many seconds; None if it was finished before."""
    size = int(10 ** draw.uniform(2, 6))  # bytes
    try:
        process.communicate(timeout=delay)
    except subprocess.TimeoutExpired:
        match kind:
            case "SIGKILL":
                process.kill()
            case "SIGTERM":
                process.terminate()
            case _:
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
    _, errors = process.communicate(timeout=PATIENCE)
    if process.returncode == 0:
        return None
    # SIGTERM before the program begins is the system's own.
    expected = {"SIGKILL": {-signal.SIGKILL}, "SIGTERM": {143, -signal.SIGTERM}, "full disk": {1}}[kind]
    if process.returncode not in expected or "Traceback" in errors:
        raise UserError(f"{kind} after {delay:.1f} s: exit code {process.returncode}: {errors[-2000:]}")
    if kind == "full disk" and not re.search(r"cannot (write|use) ", errors.splitlines()[-1]):
        raise UserError(f"a full disk ({size} bytes a file) is not what the launch says: {errors[-2000:]}")
    return Kill(kind, process.returncode, _epochs_to_train_again(workdir))


def _epochs_to_train_again(workdir: Path) -> int:
    """Epochs that metrics.jsonl of unfinished runs has beyond their newest checkpoint."""
    from vae_jax import checkpoints

    saved: dict[str, int] = {}
    for folder in checkpoints.folders(workdir):
        steps = [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]
        for config in checkpoints.members(folder):
            saved[config.name] = max(saved.get(config.name, 0), *steps)
    count = 0
    for path in workdir.glob("runs/*/metrics.jsonl"):
        if not (path.parent / "params.safetensors").exists():
            count += max(0, len(path.read_bytes().splitlines()) - saved.get(path.parent.name, 0))
    return count


def compare(expected: Path, found: Path) -> list[str]:
    """The differences between two finished workdirs, but for the clock; empty if there are none."""
    trees = [{str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} for root in (expected, found)]
    differences = [f"{found / name} is only in one" for name in sorted(trees[0] ^ trees[1])]
    for name in sorted(trees[0] & trees[1]):
        if Path(name).name not in OF_THE_CLOCK and _content(expected / name) != _content(found / name):
            differences.append(f"{found / name} differs")
    return differences


def _content(path: Path) -> object:
    match path.name:
        case "experiment.json":
            return {name: value for name, value in json.loads(path.read_bytes()).items() if name not in OF_A_LAUNCH}
        case "results.csv":
            rows = list(csv.DictReader(path.read_text().splitlines()))
            assert all(math.isfinite(float(row.pop("train_seconds"))) for row in rows)
            return rows
    return path.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
