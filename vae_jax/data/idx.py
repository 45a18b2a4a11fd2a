"""IDX files, the format MNIST is published in. The files are untrusted: a header is believed only after a check.

Format: bytes 0 0, the element type (8: uint8), the rank, the sizes (big-endian uint32 each), the elements in C order.
"""

import gzip
import hashlib
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vae_jax.data.records import DataError, Split

_STEMS = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}

# SHA-256 of the four files' content, decompressed (so that it is the same for any packing), in the order of `_STEMS`.
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

_MAX_BYTES = 1 << 31  # of one decompressed file: everything is held in memory
_CHUNK_BYTES = 1 << 20


def read(folder: Path) -> tuple[dict[str, Split], dict[str, Any]]:
    """Reads the four IDX files of a folder, each raw or gzipped (the raw one where both are there).

    Returns:
        The splits `train` and `test` (labels are any numbers from 0 to 255), and where they come from; `content` there
        is the name of the data set whose files these are, or "unknown IDX data".

    Raises:
        DataError: a file is missing, damaged or empty, or does not fit the others.
    """
    paths = {key: _find(folder, stem) for key, stem in _STEMS.items()}
    read_files = {key: read_file(path, rank=3 if key[1] == "images" else 1) for key, path in paths.items()}
    arrays = {key: array for key, (array, _) in read_files.items()}
    for split in ("train", "test"):
        num_images, num_labels = len(arrays[split, "images"]), len(arrays[split, "labels"])
        if num_images != num_labels:
            path = paths[split, "labels"]
            raise DataError(f"{path} has {num_labels} labels for {num_images} images; the two are not of one data set")
    size, test_size = (arrays[split, "images"].shape[1:] for split in ("train", "test"))
    if size != test_size:
        raise DataError(f"{paths['test', 'images']} has images of {test_size} pixels, and the train images have {size}")
    content = _KNOWN.get(tuple(digest for _, digest in read_files.values()), "unknown IDX data")
    splits = {
        split: Split(arrays[split, "images"], arrays[split, "labels"].astype(np.int32)) for split in ("train", "test")
    }
    return splits, {"source": "IDX files", "version": None, "folder": str(folder), "content": content}


def read_file(path: Path, rank: int) -> tuple[np.ndarray, str]:
    """Reads one IDX file of uint8 elements, raw or gzipped (the first bytes tell which, not the name).

    Returns:
        The array: uint8 of that rank, and the SHA-256 of the decompressed content.

    Raises:
        DataError: it cannot be read, or is not exactly a header and the elements that this announces.
    """
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            # Deflate makes 1032 bytes of one at most: a header that announces more is wrong, whatever the file holds.
            limit = os.fstat(file.fileno()).st_size * (1032 if packed else 1)
            if packed:
                with gzip.GzipFile(fileobj=file) as unpacked:
                    return _parse(path, unpacked, rank, limit)
            return _parse(path, file, rank, limit)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path} ({error}); get the file again") from error


def _find(folder: Path, stem: str) -> Path:
    for path in (folder / stem, folder / f"{stem}.gz"):
        # os.path.isfile says no where Path.is_file raises: a folder that may not be entered, a name no file can have.
        if os.path.isfile(path):
            return path
    raise DataError(
        f"{folder / stem} (or .gz) is not there; idx:DIR needs {', '.join(_STEMS.values())}, each raw or .gz"
    )


def _parse(path: Path, file: "BinaryIO | gzip.GzipFile", rank: int, limit: int) -> tuple[np.ndarray, str]:
    """The array and digest of IDX content of at most `limit` bytes; raises DataError, and what reading raises."""
    header = file.read(4 + 4 * rank)
    if len(header) < 4 + 4 * rank or header[:4] != bytes((0, 0, 8, rank)):
        raise DataError(f"{path} does not begin as an IDX file of uint8 and rank {rank}; get the file again")
    shape = struct.unpack(f">{rank}I", header[4:])
    size = math.prod(shape)
    if size == 0:
        raise DataError(f"{path} is empty: its header announces the shape {shape}")
    if len(header) + size > min(limit, _MAX_BYTES):
        raise DataError(f"{path} is cut short or damaged: its header announces {size} bytes, more than it can hold")
    content = bytearray()
    # In steps, so that memory grows with what is there and not with what is announced; one byte more than announced,
    # because a gzip file's checksum is looked at only where it ends.
    while chunk := file.read(min(_CHUNK_BYTES, size + 1 - len(content))):
        content += chunk
    if len(content) != size:
        problem = "is cut short" if len(content) < size else "goes on after its last element"
        raise DataError(f"{path} {problem}: its header announces {size} bytes; get the file again")
    digest = hashlib.sha256(header)
    digest.update(content)
    return np.frombuffer(content, dtype=np.uint8).reshape(shape), digest.hexdigest()
