"""Verdicts: intervals against hand computation, and verdicts that flip with the models and doubt copies."""

import math

import numpy as np
import pytest
import scipy.stats

from vae_jax.evaluation import claims
from vae_jax.evaluation.claims import CONTRADICTED, NOT_RESOLVED, SUPPORTED

KEYS = {measurement.key for claim in claims.CLAIMS for measurement in claim.measurements}


def runs(level, seeds=3, spread=0.01):
    return [dict.fromkeys(KEYS, level + spread * seed) for seed in range(seeds)]


def test_welch_interval_hand_computed():
    ae, vae = [1.0, 2.0, 3.0], [5.0, 5.5, 6.0, 7.5]
    difference, low, high = claims.difference_interval(ae, vae)
    va, vb = np.var(ae, ddof=1) / 3, np.var(vae, ddof=1) / 4
    freedom = (va + vb) ** 2 / (va**2 / 2 + vb**2 / 3)
    reach = scipy.stats.t.ppf(0.975, freedom) * math.sqrt(va + vb)
    assert difference == pytest.approx(4.0)
    assert (low, high) == pytest.approx((4 - reach, 4 + reach))


def test_the_interval_covers_the_truth_95_times_in_100():
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        _, low, high = claims.difference_interval(random.normal(0, 1, 3), random.normal(0.5, 3, 3))
        covered += low <= 0.5 <= high
    assert 930 <= covered <= 990  # Welch at 3 against 3 is a little conservative; binomial sd 7


@pytest.mark.parametrize(
    ("low", "high", "higher", "verdict"),
    [
        (0.1, 2, True, SUPPORTED), (0.1, 2, False, CONTRADICTED), (-2, -0.1, False, SUPPORTED),
        (-2, -0.1, True, CONTRADICTED), (-1, 1, True, NOT_RESOLVED), (0, 1, True, NOT_RESOLVED),
        (math.nan, math.nan, True, NOT_RESOLVED),
    ],
)  # fmt: skip
def test_judge(low, high, higher, verdict):
    assert claims.judge(low, high, higher) == verdict


def test_verdicts_flip_when_the_models_are_swapped():
    flipped = {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED}
    forward = claims.compare({"z2": (runs(1.0), runs(2.0))})
    backward = claims.compare({"z2": (runs(2.0), runs(1.0))})
    assert len(forward) == sum(len(claim.measurements) for claim in claims.CLAIMS)
    assert [flipped[row.verdict] for row in forward] == [row.verdict for row in backward]
    for row, measurement in zip(forward, (m for c in claims.CLAIMS for m in c.measurements), strict=True):
        assert row.verdict == (SUPPORTED if measurement.higher else CONTRADICTED)
        assert row.difference == pytest.approx(1.0)


def test_two_copies_of_a_model_are_not_told_apart():
    assert {row.verdict for row in claims.compare({"": (runs(1.0), runs(1.0))})} == {NOT_RESOLVED}


def test_one_seed_resolves_nothing():
    rows = claims.compare({"": (runs(1.0, seeds=1), runs(9.0, seeds=1))})
    assert {row.verdict for row in rows} == {NOT_RESOLVED}
    assert all(math.isnan(row.low) for row in rows)
    assert rows[0].ae == "1"


def test_missing_numbers_are_left_out_and_a_missing_seed_is_not_papered_over():
    ae, vae = runs(1.0), runs(2.0)
    for run in ae:
        del run["nmi"]
    vae[1]["silhouette"] = None
    rows = {row.measurement: row for row in claims.compare({"": (ae, vae)})}
    assert not any("k-means" in text for text in rows)
    assert rows["silhouette of the classes"].verdict == NOT_RESOLVED
    assert rows["accuracy of 10 nearest codes"].verdict == SUPPORTED


def test_dose_response_slope_hand_computed():
    weights = [0.25, 0.5, 1.0, 2.0, 4.0]
    noise = [0.1, -0.2, 0.0, 0.2, -0.1]
    numbers = [
        (
            weight,
            {"kl_prior_knn": 3 - 0.5 * math.log2(weight) + error, "hole_mass_prior": error, "test_distortion": None},
        )
        for weight, error in zip(weights, noise, strict=True)
    ]
    rows = claims.dose_response({"latent_dim 2": numbers})
    assert [row.verdict for row in rows] == [SUPPORTED, NOT_RESOLVED]
    x, y = np.log2(weights), np.array([n["kl_prior_knn"] for _, n in numbers])
    slope = np.sum((x - x.mean()) * (y - y.mean())) / np.sum((x - x.mean()) ** 2)
    residual = y - y.mean() - slope * (x - x.mean())
    reach = scipy.stats.t.ppf(0.975, 3) * math.sqrt(np.sum(residual**2) / 3 / np.sum((x - x.mean()) ** 2))
    assert rows[0].difference == pytest.approx(slope)
    assert (rows[0].low, rows[0].high) == pytest.approx((slope - reach, slope + reach))


def test_dose_response_needs_three_weights_and_ignores_zero():
    numbers = {"kl_prior_knn": 1.0}
    assert claims.dose_response({"": [(0.0, numbers), (1.0, numbers), (2.0, numbers)]}) == []
