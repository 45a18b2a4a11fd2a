"""Reads IDX files, the format of MNIST.

An IDX file has two bytes 0, the element type, the rank, a big-endian uint32 size per dimension, and the big-endian
elements in C order.
"""

import gzip
import math
import re
import struct
import zlib
from pathlib import Path

import numpy as np

from vae_jax.data import pixels
from vae_jax.data.checks import MAX_BYTES, check_images, check_labels
from vae_jax.data.fit import Wanted
from vae_jax.data.sources import files
from vae_jax.data.splits import DataError, Source, Split
from vae_jax.fields import nearest

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
_CHUNK_BYTES = 1 << 20


@files("idx", "DIR")
def read(folder: Path, wanted: Wanted) -> Source:
    """Reads the four IDX files in a folder: images and labels of train and test.

    Files are raw or gzipped (if both exist, the raw one is read) and have MNIST's names or the variants of Kaggle,
    EMNIST and QMNIST. Images have the shape N x H x W or N x H x W x 1, and `pixels.scale` scales them. Labels are
    integers of shape N or N x 8 (QMNIST, whose first column is the class). EMNIST's images are stored transposed, and
    are turned upright.

    Raises:
        DataError: a file is missing or damaged, does not match the others, or is one of several candidates.
    """
    data_set, paths = _find(folder)
    is_emnist = "emnist" in re.split("[^a-z]", data_set)
    files, all_labels = {}, []
    for images_path, labels_path in (paths[:2], paths[2:]):
        images = check_images(str(images_path), read_array(images_path))
        all_labels.append(check_labels(str(labels_path), read_array(labels_path), images, columns=(1, 8)))
        files[str(images_path)] = images.swapaxes(1, 2) if is_emnist else images
    scaled = pixels.scale(files, wanted.pixel_max)
    content = f"IDX files with {scaled.content}"
    if is_emnist:
        content += ", transposed because the files are named EMNIST"
    splits = dict(zip(("train", "test"), map(Split, scaled.images, all_labels), strict=True))
    origin = {"source": "IDX files", "version": None, "folder": str(folder), "content": content}
    return splits, origin | {"pixel_range": list(scaled.pixel_range)}


def _find(folder: Path) -> tuple[str, list[Path]]:
    """Finds the only data set in a folder: the prefix of its names, such as emnist-letters, and its files by role."""
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
    except (OSError, ValueError) as error:  # the latter of a name that no file can have
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"cannot list {folder} ({reason}); idx:DIR needs a folder with {_NEEDS}") from error
    matches: dict[str, re.Match[str]] = {}
    for name in names:
        if match := _FILE_NAME.fullmatch(name):
            matches.setdefault(match["stem"], match)  # names are sorted, so a raw file comes before its .gz
    by_data_set: dict[str, str] = {}
    by_role: dict[str, list[str]] = {role: [] for role in _NAMES}
    for match in matches.values():
        by_data_set[(match["data_set"] or "").lower().replace(".", "-")] = match[0]
        by_role[f"{match['split']}-{match['kind']}".lower().replace("test", "t10k")].append(match[0])
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
            hint = nearest(expected, [name for name in names if not _FILE_NAME.fullmatch(name)])
            path = folder / expected
            raise DataError(f"{path} (or .gz) is not there; idx:DIR needs {_NEEDS}, each raw or .gz{hint}")
    return data_set, [folder / candidates[0] for candidates in by_role.values()]


def read_array(path: Path) -> np.ndarray:
    """Reads the array in a raw or gzipped file.

    Raises:
        DataError: the file cannot be read, or is damaged.
    """
    content = _read_bytes(path)
    rank = content[3] if content[:2] == b"\0\0" and len(content) > 4 else 0
    start = 4 + 4 * rank
    if not 1 <= rank <= 4 or content[2] not in _DTYPES or len(content) < start:
        raise DataError(f"{path} does not start as an IDX file does; get the file again")
    dtype, shape = np.dtype(_DTYPES[content[2]]), struct.unpack(f">{rank}I", content[4:start])
    size = math.prod(shape) * dtype.itemsize
    if size == 0:
        raise DataError(f"{path} is empty, as its header says; get the file again")
    if (found := len(content) - start) != size:
        problem = "is cut short" if found < size else "goes on after its last element"
        raise DataError(f"{path} {problem}: its header promises {size} bytes; get the file again")
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


def _read_bytes(path: Path) -> bytearray:
    """Reads a file and unpacks it, as far as data sets may fill the memory."""
    content = bytearray()
    try:
        with open(path, "rb") as file:
            is_packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            unpacked = gzip.GzipFile(fileobj=file) if is_packed else file
            while chunk := unpacked.read(_CHUNK_BYTES):
                content += chunk
                if len(content) > MAX_BYTES:
                    raise DataError(f"{path} holds more than {MAX_BYTES} bytes; use fewer or smaller images")
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:  # such as a missing permission
            raise DataError(f"cannot read {path}: {error.strerror}") from error
        raise DataError(f"cannot read {path} ({error}); get the file again") from error
    return content
