"""Kills sweeps at random moments until they are finished, and compares their files with an undisturbed sweep's.

    python -m tests.torture [--kills=20] [--seed=0] [--cluster]

A launch is killed by SIGKILL, stopped by SIGTERM, or finds the disk full: from that moment on no file may grow beyond a
random size. Then the same command is launched again. With --cluster, every other sweep runs on a local Dask cluster of
two workers, and a worker or the launch is killed. Every file must come out byte for byte as in the undisturbed sweep,
except for the clock: timing.jsonl, `train_seconds` in results.csv, and what experiment.json, made.json and report.html
record about launches.
"""

import argparse
import contextlib
import csv
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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
FLAGS = ["--checkpoint_every_seconds=0.5"]
# How a launch may end, by kind. A SIGTERM before the program begins is the system's own. Without a worker it goes on.
EXIT_CODES = {"SIGKILL": (-9,), "SIGTERM": (143, -15), "full disk": (1,), "worker": (0,)}
PATIENCE = 1800.0  # seconds after which a launch counts as hanging
CLOCK_FILES = {"timing.jsonl", "report.html", "made.json"}
LAUNCH_KEYS = {"command", "git_commit", "started", "wall_seconds", "earlier_launches"}


def main(argv: list[str] | None = None) -> int:
    """Kills as often as the command line says; returns the exit code, 1 if a file differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="disturbances, the default is 20")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the kinds")
    parser.add_argument("--cluster", action="store_true", help="every other sweep runs on a local Dask cluster")
    options = parser.parse_args(argv)
    draw, kills, sweeps, differences = random.Random(options.seed), 0, 0, list[str]()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        experiment, undisturbed = Path(folder, "torture.py"), Path(folder, "undisturbed")
        experiment.write_text(EXPERIMENT)
        launch = [sys.executable, "-m", "vae_jax", f"--experiment={experiment}", *FLAGS]
        workers = stack.enter_context(_cluster()) if options.cluster else None
        start = time.monotonic()
        _finish([*launch, f"--workdir={undisturbed}"])
        seconds = time.monotonic() - start
        print(f"undisturbed: {seconds:.1f} s", flush=True)
        while kills < options.kills:
            sweeps += 1
            on_cluster = workers if sweeps % 2 == 0 else None
            sweep = [*launch, f"--workdir={Path(folder, f'sweep-{sweeps}')}"]
            sweep += [f"--cluster={on_cluster.scheduler.address}"] if on_cluster else []
            finished = False
            while kills < options.kills and not finished:
                # Half of the kills come early in a launch: else they would mostly hit its last epochs.
                delay = draw.uniform(0, seconds) * draw.choice((0.5, 1.0))
                kind, finished = _disturb(sweep, on_cluster, delay, draw)
                if kind:
                    kills += 1
                    print(f"{kills:4} {kind:9} after {delay:5.1f} s", flush=True)
            _finish(sweep)
            differences += compare(undisturbed, Path(folder, f"sweep-{sweeps}"))
    print("\n".join([f"{kills} kills survived in {sweeps} sweeps; {len(differences)} differences found", *differences]))
    return int(bool(differences))


@contextlib.contextmanager
def _cluster():
    """A client of two workers, each of which its nanny starts again when it is killed."""
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        yield client


def _start(launch):
    """Starts a launch; a pipe takes its errors, since a file would be subject to the limit on files."""
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(launch, cwd=ROOT, text=True, errors="replace", **pipes)


def _finish(launch):
    process = _start(launch)
    _, errors = process.communicate(timeout=PATIENCE)
    if process.returncode != 0:
        sys.exit(f"an undisturbed launch ended with {process.returncode}: {errors[-2000:]}")


def _disturb(launch, workers, delay, draw):
    """Launches, and disturbs it after `delay` seconds.

    Returns:
        The kind of disturbance, None if the launch ended before it; and whether the sweep is finished.
    """
    kind = draw.choice(("SIGKILL", "SIGTERM", "worker" if workers else "full disk"))
    process = _start(launch)
    try:
        process.communicate(timeout=delay)
        disturbed = False
    except subprocess.TimeoutExpired:
        disturbed = True
        if kind == "full disk":
            size = int(10 ** draw.uniform(2, 6))  # bytes
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
        elif kind == "worker":
            os.kill(draw.choice(sorted(workers.run(os.getpid).values())), signal.SIGKILL)
        else:
            process.send_signal(signal.Signals[kind])
    _, errors = process.communicate(timeout=PATIENCE)
    finished = process.returncode == 0
    if finished and not (disturbed and kind == "worker"):
        return None, True
    if process.returncode not in EXIT_CODES[kind] or "Traceback" in errors:
        sys.exit(f"{kind} after {delay:.1f} s: exit code {process.returncode}: {errors[-2000:]}")
    return kind, finished


def compare(expected, found):
    """Returns the differences between two finished workdirs, except for the clock."""
    trees = [{str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} for root in (expected, found)]
    differences = [f"{found / name} is only in one" for name in sorted(trees[0] ^ trees[1])]
    for name in sorted(trees[0] & trees[1]):
        if Path(name).name not in CLOCK_FILES and _content(expected / name) != _content(found / name):
            differences.append(f"{found / name} differs")
    return differences


def _content(path):
    match path.name:
        case "experiment.json":
            return {name: value for name, value in json.loads(path.read_bytes()).items() if name not in LAUNCH_KEYS}
        case "results.csv":
            rows = list(csv.DictReader(path.read_text().splitlines()))
            return [row | {"train_seconds": float(row["train_seconds"]) > 0} for row in rows]
    return path.read_bytes()


if __name__ == "__main__":
    os.environ["JAX_PLATFORMS"] = "cpu"  # also of the cluster's workers
    sys.exit(main())
