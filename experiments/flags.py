"""The launcher's flags: one for every field of `Config`, and those that say what a launch does."""

import importlib.util
import math
import textwrap
from collections.abc import Sequence
from typing import Any

from absl import flags

from scripts import command
from vae_jax.config import FIELDS, Options
from vae_jax.fields import describe_flag, format_value, format_values, parse_values, suggest

BOOLEAN = {"true": True, "false": False}
EVALUATE = {"due": "due", "again": "again", "never": "never", "true": "due", "false": "never"}
WIDTH = 110  # characters of a line of --help

# Flags of version 0.1.0, and what other projects call ours.
_ALIASES = {
    "coordinator": "cluster", "distributed": "cluster", "num_processes": "cluster", "process_id": "cluster",
    "scheduler_address": "cluster",
    "config": "experiment", "exp": "experiment",
    "num_samples": "num_likelihood_samples",
    "dir": "workdir", "logdir": "workdir", "out": "workdir", "outdir": "workdir", "output": "workdir",
    "output_dir": "workdir", "save_dir": "workdir",
}  # fmt: skip


class _ValuesParser(flags.ArgumentParser):
    """Parses a comma-separated list of values of one field into a tuple."""

    def __init__(self, name: str) -> None:
        self.field = FIELDS[name]
        self.syntactic_help = describe_flag(self.field)

    def parse(self, argument: Any) -> tuple[Any, ...]:
        """Parses the text; absl turns a ConfigError, which is a ValueError, into its own error."""
        return parse_values(self.field, argument)


class _ValuesSerializer(flags.ArgumentSerializer):
    """The inverse of `_ValuesParser`."""

    def serialize(self, value: tuple[Any, ...]) -> str:
        """Formats the values as the text of a flag."""
        return format_values(value)


class _ChoiceParser(flags.ArgumentParser):
    """Parses the name of a choice into its value."""

    def __init__(self, choices: dict[str, Any]) -> None:
        self.choices = choices
        self.syntactic_help = " | ".join(choices)

    def parse(self, argument: Any) -> Any:
        """Parses the text, or passes a value through."""
        argument = argument.lower() if isinstance(argument, str) else argument
        if argument in self.choices.values():
            return argument
        if argument not in self.choices:
            raise ValueError(f"choose {self.syntactic_help}")
        return self.choices[argument]


def _define_switch(values: flags.FlagValues, name: str, choices: dict[str, Any], default: Any, text: str) -> None:
    """Defines a flag that also works as a bare --name, for true, and as --noname, for false."""
    serializer: flags.ArgumentSerializer[Any] = flags.ArgumentSerializer()
    flags.DEFINE_flag(flags.Flag(_ChoiceParser(choices), serializer, name, default, text, boolean=True), values)


def define_flags() -> flags.FlagValues:
    """Defines all flags."""
    values, default = flags.FlagValues(), Options()
    flags.DEFINE_string(
        "experiment", None, "name of an experiment, or path of a .py file that defines EXPERIMENT; default: the one "
        "that --workdir holds, or ae_vs_vae", values,
    )  # fmt: skip
    flags.DEFINE_string("workdir", None, "folder of the results; default: runs/EXPERIMENT", values)
    flags.DEFINE_string(
        "data_dir", default.data_dir, "folder of the prepared data sets; default: $TFDS_DATA_DIR or "
        "~/tensorflow_datasets", values,
    )  # fmt: skip
    _define_switch(
        values, "train", BOOLEAN, default.train,
        "train unfinished runs; --train=false only evaluates and draws what is trained; default: true",
    )  # fmt: skip
    _define_switch(
        values, "evaluate", EVALUATE, default.evaluate,
        "due (evaluate what is not evaluated yet), again (everything) or never; default: due",
    )  # fmt: skip
    flags.DEFINE_integer(
        "num_likelihood_samples", default.num_likelihood_samples, "samples per image of the importance-sampled bound "
        "on log p(image), from 1 to 1000000; default: 500",
        lower_bound=1, upper_bound=1_000_000, flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer(
        "runs_per_device", default.runs_per_device, "runs that a device vectorizes, at least 1; default: 1 on a CPU, "
        "otherwise as many as fit in memory", lower_bound=1, flag_values=values,
    )  # fmt: skip
    flags.DEFINE_float(
        "checkpoint_every_seconds", default.checkpoint_every_seconds, "least time between two checkpoints, which are "
        "saved at the end of an epoch; default: 60", lower_bound=0.0, flag_values=values,
    )  # fmt: skip
    flags.DEFINE_string(
        "cluster", default.cluster, "train on the workers of the Dask scheduler at this address, such as "
        "tcp://HOST:8786; default: train in this process", values,
    )  # fmt: skip
    _define_switch(
        values, "tensorboard", BOOLEAN, default.tensorboard,
        "also write the metrics as TensorBoard event files; default: false",
    )  # fmt: skip
    flags.DEFINE_boolean("list", False, "print the experiments and their questions", values)
    flags.DEFINE_boolean("dry_run", False, "print what the launch would train, and exit", values)
    flags.DEFINE_boolean("help", False, "print this help", values, short_name="h")
    for name, field in FIELDS.items():
        unit = f" ({field.metadata['unit']})" if field.metadata["unit"] else ""
        text = f"{field.metadata['doc']}{unit}; {describe_flag(field)}; default: {format_value(field.default)}"
        flags.DEFINE(_ValuesParser(name), name, None, text, values, _ValuesSerializer())
    return values


def parse(argv: Sequence[str]) -> flags.FlagValues:
    """Parses a command line.

    Raises:
        flags.Error: a flag is unknown, has an invalid value, or an argument is no flag.
    """
    values = define_flags()
    positional = command.parse(values, argv, lambda name: _ALIASES.get(name) or suggest(name, list(values)))
    command.refuse(positional)
    for name in ("workdir", "data_dir", "cluster"):
        if values[name].value == "":
            raise flags.Error(f"--{name} is empty")
    return values


def overrides(values: flags.FlagValues) -> dict[str, tuple[Any, ...]]:
    """Returns the hyperparameters that were given on the command line, in the order of `Config`."""
    return {name: value for name in FIELDS if (value := values[name].value) is not None}


def options(values: flags.FlagValues) -> Options:
    """Returns the checked options.

    Raises:
        flags.Error: an option is invalid or needs a package that is not installed.
    """
    given: dict[str, Any] = {name: values[name].value for name in Options._fields}
    chosen = Options(**given)
    if not math.isfinite(chosen.checkpoint_every_seconds):
        raise flags.Error(f"--checkpoint_every_seconds must be finite, not {chosen.checkpoint_every_seconds}")
    for needed, extra, package in (
        (chosen.tensorboard, "tensorboard", "tensorboardX"),
        (chosen.cluster, "cluster", "distributed"),
    ):
        if needed and importlib.util.find_spec(package) is None:
            raise flags.Error(f"--{extra} needs {package}: pip install 'vae-jax[{extra}]'")
    return chosen


def repetitions(values: flags.FlagValues) -> list[str]:
    """Returns one line for every flag that was given more than once, as only its last value counts."""
    lines = []
    for name in values:
        flag: flags.Flag[Any] = values[name]
        if flag.present > 1 and name not in ("help", "h", "list", "dry_run"):
            last = format_values(flag.value or ()) if name in FIELDS else format_value(flag.value)
            times = "twice" if flag.present == 2 else f"{flag.present} times"
            lines.append(f"--{name} given {times}; using the last, {last}")
    return lines


def help_text(doc: str, values: flags.FlagValues) -> str:
    """Formats the help: what the launcher does, then every flag with its meaning, its values and its default."""
    launcher = [name for name in values if name not in FIELDS and name != "h"]
    return "\n".join(
        [
            doc,
            "Launcher:",
            *(_describe(name, values[name].help) for name in launcher),
            "",
            r"Hyperparameters. A flag overrides the experiment's value. A comma-separated list makes a grid (\, is a",
            "comma inside a value). A field that a model ignores does not multiply its runs.",
            *(_describe(name, values[name].help) for name in FIELDS),
        ]
    )


def _describe(name: str, text: str) -> str:
    whole = text.replace("default: ", "default:\xa0")  # stays on one line with its value
    filled = textwrap.fill(
        whole, WIDTH, initial_indent=f"  --{name:25} ", subsequent_indent=" " * 30,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return filled.replace("\xa0", " ")
