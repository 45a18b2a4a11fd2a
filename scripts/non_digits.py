"""Asks the judge of plausibility about kinds of non-digits that it was not trained with, and prints its answers.

python -m scripts.non_digits --dataset=mnist_5k [--seed=0] [--data_dir=DIR]
"""

import math
import sys
from collections.abc import Sequence

import numpy as np
from absl import flags

from scripts.probes import Probe, probes
from vae_jax import command, data
from vae_jax.errors import UserError
from vae_jax.measure.judges import is_classifiable, load_or_train
from vae_jax.measure.subsets import MAX_IMAGES, limit, subset


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code, see `command.guard`."""
    values = flags.FlagValues()
    flags.DEFINE_string("dataset", "mnist_5k", "name of a labelled data set, as for a launch", values)
    flags.DEFINE_integer("seed", 0, "of the judge; evaluations use 0", flag_values=values)
    flags.DEFINE_string("data_dir", None, "folder of the prepared data sets of tensorflow-datasets", values)
    return command.run(__doc__, values, _ask, argv)


def _ask(values: flags.FlagValues, positional: list[str]) -> None:
    command.refuse(positional)
    data.check_name(values.dataset)
    dataset = data.load(values.dataset, data_dir=values.data_dir)
    if not is_classifiable(dataset):
        raise UserError(f"{dataset.name} has no labels to train a judge with")
    judge = load_or_train(dataset, seed=values.seed)
    images = dataset.test.images
    real = dataset.test.where(subset(np.arange(len(images)), limit(MAX_IMAGES, images.shape[1:])))
    print(f"{dataset.name}, judge {judge.digest[:12]} of seed {values.seed}, accuracy {judge.accuracy:.1%};")
    print("share of images that it calls implausible:")
    for probe in probes(real):
        print(row(probe, judge.implausible(probe.images)))


def row(probe: Probe, share: float) -> str:
    """Formats what a judge says of a kind: the share with its binomial error, the requirement and whether it is met."""
    count = len(probe.images)
    error = math.sqrt(share * (1 - share) / count)
    required = f"{'at most' if probe.is_real else 'at least'} {probe.bound:.0%}"
    met = "met" if probe.is_met(share) else "not met"
    return f"{probe.name:36}{share:7.1%} ± {error:4.1%}  of {count:<7,}{required:13}: {met}"


if __name__ == "__main__":
    sys.exit(main())
