"""Compiled programs that are kept between launches: the same results, whatever happens to their files."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from vae_jax.launch import compilation

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import sys, numpy as np, jax
from vae_jax.launch import compilation
from vae_jax.training import step
from vae_jax.config import Config
from vae_jax.model.programs import make_program
compilation.MAX_BYTES = int(sys.argv[2]) if len(sys.argv) > 2 else compilation.MAX_BYTES
compilation.use_cache(sys.argv[1])
config = Config(model="ae", hidden_dims=(), batch_size=16)
program, numbers = make_program(config, (8, 8)), step.hyperparameters([config])
states = step.init_states(program, numbers)
images = np.random.default_rng(0).integers(0, 256, (64, 8, 8), np.uint8)
states, metrics = step.train_epoch(program, images, states, numbers, np.int32(0))
print(b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves((states.params, metrics))).hex())
"""


def train(*arguments):
    """Trains an epoch in a process of its own; returns the bytes of its result, and what it says."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JAX_COMPILATION_CACHE")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)], env=clean, cwd=ROOT, check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """The result of a process that could not keep programs, and what it said."""
    file = tmp_path_factory.mktemp("fresh") / "file"
    file.write_text("no folder")
    return train(file)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder that a process has kept its programs in, what they are like there, and that process's result."""
    folder = tmp_path_factory.mktemp("kept")
    result = train(folder)
    return folder, {path: path.stat() for path in folder.glob("*/*-cache")}, result


def test_without_a_place_to_write_everything_is_compiled_and_the_user_is_told(fresh, kept):
    assert fresh[0] == kept[2][0] != ""
    assert fresh[1].startswith("compiled programs are not kept: Not a directory: ")
    assert fresh[1].count("\n") == 1


def test_a_program_from_the_cache_gives_the_same_bits_and_parts_of_programs_are_replaced(kept, fresh):
    folder, written, result = kept
    expected = fresh[0], ""
    assert result == expected  # compiles, and says nothing
    epoch, *others = sorted(written, key=lambda path: -written[path].st_size)
    assert others
    for path in others:  # a writer was killed, or a disk was full
        path.write_bytes(path.read_bytes()[:99])
        path.with_name(path.name.removesuffix("-cache") + "-atime").unlink()
    assert train(folder) == expected
    assert {path: path.stat().st_size > 99 for path in folder.glob("*/*-cache")} == dict.fromkeys(written, True)
    assert epoch.stat().st_mtime_ns == written[epoch].st_mtime_ns


def test_programs_that_were_not_used_for_longest_make_room(tmp_path, kept, fresh):
    sizes = [stat.st_size for stat in kept[1].values()]
    limit = max(sizes) + min(sizes)
    assert sum(sizes) > limit
    assert train(tmp_path, limit) == (fresh[0], "")
    assert 0 < sum(path.stat().st_size for path in tmp_path.glob("*/*-cache")) <= limit


def test_none_is_no_cache(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = jax.config.jax_enable_compilation_cache
    try:
        jax.config.update("jax_enable_compilation_cache", True)
        compilation.use_cache("none")
        assert not jax.config.jax_enable_compilation_cache
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
    assert not any(tmp_path.iterdir())


def test_other_machines_have_folders_of_their_own(monkeypatch):
    here = compilation._machine()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(1000), raising=False)
    assert compilation._machine() != here
