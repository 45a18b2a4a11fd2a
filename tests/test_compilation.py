"""Compiled programs that are kept between launches: the same results, whatever happens to their files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vae_jax.launch import compilation

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import sys, numpy as np, jax
from vae_jax.launch import compilation
from vae_jax.training import step
from vae_jax.config import Config
from vae_jax.model.programs import make_program
with compilation.cache(sys.argv[1] if len(sys.argv) > 1 else None):
    config = Config(hidden_dims=(8,), batch_size=16)
    program, numbers = make_program(config, (8, 8)), step.hyperparameters([config])
    states = step.init_states(program, numbers)
    images = np.random.default_rng(0).integers(0, 256, (64, 8, 8), np.uint8)
    states, metrics = step.train_epoch(program, images, states, numbers, np.int32(0))
    print(b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves((states.params, metrics))).hex())
"""


def train(*arguments, **variables):
    """Trains an epoch in a process of its own; returns the bytes of its result, and what it says."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JAX_COMPILATION_CACHE")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)], env=clean | variables, cwd=ROOT, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout, done.stderr


def entries(place):
    (folder,) = (path for path in Path(place).iterdir() if path.is_dir())
    return sorted(path for path in folder.iterdir() if path.name != compilation.RECORD), folder / compilation.RECORD


@pytest.fixture(scope="module")
def fresh():
    return train("none")


def test_a_program_from_the_cache_gives_the_same_bits_and_damaged_entries_are_replaced(tmp_path, fresh):
    assert train(tmp_path) == fresh  # compiles, and says nothing
    written, record = entries(tmp_path)
    digests = json.loads(record.read_text())
    assert digests.keys() == {path.name for path in written}
    assert len(written) > 1
    times = [path.stat().st_mtime_ns for path in written]
    assert train(tmp_path) == fresh
    assert [path.stat().st_mtime_ns for path in written] == times
    for index, path in enumerate(written):  # a writer was killed, or a disk was full
        path.write_bytes(path.read_bytes()[: path.stat().st_size * index // len(written)])
    (written[0].parent / "left-cache").write_bytes(b"of a launch that did not end")
    assert train(tmp_path) == fresh
    assert entries(tmp_path)[0] == written
    assert json.loads(record.read_text()).keys() == digests.keys()
    assert min(path.stat().st_size for path in written) > 0


def test_jax_itself_takes_no_part_of_an_entry_for_a_program(tmp_path, fresh):
    """What is not cleaned up, as another process writes it at this moment, costs a warning and a compilation."""
    variables = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    assert train(**variables)[0] == fresh[0]
    written = list(tmp_path.glob("*-cache"))
    assert len(written) > 1
    for index, path in enumerate(written):
        path.write_bytes(path.read_bytes()[: path.stat().st_size * index // len(written)])
    result, said = train(**variables)
    assert result == fresh[0]
    assert "Error reading persistent compilation cache entry" in said


def test_without_a_place_to_write_everything_is_compiled(tmp_path, fresh):
    (tmp_path / "file").write_text("no folder")
    assert train(tmp_path / "file") == fresh


def test_old_entries_make_room_and_other_machines_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(compilation, "MAX_BYTES", 25)
    for age in range(3):
        (tmp_path / f"{age}-cache").write_bytes(b"0123456789")
        os.utime(tmp_path / f"{age}-cache", (1e9 - age, 1e9 - age))
    record = {path.name: compilation.sha256(path.read_bytes()) for path in compilation._entries(tmp_path)}
    (tmp_path / compilation.RECORD).write_text(json.dumps(record))
    compilation._clean(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"0-cache", "1-cache", compilation.RECORD}
    here = compilation._machine()
    monkeypatch.setattr(compilation, "_num_cores", lambda: 1000)
    assert compilation._machine() != here
