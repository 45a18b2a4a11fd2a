"""Groups over devices: the same runs bit for bit, however many devices; and fewer runs at once where memory ends."""

import dataclasses
import os
import subprocess
import sys

import jax
import pytest

from vae_jax import sweeps
from vae_jax.config import Config, expand
from vae_jax.workdir import is_trained, run_dir

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
    sweeps.train_due(CONFIGS, tmp_path, runs_per_device=64)  # more than there are
    assert little_memory == [5, 2]
    assert "no memory for 5 runs at once" in capsys.readouterr().err
    assert all(is_trained(run_dir(tmp_path, config)) for config in CONFIGS)


def test_other_errors_of_a_device_are_not_taken_for_memory(tmp_path, monkeypatch):
    def broken(*args):
        raise jax.errors.JaxRuntimeError("INTERNAL: broken")

    monkeypatch.setattr(sweeps, "_train_group", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        sweeps.train_due(CONFIGS, tmp_path)


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
