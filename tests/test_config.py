"""Config: bounds, JSON and flag round trips, names, grids, groups."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_jax.config import (
    FIELDS,
    Config,
    ConfigError,
    Experiment,
    canonical,
    expand,
    format_value,
    group,
    parse_value,
    static_part,
    varying_fields,
)


def values_of(field):
    """A strategy for the values that a field takes."""
    if choices := field.metadata["choices"]:
        return st.sampled_from(choices)
    if isinstance(field.default, bool):
        return st.booleans()
    if isinstance(field.default, str):
        return st.sampled_from(["mnist_5k", "mnist", "idx:some/folder"])
    low, high = field.metadata["bounds"]
    if isinstance(field.default, tuple):
        return st.lists(st.integers(low, high), max_size=4).map(tuple)
    return st.integers(low, high) if isinstance(field.default, int) else st.floats(low, high)


# A warm-up that is longer than the training is refused, so the two fields are not free of each other.
configs = st.builds(
    Config, **{name: values_of(field) for name, field in FIELDS.items() if not name.startswith(("lr_", "num_"))}
).map(lambda config: dataclasses.replace(config, num_epochs=7))


@given(configs)
def test_json_round_trip(config):
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@given(st.sampled_from(sorted(FIELDS)).flatmap(lambda name: st.tuples(st.just(name), values_of(FIELDS[name]))))
def test_flag_round_trip(named):
    name, value = named
    assert parse_value(FIELDS[name], format_value(value)) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latent_dim", 0), ("latent_dim", 2.0), ("latent_dim", "2"), ("latent_dim", True), ("latent_dim", None),
        ("kl_weight", -0.1), ("kl_weight", float("nan")), ("kl_weight", float("inf")), ("kl_weight", 10**400),
        ("hidden_dims", 512), ("hidden_dims", (512, 0)), ("hidden_dims", (512.0,)), ("hidden_dims", ("512",)),
        ("model", "gan"), ("model", ""), ("dataset", " "), ("mean_bias", 1), ("seed", -1), ("learning_rate", 0.0),
    ],
)  # fmt: skip
def test_wrong_values_name_the_field_and_what_it_takes(name, value):
    with pytest.raises(ConfigError, match=rf"^{name} must be .*, not "):
        Config(**{name: value})


@pytest.mark.parametrize("text", ["", "x", "512x", "1.5", "512,256"])
def test_wrong_flag_texts(text):
    with pytest.raises(ConfigError, match="hidden_dims must be whole numbers joined by x"):
        parse_value(FIELDS["hidden_dims"], text)


def test_choices_and_fields_suggest_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'bernoulli'"):
        Config(likelihood="bernouli")
    with pytest.raises(ConfigError, match="did you mean 'latent_dim'"):
        Config.from_dict({"latent_dims": 2})


def test_warmup_must_end_before_training():
    with pytest.raises(ConfigError, match="lr_warmup_epochs"):
        Config(schedule="warmup_cosine", lr_warmup_epochs=5.0, num_epochs=5)


def test_name_reads_well_and_tells_every_field_apart():
    config = Config()
    assert config.name.startswith("vae-z2-kl1-s0-")
    assert Config(model="ae").name.startswith("ae-z2-s0-")
    assert Config(kl_weight=0.5).name.startswith("vae-z2-kl0.5-s0-")
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
    with pytest.raises(ConfigError, match="unknown field"):
        expand(Config(), {"beta": (1,)})


def test_canonical_keeps_what_is_used():
    config = Config(model="vae", kl_weight=3.0, optimizer="adamw", weight_decay=0.5)
    assert canonical(config) == config
    assert canonical(dataclasses.replace(config, model="ae")).kl_weight == 1.0


def test_override_fixes_one_value_and_grids_several():
    experiment = Experiment(name="e", question="?", base=Config(num_epochs=3), grid={"seed": (0, 1, 2)})
    changed = experiment.override({"seed": (7,), "latent_dim": (2, 8), "num_epochs": (4,)})
    assert [(run.seed, run.latent_dim, run.num_epochs) for run in changed.configs] == [(7, 2, 4), (7, 8, 4)]
    assert experiment.override({}) == experiment
    with pytest.raises(ConfigError, match="seed needs a value"):
        experiment.override({"seed": ()})
