"""Verdicts from numbers: which of the five it is, what is compared with what, and what is corrected together."""

import csv
import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from vae_jax.claims.claims import CLAIMS, OF_GAIN, PRICE, RELATIVE
from vae_jax.claims.intervals import ALPHA, holm, seeds_to_resolve
from vae_jax.claims.results import Results
from vae_jax.claims.verdicts import (
    CONTRADICTED,
    LEVEL,
    MISSING_NUMBER,
    NOT_JUDGED,
    NOT_RESOLVED,
    ONE_SEED,
    SUPPORTED,
    describe_others,
    judge,
    pairs,
    write_tables,
)
from vae_jax.config import Config
from vae_jax.measure.measurements import MEASUREMENTS

NOISE = {"ae": np.array([0.10, -0.20, 0.05, 0.15, -0.10]), "vae": np.array([-0.03, 0.06, 0.02, -0.07, 0.02])}
JUDGED = [claim for claim in CLAIMS if claim.measurement != "mig"]  # of images whose factors are not known
# Numbers of a model and a baseline that differ by a given number of margins in every claim.
LEVELS = {"prior_gap": 40.0, "gaussian_frechet": 200.0, "test_distortion": 150.0}
MEAN_IMAGE = 200.0
GAIN = MEAN_IMAGE - LEVELS["test_distortion"]
MARGINS = {claim.measurement: claim.margin for claim in JUDGED} | {
    "prior_gap": RELATIVE * 40.0, "gaussian_frechet": RELATIVE * 200.0, "test_distortion": OF_GAIN * GAIN,
}  # fmt: skip
SIGNS = {claim.measurement: 1 if claim.says == "higher" else -1 for claim in JUDGED}


def results_of(rows, configs=None, shown=()):
    """Results with the numbers of each Config; some of the experiment's may have none."""
    return Results(tuple(configs or rows), rows, {}, shown)


def numbers(model, seed, margins, scale=1.0):
    """A run's primary numbers, so many margins above the baseline's for a VAE, and what else a verdict reads."""
    row = {"mean_image_distortion": MEAN_IMAGE, "reconstruction_implausible": 0.1}
    for name, margin in MARGINS.items():
        shift = margins.get(name, 0.0) if isinstance(margins, dict) else margins * SIGNS[name]
        mean = LEVELS.get(name, 0.4) + (shift * margin if model == "vae" else 0.0)
        row[name] = float(mean + scale * margin * NOISE[model][seed])
    return row


def pair(margins, seeds=5, scale=1.0, **fields):
    """Results of an AE and a VAE that differ by so many margins, in the direction of the claims if it is one number."""
    return results_of({
        Config(model=model, seed=seed, **fields): numbers(model, seed, margins, scale)
        for model in ("ae", "vae") for seed in range(seeds)
    })  # fmt: skip


def judged(results):
    """The verdicts by measurement."""
    return {row.claim.measurement: row for row in judge(results)}


def changed(results, model, **others):
    """The results with other numbers of one model's runs."""
    return results._replace(
        rows={config: row | others if config.model == model else row for config, row in results.rows.items()}
    )


# The five verdicts.


def test_a_large_difference_is_supported_or_contradicted():
    forward, backward = judged(pair(3.0)), judged(pair(-3.0))
    assert forward.keys() == {claim.measurement for claim in JUDGED}
    assert {row.verdict for row in forward.values()} == {SUPPORTED}
    assert {row.verdict for row in backward.values()} == {CONTRADICTED}
    for name, row in forward.items():
        ae, vae = ([numbers(model, seed, 3.0)[name] for seed in range(5)] for model in ("ae", "vae"))
        expected = scipy.stats.ttest_ind(vae, ae, equal_var=False)
        assert row.estimate.value == pytest.approx(np.mean(vae) - np.mean(ae))
        assert row.estimate.p == pytest.approx(expected.pvalue, rel=1e-6)
        assert row.estimate.freedom == pytest.approx(expected.df)
        interval = expected.confidence_interval(0.95)
        assert row.estimate.interval() == pytest.approx((interval.low, interval.high))
        assert (row.model, row.baseline, row.note, row.model_numbers) == ("vae", "ae", "", vae)


def test_a_difference_of_less_than_matters_is_level_even_if_it_is_certain():
    for row in judge(pair(0.5)):
        assert (row.verdict, row.note) == (LEVEL, "differs, by less than matters")
        assert row.p < 0.05  # without the margin it would be supported
    assert {(row.verdict, row.note) for row in judge(pair(0.0))} == {(LEVEL, "")}


def test_a_difference_near_the_margin_is_not_level():
    assert {row.verdict for row in judge(pair(1.0))} == {SUPPORTED}  # whose 90 % intervals contain the margin


def test_margins_are_relative_to_both_models_or_to_what_the_baseline_gains():
    found = judged(changed(changed(pair(3.0), "ae", prior_gap=30.0, test_distortion=150.0), "vae", prior_gap=-10.0))
    assert found["prior_gap"].margin == pytest.approx(0.1 * 10.0)  # of the mean of both
    assert found["test_distortion"].margin == pytest.approx(0.02 * 50.0)  # of what the AE gains
    assert found["gaussian_hole_mass"].margin == 0.02


def test_what_is_not_resolved_says_how_many_seeds_it_takes():
    rows = judge(pair(0.9, scale=12.0))
    assert {row.verdict for row in rows} == {NOT_RESOLVED}
    assert all("seeds would resolve it" in row.note for row in rows)


def test_seeds_are_counted_at_the_level_at_which_the_correction_stopped():
    """Five claims are resolved, and the two that are not need p at half of 0.05, not at a seventh."""
    open_ones = {"gaussian_hole_mass": -0.7, "knn_accuracy_whitened": 0.7}
    rows = judged(pair({claim.measurement: 15.0 for claim in JUDGED} | open_ones, scale=4.0))
    assert {name for name, row in rows.items() if row.verdict == NOT_RESOLVED} == open_ones.keys()
    for row in (rows[name] for name in open_ones):
        at_half, at_a_seventh = (seeds_to_resolve(row.estimate, row.margin, ALPHA / tests) for tests in (2, 7))
        assert at_half < at_a_seventh
        assert row.note.endswith(f"about {at_half} seeds would resolve it")


@pytest.mark.parametrize("model", ["ae", "vae"])
def test_a_model_that_does_not_reconstruct_is_judged_by_its_price_only(model):
    """It gains less than half of the nats that the best model gains over the mean training image."""
    found = judged(changed(pair(3.0), model, test_distortion=MEAN_IMAGE - 0.4 * GAIN))
    title = model.upper()
    for name, row in found.items():
        if name == PRICE.measurement:
            assert row.verdict in (SUPPORTED, CONTRADICTED)
        else:
            assert row.verdict == NOT_JUDGED
            assert math.isnan(row.p)  # it leaves the family
            assert row.note.startswith(f"the {title} does not reconstruct: it gains 4")
    assert found["test_distortion"].p == pytest.approx(found["test_distortion"].estimate.p)
    better = judged(changed(pair(3.0), model, test_distortion=MEAN_IMAGE - 0.55 * GAIN))
    assert NOT_JUDGED not in {row.verdict for row in better.values()}


def test_the_best_model_is_that_of_the_same_dimension():
    results = pair(3.0)
    rich = {replace(config, latent_dim=16): row | {"test_distortion": 20.0} for config, row in results.rows.items()}
    verdicts = judge(results_of({**results.rows, **rich}))
    assert NOT_JUDGED not in {row.verdict for row in verdicts}


def test_where_nothing_is_gained_nothing_is_judged():
    results = changed(changed(pair(3.0), "ae", test_distortion=201.0), "vae", test_distortion=202.0)
    assert {row.verdict for row in judge(results) if row.claim is not PRICE} == {NOT_JUDGED}


@pytest.mark.parametrize("model", ["ae", "vae"])
def test_midpoints_are_not_judged_where_most_reconstructions_are_rejected(model):
    found = judged(changed(pair(3.0), model, reconstruction_implausible=0.51))
    assert {name for name, row in found.items() if row.verdict == NOT_JUDGED} == {"midpoint_implausible_excess"}
    assert found["midpoint_implausible_excess"].note == f"51 % of the {model.upper()}’s reconstructions are implausible"
    half = judged(changed(pair(3.0), model, reconstruction_implausible=0.5))
    assert half["midpoint_implausible_excess"].verdict == SUPPORTED


# Missing numbers, seeds and models.


def test_one_seed_has_numbers_and_no_verdict():
    for row in judge(pair(3.0, seeds=1)):
        assert (row.verdict, row.note) == (NOT_RESOLVED, ONE_SEED)
        assert math.isnan(row.p)
        assert row.estimate.value == pytest.approx(row.model_numbers[0] - row.baseline_numbers[0])
        assert np.isnan(row.estimate.interval()).all()


def test_what_was_not_measured_leaves_the_family():
    """As without labels: there is no row, and the others are corrected for fewer."""
    results = pair(3.0)
    rows = {config: {"test_distortion": row["test_distortion"], "mean_image_distortion": MEAN_IMAGE}
            for config, row in results.rows.items()}  # fmt: skip
    (row,) = judge(results_of(rows))
    assert (row.claim, row.p) == (PRICE, row.estimate.p)


def test_single_factors_are_a_claim_only_where_factors_are_known():
    """Where they are, there are eight in the family."""
    results = pair(1.5)
    others = judge(results)
    assert [row.claim for row in others] == JUDGED
    rows = {config: row | {"mig": row["gaussian_hole_mass"]} for config, row in results.rows.items()}
    known = judge(results_of(rows))
    assert [row.claim for row in known] == list(CLAIMS)
    assert known[0].verdict == CONTRADICTED  # a larger gap is better, and the VAE's is smaller
    assert [row.p for row in known] == pytest.approx(holm([row.estimate.p for row in known]))
    assert known[1].p > others[0].p


def test_a_run_without_a_finite_number_leaves_no_verdict():
    results = pair(3.0)
    first = next(config for config in results.rows if config.model == "vae")
    rows = {**results.rows, first: results.rows[first] | {"prior_gap": None}}
    row = judged(results_of(rows))["prior_gap"]
    assert (row.verdict, row.note) == (NOT_RESOLVED, MISSING_NUMBER)
    assert math.isnan(row.p)


def test_seeds_do_not_have_to_be_the_same():
    results = pair(3.0)
    rows = {config: row for config, row in results.rows.items() if not (config.model == "ae" and config.seed < 2)}
    row = judged(results_of(rows, results.configs))["prior_gap"]
    assert (len(row.model_numbers), len(row.baseline_numbers), row.estimate.seeds) == (5, 3, 3)


# Families, and what is compared with what.


def with_dimensions(*margins):
    rows = {}
    for latent_dim, margin in zip((2, 16, 32), margins, strict=False):
        rows |= {replace(config, latent_dim=latent_dim): row for config, row in pair(margin, scale=4.0).rows.items()}
    return results_of(rows)


def test_all_claims_at_all_dimensions_are_corrected_together():
    verdicts = judge(with_dimensions(2.0, 1.5))
    assert [row.pair.setting for row in verdicts] == ["latent_dim 2"] * len(JUDGED) + ["latent_dim 16"] * len(JUDGED)
    assert {row.pair.family for row in verdicts} == {"VAE against AE"}
    assert [row.p for row in verdicts] == pytest.approx(holm([row.estimate.p for row in verdicts]))
    alone = judge(with_dimensions(2.0))
    assert [row.p for row in alone] == pytest.approx(holm([row.estimate.p for row in alone]))
    assert alone[0].p < verdicts[0].p


def test_another_value_of_another_field_is_another_family():
    rows = {}
    for weight in (0.5, 4.0):
        rows |= {replace(c, kl_weight=weight) if c.model == "vae" else c: row for c, row in pair(2.0).rows.items()}
    verdicts = judge(results_of(rows))
    families = {row.pair.family: row.pair.setting for row in verdicts}
    assert families == {"VAE against AE, kl_weight 0.5": "kl_weight 0.5", "VAE against AE, kl_weight 4": "kl_weight 4"}
    half = verdicts[: len(JUDGED)]
    assert [row.p for row in half] == pytest.approx(holm([row.estimate.p for row in half]))


def test_a_model_is_compared_with_the_first_of_its_baselines_that_is_there():
    def compared(*models):
        configs = [Config(model=model, seed=seed) for model in models for seed in (0, 1)]
        return [(pair.model[0].model, pair.baseline[0].model) for pair in pairs(results_of({}, configs))]

    assert compared("ae", "vae") == [("vae", "ae")]
    assert compared("vae", "ae", "cv_vae", "rae") == [("rae", "ae"), ("cv_vae", "ae"), ("vae", "ae")]
    assert compared("vae", "cv_vae", "rae") == [("cv_vae", "rae"), ("vae", "cv_vae")]
    assert compared("vae") == []


def test_both_models_agree_in_what_both_read():
    configs = [Config(model=model, latent_dim=dims, seed=seed)
               for model in ("ae", "vae") for dims in (2, 8) for seed in (0, 1)]  # fmt: skip
    found = {pair.setting: (pair.model, pair.baseline) for pair in pairs(results_of({}, configs))}
    assert found.keys() == {"latent_dim 2", "latent_dim 8"}
    assert {c.latent_dim for runs in found["latent_dim 8"] for c in runs} == {8}


def test_a_baseline_of_several_settings_is_named_with_them():
    configs = [Config(model="cv_vae", noise_sd=sd, seed=seed) for sd in (0.1, 0.3) for seed in (0, 1)]
    configs += [Config(model="vae", seed=seed) for seed in (0, 1)]
    assert [pair.setting for pair in pairs(results_of({}, configs))] == ["CV-VAE: noise_sd 0.1", "CV-VAE: noise_sd 0.3"]


def test_what_is_shown_is_not_judged():
    results = pair(3.0)
    shown = {Config(model="vae", kl_weight=weight): numbers("vae", 0, -3.0) for weight in (0.25, 8.0)}
    rows = {**results.rows, **shown}
    verdicts = judge(results_of(rows, shown=frozenset(shown)))
    assert [row._replace(pair=None) for row in verdicts] == [row._replace(pair=None) for row in judge(results)]


# Descriptive numbers, and the tables.


def test_other_numbers_are_described_with_the_probability_of_being_better():
    rows = {}
    for seed, (ae, vae) in enumerate(((1.0, 0.5), (2.0, 1.0), (3.0, 2.5))):
        rows[Config(model="ae", seed=seed)] = {"negentropy": ae, "test_active_units": 2, "prior_gap": 1.0}
        rows[Config(model="vae", seed=seed)] = {"negentropy": vae, "prior_gap": 1.0}
    (row,) = describe_others(results_of(rows))  # units have no direction, and prior_gap is judged
    assert row.measurement == "negentropy"
    assert row.probability == pytest.approx((3 + 2.5 + 1) / 9)  # of (VAE, AE) pairs by hand, a tie counting half
    assert row.estimate.value == pytest.approx(4 / 3 - 2)
    assert row.estimate.p == pytest.approx(scipy.stats.ttest_ind([0.5, 1, 2.5], [1, 2, 3], equal_var=False).pvalue)


def test_tables_hold_what_is_said(tmp_path):
    results = changed(pair(3.0), "vae", negentropy=0.2)
    results = changed(results, "ae", negentropy=0.5)
    write_tables(tmp_path, judge(results), describe_others(results))
    with open(tmp_path / "primaries.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["number"] for row in rows] == [claim.measurement for claim in JUDGED]
    first, verdict = rows[0], judge(results)[0]
    assert (first["model"], first["baseline"], first["verdict"]) == ("vae", "ae", "supported")
    assert first["claim"].startswith("N(0, I) can be sampled without looking at the codes of the VAE")
    low, high = verdict.estimate.interval()
    expected = {
        "difference": verdict.estimate.value, "low": low, "high": high, "p": verdict.estimate.p, "p_holm": verdict.p,
        "model_mean": np.mean(verdict.model_numbers), "margin": verdict.margin,
    }  # fmt: skip
    assert {name: float(first[name]) for name in expected} == pytest.approx(expected)
    with open(tmp_path / "descriptive.csv", encoding="utf-8") as file:
        (row,) = [row for row in csv.DictReader(file) if row["number"] == "negentropy"]
    assert float(row["probability_of_improvement"]) == 1
    write_tables(tmp_path, judge(pair(3.0, seeds=1)), [])
    with open(tmp_path / "primaries.csv", encoding="utf-8") as file:
        assert {(row["low"], row["p_holm"]) for row in csv.DictReader(file)} == {("", "")}
    assert (tmp_path / "descriptive.csv").read_text() == ""


def test_every_primary_number_is_measured():
    for claim in CLAIMS:
        assert MEASUREMENTS[claim.measurement].better == ("higher" if claim.says == "higher" else "lower") or (
            claim is PRICE
        )
