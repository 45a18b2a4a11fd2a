"""Keeps compiled programs between launches, in JAX's persistent compilation cache."""

import hashlib
import os
import platform
from pathlib import Path

from vae_jax import session
from vae_jax.measure.instruments import cache_dir

MAX_BYTES = 1 << 29  # of a folder's programs; JAX removes those that were not used for longest


def use_cache(place: str | None = None) -> None:
    """Reads compiled programs from a folder and writes new ones there, or says why not and compiles all of them.

    Call it before the first computation: JAX looks for its cache once in the life of a process.

    Args:
        place: the folder; `none` for no cache; None for the user's, unless JAX_COMPILATION_CACHE_DIR names one, which
            is left to JAX.
    """
    import jax

    if place == "none":
        jax.config.update("jax_enable_compilation_cache", False)
    if place == "none" or (place is None and os.environ.get("JAX_COMPILATION_CACHE_DIR")):
        return
    folder = (Path(place).expanduser() if place else cache_dir() / "compiled") / _machine()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_parts(folder)
    except OSError as error:
        return session.say(f"compiled programs are not kept: {error.strerror}: {folder}; see --compilation_cache")
    for name, value in {
        "jax_compilation_cache_dir": str(folder),
        "jax_compilation_cache_max_size": MAX_BYTES,
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }.items():
        jax.config.update(name, value)
    return None


def _remove_parts(folder: Path) -> None:
    """Deletes programs of which a process that was killed, or a full disk, left a part.

    JAX writes NAME-cache in place and then NAME-atime. A part stays for ever, and it stops JAX from making room.
    """
    (folder / ".lockfile").touch()  # JAX's, which it needs also to read
    for path in folder.glob("*-cache"):
        if not path.with_name(path.name.removesuffix("-cache") + "-atime").exists():
            path.unlink(missing_ok=True)


def _machine() -> str:
    """Identifies what a program is compiled for, which JAX's keys leave out: the processor and the number of cores."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
    except OSError:
        processor = [platform.platform(), platform.processor()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return hashlib.sha256(f"{platform.machine()} {cores} {processor}".encode()).hexdigest()[:12]
