"""What a launch would do: the dry run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vae_jax.config import Config, Experiment, Options, group, varying_fields
from vae_jax.fields import format_value
from vae_jax.workdir import is_trained


def is_done(workdir: Path, config: Config) -> bool:
    """Whether the run is trained, also if version 0.1.0 trained it under its other name."""
    return any(is_trained(workdir / "runs" / name) for name in (config.name, config.legacy_name) if name)


def describe(own: Experiment, experiment: Experiment, workdir: Path) -> list[str]:
    """Describes a launch in lines of text.

    Args:
        own: the experiment as it is defined.
        experiment: the experiment to launch, after the command line has overridden fields.
        workdir: folder of the results; it does not have to exist.
    """
    done = {config: is_done(workdir, config) for config in experiment.configs}
    num_programs = len(group(done))
    lines = [f"{experiment.name}: {experiment.question}"]
    for name in varying_fields(list(done)):
        lines.append(f"{'varies':8} {name}: {_join(_values(experiment, name))}{_list_hint(experiment, name)}")
    for name in _overridden(own, experiment):
        lines.append(f"{'changed':8} {name}: {_join(_values(own, name))} -> {_join(_values(experiment, name))}")
        if not any(config.uses(name) for config in done):
            lines[-1] += " (no run reads it)"
    trained = sum(done.values())
    lines.append(f"{_count(len(done), 'run')} of {_count(num_programs, 'program')}, {trained} trained, in {workdir}")
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
    drawing = f", drawing {_count(len(experiment.figures), 'figure')}" if experiment.figures else ""
    return f"{experiment.name}: {training}{programs}{where}{evaluating}{drawing}, in {workdir}"


def _values(experiment: Experiment, name: str) -> Sequence[Any]:
    return tuple(dict.fromkeys(experiment.grid.get(name, (getattr(experiment.base, name),))))


def _overridden(own: Experiment, experiment: Experiment) -> list[str]:
    return [name for name in experiment.base.to_dict() if _values(own, name) != _values(experiment, name)]


def _list_hint(experiment: Experiment, name: str) -> str:
    """Says how to write one network of several layers, where networks of one layer each may not have been meant."""
    values = _values(experiment, name)
    if all(isinstance(value, tuple) and len(value) == 1 for value in values):
        joined = format_value(sum(values, ()))
        return f" ({len(values)} networks of one hidden layer; write {joined} for one network of {len(values)})"
    return ""


def _join(values: Sequence[Any]) -> str:
    return ", ".join(map(format_value, values))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
