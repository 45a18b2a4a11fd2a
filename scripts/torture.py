"""Kills sweeps at random moments until they are finished, and compares their files with an undisturbed sweep's.

    python -m scripts.torture --kills=N [--seed=0] [--cluster]

A launch is killed by SIGKILL, stopped by SIGTERM, or finds the disk full: from that moment on no file may grow beyond a
random size. With --cluster, every other sweep runs on a local Dask cluster of two workers, and a worker, the scheduler
or the launch is killed. Then the same command is launched again. Every file must come out byte for byte as in the
undisturbed sweep, except for the clock: timing.jsonl, `train_seconds` in results.csv, and what experiment.json and
report.html record about launches.
"""

import contextlib
import csv
import json
import math
import os
import random
import re
import resource
import signal
import socket
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
from vae_jax import checkpoints
from vae_jax.workdir import UserError

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
CLUSTER_KINDS = ("SIGKILL", "SIGTERM", "worker", "scheduler")
PATIENCE = 300.0  # seconds after which a launch counts as hanging
CLOCK_FILES = {"timing.jsonl", "report.html"}
LAUNCH_KEYS = ("command", "git_commit", "started", "wall_seconds", "earlier_launches")


class Kill(NamedTuple):
    """A disturbance of a launch, and its outcome."""

    kind: str
    exit_code: int
    retrained: int  # epochs in metrics.jsonl that no checkpoint has


class Cluster:
    """A local Dask cluster: a scheduler and two workers, each with a nanny, in processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, dict[str, subprocess.Popen[bytes]]()
        with contextlib.closing(socket.socket()) as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts what is not running."""
        places = {"scheduler": ["scheduler", "--host=127.0.0.1", f"--port={self.port}", "--no-dashboard"]}
        worker = ["worker", self.address, "--nthreads=1", "--no-dashboard", f"--local-directory={self.folder}"]
        places |= {"worker 1": worker, "worker 2": worker}
        for name, arguments in places.items():
            if name not in self.processes:
                self.processes[name] = subprocess.Popen(
                    [sys.executable, "-m", "dask", *arguments],
                    env=os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)},
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                )  # fmt: skip

    def kill(self, name: str) -> None:
        """Kills the scheduler, or a worker and its nanny, by SIGKILL."""
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=PATIENCE)

    def stop(self) -> None:
        """Kills all that is running."""
        for name in list(self.processes):
            self.kill(name)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 0, 1 if something was lost, 2 for wrong usage."""
    values = flags.FlagValues()
    flags.DEFINE_integer("kills", 20, "disturbances", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("seed", 0, "of the moments and the kinds", lower_bound=0, flag_values=values)
    flags.DEFINE_boolean("evaluate", True, "evaluate the runs, too", values)
    flags.DEFINE_boolean("cluster", False, "run every other sweep on a local Dask cluster of two workers", values)
    return command.run(__doc__, values, _torture, argv)


def _torture(values: flags.FlagValues, positional: list[str]) -> None:
    command.refuse(positional)
    draw, kills, differences, sweeps = random.Random(values.seed), list[Kill](), list[str](), 0
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        experiment = Path(folder, "torture.py")
        experiment.write_text(EXPERIMENT)
        cluster = Cluster(Path(folder)) if values.cluster else None
        if cluster:
            stack.callback(cluster.stop)
        launch = [sys.executable, "-m", "experiments.launch", f"--experiment={experiment}",
                  "--checkpoint_every_seconds=0.5", f"--evaluate={'due' if values.evaluate else 'never'}"]  # fmt: skip
        start = time.monotonic()
        _finish(_start(launch, Path(folder, "undisturbed")))
        seconds = time.monotonic() - start
        print(f"seed {values.seed}; undisturbed: {seconds:.1f} s", flush=True)
        while len(kills) < values.kills:
            sweeps += 1
            workdir = Path(folder, f"sweep-{sweeps}")
            on_cluster = cluster if sweeps % 2 == 0 else None
            flags_of_sweep = [f"--cluster={on_cluster.address}"] if on_cluster else []
            finished = False
            while len(kills) < values.kills and not finished:
                if on_cluster:
                    on_cluster.start()
                # Half of the kills come early in a launch: else they would mostly hit its last epochs.
                delay = draw.uniform(0, seconds) * draw.choice((0.5, 1.0))
                process = _start([*launch, *flags_of_sweep], workdir)
                kill, finished = _disturb(process, workdir, on_cluster, delay, draw)
                if kill:
                    kills.append(kill)
                    print(f"{len(kills):4} {kill.kind:9} after {delay:5.1f} s, exit code {kill.exit_code:4}", end=", ")
                    print(f"{kill.retrained:2} epochs to train again", flush=True)
            if on_cluster:
                on_cluster.start()
            _finish(_start([*launch, *flags_of_sweep], workdir))
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
        raise UserError(f"an undisturbed launch ended with {process.returncode}: {errors[-2000:]}")


def _disturb(
    process: subprocess.Popen[str], workdir: Path, cluster: Cluster | None, delay: float, draw: random.Random
) -> tuple[Kill | None, bool]:
    """Disturbs the launch after so many seconds; returns None if it ended before, and whether the sweep is finished."""
    kind = draw.choice(CLUSTER_KINDS if cluster else KINDS)
    size = int(10 ** draw.uniform(2, 6))  # bytes
    try:
        process.communicate(timeout=delay)
        disturbed = False
    except subprocess.TimeoutExpired:
        disturbed = True
        match kind:
            case "SIGKILL":
                process.kill()
            case "SIGTERM":
                process.terminate()
            case "worker":
                assert cluster
                cluster.kill(draw.choice(("worker 1", "worker 2")))
                cluster.start()
            case "scheduler":
                assert cluster
                cluster.kill("scheduler")
            case _:
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
    _, errors = process.communicate(timeout=PATIENCE)
    finished = process.returncode == 0
    if finished and (not disturbed or kind != "worker"):
        return None, True
    # A SIGTERM before the program begins is the system's own.
    expected = {"SIGKILL": {-signal.SIGKILL}, "SIGTERM": {143, -signal.SIGTERM}, "worker": {0}}.get(kind, {1})
    if process.returncode not in expected or "Traceback" in errors:
        raise UserError(f"{kind} after {delay:.1f} s: exit code {process.returncode}: {errors[-2000:]}")
    if kind == "full disk" and not re.search(r"cannot (write|use) ", errors):
        raise UserError(f"the launch does not report the full disk ({size} bytes a file): {errors[-2000:]}")
    return Kill(kind, process.returncode, _epochs_to_train_again(workdir)), finished


def _epochs_to_train_again(workdir: Path) -> int:
    """Counts the epochs in metrics.jsonl of unfinished runs beyond their newest checkpoint."""
    count = 0
    for path in workdir.glob("runs/*/metrics.jsonl"):
        if not (path.parent / "params.safetensors").exists():
            count += max(0, len(path.read_bytes().splitlines()) - max(checkpoints.epochs(path.parent), default=0))
    return count


def compare(expected: Path, found: Path) -> list[str]:
    """Returns the differences between two finished workdirs, except for the clock."""
    trees = [{str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} for root in (expected, found)]
    differences = [f"{found / name} is only in one" for name in sorted(trees[0] ^ trees[1])]
    for name in sorted(trees[0] & trees[1]):
        if Path(name).name not in CLOCK_FILES and _content(expected / name) != _content(found / name):
            differences.append(f"{found / name} differs")
    return differences


def _content(path: Path) -> object:
    match path.name:
        case "experiment.json":
            return {name: value for name, value in json.loads(path.read_bytes()).items() if name not in LAUNCH_KEYS}
        case "results.csv":
            rows = list(csv.DictReader(path.read_text().splitlines()))
            if not all(math.isfinite(float(row.pop("train_seconds"))) for row in rows):
                raise UserError(f"{path} has a run without a training time")
            return rows
    return path.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
