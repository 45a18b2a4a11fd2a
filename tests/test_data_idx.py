import contextlib
import gzip
import hashlib
import random
import re
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_jax import data
from vae_jax.data import idx

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx_bytes(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def header(*shape):
    return struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape)


@pytest.fixture
def arrays():
    """Of 12 images of 5x4 pixels to train on and 6 to test on, by file name."""
    numbers = np.random.default_rng(0)
    images, labels = numbers.integers(0, 256, (18, 5, 4)), numbers.integers(0, 256, 18)
    return dict(zip(NAMES, (images[:12], labels[:12], images[12:], labels[12:]), strict=True))


@pytest.fixture
def folder(tmp_path, arrays):
    """The arrays as IDX files, two of them gzipped."""
    for i, (name, array) in enumerate(arrays.items()):
        content = idx_bytes(array)
        (tmp_path / (name if i % 2 else f"{name}.gz")).write_bytes(content if i % 2 else gzip.compress(content))
    return tmp_path


def load(folder, **keywords):
    return data.load(f"idx:{folder}", **keywords)


def test_reads_what_was_written(folder, arrays):
    dataset = load(folder, validation_fraction=0)
    for split, stem in ((dataset.train, "train"), (dataset.test, "t10k")):
        np.testing.assert_array_equal(split.images, arrays[f"{stem}-images-idx3-ubyte"])
        np.testing.assert_array_equal(split.labels, arrays[f"{stem}-labels-idx1-ubyte"])
        assert (split.images.dtype, split.labels.dtype) == (np.uint8, np.int32)
    assert dataset.validation.images.shape == (0, 5, 4)
    pixels = dataset.train.images.tobytes() + dataset.test.images.tobytes()
    assert dataset.provenance == {
        "name": f"idx:{folder}",
        "source": "IDX files",
        "version": None,
        "folder": str(folder),
        "content": "unknown IDX data",
        "sha256": hashlib.sha256(pixels).hexdigest(),
        "counts": {"train": 12, "validation": 0, "test": 6},
    }


def test_raw_file_goes_before_packed(folder, arrays):
    (folder / NAMES[0]).write_bytes(idx_bytes(255 - arrays[NAMES[0]]))
    np.testing.assert_array_equal(load(folder, validation_fraction=0).train.images, 255 - arrays[NAMES[0]])


def test_known_content(mnist_dir, tmp_path):
    dataset = load(mnist_dir)
    assert dataset.provenance["content"] == "MNIST"
    assert dataset.provenance["counts"] == {"train": 55000, "validation": 5000, "test": 10000}
    # Of any packing, but not with one pixel changed.
    for name in NAMES:
        (tmp_path / name).write_bytes(gzip.decompress((mnist_dir / f"{name}.gz").read_bytes()))
    assert load(tmp_path).provenance["content"] == "MNIST"
    content = bytearray((tmp_path / NAMES[2]).read_bytes())
    content[-1] ^= 1
    (tmp_path / NAMES[2]).write_bytes(content)
    assert load(tmp_path).provenance["content"] == "unknown IDX data"


def test_known_digests_are_of_four_files():
    assert set(idx._KNOWN.values()) == {"MNIST", "Fashion-MNIST"}
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digests in idx._KNOWN for digest in digests)
    assert [len(digests) for digests in idx._KNOWN] == [4, 4]


IMAGES = idx_bytes(np.ones((12, 5, 4)))
LABELS = idx_bytes(np.ones(12))

DAMAGES = {
    "empty file": (0, b"", "does not begin as an IDX file"),
    "part of a header": (0, IMAGES[:15], "does not begin as an IDX file"),
    "not IDX": (0, b"\x89PNG" + bytes(100), "does not begin as an IDX file"),
    "elements of float32": (0, IMAGES[:2] + b"\x0d" + IMAGES[3:], "does not begin as an IDX file"),
    "labels for images": (0, LABELS, "does not begin as an IDX file"),
    "images for labels": (1, IMAGES, "does not begin as an IDX file"),
    "a byte short": (0, IMAGES[:-1], "is cut short"),
    "a packed byte short": (0, gzip.compress(IMAGES[:-1]), "is cut short"),
    "a byte too many": (0, IMAGES + b"\0", "goes on after its last element"),
    "a packed byte too many": (0, gzip.compress(IMAGES + b"\0"), "goes on after its last element"),
    "a second gzip member": (0, gzip.compress(IMAGES) + gzip.compress(b"more"), "goes on after its last element"),
    "gzip cut short": (0, gzip.compress(IMAGES)[:-9], "cannot read"),
    "gzip without its checksum": (0, gzip.compress(IMAGES)[:-8], "cannot read"),
    "gzip with a wrong checksum": (0, gzip.compress(IMAGES)[:-8] + bytes(4) + gzip.compress(IMAGES)[-4:], "CRC"),
    "gzip of garbage": (0, gzip.compress(IMAGES)[:10] + b"\xff" * 40, "cannot read"),
    "gzip with garbage behind": (0, gzip.compress(IMAGES) + b"garbage", "cannot read"),
    "no images": (0, header(0, 5, 4), "is empty"),
    "images without pixels": (0, header(12, 0, 4), "is empty"),
    "no labels": (1, header(0), "is empty"),
    "too few labels": (1, idx_bytes(np.ones(11)), "has 11 labels for 12 images"),
    "too many test labels": (3, LABELS, "has 12 labels for 6 images"),
    "test images of another size": (2, idx_bytes(np.ones((6, 4, 5))), re.escape("(4, 5) pixels")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named(damage, folder):
    which, content, message = DAMAGES[damage]
    for path in folder.glob(f"{NAMES[which]}*"):
        path.unlink()
    (folder / f"{NAMES[which]}.gz").write_bytes(content)
    with pytest.raises(data.DataError, match=f"{NAMES[which]}.*{message}|{message}.*{NAMES[which]}") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_missing_files_are_named(folder):
    (folder / NAMES[3]).unlink()
    with pytest.raises(data.DataError, match=f"{NAMES[3]} .*is not there"):
        load(folder)
    (folder / NAMES[3]).mkdir()
    with pytest.raises(data.DataError, match=f"{NAMES[3]} .*is not there"):
        load(folder)
    for nowhere in (folder / "nowhere", "\0", "x" * 5000):
        with pytest.raises(data.DataError, match="is not there"):
            load(nowhere)


def test_too_few_images_for_a_validation_split(folder):
    for name, array in {NAMES[0]: np.ones((1, 5, 4)), NAMES[1]: np.ones(1)}.items():
        (folder / name).write_bytes(idx_bytes(array))
    assert len(load(folder).train.images) == 1
    with pytest.raises(data.DataError, match=r"too few images \(1\)"):
        load(folder, validation_fraction=0.9)


BOMBS = {
    "2^40 pixels announced": header(2**30, 32, 32) + bytes(1000),
    "2^40 pixels announced, packed": gzip.compress(header(2**30, 32, 32) + bytes(1000)),
    "2^40 pixels announced and many there": gzip.compress(header(2**30, 32, 32) + bytes(10**8)),
    "2^30 pixels announced, packed": gzip.compress(header(2**20, 32, 32) + bytes(1000)),
    "2^28 pixels announced and 2^19 bytes there": gzip.compress(
        header(2**18, 32, 32) + random.Random(0).randbytes(2**19)
    ),
    "2^96 pixels announced": header(2**32 - 1, 2**32 - 1, 2**32 - 1),
    "far more there than announced": gzip.compress(header(2, 32, 32) + bytes(10**8)),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_header_is_not_believed(bomb, tmp_path):
    path = tmp_path / NAMES[0]
    path.write_bytes(BOMBS[bomb])
    tracemalloc.start()
    try:
        with pytest.raises(data.DataError, match=NAMES[0]):
            idx.read_file(path, rank=3)
        assert tracemalloc.get_traced_memory()[1] < 1 << 22  # the greatest use, in bytes
    finally:
        tracemalloc.stop()


def mutate(content, edits, length):
    content = bytearray(content)
    for place, value in edits:
        content[place % len(content)] = value
    return bytes(content[: len(content) + length] if length < 0 else content + bytes(length))


EDITS = st.lists(st.tuples(st.integers(0, 300) | st.integers(0, 15), st.integers(0, 255)), max_size=4)


@settings(max_examples=300, deadline=1000)
@given(inner=EDITS, outer=EDITS, length=st.integers(-300, 3) | st.just(0), packed=st.booleans())
def test_any_file_is_an_array_or_an_error(inner, outer, length, packed, tmp_path_factory):
    content = mutate(IMAGES, inner, 0)
    content = mutate(gzip.compress(content) if packed else content, outer, length)
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(content)
    try:
        array, digest = idx.read_file(path, rank=3)
    except data.DataError:
        return
    assert array.dtype == np.uint8
    # What is read is all of the file and nothing else.
    assert idx_bytes(array) == (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
    assert digest == hashlib.sha256(idx_bytes(array)).hexdigest()


@settings(max_examples=200, deadline=1000)
@given(content=st.binary(max_size=64))
def test_any_bytes_are_an_array_or_an_error(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    for body in (content, b"\0\0\x08\x01" + content, gzip.compress(b"\0\0\x08\x01" + content), b"\x1f\x8b" + content):
        path.write_bytes(body)
        with contextlib.suppress(data.DataError):
            assert idx.read_file(path, rank=1)[0].ndim == 1
