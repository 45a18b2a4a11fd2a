"""Draws the figures and the report of a finished workdir again, without training.

python -m scripts.figures --workdir=runs/ae_vs_vae
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from scripts import command


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 0, 1 at run time, 2 for wrong usage."""
    values = flags.FlagValues()
    flags.DEFINE_string("workdir", None, "the finished workdir", values)
    flags.DEFINE_string("data_dir", None, "where prepared data sets lie; default ~/tensorflow_datasets", values)
    return command.run(__doc__, values, _draw, argv)


def _draw(values: flags.FlagValues, positional: list[str]) -> None:
    command.refuse(positional)
    if not values.workdir:
        raise flags.Error("--workdir=DIR is needed")
    from vae_jax import gallery, lock, report
    from vae_jax.workdir import read_experiment, refuse_links

    workdir = Path(os.path.expanduser(values.workdir))
    experiment = read_experiment(workdir)
    with lock.hold(workdir):
        refuse_links(workdir)
        pictures = gallery.draw(experiment, workdir, data_dir=values.data_dir)
        path = report.write(experiment, workdir, pictures)
    print(f"{len(pictures)} figures in {(workdir / 'figures').resolve()}\nReport: {path.resolve()}")


if __name__ == "__main__":
    sys.exit(main())
