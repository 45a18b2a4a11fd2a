"""Strict JAX for every test: silent rank promotion and a key used twice are errors, as warnings are."""

import os
from pathlib import Path

import matplotlib
import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import hypothesis
import jax

from vae_jax.config import Config, Experiment

# A shared machine may be slow at any moment: a time limit per example would fail for no fault of the code.
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")
matplotlib.use("agg")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The folder of the four original MNIST IDX files; the test is skipped where it is not there."""
    folder = SHARED_DATA / "mnist"
    if not (folder / "train-images-idx3-ubyte.gz").exists():
        pytest.skip(f"real MNIST is not at {folder}")
    return folder


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
    from vae_jax import sweeps, workdir

    folder = tmp_path_factory.mktemp("tiny") / "work dir"
    workdir.write_record(folder, tiny_experiment, {})
    sweeps.train_due(tiny_experiment.configs, folder)
    return folder
