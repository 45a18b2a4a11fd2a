"""A small digit classifier: sets of images are compared in its features, and it says which class a sample shows.

A Fréchet distance has a meaning within one feature space only. So the classifier of a data set is trained once, cached
in a file that all workdirs share, and identified by the digest of its parameters. The features of Inception, made for
photographs, say little about digits; a classifier of the data set itself is the usual replacement.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from vae_jax import arrays
from vae_jax.arrays import Arrays, DamagedError, MismatchError
from vae_jax.data import Dataset
from vae_jax.evaluation import recipe
from vae_jax.evaluation.recipe import Network
from vae_jax.evaluation.subsets import MAX_IMAGES, limit, subset
from vae_jax.workdir import UserError

MAX_CLASSES = 1_000
MAX_LOADED = 4  # classifiers kept in the process
LOCK_SECONDS = 600.0  # to wait for another process that trains the same classifier


class Classifier(NamedTuple):
    """A trained classifier of C classes with F features."""

    predict: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    """float32[N, H, W] in [0, 1] to features float32[N, F] and probabilities float32[N, C]."""
    accuracy: float  # share of the test images
    seed: int
    digest: str  # SHA-256 of its parameters


def is_classifiable(dataset: Dataset) -> bool:
    """Whether the data set has labels, of at most `MAX_CLASSES` classes, to train a classifier with."""
    labelled = dataset.train.labels is not None and dataset.test.labels is not None
    return labelled and len(_classes(dataset)) <= MAX_CLASSES


def load_or_train(dataset: Dataset, folder: Path | None = None, seed: int = 0) -> Classifier:
    """Loads the data set's classifier from its file, or trains it on the training split and writes the file.

    Training takes seconds and is announced on stderr. A damaged file is replaced. Threads and processes that need the
    same classifier wait for the first one to train it. A folder that cannot be written leaves it in memory. On one
    machine, the same seed gives the same digest.

    Args:
        dataset: with labels.
        folder: of classifiers, created if it is missing; None for `cache_dir()`.
        seed: of the initial parameters, the order of the images and their shifts.

    Raises:
        ValueError: the data set has no labels, or too many classes.
    """
    if not is_classifiable(dataset):
        raise ValueError(f"{dataset.name} has no labels of at most {MAX_CLASSES} classes to train a classifier with")
    identity = _identity(dataset, seed)
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    folder = folder or cache_dir()
    path = folder / f"classifier-{key}.safetensors" if folder else None
    with _one_at_a_time:
        if (path, key) not in _loaded:
            flat, accuracy = _load_or_train(path, dataset, identity)
            network, params = _network(dataset), flax.traverse_util.unflatten_dict(flat, sep="/")
            while len(_loaded) >= MAX_LOADED:
                del _loaded[next(iter(_loaded))]
            _loaded[path, key] = Classifier(
                partial(recipe.predict, network, params), accuracy, seed, arrays.digest(flat)
            )
        return _loaded[path, key]


def cache_dir() -> Path | None:
    """Returns the folder of classifiers: $VAE_JAX_CACHE_DIR, $XDG_CACHE_HOME/vae_jax or ~/.cache/vae_jax.

    None if no variable is set and the user has no home.
    """
    if own := os.environ.get("VAE_JAX_CACHE_DIR"):
        return Path(os.path.expanduser(own))
    home = os.path.expanduser("~")
    for base in (os.environ.get("XDG_CACHE_HOME", ""), os.path.join(home, ".cache")):
        if os.path.isabs(base):  # the XDG specification says to ignore relative paths
            return Path(base) / "vae_jax"
    return None


_loaded: dict[tuple[Path | None, str], Classifier] = {}
_one_at_a_time = threading.Lock()


def _classes(dataset: Dataset) -> np.ndarray:
    """The labels of the training images in ascending order, int32[C]."""
    assert dataset.train.labels is not None
    return np.unique(dataset.train.labels)


def _network(dataset: Dataset) -> Network:
    return Network(len(_classes(dataset)))


def _identity(dataset: Dataset, seed: int) -> dict[str, Any]:
    """Everything the parameters depend on; the digest of the data set covers its pixels only."""
    labels = hashlib.sha256()
    for split in (dataset.train, dataset.test):
        labels.update(np.ascontiguousarray(split.labels, np.int32).data)
    data = {name: dataset.provenance[name] for name in ("sha256", "counts")} | {"labels": labels.hexdigest()}
    return {"recipe": recipe.constants(), "seed": seed, "data": data}


def _load_or_train(path: Path | None, dataset: Dataset, identity: dict[str, Any]) -> tuple[Arrays, float]:
    """Returns the parameters and the accuracy on the test images."""
    if path:
        with contextlib.suppress(_UnusableError):
            return _read(path, dataset, identity)
    with _exclusive(path) as obstacle:
        reason = obstacle
        if path and not obstacle:
            try:
                return _read(path, dataset, identity)  # another process may have trained it meanwhile
            except _UnusableError as error:
                reason = f"{path} {error}: training the classifier of {dataset.name}"
        print(reason, file=sys.stderr, flush=True)
        flat, accuracy = _trained(dataset, identity["seed"])
        if path and not obstacle:
            try:
                arrays.write(path, flat, {"identity": identity, "accuracy": accuracy})
            except UserError as error:
                print(f"{error}; the classifier of {dataset.name} is kept in memory", file=sys.stderr, flush=True)
    return flat, accuracy


@contextlib.contextmanager
def _exclusive(path: Path | None) -> Iterator[str]:
    """Waits until no other process trains the classifier of this file; yields why it cannot be written, or nothing."""
    handle, obstacle = None, ""
    try:
        if path is None:
            raise OSError(0, "there is no home directory to cache it in")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        give_up = time.monotonic() + LOCK_SECONDS
        while not _lock(handle) and time.monotonic() < give_up:
            time.sleep(0.1)
    except OSError as error:
        place = f"cannot write {path.parent}: " if path else ""
        obstacle = f"{place}{error.strerror}; training a classifier in memory, set VAE_JAX_CACHE_DIR to keep it"
    try:
        yield obstacle
    finally:
        if handle is not None:
            os.close(handle)  # which releases the lock


def _lock(handle: int) -> bool:
    """Takes the lock of an open file, unless another process has it; True also if the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


class _UnusableError(Exception):
    """The file is not the classifier that is wanted; the message continues after its path."""


def _read(path: Path, dataset: Dataset, identity: dict[str, Any]) -> tuple[Arrays, float]:
    """Reads the parameters and the accuracy on the test images from an untrusted file.

    Raises:
        _UnusableError: it is missing, damaged, or another classifier.
    """
    if not path.exists():
        raise _UnusableError("does not exist yet")
    try:
        flat, header = arrays.read(path, _specification(dataset))
        accuracy = header["accuracy"]
        if header.keys() != {"identity", "accuracy", "sha256"} or not isinstance(accuracy, float):
            raise DamagedError("is damaged: its header is incomplete")
    except (DamagedError, MismatchError) as error:
        raise _UnusableError(str(error)) from error
    except (UserError, LookupError) as error:
        raise _UnusableError(f"is damaged ({error})") from error
    if header["identity"] != identity:
        raise _UnusableError("is of other data, another seed or another version")
    if not 0 <= accuracy <= 1:
        raise _UnusableError("is damaged: its accuracy is not a share")
    return flat, accuracy


def _specification(dataset: Dataset) -> dict[str, tuple[tuple[int, ...], Any]]:
    """The shape and dtype of each parameter by its name in the file."""
    image = jax.ShapeDtypeStruct(recipe.shrunk(dataset.train.images[:1]).shape, jnp.float32)
    params = jax.eval_shape(_network(dataset).init, jax.random.key(0), image)["params"]
    flat = flax.traverse_util.flatten_dict(params, sep="/")
    return {name: (leaf.shape, leaf.dtype) for name, leaf in flat.items()}


def _trained(dataset: Dataset, seed: int) -> tuple[Arrays, float]:
    """Trains the classifier; returns its parameters and its accuracy on the test images."""
    train, test, network, classes = dataset.train, dataset.test, _network(dataset), _classes(dataset)
    assert train.labels is not None
    assert test.labels is not None
    params = recipe.train(network, train.images, np.searchsorted(classes, train.labels), seed)
    chosen = subset(np.arange(len(test.images)), limit(MAX_IMAGES, test.images.shape[1:]))
    _, probabilities = recipe.predict(network, params, test.images[chosen] / np.float32(255))
    accuracy = float(np.mean(classes[probabilities.argmax(axis=1)] == test.labels[chosen]))
    return flax.traverse_util.flatten_dict(jax.tree.map(np.asarray, params), sep="/"), accuracy
