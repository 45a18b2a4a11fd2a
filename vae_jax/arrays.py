"""Named arrays in one safetensors file, with a JSON header and a SHA-256 of both.

Checkpoints, final parameters and the networks that measure are such files. They hold no code, so reading one is safe.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from vae_jax.workdir import UserError, write_bytes

Arrays = dict[str, np.ndarray]


class DamagedError(Exception):
    """The file is not what `write` wrote; the message continues after its path."""


class MismatchError(Exception):
    """The file is whole, but its arrays are not the expected ones; the message continues after its path."""


def write(path: Path, arrays: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    """Writes arrays and a header as one whole file; equal arguments give equal bytes.

    Args:
        path: of the file.
        arrays: by name; numeric arrays or scalars of any shape.
        header: JSON-ready values.

    Raises:
        UserError: the file cannot be written.
    """
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


def read(
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
    with _opened(path) as file:
        header = _header(file)
        names = list(file.keys())
        if expected is not None:
            slices = {name: file.get_slice(name) for name in names}
            found = {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()}
            wanted = {name: (tuple(shape), _CODES[np.dtype(dtype)]) for name, (shape, dtype) in expected.items()}
            for name in sorted(found.keys() | wanted.keys()):
                if found.get(name) != wanted.get(name):
                    raise MismatchError(f"has {name} {_text(found.get(name))} instead of {_text(wanted.get(name))}")
        arrays = {name: file.get_tensor(name) for name in names}
    if digest(arrays) != header["sha256"]:
        raise DamagedError("is damaged: its arrays do not match their SHA-256")
    return arrays, header


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Computes the SHA-256 of names, dtypes, shapes and contents."""
    sha256 = hashlib.sha256()
    for name in sorted(arrays):
        sha256.update(f"{name} {arrays[name].dtype}{list(arrays[name].shape)}".encode())
        sha256.update(np.ascontiguousarray(arrays[name]).data)
    return sha256.hexdigest()


_CODES = {
    np.dtype(np.float32): "F32", np.dtype(np.int32): "I32", np.dtype(np.uint32): "U32", np.dtype(np.bool_): "BOOL",
}  # fmt: skip


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with open(path, "rb"), safetensors.safe_open(path, framework="numpy") as file:
            # safetensors calls a file that it may not open one that does not exist.
            yield file
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except (safetensors.SafetensorError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise DamagedError(f"is damaged ({_first_line(error)})") from error


def _header(file: Any) -> dict[str, Any]:
    header = json.loads(file.metadata()["run"])
    if not isinstance(header, dict) or not isinstance(header["sha256"], str):
        raise DamagedError("is damaged: it has no header")
    # Parameters of version 0.1.0 have no digest of their header.
    if "header_sha256" in header and header.pop("header_sha256") != _header_digest(header):
        raise DamagedError("is damaged: its header does not match its SHA-256")
    return header


def _header_digest(header: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()


def _text(described: tuple[tuple[int, ...], str] | None) -> str:
    """`F32[512, 2]`, or `missing`."""
    return "missing" if described is None else f"{described[1]}{list(described[0])}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
