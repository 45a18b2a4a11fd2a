"""The process around the code: its environment variables and settings of JAX have no effect, or are refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import flax
import jax
import numpy as np
import pytest

import vae_jax
from vae_jax import environment
from vae_jax.config import Config
from vae_jax.errors import UserError
from vae_jax.measure import evaluate_run, judges, recipe
from vae_jax.model.networks import make_key
from vae_jax.model.programs import make_program
from vae_jax.training import chunks, runs
from vae_jax.workdir import DataIdentity, write_config, write_metrics

ROOT = Path(__file__).resolve().parents[1]
HOSTILE = {
    "JAX_ENABLE_X64": "1", "JAX_DISABLE_JIT": "1", "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16", "JAX_DEBUG_NANS": "1",
    "JAX_DEBUG_INFS": "1", "JAX_NUMPY_RANK_PROMOTION": "raise", "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_DEFAULT_PRNG_IMPL": "rbg", "JAX_THREEFRY_PARTITIONABLE": "0", "JAX_RANDOM_SEED_OFFSET": "3",
    "JAX_DEFAULT_DTYPE_BITS": "64", "JAX_ENABLE_CHECKS": "1", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_TRANSFER_GUARD": "disallow", "FLAX_FIX_RNG_SEPARATOR": "1",
}  # fmt: skip
SETTINGS = """
import json, sys
from vae_jax.launch import launcher
assert launcher.main(["vae-jax", "--dry_run", "--experiment=train"]) == 0
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
    flags = ["-m", "vae_jax", "--experiment=train", f"--workdir={tmp_path / 'workdir'}"]
    done = python(*flags, JAX_ENABLE_X64="1", JAX_DEBUG_NANS="1", JAX_PLATFORMS="nowhere")
    assert done.returncode == 1
    ignored, error = done.stderr.splitlines()
    assert ignored == "vae-jax: ignoring JAX_DEBUG_NANS, JAX_ENABLE_X64: results depend on flags only"
    assert error.startswith("vae-jax: JAX finds no device (")
    assert error.endswith("; check JAX_PLATFORMS")
    assert not (tmp_path / "workdir").exists()


def test_a_python_without_docstrings_is_refused_and_one_without_assertions_is_not():
    done = python("-OO", "-m", "vae_jax", "--dry_run")
    assert (done.returncode, done.stdout) == (1, "")
    assert "run it without -OO" in done.stderr
    assert python("-OO", "-m", "vae_jax", "--help").returncode == 0
    assert python("-O", "-m", "vae_jax", "--dry_run").returncode == 0


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


@pytest.fixture
def change(monkeypatch):
    """Changes settings of JAX for the whole process, until the test ends."""
    changed = {}

    def update(settings):
        for name, value in settings.items():
            changed.setdefault(name, jax.config.values[name])
            jax.config.update(name, value)

    yield update
    for name, value in changed.items():
        jax.config.update(name, value)


# Settings that a program may have, and their values where this project computes.
PINNED = [
    ("jax_threefry_partitionable", False, True), ("jax_enable_x64", True, False),
    ("jax_default_matmul_precision", "bfloat16", None), ("jax_numpy_dtype_promotion", "strict", "standard"),
    ("jax_disable_jit", True, False), ("jax_debug_nans", True, False), ("jax_debug_infs", True, False),
    ("jax_transfer_guard_host_to_device", "disallow", "allow"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "hostile", "own"), PINNED)
def test_settings_are_ours_inside_and_the_processs_afterwards(change, name, hostile, own):
    change({name: hostile})
    with environment.own_settings():
        assert jax.config.values[name] == own
    assert jax.config.values[name] == hostile


@pytest.mark.parametrize("kind", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_keys_are_of_one_kind(change, kind):
    change({"jax_default_prng_impl": kind})
    assert jax.random.key_data(make_key(5)).tolist() == [0, 5]  # the seed's two halves
    assert str(jax.random.key_impl(make_key(5))) == "threefry2x32"


def all_results(config, folder):
    """Trains a run anew, compiles all programs anew, and returns its files, codes, decodes and numbers."""
    jax.clear_caches()
    chunks._compiled.cache_clear()

    def predict(images):
        pixels = np.asarray(images).reshape(len(images), -1)
        return pixels[:, :8], pixels[:, 8:12]

    judge = judges.Judge(predict, np.linspace(-1, 1, 20, dtype=np.float32), 0.5, "made up")  # its own test is below
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judges, "load_or_train", lambda *args: judge)
        _, _, encode, decode = vae_jax.train(config, workdir=folder / "work")
        (run,) = (folder / "work" / "runs").iterdir()
        numbers = evaluate_run(run, num_likelihood_samples=5)
    assert "failed" not in numbers
    codes = encode(np.arange(128, dtype=np.uint8).reshape(2, 8, 8))
    files = [(run / name).read_bytes() for name in ("params.safetensors", "metrics.jsonl")]
    return *files, codes.mean.tobytes(), codes.logvar.tobytes(), decode(codes.mean).tobytes(), numbers


def test_no_setting_of_the_process_changes_a_bit(cheap_compilation, change, write_npz, tmp_path):
    config = Config(
        dataset=write_npz(), hidden_dims=(), num_epochs=2, batch_size=8, binarization="dynamic",
        validation_fraction=0.25, patience=2,
    )  # fmt: skip
    expected = all_results(config, tmp_path / "as it is")
    change({name: value for name, value, _ in PINNED} | {"jax_default_prng_impl": "rbg"})
    assert all_results(config, tmp_path / "hostile") == expected


def test_no_setting_changes_an_instrument_that_is_trained_by_itself(cheap_compilation, change):
    """It may be kept in the user's cache, for all workdirs."""
    network, images, labels = judges.Network(1), np.arange(256, dtype=np.uint8).reshape(4, 8, 8), np.arange(4) % 2

    def found():
        jax.clear_caches()
        params = recipe.train(network, images, labels, seed=0, schedule=recipe.Schedule(2, 2, 1e-3))
        predicted = recipe.predict(network, params, images / np.float32(255))
        return [leaf.tobytes() for leaf in (*jax.tree.leaves(params), *predicted)]

    expected = found()
    change({name: value for name, value, _ in PINNED} | {"jax_default_prng_impl": "rbg"})
    assert found() == expected


def test_other_settings_are_refused_in_one_line(change, tmp_path):
    config, run = Config(hidden_dims=()), tmp_path / "run"
    shapes = runs.param_shapes(make_program(config, (28, 28)))
    params = {name: np.zeros(shape, np.float32) for name, (shape, _) in shapes.items()}
    write_config(run, config, DataIdentity("0", None, {}))
    write_metrics(run, [])
    runs.write_params(run, config, params, (28, 28))
    _, _, encode, decode = vae_jax.load_run(run)
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    change({"jax_random_seed_offset": 3})
    for call in (
        lambda: vae_jax.train(config, workdir=tmp_path / "new"),
        lambda: vae_jax.load_run(run),
        lambda: evaluate_run(run),
        lambda: encode(np.zeros((1, 28, 28))),
        lambda: decode(np.zeros((1, 2))),
    ):
        with pytest.raises(UserError, match=r"^jax_random_seed_offset is 3, which changes results; set it to 0$"):
            call()
    assert not (tmp_path / "new").exists()
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == before


def test_flaxs_other_initial_parameters_are_refused():
    with (
        flax.config.temp_flip_flag("fix_rng_separator", True),
        pytest.raises(UserError, match=r"^flax_fix_rng_separator is True, which changes results; set it to False$"),
        environment.own_settings(),
    ):
        pass


PLATFORMS = """
import sys
import jax.extend
from vae_jax import environment
from vae_jax.errors import UserError
for platforms in sys.argv[1:]:
    jax.extend.backend.clear_backends()
    jax.config.update("jax_platforms", platforms)
    try:
        with environment.own_settings():
            print("computes")
    except UserError as error:
        print(error)
"""


@pytest.mark.parametrize("flags", [[], ["-O"]])  # without assertions, JAX fails in another way
def test_a_platform_that_is_not_there_is_one_line(flags):
    absent = ["nonsense", "CPU", ",", "cpu,nonsense"]
    if jax.default_backend() == "cpu":
        absent += ["cuda", "gpu", "tpu", "rocm"]
    done = python(*flags, "-c", PLATFORMS, *absent, "cpu")
    *lines, last = done.stdout.splitlines()
    assert (len(lines), last) == (len(absent), "computes"), done.stderr
    for line in lines:
        assert line.startswith("JAX finds no device (")
        assert line.endswith("); check JAX_PLATFORMS")
        assert "NoneType" not in line  # Python's word for it
