"""Outliers: random fields of the stated smoothness, images moved as SciPy moves them, and kinds of any size."""

import numpy as np
import pytest
import scipy.ndimage

from vae_jax import data
from vae_jax.measure import outliers


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def digits():
    return data.load("mnist_5k").train.images[:300] / np.float32(255)


@pytest.mark.parametrize("length", [1.0, 3.0])
def test_smooth_fields_have_the_correlation_of_blurred_noise(length):
    """White noise blurred with sd s has the correlation exp(-d² / 4 s²) at distance d; s grows with the image."""
    fields = outliers.smooth_fields((400, 56, 28), (length, length), rng())
    assert fields.shape == (400, 56, 28)
    np.testing.assert_allclose(fields.std(axis=(1, 2)), 1, rtol=1e-4)
    for distance in (1, 2, 4, 8):
        right = np.mean(fields[:, :, distance:] * fields[:, :, :-distance])
        down = np.mean(fields[:, distance:] * fields[:, :-distance])
        expected = np.exp(-(distance**2) / (4 * (2 * length) ** 2))
        # 400 images, each with about 56 * 28 / 6² independent values at the larger length.
        assert [right, down] == pytest.approx([expected * np.mean(fields**2)] * 2, abs=0.05)


@pytest.mark.parametrize("sd", [1.0, 2.5])
def test_blur_against_scipy(digits, sd):
    expected = scipy.ndimage.gaussian_filter(digits, (0, sd, sd), mode="constant", truncate=8)
    # A sampled kernel is not quite band-limited: exp(-2 (π · 0.5)²) of it at sd 1.
    np.testing.assert_allclose(outliers.blur(digits, sd), expected, atol=0.01)


def test_each_image_has_its_blur(digits):
    found = outliers.blur(digits[:2], np.array([0.0, 1.0]))
    np.testing.assert_allclose(found[0], digits[0], atol=1e-5)
    assert found[1].max() < digits[1].max()


def test_images_are_read_between_pixels_as_scipy_reads_them():
    images = rng(1).random((20, 28, 28), np.float32)  # bright up to their edges
    rows, columns = rng().uniform(-4, 32, (2, 20, 28, 28))
    expected = [
        scipy.ndimage.map_coordinates(image, at, order=1, mode="grid-constant")
        for image, at in zip(images, np.stack([rows, columns], axis=1), strict=True)
    ]
    np.testing.assert_allclose(outliers._sampled(images, rows, columns), expected, atol=1e-5)


def test_an_affine_map_of_nothing_changes_nothing(digits):
    still = outliers._affine(digits, rng(), turn=0, scale=(1, 1), shear=0)
    np.testing.assert_allclose(still, digits, atol=1e-5)
    mirrored = outliers._affine(digits, rng(), turn=0, scale=(1, 1), shear=0, mirror=True)
    of_each = [np.allclose(m, d[:, ::-1], atol=1e-4) for m, d in zip(mirrored, digits, strict=True)]
    assert np.mean(of_each) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(300))


@pytest.mark.parametrize("size", [0.5, 1.5])
def test_the_area_of_an_affine_map_is_its_scale_squared(digits, size):
    """Whatever the turn and the shear, whose determinant is 1."""
    small = np.pad(digits[:, ::2, ::2], ((0, 0), (14, 14), (14, 14)))  # nothing falls off
    found = outliers._affine(small, rng(), turn=180, scale=(size, size), shear=0.8)
    assert found.sum() / small.sum() == pytest.approx(size**2, rel=0.02)


@pytest.mark.parametrize("shape", [(28, 28), (1, 1), (3, 9), (64, 40)])
@pytest.mark.parametrize("kind", outliers.KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_is_of_any_size_and_of_its_seed(kind, shape):
    images = rng().random((7, *shape), np.float32)
    found = kind(images, rng(1))
    assert found.shape == images.shape
    assert np.isfinite(found).all()
    assert found.min() >= -1e-6
    assert found.max() <= 1 + 1e-6
    np.testing.assert_array_equal(found, kind(images, rng(1)))


@pytest.mark.parametrize("kind", outliers.KINDS, ids=lambda kind: kind.__name__)
def test_no_outlier_is_a_real_image(digits, kind):
    found = kind(digits, rng())
    same = np.abs(found[:, None] - digits[None, :100]).max(axis=(2, 3)).min(axis=1) < 0.05
    assert same.mean() < 0.05  # a mosaic may happen to be one image


def test_outliers_are_of_all_kinds_by_their_shares(monkeypatch):
    def fill(value):
        return lambda images, random: np.full_like(images, value)

    monkeypatch.setattr(outliers, "KINDS", {fill(0.2): 1, fill(0.6): 3})
    monkeypatch.setattr(outliers, "ROWS", 7)
    found = outliers.outliers(np.zeros((5, 4, 4), np.uint8), 41, rng())
    assert found.dtype == np.uint8
    assert list(np.unique(found, return_counts=True)[1] // 16) == [11, 31]
    assert list(np.unique(found)) == [51, 153]


def test_a_jittered_image_is_nearly_the_same(digits, monkeypatch):
    monkeypatch.setattr(outliers, "ROWS", 70)
    images = np.rint(digits * 255).astype(np.uint8)
    found = outliers.jittered(images, rng())
    assert found.shape == images.shape
    assert found.dtype == np.uint8
    pixels = found.reshape(300, -1) / np.float32(255)
    correlation = [np.corrcoef(a, b)[0, 1] for a, b in zip(pixels, digits.reshape(300, -1), strict=True)]
    assert 0.8 < np.mean(correlation) < 0.99
    assert not np.array_equal(found[:70], outliers.jittered(images, rng(1))[:70])
