"""Samplers against the moments and mixtures they are to find; numbers of a run whose decoder is known."""

import functools
import itertools
import json
import weakref

import numpy as np
import pytest
import sklearn.mixture
from scipy.spatial.distance import cdist

from vae_jax import networks
from vae_jax.config import Config
from vae_jax.data import Dataset, Split
from vae_jax.evaluation import distances, recipe, samples, subsets
from vae_jax.evaluation.classifier import Classifier
from vae_jax.evaluation.distances import frechet_distance
from vae_jax.evaluation.plausibility import Plausibility
from vae_jax.evaluation.samples import draw_samplers, evaluate_samples
from vae_jax.runs import Codes, TrainedRun

COMPARED = {
    "frechet", "frechet_relative", "frechet_over_floor", "kid", "kid_error", "precision", "recall", "density",
    "coverage", "confidence", "class_entropy",
}  # fmt: skip
JUDGED = {"implausible", "implausible_error", "implausible_excess", "implausible_excess_error"}
NUMBERS = COMPARED | JUDGED
OF_RUN = {
    "frechet_floor", "classifier_accuracy",
    "reconstruction_implausible", "reconstruction_implausible_error", *(f"midpoint_{name}" for name in JUDGED),
}  # fmt: skip
NO_IMAGES = np.zeros((0, 6, 6), np.uint8)


def run_of(mean, logvar=None, decode=None):
    """A run whose encoder says the same of whatever images it is given."""
    codes = Codes(np.float32(mean), None if logvar is None else np.float32(logvar))
    return TrainedRun(Config(), {}, lambda _: codes, decode, None, None)


def draw(mean, logvar=None, num_samples=1000, seed=0):
    return draw_samplers(run_of(mean, logvar), NO_IMAGES, num_samples, seed)


def covariance(random, dims):
    factor = random.normal(size=(dims, 2 * dims))
    return factor @ factor.T / dims


# Samplers


def test_every_sampler_has_its_codes_and_a_seed_decides():
    z = np.random.default_rng(0).normal(3, 2, (500, 4))
    first, again, other = (draw(z, num_samples=50, seed=seed) for seed in (0, 0, 1))
    assert list(first) == ["prior", "gaussian", "mixture", "aggregate"]
    for name, codes in first.items():
        assert codes.shape == (50, 4)
        assert codes.dtype == np.float32
        np.testing.assert_array_equal(codes, again[name])
        assert not np.any(codes == other[name], axis=1).all()


def test_the_prior_is_standard_normal_whatever_the_run():
    z = np.random.default_rng(0).normal(3, 2, (500, 3))
    prior = draw(z, num_samples=20_000)["prior"]
    np.testing.assert_allclose(prior.mean(axis=0), 0, atol=5 / np.sqrt(20_000))  # 5 standard errors, here and below
    np.testing.assert_allclose(np.cov(prior, rowvar=False), np.eye(3), atol=5 * np.sqrt(2 / 20_000))
    np.testing.assert_array_equal(prior, draw(z * 7, z, 20_000)["prior"])


def test_samplers_share_no_noise():
    z = np.random.default_rng(0).normal(size=(5000, 1))
    drawn = draw(z, np.zeros_like(z), num_samples=5000)
    correlations = np.corrcoef([codes[:, 0] for codes in drawn.values()])
    np.testing.assert_allclose(correlations, np.eye(4), atol=5 / np.sqrt(5000))


def test_the_gaussian_has_the_moments_of_the_codes():
    random = np.random.default_rng(1)
    mean, spread = np.array([5.0, -1.0, 0.0]), covariance(random, 3)
    z = random.multivariate_normal(mean, spread, 20_000)
    gaussian = draw(z, num_samples=20_000)["gaussian"]
    deviations = z.std(axis=0)
    np.testing.assert_allclose(gaussian.mean(axis=0), z.mean(axis=0), atol=5 * deviations.max() / np.sqrt(20_000))
    error = 5 * np.sqrt(2 / 20_000) * np.outer(deviations, deviations)
    assert np.all(np.abs(np.cov(gaussian, rowvar=False) - np.cov(z, rowvar=False)) < error)


@pytest.mark.parametrize("name", ["gaussian", "mixture", "aggregate"])
def test_the_codes_of_a_vae_are_drawn_from_its_posteriors(name):
    """By the law of total variance: the variance of the means plus the mean of the variances, 4 + 9."""
    mean = np.random.default_rng(2).normal(1, 2, (20_000, 1))
    codes = draw(mean, np.full_like(mean, np.log(9)), num_samples=20_000)[name]
    assert codes.mean() == pytest.approx(1, abs=10 * np.sqrt(13 / 5_000))  # the mixture sees 5,000 codes
    assert codes.var() == pytest.approx(13, rel=10 * np.sqrt(2 / 5_000))


def test_the_mixture_finds_a_mixture_that_a_gaussian_does_not():
    random = np.random.default_rng(3)
    centres = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 30.0]])
    halves = np.array([[[1.0, 0.0], [0.9, 0.5]], [[2.0, 0.0], [0.0, 0.1]], [[0.5, 0.0], [-3.0, 3.0]]])
    shares = np.array([0.5, 0.3, 0.2])
    parts = random.choice(3, 8000, p=shares)
    z = centres[parts] + np.einsum("nij,nj->ni", halves[parts], random.normal(size=(8000, 2)))
    drawn = draw(z, num_samples=5000)

    def deviations(codes):  # from each centre, in its own standard deviations
        standard = np.einsum("kij,nkj->nki", np.linalg.inv(halves), codes[:, None] - centres)
        return np.linalg.norm(standard, axis=2)

    assert np.mean(deviations(drawn["gaussian"]).min(axis=1) < 4) < 0.5
    away = deviations(drawn["mixture"])
    assert np.mean(away.min(axis=1) < 4) > 0.995  # 99.97 % of a Gaussian in two dimensions
    nearest = away.argmin(axis=1)
    np.testing.assert_allclose(np.bincount(nearest) / 5000, shares, atol=5 * 0.5 / np.sqrt(5000))
    for part, half in enumerate(halves):
        found = drawn["mixture"][nearest == part]
        expected = half @ half.T
        error = 8 * np.sqrt(2 / len(found)) * np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
        assert np.all(np.abs(np.cov(found, rowvar=False) - expected) < error)
    # In random order, so that the first of them are a sample, too.
    np.testing.assert_allclose(np.bincount(nearest[:1000]) / 1000, shares, atol=5 * 0.5 / np.sqrt(1000))


def test_the_aggregate_is_codes_each_once_while_there_are_enough():
    z = np.arange(60.0).reshape(30, 2)
    for num_samples, distinct in ((30, 30), (10, 10)):
        codes = draw(z, num_samples=num_samples)["aggregate"]
        assert len(np.unique(codes, axis=0)) == distinct
        assert np.all((codes[:, None] == z).all(axis=2).sum(axis=1) == 1)
    many = draw(z, num_samples=200)["aggregate"]
    assert np.isin(many[:, 0], z[:, 0]).all()


COLLAPSED = np.random.default_rng(4).normal(size=(200, 3)) * [0, 1e-12, 1e6] + [0.1, 1, 0]


@pytest.mark.parametrize(
    "z",
    [
        np.random.default_rng(5).normal(size=(100, 1)),
        COLLAPSED,
        COLLAPSED[:, [2, 2, 2]],
        np.full((50, 2), 0.3),
        np.float64([[0.0, 1.0], [2.0, 3.0]]),
        np.eye(30)[np.arange(90) % 3],
    ],
    ids=["one_dimension", "collapsed", "dependent", "one_code", "two_codes", "three_codes"],
)
def test_collapsed_codes_are_drawn_as_collapsed(z):
    drawn = draw(z, num_samples=40)
    for codes in drawn.values():
        assert codes.shape == (40, z.shape[1])
        assert np.isfinite(codes).all()
    still = np.float32(z).std(axis=0) < 1e-7
    for name in ("gaussian", "mixture", "aggregate"):
        np.testing.assert_allclose(drawn[name][:, still], np.tile(z[:1, still], (40, 1)), rtol=1e-6)
        assert np.all(np.abs(drawn[name] - z.mean(axis=0)) < 6 * z.std(axis=0) + 1e-6)


def test_a_fit_that_is_cut_short_is_no_warning(monkeypatch):
    short = functools.partial(sklearn.mixture.GaussianMixture, max_iter=1)
    monkeypatch.setattr(sklearn.mixture, "GaussianMixture", short)
    assert np.isfinite(draw(np.random.default_rng(6).normal(size=(300, 5)))["mixture"]).all()


@pytest.mark.parametrize("dims", [samples.FULL_DIMS, samples.FULL_DIMS + 1])
def test_the_mixture_of_many_dimensions_has_diagonal_covariances(dims, monkeypatch):
    kinds, mixture = [], sklearn.mixture.GaussianMixture
    monkeypatch.setattr(
        sklearn.mixture, "GaussianMixture",
        lambda *args, **options: kinds.append(options["covariance_type"]) or mixture(*args, **options),
    )  # fmt: skip
    z = np.random.default_rng(7).normal(2, 3, (2000, dims))
    codes = draw(z, num_samples=4000)["mixture"]
    assert kinds == ["full" if dims == samples.FULL_DIMS else "diag"]
    np.testing.assert_allclose(codes.mean(axis=0), 2, atol=10 * 3 / np.sqrt(2000))
    np.testing.assert_allclose(codes.std(axis=0), 3, rtol=10 / np.sqrt(2 * 2000))


@pytest.mark.parametrize("size", [1e-30, 1e30, 3e38])
def test_extreme_codes_are_drawn_without_a_warning(size):
    z = np.random.default_rng(8).uniform(-1, 1, (100, 2)) * size
    for codes in draw(z, np.full_like(z, -1e4)).values():
        assert codes.shape == (1000, 2)


def test_a_single_image_has_one_code():
    drawn = draw(np.float32([[1.0, 2.0]]), num_samples=5)
    for name in ("gaussian", "mixture", "aggregate"):
        np.testing.assert_allclose(drawn[name], np.tile([1.0, 2.0], (5, 1)))


def test_many_or_large_images_are_encoded_and_sampled_in_part(monkeypatch):
    seen = []

    def encode(images):
        seen.append(images)
        return Codes(np.zeros((len(images), 2), np.float32), None)

    run = TrainedRun(Config(), {}, encode, None, None, None)
    images = np.arange(60, dtype=np.uint8)[:, None, None].repeat(4, axis=1)
    monkeypatch.setattr(samples, "MAX_IMAGES", 30)
    assert {len(z) for z in draw_samplers(run, images, 50, 0).values()} == {50}
    monkeypatch.setattr(subsets, "MAX_PIXELS", 80)
    assert {len(z) for z in draw_samplers(run, images, 50, 0).values()} == {20}
    assert [len(part) for part in seen] == [30, 20]
    assert not np.array_equal(seen[0], images[:30])


@pytest.mark.parametrize("logvar", [None, 1e3])
def test_a_diverged_run_draws_from_the_prior_only(logvar):
    mean = np.full((20, 2), np.nan if logvar is None else 0.0)
    drawn = draw(mean, None if logvar is None else np.full((20, 2), logvar))
    assert np.isfinite(drawn.pop("prior")).all()
    assert all(np.isnan(codes).all() for codes in drawn.values())


def test_midpoints_lie_halfway_between_two_codes():
    codes = np.random.default_rng(0).normal(size=(5, 3))
    found = samples.midpoints(codes, 1000, np.random.default_rng(1))
    assert found.shape == (1000, 3)
    pairs = list(itertools.combinations(range(5), 2))
    distance = cdist(found, np.stack([(codes[a] + codes[b]) / 2 for a, b in pairs]))
    np.testing.assert_allclose(distance.min(axis=1), 0, atol=1e-12)
    assert len(set(distance.argmin(axis=1))) == 10  # every pair
    np.testing.assert_allclose(samples.midpoints(codes[:1], 8, np.random.default_rng(0))[7], codes[0])


def test_decodes_of_large_images_are_shrunk_some_at_a_time(monkeypatch):
    large, seen = np.random.default_rng(0).random((10, 130, 65), np.float32), []
    run = run_of([[0.0]], decode=lambda z: seen.append(len(z)) or large[z[:, 0]])
    monkeypatch.setattr(networks, "CHUNK_PIXELS", 4 * 130 * 65)
    found = samples.decode_shrunk(run, np.arange(10)[:, None], (130, 65))
    np.testing.assert_array_equal(found, recipe.shrunk(large))
    assert found.shape == (10, 44, 33)
    assert seen == [4, 4, 2]


# Predictions


def test_confidence_and_class_entropy_by_hand():
    probabilities = np.float32([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1]])
    assert samples.confidence(probabilities) == pytest.approx((0.5 + 1 + 0.8 + 0.6) / 4, rel=1e-6)
    assert samples.class_entropy(probabilities) == pytest.approx(np.log(2))  # two of class 0, two of class 1
    assert samples.class_entropy(np.eye(10)) == pytest.approx(np.log(10))
    assert samples.class_entropy(probabilities[:1]) == 0
    expected = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert samples.class_entropy(np.eye(3)[[2, 2, 0, 2]]) == pytest.approx(expected)


# A run


# Spots are dark on the whole, noise is not.
JUDGE = Plausibility(lambda images: 0.3 - images.mean(axis=(1, 2)), np.linspace(0, 0.3, 10), 1.0, "def")


@pytest.fixture
def blobs():
    """A data set of images that are one bright spot each, and a classifier whose features are pixel sums."""

    def split(seed, size):
        random = np.random.default_rng(seed)
        y, x = np.mgrid[:8, :8]
        cy, cx = random.uniform(2, 5, (2, size, 1, 1))
        images = 255 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 2) * random.uniform(0.7, 1, (size, 1, 1))
        return Split(np.rint(images).astype(np.uint8), (cx[:, 0, 0] > 3.5).astype(np.int32))

    train, test = split(0, 400), split(1, 300)
    project = np.random.default_rng(2).normal(size=(64, 12)).astype(np.float32)

    def predict(images):
        assert images.dtype == np.float32
        assert not np.any(images > 1)
        right = images[:, :, 4:].sum(axis=(1, 2)) / np.maximum(images.sum(axis=(1, 2)), 1e-6)
        return images.reshape(len(images), -1) @ project, np.stack([1 - right, right], axis=1)

    return Dataset("blobs", train, test, test, {}), Classifier(predict, 0.9, "abc"), JUDGE


def test_a_decoder_of_real_images_and_one_of_noise(blobs):
    dataset, classifier, judge = blobs
    noise = np.random.default_rng(3).random((300, 8, 8), np.float32)

    def decode(z):
        real = dataset.test.images / np.float32(255)
        return {0: real, 1: noise, 2: np.repeat(real[:1], 300, axis=0)}[int(z[0, 0])]

    samplers = {name: np.full((300, 2), index, np.float32) for index, name in enumerate(("real", "noise", "same"))}
    numbers = evaluate_samples(run_of(np.zeros((1, 2)), decode=decode), dataset, classifier, judge, samplers)
    expected = {f"{name}_{number}" for name in samplers for number in NUMBERS}
    assert numbers.keys() == expected | OF_RUN
    assert numbers["classifier_accuracy"] == 0.9
    json.dumps(numbers, allow_nan=False)

    assert numbers["real_frechet"] == pytest.approx(0, abs=1e-9)
    assert numbers["real_kid"] < 0  # by the kernel of a point with itself, which counts between the sets only
    assert [numbers[f"real_{name}"] for name in ("precision", "recall", "coverage")] == [1, 1, 1]
    assert numbers["real_density"] == pytest.approx(1)  # k are within the distance of the k-th: k - 1, and the point
    assert numbers["real_class_entropy"] == pytest.approx(np.log(2), abs=0.05)
    assert numbers["real_confidence"] > 0.7

    assert [numbers[f"noise_{name}"] for name in ("precision", "density", "coverage")] == [0, 0, 0]
    assert numbers["noise_frechet"] > 100 * numbers["frechet_floor"]
    assert numbers["noise_frechet_over_floor"] == numbers["noise_frechet"] / numbers["frechet_floor"]
    features, _ = classifier.predict(dataset.test.images / np.float32(255))
    variance = features.var(axis=0, ddof=1, dtype=np.float64).sum()
    assert numbers["noise_frechet_relative"] == pytest.approx(numbers["noise_frechet"] / variance)
    assert numbers["noise_kid"] > 10 * numbers["noise_kid_error"] > 0
    assert numbers["noise_confidence"] < 0.6

    assert (numbers["same_precision"], numbers["same_recall"], numbers["same_class_entropy"]) == (1, 0, 0)
    assert 0 < numbers["same_coverage"] < 0.1


def test_the_excess_is_over_the_runs_own_reconstructions(blobs):
    """Codes of test images are 0 and 1; of a decode, the share that is noise is the code, but for those below 0."""
    dataset, classifier, judge = blobs
    random = np.random.default_rng(3)

    def decode(z):
        noisy = random.random((len(z), 1, 1)) < z[:, :1, None]
        return np.where(noisy, 0.9, 0.1).astype(np.float32) * np.ones((1, 8, 8), np.float32)

    mean = np.repeat([[0.0], [1.0]], [60, 240], axis=0)
    samplers = {"half": np.full((400, 1), 0.5), "never": np.full((400, 1), -1.0)}
    numbers = evaluate_samples(run_of(mean, decode=decode), dataset, classifier, judge, samplers)
    assert numbers["reconstruction_implausible"] == 0.8
    assert numbers["reconstruction_implausible_error"] == pytest.approx(np.sqrt(0.8 * 0.2 / 300))
    assert numbers["never_implausible"] == numbers["never_implausible_error"] == 0
    assert numbers["never_implausible_excess"] == -0.8
    assert numbers["never_implausible_excess_error"] == pytest.approx(np.sqrt(0.8 * 0.2 / 300))
    half = numbers["half_implausible"]
    assert half == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(400))
    assert numbers["half_implausible_excess"] == half - 0.8
    error = np.sqrt(half * (1 - half) / 400 + 0.8 * 0.2 / 300)
    assert numbers["half_implausible_excess_error"] == pytest.approx(error)
    # Of two different images, chosen at random: their mean code is 0.8, and so is the share of noise.
    assert numbers["midpoint_implausible"] == pytest.approx(0.8, abs=4 * 0.4 / np.sqrt(1000) + 0.02)


def test_the_floor_is_that_of_as_many_train_images(blobs):
    dataset, classifier, judge = blobs
    decode = lambda z: np.zeros((len(z), 8, 8), np.float32)  # noqa: E731
    floors = {}
    for size in (20, 100, 400):
        samplers = {"one": np.zeros((size, 2), np.float32)}
        numbers = evaluate_samples(run_of([[0.0]], decode=decode), dataset, classifier, judge, samplers)
        floors[size] = numbers["frechet_floor"]
    assert 0 < floors[400] < floors[100] < floors[20]
    every = [classifier.predict(split.images / np.float32(255))[0] for split in (dataset.train, dataset.test)]
    assert floors[400] == pytest.approx(frechet_distance(*every), rel=1e-6)


def test_large_images_are_decoded_in_part_and_those_of_one_sampler_are_gone_before_the_next(blobs, monkeypatch):
    dataset, classifier, judge = blobs
    monkeypatch.setattr(subsets, "MAX_PIXELS", 40 * 64)
    seen, alive = [], []

    def decode(z):
        assert not any(reference() is not None for reference in alive)
        seen.append(len(z))
        return np.full((len(z), 8, 8), 0.5, np.float32)

    def predict(images):
        alive.append(weakref.ref(images))
        return classifier.predict(images)

    samplers = {"a": np.zeros((40, 2)), "b": np.zeros((40, 2))}
    run = run_of(np.zeros((40, 2)), decode=decode)
    numbers = evaluate_samples(run, dataset, classifier._replace(predict=predict), judge, samplers)
    assert seen == [40] * 4  # reconstructions, midpoints and two samplers
    assert numbers["midpoint_implausible_error"] is not None


def test_what_is_not_finite_or_too_few_has_no_numbers(blobs):
    dataset, classifier, judge = blobs
    random = np.random.default_rng(4)
    samplers = {"good": np.zeros((300, 2)), "diverged": np.full((300, 2), np.nan), "few": np.zeros((5, 2))}
    decode = lambda z: random.random((len(z), 8, 8), np.float32) + np.float32(z[:, :1, None])  # noqa: E731
    numbers = evaluate_samples(run_of([[0.0]], decode=decode), dataset, classifier, judge, samplers)
    for name, compared, judged in (("good", False, False), ("diverged", True, True), ("few", True, False)):
        assert {numbers[f"{name}_{number}"] is None for number in COMPARED} == {compared}
        assert {numbers[f"{name}_{number}"] is None for number in JUDGED} == {judged}
    lost = evaluate_samples(run_of([[np.nan]], decode=decode), dataset, classifier, judge, {"good": samplers["good"]})
    assert lost["reconstruction_implausible"] is lost["good_implausible_excess"] is lost["midpoint_implausible"] is None
    assert lost["good_implausible"] == 1
    json.dumps(numbers, allow_nan=False)


def test_a_few_samples_have_a_kernel_distance():
    """Blocks are left out in pairs, so both sets have as many as the smaller one has points."""
    real, few = np.random.default_rng(6).normal(size=(2, 30, 4))
    expected = distances.kid(distances.KernelSums.of(real, 7), distances.KernelSums.of(few[:7]))
    assert samples._kid(distances.KernelSums.of(real), few[:7]) == expected


def test_neighbours_are_sought_among_a_random_part_that_is_always_the_same(monkeypatch):
    rows = np.arange(5000)
    part = subsets.subset(rows, 2000)
    assert len(np.unique(part)) == 2000
    assert abs(part.mean() - 2499.5) < 5 * 5000 / np.sqrt(12 * 2000)
    np.testing.assert_array_equal(part, subsets.subset(rows, 2000))
    np.testing.assert_array_equal(subsets.subset(rows[:2000], 2000), rows[:2000])
    sizes = []
    for name in ("Neighbours", "KernelSums"):
        function = getattr(samples, name).of
        counted = lambda points, *more, f=function: sizes.append(len(points)) or f(points[:50], *more)  # noqa: E731
        monkeypatch.setattr(getattr(samples, name), "of", counted)
    features = np.random.default_rng(0).normal(size=(5500, 2)).astype(np.float32)
    reference = samples.Reference.of(features)
    samples._compare(reference, 1.0, features[:2500], np.ones((2500, 1), np.float32))
    assert sizes == [2000, 5000, 2500, 2000]
