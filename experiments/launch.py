"""Launches an experiment: trains its runs, evaluates them, draws its figures and writes report.html.

    python -m experiments.launch --experiment=ae_vs_vae
    python -m experiments.launch --experiment=train --latent_dim=2,8,32 --kl_weight=0.5,1,4 --seed=0,1,2

Runs that are finished are not trained again: the same command goes on where it was cut off.
"""

import importlib.util
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import flags

import experiments
from vae_jax import interrupts
from vae_jax.config import FIELDS, Config, ConfigError, Experiment, describe_type, format_value, parse_value
from vae_jax.files import UserError
from vae_jax.interrupts import Stop, StoppedError

USAGE_ERROR, RUN_TIME_ERROR = 2, 1


class _ValuesParser(flags.ArgumentParser):
    """A comma-separated list of values of one Config field, as a tuple."""

    def __init__(self, name: str) -> None:
        self.field = FIELDS[name]
        self.syntactic_help = describe_type(self.field)

    def parse(self, argument: Any) -> tuple[Any, ...]:
        """The values; absl makes the ValueError (which ConfigError is) its own error."""
        return tuple(parse_value(self.field, text) for text in argument.split(","))


class _ValuesSerializer(flags.ArgumentSerializer):
    """The inverse of `_ValuesParser`."""

    def serialize(self, value: tuple[Any, ...]) -> str:
        """The values as the text of a flag."""
        return ",".join(map(format_value, value))


def define_flags() -> flags.FlagValues:
    """The launcher's flags, and one flag for every field of Config."""
    values = flags.FlagValues()
    flags.DEFINE_string(
        "experiment", "ae_vs_vae", "name, or path to a .py file with EXPERIMENT; default ae_vs_vae", values
    )
    flags.DEFINE_string("workdir", None, "where results go; default runs/<experiment>", values)
    flags.DEFINE_string("data_dir", None, "where prepared data sets lie; default ~/tensorflow_datasets", values)
    flags.DEFINE_boolean("tensorboard", False, "write TensorBoard event files beside each run's metrics", values)
    flags.DEFINE_integer(
        "runs_per_device", None, "runs that a device vectorizes; default 1 on a CPU, else as many as fit in memory",
        lower_bound=1, flag_values=values,
    )  # fmt: skip
    flags.DEFINE_float(
        "checkpoint_every_seconds", 60.0, "seconds between two checkpoints, at the end of an epoch; default 60",
        lower_bound=0.0, flag_values=values,
    )  # fmt: skip
    flags.DEFINE_boolean(
        "distributed", False, "share the runs with other processes, which are launched with the same command", values
    )
    flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0, where the cluster does not tell it", values)
    flags.DEFINE_integer(
        "process_id", None, "of this process, from 0, where the cluster does not tell it",
        lower_bound=0, flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer(
        "num_processes", None, "of the launch, where the cluster does not tell it", lower_bound=1, flag_values=values
    )
    flags.DEFINE_boolean("evaluate", True, "evaluate finished runs (once each)", values)
    flags.DEFINE_boolean("list", False, "print the experiments and their questions", values)
    flags.DEFINE_boolean("dry_run", False, "print the grid and what is already done", values)
    flags.DEFINE_boolean("help", False, "print this", values, short_name="h")
    for name, field in FIELDS.items():
        unit = f" ({field.metadata['unit']})" if field.metadata["unit"] else ""
        text = f"{field.metadata['doc']}{unit}; {describe_type(field)}; default {format_value(field.default)}"
        flags.DEFINE(_ValuesParser(name), name, None, text, values, _ValuesSerializer())
    return values


def override_values(values: flags.FlagValues) -> dict[str, tuple[Any, ...]]:
    """The hyperparameters that were given on the command line, in the order of Config."""
    return {name: values[name].value for name in FIELDS if values[name].value is not None}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        The exit code: 0, 1 at run time, 2 for wrong usage, 130 after SIGINT (Ctrl-C), 143 after SIGTERM.
    """
    argv = list(sys.argv if argv is None else argv)
    try:
        return _main(argv)
    except (flags.Error, ConfigError) as error:
        print(f"{Path(argv[0]).name}: {error} (see --help)", file=sys.stderr)
        return USAGE_ERROR
    except (UserError, OSError) as error:
        print(f"{Path(argv[0]).name}: {error}", file=sys.stderr)
        return RUN_TIME_ERROR
    except StoppedError as error:
        print(f"Stopped by {error}. Nothing is lost: the same command goes on from here.", file=sys.stderr)
        return error.exit_code


def _main(argv: list[str]) -> int:
    values = define_flags()
    positional = values(argv)[1:]
    if values.help:
        print(help_text(values))
        return 0
    if positional:
        raise flags.Error(f"{positional[0]!r} is not a flag; write --name=value")
    if values.list:
        for name in experiments.names():
            print(f"{name:12} {experiments.load(name).question}")
        return 0
    experiment = experiments.load(values.experiment).override(override_values(values))
    # No shell expands the ~ of --workdir=~/runs.
    workdir = Path(os.path.expanduser(values.workdir or f"runs/{experiment.name}"))
    _check(experiment, values)
    if values.dry_run:
        _print_grid(experiment, workdir)
        return 0
    command = shlex.join(["python", "-m", "experiments.launch", *argv[1:]])
    interrupts.run(lambda stop: _launch(experiment, workdir, values, command, stop))
    return 0


def _launch(experiment: Experiment, workdir: Path, values: flags.FlagValues, command: str, stop: Stop) -> None:
    from vae_jax import evaluation, gallery, processes, provenance, report, results, sweeps
    from vae_jax import workdir as disk

    gallery.check(experiment.figures)
    configs, data_dir, before = experiment.configs, values.data_dir, dict[str, Any]()
    job = processes.ALONE
    if values.distributed:
        job = processes.join(values.coordinator, values.process_id, values.num_processes)

    def begin() -> list[Config]:
        before.update(disk.claim(workdir, experiment))
        disk.remove_leftovers(workdir)
        return [config for config in configs if not disk.is_trained(disk.run_dir(workdir, config))]

    with processes.sharing(workdir, configs, begin, job) as own:
        if job.rank == 0:
            record = provenance.start(experiment, command, data_dir, before)
            disk.write_record(workdir, experiment, record)
        options = sweeps.Options(data_dir, values.tensorboard, values.runs_per_device, values.checkpoint_every_seconds)
        sweeps.train_due(own, workdir, options, stop)
        if values.evaluate:
            evaluation.evaluate_due(own, workdir, data_dir=data_dir, stop=stop)
        if job.rank != 0:
            return
        processes.wait_for_others(workdir, job, stop)
        if values.evaluate:
            evaluation.evaluate_due(configs, workdir, data_dir=data_dir, stop=stop)
        rows = results.collect(workdir, configs)
        results.write_csv(workdir / "results.csv", rows)
        pictures = gallery.draw(experiment, workdir, data_dir=data_dir)
        disk.write_record(workdir, experiment, provenance.finish(record))
        report.write(experiment, workdir, pictures)
    print(results.format_table(results.summarize(configs, rows)))
    print(f"\nReport: {(workdir / 'report.html').resolve()}")
    if left := sum(not disk.is_trained(disk.run_dir(workdir, config)) for config in configs):
        raise UserError(f"{left} of {len(configs)} runs are not trained; launch again for them")


def _check(experiment: Experiment, values: flags.FlagValues) -> None:
    from vae_jax import data

    for name in dict.fromkeys(config.dataset for config in experiment.configs):
        data.check_name(name)
    if values.tensorboard and importlib.util.find_spec("tensorboardX") is None:
        raise flags.Error("--tensorboard needs the extra: pip install 'vae-jax[tensorboard]'")
    for name in ("coordinator", "process_id", "num_processes"):
        if values[name].value is not None and not values.distributed:
            raise flags.Error(f"--{name} is of --distributed")


def _print_grid(experiment: Experiment, workdir: Path) -> None:
    from vae_jax.workdir import is_trained, run_dir

    done = {config: is_trained(run_dir(workdir, config)) for config in experiment.configs}
    for config, trained in done.items():
        print(f"{'trained' if trained else 'to do':8} {config.name}")
    print(f"{experiment.name}: {len(done)} runs, {sum(done.values())} trained, in {workdir}")


def help_text(values: flags.FlagValues) -> str:
    """The launcher's help: what it does, then every flag with its default, its unit and what it takes."""

    def lines(names: Sequence[str], describe: Callable[[Any], str]) -> str:
        return "\n".join(f"  --{name:20} {describe(values[name])}" for name in names)

    launcher = [name for name in values if name not in FIELDS and name != "h"]
    return "\n".join(
        [
            __doc__ or "",
            "Launcher:",
            lines(launcher, lambda flag: flag.help),
            "",
            "Hyperparameters (the experiment gives the values, a flag overrides them; a comma-separated list makes a",
            "grid; a field that a model ignores does not multiply its runs):",
            lines(list(FIELDS), lambda flag: flag.help),
        ]
    )


def command_line() -> None:
    """The entry point: ends the process with the exit code of `main`."""
    code = main()
    if code > 128:
        # An ordinary exit would wait for a compilation that nobody needs any more.
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    command_line()
