"""Which runs go into a picture, what is computed for it, and that every picture is drawn and says what it is."""

import dataclasses
import shutil

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.stats
from matplotlib.figure import Figure
from PIL import Image

import experiments
from vae_jax import evaluation, figures, gallery, runs
from vae_jax.checkpoints import export_params
from vae_jax.config import Config, ConfigError, Experiment, expand
from vae_jax.data import Split
from vae_jax.evaluation.classifier import Classifier
from vae_jax.files import write_json
from vae_jax.gallery import FIGURES, Scene, chosen_settings, evidence, pictures, scene
from vae_jax.runs import load_run
from vae_jax.workdir import read_metrics, run_dir, write_metrics


def write_untrained(workdir, config, diverged=False):
    """A run's folder as after a training, with its initial parameters, or with numbers that are none."""
    folder = run_dir(workdir, config)
    model = runs.make_model(config, (28, 28))
    params = jax.jit(model.init)(jax.random.key(config.seed), jnp.zeros((1, 28, 28)))["params"]
    if diverged:
        params = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), params)
    export_params(folder / "params.safetensors", config, params, (28, 28))
    write_json(folder / "config.json", config.to_dict())
    loss = None if diverged else 100.0
    losses = {f"{split}_{name}": loss for split in ("train", "validation") for name in ("loss", "distortion", "rate")}
    rows = [{"epoch": epoch, **losses} for epoch in range(1, config.num_epochs + 1)]
    write_metrics(folder, [rows[0] | {"diverged": True}] if diverged else rows)


@pytest.fixture(scope="module")
def workdir(tiny_workdir, tmp_path_factory):
    """The tiny workdir, with a run of three latent dimensions and one that diverged in each of 2 and 3."""
    folder = shutil.copytree(tiny_workdir, tmp_path_factory.mktemp("gallery") / "copied")
    write_untrained(folder, THREE)
    for config in DIVERGED:
        write_untrained(folder, config, diverged=True)
    return folder


BASE = Config(hidden_dims=(8,), num_epochs=2)
THREE = dataclasses.replace(BASE, latent_dim=3)
DIVERGED = expand(BASE, {"latent_dim": (2, 3), "learning_rate": (10.0,)})


def make_scene(workdir, configs):
    """What `draw` makes of these runs."""
    panels = [load_run(run_dir(workdir, config)) for config in chosen_settings(configs)]
    return Scene(configs, workdir, panels, None)


@pytest.fixture(scope="module")
def flat(workdir, tiny_experiment):
    """AE and VAE with two latent dimensions."""
    return make_scene(workdir, tiny_experiment.configs)


@pytest.fixture(scope="module")
def deep(workdir):
    """One VAE with three latent dimensions."""
    return make_scene(workdir, [THREE])


@pytest.fixture(autouse=True)
def classifier(monkeypatch):
    """A classifier that needs no training: an image's features are its sixteen blocks of 7 x 7 pixels."""

    def predict(images):
        blocks = images.reshape(-1, 4, 7, 4, 7).mean(axis=(2, 4)).reshape(-1, 16)
        return blocks, np.full((len(images), 10), 0.1)

    judge = Classifier(predict, accuracy=1.0, seed=0, digest="")
    monkeypatch.setattr(evaluation, "load_classifier", lambda dataset, workdir: judge)
    return judge


@pytest.fixture
def drawn(monkeypatch):
    """Calls of a function of `figures`, by the name that is given, as a list of their positional arguments."""

    def spy(name):
        calls, function = [], getattr(figures, name)

        def record(*args, **kwargs):
            calls.append(args)
            return function(*args, **kwargs)

        monkeypatch.setattr(figures, name, record)
        return calls

    yield spy
    plt.close("all")


def listening(scene):
    """The scene, and the codes that each of its panels is asked to decode."""
    asked = [[] for _ in scene.panels]

    def decoder(run, codes):
        return lambda z: codes.append(np.array(z)) or run.decode(z)

    panels = [run._replace(decode=decoder(run, codes)) for run, codes in zip(scene.panels, asked, strict=True)]
    return scene._replace(panels=panels), asked


def test_a_setting_is_shown_by_its_first_seed_and_the_ae_before_the_vae():
    configs = expand(Config(), {"latent_dim": (2, 3), "model": ("vae", "ae"), "seed": (5, 1)})
    chosen = chosen_settings(configs)
    assert [(run.latent_dim, run.model, run.seed) for run in chosen] == [
        (2, "ae", 5), (2, "vae", 5), (3, "ae", 5), (3, "vae", 5),
    ]  # fmt: skip


@pytest.mark.parametrize("models", [("vae",), ("ae", "vae")])
def test_at_most_twelve_settings_are_shown_evenly_spaced(models):
    dims = tuple(range(1, 31))
    chosen = chosen_settings(expand(Config(), {"model": models, "latent_dim": dims}))
    assert len(chosen) == 12
    assert [run.model for run in chosen] == list(models) * (12 // len(models))
    shown = [run.latent_dim for run in chosen][:: len(models)]
    assert (shown[0], shown[-1]) == (1, 30)
    assert set(np.diff(shown)) <= {29 * len(models) // 12, 29 * len(models) // 12 + 1, 29 * len(models) // 12 + 2}
    twelve = expand(Config(), {"latent_dim": dims[:12]})
    assert chosen_settings(twelve) == list(twelve)
    assert chosen_settings([]) == []


def test_labels_tell_settings_apart_and_leave_out_what_a_model_ignores():
    configs = expand(Config(), {"model": ("ae", "vae"), "kl_weight": (0.5, 1.0), "latent_dim": (2, 8), "seed": (0, 1)})
    scene = Scene(configs, None, [], None)
    assert list(dict.fromkeys(map(scene.label, configs))) == [
        "AE, latent_dim 2", "AE, latent_dim 8", "VAE, latent_dim 2, kl_weight 0.5", "VAE, latent_dim 8, kl_weight 0.5",
        "VAE, latent_dim 2, kl_weight 1", "VAE, latent_dim 8, kl_weight 1",
    ]  # fmt: skip


def test_a_title_names_the_run(flat):
    ae, vae = flat.panels
    assert flat.title(ae) == f"AE\n{ae.config.name}"
    assert flat.title(vae) == f"VAE\n{vae.config.name}"


def test_every_figure_of_every_experiment_exists():
    for name in experiments.names():
        gallery.check(experiments.load(name).figures)
        assert experiments.load(name).figures


def test_an_unknown_figure_suggests_the_nearest(workdir):
    with pytest.raises(ConfigError, match=r"unknown figure 'latent_spaces'; did you mean 'latent_space'"):
        gallery.draw(Experiment(name="e", question="?", figures=("latent_spaces",)), workdir)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_a_title_and_a_caption(name):
    title, caption = FIGURES[name].__doc__.split("\n\n")
    assert title.strip().endswith(".")
    assert "\n" not in title.strip()
    assert len(caption.split()) > 15


def test_draw_leaves_a_png_and_a_pdf_of_every_figure_that_the_runs_have(workdir, tmp_path, monkeypatch):
    small = shutil.copytree(workdir, tmp_path / "drawn")
    savefig = Figure.savefig
    resolutions = []

    def coarse(self, *args, dpi, **kwargs):
        resolutions.append(dpi)
        savefig(self, *args, dpi=20, **kwargs)

    monkeypatch.setattr(Figure, "savefig", coarse)
    experiment = Experiment(name="e", question="?", base=BASE, grid={"latent_dim": (2, 3)}, figures=tuple(FIGURES))
    for config in experiment.configs:
        numbers = {"test_loss": 100.0, "test_kl_per_dimension": [1.0] * config.latent_dim}
        write_json(run_dir(small, config) / "evaluation.json", numbers)
    pictures = gallery.draw(experiment, small)
    over_weights = {name for name in FIGURES if name.endswith("by_kl_weight")}
    over_weights |= {"rate_distortion", "heat_maps", "dose_response"}
    drawable = [name for name in FIGURES if name not in over_weights]  # the KL weight is one
    assert [picture.name for picture in pictures] == drawable
    assert set(resolutions) == {300}
    assert {path.name for path in (small / "figures").iterdir()} == {
        f"{name}.{suffix}" for name in drawable for suffix in ("png", "pdf")
    }
    for picture in pictures:
        with Image.open(small / "figures" / f"{picture.name}.png") as image:
            assert np.ptp(np.asarray(image.convert("L"))) > 100
        assert (small / "figures" / f"{picture.name}.pdf").read_bytes().startswith(b"%PDF")
    latent_space = pictures[drawable.index("latent_space")]
    assert latent_space.title == "Latent space"
    assert latent_space.caption.startswith("Codes (posterior means) of test images on equal axes, by class,")
    assert plt.get_fignums() == []


def test_nothing_is_drawn_of_runs_that_are_not_trained(tmp_path):
    experiment = Experiment(name="e", question="?", figures=tuple(FIGURES))
    assert gallery.draw(experiment, tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_figures_that_the_runs_do_not_have(flat, deep):
    assert pictures.traversals(flat) is None
    assert pictures.posteriors(deep) is None
    assert pictures.manifold(deep) is None
    assert evidence.sweep(flat) is None


def test_curves_are_those_of_the_metrics_over_seeds(workdir, tiny_experiment, flat, drawn):
    calls = drawn("training_curve")
    pictures.training_curves(flat)
    assert [ylabel.split("\n")[0] for _, ylabel, _ in calls] == [
        f"{split} {term}" for split in ("train", "validation") for term in ("loss", "distortion", "rate")
    ]
    histories = [read_metrics(run_dir(workdir, config)) for config in tiny_experiment.configs]
    loss = np.array([[row["validation_loss"] for row in history] for history in histories])
    curves = calls[3][0]
    np.testing.assert_array_equal(curves["AE"], loss[:2])
    np.testing.assert_array_equal(curves["VAE"], loss[2:])
    assert np.isnan(calls[2][0]["AE"]).all()  # an AE has no rate
    assert np.isfinite(calls[2][0]["VAE"]).all()


def test_reconstructions_are_decodes_of_mean_codes_of_one_image_per_class(flat, drawn):
    calls = drawn("reconstructions")
    pictures.reconstructions(flat)
    ((originals, rows, _),) = calls
    test = flat.dataset(flat.panels[0]).test
    firsts = [test.images[np.flatnonzero(test.labels == label)[0]] for label in range(10)]
    np.testing.assert_allclose(originals, np.array(firsts) / 255, rtol=1e-6)
    assert list(rows) == [flat.title(run) for run in flat.panels]
    for run, row in zip(flat.panels, rows.values(), strict=True):
        np.testing.assert_array_equal(row, run.decode(run.encode(np.array(firsts)).mean))


def test_images_without_labels_are_the_first_ten():
    images = np.arange(20)
    np.testing.assert_array_equal(pictures.one_per_class(Split(images, None)), images[:10])
    np.testing.assert_array_equal(pictures.one_per_class(Split(images[:4], np.array([2, 0, 2, 1]))), [1, 3, 0])


@pytest.mark.parametrize("name", ["latent_space", "posteriors"])
def test_panels_of_codes_share_their_limits_and_show_nearly_all_codes(flat, name):
    axes = FIGURES[name](flat).axes
    limits = {limit for ax in axes for limit in (ax.get_xlim(), ax.get_ylim())}
    ((low, high),) = limits
    assert low == -high
    test = flat.dataset(flat.panels[0]).test.images[: pictures.MOST_ELLIPSES]
    reach = [np.abs(run.encode(test).mean).max(axis=1) for run in flat.panels]
    assert high >= 2.2  # both circles of the prior
    assert all(np.mean(each <= high) > 0.95 for each in reach)
    assert high < 2 * max(2.2, *(each.max() for each in reach))
    plt.close("all")


def test_codes_are_shown_by_class_and_posteriors_with_their_variance(flat, drawn):
    scatters, ellipses = drawn("latent_scatter"), drawn("posterior_ellipses")
    pictures.latent_space(flat)
    test = flat.dataset(flat.panels[0]).test
    for run, call in zip(flat.panels, scatters, strict=True):
        np.testing.assert_array_equal(call[0], run.encode(test.images).mean)
        np.testing.assert_array_equal(call[1], test.labels)
    ellipses.clear()
    pictures.posteriors(flat)
    ae, vae = ellipses
    assert ae[1] is None
    some = test.images[: pictures.MOST_ELLIPSES]
    np.testing.assert_allclose(vae[1], flat.panels[1].encode(some).logvar, rtol=1e-5)


def test_more_dimensions_are_shown_through_their_principal_components(deep, drawn):
    calls = drawn("latent_scatter")
    ax = pictures.latent_space(deep).axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("principal component 1", "principal component 2")
    codes = deep.panels[0].encode(deep.dataset(deep.panels[0]).test.images).mean
    variances = np.linalg.eigvalsh(np.cov(codes.astype(float).T))[::-1]
    covariance = np.cov(calls[0][0].T)
    np.testing.assert_allclose(np.diag(covariance), variances[:2], rtol=1e-3)
    assert abs(covariance[0, 1]) < 1e-3 * variances[1]


def test_one_dimension_is_spread_at_random_over_the_other_axis():
    run = runs.TrainedRun(Config(latent_dim=1), {}, lambda images: runs.Codes(images[:, :1], None), None, None)
    images = np.random.default_rng(0).standard_normal((50, 3))
    codes, labels, names = pictures._plane(run, images, None)
    np.testing.assert_array_equal(codes[:, 0], images[:, 0])
    assert labels is None
    assert names == ("z₁", "(spread at random)")


def test_the_manifold_is_decoded_at_equal_shares_of_the_prior(flat, drawn):
    calls = drawn("manifold")
    pictures.manifold(flat)
    shares = (np.arange(15) + 0.5) / 15
    for run, (images, z1, z2, *_) in zip(flat.panels, calls, strict=True):
        np.testing.assert_allclose(scipy.stats.norm.cdf(z1), shares, rtol=1e-5)
        np.testing.assert_allclose(scipy.stats.norm.cdf(z2), shares, rtol=1e-5)
        assert images.shape == (15, 15, 28, 28)
        for row, column in ((0, 0), (2, 11), (14, 3)):
            alone = run.decode(np.array([[z1[column], z2[row]]]))[0]
            np.testing.assert_allclose(images[row, column], alone, atol=1e-5)


def test_samples_are_decodes_of_the_same_draws_of_the_prior(flat):
    scene, asked = listening(flat)
    pictures.samples(scene)
    plt.close("all")
    (ae,), (vae,) = asked
    np.testing.assert_array_equal(ae, vae)
    assert ae.shape == (64, 2)
    assert abs(ae.mean()) < 0.3
    assert 0.8 < ae.std() < 1.2


def test_interpolations_run_straight_from_code_to_code(flat, drawn):
    scene, asked = listening(flat)
    calls = drawn("interpolations")
    pictures.interpolations(scene)
    ends = pictures.one_per_class(flat.dataset(flat.panels[0]).test)
    for run, paths, (images, *_) in zip(flat.panels, asked, calls, strict=True):
        codes = run.encode(ends).mean
        assert images.shape == (5, 11, 28, 28)
        for path, (start, end) in zip(paths, ((1, 7), (3, 8), (4, 9), (0, 6), (2, 5)), strict=True):
            np.testing.assert_allclose(path[[0, 5, 10]], [codes[start], codes[[start, end]].mean(axis=0), codes[end]],
                                       rtol=1e-4, atol=1e-5)  # fmt: skip


def test_a_traversal_moves_one_dimension_and_the_most_varying_first(deep, drawn):
    scene, asked = listening(deep)
    calls = drawn("traversals")
    pictures.traversals(scene)
    codes = deep.panels[0].encode(deep.dataset(deep.panels[0]).test.images).mean
    sd = codes.std(axis=0)
    ((images, values, _, dimensions, _),) = calls
    assert dimensions == list(np.argsort(-sd))
    z = asked[0][0].reshape(3, 11, 3) - codes.mean(axis=0)
    for row, dimension in enumerate(dimensions):
        np.testing.assert_allclose(z[row, :, dimension], values * sd[dimension], rtol=1e-3, atol=1e-5)
        assert np.count_nonzero(np.abs(np.delete(z[row], dimension, axis=1)) > 1e-6) == 0
    assert images.shape == (3, 11, 28, 28)


def test_a_sweep_is_the_evaluations_against_what_was_swept(tmp_path, drawn):
    calls = drawn("sweep_curve")
    configs = expand(Config(), {"model": ("ae", "vae"), "kl_weight": (4.0, 0.5, 1.0), "seed": (0, 1)})
    for config in configs:
        rate = {} if config.model == "ae" else {"test_rate": 1 / config.kl_weight + config.seed}
        write_json(run_dir(tmp_path, config) / "evaluation.json", {"test_loss": 100 * config.kl_weight, **rate})
    (run_dir(tmp_path, configs[-1]) / "evaluation.json").unlink()  # kl_weight 1, seed 1
    evidence.sweep(Scene(configs, tmp_path, [], None))
    (x, loss, name, ylabel, logx, _), (_, rate, *_) = calls
    assert (x, name, ylabel, logx) == ([0.5, 1.0, 4.0], "kl_weight", "test loss\n(nats per image)", True)
    assert list(loss) == list(rate) == ["VAE"]  # an AE has no kl_weight
    np.testing.assert_array_equal(loss["VAE"], [[50, 50], [100, np.nan], [400, 400]])
    np.testing.assert_array_equal(rate["VAE"], [[2, 3], [1, np.nan], [0.25, 1.25]])


def test_the_field_with_most_values_is_swept_and_the_others_are_lines(tmp_path, drawn):
    calls = drawn("sweep_curve")
    configs = expand(Config(), {"model": ("ae", "vae"), "learning_rate": (0.1, 0.2), "latent_dim": (2, 3, 4)})
    for config in configs:
        write_json(run_dir(tmp_path, config) / "evaluation.json", {"test_loss": config.latent_dim})
    evidence.sweep(Scene(configs, tmp_path, [], None))
    ((x, loss, name, *_),) = calls
    assert (x, name) == ([2, 3, 4], "latent_dim")
    assert list(loss) == [f"{model}, learning_rate {rate}" for model in ("AE", "VAE") for rate in (0.1, 0.2)]


@pytest.mark.parametrize("config", DIVERGED, ids=lambda config: config.name)
def test_a_run_that_diverged_is_drawn_all_the_same(workdir, config):
    """Codes, images and losses that are no numbers: an empty picture, and not the end of a launch of many runs."""
    sound = dataclasses.replace(config, learning_rate=BASE.learning_rate)
    if config.latent_dim == 2:
        sound = dataclasses.replace(sound, model="ae")
    for configs in ([config], [config, sound]):
        scene = make_scene(workdir, configs)
        for name in set(FIGURES) - {"sweep"}:
            if (figure := FIGURES[name](scene)) is not None:
                figure.draw_without_rendering()
                plt.close(figure)


@pytest.fixture
def weighed(tmp_path):
    """Evaluated runs over three KL weights, two seeds each, and an AE."""
    configs = expand(Config(), {"model": ("ae", "vae"), "kl_weight": (0.5, 1.0, 4.0), "seed": (0, 1)})
    for config in configs:
        numbers = {"test_distortion": 100 + config.kl_weight + config.seed, "kl_prior_knn": 5.0}
        if config.model == "vae":
            kl = [0.1, 3.0 / config.kl_weight + config.seed]
            numbers |= {"test_rate": sum(kl), "test_kl_per_dimension": kl}
        write_json(run_dir(tmp_path, config) / "evaluation.json", numbers)
    return Scene(configs, tmp_path, [], None)


def test_rate_and_distortion_are_paired_by_weight_and_seed(weighed, drawn):
    calls = drawn("rate_distortion")
    evidence.rate_distortion(weighed)
    ((rate, distortion, names, _, shades),) = calls
    assert names == ["0.5", "1", "4"]
    assert shades is None  # one latent_dim
    assert list(rate) == list(distortion) == ["VAE"]
    np.testing.assert_allclose(rate["VAE"], [[6.1, 7.1], [3.1, 4.1], [0.85, 1.85]])
    np.testing.assert_allclose(distortion["VAE"], [[100.5, 101.5], [101, 102], [104, 105]])


def test_dose_response_is_over_the_weight(weighed, drawn):
    calls = drawn("sweep_curve")
    evidence.dose_response(weighed)
    assert [call[3] for call in calls] == ["KL of all codes\nto N(0, I) (nats)", "test distortion\n(nats per image)"]
    assert calls[0][0] == [0.5, 1.0, 4.0]
    np.testing.assert_array_equal(calls[0][1]["VAE"], np.full((3, 2), 5.0))


def test_kl_bars_are_sorted_in_each_run(weighed, drawn):
    calls = drawn("bars")
    evidence.kl_per_dimension(weighed)
    ((values, *_),) = calls
    assert list(values) == ["VAE, kl_weight 0.5", "VAE, kl_weight 1", "VAE, kl_weight 4"]
    np.testing.assert_allclose(values["VAE, kl_weight 4"], [[0.75, 0.1], [1.75, 0.1]])


def test_a_map_of_holes_asks_for_each_place_where_it_is_drawn(flat, drawn, classifier):
    calls = drawn("hole_map")
    scene, asked = listening(flat)
    evidence.holes(scene)
    dataset = flat.dataset(flat.panels[0])
    real = classifier.predict(dataset.train.images[:5000] / np.float32(255))[0]
    for run, codes, (distance, points, labels, extent, *_) in zip(flat.panels, asked, calls, strict=True):
        z = np.concatenate(codes).reshape(*distance.shape, 2)
        assert np.all(z[0, :, 1] > z[-1, :, 1])  # the top row has the largest z₂
        assert np.all(z[:, 0, 0] < z[:, -1, 0])
        assert extent[0] < z[0, 0, 0] < extent[0] + 0.1
        np.testing.assert_array_equal(labels, dataset.test.labels)
        np.testing.assert_allclose(points, run.encode(dataset.test.images).mean)
        corner = classifier.predict(run.decode(z[0, -1:]))[0]
        nearest = np.sqrt(np.square(real - corner).sum(axis=1).min())
        assert distance[0, -1] == pytest.approx(nearest, rel=1e-4, abs=1e-5)  # float32 features


def test_a_sheet_has_two_rows_of_each_sampler(flat, drawn):
    calls = drawn("image_grid")
    scene, asked = listening(flat)
    evidence.samplers(scene)
    for run, codes, (tiles, _, rows) in zip(flat.panels, asked, calls, strict=True):
        assert rows == ["prior", "", "gaussian", "", "mixture", "", "aggregate", ""]
        # One product of another size may sum in another order: the last digit of float32.
        np.testing.assert_allclose(tiles.reshape(-1, 28, 28), run.decode(np.concatenate(codes)), atol=1e-6)


def test_heat_maps_have_the_mean_and_the_spread_of_their_cell(tmp_path, drawn):
    calls = drawn("heat_map")
    configs = expand(Config(num_epochs=1), {"latent_dim": (2, 8), "kl_weight": (0.5, 1.0, 4.0), "seed": (0, 1)})
    for config in configs[:-1]:  # the last cell has one seed
        value = 100 * config.latent_dim + config.kl_weight + 2 * config.seed
        write_json(run_dir(tmp_path, config) / "evaluation.json", {"test_active_units": -value})
        write_json(run_dir(tmp_path, config) / "config.json", config.to_dict())
        write_metrics(run_dir(tmp_path, config), [{"epoch": 1, "train_loss": 0.0, "validation_elbo": value}])
        (run_dir(tmp_path, config) / "params.safetensors").touch()
    evidence.heat_maps(Scene(configs, tmp_path, [], None))
    mean, sd, rows, columns, *_ = calls[0]
    assert (rows, columns) == (["2", "8"], ["0.5", "1", "4"])
    np.testing.assert_allclose(mean, [[201.5, 202, 205], [801.5, 802, 804]])
    np.testing.assert_allclose(sd, [[2**0.5] * 3, [2**0.5] * 2 + [np.nan]])
    np.testing.assert_allclose(calls[1][0], -calls[0][0])
    assert [call[6] for call in calls] == ["validation ELBO\n(nats per image)", "active units"]  # no Fréchet distances
    assert evidence.heat_maps(Scene(configs[:2], tmp_path, [], None)) is None


def test_sheets_by_kl_weight_show_the_first_seed_at_its_weight(tmp_path, drawn):
    calls = drawn("sheets")
    configs = expand(Config(hidden_dims=(4,), latent_dim=2), {"kl_weight": (4.0, 0.5), "seed": (0, 1)})
    for config in configs:
        write_untrained(tmp_path, config)
    scene = Scene(configs, tmp_path, [], None)
    pictures.samples_by_kl_weight(scene)
    pictures.manifold_by_kl_weight(scene)
    (samples, rows, columns, _), (manifolds, *_) = calls
    assert (rows, columns) == ([""], ["0.5", "4"])
    run = scene.load(configs[2])
    assert (run.config.kl_weight, run.config.seed) == (0.5, 0)
    z = np.random.default_rng(0).standard_normal((36, 2), np.float32)
    np.testing.assert_allclose(samples[0, 0].reshape(36, 28, 28), run.decode(z), atol=1e-6)
    low, high = scipy.stats.norm.ppf([0.5 / 12, 11.5 / 12])
    corners = run.decode(np.array([[low, high], [high, low]], np.float32))  # top left, bottom right
    np.testing.assert_allclose([manifolds[0, 0, 0, 0], manifolds[0, 0, -1, -1]], corners, atol=1e-6)
    assert pictures.samples_by_kl_weight(scene._replace(configs=configs[:2])) is None


@pytest.mark.parametrize(
    ("label", "num_columns"), [("VAE", 4), ("VAE, latent_dim 32, kl_weight 0.25", 2), ("V" * 300, 1)]
)
def test_a_shared_legend_has_as_many_columns_as_fit(label, num_columns):
    figure, ax = plt.subplots(figsize=(9, 6))
    for _ in range(5):
        ax.plot([0, 1], label=label)
    ax.legend(title="over seeds")
    scene.share_legend(figure)
    (legend,) = figure.legends
    assert ax.get_legend() is None
    assert legend.get_title().get_text() == "over seeds"
    assert legend._ncols == num_columns
    plt.close(figure)
