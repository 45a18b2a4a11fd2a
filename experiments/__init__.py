"""Experiments as data: each module has a question, a grid of runs, and a list of figures in `EXPERIMENT`."""

import importlib
import importlib.util
import pkgutil
from pathlib import Path

from vae_jax.config import ConfigError, Experiment, nearest

NOT_EXPERIMENTS = ("launch",)


def names() -> list[str]:
    """The experiments that come with the project."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in NOT_EXPERIMENTS)


def load(name_or_path: str) -> Experiment:
    """An experiment by its name, or from a Python file that defines `EXPERIMENT`.

    Raises:
        ConfigError: no such name or file, or the file defines no Experiment that has runs.
    """
    if name_or_path.endswith(".py"):
        path = Path(name_or_path)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise ConfigError(f"there is no experiment file {name_or_path}")
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:  # whatever the user's own file raises is about that file
            raise ConfigError(f"{name_or_path} does not load: {type(error).__name__}: {error}") from error
    elif name_or_path in names():
        module = importlib.import_module(f"experiments.{name_or_path}")
    else:
        hint = nearest(name_or_path, names()) or f"; there are {', '.join(names())}, or a path to a .py file"
        raise ConfigError(f"unknown experiment {name_or_path!r}{hint}")
    experiment = getattr(module, "EXPERIMENT", None)
    if not isinstance(experiment, Experiment):
        raise ConfigError(f"{name_or_path} defines no EXPERIMENT = Experiment(...)")
    try:
        num_runs = len(experiment.configs)
    except (AttributeError, TypeError) as error:
        raise ConfigError(f"{name_or_path}: base is a Config and grid a dict of lists of values ({error})") from error
    if num_runs == 0:
        raise ConfigError(f"{name_or_path} has no runs: a field of its grid has no values")
    return experiment
