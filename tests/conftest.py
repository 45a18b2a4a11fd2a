"""Strict JAX for every test: silent rank promotion and a key used twice are errors, as warnings are."""

import builtins
import errno
import gc
import os
from pathlib import Path

import matplotlib
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import hypothesis
import jax
import numpy as np

from vae_jax import environment
from vae_jax.config import Config, Experiment
from vae_jax.training import chunks

# A shared machine may be slow at any moment: a time limit per example would fail for no fault of the code.
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")
matplotlib.use("agg")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
del environment.REQUIRED["jax_disable_most_optimizations"]  # see `cheap_compilation`

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True, scope="session")
def cache_dir(tmp_path_factory) -> Path:
    """A cache of judges of these tests alone, which their workers share; the user's is never touched."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    os.environ["VAE_JAX_CACHE_DIR"] = str(folder)
    return folder


def _disable_optimizations(disabled: bool) -> None:
    """Sets how programs are compiled from here on, and forgets those that were compiled in the other way."""
    if disabled != jax.config.read("jax_disable_most_optimizations"):
        jax.config.update("jax_disable_most_optimizations", disabled)
        jax.clear_caches()
        chunks._compiled.cache_clear()


@pytest.fixture(scope="module")
def cheap_compilation():
    """Compiles with few of LLVM's optimizations, in two thirds of the time, for modules whose programs run for moments.

    Modules that compare bits with those of other processes compile as users do.
    """
    _disable_optimizations(True)
    yield
    _disable_optimizations(False)


@pytest.fixture
def coarse_figures(monkeypatch):
    """Draws figures with few pixels, and embeds their fonts in the way that takes a PDF a third less time."""
    from vae_jax.report.figures import style

    monkeypatch.setattr(style, "DPI", 30)
    monkeypatch.setitem(style._LOOK, "pdf.fonttype", 3)


@pytest.fixture
def coarse_grids(monkeypatch):
    """Computes densities of codes on grids of few cells, for tests in which the digits of a number do not matter."""
    from vae_jax.measure import density

    for name in ("GRID_SIDES", "NORMAL_SIDES"):
        monkeypatch.setattr(density, name, {1: 1 << 10, 2: 1 << 6})


@pytest.fixture(scope="module")
def browser():
    """A running chromium; the test is skipped where there is none."""
    import browser as chromium

    if not chromium.CHROMIUM.exists():
        pytest.skip(f"there is no {chromium.CHROMIUM}: apt-get install chromium")
    with chromium.running() as running:
        yield running


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The folder of the four original MNIST IDX files; the test is skipped where it is not there."""
    folder = SHARED_DATA / "mnist"
    if not (folder / "train-images-idx3-ubyte.gz").exists():
        pytest.skip(f"real MNIST is not at {folder}")
    return folder


@pytest.fixture
def write_npz(tmp_path):
    """Writes a small data set of digits and returns its name; arguments choose the size and what it holds."""

    def write(num_train=24, num_test=8, shape=(8, 8), labels=True, name="digits"):
        random = np.random.default_rng(0)
        counts = {"train": num_train, "test": num_test}
        content = {f"x_{split}": random.integers(0, 256, (n, *shape), np.uint8) for split, n in counts.items()}
        if labels:
            content |= {f"y_{split}": np.arange(n, dtype=np.uint8) % 3 for split, n in counts.items()}
        np.savez(tmp_path / f"{name}.npz", **content)
        return f"npz:{tmp_path / name}.npz"

    return write


@pytest.fixture
def forbid(monkeypatch):
    """Forbids this process to read a file, or a folder and all below it, as permissions do not where it is root's."""

    def start(forbidden):
        def refusing(function, refuses):
            def call(path, *args, **kwargs):
                if isinstance(path, str | os.PathLike) and refuses(Path(path)):
                    raise PermissionError(errno.EACCES, "Permission denied", str(path))
                return function(path, *args, **kwargs)

            return call

        def is_below(path):
            return forbidden in path.parents

        monkeypatch.setattr(os, "stat", refusing(os.stat, is_below))
        for module, name in ((builtins, "open"), (os, "open"), (os, "listdir")):
            monkeypatch.setattr(module, name, refusing(getattr(module, name), lambda p: p == forbidden or is_below(p)))

    return start


@pytest.fixture(scope="session")
def tiny_experiment() -> Experiment:
    """An AE and a VAE of two seeds each: two programs, which compile in some seconds."""
    return Experiment(
        name="tiny",
        question="Does it run?",
        base=Config(hidden_dims=(8,), num_epochs=2),
        grid={"model": ("ae", "vae"), "seed": (0, 1)},
        figures=("training_curves", "latent_space"),
    )


@pytest.fixture(scope="session")
def tiny_workdir(tiny_experiment, tmp_path_factory) -> Path:
    """A workdir with the trained runs of `tiny_experiment`; to be copied by who changes it."""
    from vae_jax import workdir
    from vae_jax.launch import sweeps

    folder = tmp_path_factory.mktemp("tiny") / "work dir"
    workdir.write_record(folder, tiny_experiment, {})
    cheap = jax.config.read("jax_disable_most_optimizations")  # whichever module asks for it first
    _disable_optimizations(False)
    sweeps.train_and_evaluate(tiny_experiment.configs, folder, sweeps.Options(evaluate="never"))
    _disable_optimizations(cheap)
    return folder


def pytest_collection_finish() -> None:
    """Spares the garbage collector what all modules hold, which it would look through again and again."""
    gc.collect()
    gc.freeze()
