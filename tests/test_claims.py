"""Verdicts: intervals against hand computation, and verdicts that flip with the models and doubt copies."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.stats

from vae_jax import claims, models
from vae_jax.claims import CONTRADICTED, MISSING_NUMBER, NOT_RESOLVED, ONE_SEED, SUPPORTED
from vae_jax.config import FIELDS, Config
from vae_jax.results import Results

KEYS = {name for claim in claims.CLAIMS for name in claim.says}


def results_of(rows):
    """Results with the numbers of each Config."""
    return Results(tuple(rows), rows, {})


def pair(ae_level, vae_level, seeds=3, spread=0.01):
    """Results of an AE and a VAE, all of whose numbers are at a level, and rise with the seed."""
    return results_of(
        {
            Config(model=model, seed=seed): dict.fromkeys(KEYS, level + spread * seed)
            for model, level in (("ae", ae_level), ("vae", vae_level))
            for seed in range(seeds)
        }
    )


def sweep(number, seeds=2, name="kl_prior_knn", weights=(0.25, 0.5, 1.0, 2.0, 4.0)):
    """Results of VAEs over the KL weight; `number` is a function of the weight and the seed."""
    return results_of(
        {
            Config(model="vae", kl_weight=weight, seed=seed): {name: number(weight, seed)}
            for weight in weights
            for seed in range(seeds)
        }
    )


def test_welch_interval_hand_computed():
    ae, vae = [1.0, 2.0, 3.0], [5.0, 5.5, 6.0, 7.5]
    difference, low, high = claims.difference_interval(ae, vae)
    va, vb = np.var(ae, ddof=1) / 3, np.var(vae, ddof=1) / 4
    freedom = (va + vb) ** 2 / (va**2 / 2 + vb**2 / 3)
    reach = scipy.stats.t.ppf(0.975, freedom) * math.sqrt(va + vb)
    assert difference == pytest.approx(4.0)
    assert (low, high) == pytest.approx((4 - reach, 4 + reach))


@pytest.mark.parametrize("scale", [1e100, 1e-100])
def test_intervals_of_large_and_small_numbers(scale):
    """Fourth powers of these overflow or vanish."""
    ae, vae = np.array([1.0, 2.0, 3.0]), np.array([5.0, 5.5, 6.0, 7.5])
    expected = np.multiply(claims.difference_interval(ae, vae), scale)
    assert claims.difference_interval(scale * ae, scale * vae) == pytest.approx(tuple(expected), rel=1e-9, abs=0)
    x, y = [0.0, 0.0, 1.0, 1.0], np.array([1.0, 2.0, 4.0, 4.5])
    expected = np.multiply(claims.slope_interval(x, y), scale)
    assert claims.slope_interval(x, scale * y) == pytest.approx(tuple(expected), rel=1e-9, abs=0)


def test_the_interval_covers_the_truth_95_times_in_100():
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        _, low, high = claims.difference_interval(random.normal(0, 1, 3), random.normal(0.5, 3, 3))
        covered += low <= 0.5 <= high
    assert 930 <= covered <= 990  # Welch at 3 against 3 is a little conservative; binomial sd 7


@pytest.mark.parametrize(
    ("low", "high", "says", "verdict"),
    [
        (0.1, 2, "higher", SUPPORTED), (0.1, 2, "lower", CONTRADICTED), (-2, -0.1, "lower", SUPPORTED),
        (-2, -0.1, "higher", CONTRADICTED), (-1, 1, "higher", NOT_RESOLVED), (0, 1, "higher", NOT_RESOLVED),
        (math.nan, math.nan, "higher", NOT_RESOLVED),
    ],
)  # fmt: skip
def test_judge(low, high, says, verdict):
    assert claims.judge(low, high, says) == verdict


def test_verdicts_flip_when_the_models_are_swapped():
    flipped = {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED}
    forward, backward = claims.judge_claims(pair(1.0, 2.0)), claims.judge_claims(pair(2.0, 1.0))
    assert len(forward) == sum(len(claim.says) for claim in claims.CLAIMS)
    assert [flipped[row.verdict] for row in forward] == [row.verdict for row in backward]
    for row, says in zip(forward, (says for claim in claims.CLAIMS for says in claim.says.values()), strict=True):
        assert row.verdict == (SUPPORTED if says == "higher" else CONTRADICTED)
        assert row.difference == pytest.approx(1.0)
        assert (row.model, row.baseline, row.seeds, row.reason) == ("vae", "ae", 3, "")
        assert (row.baseline_value, row.model_value) == ("1.01 ± 0.01", "2.01 ± 0.01")


def test_two_copies_of_a_model_are_not_resolved():
    assert {row.verdict for row in claims.judge_claims(pair(1.0, 1.0))} == {NOT_RESOLVED}


def test_one_seed_resolves_nothing_and_says_so():
    rows = claims.judge_claims(pair(1.0, 9.0, seeds=1))
    assert {(row.verdict, row.reason, row.seeds) for row in rows} == {(NOT_RESOLVED, ONE_SEED, 1)}
    assert all(math.isnan(row.low) for row in rows)
    assert rows[0].baseline_value == "1"


def test_missing_numbers_are_left_out_and_a_missing_seed_is_not_papered_over():
    results = pair(1.0, 2.0)
    for config, row in results.evaluated:
        if config.model == "ae":
            del row["nmi"]
        elif config.seed == 1:
            row["silhouette"] = None
    rows = {row.measurement: row for row in claims.judge_claims(results)}
    assert "nmi" not in rows
    assert (rows["silhouette"].verdict, rows["silhouette"].reason) == (NOT_RESOLVED, MISSING_NUMBER)
    assert rows["knn_accuracy"].verdict == SUPPORTED


def test_a_baseline_is_compared_with_the_models_of_its_setting():
    base = Config(num_epochs=1)
    rows = {
        dataclasses.replace(base, model=model, latent_dim=dim, seed=seed, kl_weight=weight): {
            "kl_prior_knn": dim + (0 if model == "ae" else -weight) + 0.01 * seed
        }
        for model, weights in (("ae", (1.0,)), ("vae", (0.5, 1.0, 2.0)))
        for dim in (2, 8)
        for weight in weights
        for seed in (0, 1)
    }
    verdicts = claims.judge_claims(results_of(rows))
    found = {verdict.setting: verdict.difference for verdict in verdicts if verdict.baseline}
    assert found == {
        f"latent_dim {dim}, kl_weight {weight:g}": pytest.approx(-weight)
        for dim in (2, 8)
        for weight in (0.5, 1.0, 2.0)
    }
    slopes = {verdict.setting: verdict.difference for verdict in verdicts if not verdict.baseline}
    assert slopes == {f"latent_dim {dim}": pytest.approx(-0.75) for dim in (2, 8)}  # -1.5 over two doublings


def test_another_model_needs_no_change_here(monkeypatch):
    """A model without a variance, which reads no kl_weight, and whose baseline is the AE."""
    monkeypatch.setitem(models.MODELS, "other", models.Model("Other", "ae_objective", noise="none", baselines=("ae",)))
    monkeypatch.setattr(FIELDS["model"], "metadata", {**FIELDS["model"].metadata, "choices": (*models.MODELS, "other")})
    rows = {
        Config(model=model, seed=seed): dict.fromkeys(KEYS, level + 0.01 * seed)
        for model, level in (("ae", 1.0), ("vae", 2.0), ("other", 3.0))
        for seed in range(3)
    }
    verdicts = claims.judge_claims(results_of(rows))
    by_model = {model: [row for row in verdicts if row.model == model] for model in ("vae", "other")}
    assert {row.baseline for row in verdicts} == {"ae"}
    assert all(row.difference == pytest.approx(2.0) for row in by_model["other"])
    assert "posterior_width" in {row.measurement for row in by_model["vae"]}
    assert "posterior_width" not in {row.measurement for row in by_model["other"]}
    assert not any("KL term" in row.claim or "VAE" in row.claim for row in by_model["other"])
    assert any("similar images in the Other, less so in the AE" in row.claim for row in by_model["other"])


NOISE = {(weight, seed): value for (weight, seed), value in zip(
    [(w, s) for w in (0.25, 0.5, 1.0, 2.0, 4.0) for s in (0, 1)],
    [0.1, -0.2, 0.0, 0.2, -0.1, 0.15, -0.05, 0.1, 0.0, -0.2],
    strict=True,
)}  # fmt: skip


def test_dose_response_slope_hand_computed():
    (row,) = claims.judge_claims(sweep(lambda weight, seed: 3 - 0.5 * math.log2(weight) + NOISE[weight, seed]))
    x = np.array([math.log2(weight) for weight, _ in NOISE])
    y = 3 - 0.5 * x + np.array(list(NOISE.values()))
    slope = np.sum((x - x.mean()) * (y - y.mean())) / np.sum((x - x.mean()) ** 2)
    residual = y - y.mean() - slope * (x - x.mean())
    reach = scipy.stats.t.ppf(0.975, 8) * math.sqrt(np.sum(residual**2) / 8 / np.sum((x - x.mean()) ** 2))
    assert row.difference == pytest.approx(slope)
    assert (row.low, row.high) == pytest.approx((slope - reach, slope + reach))
    assert (row.verdict, row.model, row.baseline, row.seeds, row.reason) == (SUPPORTED, "vae", None, 2, "")
    (row,) = claims.judge_claims(sweep(lambda weight, seed: NOISE[weight, seed]))
    assert row.verdict == NOT_RESOLVED


def test_a_slope_with_one_seed_per_weight_is_not_resolved():
    (row,) = claims.judge_claims(sweep(lambda weight, seed: -math.log2(weight) + 0.01 * weight, seeds=1))
    assert (row.verdict, row.reason, row.seeds) == (NOT_RESOLVED, ONE_SEED, 1)
    assert row.difference < -0.9
    assert math.isnan(row.low)
    assert math.isnan(row.high)


def test_a_slope_needs_two_seeds_at_every_weight():
    results = sweep(lambda weight, seed: -math.log2(weight) + 0.01 * seed)
    most = Results(results.configs, {c: row for c, row in results.rows.items() if c != results.configs[0]}, {})
    assert [row.verdict for row in claims.judge_claims(results)] == [SUPPORTED]
    assert [(row.verdict, row.reason, row.seeds) for row in claims.judge_claims(most)] == [(NOT_RESOLVED, ONE_SEED, 1)]


def test_a_slope_with_a_diverged_run_is_not_resolved():
    results = sweep(lambda weight, seed: None if (weight, seed) == (4.0, 1) else -math.log2(weight) + 0.01 * seed)
    assert [(row.verdict, row.reason) for row in claims.judge_claims(results)] == [(NOT_RESOLVED, MISSING_NUMBER)]


def test_a_slope_needs_three_weights_and_ignores_zero():
    assert claims.judge_claims(sweep(lambda weight, seed: 1.0, weights=(0.0, 1.0, 2.0))) == []
    (row,) = claims.judge_claims(sweep(lambda weight, seed: weight + 0.01 * seed, weights=(0.0, 1.0, 2.0, 4.0)))
    assert row.difference == pytest.approx(1.5)  # least squares through 1, 2, 4 over 0, 1, 2
