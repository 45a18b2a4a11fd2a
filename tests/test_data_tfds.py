import functools
import gzip
import hashlib
import http.server
import json
import lzma
import re
import shutil
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
import requests
import tensorflow_datasets
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.core.hashing import Hasher
from tensorflow_datasets.core.utils import Size
from tensorflow_datasets.image_classification import mnist
from tensorflow_datasets.image_classification.mnist import MNIST

import vae_jax.data.prepare
from vae_jax import data
from vae_jax.data import preparation
from vae_jax.data.sources import tfds
from vae_jax.errors import UserError

IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx_bytes(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def in_tfds_order(split, images):
    """Images in the order in which TFDS writes them: by a hash of their position in the original file."""
    hasher = Hasher(split)
    return images[sorted(range(len(images)), key=hasher.hash_key)]


def run_script(capsys, *arguments):
    """Exit status, stdout and stderr of vae_jax.data.prepare."""
    status = vae_jax.data.prepare.main(["prepare_data", *map(str, arguments)])
    return status, *capsys.readouterr()


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """A folder of MNIST files with 40 + 10 images of noise, whose checksums TFDS is patched to accept."""
    numbers = np.random.default_rng(0)
    folder = tmp_path / "original"
    folder.mkdir()
    infos = {}
    for name in IDX_NAMES:
        count = 40 if name.startswith("train") else 10
        array = numbers.integers(0, 256, (count, 28, 28)) if "images" in name else numbers.integers(0, 10, count)
        content = gzip.compress(idx_bytes(array))
        (folder / f"{name}.gz").write_bytes(content)
        checksum = hashlib.sha256(content).hexdigest()
        infos[f"{MNIST.URL}{name}.gz"] = UrlInfo(Size(len(content)), checksum, f"{name}.gz")
    monkeypatch.setattr(MNIST, "url_infos", infos)
    monkeypatch.setattr(mnist, "_TRAIN_EXAMPLES", 40)
    monkeypatch.setattr(mnist, "_TEST_EXAMPLES", 10)
    return folder


def test_classes_are_called_what_tfds_calls_them(prepared):
    assert data.load("mnist", data_dir=prepared).classes == {n: str(n) for n in range(10)}
    (prepared / "mnist" / "3.0.1" / "label.labels.txt").write_text("zero\none\n")  # as that of fashion_mnist
    assert list(data.load("mnist", data_dir=prepared).classes.values()) == ["zero", "one", *map(str, range(2, 10))]


@pytest.fixture
def prepared(small_mnist, tmp_path):
    """A data_dir with the small MNIST prepared."""
    preparation.prepare("mnist", data_dir=tmp_path / "tfds", from_dir=small_mnist)
    return tmp_path / "tfds"


def assert_equal_splits(one, other):
    for a, b in zip(one[1:4], other[1:4], strict=True):
        np.testing.assert_array_equal(a.images, b.images)
        np.testing.assert_array_equal(a.labels, b.labels)


def test_mnist_equals_its_idx_files(mnist_dir, tmp_path):
    folder = preparation.prepare("mnist", data_dir=tmp_path, from_dir=mnist_dir)
    assert folder == tmp_path / "mnist" / "3.0.1"
    dataset = data.load("mnist", validation_fraction=0, data_dir=tmp_path)
    original = data.load(f"idx:{mnist_dir}", validation_fraction=0)
    for split in ("train", "test"):
        images, labels, _ = getattr(original, split)
        np.testing.assert_array_equal(getattr(dataset, split).images, in_tfds_order(split, images))
        np.testing.assert_array_equal(getattr(dataset, split).labels, in_tfds_order(split, labels))
    # Results on mnist are compared by this digest, which must not depend on where the data set was prepared.
    assert dataset.provenance["sha256"] == "ca0736ab0d8cb72288a20aa6137657ce641b30e868636a14bb3c321364153763"
    assert dataset.provenance["counts"] == {"train": 60000, "validation": 0, "test": 10000}


def test_binarized_mnist(mnist_dir, tmp_path, monkeypatch):
    """The first lines of the real files, whose checksums TFDS is patched to accept."""
    original = mnist_dir.parent / "binarized_mnist"
    if not original.is_dir():
        pytest.skip(f"binarized MNIST is not at {original}")
    builder, infos, expected = tensorflow_datasets.builder_cls("binarized_mnist"), {}, {}
    for url, info in builder.url_infos.items():
        content = lzma.decompress((original / f"{info.filename}.xz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == info.checksum
        split = {"train": "train", "valid": "validation", "test": "test"}[re.split("[_.]", info.filename)[2]]
        content = content[: {"train": 4500, "validation": 100, "test": 50}[split] * 2 * 784]
        (tmp_path / f"{info.filename}.xz").write_bytes(lzma.compress(content, preset=0))
        infos[url] = UrlInfo(Size(len(content)), hashlib.sha256(content).hexdigest(), info.filename)
        # The characters at even positions are the pixels.
        pixels = np.frombuffer(content, dtype=np.uint8)[::2]
        expected[split] = in_tfds_order(split, np.where(pixels == ord("1"), 255, 0).reshape(-1, 28, 28))
    monkeypatch.setattr(builder, "url_infos", infos)
    preparation.prepare("binarized_mnist", data_dir=tmp_path, from_dir=tmp_path)
    dataset = data.load("binarized_mnist", validation_fraction=0.5, data_dir=tmp_path)
    assert dataset.provenance["pixel_range"] == [0, 1]
    assert dataset.provenance["counts"] == {"train": 4500, "validation": 100, "test": 50}
    assert {split.labels for split in dataset[1:4]} == {None}
    assert dataset.provenance["labels_sha256"] is None
    for split, images in expected.items():
        np.testing.assert_array_equal(getattr(dataset, split).images, images)
        assert getattr(dataset, split).images.dtype == np.uint8


def test_small_set(prepared, small_mnist):
    dataset = data.load("mnist", validation_fraction=0.25, data_dir=prepared)
    original = data.load(f"idx:{small_mnist}", validation_fraction=0)
    np.testing.assert_array_equal(dataset.test.labels, in_tfds_order("test", original.test.labels))
    assert (dataset.train.images.dtype, dataset.train.labels.dtype) == (np.uint8, np.int32)
    assert dataset.test.images.flags.c_contiguous
    pixels = b"".join(in_tfds_order(split, getattr(original, split).images).tobytes() for split in ("train", "test"))
    labels = np.concatenate([in_tfds_order(split, getattr(original, split).labels) for split in ("train", "test")])
    assert json.loads(json.dumps(dataset.provenance)) == {
        "name": "mnist",
        "pixel_range": [0, 255],
        "source": "tensorflow-datasets",
        "version": "3.0.1",
        "folder": str(prepared / "mnist" / "3.0.1"),
        "sha256": hashlib.sha256(pixels).hexdigest(),
        "labels_sha256": hashlib.sha256(labels.astype("<i4").tobytes()).hexdigest(),
        "counts": {"train": 30, "validation": 10, "test": 10},
    }


def test_without_permission_nothing_is_to_be_deleted(prepared, forbid):
    forbid(prepared / "mnist" / "3.0.1" / "dataset_info.json")
    with pytest.raises(UserError, match=r"^cannot read \S+/dataset_info\.json: Permission denied$"):
        data.load("mnist", data_dir=prepared)


def test_nothing_is_printed(prepared):
    code = f"import vae_jax.data; print(len(vae_jax.data.load('mnist', data_dir={str(prepared)!r}).test.images))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "10\n", "")


def test_default_data_dir(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    assert data.load("mnist").provenance["folder"] == str(prepared / "mnist" / "3.0.1")
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(prepared))
    assert tfds.standard_dir() == prepared / "tensorflow_datasets"
    assert tfds.standard_dir("elsewhere").name == "elsewhere"


def test_cache_is_used(prepared, monkeypatch):
    first = data.load("mnist", data_dir=prepared)
    monkeypatch.setattr(tfds, "_decode", None)
    second = data.load("mnist", data_dir=prepared)
    assert_equal_splits(first, second)
    assert first.provenance == second.provenance


def flip_a_byte(content):
    return content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]


def of_fewer_images(content):
    rows = content[32:-785]
    return hashlib.sha256(rows).digest() + rows


@pytest.mark.parametrize(
    "damage",
    [flip_a_byte, of_fewer_images, lambda c: b"", lambda c: c[:-1], lambda c: c + b"\0", lambda c: bytes(len(c))],
)
def test_damaged_cache_is_rewritten(damage, prepared):
    first = data.load("mnist", data_dir=prepared)
    cache = prepared / "mnist" / "3.0.1" / tfds._CACHE_NAME
    content = cache.read_bytes()
    cache.write_bytes(damage(content))
    assert_equal_splits(data.load("mnist", data_dir=prepared), first)
    assert cache.read_bytes() == content


def test_no_cache_where_none_can_be_written(prepared):
    # A folder in its place makes writing fail, as a read-only folder would for users other than root.
    (prepared / "mnist" / "3.0.1" / tfds._CACHE_NAME).mkdir()
    assert_equal_splits(data.load("mnist", data_dir=prepared), data.load("mnist", data_dir=prepared))


@pytest.mark.parametrize("name", tfds.NAMES)
def test_unprepared_names_three_ways(name, tmp_path):
    with pytest.raises(data.DataError) as caught:
        data.load(name, data_dir=tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{name} is not prepared in {tmp_path}; ")
    assert f"python -m vae_jax.data.prepare --dataset={name} --data_dir={tmp_path})" in message
    cut = " --binarization=threshold" if name == "binarized_mnist" else ""
    assert f"(--dataset=idx:DIR{cut})" in message
    assert f"(--dataset=mnist_5k{cut})" in message
    assert "\n" not in message


def edit_info(folder, old, new):
    path = folder / "dataset_info.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


DAMAGES = {
    "records missing": (lambda folder: next(folder.glob("*test.array_record*")).unlink(), "cannot read"),
    "records empty": (lambda folder: next(folder.glob("*train.array_record*")).write_bytes(b""), "cannot read"),
    "one image more promised": (lambda folder: edit_info(folder, '"40"', '"41"'), "cannot read"),
    "far more images promised": (lambda folder: edit_info(folder, '"40"', '"99999999999999"'), "cannot read"),
    "no features": (lambda folder: (folder / "features.json").unlink(), "cannot read"),
    "no count": (lambda folder: edit_info(folder, "shardLengths", "lengths"), "no count of images"),
    "no test split": (lambda folder: edit_info(folder, '"test"', '"other"'), "no count of images"),
    "no JSON": (lambda folder: edit_info(folder, "{", ""), "dataset_info.json is damaged"),
    "no object": (lambda folder: (folder / "dataset_info.json").write_text("[]"), "has no object"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_set(damage, prepared):
    harm, message = DAMAGES[damage]
    folder = prepared / "mnist" / "3.0.1"
    harm(folder)
    with pytest.raises(UserError, match=rf"{folder}.*delete (it|{folder}) and prepare it again$") as caught:
        data.load("mnist", data_dir=prepared)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_format_that_needs_tensorflow(prepared, small_mnist, capsys):
    edit_info(prepared / "mnist" / "3.0.1", '"array_record"', '"tfrecord"')
    message = r"mnist/3\.0\.1 is in a format that needs TensorFlow to read; .*--data_dir=DIR.*TFDS_DATA_DIR=DIR$"
    with pytest.raises(data.DataError, match=message):
        data.load("mnist", data_dir=prepared)
    with pytest.raises(data.DataError, match=message):
        preparation.prepare("mnist", data_dir=prepared, from_dir=small_mnist)
    # An older, readable version is found.
    shutil.copytree(prepared / "mnist" / "3.0.1", prepared / "mnist" / "3.0.0")
    edit_info(prepared / "mnist" / "3.0.0", '"tfrecord"', '"array_record"')
    assert tfds.find("mnist", prepared).name == "3.0.0"


def test_newest_version_is_read(prepared):
    for version in ("3.0.9", "3.0.10", "incomplete.ABCDEF_4.0.0"):
        shutil.copytree(prepared / "mnist" / "3.0.1", prepared / "mnist" / version)
    assert tfds.find("mnist", prepared).name == "3.0.10"


def test_script_prepares_once(small_mnist, tmp_path, capsys):
    flags = ("--dataset=mnist", f"--data_dir={tmp_path / 'tfds'}", f"--from_dir={small_mnist}")
    status, out, err = run_script(capsys, *flags)
    counts = f"40 train, 10 test images in {tmp_path / 'tfds' / 'mnist' / '3.0.1'}\n"
    assert (status, err) == (0, "")
    assert re.fullmatch(r"mnist is prepared in \d+ s: " + re.escape(counts), out)
    assert run_script(capsys, *flags) == (0, f"mnist is already prepared: {counts}", "")


def test_script_help_and_flag_errors(capsys):
    status, out, err = run_script(capsys, "--help")
    assert (status, err) == (0, "")
    assert all(flag in out for flag in ("--dataset", "--from_dir", "--data_dir"))
    for arguments, message in {
        (): "--dataset must name a data set of tensorflow-datasets, such as mnist",
        ("--dataset=kmnits",): "did you mean 'kmnist'?",
        ("--dataset=mnist_5k",): "tensorflow-datasets has no data set 'mnist_5k'",
        ("--datset=mnist",): "unknown flag --datset; did you mean '--dataset'?",
        ("--dataset",): "Missing value for flag --dataset",
        ("--dataset=mnist", "kmnist"): "'kmnist' is not a flag",
    }.items():
        status, out, err = run_script(capsys, *arguments)
        assert (status, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1


def test_wrong_files_are_named(small_mnist, tmp_path, capsys):
    flags = ("--dataset=mnist", f"--data_dir={tmp_path / 'tfds'}", f"--from_dir={small_mnist}")
    path = small_mnist / f"{IDX_NAMES[2]}.gz"
    content = path.read_bytes()
    # TFDS refuses the same images in another compression; the message says how to read them anyway.
    path.write_bytes(gzip.compress(gzip.decompress(content), compresslevel=1))
    status, out, err = run_script(capsys, *flags)
    assert (status, out) == (1, "")
    assert err.startswith(f"prepare_data: {path} is not the original file: ")
    assert "--dataset=idx:DIR" in err
    assert err.count("\n") == 1
    path.unlink()
    status, out, err = run_script(capsys, *flags)
    assert (status, out) == (1, "")
    assert err.startswith(f"prepare_data: cannot read {path} ")
    path.with_name(f"{path.name}.xz").write_bytes(lzma.compress(content)[:-1])
    with pytest.raises(data.DataError, match=f"cannot read {path}.xz "):
        preparation.prepare("mnist", data_dir=tmp_path / "tfds", from_dir=small_mnist)
    assert not (tmp_path / "tfds").exists()
    path.with_name(f"{path.name}.xz").write_bytes(lzma.compress(content))
    assert run_script(capsys, *flags)[0] == 0


def test_registered_checksums_are_the_stock_ones(tmp_path):
    # Files with the right name and size, but another content.
    for name, info in MNIST.url_infos.items():
        (tmp_path / info.filename).write_bytes(bytes(info.size))
        assert name.startswith(MNIST.URL)
    with pytest.raises(data.DataError, match=r"t10k-images-idx3-ubyte\.gz is not the original file.* 8d422c7b0a1c"):
        preparation.prepare("mnist", data_dir=tmp_path / "tfds", from_dir=tmp_path)


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_interrupted_preparation_leaves_nothing(failure, small_mnist, tmp_path, monkeypatch):
    encode, calls = preparation._png, []

    def fail_later(image):
        calls.append(image)
        if len(calls) == 45:  # in the test split, after the train split was written
            raise failure
        return encode(image)

    monkeypatch.setattr(preparation, "_png", fail_later)
    expected = KeyboardInterrupt if failure is KeyboardInterrupt else data.DataError
    with pytest.raises(
        expected, match=None if failure is KeyboardInterrupt else "cannot prepare mnist: .*No space left"
    ):
        preparation.prepare("mnist", data_dir=tmp_path / "tfds", from_dir=small_mnist)
    assert len(calls) == 45
    assert list((tmp_path / "tfds" / "mnist").iterdir()) == []
    monkeypatch.undo()


def test_unusable_data_dirs(small_mnist, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(data.DataError, match="cannot prepare mnist: "):
        preparation.prepare("mnist", data_dir=tmp_path / "file", from_dir=small_mnist)
    (tmp_path / "tfds" / "mnist" / "3.0.1").mkdir(parents=True)
    with pytest.raises(data.DataError, match=r"3\.0\.1 exists, but is not a prepared data set; delete it"):
        preparation.prepare("mnist", data_dir=tmp_path / "tfds", from_dir=small_mnist)


def test_no_network(tmp_path, monkeypatch, capsys):
    def refuse(url, **keywords):
        assert url.startswith(MNIST.URL)
        raise requests.ConnectionError("[Errno -3] Temporary failure in name resolution")

    monkeypatch.setattr(requests, "get", refuse)
    status, out, err = run_script(capsys, "--dataset=mnist", f"--data_dir={tmp_path / 'tfds'}")
    assert (status, out) == (1, "")
    assert re.fullmatch(r"prepare_data: cannot download http.*\(ConnectionError\); .*--from_dir=DIR\n", err)
    assert not (tmp_path / "tfds").exists()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(small_mnist, monkeypatch):
    """An HTTP server for the small MNIST, at the URL from which TFDS is patched to download."""
    handler = functools.partial(QuietHandler, directory=str(small_mnist))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{httpd.server_port}/"
        infos = {info_url.replace(MNIST.URL, url): info for info_url, info in MNIST.url_infos.items()}
        monkeypatch.setattr(MNIST, "url_infos", infos)
        monkeypatch.setattr(MNIST, "URL", url)
        monkeypatch.setenv("no_proxy", "*")
        yield url
        httpd.shutdown()
        thread.join()


def test_download(server, small_mnist, tmp_path):
    preparation.prepare("mnist", data_dir=tmp_path / "tfds")
    dataset = data.load("mnist", validation_fraction=0, data_dir=tmp_path / "tfds")
    original = data.load(f"idx:{small_mnist}", validation_fraction=0)
    np.testing.assert_array_equal(dataset.train.images, in_tfds_order("train", original.train.images))


def test_download_of_wrong_or_missing_files(server, small_mnist, tmp_path):
    (small_mnist / f"{IDX_NAMES[3]}.gz").write_bytes(b"something else")
    with pytest.raises(data.DataError, match=f"cannot prepare mnist: .*{IDX_NAMES[3]}.*wrong checksum") as caught:
        preparation.prepare("mnist", data_dir=tmp_path / "tfds")
    assert "\n" not in str(caught.value)
    (small_mnist / f"{IDX_NAMES[0]}.gz").unlink()
    with pytest.raises(data.DataError, match=rf"cannot download {server}.*\(the server answered 404 .*--from_dir=DIR$"):
        preparation.prepare("mnist", data_dir=tmp_path / "tfds")
    assert tfds.find("mnist", tmp_path / "tfds") is None
