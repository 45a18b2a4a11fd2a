"""Speed as ratios measured in one call, never as a timed test.

    python -m scripts.benchmark train [--dataset=idx:DIR] [--epochs=5]
    python -m scripts.benchmark conv [--dataset=idx:DIR] [--steps=60] [--image_size=64] [--channels=rgb]
    python -m scripts.benchmark evaluation [--dataset=idx:DIR] [--epochs=5]
    python -m scripts.benchmark sweep
    python -m scripts.benchmark versions --other=DIR [--repeats=3]

Contestants take turns; a row has the median time, and the ratio to the first row in the same round with its least and
greatest value.

train: an epoch of 60,000 images of the 784-512-20 VAE at batch 128, ours against Flax with a jitted step a batch,
PyTorch over a tensor in memory and with a DataLoader, and Keras 3 on JAX (both: extra `bench`).
conv: gradient steps of a 32-64 convolutional VAE, with our convolutions against XLA's and PyTorch's.
evaluation: the parts of the evaluation of a VAE at z = 2.
sweep: 30 runs (5 KL weights, 2 latent sizes, 3 seeds; 20 epochs) as one sweep, against a process for each.
versions: this version against the checkout of another in DIR: an epoch of one run, and the sweep, alternating.
"""

import sys
from collections.abc import Callable, Sequence

from absl import flags

from scripts.benchmark import conv, evaluation, sweep, train, versions
from vae_jax import command


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 0, 1 at run time, 2 for wrong usage."""
    values = flags.FlagValues()
    flags.DEFINE_string("dataset", "mnist_5k", "its images", values)
    flags.DEFINE_integer("epochs", 5, "train: timed epochs; evaluation: of the run", 1, flag_values=values)
    flags.DEFINE_integer("steps", 60, "conv: gradient steps of a round, of which there are five", 1, flag_values=values)
    flags.DEFINE_integer(
        "image_size", 0, "conv: height and width of the images; 0 for their own", 0, flag_values=values
    )
    flags.DEFINE_enum("channels", "", ["", "grey", "rgb"], "conv: of the images; empty for their own", values)
    flags.DEFINE_string("other", None, "versions: the checkout of another version", values)
    flags.DEFINE_integer("repeats", 3, "versions: measures of each", 1, flag_values=values)
    return command.run(__doc__, values, _benchmark, argv)


def _benchmark(values: flags.FlagValues, positional: list[str]) -> None:
    benchmarks: dict[str, Callable[[], str]] = {
        "train": lambda: train.benchmark(values.dataset, values.epochs),
        "conv": lambda: conv.benchmark(values.dataset, values.steps, values.image_size, values.channels),
        "evaluation": lambda: evaluation.benchmark(values.dataset, values.epochs),
        "sweep": lambda: sweep.benchmark(values.dataset),
        "versions": lambda: versions.benchmark(values.dataset, values.other, values.repeats),
    }
    if len(positional) != 1 or positional[0] not in benchmarks:
        raise flags.Error(f"name one benchmark: {', '.join(benchmarks)}")
    if positional == ["versions"] and not values.other:
        raise flags.Error("--other=DIR names the checkout of another version")
    print(benchmarks[positional[0]]())


if __name__ == "__main__":
    sys.exit(main())
