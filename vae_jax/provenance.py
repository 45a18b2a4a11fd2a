"""What has to be known to tell how a number came about: command, versions, commit, data, device, time."""

import importlib.metadata
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax

from vae_jax.config import Experiment
from vae_jax.runs import load_dataset

OF_A_LAUNCH = ("command", "versions", "git_commit", "device", "machine", "started", "wall_seconds")
PACKAGES = ("vae-jax", "jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn", "tensorflow-datasets", "mlxtend")


def start(experiment: Experiment, command: str, data_dir: str | None, before: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a launch that begins: loads the data sets to say what their pixels are.

    Args:
        experiment: what is launched.
        command: the command line.
        data_dir: where prepared data sets lie.
        before: the record of the launch before in this workdir, empty for the first; some runs may be of that one.

    Raises:
        UserError: a data set is not there.
    """
    datasets = {
        (config.dataset, config.validation_fraction): load_dataset(
            config.dataset, validation_fraction=config.validation_fraction, data_dir=data_dir
        ).provenance
        for config in experiment.configs
    }
    device = jax.devices()[0]
    return {
        "command": command,
        "runs": [config.name for config in experiment.configs],
        "data": {name: provenance for (name, _), provenance in datasets.items()},
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "git_commit": _git_commit(),
        "device": {"platform": device.platform, "kind": device.device_kind, "count": jax.device_count()},
        "machine": {
            "system": platform.platform(),
            "processor": platform.machine(),
            # The threads of a matrix product, on which the last bits of a result depend.
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "xla_flags": os.environ.get("XLA_FLAGS", ""),
        },
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_seconds": None,
        "earlier_launches": _launches(before),
    }


def finish(record: dict[str, Any]) -> dict[str, Any]:
    """The record with the wall-clock time of the launch."""
    started = datetime.fromisoformat(record["started"]).timestamp()
    return record | {"wall_seconds": round(time.time() - started, 1)}


def _launches(before: Mapping[str, Any]) -> list[Any]:
    earlier = before.get("earlier_launches")
    last = {name: before[name] for name in OF_A_LAUNCH if name in before}
    return [*(earlier if isinstance(earlier, list) else []), *([last] if last else [])]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """The commit of this code, with a + where it was changed since; None outside a checkout."""
    here = Path(__file__)
    git = ["git", "-C", str(here.parent)]
    try:
        # Where this is installed inside another project's checkout, it is not that project's commit that is asked for.
        subprocess.run([*git, "ls-files", "--error-unmatch", here.name], capture_output=True, timeout=10, check=True)
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True)
        changes = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.stdout.strip() + ("+" if changes.stdout.strip() else "")
