"""Samplers against the moments and mixtures they are to find; numbers of a run whose decoder is known."""

import functools
import itertools
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.mixture
from scipy.spatial.distance import cdist

from vae_jax.config import Config
from vae_jax.data import Dataset, Split
from vae_jax.measure import recipe, samples, subsets
from vae_jax.measure.distances import coverage, frechet_distance, squared_radii
from vae_jax.measure.judges import Judge
from vae_jax.measure.samples import draw_samplers, evaluate_samples
from vae_jax.model import networks
from vae_jax.training.runs import Codes, TrainedRun

SAMPLERS = ("prior", "standardized", "gaussian", "mixture", "aggregate")
COMPARED = {"frechet", "coverage"}
OF_RUN = {
    "frechet_floor", "classifier_accuracy", "prior_gap", "standardized_gap",
    "reconstruction_implausible", "midpoint_implausible", "midpoint_implausible_excess",
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
    assert tuple(first) == SAMPLERS
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
    np.testing.assert_allclose(correlations, np.eye(5), atol=5 / np.sqrt(5000))


def test_the_gaussian_has_the_moments_of_the_codes():
    random = np.random.default_rng(1)
    mean, spread = np.array([5.0, -1.0, 0.0]), covariance(random, 3)
    z = random.multivariate_normal(mean, spread, 20_000)
    gaussian = draw(z, num_samples=20_000)["gaussian"]
    deviations = z.std(axis=0)
    np.testing.assert_allclose(gaussian.mean(axis=0), z.mean(axis=0), atol=5 * deviations.max() / np.sqrt(20_000))
    error = 5 * np.sqrt(2 / 20_000) * np.outer(deviations, deviations)
    assert np.all(np.abs(np.cov(gaussian, rowvar=False) - np.cov(z, rowvar=False)) < error)


def test_standardized_samples_have_mean_and_sd_of_each_dimension_and_no_covariance():
    """They are N(0, I) where codes are standardized: whatever their unit, the same samples in that unit."""
    random = np.random.default_rng(1)
    mean, spread = np.array([5.0, -1.0, 0.0]), np.array([[4.0, 1.9, 0.0], [1.9, 1.0, 0.0], [0.0, 0.0, 0.01]])
    z = random.multivariate_normal(mean, spread, 20_000)
    drawn = draw(z, num_samples=20_000)["standardized"]
    sd = np.sqrt(np.diag(spread))
    assert np.all(np.abs(drawn.mean(axis=0) - mean) < 10 * sd / np.sqrt(20_000))  # codes and samples have an error
    error = 10 * np.sqrt(2 / 20_000) * np.outer(sd, sd)
    assert np.all(np.abs(np.cov(drawn, rowvar=False) - np.diag(sd**2)) < error)
    np.testing.assert_allclose(draw(z * [10, 0.1, 1] + 2, num_samples=20_000)["standardized"],
                               drawn * [10, 0.1, 1] + 2, rtol=1e-4, atol=1e-4)  # fmt: skip


@pytest.mark.parametrize("name", ["standardized", "gaussian", "mixture", "aggregate"])
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
    for name in SAMPLERS[1:]:
        np.testing.assert_allclose(drawn[name][:, still], np.tile(z[:1, still], (40, 1)), rtol=1e-6)
        assert np.all(np.abs(drawn[name] - z.mean(axis=0)) < 6 * z.std(axis=0) + 1e-6)


def test_a_fit_that_is_cut_short_is_no_warning(monkeypatch):
    short = functools.partial(sklearn.mixture.GaussianMixture, max_iter=1)
    monkeypatch.setattr(sklearn.mixture, "GaussianMixture", short)
    assert np.isfinite(draw(np.random.default_rng(6).normal(size=(300, 5)))["mixture"]).all()


@pytest.mark.parametrize("is_full", [True, False])
def test_components_have_the_covariances_of_the_codes_own_units(is_full):
    """Codes have scales S of 0.1, 3 and 40; a component's covariance is S Σ S, with Σ that of standardized codes."""
    random, scale, center = np.random.default_rng(0), np.array([0.1, 3.0, 40.0]), np.array([5.0, -1.0, 0.0])
    roots = random.normal(size=(2, 3, 3))
    sigma = roots @ roots.swapaxes(1, 2) if is_full else np.square(roots[:, 0])
    mixture = SimpleNamespace(weights_=np.array([0.3, 0.7]), means_=random.normal(size=(2, 3)), covariances_=sigma)
    weights, means, factors = samples.Fitted(center, scale, mixture).components()
    np.testing.assert_array_equal(weights, [0.3, 0.7])
    np.testing.assert_allclose(means, [center + np.diag(scale) @ mean for mean in mixture.means_])
    found = factors @ factors.swapaxes(1, 2) if is_full else np.square(factors)
    expected = [np.diag(scale) @ (each if is_full else np.diag(each)) @ np.diag(scale) for each in sigma]
    np.testing.assert_allclose(found, expected if is_full else [np.diag(each) for each in expected])


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
    for name in SAMPLERS[1:]:
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


# A run


PROJECT = np.random.default_rng(2).normal(size=(64, 12)).astype(np.float32)


def look(images):
    """Projections of pixels as features, and log odds against rejection: spots are dark on the whole, noise is not."""
    assert images.dtype == np.float32
    assert not np.any(images > 1)
    odds = 0.3 - images.mean(axis=(1, 2))[:, None]
    return images.reshape(len(images), -1) @ PROJECT, np.concatenate([odds, 0 * odds], axis=1)


JUDGE = Judge(look, np.linspace(0, 0.3, 10), 0.9, "def")


@pytest.fixture
def blobs():
    """A data set of images that are one bright spot each."""

    def split(seed, size):
        random = np.random.default_rng(seed)
        y, x = np.mgrid[:8, :8]
        cy, cx = random.uniform(2, 5, (2, size, 1, 1))
        images = 255 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 2) * random.uniform(0.7, 1, (size, 1, 1))
        return Split(np.rint(images).astype(np.uint8), (cx[:, 0, 0] > 3.5).astype(np.int32))

    train, test = split(0, 400), split(1, 300)
    return Dataset("blobs", train, test, test, {})


def evaluate(dataset, decode, samplers, mean=((0.0,),), judge=JUDGE):
    """The numbers of a run; where a sampler is not told, its codes are those of `aggregate`."""
    every = {name: samplers.get(name, samplers["aggregate"]) for name in SAMPLERS}
    return evaluate_samples(run_of(mean, decode=decode), dataset, judge, every)


def test_a_decoder_of_real_images_and_one_of_noise(blobs):
    dataset = blobs
    noise = np.random.default_rng(3).random((300, 8, 8), np.float32)
    real = dataset.test.images / np.float32(255)
    kinds = {0: real, 1: noise, 2: np.repeat(real[:1], 300, axis=0), 3: dataset.train.images[:300] / np.float32(255)}
    codes = {name: np.full((300, 2), kind) for name, kind in zip(SAMPLERS, (1, 2, 0, 0, 3), strict=True)}
    numbers = evaluate(blobs, lambda z: kinds[int(z[0, 0])], codes)
    assert numbers.keys() == {f"{name}_{number}" for name in SAMPLERS for number in (*COMPARED, "implausible")} | OF_RUN
    assert numbers["classifier_accuracy"] == 0.9

    # The test images themselves are at 0, and each covers itself.
    assert numbers["gaussian_frechet"] == pytest.approx(0, abs=1e-9)
    assert numbers["gaussian_coverage"] == 1
    features = {kind: JUDGE.features(np.float32(images)) for kind, images in kinds.items()}
    for name, kind in (("prior", 1), ("standardized", 2), ("aggregate", 3)):
        expected = frechet_distance(features[0], features[kind])
        assert numbers[f"{name}_frechet"] == pytest.approx(expected, rel=1e-9) != 0
        assert numbers[f"{name}_coverage"] == coverage(features[0], squared_radii(features[0]), features[kind])
    assert (numbers["prior_coverage"], numbers["prior_implausible"]) == (0, 1)
    assert 0 < numbers["standardized_coverage"] < 0.1
    assert 0.5 < numbers["aggregate_coverage"] < 1
    # A gap is the distance of a sampler minus that of the codes.
    for name in ("prior", "standardized"):
        assert numbers[f"{name}_gap"] == numbers[f"{name}_frechet"] - numbers["aggregate_frechet"] > 0


def test_samples_that_beat_the_codes_have_a_negative_gap(blobs):
    codes = {"prior": np.zeros((300, 1)), "aggregate": np.ones((300, 1))}
    images = blobs.test.images / np.float32(255)
    numbers = evaluate(blobs, lambda z: images * (1 - np.float32(z[0, 0]) / 2), codes)
    assert numbers["prior_gap"] == pytest.approx(-numbers["aggregate_frechet"], abs=1e-6)
    assert numbers["standardized_gap"] == 0


def test_the_excess_of_midpoints_is_over_the_runs_own_reconstructions(blobs):
    """Codes of test images are 0 and 1; of a decode, the share that is noise is the code, but for those below 0."""
    random = np.random.default_rng(3)

    def decode(z):
        noisy = random.random((len(z), 1, 1)) < z[:, :1, None]
        return np.where(noisy, 0.9, 0.1).astype(np.float32) * np.ones((1, 8, 8), np.float32)

    mean = np.repeat([[0.0], [1.0]], [60, 240], axis=0)
    samplers = {"prior": np.full((400, 1), 0.5), "aggregate": np.full((400, 1), -1.0)}
    numbers = evaluate(blobs, decode, samplers, mean)
    assert numbers["reconstruction_implausible"] == 0.8
    assert numbers["aggregate_implausible"] == 0
    assert numbers["prior_implausible"] == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(400))
    # Of two different images, chosen at random: their mean code is 0.8, and so is the share of noise.
    between = numbers["midpoint_implausible"]
    assert between == pytest.approx(0.8, abs=4 * 0.4 / np.sqrt(1000) + 0.02)
    assert numbers["midpoint_implausible_excess"] == pytest.approx(between - 0.8) != 0


def test_the_floor_is_that_of_as_many_train_images(blobs):
    decode = lambda z: np.zeros((len(z), 8, 8), np.float32)  # noqa: E731
    floors = {
        size: evaluate(blobs, decode, {"aggregate": np.zeros((size, 2))})["frechet_floor"] for size in (20, 100, 400)
    }
    assert 0 < floors[400] < floors[100] < floors[20]
    every = [JUDGE.features(split.images / np.float32(255)) for split in (blobs.train, blobs.test)]
    assert floors[400] == pytest.approx(frechet_distance(*every), rel=1e-6)


def test_large_images_are_decoded_in_part_and_those_of_one_sampler_are_gone_before_the_next(blobs, monkeypatch):
    monkeypatch.setattr(subsets, "MAX_PIXELS", 40 * 64)
    seen, alive = [], []

    def decode(z):
        assert not any(reference() is not None for reference in alive)
        seen.append(len(z))
        return np.full((len(z), 8, 8), 0.5, np.float32)

    def predict(images):
        alive.append(weakref.ref(images))
        return look(images)

    watched = JUDGE._replace(predict=predict)
    assert evaluate(blobs, decode, {"aggregate": np.zeros((40, 2))}, np.zeros((40, 2)), watched)
    assert seen == [40] * 7  # reconstructions, midpoints and five samplers


def test_what_is_not_finite_or_too_few_has_no_numbers(blobs):
    random = np.random.default_rng(4)
    codes = {
        "prior": np.full((300, 2), np.nan), "standardized": np.zeros((300, 2)), "gaussian": np.zeros((1, 2)),
        "mixture": np.zeros((2, 2)), "aggregate": np.zeros((300, 2)),
    }  # fmt: skip
    decode = lambda z: random.random((len(z), 8, 8), np.float32) + np.float32(z[:, :1, None])  # noqa: E731
    numbers = evaluate(blobs, decode, codes)
    for name, compared, judged in (("prior", False, False), ("gaussian", False, True), ("mixture", True, True)):
        assert {not np.isnan(numbers[f"{name}_{number}"]) for number in COMPARED} == {compared}, name
        assert (not np.isnan(numbers[f"{name}_implausible"])) == judged, name
    assert np.isnan(numbers["prior_gap"])
    assert not np.isnan(numbers["standardized_gap"])
    codes = {"prior": np.zeros((300, 2)), "aggregate": np.full((300, 2), np.nan)}
    lost = evaluate(blobs, decode, codes, mean=[[np.nan]])
    for name in ("reconstruction_implausible", "midpoint_implausible", "midpoint_implausible_excess", "prior_gap"):
        assert np.isnan(lost[name])
    assert lost["prior_implausible"] == 1
    assert lost["prior_frechet"] > 0


def test_too_few_test_images_have_no_distance(blobs):
    decode = lambda z: np.zeros((len(z), 8, 8), np.float32)  # noqa: E731
    for count, is_enough in ((5, False), (6, True)):  # a ball reaches to the fifth other image
        few = blobs._replace(test=Split(blobs.test.images[:count], blobs.test.labels[:count]))
        numbers = evaluate(few, decode, {"aggregate": np.zeros((20, 1))})
        assert {not np.isnan(numbers["aggregate_frechet"]), not np.isnan(numbers["aggregate_coverage"])} == {is_enough}
        assert numbers["aggregate_implausible"] == 0


def test_neighbours_are_sought_among_a_random_part_that_is_always_the_same(monkeypatch):
    rows = np.arange(5000)
    part = subsets.subset(rows, 2000)
    assert len(np.unique(part)) == 2000
    assert abs(part.mean() - 2499.5) < 5 * 5000 / np.sqrt(12 * 2000)
    np.testing.assert_array_equal(part, subsets.subset(rows, 2000))
    np.testing.assert_array_equal(subsets.subset(rows[:2000], 2000), rows[:2000])
    monkeypatch.setattr(samples, "NEIGHBOUR_IMAGES", 40)
    random = np.random.default_rng(0)
    real, fake = random.normal(size=(60, 4)).astype(np.float32), random.normal(size=(50, 4)).astype(np.float32)
    judge = JUDGE._replace(predict=lambda images: (images, np.zeros((len(images), 2))))
    numbers = samples._compare(samples.Reference.of(real), judge, fake)
    assert numbers["frechet"] == pytest.approx(frechet_distance(real, fake))  # of all
    some = subsets.subset(real, 40)
    assert numbers["coverage"] == coverage(some, squared_radii(some), subsets.subset(fake, 40))
    assert numbers["coverage"] != coverage(real, squared_radii(real), fake)
