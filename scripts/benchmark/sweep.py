"""`sweep`: 30 runs (5 KL weights, 2 latent dimensions, 3 seeds; 20 epochs) as one sweep, against a process for each."""

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.benchmark.measuring import seconds, table
from vae_jax.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
GRID = {"latent_dim": "2,16", "kl_weight": "0.25,0.5,1,2,4", "seed": "0,1,2"}
SWEEP = [f"--{name}={values}" for name, values in GRID.items()]


def benchmark(dataset: str) -> str:
    """Times both ways, once."""
    together = seconds_of_launch(ROOT, dataset, SWEEP)
    alone = sum(
        seconds_of_launch(ROOT, dataset, [f"--{name}={value}" for name, value in zip(GRID, values, strict=True)])
        for values in itertools.product(*(text.split(",") for text in GRID.values()))
    )
    return table("sweep, s of 30 runs", {"one sweep": [together], "a process for each run": [alone]})


def seconds_of_launch(checkout: Path, dataset: str, grid: Sequence[str]) -> float:
    """Returns the time of a launch that trains these runs, from the start of its process to its end."""
    with tempfile.TemporaryDirectory() as folder:
        return seconds(lambda: launch(checkout, dataset, Path(folder, "sweep"), grid))


def launch(checkout: Path, dataset: str, workdir: Path, grid: Sequence[str]) -> None:
    """Trains runs of 20 epochs in a process of its own, without figures and evaluations."""
    experiment = workdir.with_name("bare.py")
    experiment.write_text(
        "from vae_jax.config import Experiment\n\nEXPERIMENT = Experiment(name='bare', question='How fast?')\n"
    )
    dataset = dataset.replace(",", "\\,")
    command = [sys.executable, "-m", "vae_jax", f"--experiment={experiment}", f"--dataset={dataset}",
               f"--workdir={workdir}", "--evaluate=never", "--num_epochs=20", *grid]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise UserError(f"the launch in {checkout} ended with {done.returncode}: {done.stderr[-500:]}")
