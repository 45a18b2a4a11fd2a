"""Prepares a data set of tensorflow-datasets once, without TensorFlow, so that `--dataset=NAME` finds it.

python -m scripts.prepare_data --dataset=mnist [--from_dir=DIR] [--data_dir=DIR]
"""

import sys
import time

from absl import flags

from vae_jax.config import nearest
from vae_jax.data import DataError, tfds
from vae_jax.data.preparation import prepare


def main(argv: list[str]) -> int:
    """Runs the command line `argv`; returns the exit status: 0, 1 (the data are at fault) or 2 (the flags are)."""
    try:
        values = _parse(argv)
    except flags.Error as error:
        print(f"prepare_data: {error}", file=sys.stderr)
        return 2
    if values.help:
        print(f"{__doc__}\n{values.get_help(include_special_flags=False)}")
        return 0
    start = time.monotonic()
    try:
        already = tfds.find(values.dataset, values.data_dir) is not None
        folder = prepare(values.dataset, data_dir=values.data_dir, from_dir=values.from_dir)
        counts = ", ".join(f"{count:,} {split}" for split, count in tfds.count_images(folder).items())
    except DataError as error:
        print(f"prepare_data: {error}", file=sys.stderr)
        return 1
    done = "already prepared" if already else f"prepared in {time.monotonic() - start:.0f} s"
    print(f"{values.dataset} is {done}: {counts} images in {folder}")
    return 0


def _parse(argv: list[str]) -> flags.FlagValues:
    """The flags of the command line.

    Raises:
        flags.Error: an unknown flag, or a value that a flag does not take.
    """
    values = flags.FlagValues()
    flags.DEFINE_string("dataset", None, " | ".join(tfds.NAMES), flag_values=values)
    flags.DEFINE_string(
        "from_dir", None, "folder with the original files (or their .xz); default: download them", flag_values=values
    )
    flags.DEFINE_string(
        "data_dir", None, "where to prepare it; default: $TFDS_DATA_DIR or ~/tensorflow_datasets", flag_values=values
    )
    flags.DEFINE_boolean("help", False, "show this and exit", short_name="h", flag_values=values)
    unexpected = values(argv)[1:]
    if unexpected:
        raise flags.Error(f"unexpected {unexpected[0]!r}; every value belongs to a flag, as --dataset=mnist")
    if values.dataset not in tfds.NAMES and not values.help:
        hint = nearest(values.dataset, tfds.NAMES) if values.dataset else ""
        raise flags.Error(f"--dataset must be one of {', '.join(tfds.NAMES)}, not {values.dataset!r}{hint}")
    return values


if __name__ == "__main__":
    sys.exit(main(sys.argv))
