"""The data sets of runs: loaded once, checked before any work, and still the same when a run continues. Without JAX."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from vae_jax import data
from vae_jax.config import Config, ConfigError, canonical
from vae_jax.data import arrays
from vae_jax.data.splits import Dataset
from vae_jax.errors import UserError
from vae_jax.files import exists
from vae_jax.workdir import DataIdentity, read_identity, run_dir

_load = functools.lru_cache(maxsize=8)(data.load)
_given: list[Callable[..., Dataset]] = []  # loads the arrays of each open block of `given`; the last one counts
_giving = threading.RLock()


@contextlib.contextmanager
def given(own: arrays.Arrays | None) -> Iterator[None]:
    """Has `load_dataset` take these arrays for `array:` in all threads of this process, until the block ends.

    Another thread that gives arrays waits until then, so that no run is trained on the images of another. None gives
    nothing.
    """
    if own is None:
        yield
        return
    with _giving:
        _given.append(functools.lru_cache(maxsize=8)(functools.partial(data.load, given=own)))
        try:
            yield
        finally:
            _given.pop()


def load_dataset(config: Config, data_dir: str | None = None) -> Dataset:
    """Loads the data set that a Config names, or returns it if it was loaded before.

    Raises:
        UserError: it is missing, damaged or too small, or is `array:` and was not `given`.
    """
    config = canonical(config)
    fraction = config.validation_fraction
    load = _given[-1] if config.dataset == arrays.NAME and _given else _load
    pixels = {"pixel_max": config.pixel_max, "image_size": config.image_size, "channels": config.channels}
    return load(config.dataset, **pixels, validation_fraction=fraction, data_dir=data_dir)


def check_runs(configs: Iterable[Config], workdir: Path, data_dir: str | None) -> dict[Config, DataIdentity]:
    """Checks before any work that every run can be trained on its data set.

    Args:
        configs: of the experiment.
        workdir: where each run's folder is.
        data_dir: folder of the prepared data sets.

    Returns:
        The identity of each run's data set.

    Raises:
        UserError: a data set is missing, damaged or too small, or is not the one a run in the workdir was trained on.
        ConfigError: a run does not take the images of its data set.
    """
    identities = {}
    for config in configs:
        dataset, folder = load_dataset(config, data_dir), run_dir(workdir, config)
        check_fits(config, dataset)
        identities[config] = identity_of(dataset)
        if exists(folder / "config.json"):
            check_identity(config.name, read_identity(folder), dataset)
    return identities


def check_fits(config: Config, dataset: Dataset) -> None:
    """Raises ConfigError if the architecture does not take the images, or early stopping has no validation images."""
    if config.patience and not len(dataset.validation.images):
        raise ConfigError(f"patience needs validation images, and {config.dataset} has none; set validation_fraction")
    config.check_image_shape(dataset.train.images.shape[1:])


def remarks(config: Config, dataset: Dataset) -> list[str]:
    """Returns what a person should know before a run is trained on images in colour, a line each."""
    if not dataset.in_colour:
        return []
    name = dataset.name.removesuffix(":")
    lines = [f"{name} is in colour: what was validated on grey strokes only, as the judge of samples, is left out"]
    if config.likelihood == "bernoulli":
        lines.append(
            f"{name} is in colour, of which a Bernoulli is no density but a loss; --likelihood=learned_gaussian is one"
        )
    return lines


def identity_of(dataset: Dataset) -> DataIdentity:
    """Returns what identifies a data set and its splits."""
    origin = dataset.provenance
    return DataIdentity(origin["sha256"], origin.get("labels_sha256"), origin["counts"], origin.get("factors_sha256"))


def check_identity(name: str, identity: DataIdentity, dataset: Dataset) -> None:
    """Raises UserError if pixels, labels, splits or factors are not those the run of this name was trained on."""
    parts = zip(("pixels", "labels", "splits", "factors"), identity, identity_of(dataset), strict=True)
    if changed := [part for part, before, now in parts if before != now]:
        is_array = dataset.name == arrays.NAME
        way_out = "pass the arrays it was trained on, labels and test images included" if is_array else "restore them"
        raise UserError(
            f"{name} was trained on other data: the {' and '.join(changed)} of {dataset.name} have changed since; "
            f"{way_out}, or choose another {'' if is_array else '--'}workdir"
        )
