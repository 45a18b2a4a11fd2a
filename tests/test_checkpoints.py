"""Checkpoints come back as they were; damage is reported and the one before is used; other code's are refused."""

import json
import shutil

import jax
import numpy as np
import pytest
import safetensors

from vae_jax import files
from vae_jax.config import Config
from vae_jax.errors import UserError
from vae_jax.model.programs import make_program
from vae_jax.training import checkpoints, step
from vae_jax.training.checkpoints import Checkpoint

CONFIG = Config(hidden_dims=(4,), num_epochs=5, kl_weight=2.0)
PROGRAM = make_program(CONFIG, (8, 8))


def make(epoch):
    """A checkpoint after so many epochs, with different numbers each time."""
    states = step.init_states(PROGRAM, step.hyperparameters([CONFIG]))
    state = jax.tree.map(lambda leaf: np.asarray(leaf)[0], states)
    state = state._replace(params=jax.tree.map(lambda leaf: leaf + np.float32(epoch), state.params))
    metrics = [{"epoch": e, "train_loss": e / 3} for e in range(1, epoch + 1)]
    timing = [{"epoch": e, "seconds": 0.1, "images_per_second": 3.0} for e in range(1, epoch + 1)]
    return Checkpoint(epoch, metrics, timing, state)


CHECKPOINTS = {epoch: make(epoch) for epoch in (1, 2, 3)}


def assert_equal(found, expected):
    assert found[:3] == expected[:3]
    assert jax.tree.structure(found.state) == jax.tree.structure(expected.state)
    for a, b in zip(jax.tree.leaves(found.state), jax.tree.leaves(expected.state), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    for checkpoint in CHECKPOINTS.values():
        checkpoints.write(folder, CONFIG, checkpoint)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "run")


def newest(folder):
    return checkpoints.newest(folder, CONFIG, PROGRAM)


def test_the_newest_comes_back_and_two_are_kept(folder, capsys):
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint-2.safetensors", "checkpoint-3.safetensors"]
    assert checkpoints.epochs(folder) == [2, 3]
    assert_equal(newest(folder), CHECKPOINTS[3])
    assert capsys.readouterr().err == ""


def test_a_folder_without_checkpoints(tmp_path):
    (tmp_path / "checkpoint-x.safetensors").write_text("")
    assert newest(tmp_path) is newest(tmp_path / "missing") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2] + b"?" + content[len(content) // 2 + 1 :],
    ],
)
def test_damage_is_reported_and_the_one_before_is_used(folder, damage, capsys):
    path = checkpoints.path_of(folder, 3)
    path.write_bytes(damage(path.read_bytes()))
    assert_equal(newest(folder), CHECKPOINTS[2])
    err = capsys.readouterr().err
    assert err.startswith(f"{path} is damaged")
    assert err.endswith("; not used\n")
    assert err.count("\n") == 1


def test_with_only_damaged_checkpoints_a_run_starts_over_and_says_so(folder, capsys):
    for epoch in (2, 3):
        checkpoints.path_of(folder, epoch).write_bytes(b"")
    assert newest(folder) is None
    assert capsys.readouterr().err.endswith("has no undamaged checkpoint; the run starts over\n")


def rewrite(folder, **changes):
    """Rewrites the newest checkpoint with another header, digests included."""
    path = checkpoints.path_of(folder, 3)
    content, header = files.read_arrays(path)
    header = {name: value for name, value in header.items() if name != "sha256"} | changes
    files.write_arrays(path, content, header)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": {"beta": 4}}, "belongs to another Config"),
        ({"config": CONFIG.to_dict() | {"seed": 1}}, "belongs to another Config"),
    ],
)
def test_a_checkpoint_of_other_code_is_refused_by_name(folder, changes, message):
    rewrite(folder, **changes)
    with pytest.raises(UserError, match=rf"checkpoint-3\.safetensors {message}; delete .* to train") as error:
        newest(folder)
    assert "\n" not in str(error.value)


def test_a_checkpoint_of_another_network_is_refused_by_name(folder):
    other = make_program(CONFIG, (8, 9))
    with pytest.raises(UserError, match=r"has \S+ F32\[.*\] instead of F32\[.*\], so other code wrote it; delete"):
        checkpoints.newest(folder, CONFIG, other)


def test_a_field_that_a_checkpoint_does_not_know_has_its_default(folder):
    old = {name: value for name, value in CONFIG.to_dict().items() if name != "clip_norm"}
    rewrite(folder, config=old)
    assert_equal(newest(folder), CHECKPOINTS[3])


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": 2},
        {"metrics": CHECKPOINTS[2].metrics},
        {"metrics": 3},
        {"timing": None},
        {"metrics": [{"epoch": 2}] * 3},
    ],
)
def test_a_checkpoint_that_contradicts_itself_is_damaged(folder, changes, capsys):
    rewrite(folder, **changes)
    assert_equal(newest(folder), CHECKPOINTS[2])
    assert "is damaged" in capsys.readouterr().err


def test_remove_all(folder):
    checkpoints.remove_all(folder, after=2)
    assert checkpoints.epochs(folder) == [2]
    checkpoints.remove_all(folder)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(UserError, match=r"^cannot write .*checkpoint-1\.safetensors"):
        checkpoints.write(tmp_path / "run", CONFIG, CHECKPOINTS[1])


def test_the_header_names_epoch_and_config(folder):
    with safetensors.safe_open(checkpoints.path_of(folder, 3), framework="numpy") as file:
        header = json.loads(file.metadata()["run"])
    assert (header["epoch"], header["config"]) == (3, CONFIG.to_dict())
