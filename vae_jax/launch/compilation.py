"""Keeps compiled programs between launches, in JAX's persistent compilation cache.

JAX writes an entry in place, so a process that is killed, or a full disk, leaves a part of one; JAX reads whatever it
finds, and never replaces it. So a launch that ends records the SHA-256 of every entry, and a launch that starts deletes
the entries that differ from the record or are not in it. Such an entry costs a compilation and no more.

A program depends on the processor and on the number of cores, which JAX's keys leave out: each kind of machine has a
folder of its own.
"""

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from vae_jax.errors import UserError
from vae_jax.files import read_json, remove, sha256, write_json
from vae_jax.measure.instruments import cache_dir

RECORD = "digests.json"
MAX_BYTES = 1 << 29  # of all entries of a folder; the oldest go first


@contextlib.contextmanager
def cache(place: str | None = None) -> Iterator[None]:
    """Compiled programs are read from a folder, and new ones are written there.

    Call it before the first computation: JAX looks for its cache once in the life of a process.

    Args:
        place: the folder; `none` for no cache; None for `default_place()`, unless JAX_COMPILATION_CACHE_DIR names one,
            which is left to JAX.
    """
    import jax

    if place == "none":
        jax.config.update("jax_enable_compilation_cache", False)
    if place == "none" or (place is None and os.environ.get("JAX_COMPILATION_CACHE_DIR")):
        yield
        return
    folder = (Path(place).expanduser() if place else default_place()) / _machine()
    try:
        _clean(folder)
    except (OSError, UserError):  # where nothing can be written, everything is compiled
        yield
        return
    for name, value in {
        "jax_compilation_cache_dir": str(folder),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }.items():
        jax.config.update(name, value)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, UserError):
            write_json(folder / RECORD, {path.name: sha256(path.read_bytes()) for path in _entries(folder)})


def default_place() -> Path:
    """Returns the folder that all workdirs of a user share."""
    return cache_dir() / "compiled"


def _clean(folder: Path) -> None:
    """Makes the folder, and deletes entries that are damaged or of a launch that did not end, and old ones."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        recorded = read_json(folder / RECORD)
    except UserError:  # missing or damaged
        recorded = None
    known = recorded if isinstance(recorded, dict) else {}
    room = MAX_BYTES
    for path in sorted(_entries(folder), key=lambda path: path.stat().st_mtime, reverse=True):
        room -= path.stat().st_size
        if room < 0 or known.get(path.name) != sha256(path.read_bytes()):
            remove(path)


def _entries(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file() and path.name != RECORD]


def _machine() -> str:
    """Identifies what a program is compiled for: the processor, its extensions, and the number of cores."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        lines = {line for line in file if line.startswith(("model name", "flags", "Features", "CPU part"))}
        cores = sorted(lines)
        return sha256(f"{platform.machine()} {_num_cores()} {cores}")[:12]
    return sha256(f"{platform.platform()} {platform.processor()} {_num_cores()}")[:12]


def _num_cores() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
