"""The claims, each with one number that the project measures, and sentences about two models."""

import pytest

from vae_jax.claims.claims import BY_CONSTRUCTION, CLAIMS
from vae_jax.measure.measurements import MEASUREMENTS
from vae_jax.models import Model

POINT, FIXED, LEARNED = (Model(noise, "objective", noise=noise) for noise in ("none", "fixed", "learned"))


def test_each_claim_has_a_primary_number_of_its_own():
    names = [claim.measurement for claim in CLAIMS]
    assert len(set(names)) == len(names)
    fixed = ("prior_gap", "gaussian_frechet", "gaussian_hole_mass", "step_0_3_change", "midpoint_implausible_excess")
    # The seven of docs/method.md, and that of images with known factors.
    assert {*fixed, "knn_accuracy_whitened", "test_distortion", "mig"} <= set(names)
    assert {MEASUREMENTS[name].kind for name in names} == {float}


def test_a_claim_praises_the_model_and_the_price_does_not():
    *praise, price = CLAIMS
    assert all(MEASUREMENTS[claim.measurement].better == claim.says for claim in praise)
    assert (MEASUREMENTS[price.measurement].better, price.says) == ("lower", "higher")


def test_a_sentence_names_both_models():
    for claim in CLAIMS:
        text = claim.text.format(model="RAE", baseline="AE")
        assert "RAE" in text
        assert "{" not in text
        assert len({claim.topic, claim.gain, claim.loss}) == 3


@pytest.mark.parametrize(
    ("baseline", "model", "true"),
    [(POINT, LEARNED, [0]), (POINT, FIXED, [0]), (FIXED, LEARNED, [1]), (POINT, POINT, []), (LEARNED, LEARNED, [])],
)
def test_what_is_true_by_construction_follows_from_the_noise(baseline, model, true):
    assert [index for index, holds in enumerate(BY_CONSTRUCTION.values()) if holds(model, baseline)] == true
