"""Draws the figures and the report of a finished workdir again, without training.

python -m scripts.figures --workdir=runs/ae_vs_vae
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from vae_jax.config import ConfigError
from vae_jax.files import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 0, 1 at run time, 2 for wrong usage."""
    values = flags.FlagValues()
    flags.DEFINE_string("workdir", None, "the finished workdir", values, required=True)
    flags.DEFINE_string("data_dir", None, "where prepared data sets lie; default ~/tensorflow_datasets", values)
    argv = list(sys.argv if argv is None else argv)
    if {"--help", "-h"} & set(argv[1:]):
        print(f"{__doc__}\n{values.get_help()}")
        return 0
    try:
        if positional := values(argv)[1:]:
            raise flags.Error(f"{positional[0]!r} is not a flag; write --name=value")
    except flags.Error as error:
        print(f"figures: {error} (see --help)", file=sys.stderr)
        return 2
    try:
        _draw(Path(os.path.expanduser(values.workdir)), values.data_dir)
    except (UserError, ConfigError, OSError) as error:  # a ConfigError is of what experiment.json says
        print(f"figures: {error}", file=sys.stderr)
        return 1
    return 0


def _draw(workdir: Path, data_dir: str | None) -> None:
    from vae_jax import gallery, report
    from vae_jax.workdir import read_experiment

    experiment = read_experiment(workdir)
    pictures = gallery.draw(experiment, workdir, data_dir=data_dir)
    report.write(experiment, workdir, pictures)
    print(
        f"{len(pictures)} figures in {(workdir / 'figures').resolve()}\nReport: {(workdir / 'report.html').resolve()}"
    )


if __name__ == "__main__":
    sys.exit(main())
