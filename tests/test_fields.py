"""Fields: checks, descriptions, and the text of flags."""

import re

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_config import values_of

from vae_jax.config import FIELDS, Config
from vae_jax.fields import (
    ALIASES,
    ConfigError,
    check_value,
    describe,
    format_value,
    nearest,
    parse_value,
    parse_values,
)
from vae_jax.launch import flags as launch_flags


def joined(values):
    """The text of a flag that stands for these values."""
    return ",".join(format_value(value).replace(",", r"\,") for value in values)


named_values = st.sampled_from(sorted(FIELDS)).flatmap(
    lambda name: st.tuples(st.just(FIELDS[name]), st.lists(values_of(FIELDS[name]), min_size=1, max_size=3))
)
WIDTHS = "hidden_dims must be whole numbers, as (512, 256) or 512x256, each from 1 to 65536"
# A line of text, without the space at an end that every parser strips, and a backslash there, which would hide a comma.
texts = st.text().map(str.strip).filter(lambda text: text.isprintable() and text and text[-1] != "\\")


@given(named_values)
def test_flag_round_trip(field_and_values):
    field, values = field_and_values
    assert parse_value(field, format_value(values[0])) == values[0]
    assert parse_values(field, joined(values)) == tuple(values)


@given(st.lists(texts | st.text(",\\\\a", min_size=1).map(lambda text: f"{text}a"), min_size=1))
def test_text_with_commas_and_backslashes_round_trips(values):
    assert parse_values(FIELDS["dataset"], joined(values)) == tuple(values)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a,b", ("a", "b")), (r"idx:a\,b", ("idx:a,b",)), (r"a\b", (r"a\b",)),
        (r"a\,b , c", ("a,b", "c")), ("a\\", ("a\\",)),
    ],
)  # fmt: skip
def test_a_backslash_makes_a_comma_a_part_of_the_value(text, values):
    assert parse_values(FIELDS["dataset"], text) == values


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("seed", "0..9", (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)), ("seed", "0..2,7", (0, 1, 2, 7)), ("seed", "3..3", (3,)),
        ("seed", "7, 1 .. 2 ,0..1", (7, 1, 2, 0, 1)), ("latent_dim", "1..3", (1, 2, 3)), ("patience", "0..1", (0, 1)),
        ("seed", "2147483646..2147483647", (2147483646, 2147483647)), ("latent_dim", "4096", (4096,)),
        ("dataset", "idx:../a..b", ("idx:../a..b",)),  # a path is no range
    ],
)  # fmt: skip
def test_a_range_has_both_ends(name, text, values):
    assert parse_values(FIELDS[name], text) == values


def test_a_range_may_be_long_and_not_endless():
    assert len(parse_values(FIELDS["seed"], "1..10000")) == 10_000


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("seed", "9..0", "seed takes ranges that rise, of at most 10000 values, not '9..0'"),
        ("seed", "1,4..2", "seed takes ranges that rise, of at most 10000 values, not '4..2'"),
        ("seed", "0..10000", "seed takes ranges that rise, of at most 10000 values, not '0..10000'"),
        ("seed", "0..2147483647", "seed takes ranges that rise, of at most 10000 values, not '0..2147483647'"),
        ("seed", "0..2147483648", "seed must be a whole number from 0 to 2147483647, not 2147483648"),
        ("seed", "-1..2", "seed must be a whole number from 0 to 2147483647, not -1"),
        ("seed", "0..", "seed must be a whole number from 0 to 2147483647, not ''"),
        ("seed", "..9", "seed must be a whole number from 0 to 2147483647, not ''"),
        ("seed", "0..4..9", "seed must be a whole number from 0 to 2147483647, not '4..9'"),
        ("seed", "0...9", "seed must be a whole number from 0 to 2147483647, not '.9'"),
        ("latent_dim", "4095..4097", "latent_dim must be a whole number from 1 to 4096, not 4097"),
        ("kl_weight", "1..4", "kl_weight must be a number from 0 to 1000000, not '1..4'"),
        ("mean_bias", "0..1", "mean_bias must be true or false, not '0..1'"),
        ("hidden_dims", "8..9", f"{WIDTHS}, not '8..9'"),
    ],
)
def test_a_range_that_is_none_is_one_line(name, text, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        parse_values(FIELDS[name], text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latent_dim", 0), ("latent_dim", 2.0), ("latent_dim", "2"), ("latent_dim", True), ("latent_dim", None),
        ("latent_dim", np.float64(2)), ("latent_dim", [2]), ("latent_dim", np.array([2])),
        ("kl_weight", -0.1), ("kl_weight", float("nan")), ("kl_weight", float("inf")), ("kl_weight", 10**400),
        ("kl_weight", np.float32("nan")), ("kl_weight", True),
        ("hidden_dims", 512), ("hidden_dims", (512, 0)), ("hidden_dims", (512.0,)), ("hidden_dims", ("512",)),
        ("hidden_dims", (True,)), ("hidden_dims", [[512]]), ("hidden_dims", {512}),
        ("model", "gan"), ("model", ""), ("model", ["vae"]), ("mean_bias", 1), ("mean_bias", None),
        ("seed", -1), ("learning_rate", 0.0),
        ("dataset", " "), ("dataset", "mnist "), ("dataset", "idx:a\nb"), ("dataset", "idx:\0"),
        ("dataset", "idx:\udcff"), ("dataset", None),
    ],
)  # fmt: skip
def test_wrong_values_name_the_field_and_what_it_takes(name, value):
    with pytest.raises(ConfigError, match=rf"^{name} must be .*, not .*$"):
        Config(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("hidden_dims", 512, f"{WIDTHS}, not 512"),
        ("latent_dim", np.float64(2), "latent_dim must be a whole number from 1 to 4096, not 2.0"),
        ("kl_weight", "1", "kl_weight must be a number from 0 to 1000000, not '1'"),
        ("mean_bias", "yes", "mean_bias must be true or false, not 'yes'"),
        ("dataset", 5, "dataset must be text, not 5"),
        ("likelihood", "bernouli", "likelihood must be bernoulli | continuous_bernoulli | gaussian | learned_gaussian, "
         "not 'bernouli'; did you mean 'bernoulli'?"),
    ],
)  # fmt: skip
def test_a_value_is_refused_in_one_line_that_says_what_the_field_takes(name, value, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        check_value(FIELDS[name], value)
    assert describe(FIELDS[name]) in message


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        *[("hidden_dims", text, f"{WIDTHS}, not {text!r}") for text in ("512,256", "", "512x", "x")],
        ("hidden_dims", "8x0", f"{WIDTHS}, not (8, 0)"),
        ("latent_dim", "2.0", "latent_dim must be a whole number from 1 to 4096, not '2.0'"),
        ("kl_weight", "inf", "kl_weight must be a number from 0 to 1000000, not inf"),
        ("mean_bias", "1", "mean_bias must be true or false, not '1'"),
        ("dataset", "", "dataset must be text, not ''"),
    ],
)
def test_a_text_is_refused_as_the_value_that_it_stands_for(name, text, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        parse_value(FIELDS[name], text)


def test_numbers_of_numpy_and_jax_become_those_of_python():
    config = Config(
        latent_dim=np.int64(3), kl_weight=np.float32(0.5), learning_rate=jnp.float32(0.25), mean_bias=np.bool_(True),
        hidden_dims=np.array([64, 32]), model=np.str_("ae"), num_epochs=np.array(7), free_bits=np.int8(2),
    )  # fmt: skip
    assert config == Config(
        latent_dim=3, kl_weight=0.5, learning_rate=0.25, mean_bias=True, hidden_dims=(64, 32), model="ae", num_epochs=7,
        free_bits=2.0,
    )  # fmt: skip
    for name, field in FIELDS.items():
        assert type(getattr(config, name)) is type(field.default), name
    assert Config(hidden_dims=[np.int32(8), 4]).hidden_dims == (8, 4)
    assert type(Config(hidden_dims=[np.int32(8)]).hidden_dims[0]) is int


def test_aliases_name_flags_and_hide_none():
    flags = set(launch_flags.define_flags())
    assert set(ALIASES.values()) <= flags
    assert not ALIASES.keys() & flags
    assert nearest("beta", ["kl_weight"]) == "; did you mean 'kl_weight'?"
    assert nearest("KL-weigth", FIELDS, dashes="--") == "; did you mean '--kl_weight'?"
    assert nearest("beta", ["seed"]) == nearest("xyzzy", FIELDS) == ""
