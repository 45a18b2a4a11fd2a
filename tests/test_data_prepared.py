"""Any data set that tensorflow-datasets has prepared, and what it can prepare without TensorFlow."""

import functools
import hashlib
import io
import tarfile
import zipfile

import numpy as np
import pytest
import tensorflow_datasets
from PIL import Image
from refusal import refusal
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.core.utils import Size

from vae_jax import data
from vae_jax.config import Config
from vae_jax.data import preparation
from vae_jax.data.sources import tfds

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (30, 6, 5)).astype(np.uint8)
COLOURS = RANDOM.integers(0, 256, (30, 6, 5, 3)).astype(np.uint8)
LABELS = np.arange(30) % 3
NAMES = ["ring", "cross", "wedge"]
PARTS = {"train": range(18), "validation": range(18, 22), "test": range(22, 30)}

features = tensorflow_datasets.features
IMAGE = features.Image(shape=(None, None, 1))
LABEL = features.ClassLabel(names=NAMES)


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


def write(data_dir, name, columns, splits=None, version="1.0.0", configs=()):
    """Writes a data set as TFDS prepares one.

    Args:
        columns: by name, the feature and its values.
        splits: the numbers of the examples of each split; all in `train` without it.
    """

    class Written(tensorflow_datasets.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tensorflow_datasets.core.Version(version)
        BUILDER_CONFIGS = tuple(
            tensorflow_datasets.core.BuilderConfig(name=name, description="A config.") for name in configs
        )

        def _info(self):
            kinds = features.FeaturesDict({column: kind for column, (kind, _) in columns.items()})
            return tensorflow_datasets.core.DatasetInfo(builder=self, features=kinds)

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(ids) for split, ids in (splits or {"train": range(30)}).items()}

        def _generate_examples(self, ids):
            for i in ids:
                yield i, {column: values[i] for column, (_, values) in columns.items()}

    Written.name = name
    with tfds.quiet():
        Written(data_dir=data_dir, file_format="array_record").download_and_prepare()


def grey(images=GREY):
    return {"image": (IMAGE, list(map(png, images))), "label": (LABEL, LABELS)}


def load(data_dir, name, **wanted):
    return data.load(f"tfds:{name}", data_dir=data_dir, validation_fraction=0, **wanted)


def error(data_dir, name, **wanted):
    return refusal(load, data_dir, name, **wanted)


def in_any_order(split):
    return sorted(
        (image.tobytes(), None if label is None else int(label))
        for image, label in zip(split.images, [None] * 99 if split.labels is None else split.labels, strict=False)
    )


def expected(ids, images=GREY):
    return sorted((images[i].tobytes(), int(LABELS[i])) for i in ids)


def test_splits_with_labels_and_their_names(tmp_path):
    write(tmp_path, "figures", grey() | {"id": (features.Text(), ["x"] * 30)}, PARTS | {"extra": range(5)})
    found = load(tmp_path, "figures")
    for split, ids in PARTS.items():
        assert in_any_order(getattr(found, split)) == expected(ids)
    assert (found.train.images.dtype, found.train.labels.dtype) == (np.uint8, np.int32)
    folder = str(tmp_path / "figures" / "1.0.0")
    assert {name: value for name, value in found.provenance.items() if "sha256" not in name} == {
        "name": "tfds:figures", "pixel_range": [0, 255], "source": "tensorflow-datasets", "version": "1.0.0",
        "folder": folder, "content": "prepared by tensorflow-datasets, picture files", "class_names": NAMES,
        "unused": ["id", "split extra"], "counts": {"train": 18, "validation": 4, "test": 8},
    }  # fmt: skip
    again = load(tmp_path, "figures").provenance
    assert again == found.provenance
    assert not Config(dataset="tfds:figures").uses("pixel_max")
    with pytest.raises(data.ConfigError, match=r"^pixel_max is for arrays"):
        load(tmp_path, "figures", pixel_max=3)


def test_colours_of_several_sizes_are_as_those_of_pictures(tmp_path):
    images = [image[: 4 + i % 2] for i, image in enumerate(COLOURS)]
    columns = {"photo": (features.Image(shape=(None, None, 3)), list(map(png, images)))}
    write(tmp_path, "photos", columns)
    assert load(tmp_path, "photos", image_size=2).train.images.shape == (24, 2, 2, 3)
    message = error(tmp_path, "photos")
    assert f"{tmp_path / 'photos' / '1.0.0'} has images of several sizes (image 0 of train " in message
    found = load(tmp_path, "photos", channels="grey", image_size=2)
    assert found.train.images.shape == (24, 2, 2)
    assert found.train.labels is None
    content = (
        "colour made grey (luma of Rec. 601); central square resampled by area to 2 x 2 pixels; 1 image in 5 split"
    )
    assert content in found.provenance["content"]


def test_of_one_split_images_are_split_off_and_a_validation_split_tests(tmp_path):
    write(tmp_path, "one", grey(), {"every": range(30)})
    one = load(tmp_path, "one")
    assert one.provenance["counts"] == {"train": 24, "validation": 0, "test": 6}
    assert sorted(in_any_order(one.train) + in_any_order(one.test)) == expected(range(30))
    write(tmp_path, "two", grey(), {"train": range(20), "validation": range(20, 30)})
    two = load(tmp_path, "two")
    assert in_any_order(two.test) == expected(range(20, 30))
    assert two.provenance["content"].endswith("picture files; the validation split for testing")
    write(tmp_path, "rest", grey(), {"train": range(20), "unlabelled": range(20, 30)})
    rest = load(tmp_path, "rest").provenance
    assert (rest["counts"]["train"], rest["unused"]) == (16, ["split unlabelled"])
    write(tmp_path, "none", grey(), {"a": range(20), "b": range(20, 30)})
    assert error(tmp_path, "none").endswith(" has the splits a, b; tfds:NAME needs one called train, or one alone")


def test_bits_are_black_and_white_and_numbers_are_no_names(tmp_path):
    columns = {"image": (IMAGE, list(map(png, GREY // 128))), "label": (features.ClassLabel(num_classes=3), LABELS)}
    write(tmp_path, "bits", columns)
    found = load(tmp_path, "bits")
    assert set(np.unique(found.train.images)) == {0, 255}
    assert "class_names" not in found.provenance


def test_configs_and_versions(tmp_path):
    assert error(tmp_path, "figures") == (
        f"figures is not prepared in {tmp_path}; prepare it (python -m vae_jax.data.prepare --dataset=figures), or "
        "where TensorFlow is, by tfds build figures --file_format=array_record"
    )
    for version, images in (("1.9.0", GREY), ("1.10.0", 255 - GREY)):
        write(tmp_path, "figures", grey(images), PARTS, version, configs=["thick"])
    newest = load(tmp_path, "figures")  # the only config
    assert in_any_order(newest.test) == expected(PARTS["test"], 255 - GREY)
    assert newest.provenance["version"] == "1.10.0"
    assert in_any_order(load(tmp_path, "figures/thick:1.9.0").test) == expected(PARTS["test"])
    assert "which has tfds:figures/thick:1.10.0, tfds:figures/thick:1.9.0; " in error(tmp_path, "figures:2.0.0")
    write(tmp_path, "figures", grey(), PARTS, configs=["thin"])
    assert ", tfds:figures/thin:1.0.0; prepare it" in error(tmp_path, "figures")
    assert load(tmp_path, "figures/thin").provenance["version"] == "1.0.0"
    for name in ("../figures", "figures/", "figures:1", "figures:1.*.*", "a/b/c", "~"):
        assert error(tmp_path, name).startswith(f"tfds:{name} is not tfds:NAME, tfds:NAME/CONFIG or ")


def test_what_cannot_be_read_is_one_line(tmp_path):
    texts, folder = (features.Text(), ["x"] * 30), tmp_path / "a" / "1.0.0"
    pictures = (IMAGE, list(map(png, GREY)))
    write(tmp_path, "a", {"words": texts})
    assert error(tmp_path, "a") == f"{folder} has no image feature; its features are words"
    write(tmp_path, "b", {"left": pictures, "right": pictures})
    assert error(tmp_path, "b").endswith("b/1.0.0 has several image features, and none called image: left, right")
    write(tmp_path, "c", {"image": (features.Image(shape=(6, 5, 1), dtype=np.uint16), list(map(png, GREY)))})
    assert error(tmp_path, "c").endswith("c/1.0.0 has images of uint16, not uint8")
    write(tmp_path, "d", {"image": (IMAGE, [b"no picture"] * 30)})
    assert "d/1.0.0 has 30 broken of 30 pictures: image 0 of train (not a PNG" in error(tmp_path, "d")
    write(tmp_path, "e", grey())
    info = tmp_path / "e" / "1.0.0" / "dataset_info.json"
    info.write_text(info.read_text().replace('"array_record"', '"tfrecord"'))
    assert "e/1.0.0 is in a format that needs TensorFlow to read; prepare e in another folder: " in error(tmp_path, "e")
    write(tmp_path, "f", grey())
    next((tmp_path / "f" / "1.0.0").glob("*.array_record*")).write_bytes(b"")
    message = error(tmp_path, "f")
    assert message.startswith(f"cannot read {tmp_path / 'f' / '1.0.0'} (")
    assert message.endswith("; delete it and prepare it again")


def tar(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def original(tmp_path, monkeypatch):
    """Writes the only original file of a data set, whose checksum TFDS is patched to accept."""

    def start(name, content):
        stock, _ = preparation.stock_builder(name)
        ((url, info),) = stock.url_infos.items()
        checksum = hashlib.sha256(content).hexdigest()
        monkeypatch.setattr(stock, "url_infos", {url: UrlInfo(Size(len(content)), checksum, info.filename)})
        (tmp_path / info.filename).write_bytes(content)
        return functools.partial(preparation.prepare, name, data_dir=tmp_path / "tfds", from_dir=tmp_path)

    return start


def test_a_stock_builder_prepares_an_archive_of_arrays(original, tmp_path):
    """CIFAR-10: TensorFlow would unpack the archive, open the files in it and encode the images."""
    rows = RANDOM.integers(0, 256, (48, 3073)).astype(np.uint8)
    rows[:, 0] = np.arange(48) % 10
    files = {f"data_batch_{i}.bin": rows[8 * i - 8 : 8 * i].tobytes() for i in range(1, 6)}
    names = [f"name {i}" for i in range(10)]
    files |= {"test_batch.bin": rows[40:].tobytes(), "batches.meta.txt": "\n".join(names).encode()}
    prepare = original("cifar10", tar({f"cifar-10-batches-bin/{name}": content for name, content in files.items()}))
    folder = prepare()
    assert folder == tmp_path / "tfds" / "cifar10" / "3.0.2"
    with tfds.quiet():
        source = tensorflow_datasets.builder_from_directory(folder).as_data_source(split="test")
        images = {example["image"].tobytes(): example["label"] for example in source}
    channels_last = rows[40:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    assert images == {image.tobytes(): label for image, label in zip(channels_last, rows[40:, 0], strict=True)}
    found = load(tmp_path / "tfds", "cifar10", channels="grey")
    assert found.provenance["counts"] == {"train": 40, "validation": 0, "test": 8}
    assert found.provenance["class_names"] == names
    assert found.provenance["unused"] == ["id"]
    assert list((tmp_path / "tfds" / "downloads").rglob("*.bin")) == []  # what was unpacked


def test_a_builder_that_needs_tensorflow_says_so_and_leaves_it_as_it_was(original, tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("PetImages/Cat/0.jpg", png(GREY[0]))
    prepare = original("cats_vs_dogs", content.getvalue())
    module = preparation.sys.modules[preparation.stock_builder("cats_vs_dogs")[0].__module__]
    before = module.tf
    with pytest.raises(data.DataError) as caught:
        prepare()
    assert str(caught.value) == (
        "tensorflow-datasets cannot prepare cats_vs_dogs: its builder calls TensorFlow (as_bytes); prepare it where "
        "TensorFlow is: tfds build NAME --file_format=array_record"
    )
    assert module.tf is before
    assert tfds.find("cats_vs_dogs", tmp_path / "tfds") is None


def test_a_data_set_without_images_is_not_prepared(original, tmp_path):
    prepare = original("tiny_shakespeare", b"")
    with pytest.raises(data.DataError, match=r"^tiny_shakespeare has no image feature; its features are text$"):
        prepare()
    assert [path for path in (tmp_path / "tfds").rglob("*") if path.is_file()] == []
