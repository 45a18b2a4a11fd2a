"""`versions`: this version against the checkout of another, launched in turn: an epoch of one run, and the sweep."""

import json
import statistics
import tempfile
from functools import partial
from pathlib import Path

from scripts.benchmark.measuring import alternate, table
from scripts.benchmark.sweep import ROOT, SWEEP, launch, seconds_of_launch


def benchmark(dataset: str, other: str, repeats: int) -> str:
    """Times each version so often."""
    checkouts = {"this": ROOT, "other": Path(other).expanduser().resolve()}
    epochs = {name: partial(seconds_of_epoch, path, dataset) for name, path in checkouts.items()}
    sweeps = {name: partial(seconds_of_launch, path, dataset, SWEEP) for name, path in checkouts.items()}
    return "\n".join([
        table("versions, s per epoch of the 784-512-2 VAE", alternate(epochs, repeats)),
        table("versions, s of the sweep of 30 runs", alternate(sweeps, repeats)),
    ])  # fmt: skip


def seconds_of_epoch(checkout: Path, dataset: str) -> float:
    """Returns the median time of an epoch of one run."""
    with tempfile.TemporaryDirectory() as folder:
        launch(checkout, dataset, Path(folder, "sweep"), [])
        (path,) = Path(folder, "sweep").glob("runs/*/timing.jsonl")
        return statistics.median(json.loads(line)["seconds"] for line in path.read_text().splitlines())
