"""Reads data sets of tensorflow-datasets (TFDS) without TensorFlow. `preparation` prepares them."""

import contextlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vae_jax import files
from vae_jax.data.sources import named
from vae_jax.data.splits import DataError, Source, Split
from vae_jax.errors import DamagedError, UserError
from vae_jax.files import read_json

NAMES = ("mnist", "fashion_mnist", "kmnist", "binarized_mnist")

# The only format that TFDS reads and writes without TensorFlow.
FILE_FORMAT = "array_record"

_ROLES = ("train", "validation", "test")
_NUM_PIXELS = 28 * 28
_CACHE_NAME = "vae_jax_decoded.safetensors"
_CHUNK = 2000  # images per read; reading one by one takes five times as long


def standard_dir(data_dir: Path | str | None = None) -> Path:
    """Returns `data_dir`, or the folder in which TFDS keeps data sets by default."""
    return Path(os.path.expanduser(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"))


@named("binarized_mnist", noun="digit")
@named("fashion_mnist")
@named("kmnist", noun="character")
@named("mnist", noun="digit")
def read(name: str, data_dir: Path | str | None) -> Source:
    """Reads the splits of a prepared data set, with images in TFDS' order.

    The first read decodes for some seconds, and caches the result beside the data set's files. The pixels of
    `binarized_mnist` are 0 and 255.

    Raises:
        DataError: the data set is not prepared, or is damaged.
    """
    folder = find(name, data_dir)
    if folder is None:
        command = f"python -m vae_jax.data.prepare --dataset={name}" + (f" --data_dir={data_dir}" if data_dir else "")
        cut = " --binarization=threshold" if name == "binarized_mnist" else ""
        raise DataError(
            f"{name} is not prepared in {standard_dir(data_dir)}; prepare it once ({command}), or read four IDX files "
            f"(--dataset=idx:DIR{cut}), or take the 5,000 bundled digits (--dataset=mnist_5k{cut})"
        )
    counts = _count_standard(folder)
    has_labels = name != "binarized_mnist"
    rows = _cached_rows(folder, counts, has_labels)
    splits = {}
    for split, part in zip(counts, np.split(rows, np.cumsum(list(counts.values()))[:-1]), strict=True):
        images = np.ascontiguousarray(part[:, :_NUM_PIXELS]).reshape(-1, 28, 28)
        splits[split] = Split(images, part[:, -1].astype(np.int32) if has_labels else None)
    origin = {"source": "tensorflow-datasets", "version": folder.name, "folder": str(folder), **_class_names(folder)}
    return splits, origin | ({} if has_labels else {"pixel_range": [0, 1]})


def find(name: str, data_dir: Path | str | None, version: str = "") -> Path | None:
    """Finds the folder with the newest readable version of a prepared data set; None if none is prepared.

    Args:
        name: NAME, or NAME/CONFIG.
        data_dir: where TFDS keeps data sets; None for its default.
        version: the only one to look for, such as 3.0.1.

    Raises:
        DataError: the data set is prepared, but only in formats that need TensorFlow.
    """
    # The pattern excludes the incomplete.* folder of an interrupted preparation.
    versions = [
        path.parent
        for path in (standard_dir(data_dir) / name).glob("*/dataset_info.json")
        if re.fullmatch(re.escape(version) or r"\d+\.\d+\.\d+", path.parent.name)
    ]
    versions.sort(key=lambda folder: [int(number) for number in folder.name.split(".")], reverse=True)
    for folder in versions:
        if _info(folder).get("fileFormat") == FILE_FORMAT:
            return folder
    if versions:
        raise DataError(
            f"{versions[0]} is in a format that needs TensorFlow to read; prepare {name} in another folder: "
            f"python -m vae_jax.data.prepare --dataset={name} --data_dir=DIR, and set TFDS_DATA_DIR=DIR"
        )
    return None


def count_images(folder: Path) -> dict[str, int]:
    """Counts the images in each split of a prepared data set: train, validation and test (if it has them), and others.

    Raises:
        DataError: the description in the folder is damaged.
    """
    try:
        counts = {split["name"]: sum(map(int, split["shardLengths"])) for split in _info(folder)["splits"]}
        return {name: counts[name] for name in sorted(counts, key=_by_role)}
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{folder} is damaged (no count of images); delete it and prepare it again") from error


def _by_role(split: str) -> tuple[int, str]:
    return (_ROLES.index(split) if split in _ROLES else len(_ROLES)), split


def _count_standard(folder: Path) -> dict[str, int]:
    """Counts the images of the splits that a data set of `NAMES` has."""
    counts = count_images(folder)
    if not {"train", "test"} <= counts.keys() <= set(_ROLES):
        raise DataError(f"{folder} is damaged (no count of images); delete it and prepare it again")
    return counts


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


def _class_names(folder: Path) -> dict[str, list[str]]:
    """Returns `class_names` in the order of labels, from the file in which TFDS lists them; empty without one."""
    with contextlib.suppress(OSError):
        names = (folder / "label.labels.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        return {"class_names": names} if names else {}
    return {}


def _info(folder: Path) -> dict[str, Any]:
    info = read_json(folder / "dataset_info.json", way_out=f"delete {folder} and prepare it again")
    if not isinstance(info, dict):
        raise DataError(f"{folder} is damaged (dataset_info.json has no object); delete it and prepare it again")
    return info


def _cached_rows(folder: Path, counts: dict[str, int], has_labels: bool) -> np.ndarray:
    """Reads all splits as rows of pixels and, if there are any, the label: uint8[N, 784 or 785]."""
    path = folder / _CACHE_NAME
    with contextlib.suppress(UserError, DamagedError, KeyError):
        rows = files.read_arrays(path)[0]["rows"]
        if rows.shape == (sum(counts.values()), _NUM_PIXELS + has_labels):
            return rows
    rows = _decode(folder, counts, has_labels)
    # Without a cache, as in a read-only folder, the next read decodes again.
    with contextlib.suppress(UserError):
        files.write_arrays(path, {"rows": rows}, {})
    return rows


def _decode(folder: Path, counts: dict[str, int], has_labels: bool) -> np.ndarray:
    try:
        with quiet():
            import tensorflow_datasets

            # By folder and not by name, because TFDS would look for a name in other places, too.
            builder = tensorflow_datasets.builder_from_directory(folder)
            # TFDS allocates memory for whatever size the file claims.
            if builder.info.features["image"].shape != (28, 28, 1):
                raise ValueError("its images are not 28 x 28 pixels")
            sources = [builder.as_data_source(split=split) for split in counts]
            return np.concatenate([_decode_split(source, has_labels) for source in sources])
    except Exception as error:  # TFDS and its readers raise various errors on damaged files
        summary = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"cannot read {folder} ({summary}); delete it and prepare it again") from error


def _decode_split(source: Any, has_labels: bool) -> np.ndarray:
    rows = np.empty((len(source), _NUM_PIXELS + has_labels), np.uint8)
    for start in range(0, len(source), _CHUNK):
        part = rows[start : start + _CHUNK]
        for row, example in zip(part, source.__getitems__(range(start, start + len(part))), strict=True):
            row[:_NUM_PIXELS] = example["image"].reshape(_NUM_PIXELS)
            if has_labels:
                row[_NUM_PIXELS] = example["label"]
    if not has_labels:
        rows[rows > 0] = 255  # TFDS stores binarized pixels as 0 and 1
    return rows
