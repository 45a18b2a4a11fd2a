"""Reads pictures in a Parquet file, as Hugging Face writes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from vae_jax.data.checks import check_file, check_labels, check_size, number_classes
from vae_jax.data.fit import Wanted
from vae_jax.data.pictures import Picture, decode
from vae_jax.data.sources import files
from vae_jax.data.splits import DataError, Source, Split, whole_or_split
from vae_jax.errors import reason

_IMAGES = ("image", "img")  # what a column of pictures may be called, if there are several
_LABELS = ("label", "labels")
_NEEDS = "parquet:FILE needs a column `image` of PNG, JPEG or WebP pictures, and a column `label` if there are labels"


@files("parquet", "FILE")
def read(path: Path, wanted: Wanted) -> Source:
    """Reads the pictures and labels of one Parquet file; one image in five becomes a test image.

    Pictures are bytes, or structures with a field `bytes`. Labels are integers, whose names Hugging Face keeps in the
    file's description, or texts.

    Raises:
        DataError: pyarrow is not installed, the file is missing or damaged, or has no such column, or `decode` refuses
            its pictures.
    """
    check_file(path, _NEEDS)
    check_size(str(path), path.stat().st_size)
    contents, texts, names, unused = _read(path)
    if not contents:
        raise DataError(f"{path} has no rows; {_NEEDS}")
    if missing := [row for row, content in enumerate(contents) if not isinstance(content, bytes)]:
        raise DataError(f"{path} has {len(missing)} rows without a picture, such as row {missing[0]}; {_NEEDS}")
    pictures = [Picture(f"row {row}", content) for row, content in enumerate(contents)]
    images, content = decode(str(path), pictures, wanted)
    labels = None
    if texts is not None:
        numbered, own_names = number_classes({f"labels in {path}": texts})
        labels, names = check_labels(*next(iter(numbered.items())), images), own_names or names
    splits, note = whole_or_split(str(path), {"whole": Split(images, labels)}, "images:DIR with train/ and test/")
    origin = {"source": "Parquet file", "version": None, "file": str(path), "content": f"Parquet file, {content}{note}"}
    others = {name: value for name, value in (("class_names", names), ("unused", unused)) if value}
    return splits, origin | others


def _read(path: Path) -> tuple[list[Any], np.ndarray | None, list[str] | None, list[str]]:
    """Returns the pictures' bytes, the labels and their names, if there are any, and the names of other columns."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DataError("parquet:FILE needs pyarrow; run pip install 'vae-jax[parquet]'") from error
    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            found = [field.name for field in schema if _has_pictures(field.type, pyarrow)]
            image = next((name for name in _IMAGES if name in found), found[0] if len(found) == 1 else None)
            label = next((name for name in _LABELS if name in schema.names), None)
            if image is None:
                raise ValueError(f"its columns are {', '.join(map(repr, schema.names[:8]))}")
            table = file.read([image, *([label] if label else [])])
        rows = table.column(image).to_pylist()
        texts = None if label is None else np.asarray(table.column(label).to_pylist())
        names = _class_names(schema.metadata or {}, label)
    except PermissionError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except Exception as error:  # pyarrow raises various errors on damaged files
        raise DataError(f"cannot read {path} ({reason(error)[:300]}); {_NEEDS}") from error
    contents = [row.get("bytes") if isinstance(row, dict) else row for row in rows]
    return contents, texts, names, sorted(set(schema.names) - {image, label})


def _has_pictures(kind: Any, pyarrow: Any) -> bool:
    if pyarrow.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return bool(pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind))


def _class_names(metadata: dict[bytes, bytes], label: str | None) -> list[str] | None:
    """Returns the names of classes in Hugging Face's description of the columns; None if it has none."""
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None
