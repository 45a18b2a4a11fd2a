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

from absl import flags

from vae_jax import command
from vae_jax.errors import UserError
from vae_jax.training import checkpoints

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
# A SIGTERM before the program begins is the system's own. Without a worker, the launch goes on.
EXIT_CODES = {"SIGKILL": (-9,), "SIGTERM": (143, -15), "full disk": (1,), "worker": (0,), "scheduler": (1,)}
PATIENCE = 1800.0  # seconds after which a launch counts as hanging
CLOCK_FILES = {"timing.jsonl", "report.html", "made.json"}
LAUNCH_KEYS = ("command", "git_commit", "started", "wall_seconds", "earlier_launches")


class Cluster:
    """A local Dask cluster: a scheduler and two workers, each with a nanny, in processes of their own."""

    def __init__(self, folder: str) -> None:
        with contextlib.closing(socket.socket()) as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        scheduler = ["scheduler", "--host=127.0.0.1", f"--port={port}", "--no-dashboard"]
        worker = ["worker", self.address, "--nthreads=1", "--no-dashboard", f"--local-directory={folder}"]
        self.arguments = {"scheduler": scheduler, "worker 1": worker, "worker 2": worker}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Starts what is not running."""
        for name in self.arguments.keys() - self.processes.keys():
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "dask", *self.arguments[name]],
                env=os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)},
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    def kill(self, name: str) -> None:
        """Kills the scheduler, or a worker and its nanny, by SIGKILL."""
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=PATIENCE)

    def close(self) -> None:
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
    draw, kills, sweeps, retrained = random.Random(values.seed), Counter[str](), 0, 0
    differences: list[str] = []
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Cluster(folder)) as cluster:
        experiment, undisturbed = Path(folder, "torture.py"), Path(folder, "undisturbed")
        experiment.write_text(EXPERIMENT)
        launch = [sys.executable, "-m", "vae_jax", f"--experiment={experiment}",
                  "--checkpoint_every_seconds=0.5", f"--evaluate={'due' if values.evaluate else 'never'}"]  # fmt: skip
        start = time.monotonic()
        _finish([*launch, f"--workdir={undisturbed}"])
        seconds = time.monotonic() - start
        print(f"seed {values.seed}; undisturbed: {seconds:.1f} s", flush=True)
        while kills.total() < values.kills:
            sweeps += 1
            workdir = Path(folder, f"sweep-{sweeps}")
            sweep, on_cluster = [*launch, f"--workdir={workdir}"], None
            if values.cluster and sweeps % 2 == 0:
                sweep, on_cluster = [*sweep, f"--cluster={cluster.address}"], cluster
            finished = False
            while kills.total() < values.kills and not finished:
                # Half of the kills come early in a launch: else they would mostly hit its last epochs.
                delay = draw.uniform(0, seconds) * draw.choice((0.5, 1.0))
                kind, finished = _disturb(sweep, on_cluster, delay, draw)
                if kind:
                    kills[kind] += 1
                    epochs = _epochs_to_train_again(workdir)
                    retrained += epochs
                    message = f"{kills.total():4} {kind:9} after {delay:5.1f} s, {epochs:2} epochs to train again"
                    print(message, flush=True)
            _finish(sweep, on_cluster)
            differences += compare(undisturbed, workdir)
    by_kind = ", ".join(f"{count} {kind}" for kind, count in sorted(kills.items()))
    print(f"{kills.total()} kills survived ({by_kind}) in {sweeps} sweeps; ", end="")
    print(f"{retrained} epochs retrained; {len(differences)} differences found")
    if differences:
        raise UserError("differences: " + "; ".join(differences))


def _start(launch: list[str], cluster: Cluster | None) -> subprocess.Popen[str]:
    if cluster:
        cluster.start()
    return subprocess.Popen(
        launch, cwd=ROOT, env=os.environ | {"JAX_PLATFORMS": "cpu"}, text=True, errors="replace",
        # A pipe: a file would be subject to the limit on files.
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def _finish(launch: list[str], cluster: Cluster | None = None) -> None:
    process = _start(launch, cluster)
    _, errors = process.communicate(timeout=PATIENCE)
    if process.returncode != 0:
        raise UserError(f"an undisturbed launch ended with {process.returncode}: {errors[-2000:]}")


def _disturb(launch: list[str], cluster: Cluster | None, delay: float, draw: random.Random) -> tuple[str | None, bool]:
    """Launches, and disturbs it after `delay` seconds.

    Returns:
        The kind of disturbance, None if the launch ended before it; and whether the sweep is finished.
    """
    kind = draw.choice(CLUSTER_KINDS if cluster else KINDS)
    size = int(10 ** draw.uniform(2, 6))  # bytes
    process = _start(launch, cluster)
    try:
        process.communicate(timeout=delay)
        disturbed = False
    except subprocess.TimeoutExpired:
        disturbed = True
        if kind == "full disk":
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
        elif cluster and kind == "scheduler":
            cluster.kill("scheduler")
        elif cluster and kind == "worker":
            cluster.kill(draw.choice(("worker 1", "worker 2")))
            cluster.start()
        else:
            process.send_signal(signal.Signals[kind])
    _, errors = process.communicate(timeout=PATIENCE)
    finished = process.returncode == 0
    if finished and not (disturbed and kind == "worker"):
        return None, True
    if process.returncode not in EXIT_CODES[kind] or "Traceback" in errors:
        raise UserError(f"{kind} after {delay:.1f} s: exit code {process.returncode}: {errors[-2000:]}")
    if kind == "full disk" and not re.search(r"cannot (write|use) ", errors):
        raise UserError(f"the launch does not report the full disk ({size} bytes a file): {errors[-2000:]}")
    return kind, finished


def _epochs_to_train_again(workdir: Path) -> int:
    """Counts the epochs in metrics.jsonl of unfinished runs beyond their newest checkpoint."""
    count = 0
    for path in workdir.glob("runs/*/metrics.jsonl"):
        if not (path.parent / "params.safetensors").exists():
            count += max(0, len(path.read_bytes().splitlines()) - checkpoints.epochs_done(path.parent))
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
