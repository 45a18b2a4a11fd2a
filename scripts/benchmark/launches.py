"""Whole launches, in processes of their own: sweeps, other versions, and a launch that has nothing to do."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from scripts.benchmark.contestants import ours
from scripts.benchmark.measuring import Table, medians, seconds, table
from scripts.benchmark.peak import flops_per_image, matmul_peak, speed_of_step_products
from vae_jax import data
from vae_jax.config import Config
from vae_jax.errors import UserError

SWEEP = ["--latent_dim=2,16", "--kl_weight=0.25,0.5,1,2,4", "--seed=0,1,2", "--num_epochs=20"]
ROOT = Path(__file__).resolve().parents[2]


def benchmark_sweep(dataset: str) -> None:
    """Prints the time of 30 runs trained as one sweep and in a process each, and the speed of training one of them."""
    together = _seconds_of_sweep(ROOT, dataset, SWEEP)
    alone = sum(
        _seconds_of_sweep(ROOT, dataset, [f"--latent_dim={dim}", f"--kl_weight={weight}", f"--seed={seed}", SWEEP[-1]])
        for dim in (2, 16)
        for weight in (0.25, 0.5, 1, 2, 4)
        for seed in (0, 1, 2)
    )
    print(f"30 runs: as one sweep {together:.1f} s, in a process each {alone:.1f} s; ratio {together / alone:.2f}")
    base = Config(dataset=dataset)
    images = data.load(dataset, validation_fraction=base.validation_fraction).train.images
    epochs, flops = ours(images), len(images) * flops_per_image(base, images.shape[1:])
    next(epochs)  # compiles
    shapes = (images[0].size, base.hidden_dims[0], base.batch_size)
    measures = lambda: flops / seconds(lambda: next(epochs)), matmul_peak, lambda: speed_of_step_products(*shapes)
    speed, peak, product = medians(measures, 10)
    print(f"training: {speed / 1e9:.0f} GFLOP/s in matrix products, peak {peak / 1e9:.0f}", end="; ")
    print(f"share of the peak {speed / peak:.2f}; of a step's products alone {speed / product:.2f}")


def benchmark_versions(dataset: str, other: Path, repeats: int) -> None:
    """Prints the medians of this version and another, launched alternately, and their ratio."""
    measures = [
        measure
        for checkout in (ROOT, other.expanduser().resolve())
        for measure in (
            partial(_seconds_of_epoch, checkout, dataset),
            partial(_seconds_of_sweep, checkout, dataset, SWEEP),
        )
    ]
    epoch, sweep, other_epoch, other_sweep = medians(measures, repeats)
    for what, this, that in (
        ("an epoch of 784-512-2", epoch, other_epoch),
        ("the sweep of 30 runs", sweep, other_sweep),
    ):
        print(f"{what}: this {this:.3f} s, other {that:.3f} s (medians of {repeats}); ratio {this / that:.2f}")


def _seconds_of_epoch(checkout: Path, dataset: str) -> float:
    """Launches a run of 20 epochs in a process of its own and returns the median time of its epochs."""
    with tempfile.TemporaryDirectory() as folder:
        launch(checkout, dataset, Path(folder, "sweep"), ["--num_epochs=20"])
        (path,) = Path(folder, "sweep").glob("runs/*/timing.jsonl")
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    return statistics.median(row["seconds"] for row in rows)


def _seconds_of_sweep(checkout: Path, dataset: str, grid: Sequence[str]) -> float:
    """Returns the time of a launch that trains these runs, from the start of its process to its end."""
    with tempfile.TemporaryDirectory() as folder:
        return seconds(lambda: launch(checkout, dataset, Path(folder, "sweep"), grid))


def launch(checkout: Path, dataset: str, workdir: Path, grid: Sequence[str]) -> None:
    """Launches runs without figures and evaluations."""
    done = subprocess.run(**launch_of(checkout, dataset, workdir, grid), capture_output=True, text=True)
    if done.returncode != 0:
        raise UserError(f"the launch in {checkout} ended with {done.returncode}: {done.stderr[-500:]}")


def launch_of(checkout: Path, dataset: str, workdir: Path, grid: Sequence[str]) -> dict[str, Any]:
    """Returns the process of a launch without figures and evaluations: arguments, folder and environment."""
    experiment = workdir.with_name("bare.py")  # without figures
    experiment.write_text(
        "from vae_jax.config import Experiment\n\nEXPERIMENT = Experiment(name='bare', question='How fast?')\n"
    )
    dataset = dataset.replace(",", "\\,")
    command = [sys.executable, "-m", "vae_jax", f"--experiment={experiment}", f"--dataset={dataset}",
               f"--workdir={workdir}", "--evaluate=false", *grid]  # fmt: skip
    return {"args": command, "cwd": checkout, "env": os.environ | {"PYTHONPATH": str(checkout)}}


def benchmark_again(num_runs: int, repeats: int) -> Table:
    """Times a launch in a workdir of tiny runs where nothing is left to do, against one that draws all again."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        images = {f"x_{split}": random.integers(0, 256, (count, 8, 8), np.uint8)
                  for split, count in (("train", 200), ("test", 60))}  # fmt: skip
        np.savez(Path(folder, "tiny.npz"), **images)
        workdir = f"--workdir={Path(folder, 'runs')}"
        seeds = ",".join(map(str, range(num_runs)))
        run = partial(_run, workdir)
        run("--experiment=ae_vs_vae", f"--dataset=npz:{Path(folder, 'tiny.npz')}", "--hidden_dims=8", "--num_epochs=1",
            "--model=vae", "--num_likelihood_samples=2", f"--seed={seeds}")  # fmt: skip
        measures = {
            "nothing to do": lambda: seconds(run),
            "figures and page again": lambda: seconds(lambda: run("--figures=again")),
        }
        return table("again", "s per launch", measures, repeats, f"{num_runs} runs")


def _run(*flags: str) -> None:
    done = subprocess.run([sys.executable, "-m", "vae_jax", *flags], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise UserError(f"the launch ended with {done.returncode}: {done.stderr[-500:]}")
