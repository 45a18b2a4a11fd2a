"""The probes are the kinds they are named after, and none of them is a kind that the judge was trained on."""

import numpy as np
import pytest

from scripts.probes import Probe, pairs_of_two_classes, probes, shuffle_patches
from vae_jax.data import Split
from vae_jax.measure import outliers


def made_up(num=200, shape=(15, 22), classes=3):
    random = np.random.default_rng(0)
    return Split(random.integers(0, 256, (num, *shape), np.uint8), np.arange(num, dtype=np.int32) % classes)


def test_each_kind_is_what_its_name_says():
    real = made_up()
    found = {probe.name.split()[0]: probe.images for probe in probes(real)}
    images = real.images / np.float32(255)
    assert {kind.shape for kind in found.values()} == {images.shape}
    assert {kind.dtype for kind in found.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(found["real"], images)
    np.testing.assert_allclose(found["inverted"] + images, 1, rtol=1e-6)
    assert set(np.unique(found["independent"])) == {0, 1}
    assert found["independent"].mean() == pytest.approx(images.mean(), abs=4 * 0.5 / np.sqrt(images.size))
    first, second = pairs_of_two_classes(real.labels, np.random.default_rng(0).spawn(3)[2])
    np.testing.assert_allclose(found["cross-fades"], (images[first] + images[second]) / 2)
    np.testing.assert_array_equal(found["superpositions"], np.maximum(images[first], images[second]))
    assert found["blurred"].std() < images.std() / 2


def test_the_same_seed_makes_the_same_images():
    for one, other in zip(probes(made_up()), probes(made_up()), strict=True):
        np.testing.assert_array_equal(one.images, other.images)
    assert not np.array_equal(probes(made_up(), 1)[2].images, probes(made_up(), 0)[2].images)


def test_patches_move_as_a_whole_and_the_margin_stays():
    images = np.arange(50 * 9 * 8, dtype=np.float32).reshape(50, 9, 8)
    found = shuffle_patches(images, np.random.default_rng(0), side=4)
    np.testing.assert_array_equal(found[:, 8], images[:, 8])
    corners = [(0, 0), (0, 4), (4, 0), (4, 4)]
    orders = set()
    for before, after in zip(images, found, strict=True):
        patches = [before[y : y + 4, x : x + 4].tobytes() for y, x in corners]
        orders.add(tuple(patches.index(after[y : y + 4, x : x + 4].tobytes()) for y, x in corners))
    assert len(orders) > 12  # of 24
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)


@pytest.mark.parametrize("labels", [np.arange(90) % 3, np.r_[np.zeros(80, int), [5] * 10]])
def test_pairs_are_of_two_classes_and_each_image_is_the_first_of_one(labels):
    first, second = pairs_of_two_classes(labels, np.random.default_rng(0))
    assert sorted(first) == list(range(90))
    assert not np.any(labels[first] == labels[second])
    assert len(set(second)) >= 10


def test_of_a_single_class_there_are_no_pairs():
    assert [probe.name for probe in probes(made_up(classes=1))] == [probe.name for probe in probes(made_up())][:5]


def test_bounds_are_the_most_of_real_images_and_the_least_of_others():
    image = np.zeros((1, 1, 1))
    real, other = Probe("real", image, True, 0.07), Probe("noise", image, False, 0.99)
    assert [real.is_met(share) for share in (0.05, 0.07, 0.08)] == [True, True, False]
    assert [other.is_met(share) for share in (0.98, 0.99, 1.0)] == [False, True, True]


def test_no_outlier_that_trains_is_a_probe():
    """Two real images as they are meet in a mosaic only, where no pixel sees both; noise is smooth; nothing inverts."""
    images = made_up(500, (28, 28)).images / np.float32(255)
    random = np.random.default_rng(0)
    at = random.permutation(500)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outliers, "_foreign", lambda images, random: np.full_like(images, 2))
        for kind in (outliers.superposed, outliers.faded):  # the second image is always a foreign one
            assert np.all(kind(images[at], random) > 0.65)
    mosaic = outliers.mosaic(images, np.random.default_rng(1))
    assert np.all(np.any(np.isclose(mosaic[:20, None], images[None]).all(axis=(2, 3)), axis=1) <= 1)
    texture = outliers.texture(images, random)
    neighbours = [np.corrcoef(image[:, 1:].ravel(), image[:, :-1].ravel())[0, 1] for image in texture]
    assert np.min(neighbours) > 0.5
