"""Intervals, p-values and seeds against SciPy, hand computation and simulation."""

import math

import numpy as np
import pytest
import scipy.stats

from vae_jax.intervals import (
    MOST_SEEDS,
    Estimate,
    holm,
    mean_of,
    paired_difference,
    seeds_to_resolve,
    slope,
    welch_difference,
)

AE, VAE = [1.0, 2.0, 4.0, 3.5, 0.5], [1.5, 2.2, 4.9, 3.6, 1.4]  # of seeds 0 to 4, in pairs


def test_a_paired_difference_is_scipys_paired_t():
    found, expected = paired_difference(AE, VAE), scipy.stats.ttest_rel(VAE, AE)
    assert found.value == pytest.approx(0.52)  # (0.5 + 0.2 + 0.9 + 0.1 + 0.9) / 5
    assert (found.freedom, found.seeds) == (4, 5)
    assert found.p_value() == pytest.approx(expected.pvalue, rel=1e-12)
    for level in (0.9, 0.95):
        assert found.interval(level) == pytest.approx(tuple(expected.confidence_interval(level)), rel=1e-12)
    assert found.p_value(1.0) == pytest.approx(scipy.stats.ttest_1samp(np.subtract(VAE, AE), 1.0).pvalue, rel=1e-12)


def test_pairs_resolve_what_welch_cannot():
    """The silhouettes of an AE and a VAE over three seeds: the differences agree, the numbers do not."""
    ae = [0.010, 0.030, 0.050]
    vae = np.add(ae, [0.0060, 0.0065, 0.0060])
    assert paired_difference(ae, vae).p_value() < 0.001
    low, high = welch_difference(ae, vae).interval()
    assert low < -0.03 < 0.04 < high


def test_a_mean_is_scipys_one_sample_t():
    found, expected = mean_of(AE), scipy.stats.ttest_1samp(AE, 3.0)
    assert found.interval() == pytest.approx(tuple(expected.confidence_interval(0.95)), rel=1e-12)
    assert found.p_value(3.0) == pytest.approx(expected.pvalue, rel=1e-12)


def test_welch_is_scipys_and_hand_computed():
    ae, vae = [1.0, 2.0, 3.0], [5.0, 5.5, 6.0, 7.5]
    found, expected = welch_difference(ae, vae), scipy.stats.ttest_ind(vae, ae, equal_var=False)
    of_ae, of_vae = np.var(ae, ddof=1) / 3, np.var(vae, ddof=1) / 4
    assert found.value == pytest.approx(4.0)
    assert found.freedom == pytest.approx((of_ae + of_vae) ** 2 / (of_ae**2 / 2 + of_vae**2 / 3))
    assert found.interval() == pytest.approx(tuple(expected.confidence_interval(0.95)), rel=1e-12)
    assert found.p_value() == pytest.approx(expected.pvalue, rel=1e-12)


@pytest.mark.parametrize("scale", [1e100, 1e-100])
@pytest.mark.parametrize("estimate", [paired_difference, welch_difference])
def test_large_and_small_numbers(estimate, scale):
    """Fourth powers of these overflow or vanish."""
    expected, found = estimate(AE, VAE), estimate(np.multiply(AE, scale), np.multiply(VAE, scale))
    assert found.interval() == pytest.approx(tuple(np.multiply(expected.interval(), scale)), rel=1e-9, abs=0)
    assert found.p_value() == pytest.approx(expected.p_value(), rel=1e-9)


@pytest.mark.parametrize("estimate", [paired_difference, welch_difference])
def test_no_spread_is_no_division_by_zero(estimate):
    same, above = estimate([2.0, 2.0, 2.0], [2.0, 2.0, 2.0]), estimate([0.0, 0.0], [1.0, 1.0])
    assert (same.p_value(), estimate([0.0, 0.0], [0.0, 0.0]).p_value()) == (1.0, 1.0)
    assert above.p_value() < 1e-12
    assert above.interval() == pytest.approx((1.0, 1.0))


def test_rounding_alone_is_no_difference():
    """0.1 + 0.2 is one unit in the last place above 0.3, in every pair."""
    assert paired_difference([0.3] * 5, [0.1 + 0.2] * 5).p_value() > 0.2


@pytest.mark.parametrize(
    "found", [mean_of([1.0]), paired_difference([1.0], [2.0]), welch_difference([1.0], [2.0, 3.0])], ids=str
)
def test_one_seed_has_a_value_and_nothing_else(found):
    assert found.value >= 1
    assert all(map(math.isnan, (*found.interval(), found.p_value())))
    assert not found.is_level(1e9)
    assert seeds_to_resolve(found, 0.0, 1.0) is None


def test_the_interval_covers_the_truth_95_times_in_100():
    random = np.random.default_rng(0)
    covered = {paired_difference: 0, welch_difference: 0}
    for _ in range(1000):
        shared = random.normal(0, 3, 3)
        ae, vae = shared + random.normal(0, 1, 3), shared + random.normal(0.5, 1, 3)
        for estimate in covered:
            low, high = estimate(ae, vae).interval()
            covered[estimate] += low <= 0.5 <= high
    assert 930 <= covered[paired_difference] <= 970  # binomial sd 7
    assert covered[welch_difference] > 990  # it takes what a seed shares for noise


def test_level_is_two_one_sided_tests():
    found = paired_difference(AE, VAE)
    low, high = found.interval(0.9)
    assert 0 < low < high
    for margin in (0.3, high - 1e-6, high + 1e-6, 2.0):
        differences = np.subtract(VAE, AE)
        below = scipy.stats.ttest_1samp(differences, margin, alternative="less").pvalue
        above = scipy.stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
        assert found.is_level(margin) == (max(below, above) <= 0.05)
    assert [found.is_level(margin) for margin in (high - 1e-6, high + 1e-6)] == [False, True]
    below = found._replace(value=-found.value)
    assert [below.is_level(margin) for margin in (high - 1e-6, high + 1e-6)] == [False, True]


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


def test_holm_is_wrong_anywhere_in_five_percent_of_tables():
    random = np.random.default_rng(1)
    wrong = sum(min(holm(random.uniform(size=20))) <= 0.05 for _ in range(2000))
    assert 70 <= wrong <= 130  # binomial sd 10


def test_slope_is_least_squares():
    x, y = np.array([-2.0, -1.0, 0.0, 1.0]), np.array([3.0, 1.0, 1.5, -1.0])
    expected = np.sum((x - x.mean()) * (y - y.mean())) / np.sum((x - x.mean()) ** 2)
    assert slope(x, y) == pytest.approx(expected)


@pytest.mark.parametrize("effect", [0.3, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("alpha", [0.05, 0.005])
def test_the_number_of_seeds_is_that_of_the_noncentral_t(effect, alpha):
    found = seeds_to_resolve(Estimate(effect, 1 / math.sqrt(3), 2, 1, 3), 0.0, None, alpha)

    def power(n):  # of a two-sided t-test of differences with sd 1
        return scipy.stats.nct.sf(scipy.stats.t.ppf(1 - alpha / 2, n - 1), n - 1, effect * math.sqrt(n))

    exact = next(n for n in range(4, 1000) if power(n) >= 0.8)
    # The shifted t is an approximation.
    assert found == pytest.approx(exact, abs=1) if exact <= MOST_SEEDS else found is None


def test_the_number_of_seeds_for_level_by_simulation():
    """Differences with mean 0.2 and sd 1 and a margin of 0.8: at the n found, 80 % of experiments are level."""
    n = seeds_to_resolve(Estimate(0.2, 1 / math.sqrt(3), 2, 1, 3), 0.0, 0.8)
    assert n < seeds_to_resolve(Estimate(0.2, 1 / math.sqrt(3), 2, 1, 3), 0.0, 0.7) < MOST_SEEDS
    random = np.random.default_rng(2)
    level = np.mean([mean_of(random.normal(0.2, 1, n)).is_level(0.8) for _ in range(1000)])
    assert level == pytest.approx(0.8, abs=0.06)  # binomial sd 0.013, and one seed more or less 0.03


def test_seeds_beyond_counting_are_not_counted():
    assert seeds_to_resolve(Estimate(0.001, 1.0, 4, 1, 5), 0.0, None) is None
    assert seeds_to_resolve(Estimate(1.0, 1.0, MOST_SEEDS - 1, 1, MOST_SEEDS), 0.0, None) is None
    # A mean far from the threshold needs few seeds, however far it is from 0.
    assert seeds_to_resolve(Estimate(10.1, 3.0, 4, 1, 5), 10.0, None) is None
    assert seeds_to_resolve(Estimate(10.1, 3.0, 4, 1, 5), 0.0, None) < 10
