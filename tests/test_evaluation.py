"""The glue: which runs are evaluated, once, and with all numbers that the claims and tables read."""

import dataclasses
import json
import math
import shutil

import numpy as np
import pytest

from experiments import launch
from scripts import evaluate
from vae_jax import evaluation, results
from vae_jax.config import Config
from vae_jax.evaluation import claims
from vae_jax.evaluation.classifier import Classifier
from vae_jax.results import SUMMARY_COLUMNS, judge_claims
from vae_jax.workdir import read_experiment, read_metrics, run_dir


@pytest.fixture(autouse=True)
def classifier(monkeypatch):
    """A classifier that needs no training: sixteen blocks of pixels, and which third of them is the brightest."""

    def predict(images):
        blocks = images.reshape(-1, 4, 7, 4, 7).mean(axis=(2, 4)).reshape(-1, 16)
        thirds = np.stack([part.sum(axis=1) for part in np.array_split(blocks, 3, axis=1)], axis=1)
        return blocks, thirds / np.maximum(thirds.sum(axis=1, keepdims=True), 1e-6)

    monkeypatch.setattr(evaluation, "load_classifier", lambda dataset, workdir: Classifier(predict, 1.0, 0, "d"))


@pytest.fixture(scope="module")
def configs(tiny_experiment):
    return tiny_experiment.configs


@pytest.fixture
def folders(tiny_workdir, configs, tmp_path):
    workdir = shutil.copytree(tiny_workdir, tmp_path / "workdir")
    for config in configs:
        (run_dir(workdir, config) / "evaluation.json").unlink(missing_ok=True)
    return workdir


def test_every_number_that_a_claim_or_a_table_reads_is_there(folders, configs):
    evaluation.evaluate_due(configs, folders)
    rows = {}
    for config in configs:
        numbers = json.loads((run_dir(folders, config) / "evaluation.json").read_text())
        rows[config] = numbers
        keys = {measurement.key for claim in claims.CLAIMS for measurement in claim.measurements}
        keys |= set(SUMMARY_COLUMNS) - {"train_seconds"}
        if config.model == "ae":
            keys -= {"test_rate", "test_elbo"}
            assert "test_elbo" not in numbers
            assert not [name for name in numbers if "likelihood" in name]
        missing = [key for key in keys if not isinstance(numbers.get(key), int | float)]
        assert missing == []
        assert all(math.isfinite(value) for value in numbers.values() if isinstance(value, float))
    assert {row["posterior_width"] > 0 for config, row in rows.items() if config.model == "vae"} == {True}
    assert {row["posterior_width"] for config, row in rows.items() if config.model == "ae"} == {0.0}


def test_a_run_is_evaluated_once(folders, configs, monkeypatch):
    evaluation.evaluate_due(configs[:1], folders)
    monkeypatch.setattr(evaluation, "evaluate_likelihood", None)  # would fail if it were called
    evaluation.evaluate_due(configs[:1], folders)


def test_evaluating_again_gives_the_same_numbers(folders, configs, capsys):
    folder = run_dir(folders, configs[-1])
    first = evaluation.evaluate_run(folder)
    assert evaluate.main(["evaluate", f"--run={folder}"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(first))


def test_wrong_calls_of_the_script_are_one_line(folders, capsys):
    for argv, code in ((["evaluate"], 2), (["evaluate", "--rum=x"], 2), (["evaluate", f"--run={folders}"], 1)):
        assert evaluate.main(argv) == code
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_verdicts_pair_an_ae_with_the_vaes_of_its_setting():
    base = Config(num_epochs=1)
    configs = [
        dataclasses.replace(base, model=model, latent_dim=dim, seed=seed, kl_weight=weight)
        for model, weights in (("ae", (1.0,)), ("vae", (0.5, 1.0, 2.0)))
        for dim in (2, 8)
        for weight in weights
        for seed in (0, 1)
    ]
    rows = [
        {"run": c.name, "kl_prior_knn": c.latent_dim + (0 if c.model == "ae" else -c.kl_weight) + 0.01 * c.seed}
        for c in configs
    ]
    verdicts = judge_claims(configs, rows)
    found = {verdict.setting: verdict.difference for verdict in verdicts if verdict.ae != "–"}
    assert found == {
        f"latent_dim {dim}, kl_weight {weight:g}": pytest.approx(-weight)
        for dim in (2, 8)
        for weight in (0.5, 1.0, 2.0)
    }
    slopes = {verdict.setting: verdict.difference for verdict in verdicts if verdict.ae == "–"}
    assert slopes == {f"latent_dim {dim}": pytest.approx(-0.75) for dim in (2, 8)}  # -1.5 over two doublings


def test_a_diverged_run_is_said_to_be_so_and_has_no_numbers(tmp_path, capsys):
    flags = ["--optimizer=sgd", "--learning_rate=1e6,1e-4", "--num_epochs=2", "--hidden_dims=8"]
    assert launch.main(["launch", "--experiment=train", f"--workdir={tmp_path / 'w'}", *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("1 (1 diverged)" in line and "–" in line for line in lines) == 1
    broken, sound = sorted(results.collect(tmp_path / "w", read_experiment(tmp_path / "w").configs), key=len)
    assert broken["diverged_epoch"] == 1
    assert "test_loss" not in broken
    assert math.isfinite(sound["test_loss"])
    history = read_metrics(tmp_path / "w" / "runs" / broken["run"])
    assert [(row["epoch"], row["train_loss"], row["diverged"]) for row in history] == [(1, None, True)]
