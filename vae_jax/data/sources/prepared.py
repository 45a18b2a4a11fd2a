"""Reads any prepared data set of tensorflow-datasets (TFDS) that has images, without TensorFlow."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vae_jax.data.checks import MAX_BYTES, check_labels
from vae_jax.data.fit import Wanted
from vae_jax.data.pictures import Picture, decode
from vae_jax.data.sources import library, tfds
from vae_jax.data.splits import DataError, Source, Split, whole_or_split

_NAME = re.compile(r"(?P<name>\w+)(?:/(?P<config>[\w.+-]+))?(?::(?P<version>\d+\.\d+\.\d+))?")
_CHUNK = 2000  # examples per read


class _Examples(NamedTuple):
    """The stored pictures and labels of a prepared data set."""

    pictures: dict[str, list[bytes]]  # by split, as they are stored: PNG or JPEG
    labels: dict[str, np.ndarray] | None  # int64[N] by split
    class_names: list[str] | None
    unused: list[str]  # features


@library("tfds", "NAME")
def read(name: str, wanted: Wanted, data_dir: Path | str | None) -> Source:
    """Reads NAME[/CONFIG][:VERSION]: the newest version, if none is named, with images in TFDS' order.

    It has splits `train`, `test` and perhaps `validation`, which is the test split if there is no other; of one split,
    or of `train` without these, one image in five becomes a test image. Images are those of the feature `image`, or of
    the only one that has images, decoded as other pictures are; labels those of the class label `label`, or of the only
    one. Other features and splits are `unused` in the provenance.

    Raises:
        DataError: the data set is not prepared, is damaged or needs TensorFlow to read, has no images or several kinds
            of them, or `decode` refuses them.
    """
    folder = _find(name, data_dir)
    counts = tfds.count_images(folder)
    roles = _roles(folder, counts)
    found = _read(folder, roles)
    pictures = [Picture(f"image {i} of {roles[role]}", content)
                for role, contents in found.pictures.items() for i, content in enumerate(contents)]  # fmt: skip
    images, content = decode(str(folder), pictures, wanted)
    ends = np.cumsum([len(contents) for contents in found.pictures.values()])[:-1]
    splits = {}
    for role, part in zip(roles, np.split(images, ends), strict=True):
        labels = found.labels[role] if found.labels else None
        place = f"{roles[role]} of {folder}"
        splits[role] = Split(part, None if labels is None else check_labels(place, labels, part))
    splits, note = whole_or_split(str(folder), splits, "a split for testing")
    if roles.get("test") == "validation":
        note += "; the validation split for testing"
    content = f"prepared by tensorflow-datasets, {content}{note}"
    origin = {"source": "tensorflow-datasets", "version": folder.name, "folder": str(folder), "content": content}
    unused = [*found.unused, *(f"split {split}" for split in counts if split not in roles.values())]
    others = {name: value for name, value in (("class_names", found.class_names), ("unused", unused)) if value}
    return splits, origin | others


def image_name(place: str, features: Any) -> str:
    """Returns which of the features of a TFDS data set has its images: `image`, or the only one that has any.

    Raises:
        DataError: none or several do, or their pixels are no bytes; `place` names the data set.
    """
    import tensorflow_datasets

    # In the order of names: TFDS reads features in any.
    found = sorted(name for name, kind in features.items() if isinstance(kind, tensorflow_datasets.features.Image))
    if not found:
        raise DataError(f"{place} has no image feature; its features are {', '.join(sorted(features))}")
    if len(found) > 1 and "image" not in found:
        raise DataError(f"{place} has several image features, and none called image: {', '.join(found)}")
    name = "image" if "image" in found else found[0]
    if (kind := np.dtype(features[name].np_dtype)) != np.uint8:
        raise DataError(f"{place} has images of {kind}, not uint8")
    return name


def _find(name: str, data_dir: Path | str | None) -> Path:
    """Finds the folder of NAME[/CONFIG][:VERSION]; of a data set with one prepared config, it need not be named."""
    if not (match := _NAME.fullmatch(name)):
        raise DataError(f"tfds:{name} is not tfds:NAME, tfds:NAME/CONFIG or one of these with :VERSION, as in :1.0.0")
    base, version = tfds.standard_dir(data_dir), match["version"] or ""
    there = sorted(path.parent.relative_to(base) for depth in ("*", "*/*")
                   for path in (base / match["name"]).glob(f"{depth}/dataset_info.json"))  # fmt: skip
    parents = [folder.parent.as_posix() for folder in there]
    own = f"{match['name']}/{match['config']}" if match["config"] else match["name"]
    if not match["config"] and len(set(parents)) == 1:
        own = parents[0]
    if folder := tfds.find(own, data_dir, version):
        return folder
    choices = ", ".join(f"tfds:{parent}:{folder.name}" for parent, folder in zip(parents, there, strict=True))
    raise DataError(
        f"{name} is not prepared in {base}{f', which has {choices}' if choices else ''}; prepare it "
        f"(python -m vae_jax.data.prepare --dataset={own}), or where TensorFlow is, by tfds build {own} "
        f"--file_format={tfds.FILE_FORMAT}"
    )


def _roles(folder: Path, counts: dict[str, int]) -> dict[str, str]:
    """Returns which split of TFDS is `train`, `validation` and `test`, or `whole`."""
    if len(counts) == 1:
        return {"whole": next(iter(counts))}
    if "train" not in counts:
        raise DataError(f"{folder} has the splits {', '.join(counts)}; tfds:NAME needs one called train, or one alone")
    if "test" in counts:
        return {role: role for role in ("train", "validation", "test") if role in counts}
    return {"train": "train", "test": "validation"} if "validation" in counts else {"whole": "train"}


def _read(folder: Path, roles: dict[str, str]) -> _Examples:
    try:
        with tfds.quiet():
            import tensorflow_datasets

            # By folder and not by name, because TFDS would look for a name in other places, too.
            builder = tensorflow_datasets.builder_from_directory(folder)
            features, splits = builder.info.features, builder.info.splits
            image, label = image_name(str(folder), features), _label_name(features)
            if (size := sum(splits[split].num_bytes for split in roles.values())) > MAX_BYTES:
                raise DataError(f"{folder} has {size} bytes, more than the {MAX_BYTES} that are read")
            as_stored = {name: tensorflow_datasets.decode.SkipDecoding() for name in features if name != label}
            pictures, labels = dict[str, list[bytes]](), dict[str, np.ndarray]()
            for role, split in roles.items():
                source = builder.as_data_source(split=split, decoders=as_stored)
                examples = [
                    (example[image], example[label] if label else 0)
                    for start in range(0, len(source), _CHUNK)
                    for example in source.__getitems__(range(start, min(start + _CHUNK, len(source))))
                ]
                pictures[role] = [picture for picture, _ in examples]
                labels[role] = np.array([number for _, number in examples], np.int64)
            names = features[label].names if label else None
    except DataError:
        raise
    except Exception as error:  # TFDS and its readers raise various errors on damaged files
        summary = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"cannot read {folder} ({summary}); delete it and prepare it again") from error
    is_numbered = names == list(map(str, range(len(names or []))))
    unused = sorted(set(features) - {image, label})
    return _Examples(pictures, labels if label else None, None if is_numbered else names, unused)


def _label_name(features: Any) -> str | None:
    """Returns which feature has the labels, if one has: `label`, or the only class label."""
    import tensorflow_datasets

    found = [name for name, kind in features.items() if isinstance(kind, tensorflow_datasets.features.ClassLabel)]
    return "label" if "label" in found else found[0] if len(found) == 1 else None
