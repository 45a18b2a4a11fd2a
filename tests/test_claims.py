"""Every claim can be judged: its numbers exist, have a margin with a reason, and its sentence is about two models."""

import pytest

from vae_jax.claims import AS_GOOD, BY_CONSTRUCTION, CLAIMS, CLAIMS_ALONE, DOSE_RESPONSE
from vae_jax.measurements import MEASUREMENTS
from vae_jax.models import Model

POINT, FIXED, LEARNED = (Model(noise, "objective", noise=noise) for noise in ("none", "fixed", "learned"))


@pytest.mark.parametrize("claim", [*CLAIMS, *CLAIMS_ALONE, DOSE_RESPONSE], ids=lambda claim: claim.text)
def test_a_claim_says_something_about_numbers_that_exist(claim):
    assert claim.says
    for name, says in claim.says.items():
        assert MEASUREMENTS[name].kind in (float, int)
        assert says in ("higher", "lower", AS_GOOD)


@pytest.mark.parametrize("claim", [*CLAIMS, DOSE_RESPONSE], ids=lambda claim: claim.text)
def test_what_is_compared_has_a_smallest_difference_that_matters_and_its_reason(claim):
    for name in claim.says:
        assert MEASUREMENTS[name].margin > 0
        assert len(MEASUREMENTS[name].margin_reason) > 10


def test_a_claim_of_being_as_good_needs_a_direction():
    as_good = [name for claim in CLAIMS for name, says in claim.says.items() if says == AS_GOOD]
    assert as_good == ["gaussian_frechet", "mixture_frechet"]
    assert {MEASUREMENTS[name].better for name in as_good} == {"lower"}


def test_no_measurement_is_evidence_for_two_claims():
    names = [name for claim in (*CLAIMS, *CLAIMS_ALONE) for name in claim.says]
    assert len(names) == len(set(names))
    assert "kl_prior_knn" not in names  # an arbitrary scale is no shape
    assert "posterior_width" not in names  # a point has none, by construction


def test_a_sentence_names_both_models():
    for claim in CLAIMS:
        text = claim.sentence("RAE", "AE")
        assert "RAE" in text
        assert "{" not in text
    assert CLAIMS[0].sentence("RAE", "AE") == "Nearby codes decode to similar images in the RAE, less so in the AE"


@pytest.mark.parametrize(
    ("baseline", "model", "true"),
    [(POINT, LEARNED, [0]), (POINT, FIXED, [0]), (FIXED, LEARNED, [1]), (POINT, POINT, []), (LEARNED, LEARNED, [])],
)
def test_what_is_true_by_construction_follows_from_the_noise(baseline, model, true):
    assert [index for index, claim in enumerate(BY_CONSTRUCTION) if claim.is_about(model, baseline)] == true


def test_a_point_has_no_noise_to_pay_for():
    (cost,) = [claim for claim in CLAIMS if "test_noise_cost" in claim.says]
    assert [cost.is_about(model, POINT) for model in (POINT, FIXED, LEARNED)] == [False, True, True]
    assert not cost.is_about(LEARNED, FIXED)  # which costs, too
