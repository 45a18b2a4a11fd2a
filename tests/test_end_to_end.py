"""Likelihoods, architectures, models and binarizations go from flags to a report, some interrupted on the way."""

import itertools
import json

import numpy as np
import pytest

from vae_jax.config import FIELDS
from vae_jax.launch import launcher
from vae_jax.measure import judges, recipe, samples
from vae_jax.training import checkpoints, journal, runs
from vae_jax.workdir import read_experiment, read_metrics, run_dir

EXPERIMENT = """
from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="walk",
    question="Does every combination work?",
    base=Config(hidden_dims=(), conv_features=(3,), num_epochs=2, batch_size=16, validation_fraction=0.0),
    grids={grids},
    figures=("reconstructions",),
)
"""
# Sixteen runs in which every pair of choices occurs: all ninety-six would compile for minutes.
_ROWS = [
    ("ae", "mlp", "none", ["bernoulli", "continuous_bernoulli"]), ("ae", "conv", "threshold", ["gaussian"]),
    ("ae", "mlp", "dynamic", ["learned_gaussian"]),
    ("rae", "conv", "none", ["bernoulli", "learned_gaussian"]), ("rae", "mlp", "threshold", ["continuous_bernoulli"]),
    ("rae", "conv", "dynamic", ["gaussian"]),
    ("cv_vae", "mlp", "none", ["gaussian", "learned_gaussian"]), ("cv_vae", "conv", "threshold", ["bernoulli"]),
    ("cv_vae", "conv", "dynamic", ["continuous_bernoulli"]),
    ("vae", "conv", "none", ["continuous_bernoulli", "gaussian"]), ("vae", "mlp", "dynamic", ["bernoulli"]),
    ("vae", "mlp", "threshold", ["learned_gaussian"]),
]  # fmt: skip
GRIDS = [
    {"binarization": [binarization], "likelihood": likelihoods, "architecture": [architecture], "model": [model]}
    for model, architecture, binarization, likelihoods in _ROWS
]


add = journal.Journal.add


def interrupt(self, *args):
    add(self, *args)
    if self.epoch == 2:
        raise OSError("the machine is gone")


def test_every_pair_of_choices_is_in_a_grid():
    found = {
        pair
        for choices in GRIDS
        for values in itertools.product(*choices.values())
        for pair in itertools.combinations(sorted(zip(choices, values, strict=True)), 2)
    }
    choices = {name: FIELDS[name].metadata["choices"] for name in GRIDS[0]} | {"model": {row[0] for row in _ROWS}}
    every = {
        ((a, x), (b, y))
        for a, b in itertools.combinations(sorted(choices), 2)
        for x, y in itertools.product(choices[a], choices[b])
    }
    assert found == every


@pytest.mark.usefixtures("cheap_compilation", "coarse_figures", "coarse_grids")
def test_from_flags_to_report(tmp_path, monkeypatch, write_npz, capsys):
    (tmp_path / "walk.py").write_text(EXPERIMENT.format(grids=GRIDS))
    # Each split has as many images as there are samples, so that each network is compiled for one batch size.
    workdir, dataset = tmp_path / "workdir", write_npz(20, 20, shape=(4, 5, 3))
    with np.load(tmp_path / "digits.npz") as arrays:
        np.savez(tmp_path / "digits.npz", **arrays, notes=np.zeros(3))
    command = ["vae-jax", f"--experiment={tmp_path / 'walk.py'}", f"--workdir={workdir}",
               f"--dataset={dataset}", "--channels=grey", "--num_likelihood_samples=5",
               "--checkpoint_every_seconds=0"]  # fmt: skip
    monkeypatch.setattr(samples, "MIN_SAMPLES", 20)
    monkeypatch.setattr(judges, "SCHEDULE", recipe.Schedule(1, 50, 1e-3))
    monkeypatch.setattr("vae_jax.launch.sweeps.ATTEMPTS", 1)
    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "add", interrupt)
        assert launcher.main([*command, "--evaluate=never"]) == 1
    folders = [run_dir(workdir, config) for config in read_experiment(workdir).configs]
    assert len(folders) == 16
    assert [checkpoints.epochs_done(folder) for folder in folders] == [1] * 16
    assert f"{dataset}: not used: 'notes'\n" in capsys.readouterr().err
    assert launcher.main(command) == 0, capsys.readouterr().err
    assert f"{dataset}," in capsys.readouterr().out  # of which no line breaks the path
    images = np.random.default_rng(0).integers(0, 256, (20, 4, 5), np.uint8)
    for folder in folders:
        assert len(read_metrics(folder)) == 2
        run = runs.load_run(folder)
        assert run.encode(run.decode(run.encode(images).mean)).mean.shape == (20, 2)
        numbers = json.loads((folder / "evaluation.json").read_text())
        assert "failed" not in numbers
        assert numbers["test_loss"] is not None
        assert numbers["prior_frechet"] is not None
    figures = {path.stem for path in (workdir / "figures").iterdir()}
    assert figures >= {"reconstructions", "sweep"}  # and those that are drawn wherever the grid fits
    assert (workdir / "report.html").stat().st_size > 10_000
    content = "NPZ file with uint8 pixels; colour made grey (luma of Rec. 601)"
    assert json.loads((workdir / "experiment.json").read_text())["data"][dataset]["content"] == content
    assert content in (workdir / "report.html").read_text()
