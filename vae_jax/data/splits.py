"""A data set in memory, and the random splits of its images, which are the same for every run."""

from typing import Any, NamedTuple

import numpy as np

from vae_jax.errors import UserError

TEST_DIVISOR = 5  # one image in five becomes a test image


class DataError(UserError):
    """A data set is missing, damaged or unusable; the message says in one line what is wrong and how to fix it."""


class Split(NamedTuple):
    """The images of one split, with labels and generating factors where the data set has them."""

    images: np.ndarray  # uint8[N, H, W], or in colour uint8[N, H, W, 3]
    labels: np.ndarray | None  # int32[N]
    factors: np.ndarray | None = None  # int32[N, K]: of what each image was generated, such as its size and position

    def where(self, index: np.ndarray | slice) -> "Split":
        """Selects images, labels and factors by `index`: a mask bool[N], positions int[K] or a slice."""
        labels, factors = (None if array is None else array[index] for array in self[1:])
        return Split(self.images[index], labels, factors)


class Dataset(NamedTuple):
    """A data set in memory. The images of all splits have the same size."""

    name: str
    train: Split
    validation: Split
    test: Split
    provenance: dict[str, Any]
    """JSON-ready: name, source, version, digests of pixels, labels and factors, counts, class_names, factor_names."""

    @property
    def in_colour(self) -> bool:
        """Whether images have three channels."""
        return self.train.images.ndim == 4

    @property
    def classes(self) -> dict[int, str]:
        """The name of each class in one printable line, by its label, ascending; its number where it has no name."""
        labels = [split.labels for split in (self.train, self.validation, self.test) if split.labels is not None]
        names = dict(enumerate(self.provenance.get("class_names", [])))
        numbers = np.unique(np.concatenate(labels)).tolist() if labels else []
        return {number: _printable(names.get(number, "")) or str(number) for number in numbers}

    @property
    def unused(self) -> str:
        """Names of arrays in the files that were not read, eight at most; empty if all were read."""
        names = list(map(repr, self.provenance.get("unused", [])))
        return ", ".join(names[:8] + ["…"] * (len(names) > 8))

    def describe(self) -> str:
        """Returns `mnist_5k: 3667 train, 333 validation, 1000 test images of 28 x 28 pixels, 1 channel, 10 classes`."""
        counts = ", ".join(f"{count} {split}" for split, count in self.provenance["counts"].items())
        size = " x ".join(map(str, self.train.images.shape[1:3]))
        num_classes = len(self.classes)
        classes = f"{num_classes} class{'' if num_classes == 1 else 'es'}" if num_classes else "no labels"
        if factors := self.provenance.get("factor_names"):
            classes += f", {len(factors)} factor{'' if len(factors) == 1 else 's'}: {', '.join(factors)}"
        content = f" ({self.provenance['content']})" if "content" in self.provenance else ""
        content += f"; not used: {self.unused}" if self.unused else ""
        channels = "3 channels" if self.in_colour else "1 channel"
        return f"{self.name.removesuffix(':')}: {counts} images of {size} pixels, {channels}, {classes}{content}"


def _printable(text: str) -> str:
    """Returns a text from outside as one line, without what cannot be drawn: control characters, broken UTF-8."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())


# What a source returns: the splits `train`, `test` and perhaps `validation`, and its part of the provenance.
Source = tuple[dict[str, Split], dict[str, Any]]


def whole_or_split(place: str, splits: dict[str, Split], needs: str) -> tuple[dict[str, Split], str]:
    """Splits off one image in five for testing where a source has one split, `whole`.

    Returns:
        The splits, and how the provenance goes on; nothing where the source has several splits.

    Raises:
        DataError: there are too few images; `needs` is what else `place` might have.
    """
    if "whole" not in splits:
        return splits, ""
    if (count := len(splits["whole"].images)) < TEST_DIVISOR:
        raise DataError(
            f"{place} has too few images ({count}) to split off a test set; it needs {TEST_DIVISOR} or more, or {needs}"
        )
    return split_test(splits["whole"]), f"; 1 image in {TEST_DIVISOR} split off for testing"


def split_test(whole: Split) -> dict[str, Split]:
    """Shuffles images and splits them into `train` and `test`, stratified by class if they have labels.

    One image in five becomes a test image, rounded down in total; each class has its share to within one image.
    """
    shuffled = whole.where(_shuffle(whole))
    num_images = len(shuffled.images)
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
    held_out[_shuffle(train)[: round(fraction * num_images)]] = True
    return {"train": train.where(~held_out), "validation": train.where(held_out)}


def _shuffle(split: Split) -> np.ndarray:
    return np.random.RandomState(0).permutation(len(split.images))  # NumPy guarantees that its stream never changes
