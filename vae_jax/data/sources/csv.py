"""Reads a table of pixels, an image in each line, as Kaggle has them."""

import csv
import math
import re
import warnings
from pathlib import Path

import numpy as np

from vae_jax.data import pixels
from vae_jax.data.checks import check_file, check_labels, check_size, number_classes
from vae_jax.data.fit import Wanted
from vae_jax.data.sources import files
from vae_jax.data.splits import DataError, Source, Split, whole_or_split
from vae_jax.errors import reason

_LABELS = ("label", "labels", "class", "target", "y")  # what the column of the labels may be called
_NEEDS = "csv:FILE needs an image in each line: its label, if it has one, and the pixels of a square"


@files("csv", "FILE")
def read(path: Path, wanted: Wanted) -> Source:
    """Reads images and labels from a table that commas separate; one image in five becomes a test image.

    The column of the labels is called `label`, `class`, `target` or `y`, or is the first where the table has no header
    and one column too many for a square. Columns called `pixel...` are the pixels, or all others if none is. Labels are
    integers or texts.

    Raises:
        DataError: the file is missing or damaged, or is no such table.
    """
    check_file(path, _NEEDS)
    check_size(str(path), path.stat().st_size)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = next(csv.reader(file), [])
        has_header = not all(map(_is_number, first))
        label, columns, unused = _columns(first, has_header)
        numbers = _load(path, has_header, columns, np.float32)
        texts = None if label is None else _load(path, has_header, [label], str)[:, 0]
    except PermissionError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, csv.Error) as error:  # UnicodeDecodeError is one, too
        raise DataError(f"cannot read {path} ({reason(error)}); {_NEEDS}") from error
    is_whole = bool(np.all(np.rint(numbers) == numbers)) and bool(np.all(np.abs(numbers) < 2**24))
    side = math.isqrt(len(columns))
    images = (numbers.astype(np.int32) if is_whole else numbers).reshape(-1, side, side)
    labels, names = (None, None) if texts is None else _labels(path, texts, images)
    scaled = pixels.scale({f"{path}": images}, wanted.pixel_max)
    whole = Split(scaled.images[0], labels)
    splits, note = whole_or_split(str(path), {"whole": whole}, "npz:FILE with x_train and x_test")
    taken = "; labels from the first column" if label == 0 and not has_header else ""
    origin = {
        "source": "CSV file",
        "version": None,
        "file": str(path),
        "content": f"CSV file with {scaled.content}{taken}{note}",
    }
    others = {name: value for name, value in (("class_names", names), ("unused", unused)) if value}
    return splits, origin | others | {"pixel_range": list(scaled.pixel_range)}


def _labels(path: Path, texts: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, list[str] | None]:
    """Returns labels int32[N] and, if they are not whole numbers, the texts that they number."""
    is_whole = all(re.fullmatch(r"\s*-?\d{1,15}(\.0*)?\s*", text) for text in texts)
    numbered, names = number_classes({"": texts.astype(float).astype(np.int64) if is_whole else texts})
    return check_labels(f"{path}", numbered[""], images), names


def _columns(first: list[str], has_header: bool) -> tuple[int | None, list[int], list[str]]:
    """Returns which column has the labels, which have the pixels, and the names of those that are not read.

    Raises:
        ValueError: the first line has too few columns for an image.
    """
    names = [name.strip().lower() for name in first]
    label = next((names.index(name) for name in _LABELS if name in names), None) if has_header else None
    if not has_header and _is_square(len(first) - 1):
        label = 0
    every = [column for column in range(len(first)) if column != label]
    named = [column for column in every if has_header and names[column].startswith("pixel")]
    columns = named or every
    if not _is_square(len(columns)):
        kind = "columns of pixels" if named or label is not None else "columns, none named label"
        raise ValueError(f"its first line has {len(columns)} {kind}, which make no square")
    return label, columns, [first[column] for column in every if column not in set(columns)]


def _is_square(count: int) -> bool:
    return count > 1 and math.isqrt(count) ** 2 == count


def _load(path: Path, has_header: bool, columns: list[int], dtype: type) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a table without lines, which is refused as one without images
        table: np.ndarray = np.loadtxt(
            path, dtype, delimiter=",", comments=None, quotechar='"', skiprows=int(has_header), usecols=columns,
            ndmin=2, encoding="utf-8-sig",
        )  # fmt: skip
    if not len(table):
        raise ValueError("it has no lines of pixels")
    return table


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
