"""Prepares data sets of tensorflow-datasets (TFDS) without TensorFlow.

The stock builders call TensorFlow to unpack files and to encode images. The builder here replaces only these steps, so
that it writes the same data set: files, checksums, splits, features and order of images are TFDS' own.
"""

import hashlib
import io
import lzma
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from vae_jax.data.sources import idx, tfds
from vae_jax.data.splits import DataError

_PROBE_SECONDS = 10.0


def prepare(name: str, *, data_dir: Path | str | None = None, from_dir: Path | str | None = None) -> Path:
    """Prepares a data set, unless it already is prepared. A failed preparation leaves no data set behind.

    Args:
        name: one of `tfds.NAMES`.
        data_dir: where tensorflow-datasets keeps its data sets; None for its default.
        from_dir: folder with the original files, plain or as .xz; None to download them.

    Returns:
        The folder of the prepared data set.

    Raises:
        DataError: a file is missing, cannot be downloaded, or does not have the checksum that TFDS registers; or
            `data_dir` cannot be written, or has the data set in a format that needs TensorFlow.
    """
    if folder := tfds.find(name, data_dir):
        return folder
    with tempfile.TemporaryDirectory() as temporary, tfds.quiet():
        import tensorflow_datasets

        stock = tensorflow_datasets.builder_cls(name)
        if from_dir is None:
            _check_reachable(next(iter(stock.url_infos)))
        else:
            for info in stock.url_infos.values():
                content = _original(Path(os.path.expanduser(from_dir), info.filename), info.size, info.checksum)
                Path(temporary, info.filename).write_bytes(content)
        config = tensorflow_datasets.download.DownloadConfig(manual_dir=temporary, try_download_gcs=False)
        try:
            builder = _builder_class(stock)(data_dir=tfds.standard_dir(data_dir), file_format=tfds.FILE_FORMAT)
            builder.download_and_prepare(download_config=config)
        except Exception as error:  # TFDS raises various errors, as for a full disk or a wrong checksum
            summary = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"tensorflow-datasets cannot prepare {name}: {summary}") from error
    folder = tfds.find(name, data_dir)
    if folder is None:
        raise DataError(f"{builder.data_dir} exists, but is not a prepared data set; delete it and prepare it again")
    return folder


def _builder_class(stock: Any) -> Any:
    """Derives a builder from the stock one that does not call TensorFlow."""

    class Builder(stock, skip_registration=True):  # type: ignore[call-arg]  # mypy cannot know the base
        name = stock.name
        url_infos = stock.url_infos  # URLs and checksums, which TFDS would look for beside this module

        def _split_generators(self, dl_manager: Any) -> Any:
            # TFDS would unpack the files with TensorFlow here.
            download = dl_manager.download
            return super()._split_generators(SimpleNamespace(download=download, download_and_extract=download))

        def _generate_examples(
            self, data_path: Path, label_path: Path | None = None, num_examples: int | None = None
        ) -> Iterator[tuple[int, dict[str, Any]]]:
            del num_examples  # the checksum already guarantees it
            if label_path is None:
                for i, image in enumerate(_read_amat(data_path)):
                    yield i, {"image": _png(image)}
            else:
                images, labels = idx.read_array(data_path), idx.read_array(label_path)
                for i, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
                    yield i, {"image": _png(image), "label": label}

    return Builder


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


def _read_amat(path: Path) -> np.ndarray:
    """Reads uint8[N, 28, 28] from a text file with 784 pixels per line, each 0 or 1."""
    text = np.frombuffer(Path(path).read_bytes(), dtype=np.uint8)
    width = 2 * 28 * 28  # bytes per line, because each pixel is followed by a space or newline
    pixels = text[::2] - np.uint8(ord("0"))  # which wraps around, so that characters below "0" are large, too
    if text.size == 0 or text.size % width or pixels.max() > 1:
        raise DataError(f"{path} does not have 784 pixels, each 0 or 1, in every line; get the file again")
    return pixels.reshape(-1, 28, 28)


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()
