import os

import numpy as np
import pytest
from PIL import Image
from refusal import refusal

from vae_jax import data
from vae_jax.config import Config, ConfigError

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (12, 6, 6)).astype(np.uint8)
COLOURS = RANDOM.integers(0, 256, (12, 6, 6, 3)).astype(np.uint8)


def save(folder, images, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in zip(names or [f"{index}.png" for index in range(len(images))], images, strict=True):
        Image.fromarray(image).save(folder / name)
    return folder


def load(folder, **wanted):
    return data.load(f"images:{folder}", validation_fraction=0, **wanted)


def error(folder, **wanted):
    message = refusal(load, folder, **wanted)
    assert str(folder) in message
    return message


def in_any_order(images):
    return sorted(image.tobytes() for image in images)


def test_a_flat_folder_is_unlabelled(tmp_path):
    save(tmp_path, GREY)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._0.png").write_bytes(b"of another system")
    found = load(tmp_path)
    assert in_any_order([*found.train.images, *found.test.images]) == in_any_order(GREY)
    assert found.train.labels is None
    assert found.provenance["content"] == "picture files; 1 image in 5 split off for testing"
    assert found.provenance["pixel_range"] == [0, 255]
    assert "class_names" not in found.provenance


def test_folders_are_classes(tmp_path):
    for index, name in enumerate(("10", "2", "ring")):
        save(tmp_path / name / "deeper", GREY[4 * index : 4 * index + 4])
    found = load(tmp_path)
    assert found.provenance["class_names"] == ["2", "10", "ring"]
    label_of = {image.tobytes(): label for image, label in zip(GREY, np.repeat([1, 0, 2], 4), strict=True)}
    for split in (found.train, found.test):
        assert [label_of[image.tobytes()] for image in split.images] == split.labels.tolist()


def test_a_class_is_called_what_its_folder_is_called_in_one_line_that_can_be_drawn(tmp_path):
    for name in ("two\nlines", "\x01", os.fsdecode(b"broken\xff"), "<b>"):
        save(tmp_path / name, GREY[:4])
    found = load(tmp_path)
    assert found.classes == {0: "0", 1: "<b>", 2: "broken", 3: "two lines"}  # \x01 alone leaves nothing
    assert "4 classes" in found.describe()
    save(tmp_path / "flat", GREY)
    assert load(tmp_path / "flat").classes == {}


def test_train_and_test_are_honoured(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / "train" / name, GREY[:4])
        save(tmp_path / "val" / name, GREY[4:6])
    found = load(tmp_path)
    assert found.provenance["counts"] == {"train": 8, "validation": 0, "test": 4}
    assert found.provenance["content"] == "picture files; val/ for testing"
    save(tmp_path / "Test" / "b", GREY[6:])
    found = load(tmp_path)
    assert found.provenance["counts"] == {"train": 8, "validation": 4, "test": 6}
    np.testing.assert_array_equal(found.test.images, GREY[6:])
    assert found.test.labels.tolist() == [1] * 6
    save(tmp_path / "train" / "train", GREY)
    assert load(tmp_path / "train").provenance["class_names"] == ["a", "b", "train"]  # a class of this name


# What makes a file of an image uint8[6, 6], and what is to be read of it.
def turned(image, path):
    exif = Image.Exif()
    exif[0x0112] = 6  # is to be turned to the right
    Image.fromarray(np.rot90(image)).save(path, exif=exif)


def palette(image, path):
    made = Image.fromarray(255 - image, "P")
    made.putpalette([value for level in range(255, -1, -1) for value in [level] * 3])
    made.save(path)


def with_alpha(image, path):  # black ink on nothing is what a browser shows of it
    Image.fromarray(np.stack([0 * image, 255 - image], -1), "LA").save(path)


FILES = {
    "turned.png": turned,
    "palette.png": palette,
    "alpha.png": with_alpha,
    "16 bits.png": lambda image, path: Image.fromarray(image.astype(np.uint16) * 257 + 1 - image // 255).save(path),
    "colour.WebP": lambda image, path: Image.fromarray(image).convert("RGB").save(path, "WEBP", lossless=True),
}


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
@pytest.mark.parametrize("name", FILES)
def test_any_mode_becomes_what_is_seen(name, tmp_path):
    save(tmp_path / "train", GREY[:2])
    (tmp_path / "test").mkdir()
    FILES[name](GREY[2], tmp_path / "test" / name)
    np.testing.assert_array_equal(load(tmp_path).test.images, GREY[2:3])


def test_two_levels_are_black_and_white(tmp_path):
    for index, image in enumerate(GREY):
        Image.fromarray(image > 99).save(tmp_path / f"{index}.png")
    assert np.unique(load(tmp_path).train.images).tolist() == [0, 255]


def test_colours_stay_or_become_their_luma(tmp_path):
    save(tmp_path / "train", GREY)
    save(tmp_path / "test", COLOURS)
    in_colour = load(tmp_path)
    assert in_any_order(in_colour.train.images) == in_any_order(np.stack([GREY] * 3, axis=-1))
    assert in_any_order(in_colour.test.images) == in_any_order(COLOURS)
    assert in_colour.provenance["content"] == "picture files; grey images as three equal channels"
    found = load(tmp_path, channels="grey")
    expected = sorted((f"{index}.png", image) for index, image in enumerate(COLOURS.tolist()))
    np.testing.assert_allclose(found.test.images, [np.array(c) @ [0.299, 0.587, 0.114] for _, c in expected], atol=0.51)
    assert found.provenance["content"] == "picture files; colour made grey (luma of Rec. 601)"


def test_several_sizes_need_one(tmp_path):
    save(save(tmp_path, GREY), GREY[:1, :5], "z.png")
    assert error(tmp_path) == (
        f"{tmp_path} has images of several sizes (0.png 6 x 6 pixels, z.png 5 x 6); pass --image_size, such as "
        "--image_size=32"
    )
    save(tmp_path, COLOURS[:1], "colour.png")
    found = load(tmp_path, image_size=3, channels="grey")
    assert found.train.images.shape == (12, 3, 3)
    assert (
        "; colour made grey (luma of Rec. 601); central square resampled by area to 3 x 3 pixels; 1 image in 5"
        in found.provenance["content"]
    )


def test_ten_broken_files_are_named(tmp_path):
    save(tmp_path, GREY)
    whole = (tmp_path / "0.png").read_bytes()
    for index in range(20, 33):
        (tmp_path / f"{index}.png").write_bytes([whole[:-30], b"", b"text"][index % 3])
    message = error(tmp_path)
    assert message.startswith(f"{tmp_path} has 13 broken of 25 pictures: 20.png (not a PNG, JPEG or WebP picture), 21.")
    assert message.endswith(", 29.png (not a PNG, JPEG or WebP picture), and 3 more; remove them")


def test_folders_that_are_no_data_set(tmp_path, monkeypatch):
    assert "cannot list " in error(tmp_path / "nowhere")
    assert " has no pictures; images:DIR needs PNG, JPEG or WebP files" in error(tmp_path)
    save(tmp_path / "train", GREY[:4])
    assert f"has train/ and no test/; add one, or pass images:{tmp_path}/train to split that" in error(tmp_path)
    assert " has too few images (4) to split off a test set; it needs 5 or more, or train/ " in error(
        tmp_path / "train"
    )
    save(tmp_path / "test" / "ring", GREY[:4])
    assert f"test has the class 'ring', unlike {tmp_path}/train; give both the same classes" in error(tmp_path)
    save(tmp_path / "train" / "ring", GREY[:4])
    assert "train has pictures (0.png) beside folders of pictures (ring/); put all into" in error(tmp_path)
    bits = load(save(tmp_path / "bits", GREY // 128))
    assert in_any_order([*bits.train.images, *bits.test.images]) == in_any_order(GREY // 128 * np.uint8(255))
    assert bits.provenance["content"].startswith("picture files; 0 and 1 made black and white")
    dark = save(tmp_path / "dark", GREY // 16)
    assert error(dark) == f"{dark} has pixels up to 15 of 255, too dark to train on; make what is white 255"
    monkeypatch.setattr("vae_jax.data.pictures._MOST_PIXELS", 35)
    assert "0.png (6 x 6 pixels are too many)" in error(tmp_path / "test" / "ring")


def test_what_is_white_is_not_asked(tmp_path):
    assert Config(dataset="images:d", pixel_max=15).name == Config(dataset="images:d").name
    with pytest.raises(ConfigError, match=r"^pixel_max is for arrays, not for pictures as images: reads them$"):
        load(tmp_path, pixel_max=15)
    save(tmp_path, GREY)
    with pytest.raises(ConfigError, match=rf"did you mean images:{tmp_path}\?"):
        data.check_name(str(tmp_path))
