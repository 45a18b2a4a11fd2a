import io
import json
import sys

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet
from refusal import refusal

from vae_jax import data

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (20, 4, 4)).astype(np.uint8)
LABELS = np.arange(20) % 4
NAMES = ["cross", "dot", "ring", "wedge"]
PIXELS = [f"pixel{index}" for index in range(16)]


def load(path, **wanted):
    return data.load(f"{path.suffix[1:]}:{path}", validation_fraction=0, **wanted)


def error(path):
    message = refusal(load, path, kind=data.DataError)
    assert str(path) in message
    return message


def check(found, has_labels=True):
    """The data set has these images, each with its label."""
    label_of = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=True)}
    images = np.concatenate([found.train.images, found.test.images])
    assert sorted(image.tobytes() for image in images) == sorted(label_of)
    if has_labels:
        labels = np.concatenate([found.train.labels, found.test.labels])
        assert [label_of[image.tobytes()] for image in images] == labels.tolist()
    else:
        assert found.train.labels is None
    assert found.provenance["counts"] == {"train": 16, "validation": 0, "test": 4}


def table(header, *columns):
    rows = [map(str, np.hstack(row)) for row in zip(*columns, strict=True)]
    return "\n".join(map(",".join, [*([header] if header else []), *rows]))


ROWS = IMAGES.reshape(20, 16)
TABLES = {
    "Kaggle's": (table(["label", *PIXELS], LABELS, ROWS), ""),
    "labels last, and a mark of its encoding": ("\ufeff" + table([*PIXELS, "Class"], ROWS, LABELS), ""),
    "no header": (table(None, LABELS, ROWS), "; labels from the first column"),
    "floats": (table(["label", *PIXELS], LABELS, ROWS / 255), ""),
    "a number of each image": (table(["id", "label", *PIXELS], np.arange(20), LABELS, ROWS), ""),
    "texts": (table(["label", *PIXELS], [f'"{NAMES[label]}"' for label in LABELS], ROWS), ""),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables(kind, tmp_path):
    text, note = TABLES[kind]
    path = tmp_path / "a.csv"
    path.write_text(text + "\n", encoding="utf-8")
    found = load(path)
    check(found)
    pixels = "float32 pixels times 255, rounded" if kind == "floats" else "int32 pixels"
    assert found.provenance["content"] == f"CSV file with {pixels}{note}; 1 image in 5 split off for testing"
    assert found.provenance.get("class_names") == (NAMES if kind == "texts" else None)
    assert found.provenance.get("unused") == (["id"] if kind == "a number of each image" else None)


def test_a_table_without_labels(tmp_path):
    path = tmp_path / "a.csv"
    for header in (None, PIXELS):
        path.write_text(table(header, ROWS))
        check(load(path), has_labels=False)


KAGGLE = TABLES["Kaggle's"][0]
DAMAGED = {
    "nothing": ("", "its first line has 0 columns, none named label, which make no square"),
    "a header only": (KAGGLE[: KAGGLE.index("\n")], "it has no lines of pixels"),
    "cut short": (KAGGLE[:-40], "at row 20 with 6 columns"),
    "a text among pixels": (KAGGLE[:-1] + "x", "could not convert string"),
    "no square": (table(["label", *PIXELS[:-1]], LABELS, ROWS[:, 1:]), "has 15 columns of pixels, which make no"),
    "bytes": (b"\xff\xfe\0", "can't decode"),
    "four lines": ("\n".join(KAGGLE.split("\n")[:5]), "too few images (4) to split off a test set"),
    "labels below 0": (table(["label", *PIXELS], LABELS - 1, ROWS), "has labels from -1 to 2; renumber them"),
    "brighter than white": (KAGGLE[:-1] + "999", "where 0 is black and 255 is white; pass what is white"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGED)
def test_tables_that_are_no_images(kind, tmp_path):
    content, expected = DAMAGED[kind]
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert expected in error(path)


def test_files_that_are_not_there(tmp_path):
    for name in ("a.csv", "a.parquet"):
        assert "is not there, or is not a file; " in error(tmp_path / name)


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def write(path, labels, metadata=None, image="image", **columns):
    pictures = [{"bytes": png(picture), "path": None} for picture in IMAGES]
    made = pyarrow.table({image: pictures} | ({} if labels is None else {"label": labels}) | columns)
    parquet.write_table(made.replace_schema_metadata(metadata), path)


def test_pictures_of_hugging_face(tmp_path):
    path = tmp_path / "a.parquet"
    features = {"label": {"names": NAMES[::-1], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    write(path, LABELS, {"huggingface": json.dumps({"info": {"features": features}})}, image="img", number=range(20))
    found = load(path)
    check(found)
    assert found.provenance["class_names"] == NAMES[::-1]
    assert found.provenance["unused"] == ["number"]
    assert found.provenance["content"] == "Parquet file, picture files; 1 image in 5 split off for testing"
    assert load(path, image_size=2).train.images.shape == (16, 2, 2)
    write(path, [NAMES[label] for label in LABELS], image="pictures")
    check(load(path))
    assert load(path).provenance["class_names"] == NAMES
    write(path, None)
    check(load(path), has_labels=False)


def test_parquet_files_that_are_no_images(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    write(path, LABELS)
    whole = path.read_bytes()
    for content in (b"", whole[:-1], whole[:100], b"PAR1" + bytes(50) + b"PAR1"):
        path.write_bytes(content)
        assert f"cannot read {path} (" in error(path)
    parquet.write_table(pyarrow.table({"text": ["a"] * 5}), path)
    assert "(its columns are 'text'); parquet:FILE needs a column `image` of" in error(path)
    parquet.write_table(pyarrow.table({"image": pyarrow.array([], pyarrow.binary())}), path)
    assert " has no rows; " in error(path)
    parquet.write_table(pyarrow.table({"image": [png(IMAGES[0]), None]}), path)
    assert " has 1 rows without a picture, such as row 1; " in error(path)
    parquet.write_table(pyarrow.table({"image": [png(IMAGES[0]), b"text"]}), path)
    assert " has 1 broken of 2 pictures: row 1 (not a PNG, JPEG or WebP picture); remove them" in error(path)
    write(path, [None, *LABELS[1:]])
    assert "labels in " in error(path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(data.DataError, match=r"^parquet:FILE needs pyarrow; run pip install 'vae-jax\[parquet\]'$"):
        load(path)
