"""A workdir's files: whole or absent, read back as written, others' folders left alone, and damage a UserError."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_config import configs, values_of

from vae_jax.claims import results
from vae_jax.config import FIELDS, Config, Experiment
from vae_jax.errors import UserError
from vae_jax.files import write_json
from vae_jax.workdir import (
    DataIdentity,
    check_workdir,
    is_trained,
    read_config,
    read_experiment,
    read_identity,
    read_metrics,
    read_seconds,
    run_dir,
    write_config,
    write_metrics,
    write_record,
    write_timing,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


EXPERIMENT = Experiment(
    name="e", question="Why?", base=Config(num_epochs=2), grid={"hidden_dims": ((), (8, 4)), "seed": (0, 1)}
)
IDENTITY = DataIdentity("12ab", None, {"train": 10, "validation": 0, "test": 2})
RECORD = {"started": "2025-03-14T09:26:53+00:00", "wall_seconds": None}
ROWS = [{"epoch": n, "train_loss": 9.5 / n, "train_distortion": None} for n in (1, 2)]

names = st.from_regex(r"[\w(][\w ()+=,.-]{0,30}[\w)]", fullmatch=True)
# Any subset of the fields that do not exclude each other and take several values, each with some of its values.
EXCLUSIVE = {"lr_warmup_epochs", "num_epochs", "milestones", "importance_samples", "kl_warmup_epochs", "free_bits",
             "pixel_max", "image_size", "channels"}  # fmt: skip
grids = st.lists(st.sampled_from(sorted(set(FIELDS) - EXCLUSIVE)), unique=True, max_size=3)
grids = grids.flatmap(
    lambda names: st.fixed_dictionaries(
        {name: st.lists(values_of(FIELDS[name]), min_size=1, max_size=3).map(tuple) for name in names}
    )
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A folder that the examples of a property write over."""
    return tmp_path_factory.mktemp("scratch")


@given(names, st.text(), configs, grids, st.lists(st.text(), unique=True).map(tuple))
def test_an_experiment_reads_back_with_the_same_runs(scratch, name, question, base, grid, figures):
    experiment = Experiment(name=name, question=question, base=base, grid=grid, figures=figures)
    write_record(scratch, experiment, RECORD)
    back = read_experiment(scratch)
    assert back == experiment
    assert RECORD.items() <= json.loads((scratch / "experiment.json").read_text()).items()


@pytest.mark.parametrize("place", ["runs", "instruments", "runs/a", "runs/a/tensorboard", "results.csv"])
def test_a_link_that_may_lead_out_is_refused_by_name_and_the_workdir_may_be_one(tmp_path, place):
    outside, held = tmp_path / "outside", tmp_path / "workdir"
    outside.mkdir()
    write_record(outside / "real", EXPERIMENT, RECORD)
    held.symlink_to(outside / "real")
    check_workdir(held, EXPERIMENT)
    (held / place).parent.mkdir(parents=True, exist_ok=True)
    (held / place).symlink_to(outside)
    with pytest.raises(UserError, match=f"^{held / place} is a symbolic link and may lead out of the workdir; "):
        check_workdir(held, EXPERIMENT)


def test_empty_new_and_own_folders_are_claimed(tmp_path):
    check_workdir(tmp_path / "new", EXPERIMENT)
    check_workdir(tmp_path, EXPERIMENT)
    assert list(tmp_path.iterdir()) == []
    write_record(tmp_path, EXPERIMENT, RECORD)
    check_workdir(tmp_path, EXPERIMENT.override({"seed": (5, 6)}))


def test_folders_of_others_are_refused_and_left_alone(tmp_path):
    write_record(tmp_path / "other", Experiment(name="other", question="?"), RECORD)
    with pytest.raises(UserError, match="other holds experiment 'other', not 'e'; choose another --workdir"):
        check_workdir(tmp_path / "other", EXPERIMENT)
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match=r"cannot use workdir .*thesis\.tex: Not a directory"):
        check_workdir(tmp_path / "thesis.tex", EXPERIMENT)


@pytest.mark.parametrize(
    "name",
    ["results.csv", "report.html", "figures/loss.png", "runs/Jan01_12-00-00_host/events.out", "instruments/violin.wav",
     "Documents/thesis.tex", "checkpoints/last.ckpt"],
)  # fmt: skip
def test_what_may_be_another_programs_results_is_refused_and_left_alone(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    first = name.split("/")[0]
    message = f"{tmp_path} holds no experiment, but {first}, which another program may have left; choose another --work"
    with pytest.raises(UserError, match=f"^{re.escape(message)}"):
        check_workdir(tmp_path, EXPERIMENT)
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    "names",
    [
        ["log.txt", ".nfs0001", "lost+found/inode"], ["e.py", "__pycache__/e.cpython-311.pyc", ".git/HEAD"],
        ["runs/", "figures/", "data/"], ["runs/ae/config.json", "results.csv"], ["made.json", "figures/loss.png"],
    ],
)  # fmt: skip
def test_what_no_launch_writes_over_is_left_alone(tmp_path, forbid, names):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).write_text("mine")
    forbid(tmp_path / "lost+found")
    assert check_workdir(tmp_path, EXPERIMENT) == {}
    write_record(tmp_path, EXPERIMENT, RECORD)
    (tmp_path / "latest.log").symlink_to("log.txt")
    assert RECORD.items() <= check_workdir(tmp_path, EXPERIMENT).items()


def test_the_way_out_of_a_damaged_experiment_works(tmp_path):
    """What the message says, "delete it and launch again", is accepted beside the files that a launch leaves."""
    for name in ("runs", "instruments", "figures"):
        (tmp_path / name).mkdir()
    for name in ("results.csv", "report.html", "made.json", "experiment.json"):
        (tmp_path / name).write_text("")
    with pytest.raises(UserError, match=r"experiment\.json is damaged .*; delete it and launch again"):
        check_workdir(tmp_path, EXPERIMENT)
    (tmp_path / "experiment.json").unlink()
    check_workdir(tmp_path, EXPERIMENT)


@pytest.mark.parametrize("missing", ["config.json", "metrics.jsonl", "params.safetensors"])
def test_a_run_without_one_of_its_files_is_not_trained(tmp_path, missing):
    for name in ("config.json", "metrics.jsonl", "params.safetensors"):
        (tmp_path / name).write_text("")
    assert is_trained(tmp_path)
    (tmp_path / missing).unlink()
    assert not is_trained(tmp_path)


def test_no_experiment(tmp_path):
    with pytest.raises(UserError, match=r"holds no experiment \(it has no experiment.json\)"):
        read_experiment(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"experiment": 3}, {"grids": 3}, {"grids": [3]}, {"grids": [{"values": {}}]},
        *({"grids": [{"shown": True, "values": grid}]} for grid in (3, {"seed": 3}, {"seed": []}, {"beta": [4]})),
        {"base": []}, {"base": {"beta": 4}}, {"figures": 3},
        *({name: ...} for name in ("experiment", "question", "figures", "base", "grids")),
    ],
)  # fmt: skip
def test_a_damaged_experiment(tmp_path, changes):
    write_record(tmp_path, EXPERIMENT, RECORD)
    record = json.loads((tmp_path / "experiment.json").read_text()) | changes
    (tmp_path / "experiment.json").write_text(json.dumps({name: v for name, v in record.items() if v is not ...}))
    with pytest.raises(UserError, match=r"experiment\.json is damaged .*; delete it and launch again"):
        read_experiment(tmp_path)


def write_run(folder, rows=ROWS):
    """A run's folder with its Config of two epochs and these metrics."""
    folder.mkdir(exist_ok=True)
    write_config(folder, EXPERIMENT.base, IDENTITY)
    write_metrics(folder, rows)
    return folder


def test_a_config_reads_back_with_the_identity_of_its_data(tmp_path):
    write_config(tmp_path, EXPERIMENT.base, IDENTITY)
    assert read_config(tmp_path) == EXPERIMENT.base
    assert read_identity(tmp_path) == IDENTITY
    # The file of a run whose images have no factors does not name them.
    assert json.loads((tmp_path / "config.json").read_text())["data"] == {
        "sha256": "12ab", "labels_sha256": None, "counts": {"train": 10, "validation": 0, "test": 2},
    }  # fmt: skip
    write_config(tmp_path, EXPERIMENT.base, IDENTITY._replace(factors_sha256="f"))
    assert read_identity(tmp_path).factors_sha256 == "f"


@pytest.mark.parametrize("data", [None, {}, {"sha256": "1"}, {"beta": 1}, [1, 2, 3]])
def test_a_damaged_identity(tmp_path, data):
    write_json(tmp_path / "config.json", {"config": EXPERIMENT.base.to_dict(), "data": data})
    with pytest.raises(UserError, match=r"config\.json is damaged .*; restore it, or move .* away and launch again$"):
        read_config(tmp_path)


def test_metrics_are_one_line_of_json_per_epoch(tmp_path):
    assert read_metrics(write_run(tmp_path)) == ROWS
    assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().split("\n")[:-1]] == ROWS


@pytest.mark.parametrize(
    "rows",
    [
        [], ROWS[:1], ROWS[1:], ROWS[::-1], [*ROWS, ROWS[1]], [*ROWS, {**ROWS[0], "epoch": 3}], [ROWS[0], []],
        [{"epoch": 1}, {"epoch": 2}], [ROWS[0], {**ROWS[1], "train_loss": "9"}],
        [ROWS[0], {**ROWS[1], "train_rate": {}}], [{**ROWS[0], "diverged": True}, ROWS[1]],
        [{**ROWS[0], "stopped": True}, ROWS[1]], [{**ROWS[0], "stopped": 1}],
        [{**ROWS[0], "stopped": True, "diverged": True}],
    ],
)  # fmt: skip
def test_metrics_that_are_not_one_object_per_epoch(tmp_path, rows):
    with pytest.raises(UserError, match=rf"metrics\.jsonl is damaged .*; restore it, or move {tmp_path} away"):
        read_metrics(write_run(tmp_path, rows))


@pytest.mark.parametrize(
    ("before", "after"), [("", "\n"), ("", "\r\n  \n\t\n"), ("\n", ""), ("\ufeff", ""), ("\ufeff", "\n\n")]
)  # fmt: skip
def test_what_an_editor_adds_to_metrics_and_times_is_read_over(tmp_path, before, after):
    write_run(tmp_path)
    write_timing(tmp_path, [{"epoch": n, "seconds": 1.5} for n in (1, 2)])
    for name in ("metrics.jsonl", "timing.jsonl"):
        path = tmp_path / name
        path.write_bytes((before + path.read_text() + after).encode())
    assert read_metrics(tmp_path) == ROWS
    assert read_seconds(tmp_path) == 3.0
    path = tmp_path / "config.json"
    path.write_bytes(("\ufeff" + path.read_text()).encode())
    assert read_config(tmp_path) == EXPERIMENT.base


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "timing.jsonl", "evaluation.json"])
@pytest.mark.parametrize("content", [b"{", b"\xff", b"3", b"[[1]]"])
def test_nobody_is_told_to_delete_parameters_beside_a_damaged_file(tmp_path, name, content):
    write_run(tmp_path)
    (tmp_path / name).write_bytes(content)
    read = {
        "config.json": read_config, "metrics.jsonl": read_metrics, "timing.jsonl": read_seconds,
        "evaluation.json": lambda run: results._read(run / "evaluation.json"),
    }[name]  # fmt: skip
    with pytest.raises(UserError, match=rf"^{tmp_path / name} is damaged ") as caught:
        read(tmp_path)
    # Without times a launch goes on, and it makes an evaluation again; without another file it trains the run again.
    ways_out = {True: "; delete it and launch again", False: f"; restore it, or move {tmp_path} away and launch again"}
    assert str(caught.value).endswith(ways_out[name in ("timing.jsonl", "evaluation.json")])


@st.composite
def damaged(draw, text):
    """The text with some bytes cut out or replaced, or the JSON in it with one of its values replaced."""
    if draw(st.booleans()):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, len(text)))
        return text[:start].encode() + draw(st.binary(max_size=20)) + text[end:].encode()
    value = json.loads(text)
    place = value
    while isinstance(place, (dict, list)) and place:
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if draw(st.booleans()) or not isinstance(place[key], (dict, list)) or not place[key]:
            place[key] = draw(json_values | st.just(10**400) | st.just(float("nan")))
            break
        place = place[key]
    return json.dumps(value).encode()


@given(st.data())
def test_damaged_files_load_or_are_a_user_error(scratch, data):
    write_record(scratch, EXPERIMENT, RECORD)
    files = {
        read_experiment: scratch / "experiment.json",
        read_config: write_run(run_dir(scratch, EXPERIMENT.base).parent) / "config.json",
        read_metrics: scratch / "runs" / "metrics.jsonl",
    }
    read, path = data.draw(st.sampled_from(list(files.items())))
    lines = path.read_text().split("\n{")[0]  # of metrics.jsonl, the first line
    path.write_bytes(data.draw(damaged(lines)) + path.read_text()[len(lines) :].encode())
    message = f"{path.parent}"
    try:
        read(path.parent)
    except UserError as error:
        message = str(error)
    assert str(path.parent) in message
    assert "\n" not in message
