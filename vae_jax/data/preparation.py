"""Prepares the data sets of tensorflow-datasets (TFDS) without TensorFlow: fetches, checks and converts their files.

The stock builders call TensorFlow to unpack files and to encode images; the builder here is theirs in all else (files,
checksums, splits, features, order of images), so that what it makes is what they make.
"""

import hashlib
import io
import lzma
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from vae_jax.data import idx, tfds
from vae_jax.data.records import DataError

_PROBE_SECONDS = 10.0


def prepare(name: str, *, data_dir: Path | str | None = None, from_dir: Path | str | None = None) -> Path:
    """Makes a data set of `tfds.NAMES` ready to be read; nothing is left that looks ready where this fails.

    Args:
        name: of the data set.
        data_dir: where tensorflow-datasets keeps its data sets; None for its standard place.
        from_dir: the folder to take the original files from, as they are or as .xz; None to download them.

    Returns:
        The folder of the prepared data set.

    Raises:
        DataError: a file is missing, is another than TFDS has registered, or cannot be downloaded; or the place for
            the data set cannot be written to, or holds it in a format that needs TensorFlow.
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
                _take(Path(os.path.expanduser(from_dir)), Path(temporary), info)
        config = tensorflow_datasets.download.DownloadConfig(manual_dir=temporary, try_download_gcs=False)
        try:
            builder = _builder_class(stock)(data_dir=tfds.standard_dir(data_dir), file_format=tfds.FILE_FORMAT)
            builder.download_and_prepare(download_config=config)
        except Exception as error:  # TFDS and what it calls have no common error, for a full disk as for a checksum
            summary = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"tensorflow-datasets cannot prepare {name}: {summary}") from error
    folder = tfds.find(name, data_dir)
    if folder is None:
        raise DataError(f"{builder.data_dir} is there, but not as a prepared data set; delete it and prepare it again")
    return folder


def _builder_class(stock: Any) -> Any:
    """The stock builder, with the three steps replaced for which it calls TensorFlow."""

    class Builder(stock, skip_registration=True):  # type: ignore[call-arg]  # the base is known at run time only
        name = stock.name
        url_infos = stock.url_infos  # addresses and checksums; TFDS would look for them beside this module

        def _split_generators(self, dl_manager: Any) -> Any:
            # The files stay as they are downloaded: it is here that TFDS would unpack them.
            download = dl_manager.download
            return super()._split_generators(SimpleNamespace(download=download, download_and_extract=download))

        def _generate_examples(
            self, data_path: Path, label_path: Path | None = None, num_examples: int | None = None
        ) -> Iterator[tuple[int, dict[str, Any]]]:
            del num_examples  # the checksum has settled it
            if label_path is None:
                for i, image in enumerate(_read_amat(data_path)):
                    yield i, {"image": _png(image)}
            else:
                images, labels = idx.read_file(data_path, rank=3)[0], idx.read_file(label_path, rank=1)[0]
                for i, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
                    yield i, {"image": _png(image), "label": label}

    return Builder


def _take(from_dir: Path, to_dir: Path, info: Any) -> None:
    """Copies the file that TFDS registers as `info` (filename, size in bytes, SHA-256), unpacking it from .xz.

    Raises:
        DataError: it is not there, or is another file.
    """
    path = from_dir / info.filename
    packed = path.with_name(f"{path.name}.xz")
    try:
        if packed.exists() and not path.exists():
            path = packed
        with lzma.open(path) if path == packed else open(path, "rb") as file:
            content = file.read(info.size + 1)
        (to_dir / info.filename).write_bytes(content)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise DataError(f"cannot take {path} ({error}); --from_dir needs {info.filename}, or {packed.name}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != info.checksum:
        raise DataError(
            f"{path} is not the original file: its SHA-256 is {digest[:12]}… and tensorflow-datasets registers "
            f"{info.checksum[:12]}…; get that file, or read IDX files as they are with --dataset=idx:DIR"
        )


def _check_reachable(url: str) -> None:
    """Asks for a file as TFDS will (which would try again for minutes), through the same proxies, and takes no content.

    Raises:
        DataError: there was no good answer in `_PROBE_SECONDS`.
    """
    import requests  # what TFDS downloads with

    outcome = []

    def probe() -> None:
        try:
            with requests.get(url, stream=True, timeout=_PROBE_SECONDS) as response:
                outcome.append("" if response.ok else f"the answer is {response.status_code} {response.reason}")
        except (OSError, ValueError) as error:  # all that requests raises derives from the two
            outcome.append(type(error).__name__)

    # In a thread, because looking up the name of a host has no time limit of its own.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(_PROBE_SECONDS)
    problem = outcome[0] if outcome else f"no answer in {_PROBE_SECONDS:g} s"
    if problem:
        raise DataError(
            f"cannot download {url} ({problem}); get the files elsewhere and name their folder: --from_dir=DIR"
        )


def _read_amat(path: Path) -> np.ndarray:
    """Reads a text file of lines of 784 pixels, each 0 or 1: uint8[N, 28, 28], values 0 and 1.

    Raises:
        DataError: it is anything else.
    """
    text = np.frombuffer(Path(path).read_bytes(), dtype=np.uint8)
    width = 2 * 28 * 28  # of a line: after each pixel comes a space or, after the last, the end of the line
    if text.size == 0 or text.size % width or not np.isin(text[::2], (ord("0"), ord("1"))).all():
        raise DataError(f"{path} is not lines of 784 pixels, each 0 or 1; get the file again")
    return text[::2].reshape(-1, 28, 28) - np.uint8(ord("0"))


def _png(image: np.ndarray) -> bytes:
    """A grey image uint8[H, W] as the bytes of a PNG file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()
