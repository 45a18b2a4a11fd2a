"""Reads data sets of tensorflow-datasets (TFDS) without TensorFlow. `preparation` prepares them."""

import contextlib
import hashlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vae_jax.data.records import DataError, Split
from vae_jax.workdir import UserError, read_json, write_bytes

NAMES = ("mnist", "fashion_mnist", "kmnist", "binarized_mnist")

# The only format that TFDS reads and writes without TensorFlow.
FILE_FORMAT = "array_record"

_SIZE = (28, 28)
_CACHE_NAME = "vae_jax_decoded.bin"
_DIGEST_BYTES = 32
_CHUNK = 2000  # images per read; reading one by one takes five times as long


def standard_dir(data_dir: Path | str | None = None) -> Path:
    """Returns `data_dir`, or the folder in which TFDS keeps data sets by default."""
    return Path(os.path.expanduser(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"))


def read(name: str, data_dir: Path | str | None) -> tuple[dict[str, Split], dict[str, Any]]:
    """Reads a prepared data set. The first read decodes it for some seconds, and caches the result beside its files.

    Returns:
        The splits of TFDS, in its order of images; and the provenance. The pixels of `binarized_mnist` are 0 and 255.

    Raises:
        DataError: the data set is not prepared, or is damaged.
    """
    folder = find(name, data_dir)
    if folder is None:
        raise DataError(_unprepared(name, data_dir))
    counts = count_images(folder)
    width = _SIZE[0] * _SIZE[1] + (name != "binarized_mnist")
    cache = folder / _CACHE_NAME
    rows = _read_cache(cache, sum(counts.values()), width)
    if rows is None:
        rows = _decode(folder, counts, width)
        # Without a cache, as in a read-only folder, the next read decodes again.
        with contextlib.suppress(UserError):
            content = rows.tobytes()
            write_bytes(cache, hashlib.sha256(content).digest() + content)
    splits = {}
    for split, part in zip(counts, np.split(rows, np.cumsum(list(counts.values()))[:-1]), strict=True):
        images = np.ascontiguousarray(part[:, : _SIZE[0] * _SIZE[1]]).reshape(-1, *_SIZE)
        splits[split] = Split(images, None if name == "binarized_mnist" else part[:, -1].astype(np.int32))
    return splits, {"source": "tensorflow-datasets", "version": folder.name, "folder": str(folder)}


def find(name: str, data_dir: Path | str | None) -> Path | None:
    """Finds the folder with the newest readable version of a prepared data set; None if none is prepared.

    Raises:
        DataError: the data set is prepared, but only in formats that need TensorFlow.
    """
    # The pattern excludes the incomplete.* folder of an interrupted preparation.
    versions = [
        path.parent
        for path in (standard_dir(data_dir) / name).glob("*/dataset_info.json")
        if re.fullmatch(r"\d+\.\d+\.\d+", path.parent.name)
    ]
    versions.sort(key=lambda folder: [int(number) for number in folder.name.split(".")], reverse=True)
    for folder in versions:
        if _info(folder).get("fileFormat") == FILE_FORMAT:
            return folder
    if versions:
        raise DataError(
            f"{versions[0]} is in a format that needs TensorFlow to read; prepare {name} in another folder: "
            f"python -m scripts.prepare_data --dataset={name} --data_dir=DIR, and set TFDS_DATA_DIR=DIR"
        )
    return None


def count_images(folder: Path) -> dict[str, int]:
    """Counts the images in each split of a prepared data set: train, validation (if it has one), test.

    Raises:
        DataError: the description in the folder is damaged.
    """
    try:
        splits = {split["name"]: sum(map(int, split["shardLengths"])) for split in _info(folder)["splits"]}
        return {
            name: splits[name] for name in ("train", "validation", "test") if name != "validation" or name in splits
        }
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{folder} is damaged (no count of images); delete it and prepare it again") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppresses the progress bars and messages that TFDS prints."""
    import tensorflow_datasets
    from absl import logging

    tensorflow_datasets.disable_progress_bar()
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(verbosity)


def _info(folder: Path) -> dict[str, Any]:
    info = None
    with contextlib.suppress(UserError):
        info = read_json(folder / "dataset_info.json")
    if not isinstance(info, dict):
        raise DataError(f"{folder} is damaged (no readable dataset_info.json); delete it and prepare it again")
    return info


def _unprepared(name: str, data_dir: Path | str | None) -> str:
    command = f"python -m scripts.prepare_data --dataset={name}" + (f" --data_dir={data_dir}" if data_dir else "")
    cut = " --binarization=threshold" if name == "binarized_mnist" else ""
    return (
        f"{name} is not prepared in {standard_dir(data_dir)}; prepare it once ({command}), or read four IDX files "
        f"(--dataset=idx:DIR{cut}), or take the 5,000 bundled digits (--dataset=mnist_5k{cut})"
    )


def _decode(folder: Path, counts: dict[str, int], width: int) -> np.ndarray:
    """Decodes all splits of a prepared data set into rows of pixels and label: uint8[N, width]."""
    try:
        with quiet():
            import tensorflow_datasets

            # By folder and not by name, because TFDS would look for a name in other places, too.
            builder = tensorflow_datasets.builder_from_directory(folder)
            # TFDS allocates memory for whatever size the file claims.
            if builder.info.features["image"].shape != (*_SIZE, 1):
                raise ValueError(f"its images are not {_SIZE[0]} x {_SIZE[1]} pixels")
            sources = [builder.as_data_source(split=split) for split in counts]
            return np.concatenate([_rows(source, width) for source in sources])
    except Exception as error:  # TFDS and its readers raise various errors on damaged files
        summary = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"cannot read {folder} ({summary}); delete it and prepare it again") from error


def _rows(source: Any, width: int) -> np.ndarray:
    """Reads a split into rows of pixels, followed by the label if `width` leaves room for it: uint8[N, width]."""
    num_pixels = _SIZE[0] * _SIZE[1]
    rows = np.empty((len(source), width), dtype=np.uint8)
    for start in range(0, len(source), _CHUNK):
        chunk = range(start, min(start + _CHUNK, len(source)))
        for row, example in zip(rows[chunk.start : chunk.stop], source.__getitems__(list(chunk)), strict=True):
            row[:num_pixels] = example["image"].reshape(num_pixels)
            if width > num_pixels:
                row[num_pixels] = example["label"]
    if width == num_pixels:
        rows[rows > 0] = 255  # TFDS stores binarized pixels as 0 and 1
    return rows


def _read_cache(path: Path, num_rows: int, width: int) -> np.ndarray | None:
    """Reads the cached result of `_decode`: uint8[num_rows, width]; None if it is missing or damaged."""
    try:
        if path.stat().st_size != _DIGEST_BYTES + num_rows * width:
            return None
        content = np.fromfile(path, dtype=np.uint8)
    except OSError:
        return None
    digest, rows = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(rows.data).digest() != digest.tobytes():
        return None
    return rows.reshape(num_rows, width)
