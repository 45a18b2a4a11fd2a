"""The dry run: prints what a launch would do."""

import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vae_jax.config import FIELDS, Config, Experiment, Options, group, varying_fields
from vae_jax.fields import format_value
from vae_jax.workdir import find_run_dir, is_trained

if typing.TYPE_CHECKING:
    from vae_jax.data import Dataset


def is_done(workdir: Path, config: Config) -> bool:
    """Whether the run is trained, under its name or under the one that version 0.1.0 gave it."""
    return is_trained(find_run_dir(workdir, config))


def describe(own: Experiment, experiment: Experiment, workdir: Path, datasets: Iterable["Dataset"]) -> list[str]:
    """Describes a launch in lines of text.

    Args:
        own: the experiment.
        experiment: the experiment with the fields of the command line.
        workdir: of the launch; does not have to exist.
        datasets: of the runs.
    """
    done = {config: is_done(workdir, config) for config in experiment.configs}
    lines = [f"{experiment.name}: {experiment.question}"]
    for name in varying_fields(list(done)):
        values = _values(experiment, name)
        lines.append(f"{'varies':8} {name}: {_join(values)}{_list_hint(values)}")
    for name in FIELDS:
        before, after = _values(own, name), _values(experiment, name)
        if before != after:
            unread = "" if any(config.uses(name) for config in done) else " (no run reads it)"
            lines.append(f"{'changed':8} {name}: {_join(before)} -> {_join(after)}{unread}")
    lines += dict.fromkeys(f"{'data':8} {dataset.describe()}" for dataset in datasets)
    counts = f"{_count(len(done), 'run')} of {_count(len(group(done)), 'program')}, {sum(done.values())} trained"
    lines.append(f"{counts}, in {workdir}")
    return lines + [f"{'trained' if trained else 'to do':8} {config.name}" for config, trained in done.items()]


def summary(experiment: Experiment, workdir: Path, options: Options) -> str:
    """Says in one sentence what a launch is about to do, and where."""
    configs = experiment.configs
    left = [config for config in configs if not is_done(workdir, config)]
    runs = _count(len(configs), "run")
    if not left:
        training = f"{runs}, all trained"
    else:
        training = f"training {len(left)} of {runs}" if options.train else f"{runs}, {len(left)} not trained"
    programs = f" ({_count(len(group(left)), 'program')})" if left and options.train else ""
    where = f" on the cluster at {options.cluster}" if options.cluster else ""
    evaluating = "" if options.evaluate == "never" else ", evaluating"
    # How many figures there will be depends on what the runs have to show.
    return f"{experiment.name}: {training}{programs}{where}{evaluating}, drawing, in {workdir}"


def _values(experiment: Experiment, name: str) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(experiment.grid.get(name, (getattr(experiment.base, name),))))


def _list_hint(values: tuple[Any, ...]) -> str:
    """Says how to write one network of several layers, where networks of one layer each may not have been meant."""
    if all(isinstance(value, tuple) and len(value) == 1 for value in values):
        joined = format_value(sum(values, ()))
        return f" ({len(values)} networks of one hidden layer; write {joined} for one network of {len(values)})"
    return ""


def _join(values: tuple[Any, ...]) -> str:
    return ", ".join(map(format_value, values))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
