"""How single dimensions of the codes follow the factors that the images were generated from, where these are known.

Codes are float[N, D] and factors int[N, K], the values of K factors counted from 0. A score is about the axes as they
are: it does not change when a dimension is shifted or scaled, nor when dimensions change places, and it does when they
are rotated. An AE's objective does not know its axes, so it is also asked along the principal axes of its codes.

Published code disagrees in what it measures; each function says whom it follows. Locatello et al. 2019, "Challenging
Common Assumptions…" (arXiv:1811.12359), compare most of these measures, on mean codes.

References:
    Chen, Li, Grosse & Duvenaud 2018, "Isolating Sources of Disentanglement in VAEs" (arXiv:1802.04942).
    Eastwood & Williams 2018, "A Framework for the Quantitative Evaluation of Disentangled Representations".
    Kim & Mnih 2018, "Disentangling by Factorising" (arXiv:1802.05983).
    Kumar, Sattigeri & Balakrishnan 2018, "Variational Inference of Disentangled Latent Concepts…" (arXiv:1711.00848).
    Ridgeway & Mozer 2018, "Learning Deep Disentangled Embeddings with the F-Statistic Loss" (arXiv:1802.05312).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import entr
from threadpoolctl import threadpool_limits

from vae_jax.data import Dataset, Split
from vae_jax.measure.entry import SHARE, TEST_IMAGES, Measurement
from vae_jax.measure.latents import aggregate
from vae_jax.measure.samples import principal_axes
from vae_jax.measure.subsets import limit, subset
from vae_jax.training.runs import TrainedRun

MAX_TRAIN, MAX_TEST = 2000, 5000  # images
BINS = 20  # of equal width, as in the configurations of disentanglement_lib
MAX_VALUES = 40  # of a factor, as many as dSprites has orientations; one with more is cut into BINS, too
RESAMPLES = 50  # of the images, for standard errors
TREES = 10  # of a forest
VOTES, FIXED = 800, 64  # votes of the FactorVAE score, and images in each

_CHEN = "Chen et al. 2018, Isolating Sources of Disentanglement in VAEs"
_ENTROPY = "of the entropy of a factor"
_EASTWOOD = "Eastwood & Williams 2018, A Framework for the Quantitative Evaluation of Disentangled Representations"

MEASUREMENTS = {
    "mig": Measurement("mutual information gap", _ENTROPY, "higher", "factor_map",
        "How much more of a factor the mean code's best dimension for it knows than the second best, as a share of the "
        "factor's entropy; mean over factors. 0 where no dimension knows anything, or two know the same.",
        _CHEN, error=TEST_IMAGES),
    "mig_draws": Measurement("mutual information gap of draws", _ENTROPY, "higher", "",
        "The mutual information gap of draws of q(z | x), in which a dimension says no more than its noise lets "
        "through; that of the mean codes for a model without noise.", _CHEN, error=TEST_IMAGES),
    "mig_principal": Measurement("mutual information gap along principal axes", _ENTROPY, "higher", "",
        "The mutual information gap of mean codes that are rotated to their principal axes: what a rotation gives to "
        "a model whose axes are arbitrary, and takes from one whose axes are not.", _CHEN, error=TEST_IMAGES),
    "dci_disentanglement": Measurement("disentanglement", SHARE, "higher", "",
        "How far each dimension helps random forests to predict one factor only: 1 if it does, 0 if it helps with all "
        "alike.", _EASTWOOD),
    "dci_completeness": Measurement("completeness", SHARE, "higher", "",
        "How far random forests predict each factor from one dimension only: 1 if they do, 0 if they take all alike.",
        _EASTWOOD),
    "dci_informativeness": Measurement("informativeness", SHARE, "higher", "",
        "Share of test images whose factor random forests predict from all dimensions; mean over factors.", _EASTWOOD),
    "sap": Measurement("separated attribute predictability", SHARE, "higher", "",
        "Balanced accuracy with which thresholds on the best single dimension tell the values of a factor, minus that "
        "of the second best; mean over factors.",
        "Kumar et al. 2018, Variational Inference of Disentangled Latent Concepts from Unlabeled Observations"),
    "factor_vae_score": Measurement("FactorVAE score", SHARE, "higher", "",
        "How often the dimension that varies least among images with one factor fixed tells which factor that is; the "
        "best dimension for each factor is enough, whatever others say of it.",
        "Kim & Mnih 2018, Disentangling by Factorising"),
    "modularity": Measurement("modularity", SHARE, "higher", "",
        "How far each dimension knows of one factor only, 1 if it does; mean over dimensions, also those that know "
        "little.",
        "Ridgeway & Mozer 2018, Learning Deep Disentangled Embeddings with the F-Statistic Loss"),
}  # fmt: skip


class Known(NamedTuple):
    """Codes of some images, and the factors that these were generated from."""

    codes: np.ndarray  # float[N, D]
    factors: np.ndarray  # int[N, K]


def discretized(values: np.ndarray) -> np.ndarray:
    """Cuts the range of each column of float[N, C] into `BINS` of equal width: int[N, C]; 0 for a constant column."""
    low, high = values.min(axis=0), values.max(axis=0)
    width = np.where(high > low, high - low, 1)
    return np.minimum((values - low) / width * BINS, BINS - 1).astype(np.int64)


def mutual_information(
    codes: np.ndarray, factors: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Computes I(z_d; v_k) = H(z_d) + H(v_k) - H(z_d, v_k) from the frequencies of `discretized` codes.

    This is the estimate of disentanglement_lib. It is too large by about (bins - 1)(values - 1) / 2N, as much for each
    dimension with as many filled bins.

    Args:
        codes: float[N, D].
        factors: int[N, K].
        weights: float[R, N], how often each image counts in each of R samples; None counts all once.

    Returns:
        Nats: I float64[R, D, K], and the factors' entropies H(v_k) float64[R, K]; R is 1 without weights.
    """
    weights = np.ones((1, len(codes))) if weights is None else weights
    (bins, bin_starts), (values, value_starts) = _one_hot(discretized(codes)), _one_hot(factors)

    found = []
    for weight in weights / weights.sum(axis=1, keepdims=True):
        joint = entr(bins.T @ (weight[:, None] * values))
        both = np.add.reduceat(np.add.reduceat(joint, bin_starts, axis=0), value_starts, axis=1)
        of_bins = np.add.reduceat(entr(weight @ bins), bin_starts)
        of_values = np.add.reduceat(entr(weight @ values), value_starts)
        found.append((np.maximum(0, of_bins[:, None] + of_values - both), of_values))
    information, entropy = map(np.stack, zip(*found, strict=True))
    return information, entropy


def _one_hot(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values int[N, C] as indicators float64[N, values of all columns], and where each column starts, int[C]."""
    sizes = columns.max(axis=0) + 1
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    indicators = np.zeros((len(columns), sizes.sum()))
    np.put_along_axis(indicators, starts + columns, 1, axis=1)
    return indicators, starts


def known_shares(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Computes I(z_d; v_k) / H(v_k) of factors int[N, K] that vary, float64[D, K]; NaN if a code is not finite."""
    if not np.isfinite(codes).all():
        return np.full((codes.shape[1], factors.shape[1]), np.nan)
    information, entropy = mutual_information(codes, _coarse(factors))
    return np.asarray(information[0] / entropy[0])


def mutual_information_gap(information: np.ndarray, entropy: np.ndarray) -> np.ndarray:
    """Computes the MIG, mean over k of (largest - second largest over d of I(z_d; v_k)) / H(v_k).

    Chen et al. 2018, section 4. They integrate over q(z | x), so that noise counts; disentanglement_lib takes mean
    codes. Which it is depends on the codes that the information is of.

    Args:
        information: float[..., D, K], nats, of two dimensions or more.
        entropy: float[..., K], nats.

    Returns:
        float64[...].
    """
    ranked = np.sort(information, axis=-2)
    return np.asarray(((ranked[..., -1, :] - ranked[..., -2, :]) / entropy).mean(axis=-1))


def modularity(information: np.ndarray) -> float:
    """Computes the mean over d of 1 - Σ over all but the best k of I(z_d; v_k)² / ((K - 1) · largest over k of I²).

    Ridgeway & Mozer 2018, section 3. A dimension that knows nothing counts as 0, as in disentanglement_lib.

    Args:
        information: float[D, K], nats, of two factors or more.
    """
    squares = np.square(information)
    best = squares.max(axis=1)
    others = (squares.sum(axis=1) - best) / (squares.shape[1] - 1)
    return float(np.mean(1 - np.divide(others, best, out=np.ones_like(best), where=best > 0)))


def importances(train: Known, test: Known) -> tuple[np.ndarray, float]:
    """Predicts each factor of `test` by a random forest that is fitted to `train`.

    Forests are among the regressors of Eastwood & Williams; as in disentanglement_lib they are classifiers here, but
    its gradient-boosted trees would need a minute. Every split sees all dimensions, so that one without information is
    not used for want of a better.

    Returns:
        The decrease of impurity by each dimension float64[D, K], which sums to 1 for each factor (to 0 if nothing
        helps), and informativeness: the mean over factors of the accuracy.
    """
    from sklearn.ensemble import RandomForestClassifier  # which takes seconds to import

    columns, accuracies = [], []
    for known, wanted in zip(train.factors.T, test.factors.T, strict=True):
        forest = RandomForestClassifier(TREES, max_features=None, min_samples_leaf=5, random_state=0)
        columns.append(forest.fit(train.codes, known).feature_importances_)
        accuracies.append(np.mean(forest.predict(test.codes) == wanted))
    return np.stack(columns, axis=1), float(np.mean(accuracies))


def disentanglement(importance: np.ndarray) -> float:
    """Computes Σ_d ρ_d (1 - H_K(P_d)) of importances R float[D, K], 0 if all are 0.

    P_d is the row R_d, normalized, H_K its entropy to the base K, and ρ_d its share of all importance (Eastwood &
    Williams 2018, section 2). Completeness is the same of the transposed matrix; each factor weighs by its importance,
    as in disentanglement_lib.
    """
    sums = importance.sum(axis=1, keepdims=True)
    rows = np.divide(importance, sums, out=np.zeros_like(importance), where=sums > 0)
    order = 1 - entr(rows).sum(axis=1) / np.log(importance.shape[1])
    return float(order @ sums[:, 0] / max(importance.sum(), np.finfo(float).tiny))


def separated_predictability(train: Known, test: Known) -> float:
    """Computes the SAP score, mean over k of the gap between the two dimensions that tell the values of v_k best.

    Kumar et al. 2018, section 3: of discrete factors, thresholds on one dimension that minimize the balanced error. As
    many leaves of a tree as the factor has values are fitted to `train`, and judged on `test`; disentanglement_lib
    takes linear support vector machines, which cannot tell a value between two others.
    """
    from sklearn.tree import DecisionTreeClassifier

    gaps = []
    for known, wanted in zip(train.factors.T, test.factors.T, strict=True):
        scores, leaves = [], len(np.unique(known))
        for column, unseen in zip(train.codes.T[..., None], test.codes.T[..., None], strict=True):
            tree = DecisionTreeClassifier(max_leaf_nodes=leaves, class_weight="balanced", random_state=0)
            is_right = tree.fit(column, known).predict(unseen) == wanted
            scores.append(np.mean([is_right[wanted == value].mean() for value in np.unique(wanted)]))
        *_, second, best = sorted(scores)
        gaps.append(best - second)
    return float(np.mean(gaps))


def factor_vae_score(train: Known, test: Known, random: np.random.Generator) -> float:
    """Computes how often the dimension of least variance, in units of its own, tells which factor was fixed.

    Kim & Mnih 2018, section 4: a vote is the factor that is fixed in `FIXED` images and the dimension that varies least
    in them; a dimension stands for the factor that most of its votes have. Votes of `train` say for which, and the
    score is the accuracy on votes of `test`, as in disentanglement_lib. Images are drawn from those there are. A
    constant dimension has no vote; 0 if all are constant.
    """
    kept = np.ptp(train.codes, axis=0) > 0  # the variance of equal numbers need not be 0
    if not kept.any():
        return 0.0
    sd, num_factors = train.codes[:, kept].std(axis=0), train.factors.shape[1]

    def votes(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
        counts = np.zeros((num_factors, len(sd)))
        for factor in np.arange(VOTES) % num_factors:
            value = factors[random.integers(len(factors)), factor]
            images = random.choice(np.flatnonzero(factors[:, factor] == value), FIXED)
            counts[factor, (codes[images][:, kept] / sd).var(axis=0).argmin()] += 1
        return counts

    learned, seen = votes(*train).argmax(axis=0), votes(*test)
    return float(seen[learned, np.arange(len(learned))].sum() / seen.sum())


@threadpool_limits.wrap(limits=1)  # on matrices this small, threads mostly wait for each other
def evaluate_factors(run: TrainedRun, dataset: Dataset, seed: int = 0) -> dict[str, float]:
    """Computes all numbers of this module for a run on a data set with factors, by name.

    There are none unless two factors vary, and the codes are finite. At most 2,000 training and 5,000 test images are
    used; a factor with more than `MAX_VALUES` is cut into bins like codes. Standard errors are over resampled images.
    """
    splits = _some(dataset.train, MAX_TRAIN), _some(dataset.test, MAX_TEST)
    train_factors, test_factors = _varying(splits)
    train, test = (run.encode(split.images) for split in splits)
    noise, resampling, voting = np.random.default_rng(seed).spawn(3)
    draws = aggregate(test, noise)
    if test_factors.shape[1] < 2 or not all(np.isfinite(each).all() for each in (train.mean, test.mean, draws)):
        return {}
    seen, known = Known(_two_or_more(train.mean), train_factors), Known(_two_or_more(test.mean), test_factors)
    count, numbers = len(known.codes), dict[str, float]()
    weights = np.concatenate([np.ones((1, count)), resampling.multinomial(count, np.full(count, 1 / count), RESAMPLES)])
    rotated = known.codes @ principal_axes(known.codes)[2]
    for name, codes in {"mig": known.codes, "mig_draws": _two_or_more(draws), "mig_principal": rotated}.items():
        gap, *resampled = mutual_information_gap(*mutual_information(codes, test_factors, weights))
        numbers |= {name: float(gap), f"{name}_error": float(np.std(resampled, ddof=1))}
    importance, informativeness = importances(seen, known)
    return numbers | {
        "dci_disentanglement": disentanglement(importance),
        "dci_completeness": disentanglement(importance.T),
        "dci_informativeness": informativeness,
        "sap": separated_predictability(seen, known),
        "factor_vae_score": factor_vae_score(seen, known, voting),
        "modularity": modularity(mutual_information(*known)[0][0]),
    }


def _some(split: Split, most: int) -> Split:
    """At most so many images of a split, drawn at random."""
    return split.where(subset(np.arange(len(split.images)), limit(most, split.images.shape[1:])))


def _varying(splits: Sequence[Split]) -> list[np.ndarray]:
    """The factors int[N, K] of each split that have several values in all."""
    parts = [np.asarray(split.factors) for split in splits]
    varies = np.all([np.ptp(part, axis=0) > 0 for part in parts], axis=0)
    return np.split(_coarse(np.concatenate(parts)[:, varies]), [len(parts[0])])


def _coarse(factors: np.ndarray) -> np.ndarray:
    """The factors int[N, K]; those with more than `MAX_VALUES` values are cut into bins."""
    return np.where(factors.max(axis=0, initial=0) >= MAX_VALUES, discretized(factors), factors)


def _two_or_more(codes: np.ndarray) -> np.ndarray:
    """The codes as float64[N, D]; one dimension gets a constant beside it, as a score compares the best two."""
    return np.pad(codes.astype(np.float64), ((0, 0), (0, int(codes.shape[1] == 1))))
