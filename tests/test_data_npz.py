import errno
import hashlib
import io
import os
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from refusal import refusal

from vae_jax import data
from vae_jax.data.checks import check_images, number_factors
from vae_jax.data.splits import DataError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (20, 5, 4)).astype(np.uint8)
LABELS = np.arange(20) % 4
KERAS = {"x_train": IMAGES[:12], "y_train": LABELS[:12], "x_test": IMAGES[12:], "y_test": LABELS[12:]}
WHOLE = {"images": IMAGES, "labels": LABELS}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "digits.npz"


def load(path, **arrays):
    """The data set in an .npz file, which is written first if there are arrays."""
    if arrays:
        np.savez(path, **arrays)
    return data.load(f"npz:{path}", validation_fraction=0)


def error(path, **arrays):
    """The message of the error that loading raises."""
    message = refusal(load, path, **arrays)
    assert str(path) in message
    return message


def test_keras_arrays(path):
    dataset = load(path, **KERAS)
    for split, images, labels in ((dataset.train, IMAGES[:12], LABELS[:12]), (dataset.test, IMAGES[12:], LABELS[12:])):
        np.testing.assert_array_equal(split.images, images)
        np.testing.assert_array_equal(split.labels, labels)
        assert (split.images.dtype, split.labels.dtype) == (np.uint8, np.int32)
    assert dataset.provenance == {
        "name": f"npz:{path}",
        "source": "NPZ file",
        "version": None,
        "file": str(path),
        "content": "NPZ file with uint8 pixels",
        "pixel_range": [0, 255],
        "sha256": hashlib.sha256(IMAGES.tobytes()).hexdigest(),
        "labels_sha256": hashlib.sha256(LABELS.astype("<i4").tobytes()).hexdigest(),
        "counts": {"train": 12, "validation": 0, "test": 8},
    }


def test_one_array_is_split_by_class(path):
    dataset = load(path, **WHOLE)
    assert dataset.provenance["counts"] == {"train": 16, "validation": 0, "test": 4}
    assert dataset.provenance["content"] == "NPZ file with uint8 pixels; 1 image in 5 split off for testing"
    np.testing.assert_array_equal(np.bincount(dataset.train.labels), [4] * 4)
    np.testing.assert_array_equal(np.bincount(dataset.test.labels), [1] * 4)
    label_of = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=True)}
    found = [
        (image.tobytes(), label)
        for split in (dataset.train, dataset.test)
        for image, label in zip(split.images, split.labels, strict=True)
    ]
    assert len(found) == 20
    assert dict(found) == label_of
    # The split is the same each time.
    assert load(path).provenance == dataset.provenance


def test_labels_are_optional(path):
    dataset = load(path, images=IMAGES)
    assert dataset.provenance["counts"] == {"train": 16, "validation": 0, "test": 4}
    assert dataset.train.labels is dataset.test.labels is dataset.provenance["labels_sha256"] is None
    dataset = load(path, x_train=IMAGES[:12], x_test=IMAGES[12:])
    np.testing.assert_array_equal(dataset.test.images, IMAGES[12:])
    assert dataset.test.labels is None


def test_validation_split(path):
    load(path, **KERAS)
    assert data.load(f"npz:{path}", validation_fraction=0.5).provenance["counts"] == {
        "train": 6, "validation": 6, "test": 8,
    }  # fmt: skip


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_floats_become_uint8(dtype, order, path):
    every = np.arange(256, dtype=np.uint8).reshape(8, 8, 4)
    floats = np.asarray(every / 255, dtype=dtype, order=order)
    dataset = load(path, x_train=floats, x_test=np.asarray(every, order=order))
    for split in (dataset.train, dataset.test):
        np.testing.assert_array_equal(split.images, every)
        assert split.images.flags.c_contiguous
    assert (
        dataset.provenance["content"] == f"NPZ file with {floats.dtype.name} pixels times 255, rounded and uint8 pixels"
    )
    rounded = load(path, x_train=np.array([0.7 / 255, 1], dtype).reshape(2, 1, 1), x_test=every[:, :1, :1])
    assert rounded.train.images.ravel().tolist() == [1, 255]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_channel_and_a_column_are_dropped(save, order, path):
    save(path, images=np.asarray(IMAGES[..., None], order=order), labels=LABELS[:, None])
    expected = np.sort(IMAGES.reshape(20, -1), axis=0)
    found = load(path)
    images = np.concatenate([found.train.images, found.test.images])
    np.testing.assert_array_equal(np.sort(images.reshape(20, -1), axis=0), expected)
    assert images.shape == (20, 5, 4)
    assert found.train.labels.shape == (16,)


@pytest.mark.parametrize("dtype", ["u1", "i1", ">i2", "u2", "<i4", "u4", ">i8", "u8"])
def test_labels_of_any_integer_type(dtype, path):
    labels = load(path, **KERAS | {"y_test": LABELS[12:].astype(dtype)}).test.labels
    np.testing.assert_array_equal(labels, LABELS[12:])
    assert labels.dtype == np.int32


def test_arrays_that_are_not_used_are_named(path):
    dataset = load(path, **KERAS, classes=np.array(["a", "b"]), meta=np.array({}, dtype=object))
    assert dataset.provenance["unused"] == ["classes", "meta"]
    assert dataset.describe().endswith("(NPZ file with uint8 pixels); not used: 'classes', 'meta'")


ROWS = RANDOM.integers(0, 256, (20, 6, 6)).astype(np.uint8)
SHAPES = {
    "rows": lambda images: images.reshape(20, -1),
    "channel first": lambda images: images[:, None],
    "three channels first": lambda images: np.stack([images] * 3, 1),
    "floats from -1 to 1": lambda images: (images / 127.5 - 1).astype("f2"),
    "floats to 255": lambda images: images.astype("f4"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_images_as_libraries_keep_them(shape, path):
    images = SHAPES[shape](ROWS)
    expected = ROWS
    if shape == "floats from -1 to 1":  # float16 has fewer levels
        expected = np.rint((images.astype("f8") + 1) * 127.5).astype(np.uint8)
    np.testing.assert_array_equal(load(path, x_train=images[:12], x_test=images[12:]).test.images, expected[12:])


def test_floats_whose_range_is_not_clear_are_refused(path):
    for floats in (ROWS / 255 - 0.5, ROWS / 2, ROWS / 255 * 2 - 1.1):
        assert "rescale them" in (message := error(path, images=floats)) or "pass what is white" in message
    whole = load(path, images=ROWS.astype("f4")).provenance
    assert whole["content"].startswith(
        "NPZ file with float32 pixels from 0 to 255, scaled to bytes and rounded; 1 image"
    )


NAMES = np.array(["ring", "cross", "wedge", "dot"])
LABELLED = {
    "texts": NAMES[LABELS],
    "a column of texts": NAMES[LABELS][:, None],
    "bytes": NAMES[LABELS].astype(bytes),
    "one-hot": np.eye(4)[LABELS],
    "one-hot bools": np.eye(4, dtype=bool)[LABELS],
}


@pytest.mark.parametrize("kind", LABELLED)
def test_labels_as_libraries_keep_them(kind, path):
    labels = LABELLED[kind]
    found = load(path, **KERAS | {"y_train": labels[:12], "y_test": labels[12:]})
    is_text = labels.dtype.kind in "US"
    expected = np.array([2, 0, 3, 1])[LABELS] if is_text else LABELS  # numbers of the sorted texts
    np.testing.assert_array_equal(found.test.labels, expected[12:])
    np.testing.assert_array_equal(found.train.labels, expected[:12])
    assert found.provenance.get("class_names") == (["cross", "dot", "ring", "wedge"] if is_text else None)


def test_texts_number_alike_in_all_splits(path):
    few = NAMES[[0] * 8]
    found = load(path, **KERAS | {"y_train": NAMES[LABELS[:12]], "y_test": few})
    assert found.test.labels.tolist() == [2] * 8


def assert_factors(dataset, expected):
    """Each image of `IMAGES` has its factors, whichever split it is in."""
    found = {
        image.tobytes(): row.tolist()
        for split in (dataset.train, dataset.test)
        for image, row in zip(split.images, split.factors, strict=True)
    }
    assert found == {image.tobytes(): row for image, row in zip(IMAGES, np.asarray(expected).tolist(), strict=True)}


def test_names_of_medmnist_and_dsprites(path):
    parts = {"train": slice(0, 10), "val": slice(10, 14), "test": slice(14, 20)}
    images = {f"{name}_images": IMAGES[part] for name, part in parts.items()}
    found = load(path, **images, **{f"{name}_labels": LABELS[part, None] for name, part in parts.items()})
    assert found.provenance["counts"] == {"train": 10, "validation": 4, "test": 6}
    np.testing.assert_array_equal(found.validation.images, IMAGES[10:14])
    np.testing.assert_array_equal(found.test.labels, LABELS[14:])
    factors = np.stack([0 * LABELS, LABELS, *[np.arange(20)] * 4], axis=1)
    sprites = load(path, imgs=IMAGES, latents_classes=factors, latents_names=np.array(["a"]))
    assert np.bincount(sprites.train.labels).tolist() == [4] * 4
    assert sprites.provenance["content"].endswith("; classes are the shapes; 1 image in 5 split off for testing")
    assert sprites.provenance["unused"] == ["latents_names"]
    # All images have one colour, which is no factor.
    assert sprites.provenance["factor_names"] == ["shape", "scale", "orientation", "posX", "posY"]
    assert_factors(sprites, factors[:, 1:])
    own = load(path, imgs=IMAGES, latents_classes=factors, factors=factors[:, 1:2])  # its own go before
    assert own.provenance["factor_names"] == ["factor 1"]


def test_factors_are_numbered_by_their_values(path):
    sizes, places = np.arange(20) % 3, np.arange(20) // 7
    factors = np.stack([[0.5, 2, 8.25]] * 20)[np.arange(20), sizes], np.full(20, 3.5), np.array([-9, 1, 4])[places]
    names = np.array(["size", "hue", "x"])
    dataset = load(path, **WHOLE, factors=np.stack(factors, axis=1), factor_names=names)
    expected = np.stack([sizes, places], axis=1)
    assert_factors(dataset, expected)
    assert dataset.train.factors.dtype == np.int32
    provenance = dataset.provenance
    assert provenance["factor_names"] == ["size", "x"]  # all images have one hue
    assert dataset.describe().endswith("1 channel, 4 classes, 2 factors: size, x (" + provenance["content"] + ")")
    digest = np.concatenate([dataset.train.factors, dataset.test.factors]).astype("<i4").tobytes()
    assert provenance["factors_sha256"] == hashlib.sha256(digest).hexdigest()
    plain = load(path, **WHOLE).provenance
    assert {name: value for name, value in provenance.items() if "factor" not in name} == plain
    # Without labels, without names, and with names as bytes.
    unlabelled = load(path, images=IMAGES, factors=expected)
    assert_factors(unlabelled, expected)
    assert unlabelled.provenance["factor_names"] == ["factor 1", "factor 2"]
    named = load(path, images=IMAGES, factors=expected, factor_names=names[:2].astype(bytes))
    assert named.provenance["factor_names"] == ["size", "hue"]
    assert "unused" not in named.provenance


def test_a_continuous_factor_is_cut_into_values_of_equal_shares(path):
    images = np.arange(200, dtype=np.uint8).reshape(200, 1, 1)
    angles = RANDOM.permutation(200) / 7.0
    dataset = load(path, images=images, factors=np.stack([angles, np.arange(200)], 1), factor_names=["angle", "id"])
    note = "; angle, id cut into 20 values; 1 image in 5 split off for testing"  # NumPy has made both floats
    assert dataset.provenance["content"].endswith(note)
    ranks = np.argsort(np.argsort(angles))
    np.testing.assert_array_equal(dataset.test.factors[:, 0], ranks[dataset.test.images.ravel()] // 10)
    whole = load(path, images=images, factors=np.arange(200)[:, None])  # integers may be names of things, and stay
    np.testing.assert_array_equal(whole.test.factors[:, 0], whole.test.images.ravel())


def test_factors_that_say_nothing_are_not_used(path):
    constant = load(path, **WHOLE, factors=np.ones((20, 2)), factor_names=["a", "b"])
    assert constant.train.factors is constant.test.factors is None
    assert constant.provenance["unused"] == ["factor_names", "factors"]
    assert load(path, **KERAS, factors=np.eye(20)).provenance["unused"] == ["factors"]  # images are in two arrays
    assert load(path, **WHOLE, factor_names=["a"]).provenance["unused"] == ["factor_names"]


def test_arrays_without_names(path, tmp_path):
    np.savez(path, IMAGES)
    unnamed = load(path).provenance
    np.save(tmp_path / "a.npy", IMAGES)
    alone = data.load(f"npy:{tmp_path}/a.npy", validation_fraction=0).provenance
    assert alone["sha256"] == unnamed["sha256"]
    assert alone["content"] == "NPY file with uint8 pixels; 1 image in 5 split off for testing"


def test_npy_files_that_are_no_images(tmp_path):
    file = tmp_path / "a.npy"

    def refused():
        with pytest.raises(data.DataError, match=str(file)) as caught:
            data.load(f"npy:{file}")
        return str(caught.value)

    assert "is not there, or is not a file; npy:FILE needs an array" in refused()
    np.save(file, IMAGES)
    whole = file.read_bytes()
    for damaged in (b"", whole[:40], whole[:-1], whole + b"0"):
        file.write_bytes(damaged)
        assert "save it again with numpy.save" in refused()
    np.save(file, IMAGES[0])
    assert "has uint8 elements of shape 5 x 4; images must be" in refused()
    np.save(file, IMAGES[:4])
    assert "has too few images (4) to split off a test set; it needs 5 or more, or npz:FILE with" in refused()


MISSING = {
    "none": {"a": IMAGES},
    "no test images": {"x_train": IMAGES},
    "no train images": {"x_test": IMAGES, "y_test": LABELS},
    "no test labels": {"x_train": IMAGES, "x_test": IMAGES, "y_train": LABELS},
    "no images": {"labels": LABELS},
    "both layouts": KERAS | WHOLE,
    "labels of the other layout": {"images": IMAGES, "y_train": LABELS},
}


@pytest.mark.parametrize("missing", MISSING)
def test_missing_arrays_are_named(missing, path):
    arrays = MISSING[missing]
    found = ", ".join(map(repr, sorted(arrays)))
    expected = f"{path} has the arrays {found}; npz:FILE needs x_train and x_test (and y_train and y_test, if there are"
    assert error(path, **arrays).startswith(expected)


def test_names_of_arrays_are_on_one_line_and_few(path):
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a\nb", *map(str, range(20))):
            archive.writestr(f"{name}.npy", b"")
    message = error(path)
    assert message.count("'") == 16
    assert ", …; npz:FILE needs" in message
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a\nb.npy", b"")
        archive.writestr("images.txt", b"")
    assert r"has the arrays 'a\nb';" in error(path)
    with zipfile.ZipFile(path, "w"):
        pass
    assert "has no arrays; npz:FILE needs" in error(path)


IMAGE_TYPES = "images must be integers, floats or bools of shape N x H x W, N x H x W x 1 or, in colour, N x H x W x 3"
WRONG = {
    "flat images": (
        "images",
        IMAGES.reshape(20, 20),
        "has uint8 elements of shape 20 x 20; " + IMAGE_TYPES + ", so convert",
    ),
    "one image": ("images", IMAGES[0], "has uint8 elements of shape 5 x 4; "),
    "a number": ("images", np.uint8(3), "has uint8 elements of shape (); "),
    "colour images with alpha": ("images", np.stack([IMAGES] * 4, -1), IMAGE_TYPES),
    "two channels first": ("images", np.stack([IMAGES] * 2, 1), "has uint8 elements of shape 20 x 2 x 5 x 4; "),
    "complex images": ("images", IMAGES * 1j, "has complex128 elements of shape 20 x 5 x 4; "),
    "text": ("images", IMAGES.astype(str), "has text of shape 20 x 5 x 4; "),
    "bytes": ("images", IMAGES.astype(bytes), "has text of shape 20 x 5 x 4; "),
    "objects": ("images", IMAGES.astype(object), "(Object arrays cannot be loaded when allow_pickle=False); save it"),
    "records": ("images", np.zeros((20, 5, 4), "u1,u1"), "has void16 elements of shape 20 x 5 x 4; "),
    "no images": ("images", IMAGES[:0], "is empty: it has uint8 elements of shape 0 x 5 x 4; "),
    "images without height": ("images", IMAGES[:, :0], "is empty: "),
    "images without width": ("images", IMAGES[:, :, :0], "is empty: "),
    "too few labels": ("labels", LABELS[:-1], "has 19 labels for 20 images; "),
    "labels of many": (
        "labels",
        np.eye(4, dtype=int)[LABELS] * [1, 1, 1, 0],
        "has int64 elements of shape 20 x 4; labels must be",
    ),
    "texts in two columns": ("labels", LABELS.astype(str).reshape(10, 2), "has text of shape 10 x 2; labels must be "),
    "float labels": ("labels", LABELS / 1, "has float64 elements of shape 20; labels must be integers of shape N or N"),
    "bool labels": ("labels", LABELS > 1, "has bool elements of shape 20; labels must be integers"),
    "negative labels": ("labels", LABELS - 1, "has labels from -1 to 2; renumber them from 0 to at most 65535"),
    "huge labels": ("labels", LABELS + 2**62, f"has labels from {2**62} to {2**62 + 3}; "),
    "labels beyond int64": ("labels", LABELS.astype(np.uint64) + np.uint64(2**63), f"to {2**63 + 3}; "),
    "no labels": ("labels", LABELS[:0], "is empty: "),
    "flat factors": (
        "factors",
        LABELS,
        "has int64 elements of shape 20; factors must be integers or floats of shape N",
    ),
    "factors in words": ("factors", LABELS.astype(str)[:, None], "has text of shape 20 x 1; factors must be "),
    "too few factors": ("factors", LABELS[1:, None], "has 19 rows for 20 images; give each image a row"),
    "infinite factors": ("factors", np.full((20, 1), np.inf), "has numbers that are not finite; replace them"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_array_is_described(wrong, path):
    name, array, expected = WRONG[wrong]
    message = error(path, **WHOLE | {name: array})
    assert f"{name} in {path} " in message
    assert expected in message


def test_wrong_names_of_factors(path):
    factors = np.stack([LABELS, LABELS // 2], axis=1)
    few = error(path, **WHOLE, factors=factors, factor_names=["x"])
    assert few == f"factors in {path} has 2 columns and 1 names; give each column a name"
    for wrong in (["x", "x"], [["x", "y"]], [1, 2]):
        message = error(path, **WHOLE, factors=factors, factor_names=wrong)
        assert message == f"factor_names in {path} must be different texts of shape K; save them as such"


def test_pickled_objects_are_never_loaded(path, tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    np.savez(path, images=np.array([Trap()] * 5, dtype=object))
    error(path)
    assert not (tmp_path / "sprung").exists()


def test_too_few_images(path):
    message = f"{path} has too few images (4) to split off a test set; it needs 5 or more, or x_train and x_test"
    assert error(path, images=IMAGES[:4]) == message
    assert load(path, images=IMAGES[:5]).provenance["counts"] == {"train": 4, "validation": 0, "test": 1}


def test_images_of_two_sizes(path):
    message = f"npz:{path} has train images of 5 x 4 pixels and test images of 5 x 3; give both the same size, "
    assert error(path, **KERAS | {"x_test": IMAGES[12:, :, 1:]}) == message + "or pass --image_size"


def test_files_that_are_not_there(path):
    assert " is not there, or is not a file; npz:FILE needs x_train" in error(path)
    assert " is not there, or is not a file; " in error(path.parent)
    with pytest.raises(data.DataError, match="is not there, or is not a file"):
        load("\0")


def denied(path, *args, **kwargs):
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


@pytest.mark.parametrize("function", ["os.stat", "io.open"])  # of a folder, of the file; root may do everything
def test_a_file_without_permission_is_not_called_missing_or_damaged(function, path, monkeypatch):
    np.savez(path, **KERAS)
    monkeypatch.setattr(function, denied)
    assert error(path) == f"cannot read {path}: Permission denied"


def saved(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def zipped(content, compression=zipfile.ZIP_STORED):
    """A zip file whose only member `images.npy` has that content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("images.npy", content)
    return buffer.getvalue()


def header(text):
    return b"\x93NUMPY" + struct.pack("<BBH", 1, 0, len(text)) + text.encode()


def shape_header(*shape):
    return header(repr({"descr": "|u1", "fortran_order": False, "shape": shape}))


def encrypted(content):
    """The zip file, with a member that claims to be encrypted."""
    flags = content.index(b"PK\x01\x02") + 8
    return content[:6] + b"\1" + content[7:flags] + b"\1" + content[flags + 1 :]


WHOLE_FILE = saved(images=IMAGES)
PLACE = WHOLE_FILE.index(IMAGES.tobytes())
DAMAGES = {
    "empty": (b"", "is not a readable .npz file (File is not a zip file)"),
    "a .npy file": (npy(IMAGES), "is not a readable .npz file (File is not a zip file)"),
    "text": (b"no arrays here" * 10, "is not a readable .npz file"),
    "cut short": (WHOLE_FILE[:-30], "is not a readable .npz file"),
    "a pixel changed": (
        WHOLE_FILE[:PLACE] + bytes([WHOLE_FILE[PLACE] ^ 1]) + WHOLE_FILE[PLACE + 1 :], "Bad CRC-32",
    ),
    "encrypted": (encrypted(WHOLE_FILE), "encrypted, password required"),
    "no header": (zipped(b""), "cannot read images in "),
    "not an array": (zipped(b"text" * 100), "cannot read images in "),
    "header cut short": (zipped(npy(IMAGES)[:50]), "cannot read images in "),
    "header that is no dict": (zipped(header("[" * 9000)), "cannot read images in "),
    "negative shape": (zipped(shape_header(-1, 28, 28)), "cannot read images in "),
    "shape of bools": (zipped(shape_header(True, True, True) + b"a"), "cannot read images in "),
    "a byte short": (zipped(npy(IMAGES)[:-1]), "save it again with numpy.savez"),
    "a byte too many": (zipped(npy(IMAGES) + b"\0"), "goes on after its last element"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named(damage, path):
    content, message = DAMAGES[damage]
    path.write_bytes(content)
    assert message in error(path)


def lying(content, size):
    """The zip file, with directory entries that claim that its only member unpacks to `size` bytes."""
    entry = content.index(b"PK\x01\x02")
    size = struct.pack("<I", size)
    return content[:22] + size + content[26 : entry + 24] + size + content[entry + 28 :]


def test_an_array_larger_than_memory_may_be_is_refused_by_what_the_archive_says(path):
    path.write_bytes(lying(zipped(shape_header(2**11, 2**10, 2**10 + 1) + bytes(1000)), 2**32 - 2))
    tracemalloc.start()
    try:
        assert f"has {2**32 - 2} bytes; use fewer or smaller images, up to {2**31} bytes" in error(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 22  # the peak, in bytes
    finally:
        tracemalloc.stop()


def test_far_more_than_its_header_promises_is_not_read(path):
    path.write_bytes(zipped(npy(IMAGES) + bytes(10**8), zipfile.ZIP_DEFLATED))
    tracemalloc.start()
    try:
        assert "goes on after its last element" in error(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


def test_a_square_array_is_one_image_and_no_rows_of_images():
    assert check_images("a", np.ones((17, 16), np.uint8)).shape == (17, 4, 4)
    with pytest.raises(DataError, match="a has uint8 elements of shape 16 x 16; images must be"):
        check_images("a", np.ones((16, 16), np.uint8))


@pytest.mark.parametrize(("count", "cut"), [(100, []), (101, ["factor 1"])])
def test_a_factor_in_floats_is_continuous_from_101_values_on(count, cut):
    _, names, found = number_factors("a", np.linspace(0, 1, count)[:, None], [], np.zeros((count, 1, 1), np.uint8))
    assert (names, found) == (["factor 1"], cut)
