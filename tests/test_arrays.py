"""Images in memory: the same runs as from a file, and what is asked for where they are not passed."""

import dataclasses
import shutil
import threading

import numpy as np
import pytest
from refusal import refusal

import vae_jax
from vae_jax import measure
from vae_jax.config import Config, ConfigError
from vae_jax.data import identity
from vae_jax.data.arrays import NAME
from vae_jax.errors import UserError
from vae_jax.launch import launcher, sweeps
from vae_jax.training import runs
from vae_jax.workdir import read_metrics, run_dir

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (40, 8, 8), np.uint8)
LABELS = np.arange(40) % 3
TEST = {"test_images": IMAGES[30:], "test_labels": LABELS[30:]}
CONFIG = Config(model="ae", hidden_dims=(4,), num_epochs=1, batch_size=8)
ON_ARRAYS = dataclasses.replace(CONFIG, dataset=NAME)
ASKS = r"the images of array: are in no file: pass what .*load_dataset\(run, images=\.\.\.\), train\(config, images\)"

pytestmark = pytest.mark.usefixtures("cheap_compilation")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cheap_compilation):
    """A workdir with a run on arrays; to be copied by who changes it."""
    folder = tmp_path_factory.mktemp("arrays") / "work"
    vae_jax.train(CONFIG, IMAGES, LABELS, workdir=folder)
    return folder


@pytest.fixture(scope="module")
def filed(tmp_path_factory, cheap_compilation):
    """The same run on a file: its Config, its workdir, and what its training returned."""
    folder = tmp_path_factory.mktemp("filed")
    np.savez(folder / "own.npz", images=IMAGES, labels=LABELS)
    config = dataclasses.replace(CONFIG, dataset=f"npz:{folder}/own.npz")
    return config, folder / "work", vae_jax.train(config, workdir=folder / "work")


def load(**arrays):
    return vae_jax.load_data(**arrays)


def error(images=IMAGES, **others):
    """The one line that loading arrays ends with."""
    return refusal(load, kind=(UserError, ConfigError), images=images, **others)


def check_same(found, expected):
    """Checks that two data sets have the same splits and digests."""
    for split in ("train", "validation", "test"):
        for ours, theirs in zip(getattr(found, split), getattr(expected, split), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    for name in ("sha256", "labels_sha256", "counts", "pixel_range"):
        assert found.provenance[name] == expected.provenance[name]


AS_FILED = {
    "uint8": ({"images": IMAGES, "labels": LABELS}, {}),
    "without labels": ({"images": IMAGES}, {}),
    "a channel": ({"images": IMAGES[..., None], "labels": LABELS[:, None]}, {}),
    "float64": ({"images": IMAGES / 255}, {}),
    "float32": ({"images": (IMAGES / 255).astype(np.float32)}, {}),
    "bools": ({"images": IMAGES > 99}, {}),
    "own white": ({"images": IMAGES.astype(np.uint16) * 16}, {"pixel_max": 4080}),
    "own test images": (
        {"images": IMAGES[:30], "labels": LABELS[:30], **TEST},
        {},
    ),
}


@pytest.mark.parametrize("kind", AS_FILED)
def test_arrays_are_split_and_scaled_as_those_of_a_file(kind, tmp_path):
    arrays, options = AS_FILED[kind]
    layout = {"images": "x_train", "labels": "y_train", "test_images": "x_test", "test_labels": "y_test"}
    filed = {layout[name]: array for name, array in arrays.items()} if "test_images" in arrays else arrays
    np.savez(tmp_path / "own.npz", **filed)
    found = load(**arrays, **options)
    check_same(found, vae_jax.load_data(f"npz:{tmp_path}/own.npz", **options))
    assert found.name == found.provenance["name"] == NAME
    assert found.describe().startswith("array: ")
    assert found.provenance["content"].startswith("arrays in memory with ")


def test_lists_are_arrays_and_a_data_set_outlives_changes_of_the_callers(tmp_path):
    check_same(load(images=IMAGES.tolist(), labels=LABELS.tolist()), load(images=IMAGES, labels=LABELS))
    own = IMAGES.copy()
    found = load(images=own[:30], test_images=own[30:])
    own[:] = 0
    check_same(found, load(images=IMAGES[:30], test_images=IMAGES[30:]))


COLOUR = np.stack([IMAGES, IMAGES[::-1], IMAGES], -1)
SHAPES = "images must be integers, floats or bools of shape N x H x W, N x H x W x 1 or, in colour, "
WRONG = {
    "one image": ({"images": IMAGES[0]}, f"the array images has uint8 elements of shape 8 x 8; {SHAPES}"),
    "few images": ({"images": IMAGES[:1]}, "too few images (1) to split off a test set; it needs 5 or more, or test_"),
    "one to train": ({"images": IMAGES[:1], "test_images": IMAGES}, "array: leaves 1 of 1 train images"),
    "none": ({"images": IMAGES[:0]}, "the array images is empty: it has shape 0 x 8 x 8; pass a full one"),
    "an empty list": ({"images": []}, "the array images is empty: it has shape 0;"),
    "no test images": ({"test_images": IMAGES[:0]}, "the array test_images is empty"),
    "complex": ({"images": IMAGES * 1j}, "the array images has complex128 elements"),
    "text": ({"images": IMAGES.astype(str)}, "the array images has text of shape 40 x 8 x 8"),
    "objects": ({"images": np.array([IMAGES, None], object)}, "the array images has object elements of shape 2"),
    "ragged": ({"images": [[[1, 2]], [[1]]]}, "images cannot be made a NumPy array ("),
    "a path": ({"images": "runs/mine"}, "images must be an array, not 'runs/mine'"),
    "floats to 51": (
        {"images": IMAGES / 5},
        "the array images has float64 pixels from 0 to 51, where 0 is black and 1 is white; say what is white, such "
        "as pixel_max=51 in the Config or load_data, or clip them",
    ),
    "negative": ({"images": IMAGES / 255 - 0.4}, "pixels from -0.4 to 0.6, where 0 is black and 1 is white; rescale"),
    "NaN": ({"images": np.where(IMAGES > 9, IMAGES / 255, np.nan)}, "float64 pixels from nan to nan, where 0"),
    "black": ({"images": IMAGES * 0}, "the array images has uint8 pixels that are all black"),
    "other size": ({"test_images": IMAGES[:, 1:]}, "array: has train images of 8 x 8 pixels and test images of 7 x 8"),
    "few labels": ({"labels": LABELS[1:]}, "the array labels has 39 labels for 40 images"),
    "float labels": ({"labels": LABELS / 1}, "the array labels has float64 elements of shape 40; labels must be"),
    "test labels of another length": (
        {"labels": LABELS, "test_images": IMAGES, "test_labels": LABELS[1:]}, "test_labels has 39 labels for 40 images",
    ),
    "no test labels": ({"labels": LABELS, "test_images": IMAGES}, "without test_labels; pass these, or no labels"),
    "test labels alone": ({"test_labels": LABELS}, "test_labels needs test_images and labels; pass all three"),
    "labels alone": ({"images": None, "labels": LABELS}, "labels was passed without images; pass both"),
    "nothing": ({"images": None}, "load_data takes the name of a data set, or images=..."),
    "a name too": ({"name": "mnist_5k"}, "load_data takes the name of a data set, or images=..."),
    "the name alone": ({"images": None, "name": NAME}, "the images of array: are in no file"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_arrays_end_in_a_line_that_says_what_to_do(wrong):
    arrays, message = WRONG[wrong]
    assert message in error(**arrays)


def test_a_run_on_arrays_has_the_bits_of_one_on_a_file(trained, filed):
    own, workdir, expected = filed
    config, params, encode, _ = vae_jax.load_run(run_dir(trained, ON_ARRAYS))  # without the arrays
    assert config == ON_ARRAYS
    for ours, theirs in zip(*(sorted(flat(tree).items()) for tree in (params, expected[1])), strict=True):
        assert ours[0] == theirs[0]
        np.testing.assert_array_equal(ours[1], theirs[1])
    assert read_metrics(run_dir(trained, config)) == read_metrics(run_dir(workdir, own))
    np.testing.assert_array_equal(encode(IMAGES).mean, expected[2](IMAGES).mean)


def flat(tree, path=""):
    """The arrays of nested dicts by their path."""
    if not hasattr(tree, "items"):
        return {path: np.asarray(tree)}
    return {key: leaf for name, part in tree.items() for key, leaf in flat(part, f"{path}/{name}").items()}


def test_the_name_is_the_configs_whatever_the_pixels_are(trained, tmp_path):
    assert ON_ARRAYS.name == "ae-z2-s0-d95d8be9"
    assert [path.name for path in (trained / "runs").iterdir()] == [ON_ARRAYS.name]
    assert vae_jax.train(ON_ARRAYS, 255 - IMAGES)[0] == ON_ARRAYS


def test_a_run_is_trained_once_and_refuses_other_pixels(trained):
    folder = run_dir(trained, ON_ARRAYS)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert vae_jax.train(CONFIG, IMAGES, LABELS, workdir=trained)[0] == ON_ARRAYS
    others = {"pixels": (255 - IMAGES, LABELS), "pixels and labels and splits": (IMAGES[:35], LABELS[:35])}
    for changed, arrays in others.items():
        message = f"{ON_ARRAYS.name} was trained on other data: the {changed} of array:.* pass the arrays .* workdir$"
        with pytest.raises(UserError, match=message):
            vae_jax.train(CONFIG, *arrays, workdir=trained)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_the_data_set_of_a_run_is_asked_for_and_checked(trained, filed):
    folder = run_dir(trained, ON_ARRAYS)
    check_same(vae_jax.load_dataset(folder, images=IMAGES, labels=LABELS), load(images=IMAGES, labels=LABELS))
    with pytest.raises(UserError, match=ASKS):  # nothing is kept of the call before
        vae_jax.load_dataset(folder)
    with pytest.raises(UserError, match="was trained on other data: the pixels of array:"):
        vae_jax.load_dataset(folder, images=255 - IMAGES, labels=LABELS)
    with pytest.raises(UserError, match=r"was trained on other data: the .*labels.* labels and test images included"):
        vae_jax.load_dataset(folder, images=IMAGES)
    own, workdir, _ = filed
    with pytest.raises(ConfigError, match=f"was trained on {own.dataset}; load its data set without images"):
        vae_jax.load_dataset(run_dir(workdir, own), images=IMAGES)


def test_training_asks_for_arrays_and_refuses_a_second_data_set(tmp_path):
    with pytest.raises(UserError, match=ASKS):
        vae_jax.train(ON_ARRAYS, workdir=tmp_path)
    with pytest.raises(UserError, match=ASKS):
        vae_jax.train_and_evaluate([ON_ARRAYS], tmp_path)
    with pytest.raises(ConfigError, match="images were passed, but the Config's dataset is mnist; leave one of them"):
        vae_jax.train(dataclasses.replace(CONFIG, dataset="mnist"), IMAGES)
    with pytest.raises(ConfigError, match=r"images must be an array, not '.*'; name the argument if it is a folder"):
        vae_jax.train(CONFIG, tmp_path)
    with pytest.raises(UserError, match="in this process only; save them for npz:FILE"):
        vae_jax.train_and_evaluate([CONFIG], tmp_path, executor=sweeps.LocalDevices(), images=IMAGES)
    assert not any(tmp_path.iterdir())


def test_threads_that_give_arrays_take_turns(tmp_path):
    found, inside = [], threading.Event()

    def other():
        inside.set()
        with identity.given(identity.arrays.Arrays(255 - IMAGES)):
            found.append(identity.load_dataset(ON_ARRAYS).provenance["sha256"])

    with identity.given(identity.arrays.Arrays(IMAGES)):
        thread = threading.Thread(target=other)
        thread.start()
        inside.wait()
        thread.join(0.05)
        assert not found
        mine = identity.load_dataset(ON_ARRAYS).provenance["sha256"]
    thread.join()
    assert mine == load(images=IMAGES).provenance["sha256"]
    assert found == [load(images=255 - IMAGES).provenance["sha256"]]


EXPERIMENT = """
from vae_jax.config import Config, Experiment
EXPERIMENT = Experiment(
    name="mine", question="?", base=Config(dataset="array:", hidden_dims=(4,), num_epochs=1, batch_size=8),
    grid={"model": ("ae",)}, figures=("training_curves", "latent_space", "manifold"),
)
"""


def test_a_launch_refuses_arrays_and_draws_what_needs_none(trained, tmp_path, capsys, coarse_figures):
    workdir, path = shutil.copytree(trained, tmp_path / "work"), tmp_path / "mine.py"
    path.write_text(EXPERIMENT)

    def launch(*arguments):
        code = launcher.main(["vae-jax", f"--workdir={workdir}", *arguments])
        return code, capsys.readouterr().err

    for arguments in (
        ["--experiment=train", "--dataset=array:"],
        ["--experiment=train", "--dataset=array:,mnist_5k", "--train=false"],
        [f"--experiment={path}"],
    ):
        code, message = launch(*arguments)
        assert code == 2
        assert len(message.splitlines()) == 1
        assert "dataset=array: is for images in memory, which a launch cannot see; pass them to vae_jax" in message
    code, message = launch(f"--experiment={path}", "--train=false")
    assert code == 0
    assert "mine: 1 run of 1 program, 1 trained" in message
    (line,) = [line for line in message.splitlines() if "Left out" in line]
    assert line.startswith("Left out, as they need the images of array:, which are in no file: new evaluations; the ")
    assert line.endswith("; the figures latent_space, manifold")
    assert sorted(path.name for path in (workdir / "figures").glob("*.png")) == ["training_curves.png"]
    page = (workdir / "report.html").read_text()
    assert vae_jax.load_dataset(run_dir(workdir, ON_ARRAYS), images=IMAGES, labels=LABELS).provenance["sha256"] in page


def test_evaluation_takes_the_arrays(trained, tmp_path, monkeypatch):
    found, workdir = [], shutil.copytree(trained, tmp_path / "work")

    def evaluate(folder, **options):
        found.append(runs.dataset_of(runs.load_run(folder)))
        return {}

    monkeypatch.setattr(measure, "evaluate_run", evaluate)
    assert vae_jax.train_and_evaluate([CONFIG], workdir, images=IMAGES, labels=LABELS) == []
    (dataset,) = found
    check_same(dataset, load(images=IMAGES, labels=LABELS))
