"""The host loop: what a run leaves on disk, that it is trained once and whole, and that it comes back as it was."""

import dataclasses
import json
import os
import shutil
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

import vae_jax
from vae_jax import checkpoints, data, runs, sweeps
from vae_jax.checkpoints import export_params, import_params
from vae_jax.config import Config
from vae_jax.files import UserError, write_json
from vae_jax.runs import load_run
from vae_jax.sweeps import Options, metrics_row, train_due
from vae_jax.training import Metrics
from vae_jax.workdir import is_trained, read_config, read_metrics, read_seconds, run_dir

FILES = ["config.json", "metrics.jsonl", "params.safetensors", "timing.jsonl"]
IMAGES = np.random.default_rng(0).integers(0, 256, (10, 28, 28), np.uint8)


@pytest.fixture
def copied(tiny_workdir, tmp_path):
    """The tiny workdir, to be changed."""
    return shutil.copytree(tiny_workdir, tmp_path / "copied")


@pytest.fixture(scope="module")
def logged(tiny_experiment, tmp_path_factory):
    """The tiny experiment's runs once more in another workdir, with TensorBoard's event files."""
    folder = tmp_path_factory.mktemp("logged")
    train_due(tiny_experiment.configs, folder, Options(tensorboard=True))
    return folder


@pytest.fixture
def no_training(monkeypatch):
    """From here on a training is a failure."""

    def fail(*args, **kwargs):
        raise AssertionError("trains")

    monkeypatch.setattr(sweeps, "_compile", fail)


def fingerprints(folder):
    """What changes when a file is written again: number and time."""
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_files_of_a_run(tiny_experiment, tiny_workdir):
    assert {path.name for path in (tiny_workdir / "runs").iterdir()} == {run.name for run in tiny_experiment.configs}
    for config in tiny_experiment.configs:
        folder = run_dir(tiny_workdir, config)
        assert sorted(os.listdir(folder)) == FILES
        assert read_config(folder) == config
        assert import_params(folder / "params.safetensors")[0] == config


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
    assert metrics_row(Config(model="ae"), {"test": metrics}, 0) == {"test_loss": 1.0, "test_distortion": 1.0}


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


def test_a_finished_run_is_not_trained_again(tiny_experiment, tiny_workdir, no_training):
    before = fingerprints(tiny_workdir)
    train_due(tiny_experiment.configs, tiny_workdir)
    assert fingerprints(tiny_workdir) == before


def test_a_run_that_was_cut_off_starts_over_and_ends_as_if_it_was_not(tiny_experiment, tiny_workdir, copied):
    """It trains alone now, and has the parameters that it has when it trains beside others."""
    config = tiny_experiment.configs[1]
    folder = run_dir(copied, config)
    (folder / "params.safetensors").unlink()
    (folder / "metrics.jsonl").write_text((folder / "metrics.jsonl").read_text().splitlines()[0] + '\n{"epo')
    (folder / "evaluation.json").write_text("{}")  # of the earlier attempt
    others = {path: print_ for path, print_ in fingerprints(copied).items() if path.parent != folder}
    train_due(tiny_experiment.configs, copied)
    assert sorted(os.listdir(folder)) == FILES
    assert [row["epoch"] for row in read_metrics(folder)] == [1, 2]
    whole = run_dir(tiny_workdir, config) / "params.safetensors"
    assert (folder / "params.safetensors").read_bytes() == whole.read_bytes()
    assert others.items() <= fingerprints(copied).items()


def test_without_validation_images_there_are_no_validation_numbers(tiny_experiment, tmp_path, monkeypatch):
    """Of as many train images, so that no other program has to be compiled."""
    dataset = runs.load_dataset("mnist_5k", validation_fraction=1 / 12, data_dir=None)
    without = dataset._replace(validation=dataset.validation.where(np.zeros(333, bool)))
    assert len(without.validation.images) == len(data.load("mnist_5k", validation_fraction=0).validation.images) == 0
    monkeypatch.setattr(sweeps, "load_dataset", lambda name, **kwargs: without)
    configs = tiny_experiment.configs[:2]
    train_due(configs, tmp_path)
    for config in configs:
        for row in read_metrics(run_dir(tmp_path, config)):
            assert list(row) == ["epoch", "train_loss", "train_distortion"]


def test_a_workdir_that_cannot_be_written(tiny_experiment, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"^cannot write .*config\.json: Not a directory"):
        train_due(tiny_experiment.configs, tmp_path / "file" / "workdir")


@pytest.mark.parametrize("index", [0, 2])
def test_a_loaded_run_encodes_and_decodes_as_its_network(tiny_experiment, tiny_workdir, monkeypatch, index):
    run = load_run(run_dir(tiny_workdir, tiny_experiment.configs[index]))
    assert run.config == tiny_experiment.configs[index]
    assert run.name == run.config.name
    codes = run.encode(IMAGES)
    expected = run.model.apply({"params": run.params}, jnp.float32(IMAGES / 255), method="encode")
    np.testing.assert_allclose(codes.mean, expected.mean, rtol=1e-4, atol=1e-5)
    if run.config.model == "ae":
        assert codes.logvar is None
    else:
        np.testing.assert_allclose(codes.logvar, expected.logvar, rtol=1e-4, atol=1e-5)
    logits = run.model.apply({"params": run.params}, expected.mean, method="decode").logits
    images = run.decode(codes.mean)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images, jax.nn.sigmoid(logits), rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(runs, "CHUNK", 4)  # 4 + 4 + 2: what goes through the network in parts is the same
    np.testing.assert_allclose(run.encode(IMAGES).mean, codes.mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(run.decode(codes.mean), images, rtol=1e-4, atol=1e-5)


def damages():
    """Ways to spoil the parameters of a run, by name; each changes the file at `path`."""

    def header(**changes):
        def write(path):
            tensors = safetensors.numpy.load(path.read_bytes())
            content = {"config": read_config(path.parent).to_dict(), "image_shape": (28, 28)}
            content |= {"sha256": checkpoints._digest_of_arrays(tensors)} | changes
            path.write_bytes(safetensors.numpy.save(tensors, metadata={"run": json.dumps(content)}))

        return write

    def with_metadata(metadata):
        return lambda path: path.write_bytes(safetensors.numpy.save({"encoder": np.zeros(3)}, metadata=metadata))

    def names_within_names(path):
        flat = {"encoder": np.zeros(3), "encoder/mean": np.zeros(3)}
        content = {"config": read_config(path.parent).to_dict(), "image_shape": (28, 28)}
        content["sha256"] = checkpoints._digest_of_arrays(flat)
        path.write_bytes(safetensors.numpy.save(flat, metadata={"run": json.dumps(content)}))

    def of(**changes):
        def write(path):
            config = dataclasses.replace(read_config(path.parent), **changes)
            model = runs.make_model(config, (28, 28))
            params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 28, 28)))["params"]
            zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), params)
            export_params(path, config, zeros, (28, 28))

        return write

    def half(path):
        _, params, shape = import_params(path)
        export_params(path, read_config(path.parent), jax.tree.map(np.float16, params), shape)

    def flip_a_bit(path):
        content = bytearray(path.read_bytes())
        content[-5] ^= 1
        path.write_bytes(content)

    return {
        "a flipped bit": flip_a_bit,
        "no digest": header(sha256=None),
        "empty": lambda path: path.write_bytes(b""),
        "cut short": lambda path: os.truncate(path, path.stat().st_size - 1),
        "no parameters": lambda path: path.write_text("parameters"),
        "a length beyond the file": lambda path: path.write_bytes(b"\xff" * 8 + path.read_bytes()[8:]),
        "no header": with_metadata(None),
        "another header": with_metadata({"format": "pt"}),
        "a header that is no JSON": with_metadata({"run": "{"}),
        "a header that is nested": with_metadata({"run": "[" * 9999}),
        "a header that is a list": with_metadata({"run": "[]"}),
        "half an image size": header(image_shape=[28]),
        "a negative image size": header(image_shape=[-28, 28]),
        "an image size beyond memory": header(image_shape=[4_000_000, 4_000_000]),
        "an image size in words": header(image_shape=["28", "many"]),
        "another image size": header(image_shape=[28, 32]),
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
    with pytest.raises(UserError, match=r"params\.safetensors is .*; delete .* and launch again$") as caught:
        load_run(folder)
    assert "\n" not in str(caught.value)
    assert is_trained(folder)


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


def test_an_image_size_that_the_architecture_does_not_take(tmp_path):
    config = Config(architecture="conv")
    write_json(tmp_path / "config.json", config.to_dict())
    export_params(tmp_path / "params.safetensors", config, {}, (28, 30))
    with pytest.raises(UserError, match=r"params\.safetensors is not of the Config beside it"):
        load_run(tmp_path)


def test_files_of_a_run_that_are_missing(tiny_experiment, copied):
    for config, name in zip(tiny_experiment.configs, ("config.json", "params.safetensors"), strict=False):
        (run_dir(copied, config) / name).unlink()
        with pytest.raises(UserError, match=rf"^cannot read .*{name}: No such file"):
            load_run(run_dir(copied, config))
