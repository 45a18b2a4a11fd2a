"""Records how a number was produced: command, versions, commit, data sets, device and time."""

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax

from vae_jax import environment, source
from vae_jax.config import Experiment
from vae_jax.data import arrays
from vae_jax.data.identity import load_dataset
from vae_jax.workdir import is_trained, read_identity, run_dir

LAUNCH_KEYS = ("command", "versions", "git_commit", "device", "machine", "started", "wall_seconds")
PACKAGES = (
    "vae-jax", "jax", "jaxlib", "flax", "optax", "numpy", "scipy", "scikit-learn", "safetensors", "matplotlib",
    "tensorflow-datasets", "mlxtend",
)  # fmt: skip


def start(
    experiment: Experiment, command: str, data_dir: str | None, before: Mapping[str, Any], workdir: Path
) -> dict[str, Any]:
    """Returns the record of a launch that begins, with the data sets in `data_dir` that its runs are trained on.

    `before` is the record of the previous launch in this workdir, which may have made some of the runs, or empty.

    Raises:
        UserError: a data set is missing or damaged.
    """
    device = jax.devices()[0]
    return {
        "command": command,
        "runs": [config.name for config in experiment.configs],
        "data": _data(experiment, data_dir, workdir),
        "versions": {"python": platform.python_version()} | {name: source.version(name) for name in PACKAGES},
        "git_commit": _git_commit(),
        "device": {"platform": device.platform, "kind": device.device_kind, "count": jax.device_count()},
        "machine": {
            "system": platform.platform(),
            "processor": platform.machine(),
            # Matrix products run on as many threads, on which the last bits of a result depend.
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "environment": environment.settings(),
        },
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_seconds": None,
        "earlier_launches": _launches(before),
    }


def _data(experiment: Experiment, data_dir: str | None, workdir: Path) -> dict[str, dict[str, Any]]:
    """By data set: its origin, and the number of images in each of the ways the experiment splits it.

    Of arrays, which a launch does not have, it is what trained runs have recorded.
    """
    origins: dict[str, dict[str, Any]] = {}
    # One run for each data set and split.
    for config in {(config.dataset, config.validation_fraction): config for config in experiment.configs}.values():
        if config.dataset == arrays.NAME:
            folder = run_dir(workdir, config)
            origin = arrays.ORIGIN | (read_identity(folder).to_dict() if is_trained(folder) else {"counts": {}})
        else:
            origin = dict(load_dataset(config, data_dir).provenance)
        split = {"validation_fraction": config.validation_fraction, "counts": origin.pop("counts")}
        origins.setdefault(config.dataset, origin | {"splits": []})["splits"].append(split)
    return origins


def _launches(before: Mapping[str, Any]) -> list[Any]:
    earlier = before.get("earlier_launches")
    last = {name: before[name] for name in LAUNCH_KEYS if name in before}
    return [*(earlier if isinstance(earlier, list) else []), *([last] if last else [])]


def _git_commit() -> str | None:
    """The commit of this code, with a + if the code was changed since; None outside a checkout."""
    here = Path(__file__)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        # Fails if this code only lies inside the checkout of another project, whose commit is not the one wanted.
        git("ls-files", "--error-unmatch", here.name)
        return git("describe", "--always", "--exclude=*", "--abbrev=40", "--dirty=+")
    except (OSError, subprocess.SubprocessError):
        return None
