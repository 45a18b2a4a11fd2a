"""Reads IDX files, the format of MNIST. Files are untrusted: sizes are checked before memory is allocated.

An IDX file has two bytes 0, the element type, the rank, a big-endian uint32 size per dimension, and the big-endian
elements in C order.
"""

import difflib
import gzip
import hashlib
import io
import os
import re
import struct
import zlib
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vae_jax.data import decoding
from vae_jax.data.records import DataError, Split

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

# MNIST's names of the four files.
_STEMS = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}
# MNIST's names and the variants of Kaggle, EMNIST and QMNIST, such as qmnist-train-labels-idx2-int.gz.
_FILE_NAME = re.compile(
    r"(?P<stem>(?:(?P<data_set>.+)[-.])?(?P<split>train|t10k|test)[-.](?P<kind>images|labels)"
    r"[-.]idx\d[-.](?:ubyte|byte|short|int|float|double))(?:\.gz)?",
    re.IGNORECASE,
)

# SHA-256 of the decompressed content of the four files, in the order of `_STEMS`.
_KNOWN: dict[tuple[str, ...], str] = {
    (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ): "MNIST",
    (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ): "Fashion-MNIST",
}


class _File(NamedTuple):
    """A file whose name says which data set it belongs to, and in which role."""

    data_set: str  # the prefix, such as emnist-letters; empty for MNIST's own names
    role: tuple[str, str]  # a key of `_STEMS`
    name: str


def read(folder: Path) -> tuple[dict[str, Split], dict[str, Any]]:
    """Reads the four IDX files in a folder: images and labels of train and test.

    Files are raw or gzipped (if both exist, the raw one is read) and have MNIST's names or the variants of Kaggle,
    EMNIST and QMNIST. Images are uint8 of shape N x H x W or N x H x W x 1. Labels are integers of shape N or N x 8
    (QMNIST, whose first column is the class). EMNIST's images are stored transposed, and are turned upright.

    Returns:
        The splits `train` and `test`; and the provenance, whose `content` names the data set if its digests are known.

    Raises:
        DataError: a file is missing or damaged, does not match the others, or is one of several candidates.
    """
    data_set, paths = _find(folder)
    images, labels, digests = {}, {}, {}
    for (split, kind), path in paths.items():
        if kind == "images":
            images[split], digests[split, kind] = read_images(path)
        else:
            labels[split], digests[split, kind] = read_labels(path)
            decoding.check_counts(str(path), images[split], labels[split])
    content = _KNOWN.get(tuple(digests.values()), "unknown IDX data")
    if "emnist" in re.split("[^a-z]", data_set):
        images = {split: np.ascontiguousarray(array.transpose(0, 2, 1)) for split, array in images.items()}
        content += ", transposed because the files are named EMNIST"
    splits = {split: Split(images[split], labels[split]) for split in images}
    return splits, {"source": "IDX files", "version": None, "folder": str(folder), "content": content}


def read_images(path: Path) -> tuple[np.ndarray, str]:
    """Reads an IDX file of images, raw or gzipped (detected by content, not by name).

    Returns:
        The images uint8[N, H, W], and the SHA-256 of the decompressed file.

    Raises:
        DataError: the file cannot be read, is damaged, or holds something else.
    """
    array, digest = _read_file(path, decoding.check_images)
    return decoding.to_images(array, str(path)), digest


def read_labels(path: Path) -> tuple[np.ndarray, str]:
    """Reads an IDX file of labels as int32[N]; otherwise as `read_images`."""
    array, digest = _read_file(path, partial(decoding.check_labels, columns=(1, 8)))
    return decoding.to_labels(array, str(path)), digest


def _find(folder: Path) -> tuple[str, dict[tuple[str, str], Path]]:
    """Finds the data set in a folder: its prefix, and the path of each role in the order of `_STEMS`."""
    names = _file_names(folder)
    # Names are sorted, so a raw file comes before its .gz, and `setdefault` keeps the raw one.
    files: dict[str, _File] = {}
    for name in names:
        if match := _FILE_NAME.fullmatch(name):
            split = "train" if match["split"].lower() == "train" else "test"
            data_set = (match["data_set"] or "").lower().replace(".", "-")
            files.setdefault(match["stem"], _File(data_set, (split, match["kind"].lower()), name))
    data_sets = {file.data_set: file for file in files.values()}
    roles = {role: [file for file in files.values() if file.role == role] for role in _STEMS}
    for candidates in (list(data_sets.values()), *roles.values()):
        if len(candidates) > 1:
            listed = " or ".join(file.name for file in candidates[:8]) + (" …" if len(candidates) > 8 else "")
            raise DataError(
                f"{folder} has more than one candidate ({listed}); "
                "put the four files of one data set in a folder of its own"
            )
    data_set = next(iter(data_sets), "")
    for role, candidates in roles.items():
        if not candidates:
            stem = f"{data_set}-{_STEMS[role]}" if data_set else _STEMS[role]
            raise DataError(_missing(folder / stem, [name for name in names if not _FILE_NAME.fullmatch(name)]))
    return data_set, {role: folder / candidates[0].name for role, candidates in roles.items()}


def _file_names(folder: Path) -> list[str]:
    try:
        # os.path.isfile returns False where Path.is_file raises, as for names that no file can have.
        return sorted(name for name in os.listdir(folder) if os.path.isfile(folder / name))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(
            f"cannot list {folder} ({reason}); idx:DIR needs a folder with {', '.join(_STEMS.values())}"
        ) from error


def _missing(path: Path, others: list[str]) -> str:
    by_lower_case = {name.lower(): name for name in others}
    similar = difflib.get_close_matches(path.name, by_lower_case, n=1)
    hint = f"; a similar name is there, {by_lower_case[similar[0]]!r}, which you may rename" if similar else ""
    return f"{path} (or .gz) is not there; idx:DIR needs {', '.join(_STEMS.values())}, each raw or .gz{hint}"


def _read_file(path: Path, check: decoding.Check) -> tuple[np.ndarray, str]:
    """Reads an IDX file after `check` has accepted its header; also returns the SHA-256 of its decompressed content."""
    try:
        with open(path, "rb") as file:
            is_packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            size = os.fstat(file.fileno()).st_size
            if is_packed:
                with gzip.GzipFile(fileobj=file) as unpacked:
                    return _parse(path, unpacked, check, 1032 * size)  # deflate compresses by 1032 at most
            return _parse(path, file, check, size)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path} ({error}); get the file again") from error


def _parse(path: Path, file: io.BufferedIOBase, check: decoding.Check, limit: int) -> tuple[np.ndarray, str]:
    """Parses IDX content of at most `limit` bytes."""
    header = file.read(4)
    if len(header) < 4 or header[:2] != b"\0\0" or header[2] not in _DTYPES or header[3] == 0:
        raise DataError(f"{path} does not start as an IDX file does; get the file again")
    dtype, rank = np.dtype(_DTYPES[header[2]]), header[3]
    header += file.read(4 * rank)
    if len(header) < 4 + 4 * rank:
        raise DataError(f"{path} is cut short within its header; get the file again")
    shape = struct.unpack(f">{rank}I", header[4:])
    check(str(path), dtype, shape)
    content = decoding.read_elements(file.read, dtype, shape, limit - len(header), str(path))
    digest = hashlib.sha256(header)
    digest.update(content)
    return np.frombuffer(content, dtype=dtype).reshape(shape), digest.hexdigest()
