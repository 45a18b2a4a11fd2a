"""Environment variables: what would change results has no effect, in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vae_jax import environment
from vae_jax.workdir import UserError

ROOT = Path(__file__).resolve().parents[1]
HOSTILE = {
    "JAX_ENABLE_X64": "1", "JAX_DISABLE_JIT": "1", "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16", "JAX_DEBUG_NANS": "1",
    "JAX_DEBUG_INFS": "1", "JAX_NUMPY_RANK_PROMOTION": "raise", "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_DEFAULT_PRNG_IMPL": "rbg", "JAX_THREEFRY_PARTITIONABLE": "0", "JAX_RANDOM_SEED_OFFSET": "3",
    "JAX_DEFAULT_DTYPE_BITS": "64", "JAX_ENABLE_CHECKS": "1", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_TRANSFER_GUARD": "disallow",
}  # fmt: skip
SETTINGS = """
import json, sys
from experiments import launch
assert launch.main(["launch.py", "--dry_run", "--experiment=train"]) == 0
assert "jax" not in sys.modules
import jax
print(json.dumps({name: repr(value) for name, value in jax.config.values.items()}))
"""


def python(*arguments, **variables):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_", "PYTHONOPT"))}
    return subprocess.run(
        [sys.executable, *arguments], env=clean | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)} | variables,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_jax_has_its_own_settings_whatever_the_environment_says():
    clean, hostile = (
        json.loads(python("-c", SETTINGS, **variables).stdout.splitlines()[-1]) for variables in ({}, HOSTILE)
    )
    assert clean["jax_platforms"] == "'cpu'"  # the environment may choose the device
    assert hostile == clean


def test_what_is_ignored_is_said_and_a_wrong_platform_is_one_line(tmp_path):
    flags = ["-m", "experiments.launch", "--experiment=train", f"--workdir={tmp_path / 'workdir'}"]
    done = python(*flags, JAX_ENABLE_X64="1", JAX_DEBUG_NANS="1", JAX_PLATFORMS="nowhere")
    assert done.returncode == 1
    ignored, error = done.stderr.splitlines()
    assert ignored == "launch: ignoring JAX_DEBUG_NANS, JAX_ENABLE_X64: results depend on flags only"
    assert error.startswith("launch: JAX finds no device (")
    assert error.endswith("; check JAX_PLATFORMS")
    assert not (tmp_path / "workdir").exists()


def test_a_python_without_docstrings_is_refused_and_one_without_assertions_is_not():
    done = python("-OO", "-m", "experiments.launch", "--dry_run")
    assert (done.returncode, done.stdout) == (1, "")
    assert "run it without -OO" in done.stderr
    assert python("-OO", "-m", "experiments.launch", "--help").returncode == 0
    assert python("-O", "-m", "experiments.launch", "--dry_run").returncode == 0


def test_isolate_removes_variables_and_names_them(monkeypatch):
    kept = {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": "/c", "JAX_LOG_COMPILES": "1", "XLA_FLAGS": "--a"}
    for name, value in (HOSTILE | kept).items():
        monkeypatch.setenv(name, value)
    assert set(HOSTILE) <= set(environment.isolate())
    assert environment.isolate() == []
    assert kept.items() <= os.environ.items()


def test_settings_are_what_may_change_the_last_bits(monkeypatch):
    for name in tuple(environment.settings()):
        monkeypatch.delenv(name)
    variables = {"JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "2", "XLA_FLAGS": "--a=b"}
    for name, value in (variables | {"HOME": "/home/me", "API_TOKEN": "secret"}).items():
        monkeypatch.setenv(name, value)
    assert environment.settings() == variables
    assert list(environment.settings()) == sorted(variables)


def test_check_devices_passes_where_there_is_one(monkeypatch):
    import jax

    environment.check_devices()

    def fail():
        raise RuntimeError("Unable to initialize backend 'x'\nmore")

    monkeypatch.setattr(jax, "devices", fail)
    with pytest.raises(UserError, match=r"^JAX finds no device \(Unable to initialize backend 'x'\); check"):
        environment.check_devices()
