"""Groups over devices: the same runs bit for bit, however many devices; and fewer runs at once where memory ends."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from vae_jax import checkpoints, sweeps
from vae_jax.config import Config, expand
from vae_jax.files import UserError
from vae_jax.interrupts import Stop, StoppedError
from vae_jax.progress import LINES, Progress
from vae_jax.sweeps import Options
from vae_jax.workdir import is_trained, read_metrics, run_dir

ROOT = Path(__file__).resolve().parents[1]

# Five runs of one group, on 1, 2, 3 and 8 of eight forced CPU devices: 5, 3 + 2 (one filled up), 2 + 2 + 1, 1 each.
ON_DEVICES = """
import sys
from pathlib import Path
import jax
jax.config.update("jax_num_cpu_devices", 8)
from vae_jax import sweeps
from vae_jax.config import Config, expand
configs = expand(Config(hidden_dims=(8,), num_epochs=2, batch_size=512), {"kl_weight": (0.5, 1.0, 2.0, 4.0, 8.0)})
devices = jax.local_devices()
for count in (1, 2, 3, 8):
    jax.local_devices = lambda: devices[:count]
    sweeps.train_due(configs, Path(sys.argv[1]) / str(count))
"""


def test_any_number_of_devices_gives_the_same_runs(tmp_path):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", ON_DEVICES, str(tmp_path)], check=True, env=environment, capture_output=True)
    expected = {path.parent.name: path.read_bytes() for path in (tmp_path / "1").rglob("params.safetensors")}
    assert len(expected) == 5
    for count in ("2", "3", "8"):
        runs = {path.parent.name: path.read_bytes() for path in (tmp_path / count).rglob("params.safetensors")}
        assert runs == expected


CONFIGS = expand(Config(hidden_dims=(8,), num_epochs=1, batch_size=1024), {"seed": (0, 1, 2, 3, 4)})


@pytest.fixture
def little_memory(monkeypatch):
    """A device on which more than two runs at once do not fit; which numbers of runs were tried."""
    compile_, tried = sweeps._compile, []

    def compile_for_little_memory(*args):
        program = compile_(*args)
        tried.append(program.runs_at_once)

        def train_epoch(states, epoch):
            if program.runs_at_once > 2:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
            return program.train_epoch(states, epoch)

        return program._replace(train_epoch=train_epoch)

    monkeypatch.setattr(sweeps, "_compile", compile_for_little_memory)
    return tried


def test_out_of_memory_halves_the_runs_at_once_and_goes_on(tmp_path, little_memory, capsys):
    sweeps.train_due(CONFIGS, tmp_path, Options(runs_per_device=64))  # more than there are
    assert little_memory == [5, 2]
    assert "no memory for 5 runs at once" in capsys.readouterr().err
    assert all(is_trained(run_dir(tmp_path, config)) for config in CONFIGS)


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        ("RESOURCE_EXHAUSTED: Out of memory", UserError, r"^no memory for 5 runs like vae-z2\S+; launch fewer"),
        ("INTERNAL: broken", jax.errors.JaxRuntimeError, "INTERNAL"),
    ],
)
def test_where_one_run_at_once_is_too_many_it_is_said_and_other_errors_are_not_taken_for_memory(
    tmp_path, monkeypatch, error, raised, message
):
    def broken(*args):
        raise jax.errors.JaxRuntimeError(error)

    monkeypatch.setattr(sweeps, "_train_group", broken)
    with pytest.raises(raised, match=message):
        sweeps.train_due(CONFIGS, tmp_path)


def test_a_program_that_waits_for_its_turn_holds_no_images():
    def count():
        return sum(array.shape[1:] == (28, 28) for array in jax.live_arrays())

    before = count()
    program = sweeps._compile(CONFIGS, Options())
    assert count() == before
    states, _ = program.train_epoch(program.init(), 0)
    program.validate(states)
    assert count() == before + 2


def test_on_a_cpu_one_run_at_a_time(tmp_path, little_memory):
    sweeps.train_due(CONFIGS, tmp_path)
    assert little_memory == [1]


def test_adding_values_trains_only_the_new_runs(tmp_path):
    sweeps.train_due(CONFIGS[:2], tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    more = [dataclasses.replace(CONFIGS[0], kl_weight=2.0), *CONFIGS[:2]]
    sweeps.train_due(more, tmp_path)
    assert all(is_trained(run_dir(tmp_path, config)) for config in more)
    assert {path: path.stat().st_mtime_ns for path in before} == before


BASE = Config(hidden_dims=(8,), num_epochs=4, batch_size=1024)
GRID = expand(BASE, {"latent_dim": (2, 3), "seed": (0, 1), "kl_warmup_epochs": (0.0, 3.0)})  # two groups of four
OF_THE_CLOCK = "timing.jsonl"


def files(workdir):
    return {
        str(path.relative_to(workdir)): path.read_bytes()
        for path in sorted(workdir.rglob("*"))
        if path.is_file() and path.name != OF_THE_CLOCK
    }


class StopAfter(Stop):
    """Asks to stop in an epoch, counted over all groups."""

    def __init__(self, epoch):
        super().__init__()
        self.left = epoch

    @property
    def asked(self):  # looked up once after each epoch but a group's last
        self.left -= 1
        if self.left == 0:
            self.signum = 15
        return self.signum is not None


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    sweeps.train_due(GRID, folder)
    assert not (folder / "checkpoints").exists()
    return files(folder)


@pytest.mark.parametrize("epochs", [(1, 1, 1, 1, 1), (3, 2)])
def test_stopped_and_launched_again_ends_as_if_it_had_not_been(tmp_path, uninterrupted, epochs):
    for epoch in epochs:
        stop = StopAfter(epoch)
        with pytest.raises(StoppedError) as error:
            sweeps.train_due(GRID, tmp_path, stop=stop)
        assert error.value.exit_code == 143
        assert stop.reached.is_set()
        assert files(tmp_path) != uninterrupted
    sweeps.train_due(GRID, tmp_path)
    assert files(tmp_path) == uninterrupted


def test_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    with pytest.raises(StoppedError):
        sweeps.train_due(GRID, tmp_path, stop=StopAfter(3))
    assert [len(path.read_text().splitlines()) for path in tmp_path.rglob("metrics.jsonl")] == [3] * 4
    groups = sweeps._groups(GRID, tmp_path)
    assert [(len(members.configs), members.epoch) for members in groups] == [(4, 3), (4, 0)]


def test_every_epoch_may_have_a_checkpoint_and_the_last_two_are_kept(tmp_path, uninterrupted, monkeypatch):
    kept = []
    remove = checkpoints.Saver.remove
    wait = checkpoints.Saver.save

    def save_and_wait(self, checkpoint):
        wait(self, checkpoint)
        self.wait()

    def look_and_remove(self):
        kept.append(sorted(path.name for path in self.folder.iterdir()))
        remove(self)

    monkeypatch.setattr(checkpoints.Saver, "save", save_and_wait)
    monkeypatch.setattr(checkpoints.Saver, "remove", look_and_remove)
    sweeps.train_due(GRID, tmp_path, Options(checkpoint_every_seconds=0))
    assert kept == [["2", "3"], ["2", "3"]]
    assert files(tmp_path) == uninterrupted


def test_a_part_of_a_group_goes_on_without_the_others(tmp_path, uninterrupted):
    with pytest.raises(StoppedError):
        sweeps.train_due(GRID, tmp_path, stop=StopAfter(2))
    sweeps.train_due(GRID[1:2], tmp_path)
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1  # what the others need is still there
    sweeps.train_due([*GRID[4:], *GRID[:4]], tmp_path)
    assert files(tmp_path) == uninterrupted


def test_of_two_checkpoints_of_a_run_the_later_one_counts(tmp_path, uninterrupted):
    with pytest.raises(StoppedError):
        sweeps.train_due(GRID, tmp_path, stop=StopAfter(1))
    with pytest.raises(StoppedError):
        sweeps.train_due(GRID[1:3], tmp_path, stop=StopAfter(2))
    groups = sweeps._groups(GRID, tmp_path)
    found = [(members.configs, members.epoch) for members in groups]
    assert found == [(list(GRID[1:3]), 3), ([GRID[0], GRID[3]], 1), (list(GRID[4:]), 0)]
    sweeps.train_due(GRID, tmp_path)
    assert files(tmp_path) == uninterrupted


def test_a_training_that_died_with_an_error_goes_on_from_its_last_checkpoint(tmp_path, uninterrupted, monkeypatch):
    compile_ = sweeps._compile

    def broken(*args):
        program = compile_(*args)

        def train_epoch(states, epoch):
            if epoch == 3:
                raise OSError("the machine is gone")
            return program.train_epoch(states, epoch)

        return program._replace(train_epoch=train_epoch)

    monkeypatch.setattr(sweeps, "_compile", broken)
    with pytest.raises(OSError, match="the machine is gone"):
        sweeps.train_due(GRID, tmp_path, Options(checkpoint_every_seconds=0))
    monkeypatch.setattr(sweeps, "_compile", compile_)
    assert list(tmp_path.rglob("*.safetensors")) == []
    sweeps.train_due(GRID, tmp_path)
    assert files(tmp_path) == uninterrupted


class Vanish(Stop):
    """Deletes the workdir after the second epoch."""

    def __init__(self, workdir):
        super().__init__()
        self.workdir, self.epochs = workdir, 0

    @property
    def asked(self):
        self.epochs += 1
        if self.epochs == 2:
            shutil.rmtree(self.workdir)
        return False


def test_a_workdir_that_vanishes_is_one_line_and_not_half_made_anew(tmp_path):
    workdir = tmp_path / "workdir"
    with pytest.raises(UserError, match=rf"^{workdir}/runs/\S+ has vanished or was emptied; launch again$"):
        sweeps.train_due(GRID[:1], workdir, stop=Vanish(workdir))
    assert not workdir.exists()


FULL = """
import resource, sys
from pathlib import Path
from vae_jax import sweeps
from vae_jax.config import Config, expand
from vae_jax.files import UserError
sys.path.insert(0, "tests")
from test_sweeps import GRID
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    sweeps.train_due(GRID, Path(sys.argv[1]), sweeps.Options(checkpoint_every_seconds=0))
except UserError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("size", [100, 1_000, 20_000])  # bytes: config.json, metrics.jsonl, a checkpoint find no room
def test_a_full_disk_is_one_line_and_with_room_the_same_command_goes_on(tmp_path, uninterrupted, size):
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path, str(size)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.fullmatch(r"cannot write .*: File too large; make room .*", done.stderr.splitlines()[-1])
    assert not any(".tmp" in name and "orbax" not in name for name in files(tmp_path))
    sweeps.train_due(GRID, tmp_path)
    assert files(tmp_path) == uninterrupted


def test_images_of_another_size_are_refused(tmp_path, monkeypatch):
    with pytest.raises(StoppedError):
        sweeps.train_due(GRID[:1], tmp_path, stop=StopAfter(1))
    dataset = sweeps.load_dataset("mnist_5k", validation_fraction=1 / 12, data_dir=None)
    small = dataset._replace(train=dataset.train._replace(images=dataset.train.images[:, 2:-2, 2:-2]))
    monkeypatch.setattr(sweeps, "load_dataset", lambda *args, **kwargs: small)
    with pytest.raises(UserError, match="images of another size"):
        sweeps.train_due(GRID[:1], tmp_path)


def test_a_group_of_diverged_runs_ends_and_its_neighbours_do_not_notice(tmp_path):
    """A huge learning rate beside a sound one: bit for bit the sound run alone, and the parameters it had before."""
    sound = dataclasses.replace(BASE, optimizer="sgd", learning_rate=1e-4)
    broken = dataclasses.replace(sound, learning_rate=1e6)
    sweeps.train_due([sound, broken], tmp_path / "both")
    sweeps.train_due([sound], tmp_path / "sound")
    sweeps.train_due([broken], tmp_path / "broken")
    assert files(tmp_path / "both") == files(tmp_path / "sound") | files(tmp_path / "broken")
    rows = read_metrics(run_dir(tmp_path / "broken", broken))
    assert [(row["epoch"], row["train_loss"], row.get("diverged")) for row in rows] == [(1, None, True)]
    assert len(read_metrics(run_dir(tmp_path / "sound", sound))) == 4
    _, params, _ = checkpoints.import_params(run_dir(tmp_path / "broken", broken) / "params.safetensors")
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


def test_progress_is_of_the_whole_sweep(capsys):
    progress = Progress(num_groups=2, num_runs=3, num_images=300)
    rows = [{"train_loss": loss, "train_distortion": 1.0} for loss in (1.0, None)]
    for _ in range(100):
        progress.epoch(rows, 2, 0.01)
    progress.group(2)
    for _ in range(100):
        progress.epoch(rows[:1], 1, 0.02)
    progress.group(1)
    progress.close()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == LINES
    assert lines[9] == "0/3 runs, 0/2 groups done, 50 %, 200 images/s, 00:00 left, loss nan, distortion 1.00"
    assert lines[-1] == "2/3 runs, 1/2 groups done, 100 %, 100 images/s, 00:00 left, loss 1.00, distortion 1.00"
