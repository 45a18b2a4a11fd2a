"""The recipes run as they stand in docs/recipes.md; Weights & Biases and MLflow are stand-ins."""

import re
import shutil
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from vae_jax.claims import results
from vae_jax.files import write_json
from vae_jax.workdir import read_metrics, run_dir

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "recipes.md").read_text(encoding="utf-8")
RECIPES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def workdir(tiny_experiment, tiny_workdir, tmp_path, monkeypatch):
    """The finished runs, where the recipes look for them."""
    folder = shutil.copytree(tiny_workdir, tmp_path / "runs" / "ae_vs_vae")
    for config in tiny_experiment.configs:
        write_json(run_dir(folder, config) / "evaluation.json", {"test_distortion": 150.0, "prior_frechet": None})
    results.write_csv(folder / "results.csv", results.collect(folder, tiny_experiment.configs))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_tensorboard_gets_hyperparameters_and_samples(workdir, tiny_experiment):
    exec(compile(RECIPES[0], "recipes.md", "exec"), {})
    for config in tiny_experiment.configs:
        folder = workdir / "tensorboard" / config.name
        assert b"\x89PNG" in next(folder.glob("events*")).read_bytes()
        hparams = next((folder / "hparams").glob("events*")).read_bytes()
        assert b"test_distortion" in hparams
        assert b"seed" in hparams


def test_weights_and_biases_gets_the_history(workdir, tiny_experiment, monkeypatch):
    logged = {}

    def init(project, name, config):
        rows = logged.setdefault(name, [])
        return nullcontext(SimpleNamespace(log=lambda row, step: rows.append((step, row))))

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    exec(compile(RECIPES[1], "recipes.md", "exec"), {})
    assert logged == {
        config.name: list(enumerate(read_metrics(run_dir(workdir, config)), 1)) for config in tiny_experiment.configs
    }


def test_mlflow_gets_the_history(workdir, tiny_experiment, monkeypatch):
    params, steps = [], []
    monkeypatch.setitem(
        sys.modules, "mlflow",
        SimpleNamespace(
            start_run=lambda run_name: nullcontext(), log_params=params.append,
            log_metrics=lambda row, step: steps.append((step, "train_loss" in row)),
        ),
    )  # fmt: skip
    exec(compile(RECIPES[2], "recipes.md", "exec"), {})
    assert len(params) == len(tiny_experiment.configs)
    assert steps == [(1, True), (2, True)] * len(tiny_experiment.configs)
