"""Where data sets come from: a module for each source, which registers under the names that it reads.

A module here is imported with `vae_jax.data`, so it imports the libraries that it needs when it reads.
"""

import importlib
import os
import pkgutil
from collections.abc import Callable
from pathlib import Path

from vae_jax.data.fit import Wanted
from vae_jax.data.splits import Source

Read = Callable[[str, Path | str | None], Source]
ReadFiles = Callable[[Path, Wanted], Source]
ReadAny = Callable[[str, Wanted, Path | str | None], Source]

NAMED: dict[str, Read] = {}
"""Published data sets: the function that reads one by its name and `data_dir`, where a library keeps it."""
NOUNS: dict[str, str] = {}
"""What an image of a published data set shows, as a text calls it: an English noun that ends in s where it is many."""
FORMATS: dict[str, tuple[str, ReadAny]] = {}
"""By the prefix of PREFIX:PATH: what PATH is, such as DIR, and the function that reads it."""


def named(*names: str, noun: str = "image") -> Callable[[Read], Read]:
    """Registers a function that reads the published data sets of these names, whose images show this."""

    def register(read: Read) -> Read:
        NAMED.update(dict.fromkeys(names, read))
        NOUNS.update(dict.fromkeys(names, noun))
        return read

    return register


def files(prefix: str, kind: str) -> Callable[[ReadFiles], ReadFiles]:
    """Registers a function that reads the user's own files: `idx` and `DIR` for `idx:DIR`."""

    def register(read: ReadFiles) -> ReadFiles:
        FORMATS[prefix] = kind, lambda path, wanted, data_dir: read(Path(os.path.expanduser(path)), wanted)
        return read

    return register


def library(prefix: str, kind: str) -> Callable[[ReadAny], ReadAny]:
    """Registers a function that reads what a library keeps in `data_dir`: `tfds` and `NAME` for `tfds:NAME`."""

    def register(read: ReadAny) -> ReadAny:
        FORMATS[prefix] = kind, read
        return read

    return register


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
