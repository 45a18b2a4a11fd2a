"""Every likelihood, architecture, model and binarization goes from flags to a report, and is interrupted on the way."""

import itertools

import jax
import numpy as np
import pytest

from experiments import launch
from vae_jax import checkpoints, evaluation, journal, runs
from vae_jax.config import FIELDS
from vae_jax.figures import style
from vae_jax.workdir import read_experiment, read_metrics, run_dir

FIELDS_WALKED = ("likelihood", "architecture", "model", "binarization")
EXPERIMENT = """
from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="walk",
    question="Does every combination work?",
    base=Config(hidden_dims=(4,), num_epochs=2, batch_size=16, validation_fraction=0.0),
    figures=("training_curves", "reconstructions", "latent_space", "samples"),
)
"""


@pytest.fixture
def fast_compilation():
    """Hundreds of small programs are compiled here; each runs for milliseconds."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def interrupt(self, *args):
    add(self, *args)
    if self.epoch == 2:
        raise OSError("the machine is gone")


add = journal.Journal.add


def covering(configs):
    """Chooses runs in which every pair of choices of two fields occurs; evaluating all would compile for minutes."""
    chosen, missing = [], {pair for config in configs for pair in pairs(config)}
    while missing:
        chosen.append(max(configs, key=lambda config: len(pairs(config) & missing)))
        missing -= pairs(chosen[-1])
    return chosen


def pairs(config):
    choices = [(name, getattr(config, name)) for name in FIELDS_WALKED]
    return set(itertools.combinations(choices, 2))


@pytest.mark.usefixtures("fast_compilation")
def test_every_combination_from_flags_to_report(tmp_path, monkeypatch, write_npz, capsys):
    (tmp_path / "walk.py").write_text(EXPERIMENT)
    workdir = tmp_path / "workdir"
    lists = [f"--{name}={','.join(FIELDS[name].metadata['choices'])}" for name in FIELDS_WALKED]
    command = ["launch", f"--experiment={tmp_path / 'walk.py'}", f"--workdir={workdir}", f"--dataset={write_npz()}",
               *lists, "--checkpoint_every_seconds=0"]  # fmt: skip
    monkeypatch.setattr(style, "DPI", 30)
    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "add", interrupt)
        patch.setattr("vae_jax.sweeps.ATTEMPTS", 1)
        assert launch.main([*command, "--evaluate=never"]) == 1
    configs = read_experiment(workdir).configs
    assert len(configs) == 4 * 2 * 2 * 3
    assert all(checkpoints.epochs(run_dir(workdir, config)) == [1] for config in configs)
    assert launch.main([*command, "--evaluate=never"]) == 0, capsys.readouterr().err
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8)
    for config in configs:
        folder = run_dir(workdir, config)
        assert len(read_metrics(folder)) == 2
        run = runs.load_run(folder)
        assert run.encode(run.decode(run.encode(images).mean)).mean.shape == (3, 2)
    for config in covering(configs):
        evaluated = evaluation.evaluate_run(run_dir(workdir, config), num_likelihood_samples=5)
        assert "failed" not in evaluated
        assert evaluated["test_loss"] is not None
        assert evaluated["prior_frechet"] is not None
    assert launch.main([*command, "--evaluate=never"]) == 0, capsys.readouterr().err
    figures = {path.stem for path in (workdir / "figures").iterdir()}
    assert figures == {"training_curves", "reconstructions", "latent_space", "samples"}
    assert (workdir / "report.html").stat().st_size > 10_000
