"""The numbers of a run: which there are, when they are current, and what is written where they cannot be computed."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from drawn import params_of

from vae_jax import data, measure, source
from vae_jax.config import Config, expand
from vae_jax.data import Dataset, Split
from vae_jax.data.identity import identity_of
from vae_jax.errors import UserError
from vae_jax.measure import factors, instruments, judges, parts, quadrature, recipe, samples
from vae_jax.measure.judges import Judge
from vae_jax.measure.measurements import MEASUREMENTS
from vae_jax.model.programs import make_program
from vae_jax.training import runs
from vae_jax.workdir import read_metrics, run_dir, write_config, write_metrics

pytestmark = pytest.mark.usefixtures("cheap_compilation")

SHAPE, COUNTS = (6, 5), {"train": 50, "test": 30}


def predict(images):
    """A judge that needs no training: its features are the means of rows, and it likes dark images."""
    odds = -images.mean(axis=(1, 2))[:, None]
    return images.mean(axis=2), np.concatenate([odds, 0 * odds], axis=1)


def patch_networks(patch):
    """What needs a training is replaced."""
    judge = Judge(predict, np.linspace(-0.3, 0, 50), 1.0, "e")
    patch.setattr(judges, "load_or_train", lambda dataset, folder=None: judge)


@pytest.fixture
def judge(monkeypatch):
    patch_networks(monkeypatch)


def write_run(workdir, config, dataset, change=lambda params: None):
    """Writes the run folder of a training whose parameters are drawn, and changed."""
    folder, shape = run_dir(workdir, config), dataset.test.images.shape[1:]
    params = params_of(make_program(config, shape))
    change(params)
    write_config(folder, config, identity_of(dataset))
    write_metrics(folder, [{"epoch": epoch, "train_loss": 1.0} for epoch in range(1, config.num_epochs + 1)])
    runs.write_params(folder, config, params, shape)
    return folder


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    """An AE and a VAE on a small data set."""
    random, path = np.random.default_rng(0), tmp_path_factory.mktemp("data") / "noise.npz"
    content = {f"x_{split}": random.integers(0, 256, (n, *SHAPE), np.uint8) for split, n in COUNTS.items()}
    np.savez(path, **content, **{f"y_{split}": np.arange(n) % 3 for split, n in COUNTS.items()})
    base = Config(dataset=f"npz:{path}", hidden_dims=(8,), num_epochs=2, validation_fraction=0.0)
    return expand(base, {"model": ("ae", "vae")})


@pytest.fixture(scope="module")
def workdir(configs, tmp_path_factory):
    """A workdir with the runs, which are not evaluated."""
    folder = tmp_path_factory.mktemp("written") / "workdir"
    for config in configs:
        write_run(folder, config, data.load(config.dataset, validation_fraction=0.0))
    return folder


@pytest.fixture
def folders(workdir, tmp_path):
    return shutil.copytree(workdir, tmp_path / "workdir")


@pytest.fixture(scope="module")
def evaluated(workdir, configs, tmp_path_factory):
    """A copy of the workdir, and what was returned of each model's run."""
    folder = shutil.copytree(workdir, tmp_path_factory.mktemp("evaluated") / "workdir")
    with pytest.MonkeyPatch.context() as patch:
        patch_networks(patch)
        return folder, {
            config.model: measure.evaluate_run(run_dir(folder, config), num_likelihood_samples=50) for config in configs
        }


def stored(folder):
    return json.loads((folder / "evaluation.json").read_text())


def test_every_number_is_there(evaluated, configs):
    folder, found = evaluated
    for config in configs:
        numbers = found[config.model]
        assert numbers == stored(run_dir(folder, config))
        assert all(math.isfinite(value) for value in numbers.values() if isinstance(value, float))
    of_densities = {name for name in MEASUREMENTS if name.startswith("test_log_likelihood")}
    of_training = {"validation_elbo", "validation_distortion", "train_seconds", "diverged_epoch"}
    of_densities.add("test_posterior_kl")
    of_factors = {name for name in MEASUREMENTS if name.removesuffix("_error") in factors.MEASUREMENTS}
    assert found["vae"].keys() == MEASUREMENTS.keys() - of_training - of_densities - of_factors | {"evaluation"}
    for name in MEASUREMENTS.keys() & found["vae"].keys():
        assert type(found["vae"][name]) is MEASUREMENTS[name].kind, name
    of_variance = ("test_rate", "test_elbo", "test_kl", "test_active")
    assert found["ae"].keys() == {name for name in found["vae"] if not name.startswith(of_variance)}
    assert found["vae"]["posterior_width"] > found["ae"]["posterior_width"] == 0


@pytest.mark.usefixtures("judge")
def test_evaluating_again_gives_the_same_bytes(evaluated, configs):
    folder = run_dir(evaluated[0], configs[-1])
    first = (folder / "evaluation.json").read_bytes()
    measure.evaluate_run(folder, num_likelihood_samples=50)
    assert (folder / "evaluation.json").read_bytes() == first


# When it is current.


READ_BYTES = Path.read_bytes


def test_an_evaluation_is_current_while_it_would_be_made_in_the_same_way(workdir, evaluated, configs, monkeypatch):
    assert not measure.is_current(run_dir(workdir, configs[0]), 50)
    ae, vae = (run_dir(evaluated[0], config) for config in configs)
    for folder in (ae, vae):
        assert measure.is_current(folder, 50)
        for name in ("measure/latents.py", "training/step.py"):  # a number is computed in another way
            with monkeypatch.context() as patch:
                patch.setattr(Path, "read_bytes", lambda path, n=name: READ_BYTES(path) + str(path).endswith(n) * b"#")
                source.digest.cache_clear()
                assert not measure.is_current(folder, 50), name
        source.digest.cache_clear()
    assert not measure.is_current(vae, 51)
    assert measure.is_current(ae, 51)  # it has no bound
    monkeypatch.setattr(instruments, "digest", lambda folder, data: "another")  # is in the workdir
    assert not measure.is_current(ae, 50)


def test_the_samples_in_use_are_those_of_the_evaluations_there_are(evaluated, workdir, configs):
    folders = [run_dir(evaluated[0], config) for config in configs]
    assert measure.samples_in_use(folders) == 50
    assert measure.samples_in_use([run_dir(workdir, config) for config in configs]) == 500


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"evaluation": 1}', '{"test_loss": 1.0}', "\0", "[" * 100_000])
def test_a_damaged_evaluation_or_one_of_an_earlier_version_is_not_current(content, tmp_path):
    (tmp_path / "evaluation.json").write_text(content)
    assert not measure.is_current(tmp_path, 500)
    shutil.rmtree(tmp_path)
    assert not measure.is_current(tmp_path, 500)


# What goes wrong.


@pytest.mark.usefixtures("judge")
@pytest.mark.parametrize(
    ("part", "function", "gone"),
    [
        ("likelihood", "evaluate_likelihood", "test_loss"),
        ("samples", "evaluate_samples", "prior_frechet"),
        ("latent space", "evaluate_latents", "cycle_error"),
    ],
)
def test_a_part_that_fails_leaves_the_other_numbers(folders, configs, monkeypatch, part, function, gone):
    def fail(*_, **__):
        raise MemoryError("no room\nfor it")

    folder = run_dir(folders, configs[0])
    monkeypatch.setattr(parts, function, fail)
    numbers = measure.evaluate_run(folder)
    assert numbers == stored(folder)
    assert numbers["failed"] == f"{part}: MemoryError: no room for it"
    assert {"test_loss", "prior_frechet", "cycle_error"} - numbers.keys() == {gone}
    assert not measure.is_current(folder, 500)


@pytest.mark.usefixtures("judge")
@pytest.mark.parametrize(("least", "most", "drawn"), [(60, 100, 60), (20, 100, 30), (20, 25, 25)])
def test_there_are_as_many_samples_as_test_images_between_bounds(folders, configs, monkeypatch, least, most, drawn):
    asked = []
    monkeypatch.setattr(samples, "MIN_SAMPLES", least)
    monkeypatch.setattr(samples, "MAX_SAMPLES", most)
    samplers = {"prior": "N(0, I)", "gaussian": "the codes' own"}
    monkeypatch.setattr(samples, "draw_samplers", lambda run, images, count, seed: asked.append(count) or samplers)
    monkeypatch.setattr(parts, "evaluate_latents", lambda run, dataset, gaussian: {"cycle_error_at": gaussian})
    found = dict(parts.of_run(run_dir(folders, configs[0]), None, 10))
    assert asked == [drawn]
    assert found["latent space"]() == {"cycle_error_at": "the codes' own"}


def test_factors_are_measured_where_they_are_known(workdir, configs, monkeypatch):
    known = plain = parts.dataset_of(runs.load_run(run_dir(workdir, configs[1])))
    for name in ("train", "test"):
        split = getattr(known, name)
        values = np.arange(2 * len(split.images)).reshape(-1, 2) % [3, 5]
        known = known._replace(**{name: split._replace(factors=values)})
    monkeypatch.setattr(judges, "is_classifiable", lambda dataset: False)  # factors need no labels
    for dataset in (known, plain):
        monkeypatch.setattr(parts, "dataset_of", lambda run, data_dir, dataset=dataset: dataset)
        found = dict(parts.of_run(run_dir(workdir, configs[1]), None, 10))
        assert ("factors" in found) == (dataset is known)
        assert dataset is plain or found["factors"]().keys() >= factors.MEASUREMENTS.keys()


def damage_params(folder):
    (folder / "params.safetensors").write_bytes(b"damaged")


def other_data(folder):
    content = json.loads((folder / "config.json").read_text())
    content["data"]["sha256"] = "0" * 64
    (folder / "config.json").write_text(json.dumps(content))


def damage_metrics(folder):
    (folder / "metrics.jsonl").write_text("{")


@pytest.mark.parametrize(
    ("damage", "reason"), [(damage_params, "damaged"), (damage_metrics, "damaged"), (other_data, "other data")]
)
def test_a_run_that_cannot_be_loaded_says_why_and_raises_nothing(folders, configs, damage, reason):
    folder = run_dir(folders, configs[0])
    damage(folder)
    numbers = measure.evaluate_run(folder)
    assert numbers == stored(folder)
    assert numbers.keys() == {"evaluation", "failed"}
    assert reason in numbers["failed"]
    assert "\n" not in numbers["failed"]
    assert not measure.is_current(folder, 500)


def test_a_folder_without_a_trained_run_is_an_error(folders, tmp_path):
    for folder in (folders, tmp_path / "nowhere"):
        with pytest.raises(UserError, match="load"):
            measure.evaluate_run(folder)
        assert not (folder / "evaluation.json").exists()


@pytest.mark.usefixtures("judge")
def test_a_file_that_cannot_be_written_is_an_error(folders, configs):
    folder = run_dir(folders, configs[0])
    (folder / "evaluation.json").mkdir()
    with pytest.raises(UserError, match="cannot write"):
        measure.evaluate_run(folder)


def test_a_diverged_run_has_the_epoch_and_no_numbers(folders, configs):
    folder = run_dir(folders, configs[0])
    rows = read_metrics(folder)
    write_metrics(folder, [*rows[:-1], rows[-1] | {"train_loss": None, "diverged": True}])
    numbers = measure.evaluate_run(folder)
    assert numbers == stored(folder)
    assert numbers == {"evaluation": {"source": source.digest(*measure.SOURCES)}, "diverged_epoch": 2}
    assert measure.is_current(folder, 500)


# Any data and any parameters: numbers or None, never an error, a warning or a wait.


@pytest.fixture
def quick(monkeypatch, coarse_grids):
    monkeypatch.setattr(judges, "SCHEDULE", recipe.Schedule(1, 2, 1e-3))
    for name in ("MIN_SAMPLES", "NUM_PAIRS"):  # as many as images, so that most batches have one size
        monkeypatch.setattr(samples, name, 30)
    monkeypatch.setattr(quadrature, "HALVINGS", 2)


def untrained(folder, monkeypatch, dataset, change=lambda params: None, **fields):
    """A run folder with drawn parameters, changed, whose data set is this one."""
    monkeypatch.setattr(parts, "dataset_of", lambda run, data_dir: dataset)
    return write_run(folder, Config(hidden_dims=(8,), num_epochs=1, **fields), dataset, change)


def noise(train=30, test=30, shape=SHAPE, classes=3, black=False):
    """Random pixels; of equal numbers of images of one size, so that most cases share what is compiled."""
    random = np.random.default_rng(0)

    def split(count):
        images = random.integers(0, 256, (count, *shape), np.uint8) * (not black)
        return Split(images, np.arange(count, dtype=np.int32) % classes)

    counts = {"train": train, "validation": 0, "test": test}
    name = f"{train} {test} {shape} {classes} {black}"
    return Dataset(name, split(train), split(0), split(test), {"sha256": name, "counts": counts})


ODD = {
    "two_large_images": noise(2, 1, (100, 65)),
    "one_class": noise(classes=1),
    "a_class_each": noise(classes=30),
    "black": noise(black=True),
    "one_pixel": noise(shape=(1, 1)),
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("name", "model"),
    [*((name, "vae") for name in ODD), ("two_large_images", "ae"), ("a_class_each", "ae"), ("black", "ae")],
)
def test_odd_data_sets_have_numbers(name, model, tmp_path, monkeypatch):
    folder = untrained(tmp_path, monkeypatch, ODD[name], model=model)
    numbers = measure.evaluate_run(folder, num_likelihood_samples=10)
    assert "failed" not in numbers
    assert {"test_loss", "classifier_accuracy", "knn_accuracy_whitened", "midpoint_implausible_excess"} <= {
        name for name, value in numbers.items() if value is not None
    }


@pytest.mark.usefixtures("quick")
def test_colours_have_no_judge_and_images_without_labels_no_neighbours(tmp_path, monkeypatch):
    folder = untrained(tmp_path / "colour", monkeypatch, noise(shape=(*SHAPE, 3)))
    in_colour = measure.evaluate_run(folder, num_likelihood_samples=10)
    assert not (tmp_path / "colour" / "instruments").exists()
    dataset = noise()
    parts_of = {name: getattr(dataset, name)._replace(labels=None) for name in ("train", "validation", "test")}
    folder = untrained(tmp_path / "unlabelled", monkeypatch, dataset._replace(**parts_of))
    unlabelled = measure.evaluate_run(folder, num_likelihood_samples=10)
    assert {"failed", "prior_frechet", "reconstruction_implausible"}.isdisjoint({*in_colour, *unlabelled})
    assert in_colour.keys() - unlabelled.keys() == {"knn_accuracy_whitened", "knn_accuracy_whitened_error"}
    assert {"test_elbo", "test_distortion", "gaussian_hole_mass", "step_0_3_change", "cycle_error"} <= unlabelled.keys()


@pytest.mark.usefixtures("quick")
def test_a_workdir_on_another_machine_goes_on_with_its_own_instrument(tmp_path, monkeypatch):
    folder = untrained(tmp_path / "here", monkeypatch, noise(), model="ae")
    numbers = measure.evaluate_run(folder)
    monkeypatch.setenv("VAE_JAX_CACHE_DIR", str(tmp_path / "cache"))
    assert numbers["evaluation"].keys() == {"source", "judge"}
    shutil.move(tmp_path / "here", tmp_path / "moved")
    folder = tmp_path / "moved" / folder.relative_to(tmp_path / "here")
    assert measure.is_current(folder, 500)
    monkeypatch.delattr(recipe, "train")
    assert measure.evaluate_run(folder) == numbers
    for path in (tmp_path / "moved" / "instruments").glob("*.safetensors"):
        path.unlink()
    assert not measure.is_current(folder, 500)


def of(*path, value):
    def change(params):
        *parts, last = path
        for part in parts:
            params = params[part]
        params[last] = np.full_like(params[last], value)

    return change


EXTREME = {
    **{f"mean_{v}": of("encoder", "mean", "bias", value=v) for v in (1e3, 1e30, np.inf, np.nan)},
    **{f"logvar_{v}": of("encoder", "logvar", "bias", value=v) for v in (-1e4, -100.0, 100.0, 1e4, np.nan)},
    **{f"logits_{v}": of("decoder", "logits", "bias", value=v) for v in (-1e30, 1e30, np.nan)},
    **{f"decoder_{v}": of("decoder", "logits", "kernel", value=v) for v in (0.0, 1e20, 1e38)},
    "collapsed": of("encoder", "mean", "kernel", value=0.0),
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", EXTREME)
def test_extreme_parameters_are_evaluated(name, tmp_path, monkeypatch):
    folder = untrained(tmp_path, monkeypatch, noise(), EXTREME[name], likelihood="continuous_bernoulli")
    numbers = measure.evaluate_run(folder, num_likelihood_samples=10)
    assert "failed" not in numbers
    if not numbers["test_log_likelihood_exact_share"]:
        assert numbers["test_log_likelihood_exact"] is None
        assert numbers["test_posterior_kl"] is None


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "fields",
    [
        {"likelihood": "learned_gaussian", "latent_dim": 1},
        {"likelihood": "continuous_bernoulli", "latent_dim": 5},
        {"architecture": "conv", "binarization": "dynamic"},
    ],
)
def test_every_kind_of_run_has_finite_numbers(fields, tmp_path, monkeypatch):
    folder = untrained(tmp_path, monkeypatch, noise(), **fields)
    numbers = measure.evaluate_run(folder, num_likelihood_samples=10)
    assert "failed" not in numbers
    assert None not in numbers.values()
