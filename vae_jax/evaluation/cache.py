"""Networks that measure: each is trained once per data set, and kept in a file that all workdirs share.

Numbers have a meaning within one network's features only, so a network is identified by the digest of its parameters.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from vae_jax import arrays
from vae_jax.arrays import Arrays, DamagedError, MismatchError
from vae_jax.workdir import UserError, exists


class Measure(NamedTuple):
    """A trained network as its file holds it."""

    arrays: Arrays  # parameters, and what else belongs to them, by name
    accuracy: float  # share of images it never saw whose class it tells
    digest: str  # SHA-256 of the arrays


def load_or_train(
    kind: str,
    name: str,
    identity: Mapping[str, Any],
    shapes: Mapping[str, tuple[tuple[int, ...], Any]],
    train: Callable[[], tuple[Arrays, float]],
    folder: Path | None = None,
) -> Measure:
    """Loads a network from its file, or trains it and writes the file.

    Training is announced on stderr. Threads and processes that need the same network wait for the first one to train
    it. A damaged file is replaced; where none can be written, the network stays in memory.

    Args:
        kind: of network, such as `classifier`; the file's name starts with it.
        name: of the data set, for messages.
        identity: everything the arrays depend on, as JSON holds it.
        shapes: the shape and dtype that each array must have.
        train: returns the arrays and the accuracy.
        folder: of the files, created if it is missing; None for `cache_dir()`.
    """
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    path = (folder or cache_dir()) / f"{kind}-{key}.safetensors"
    with _one_at_a_time:
        if path not in _loaded:
            with _locked(path.with_suffix(".lock")):
                found, accuracy = _load_or_train(path, f"the {kind} of {name}", identity, shapes, train)
            _loaded[path] = Measure(found, accuracy, arrays.digest(found))
        return _loaded[path]


_loaded: dict[Path, Measure] = {}
_one_at_a_time = threading.Lock()


def cache_dir() -> Path:
    """Returns the folder of the files: $VAE_JAX_CACHE_DIR, $XDG_CACHE_HOME/vae_jax or ~/.cache/vae_jax."""
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


def _load_or_train(
    path: Path,
    what: str,
    identity: Mapping[str, Any],
    shapes: Mapping[str, tuple[tuple[int, ...], Any]],
    train: Callable[[], tuple[Arrays, float]],
) -> tuple[Arrays, float]:
    try:
        return _read(path, identity, shapes)
    except (DamagedError, MismatchError) as error:
        reason = f"{path} {error}"
    except UserError as error:
        reason = str(error)
    print(f"{reason}: training {what}", file=sys.stderr, flush=True)
    found, accuracy = train()
    try:
        arrays.write(path, found, {"identity": identity, "accuracy": accuracy})
    except UserError as error:
        advice = f"{what} is kept in memory; set VAE_JAX_CACHE_DIR to keep it in a file"
        print(f"{error}; {advice}", file=sys.stderr, flush=True)
    return found, accuracy


def _read(
    path: Path, identity: Mapping[str, Any], shapes: Mapping[str, tuple[tuple[int, ...], Any]]
) -> tuple[Arrays, float]:
    if not exists(path):
        raise MismatchError("does not exist yet")
    found, header = arrays.read(path, shapes)
    accuracy = header.get("accuracy")
    if header.keys() != {"identity", "accuracy", "sha256"} or not isinstance(accuracy, float) or not 0 <= accuracy <= 1:
        raise DamagedError("is damaged: its header is incomplete")
    if header["identity"] != identity:
        raise MismatchError("is of other data, another seed or another version")
    return found, accuracy
