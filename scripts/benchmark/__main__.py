"""Speed as ratios measured in one call, never as a timed test.

    python -m scripts.benchmark train [--dataset=idx:DIR] [--epochs=5]
    python -m scripts.benchmark conv [--dataset=idx:DIR] [--steps=60]
    python -m scripts.benchmark likelihood [--num_samples=500] [--num_images=2000]
    python -m scripts.benchmark evaluation [--dataset=idx:DIR] [--num_images=10000]
    python -m scripts.benchmark again [--tiny_runs=100]
    python -m scripts.benchmark sweep
    python -m scripts.benchmark group [--runs=1,8,32,90] [--epochs=5]
    python -m scripts.benchmark scaling [--dataset=idx:DIR]
    python -m scripts.benchmark checkpoints
    python -m scripts.benchmark versions --other=DIR [--repeats=3]

Contestants take turns; a row has the median time, and the ratio to the first row in the same round with its least and
greatest value. Losses that differ by more than 2 % are refused. The first five write --out/benchmark.json and .png.

train: an epoch of 60,000 images of the 784-512-2 VAE at batch 128, ours against PyTorch over a tensor in memory, with a
DataLoader, and compiled; Keras 3 on JAX (both: extra `bench`); and Flax with a jitted step a batch.
conv: gradient steps of a 32-64 convolutional VAE, ours against Flax's convolutions and PyTorch.
likelihood: the importance-sampled bound of a 784-512-20 VAE, against a plain loop in PyTorch.
evaluation: the parts of the evaluation of a VAE at z = 2.
again: a launch with nothing to do in a workdir of tiny runs, and one that draws all again.
sweep: 30 runs (5 KL weights, 2 latent sizes, 3 seeds; 20 epochs) as one sweep, against a process for each; and the
speed of training as a share of the matrix-product peak, beside the speed of a step's products alone.
group: images per second of 784-512-2 VAEs that a device trains together, for each number of runs, and their memory.
scaling: an epoch's time and the memory of a launch against images, width, latent dimensions and runs, and a sweep's
time against the workers of a local cluster (extra `cluster`); writes --out/scaling.json and .png.
checkpoints: a run that saves after every epoch, against one that does not; the share of one checkpoint a minute.
versions: this version against the checkout of another in DIR: an epoch of one run, and the sweep, alternating.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from absl import flags

from scripts.benchmark import contestants, estimates, groups, launches, report, scaling
from scripts.benchmark.measuring import Table, race
from vae_jax import command, data

NUM_IMAGES = 60_000


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 0, 1 at run time, 2 for wrong usage."""
    values = flags.FlagValues()

    def integer(name: str, default: int, text: str) -> None:
        flags.DEFINE_integer(name, default, text, lower_bound=1, flag_values=values)

    flags.DEFINE_string("dataset", "mnist_5k", "its images, repeated up to the number that is timed", values)
    flags.DEFINE_string("out", "build/benchmark", "folder of benchmark.json and benchmark.png", values)
    integer("epochs", 5, "train, group: timed epochs of each")
    integer("steps", 60, "conv: gradient steps of a round, of which there are five")
    flags.DEFINE_list("runs", ["1", "8", "32", "90"], "group: numbers of runs", values)
    integer("num_samples", 500, "likelihood: samples per image")
    integer("num_images", 1000, "likelihood, evaluation: images")
    integer("tiny_runs", 100, "again: runs in the workdir")
    flags.DEFINE_string("other", None, "versions: the checkout of another version", values)
    integer("repeats", 3, "versions, again, likelihood: measures of each")
    return command.run(__doc__, values, _benchmark, argv)


def _benchmark(values: flags.FlagValues, positional: list[str]) -> None:
    tables: dict[str, Callable[[], Table]] = {
        "train": lambda: _train(values.dataset, values.epochs),
        "conv": lambda: _conv(values.dataset, values.steps),
        "likelihood": lambda: estimates.benchmark_likelihood(
            values.dataset, values.num_samples, values.num_images, values.repeats
        ),
        "evaluation": lambda: estimates.benchmark_evaluation(values.dataset, values.epochs, values.num_images),
        "again": lambda: launches.benchmark_again(values.tiny_runs, values.repeats),
    }
    prints: dict[str, Callable[[], None]] = {
        "sweep": lambda: launches.benchmark_sweep(values.dataset),
        "group": lambda: groups.benchmark_group(values.dataset, [int(text) for text in values.runs], values.epochs),
        "scaling": lambda: scaling.benchmark_scaling(values.dataset, Path(values.out)),
        "checkpoints": lambda: groups.benchmark_checkpoints(values.dataset),
        "versions": lambda: launches.benchmark_versions(values.dataset, Path(values.other), values.repeats),
    }
    if len(positional) != 1 or positional[0] not in tables | prints:
        raise flags.Error(f"name one benchmark: {', '.join(tables | prints)}")
    if not all(text.isdecimal() and int(text) > 0 for text in values.runs):
        raise flags.Error("--runs takes numbers from 1 on")
    if positional == ["versions"] and not values.other:
        raise flags.Error("--other=DIR names the checkout of another version")
    if positional[0] in prints:
        return prints[positional[0]]()
    found = tables[positional[0]]()
    print(found.text())
    report.write(Path(values.out), [found])
    return None


def _images(dataset: str) -> np.ndarray:
    return data.load(dataset, validation_fraction=0.0).train.images


def _train(dataset: str, num_epochs: int) -> Table:
    images = _images(dataset)
    images = np.resize(images, (NUM_IMAGES, *images.shape[1:]))
    return race("train", "s per epoch of 60,000 images", contestants.of_training(images), num_epochs)


def _conv(dataset: str, num_steps: int) -> Table:
    steps = contestants.conv_steps(_images(dataset), num_steps)
    return race("conv", f"s per {num_steps} steps of batch {contestants.BATCH}", steps, 5)


if __name__ == "__main__":
    sys.exit(main())
