"""The judge: it knows the digits, rejects what it was not trained with, and is trained without a test image."""

import os
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import pytest
from test_instruments import made_up

from scripts.probes import probes
from vae_jax import data
from vae_jax.data import Split
from vae_jax.measure import instruments, judges, outliers, recipe, subsets
from vae_jax.measure.judges import Judge, load_or_train


@pytest.fixture
def quick(monkeypatch):
    """Each folder trains its own, for moments: there is no cache."""
    monkeypatch.setattr(instruments, "cache_dir", lambda: Path(os.devnull))
    monkeypatch.setattr(judges, "SCHEDULE", recipe.Schedule(1, 3, 1e-3))


def drawn(network, images):
    """Parameters of a network that looks at such images, drawn at random."""
    shapes = jax.eval_shape(network.init, jax.random.key(0), images)["params"]
    random = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: random.normal(0, 0.1, leaf.shape).astype(np.float32), shapes)


@pytest.fixture
def untrained(monkeypatch, quick):
    """A judge is what it was drawn as, for tests of what it is given."""
    monkeypatch.setattr(recipe, "train", lambda network, images, *_: drawn(network, np.float32(images[:1])))


def with_validation(dataset, count):
    return dataset._replace(validation=dataset.test.where(np.arange(count)))


def pixels(dataset):
    return dataset.test.images / np.float32(255)


@pytest.fixture(scope="module")
def digits():
    return data.load("mnist_5k")


@pytest.fixture(scope="module")
def judge(digits):
    """The judge of mnist_5k, in the folder of the session, where other tests find it."""
    return load_or_train(digits)


def test_it_rejects_what_it_was_not_trained_with(digits, judge):
    """And tells most digits, blurred or not, from kinds that none of its outliers is of; on mnist_5k, as evaluated."""
    asked = [(probe, judge.implausible(probe.images)) for probe in probes(digits.test)]
    assert [(probe.name, share) for probe, share in asked if not probe.is_met(share)] == []
    real, blurred = (share for _, share in asked[:2])
    assert blurred < real + 0.03
    assert judge.accuracy > 0.96
    assert len(judge.held_out) == 333 + 366  # validation images, and a tenth of the training images
    scores = judge.scores(digits.validation.images / np.float32(255))
    assert 0.45 < scores.mean() < 0.55  # ranks among themselves and as many others


def test_images_go_through_in_chunks(digits, judge):
    images = digits.train.images[:600] / np.float32(255)  # a chunk is 256
    features, logits = judge.predict(images)
    assert (features.shape, logits.shape) == ((600, 128), (600, 11))
    assert features.dtype == logits.dtype == np.float32
    some = np.array([0, 255, 256, 599])
    # Another batch size may be summed in another order.
    for all_, few in zip((features, logits), judge.predict(images[some]), strict=True):
        np.testing.assert_allclose(all_[some], few, rtol=1e-4, atol=1e-3)


def test_it_is_trained_once(digits, judge, monkeypatch, capsys):
    monkeypatch.delattr(recipe, "train")
    again = load_or_train(digits)
    assert capsys.readouterr().err == ""
    assert again[2:] == judge[2:]
    images = digits.test.images[:10] / np.float32(255)
    for one, other in zip(judge.predict(images), again.predict(images), strict=True):
        np.testing.assert_array_equal(one, other)


def brightness(images):
    """A network of one class, whose feature and log odds against rejection are the mean brightness."""
    odds = images.mean(axis=(1, 2))[:, None]
    return odds, np.concatenate([odds, 0 * odds], axis=1)


JUDGE = Judge(brightness, np.float32([0.1, 0.2, 0.2, 0.4]), 1.0, "", 0.5)


def test_a_score_is_the_share_of_real_images_that_look_no_better():
    images = np.float32([0.0, 0.1, 0.15, 0.2, 0.3, 0.4, 0.9, np.nan])[:, None, None] * np.ones((1, 2, 2), np.float32)
    assert list(JUDGE.scores(images)) == [0, 0.25, 0.25, 0.75, 0.75, 1, 1, 0]
    assert JUDGE.implausible(images) == 4 / 8
    assert JUDGE._replace(threshold=0.25).implausible(images) == 2 / 8


def test_log_odds_against_rejection():
    logits = np.array([[1.0, 2.0, -3.0], [0.0, -5.0, 60.0], [50.0, 0.0, -20.0]])
    expected = np.log(np.exp(logits[:, 0]) + np.exp(logits[:, 1])) - logits[:, 2]
    found = judges.log_odds(logits.astype(np.float32))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-12)  # of logits that float32 holds exactly
    assert list(judges.log_odds(np.float32([[100, 0, -200], [-300, -300, 0]])).round(3)) == [300, -299.307]


@pytest.mark.parametrize(("shape", "num_places"), [((1, 1), 4), ((2, 13), 4), ((14, 18), 6), ((28, 28), 25)])
def test_images_of_any_size_are_seen(shape, num_places):
    """But for a border of three pixels at most, below and on the right, that no window of both convolutions reaches."""
    images = np.random.default_rng(0).random((2, *shape), np.float32)
    network = judges.Network(3)
    params, apply = drawn(network, images), jax.jit(network.apply)
    assert params["hidden"]["kernel"].shape == (num_places * 32, 128)
    features, logits = apply({"params": params}, images)
    assert (features.shape, logits.shape) == ((2, 128), (2, 4))
    last = [side - 1 - max(0, side - 14) % 4 for side in shape]
    for corner in ((0, 0), (0, last[1]), (last[0], 0), last):
        other = images.copy()
        other[:, *corner] += 1
        assert (np.asarray(apply({"params": params}, other)[1]) != logits).any(axis=1).all()


def test_the_judges_convolutions_are_flaxs_on_every_device(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    images = np.random.default_rng(0).random((2, 9, 11, 3), np.float32)
    layer = judges._Conv(4, (3, 3), strides=(2, 2), padding="VALID")
    params = jax.jit(layer.init)(jax.random.key(0), images)
    expected = jax.jit(nn.Conv(4, (3, 3), strides=(2, 2), padding="VALID").apply)(params, images)
    found = jax.jit(layer.apply)(params, images)
    np.testing.assert_allclose(found, expected, atol=1e-6)  # float32 sums of 27 products
    assert "conv_general" not in str(jax.make_jaxpr(layer.apply)(params, images))


@pytest.mark.usefixtures("quick")
def test_the_same_seed_is_the_same_judge_and_another_is_not(tmp_path, capsys):
    dataset = with_validation(made_up(), 10)
    first, again, other = (
        load_or_train(dataset, tmp_path / name, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first.digest == again.digest != other.digest
    np.testing.assert_array_equal(first.scores(pixels(dataset)), again.scores(pixels(dataset)))
    assert capsys.readouterr().err.count("does not exist yet: training the judge of made_up\n") == 3
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(recipe, "train")
        loaded = load_or_train(dataset, tmp_path / "a")
    assert loaded.digest == first.digest
    np.testing.assert_array_equal(loaded.scores(pixels(dataset)), first.scores(pixels(dataset)))


@pytest.mark.usefixtures("quick")
def test_no_test_image_is_seen(tmp_path):
    dataset = with_validation(made_up(), 10)
    other = dataset._replace(test=Split(255 - dataset.test.images, dataset.test.labels[::-1].copy()))
    assert load_or_train(dataset, tmp_path / "a").digest == load_or_train(other, tmp_path / "b").digest


@pytest.mark.usefixtures("untrained")
def test_what_is_held_out_is_not_trained_on(tmp_path, monkeypatch):
    dataset, seen = with_validation(made_up(), 10), []
    exposed = judges._exposed
    monkeypatch.setattr(judges, "_exposed", lambda real, *rest: seen.append(rest[0]) or exposed(real, *rest))
    judge = load_or_train(dataset, tmp_path)
    assert len(judge.held_out) == 10 + 15
    (rows,) = seen
    held = np.delete(dataset.train.images, rows, axis=0)
    assert (len(set(rows)), len(held)) == (135, 15)
    _, logits = judge.predict(np.concatenate([held, dataset.validation.images]) / np.float32(255))
    # Another order, in which another batch size may sum in another order.
    np.testing.assert_allclose(np.sort(judges.log_odds(logits)), judge.held_out, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("untrained")
def test_of_few_images_none_is_held_out(tmp_path):
    judge = load_or_train(made_up(num_images=5), tmp_path)
    assert len(judge.held_out) == 5


def test_real_images_and_outliers_are_as_many_each_with_its_label(monkeypatch):
    dataset = made_up()
    classes = np.unique(dataset.train.labels) * 10
    real = Split(dataset.train.images, dataset.train.labels * 10)
    rows = np.arange(150)
    images, labels = judges._exposed(real, rows, classes, np.random.default_rng(0))
    np.testing.assert_array_equal(images[:150], real.images)  # as they are; the others are jittered
    np.testing.assert_array_equal(labels[:450], np.tile(dataset.train.labels, 3))
    assert not np.array_equal(images[150:300], real.images)
    assert set(labels[450:]) == {3}
    assert 450 <= len(labels[450:]) < 450 + len(outliers.KINDS)
    monkeypatch.setattr(judges, "MAX_REAL", 90)
    images, labels = judges._exposed(real, rows[::-1], classes, np.random.default_rng(0))
    np.testing.assert_array_equal(images[:30], real.images[:-31:-1])
    np.testing.assert_array_equal(labels[:90], dataset.train.labels[:-91:-1])  # each from another image


@pytest.mark.usefixtures("untrained")
def test_many_or_large_images_are_held_out_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr(judges, "MAX_HELD_OUT", 8)
    assert len(load_or_train(with_validation(made_up(), 10), tmp_path / "a").held_out) == 16
    monkeypatch.setattr(subsets, "MAX_PIXELS", 36 * 3)
    assert len(load_or_train(with_validation(made_up(), 10), tmp_path / "b").held_out) == 6
