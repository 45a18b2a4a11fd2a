"""Reads IDX files, the format of MNIST.

An IDX file has two bytes 0, the element type, the rank, a big-endian uint32 size per dimension, and the big-endian
elements in C order.
"""

import difflib
import gzip
import hashlib
import os
import re
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from vae_jax.data import decoding, pixels
from vae_jax.data.decoding import Header, Read
from vae_jax.data.splits import DataError, Source, Split

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

# MNIST's names of the four files, by role.
_NAMES = {
    "train-images": "train-images-idx3-ubyte", "train-labels": "train-labels-idx1-ubyte",
    "t10k-images": "t10k-images-idx3-ubyte", "t10k-labels": "t10k-labels-idx1-ubyte",
}  # fmt: skip
_NEEDS = ", ".join(_NAMES.values())
# MNIST's names and the variants of Kaggle, EMNIST and QMNIST, such as qmnist-train-labels-idx2-int.gz.
_FILE_NAME = re.compile(
    r"(?P<stem>(?:(?P<data_set>.+)[-.])?(?P<split>train|t10k|test)[-.](?P<kind>images|labels)"
    r"[-.]idx\d[-.](?:ubyte|byte|short|int|float|double))(?:\.gz)?",
    re.IGNORECASE,
)

# SHA-256 of the decompressed content of the four files, in the order of `_NAMES`.
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


def read(folder: Path, pixel_max: float) -> Source:
    """Reads the four IDX files in a folder: images and labels of train and test.

    Files are raw or gzipped (if both exist, the raw one is read) and have MNIST's names or the variants of Kaggle,
    EMNIST and QMNIST. Images have the shape N x H x W or N x H x W x 1, and `pixels.scale` scales them. Labels are
    integers of shape N or N x 8 (QMNIST, whose first column is the class). EMNIST's images are stored transposed, and
    are turned upright. In the provenance, `content` names the data set if its digests are known.

    Raises:
        DataError: a file is missing or damaged, does not match the others, or is one of several candidates.
    """
    data_set, paths = _find(folder)
    is_emnist = "emnist" in re.split("[^a-z]", data_set)
    files, all_labels, digests = {}, [], []
    for images_path, labels_path in (paths[:2], paths[2:]):
        images, images_digest = read_images(images_path)
        labels, labels_digest = read_labels(labels_path)
        decoding.check_counts(str(labels_path), images, labels)
        files[str(images_path)] = images.transpose(0, 2, 1) if is_emnist else images
        all_labels.append(labels)
        digests += [images_digest, labels_digest]
    scaled = pixels.scale(files, pixel_max)
    content = _KNOWN.get(tuple(digests), "unknown IDX data")
    if scaled.content != "uint8 pixels":
        content += f", {scaled.content}"
    if is_emnist:
        content += ", transposed because the files are named EMNIST"
    splits = dict(zip(("train", "test"), map(Split, scaled.images, all_labels), strict=True))
    origin = {"source": "IDX files", "version": None, "folder": str(folder), "content": content}
    return splits, origin | {"pixel_range": list(scaled.pixel_range)}


def read_images(path: Path) -> tuple[np.ndarray, str]:
    """Reads images [N, H, W] from a raw or gzipped file; also returns the SHA-256 of its decompressed content.

    Raises:
        DataError: the file cannot be read, is damaged, or holds something else.
    """
    return _read_file(path, decoding.read_images)


def read_labels(path: Path) -> tuple[np.ndarray, str]:
    """Reads labels int32[N]; otherwise as `read_images`."""
    return _read_file(path, partial(decoding.read_labels, columns=(1, 8)))


def is_folder(path: Path) -> bool:
    """Whether this is a folder with a file that has one of the names that `read` reads."""
    try:
        return any(_FILE_NAME.fullmatch(name) for name in os.listdir(path))
    except (OSError, ValueError):
        return False


def _find(folder: Path) -> tuple[str, list[Path]]:
    """Finds the only data set in a folder: the prefix of its names, such as emnist-letters, and its files by role."""
    try:
        # "." can be listed by those only who may open what is in the folder. os.path.isfile returns False where
        # Path.is_file raises, as for names that no file can have.
        names = sorted(name for name in os.listdir(os.path.join(folder, ".")) if os.path.isfile(folder / name))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"cannot list {folder} ({reason}); idx:DIR needs a folder with {_NEEDS}") from error
    stems = set()
    by_data_set: dict[str, str] = {}
    by_role: dict[str, list[str]] = {role: [] for role in _NAMES}
    for name in names:
        match = _FILE_NAME.fullmatch(name)
        # Names are sorted, so that a raw file comes before its .gz.
        if match and match["stem"] not in stems:
            stems.add(match["stem"])
            by_data_set[(match["data_set"] or "").lower().replace(".", "-")] = name
            by_role[f"{match['split']}-{match['kind']}".lower().replace("test", "t10k")].append(name)
    for candidates in (list(by_data_set.values()), *by_role.values()):
        if len(candidates) > 1:
            raise DataError(
                f"{folder} has more than one candidate ({' or '.join(candidates[:2])}); "
                "put the four files of one data set in a folder of its own"
            )
    data_set = next(iter(by_data_set), "")
    for role, candidates in by_role.items():
        if not candidates:
            expected = f"{data_set}-{_NAMES[role]}" if data_set else _NAMES[role]
            raise DataError(_missing(folder / expected, [name for name in names if not _FILE_NAME.fullmatch(name)]))
    return data_set, [folder / candidates[0] for candidates in by_role.values()]


def _missing(path: Path, others: list[str]) -> str:
    by_lower_case = {name.lower(): name for name in others}
    similar = next(iter(difflib.get_close_matches(path.name, list(by_lower_case), n=1)), None)
    hint = f"; a similar name is there, {by_lower_case[similar]!r}, which you may rename" if similar else ""
    return f"{path} (or .gz) is not there; idx:DIR needs {_NEEDS}, each raw or .gz{hint}"


def _read_file(path: Path, read_array: Callable[[Header, Read], np.ndarray]) -> tuple[np.ndarray, str]:
    """Reads the array in a file; also returns the SHA-256 of its decompressed content."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            is_packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            unpacked = gzip.GzipFile(fileobj=file) if is_packed else file

            def read(count: int) -> bytes:
                content = unpacked.read(count)
                digest.update(content)
                return content

            return read_array(_read_header(path, read), read), digest.hexdigest()
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:  # such as a missing permission
            raise DataError(f"cannot read {path}: {error.strerror}") from error
        raise DataError(f"cannot read {path} ({error}); get the file again") from error


def _read_header(path: Path, read: Read) -> Header:
    start = read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _DTYPES or start[3] == 0:
        raise DataError(f"{path} does not start as an IDX file does; get the file again")
    rank = start[3]
    sizes = read(4 * rank)
    if len(sizes) < 4 * rank:
        raise DataError(f"{path} is cut short within its header; get the file again")
    return Header(str(path), np.dtype(_DTYPES[start[2]]), struct.unpack(f">{rank}I", sizes))
