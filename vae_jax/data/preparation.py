"""Prepares data sets of tensorflow-datasets (TFDS) without TensorFlow.

The stock builders call TensorFlow to read files and to encode images. They find a stand-in here that does only this, so
that they write the same data set: files, checksums, splits, features and order of images are TFDS' own. A builder that
calls TensorFlow for more cannot be prepared, such as cats_vs_dogs'. Tried were mnist, whose builder fashion_mnist and
kmnist share, and with small files of the original formats emnist, binarized_mnist, cifar10, cifar100, svhn_cropped,
beans and binary_alpha_digits.
"""

import contextlib
import glob
import hashlib
import io
import lzma
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from vae_jax.data.sources import prepared, tfds
from vae_jax.data.splits import DataError
from vae_jax.errors import reason
from vae_jax.fields import nearest

_PROBE_SECONDS = 10.0
_LONGEST = 600  # characters of an error of TFDS
_WAY_OUT = f"prepare it where TensorFlow is: tfds build NAME --file_format={tfds.FILE_FORMAT}"


def prepare(name: str, *, data_dir: Path | str | None = None, from_dir: Path | str | None = None) -> Path:
    """Prepares a data set, unless it already is prepared. A failed preparation leaves no data set behind.

    Args:
        name: of a data set in TFDS, or NAME/CONFIG; its first config if there are several and none is named.
        data_dir: where tensorflow-datasets keeps its data sets; None for its default.
        from_dir: folder with the original files, plain or as .xz; None to download them.

    Returns:
        The folder of the prepared data set.

    Raises:
        DataError: TFDS has no such data set, or its builder needs TensorFlow; a file is missing, cannot be downloaded,
            or does not have the checksum that TFDS registers; or `data_dir` cannot be written, or has the data set in a
            format that needs TensorFlow.
    """
    if folder := tfds.find(name, data_dir):
        return folder
    with tempfile.TemporaryDirectory() as temporary, tfds.quiet():
        import tensorflow_datasets

        stock, config = stock_builder(name)
        if from_dir is not None:
            for info in stock.url_infos.values():
                content = _original(Path(os.path.expanduser(from_dir), info.filename), info.size, info.checksum)
                Path(temporary, info.filename).write_bytes(content)
        elif stock.url_infos:
            _check_reachable(next(iter(stock.url_infos)))
        extracted = Path(temporary, "extracted")
        download = tensorflow_datasets.download.DownloadConfig(
            manual_dir=temporary, extract_dir=extracted, try_download_gcs=False
        )
        try:
            with _without_tensorflow(stock):
                kind = {"config": config} if config else {}
                builder = stock(data_dir=tfds.standard_dir(data_dir), file_format=tfds.FILE_FORMAT, **kind)
                prepared.image_name(name, builder.info.features)
                builder.download_and_prepare(download_config=download)
        except DataError:
            raise
        except Exception as error:  # TFDS raises various errors, as for a full disk or a wrong checksum
            summary = reason(error)
            if len(summary) > _LONGEST:  # it begins with the example that cannot be encoded, and ends with the reason
                summary = f"{summary[:50]}… {summary[-_LONGEST:]}"
            raise DataError(f"tensorflow-datasets cannot prepare {name}: {summary}") from error
    own_config = f"/{builder.builder_config.name}" if builder.builder_config else ""
    folder = tfds.find(f"{builder.name}{own_config}", data_dir)
    if folder is None:
        raise DataError(f"{builder.data_dir} exists, but is not a prepared data set; delete it and prepare it again")
    return folder


def stock_builder(name: str) -> tuple[Any, str]:
    """Returns the builder class of TFDS for NAME or NAME/CONFIG, and the name of the config, if one is given.

    Raises:
        DataError: TFDS has no such data set.
    """
    import tensorflow_datasets

    name, _, config = name.partition("/")
    known = tensorflow_datasets.list_builders(with_community_datasets=False)
    if name not in known:
        raise DataError(f"tensorflow-datasets has no data set {name!r}{nearest(name, known)}")
    return tensorflow_datasets.builder_cls(name), config


class _Standin(SimpleNamespace):
    """What stands in for a part of TensorFlow, and says what is missing."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"its builder calls TensorFlow ({name}); {_WAY_OUT}")


def _open(path: Any, mode: str = "r") -> Any:
    return open(path, mode)


_FILES = _Standin(
    GFile=_open, exists=os.path.exists, isdir=os.path.isdir, listdir=lambda path: sorted(os.listdir(path)),
    glob=lambda pattern: sorted(glob.glob(os.fspath(pattern))),
)  # fmt: skip
_TENSORFLOW = _Standin(io=_Standin(gfile=_FILES), compat=_Standin(as_text=str))


@contextlib.contextmanager
def _without_tensorflow(stock: Any) -> Iterator[None]:
    """Lets a builder find `_TENSORFLOW` for TensorFlow, and images be encoded by Pillow."""
    from tensorflow_datasets.core.download import extractor
    from tensorflow_datasets.core.features import image_feature

    own = {base.__module__ for base in stock.__mro__ if not base.__module__.startswith("tensorflow_datasets.core")}
    modules = [extractor, *(sys.modules[name] for name in sorted(own))]
    changes: list[tuple[Any, str, Any]] = [(module, "tf", _TENSORFLOW) for module in modules if "tf" in vars(module)]
    changes.append((image_feature._ImageEncoder, "_encode_image", _encode))
    before = [getattr(place, name) for place, name, _ in changes]
    try:
        for place, name, value in changes:
            setattr(place, name, value)
        yield
    finally:
        for (place, name, _), value in zip(changes, before, strict=True):
            setattr(place, name, value)


def _original(path: Path, size: int, sha256: str) -> bytes:
    """Reads a file of `size` bytes, or unpacks its .xz, and checks its digest."""
    packed = path.with_name(f"{path.name}.xz")
    found = packed if packed.exists() and not path.exists() else path
    try:
        with lzma.open(found) if found == packed else open(found, "rb") as file:
            content = file.read(size + 1)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise DataError(f"cannot read {found} ({error}); --from_dir needs {path.name}, or {packed.name}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise DataError(
            f"{found} is not the original file: its SHA-256 is {digest[:12]}… and tensorflow-datasets registers "
            f"{sha256[:12]}…; get that file, or read IDX files as they are with --dataset=idx:DIR"
        )
    return content


def _check_reachable(url: str) -> None:
    """Raises a DataError if a URL cannot be downloaded, for which TFDS would retry for minutes."""
    import requests  # TFDS downloads with it, through the same proxies

    problem = ""
    try:
        with requests.get(url, stream=True, timeout=_PROBE_SECONDS) as response:
            if not response.ok:
                problem = f"the server answered {response.status_code} {response.reason}"
    except (OSError, ValueError) as error:  # the base classes of what requests raises
        problem = type(error).__name__
    if problem:
        raise DataError(
            f"cannot download {url} ({problem}); get the files elsewhere and pass their folder: --from_dir=DIR"
        )


def _encode(encoder: Any, image: np.ndarray) -> bytes:
    if encoder.encoding_format != "png":
        raise ValueError(f"its builder encodes {encoder.encoding_format} with TensorFlow; {_WAY_OUT}")
    return _png(image)


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "png")
    return buffer.getvalue()
