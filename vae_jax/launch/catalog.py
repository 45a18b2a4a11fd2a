"""The experiments that come with the project, and those of users' files: each is a module that defines `EXPERIMENT`.

A module of a folder, such as `published/jaanli.py`, is named with it: `published/jaanli`.
"""

import importlib
import os
import pkgutil
import re
import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import vae_jax
from vae_jax.config import FIELDS, LEAST_WEIGHTS, Experiment
from vae_jax.fields import ConfigError, nearest

PREFIX = "vae_jax.experiments."


def names() -> list[str]:
    """Returns the names of the experiments that come with the project; those in folders come last."""
    modules = pkgutil.walk_packages(importlib.import_module(PREFIX[:-1]).__path__, PREFIX)
    found = [module.name.removeprefix(PREFIX).replace(".", "/") for module in modules if not module.ispkg]
    return sorted(found, key=lambda name: ("/" in name, name))


def load(name_or_path: str) -> Experiment:
    """Loads an experiment by its name, or from a Python file that defines `EXPERIMENT`.

    Raises:
        ConfigError: there is no such name or file, or the file defines no valid Experiment.
    """
    if name_or_path.endswith(".py"):
        return _load_file(name_or_path)
    if name_or_path not in names():
        hint = nearest(name_or_path, names()) or f"; choose {', '.join(names())}, or the path of a .py file"
        raise ConfigError(f"unknown experiment {name_or_path!r}{hint}")
    module = importlib.import_module(f"{PREFIX}{name_or_path.replace('/', '.')}")
    experiment: Experiment = module.EXPERIMENT
    return experiment


def figure_names() -> list[str]:
    """Returns the names of the functions under `@figure`, also those of an experiment's file that is loaded.

    The project's are read from their source: a dry run need not import matplotlib.
    """
    sources = sorted((Path(vae_jax.__file__).parent / "report" / "figures").glob("*.py"))
    pattern = re.compile(r"^@figure(?:\(.*\))?\ndef (\w+)\(", re.M)
    found = [name for path in sources for name in pattern.findall(path.read_text("utf-8"))]
    loaded = sys.modules.get("vae_jax.report.figures.panels")
    return list(dict.fromkeys([*found, *(loaded.FIGURES if loaded else ())]))


def check_figures(names: Sequence[str]) -> None:
    """Raises ConfigError if one of these figures is unknown."""
    known = figure_names()
    for name in names:
        if name not in known:
            hint = nearest(name, known) or f"; choose from {', '.join(known)}, or give the --experiment that defines it"
            raise ConfigError(f"unknown figure {name!r}{hint}")


def check_numbers(names: Sequence[str]) -> None:
    """Raises ConfigError if one of these is no number that a heat map can show."""
    from vae_jax.measure.measurements import MEASUREMENTS  # which takes long to import

    known = [name for name, entry in MEASUREMENTS.items() if entry.kind is not list]
    for name in names:
        if name not in known:
            hint = nearest(name, known) or "; docs/glossary.md lists all"
            raise ConfigError(f"unknown number {name!r} in --heat_maps{hint}")


def check_animation(experiment: Experiment) -> None:
    """Raises ConfigError if the experiment has too few KL weights for an animation."""
    flat = [config for config in experiment.configs if config.latent_dim == 2 and config.uses("kl_weight")]
    weights = [len({c.kl_weight for c in flat if c.model == model}) for model in {config.model for config in flat}]
    if max(weights, default=0) < LEAST_WEIGHTS:
        raise ConfigError(
            f"--animate needs {LEAST_WEIGHTS} KL weights of a model at 2 dimensions, as --experiment=kl_weight has; "
            f"{experiment.name} has {max(weights, default=0)}"
        )


def _load_file(text: str) -> Experiment:
    """Runs a user's file as Python runs one: it may import its neighbours."""
    path = Path(os.path.abspath(os.path.expanduser(text)))
    if not path.is_file():
        raise ConfigError(f"there is no experiment file {text}")
    sys.path.insert(0, str(path.parent))
    try:
        experiment = runpy.run_path(str(path), run_name=f"{PREFIX}file").get("EXPERIMENT")
    except (Exception, SystemExit) as error:  # a user's file may raise anything
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        where = f"{text}, line {lines[-1]}" if lines else text
        raise ConfigError(f"{where}: {_explain(error)}") from error
    finally:
        sys.path.remove(str(path.parent))  # what the program imports later is its own
    if not isinstance(experiment, Experiment):
        raise ConfigError(f"{text} defines no EXPERIMENT = Experiment(...)")
    return experiment


def _explain(error: BaseException) -> str:
    message = " ".join(str(error).split())
    if match := re.search(r"Config\.__init__\(\) got an unexpected keyword argument '(\w+)'", message):
        return f"unknown field {match[1]!r}{nearest(match[1], FIELDS)}"
    return message if isinstance(error, ConfigError) else f"{type(error).__name__}: {message}"
