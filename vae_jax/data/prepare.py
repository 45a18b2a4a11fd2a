"""Prepares a data set of tensorflow-datasets once, without TensorFlow, for `--dataset=mnist` or `--dataset=tfds:NAME`.

python -m vae_jax.data.prepare --dataset=mnist [--from_dir=DIR] [--data_dir=DIR]
"""

import sys
import time
from collections.abc import Sequence

from absl import flags

from vae_jax import command
from vae_jax.data.preparation import prepare, stock_builder
from vae_jax.data.sources import tfds
from vae_jax.data.splits import DataError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code, see `command.guard`."""
    values = flags.FlagValues()
    kinds = f"{', '.join(tfds.NAMES)}, or another image data set of tensorflow-datasets, as NAME or NAME/CONFIG"
    flags.DEFINE_string("dataset", None, kinds, values)
    flags.DEFINE_string(
        "from_dir", None, "folder of the original files, or of their .xz; default: download them", values
    )
    prepared = "folder of the prepared data sets; default: $TFDS_DATA_DIR or ~/tensorflow_datasets"
    flags.DEFINE_string("data_dir", None, prepared, values)
    return command.run(__doc__, values, _prepare, argv)


def _prepare(values: flags.FlagValues, positional: list[str]) -> None:
    command.refuse(positional)
    if not values.dataset:
        raise flags.Error(f"--dataset must name a data set of tensorflow-datasets, such as {tfds.NAMES[0]}")
    try:
        stock_builder(values.dataset)
    except DataError as error:
        raise flags.Error(str(error)) from error
    start = time.monotonic()
    already = tfds.find(values.dataset, values.data_dir) is not None
    folder = prepare(values.dataset, data_dir=values.data_dir, from_dir=values.from_dir)
    counts = ", ".join(f"{count:,} {split}" for split, count in tfds.count_images(folder).items())
    done = "already prepared" if already else f"prepared in {time.monotonic() - start:.0f} s"
    print(f"{values.dataset} is {done}: {counts} images in {folder}")


if __name__ == "__main__":
    sys.exit(main())
