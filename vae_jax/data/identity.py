"""The data sets of runs: loaded once, checked before any work, and still the same when a run continues. Without JAX."""

import contextlib
import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vae_jax import data
from vae_jax.config import Config, ConfigError, canonical
from vae_jax.data.splits import Dataset
from vae_jax.errors import UserError
from vae_jax.files import exists
from vae_jax.workdir import DataIdentity, find_run_dir, read_identity


def load_dataset(config: Config, data_dir: str | None = None) -> Dataset:
    """Loads the data set that a Config names, or returns it if it was loaded before.

    Raises:
        UserError: it is missing, damaged or too small.
    """
    config = canonical(config)
    return _load_dataset(config.dataset, config.pixel_max, config.validation_fraction, data_dir)


_load_dataset = functools.lru_cache(maxsize=8)(
    lambda name, pixel_max, fraction, data_dir: data.load(
        name, pixel_max=pixel_max, validation_fraction=fraction, data_dir=data_dir
    )
)


def check_runs(
    configs: Iterable[Config], workdir: Path, data_dir: str | None, record: Any = None
) -> dict[Config, DataIdentity]:
    """Checks before any work that every run can be trained on its data set.

    Args:
        configs: of the experiment.
        workdir: where each run's folder is.
        data_dir: folder of the prepared data sets.
        record: of the last launch in the workdir, for runs of version 0.1.0, which do not identify their data.

    Returns:
        The identity of each run's data set.

    Raises:
        UserError: a data set is missing, damaged or too small, or is not the one a run in the workdir was trained on.
        ConfigError: a run does not take the images of its data set.
    """
    identities = {}
    for config in configs:
        dataset = load_dataset(config, data_dir)
        check_fits(config, dataset)
        identities[config] = identity_of(dataset)
        folder = find_run_dir(workdir, config)
        if exists(folder / "config.json"):
            identity = read_identity(folder) or _recorded(record, config, identities[config])
            check_identity(config.name, identity, dataset)
    return identities


def check_fits(config: Config, dataset: Dataset) -> None:
    """Raises ConfigError if the architecture does not take the images, or early stopping has no validation images."""
    if config.patience and not len(dataset.validation.images):
        raise ConfigError(f"patience needs validation images, and {config.dataset} has none; set validation_fraction")
    config.check_image_shape(dataset.train.images.shape[1:])


def identity_of(dataset: Dataset) -> DataIdentity:
    """Returns what identifies a data set and its splits."""
    origin = dataset.provenance
    return DataIdentity(origin["sha256"], origin.get("labels_sha256"), origin["counts"])


def check_identity(name: str, identity: DataIdentity | None, dataset: Dataset) -> None:
    """Checks that a data set is the one a run was trained on.

    Args:
        name: of the run.
        identity: of the run's data set; None, for a run of version 0.1.0, passes.
        dataset: as it is now.

    Raises:
        UserError: its pixels, its labels or its splits have changed.
    """
    if identity is None or identity == (now := identity_of(dataset)):
        return
    changed = [what for what, before, after in zip(("pixels", "labels", "splits"), identity, now, strict=True)
               if before != after]  # fmt: skip
    raise UserError(
        f"{name} was trained on other data: the {' and '.join(changed)} of {dataset.name} have changed since; "
        "restore them, or choose another --workdir"
    )


def _recorded(record: Any, config: Config, identity: DataIdentity) -> DataIdentity | None:
    """Returns the identity of a data set with the digest that the last launch recorded, if it did."""
    with contextlib.suppress(KeyError, TypeError):
        return identity._replace(sha256=str(record["data"][config.dataset]["sha256"]))
    return None
