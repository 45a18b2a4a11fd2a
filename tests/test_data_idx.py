import contextlib
import errno
import gzip
import hashlib
import os
import shutil
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_jax import data
from vae_jax.data.sources import idx

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx_bytes(array, dtype="u1"):
    """The content of an IDX file with the array's numbers as elements of that type."""
    sizes = struct.pack(f">4B{array.ndim}I", 0, 0, CODES[dtype], array.ndim, *array.shape)
    return sizes + array.astype(f">{dtype}").tobytes()


def header(*shape):
    return struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape)


@pytest.fixture
def arrays():
    """12 train and 6 test images of 5 x 4 pixels with their labels, by file name."""
    numbers = np.random.default_rng(0)
    images, labels = numbers.integers(0, 256, (18, 5, 4)), numbers.integers(0, 256, 18)
    return dict(zip(NAMES, (images[:12], labels[:12], images[12:], labels[12:]), strict=True))


@pytest.fixture
def folder(tmp_path, arrays):
    """A folder with the arrays as IDX files, two of them gzipped."""
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
    labels = np.concatenate([arrays[NAMES[1]], arrays[NAMES[3]]])
    assert dataset.provenance == {
        "name": f"idx:{folder}",
        "source": "IDX files",
        "version": None,
        "folder": str(folder),
        "content": "IDX files with uint8 pixels",
        "pixel_range": [0, 255],
        "sha256": hashlib.sha256(pixels).hexdigest(),
        "labels_sha256": hashlib.sha256(labels.astype("<i4").tobytes()).hexdigest(),
        "counts": {"train": 12, "validation": 0, "test": 6},
    }


@pytest.mark.parametrize("reverse", [False, True])
def test_raw_file_is_preferred_to_gz(reverse, folder, arrays, monkeypatch):
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: sorted(listdir(folder), reverse=reverse))
    (folder / NAMES[0]).write_bytes(idx_bytes(255 - arrays[NAMES[0]]))
    np.testing.assert_array_equal(load(folder, validation_fraction=0).train.images, 255 - arrays[NAMES[0]])


def denied(path, *args, **kwargs):
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def test_without_permission_no_other_file_is_asked_for(folder, monkeypatch):
    """Of root, who may do everything, this needs a pretence."""
    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(data.DataError, match=rf"^cannot read {folder}/{NAMES[0]}\.gz: Permission denied$"):
        load(folder)


IMAGES = idx_bytes(np.ones((12, 5, 4)))
LABELS = idx_bytes(np.ones(12))

DAMAGES = {
    "empty file": (0, b"", "does not start as an IDX file does"),
    "part of a header": (0, IMAGES[:15], "does not start as an IDX file does"),
    "images of rank 200": (0, header(*[1] * 200), "does not start as an IDX file does"),
    "images without dimensions": (0, bytes((0, 0, 8, 0, 1)), "does not start as an IDX file does"),
    "not IDX": (0, b"\x89PNG" + bytes(100), "does not start as an IDX file does"),
    "unknown element type": (0, IMAGES[:2] + b"\x0a" + IMAGES[3:], "does not start as an IDX file does"),
    "a byte short": (0, IMAGES[:-1], "is cut short"),
    "a packed byte short": (0, gzip.compress(IMAGES[:-1]), "is cut short"),
    "a byte too many": (0, IMAGES + b"\0", "goes on after its last element"),
    "a packed byte too many": (0, gzip.compress(IMAGES + b"\0"), "goes on after its last element"),
    "packed, with a huge promise": (
        0,
        gzip.compress(header(2**20, 32, 32) + bytes(999)),
        "is cut short",
    ),
    "a second gzip member": (0, gzip.compress(IMAGES) + gzip.compress(b"more"), "goes on after its last element"),
    "gzip cut short": (0, gzip.compress(IMAGES)[:-9], "cannot read"),
    "gzip without its checksum": (0, gzip.compress(IMAGES)[:-8], "cannot read"),
    "gzip with a wrong checksum": (0, gzip.compress(IMAGES)[:-8] + bytes(4) + gzip.compress(IMAGES)[-4:], "CRC"),
    "gzip of garbage": (0, gzip.compress(IMAGES)[:10] + b"\xff" * 40, "cannot read"),
    "gzip with garbage behind": (0, gzip.compress(IMAGES) + b"garbage", "cannot read"),
    "no images": (0, header(0, 5, 4), "is empty"),
    "images without height": (0, header(12, 0, 4), "is empty"),
    "images without width": (0, header(12, 5, 0), "is empty"),
    "no labels": (1, header(0), "is empty"),
    "too few labels": (1, idx_bytes(np.ones(11)), "has 11 labels for 12 images"),
    "too many test labels": (3, LABELS, "has 12 labels for 6 images"),
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
    for nowhere in (folder / "nowhere", folder / NAMES[1], "\0", "x" * 5000):
        with pytest.raises(data.DataError, match=r"^cannot list .*idx:DIR needs a folder with train-images-idx3-ubyte"):
            load(nowhere)


@pytest.mark.parametrize("near", ["t10k_labels_idx1_ubyte", "t10k-labels-idx1.gz", "t10k-labels-idx1-ubyte.xz"])
def test_a_missing_file_is_named_with_a_similar_one(near, folder):
    (folder / NAMES[3]).rename(folder / near)
    (folder / "README.md").touch()
    with pytest.raises(data.DataError, match=f"{NAMES[3]} .*is not there.*did you mean '{near}'\\?$"):
        load(folder)
    (folder / near).unlink()
    with pytest.raises(data.DataError, match=r"each raw or \.gz$"):
        load(folder)


SPELLINGS = {
    "dots": lambda name: name.replace("-", "."),
    "a dot and dashes": lambda name: name.replace("-idx", ".idx"),
    "upper case": str.upper,
    "test for t10k": lambda name: name.replace("t10k", "test"),
    "a prefix": lambda name: f"kmnist-{name}",
    "a prefix in several spellings": lambda name: f"{'My.Own.' if 'train' in name else 'my-own-'}{name}",
    "QMNIST": lambda name: "qmnist-" + name.replace("t10k", "test").replace("idx1-ubyte", "idx2-int"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_other_spellings_of_the_names(spelling, folder, arrays):
    for path in list(folder.iterdir()):
        stem, packed = path.name.removesuffix(".gz"), path.suffix == ".gz"
        path.rename(folder / (SPELLINGS[spelling](stem) + (".GZ" if spelling == "upper case" else ".gz") * packed))
    dataset = load(folder, validation_fraction=0)
    for split, stem in ((dataset.train, "train"), (dataset.test, "t10k")):
        np.testing.assert_array_equal(split.images, arrays[f"{stem}-images-idx3-ubyte"])
        np.testing.assert_array_equal(split.labels, arrays[f"{stem}-labels-idx1-ubyte"])
    assert dataset.provenance["content"] == "IDX files with uint8 pixels"


@pytest.mark.parametrize("prefix", ["emnist-letters-", "EMNIST.digits.", "my-emnist_letters-"])
def test_emnist_is_turned_upright(prefix, folder, arrays):
    for path in list(folder.iterdir()):
        path.rename(folder / f"{prefix}{path.name}")
    dataset = load(folder, validation_fraction=0)
    np.testing.assert_array_equal(dataset.train.images, arrays[NAMES[0]].transpose(0, 2, 1))
    np.testing.assert_array_equal(dataset.test.images, arrays[NAMES[2]].transpose(0, 2, 1))
    assert dataset.train.images.flags.c_contiguous
    assert dataset.provenance["content"] == "IDX files with uint8 pixels, transposed because the files are named EMNIST"
    pixels = dataset.train.images.tobytes() + dataset.test.images.tobytes()
    assert dataset.provenance["sha256"] == hashlib.sha256(pixels).hexdigest()


SECOND_SETS = {
    "a file of another set": (lambda name: f"emnist-digits-{name}", 0),
    "a file of another set, gzipped": (lambda name: f"emnist-digits-{name}.gz", 1),
    "a file in another spelling": (lambda name: name.replace("-idx", ".idx"), 1),
    "a file in upper case": (str.upper, 3),
    "a gzipped file in another spelling": (lambda name: name.replace("-idx", ".idx") + ".gz", 1),
    "test beside t10k": (lambda name: name.replace("t10k", "test"), 3),
}


@pytest.mark.parametrize("second", SECOND_SETS)
def test_several_candidates_are_refused(second, folder, arrays):
    spell, which = SECOND_SETS[second]
    (folder / spell(NAMES[which])).write_bytes(idx_bytes(arrays[NAMES[which]]))
    with pytest.raises(data.DataError) as caught:
        load(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder} has more than one candidate (")
    assert spell(NAMES[which]) in message
    assert message.endswith("put the four files of one data set in a folder of its own")
    assert "\n" not in message


def test_files_of_two_sets_are_not_combined(folder):
    for path in folder.glob("t10k*"):
        path.rename(folder / f"other-{path.name}")
    with pytest.raises(data.DataError, match=r"more than one candidate \(other-\S+ or train-\S+\)"):
        load(folder)


def test_several_prefixes_are_refused(folder):
    for path in list(folder.iterdir()):
        shutil.copy(path, folder / f"emnist-letters-{path.name}")
        path.rename(folder / f"emnist-digits-{path.name}")
    with pytest.raises(data.DataError, match=r"\(emnist-digits-\S+ or emnist-letters-\S+\)"):
        load(folder)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4"])
@pytest.mark.parametrize("columns", [None, 1, 8])
def test_labels_of_any_integer_type(dtype, columns, folder):
    labels = np.arange(12) * (10 if dtype in ("u1", "i1") else 300)
    table = labels if columns is None else np.tile(labels[:, None], columns) + np.arange(columns)
    (folder / NAMES[1]).write_bytes(idx_bytes(table, dtype))
    train = load(folder, validation_fraction=0).train
    np.testing.assert_array_equal(train.labels, labels)
    assert train.labels.dtype == np.int32


def test_images_with_a_channel(folder, arrays):
    (folder / NAMES[0]).write_bytes(idx_bytes(arrays[NAMES[0]][..., None]))
    np.testing.assert_array_equal(load(folder, validation_fraction=0).train.images, arrays[NAMES[0]])


OTHER_ARRAYS = {
    "flat images": (0, idx_bytes(np.ones((12, 20))), "has uint8 elements of shape 12 x 20; images must be integers, "),
    "two channels": (0, idx_bytes(np.ones((12, 5, 4, 2))), ".* of shape 12 x 5 x 4 x 2; images must be integers, "),
    "labels for images": (0, LABELS, "has uint8 elements of shape 12; images must"),
    "images for labels": (1, IMAGES, "has uint8 elements of shape 12 x 5 x 4; labels must"),
    "flat images for labels": (1, idx_bytes(np.ones((12, 20))), "has uint8 elements of shape 12 x 20; labels must"),
    "float labels": (1, idx_bytes(np.ones(12), "f8"), "has float64 elements of shape 12; labels must be integers"),
    "negative labels": (1, idx_bytes(np.arange(-1, 11), "i1"), "has labels from -1 to 10; renumber them from 0"),
    "huge labels": (1, idx_bytes(np.arange(12) + 65525, "i4"), "has labels from 65525 to 65536; renumber them from 0"),
}


@pytest.mark.parametrize("other", OTHER_ARRAYS)
def test_another_array_is_described(other, folder):
    which, content, message = OTHER_ARRAYS[other]
    for path in folder.glob(f"{NAMES[which]}*"):
        path.unlink()
    (folder / NAMES[which]).write_bytes(content)
    with pytest.raises(data.DataError, match=f"{NAMES[which]} {message}") as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    assert "get the file again" not in str(caught.value)


def test_the_largest_label(folder):
    (folder / NAMES[1]).write_bytes(idx_bytes(np.arange(12) + 65524, "i4"))
    assert load(folder, validation_fraction=0).train.labels.max() == 65535


def test_test_images_of_another_size(folder):
    (folder / NAMES[2]).write_bytes(idx_bytes(np.ones((6, 4, 5))))
    with pytest.raises(data.DataError, match="has train images of 5 x 4 pixels and test images of 4 x 5; "):
        load(folder)


@pytest.mark.parametrize(("num_images", "fraction", "left"), [(1, 0, 1), (2, 0.5, 1), (5, 0.9, 1), (1, 0.9, 0)])
def test_too_few_images_to_train_on(num_images, fraction, left, folder):
    (folder / NAMES[0]).write_bytes(idx_bytes(np.full((num_images, 5, 4), 255)))
    (folder / NAMES[1]).write_bytes(idx_bytes(np.ones(num_images)))
    message = f"leaves {left} of {num_images} train images after the validation split; training needs 2 or more, so"
    with pytest.raises(data.DataError, match=f"^idx:{folder} {message} lower validation_fraction"):
        load(folder, validation_fraction=fraction)


def test_two_images_are_enough(folder):
    (folder / NAMES[0]).write_bytes(idx_bytes(np.full((2, 5, 4), 255)))
    (folder / NAMES[1]).write_bytes(idx_bytes(np.ones(2)))
    assert load(folder).provenance["counts"] == {"train": 2, "validation": 0, "test": 6}


PROMISES = {
    "2^40 pixels": header(2**30, 32, 32) + bytes(1000),
    "2^40 pixels, packed": gzip.compress(header(2**30, 32, 32) + bytes(1000)),
    "2^96 pixels": header(2**32 - 1, 2**32 - 1, 2**32 - 1),
}


@pytest.mark.parametrize("promise", PROMISES)
def test_memory_is_not_allocated_for_what_a_header_promises(promise, tmp_path):
    path = tmp_path / NAMES[0]
    path.write_bytes(PROMISES[promise])
    tracemalloc.start()
    try:
        with pytest.raises(data.DataError, match=f"{NAMES[0]} is cut short"):
            idx.read_array(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 22  # the peak, in bytes
    finally:
        tracemalloc.stop()


def test_a_file_that_unpacks_to_more_than_fits_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    path = tmp_path / NAMES[0]
    path.write_bytes(gzip.compress(header(2, 32, 32) + bytes(10**8)))
    monkeypatch.setattr(idx, "MAX_BYTES", 10**6)
    tracemalloc.start()
    try:
        with pytest.raises(data.DataError, match=f"{NAMES[0]} holds more than 1000000 bytes; use fewer or smaller"):
            idx.read_array(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 23
    finally:
        tracemalloc.stop()


def mutate(content, edits, length):
    content = bytearray(content)
    for place, value in edits:
        content[place % len(content)] = value
    return bytes(content[: len(content) + length] if length < 0 else content + bytes(length))


EDITS = st.lists(st.tuples(st.integers(0, 300) | st.integers(0, 15), st.integers(0, 255)), max_size=4)


@settings(max_examples=300)
@given(inner=EDITS, outer=EDITS, length=st.integers(-300, 3) | st.just(0), packed=st.booleans())
def test_any_file_is_an_array_or_an_error(inner, outer, length, packed, tmp_path_factory):
    content = mutate(IMAGES, inner, 0)
    content = mutate(gzip.compress(content) if packed else content, outer, length)
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(content)
    try:
        array = idx.read_array(path)
    except data.DataError:
        return
    # The array is all of the file.
    unpacked = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    dtype = array.dtype.str[1:]
    assert unpacked == idx_bytes(array, dtype)


@settings(max_examples=200)
@given(content=st.binary(max_size=64))
def test_any_bytes_are_an_array_or_an_error(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    for body in (content, b"\0\0\x08\x01" + content, gzip.compress(b"\0\0\x08\x01" + content), b"\x1f\x8b" + content):
        path.write_bytes(body)
        with contextlib.suppress(data.DataError):
            assert idx.read_array(path).size > 0
