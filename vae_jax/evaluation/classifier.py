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
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import numpy as np

from vae_jax import arrays
from vae_jax.arrays import Arrays, DamagedError, MismatchError
from vae_jax.data import Dataset
from vae_jax.evaluation import recipe
from vae_jax.evaluation.subsets import MAX_IMAGES, limit, subset
from vae_jax.runs import identity_of
from vae_jax.workdir import UserError

MAX_CLASSES = 1_000


class Classifier(NamedTuple):
    """A trained classifier of C classes with F features."""

    predict: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    """float32[N, H, W] in [0, 1] to features float32[N, F] and probabilities float32[N, C]."""
    accuracy: float  # share of the test images
    seed: int
    digest: str  # SHA-256 of its parameters


def is_classifiable(dataset: Dataset) -> bool:
    """Whether the data set has labels, of at most `MAX_CLASSES` classes, to train a classifier with."""
    labels = dataset.train.labels
    return labels is not None and dataset.test.labels is not None and len(np.unique(labels)) <= MAX_CLASSES


def load_or_train(dataset: Dataset, folder: Path | None = None, seed: int = 0) -> Classifier:
    """Loads the data set's classifier from its file, or trains it on the training split and writes the file.

    Training takes seconds and is announced on stderr. Threads and processes that need the same classifier wait for the
    first one to train it. A damaged file is replaced; where none can be written, the classifier stays in memory. On one
    machine, the same seed gives the same digest.

    Args:
        dataset: that `is_classifiable`.
        folder: of classifiers, created if it is missing; None for `cache_dir()`.
        seed: of the initial parameters, the order of the images and their shifts.
    """
    if not is_classifiable(dataset):
        raise ValueError(f"{dataset.name} has no labels of at most {MAX_CLASSES} classes to train a classifier with")
    identity = _identity(dataset, seed)
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    path = (folder or cache_dir()) / f"classifier-{key}.safetensors"
    with _one_at_a_time:
        if path not in _loaded:
            with _locked(path.with_suffix(".lock")):
                flat, accuracy = _load_or_train(path, dataset, identity)
            params = flax.traverse_util.unflatten_dict(flat, sep="/")
            predict = partial(recipe.predict, _network(dataset), params)
            _loaded[path] = Classifier(predict, accuracy, seed, arrays.digest(flat))
        return _loaded[path]


_loaded: dict[Path, Classifier] = {}
_one_at_a_time = threading.Lock()


def cache_dir() -> Path:
    """Returns the folder of classifiers: $VAE_JAX_CACHE_DIR, $XDG_CACHE_HOME/vae_jax or ~/.cache/vae_jax."""
    try:
        if own := os.environ.get("VAE_JAX_CACHE_DIR"):
            return Path(own).expanduser()
        base = Path(os.environ.get("XDG_CACHE_HOME", ""))
        # The XDG specification says to ignore relative paths.
        return (base if base.is_absolute() else Path.home() / ".cache") / "vae_jax"
    except RuntimeError:  # the user has no home, and nothing can be written below this:
        return Path(os.devnull)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Waits until no other process has this lock; a folder or file system that does not allow one goes without."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            fcntl.flock(stack.enter_context(open(path, "a")), fcntl.LOCK_EX)
        yield


def _network(dataset: Dataset) -> recipe.Network:
    assert dataset.train.labels is not None
    return recipe.Network(len(np.unique(dataset.train.labels)))


def _identity(dataset: Dataset, seed: int) -> dict[str, Any]:
    """Everything the parameters depend on."""
    return {"recipe": recipe.constants(), "seed": seed, "data": list(identity_of(dataset))}


def _load_or_train(path: Path, dataset: Dataset, identity: dict[str, Any]) -> tuple[Arrays, float]:
    """Returns the parameters and the accuracy on the test images."""
    try:
        return _read(path, dataset, identity)
    except (DamagedError, MismatchError) as error:
        reason = f"{path} {error}"
    except UserError as error:
        reason = str(error)
    print(f"{reason}: training the classifier of {dataset.name}", file=sys.stderr, flush=True)
    flat, accuracy = _trained(dataset, identity["seed"])
    try:
        arrays.write(path, flat, {"identity": identity, "accuracy": accuracy})
    except UserError as error:
        advice = "the classifier is kept in memory; set VAE_JAX_CACHE_DIR to keep it in a file"
        print(f"{error}; {advice}", file=sys.stderr, flush=True)
    return flat, accuracy


def _read(path: Path, dataset: Dataset, identity: dict[str, Any]) -> tuple[Arrays, float]:
    if not os.path.isfile(path):
        raise MismatchError("does not exist yet")
    image = jax.ShapeDtypeStruct(recipe.shrunk(dataset.train.images[:1]).shape, np.float32)
    params = jax.eval_shape(_network(dataset).init, jax.random.key(0), image)["params"]
    leaves = flax.traverse_util.flatten_dict(params, sep="/")
    flat, header = arrays.read(path, {name: (leaf.shape, leaf.dtype) for name, leaf in leaves.items()})
    accuracy = header.get("accuracy")
    if header.keys() != {"identity", "accuracy", "sha256"} or not isinstance(accuracy, float) or not 0 <= accuracy <= 1:
        raise DamagedError("is damaged: its header is incomplete")
    if header["identity"] != identity:
        raise MismatchError("is of other data, another seed or another version")
    return flat, accuracy


def _trained(dataset: Dataset, seed: int) -> tuple[Arrays, float]:
    train, test, network = dataset.train, dataset.test, _network(dataset)
    assert train.labels is not None
    assert test.labels is not None
    classes, labels = np.unique(train.labels, return_inverse=True)
    params = recipe.train(network, train.images, labels, seed)
    chosen = subset(np.arange(len(test.images)), limit(MAX_IMAGES, test.images.shape[1:]))
    _, probabilities = recipe.predict(network, params, test.images[chosen] / np.float32(255))
    accuracy = float(np.mean(classes[probabilities.argmax(axis=1)] == test.labels[chosen]))
    return flax.traverse_util.flatten_dict(jax.tree.map(np.asarray, params), sep="/"), accuracy
