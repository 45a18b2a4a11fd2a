"""Arrays come back as they were, equal content gives equal bytes, and damage is detected, whatever byte it hits."""

import json

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vae_jax import files
from vae_jax.errors import DamagedError, MismatchError, UserError

ARRAYS = {
    "scalar": np.float32(-1.5),
    "encoder/kernel": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "step": np.int32(3),
    "alive": np.array(True),
    "empty": np.zeros((0, 2), np.float32),
}
EXPECTED = {name: (np.shape(array), np.asarray(array).dtype) for name, array in ARRAYS.items()}
HEADER = {"epoch": 3, "config": {"model": "vae"}}

values = hnp.arrays(
    st.sampled_from([np.float32, np.int32, np.uint32, np.bool_]), hnp.array_shapes(min_dims=0, max_dims=3, max_side=4)
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("arrays") / "file.safetensors"


@given(st.dictionaries(st.text("abc/", min_size=1), values, max_size=4))
def test_round_trip(path, content):
    files.write_arrays(path, content, HEADER)
    found, header = files.read_arrays(path, {name: (array.shape, array.dtype) for name, array in content.items()})
    assert header.items() >= HEADER.items()
    assert found.keys() == content.keys()
    for name, array in content.items():
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
        np.testing.assert_array_equal(found[name], array)


def test_equal_content_gives_equal_bytes_in_whatever_order(path):
    files.write_arrays(path, ARRAYS, HEADER)
    first = path.read_bytes()
    files.write_arrays(path, {name: np.array(ARRAYS[name], order="F") for name in reversed(ARRAYS)}, HEADER)
    assert path.read_bytes() == first


def test_any_flipped_bit_is_detected(path):
    files.write_arrays(path, ARRAYS, HEADER)
    whole = path.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        # Padding of the header, and spelling of its keys, do not change what is read.
        try:
            found, header = files.read_arrays(path, EXPECTED)
        except (DamagedError, MismatchError):
            continue
        assert header.items() >= HEADER.items()
        assert all(np.array_equal(found[name], ARRAYS[name]) for name in ARRAYS)


@pytest.mark.parametrize("length", [0, 7, 8, 100, -1])
def test_a_truncated_file(path, length):
    files.write_arrays(path, ARRAYS, HEADER)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DamagedError, match=r"^is damaged"):
        files.read_arrays(path)


@pytest.mark.parametrize("metadata", [None, {}, {"run": "{"}, {"run": "[]"}, {"run": "{}"}, {"run": "[" * 9999}])
def test_a_file_of_another_program(path, metadata):
    path.write_bytes(safetensors.numpy.save({"a": np.zeros(3)}, metadata=metadata))
    with pytest.raises(DamagedError, match=r"^is damaged") as error:
        files.read_header(path)
    assert "\n" not in str(error.value)


def test_the_header_has_a_digest_of_its_own(path):
    files.write_arrays(path, {"a": np.zeros(3, np.float32)}, HEADER)
    with safetensors.safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["run"])
    header["epoch"] = 4
    path.write_bytes(safetensors.numpy.save({"a": np.zeros(3, np.float32)}, metadata={"run": json.dumps(header)}))
    with pytest.raises(DamagedError, match="its header does not match"):
        files.read_header(path)


# As version 0.1.0 computed it of {"a": np.ones((2, 1), np.float32)}.
DIGEST_OF_0_1_0 = "059f47b65ce6f311cea34ef3f9b24ddf42e789b197c00a9b9c7dadda78cc523a"


def test_parameters_of_version_0_1_0_are_read(path):
    """Their header holds no digest of itself, and the same digest of the arrays."""
    content = {"a": np.ones((2, 1), np.float32)}
    header = {"config": {}, "sha256": DIGEST_OF_0_1_0}
    path.write_bytes(safetensors.numpy.save(content, metadata={"run": json.dumps(header)}))
    assert files.read_arrays(path)[1] == header


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        (EXPECTED | {"more": ((2,), np.float32)}, r"has more missing instead of F32\[2\]"),
        ({name: EXPECTED[name] for name in list(EXPECTED)[1:]}, r"has scalar F32\[\] instead of missing"),
        (EXPECTED | {"step": ((), np.uint32)}, r"has step I32\[\] instead of U32\[\]"),
        (EXPECTED | {"scalar": ((1,), np.float32)}, r"has scalar F32\[\] instead of F32\[1\]"),
    ],
)
def test_other_arrays_than_the_expected_ones(path, expected, message):
    files.write_arrays(path, ARRAYS, HEADER)
    with pytest.raises(MismatchError, match=message):
        files.read_arrays(path, expected)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"^cannot read .*nothing\.safetensors"):
        files.read_header(tmp_path / "nothing.safetensors")
