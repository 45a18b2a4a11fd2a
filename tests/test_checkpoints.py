"""What a training goes on from: whole, or said to be damaged and not used; of other code, refused by name."""

import dataclasses
import json
import re
import shutil

import jax
import numpy as np
import pytest

from vae_jax import checkpoints, sweeps, training
from vae_jax.checkpoints import Checkpoint, Saver
from vae_jax.config import Config, expand
from vae_jax.files import UserError
from vae_jax.models import make_model
from vae_jax.workdir import is_trained, run_dir

CONFIGS = expand(Config(hidden_dims=(4,), num_epochs=5, batch_size=1024), {"seed": (0, 1), "kl_weight": (0.5, 2.0)})


def make(epoch):
    """A checkpoint after so many epochs, with other numbers each time."""
    model = make_model(CONFIGS[0], (28, 28))
    states = jax.tree.map(np.asarray, training.init_states(model, training.hyperparameters(CONFIGS)))
    states = states._replace(params=jax.tree.map(lambda leaf: leaf + np.float32(epoch), states.params))
    metrics = [[{"epoch": e, "train_loss": e / 3 + index} for e in range(1, epoch + 1)] for index in range(4)]
    timing = [{"epoch": e, "seconds": 0.1, "images_per_second": 3.0} for e in range(1, epoch + 1)]
    return Checkpoint(epoch, list(CONFIGS), (28, 28), metrics, timing, states)


def assert_equal(found, expected):
    assert found[:5] == expected[:5]
    leaves = zip(jax.tree.leaves(found.states), jax.tree.leaves(expected.states), strict=True)
    for a, b in leaves:
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)


def save(workdir, *epochs):
    saver = Saver(workdir, CONFIGS, 0)
    for epoch in epochs:
        saver.save(make(epoch))
    saver.wait()
    return saver.folder


@pytest.fixture(scope="module")
def saved_once(tmp_path_factory):
    return save(tmp_path_factory.mktemp("saved"), 2, 3)


@pytest.fixture
def folder(saved_once, tmp_path):
    return shutil.copytree(saved_once, tmp_path / "checkpoints" / saved_once.name)


def test_the_newest_comes_back_as_it_was_and_two_are_kept(tmp_path, capsys):
    folder = save(tmp_path, 1, 2, 3)
    assert folder == checkpoints.folder_of(tmp_path, CONFIGS)
    assert sorted(path.name for path in folder.iterdir()) == ["2", "3"]
    assert checkpoints.members(folder) == list(CONFIGS)
    assert_equal(checkpoints.newest(folder), make(3))
    assert capsys.readouterr().err == ""


def test_some_runs_of_a_checkpoint():
    whole = make(2)
    part = whole.of([CONFIGS[3], CONFIGS[1]])
    assert part.metrics == [whole.metrics[3], whole.metrics[1]]
    expected = jax.tree.map(lambda leaf: leaf[[3, 1]], whole.states)
    assert_equal(part, whole._replace(configs=[CONFIGS[3], CONFIGS[1]], metrics=part.metrics, states=expected))


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def empty(path):
    path.write_bytes(b"")


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, empty, flip_a_bit, lambda path: path.unlink()])
def test_of_a_damaged_one_nothing_is_used(folder, saved_once, damage, capsys):
    """Each of its files: either its damage is found and said, or it holds nothing that is used."""
    found_damaged = []
    for path in sorted(path.relative_to(folder) for path in (folder / "3").rglob("*") if path.is_file()):
        damage(folder / path)
        checkpoint, said = checkpoints.newest(folder), capsys.readouterr().err
        if said:
            assert re.fullmatch(rf"{folder}/3 is damaged \(.*\) and not used\n", said), said
            found_damaged.append(str(path))
        assert_equal(checkpoint, make(2 if said else 3))
        shutil.copy(saved_once / path, folder / path)
    assert "3/record/metadata" in found_damaged
    assert any("/d/" in path for path in found_damaged)  # the arrays


def test_half_a_directory_is_not_used(folder, capsys):
    shutil.rmtree(folder / "3" / "states")
    assert_equal(checkpoints.newest(folder), make(2))
    assert "3 is damaged (its arrays cannot be read" in capsys.readouterr().err


def test_where_none_is_whole_the_runs_start_over_and_it_is_said(folder, tmp_path, capsys):
    for step in ("2", "3"):
        flip_a_bit(folder / step / "record" / "metadata")
    assert checkpoints.members(folder) == []
    sweeps.train_due(CONFIGS[:1], tmp_path)
    err = capsys.readouterr().err
    assert f"{folder}/3 is damaged" in err
    assert f"no checkpoint in {folder} is whole: its runs start over" in err
    assert is_trained(run_dir(tmp_path, CONFIGS[0]))


def test_leftovers_of_a_save_that_was_cut_off_are_removed(folder, tmp_path):
    leftover = folder / "4.orbax-checkpoint-tmp" / "states"
    leftover.mkdir(parents=True)
    (folder / "7").mkdir()  # damaged, and later than what is gone on from
    (folder / "4").write_text("")  # where the next one will be
    saver = Saver(tmp_path, CONFIGS, 3)
    assert sorted(path.name for path in folder.iterdir()) == ["2", "3"]
    saver.remove()
    assert not (tmp_path / "checkpoints").exists()


def rewrite(folder, change):
    """A record that was changed by who knows how to make its checksum."""
    path = folder / "3" / "record" / "metadata"
    record = json.loads(path.read_text())
    del record["sha256"]
    change(record)
    path.write_text(json.dumps(record | {"sha256": checkpoints._digest(record)}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(format=2), r"has format 2, this code reads 1; delete it"),
        (lambda r: r["configs"][0].update(beta=1.0), r"is of other code: .*'beta'.*; delete it"),
        (lambda r: r["configs"][0].update(latent_dim=-1), r"is of other code: latent_dim .*; delete it"),
        (
            lambda r: r["arrays"].update({"step": "int64[4]"}),
            r"is of other code: step is int64\[4\] there and int32\[4\] here; delete it",
        ),
        (lambda r: r["arrays"].update(moment="float32[4]"), r"is of other code: moment is float32\[4\] there and None"),
        (lambda r: [c.update(hidden_dims=[5]) for c in r["configs"]], r"is of other code: .* is float32.* there and"),
        (lambda r: [c.update(optimizer="sgd") for c in r["configs"]], r"is of other code: "),
    ],
)
def test_one_of_other_code_is_refused_by_name(folder, change, message):
    rewrite(folder, change)
    with pytest.raises(UserError, match=message) as caught:
        checkpoints.newest(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.update(epoch=2),
        lambda r: r.update(configs=[]),
        lambda r: r.update(configs=3),
        lambda r: r.pop("arrays_sha256"),
        lambda r: r.update(arrays_sha256="0"),
        lambda r: r.update(image_shape=[1 << 40, 1 << 40]),
        lambda r: r.update(image_shape=[28]),
        lambda r: r["configs"][0].update(latent_dim=3),  # no group
        lambda r: r["metrics"][1].pop(),
        lambda r: r["metrics"][1][0].update(epoch=2),
        lambda r: r["timing"].pop(),
    ],
)
def test_one_that_says_what_cannot_be_is_not_used(folder, change, capsys):
    rewrite(folder, change)
    assert_equal(checkpoints.newest(folder), make(2))
    assert "3 is damaged" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "checkpoints").write_text("")
    with pytest.raises(UserError, match=r"^cannot write .*checkpoints.*; make room or choose another place$"):
        save(tmp_path, 1)


def test_a_save_that_fails_is_told_by_the_next_and_harms_none_before(folder, tmp_path):
    saver = Saver(tmp_path, CONFIGS, 3)
    broken = make(4)._replace(metrics=[[{"epoch": 1, "train_loss": dataclasses}]])  # no JSON
    saver.save(broken)
    with pytest.raises(TypeError):
        saver.wait()
    assert_equal(checkpoints.newest(folder), make(3))
