"""Files that are whole or absent: bytes, text, JSON, and named arrays in one safetensors file with a header.

Every file is written under a temporary name beside it and renamed, so no reader sees a part. Files of arrays, which are
checkpoints, parameters and the networks that measure, hold a SHA-256 of their content and no code, so reading one is
safe. NumPy is imported where arrays are read or written, so that a dry run answers at once.
"""

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vae_jax.errors import DamagedError, MismatchError, UserError, one_line

if typing.TYPE_CHECKING:
    import numpy as np

MAX_BYTES = 1 << 26  # of a file that is read whole
DELETE = "delete it and launch again"  # the way out of a damaged file that a launch makes again
TEMPORARY = ".tmp"  # suffix of a file that is being written

Arrays = dict[str, "np.ndarray"]


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a whole file: to a temporary file beside it, which is then renamed, so that no reader sees a part.

    Raises:
        UserError: the disk is full, or the file cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(6).hex()}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # "x" refuses to follow a link that was planted under this name.
        with open(temporary, "xb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; make room or choose another place") from error
    finally:
        # A failed or interrupted write leaves half a file.
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text as a whole file; see `write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file as a whole; see `write_bytes`.

    Raises:
        UserError: as `write_bytes`.
        ValueError: a number is not finite, which JSON cannot express.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes one JSON object per line, as a whole file; see `write_json`."""
    write_text(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Reads a whole file.

    Raises:
        UserError: the file is missing, unreadable, or larger than `max_bytes`.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            content = b"" if size > max_bytes else file.read()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    if size > max_bytes:
        raise UserError(f"{path} is larger than {max_bytes} bytes, so it is not a file of this program")
    return content


def read_json(path: Path, max_bytes: int = MAX_BYTES, way_out: str = DELETE) -> Any:
    """Reads a JSON file.

    Raises:
        UserError: as `read_bytes`, or the content is not JSON; `way_out` then ends the message.
    """
    try:
        return json.loads(read_bytes(path, max_bytes))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}); {way_out}") from error


def exists(path: Path) -> bool:
    """Whether there is something at this path.

    Raises:
        UserError: nobody may look, so that what is there cannot be taken for missing.
    """
    try:
        path.stat()
        return True
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last of a path that no system takes
        return False
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def remove(path: Path) -> None:
    """Deletes a file, a link, or a folder and its content, if it exists and can be deleted."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def remove_leftovers(folder: Path, below: Iterable[str]) -> None:
    """Deletes the temporary files of interrupted writes in a folder, and at any depth in those of its folders named."""
    pattern = f".*.{'[0-9a-f]' * 12}{TEMPORARY}"  # as `write_bytes` names them, and nobody else
    for path in itertools.chain(folder.glob(pattern), *((folder / name).rglob(pattern) for name in below)):
        remove(path)


def write_arrays(path: Path, arrays: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    """Writes arrays and a header as one whole file; equal arguments give equal bytes.

    Args:
        path: of the file.
        arrays: by name; numeric arrays or scalars of any shape.
        header: JSON-ready values.

    Raises:
        UserError: the file cannot be written.
    """
    import numpy as np
    import safetensors.numpy

    # safetensors writes a transposed view in the order of its memory; ascontiguousarray would turn () into (1,).
    content = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    header = dict(header) | {"sha256": digest(content)}
    header["header_sha256"] = _header_digest(header)
    # One metadata entry: safetensors orders several at random, and equal runs have equal files.
    write_bytes(path, safetensors.numpy.save(content, metadata={"run": json.dumps(header)}))


def read_header(path: Path) -> dict[str, Any]:
    """Reads the header of a file without its arrays.

    Raises:
        DamagedError: the file is damaged.
        UserError: it cannot be read.
    """
    with _opened(path) as file:
        return _header(file)


def read_arrays(
    path: Path, expected: Mapping[str, tuple[tuple[int, ...], Any]] | None = None
) -> tuple[Arrays, dict[str, Any]]:
    """Reads the arrays and the header of a file.

    Args:
        path: of the file.
        expected: the shape and dtype of each array, checked before any array is read; None to take what is there.

    Raises:
        DamagedError: the file is damaged.
        MismatchError: its arrays are not the expected ones.
        UserError: it cannot be read.
    """
    import numpy as np

    with _opened(path) as file:
        header = _header(file)
        names = list(file.keys())
        if expected is not None:
            slices = {name: file.get_slice(name) for name in names}
            found = {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()}
            wanted = {name: (tuple(shape), _CODES[np.dtype(dtype).name]) for name, (shape, dtype) in expected.items()}
            for name in sorted(found.keys() | wanted.keys()):
                if found.get(name) != wanted.get(name):
                    raise MismatchError(f"has {name} {_text(found.get(name))} instead of {_text(wanted.get(name))}")
        arrays = {name: file.get_tensor(name) for name in names}
    if digest(arrays) != header["sha256"]:
        raise DamagedError("is damaged: its arrays do not match their SHA-256")
    return arrays, header


def sha256(content: bytes | str) -> str:
    """Returns the SHA-256 of bytes, or of a text in UTF-8, in hexadecimal digits."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def digest(arrays: Mapping[str, "np.ndarray"]) -> str:
    """Computes the SHA-256 of names, dtypes, shapes and contents."""
    import numpy as np

    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(f"{name} {arrays[name].dtype}{list(arrays[name].shape)}".encode())
        found.update(np.ascontiguousarray(arrays[name]).data)
    return found.hexdigest()


_CODES = {"float32": "F32", "int32": "I32", "uint32": "U32", "bool": "BOOL"}  # safetensors' names of dtypes


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import safetensors

    try:
        with open(path, "rb"), safetensors.safe_open(path, framework="numpy") as file:
            # safetensors calls a file that it may not open one that does not exist.
            yield file
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except (safetensors.SafetensorError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise DamagedError(f"is damaged ({one_line(error)})") from error


def _header(file: Any) -> dict[str, Any]:
    header = json.loads(file.metadata()["run"])
    if not isinstance(header, dict) or not isinstance(header["sha256"], str):
        raise DamagedError("is damaged: it has no header")
    if header.pop("header_sha256", None) != _header_digest(header):
        raise DamagedError("is damaged: its header does not match its SHA-256")
    return header


def _header_digest(header: Mapping[str, Any]) -> str:
    return sha256(json.dumps(header, sort_keys=True))


def _text(described: tuple[tuple[int, ...], str] | None) -> str:
    """`F32[512, 2]`, or `missing`."""
    return "missing" if described is None else f"{described[1]}{list(described[0])}"
