"""Whether an image looks like the data: its distance from the nearest training image, in the classifier's features.

One reference per data set serves the numbers and the figures alike.
"""

import json
from typing import NamedTuple

import numpy as np

from vae_jax.data import Dataset
from vae_jax.evaluation.classifier import Classifier
from vae_jax.evaluation.subsets import chunks, limit, subset
from vae_jax.runs import identity_of

MAX_TRAIN, MAX_TEST = 5000, 2000  # images
QUANTILE = 0.95  # share of test images that are plausible
BLOCK_BYTES = 1 << 27  # a block of products in `nearest_distances`, of which two are alive at once


class Plausibility(NamedTuple):
    """The real images of a data set in feature space, and the distance from them that real images keep."""

    features: np.ndarray  # float32[R, F], of training images
    threshold: float
    """Distance from the nearest training image that 95 % of the test images keep; farther off is a hole."""
    classifier: Classifier

    def distances(self, images: np.ndarray) -> np.ndarray:
        """Computes the distance of images float32[N, H, W] in [0, 1] from the nearest training image, float64[N]."""
        return nearest_distances(self.classifier.predict(images)[0], self.features)

    def implausible(self, images: np.ndarray) -> float:
        """Computes the share of images beyond the threshold, 0 to 1; images that are not finite count as such."""
        return 1 - float(np.mean(self.distances(images) <= self.threshold))


def plausibility(dataset: Dataset, classifier: Classifier) -> Plausibility:
    """Returns the reference of a data set and its classifier, which is computed once in a process."""
    key = json.dumps([classifier.digest, *identity_of(dataset)], sort_keys=True)
    if key not in _references:
        real, held_out = (
            classifier.predict(subset(images, limit(most, images.shape[1:])) / np.float32(255))[0]
            for images, most in ((dataset.train.images, MAX_TRAIN), (dataset.test.images, MAX_TEST))
        )
        threshold = float(np.quantile(nearest_distances(held_out, real), QUANTILE))
        _references[key] = Plausibility(real, threshold, classifier)
    return _references[key]


_references: dict[str, Plausibility] = {}


@np.errstate(all="ignore")  # features that are not finite have no nearest image
def nearest_distances(features: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Computes the distance of each of features float[N, F] from the nearest of reference float[M, F], float64[N].

    Matrix products in blocks of `BLOCK_BYTES` find the nearest; its distance is then taken without their rounding.
    """
    center = reference.mean(axis=0)  # short vectors lose fewer digits
    features, reference = features - center, reference - center
    half_square = np.square(reference).sum(axis=1) / 2
    rows = max(1, BLOCK_BYTES // half_square.nbytes)
    nearest = [np.argmin(half_square - block @ reference.T, axis=1) for block in chunks(features, rows)]
    return np.linalg.norm((features - reference[np.concatenate(nearest)]).astype(np.float64), axis=1)
