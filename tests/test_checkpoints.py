"""A checkpoint comes back as it was; damage is reported and the run starts over; other code's is refused."""

import jax
import numpy as np
import pytest

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


CHECKPOINT = make(3)


def assert_equal(found, expected):
    assert found[:3] == expected[:3]
    assert jax.tree.structure(found.state) == jax.tree.structure(expected.state)
    for a, b in zip(jax.tree.leaves(found.state), jax.tree.leaves(expected.state), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def folder(tmp_path):
    for epoch in (1, 3):
        checkpoints.write(tmp_path / "run", CONFIG, make(epoch))
    return tmp_path / "run"


def read(folder):
    return checkpoints.read(folder, CONFIG, PROGRAM)


def test_the_last_comes_back(folder, capsys):
    assert [path.name for path in folder.iterdir()] == ["checkpoint.safetensors"]
    assert checkpoints.epochs_done(folder) == 3
    assert_equal(read(folder), CHECKPOINT)
    assert capsys.readouterr().err == ""


def test_a_folder_without_a_checkpoint(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        assert read(folder) is None
        assert checkpoints.epochs_done(folder) == 0


def test_a_checkpoint_that_may_not_be_read_is_not_taken_for_missing(folder, forbid):
    """Or days of training would start over, and write over it."""
    forbid(checkpoints.path_of(folder))
    with pytest.raises(UserError, match=r"^cannot read .*checkpoint\.safetensors: Permission denied$"):
        read(folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2] + b"?" + content[len(content) // 2 + 1 :],
    ],
)
def test_with_a_damaged_checkpoint_a_run_starts_over_and_says_so(folder, damage, capsys):
    path = checkpoints.path_of(folder)
    path.write_bytes(damage(path.read_bytes()))
    assert read(folder) is None
    err = capsys.readouterr().err
    assert err.startswith(f"{path} is damaged")
    assert err.endswith("; the run starts over\n")
    assert err.count("\n") == 1


def rewrite(folder, **changes):
    """Rewrites the checkpoint with another header, digests included."""
    path = checkpoints.path_of(folder)
    content, header = files.read_arrays(path)
    header = {name: value for name, value in header.items() if name != "sha256"} | changes
    files.write_arrays(path, content, header)


@pytest.mark.parametrize("config", [{"beta": 4}, CONFIG.to_dict() | {"seed": 1}])
def test_a_checkpoint_of_other_code_is_refused_by_name(folder, config):
    rewrite(folder, config=config)
    with pytest.raises(
        UserError, match=r"checkpoint\.safetensors belongs to another Config, .*; delete it to"
    ) as error:
        read(folder)
    assert "\n" not in str(error.value)


def test_a_checkpoint_of_another_network_is_refused_by_name(folder):
    other = make_program(CONFIG, (8, 9))
    with pytest.raises(UserError, match=r"has \S+ F32\[.*\] instead of F32\[.*\], so other code wrote it; delete"):
        checkpoints.read(folder, CONFIG, other)


def test_a_field_that_a_checkpoint_does_not_know_has_its_default(folder):
    old = {name: value for name, value in CONFIG.to_dict().items() if name != "clip_norm"}
    rewrite(folder, config=old)
    assert_equal(read(folder), CHECKPOINT)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(UserError, match=r"^cannot write .*checkpoint\.safetensors"):
        checkpoints.write(tmp_path / "run", CONFIG, CHECKPOINT)


def test_the_header_names_epoch_and_config(folder):
    header = files.read_header(checkpoints.path_of(folder))
    assert (header["epoch"], header["config"]) == (3, CONFIG.to_dict())
