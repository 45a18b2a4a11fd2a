"""Latent metrics against closed forms, NumPy loops and SciPy, and against spaces whose answer is known."""

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from vae_jax.config import Config
from vae_jax.data import Dataset, Split
from vae_jax.measure import latents, subsets
from vae_jax.measure.latents import Whitening
from vae_jax.training.runs import Codes, TrainedRun

pytestmark = pytest.mark.usefixtures("cheap_compilation")


def rng(seed=0):
    return np.random.default_rng(seed)


def blobs(count=200, classes=4, dimensions=2, sd=0.3, seed=0):
    """Codes in clusters of a class each, on a circle (in one dimension, its projection)."""
    labels = np.arange(count) % classes
    angle = 2 * np.pi * labels / classes
    centers = np.stack([3 * np.cos(angle), 3 * np.sin(angle), *np.zeros((2, count))], axis=1)[:, :dimensions]
    return centers + sd * rng(seed).standard_normal((count, dimensions)), labels


def identity(dimensions):
    return Whitening(np.zeros(dimensions), np.eye(dimensions), np.eye(dimensions))


# Whitening.


@st.composite
def affine_maps(draw):
    """A matrix with singular values from 0.01 to 100, and a shift."""
    dimensions, random = draw(st.integers(1, 4)), rng(draw(st.integers(0, 1000)))
    left, right = (np.linalg.qr(random.standard_normal((dimensions, dimensions)))[0] for _ in range(2))
    scales = 10.0 ** np.array(draw(st.lists(st.floats(-1, 1), min_size=dimensions, max_size=dimensions)))
    return left * scales * draw(st.sampled_from([0.1, 1.0, 10.0])) @ right, random.normal(0, 10, dimensions)


@given(affine_maps())
def test_whitened_codes_have_mean_zero_and_covariance_identity_and_come_back(affine):
    matrix, shift = affine
    codes = rng().gamma(2.0, size=(100, len(matrix))) @ matrix + shift
    white = latents.whitening(codes)
    whitened = white.apply(codes)
    np.testing.assert_allclose(whitened.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.cov(whitened.T).reshape(matrix.shape), np.eye(len(matrix)), atol=1e-9)
    np.testing.assert_allclose(whitened @ white.from_white + white.center, codes, rtol=1e-9, atol=1e-9)


@settings(max_examples=10)
@given(affine_maps())
def test_whitened_metrics_do_not_change_with_the_affine_frame_of_the_codes(affine):
    matrix, shift = affine
    codes, labels = blobs(120, classes=3, dimensions=len(matrix), sd=1.5)

    def numbers(codes):  # the negentropy whitens again, which changes nothing
        codes = latents.whitening(codes).apply(codes)
        accuracy = latents.knn_accuracy(codes[:80], labels[:80], codes[80:], labels[80:])
        assert 0.3 < accuracy < 1
        return accuracy, latents.negentropy(codes, rng(1).normal(size=(120, len(matrix))))

    np.testing.assert_allclose(numbers(codes @ matrix + shift), numbers(codes), rtol=1e-9)


def test_collapsed_directions_are_left_out_and_small_ones_are_not():
    random = rng()
    codes = np.stack([random.normal(size=500), np.full(500, 7.1), 1e-4 * random.normal(size=500),
                      1e-2 * random.normal(size=500)], axis=1).astype(np.float32)  # fmt: skip
    white = latents.whitening(codes)
    whitened = white.apply(codes)
    assert whitened.shape == (500, 2)
    np.testing.assert_allclose(np.cov(whitened.T), np.eye(2), atol=1e-9)
    # A step goes nowhere in them, and a code far off in them is not far.
    np.testing.assert_allclose(white.from_white[:, 1:3], 0, atol=1e-3)
    np.testing.assert_allclose(white.apply(codes + np.array([0, 1, 0, 0])), whitened, atol=1e-2)


def test_fewer_codes_than_dimensions_span_what_they_can():
    codes = rng().normal(size=(4, 10))
    assert latents.whitening(codes).apply(codes).shape == (4, 3)


def test_codes_that_are_one_point_keep_their_unit():
    white = latents.whitening(np.full((5, 3), 2.0))
    np.testing.assert_allclose(np.abs(white.apply(np.array([[3.0, 2.0, 2.0]]))).sum(), 1)
    assert white.from_white.shape == (3, 3)


def test_aggregate_codes_are_an_aes_codes_and_draws_of_a_vaes_posteriors():
    mean = np.tile(np.float32([[1, -2]]), (50_000, 1))
    np.testing.assert_array_equal(latents.aggregate(Codes(mean, None), rng()), mean)
    z = latents.aggregate(Codes(mean, np.broadcast_to(np.float32([0, 2]), mean.shape)), rng())
    np.testing.assert_allclose(z.mean(axis=0), [1, -2], atol=5 * np.e / np.sqrt(len(z)))  # 5 standard errors
    np.testing.assert_allclose(z.std(axis=0), [1, np.e], rtol=5 / np.sqrt(2 * len(z)))


# Labels.


def test_separate_classes_are_found_and_shuffled_labels_are_not():
    (train, labels), (test, test_labels) = blobs(), blobs(seed=1)
    chance = 0.25 + 4 * np.sqrt(0.25 * 0.75 / 200)  # 4 standard errors
    assert latents.knn_accuracy(train, labels, test, test_labels) == 1
    assert latents.knn_accuracy(train, rng().permutation(labels), test, rng(1).permutation(test_labels)) < chance


def test_knn_is_the_vote_of_the_ten_nearest():
    codes, labels = blobs(300, classes=3, sd=3.0)
    train, test = codes[:200], codes[200:]
    votes = labels[:200][np.argsort(cdist(test, train), axis=1)[:, :10]]
    expected = np.mean([np.bincount(row).argmax() for row in votes] == labels[200:])
    assert 0.4 < expected < 0.9
    assert latents.knn_accuracy(train, labels[:200], test, labels[200:]) == pytest.approx(expected)


def test_the_error_of_a_share_is_binomial():
    assert latents.share_error(0.2, 400) == pytest.approx(0.02)  # √(0.2 · 0.8 / 400)
    assert latents.share_error(1.0, 7) == 0


def test_one_class_has_nothing_to_tell_apart():
    codes, labels = rng().normal(size=(20, 2)), np.zeros(20, int)
    assert latents.knn_accuracy(codes, labels, codes, labels) == 1


# Against the prior.


@pytest.mark.parametrize("dimensions", [1, 2, 8, 16])
@pytest.mark.parametrize("kind", ["the prior", "shifted", "stretched"])
def test_both_kls_of_gaussians_in_closed_form(dimensions, kind):
    sd = np.geomspace(0.1, 3, dimensions) if kind == "stretched" else np.ones(dimensions)
    mean = 0.0 if kind == "the prior" else 0.5
    exact = 0.5 * np.sum(sd**2 + mean**2 - 1 - 2 * np.log(sd))
    samples, reference = rng().normal(mean, sd, (3000, dimensions)), rng(1).normal(size=(3000, dimensions))
    # The delta method for what n draws say of means and variances, and the known bias of a log-determinant. The entropy
    # of neighbours adds an sd of 0.012 (one dimension) to 0.022 nats (16), measured over 20 seeds.
    error = np.sqrt(np.sum((sd**2 - 1) ** 2 / 2 + mean**2 * sd**2) / 3000)
    bias = dimensions * (dimensions + 3) / (4 * 3000)
    assert latents.moment_kl(samples) == pytest.approx(exact + bias, abs=4 * error + 0.01)
    assert latents.knn_kl(samples, reference) == pytest.approx(exact + bias, abs=4 * np.hypot(error, 0.022))
    assert latents.negentropy(samples, reference) == pytest.approx(0, abs=4 * 0.022)


def test_neighbours_see_what_moments_do_not():
    # Uniform on [-√3, √3]²: mean 0 and variance 1, as the prior; the entropies differ by log √(2πe) - log √12 each.
    samples, reference = rng().uniform(-np.sqrt(3), np.sqrt(3), (3000, 2)), rng(1).normal(size=(3000, 2))
    exact = 2 * (0.5 * np.log(2 * np.pi * np.e) - np.log(np.sqrt(12)))
    assert latents.moment_kl(samples) == pytest.approx(0, abs=0.01)
    assert latents.knn_kl(samples, reference) == pytest.approx(exact, abs=0.08)  # 0.353
    assert latents.knn_kl(samples, reference[:1000]) == pytest.approx(exact, abs=0.12)
    # It is all shape, which neither the scale nor the place nor an unused dimension changes.
    moved = np.column_stack([samples @ [[50.0, 3.0], [0.0, 0.5]] + 7, np.full(3000, 4.0)])
    wide = np.column_stack([reference, reference[:, 0]])
    for codes, draws in ((samples, reference), (moved[:, :2], reference), (moved, wide)):
        assert latents.negentropy(codes, draws) == pytest.approx(exact, abs=0.08)
    # Two narrow peaks.
    peaks = scipy.stats.norm([-2, 2], 0.2)
    exact = scipy.integrate.quad(
        lambda x: (q := peaks.pdf(x).mean()) * (np.log(q) - scipy.stats.norm.logpdf(x)), -4, 4, points=[-2, 2]
    )[0]
    samples = rng().normal(np.where(np.arange(3000) % 2, 2.0, -2.0), 0.2)[:, None]
    assert latents.knn_kl(samples, reference[:, :1]) == pytest.approx(exact, abs=0.1)
    assert latents.moment_kl(samples) < exact / 2
    assert latents.negentropy(samples, reference[:, :1]) == pytest.approx(exact - latents.moment_kl(samples), abs=0.1)


def test_duplicates_are_a_finite_divergence_and_a_plane_is_an_infinite_one():
    samples, reference = np.repeat(rng().normal(size=(10, 2)), 20, axis=0), rng(1).normal(size=(200, 2))
    assert 10 < latents.knn_kl(samples, reference) < 100
    flat = np.stack([samples[:, 0], 2 * samples[:, 0]], axis=1)
    assert latents.knn_kl(flat, reference) == latents.moment_kl(flat) == np.inf
    assert latents.moment_kl(rng().normal(size=(5, 8))) == np.inf


# Smoothness, cycles.


def linear_decoder(dimensions, pixels=6, seed=3):
    matrix = rng(seed).normal(size=(dimensions, pixels))
    return matrix, lambda z: (z @ matrix).reshape(-1, 2, pixels // 2)


@pytest.mark.parametrize("dimensions", [1, 3, 12])
def test_steps_of_a_linear_decoder_in_closed_form(dimensions):
    """E‖W L √K u‖² = tr W Σ Wᵀ, the variance of the decodes: a step of s sd per dimension changes s² of it."""
    matrix, decode = linear_decoder(dimensions)
    z = rng().normal(size=(4000, dimensions)) * np.geomspace(1, 5, dimensions) + 4
    white = latents.whitening(z)
    numbers = latents.smoothness(decode, z, white, rng(1))
    unit = rng(1).standard_normal((4000, dimensions))
    unit *= np.sqrt(dimensions) / np.linalg.norm(unit, axis=1, keepdims=True)
    changes = np.square(unit @ white.from_white @ matrix).sum(axis=1)
    variance = np.trace(matrix.T @ np.cov(z.T, bias=True).reshape(2 * [dimensions]) @ matrix)
    assert list(numbers) == ["step_0_1_change", "step_0_3_change", "step_1_0_change"]
    for size, found in zip((0.1, 0.3, 1.0), numbers.values(), strict=True):
        assert found == pytest.approx(size**2 * changes.mean() / variance, rel=1e-9)
        assert found == pytest.approx(size**2, rel=4 * changes.std() / changes.mean() / np.sqrt(4000) + 1e-3)


def test_decodes_of_independent_codes_differ_by_two():
    """Codes of two values at random, and steps from each that end at either: as far as two codes drawn at random.

    Each code's decode is 0 or 1; those of codes above 0 and steps down, or the reverse, change by 1 over 1/4: half do.
    """
    z = np.tile([[0.0], [1.0]], (500, 1))
    decode = lambda z: np.where(np.asarray(z) > 0.5, 1.0, 0.0)[:, :, None]  # noqa: E731
    white = Whitening(np.zeros(1), np.eye(1), np.full((1, 1), 10.0))  # a step goes far to one side
    number = latents.smoothness(decode, z, white, rng(1))["step_1_0_change"]
    assert number == pytest.approx(2, abs=4 * 4 * 0.5 / np.sqrt(1000))  # 4 standard errors of a share of one half
    equal = latents.smoothness(lambda z: np.zeros((len(z), 1, 1)), z, white, rng(1))
    assert np.isnan(equal["step_1_0_change"])


def grey_codec(grey_offset=0.0):
    """Codes are pixels, whose grey levels are whole after decoding; encoding is off by so many levels."""

    def encode(images):
        return Codes((images[:, 0].astype(np.float32) + grey_offset) / 255, None)

    return encode, lambda z: np.asarray(z, np.float32)[:, None]


def test_cycle_error_of_an_exact_inverse_is_zero_and_of_an_offset_is_its_whitened_length():
    z = rng().integers(256, size=(100, 3)) / np.float32(255) * [1, 0.5, 0.25]
    white = latents.whitening(z)
    on_the_grid = np.rint(z * 255) / 255
    assert latents.cycle_error(*grey_codec(), on_the_grid, white) < 1e-5
    expected = np.linalg.norm(np.full(3, 20 / 255) @ white.to_white)
    assert latents.cycle_error(*grey_codec(20), on_the_grid, white) == pytest.approx(expected, rel=1e-4)
    # Half of a grey level is lost at most, a quarter of one on average, in each of the unit dimensions.
    assert latents.cycle_error(*grey_codec(), z[:, :1], identity(1)) <= 0.5 / 255


# A whole run.


ENTRIES = latents.DISTRIBUTION | latents.GEOMETRY
NAMES = {*ENTRIES, *(f"{name}_error" for name, entry in ENTRIES.items() if entry.error)}


def toy_dataset(train=120, test=60):
    """Images of 4x4 pixels, whose left and right halves have a grey level each, with a bit of noise; four classes."""
    random = rng(5)

    def split(count):
        labels = np.arange(count, dtype=np.int32) % 4
        halves = np.stack([labels % 2, labels // 2], axis=1) * 120 + random.integers(20, 110, (count, 2))
        noise = random.integers(-5, 6, (count, 4, 4))
        images = (np.repeat(halves[:, None], 2, axis=2) + noise).clip(0, 255).astype(np.uint8)
        return Split(images, labels)

    counts = {"train": train, "validation": 0, "test": test}
    return Dataset("toy", split(train), split(0), split(test), {"sha256": f"toy {train}", "counts": counts})


def toy_run(latent_dim=2, logvar=None, scale=1.0, spread=1.0):
    """A run that codes the mean grey of each half, and decodes it; further dimensions are always 1."""

    def encode(images):
        halves = images.reshape(-1, 4, 2, 2).mean(axis=(1, 3), dtype=np.float64) / 255
        mean = np.ones((len(images), latent_dim))
        mean[:, :2] = spread * (halves[:, :latent_dim] - 0.5)
        codes = (scale * mean).astype(np.float32)
        return Codes(codes, None if logvar is None else np.full_like(codes, logvar))

    def decode(z):
        halves = np.resize((np.asarray(z, np.float32) / np.float32(scale))[:, :2].T, (2, len(z))).T + np.float32(0.5)
        return np.broadcast_to(np.repeat(halves, 2, axis=1)[:, None], (len(z), 4, 4)).clip(0, 1)

    return TrainedRun(Config(latent_dim=latent_dim), {}, encode, decode, None, None)


def evaluate(run, dataset=None, seed=0, gaussian=None):
    dataset = toy_dataset() if dataset is None else dataset
    # The sampler of the cycle error; here training codes stand for a Gaussian.
    gaussian = run.encode(dataset.train.images).mean if gaussian is None else gaussian
    return latents.evaluate_latents(run, dataset, gaussian, seed)


def test_a_run_has_every_number():
    numbers = evaluate(toy_run())
    assert set(numbers) == NAMES
    assert all(type(number) is float and np.isfinite(number) for number in numbers.values())
    assert numbers["knn_accuracy_whitened"] > 0.95
    assert numbers["cycle_error"] < 0.01


def test_the_seed_makes_the_numbers():
    run = toy_run(logvar=-3.0)
    assert evaluate(run) == evaluate(run)
    other = evaluate(run, seed=1)
    assert all(evaluate(run)[name] != other[name] for name in ("negentropy", "kl_prior_knn", "step_0_3_change"))


def test_only_the_comparison_with_the_prior_depends_on_the_scale_of_an_aes_codes():
    numbers, scaled = evaluate(toy_run()), evaluate(toy_run(scale=8.0))  # a power of 2: exact
    assert {name for name in numbers if numbers[name] != pytest.approx(scaled[name], rel=1e-6)} == {"kl_prior_knn"}


def linear_run(sd, dimensions=3):
    """A run whose mean codes are three pixels in [-1, 1] and whose noise differs from image to image; it is linear."""
    matrix = rng(3).normal(size=(dimensions, 6))

    def encode(images):
        mean = images.reshape(len(images), -1)[:, :dimensions].astype(np.float32) / 127.5 - 1
        width = sd * np.where(np.arange(len(images)) % 2, 1.6, 0.4)[:, None] * np.ones((1, dimensions))
        return Codes(mean, (2 * np.log(width)).astype(np.float32) if sd else None)

    return TrainedRun(Config(latent_dim=dimensions), {}, encode, lambda z: (z @ matrix).reshape(-1, 2, 3), None, None)


@pytest.mark.parametrize("sd", [0.0, 0.3, 3.0])
def test_steps_start_at_draws_and_are_measured_by_the_spread_of_their_decodes(sd):
    """A linear decoder changes by s² of that variance, with any posterior noise; of mean codes it would be 27 times so.

    Codes have variances 1/3 + 1.36 sd², so that draws of noise three times as wide make 97 % of it.
    """
    images = rng(1).integers(0, 256, (4000, 2, 3)).astype(np.uint8)
    split = Split(images, np.arange(4000, dtype=np.int32) % 4)
    dataset = Dataset("noise", split, split._replace(images=images[:1500], labels=split.labels[:1500]), split, {})
    numbers = evaluate(linear_run(sd), dataset)
    for size in (0.1, 0.3, 1.0):
        # 2,000 steps in random directions of three, and a variance of 2,000 x 6 pixels, known to 3 % each.
        assert numbers[f"step_{size}_change".replace(".", "_")] == pytest.approx(size**2, rel=0.12)
    expected = np.sqrt(1.36 * sd**2 / (1 / 3 + 1.36 * sd**2))
    assert numbers["posterior_width"] == pytest.approx(expected, rel=0.03)


def test_cycles_start_at_the_sampler_and_are_measured_in_sd_of_all_training_codes():
    """At (2.5, 0) the decode is white on the left, whose code is (0.5, 0): two off."""
    run = toy_run()
    numbers = evaluate(run, gaussian=np.tile([[2.5, 0.0]], (7, 1)))
    codes = run.encode(toy_dataset().train.images).mean.astype(np.float64)
    expected = np.sqrt([2, 0] @ np.linalg.inv(np.cov(codes.T)) @ [2, 0])  # a Mahalanobis distance
    assert numbers["cycle_error"] == pytest.approx(expected, rel=5e-3)  # half a grey level of 2 sd at 0


def test_a_vaes_codes_are_whitened_by_the_aggregate_and_read_at_the_mean():
    # Noise of four times the means' sd: whitened, the means lie close together, and their neighbourhoods are as before.
    sure, unsure = evaluate(toy_run(logvar=-20.0)), evaluate(toy_run(logvar=np.log(16 * 0.06)))
    assert sure["knn_accuracy_whitened"] > 0.95
    assert unsure["knn_accuracy_whitened"] == pytest.approx(sure["knn_accuracy_whitened"], abs=0.01)
    # N(0, 1) as posterior of means that are all 0 is the prior.
    collapsed = evaluate(toy_run(logvar=0.0, spread=0.0), toy_dataset(train=2000))
    assert collapsed["kl_prior_knn"] == pytest.approx(0, abs=0.1)
    assert collapsed["negentropy"] == pytest.approx(0, abs=0.1)
    assert collapsed["posterior_width"] == pytest.approx(1, abs=0.05)  # all there is: 2,000 draws know an sd to 2 %
    assert collapsed["knn_accuracy_whitened"] == pytest.approx(0.25, abs=0.01)
    assert collapsed["step_0_1_change"] < 0.1  # beside the spread of mean codes, all equal, it would be without end


def test_neighbours_are_of_whitened_codes_and_the_error_is_of_as_many_as_were_tested():
    """The left half, a thousandth of the right one in size, would otherwise say nothing; some labels are wrong."""
    run = toy_run()
    stretched = run._replace(encode=lambda images: Codes(run.encode(images).mean * np.float32([0.001, 1]), None))
    dataset = toy_dataset(400, 200)
    wrong = np.where(np.arange(200) < 40, 1 - dataset.test.labels % 2, dataset.test.labels).astype(np.int32)
    numbers = evaluate(stretched, dataset._replace(test=dataset.test._replace(labels=wrong)))
    share = numbers["knn_accuracy_whitened"]
    assert 0.75 < share < 0.85
    assert numbers["knn_accuracy_whitened_error"] == pytest.approx(np.sqrt(share * (1 - share) / 200), rel=1e-12)


@pytest.mark.parametrize("logvar", [None, -1.0])
def test_a_space_of_one_dimension(logvar):
    assert np.isfinite(list(evaluate(toy_run(latent_dim=1, logvar=logvar)).values())).all()


def test_dimensions_that_an_ae_does_not_use_change_nothing_but_the_divergence():
    two, five = evaluate(toy_run(2)), evaluate(toy_run(5))
    assert five["kl_prior_knn"] == np.inf
    assert five["negentropy"] == pytest.approx(two["negentropy"], abs=0.2)  # other draws of the prior, 120 codes
    for name in ("knn_accuracy_whitened", "knn_accuracy_whitened_error", "cycle_error"):
        assert five[name] == pytest.approx(two[name], rel=1e-6, abs=1e-6)
    assert np.isfinite([five[name] for name in NAMES if name.startswith("step")]).all()


@pytest.mark.parametrize(("train", "test"), [(1, 1), (2, 1), (3, 2), (12, 5)])
@pytest.mark.parametrize("logvar", [None, 0.0])
def test_few_images_are_no_error(train, test, logvar):
    numbers = evaluate(toy_run(logvar=logvar), toy_dataset(train, test))
    assert {"knn_accuracy_whitened", "cycle_error"} <= {n for n in numbers if np.isfinite(numbers[n])}


def test_codes_that_are_not_finite_have_no_numbers():
    run = toy_run()
    assert evaluate(run._replace(decode=lambda z: np.full((len(z), 4, 4), np.nan))) == {}
    assert evaluate(run._replace(encode=lambda images: Codes(np.full((len(images), 2), np.inf), None))) == {}
    assert evaluate(toy_run(logvar=1e4)) == {}


@pytest.mark.parametrize("logvar", [None, -1e4, 80.0])
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_extreme_codes_are_no_error(scale, logvar):
    numbers = evaluate(toy_run(scale=scale, logvar=logvar))
    assert numbers["knn_accuracy_whitened"] >= 0
    assert numbers["cycle_error"] >= 0


@pytest.mark.parametrize("logvar", [None, -200.0])
def test_equal_codes_are_a_point(logvar):
    assert not evaluate(toy_run(spread=0.0, logvar=logvar))["kl_prior_knn"] < 100  # up to rounding


def test_a_random_subset_of_many_images_is_used(monkeypatch):
    sizes = []
    run = toy_run()
    encode = lambda images: sizes.append(len(images)) or run.encode(images)  # noqa: E731
    fitted = []
    moments = latents.whitening
    monkeypatch.setattr(latents, "whitening", lambda codes: fitted.append(len(codes)) or moments(codes))
    monkeypatch.setattr(latents, "MAX_NEIGHBOURS", 50)
    monkeypatch.setattr(latents, "MAX_TRAIN", 30)
    monkeypatch.setattr(latents, "MAX_TEST", 20)
    evaluate(run._replace(encode=encode), gaussian=run.encode(toy_dataset().train.images).mean[:20])
    assert set(fitted) == {30}
    assert sizes == [50, 20, 20]  # 50 training codes vote
    sizes.clear()
    monkeypatch.setattr(subsets, "MAX_PIXELS", 160)  # ten images of 4 x 4
    evaluate(run._replace(encode=encode), gaussian=run.encode(toy_dataset().train.images).mean[:20])
    assert sizes == [10, 10, 20]
    monkeypatch.undo()
    chosen = latents._choose(toy_dataset().train, 50, rng())
    assert len(set(chosen)) == 50
    assert list(chosen) != sorted(chosen)


def test_posterior_width_is_the_root_of_the_mean_whitened_variance():
    """Posteriors of unequal width, in a frame that is turned: trace(Aᵀ diag(s²) A) / K, averaged over images."""
    codes = rng().normal(0, [3.0, 0.5], (500, 2)) @ [[0.8, 0.6], [-0.6, 0.8]]
    white, variances = latents.whitening(codes), rng(1).uniform(0.01, 4, (500, 2))
    each = [np.trace(white.to_white.T @ np.diag(v) @ white.to_white) / 2 for v in variances]
    found = latents.posterior_width(Codes(codes, np.log(variances).astype(np.float32)), white)
    assert found == pytest.approx(np.sqrt(np.mean(each)), rel=1e-6)
    assert latents.posterior_width(Codes(codes, None), white) == 0


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_a_plane_is_turned_to_where_it_was_whatever_the_scale(is_mirrored):
    random = np.random.default_rng(0)
    codes = random.normal(size=(50, 2)) * [3, 1]
    angle = 2.1
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = turn @ np.diag([1, -1]) if is_mirrored else turn
    target = 0.2 * codes @ turn.T
    rotation = latents.matching_rotation(codes, target)
    np.testing.assert_allclose(rotation, turn, atol=1e-12)
    np.testing.assert_allclose(rotation, scipy.linalg.orthogonal_procrustes(codes, target)[0].T, atol=1e-12)
