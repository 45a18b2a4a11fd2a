"""The host loop: what a run leaves on disk, that it is trained once and whole, and that it comes back as it was."""

import dataclasses
import json
import os
import re
import shutil
import struct

import flax.traverse_util
import jax
import numpy as np
import pytest
import safetensors.numpy
from scipy.special import expit

import vae_jax
from vae_jax import files, workdir
from vae_jax.claims import results
from vae_jax.config import Config, ConfigError
from vae_jax.errors import UserError
from vae_jax.launch import sweeps
from vae_jax.launch.sweeps import Options, train_and_evaluate
from vae_jax.model import networks
from vae_jax.model.likelihoods import LIKELIHOODS
from vae_jax.model.programs import make_program
from vae_jax.training import checkpoints, runs
from vae_jax.training.journal import metrics_row
from vae_jax.training.runs import load_run
from vae_jax.training.step import Metrics
from vae_jax.workdir import DataIdentity, is_trained, read_config, read_metrics, read_seconds, run_dir

FILES = ["config.json", "metrics.jsonl", "params.safetensors", "timing.jsonl"]
IDENTITY = DataIdentity("0", None, {"train": 1, "validation": 0, "test": 1})
IMAGES = np.random.default_rng(0).integers(0, 256, (10, 28, 28), np.uint8)


def made_up(program):
    """Parameters for a program, of any values."""
    random, shapes = np.random.default_rng(0), runs.param_shapes(program)
    flat = {name: np.float32(random.normal(scale=0.1, size=shape)) for name, (shape, _) in shapes.items()}
    return flax.traverse_util.unflatten_dict(flat, sep="/")


@pytest.fixture
def copied(tiny_workdir, tmp_path):
    """The tiny workdir, to be changed."""
    return shutil.copytree(tiny_workdir, tmp_path / "copied")


@pytest.fixture(scope="module")
def logged(tiny_experiment, tmp_path_factory):
    """The tiny experiment's runs in another workdir, with TensorBoard's event files."""
    folder = tmp_path_factory.mktemp("logged")
    train_and_evaluate(tiny_experiment.configs, folder, Options(tensorboard=True, evaluate="never"))
    return folder


def test_keys_of_the_metrics(tiny_experiment, tiny_workdir):
    """An AE has no rate and no ELBO."""
    of_model = {"ae": ["loss", "distortion"], "vae": ["loss", "distortion", "rate", "elbo"]}
    for config in tiny_experiment.configs:
        rows = read_metrics(run_dir(tiny_workdir, config))
        names = [f"{split}_{name}" for split in ("train", "validation") for name in of_model[config.model]]
        assert [list(row) for row in rows] == 2 * [["epoch", *names]]
        assert [row["epoch"] for row in rows] == [1, 2]
        for row in rows:
            for split in ("train", "validation"):
                rate = row.get(f"{split}_rate", 0.0)
                assert row[f"{split}_loss"] == pytest.approx(row[f"{split}_distortion"] + rate)
                assert row.get(f"{split}_elbo", -row[f"{split}_loss"]) == pytest.approx(-row[f"{split}_loss"])
        assert rows[1]["train_loss"] < rows[0]["train_loss"]


def test_numbers_that_are_not_finite_are_none():
    metrics = Metrics(*(np.array([1.0, value]) for value in (np.nan, np.inf, 2.0)))
    row = metrics_row(Config(model="vae"), {"train": metrics}, 1)
    assert row == {"train_loss": None, "train_distortion": None, "train_rate": 2.0, "train_elbo": None}
    assert metrics_row(Config(model="cv_vae"), {"train": metrics}, 1) == row
    for model in ("ae", "rae"):
        assert metrics_row(Config(model=model), {"test": metrics}, 0) == {"test_loss": 1.0, "test_distortion": 1.0}


def test_two_trainings_differ_in_the_clock_only(tiny_experiment, tiny_workdir, logged):
    for config in tiny_experiment.configs:
        first, second = run_dir(tiny_workdir, config), run_dir(logged, config)
        assert sorted(os.listdir(first)) == FILES
        for name in set(FILES) - {"timing.jsonl"}:
            assert (first / name).read_bytes() == (second / name).read_bytes()


def test_timing_of_a_run(tiny_experiment, tiny_workdir):
    for config in tiny_experiment.configs:
        folder = run_dir(tiny_workdir, config)
        rows = [json.loads(line) for line in (folder / "timing.jsonl").read_text().splitlines()]
        assert [row["epoch"] for row in rows] == [1, 2]
        for row in rows:
            assert row["images_per_second"] * row["seconds"] == pytest.approx(3667)  # 4,000 less a twelfth
        assert read_seconds(folder) == pytest.approx(sum(row["seconds"] for row in rows))


def test_event_files_hold_the_metrics(tiny_experiment, logged):
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    for config in tiny_experiment.configs:
        (path,) = (run_dir(logged, config) / "tensorboard").iterdir()
        content, found = path.read_bytes(), {}
        while content:  # records of a length, its checksum, an event, its checksum
            (length,) = struct.unpack("<Q", content[:8])
            event = event_pb2.Event.FromString(content[12 : 12 + length])
            found |= {(event.step, value.tag): value.simple_value for value in event.summary.value}
            content = content[16 + length :]
        rows = read_metrics(run_dir(logged, config))
        expected = {(row["epoch"], name): row[name] for row in rows for name in row if name != "epoch"}
        assert found == {key: np.float32(value) for key, value in expected.items()}


def test_a_run_that_was_cut_off_without_a_checkpoint_starts_over(tiny_experiment, tiny_workdir, copied):
    config = tiny_experiment.configs[1]
    folder = run_dir(copied, config)
    (folder / "params.safetensors").unlink()
    (folder / "metrics.jsonl").write_text((folder / "metrics.jsonl").read_text().splitlines()[0] + '\n{"epo')
    (folder / "evaluation.json").write_text("{}")  # of the earlier attempt
    train_and_evaluate(tiny_experiment.configs, copied, Options(evaluate="never"))
    assert sorted(os.listdir(folder)) == FILES
    assert [row["epoch"] for row in read_metrics(folder)] == [1, 2]
    whole = run_dir(tiny_workdir, config) / "params.safetensors"
    assert (folder / "params.safetensors").read_bytes() == whole.read_bytes()


def test_without_validation_images_there_are_no_validation_numbers(tmp_path, write_npz):
    config = Config(dataset=write_npz(), validation_fraction=0.0, hidden_dims=(), num_epochs=1, model="ae")
    train_and_evaluate([config], tmp_path, Options(evaluate="never"))
    (row,) = read_metrics(run_dir(tmp_path, config))
    assert list(row) == ["epoch", "train_loss", "train_distortion"]


def test_a_workdir_that_cannot_be_written(tiny_experiment, tmp_path):
    (tmp_path / "file").write_text("")
    failures = train_and_evaluate(tiny_experiment.configs[:1], tmp_path / "file" / "workdir", Options(evaluate="never"))
    assert re.match(r"cannot write .*config\.json: Not a directory", failures[0].reason)


@pytest.mark.parametrize("index", [0, 2])
def test_a_loaded_run_encodes_and_decodes_as_its_network(tiny_experiment, tiny_workdir, monkeypatch, index):
    loaded = load_run(run_dir(tiny_workdir, tiny_experiment.configs[index]))
    run = loaded._replace(params=jax.device_get(loaded.params))
    assert run.config == tiny_experiment.configs[index]
    assert run.name == run.config.name
    codes = run.encode(IMAGES)

    def layer(half, name, x):
        return x @ run.params[half][name]["kernel"] + run.params[half][name]["bias"]

    hidden = np.maximum(layer("encoder", "hidden_0", IMAGES.reshape(10, -1) / np.float32(255)), 0)
    mean = layer("encoder", "mean", hidden)
    np.testing.assert_allclose(codes.mean, mean, rtol=1e-4, atol=1e-5)
    if run.config.model == "ae":
        assert codes.logvar is None
    else:
        np.testing.assert_allclose(codes.logvar, layer("encoder", "logvar", hidden), rtol=1e-4, atol=1e-5)
    logits = layer("decoder", "logits", np.maximum(layer("decoder", "hidden_0", mean), 0))
    images = run.decode(codes.mean)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images.reshape(10, -1), expit(logits), rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(runs, "CHUNK", 4)  # 4 + 4 + 2: what goes through the network in parts is the same
    np.testing.assert_allclose(run.encode(IMAGES).mean, codes.mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(run.decode(codes.mean), images, rtol=1e-4, atol=1e-5)


def test_what_goes_through_a_network_at_once_is_bounded_in_pixels(tiny_experiment, tiny_workdir, monkeypatch):
    sizes = [networks.chunk_size(runs.CHUNK, (side, side)) for side in (1, 28, 32, 64, 512, 5000)]
    assert sizes == [2000, 2000, 2000, 512, 8, 1]  # 28 x 28 and 32 x 32 as ever; 2 million pixels from there on
    run = load_run(run_dir(tiny_workdir, tiny_experiment.configs[0]))
    seen = []
    for name in ("_encode", "_decode"):
        half = getattr(runs, name)
        monkeypatch.setattr(runs, name, lambda p, q, x, half=half: seen.append(len(x)) or half(p, q, x))
    run = runs.trained_run(run.config, run.program, run.params)
    monkeypatch.setattr(networks, "CHUNK_PIXELS", 4 * 28 * 28 + 1)
    run.decode(run.encode(IMAGES).mean)
    assert seen == [4, 4, 2] * 2
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(run.params))  # on the device, not sent each time


def damages():
    """Ways to spoil the parameters of a run, by name; each changes the file at `path`."""

    def header(**changes):
        def write(path):
            tensors, content = files.read_arrays(path)
            content = {name: value for name, value in (content | changes).items() if value is not ...}
            files.write_arrays(path, tensors, content)

        return write

    def other_white(path):
        path.write_bytes(path.read_bytes().replace(b"255", b"254", 1))

    def with_metadata(metadata):
        return lambda path: path.write_bytes(safetensors.numpy.save({"encoder": np.zeros(3)}, metadata=metadata))

    def names_within_names(path):
        files.write_arrays(path, {"encoder": np.zeros(3), "encoder/mean": np.zeros(3)}, files.read_header(path))

    def of(**changes):
        def write(path):
            config = dataclasses.replace(read_config(path.parent), **changes)
            shapes = runs.param_shapes(make_program(config, (28, 28)))
            zeros = {name: np.zeros(shape, np.float32) for name, (shape, _) in shapes.items()}
            files.write_arrays(path, zeros, files.read_header(path) | {"config": config.to_dict()})

        return write

    def half(path):
        content, header = files.read_arrays(path)
        files.write_arrays(path, {name: array.astype(np.float16) for name, array in content.items()}, header)

    def flip_a_bit(path):
        content = bytearray(path.read_bytes())
        content[-5] ^= 1
        path.write_bytes(content)

    return {
        "a flipped bit": flip_a_bit,
        "empty": lambda path: path.write_bytes(b""),
        "cut short": lambda path: os.truncate(path, path.stat().st_size - 1),
        "no parameters": lambda path: path.write_text("parameters"),
        "a length beyond the file": lambda path: path.write_bytes(b"\xff" * 8 + path.read_bytes()[8:]),
        "no header": with_metadata(None),
        "another header": with_metadata({"format": "pt"}),
        "a header that is no JSON": with_metadata({"run": "{"}),
        "a header that is nested": with_metadata({"run": "[" * 9999}),
        "a header that is a list": with_metadata({"run": "[]"}),
        "another white in the header": other_white,
        "another image size": header(image_shape=[28, 32]),
        "no image size": header(image_shape=...),
        "no Config": header(config=None),
        "a Config of other fields": header(config={"beta": 4}),
        "names within names": names_within_names,
        "of an AE": of(model="ae"),
        "of another size": of(latent_dim=3),
        "of another precision": half,
        "of another seed": of(seed=5),
        "of another activation": of(activation="tanh"),
    }


@pytest.mark.parametrize("damage", damages())
def test_parameters_that_are_not_those_of_the_run(tiny_experiment, copied, damage):
    folder = run_dir(copied, tiny_experiment.configs[2])
    damages()[damage](folder / "params.safetensors")
    with pytest.raises(UserError, match=r"^[^\n]*params\.safetensors [^\n]*; restore it, or move .* and launch again$"):
        load_run(folder)
    assert is_trained(folder)


READERS = dict(zip(FILES, (load_run, read_metrics, load_run, read_seconds), strict=True))


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_nobody_may_read_is_one_line(tiny_experiment, copied, forbid, name):
    folder = run_dir(copied, tiny_experiment.configs[2])
    forbid(folder / name)
    with pytest.raises(UserError, match=rf"^cannot read {folder / name}: Permission denied$"):
        READERS[name](folder)
    assert is_trained(folder)  # it is there


@pytest.mark.parametrize("place", ["runs", "run"])
def test_a_run_in_a_folder_that_nobody_may_read_is_not_said_to_be_missing(tiny_experiment, copied, forbid, place):
    folder = run_dir(copied, tiny_experiment.configs[2])
    forbid(folder if place == "run" else folder.parent)
    functions = [*READERS.values(), is_trained, workdir.is_evaluated, checkpoints.epochs_done]
    functions.append(lambda folder: sweeps.train_one(tiny_experiment.configs[2], copied))
    functions.append(lambda folder: results.collect(copied, tiny_experiment.configs))
    for function in functions:
        with pytest.raises(UserError, match=rf"^cannot read {copied}/runs/[^:\n]*: Permission denied$"):
            function(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_place_of_a_file_is_one_line(tiny_experiment, copied, name):
    folder = run_dir(copied, tiny_experiment.configs[2])
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(UserError, match=rf"^cannot read {folder / name}: Is a directory$|is not finished"):
        READERS[name](folder)


def test_a_notebook_needs_two_lines(tiny_experiment, tiny_workdir):
    config, params, encode, decode = vae_jax.load_run(str(run_dir(tiny_workdir, tiny_experiment.configs[3])))
    whole = load_run(run_dir(tiny_workdir, tiny_experiment.configs[3]))
    assert config == whole.config
    assert jax.tree.all(jax.tree.map(np.array_equal, params, whole.params))
    codes = encode(IMAGES)
    np.testing.assert_array_equal(codes.mean, whole.encode(IMAGES).mean)
    np.testing.assert_array_equal(decode(codes.mean), whole.decode(codes.mean))
    with pytest.raises(UserError, match="nowhere"):
        vae_jax.load_run("nowhere")


def test_what_is_no_finished_run_says_what_to_load(tiny_experiment, copied):
    folder = run_dir(copied, tiny_experiment.configs[0])
    messages = {
        copied: rf"is a workdir; load one of its runs, such as {copied / 'runs'}/ae",
        copied / "runs": r"runs holds no run; load WORKDIR/runs/NAME",
        copied / "nowhere": r"there is no folder .*nowhere; load WORKDIR/runs/NAME",
        folder: r"the run in .* is not finished; launch its experiment again",
    }
    (folder / "params.safetensors").unlink()
    for path, message in messages.items():
        with pytest.raises(UserError, match=message):
            load_run(path)


@pytest.fixture(scope="module")
def run(tiny_experiment, tiny_workdir):
    return load_run(run_dir(tiny_workdir, tiny_experiment.configs[2]))


def test_floats_from_0_to_1_are_the_same_images_as_bytes(run):
    expected = run.encode(IMAGES).mean
    for dtype in (np.float32, np.float64):
        np.testing.assert_allclose(run.encode((IMAGES / 255).astype(dtype)).mean, expected, rtol=1e-5, atol=1e-6)


def test_decodes_can_be_encoded(run):
    z = np.random.default_rng(0).normal(size=(5, 2))
    images = run.decode(z)
    expected = run.encode(np.rint(images * 255).astype(np.uint8)).mean
    # Rounding to 256 grey levels moves a pixel by 1/510 at most.
    np.testing.assert_allclose(run.encode(images).mean, expected, atol=0.05)


def test_codes_of_a_fixed_noise_have_its_variance():
    config = Config(model="cv_vae", noise_sd=0.5, hidden_dims=(4,), latent_dim=3)
    program = make_program(config, (28, 28))
    run = runs.trained_run(config, program, made_up(program))
    for images in (IMAGES, IMAGES[:0]):
        codes = run.encode(images)
        assert codes.mean.shape == (len(images), 3)
        np.testing.assert_allclose(codes.logvar, np.full((len(images), 3), 2 * np.log(0.5)), rtol=1e-6)


def test_one_image_and_one_code(run):
    np.testing.assert_allclose(run.encode(IMAGES[0]).mean, run.encode(IMAGES[:1]).mean)
    np.testing.assert_allclose(run.decode([0.5, -1]), run.decode(np.array([[0.5, -1.0]])))
    assert run.encode(IMAGES[0]).mean.shape == (1, 2)


def test_no_images_and_no_codes(run):
    codes = run.encode(IMAGES[:0])
    assert codes.mean.shape == codes.logvar.shape == (0, 2)
    assert run.decode(codes.mean).shape == (0, 28, 28)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES.reshape(10, 14, 56), r"shape \[N, 28, 28\] or \[28, 28\], not \[10, 14, 56\]"),
        (IMAGES.reshape(10, 784), r"not \[10, 784\]"),
        (IMAGES[..., None], r"not \[10, 28, 28, 1\]"),
        (IMAGES.astype(np.float32), r"must lie in \[0, 1\], not in \[0, 255\]; pass 0 to 255 as uint8"),
        (IMAGES / 127.5 - 1, r"must lie in \[0, 1\]"),
        (np.full((28, 28), np.nan), r"must lie in \[0, 1\]"),
        ("digits", r"not \[\]"),
        (IMAGES.astype(object), "not object"),
    ],
)
def test_images_that_are_refused(run, images, message):
    with pytest.raises(ValueError, match=message):
        run.encode(images)


@pytest.mark.parametrize(
    ("z", "message"),
    [(np.zeros((2, 3)), r"shape \[N, 2\] or \[2\], not \[2, 3\]"), (3.0, r"not \[\]"), ([["a", "b"]], "real numbers"),
     (np.zeros((1, 2), complex), "real numbers")],
)  # fmt: skip
def test_codes_that_are_refused(run, z, message):
    with pytest.raises(ValueError, match=message):
        run.decode(z)


FILED = {
    # By what they are: images in the units of a file, and what is white there, 0 if their type and values say it.
    "0 and 1": (np.arange(64 * 12).reshape(12, 8, 8) % 5 == 0, 0.0),
    "to 15": (np.arange(64 * 12, dtype=np.uint8).reshape(12, 8, 8) % 16, 15.0),
    "16 bits": ((np.arange(64 * 12).reshape(12, 8, 8) * 4095 // 767).astype(np.uint16), 4095.0),
    "signed": (np.where(np.arange(64 * 12).reshape(12, 8, 8) % 3, -1, 1).astype(np.int8), 0.0),
}


@pytest.mark.parametrize("filed", FILED)
def test_encode_scales_as_the_run_was_trained(filed, tmp_path):
    own, pixel_max = FILED[filed]
    path = tmp_path / "own.npz"
    np.savez(path, x_train=own, x_test=own)
    config = Config(
        dataset=f"npz:{path}", pixel_max=pixel_max, validation_fraction=0.0, model="ae", hidden_dims=(), num_epochs=1
    )
    vae_jax.train(config, workdir=tmp_path / "workdir")
    folder = run_dir(tmp_path / "workdir", config)
    images = vae_jax.load_dataset(folder).test.images
    path.unlink()  # the run knows the scale without its data set
    encode = vae_jax.load_run(folder)[2]
    expected = load_run(folder).encode(images).mean
    assert images.max() == 255
    for same in (own, own.astype(np.int64), images):
        np.testing.assert_array_equal(encode(same).mean, expected)
    np.testing.assert_allclose(encode(images / 255).mean, expected, rtol=1e-5, atol=1e-6)
    # What is dark or black, in the file's units and in those of a data set.
    dark = own[:1].copy()
    dark[:] = own.min()
    for same in (dark, np.zeros((1, 8, 8), np.uint8), np.zeros((8, 8)), np.zeros((8, 8), bool)):
        np.testing.assert_array_equal(encode(same).mean, load_run(folder).encode(np.zeros((1, 8, 8), np.uint8)).mean)
    np.testing.assert_array_equal(encode(np.ones((8, 8), bool)).mean, encode(np.ones((8, 8))).mean)
    assert encode(own[:0]).mean.shape == (0, 2)
    for wrong in (np.full((8, 8), 70000), np.full((8, 8), -2)):
        with pytest.raises(ValueError, match=r"^integer images must lie in \[0, 255\] or \[-?\d, \d+\], not in \["):
            encode(wrong)
    with pytest.raises(ValueError, match="must have shape"):
        encode(3)


def test_a_run_in_colour_takes_and_returns_three_channels():
    config = Config(hidden_dims=(4,))
    program = make_program(config, (5, 6, 3))
    run = runs.trained_run(config, program, made_up(program))
    images = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), np.uint8)
    codes = run.encode(images).mean
    np.testing.assert_allclose(run.encode(images[2]).mean, codes[2:3], rtol=1e-5, atol=1e-6)
    assert run.decode(codes).shape == images.shape
    for wrong in (images[..., 0], images[..., :2], images[:, :4]):
        with pytest.raises(ValueError, match=r"^images must have shape \[N, 5, 6, 3\] or \[5, 6, 3\], not \[4, "):
            run.encode(wrong)


def test_a_run_of_grey_images_takes_integers_and_bools(tiny_experiment, tiny_workdir):
    encode = vae_jax.load_run(run_dir(tiny_workdir, tiny_experiment.configs[2]))[2]
    expected = encode(IMAGES).mean
    for dtype in (np.int64, np.uint16, np.int16):
        np.testing.assert_array_equal(encode(IMAGES.astype(dtype)).mean, expected)
    np.testing.assert_array_equal(encode(IMAGES > 99).mean, encode(np.where(IMAGES > 99, 255, 0)).mean)
    faint = np.zeros((28, 28), np.uint8)
    faint[3] = 1  # a grey level, as no file has two values here
    np.testing.assert_allclose(encode(faint).mean, encode(faint / 255).mean, rtol=1e-5, atol=1e-6)


def test_a_notebook_gets_the_data_set_of_a_run(tiny_experiment, tiny_workdir, monkeypatch):
    folder = run_dir(tiny_workdir, tiny_experiment.configs[0])
    dataset = vae_jax.load_dataset(folder)
    assert len(dataset.test.images) == 1000
    other = dataset._replace(provenance=dataset.provenance | {"sha256": "0"})
    monkeypatch.setattr(runs, "load_dataset", lambda config, data_dir=None: other)
    message = r"was trained on other data: the pixels of mnist_5k have changed since; restore"
    with pytest.raises(UserError, match=message):
        vae_jax.load_dataset(folder)


def test_a_notebook_trains_a_run_as_a_launch_does_and_leaves_no_files(
    tiny_experiment, tiny_workdir, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    config = tiny_experiment.configs[3]
    trained, params, encode, decode = vae_jax.train(config)
    launched = load_run(run_dir(tiny_workdir, config))
    assert trained == config
    assert jax.tree.all(jax.tree.map(np.array_equal, params, launched.params))
    assert decode(encode(IMAGES).mean).shape == (10, 28, 28)
    assert list(tmp_path.iterdir()) == []
    assert len(capsys.readouterr().err.splitlines()) <= 4


def test_a_notebook_trains_into_a_workdir_once(tiny_experiment, tiny_workdir, copied):
    config = tiny_experiment.configs[3]
    folder = run_dir(copied, config)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert (
        vae_jax.train(dataclasses.replace(config, noise_sd=0.5), workdir=str(copied))[0] == config
    )  # a VAE ignores noise_sd
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    shutil.rmtree(folder)
    assert vae_jax.train(config, workdir=copied)[0] == config
    assert read_metrics(folder) == read_metrics(run_dir(tiny_workdir, config))
    assert sorted(os.listdir(folder)) == FILES


def test_a_run_that_cannot_be_trained_or_is_interrupted_ends_the_call(tiny_experiment, tmp_path, monkeypatch):
    config = tiny_experiment.configs[0]
    monkeypatch.setattr(sweeps, "train_and_evaluate", lambda *args, **kwargs: [sweeps.Failure(config.name, "no disk")])
    with pytest.raises(UserError, match=f"{config.name} failed: no disk"):
        vae_jax.train(config, workdir=tmp_path)
    stops = []

    def interrupt(*args, stop, **kwargs):
        stops.append(stop)
        raise KeyboardInterrupt

    monkeypatch.setattr(sweeps, "train_and_evaluate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        vae_jax.train(config, workdir=tmp_path)
    assert stops[0].asked  # so that the thread that trains ends, too


def test_a_notebook_loads_a_data_set_by_its_name(write_npz):
    dataset = vae_jax.load_data("mnist_5k")
    assert dataset.train.images.shape == (3667, 28, 28)
    assert dataset.test.labels.shape == (1000,)
    with pytest.raises(ConfigError, match="did you mean 'mnist'"):
        vae_jax.load_data("mnst")
    name = write_npz()
    with pytest.raises(UserError, match="too dark to train on"):
        vae_jax.load_data(name, pixel_max=5000)
    np.testing.assert_array_equal(
        vae_jax.load_data(name, pixel_max=255).test.images, vae_jax.load_data(name).test.images
    )


def test_files_of_a_run_that_are_missing(tiny_experiment, copied):
    for config, name in zip(tiny_experiment.configs, ("config.json", "params.safetensors"), strict=False):
        (run_dir(copied, config) / name).unlink()
        with pytest.raises(UserError, match=r"holds no run|not finished"):
            load_run(run_dir(copied, config))


def test_parameters_of_every_likelihood_are_written_and_read(tmp_path):
    """A learned variance is a scalar, which has no axis."""
    for likelihood in LIKELIHOODS:
        config = Config(likelihood=likelihood, hidden_dims=(4,))
        program = make_program(config, (8, 8))
        params = made_up(program)
        folder = tmp_path / likelihood
        workdir.write_config(folder, config, IDENTITY)
        workdir.write_metrics(folder, [])
        runs.write_params(folder, config, params, (8, 8))
        assert jax.tree.all(jax.tree.map(np.array_equal, load_run(folder).params, params))
