"""The host loop: runs are trained once and whole, resume exactly, on any number of devices; failures stay alone."""

import dataclasses
import functools
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import jax
import numpy as np
import pytest

from vae_jax import measure
from vae_jax.config import Config, ConfigError, expand
from vae_jax.data import identity
from vae_jax.errors import UserError
from vae_jax.files import read_arrays, write_json
from vae_jax.launch import sweeps
from vae_jax.launch.sweeps import Failure, Options, train_and_evaluate
from vae_jax.session import Progress, Stop, StoppedError
from vae_jax.training import checkpoints, chunks, journal, resolve, runs, step
from vae_jax.workdir import is_trained, read_metrics, read_timing, run_dir

ROOT = Path(__file__).resolve().parents[1]
BASE = Config(hidden_dims=(), num_epochs=4, batch_size=1024)
GRID = (  # two programs of two runs
    *expand(BASE, {"kl_warmup_epochs": (0.0, 3.0)}),
    *expand(BASE, {"model": ("ae",), "seed": (0, 1)}),
)
TRAIN = Options(evaluate="never")


def train(configs, workdir, options=TRAIN, **kwargs):
    """Trains without evaluation; every run must succeed."""
    assert train_and_evaluate(configs, workdir, options, **kwargs) == []


def files(workdir):
    """The content of all files that a Config determines."""
    return {
        str(path.relative_to(workdir)): path.read_bytes()
        for path in sorted(workdir.rglob("*"))
        if path.is_file() and path.name != "timing.jsonl"
    }


def files_of(configs, workdir):
    """Those of some runs."""
    names = [config.name for config in configs]
    return {name: content for name, content in files(workdir).items() if name.split("/")[1] in names}


class StopAfter(Stop):
    """Requests a stop at an epoch, counted over all runs."""

    def __init__(self, epoch):
        super().__init__()
        self.left, self.passed = epoch, False

    def count(self):
        self.left -= 1
        if self.left == 0:
            self.signum = 15


@pytest.fixture
def stop_after(monkeypatch):
    """Makes Stops that count the epochs of all journals."""
    stops = []
    add = journal.Journal.add

    def count(self, *args):
        add(self, *args)
        if stops:
            stops[-1].count()

    monkeypatch.setattr(journal.Journal, "add", count)
    return lambda epoch: stops.append(StopAfter(epoch)) or stops[-1]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    train(GRID, folder)
    return folder


def test_files_of_a_run(uninterrupted):
    assert {path.name for path in (uninterrupted / "runs").iterdir()} == {config.name for config in GRID}
    for config in GRID:
        names = {path.name for path in run_dir(uninterrupted, config).iterdir()}
        assert names == {"config.json", "metrics.jsonl", "params.safetensors", "timing.jsonl"}


@pytest.mark.parametrize("epochs", [(1, 1, 3), (6, 4)])
def test_stopped_and_launched_again_ends_as_if_it_had_not_been_stopped(tmp_path, uninterrupted, stop_after, epochs):
    for epoch in epochs:
        stop = stop_after(epoch)
        with pytest.raises(StoppedError) as error:
            train(GRID, tmp_path, stop=stop)
        assert error.value.exit_code == 143
        assert files(tmp_path) != files(uninterrupted)
    train(GRID, tmp_path)
    assert files(tmp_path) == files(uninterrupted)


def test_a_run_resumes_from_its_own_epoch(tmp_path, stop_after, monkeypatch):
    with pytest.raises(StoppedError):
        train(GRID[:1], tmp_path, stop=stop_after(3))
    folder = run_dir(tmp_path, GRID[0])
    assert checkpoints.epochs_done(folder) == 3
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 3
    started = []
    add = journal.Journal.add
    monkeypatch.setattr(journal.Journal, "add", lambda self, *args: started.append(self.epoch) or add(self, *args))
    train(GRID[:1], tmp_path)
    assert started == [3]


def test_every_epoch_may_have_a_checkpoint_and_the_last_is_kept(tmp_path, uninterrupted, monkeypatch):
    kept = []
    finish = journal.Journal.finish

    def look_and_finish(self, states):
        kept.append(checkpoints.epochs_done(self.runs[0].folder))
        finish(self, states)

    monkeypatch.setattr(journal.Journal, "finish", look_and_finish)
    train(GRID, tmp_path, TRAIN._replace(checkpoint_every_seconds=0))
    assert kept == [3] * 4
    assert files(tmp_path) == files(uninterrupted)


def test_a_finished_run_is_not_trained_again(uninterrupted, monkeypatch):
    monkeypatch.setattr(chunks, "train", None)
    before = {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("*")}
    train(GRID, uninterrupted)
    assert {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("*")} == before


def test_adding_values_trains_only_the_new_runs(tmp_path, uninterrupted):
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    more = [dataclasses.replace(GRID[0], seed=1), *GRID]
    train(more, tmp_path)
    assert is_trained(run_dir(tmp_path, more[0]))
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_without_training_nothing_is_trained(tmp_path):
    train(GRID, tmp_path, TRAIN._replace(train=False))
    assert files(tmp_path) == {}


def test_runs_trained_together_are_saved_and_resumed_one_by_one(tmp_path, stop_after):
    options = TRAIN._replace(runs_per_device=2)
    train(GRID[2:], tmp_path / "whole", options)
    for row in read_timing(run_dir(tmp_path / "whole", GRID[2])):  # its share of the time, in which it saw all images
        assert row["images_per_second"] * row["seconds"] == pytest.approx(3667)
    with pytest.raises(StoppedError):
        train(GRID[2:], tmp_path / "stopped", options, stop=stop_after(2))
    assert [checkpoints.epochs_done(run_dir(tmp_path / "stopped", config)) for config in GRID[2:]] == [2, 2]
    train(GRID[2:], tmp_path / "stopped", options)
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")


def test_runs_of_different_epochs_continue_in_one_chunk(tmp_path, stop_after):
    """vmap rounds differently, so only what was trained alone is compared bit for bit."""
    with pytest.raises(StoppedError):
        train(GRID[2:3], tmp_path, stop=stop_after(2))
    train(GRID[2:], tmp_path, TRAIN._replace(runs_per_device=2))
    train(GRID[2:], tmp_path / "alone")
    for config in GRID[2:]:
        name = f"runs/{config.name}/params.safetensors"
        assert (tmp_path / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


# Runs of one program on two forced CPU devices.
ON_DEVICES = """
import sys
from pathlib import Path
import jax
jax.config.update("jax_num_cpu_devices", 2)
sys.path.insert(0, "tests")
from test_sweeps import GRID, TRAIN
from vae_jax.launch.sweeps import train_and_evaluate
from vae_jax.training import chunks
used, train = set(), chunks.train
chunks.train = lambda *args: used.add(chunks._device()) or train(*args)
assert train_and_evaluate(GRID[2:], Path(sys.argv[1]), TRAIN) == []
assert used == set(jax.local_devices())
assert len(used) == 2
"""


def test_several_devices_give_the_same_runs_as_one(tmp_path, uninterrupted):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", ON_DEVICES, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert files(tmp_path) == files_of(GRID[2:], uninterrupted)


@pytest.fixture
def little_memory(monkeypatch):
    """A device that does not take two runs at once; records which numbers of runs were tried."""
    tried = []
    train_one_epoch = chunks._train_one_epoch

    def train_with_little_memory(compiled, states, hyperparameters, images, own_journal):
        count = len(own_journal.runs)
        if count not in tried:
            tried.append(count)
        if count > 1:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
        return train_one_epoch(compiled, states, hyperparameters, images, own_journal)

    monkeypatch.setattr(chunks, "_train_one_epoch", train_with_little_memory)
    monkeypatch.setattr(chunks, "_most_at_once", {})
    return tried


SEEDS = expand(BASE, {"model": ("ae",), "seed": (0, 1, 2, 3, 4)})


def test_a_device_without_room_for_all_runs_takes_half(tmp_path, little_memory, capsys):
    train(SEEDS[:2], tmp_path, TRAIN._replace(runs_per_device=64))
    assert little_memory == [2, 1]
    assert "no memory for 2 runs at once" in capsys.readouterr().err
    assert all(is_trained(run_dir(tmp_path, config)) for config in SEEDS[:2])


def test_how_many_runs_a_device_takes_is_found_once(tmp_path, monkeypatch):
    tried = []

    def train_together(members, *args):
        tried.append([run.config.seed for run in members])
        if len(members) > 2:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    monkeypatch.setattr(chunks, "_train_together", train_together)
    monkeypatch.setattr(chunks, "_most_at_once", {})
    train(SEEDS, tmp_path, TRAIN._replace(runs_per_device=64))
    train(SEEDS[:3], tmp_path, TRAIN._replace(runs_per_device=64))
    assert tried == [[0, 1, 2, 3, 4], [0, 1], [2, 3], [4], [0, 1], [2]]


def test_on_a_cpu_runs_are_trained_one_at_a_time(tmp_path, little_memory):
    train(SEEDS[:3], tmp_path)
    assert little_memory == [1]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: x"), r"no memory on the device for vae-\S+"),
        (jax.errors.JaxRuntimeError("INTERNAL: broken\nmore"), "JaxRuntimeError: INTERNAL: broken more"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (UserError("no room"), "no room"),
    ],
)
def test_a_run_that_cannot_be_trained_is_recorded_and_the_others_go_on(tmp_path, monkeypatch, error, reason):
    train_together, attempts = chunks._train_together, []

    def break_one(members, *args):
        if members[0].config == GRID[1]:
            attempts.append(members)
            raise error
        train_together(members, *args)

    monkeypatch.setattr(chunks, "_train_together", break_one)
    failures = train_and_evaluate(GRID[:3], tmp_path, TRAIN)
    assert [failure.run for failure in failures] == [GRID[1].name]
    assert re.fullmatch(reason, failures[0].reason)
    assert "failed" in (run_dir(tmp_path, GRID[1]) / "failed.json").read_text()
    assert [is_trained(run_dir(tmp_path, config)) for config in GRID[:3]] == [True, False, True]
    is_users = isinstance(error, UserError) or "RESOURCE" in str(error)
    assert len(attempts) == (1 if is_users else sweeps.ATTEMPTS)  # a user must act first, or it may be chance
    monkeypatch.undo()
    train(GRID[:3], tmp_path)
    assert not (run_dir(tmp_path, GRID[1]) / "failed.json").exists()


def test_a_run_that_cannot_be_evaluated_is_returned_and_the_others_go_on(uninterrupted, tmp_path, monkeypatch):
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    evaluated = []

    def evaluate_run(folder, **kwargs):
        evaluated.append(folder.name)
        return {"failed": "no digits"} if folder.name == GRID[0].name else {}

    monkeypatch.setattr(measure, "evaluate_run", evaluate_run)
    monkeypatch.setattr(measure, "is_current", lambda folder, samples: False)
    failures = train_and_evaluate(GRID, tmp_path)
    assert failures == [Failure(GRID[0].name, "evaluation: no digits")]
    assert sorted(evaluated) == sorted(config.name for config in GRID)


@pytest.mark.parametrize(("evaluate", "expected"), [("due", 1), ("again", 2), ("never", 0)])
def test_which_runs_are_evaluated(uninterrupted, tmp_path, monkeypatch, evaluate, expected):
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    evaluated = []
    monkeypatch.setattr(measure, "evaluate_run", lambda folder, **kwargs: evaluated.append(folder) or {})
    monkeypatch.setattr(measure, "is_current", lambda folder, samples: folder.name == GRID[1].name)
    assert train_and_evaluate(GRID[:2], tmp_path, Options(evaluate=evaluate)) == []
    assert len(evaluated) == expected


@pytest.mark.parametrize(("asked", "expected"), [(None, 7), (3, 3)])
def test_a_launch_keeps_the_number_of_samples_in_use_unless_it_is_told_another(
    uninterrupted, tmp_path, monkeypatch, asked, expected
):
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    write_json(run_dir(tmp_path, GRID[0]) / "evaluation.json", {"evaluation": {"num_likelihood_samples": 7}})
    samples = []
    monkeypatch.setattr(
        measure, "evaluate_run", lambda folder, **kwargs: samples.append(kwargs["num_likelihood_samples"]) or {}
    )
    assert train_and_evaluate(GRID[:2], tmp_path, Options(num_likelihood_samples=asked)) == []
    assert samples == [expected, expected]


@pytest.mark.parametrize("executor", [None, ThreadPoolExecutor(1)], ids=["here", "elsewhere"])
def test_what_has_finished_is_seen_while_others_are_evaluated(uninterrupted, tmp_path, monkeypatch, executor):
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    seen, finished = [], threading.Event()

    def evaluate_run(folder, **kwargs):
        assert not seen or finished.wait(60)
        write_json(folder / "evaluation.json", {"test_loss": 1.0})
        seen.append(folder.name)
        return {}

    def meanwhile():
        if (run_dir(tmp_path, GRID[0]) / "evaluation.json").exists():
            finished.set()

    monkeypatch.setattr(measure, "evaluate_run", evaluate_run)
    failures = train_and_evaluate(
        GRID[:2], tmp_path, Options(runs_per_device=2), executor=executor, meanwhile=meanwhile
    )
    assert failures == []
    assert seen == [config.name for config in GRID[:2]]


@pytest.mark.parametrize(("evaluate", "expected"), [("due", 1), ("never", 0)])
def test_evaluation_is_prepared_once_as_training_begins(tmp_path, monkeypatch, evaluate, expected):
    prepared = []
    monkeypatch.setattr(measure, "prepare", lambda: prepared.append(list(tmp_path.glob("runs/*/params*"))))
    monkeypatch.setattr(measure, "evaluate_run", lambda folder, **kwargs: {})
    assert train_and_evaluate(GRID[:2], tmp_path, Options(evaluate=evaluate)) == []
    assert prepared == [[]] * expected


def test_a_training_that_died_resumes_from_its_last_checkpoint(tmp_path, uninterrupted, monkeypatch):
    train_one_epoch = chunks._train_one_epoch

    def die(compiled, states, hyperparameters, images, own_journal):
        if own_journal.epoch == 3:
            raise UserError("the machine is gone")
        return train_one_epoch(compiled, states, hyperparameters, images, own_journal)

    monkeypatch.setattr(chunks, "_train_one_epoch", die)
    failures = train_and_evaluate(GRID, tmp_path, TRAIN._replace(checkpoint_every_seconds=0))
    assert len(failures) == 4
    assert list(tmp_path.rglob("params.safetensors")) == []
    monkeypatch.undo()
    train(GRID, tmp_path)
    assert files(tmp_path) == files(uninterrupted)


def test_a_folder_that_vanishes_is_one_line_and_not_half_made_again(tmp_path, monkeypatch):
    add = journal.Journal.add

    def vanish(self, *args):
        add(self, *args)
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)

    monkeypatch.setattr(journal.Journal, "add", vanish)
    (failure,) = train_and_evaluate(GRID[:1], tmp_path, TRAIN)
    assert re.fullmatch(rf"{tmp_path}/runs/\S+ has vanished or was emptied; launch again", failure.reason)
    assert not any(tmp_path.rglob("metrics.jsonl"))


def test_a_worker_that_was_given_up_leaves_a_finished_run_alone(tmp_path, uninterrupted, monkeypatch):
    """Another worker finishes the run while this one is in its second epoch."""
    add = journal.Journal.add
    target = run_dir(tmp_path, GRID[0])

    def finish_elsewhere(self, *args):
        add(self, *args)
        if self.epoch == 2:
            shutil.rmtree(target)
            shutil.copytree(run_dir(uninterrupted, GRID[0]), target)
            self.write()

    monkeypatch.setattr(journal.Journal, "add", finish_elsewhere)
    train(GRID[:1], tmp_path)
    assert files(tmp_path) == files_of(GRID[:1], uninterrupted)


def test_a_checkpoint_is_kept_until_there_is_a_later_one(tmp_path, stop_after, monkeypatch):
    with pytest.raises(StoppedError):
        train(GRID[2:3], tmp_path, stop=stop_after(2))

    def lost(*_):
        raise UserError("the machine is gone")

    monkeypatch.setattr(journal.Journal, "add", lost)
    assert train_and_evaluate(GRID[2:3], tmp_path, TRAIN) == [Failure(GRID[2].name, "the machine is gone")]
    assert checkpoints.epochs_done(run_dir(tmp_path, GRID[2])) == 2


def test_a_run_that_another_worker_has_finished_does_not_end_those_that_train_with_it(
    tmp_path, uninterrupted, monkeypatch
):
    first, add = GRID[2], journal.Journal.add

    def finish_elsewhere(self, *args):
        shutil.copytree(run_dir(uninterrupted, first), run_dir(tmp_path, first), dirs_exist_ok=True)
        monkeypatch.setattr(journal, "METRICS_EVERY_SECONDS", 0)
        add(self, *args)

    monkeypatch.setattr(journal.Journal, "add", finish_elsewhere)
    train(GRID[2:], tmp_path, TRAIN._replace(runs_per_device=2))
    assert [is_trained(run_dir(tmp_path, config)) for config in GRID[2:]] == [True, True]


FULL = """
import resource, sys
from pathlib import Path
from vae_jax.launch import sweeps
sys.path.insert(0, "tests")
from test_sweeps import GRID, TRAIN
for size in sys.argv[2:]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), resource.RLIM_INFINITY))
    options, workdir = TRAIN._replace(checkpoint_every_seconds=0), Path(sys.argv[1], size)
    for failure in sweeps.train_and_evaluate(GRID[:2], workdir, options):
        print(size, failure.reason)
"""
SIZES = "100", "1000", "20000"  # bytes: config.json, metrics.jsonl, a checkpoint find no room


@pytest.fixture(scope="module")
def full(tmp_path_factory, uninterrupted):
    """The folder of workdirs by the size beyond which no file could grow, and what was said of each size."""
    folder = tmp_path_factory.mktemp("full")
    done = subprocess.run([sys.executable, "-c", FULL, folder, *SIZES], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return folder, [line.split(" ", 1) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("size", SIZES)
def test_a_full_disk_is_one_line_and_with_room_the_same_command_finishes(tmp_path, uninterrupted, full, size):
    shutil.copytree(full[0] / size, tmp_path, dirs_exist_ok=True)
    reasons = [reason for of_size, reason in full[1] if of_size == size]
    assert len(reasons) == 2
    for reason in reasons:
        assert re.fullmatch(r"cannot write .*: File too large; make room .*", reason)
    assert not any(".tmp" in name for name in files(tmp_path))
    train(GRID, tmp_path)
    assert files(tmp_path) == files(uninterrupted)


def changed(dataset, **changes):
    train_split = dataset.train._replace(images=255 - dataset.train.images)
    return dataset._replace(train=train_split, provenance=dataset.provenance | changes)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"sha256": "0"}, "pixels"),
        ({"labels_sha256": "0"}, "labels"),
        ({"factors_sha256": "0"}, "factors"),
        ({"counts": {"train": 1, "validation": 1, "test": 1}}, "splits"),
    ],
)
def test_runs_of_other_data_are_refused_by_name(tmp_path, uninterrupted, stop_after, monkeypatch, changes, what):
    with pytest.raises(StoppedError):
        train(GRID[:1], tmp_path, stop=stop_after(1))
    dataset = changed(identity.load_dataset(GRID[0]), **changes)
    for module in (runs, identity, resolve):
        monkeypatch.setattr(module, "load_dataset", lambda config, data_dir=None: dataset)
    for workdir in (tmp_path, uninterrupted):  # a run to resume, and a finished one
        with pytest.raises(UserError, match=rf"^{GRID[0].name} was trained on other data: the {what} of mnist_5k"):
            train(GRID[:1], workdir)
    with pytest.raises(UserError, match="was trained on other data"):
        runs.dataset_of(runs.load_run(run_dir(uninterrupted, GRID[0])))


def test_the_whole_grid_is_checked_before_the_first_step(tmp_path, monkeypatch):
    dataset = identity.load_dataset(GRID[0])
    tiny = dataset._replace(train=dataset.train._replace(images=dataset.train.images[:, :3, :3]))
    monkeypatch.setattr(identity, "load_dataset", lambda config, data_dir=None: tiny)
    configs = expand(BASE, {"architecture": ("mlp", "conv")})
    with pytest.raises(ConfigError, match="at least 4 x 4"):
        train(configs, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_diverged_runs_end_early_and_keep_their_last_finite_parameters(tmp_path):
    sound = dataclasses.replace(BASE, model="ae", optimizer="sgd", learning_rate=1e-4)
    broken, progress = dataclasses.replace(sound, learning_rate=1e6), Progress()
    train([sound, broken], tmp_path / "both", progress=progress)
    assert progress._images == progress._total_images == 2 * 4 * 3667  # also those that a diverged run does not see
    train([sound], tmp_path / "sound")
    train([broken], tmp_path / "broken")
    assert files(tmp_path / "both") == files(tmp_path / "sound") | files(tmp_path / "broken")
    rows = read_metrics(run_dir(tmp_path / "broken", broken))
    assert [(row["epoch"], row["train_loss"], row.get("diverged")) for row in rows] == [(1, None, True)]
    assert len(read_metrics(run_dir(tmp_path / "sound", sound))) == 4
    params = runs.load_run(run_dir(tmp_path / "broken", broken)).params
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


@pytest.fixture
def stopping(write_npz):
    """Two runs of one program that overfit noise, so that their validation losses soon rise again."""
    dataset = write_npz(num_train=60, num_test=8)
    base = Config(dataset=dataset, validation_fraction=0.3, hidden_dims=(32,), batch_size=8, num_epochs=40)
    return expand(base, {"patience": (3,), "learning_rate": (3e-3, 1e-3)})  # they stop after 6 and after 18 epochs


def test_early_stopping_ends_a_run_and_keeps_its_best_epoch(tmp_path, stopping, stop_after, monkeypatch):
    """As the same run without early stopping shows: its losses say when to stop, and its checkpoint is the best."""
    config, judged, keep_best = stopping[0], list[float](), step.keep_best

    def spy(states, loss, patience):
        judged.append(loss[0].item())
        return keep_best(states, loss, patience)

    monkeypatch.setattr(step, "keep_best", spy)
    whole = dataclasses.replace(config, patience=0, num_epochs=12)
    train([config, whole], tmp_path)
    rows, expected = (read_metrics(run_dir(tmp_path, c)) for c in (config, whole))
    losses = [row["validation_loss"] for row in expected]
    # The first epoch that is better than the three after it.
    best = next(epoch for epoch in range(9) if losses[epoch] <= min(losses[epoch + 1 : epoch + 4]))
    assert losses[best] == min(losses[: best + 4])
    assert rows == [*expected[: best + 3], expected[best + 3] | {"stopped": True}]
    assert judged == losses[: best + 4]  # of a VAE, whose distortion is another number
    with pytest.raises(StoppedError):
        train([whole], tmp_path / "stopped", stop=stop_after(best + 1))
    kept, _ = read_arrays(run_dir(tmp_path, config) / "params.safetensors")
    at_best, _ = read_arrays(checkpoints.path_of(run_dir(tmp_path / "stopped", whole)))
    assert kept
    for name, array in kept.items():
        np.testing.assert_array_equal(array, at_best[f"params/{name}"])


@pytest.mark.parametrize("together", [1, 2])
def test_a_sweep_that_stops_early_ends_the_same_after_a_kill(tmp_path, stopping, stop_after, together):
    options = TRAIN._replace(runs_per_device=together)
    train(stopping, tmp_path / "whole", options)
    ends = [len(read_metrics(run_dir(tmp_path / "whole", config))) for config in stopping]
    assert 5 < ends[0] < 7 < ends[1] < 40
    for epochs in (5, 2):  # first the best epoch is in the checkpoint; then, of two together, one has stopped
        with pytest.raises(StoppedError):
            train(stopping, tmp_path / "killed", options, stop=stop_after(epochs))
    train(stopping, tmp_path / "killed", options)
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_early_stopping_needs_validation_images(tmp_path, write_npz):
    config = Config(dataset=write_npz(), validation_fraction=0.0, patience=3)
    with pytest.raises(ConfigError, match=r"^patience needs validation images, and npz:.* has none; set validation_"):
        train([config], tmp_path)


class Elsewhere(Executor):
    """An executor whose first futures fail as a cluster's do."""

    def __init__(self, *errors):
        self.errors = list(errors)

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        error = self.errors.pop(0) if self.errors else None
        if error == "cancelled":
            future.cancel()
            future.set_running_or_notify_cancel()
        elif error:
            future.set_exception(error)
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_any_executor_trains_the_same_runs(tmp_path, uninterrupted):
    train(GRID, tmp_path, executor=Elsewhere(RuntimeError("worker died"), RuntimeError("worker died")))
    assert files(tmp_path) == files(uninterrupted)


def test_a_run_whose_workers_die_again_and_again_has_failed(tmp_path):
    executor = Elsewhere(*[RuntimeError("worker died")] * sweeps.ATTEMPTS)
    failures = train_and_evaluate(GRID[:1], tmp_path, TRAIN, executor=executor)
    assert failures == [Failure(GRID[0].name, "RuntimeError: worker died")]


def test_a_lost_cluster_is_one_line(tmp_path):
    with pytest.raises(UserError, match="the cluster or executor is gone; launch again"):
        train(GRID[:1], tmp_path, executor=Elsewhere("cancelled"))


class Breaking(Elsewhere):
    """An executor that breaks, or is shut down, after so many chunks."""

    def __init__(self, whole, error, *errors):
        super().__init__(*errors)
        self.whole, self.error = whole, error

    def submit(self, fn, /, *args, **kwargs):
        self.whole -= 1
        if self.whole < 0:
            raise self.error
        return super().submit(fn, *args, **kwargs)


BROKEN = BrokenProcessPool("A child process terminated abruptly, the process pool is not usable anymore")
SHUT_DOWN = RuntimeError("cannot schedule new futures after shutdown")


@pytest.mark.parametrize("error", [BROKEN, SHUT_DOWN])
@pytest.mark.parametrize("whole", [0, 2])
def test_an_executor_that_breaks_while_work_is_handed_to_it(tmp_path, uninterrupted, error, whole):
    """What it had taken is trained; the others fail, in a line and on the disk."""
    failures = train_and_evaluate(GRID, tmp_path, TRAIN, executor=Breaking(whole, error))
    dealt = [GRID[0], GRID[2], GRID[1], GRID[3]]  # the first run of each program, then the others
    assert failures == [Failure(config.name, f"{type(error).__name__}: {error}") for config in dealt[whole:]]
    for failure in failures:
        assert json.loads((tmp_path / "runs" / failure.run / "failed.json").read_text()) == {"failed": failure.reason}
    trained = [config.name for config in dealt[:whole]]
    expected = {name: content for name, content in files(uninterrupted).items() if name.split("/")[1] in trained}
    assert {name: content for name, content in files(tmp_path).items() if "failed.json" not in name} == expected
    train(dealt[:3], tmp_path)
    assert not list(tmp_path.glob(f"runs/{dealt[2].name}/failed.json"))


def test_an_executor_that_breaks_with_work_in_its_hands(tmp_path):
    """Its futures fail first, and it takes nothing again."""
    executor = Breaking(len(GRID), BROKEN, *[BROKEN] * len(GRID))
    failures = train_and_evaluate(GRID, tmp_path, TRAIN, executor=executor)
    assert sorted(failure.run for failure in failures) == sorted(config.name for config in GRID)


def test_a_process_pool_whose_worker_dies(tmp_path):
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=os._exit, initargs=(1,))
    with pool:
        failures = train_and_evaluate(GRID, tmp_path, TRAIN, executor=pool)
    assert sorted(failure.run for failure in failures) == sorted(config.name for config in GRID)
    assert all(failure.reason.startswith("BrokenProcessPool: A ") for failure in failures)
    assert len(list(tmp_path.glob("runs/*/failed.json"))) == len(GRID)


def test_a_run_that_could_not_be_handed_over_for_evaluation_has_failed(tmp_path, uninterrupted):
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    failures = train_and_evaluate(GRID[:1], tmp_path, executor=Breaking(0, BROKEN))
    assert failures == [Failure(GRID[0].name, f"BrokenProcessPool: {BROKEN}")]
    assert is_trained(run_dir(tmp_path, GRID[0]))


def test_any_executors_worker_of_another_installation_trains_nothing(tmp_path):
    class Other(Elsewhere):
        def submit(self, fn, /, *args, **kwargs):
            expected = {**fn.keywords["expected"], "jax": "0.0.1"}
            return super().submit(functools.partial(fn, expected=expected), *args)

    (failure,) = train_and_evaluate(GRID[:1], tmp_path, TRAIN, executor=Other())
    difference = f"jax {jax.__version__} instead of 0.0.1"
    assert failure.reason.startswith(f"its worker has another installation ({difference}); install the same")
    assert list(tmp_path.rglob("params*")) == []


def test_the_next_program_is_compiled_one_ahead(tmp_path):
    identities = identity.check_runs(GRID, tmp_path, None)
    dealt = sweeps._chunks(GRID, identities, tmp_path, TRAIN, is_local=True)
    assert [len(chunk.runs) for chunk in dealt] == [1, 1, 1, 1]
    first, second = GRID[:2], GRID[2:]  # of two programs
    assert [chunk.runs[0].config for chunk in dealt] == [first[0], second[0], first[1], second[1]]
    assert [list(chunk.upcoming) for chunk in dealt] == [[second[0]], [first[1]], [second[1]], []]
    dealt = sweeps._chunks(GRID, identities, tmp_path, TRAIN._replace(runs_per_device=8), is_local=False)
    assert [(len(chunk.runs), bool(chunk.upcoming)) for chunk in dealt] == [(2, False), (2, False)]


def test_of_more_programs_than_are_kept_each_trains_its_runs_first(tmp_path, monkeypatch):
    monkeypatch.setattr(sweeps, "KEPT_PROGRAMS", 1)
    dealt = sweeps._chunks(GRID, identity.check_runs(GRID, tmp_path, None), tmp_path, TRAIN, is_local=True)
    assert [chunk.runs[0].config for chunk in dealt] == list(GRID)
    assert [list(chunk.upcoming) for chunk in dealt] == [[], [GRID[2]], [], []]


@pytest.mark.parametrize(
    ("backend", "is_local", "runs_per_device", "at_once"),
    [("gpu", True, None, 3), ("gpu", True, 4, 4), ("gpu", False, None, 1), ("cpu", True, None, 1)],
)
def test_an_accelerator_takes_its_share_of_the_runs_and_none_is_left_over(
    monkeypatch, backend, is_local, runs_per_device, at_once
):
    """5 runs on 2 devices are 3 and 2, so that no device has a third turn."""
    monkeypatch.setattr(sweeps.jax, "default_backend", lambda: backend)
    monkeypatch.setattr(sweeps.jax, "local_device_count", lambda: 2)
    assert sweeps._runs_at_once(5, Options(runs_per_device=runs_per_device), is_local) == at_once
