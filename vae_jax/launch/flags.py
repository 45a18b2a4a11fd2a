"""The launcher's flags: one for every field of `Config`, and those that say what a launch does."""

import importlib.util
import textwrap
from collections.abc import Sequence
from typing import Any

from absl import flags

from vae_jax import command
from vae_jax.config import FIELDS, FIGURE_FORMATS, LANGUAGES, Options
from vae_jax.fields import describe, format_value, nearest, parse_values
from vae_jax.launch import cluster

WIDTH = 110  # characters of a line of --help


class _GridParser(flags.ArgumentParser):
    """Parses the values of a field of `Config`; absl turns a ValueError into an error that names the flag."""

    def __init__(self, name: str) -> None:
        self.name = name

    def parse(self, argument: Any) -> Any:
        """Parses a comma-separated list of values."""
        return parse_values(FIELDS[self.name], argument)


def define_flags() -> flags.FlagValues:
    """Defines all flags."""
    values, default = flags.FlagValues(), Options()
    # fmt: off
    flags.DEFINE_string("experiment", None, "name of an experiment, or path of a .py file that defines EXPERIMENT; "
                        "default: the one that --workdir holds, or ae_vs_vae", values)
    flags.DEFINE_string("workdir", None, "folder of the results; default: runs/EXPERIMENT", values)
    flags.DEFINE_string("data_dir", default.data_dir, "folder of the prepared data sets; default: $TFDS_DATA_DIR or "
                        "~/tensorflow_datasets", values)
    flags.DEFINE_boolean("train", default.train, "train unfinished runs; --train=false only evaluates and draws what "
                         "is trained; default: true", values)
    flags.DEFINE_enum("evaluate", default.evaluate, ["due", "again", "never"], "due evaluates what is not evaluated "
                      "yet, again everything; default: due", values)
    flags.DEFINE_enum("figures", default.figures, ["due", "again"], "due draws figures and writes the page where they "
                      "would change, again all; default: due", values)
    flags.DEFINE_list("only_figures", None, "draw these figures only, such as hero,ladder, and remove the others; "
                      "default: those of the experiment, and those that fit its grid", values)
    flags.DEFINE_list("figure_format", None, "what is written beside each figure's PNG: pdf, svg or pdf,svg; png for "
                      "nothing more; default: pdf", values)
    flags.DEFINE_list("heat_maps", None, "numbers of results.csv that the figure heat_maps shows; default: "
                      "validation_elbo,test_distortion,prior_frechet", values)
    flags.DEFINE_boolean("animate", default.animate, "also draw figures/kl_weight.webp, the latent plane and its draws "
                         "as they move with the KL weight; default: false", values)
    flags.DEFINE_integer(
        "num_likelihood_samples", default.num_likelihood_samples, "samples per image of the importance-sampled bound "
        "on log p(image), from 1 to 1000000; default: those of the workdir's evaluations, or 500", lower_bound=1,
        upper_bound=1_000_000, flag_values=values)
    flags.DEFINE_integer(
        "runs_per_device", default.runs_per_device, "runs that a device vectorizes, at least 1; default: 1 on a CPU, "
        "otherwise as many as fit in memory", lower_bound=1, flag_values=values)
    flags.DEFINE_float(
        "checkpoint_every_seconds", default.checkpoint_every_seconds, "least time between two checkpoints, which are "
        "saved at the end of an epoch; default: 60", lower_bound=0.0, flag_values=values)
    flags.DEFINE_string("cluster", default.cluster, "train on the workers of the Dask scheduler at this address, such "
                        "as tcp://HOST:8786; default: train in this process", values)
    flags.DEFINE_enum("language", default.language, LANGUAGES, "language of the report; with "
                      "--workdir=... a finished report is written again in another; default: en", values)
    flags.DEFINE_string("compilation_cache", default.compilation_cache, "folder of compiled programs, or none to keep "
                        "none; default: ~/.cache/vae_jax/compiled", values)
    flags.DEFINE_boolean("tensorboard", default.tensorboard, "also write the metrics as TensorBoard event files; "
                         "default: false", values)
    flags.DEFINE_boolean("list", False, "print the experiments and their questions", values)
    flags.DEFINE_boolean("dry_run", False, "print what the launch would train, and exit", values)
    flags.DEFINE_boolean("version", False, "print the versions of this program and of what it computes with", values)
    flags.DEFINE_boolean("help", False, "print this help", values, short_name="h")
    # fmt: on
    for name, field in FIELDS.items():
        unit = f" ({field.metadata['unit']})" if field.metadata["unit"] else ""
        text = f"{field.metadata['doc']}{unit}; {describe(field)}; default: {format_value(field.default)}"
        # One that is true or false also works as a bare --name and as --noname.
        is_switch = isinstance(field.default, bool)
        flags.DEFINE_flag(flags.Flag(_GridParser(name), None, name, None, text, boolean=is_switch), values)
    return values


def parse(argv: Sequence[str]) -> flags.FlagValues:
    """Parses a command line.

    Raises:
        flags.Error: a flag is unknown, has an invalid value, or an argument is no flag.
    """
    values = define_flags()
    command.refuse(command.parse(values, argv))
    lists = ("only_figures", "figure_format", "heat_maps")
    for name in ("workdir", "data_dir", "cluster", "compilation_cache", *lists):
        if values[name].value in ("", [], [""]):  # as a shell makes it of --workdir=$UNSET
            raise flags.Error(f"--{name} is empty")
    return values


def overrides(values: flags.FlagValues) -> dict[str, tuple[Any, ...]]:
    """Returns the hyperparameters that were given on the command line, in the order of `Config`."""
    return {name: value for name in FIELDS if (value := values[name].value) is not None}


def options(values: flags.FlagValues) -> Options:
    """Returns the checked options; raises flags.Error, or UserError of --cluster, if one cannot be used."""
    given: dict[str, Any] = {name: values[name].value for name in Options._fields}
    for extra, package in {"tensorboard": "tensorboardX", "cluster": "distributed"}.items():
        if given[extra] and importlib.util.find_spec(package) is None:
            raise flags.Error(f"--{extra} needs {package}: pip install 'vae-jax[{extra}]'")
    for name, value in given.items():
        if isinstance(value, list):
            given[name] = tuple(dict.fromkeys(map(str.strip, value)))
    given["figure_format"] = given["figure_format"] or Options().figure_format
    for kind in given["figure_format"]:
        if kind not in FIGURE_FORMATS:
            raise flags.Error(
                f"--figure_format is of {', '.join(FIGURE_FORMATS)}, not {kind!r}{nearest(kind, FIGURE_FORMATS)}"
            )
    if given["cluster"]:
        cluster.locate(given["cluster"])
    return Options(**given)


def repetitions(values: flags.FlagValues) -> list[str]:
    """Returns one line for every flag that was given more than once, as only its last value counts."""
    return [f"--{name} given {n} times; using the last" for name in values if (n := values[name].present) > 1]


def help_text(doc: str, values: flags.FlagValues) -> str:
    """Formats the help: what the launcher does, then every flag with its meaning, its values and its default."""

    def line(name: str) -> str:
        text = values[name].help.replace("default: ", "default:\xa0")  # stays on one line with its value
        filled = textwrap.fill(text, WIDTH, initial_indent=f"  --{name:25} ", subsequent_indent=" " * 30,
                               break_long_words=False, break_on_hyphens=False)  # fmt: skip
        return filled.replace("\xa0", " ")

    launcher = (name for name in values if name not in FIELDS and name != "h")
    about_fields = r"""
Hyperparameters. A flag overrides the experiment's value. A comma-separated list makes a grid (\, is a
comma inside a value); among whole numbers, 0..9 stands for all from 0 to 9. A field that a model ignores does not
multiply its runs."""
    return "\n".join([doc, "Launcher:", *map(line, launcher), about_fields, *map(line, FIELDS)])
