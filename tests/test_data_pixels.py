"""The scale of pixels: what is black and white in the user's files, and what is refused."""

import contextlib
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusal import refusal

from vae_jax import data
from vae_jax.config import ConfigError
from vae_jax.data.pixels import scale

NAMES = ("x_train in f", "x_test in f")


def images(values, dtype=np.uint8):
    """Images of 1 x 2 pixels with these values, twice each."""
    return np.repeat(np.array(values, dtype), 2).reshape(-1, 1, 2)


def scaled(train, test=None, pixel_max=0.0):
    """The grey levels of the training and the test images, the range of the pixels, and their description."""
    found = scale({NAMES[0]: train, NAMES[1]: train if test is None else test}, pixel_max)
    assert all(array.dtype == np.uint8 and array.flags.c_contiguous for array in found.images)
    levels = [array[:, 0, 0].tolist() for array in found.images]
    return *levels, tuple(found.pixel_range), found.content


def error(*args, **keywords):
    return refusal(scaled, *args, kind=data.DataError, **keywords)


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">i2", "<i4", "u8", ">i8"])
@pytest.mark.parametrize("values", [(0, 1), (0, 15), (3, 100), (-1, 1)])
def test_integers_of_two_values_are_black_and_white(dtype, values):
    if min(values) < 0 and "u" in dtype:
        values = (0, 127)
    low, high = values
    train, test, units, content = scaled(images([low, high, low], dtype), images([high], dtype))
    assert (train, test, units) == ([0, 255, 0], [255], values)
    assert content == f"{np.dtype(dtype).name} pixels, black and white ({low} and {high})"


def test_two_values_in_the_training_images_alone_are_grey_levels():
    """All files together have three."""
    train, test, units, content = scaled(images([0, 200, 0]), images([0, 100, 200]))
    assert (train, test, units, content) == ([0, 200, 0], [0, 100, 200], (0, 255), "uint8 pixels")


def test_half_precision_is_scaled_in_more_digits_than_it_has():
    """Scaling thirds in float16 would change a tenth of the grey levels. A level halfway may be rounded either way."""
    values = (np.arange(3001) / 3).astype(np.float16)
    exact = values.astype(np.float64) / 1000 * 255
    is_clear = np.abs(exact % 1 - 0.5) > 1e-4
    train, _, _, _ = scaled(images(values, np.float16), pixel_max=1000)
    np.testing.assert_array_equal(np.array(train)[is_clear], np.rint(exact)[is_clear])
    assert is_clear.mean() > 0.99


def test_bytes_that_are_black_and_white_already_stay_as_they_are():
    train, _, units, content = scaled(images([0, 255]))
    assert (train, units, content) == ([0, 255], (0, 255), "uint8 pixels, black and white (0 and 255)")


def test_bools_are_black_and_white_whatever_stands_beside_them():
    assert scaled(images([0, 1], bool)) == ([0, 255], [0, 255], (0, 1), "bool pixels, black and white")
    train, test, units, _ = scaled(images([0, 1], bool), images([0, 100, 255]))
    assert (train, test, units) == ([0, 255], [0, 100, 255], (0, 1))
    train, test, units, _ = scaled(images([0, 100, 255]), images([1, 0], bool))
    assert (train, test, units) == ([0, 100, 255], [255, 0], (0, 255))
    assert scaled(images([0, 1]), images([1, 1], bool))[:2] == ([0, 255], [255, 255])


def test_whether_there_are_two_values_is_decided_over_all_files():
    assert scaled(images([0, 1]), images([0]))[:2] == ([0, 255], [0])
    assert scaled(images([1]), images([0]))[:2] == ([255], [0])
    # Neither file has more than two values, and 1 would be white in one and nearly black in the other.
    for train, test in (([0, 1], [0, 255]), ([0, 1], [0, 2])):
        assert "has uint8 pixels from 0 to 1, where 0 is black and 255 is white, too dark" in error(
            images(train), images(test)
        )
    assert scaled(images([0, 255]), images([0, 1]))[:2] == ([0, 255], [0, 1])
    # Two values among the first of many images are not two values.
    many = np.zeros((5000, 16, 16), np.uint8)
    many[0, 0, 0], many[-1, -1, -1] = 255, 128
    assert scale({"x": many}, 0).content == "uint8 pixels"


def test_one_value_is_no_black_and_white():
    assert scaled(images([200]))[:2] == ([200], [200])
    assert "pixels from 1 to 1, where 0 is black and 255 is white, too dark to train on" in error(images([1]))
    for dtype in ("u1", "i8", "f4", "?"):
        assert error(images([0], dtype)).endswith(" pixels that are all black; get the images again")
    black = "x_train in f has uint8 pixels that are all black; get the images again"
    assert error(images([0]), images([1])) == error(images([0]), pixel_max=15) == black
    assert scaled(images([255]), images([0]))[:2] == ([255], [0])


@pytest.mark.parametrize(
    ("dtype", "white", "dark", "bright"),
    [("u1", 0, 63, 64), ("i8", 0, 63, 64), ("<u2", 4095, 1023, 1024), ("f4", 0, 0.2499, 0.25), ("f8", 16, 3.99, 4)],
)
def test_dark_images_are_refused_up_to_a_quarter_of_white(dtype, white, dark, bright):
    """What the 64 of 255 is; 4095 / 4 = 1023.75."""
    values = [0, bright / 2, bright]
    assert max(scaled(images(values, dtype), pixel_max=white)[0]) == 64
    message = error(images([0, dark / 2, dark], dtype), pixel_max=white)
    remedy = f"too dark to train on; pass what is white in these files, such as --pixel_max={dark}"
    assert message.startswith("x_train in f has ")
    assert f" pixels from 0 to {dark}, where 0 is black and " in message
    assert message.endswith(remedy)
    # Dark test images are no reason to refuse, and what is white may be in them.
    assert max(scaled(images(values, dtype), images([0, dark / 4], dtype), pixel_max=white)[1]) < 64
    brighter = error(images([0, dark / 2, dark / 4], dtype), images([dark], dtype), pixel_max=white)
    assert brighter.endswith(remedy)


def exact(values, white):
    """255 · value / white, rounded, in exact numbers."""
    return [round(Fraction(value) * 255 / Fraction(white)) for value in values]


@pytest.mark.parametrize(
    ("dtype", "values", "white", "content"),
    [
        ("u1", range(16), 15, "uint8 pixels times 255 / 15, rounded"),
        ("u1", range(256), 255, "uint8 pixels"),
        (">u2", [0, 1, 255, 2047, 2048, 4095], 4095, "uint16 pixels times 255 / 4095, rounded"),
        ("<i8", [0, 1, 30000, 65535], 65535, "int64 pixels times 255 / 65535, rounded"),
        ("<f4", [0, 0.25, 1, 15.5, 16], 16, "float32 pixels times 255 / 16, rounded"),
        ("<f2", [0, 1, 100, 254, 255], 255, "float16 pixels times 255 / 255, rounded"),
        ("<f8", [0, 1 / 255, 0.5, 1], 1, "float64 pixels times 255 / 1, rounded"),
    ],
)
def test_pixels_up_to_what_is_white(dtype, values, white, content):
    train, _, units, described = scaled(images(values, dtype), pixel_max=white)
    assert (train, units, described) == (exact(values, white), (0, white), content)
    assert train[-1] == 255


def test_what_is_white_has_the_digits_of_the_file():
    """The float32 that is written 1.0000001 is 1.00000011920929."""
    assert scaled(images([0, 1.0000001], "f4"), pixel_max=1.0000001)[:2] == ([0, 255], [0, 255])


def test_floats_from_minus_1_to_1_are_scaled_also_at_both_ends():
    for values in ([-1, 0, 1], [-0.9, 0, 0.9]):
        found, _, units, _ = scaled(images(values, "f4"))
        assert (found, units) == (exact([value + 1 for value in values], 2), (0, 255))


def test_integers_of_any_type_are_from_0_to_255():
    for dtype in ("i2", "<u4", ">i8"):
        train, _, units, _ = scaled(images([0, 1, 254, 255], dtype))
        assert (train, units) == ([0, 1, 254, 255], (0, 255))


def test_what_is_white_goes_before_two_values():
    assert scaled(images([0, 8]), pixel_max=16)[:2] == ([0, 128], [0, 128])
    # Bools have no units.
    assert scaled(images([0, 1], bool), pixel_max=15)[:3] == ([0, 255], [0, 255], (0, 1))


RANGES = "where 0 is black and {} is white; "
OUT_OF_RANGE = {
    "floats above 255": (
        [0, 12, 256],
        "f4",
        0,
        "has float32 pixels from 0 to 256, " + RANGES.format(1),
        "=256, or clip them",
    ),
    "just above 1": ([0, 1.0000001], "f4", 0, "from 0 to 1.0000001, " + RANGES.format(1), "=1.0000001, or clip them"),
    "above 1": ([0, 1.5], "f8", 0, "from 0 to 1.5, " + RANGES.format(1), "=1.5, or clip them"),
    "16 bits": (
        [0, 7, 4095],
        "u2",
        0,
        "has uint16 pixels from 0 to 4095, " + RANGES.format(255),
        "=4095, or clip them",
    ),
    "above what is white": ([0, 7, 16], "u1", 15, "from 0 to 16, " + RANGES.format(15), "=16, or clip them"),
    "floats below 0": (
        [-0.5, 0, 1],
        "f8",
        0,
        "from -0.5 to 1, " + RANGES.format(1),
        "rescale them to numbers from 0 to 1",
    ),
    "below 0": ([-1, 0, 99], "i2", 0, "from -1 to 99, " + RANGES.format(255), "rescale them to numbers from 0 to 255"),
    "NaN": ([0, 1, np.nan], "f4", 0, "from nan to nan, " + RANGES.format(1), "numbers from 0 to 1"),
    "infinity": ([0, 1, np.inf], "f2", 0, "from 0 to inf, " + RANGES.format(1), "numbers from 0 to 1"),
}


@pytest.mark.parametrize("case", OUT_OF_RANGE)
def test_pixels_out_of_range_are_refused(case):
    values, dtype, pixel_max, expected, remedy = OUT_OF_RANGE[case]
    message = error(images(values, dtype), pixel_max=pixel_max)
    assert message.startswith("x_train in f has ")
    assert expected in message
    assert message.endswith(remedy)


FLOATS = {"f2": np.float16, "f4": np.float32, "f8": np.float64}


@given(st.data())
def test_the_remedy_of_a_message_works(draw):
    """What it says is white is taken as white: also if the file's type rounds it, and with more in the test images."""
    dtype = draw.draw(st.sampled_from(["u1", "u2", "i8", *FLOATS]))
    if dtype in FLOATS:
        numbers = st.floats(2.0**-20, 1e4, width=8 * np.dtype(dtype).itemsize)
    else:
        numbers = st.integers(1, np.iinfo(dtype).max if dtype != "i8" else 10**9)
    values = draw.draw(st.lists(numbers, min_size=2, max_size=4))
    train, test = images([0, *values[1:]], dtype), images(values, dtype)
    with contextlib.suppress(data.DataError):
        scaled(train, test)
        return
    white = float(re.search(r"--pixel_max=(\S+?)(?:,|$)", error(train, test))[1])
    if train.max() < test.max() / 4:
        assert "too dark to train on" in error(train, test, pixel_max=white)
    else:
        assert max(max(levels) for levels in scaled(train, test, pixel_max=white)[:2]) == 255


def test_scaling_takes_little_memory_beside_its_result():
    import tracemalloc

    wide = np.zeros((4000, 64, 64), np.uint16)
    wide[0, 0, 0], wide[1, 1, 1] = 4095, 7
    tracemalloc.start()
    try:
        scale({"x": wide}, 4095)
        assert tracemalloc.get_traced_memory()[1] < wide.size + 2 * 8 * 2**20 + 2**22  # two chunks of floats
    finally:
        tracemalloc.stop()


def test_what_is_white_is_for_own_files(tmp_path):
    with pytest.raises(ConfigError, match=r"^pixel_max is for files of your own, not for mnist_5k$"):
        data.load("mnist_5k", pixel_max=15)
    with pytest.raises(ConfigError, match=r"^pixel_max must be a number from 0 to 1000000000, not -1$"):
        data.load("npz:x.npz", pixel_max=-1)
    np.savez(tmp_path / "a.npz", images=images([0, 3, 15] * 3))
    with pytest.raises(data.DataError, match=r"^images in \S+ has uint8 pixels from 0 to 15, .*--pixel_max=15$"):
        data.load(f"npz:{tmp_path}/a.npz")
    loaded = data.load(f"npz:{tmp_path}/a.npz", pixel_max=15)
    assert np.unique(loaded.train.images).tolist() == [0, 51, 255]
    assert loaded.provenance["content"] == (
        "NPZ file with uint8 pixels times 255 / 15, rounded; 1 image in 5 split off for testing"
    )
