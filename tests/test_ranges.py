"""Settings in words: contiguous ranges along the main field of a sweep."""

import pytest

from vae_jax.claims.ranges import main_field, values_of, where

LINE = [{"kl_weight": value} for value in ("0.1", "0.5", "1", "2", "8")]
GRID = [{"latent_dim": dims, "kl_weight": value} for dims in ("2", "16") for value in ("2", "10", "0.5")]


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        ({0, 1, 2, 3, 4}, ""), ({2, 3, 4}, "from KL weight 1 on"), ({0, 1}, "up to KL weight 0.5"),
        ({1, 2, 3}, "from KL weight 0.5 to 2"), ({4}, "at KL weight 8"), ({0}, "at KL weight 0.1"),
        ({0, 1, 3, 4}, "up to KL weight 0.5, from KL weight 2 on"),
    ],
)  # fmt: skip
def test_ranges_of_one_field(chosen, text):
    assert where(LINE, chosen) == text


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        ({0, 1, 2}, "at 2 dimensions"),
        ({0, 1, 3, 4}, "from KL weight 2 on"),  # in the order of size, and the same at both dimensions
        ({0, 1, 5}, "from KL weight 2 on (2 dimensions), at KL weight 0.5 (16 dimensions)"),
    ],
)
def test_ranges_of_two_fields(chosen, text):
    assert where(GRID, chosen) == text


def test_values_that_are_no_numbers_are_listed():
    settings = [{"activation": name} for name in ("relu", "tanh", "gelu")]
    assert where(settings, {0, 2}) == "at activation relu, activation gelu"
    assert where(settings, {0, 1}) == "at activation relu, activation tanh"


def test_the_main_field_has_the_most_values():
    assert (main_field(GRID), main_field(LINE), main_field([{}])) == ("kl_weight", "kl_weight", "")
    assert values_of(GRID, "kl_weight") == ["0.5", "2", "10"]
