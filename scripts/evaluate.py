"""Evaluates one trained run again and prints its numbers.

python -m scripts.evaluate --run=runs/ae_vs_vae/runs/vae-z2-kl1-s0-d7d21c3a [--num_samples=5000]
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from scripts import command


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 0, 1 at run time, 2 for wrong usage."""
    values = flags.FlagValues()
    flags.DEFINE_string("run", None, "the run's folder, WORKDIR/runs/NAME", values)
    flags.DEFINE_integer("num_samples", 500, "of the importance-sampled bound", lower_bound=1, flag_values=values)
    flags.DEFINE_string("data_dir", None, "where prepared data sets lie; default ~/tensorflow_datasets", values)
    return command.run(__doc__, values, _evaluate, argv)


def _evaluate(values: flags.FlagValues, positional: list[str]) -> None:
    command.refuse(positional)
    if not values.run:
        raise flags.Error("--run=WORKDIR/runs/NAME is needed")
    from vae_jax import lock
    from vae_jax.evaluation import evaluate_run
    from vae_jax.workdir import read_config, refuse_links

    folder = Path(os.path.expanduser(values.run)).resolve()
    read_config(folder)  # before a lock is made where no run is
    with lock.hold(folder.parents[1]):
        refuse_links(folder)
        numbers = evaluate_run(folder, data_dir=values.data_dir, num_likelihood_samples=values.num_samples)
    print(json.dumps(numbers, indent=2))


if __name__ == "__main__":
    sys.exit(main())
