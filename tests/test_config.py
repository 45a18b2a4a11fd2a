"""Config: JSON round trip, names, grids, groups; Experiment."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_jax.config import (
    FIELDS,
    Config,
    ConfigError,
    Experiment,
    Shown,
    canonical,
    expand,
    group,
    static_part,
    varying_fields,
)
from vae_jax.models import load_models

MODELS = load_models()


def values_of(field):
    """A strategy for the values that a field takes."""
    if field.name == "model":
        return st.sampled_from(list(MODELS))
    if choices := field.metadata["choices"]:
        return st.sampled_from(choices)
    if isinstance(field.default, bool):
        return st.booleans()
    if isinstance(field.default, str):
        return st.sampled_from(["mnist_5k", "mnist", "idx:some/folder", r"idx:a,b\, c\d"])
    low, high = field.metadata["bounds"]
    if isinstance(field.default, tuple):
        least = 1 if field.name == "conv_features" else 0  # a network of convolutions has one
        return st.lists(st.integers(low, high), min_size=least, max_size=4).map(tuple)
    return st.integers(low, high) if isinstance(field.default, int) else st.floats(low, high)


def _without_conflicts(values):
    """Some fields exclude each other, or need each other."""
    milestones = tuple(sorted(set(values["milestones"]))) or (3,)
    if values["importance_samples"]:
        values = values | {"kl_warmup_epochs": 0.0, "free_bits": 0.0}
    return Config(**values | {"num_epochs": 7, "lr_warmup_epochs": 1.0, "milestones": milestones})


configs = st.fixed_dictionaries({name: values_of(field) for name, field in FIELDS.items()}).map(_without_conflicts)


@given(configs)
def test_json_round_trip(config):
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("name", "meant"),
    [("latent_dims", "latent_dim"), ("beta", "kl_weight"), ("KL-weight", "kl_weight")],
)
def test_an_unknown_field_suggests_the_one_that_was_meant(name, meant):
    with pytest.raises(ConfigError, match=f"^unknown field '{name}'; did you mean '{meant}'[?]$"):
        Config.from_dict({name: 2})
    with pytest.raises(ConfigError, match=f"did you mean '{meant}'"):
        Experiment(name="e", question="?", grid={name: (1, 2)})


def test_warmup_must_end_before_training():
    with pytest.raises(ConfigError, match="lr_warmup_epochs"):
        Config(schedule="warmup_cosine", lr_warmup_epochs=5.0, num_epochs=5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"schedule": "multistep"}, "schedule=multistep needs milestones, such as 30x60"),
        ({"milestones": (3, 2)}, "milestones must rise, unlike 3x2"),
        ({"milestones": (2, 2)}, "milestones must rise, unlike 2x2"),
        ({"importance_samples": 5, "free_bits": 0.1}, "importance_samples (5) cannot be combined with free_bits"),
        ({"importance_samples": 1, "kl_warmup_epochs": 1.0},
         "importance_samples (1) cannot be combined with kl_warmup_epochs"),
    ],
)  # fmt: skip
def test_fields_that_exclude_each_other(values, message):
    with pytest.raises(ConfigError) as raised:
        Config(**values)
    assert str(raised.value) == message
    Config(model="ae", **values | {"schedule": "constant", "milestones": ()})  # which does not read them


def test_a_convolutional_network_has_convolutions():
    with pytest.raises(ConfigError, match=r"^architecture=conv needs conv_features, such as 32x64$"):
        Config(architecture="conv", conv_features=())
    assert Config(conv_features=(8,)).name == Config().name  # dense networks do not read them


# Another default gives the files of finished runs another meaning, and another name loses them.
DEFAULTS = {
    "dataset": "mnist_5k", "validation_fraction": 1 / 12, "pixel_max": 0.0, "image_size": 0, "channels": "",
    "binarization": "none", "model": "vae",
    "architecture": "mlp", "conv_features": (32, 64), "hidden_dims": (512,), "latent_dim": 2, "activation": "relu",
    "initialization": "pytorch",
    "mean_bias": False, "likelihood": "bernoulli", "kl_weight": 1.0, "kl_warmup_epochs": 0.0, "free_bits": 0.0,
    "importance_samples": 0, "noise_sd": 0.2, "decoder_l2": 1e-3, "optimizer": "adam", "learning_rate": 1e-3,
    "schedule": "constant", "lr_warmup_epochs": 1.0, "milestones": (), "lr_factor": 0.1, "adam_b2": 0.999,
    "adam_epsilon": 1e-8, "weight_decay": 1e-4, "clip_norm": 0.0, "batch_size": 128, "num_epochs": 50, "patience": 0,
    "seed": 0,
}  # fmt: skip
NAMES = {
    "vae-z2-kl1-s0-44136fa3": {},
    "ae-z2-s0-a41e33e1": {"model": "ae", "kl_weight": 4.0},
    "rae-z2-kl1e-07-s0-37ee8557": {"model": "rae", "kl_weight": 1e-7},
    "vae-z2-kl1-s2000000-c227d8d2": {"hidden_dims": (512, 256), "num_epochs": 30, "seed": 2_000_000},
    "vae-z20-kl1-s0-9114ad49": {
        "dataset": "idx:some/dir", "validation_fraction": 0.0, "hidden_dims": (400,), "latent_dim": 20,
        "num_epochs": 10,
    },
    "vae-z16-kl0.1-s0-0d224746": {"optimizer": "adamw", "weight_decay": 0.01, "kl_weight": 0.1, "latent_dim": 16},
    "vae-z2-kl1-s0-a65678d8": {
        "hidden_dims": (512,), "learning_rate": 5e-3, "schedule": "cosine", "batch_size": 64, "num_epochs": 12,
    },
    "vae-z5-kl1-s0-60bacf23": {"num_epochs": 2, "kl_warmup_epochs": 1.5, "free_bits": 0.1, "latent_dim": 5},
    "vae-z2-kl1-s0-c23ab91e": {
        "num_epochs": 2, "optimizer": "adamw", "schedule": "cosine", "likelihood": "gaussian", "learning_rate": 1e-4,
    },
}  # fmt: skip


def test_defaults_are_what_finished_runs_were_trained_with():
    config = Config()
    assert {name: getattr(config, name) for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize(("name", "values"), NAMES.items())
def test_runs_keep_their_names(name, values):
    assert Config(**values).name == name


@pytest.mark.parametrize(
    ("field", "value", "readers"),
    [
        ("decoder_l2", 0.5, {"rae"}), ("noise_sd", 0.5, {"cv_vae"}), ("importance_samples", 5, {"vae"}),
        ("kl_weight", 0.5, {"rae", "cv_vae", "vae"}), ("kl_warmup_epochs", 0.5, {"rae", "cv_vae", "vae"}),
        ("free_bits", 0.5, {"vae"}),
    ],
)  # fmt: skip
def test_a_model_reads_its_own_fields_only(field, value, readers):
    models = ("ae", "rae", "cv_vae", "vae")
    differ = {model for model in models if Config(model=model, **{field: value}).name != Config(model=model).name}
    assert differ == readers


@pytest.mark.parametrize(
    ("field", "value", "reader"),
    [
        ("milestones", (1, 3), {"schedule": "multistep"}), ("lr_factor", 0.5, {"schedule": "multistep"}),
        ("adam_b2", 0.9, {"optimizer": "adam"}), ("adam_epsilon", 1e-4, {"optimizer": "adamw"}),
    ],
)  # fmt: skip
def test_an_optimizer_and_a_schedule_read_their_own_fields_only(field, value, reader):
    other = Config(optimizer="sgd", milestones=(2,))
    assert dataclasses.replace(other, **{field: value}).name == other.name
    reads = dataclasses.replace(other, **reader)
    assert dataclasses.replace(reads, **{field: value}).name != reads.name


def test_what_is_white_is_read_of_own_files_only():
    for dataset in ("mnist_5k", "mnist"):
        assert canonical(Config(dataset=dataset, pixel_max=15.0)) == Config(dataset=dataset)
    for dataset in ("idx:d", "npz:f"):
        assert Config(dataset=dataset, pixel_max=15).name != Config(dataset=dataset).name
    assert static_part(Config(dataset="npz:f", pixel_max=15)).pixel_max == 15


def test_the_name_is_readable_and_unique():
    config = Config()
    assert config.name.startswith("vae-z2-kl1-s0-")
    assert Config(model="ae").name.startswith("ae-z2-s0-")
    assert Config(kl_weight=0.5, seed=2_000_000).name.startswith("vae-z2-kl0.5-s2000000-")
    changed = {
        "dataset": "mnist", "validation_fraction": 0.0, "binarization": "dynamic", "model": "ae",
        "architecture": "conv", "hidden_dims": (), "latent_dim": 3, "activation": "tanh", "mean_bias": True,
        "likelihood": "gaussian",
        "kl_weight": 2.0, "kl_warmup_epochs": 1.0, "free_bits": 0.1, "optimizer": "sgd", "learning_rate": 0.01,
        "schedule": "cosine", "clip_norm": 1.0, "batch_size": 64, "num_epochs": 2, "seed": 1,
    }  # fmt: skip
    names = {dataclasses.replace(config, **{name: value}).name for name, value in changed.items()}
    assert len(names | {config.name}) == len(changed) + 1
    # The name is on disk: it must not depend on the process or on the order of fields.
    assert config.name == Config.from_dict(dict(reversed(config.to_dict().items()))).name


def test_equal_configs_have_one_name():
    assert Config(kl_weight=-0.0) == Config(kl_weight=0.0)
    assert Config(kl_weight=-0.0).name == Config(kl_weight=0.0).name
    assert Config(kl_weight=2).name == Config(kl_weight=2.0).name


def test_the_name_hashes_what_differs_from_the_defaults():
    """So that a field that is added later, at its default, does not rename finished runs."""
    changed = {"hidden_dims": [64, 32], "learning_rate": 0.01}
    digest = hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()
    assert Config.from_dict(changed).name == f"vae-z2-kl1-s0-{digest[:8]}"
    assert Config().name == f"vae-z2-kl1-s0-{hashlib.sha256(b'{}').hexdigest()[:8]}"
    # A field that the run ignores is no difference.
    assert Config.from_dict(changed | {"weight_decay": 0.5}).name == Config.from_dict(changed).name


def test_ignored_fields_do_not_multiply_runs():
    grid = {"model": ("ae", "vae"), "kl_weight": (0.5, 1.0, 4.0), "free_bits": (0.0, 0.1), "weight_decay": (0.0, 0.1)}
    runs = expand(Config(), grid)
    assert [run.model for run in runs].count("ae") == 1
    assert [run.model for run in runs].count("vae") == 6
    assert len({run.name for run in runs}) == 7
    assert Config(model="ae", kl_weight=3.0).name == Config(model="ae").name
    assert len(expand(Config(optimizer="adamw", model="ae"), grid)) == 2 + 12  # an AE reads weight_decay, a VAE too


@given(st.lists(configs, max_size=12))
def test_groups_share_static_fields_and_keep_every_run(runs):
    groups = group(runs)
    assert sorted(map(repr, runs)) == sorted(repr(run) for members in groups for run in members)
    assert len({static_part(members[0]) for members in groups}) == len(groups)
    for members in groups:
        for run in members:
            for name, field in FIELDS.items():
                assert field.metadata["dynamic"] or getattr(run, name) == getattr(members[0], name)


def test_grid_order_and_varying_fields():
    runs = expand(Config(), {"latent_dim": (2, 3), "seed": (0, 1)})
    assert [(run.latent_dim, run.seed) for run in runs] == [(2, 0), (2, 1), (3, 0), (3, 1)]
    assert varying_fields(runs) == ("latent_dim", "seed")


def test_canonical_keeps_what_is_used():
    config = Config(model="vae", kl_weight=3.0, optimizer="adamw", weight_decay=0.5)
    assert canonical(config) == config
    assert canonical(dataclasses.replace(config, model="ae")).kl_weight == 1.0


def test_override_fixes_one_value_and_grids_several():
    experiment = Experiment(name="e", question="?", base=Config(num_epochs=3), grid={"seed": (0, 1, 2)})
    changed = experiment.override({"seed": (7,), "latent_dim": (2, 8), "num_epochs": (4,)})
    assert [(run.seed, run.latent_dim, run.num_epochs) for run in changed.configs] == [(7, 2, 4), (7, 8, 4)]
    assert experiment.override({}) == experiment
    with pytest.raises(ConfigError, match=r"'seed'.* must be a list of one or more values"):
        experiment.override({"seed": ()})


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        *[({"name": name}, "name must be a str that can name a folder") for name in (
            3, None, "", " ", "a/b", "a\\b", ".", "..", ".hidden", "-flag", "~", " a", "a\nb", "a\0b", "a" * 300
        )],
        ({"grid": {"seed": 3}}, "grid['seed'] must be a list of one or more values, not 3"),
        ({"grid": {"seed": np.int64(3)}}, "grid['seed'] must be a list of one or more values, not 3"),
        ({"grid": {"model": "vae"}}, "grid['model'] must be a list of one or more values, not 'vae'"),
        ({"grid": {"seed": {1, 2}}}, "grid['seed'] must be a list of one or more values, not {1, 2}"),
        ({"grid": {"seed": ()}}, "grid['seed'] must be a list of one or more values, not ()"),
        ({"grid": {"seed": (0, "1")}}, "seed must be a whole number from 0 to 2147483647, not '1'"),
        ({"grid": {"beta": (1, 4)}}, "unknown field 'beta'; did you mean 'kl_weight'?"),
        ({"grid": {"pixel_max": (15, 16)}}, "pixel_max takes one value, because all runs of an experiment see the"),
        ({"grid": {"image_size": (0, 16)}}, "image_size takes one value, because all runs of an experiment see the"),
        ({"grid": {1: (1, 4)}}, "unknown field 1"),
        ({"grid": {"schedule": ("constant", "warmup_cosine"), "num_epochs": (1, 9)}}, "lr_warmup_epochs (1) must be"),
        ({"figures": "samples"}, "figures must be a tuple of names, not 'samples'"),
    ],
)  # fmt: skip
def test_an_experiment_is_checked_whole(attributes, message):
    with pytest.raises(ConfigError) as raised:
        Experiment(**{"name": "e", "question": "?"} | attributes)
    assert str(raised.value).startswith(message)
    assert str(raised.value).count("\n") == 0


def test_an_experiment_takes_lists_ranges_and_numpy():
    grid = {
        "hidden_dims": [[64], [64, 32]], "seed": np.arange(3), "kl_weight": [np.float64(0.5), np.float32(2)],
        "latent_dim": range(2, 4), "mean_bias": [np.bool_(True)],
    }  # fmt: skip
    experiment = Experiment(name="실험 1", question="", grid=grid, figures=["samples"])
    (found,) = experiment.grids
    assert found == {
        "hidden_dims": ((64,), (64, 32)), "seed": (0, 1, 2), "kl_weight": (0.5, 2.0), "latent_dim": (2, 3),
        "mean_bias": (True,),
    }  # fmt: skip
    assert {type(value) for values in found.values() for value in values} == {tuple, int, float, bool}
    assert experiment.figures == ("samples",)
    assert len(json.dumps([config.to_dict() for config in experiment.configs])) > 0
    assert len(experiment.configs) == 2 * 3 * 2 * 2


GRIDS = ({"model": ("ae", "vae"), "seed": (0, 1)}, Shown({"kl_weight": (0.5, 1, 2)}))


def test_an_experiment_is_a_union_of_grids_in_which_equal_runs_are_one():
    experiment = Experiment(name="e", question="?", grids=GRIDS)
    runs = [(c.model, c.kl_weight, c.seed) for c in experiment.configs]
    assert runs == [("ae", 1, 0), ("ae", 1, 1), ("vae", 1, 0), ("vae", 1, 1), ("vae", 0.5, 0), ("vae", 2, 0)]
    assert {c.kl_weight for c in experiment.shown} == {0.5, 2}  # that of weight 1 is judged, too
    assert experiment.values("kl_weight") == (1, 0.5, 2)


def test_a_flag_replaces_its_fields_values_in_every_grid():
    experiment = Experiment(name="e", question="?", grids=GRIDS)
    one = experiment.override({"seed": (5,), "num_epochs": (2,)})
    assert {(c.seed, c.num_epochs) for c in one.configs} == {(5, 2)}
    assert len(one.configs) == 4
    assert {c.kl_weight for c in one.shown} == {0.5, 2}
    weights = experiment.override({"kl_weight": (0.5, 4.0)})
    assert {(c.model, c.kl_weight) for c in weights.configs if c not in weights.shown} == {
        ("ae", 1), ("vae", 0.5), ("vae", 4),
    }  # fmt: skip
    assert weights.shown == frozenset()


@pytest.mark.parametrize("grids", [({"seed": ()},), ("seed",), ({"beta": (1,)},)])
def test_grids_are_checked(grids):
    with pytest.raises(ConfigError):
        Experiment(name="e", question="?", grids=grids)
    with pytest.raises(ConfigError, match="give grid or grids, not both"):
        Experiment(name="e", question="?", grids=GRIDS, grid={"seed": (1,)})


@pytest.mark.parametrize("values", [None, [], "vae", 3])
def test_what_a_file_holds_in_place_of_a_config_is_said(values):
    with pytest.raises(ConfigError, match="a Config has fields, unlike"):
        Config.from_dict(values)
