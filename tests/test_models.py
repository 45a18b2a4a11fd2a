"""The registry of models: what an addition beside the project's models does, and what it leaves as it was."""

import jax.numpy as jnp
import numpy as np
import pytest
from test_verdicts import numbers, results_of

from vae_jax import models
from vae_jax.claims.answer import answer
from vae_jax.claims.verdicts import judge
from vae_jax.config import Config, ConfigError, expand
from vae_jax.launch import sweeps
from vae_jax.model.objectives import Terms
from vae_jax.models import MODEL_FIELDS, MODELS
from vae_jax.training.runs import load_run
from vae_jax.workdir import read_metrics


def sparse_objective(batch):
    """An autoencoder whose codes cost their absolute values."""
    z = batch.network.encode(batch.images).mean
    distortion = batch.network.nll(batch.network.decode(z), batch.images)
    return Terms(distortion, jnp.zeros_like(distortion), batch.hyperparameters["kl_weight"] * jnp.abs(z).sum(axis=-1))


@pytest.fixture
def add():
    """Registers a sparse autoencoder with other baselines, for the time of a test."""
    before, fields = dict(MODELS), set(MODEL_FIELDS)

    def register(**changed):
        arguments = {"title": "Sparse AE", "noise": "none", "fields": ("kl_weight",), "baselines": ("ae",)} | changed
        models.model("sparse", **arguments)(sparse_objective)

    yield register
    MODELS.clear()
    MODELS.update(before)
    MODEL_FIELDS.clear()
    MODEL_FIELDS.update(fields)


def test_a_baseline_stands_before_what_is_compared_with_it(add):
    add(baselines=("ae", "cv_vae"))
    names = list(MODELS)
    assert all(names.index(b) < names.index(name) for name, each in MODELS.items() for b in each.baselines)
    assert names.index("sparse") < names.index("vae")  # which is compared with the same


@pytest.mark.parametrize(("baselines", "about"), [(("ae",), "VAE"), (("ae", "cv_vae"), "VAE"), (("vae",), "Sparse AE")])
def test_an_addition_beside_the_vae_does_not_take_over_the_answer(add, baselines, about):
    add(baselines=baselines)
    configs = expand(Config(), {"model": ("ae", "vae", "sparse"), "seed": (0, 1, 2, 3, 4)})
    margins = {"ae": 0.0, "vae": 3.0, "sparse": 6.0}
    results = results_of({config: numbers("vae", config.seed, margins[config.model]) for config in configs})
    verdicts = judge(results)
    assert {row.model for row in verdicts} == {"vae", "sparse"}
    told = answer(results, verdicts)
    assert f"the {about} has" in told.sentences[0]
    assert all(f"the {about} has" in text for text in told.rest if "Beside the" in text)


def test_an_addition_is_trained_by_its_objective(add, write_npz, tmp_path):
    add()
    config = Config(model="sparse", dataset=write_npz(), hidden_dims=(4,), num_epochs=2, kl_weight=3.0)
    assert config.name.startswith("sparse-z2-kl3-s0-")
    folder = sweeps.train_one(config, tmp_path)
    assert load_run(folder).encode(np.zeros((1, 8, 8), np.uint8)).mean.shape == (1, 2)
    (*_, last) = read_metrics(folder)
    assert last["train_loss"] > last["train_distortion"] > 0


def test_fields_of_models_are_those_that_a_model_names(add):
    assert {"kl_weight", "noise_sd"} <= MODEL_FIELDS
    assert {name for each in MODELS.values() for name in each.fields} == MODEL_FIELDS
    assert "clip_norm" not in MODEL_FIELDS
    add(fields=("clip_norm",))
    assert Config(clip_norm=1.0).name == Config().name  # which only the addition reads


def test_a_wrong_registration_is_an_error(add):
    with pytest.raises(ValueError, match=r"must be registered before it, unlike \['gan'\]"):
        add(baselines=("ae", "gan"))
    add()
    with pytest.raises(ValueError, match="there is a model 'sparse' already"):
        add()


def test_an_unknown_model_is_one_line():
    with pytest.raises(ConfigError, match=r"^model must be ae \| .*vae.*, not 'vea'; did you mean 'vae'\?$"):
        Config(model="vea")
