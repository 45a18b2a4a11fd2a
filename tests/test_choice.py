"""The choice of a setting: which is best, which is next, and whether that is certain."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
from test_page import RECORD, Page
from test_verdicts import results_of

from vae_jax.claims.choice import CRITERIA, NOT_RESOLVED, ONE_SEED, RESOLVED, TIED, choose
from vae_jax.config import Config, Experiment
from vae_jax.measure.measurements import MEASUREMENTS
from vae_jax.report import page

WEIGHTS = (0.5, 1.0, 2.0)
NOISE = np.array([0.010, -0.020, 0.005, 0.015, -0.010])


def sweep(number, seeds=5, name="validation_elbo", model="vae", weights=WEIGHTS):
    """Results of a sweep of the KL weight; `number` is a function of the weight and the seed."""
    configs = [Config(model=model, kl_weight=weight, seed=seed) for weight in weights for seed in range(seeds)]
    return results_of({config: {name: number(config.kl_weight, config.seed)} for config in configs})


def only(results):
    (choice,) = choose(results)
    return choice


def test_the_best_is_compared_with_the_next_best():
    best, other = -160 + NOISE[:5], -160.1 + 3 * NOISE[::-1]
    numbers = {0.5: other, 1.0: best, 2.0: best - 50}
    choice = only(sweep(lambda weight, seed: float(numbers[weight][seed])))
    assert (choice.criterion, choice.model, choice.setting) == ("validation_elbo", "vae", "kl_weight 1")
    assert (choice.next_setting, choice.settings, choice.tied, choice.within) == ("kl_weight 0.5", 3, 1, "")
    assert choice.estimate.value == pytest.approx(0.1)
    assert choice.p == pytest.approx(scipy.stats.ttest_ind(best, other, equal_var=False).pvalue, rel=1e-9)
    assert choice.outcome == RESOLVED
    assert choice.value.startswith("-160.")


@pytest.mark.parametrize("name", sorted(CRITERIA))
def test_every_criterion_has_its_direction(name):
    assert MEASUREMENTS[name].better in (CRITERIA[name], None)
    choice = only(sweep(lambda weight, seed: 100 * weight, seeds=1, name=name))
    assert choice.setting == ("kl_weight 2" if CRITERIA[name] == "higher" else "kl_weight 0.5")
    assert choice.next_setting == "kl_weight 1"


def test_the_test_elbo_chooses_nothing():
    assert choose(sweep(lambda weight, seed: weight, name="test_elbo")) == []


@pytest.mark.parametrize(
    ("name", "seeds", "difference", "outcome"),
    [
        ("validation_elbo", 5, 1.0, RESOLVED), ("validation_elbo", 5, 0.001, NOT_RESOLVED),
        ("validation_elbo", 1, 1.0, ONE_SEED), ("validation_elbo", 5, 0.0, TIED),
        ("prior_frechet", 5, 50.0, RESOLVED),
    ],
)  # fmt: skip
def test_how_certain_it_is(name, seeds, difference, outcome):
    choice = only(sweep(lambda w, seed: w * difference + (w * NOISE[seed] if difference else 0), seeds, name))
    assert choice.outcome == outcome
    assert choice.tied == (3 if outcome == TIED else 1)


def test_seeds_that_do_not_pair_are_compared_by_their_means():
    best, other = [10.0, 10.5, 11.0], [8.0, 8.2, 8.1]
    rows = {Config(kl_weight=1.0, seed=seed): {"validation_elbo": best[seed]} for seed in range(3)}
    rows |= {Config(kl_weight=2.0, seed=3 + seed): {"validation_elbo": other[seed]} for seed in range(3)}
    expected = scipy.stats.ttest_ind(best, other, equal_var=False)
    assert only(results_of(rows)).p == pytest.approx(expected.pvalue, rel=1e-9)


def test_a_setting_with_a_run_that_has_no_number_is_not_chosen():
    results = sweep(lambda weight, seed: weight, seeds=2)
    results.rows[Config(kl_weight=2.0, seed=1)]["validation_elbo"] = None
    choice = only(results)
    assert (choice.setting, choice.settings) == ("kl_weight 1", 2)


def test_models_and_data_sets_are_kept_apart():
    rows = dict(sweep(lambda weight, seed: weight).rows)
    rows |= {dataclasses.replace(config, model="rae"): row for config, row in rows.items()}
    vae, rae, every = choose(results_of(rows))
    assert (vae.model, rae.model, every.model) == ("vae", "rae", "")
    rows = dict(sweep(lambda weight, seed: weight).rows)
    rows |= {dataclasses.replace(config, dataset="kmnist"): {"validation_elbo": 9 - c} for c, config in enumerate(rows)}
    choices = choose(results_of(rows))
    assert [(choice.within, choice.setting) for choice in choices] == [
        ("dataset mnist_5k", "kl_weight 2"), ("dataset kmnist", "kl_weight 0.5"),
    ]  # fmt: skip


def test_the_best_of_all_models_is_named_with_its_model():
    rows = dict(sweep(lambda weight, seed: 10 * weight + NOISE[seed], name="validation_distortion").rows)
    rows |= sweep(lambda weight, seed: 1 + NOISE[seed], name="validation_distortion", model="ae", weights=(1.0,)).rows
    vae, every = choose(results_of(rows))
    assert (vae.model, vae.setting) == ("vae", "kl_weight 0.5")
    assert (every.model, every.setting, every.next_setting) == ("", "AE", "VAE, kl_weight 0.5")
    assert (every.settings, every.estimate.value) == (4, pytest.approx(-4))
    assert "all" in rendered(results_of(rows)).texts("td")


def test_one_setting_is_no_choice():
    rows = {Config(model=model, seed=seed): {"validation_elbo": 1.0} for model in ("ae", "vae") for seed in range(3)}
    assert choose(results_of(rows)) == []


# On the page.


def rendered(results, language="en"):
    return Page(page.render(Experiment(name="e", question="?"), RECORD, results, [], language=language))


@pytest.mark.parametrize(
    ("language", "title", "grid", "criterion", "outcome"),
    [("en", "Which setting?", "15 runs: kl_weight", "validation ELBO (highest)", "yes: p < 0.001"),
     ("ko", "어떤 설정이 좋을까요?", "실행 15개: kl_weight", "검증 ELBO(높을수록 좋음)", "예: p < 0.001")],
)  # fmt: skip
def test_the_page_of_a_sweep_shows_the_choice(language, title, grid, criterion, outcome):
    results = sweep(lambda weight, seed: weight + NOISE[seed] * weight)
    parsed = rendered(results, language)
    assert title in parsed.texts("h2")
    assert grid in " ".join(parsed.texts("h1"))
    cells = parsed.texts("td")
    at = cells.index(criterion)
    assert cells[at + 1] == "kl_weight 2 2.000 ± 0.029"
    assert cells[at + 2].startswith("kl_weight 1 Δ 1.000 [0.964, 1.036]")
    assert cells[at + 3] == outcome
    assert title not in rendered(sweep(lambda weight, seed: weight, weights=(1.0,)), language).texts("h2")


def test_a_tie_names_no_setting():
    parsed = rendered(sweep(lambda weight, seed: 2.0, name="test_active_units"))
    cells = parsed.texts("td")
    at = cells.index("active units (highest)")
    assert cells[at + 1] == "– 2 ± 0"
    assert cells[at + 3] == "3 of 3 settings are equal"


def test_how_certain_a_choice_is_is_said_on_the_page():
    unsure = sweep(lambda weight, seed: 0.001 * weight + NOISE[seed] * weight)
    assert "not resolved by 5 seeds: p 0.9" in " ".join(rendered(unsure).texts("td"))
    assert "one seed: not resolved" in rendered(sweep(lambda weight, seed: weight, seeds=1)).texts("td")
