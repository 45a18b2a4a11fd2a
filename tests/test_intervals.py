"""Intervals, p-values and seeds against SciPy, hand computation and simulation."""

import math

import numpy as np
import pytest
import scipy.stats

from vae_jax.claims.intervals import (
    MOST_SEEDS,
    Estimate,
    difference,
    holm,
    mean_of,
    probability_of_improvement,
    seeds_to_resolve,
)

AE, VAE = [1.0, 2.0, 4.0, 3.5, 0.5], [1.5, 2.2, 4.9, 3.6]


def test_a_difference_is_scipys_welch_and_hand_computed():
    found, expected = difference(AE, VAE), scipy.stats.ttest_ind(VAE, AE, equal_var=False)
    of_ae, of_vae = np.var(AE, ddof=1) / 5, np.var(VAE, ddof=1) / 4
    assert found.value == pytest.approx(3.05 - 2.2)
    assert found.error == pytest.approx(math.sqrt(of_ae + of_vae), rel=1e-12)
    assert found.freedom == pytest.approx((of_ae + of_vae) ** 2 / (of_ae**2 / 4 + of_vae**2 / 3))
    assert found.seeds == 4
    for level in (0.9, 0.95):
        assert found.interval(level) == pytest.approx(tuple(expected.confidence_interval(level)), rel=1e-12)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-12)


@pytest.mark.parametrize("scale", [1e100, 1e-100])
def test_large_and_small_numbers(scale):
    """Fourth powers of these overflow or vanish."""
    expected, found = difference(AE, VAE), difference(np.multiply(AE, scale), np.multiply(VAE, scale))
    assert found.interval() == pytest.approx(tuple(np.multiply(expected.interval(), scale)), rel=1e-9, abs=0)
    assert found.p == pytest.approx(expected.p, rel=1e-9)


def test_no_spread_is_no_division_by_zero():
    same, above = difference([2.0, 2.0, 2.0], [2.0, 2.0, 2.0]), difference([0.0, 0.0], [1.0, 1.0])
    assert (same.p, difference([0.0, 0.0], [0.0, 0.0]).p) == (1.0, 1.0)
    assert above.p < 1e-12
    assert above.interval() == pytest.approx((1.0, 1.0))


def test_rounding_alone_is_no_difference():
    """0.1 + 0.2 is one unit in the last place above 0.3."""
    assert difference([0.3] * 5, [0.1 + 0.2] * 5).p > 0.2


@pytest.mark.parametrize("found", [difference([1.0], [2.0]), difference([1.0], [2.0, 4.0])], ids=str)
def test_one_seed_has_a_value_and_nothing_else(found):
    assert found.value >= 1
    assert all(map(math.isnan, (*found.interval(), found.p)))
    assert not found.is_level(1e9)
    assert seeds_to_resolve(found, 1.0) is None


def test_the_interval_covers_the_truth_95_times_in_100():
    random, covered = np.random.default_rng(0), 0
    for _ in range(1000):
        low, high = difference(random.normal(0, 2, 10), random.normal(0.5, 1, 10)).interval()
        covered += low <= 0.5 <= high
    assert 930 <= covered <= 970  # binomial sd 7


def test_level_is_two_one_sided_tests():
    found = difference(AE, VAE)
    _, high = found.interval(0.9)
    for margin in (0.3, high - 1e-6, high + 1e-6, 5.0):
        shifted = [np.subtract(VAE, margin), np.add(VAE, margin)]
        below, above = (
            scipy.stats.ttest_ind(side, AE, equal_var=False, alternative=alternative).pvalue
            for side, alternative in zip(shifted, ("less", "greater"), strict=True)
        )
        assert found.is_level(margin) == (max(below, above) <= 0.05)
    assert [found.is_level(margin) for margin in (high - 1e-6, high + 1e-6)] == [False, True]
    below = found._replace(value=-found.value)
    assert [below.is_level(margin) for margin in (high - 1e-6, high + 1e-6)] == [False, True]


def test_the_probability_of_improvement_by_hand():
    assert probability_of_improvement([1.0, 2.0], [2.0, 3.0, 0.0], "higher") == pytest.approx(3.5 / 6)
    assert probability_of_improvement([1.0, 2.0], [2.0, 3.0, 0.0], "lower") == pytest.approx(2.5 / 6)
    statistic = scipy.stats.mannwhitneyu(VAE, AE).statistic
    assert probability_of_improvement(AE, VAE, "higher") == pytest.approx(statistic / 20)


def test_holm_hand_computed():
    # Sorted: 0.01 * 4, 0.02 * 3, then 0.03 * 2, and 0.04 * 1, which must not fall below those before it.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    assert holm([0.001]) == [0.001]
    assert holm([]) == []


def test_holm_leaves_out_what_was_not_tested():
    found = holm([math.nan, 0.01, math.nan, 0.04])
    assert found[1::2] == pytest.approx([0.02, 0.04])
    assert math.isnan(found[0])
    assert math.isnan(found[2])


def test_holm_is_wrong_anywhere_in_five_percent_of_families():
    random = np.random.default_rng(1)
    wrong = sum(min(holm(random.uniform(size=20))) <= 0.05 for _ in range(2000))
    assert 70 <= wrong <= 130  # binomial sd 10


def of_two(effect, n=3):
    """The difference of two models of n seeds each, with sd 1."""
    return Estimate(effect, math.sqrt(2 / n), 2.0 * (n - 1), n)


@pytest.mark.parametrize("effect", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("alpha", [0.05, 0.005])
def test_the_number_of_seeds_is_that_of_the_noncentral_t(effect, alpha):
    found = seeds_to_resolve(of_two(effect), 1e-9, alpha)

    def power(n):  # of a two-sided t-test of two models of n seeds each
        freedom = 2 * (n - 1)
        return scipy.stats.nct.sf(scipy.stats.t.ppf(1 - alpha / 2, freedom), freedom, effect * math.sqrt(n / 2))

    exact = next(n for n in range(4, 1000) if power(n) >= 0.8)
    # The shifted t is an approximation.
    assert found == pytest.approx(exact, abs=1) if exact <= MOST_SEEDS else found is None


def test_the_number_of_seeds_for_level_by_simulation():
    """Differences with mean 0.2 and sd 1 and a margin of 1.2: at the n found, 80 % of experiments are level."""
    n = seeds_to_resolve(of_two(0.2), 1.2)
    assert n < seeds_to_resolve(of_two(0.2), 1.0) < MOST_SEEDS
    random = np.random.default_rng(2)
    level = np.mean([difference(random.normal(0, 1, n), random.normal(0.2, 1, n)).is_level(1.2) for _ in range(1000)])
    assert level == pytest.approx(0.8, abs=0.08)  # binomial sd 0.013, and one seed more or less 0.04


def test_seeds_beyond_counting_are_not_counted():
    assert seeds_to_resolve(of_two(0.001), 1e-9) is None
    assert seeds_to_resolve(of_two(1.0, n=MOST_SEEDS), 1e-9) is None


def test_the_interval_of_a_mean_is_scipys():
    values = [1.0, 2.5, 2.0, 4.0]
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean_of(values).interval() == pytest.approx((expected.low, expected.high))
    assert np.isnan(mean_of([1.0]).interval()).all()
