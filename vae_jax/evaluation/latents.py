"""What a latent space is like, in numbers that an AE and a VAE share.

The scale of an AE's codes means nothing, so codes are compared after whitening by the mean and covariance of the
aggregate code q(z): the codes themselves for an AE, draws z ~ q(z | x) for a VAE. A dimension that a VAE does not use,
all noise and no mean, then stays as small as it is. The code of an image is the mean; the comparison with the prior
N(0, I) takes draws of q(z), not whitened.

References:
    Kozachenko & Leonenko 1987, "Sample estimate of the entropy of a random vector". Rousseeuw 1987, "Silhouettes".
    Strehl & Ghosh 2002, "Cluster ensembles". Tolstikhin et al. 2018, "Wasserstein auto-encoders" (arXiv:1711.01558).
    Wang, Kulkarni & Verdú 2009, "Divergence estimation for multidimensional densities via k-nearest-neighbor
    distances".
"""

import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist, pdist
from scipy.special import digamma, gammaincinv
from sklearn import cluster, metrics, neighbors
from threadpoolctl import threadpool_limits

from vae_jax.data import Dataset, Split
from vae_jax.evaluation.classifier import Classifier
from vae_jax.evaluation.samples import principal_axes
from vae_jax.evaluation.subsets import chunks, limit
from vae_jax.runs import Codes, TrainedRun

MAX_TRAIN, MAX_TEST = 5000, 2000  # images, drawn at random
MAX_NEIGHBOURS = 20_000  # training images whose codes vote
NMI_STARTS, NMI_RESTARTS = 5, 10  # independent k-means, and restarts of each, of which the tightest counts
COLLAPSED = 1e-6  # of the largest variance; a direction with less is left out
SAME_POINT = 1e-6  # whitened sd; codes closer than this float32 rounding are one
MMD_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
STEPS = (0.1, 0.3, 1.0)  # whitened sd in each dimension

Decode = Callable[[np.ndarray], np.ndarray]  # float[N, D] to mean pixels float32[N, H, W] in [0, 1]
Classify = Callable[[np.ndarray], np.ndarray]  # float32[N, H, W] in [0, 1] to class probabilities float32[N, C]


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
    with warnings.catch_warnings(action="ignore"):  # there may be as many classes as codes
        classifier = neighbors.KNeighborsClassifier(min(10, len(train))).fit(train, train_labels)
        return float(classifier.score(test, test_labels))


def share_error(share: float, count: int) -> float:
    """Returns the binomial standard error of a share of `count` independent cases."""
    return math.sqrt(share * (1 - share) / count)


def silhouette(codes: np.ndarray, labels: np.ndarray) -> float:
    """Measures how much nearer codes float[N, K] are to their class than to the next: -1 to 1; NaN for one class."""
    if not 2 <= len(np.unique(labels)) < len(labels):
        return np.nan
    return float(metrics.silhouette_score(codes, labels))


def cluster_nmi(codes: np.ndarray, labels: np.ndarray, random: np.random.Generator) -> tuple[float, float]:
    """Computes the mutual information of labels and k-means clusters of codes float[N, K], over their mean entropy.

    There are as many clusters as classes; 0 for independent labels, 1 for clusters that are the classes. k-means finds
    a local optimum: returned are the mean and the standard deviation over `NMI_STARTS` independent runs of it, each the
    tightest of `NMI_RESTARTS` restarts.
    """
    num_clusters = min(len(np.unique(labels)), len(np.unique(codes, axis=0)))
    scores = []
    for seed in random.integers(2**31, size=NMI_STARTS):
        k_means = cluster.KMeans(num_clusters, n_init=NMI_RESTARTS, random_state=int(seed))
        with warnings.catch_warnings(action="ignore"):  # codes that differ by rounding alone fall into fewer clusters
            scores.append(metrics.normalized_mutual_info_score(labels, k_means.fit_predict(codes)))
    return float(np.mean(scores)), float(np.std(scores, ddof=1))


def codes_outside(samples: np.ndarray) -> float:
    """Computes the share of samples float[N, D] beyond the radius that holds 86.5 % of N(0, I): two sd in 2-D."""
    square = 2 * gammaincinv(samples.shape[1] / 2, 1 - np.exp(-2))  # a quantile of chi-squared
    return float(np.mean(np.square(samples).sum(axis=1) > square))


def mmd(samples: np.ndarray, reference: np.ndarray) -> float:
    """Estimates the squared maximum mean discrepancy of samples float[N, D] from draws of N(0, I), float[M, D].

    The unbiased U-statistic with the kernel Σ C / (C + ‖x - y‖²) over C = 2·D·s (Tolstikhin et al. 2018; the scales s
    are from the authors' code). It is about 0, of either sign, for equal distributions, and at most 14; NaN for a
    single sample.
    """
    if min(len(samples), len(reference)) < 2:
        return np.nan
    scales = [2 * samples.shape[1] * scale for scale in MMD_SCALES]

    def kernel_sum(squared: np.ndarray) -> float:
        parts = chunks(squared.ravel(), 1 << 15)  # which stay in the caches, at half the time
        return sum(float(np.sum(c / (c + part))) for part in parts for c in scales)

    n, m = len(samples), len(reference)
    within = kernel_sum(pdist(samples, "sqeuclidean")) / (n * (n - 1) / 2)  # each pair of points once
    within += kernel_sum(pdist(reference, "sqeuclidean")) / (m * (m - 1) / 2)
    return within - 2 * kernel_sum(cdist(samples, reference, "sqeuclidean")) / (n * m)


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
    num_neighbors = min(5, len(samples) - 1, len(reference) - 1)
    if num_neighbors < 1:
        return np.nan

    def entropy(points: np.ndarray) -> float:  # whitened, without terms that depend on K and the neighbours only
        white = whitening(points).apply(points)
        distance = neighbors.NearestNeighbors(n_neighbors=num_neighbors).fit(white).kneighbors()[0][:, -1]
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


def smoothness(
    decode: Decode, classify: Classify, z: np.ndarray, white: Whitening, random: np.random.Generator
) -> dict[str, float]:
    """Measures what steps from z float[N, D], in one random direction each, do to the decode.

    A step has a root mean square of `STEPS` whitened sd per dimension, so a length of √K times that: steps of a fixed
    length would become small against the distances between codes as K grows. For each size, with an underscore for
    the point:

    - `step_{size}_change`, the mean squared change over the total variance of the decodes of z, so that two decodes of
      independent codes differ by 2; NaN if all decodes are equal.
    - `step_{size}_flips`, the share of decodes whose predicted class changes, and `step_{size}_flips_error`.
    """
    direction = random.standard_normal((len(z), len(white.from_white)))
    direction *= math.sqrt(direction.shape[1]) / np.linalg.norm(direction, axis=1, keepdims=True)
    before, numbers = decode(z), {}
    variance = before.var(axis=0, dtype=np.float64).sum()
    label = classify(before).argmax(axis=1)
    for size in STEPS:
        after = decode(z + size * direction @ white.from_white)
        change = np.square(after - before).sum(axis=(1, 2), dtype=np.float64).mean()
        name = f"step_{size}".replace(".", "_")
        numbers[f"{name}_change"] = float(change / variance) if variance > 0 else math.nan
        flips = float(np.mean(classify(after).argmax(axis=1) != label))
        numbers |= {f"{name}_flips": flips, f"{name}_flips_error": share_error(flips, len(z))}
    return numbers


def cycle_error(encode: Callable[[np.ndarray], Codes], decode: Decode, z: np.ndarray, white: Whitening) -> float:
    """Computes the mean distance of z float[N, D] from the code of its decode, ‖z - enc(dec(z))‖, in whitened sd."""
    images = np.rint(decode(z) * 255).astype(np.uint8)  # an encoder's grey levels
    return float(np.linalg.norm((z - encode(images).mean) @ white.to_white, axis=1).mean())


@threadpool_limits.wrap(limits=1)  # on matrices this small, threads mostly wait for each other
@np.errstate(all="ignore")  # codes of a bad run may overflow; the numbers are then not finite
def evaluate_latents(
    run: TrainedRun, dataset: Dataset, classifier: Classifier, gaussian: np.ndarray, seed: int = 0
) -> dict[str, float]:
    """Computes all numbers of this module for a run, by name; none if its codes or decodes are not finite.

    At most 5,000 training and 2,000 test images of a data set with labels are used, and for votes of neighbours 20,000
    training images. The `cycle_error` is measured at `gaussian`, samples z float32[M, D] of the codes' own Gaussian.
    The KL of codes in a plane is infinite, the silhouette of one class NaN.
    """
    assert dataset.train.labels is not None
    assert dataset.test.labels is not None
    choice, noise, gauss, clusters, directions = np.random.default_rng(seed).spawn(5)
    train, test = _choose(dataset.train, MAX_NEIGHBOURS, choice), _choose(dataset.test, MAX_TEST, choice)
    train_labels, test_labels = dataset.train.labels[train], dataset.test.labels[test]
    every = run.encode(dataset.train.images[train])
    codes = Codes(every.mean[:MAX_TRAIN], None if every.logvar is None else every.logvar[:MAX_TRAIN])
    z = run.encode(dataset.test.images[test]).mean.astype(np.float64)
    q = aggregate(codes, noise)
    if not all(np.isfinite(values).all() for values in (q, every.mean, z, run.decode(z))):
        return {}
    white, prior = whitening(q), gauss.standard_normal(q.shape)
    new, nmi = white.apply(z), cluster_nmi(white.apply(z), test_labels, clusters)
    accuracy = {
        "knn_accuracy": knn_accuracy(every.mean, train_labels, z, test_labels),
        "knn_accuracy_whitened": knn_accuracy(white.apply(every.mean), train_labels, new, test_labels),
    }
    return {
        "posterior_width": posterior_width(codes, white),
        "codes_outside_2sd": codes_outside(q),
        "mmd_prior": mmd(q[:MAX_TEST], prior[:MAX_TEST]),
        "kl_prior_knn": knn_kl(q, prior),
        "negentropy": negentropy(q, prior),
        **accuracy,
        **{f"{name}_error": share_error(share, len(z)) for name, share in accuracy.items()},
        "silhouette": silhouette(new, test_labels),
        "nmi": nmi[0],
        "nmi_sd": nmi[1],
        "cycle_error": cycle_error(run.encode, run.decode, gaussian, white),
        **smoothness(run.decode, lambda images: classifier.predict(images)[1], z, white, directions),
    }


def _choose(split: Split, most: int, random: np.random.Generator) -> np.ndarray:
    """At most this many indices of images in random order, so that the first of them are a random subset, too."""
    return random.permutation(len(split.images))[: limit(most, split.images.shape[1:])]
