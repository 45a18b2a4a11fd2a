"""Verdicts from numbers: which of the four it is, what is paired with what, and that doubt is not papered over."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.stats

from vae_jax import models
from vae_jax.claims import AS_GOOD, CLAIMS, CLAIMS_ALONE, NEAR
from vae_jax.config import FIELDS, Config
from vae_jax.intervals import mean_of, seeds_to_resolve
from vae_jax.measurements import MEASUREMENTS
from vae_jax.results import Results
from vae_jax.verdicts import (
    ALONE,
    CONTRADICTED,
    LEVEL,
    MISSING_NUMBER,
    NOT_RESOLVED,
    ONE_SEED,
    PAIRED,
    SLOPE,
    SUPPORTED,
    WELCH,
    Verdict,
    judge_claims,
    judge_table,
)  # fmt: skip

SAYS = {name: says for claim in CLAIMS for name, says in claim.says.items()}
SPREAD = np.array([0.3, -0.2, 0.1, -0.4, 0.2])  # of what the two runs of a seed share
NOISE = np.array([0.010, -0.020, 0.005, 0.015, -0.010])  # of their difference; sums to 0


def results_of(rows, configs=None):
    """Results with the numbers of each Config; some of the experiment's may have none."""
    return Results(tuple(configs or rows), rows, {})


def pair(differences, seeds=5, names=tuple(SAYS)):
    """Results of an AE and a VAE that differ by this many margins, but for a little noise.

    Args:
        differences: a number for all measurements, or one for each.
    """
    differences = differences if isinstance(differences, dict) else dict.fromkeys(names, differences)
    rows = {}
    for seed in range(seeds):
        ae = {name: (50 + SPREAD[seed]) * MEASUREMENTS[name].margin for name in differences}
        difference = {name: (d + NOISE[seed]) * MEASUREMENTS[name].margin for name, d in differences.items()}
        rows[Config(model="ae", seed=seed)] = ae
        rows[Config(model="vae", seed=seed)] = {name: ae[name] + difference[name] for name in ae}
    return results_of(rows)


def judged(results):
    """The verdicts by measurement."""
    return {row.measurement: row for row in judge_claims(results)}


def sweep(number, seeds=3, name="kl_prior_knn", weights=(0.25, 0.5, 1.0, 2.0, 4.0)):
    """Results of VAEs over the KL weight; `number` is a function of the weight and the seed."""
    return results_of(
        {
            Config(model="vae", kl_weight=weight, seed=seed): {name: number(weight, seed)}
            for weight in weights
            for seed in range(seeds)
        }
    )


# The four verdicts.


def test_a_large_difference_is_supported_or_contradicted_and_flips_with_the_models():
    forward, backward = judged(pair(3.0)), judged(pair(-3.0))
    flipped = {SUPPORTED: CONTRADICTED, CONTRADICTED: SUPPORTED}
    assert forward.keys() == SAYS.keys()
    for name, row in forward.items():
        if SAYS[name] != AS_GOOD:
            assert row.verdict == (SUPPORTED if SAYS[name] == "higher" else CONTRADICTED)
            assert backward[name].verdict == flipped[row.verdict]
        assert row.estimate.value == pytest.approx(3.0 * MEASUREMENTS[name].margin)
        assert (row.model, row.baseline, row.test, row.estimate.seeds, row.note) == ("vae", "ae", PAIRED, 5, "")


def test_a_difference_of_less_than_matters_is_level_even_if_it_is_certain():
    for row in judge_claims(pair(0.5)):
        if SAYS[row.measurement] != AS_GOOD:
            assert (row.verdict, row.note) == (LEVEL, "differs, by less than matters")
            assert row.p < 0.001  # without the margin it would be supported


def test_two_copies_of_a_model_are_level():
    rows = judge_claims(pair(0.0))
    assert {row.verdict for row in rows if SAYS[row.measurement] != AS_GOOD} == {LEVEL}
    assert {row.note for row in rows} == {""}


def test_a_difference_near_the_margin_is_not_level():
    assert judged(pair(1.0))["nmi"].verdict == SUPPORTED  # its 90 % interval contains the margin


@pytest.mark.parametrize(("scale", "most"), [(1.0, 40), (1.5, 101), (4.0, None)])
def test_what_is_neither_different_nor_level_says_how_many_seeds_it_takes(scale, most):
    margin = MEASUREMENTS["nmi"].margin
    differences = scale * margin * np.array([1.0, -0.5, 1.5, -1.0, 0.25])
    rows = {
        Config(model=model, seed=seed): {"nmi": 0.5 + (model == "vae") * differences[seed]}
        for model in ("ae", "vae")
        for seed in range(5)
    }
    (row,) = judge_claims(results_of(rows))
    needed = seeds_to_resolve(row.estimate, 0.0, margin)
    assert row.verdict == NOT_RESOLVED
    assert row.note == ("about {} seeds would resolve it" if most else "over 100 seeds would resolve it").format(needed)
    assert (needed is None) == (most is None)
    assert needed is None or 5 < needed < most


@pytest.mark.parametrize(
    ("difference", "verdict"), [(0.0, SUPPORTED), (5.0, SUPPORTED), (-0.8, SUPPORTED), (-2.0, CONTRADICTED)]
)
def test_as_good_is_not_worse_by_what_matters(difference, verdict):
    """The lower the better: the AE is as good as the VAE unless the VAE's distance is below by the margin."""
    rows = judged(pair(dict.fromkeys(SAYS, 3.0) | {"gaussian_frechet": difference}))
    assert (rows["gaussian_frechet"].verdict, rows["gaussian_frechet"].null) == (verdict, -5.0)
    assert rows["mixture_frechet"].verdict == SUPPORTED


def test_as_good_at_what_is_better_when_higher(monkeypatch):
    monkeypatch.setitem(MEASUREMENTS, "gaussian_frechet", MEASUREMENTS["gaussian_frechet"]._replace(better="higher"))
    assert judged(pair({"gaussian_frechet": -5.0}))["gaussian_frechet"].verdict == SUPPORTED
    assert judged(pair({"gaussian_frechet": 2.0}))["gaussian_frechet"].verdict == CONTRADICTED


@pytest.mark.parametrize(
    ("times", "verdict"), [(3.0, SUPPORTED), (80.0, CONTRADICTED), (NEAR + 0.02, NOT_RESOLVED)], ids=str
)
def test_near_is_within_a_multiple_of_the_floor_for_each_model(times, verdict):
    (name,) = CLAIMS_ALONE[0].says
    rows = {
        Config(model=model, seed=seed): {name: times + SPREAD[seed]} for model in ("ae", "vae") for seed in range(5)
    }
    found = judge_claims(results_of(rows))
    assert [(row.model, row.baseline, row.test, row.verdict) for row in found] == [
        ("ae", None, ALONE, verdict), ("vae", None, ALONE, verdict),
    ]  # fmt: skip
    assert found[0].p == pytest.approx(scipy.stats.ttest_1samp(times + SPREAD, NEAR).pvalue)


# Pairs and seeds.


def test_a_row_is_the_paired_t_of_its_seeds():
    (row,) = judge_claims(pair({"nmi": 1.2}))
    differences = (1.2 + NOISE) * MEASUREMENTS["nmi"].margin
    expected = scipy.stats.ttest_1samp(differences, 0.0)
    assert row.p == pytest.approx(expected.pvalue)  # the only row
    assert row.estimate.interval() == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert (row.baseline_value, row.model_value) == ("1.0000 ± 0.0058", "1.0240 ± 0.0058")


def test_pairs_are_made_by_seed_and_not_by_order():
    found = pair({"nmi": 1.2})
    by_model = {model: [item for item in found.rows.items() if item[0].model == model] for model in ("ae", "vae")}
    backwards = results_of(dict([*reversed(by_model["ae"]), *by_model["vae"]]))
    (row,), (same,) = judge_claims(found), judge_claims(backwards)
    assert row.estimate == pytest.approx(same.estimate)


def test_different_seeds_are_compared_by_welch_and_the_row_says_so():
    ae, vae = [1.0, 1.2, 1.1, 1.4], [2.0, 2.1, 1.8]
    rows = {Config(model="ae", seed=seed): {"nmi": value} for seed, value in enumerate(ae)}
    rows |= {Config(model="vae", seed=10 + seed): {"nmi": value} for seed, value in enumerate(vae)}
    (row,) = judge_claims(results_of(rows))
    assert (row.test, row.estimate.seeds) == (WELCH, 3)
    assert row.p == pytest.approx(scipy.stats.ttest_ind(vae, ae, equal_var=False).pvalue)


def test_a_seed_without_its_twin_is_left_out_and_named():
    whole = pair({"nmi": 1.2})
    rows = {config: row for config, row in whole.rows.items() if (config.model, config.seed) not in {("vae", 3)}}
    (row,) = judge_claims(results_of(rows, whole.configs))
    (expected,) = judge_claims(results_of({config: row for config, row in whole.rows.items() if config.seed != 3}))
    assert row.estimate == expected.estimate
    assert (row.test, row.baseline_value, row.note) == (PAIRED, expected.baseline_value, "without seed 3")
    rows = {config: row for config, row in rows.items() if config != Config(model="ae", seed=0)}
    assert judge_claims(results_of(rows, whole.configs))[0].note == "without seeds 0, 3"


def test_runs_without_a_single_pair_have_no_verdict():
    whole = pair({"nmi": 1.2}, seeds=2)
    rows = {config: row for config, row in whole.rows.items() if (config.model == "ae") == (config.seed == 0)}
    (row,) = judge_claims(results_of(rows, whole.configs))
    assert (row.verdict, row.note) == (NOT_RESOLVED, f"{MISSING_NUMBER}; without seeds 0, 1")
    assert math.isnan(row.estimate.value)


def test_a_diverged_run_leaves_no_verdict_and_is_not_pooled_away():
    results = pair({"nmi": 1.2, "silhouette": 3.0})
    del results.rows[Config(model="vae", seed=1)]["nmi"]  # a diverged run has no numbers
    rows = judged(results)
    assert (rows["nmi"].verdict, rows["nmi"].note) == (NOT_RESOLVED, MISSING_NUMBER)
    assert math.isnan(rows["nmi"].estimate.value)
    assert rows["nmi"].model_value == "–"
    assert rows["silhouette"].verdict == SUPPORTED


def test_one_seed_resolves_nothing_and_says_so():
    rows = judge_claims(pair(9.0, seeds=1))
    assert {(row.verdict, row.note, row.estimate.seeds) for row in rows} == {(NOT_RESOLVED, ONE_SEED, 1)}
    assert rows[0].baseline_value == "1.006"  # 50.3 margins of 0.02


def test_a_number_that_no_run_has_is_no_row():
    results = pair(3.0)
    for config, row in results.evaluated:
        if config.model == "ae":
            del row["nmi"]
    assert SAYS.keys() - judged(results).keys() == {"nmi"}


# Several claims at once.


def rows_with(p_values):
    """Rows of one table whose uncorrected p-values are these."""
    rows = []
    for p in p_values:
        t = scipy.stats.t.isf(p / 2, 4)
        shape = NOISE / (np.std(NOISE, ddof=1) / math.sqrt(5))
        rows.append(
            Verdict(CLAIMS[0], "nmi", "", "vae", "ae", PAIRED, "", "", mean_of(t + shape), "higher", 0.0, margin=None)
        )
    return rows


def test_the_verdict_is_holms_and_the_interval_is_not():
    rows = judge_table(rows_with([0.04, 0.001, 0.02, 0.03]))
    assert [row.p for row in rows] == pytest.approx([0.06, 0.004, 0.06, 0.06])
    assert [row.verdict for row in rows] == [NOT_RESOLVED, SUPPORTED, NOT_RESOLVED, NOT_RESOLVED]
    assert all(row.estimate.interval()[0] > 0 for row in rows)  # each by itself would be supported
    for row in rows[0], rows[2]:
        needed = seeds_to_resolve(row.estimate, 0.0, None, 0.05 / 3)  # Holm stopped with three rows left
        assert row.note == f"not after the correction; about {needed} seeds would resolve it"


def test_each_table_is_corrected_on_its_own():
    """A VAE over the KL weight beside its AE: the rows against the AE, each model's own, and the slopes."""
    name, (near,) = "kl_prior_knn", CLAIMS_ALONE[0].says
    rows = {
        Config(model=model, kl_weight=weight, seed=seed): {
            name: 9 - math.log2(weight) + SPREAD[seed] * weight, near: 40 + SPREAD[seed],
            "nmi": 0.5 + SPREAD[seed] * weight,
        }
        for model, weights in (("ae", (1.0,)), ("vae", (0.5, 1.0, 2.0)))
        for weight in weights
        for seed in range(5)
    }  # fmt: skip
    found = judge_claims(results_of(rows))
    tables = [(row.model, row.baseline, row.test) for row in found]
    assert tables == [("vae", "ae", PAIRED)] * 3 + [("ae", None, ALONE)] + [("vae", None, ALONE)] * 3 + [
        ("vae", None, SLOPE)
    ]
    alone = scipy.stats.ttest_1samp(40 + SPREAD, NEAR).pvalue
    assert [row.p for row in found[3:7]] == pytest.approx([alone, *[3 * alone] * 3])
    slopes = [np.polyfit([-1, 0, 1], [9 + 1 + s * 0.5, 9 + s, 9 - 1 + s * 2], 1)[0] for s in SPREAD]
    assert found[7].p == pytest.approx(scipy.stats.ttest_1samp(slopes, 0).pvalue)


def test_doubt_about_one_row_is_no_burden_for_the_others():
    results = pair({"nmi": 1.2, "silhouette": 1.2})
    both = judged(results)["nmi"].p
    del results.rows[Config(model="vae", seed=1)]["silhouette"]
    assert judged(results)["nmi"].p == pytest.approx(both / 2)


# Settings and models.


def test_a_baseline_is_compared_with_the_models_of_its_setting():
    base = Config(num_epochs=1)
    rows = {
        dataclasses.replace(base, model=model, latent_dim=dim, seed=seed, kl_weight=weight): {
            "nmi": dim + (0 if model == "ae" else -weight) + 0.01 * seed
        }
        for model, weights in (("ae", (1.0,)), ("vae", (0.5, 1.0, 2.0)))
        for dim in (2, 8)
        for weight in weights
        for seed in (0, 1)
    }
    found = {row.setting: row.estimate.value for row in judge_claims(results_of(rows)) if row.baseline}
    assert found == {
        f"latent_dim {dim}, kl_weight {weight:g}": pytest.approx(-weight)
        for dim in (2, 8)
        for weight in (0.5, 1.0, 2.0)
    }


@pytest.fixture
def rae(monkeypatch):
    """A model without a variance that reads a field of its own, and is a baseline of the VAE beside the AE."""
    model = models.Model("RAE", "rae_objective", noise="none", fields=("free_bits",), baselines=("ae",))
    vae = models.MODELS["vae"]._replace(baselines=("ae", "rae"), fields=("kl_weight",))
    monkeypatch.setitem(models.MODELS, "rae", model)
    monkeypatch.setitem(models.MODELS, "vae", vae)
    monkeypatch.setattr(FIELDS["model"], "metadata", {**FIELDS["model"].metadata, "choices": ("ae", "vae", "rae")})


@pytest.mark.usefixtures("rae")
def test_a_model_is_compared_with_each_of_its_baselines_and_another_needs_no_change_here():
    rows = {
        Config(model=model, seed=seed): dict.fromkeys(SAYS, level + 0.1 * SPREAD[seed] + NOISE[seed] * level)
        for model, level in (("ae", 100.0), ("vae", 200.0), ("rae", 300.0))
        for seed in range(5)
    }
    found = judge_claims(results_of(rows))
    assert {(row.model, row.baseline) for row in found} == {("vae", "ae"), ("vae", "rae"), ("rae", "ae")}
    assert {round(row.estimate.value) for row in found if row.baseline == "rae"} == {-100}
    of_rae = {row.measurement for row in found if row.model == "rae"}
    assert not {"negentropy", "test_noise_cost"} & of_rae  # nothing pulls its codes, and they have no noise
    assert "nmi" in of_rae


@pytest.mark.usefixtures("rae")
def test_a_baseline_with_several_settings_is_named_with_each():
    rows = {Config(model="vae", seed=seed): {"nmi": 0.5 + SPREAD[seed]} for seed in range(3)}
    rows |= {
        Config(model="rae", free_bits=bits, seed=seed): {"nmi": bits + SPREAD[seed]}
        for bits in (1.0, 2.0)
        for seed in range(3)
    }
    found = [(row.setting, row.estimate.value) for row in judge_claims(results_of(rows))]
    assert found == [("RAE: free_bits 1", pytest.approx(-0.5)), ("RAE: free_bits 2", pytest.approx(-1.5))]


# Over the KL weight.


def test_a_slope_is_fitted_to_each_seed():
    """What a seed shares moves its line up and down, and the bend of the response is no noise."""
    steepness = [-0.5, -0.6, -0.4]

    def number(weight, seed):
        return 3 + 10 * seed + steepness[seed] * math.log2(weight) + 0.2 * math.log2(weight) ** 2

    (row,) = judge_claims(sweep(number))
    expected = scipy.stats.ttest_1samp(steepness, 0.0)
    assert row.estimate.value == pytest.approx(-0.5)
    assert row.p == pytest.approx(expected.pvalue)
    assert row.estimate.interval() == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert (row.verdict, row.model, row.baseline, row.test, row.note) == (SUPPORTED, "vae", None, SLOPE, "")


def test_a_response_is_level_if_it_changes_by_less_than_matters_over_all_weights():
    margin, doublings = MEASUREMENTS["kl_prior_knn"].margin, 4
    shares = ((0.8, LEVEL), (1.2, SUPPORTED))
    for share, verdict in shares:
        (row,) = judge_claims(sweep(lambda w, s, k=share: (-k * margin / doublings + 1e-5 * s) * math.log2(w)))
        assert row.verdict == verdict


def test_a_slope_with_one_seed_is_not_resolved():
    (row,) = judge_claims(sweep(lambda weight, seed: -math.log2(weight) + 0.01 * weight, seeds=1))
    assert (row.verdict, row.note, row.estimate.seeds) == (NOT_RESOLVED, ONE_SEED, 1)
    assert row.estimate.value < -0.9


def test_a_seed_without_all_weights_has_no_slope():
    results = sweep(lambda weight, seed: -math.log2(weight) + 0.01 * seed * weight)
    most = results_of({c: row for c, row in results.rows.items() if c != results.configs[0]}, results.configs)
    (row,) = judge_claims(most)
    assert (row.estimate.seeds, row.note) == (2, "without seed 0")


def test_a_slope_with_a_diverged_run_is_not_resolved():
    results = sweep(lambda weight, seed: None if (weight, seed) == (4.0, 1) else -math.log2(weight) + 0.01 * seed)
    assert [(row.verdict, row.note) for row in judge_claims(results)] == [(NOT_RESOLVED, MISSING_NUMBER)]


def test_a_slope_needs_three_weights_and_ignores_zero():
    assert judge_claims(sweep(lambda weight, seed: 1.0, weights=(0.0, 1.0, 2.0))) == []
    (row,) = judge_claims(sweep(lambda weight, seed: weight + 0.01 * seed, weights=(0.0, 1.0, 2.0, 4.0)))
    assert row.estimate.value == pytest.approx(1.5)  # least squares through 1, 2, 4 over 0, 1, 2


def test_slopes_are_a_row_for_each_setting():
    rows = {
        Config(kl_weight=weight, latent_dim=dim, seed=seed): {
            "kl_prior_knn": dim * (1 + 0.1 * seed) * math.log2(weight)
        }
        for weight in (0.5, 1.0, 2.0)
        for dim in (2, 8)
        for seed in (0, 1)
    }
    found = {row.setting: row.estimate.value for row in judge_claims(results_of(rows)) if row.test == SLOPE}
    assert found == {"latent_dim 2": pytest.approx(2.1), "latent_dim 8": pytest.approx(8.4)}
