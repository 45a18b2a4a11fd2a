"""Distances from real images against SciPy, and one threshold per data set."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from vae_jax.data import Dataset, Split
from vae_jax.evaluation import plausibility as module
from vae_jax.evaluation import subsets
from vae_jax.evaluation.classifier import Classifier
from vae_jax.evaluation.plausibility import nearest_distances, plausibility

CLASSIFIER = Classifier(lambda images: (images.reshape(len(images), -1), np.ones((len(images), 1))), 1.0, 0, "flat")


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(autouse=True)
def nothing_cached(monkeypatch):
    monkeypatch.setattr(module, "_references", {})


def noise(train=500, test=1000, name="a"):
    """Images of 3 x 2 random pixels, whose features are the pixels."""
    splits = [Split(rng(s).integers(0, 256, (count, 3, 2), np.uint8), None) for s, count in ((0, train), (1, test))]
    provenance = {"sha256": name, "counts": {"train": train, "validation": 0, "test": test}}
    return Dataset(name, splits[0], splits[0].where(np.zeros(train, bool)), splits[1], provenance)


@pytest.mark.parametrize("block_bytes", [1, 3000, 1 << 27])
def test_nearest_distances_are_exact_whatever_the_blocks(monkeypatch, block_bytes):
    monkeypatch.setattr(module, "BLOCK_BYTES", block_bytes)
    features, reference = (rng(s).normal(100, 1, (count, 8)).astype(np.float32) for s, count in ((0, 31), (1, 90)))
    features[3] = reference[7]
    distances = nearest_distances(features, reference)
    expected = cdist(features.astype(np.float64), reference.astype(np.float64)).min(axis=1)
    np.testing.assert_allclose(distances, expected, rtol=1e-4, atol=1e-6)  # centred in float32, around 100
    assert distances[3] == 0


def test_features_that_are_not_finite_are_far_from_everything():
    reference = rng().normal(size=(10, 2)).astype(np.float32)
    features = np.float32([[np.nan, 0], [np.inf, 0], [1e30, 0], [0, 0]])
    assert list(nearest_distances(features, reference) < 10) == [False, False, False, True]


def test_the_threshold_is_the_distance_that_95_percent_of_test_images_keep():
    dataset = noise()
    reference = plausibility(dataset, CLASSIFIER)
    train, test = (split.images.reshape(len(split.images), -1) / 255 for split in (dataset.train, dataset.test))
    np.testing.assert_array_equal(reference.features, train.astype(np.float32))
    assert reference.threshold == pytest.approx(np.quantile(cdist(test, train).min(axis=1), 0.95), rel=1e-5)


def test_images_beyond_the_threshold_are_implausible():
    dataset = noise()
    reference = plausibility(dataset, CLASSIFIER)
    train, test = (split.images / np.float32(255) for split in (dataset.train, dataset.test))
    assert reference.implausible(test) == pytest.approx(0.05, abs=1e-9)
    assert reference.implausible(train[:100]) == 0
    assert reference.implausible(test + 100) == 1
    mixed = np.concatenate([train[:30], train[:10] + 100])
    assert reference.implausible(mixed) == pytest.approx(0.25)
    mixed[0] = np.nan
    assert reference.implausible(mixed) == pytest.approx(11 / 40)


def test_a_data_set_has_one_reference_in_the_process():
    calls = []
    counted = CLASSIFIER._replace(predict=lambda images: calls.append(len(images)) or CLASSIFIER.predict(images))
    first = plausibility(noise(), counted)
    assert plausibility(noise(), counted) is first  # equal data, another object
    assert calls == [500, 1000]
    assert plausibility(noise(name="b"), counted) is not first
    assert plausibility(noise(test=900), counted) is not first
    assert plausibility(noise(), counted._replace(digest="another")) is not first
    assert len(calls) == 8


def test_many_or_large_images_are_used_in_part(monkeypatch):
    monkeypatch.setattr(module, "MAX_TRAIN", 300)
    dataset = noise()
    features = plausibility(dataset, CLASSIFIER).features
    assert len(features) == 300
    assert not np.array_equal(features, dataset.train.images[:300].reshape(300, -1) / np.float32(255))
    module._references.clear()
    monkeypatch.setattr(subsets, "MAX_PIXELS", 6 * 100)
    assert len(plausibility(dataset, CLASSIFIER).features) == 100
