"""Instruments: the files of the networks that measure, one for each data set, kept in the workdir that they measure.

Numbers have a meaning within one network's features only. So all runs of a workdir, on any worker and any machine, are
measured by the instruments in WORKDIR/instruments, and an evaluation names the one that made it by its digest. The
user's cache keeps a copy of each, so that another workdir need not train it again.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from vae_jax import files, session, source
from vae_jax.errors import DamagedError, UserError
from vae_jax.files import Arrays, exists
from vae_jax.workdir import DataIdentity

FOLDER = "instruments"  # of a workdir
SOURCES = (
    "environment.py", "model/convolutions.py", "model/networks.py", "training/step.py", "measure/judges.py",
    "measure/outliers.py", "measure/recipe.py", "measure/subsets.py",
)  # fmt: skip
"""The code that the parameters of instruments depend on."""


class Instrument(NamedTuple):
    """A trained network as its file holds it."""

    arrays: Arrays  # parameters, and what else belongs to them, by name
    accuracy: float  # share of test images whose class it tells
    digest: str  # SHA-256 of the arrays


def load_or_train(
    name: str, data: DataIdentity, seed: int, train: Callable[[], tuple[Arrays, float]], folder: Path | None = None
) -> Instrument:
    """Loads an instrument from a workdir, or copies it there from the user's cache, or trains it for both.

    Threads and processes that need the same instrument wait for the first one to train it. A damaged file, or one of
    another version of the code, is replaced. A cache that cannot be written is done without.

    Args:
        name: of the data set, for messages.
        data: identity of the data set.
        seed: of the training.
        train: returns the arrays and the accuracy.
        folder: WORKDIR/instruments; None to use the cache alone.

    Raises:
        UserError: the workdir cannot be written.
    """
    identity = {"source": source.digest(*SOURCES), "seed": seed, "data": _judged(data)}
    paths = [place / file_name(data, seed) for place in (folder, cache_dir()) if place]
    with contextlib.ExitStack() as stack:
        for path in paths:
            stack.enter_context(_locked(path.with_name("lock")))
        found, missing = None, dict[Path, str]()
        for path in paths:
            try:
                found, accuracy = _read(path, identity)
                break
            except UserError as error:
                missing[path] = str(error)
        if found is None:
            session.say(f"{missing[paths[0]]}: training the judge of {name}")
            found, accuracy = train()
        for path in missing:
            try:
                files.write_arrays(path, found, {"identity": identity, "accuracy": accuracy})
            except UserError as error:
                if path.parent == folder:
                    raise
                session.say(f"{error}; set VAE_JAX_CACHE_DIR to keep the judge")
    return Instrument(found, accuracy, files.digest(found))


def _read(path: Path, identity: Mapping[str, Any]) -> tuple[Arrays, float]:
    if not exists(path):
        raise UserError(f"{path} does not exist yet")
    try:
        found, header = files.read_arrays(path)
    except DamagedError as error:
        raise UserError(f"{path} {error}") from error
    if header.get("identity") != identity:
        raise UserError(f"{path} is of other data, another seed or another version")
    return found, header["accuracy"]


def digest(folder: Path, data: DataIdentity) -> str | None:
    """Returns the digest of the instrument in WORKDIR/instruments that measures this data set, if there is one."""
    with contextlib.suppress(DamagedError, UserError):  # damaged, or not there
        return str(files.read_header(folder / file_name(data))["sha256"])
    return None


def file_name(data: DataIdentity, seed: int = 0) -> str:
    """Returns the name of an instrument's file, such as `judge-0123456789abcdef.safetensors`."""
    return f"judge-{files.sha256(json.dumps([seed, *_judged(data)]))[:16]}.safetensors"


def _judged(data: DataIdentity) -> list[Any]:
    """Returns what an instrument depends on: everything but the factors, which it never sees."""
    return [data.sha256, data.labels_sha256, data.counts]


def cache_dir() -> Path:
    """Returns the folder of the user's cache: $VAE_JAX_CACHE_DIR, $XDG_CACHE_HOME/vae_jax or ~/.cache/vae_jax."""
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
    """Waits until nobody else has this lock; a folder or file system that does not allow one goes without."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            fcntl.flock(stack.enter_context(open(path, "a")), fcntl.LOCK_EX)
        yield
