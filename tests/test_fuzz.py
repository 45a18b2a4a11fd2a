"""Any damage to any file that the program reads does no harm or is a UserError, within a second and 200 MB.

FUZZ_EXAMPLES=10000 is the full run: so many damages of each format.
"""

import contextlib
import gzip
import hashlib
import io
import json
import math
import os
import re
import resource
import socket
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from PIL import Image
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.core.utils import Size
from tensorflow_datasets.image_classification import mnist
from tensorflow_datasets.image_classification.mnist import MNIST
from test_data_idx import NAMES, idx_bytes
from test_instruments import made_up

from vae_jax import data, session, workdir
from vae_jax.claims import results
from vae_jax.config import Config, Experiment, Options
from vae_jax.data import preparation
from vae_jax.data.sources import tfds
from vae_jax.errors import UserError
from vae_jax.files import write_json
from vae_jax.launch import sweeps
from vae_jax.measure import instruments, judges, recipe
from vae_jax.measure.measurements import MEASUREMENTS
from vae_jax.model.programs import make_program
from vae_jax.report import page
from vae_jax.training import checkpoints, step
from vae_jax.training.checkpoints import Checkpoint
from vae_jax.training.runs import load_run

pytestmark = pytest.mark.usefixtures("cheap_compilation")

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
MOST_SECONDS = 1.0
MOST_KILOBYTES = 200_000

CONFIG = Config(hidden_dims=(8,), num_epochs=3, batch_size=1024)
EXPERIMENT = Experiment(
    name="e", question="Why?", base=CONFIG, grid={"model": ("ae", "vae"), "kl_weight": (0.5, 1, 2), "seed": (0, 1)}
)


class Format(NamedTuple):
    """A folder of valid files, which of them are damaged, and the reading of them, which checks what it gives."""

    folder: Path
    damaged: str  # a glob
    read: Callable[[Path], None]


class Damage(NamedTuple):
    """A change of one file; places are taken modulo what is there."""

    kind: str
    file: int
    inside: bool  # of what the file wraps, which is then wrapped again as if it were whole
    start: int
    length: int
    content: bytes


KINDS: dict[str, Callable[[bytes, int, int, bytes], bytes]] = {
    "flip a bit": lambda old, start, end, new: old[:start] + flipped(old[start : start + 1], end) + old[start + 1 :],
    "overwrite": lambda old, start, end, new: old[:start] + new + old[start + len(new) :],
    "insert": lambda old, start, end, new: old[:start] + new + old[start:],
    "delete": lambda old, start, end, new: old[:start] + old[end:],
    "truncate": lambda old, start, end, new: old[:start],
    "duplicate": lambda old, start, end, new: old[:end] + old[start:],
    "pad": lambda old, start, end, new: old + bytes(1 << start % 21),
    "replace": lambda old, start, end, new: new,
    "another value": lambda old, start, end, new: another(VALUE, old, start, new),
    "another number": lambda old, start, end, new: another(NUMBER, old, start, new),
    "a value of its own": lambda old, start, end, new: another(VALUE, old, start, nth(VALUE, old, end)),
}
OF_VALUES = {"another value", "another number", "a value of its own"}

NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
VALUE = re.compile(rb'"(?:[^"\\]|\\.)*"|true|false|null|' + NUMBER.pattern)


def flipped(byte: bytes, place: int) -> bytes:
    return bytes(each ^ 1 << place % 8 for each in byte)


def nth(pattern: re.Pattern[bytes], text: bytes, place: int) -> bytes:
    found = pattern.findall(text)
    return found[place % len(found)] if found else b""


def another(pattern: re.Pattern[bytes], text: bytes, place: int, value: bytes) -> bytes:
    """The text with the value at that place replaced."""
    if not (found := list(pattern.finditer(text))):
        return value
    start, end = found[place % len(found)].span()
    return text[:start] + value + text[end:]


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


VALUES = [
    *b'NaN Infinity -Infinity 1e999 1.7e308 -1 0 1 2 0.5 null true "" "x" [] {} [1,[2]] {"epoch":1} 1e30 65535'.split(),
    *b'"\\ud800\\n\\u0000" [1e999,1e999] [NaN] ["x"] [5,5] -9007199254740993'.split(),
    *(b"9" * digits for digits in (30, 308, 309, 5000)),
    b'"%s"' % (b"/" * 3000),
    # Also as deep as Python's stack: what can be parsed cannot always be printed.
    *(nested(depth) for depth in (2, *range(800, 1000, 5), 3000)),
]
SIZES = [
    number.to_bytes(size, order)
    for size in (4, 8)
    for order in ("big", "little")
    for number in (0, 1, 2**16, 2**20, 2**30, 2**31 - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1)
]
# Images announced by an IDX file: 2^40 pixels, and 0.
HEADERS = [idx_bytes(np.zeros((0, 1, 1)))[:4] + shape for shape in (b"\x40\0\0\0\0\0\0\x20\0\0\0\x20", bytes(12))]


def some_damages(random: Random) -> list[Damage]:
    return [some_damage(random) for _ in range(random.choice((1, 1, 1, 2, 3)))]


def some_damage(random: Random) -> Damage:
    kind = random.choice([*KINDS, "remove"])
    content = random.choice(VALUES if kind in OF_VALUES else SIZES + HEADERS)
    if kind not in OF_VALUES and random.random() < 0.7:
        content = random.randbytes(random.randrange(65))
    # Headers come first, and most of a file is no header.
    start, length = (random.randrange(random.choice((10, 100, 1000, 1 << 20))) for _ in range(2))
    return Damage(kind, random.randrange(1000), random.random() < 0.5, start, length, content)


def damage(whole: dict[Path, bytes], paths: list[Path], damages: list[Damage]) -> dict[Path, bytes]:
    """The files with all damages: first those of what they wrap, while it can be unwrapped."""
    contents = dict(whole)
    for how in sorted(damages, key=lambda how: not how.inside):
        path = paths[how.file % len(paths)]
        if path not in contents:
            continue
        if how.kind == "remove":
            del contents[path]
            continue
        old, wrap = unwrap(path, contents[path]) if how.inside else (contents[path], bytes)
        # Values are counted, and bytes are where they are.
        start = how.start if how.kind in OF_VALUES else how.start % (len(old) + 1)
        contents[path] = wrap(KINDS[how.kind](old, start, start + how.length, how.content))
    return contents


def unwrap(path: Path, content: bytes) -> tuple[bytes, Callable[[bytes], bytes]]:
    """What a file wraps, and what wraps it again: damage that the outermost check does not find."""
    if path.suffix == ".gz":
        return gzip.decompress(content), lambda inner: gzip.compress(inner, 1)
    if path.suffix == ".npz":
        return unwrap_npz(content)
    if path.suffix == ".safetensors":
        end = 8 + int.from_bytes(content[:8], "little")
        return content[8:end], lambda inner: len(inner).to_bytes(8, "little") + inner + content[end:]
    return content, lambda inner: inner


def unwrap_npz(content: bytes) -> tuple[bytes, Callable[[bytes], bytes]]:
    """The first array in an .npz file, and what replaces it there."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        arrays = {name: archive.read(name) for name in archive.namelist()}
    first = next(iter(arrays))

    def wrap(inner: bytes) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in (arrays | {first: inner}).items():
                archive.writestr(name, array)
        return buffer.getvalue()

    return arrays[first], wrap


def read_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def restore(folder: Path, contents: dict[Path, bytes]) -> None:
    """Makes the folder's files these."""
    now = read_files(folder)
    for path in now.keys() - contents.keys():
        path.unlink()
    for path, content in contents.items():
        if now.get(path) != content:
            path.write_bytes(content)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A workdir with a trained run."""
    folder = tmp_path_factory.mktemp("tiny")
    assert sweeps.train_and_evaluate([CONFIG], folder, Options(evaluate="never")) == []
    return folder


def config_json(folder, tiny):
    def read(folder):
        config = workdir.read_config(folder)
        assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config
        assert config.name

    return Format(workdir.run_dir(tiny, CONFIG), "config.json", read)


def metrics_jsonl(folder, tiny):
    def read(folder):
        rows = workdir.read_metrics(folder)
        assert len(rows) == CONFIG.num_epochs or rows[-1]["diverged"]
        workdir.write_metrics(folder, rows)  # they have no number that JSON has not

    return Format(workdir.run_dir(tiny, CONFIG), "metrics.jsonl", read)


def timing_jsonl(folder, tiny):
    def read(folder):
        seconds = workdir.read_seconds(folder)
        assert seconds is None or isinstance(seconds, float)

    return Format(workdir.run_dir(tiny, CONFIG), "timing.jsonl", read)


def params_safetensors(folder, tiny):
    def read(folder):
        run = load_run(folder)
        assert run.config == CONFIG
        assert_equal(run.params, whole.params)
        assert run.decode(np.zeros((1, 2))).shape == (1, 28, 28)

    whole = load_run(workdir.run_dir(tiny, CONFIG))
    return Format(workdir.run_dir(tiny, CONFIG), "params.safetensors", read)


def experiment(folder):
    """A workdir whose runs are evaluated and have every number, but for one that failed."""
    workdir.write_record(folder, EXPERIMENT, {"wall_seconds": 1.5, "device": {"kind": "cpu", "count": 1}})
    random = np.random.default_rng(0)
    for config in EXPERIMENT.configs:
        numbers = {
            name: entry.kind([0.5, 1]) if entry.kind is list else entry.kind(random.normal())
            for name, entry in MEASUREMENTS.items()
            if name != "diverged_epoch"
        }
        write_json(workdir.run_dir(folder, config) / "evaluation.json", numbers)
    write_json(workdir.run_dir(folder, config) / "evaluation.json", {"evaluation": "0f", "failed": "a reason"})


def write_report(folder, held=EXPERIMENT):
    page.write(held, folder, results.collect(folder, held.configs), [])


def experiment_json(folder, tiny):
    def read(folder):
        with contextlib.suppress(UserError):
            workdir.check_workdir(folder, EXPERIMENT)
        held = workdir.read_experiment(folder)
        assert all(isinstance(config, Config) for config in held.configs)
        write_report(folder, held)

    experiment(folder)
    return Format(folder, "experiment.json", read)


def evaluation_json(folder, tiny):
    experiment(folder)
    return Format(folder, "runs/*/evaluation.json", write_report)


def lock_json(folder, tiny):
    def read(folder):
        with session.hold(folder):
            assert (folder / "lock.json").exists()

    write_json(folder / "lock.json", {"host": socket.gethostname(), "pid": 3, "since": "2025-03-14T09:26:53+00:00"})
    return Format(folder, "lock.json", read)


def figure_png(folder, tiny):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "figure.png")
    return Format(folder, "figure.png", lambda folder: page.embed(folder / "figure.png"))


def idx_files(folder, tiny):
    def read(folder):
        dataset = data.load(f"idx:{folder}")
        for split in dataset[1:4]:
            assert (split.images.dtype, split.images.ndim, len(split.images)) == (np.uint8, 3, len(split.labels))

    numbers = np.random.default_rng(0)
    images, labels = numbers.integers(0, 256, (18, 5, 4)), numbers.integers(0, 256, 18)
    for index, array in enumerate((images[:12], labels[:12], images[12:], labels[12:])):
        content = idx_bytes(array)
        packed = index in (0, 3)
        path = folder / (f"{NAMES[index]}.gz" if packed else NAMES[index])
        path.write_bytes(gzip.compress(content) if packed else content)
    return Format(folder, "*", read)


def npz_file(folder, tiny):
    def read(folder):
        dataset = data.load(f"npz:{folder / 'digits.npz'}")
        for split in dataset[1:4]:
            assert (split.images.dtype, split.images.ndim) == (np.uint8, 3)
            assert split.labels is None or len(split.images) == len(split.labels)

    numbers = np.random.default_rng(0)
    labels = numbers.integers(0, 10, 18)
    images, factors = numbers.random((18, 5, 4), np.float32), np.stack([labels, labels / 3], axis=1)
    np.savez_compressed(folder / "digits.npz", images=images, labels=labels, factors=factors, factor_names=["a", "b"])
    return Format(folder, "digits.npz", read)


def read_as(kind, name=""):
    """Reads a folder, or the file of that name in it, as a data set of this kind."""

    def read(folder):
        dataset = data.load(f"{kind}:{folder / name}", channels="grey")
        for split in dataset[1:4]:
            assert (split.images.dtype, split.images.ndim) == (np.uint8, 3)
            assert split.labels is None or len(split.images) == len(split.labels)

    return read


def pictures(folder, tiny):
    numbers = np.random.default_rng(0)
    for index, ending in enumerate(("png", "jpg", "webp", "png", "jpg", "png")):
        Image.fromarray(numbers.integers(0, 256, (5, 4, 3), np.uint8)).save(folder / f"{index}.{ending}")
    return Format(folder, "*", read_as("images"))


def csv_file(folder, tiny):
    numbers = np.random.default_rng(0)
    rows = [",".join(map(str, [index % 3, *numbers.integers(0, 256, 16)])) for index in range(18)]
    (folder / "a.csv").write_text("\n".join(rows))
    return Format(folder, "a.csv", read_as("csv", "a.csv"))


def prepare(folder):
    """Prepares a small MNIST, whose checksums TFDS is patched to accept."""
    numbers, infos = np.random.default_rng(0), {}
    for name in NAMES:
        most, shape = (256, (28, 28)) if "images" in name else (10, ())
        content = gzip.compress(idx_bytes(numbers.integers(0, most, (40 if name.startswith("train") else 10, *shape))))
        (folder / f"{name}.gz").write_bytes(content)
        info = UrlInfo(Size(len(content)), hashlib.sha256(content).hexdigest(), f"{name}.gz")
        infos[f"{MNIST.URL}{name}.gz"] = info
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MNIST, "url_infos", infos)
        patch.setattr(mnist, "_TRAIN_EXAMPLES", 40)
        patch.setattr(mnist, "_TEST_EXAMPLES", 10)
        preparation.prepare("mnist", data_dir=folder, from_dir=folder)
    return data.load("mnist", data_dir=folder)


def assert_equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def prepared_set(folder, tiny):
    def read(folder):
        dataset = data.load("mnist", data_dir=folder)
        for split in dataset[1:4]:
            assert (split.images.dtype, split.images.shape[1:]) == (np.uint8, (28, 28))

    prepare(folder)
    next(folder.rglob(tfds._CACHE_NAME)).unlink()
    return Format(folder, "mnist/*/*", read)


def any_prepared_set(folder, tiny):
    prepare(folder)
    next(folder.rglob(tfds._CACHE_NAME)).unlink()

    def read(folder):
        for split in data.load("tfds:mnist", data_dir=folder, channels="grey")[1:4]:
            assert (split.images.dtype, split.images.ndim) == (np.uint8, 3)

    return Format(folder, "mnist/*/*", read)


def cache_of_a_prepared_set(folder, tiny):
    """It may be lost: it is made again, and is never believed where it is damaged."""
    whole = prepare(folder)
    return Format(
        folder, f"mnist/*/{tfds._CACHE_NAME}", lambda folder: assert_equal(data.load("mnist", data_dir=folder), whole)
    )


def judge_safetensors(folder, tiny):
    """It may be lost: it is trained again, to the same numbers (here, without a training)."""
    digits = made_up()

    def load(folder):
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(io.StringIO()):
            patch.setattr(instruments, "cache_dir", lambda: folder)
            return judges.load_or_train(digits)

    whole = load(folder)

    def read(folder):
        found = load(folder)
        assert (found.digest, found.accuracy) == (whole.digest, whole.accuracy)
        features, logits = found.predict(digits.test.images / np.float32(255))
        assert (features.shape, logits.shape) == ((30, 128), (30, 4))

    return Format(folder, "*.safetensors", read)


def untrained(network, images, labels, seed, schedule):
    return network.init(jax.random.key(seed), jnp.zeros((1, *images.shape[1:])))["params"]


def checkpoint_files(folder, tiny):
    program = make_program(CONFIG, (8, 8))
    state = jax.tree.map(lambda leaf: np.asarray(leaf)[0], step.init_states(program, step.hyperparameters([CONFIG])))
    saved = {}
    for epoch in (1, 2):
        metrics = [{"epoch": e, "train_loss": e / 3} for e in range(1, epoch + 1)]
        timing = [{"epoch": e, "seconds": 0.1, "images_per_second": 3.0} for e in range(1, epoch + 1)]
        saved[epoch] = Checkpoint(epoch, metrics, timing, state._replace(step=np.int32(epoch)))
        checkpoints.write(folder, CONFIG, saved[epoch])

    def read(folder):
        with contextlib.redirect_stderr(io.StringIO()) as said:
            found = checkpoints.read(folder, CONFIG, program)
        if checkpoints.path_of(folder).exists():
            assert found or f"{checkpoints.path_of(folder)} is damaged" in said.getvalue()
        if found:
            assert found[:3] == saved[found.epoch][:3]
            assert_equal(found.state, saved[found.epoch].state)

    return Format(folder, "*", read)


FORMATS = [
    config_json, metrics_jsonl, timing_jsonl, params_safetensors, checkpoint_files, experiment_json, evaluation_json,
    lock_json, figure_png, idx_files, npz_file, pictures, csv_file, prepared_set, any_prepared_set,
    cache_of_a_prepared_set, judge_safetensors,
]  # fmt: skip


class Fuzzed:
    """A format, and the content of its files."""

    def __init__(self, form):
        self.form, self.whole = form, read_files(form.folder)
        self.paths = [path for path in self.whole if path.match(form.damaged)]
        form.read(form.folder)  # compiles and imports what it needs


@contextlib.contextmanager
def little_memory():
    """What happens in it takes less than MOST_KILOBYTES at any time, beside what was taken before."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew, of this process alone
    before = peak_kilobytes()
    yield
    assert peak_kilobytes() - before < MOST_KILOBYTES


def peak_kilobytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.fixture(scope="module", params=FORMATS, ids=lambda make: make.__name__)
def fuzzed(request, tiny, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "train", untrained)
        fuzzed = Fuzzed(request.param(tmp_path_factory.mktemp(request.param.__name__), tiny))
        yield fuzzed
        restore(fuzzed.form.folder, fuzzed.whole)


@settings(
    max_examples=EXAMPLES,
    derandomize="FUZZ_EXAMPLES" not in os.environ,  # what runs with every change is the same each time
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.reuse, Phase.generate),
)
@given(seed=st.integers(0, 2**64 - 1))
def test_any_damage_does_no_harm_or_is_a_user_error(fuzzed, seed):
    # Of a seed, because hypothesis' own draws of so many choices are mostly alike; none is simpler than another.
    damages = some_damages(Random(seed))
    note(f"{damages}")
    form, contents = fuzzed.form, damage(fuzzed.whole, fuzzed.paths, damages)
    seconds = math.inf
    for _ in range(3):  # a shared machine may be slow at any moment, also by the time of the process
        restore(form.folder, contents)
        start = time.process_time()
        with little_memory():
            message = read_or_message(form)
        seconds = min(seconds, time.process_time() - start)
        if seconds < MOST_SECONDS:
            break
    assert "\n" not in message
    assert seconds < MOST_SECONDS


def read_or_message(form):
    try:
        form.read(form.folder)
    except UserError as error:
        return str(error)
    return ""
