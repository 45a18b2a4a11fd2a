"""Measures of known factors against closed forms, scikit-learn and hand-made tables, and what fools each of them."""

import numpy as np
import pytest
import sklearn.metrics

from vae_jax.config import Config
from vae_jax.data import Dataset, Split
from vae_jax.measure import factors
from vae_jax.measure.factors import MEASUREMENTS, Known, evaluate_factors, mutual_information
from vae_jax.measure.latents import knn_accuracy
from vae_jax.training.runs import Codes, TrainedRun

SIZES = (3, 4, 5)  # values of each factor


def rng(seed=0):
    return np.random.default_rng(seed)


GRID = rng().permutation(np.stack(np.meshgrid(*map(np.arange, SIZES), indexing="ij"), axis=-1).reshape(-1, 3))
MANY = np.tile(GRID, (10, 1))  # each image ten times


def scores(codes, values=MANY):
    """All scores of codes, which are trained and tested on."""
    information, entropy = mutual_information(codes, values)
    known = Known(codes, values)
    importance, informativeness = factors.importances(known, known)
    return {
        "mig": factors.mutual_information_gap(information, entropy)[0],
        "dci_disentanglement": factors.disentanglement(importance),
        "dci_completeness": factors.disentanglement(importance.T),
        "dci_informativeness": informativeness,
        "sap": factors.separated_predictability(known, known),
        "factor_vae_score": factors.factor_vae_score(known, known, rng()),
        "modularity": factors.modularity(information[0]),
    }


def gap(codes, values=MANY):
    return factors.mutual_information_gap(*mutual_information(codes, values))[0]


# Known answers.


def test_a_perfect_code_has_the_best_scores():
    """A dimension a factor. On a whole grid the others know nothing, so that all but SAP are 1.

    The second best thresholds of SAP call all images alike, which is right for one of the values.
    """
    found = scores(MANY[:, [2, 0, 1]] * np.array([1.0, -3.0, 0.01]))
    assert found.pop("sap") == pytest.approx(np.mean([1 - 1 / size for size in SIZES]))
    assert found == pytest.approx(dict.fromkeys(found, 1.0))


def test_two_factors_turned_by_45_degrees_have_no_gap():
    """Sum and difference of two factors know as much of either as each other; only the third has a dimension."""
    values = np.stack(np.meshgrid(*[np.arange(4)] * 3), axis=-1).reshape(-1, 3).repeat(10, axis=0)
    turned = np.stack([values[:, 0] + values[:, 1], values[:, 0] - values[:, 1], values[:, 2]], axis=1).astype(float)
    found = scores(turned, values)
    assert found["mig"] == pytest.approx(1 / 3)
    # log 2 of both rows and columns of two factors, of log 3; each has one third of all importance.
    share = (1 + 2 * (1 - np.log(2) / np.log(3))) / 3
    assert found["dci_disentanglement"] == pytest.approx(share, abs=0.02)  # of which dimension is split first
    assert found["dci_completeness"] == pytest.approx(share, abs=0.02)
    assert found["dci_informativeness"] == 1  # nothing is lost
    assert found["modularity"] == pytest.approx((1 + 2 * 0.5) / 3)
    assert found["sap"] < 0.26  # (0 + 0 + 3/4) / 3, and a little by chance


def test_permuted_codes_know_nothing():
    """Scores are above 0 by the error of 600 images: mutual information is (bins - 1)(values - 1) / 2N too large."""
    found = scores(rng(1).permutation(MANY + 0.1 * rng(2).standard_normal(MANY.shape)))
    assert found["mig"] < 0.03
    assert found["dci_disentanglement"] < 0.1
    assert found["sap"] < 0.06
    held_out = factors.importances(*(Known(rng(seed).normal(size=(600, 3)), MANY) for seed in (3, 4)))[1]
    assert held_out == pytest.approx(np.mean([1 / size for size in SIZES]), abs=0.05)
    assert found["factor_vae_score"] < 0.6


def test_collapsed_codes_score_nothing():
    found = scores(np.full((len(MANY), 4), 0.3))
    informativeness = found.pop("dci_informativeness")
    assert informativeness == pytest.approx(np.mean([1 / size for size in SIZES]))  # one value is guessed
    assert found == dict.fromkeys(found, 0)


def test_scale_shift_and_order_of_dimensions_change_nothing():
    """Powers of two, so that rounding moves no code into another bin."""
    codes = MANY[:, :2] @ rng().normal(size=(2, 3)) + MANY + rng(1).normal(size=MANY.shape)
    order, scale = [2, 0, 1], np.array([4.0, 0.5, 1024.0])
    before, after = scores(codes), scores((codes * scale)[:, order])
    assert after == pytest.approx(before, abs=0.01)  # ties of a forest are broken by the order
    for name in ("mig", "sap", "modularity"):
        assert after[name] == pytest.approx(before[name], rel=1e-12), name
    assert gap(codes + 3) == pytest.approx(gap(codes), rel=1e-2)
    assert 0.05 < before["mig"] < 0.9


def test_a_constant_dimension_changes_the_mean_over_dimensions_only():
    codes = MANY[:, [0, 1, 2, 2]] + 0.2 * rng().normal(size=(len(MANY), 4))
    before, after = scores(codes), scores(np.pad(codes, ((0, 0), (0, 1)), constant_values=7))
    assert after["modularity"] == pytest.approx(before["modularity"] * 4 / 5)
    for name in ("mig", "sap", "dci_disentanglement", "dci_informativeness", "factor_vae_score"):
        assert after[name] == pytest.approx(before[name], abs=0.01), name


# The estimates.


def test_mutual_information_is_that_of_scikit_learn_in_the_bins_of_disentanglement_lib():
    codes, values = rng().gamma(1.0, size=(200, 3)), np.stack([rng(1).integers(0, n, 200) for n in (2, 7)], axis=1)
    information, entropy = mutual_information(codes, values)
    bins = [np.digitize(column, np.histogram(column, 20)[1][:-1]) for column in codes.T]
    expected = [[sklearn.metrics.mutual_info_score(value, column) for value in values.T] for column in bins]
    np.testing.assert_allclose(information[0], expected, atol=1e-12)
    np.testing.assert_allclose(entropy[0], [sklearn.metrics.mutual_info_score(v, v) for v in values.T], atol=1e-12)


def test_weights_count_images():
    codes, values = rng().normal(size=(50, 2)), np.stack([rng(1).integers(0, n, 50) for n in (2, 3)], axis=1)
    codes[0], codes[1] = -9, 9  # the range of the bins stays, whatever is drawn
    chosen = np.concatenate([[0, 1], rng(2).integers(0, 50, 48)])
    weights = np.bincount(chosen, minlength=50)[None]
    found, repeated = mutual_information(codes, values, weights), mutual_information(codes[chosen], values[chosen])
    np.testing.assert_allclose(found[0], repeated[0], atol=1e-12)
    np.testing.assert_allclose(found[1], repeated[1], atol=1e-12)


def test_the_gap_of_a_small_table_by_hand():
    """v and z₁ agree in 6 of 8 images, v and z₂ in 5 of 8; the second factor, w, is z₁ itself."""
    v = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    z1 = np.array([0, 0, 0, 1, 1, 1, 1, 0])
    z2 = np.array([0, 0, 0, 1, 1, 1, 0, 0])

    def h(*shares):
        return -sum(p * np.log(p) for p in shares)

    even, uneven = h(1 / 2, 1 / 2), h(5 / 8, 3 / 8)
    of_v = 2 * even - h(3 / 8, 1 / 8, 3 / 8, 1 / 8), even + uneven - h(3 / 8, 1 / 8, 2 / 8, 2 / 8)
    of_w = even, even + uneven - h(4 / 8, 3 / 8, 1 / 8)
    expected = (of_v[0] - of_v[1] + of_w[0] - of_w[1]) / (2 * np.log(2))
    assert gap(np.stack([z2, z1], axis=1).astype(float), np.stack([v, z1], axis=1)) == pytest.approx(expected)


def test_modularity_and_disentanglement_of_a_matrix_by_hand():
    matrix = np.array([[0.8, 0.4, 0.0], [0.0, 0.0, 0.0], [0.1, 0.1, 0.1]])
    assert factors.modularity(matrix) == pytest.approx((1 - 0.16 / (2 * 0.64) + 0 + 0) / 3)
    entropy = -(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3)) / np.log(3)
    assert factors.disentanglement(matrix) == pytest.approx(1.2 / 1.5 * (1 - entropy))
    two_factors = np.array([[0.5, 0.0], [0.25, 0.25], [0.0, 0.0]])  # the second row knows nothing of which it is
    assert factors.disentanglement(two_factors) == pytest.approx(0.5)


# A run.


def dataset_of(values):
    """Images whose only row of pixels is the factors' values."""
    split = Split(values.astype(np.uint8)[:, None], None, values)
    return Dataset("factors", split, split.where(slice(0)), split, {})


def run_of(function, logvar=None):
    """A run whose mean codes are a function of the factors float[N, K]."""

    def encode(images):
        mean = function(images[:, 0].astype(np.float64)).astype(np.float32)
        return Codes(mean, None if logvar is None else np.broadcast_to(np.float32(logvar), mean.shape))

    return TrainedRun(Config(), {}, encode, None, None, None)


def evaluated(function, values=MANY, logvar=None):
    return evaluate_factors(run_of(function, logvar), dataset_of(values))


def test_all_numbers_of_a_perfect_run():
    found = evaluated(lambda values: values * np.array([1, 2, 4]))
    errors = {f"{name}_error" for name, entry in MEASUREMENTS.items() if entry.error}
    assert found.keys() == MEASUREMENTS.keys() | errors
    assert found["mig"] == pytest.approx(1)
    assert found["mig_draws"] == found["mig"]  # it has no noise
    assert found["mig_principal"] == pytest.approx(1)


def test_principal_axes_undo_a_rotation_and_draws_have_their_noise():
    rotation = np.linalg.qr(rng().normal(size=(3, 3)))[0]
    turned = evaluated(lambda values: values * np.array([1, 2, 4]) @ rotation)
    assert turned["mig"] < 0.5
    assert turned["mig_principal"] > 0.9
    noisy = evaluated(lambda values: values, logvar=np.log(0.5**2))
    assert noisy["mig"] == pytest.approx(1)
    assert 0.2 < noisy["mig_draws"] < 0.7


def test_the_standard_error_is_the_spread_over_other_images():
    def drawn(seed):
        values = rng(seed).integers(0, 4, (200, 2))
        return values, values + 0.7 * rng(1000 + seed).normal(size=values.shape)

    spread = np.std([gap(codes, values) for values, codes in map(drawn, range(100))])
    values, codes = drawn(0)
    found = evaluate_factors(run_of(lambda _: codes), dataset_of(values))
    assert found["mig_error"] == pytest.approx(spread, rel=0.4)  # 100 and 50 samples: 7 and 10 %, and one data set


@pytest.mark.parametrize("what", ["one factor", "not finite"])
def test_what_cannot_be_measured_has_no_numbers(what):
    values = MANY * np.array([1, 0, 0]) if what == "one factor" else MANY
    assert evaluated(lambda values: values * (np.nan if what == "not finite" else 1), values) == {}


def test_a_single_dimension_and_a_factor_that_does_not_vary():
    found = evaluated(lambda values: values[:, 1:2], np.insert(MANY, 1, 2, axis=1)[:, :3])
    assert all(map(np.isfinite, found.values()))
    found = evaluated(lambda values: values[:, :1])
    assert found["mig"] == pytest.approx(1 / 3)  # it tells one factor of three, and no dimension tells the others


def test_a_factor_of_many_values_is_cut_into_bins():
    values = np.stack([np.arange(1000), rng().permutation(1000) % 2], axis=1)
    found = evaluated(lambda _: np.stack([values[:, 0] // 50, values[:, 1]], axis=1), values)
    assert found["mig"] == pytest.approx(1, abs=0.02)


# What fools them; docs/method.md says so.


def test_noise_that_drowns_a_dimension_is_not_seen_in_mean_codes():
    """A dimension that is not used, whose mean still follows a factor in the third digit, scores as one that is."""
    whispered = evaluated(lambda values: values * np.array([1, 1, 1e-3]), logvar=np.log(1e-2))
    assert whispered["mig"] == pytest.approx(1)
    assert whispered["mig_draws"] < 0.75


def test_two_factors_in_a_dimension_have_a_gap_as_if_they_were_apart():
    values = rng().integers(0, 2, (400, 2))
    found = scores(np.stack([2 * values[:, 0] + values[:, 1], rng(1).normal(size=400)], axis=1), values)
    assert found["mig"] > 0.95
    assert found["modularity"] < 0.8
    assert found["dci_disentanglement"] < 0.1


def test_a_factor_in_two_dimensions_has_no_gap_though_each_follows_it_alone():
    found = scores(MANY[:, [0, 1, 2, 2]].astype(float))
    assert found["mig"] == pytest.approx(2 / 3)
    assert found["modularity"] == found["dci_disentanglement"] == pytest.approx(1)


def test_a_bent_axis_has_a_smaller_gap_though_nothing_is_lost():
    """The gap has bins of equal width; forests and thresholds see the order of codes only."""
    before, after = scores(MANY.astype(float)), scores(np.exp(3.0 * MANY))
    assert after["mig"] < before["mig"] - 0.2
    for name in ("dci_disentanglement", "dci_informativeness", "sap"):
        assert after[name] == pytest.approx(before[name]), name


def test_the_factor_vae_score_does_not_see_what_else_a_dimension_says():
    leak = np.array([[1, 0.4, 0.4], [0.4, 1, 0.4], [0.4, 0.4, 1]])
    found = scores(MANY / np.array(SIZES) @ leak)
    assert found["factor_vae_score"] > 0.9
    assert found["mig"] < 0.5


def test_modularity_of_dimensions_that_know_almost_nothing_is_not_small():
    found = scores(rng().normal(size=MANY.shape))
    assert found["modularity"] > 0.4
    assert found["mig"] < 0.03


def test_neighbours_on_a_grid_of_all_combinations_are_of_other_classes():
    """Codes that hardly know the class: nearest are the same images of other classes. Chance is 1/3 ± 0.015."""
    grid, accuracies = np.stack(np.meshgrid(*map(np.arange, (3, 20, 20))), axis=-1).reshape(-1, 3), []
    for seed in range(4):
        values = rng(seed).permutation(grid)
        (train, labels), (test, wanted) = ((part * [0.1, 1, 1], part[:, 0]) for part in np.split(values, [960]))
        accuracies.append(knn_accuracy(train, labels, test, wanted))
    assert np.mean(accuracies) < 0.3
