"""Which code runs: this package's source by its SHA-256, since a wheel has no commit, and other packages' versions.

Standard library only.
"""

import functools
import importlib.metadata
import sys
from collections.abc import Mapping
from pathlib import Path

from vae_jax.files import sha256


@functools.cache
def digest(*parts: str, suffixes: tuple[str, ...] = (".py",)) -> str:
    """Returns the SHA-256 of the package's files and their paths in it; hidden ones, as editors leave, do not count.

    It is computed once: a process goes on with the modules it has imported, whatever happens to their files.

    Args:
        parts: files and folders below the package, such as `measure` or `files.py`; none for all of it but the
            experiments, which are data and lie elsewhere in a checkout.
        suffixes: of the files that count.

    Raises:
        FileNotFoundError: the package has no such part.
    """
    package = Path(__file__).parent
    paths = dict[str, Path]()
    for part in parts or (".",):
        found = package / part
        if not found.exists():
            raise FileNotFoundError(found)
        paths |= {path.relative_to(package).as_posix(): path for path in (found, *found.rglob("*"))}
    counted = sorted(
        (name, path)
        for name, path in paths.items()
        if path.suffix in suffixes and "/." not in f"/{name}" and not name.startswith("experiments/")
    )
    text = "".join(f"{name} {sha256(path.read_bytes())}\n" for name, path in counted)
    return sha256(text)


def version(package: str) -> str | None:
    """Returns the version of an installed package, by its name in an index; None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def installation() -> Mapping[str, str | None]:
    """Returns what two processes need in common to train the same: Python, this source, and what it trains with."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    packages = {name: version(name) for name in ("jax", "jaxlib", "flax", "optax", "distributed")}
    return {"Python": python, **packages, "source of vae_jax": digest()}


def difference(other: Mapping[str, str | None], own: Mapping[str, str | None]) -> str:
    """Says in which parts another installation differs: "Python 3.12 instead of 3.11"; "" if in none."""
    names = [name for name in {**own, **other} if other.get(name) != own.get(name)]
    return ", ".join(f"{name} {_short(other.get(name))} instead of {_short(own.get(name))}" for name in names)


def _short(version: str | None) -> str:
    return (version if len(version) < 64 else version[:12]) if version else "none"
