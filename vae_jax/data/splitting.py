"""Random splits that are the same for every run.

They use `RandomState(0)`, because NumPy guarantees that its stream never changes.
"""

import numpy as np

from vae_jax.data.records import Split

TEST_DIVISOR = 5  # one image in five becomes a test image


def split_test(images: Split) -> dict[str, Split]:
    """Shuffles images and splits them into `train` and `test`, stratified by class if they have labels.

    One image in five becomes a test image, rounded down in total; each class has its share to within one image.
    """
    num_images = len(images.images)
    shuffled = images.where(np.random.RandomState(0).permutation(num_images))
    labels = np.zeros(num_images, dtype=np.int32) if shuffled.labels is None else shuffled.labels
    _, classes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    # Rounding the cumulative sizes gives many small classes their share of test images together.
    test_sizes = np.diff(ends // TEST_DIVISOR, prepend=0)
    rank = np.empty(num_images, dtype=np.int64)  # position of each image within its class
    rank[np.argsort(classes, kind="stable")] = np.arange(num_images) - np.repeat(ends - sizes, sizes)
    is_test = rank >= (sizes - test_sizes)[classes]
    return {"train": shuffled.where(~is_test), "test": shuffled.where(is_test)}


def split_validation(train: Split, fraction: float) -> dict[str, Split]:
    """Moves a random `fraction` of the images from `train` to `validation`; both keep the order of the images."""
    num_images = len(train.images)
    held_out = np.zeros(num_images, dtype=bool)
    held_out[np.random.RandomState(0).permutation(num_images)[: round(fraction * num_images)]] = True
    return {"train": train.where(~held_out), "validation": train.where(held_out)}
