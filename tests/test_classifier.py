"""The digit classifier: good enough to measure with, trained once, the same again, and no file is believed."""

import json
import shutil
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from vae_jax import data
from vae_jax.data import Dataset, Split
from vae_jax.evaluation import classifier
from vae_jax.evaluation.classifier import load_or_train
from vae_jax.files import UserError


@pytest.fixture(scope="module")
def digits():
    return data.load("mnist_5k")


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    """The classifier of mnist_5k, its folder, and how long it took."""
    folder = tmp_path_factory.mktemp("classifiers")
    start = time.process_time()
    found = load_or_train(digits, folder)
    return found, folder, time.process_time() - start


def made_up(sha256="0" * 64, num_images=150, seed=0):
    """Three classes of 6 × 6 images, each with its own bright row, in noise."""
    random = np.random.default_rng(seed)

    def split(size):
        labels = np.arange(size, dtype=np.int32) % 3
        images = random.integers(0, 60, (size, 6, 6), np.uint8)
        images[np.arange(size), labels + 1] += 180
        return Split(images, labels)

    train, test = split(num_images), split(30)
    counts = {"train": num_images, "validation": 0, "test": 30}
    return Dataset(
        "made_up", train, train.where(np.zeros(num_images, bool)), test, {"sha256": sha256, "counts": counts}
    )


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(classifier, "MIN_EPOCHS", 2)
    monkeypatch.setattr(classifier, "MIN_STEPS", 3)


@pytest.fixture
def no_training(monkeypatch):
    def fail(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(classifier, "_train", fail)


def only_file(folder):
    (path,) = folder.iterdir()
    return path


def test_it_knows_the_digits(digits, trained):
    found, _, seconds = trained
    images = digits.test.images / np.float32(255)
    features, probabilities = found.predict(images)
    assert features.shape == (1000, 128)
    assert probabilities.shape == (1000, 10)
    assert features.dtype == probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert found.accuracy == np.mean(probabilities.argmax(axis=1) == digits.test.labels) >= 0.94
    assert seconds < 60  # of both cores; some 10 where nothing else runs


def test_images_go_through_in_chunks(digits, trained):
    images = digits.train.images[:2100] / np.float32(255)  # a chunk is 2,000
    features, probabilities = trained[0].predict(images)
    some = np.array([0, 1999, 2000, 2099])
    few_features, few_probabilities = trained[0].predict(images[some])
    # Another batch size may be summed in another order.
    np.testing.assert_allclose(features[some], few_features, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(probabilities[some], few_probabilities, atol=1e-4)


@pytest.mark.usefixtures("no_training")
def test_it_is_trained_once(digits, trained, capsys):
    first, folder, _ = trained
    again = load_or_train(digits, folder)
    assert capsys.readouterr().err == ""
    assert again[1:] == first[1:]
    images = digits.test.images[:10] / np.float32(255)
    for one, other in zip(first.predict(images), again.predict(images), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.usefixtures("quick")
def test_the_same_seed_is_the_same_classifier_bit_for_bit(tmp_path, capsys):
    found = [load_or_train(made_up(), tmp_path / name, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    assert found[0].digest == found[1].digest != found[2].digest
    assert [one.seed for one in found] == [0, 0, 1]
    assert only_file(tmp_path / "a").read_bytes() == only_file(tmp_path / "b").read_bytes()
    assert capsys.readouterr().err.count("is not there yet: training the classifier of made_up\n") == 3


@pytest.mark.usefixtures("quick")
def test_every_image_and_label_counts(tmp_path):
    """Also those of a last batch that is short; the labels, which the data set's own digest leaves out, too."""
    dataset = made_up()
    first = load_or_train(dataset, tmp_path)
    images, labels = dataset.train.images.copy(), dataset.train.labels.copy()
    images[140, 3, 3] += 1
    labels[140] = (labels[140] + 1) % 3
    other_image = dataset._replace(train=Split(images, dataset.train.labels))
    assert load_or_train(other_image, tmp_path / "other").digest != first.digest
    relabelled = dataset._replace(train=Split(dataset.train.images, labels))
    assert load_or_train(relabelled, tmp_path).digest != first.digest  # from the same file name


@pytest.mark.usefixtures("quick")
def test_each_data_set_and_seed_has_its_file(tmp_path):
    datasets = made_up(), made_up("1" * 64, seed=1), made_up(num_images=160)
    first = [load_or_train(dataset, tmp_path) for dataset in datasets] + [load_or_train(datasets[0], tmp_path, 1)]
    assert len(list(tmp_path.iterdir())) == 4
    assert len({one.digest for one in first}) == 4
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(classifier, "_train")
        again = [load_or_train(dataset, tmp_path) for dataset in datasets] + [load_or_train(datasets[0], tmp_path, 1)]
    assert [one.digest for one in again] == [one.digest for one in first]


def rewrite(path, change):
    """Writes the file anew after `change` of its header and arrays."""
    with safetensors.safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["classifier"])
    flat = safetensors.numpy.load_file(path)
    header, flat = change(header, flat)
    path.write_bytes(safetensors.numpy.save(flat, metadata={"classifier": json.dumps(header)}))


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def signed(header, flat):
    """A header that vouches for these arrays: what follows must be found by looking at them."""
    return header | {"digest": classifier._digest(flat)}, flat


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "not_safetensors": lambda path: path.write_bytes(b"\x80\x04K\x00." * 100),
    "cut_off": lambda path: path.write_bytes(path.read_bytes()[:-1000]),
    "bit_flipped": flip_a_bit,
    "no_header": lambda path: path.write_bytes(safetensors.numpy.save(safetensors.numpy.load_file(path))),
    "header_is_a_list": lambda path: rewrite(path, lambda header, flat: ([1], flat)),
    "header_is_deep": lambda path: path.write_bytes(
        safetensors.numpy.save(safetensors.numpy.load_file(path), metadata={"classifier": "[" * 100_000})
    ),
    "no_accuracy": lambda path: rewrite(path, lambda header, flat: (header | {"accuracy": None}, flat)),
    "accuracy_is_nan": lambda path: rewrite(path, lambda header, flat: (header | {"accuracy": float("nan")}, flat)),
    "shape": lambda path: rewrite(path, lambda h, flat: signed(h, flat | {"logits/bias": np.zeros(4, np.float32)})),
    "dtype": lambda path: rewrite(path, lambda h, flat: signed(h, flat | {"logits/bias": np.zeros(3)})),
    "one_more": lambda path: rewrite(path, lambda h, flat: signed(h, flat | {"more": np.zeros(3, np.float32)})),
    "one_less": lambda path: rewrite(path, lambda h, flat: signed(h, {n: flat[n] for n in flat if n[:6] != "logits"})),
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_trained_anew(damage, tmp_path, capsys):
    first = load_or_train(made_up(), tmp_path)
    path = only_file(tmp_path)
    intact = path.read_bytes()
    DAMAGES[damage](path)
    assert path.read_bytes() != intact
    capsys.readouterr()
    again = load_or_train(made_up(), tmp_path)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path} is damaged")
    assert again[1:] == first[1:]
    assert path.read_bytes() == intact


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("foreign", ["seed", "data", "format"])
def test_a_stale_or_foreign_file_is_trained_anew(foreign, tmp_path, capsys, monkeypatch):
    first = load_or_train(made_up(), tmp_path)
    path = only_file(tmp_path)
    other_data = made_up("0" * 12 + "1" * 52, seed=1)  # digests that begin alike have one file name
    with monkeypatch.context() as patch:
        if foreign == "format":
            patch.setattr(classifier, "FORMAT", classifier.FORMAT - 1)
        folder = tmp_path / "foreign"
        load_or_train(other_data if foreign == "data" else made_up(), folder, seed=int(foreign == "seed"))
    shutil.move(only_file(folder), path)
    capsys.readouterr()
    again = load_or_train(made_up(), tmp_path)
    assert capsys.readouterr().err.startswith(f"{path} is of other data, another seed or another version: training")
    assert again[1:] == first[1:]


def test_without_labels_there_is_none(tmp_path):
    dataset = made_up()
    for name in ("train", "test"):
        unlabelled = dataset._replace(**{name: getattr(dataset, name)._replace(labels=None)})
        with pytest.raises(ValueError, match="made_up has no labels"):
            load_or_train(unlabelled, tmp_path / "classifiers")
    assert not (tmp_path / "classifiers").exists()


@pytest.mark.usefixtures("quick")
def test_a_place_that_cannot_be_written_is_a_user_error(tmp_path):
    (tmp_path / "classifiers").write_text("a file")
    with pytest.raises(UserError, match="cannot write"):
        load_or_train(made_up(), tmp_path / "classifiers")


def test_shifts_are_of_up_to_two_pixels_each_way_all_alike():
    image = np.zeros((6, 7), np.uint8)
    image[2, 4], image[3, 2] = 255, 51
    shifted = np.asarray(classifier._shifted(jnp.asarray(np.tile(image, (5000, 1, 1))), jax.random.key(0)))
    assert shifted.shape == (5000, 6, 7)
    assert np.all(shifted.sum(axis=(1, 2)) == 255 + 51)  # nothing falls off
    rows, columns = np.divmod(shifted.reshape(5000, -1).argmax(axis=1), 7)
    seen, counts = np.unique(np.stack([rows - 2, columns - 4]), axis=1, return_counts=True)
    assert {tuple(shift) for shift in seen.T} == {(y, x) for y in range(-2, 3) for x in range(-2, 3)}
    assert np.all(np.abs(counts - 200) < 5 * np.sqrt(200))  # 5 standard errors
    assert np.all(shifted[np.arange(5000), rows + 1, columns - 2] == 51)


def test_an_image_that_fills_up_a_short_batch_does_not_count(tmp_path, monkeypatch):
    """129 images are a batch of 128 and one of 1, filled up with image 0: which is the only one labelled wrong here."""
    monkeypatch.setattr(classifier, "MIN_EPOCHS", 20)
    monkeypatch.setattr(classifier, "MIN_STEPS", 0)
    images, labels = np.zeros((129, 8, 8), np.uint8), np.arange(129) % 2
    images[labels == 0, 3, :] = images[labels == 1, :, 3] = 255  # bars, which are bars wherever they are shifted to
    train = Split(images, np.where(np.arange(129) == 0, 1, labels).astype(np.int32))
    dataset = made_up()._replace(train=train, test=Split(images, labels.astype(np.int32)))
    found = load_or_train(dataset, tmp_path)
    assert found.accuracy == 1
    _, probabilities = found.predict(images[:1] / np.float32(255))
    assert probabilities[0, 0] > 0.65
