"""Files that are whole or not there, and the one kind of error that a user is shown. Standard library only."""

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

MOST_BYTES = 1 << 26  # of a file that is read whole
TEMPORARY = ".tmp"  # ends the name of a file that is not whole yet


class UserError(Exception):
    """Something outside the program is not as it must be; the message is one line: what it is, and the way out."""


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole: into a temporary file beside it, which is then renamed, so that no reader sees a part.

    Raises:
        UserError: the disk is full, or the place cannot be written; nothing is left behind.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=TEMPORARY, dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; make room or choose another place") from error
    finally:
        # After the rename there is nothing of that name; after a failed write, half a file.
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of UTF-8 text."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file whole; infinities and NaN are refused, because JSON has none.

    Raises:
        UserError: as `write_bytes`.
        ValueError: a number that is not finite.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_bytes(path: Path, max_bytes: int = MOST_BYTES) -> bytes:
    """The content of a file.

    Raises:
        UserError: it is missing, unreadable, or larger than `max_bytes`.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            content = b"" if size > max_bytes else file.read()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    if size > max_bytes:
        raise UserError(f"{path} is larger than {max_bytes} bytes; it is not a file of this program")
    return content


def read_json(path: Path, max_bytes: int = MOST_BYTES) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: as `read_bytes`, or it is not JSON.
    """
    try:
        return json.loads(read_bytes(path, max_bytes))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it and launch again") from error


def remove(path: Path) -> None:
    """Deletes a file, a link, or a folder with all that is in it, where it is there and can be deleted."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _umask() -> int:
    # There is no way to read the mask but to set it; mkstemp's 0600 would hide results from a group that shares them.
    mask = os.umask(0)
    os.umask(mask)
    return mask
