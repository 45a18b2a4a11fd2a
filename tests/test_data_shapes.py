"""The data set `shapes`: what is drawn is what its factors say."""

import colorsys
import dataclasses
import hashlib
import itertools

import numpy as np
import pytest

from vae_jax import data
from vae_jax.config import Config
from vae_jax.data.identity import load_dataset
from vae_jax.data.sources import shapes


@pytest.fixture(scope="module")
def drawn():
    """All images in colour, with labels and factors: train, then test."""
    splits = shapes.read()[0]
    return data.Split(*(np.concatenate(arrays) for arrays in zip(splits["train"], splits["test"], strict=True)))


def sha256(array):
    return hashlib.sha256(array.tobytes()).hexdigest()


def test_each_combination_of_factors_is_drawn_once(drawn):
    assert (drawn.images.shape, drawn.images.dtype) == ((4608, 32, 32, 3), np.uint8)
    expected = itertools.product(range(3), range(4), range(8), range(8), range(6))
    assert sorted(map(tuple, drawn.factors.tolist())) == list(expected)
    assert drawn.factors.dtype == drawn.labels.dtype == np.int32
    np.testing.assert_array_equal(drawn.labels, drawn.factors[:, 0])
    splits = shapes.read()[0]
    assert [len(splits[name].images) for name in ("train", "test")] == [3687, 921]
    np.testing.assert_array_equal(np.bincount(splits["test"].labels), [307] * 3)


def test_pixels_by_hand(drawn):
    def image(*factors):
        return drawn.images[np.all(drawn.factors == factors, axis=1)][0]

    # Half a side of 2 pixels around x = 9 + 2 * 1 and y = 9 + 2 * 7: whole pixels.
    square = np.zeros((32, 32, 3), np.uint8)
    square[21:25, 9:13] = 64, 64, 255
    np.testing.assert_array_equal(image(0, 0, 1, 7, 4), square)
    # The triangle's base is 1 7/9 pixels below its centre: six of eight rows of points in the third row of pixels. Its
    # right end is 3 pixels from the centre at the base, and 9/16 of a pixel nearer for each pixel above: of these rows
    # (17, 19, ... 27 sixteenths below the centre), 5, 5, 6, 6, 7 and 8 points in the last pixel are inside.
    triangle = image(2, 0, 0, 0, 0)
    middle, end = 255 * 48 / 64, 255 * 37 / 64
    np.testing.assert_array_equal(triangle[10, 7:13, 0], np.rint([middle, middle, middle, middle, end, 0]))
    np.testing.assert_array_equal(triangle[10, 11], np.rint([end, 37, 37]))
    assert not triangle[11:].any()


def test_mass_lies_at_its_place_and_grows_with_its_size(drawn):
    mass = drawn.images.sum(axis=3).astype(float)
    total = mass.sum(axis=(1, 2))
    centres = np.arange(32) + 0.5
    _, size, x, y, hue = drawn.factors.T
    np.testing.assert_allclose(mass.sum(axis=1) @ centres / total, 9 + 2 * x, atol=1e-12)
    np.testing.assert_allclose(mass.sum(axis=2) @ centres / total, 9 + 2 * y, atol=0.05)  # of triangles, about
    half = np.array([2, 3, 4, 5])[size]
    full = np.array([383, 574])[hue % 2]  # sums of the channels of red and of yellow
    np.testing.assert_allclose(total / full, 4 * half**2, rtol=0.02)


def test_hues_are_60_degrees_apart_and_six_levels_of_grey(drawn):
    colours = drawn.images.reshape(len(drawn.images), -1, 3).max(axis=1)
    for hue in range(6):
        own = np.unique(colours[drawn.factors[:, 4] == hue], axis=0)
        assert len(own) == 1
        assert round(360 * colorsys.rgb_to_hsv(*own[0] / 255)[0]) == 60 * hue
    grey = data.load("shapes", channels="grey", validation_fraction=0)
    brightest = grey.train.images.max(axis=(1, 2))
    assert [set(brightest[grey.train.factors[:, 4] == hue]) for hue in range(6)] == [
        {121}, {233}, {176}, {198}, {86}, {143},
    ]  # fmt: skip


def test_shapes_never_change(drawn):
    """Results on them are compared by these digests; integers make them the same on every machine."""
    assert sha256(drawn.images) == "39e13eafca1b6a5c57355aeec6c4d03ebf9995ff85dd33fcc99f7bca8441a5a6"
    grey = data.load("shapes", channels="grey").provenance
    assert grey["sha256"] == "2791439aad0b5ffe8492ae0b4083162c7ef948b7a7b332eb73b4c90764c376ef"
    assert grey["labels_sha256"] == "bf79829954d993b4fb7514a6569fb1791b8d4f53be335ccab5cee3cbf80759e7"
    assert grey["class_names"] == ["square", "disc", "triangle"]
    assert grey["factor_names"] == ["shape", "size", "x", "y", "hue"]


def test_a_launch_loads_them_grey_and_small_with_their_factors():
    config = Config(dataset="shapes", channels="grey", image_size=16)
    small, large = load_dataset(config), load_dataset(dataclasses.replace(config, image_size=0))
    for few, many in zip(small[1:4], large[1:4], strict=True):
        means = many.images.reshape(-1, 16, 2, 16, 2).mean(axis=(2, 4))
        np.testing.assert_array_equal(few.images, np.floor(means + 0.5))
        np.testing.assert_array_equal(few.factors, many.factors)
    in_colour = load_dataset(Config(dataset="shapes"))
    assert in_colour.train.images.shape == (*large.train.images.shape, 3)
    np.testing.assert_array_equal(in_colour.train.factors, large.train.factors)
