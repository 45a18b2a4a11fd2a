"""What a latent space is like, in numbers that an AE and a VAE share.

The scale of an AE's codes means nothing, so codes are compared after whitening by the mean and covariance of the
aggregate code q(z): the codes themselves for an AE, draws z ~ q(z | x) for a VAE. A dimension that a VAE does not use,
all noise and no mean, then stays as small as it is. The code of an image is the mean; the comparison with the prior
N(0, I) takes draws of q(z), not whitened.

References:
    Kozachenko & Leonenko 1987, "Sample estimate of the entropy of a random vector".
    Wang, Kulkarni & Verdú 2009, "Divergence estimation for multidimensional densities via k-nearest-neighbor
    distances".
"""

import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import digamma
from threadpoolctl import threadpool_limits

from vae_jax.data import Dataset, Split
from vae_jax.measure.entry import CODE_SD, SHARE, TEST_IMAGES, Measurement, for_each
from vae_jax.measure.samples import principal_axes
from vae_jax.measure.subsets import limit
from vae_jax.training.runs import Codes, TrainedRun

MAX_TRAIN, MAX_TEST = 5000, 2000  # images, drawn at random
MAX_NEIGHBOURS = 20_000  # training images whose codes vote
COLLAPSED = 1e-6  # of the largest variance; a direction with less is left out
SAME_POINT = 1e-6  # whitened sd; codes closer than this float32 rounding are one
STEPS = (0.1, 0.3, 1.0)  # whitened sd in each dimension
_STEPS = [{"name": f"step_{step}".replace(".", "_"), "length": str(step)} for step in STEPS]

_WANG = "Wang et al. 2009, Divergence Estimation for Multidimensional Densities Via k-Nearest-Neighbor Distances"

DISTRIBUTION = {
    "posterior_width": Measurement("width of q(z | x)", CODE_SD, None, "posteriors",
        "Root mean variance of q(z | x); 0 where a code is a point."),
    "kl_prior_knn": Measurement("KL of all codes to N(0, I), includes scale", "nats", None, "latent_space",
        "KL divergence of all codes from N(0, I), estimated by nearest neighbours; of point codes it is mostly their "
        "scale, which nothing sets.", _WANG),
    "negentropy": Measurement("KL of all codes to their own Gaussian", "nats", "lower", "latent_space",
        "KL divergence of all codes from the Gaussian with their mean and covariance, estimated by nearest neighbours: "
        "their shape without their scale. A collapsed model has none.", _WANG),
}  # fmt: skip

GEOMETRY = {
    "knn_accuracy_whitened": Measurement("accuracy of 10 nearest whitened codes", SHARE, "higher", "latent_space",
        "Share of test codes whose ten nearest training codes vote for their label, with codes whitened, so that every "
        "direction in which they vary counts alike.", error=TEST_IMAGES),
    "cycle_error": Measurement("cycle error", CODE_SD, "lower", "",
        "Mean distance of a sample of the codes' own Gaussian from the code of its decode."),
    **for_each(_STEPS, {
        "{name}_change": Measurement("change of the decode over {length} sd", "variances of all decodes", "lower",
            "manifold", "Mean squared change of the decode over a step of {length} standard deviations of all codes "
            "in each dimension, from draws of q(z), over the variance of their decodes; 2 for decodes of two "
            "independent codes. A model that was hardly trained has small ones."),
    }),
}  # fmt: skip

Decode = Callable[[np.ndarray], np.ndarray]  # float[N, D] to mean pixels float32[N, H, W] in [0, 1]


class Whitening(NamedTuple):
    """An affine map of codes to K <= D directions with mean 0 and covariance I, and its inverse."""

    center: np.ndarray  # float64[D]
    to_white: np.ndarray  # float64[D, K]
    from_white: np.ndarray  # float64[K, D]

    def apply(self, codes: np.ndarray) -> np.ndarray:
        """Whitens codes float[N, D]: float64[N, K]."""
        return (codes - self.center) @ self.to_white


def whitening(codes: np.ndarray) -> Whitening:
    """Computes the whitening by the mean and covariance of codes float[N, D], along their principal axes.

    A direction with less than `COLLAPSED` of the largest variance is left out, since whitening would make its noise as
    large as the signal. Codes that are all equal keep their D directions and their unit.
    """
    center, variances, axes = principal_axes(codes)
    kept = variances > COLLAPSED * variances[-1]
    if not kept.any():
        kept, variances = np.ones_like(kept), np.ones_like(variances)
    sd, axes = np.sqrt(variances[kept]), axes[:, kept]
    return Whitening(center, axes / sd, (axes * sd).T)


def matching_rotation(codes: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Computes the rotation or reflection R float64[D, D] about the origin that brings codes nearest to a target.

    It is the orthogonal Procrustes problem: R minimizes Σ ‖R z - t‖² over pairs of a code z and a place t, of codes and
    target float[N, D], so that codes @ R.T are the turned codes. Distances and N(0, I) stay as they are.
    """
    u, _, vt = np.linalg.svd(target.T.astype(np.float64) @ codes.astype(np.float64))
    return u @ vt


def aggregate(codes: Codes, random: np.random.Generator) -> np.ndarray:
    """Draws the aggregate code q(z), one draw per image: float64[N, D]; the codes themselves for an AE."""
    mean = codes.mean.astype(np.float64)
    if codes.logvar is None:
        return mean
    return mean + np.exp(codes.logvar.astype(np.float64) / 2) * random.standard_normal(mean.shape)


def posterior_width(codes: Codes, white: Whitening) -> float:
    """Computes the root mean variance of q(z | x) in standard deviations of all codes; 0 for an AE."""
    if codes.logvar is None:
        return 0.0
    return float(np.sqrt(np.mean(np.exp(codes.logvar.astype(np.float64)) @ np.square(white.to_white))))


def knn_accuracy(train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray) -> float:
    """Computes the share of test codes float[N, K] whose ten nearest train codes float[M, K] vote for their label."""
    from sklearn.neighbors import KNeighborsClassifier  # which takes seconds to import

    with warnings.catch_warnings(action="ignore"):  # there may be as many classes as codes
        classifier = KNeighborsClassifier(min(10, len(train))).fit(train, train_labels)
        return float(classifier.score(test, test_labels))


def share_error(share: float, count: int) -> float:
    """Returns the binomial standard error of a share of `count` independent cases."""
    return math.sqrt(share * (1 - share) / count)


def moment_kl(samples: np.ndarray) -> float:
    """Computes KL(N(mean, covariance) || N(0, I)) of samples float[N, D], nats; infinite if they lie in a plane."""
    center, variances, _ = principal_axes(samples)
    if variances[0] <= len(variances) * np.finfo(np.float64).eps * variances[-1]:
        return np.inf
    return float(0.5 * (np.sum(variances - 1 - np.log(variances)) + center @ center))


def negentropy(samples: np.ndarray, reference: np.ndarray) -> float:
    """Estimates KL(q || g) in nats, where g is the Gaussian with the moments of q: 0 for a Gaussian of any scale.

    It is the entropy that q, whitened, lacks against N(0, I). Both entropies come from distances to the 5th neighbour
    (Kozachenko & Leonenko 1987; for divergences, Wang, Kulkarni & Verdú 2009), so that their constants and most of
    their bias cancel. The estimate misses fine detail: with ten tight clusters, 8 % of the KL in 8 dimensions and 22 %
    in 16. Directions that `whitening` leaves out do not count.

    Args:
        samples: float[N, D], of q.
        reference: float[M, D], draws of N(0, I).
    """
    from sklearn.neighbors import NearestNeighbors

    num_neighbors = min(5, len(samples) - 1, len(reference) - 1)
    if num_neighbors < 1:
        return np.nan

    def entropy(points: np.ndarray) -> float:  # whitened, without terms that depend on K and the neighbours only
        white = whitening(points).apply(points)
        distance = NearestNeighbors(n_neighbors=num_neighbors).fit(white).kneighbors()[0][:, -1]
        return float(digamma(len(white)) + white.shape[1] * np.log(np.maximum(distance, SAME_POINT)).mean())

    dims = whitening(samples).to_white.shape[1]
    return entropy(reference[:, :dims]) - entropy(samples)


def knn_kl(samples: np.ndarray, reference: np.ndarray) -> float:
    """Estimates KL(q || N(0, I)) in nats from samples float[N, D] of q and draws of N(0, I), float[M, D].

    KL(q || p) = KL(g || p) + KL(q || g), where g is the Gaussian with the moments of q: the scale, `moment_kl`, and the
    shape, `negentropy`.
    """
    gaussian = moment_kl(samples)
    return gaussian + negentropy(samples, reference) if np.isfinite(gaussian) else gaussian


def smoothness(decode: Decode, z: np.ndarray, white: Whitening, random: np.random.Generator) -> dict[str, float]:
    """Measures what steps from z float[N, D], draws of q(z), in one random direction each do to the decode.

    A step has a root mean square of `STEPS` whitened sd per dimension, so a length of √K times that: steps of a fixed
    length would become small against the distances between codes as K grows. For each size, with an underscore for
    the point, `step_{size}_change` is the mean squared change over the total variance of the decodes of z, so that two
    decodes of independent codes differ by 2; NaN if all decodes are equal. Steps and variance are of the same codes:
    beside the variance of mean codes, the steps of a collapsed model, whose noise is all of q(z), would be endless.
    """
    direction = random.standard_normal((len(z), len(white.from_white)))
    direction *= math.sqrt(direction.shape[1]) / np.linalg.norm(direction, axis=1, keepdims=True)
    before, numbers = decode(z), {}
    variance = before.var(axis=0, dtype=np.float64).sum()
    for size in STEPS:
        after = decode(z + size * direction @ white.from_white)
        change = np.square(after - before).reshape(len(z), -1).sum(axis=1, dtype=np.float64).mean()
        name = f"step_{size}_change".replace(".", "_")
        numbers[name] = float(change / variance) if variance > 0 else math.nan
    return numbers


def cycle_error(encode: Callable[[np.ndarray], Codes], decode: Decode, z: np.ndarray, white: Whitening) -> float:
    """Computes the mean distance of z float[N, D] from the code of its decode, ‖z - enc(dec(z))‖, in whitened sd."""
    images = np.rint(decode(z) * 255).astype(np.uint8)  # an encoder's grey levels
    return float(np.linalg.norm((z - encode(images).mean) @ white.to_white, axis=1).mean())


@threadpool_limits.wrap(limits=1)  # on matrices this small, threads mostly wait for each other
@np.errstate(all="ignore")  # codes of a bad run may overflow; the numbers are then not finite
def evaluate_latents(run: TrainedRun, dataset: Dataset, gaussian: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Computes all numbers of this module for a run, by name; none if its codes or decodes are not finite.

    At most 5,000 training and 2,000 test images are used, and for votes of neighbours, where there are labels, 20,000
    training images. The `cycle_error` is measured at `gaussian`, samples z float32[M, D] of the codes' own Gaussian.
    The KL of codes in a plane is infinite.
    """
    choice, noise, gauss, test_noise, directions = np.random.default_rng(seed).spawn(5)
    train, test = _choose(dataset.train, MAX_NEIGHBOURS, choice), _choose(dataset.test, MAX_TEST, choice)
    every = run.encode(dataset.train.images[train])
    codes = Codes(every.mean[:MAX_TRAIN], None if every.logvar is None else every.logvar[:MAX_TRAIN])
    new = run.encode(dataset.test.images[test])
    q, z = aggregate(codes, noise), aggregate(new, test_noise)
    if not all(np.isfinite(values).all() for values in (q, every.mean, z, run.decode(z))):
        return {}
    white, prior = whitening(q), gauss.standard_normal(q.shape)
    numbers = {}
    if dataset.train.labels is not None and dataset.test.labels is not None:
        accuracy = knn_accuracy(
            white.apply(every.mean), dataset.train.labels[train],
            white.apply(new.mean), dataset.test.labels[test],
        )  # fmt: skip
        numbers = {"knn_accuracy_whitened": accuracy, "knn_accuracy_whitened_error": share_error(accuracy, len(z))}
    return numbers | {
        "posterior_width": posterior_width(codes, white),
        "kl_prior_knn": knn_kl(q, prior),
        "negentropy": negentropy(q, prior),
        "cycle_error": cycle_error(run.encode, run.decode, gaussian, white),
        **smoothness(run.decode, z, white, directions),
    }


def _choose(split: Split, most: int, random: np.random.Generator) -> np.ndarray:
    """At most this many indices of images in random order, so that the first of them are a random subset, too."""
    return random.permutation(len(split.images))[: limit(most, split.images.shape[1:])]
