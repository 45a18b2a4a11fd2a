"""Which runs a figure shows, what is computed for it, and that every figure copes with every kind of run."""

import dataclasses
import io
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import flax.traverse_util
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from matplotlib.figure import Figure
from PIL import Image

from vae_jax.claims.results import Results, grouped
from vae_jax.config import Config, Experiment, Options, expand
from vae_jax.data import Dataset, Split
from vae_jax.errors import UserError
from vae_jax.launch import catalog
from vae_jax.measure.density import hole_level, run_density
from vae_jax.measure.measurements import MEASUREMENTS
from vae_jax.measure.samples import draw_samplers
from vae_jax.model import networks
from vae_jax.model.programs import make_program
from vae_jax.models import MODELS
from vae_jax.report import figures
from vae_jax.report.figures import (
    FIGURES,
    animation,
    decodes,
    factors,
    images,
    inputs,
    latents,
    maps,
    numbers,
    panels,
    planes,
    plots,
    style,
)
from vae_jax.report.figures.inputs import Inputs, spaced
from vae_jax.training import runs
from vae_jax.training.runs import TrainedRun
from vae_jax.workdir import DataIdentity, run_dir, write_config, write_metrics

pytestmark = pytest.mark.usefixtures("cheap_compilation")

ROOT = Path(__file__).resolve().parents[1]
SMALL = Config(hidden_dims=(4,), num_epochs=2)


def dataset(name, shape, labels, num_test, black=False, names=(), factors=()):
    random = np.random.default_rng(0)

    def split(count):
        pixels = random.integers(0, 1 if black else 256, (count, *shape), np.uint8)
        known = np.arange(count)[:, None] // 2 % [2, 1, 3] if factors else None
        return Split(pixels, None if labels is None else np.resize(labels, count).astype(np.int32), known)

    return Dataset(name, split(30), split(5), split(num_test), {"class_names": names, "factor_names": factors})


DATASETS = {
    each.name: each
    for each in (
        dataset("digits", (28, 28), range(10), 40),
        dataset("/data/letters", (28, 28), range(1, 27), 40, names=["", r"$\frac$", "_a", *["a longer name"] * 5]),
        dataset("wide", (30, 34), [7], 40),
        dataset("unlabelled", (5, 5), None, 40),
        dataset("tiny", (4, 4), range(10), 40),
        dataset("one image", (6, 6), range(3), 1),
        dataset("black", (4, 4), range(3), 40, black=True),
        dataset("known", (4, 4), None, 40, factors=["size", "hue", "shape"]),
    )
}


def write_run(workdir, config, diverged=False):
    """Writes a run's folder as after a training, with parameters drawn at random, or with NaN."""
    folder, shape = run_dir(workdir, config), DATASETS[config.dataset].test.images.shape[1:]
    random = np.random.default_rng(config.seed)
    shapes = runs.param_shapes(make_program(config, shape))
    scale = np.nan if diverged else 0.3
    flat = {name: (scale * random.normal(size=size)).astype(dtype) for name, (size, dtype) in shapes.items()}
    params = flax.traverse_util.unflatten_dict(flat, sep="/")
    write_config(folder, config, DataIdentity("", None, {}))
    rows = [{"epoch": epoch} for epoch in range(1, config.num_epochs + 1)]
    for row in rows:
        row |= {
            f"{s}_{t}": 90.0 + row["epoch"] + config.seed
            for s in ("train", "validation")
            for t in ("loss", "distortion")
        }
        row |= {"train_rate": 5.0, "validation_rate": 5.0} if config.model == "vae" else {}
    if diverged:
        rows = [{name: value if name == "epoch" else None for name, value in rows[0].items()} | {"diverged": True}]
    write_metrics(folder, rows)
    runs.write_params(folder, config, params, shape)


def measured(config):
    """Returns numbers that a run might have."""
    values = {"test_distortion": 100 + config.kl_weight + config.seed, "prior_frechet": 300.0}
    values |= {"prior_gap": 50.0, "gaussian_hole_mass": 0.25, "step_0_3_change": 0.5}
    values |= {"gaussian_frechet": 30.0, "mixture_frechet": 7.0, "aggregate_frechet": 2.0}
    values |= {f"{sampler}_coverage": 0.5 for sampler in ("prior", "gaussian", "mixture", "aggregate")}
    values |= {"prior_implausible": 0.25, "reconstruction_implausible": 0.125}
    if config.model == "vae":
        kl = [0.1, 3.0 / (config.kl_weight or 0.1) + config.seed, *[1.0] * (config.latent_dim - 2)][: config.latent_dim]
        rate = {"test_rate": sum(kl), "test_kl_per_dimension": kl, "test_active_units": config.latent_dim}
        values |= rate | {"validation_elbo": -values["test_distortion"] - sum(kl), "test_elbo": -110.0}
    return values


def make_inputs(workdir, configs, base=SMALL, values=None):
    return Inputs(list(configs), {c: measured(c) for c in configs} if values is None else values, base, workdir)


@pytest.fixture(autouse=True)
def in_memory(monkeypatch, coarse_grids):
    """Data sets in memory, and densities of their codes on coarse grids."""
    monkeypatch.setattr(maps, "SIDE", 40)
    monkeypatch.setattr(inputs, "dataset_of", lambda run, data_dir: DATASETS[run.config.dataset])


@pytest.fixture
def drawn(monkeypatch):
    """Records the positional arguments of every call of a drawing function."""

    def spy(module, name):
        calls, function = [], getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, **kwargs: calls.append(args) or function(*args, **kwargs))
        return calls

    return spy


GRIDS = {
    "sizes and classes": expand(SMALL, {"dataset": tuple(DATASETS)[:4], "model": ("ae", "vae"), "kl_weight": (0.5,)})
    + expand(SMALL, {"dataset": ("digits",), "kl_weight": (4.0,)}),
    "extremes": expand(SMALL, {"dataset": ("one image",), "latent_dim": (1, 2, 3), "kl_weight": (0.0, 1.0)})
    + expand(SMALL, {"dataset": ("black",), "latent_dim": (2, 3)}),
    "diverged": expand(SMALL, {"dataset": ("known",), "latent_dim": (2, 3), "model": ("ae", "vae"), "seed": (0, 1)}),
}
NOT_IN = {  # figures that the runs of a grid have nothing for
    "sizes and classes": {"heat_maps", "traversals", "kl_per_dimension", "factor_map"},
    "extremes": {"factor_map"},
    "diverged": {"rate_distortion", "heat_maps", "samples_by_kl_weight"},
}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    workdir, made = tmp_path_factory.mktemp("grids"), {}
    for name, configs in GRIDS.items():
        for config in configs:
            write_run(workdir / name, config, diverged=name == "diverged" and config.seed == 0)
        values = {c: {"diverged_epoch": 1} if name == "diverged" and c.seed == 0 else measured(c) for c in configs}
        made[name] = make_inputs(workdir / name, configs, values=values)
    return made


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("grid", GRIDS)
def test_every_figure_copes_with_every_kind_of_run_and_nothing_is_cut_off(kinds, grid, name):
    """Data sets of several sizes and class lists in one grid, no labels, one image, one class, black, NaN."""
    with style.in_style():
        drawing = FIGURES[name].draw(kinds[grid])
        assert (drawing is None) == (name in NOT_IN[grid])
        if drawing is not None:
            drawing.figure.draw_without_rendering()
            box, page = drawing.figure.get_tightbbox(), drawing.figure.bbox_inches
            assert box.x0 > -0.01
            assert box.y0 > -0.01
            assert box.x1 < page.x1 + 0.01
            assert box.y1 < page.y1 + 0.01


# Which settings are shown.


def test_whole_rows_and_columns_are_shown_with_the_base_and_the_extremes():
    experiment = catalog.load("kl_weight")
    chosen = make_inputs(None, experiment.configs, base=experiment.base).choose().configs
    assert len(chosen) == 12
    rows = {dim: [c.kl_weight for c in chosen if c.latent_dim == dim] for dim in (2, 16)}
    assert rows[2] == rows[16]
    assert {0.1, 1.0, 8.0} < set(rows[2])


def test_settings_that_fit_are_all_shown_models_of_a_setting_side_by_side():
    configs = expand(Config(), {"latent_dim": (3, 2), "model": ("vae", "ae"), "kl_weight": (4.0, 1.0), "seed": (5, 1)})
    chosen = make_inputs(None, configs).choose()
    assert chosen.note == ""
    assert [(c.latent_dim, c.model, c.kl_weight, c.seed) for c in chosen.configs] == [
        (2, "ae", 1, 5), (2, "vae", 1, 5), (2, "vae", 4, 5), (3, "ae", 1, 5), (3, "vae", 1, 5), (3, "vae", 4, 5),
    ]  # fmt: skip
    assert [len(group) for group in grouped(chosen.configs, lambda config: config.latent_dim)] == [3, 3]
    assert make_inputs(None, []).choose().configs == []


def test_the_order_of_models_and_their_names_are_the_registrys(monkeypatch):
    configs = expand(Config(), {"model": ("vae", "ae")})
    turned = {"vae": inputs.MODELS["vae"]._replace(title="β-VAE"), "ae": inputs.MODELS["ae"]}
    monkeypatch.setattr(inputs, "MODELS", turned)
    shown = make_inputs(None, configs)
    assert [shown.label(config) for config in shown.choose().configs] == ["β-VAE", "AE"]


@pytest.mark.parametrize(
    ("most", "keep", "expected"),
    [
        (9, 3, [1, 2, 3, 4, 5, 6, 7]), (3, 6, [1, 6, 7]), (3, 1, [1, 4, 7]), (2, 2, [2, 7]), (2, 7, [1, 7]),
        (1, 2, [2]), (1, None, [4]), (5, 99, [1, 3, 4, 5, 7]),
    ],
)  # fmt: skip
def test_values_are_chosen_evenly_with_both_ends_and_the_one_to_keep(most, keep, expected):
    assert spaced([1, 2, 3, 4, 5, 6, 7], most, keep) == expected


@pytest.mark.parametrize("models", [("vae",), ("ae", "vae")])
def test_a_long_grid_is_thinned_and_both_models_stay(models):
    configs = expand(Config(), {"model": models, "latent_dim": tuple(range(1, 31)), "seed": (0, 1)})
    chosen = make_inputs(None, configs, base=Config(latent_dim=17)).choose()
    dims = [config.latent_dim for config in chosen.configs]
    assert len(chosen.configs) == 12
    assert [config.model for config in chosen.configs] == list(models) * (12 // len(models))
    assert {1, 17, 30} <= set(dims)
    assert chosen.note == f"12 of {30 * len(models)} settings"


def test_a_figure_says_that_settings_are_left_out(tmp_path):
    configs = expand(SMALL, {"dataset": ("tiny",), "kl_weight": tuple(map(float, range(14)))})
    for config in configs:
        write_run(tmp_path, config)
    drawing = decodes.samples(make_inputs(tmp_path, configs))
    assert drawing.facts == "12 of 14 settings are shown."
    assert drawing.figure.get_suptitle() == "12 of 14 settings"
    assert sum(ax.get_title() != "" for ax in drawing.figure.axes) == 12
    curves = numbers.training_curves(make_inputs(tmp_path, configs))
    assert curves.facts == "12 of 14 settings are shown."


def test_labels_tell_settings_apart_and_leave_out_what_a_model_ignores():
    grid = {"model": ("ae", "vae"), "kl_weight": (0.5, 1.0), "latent_dim": (2, 8), "seed": (0, 1)}
    configs = expand(Config(), grid)
    assert list(dict.fromkeys(map(make_inputs(None, configs).label, configs))) == [
        "AE, latent_dim 2", "AE, latent_dim 8", "VAE, latent_dim 2, kl_weight 0.5", "VAE, latent_dim 8, kl_weight 0.5",
        "VAE, latent_dim 2, kl_weight 1", "VAE, latent_dim 8, kl_weight 1",
    ]  # fmt: skip


def test_a_folder_of_data_has_its_own_name_if_no_other_has_the_same():
    sets = ("mnist_5k", "idx:/a/letters", "idx:/a/x", "idx:/b/x/")
    shown = make_inputs(None, expand(Config(), {"dataset": sets}))
    assert [shown.value(config, "dataset") for config in shown.configs] == [
        "mnist_5k", "letters", "idx:/a/x", "idx:/b/x/",
    ]  # fmt: skip


def test_a_run_that_diverged_says_so_above_its_panel(tmp_path):
    (config,) = expand(SMALL, {"dataset": ("tiny",)})
    write_run(tmp_path, config, diverged=True)
    drawing = decodes.samples(make_inputs(tmp_path, [config], values={config: {"diverged_epoch": 3}}))
    assert drawing.figure.axes[0].get_title() == "VAE\ndiverged in epoch 3"
    assert make_inputs(None, [config]).note(config) == ""


def test_long_texts_are_broken_between_fields():
    text = "VAE, dataset kmnist, latent_dim 16"
    assert panels.broken(text, 34) == text
    assert panels.broken(text, 33).split("\n") == ["VAE,", "dataset kmnist,", "latent_dim 16"]
    assert panels.broken("25 % of N(0, I), 9 %", 9).split("\n") == ["25 % of N(0, I),", "9 %"]


def arranged(grid, base=SMALL):
    """The grid of settings of some runs, each as its fields, and what stands beside and above them."""
    configs = expand(base, grid)
    shown = make_inputs(None, configs, base)
    chosen = shown.choose().configs
    names = panels.names_of(shown, chosen)
    lines = panels.arrange(shown, chosen)
    return [
        [config and (config.model, config.latent_dim, config.kl_weight) for config in line] for line in lines
    ], names


def test_a_grid_of_settings_has_rows_of_latent_dims_and_columns_of_models_and_kl_weights():
    lines, names = arranged({"model": ("vae", "ae"), "kl_weight": (4.0, 0.5), "latent_dim": (8, 2), "seed": (0, 1)})
    assert lines == [[("ae", dim, 1.0), ("vae", dim, 0.5), ("vae", dim, 4.0)] for dim in (2, 8)]
    assert set(names.values()) == {
        (f"latent_dim {dim}", column) for dim in (2, 8) for column in ("AE", "VAE, kl_weight 0.5", "VAE, kl_weight 4")
    }


def test_one_model_is_not_named_beside_what_was_swept():
    lines, names = arranged({"kl_weight": (0.5, 4.0), "latent_dim": (2, 8)})
    assert lines == [[("vae", dim, weight) for weight in (0.5, 4.0)] for dim in (2, 8)]
    assert next(iter(names.values())) == ("latent_dim 2", "kl_weight 0.5")
    assert list(arranged({})[1].values()) == [("", "VAE")]


def test_what_is_not_trained_is_an_empty_place_in_its_row_and_column():
    configs = expand(SMALL, {"latent_dim": (2, 8), "kl_weight": (0.5, 4.0)})[1:]  # 2 at 0.5 is missing
    shown = make_inputs(None, configs)
    assert panels.arrange(shown, shown.choose().configs) == [[None, configs[0]], list(configs[1:])]


@pytest.mark.parametrize(("count", "widths"), [(1, [1]), (4, [4]), (5, [3, 3]), (7, [4, 4]), (12, [4, 4, 4])])
def test_one_row_of_settings_is_broken_into_even_ones(count, widths):
    lines, _ = arranged({"kl_weight": tuple(map(float, range(count)))})
    assert list(map(len, lines)) == widths
    assert [config[2] for line in lines for config in line if config] == list(range(count))


def test_two_shared_fields_make_a_grid():
    configs = expand(SMALL, {"activation": ("relu", "tanh"), "latent_dim": (2, 8, 16)})
    shown = make_inputs(None, configs)
    lines = panels.arrange(shown, shown.choose().configs)
    assert [[(c.latent_dim, c.activation) for c in line] for line in lines] == [
        [(dim, activation) for activation in ("relu", "tanh")] for dim in (2, 8, 16)
    ]


def test_panels_name_rows_at_the_left_columns_at_the_top_and_their_seed_in_the_facts(tmp_path):
    configs = expand(SMALL, {"dataset": ("tiny",), "latent_dim": (2, 3), "kl_weight": (0.5, 4.0), "seed": (0, 1)})
    for config in configs:
        write_run(tmp_path, config)
    drawing = decodes.samples(make_inputs(tmp_path, configs))
    axes = drawing.figure.axes
    assert [ax.get_title() for ax in axes] == ["kl_weight 0.5", "kl_weight 4", "", ""]
    assert [ax.get_ylabel() for ax in axes] == ["latent_dim 2", "", "latent_dim 3", ""]
    assert drawing.facts == "Of 2 seeds, seed 0 is drawn."
    one_row = decodes.manifold(make_inputs(tmp_path, configs))
    assert one_row.figure.get_suptitle() == "latent_dim 2"
    assert [ax.get_ylabel() for ax in one_row.figure.axes] == ["z₂", ""]
    assert [ax.get_xlabel() for ax in one_row.figure.axes] == ["z₁", "z₁"]


def test_any_number_of_models_stand_beside_each_other(tmp_path):
    configs = expand(SMALL, {"dataset": ("tiny",), "model": tuple(MODELS)})
    for config in configs:
        write_run(tmp_path, config)
    shown = make_inputs(tmp_path, configs)
    titles = [model.title for model in MODELS.values()]
    for name in ("latent_space", "manifold", "posteriors", "interpolations", "samples"):
        axes = FIGURES[name].draw(shown).figure.axes
        assert [ax.get_title().split("\n")[0] for ax in axes[: len(titles)]] == titles
    assert [ax.get_ylabel() for ax in FIGURES["hero"].draw(shown).figure.axes if ax.get_ylabel()] == titles
    (ax,) = FIGURES["reconstructions"].draw(shown).figure.axes
    assert [label.get_text().split("\n")[0] for label in ax.get_yticklabels()] == ["original", *titles]


def test_figures_of_the_first_seed_say_so_and_the_glance_which_settings_it_shows(tmp_path):
    configs = expand(SMALL, {"dataset": ("tiny",), "model": ("ae", "vae"), "kl_weight": (1.0, 4.0), "seed": (3, 1)})
    for config in configs:
        write_run(tmp_path, config)
    shown = make_inputs(tmp_path, configs)
    for name in ("reconstructions", "samples"):
        assert FIGURES[name].draw(shown).facts == "Of 2 seeds, seed 3 is drawn."
    assert FIGURES["hero"].draw(shown).facts == "Shown: AE; VAE, kl_weight 1. Of 2 seeds, seed 3 is drawn."
    assert FIGURES["hero"].draw(make_inputs(tmp_path, configs[:1])).facts == ""


# The drawings.


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """An AE and a VAE on each of two data sets of different size and classes."""
    workdir = tmp_path_factory.mktemp("mixed")
    configs = expand(SMALL, {"dataset": ("tiny", "/data/letters"), "model": ("ae", "vae")})
    for config in configs:
        write_run(workdir, config)
    return make_inputs(workdir, configs)


def test_each_model_reconstructs_images_of_its_own_data_set(mixed, drawn):
    calls = drawn(images, "image_grid")
    decodes.reconstructions(mixed)
    assert [call[3] for call in calls] == [list(DATASETS[name].classes.values()) for name in ("tiny", "/data/letters")]
    titles = [call[0].get_title() for call in calls]
    assert titles == ["tiny, 2 numbers for each image", "letters, 2 numbers for each image"]
    for (_, (originals, *rows), names, _), name in zip(calls, ("tiny", "/data/letters"), strict=True):
        test = DATASETS[name].test
        firsts = np.array([test.images[np.flatnonzero(test.labels == label)[0]] for label in np.unique(test.labels)])
        np.testing.assert_allclose(originals, firsts / 255, rtol=1e-6)
        own = [config for config in mixed.configs if config.dataset == name]
        assert names == ["original", "AE\n101.0 nats", "VAE\n101.0 nats"]
        for config, row in zip(own, rows, strict=True):
            run = mixed.run(config)
            np.testing.assert_array_equal(row, run.decode(run.encode(firsts).mean))


@pytest.mark.parametrize(
    "name",
    [
        "reconstructions", "manifold", "interpolations", "hero", "samples_by_kl_weight",
    ],
)  # fmt: skip
def test_pictures_of_large_images_have_as_many_pixels_as_show_and_are_decoded_in_parts(kinds, monkeypatch, name):
    seen, decode = [], runs._decode
    monkeypatch.setattr(
        runs, "_decode", lambda program, params, z: seen.append((len(z), program)) or decode(program, params, z)
    )  # fmt: skip
    monkeypatch.setattr(networks, "CHUNK_PIXELS", 20_000)
    monkeypatch.setattr(inputs, "MAX_SIDE", 10)
    tiles, grid = [], images.image_grid
    monkeypatch.setattr(
        images, "image_grid", lambda ax, each, *args, **kw: tiles.append(each) or grid(ax, each, *args, **kw)
    )
    # Anew: what is encoded in small parts must not stay among what the tests of this module share, as bits differ.
    FIGURES[name].draw(dataclasses.replace(kinds["sizes and classes"]))
    assert max(count * np.prod(program.network.image_shape) for count, program in seen) <= 20_000
    assert max(max(each.shape[2:]) for each in tiles) <= 10


def test_images_are_averaged_over_blocks_until_their_sides_have_few_pixels(monkeypatch):
    tiles = np.arange(2 * 5 * 6, dtype=np.float32).reshape(2, 5, 6)
    assert inputs.shrunk(tiles) is tiles
    monkeypatch.setattr(inputs, "MAX_SIDE", 3)
    small = inputs.shrunk(tiles)
    assert small.shape == (2, 3, 3)  # blocks of 2 x 2, the last row of blocks filled up with the last row of pixels
    np.testing.assert_allclose(small[1, 0], [(30 + 31 + 36 + 37) / 4, 35.5, 37.5])
    np.testing.assert_allclose(small[0, 2], [24.5, 26.5, 28.5])


def test_one_image_per_class_in_the_order_of_the_classes():
    pixels = np.arange(20)

    def first(split, most, *names):
        return decodes.one_per_class(Dataset("", split, split, split, {"class_names": names}), most)

    images, names = first(Split(pixels, None), 26)
    np.testing.assert_array_equal(images, pixels[:10])
    assert names is None
    images, names = first(Split(pixels[:4], np.array([2, 0, 2, 1])), 26, "bag", "", "a very long name")
    np.testing.assert_array_equal(images, [1, 3, 0])
    assert names == ["bag", "1", "a very long n…"]
    assert first(Split(pixels, pixels + 5), 3)[1] == ["5", "15", "24"]


def test_long_names_have_the_room_that_they_need(kinds, drawn):
    calls = drawn(images, "image_grid")
    with style.in_style():
        drawing = decodes.reconstructions(kinds["sizes and classes"])
        decodes.interpolations(kinds["sizes and classes"])
    rotations = {ax.get_xticklabels()[1].get_text(): ax.get_xticklabels()[1].get_rotation()
                 for ax in drawing.figure.axes if len(ax.get_xticklabels()) > 1}  # fmt: skip
    assert rotations == {"1": 0, "_a": 45}  # of digits, and of letters of which some have long names
    assert {call[2][0] for call in calls if call[2]} >= {"0 → 5", "$\\frac$\n→ 15"}


def test_a_legend_has_all_classes_even_of_one_name():
    figure, _ = style.new_figure(1, 1, 4, 4)
    with style.in_style():
        panels.share_legend(figure, planes.class_key({0: "_a", 1: r"$\frac$", 2: r"$\frac$"}))
    figure.draw_without_rendering()  # dollar signs are no formula
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["_a", r"$\frac$", r"$\frac$"]


def test_codes_are_shown_by_class(mixed, drawn):
    calls = drawn(planes, "latent_codes")
    latents.latent_space(mixed)
    for config, call in zip(mixed.choose().configs, calls, strict=True):
        test = DATASETS[config.dataset].test
        np.testing.assert_array_equal(call[1], mixed.run(config).encode(test.images).mean)
        np.testing.assert_array_equal(call[2], test.labels)
        assert call[5] == DATASETS[config.dataset].classes


def test_a_panel_ends_beyond_its_codes_and_two_standard_deviations_but_for_a_far_one():
    angle = np.linspace(0, 2 * np.pi, 1000, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert latents.limit_of(circle) == 2.6
    assert latents.limit_of(10 * circle) == pytest.approx(10.5)
    assert latents.limit_of(np.vstack([10 * circle, [[1000, 0]]])) == pytest.approx(13.65, rel=1e-2)
    assert latents.limit_of(np.full((3, 2), np.nan)) == 2.6


@pytest.mark.parametrize(("reach", "limit"), [((10, 5), 10 * 1.05), ((100, 5), 3 * 5 * 1.05)])
def test_models_beside_each_other_have_the_scale_of_the_widest_but_for_one_that_is_far_wider(tmp_path, reach, limit):
    configs = expand(SMALL, {"dataset": ("tiny",), "model": ("ae", "vae"), "latent_dim": (2, 3)})
    shown, corners = make_inputs(tmp_path, configs), np.resize(np.float32([[1, 1], [-1, -1]]), (40, 2))
    for config in configs:
        codes = reach[config.model == "vae"] * corners if config.latent_dim == 2 else np.eye(40, 3)
        shown._runs[config] = fake_run(codes)[1]._replace(config=config)
        shown._codes[config] = runs.Codes(codes, None)
    planes_of = latents.planes_of(shown, configs)
    assert [planes_of[c].limit for c in configs if c.latent_dim == 2] == pytest.approx([limit] * 2)
    assert [planes_of[c].limit for c in configs if c.latent_dim == 3] == [2.6] * 2  # they are not beside the others
    axes = latents.latent_space(shown).figure.axes
    assert axes[0].get_xlim() == axes[1].get_xlim() == pytest.approx((-limit, limit))


def fake_run(codes, name="tiny"):
    """A run whose encoder returns these codes, and whose decoder a grey image of the first coordinate."""
    codes = np.asarray(codes, np.float32)
    config = Config(dataset=name, latent_dim=codes.shape[1])

    def decode(z):
        return np.broadcast_to(np.asarray(z, np.float32)[:, :1, None], (len(z), 4, 4))

    return config, TrainedRun(config, {}, lambda pixels: runs.Codes(codes[: len(pixels)], None), decode, None, None)


def inputs_of(codes, asked=None, name="tiny"):
    """Inputs with one fake run, which appends what it is asked to decode to a list."""
    config, run = fake_run(codes, name)
    made = make_inputs(None, [config], base=config)
    listen = [] if asked is None else asked
    made._runs[config] = run._replace(decode=lambda z: listen.append(np.array(z)) or run.decode(z))
    return made


def test_more_dimensions_are_projected_onto_the_axes_of_most_variance_and_the_prior_stays_at_the_origin(drawn):
    """Codes spread by 3 along (1, 1, 0)/√2 and by 2 along the third axis, with their mean at 10 along the first."""
    calls = drawn(planes, "latent_codes")
    angle = 2 * np.pi * np.arange(40) / 40
    along, third = 10 + 3 * np.cos(angle), 2 * np.sin(angle)
    latents.latent_space(inputs_of(np.stack([along / 2**0.5, along / 2**0.5, third], axis=1)))
    (ax, codes, *_), *_ = calls
    np.testing.assert_allclose(np.abs(codes[:, 0]), along, rtol=1e-5)  # float32 codes
    np.testing.assert_allclose(np.abs(codes[:, 1]), np.abs(third), atol=1e-5)
    assert ax.get_xlabel() == "axis 1 (69 %)"  # 9 / (9 + 4)
    assert ax.get_ylabel() == "axis 2 (31 %)"
    assert [np.linalg.norm(line.get_xydata(), axis=1).mean() for line in ax.get_lines()] == pytest.approx([1, 2])


def test_each_panel_says_what_share_of_the_codes_is_beyond_two_standard_deviations():
    codes = np.zeros((40, 2))
    codes[:10] = [2.1, 0]
    codes[10:12] = [1.4, 1.4]  # 1.98 from the origin
    drawing = latents.latent_space(inputs_of(codes))
    assert drawing.figure.axes[0].get_title() == "VAE\n25 % > 2 sd"
    for dims, words in ((1, "{} in one"), (2, "{} in two dimensions")):  # both against the exact share
        assert words.format(f"{100 * scipy.stats.chi2.sf(4, dims):.1f} %") in FIGURES["latent_space"].caption


def test_one_dimension_is_spread_at_random_over_the_other_axis(drawn):
    calls = drawn(planes, "latent_codes")
    values = np.linspace(-8, 8, 40)
    ax = latents.latent_space(inputs_of(values[:, None])).figure.axes[0]
    np.testing.assert_allclose(calls[0][1][:, 0], values, rtol=1e-6)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("z₁", "(spread at random)")
    assert np.ptp(calls[0][1][:, 1]) > 8  # over most of the panel
    assert all(len(set(line.get_xdata())) == 1 for line in ax.get_lines())  # no circles


def test_posteriors_have_their_variance_and_show_a_quarter_of_the_plane_around_its_middle(mixed, drawn):
    calls = drawn(planes, "posterior_ellipses")
    latents.posteriors(mixed)
    for config, call in zip(mixed.choose().configs, calls, strict=True):
        mean, logvar = mixed.run(config).encode(DATASETS[config.dataset].test.images)
        _, means, logvars, labels, limit, center, classes = call
        assert classes == DATASETS[config.dataset].classes
        assert limit == latents.limit_of(mean) / 4
        np.testing.assert_allclose(center, np.median(mean, axis=0), rtol=1e-6)
        inside = np.abs(mean - np.median(mean, axis=0)).max(axis=1) <= limit
        np.testing.assert_array_equal(means, mean[inside])
        np.testing.assert_array_equal(labels, DATASETS[config.dataset].test.labels[inside])
        assert (logvars is None) == (logvar is None) == (config.model == "ae")
        if logvar is not None:
            np.testing.assert_array_equal(logvars, logvar[inside])


def test_holes_are_where_the_density_is_below_its_level(mixed, drawn):
    calls = drawn(planes, "plane_map")
    flat = [config for config in mixed.configs if config.latent_dim == 2]
    numbers = {config: {"gaussian_hole_mass": 0.5} for config in flat[1:]}
    shown = dataclasses.replace(mixed, numbers=numbers)
    drawing = maps.holes(shown)
    panels = [ax for ax in drawing.figure.axes if ax.images]
    assert len({ax.images[0].get_clim() for ax in panels}) == 1
    assert len([ax for ax in drawing.figure.axes if "log q(z)" in ax.get_ylabel()]) == 1
    chosen = shown.choose(flat).configs
    for config, (ax, log_density, level, _, codes, labels, limit, _) in zip(chosen, calls, strict=True):
        run, own = shown.run(config), DATASETS[config.dataset]
        np.testing.assert_array_equal(codes, run.encode(own.test.images).mean)
        np.testing.assert_array_equal(labels, own.test.labels)
        assert (level, limit) == (0, latents.limit_of(codes))
        assert ("50 % of their Gaussian\nin holes" in ax.get_title()) == (config in numbers)
        q = run_density(run, own.train.images)
        corner = limit * (1 - 1 / maps.SIDE)  # the centre of the last cell
        for place, z in (((0, -1), [corner, corner]), ((-1, -1), [corner, -corner])):  # row 0 is the top
            expected = q.log(np.array([z]))[0] - hole_level(q)
            assert log_density[place] == pytest.approx(expected, rel=1e-5, abs=1e-4)  # float32


def test_the_caption_names_the_darker_side_of_a_line_which_a_closed_line_may_surround():
    """A ring of good places around bad ones: what lies inside the inner line is as bad as what lies outside."""
    radius = np.linalg.norm(np.stack(np.meshgrid(*[np.linspace(-1, 1, 41)] * 2)), axis=0)
    values = 0.7 - np.abs(radius - 0.5)  # good where 0.3 < radius < 0.7
    _, axes = style.new_figure(1, 1, 4, 4)
    ax = axes[0, 0]
    planes.plane_map(ax, values, 0.5, (0, 1), np.zeros((1, 2)), None, 1, {})
    image, lines = ax.images[0], [each for each in ax.collections if each.get_array() is not None]
    (line,) = lines
    radii = {round(float(np.linalg.norm(place)), 1) for path in line.get_paths() for place in path.vertices}
    assert radii == {0.3, 0.7}  # two closed lines
    bad, good, outside = (np.sum(image.to_rgba(values[20, column])[:3]) for column in (20, 30, 38))
    assert max(bad, outside) < good
    assert "darker side" in FIGURES["holes"].caption
    assert "nside" not in FIGURES["holes"].caption
    assert "ithin" not in FIGURES["holes"].caption


def test_the_manifold_is_decoded_at_equal_shares_of_the_prior(drawn):
    calls, asked = drawn(images, "image_grid"), []
    decodes.manifold(inputs_of(np.zeros((40, 2)), asked))
    ((_, decoded, rows, columns, *names),) = calls
    shares = scipy.stats.norm.ppf((np.arange(20) + 0.5) / 20)
    z = np.concatenate(asked)[: 20**2].reshape(20, 20, 2)
    np.testing.assert_allclose(z[:, :, 0], np.broadcast_to(shares, (20, 20)), rtol=1e-5)  # to the right
    np.testing.assert_allclose(z[:, :, 1], np.broadcast_to(shares[::-1, None], (20, 20)), rtol=1e-5)  # up
    np.testing.assert_allclose(decoded[:, :, 0, 0], z[:, :, 0])  # the fake decoder shows z₁
    assert [text for text in columns if text] == ["−2.0", "2.0"]
    assert [text for text in rows if text] == ["2.0", "−2.0"]
    assert names == ["z₁", "z₂"]


def test_a_sheet_of_samples_for_each_thing_known_of_the_codes(drawn):
    calls = drawn(images, "image_grid")
    codes = np.random.default_rng(0).normal(5, 0.1, (40, 2))
    decodes.samples(inputs_of(codes))
    decodes.samples(inputs_of(np.zeros((40, 2))))
    (_, tiles, rows), (_, others, _) = calls
    assert [name.replace("\n", " ") for name in rows] == [
        "nothing: N(0, I)", "mean and covariance", "mixture of ten", "the codes themselves",
    ]  # fmt: skip
    assert tiles.shape == (4, 1, 2 * 4 + 1, 10 * 4 + 9)
    means = np.nanmean(tiles, axis=(1, 2, 3))
    assert abs(means[0]) < 1  # 20 draws of N(0, 1)
    np.testing.assert_allclose(means[1:], 5, atol=0.2)
    np.testing.assert_array_equal(tiles[0], others[0])  # the same draws for all models


def test_interpolations_run_straight_between_codes_with_the_images_at_their_ends(drawn):
    calls = drawn(images, "image_grid")
    codes = np.arange(80).reshape(40, 2)
    decodes.interpolations(inputs_of(codes))
    ((_, paths, names),) = calls
    assert names == ["0 → 5", "1 → 6", "2 → 7", "3 → 8", "4 → 9"]
    test = DATASETS["tiny"].test.images / 255
    assert paths.shape[:2] == (5, 11)
    for row, path in enumerate(paths):  # tiny's first images are of classes 0 to 9
        np.testing.assert_allclose(path[[1, 5, 9], 0, 0], [2 * row, 2 * row + 5, 2 * row + 10], rtol=1e-6)
        np.testing.assert_allclose(path[[0, 10]], test[[row, row + 5]], rtol=1e-6)


def test_a_traversal_moves_one_dimension_and_the_one_that_varies_most_first(drawn):
    calls, asked = drawn(images, "image_grid"), []
    made = inputs_of(np.random.default_rng(0).normal([1, 2, 3], [1, 5, 2], (40, 3)), asked)
    decodes.traversals(made)
    codes = made.run(made.configs[0]).encode(DATASETS["tiny"].test.images).mean
    ((_, tiles, names, steps),) = calls
    assert names == ["z₂", "z₃", "z₁"]
    assert [step for step in steps if step] == ["−3 sd", "0 sd", "3 sd"]
    values = np.linspace(-3, 3, 9)
    z = asked[0][: 3 * 9].reshape(3, 9, 3)
    np.testing.assert_array_equal(tiles[:, :, 0, 0], z[:, :, 0])  # the fake decoder shows the first coordinate
    z = z - codes.mean(axis=0)
    for row, dimension in enumerate([1, 2, 0]):
        np.testing.assert_allclose(z[row, :, dimension], values * codes.std(axis=0)[dimension], rtol=1e-3, atol=1e-5)
        assert np.count_nonzero(np.abs(np.delete(z[row], dimension, axis=1)) > 1e-6) == 0


def test_dimensions_stand_by_kl_with_the_factor_that_they_know_most_of(drawn):
    maps_of, grids = drawn(plots, "share_map"), drawn(images, "image_grid")
    values = DATASETS["known"].test.factors
    noise = np.random.default_rng(0).normal(size=len(values))
    codes = np.stack([values[:, 2], 9 * (noise > 0), 100 * values[:, 0], 0 * noise], axis=1).astype(float)
    made = inputs_of(codes, name="known")
    (config,) = made.configs
    by_variance = ["z₃ size", "z₂", "z₁ shape", "z₄"]
    for kl, expected in ((None, by_variance), ([0.3, 0.1, 0.0, 0.2], ["z₁ shape", "z₄", "z₂", "z₃ size"])):
        made.numbers[config] = {"mig": 0.874} | ({} if kl is None else {"test_kl_per_dimension": kl})
        drawing = factors.factor_map(made)
        decodes.traversals(made)
        (_, shares, rows, columns), (_, _, names, _) = maps_of.pop(), grids.pop()
        assert names == expected
        assert rows == [name.split(" ")[0] for name in names]
        assert columns == ["size", "shape"]  # the hue does not vary
        order = [int("₁₂₃₄".index(row[1])) for row in rows]
        for row, dimension in enumerate(order):
            for column, factor in enumerate((0, 2)):
                entropy = sklearn.metrics.mutual_info_score(values[:, factor], values[:, factor])
                known = sklearn.metrics.mutual_info_score(codes[:, dimension].astype(int), values[:, factor])
                assert shares[row, column] == pytest.approx(known / entropy, abs=1e-9)
        (ax,) = drawing.figure.axes
        assert ax.get_title().endswith("gap 0.87")
        texts = [text.get_text() for text in ax.texts]
        assert texts == [f"{100 * share:.0f}" for share in shares.ravel()]
        assert ax.images[0].get_clim() == (0, 1)


def test_by_kl_weight_each_panel_decodes_the_same_draws_of_a_run_that_is_judged_or_only_shown(tmp_path, drawn):
    calls = drawn(images, "image_grid")
    configs = expand(SMALL, {"dataset": ("tiny",), "model": ("ae", "vae"), "kl_weight": (0.5, 4.0), "seed": (0, 1)})
    for config in configs:
        write_run(tmp_path, config)
    judged, shown = [c for c in configs if c.kl_weight != 4], [c for c in configs if c.kl_weight == 4 and c.seed == 0]
    shown_beside = dataclasses.replace(make_inputs(tmp_path, judged), shown=shown)
    drawing = decodes.samples_by_kl_weight(shown_beside)
    assert [ax.get_title() for ax in drawing.figure.axes] == ["AE", "VAE, kl_weight 0.5", "VAE, kl_weight 4"]
    z = np.random.default_rng(0).standard_normal((36, 2), np.float32)
    for (model, weight), (_, tiles) in zip((("ae", 1.0), ("vae", 0.5), ("vae", 4.0)), calls, strict=True):
        run = shown_beside.run(next(c for c in configs if c.model == model and c.kl_weight == weight))
        assert run.config.seed == 0
        np.testing.assert_allclose(tiles.reshape(36, 4, 4), run.decode(z), atol=1e-6)
    assert decodes.samples_by_kl_weight(make_inputs(tmp_path, judged)) is None


def test_the_glance_has_draws_at_most_dimensions_and_the_plane_at_two(tmp_path, drawn):
    calls, codes = drawn(images, "image_grid"), drawn(planes, "latent_codes")
    configs = expand(SMALL, {"dataset": ("tiny",), "model": ("ae", "vae"), "latent_dim": (2, 5, 3)})
    configs = [config for config in configs if (config.model, config.latent_dim) != ("ae", 5)]  # the VAE's alone
    for config in configs:
        write_run(tmp_path, config)
    shown = make_inputs(tmp_path, configs)
    FIGURES["hero"].draw(shown)
    for model, (_, raw), (_, fitted), (_, places, *_) in zip(
        ("ae", "vae"), calls[::2], calls[1::2], codes, strict=True
    ):
        large, flat = (next(c for c in configs if c.model == model and c.latent_dim == dims) for dims in (3, 2))
        draws = draw_samplers(shown.run(large), DATASETS["tiny"].train.images, 40, seed=0)
        for tiles, name in ((raw, "prior"), (fitted, "gaussian")):
            np.testing.assert_allclose(tiles.reshape(40, 4, 4), shown.run(large).decode(draws[name]), atol=1e-5)
        np.testing.assert_array_equal(places, shown.codes(flat).mean)
    alone = FIGURES["hero"].draw(make_inputs(tmp_path, configs[-1:])).figure.axes
    assert len(alone) == 3  # of one model at three dimensions
    assert all(ax.get_title().startswith("3 dimensions:") for ax in alone)


# Numbers.


def test_training_curves_have_all_models_of_a_data_set_and_dimension_in_a_panel(tmp_path, drawn):
    calls = drawn(plots, "training_curve")
    configs = expand(SMALL, {"dataset": ("tiny", "wide"), "model": ("ae", "vae"), "seed": (0, 1)})
    for config in configs:
        write_run(tmp_path, config)
    axes = numbers.training_curves(make_inputs(tmp_path, configs)).figure.axes
    assert [ax.get_title() for ax in axes] == ["tiny, 2 dimensions", "wide, 2 dimensions", "", ""]
    assert [(axes.index(ax), label.split("\n")[0], list(curves), width) for ax, curves, label, _, width in calls] == [
        (place, term, models, width)
        for place, (term, models) in enumerate([("distortion", ["AE", "VAE"])] * 2 + [("rate", ["VAE"])] * 2)
        for width in (0.8, 2.0)
    ]  # thin of training images, and thick of validation images
    np.testing.assert_array_equal(calls[0][1]["AE"], [[91, 92], [92, 93]])
    assert axes[0].get_ylim() == axes[1].get_ylim()


def test_models_can_be_told_apart_in_grey_at_each_dimension(tmp_path):
    configs = expand(SMALL, {"dataset": ("tiny",), "model": ("ae", "vae"), "latent_dim": (2, 3)})
    for config in configs:
        write_run(tmp_path, config)
    for ax in numbers.training_curves(make_inputs(tmp_path, configs)).figure.axes[:2]:
        assert [line.get_linestyle() for line in ax.get_lines()] == ["-", "--"] * 2


def looks_of(grid):
    configs = expand(SMALL, grid)
    return panels.looks_of(make_inputs(None, configs), configs)


def test_a_grid_has_hues_for_its_longer_side_and_dashes_for_its_shorter_one():
    looks = looks_of({"latent_dim": (2, 16), "kl_weight": (0.5, 1.0, 4.0)})
    shades = []
    for weight in ("0.5", "1", "4"):
        solid, dashed = (looks[f"VAE, latent_dim {dim}, kl_weight {weight}"] for dim in (2, 16))
        assert tuple(solid.color) == tuple(dashed.color)
        assert (solid.linestyle, dashed.linestyle) == ("-", "--")
        shades.append(sum(solid.color[:3]))
    assert len(set(shades)) == 3
    assert shades == sorted(shades)  # from dark to light
    looks = looks_of({"model": ("ae", "vae"), "latent_dim": (2, 4, 8)})
    assert [look.linestyle for label, look in looks.items() if "latent_dim 4" in label] == ["-", "--"]


def test_series_that_make_no_grid_differ_in_colour_and_dash():
    looks = looks_of({"model": ("ae", "vae"), "kl_weight": (0.5, 1.0)})
    assert list(looks) == ["AE", "VAE, kl_weight 0.5", "VAE, kl_weight 1"]
    assert len({look.color for look in looks.values()}) == len({look.linestyle for look in looks.values()}) == 3
    many = looks_of({"kl_weight": tuple(map(float, range(12)))})
    assert len({(tuple(look.color), look.linestyle) for look in many.values()}) == 12


def test_the_key_has_the_looks_of_the_curves_and_models_stand_in_it_in_their_order(tmp_path):
    configs = expand(SMALL, {"dataset": ("tiny",), "model": ("ae", "vae"), "latent_dim": (2, 3), "seed": (0, 1)})
    for config in configs:
        write_run(tmp_path, config)
    (legend,) = numbers.training_curves(make_inputs(tmp_path, configs)).figure.legends
    assert [handle.get_marker() for handle in legend.legend_handles[:2]] == ["", ""]
    assert legend.get_title().get_text() == "mean ± sd over seeds"
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["AE", "VAE", "validation images", "training images"]
    drawing = numbers.sweep(make_inputs(tmp_path, configs[::2]))
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["AE", "VAE"]
    assert legend.get_title().get_text() == ""
    line = drawing.figure.axes[1].get_lines()[0]  # this panel is of the VAE alone
    assert (line.get_color(), line.get_linestyle()) == (
        legend.legend_handles[1].get_color(), legend.legend_handles[1].get_linestyle(),
    )  # fmt: skip


def test_a_sweep_is_the_numbers_against_what_was_swept(drawn):
    calls = drawn(plots, "sweep_curve")
    configs = expand(Config(), {"model": ("ae", "vae"), "kl_weight": (4.0, 0.5, 1.0), "seed": (0, 1)})
    values = {config: measured(config) for config in configs[:-1]}  # kl_weight 1, seed 1 is missing
    drawing = numbers.sweep(make_inputs(None, configs, values=values))
    (ax, x, distortion, name, ylabel, looks) = calls[0]
    assert set(distortion) <= set(looks)
    assert (x, name, ylabel) == ([0.5, 1.0, 4.0], "kl_weight", "test distortion\n(nats per image)")
    assert ax.get_xscale() == "symlog"
    np.testing.assert_array_equal(distortion["AE"], [[101, 102]] * 3)  # it has no KL weight, and is a level line
    np.testing.assert_array_equal(distortion["VAE"], [[100.5, 101.5], [101, np.nan], [104, 105]])
    assert [" ".join(ax.get_ylabel().split()) for ax in drawing.figure.axes] == [
        MEASUREMENTS[name].heading
        for name in (
            "test_distortion", "test_rate", "test_elbo", "prior_frechet", "gaussian_hole_mass", "step_0_3_change",
        )
    ]  # fmt: skip


def test_the_number_with_most_values_is_swept_and_the_others_are_lines(drawn):
    calls = drawn(plots, "sweep_curve")
    grid = {"model": ("ae", "vae"), "learning_rate": (0.1, 0.2), "latent_dim": (2, 3, 4), "activation": ("relu", "elu")}
    configs = expand(Config(), {name: grid[name] for name in ("model", "learning_rate", "latent_dim")})
    numbers.sweep(make_inputs(None, configs))
    _, x, lines, name, *_ = calls[0]
    assert (x, name) == ([2, 3, 4], "latent_dim")
    assert set(lines) == {f"{model}, learning_rate {rate}" for rate in (0.1, 0.2) for model in ("AE", "VAE")}
    calls.clear()
    numbers.sweep(make_inputs(None, expand(Config(), {"activation": grid["activation"]})))
    assert (calls[0][3], calls[0][1]) == ("activation", ["relu", "elu"])


def test_rate_and_distortion_are_paired_by_weight_and_seed(drawn):
    calls = drawn(plots, "rate_distortion")
    configs = expand(Config(), {"model": ("ae", "vae"), "kl_weight": (0.5, 1.0, 4.0), "seed": (0, 1)})
    numbers.rate_distortion(make_inputs(None, configs))
    ((_, rate, distortion, names, shades),) = calls
    assert names == ["0.5", "1", "4"]
    assert shades is None  # one latent_dim
    assert list(rate) == list(distortion) == ["VAE"]
    np.testing.assert_allclose(rate["VAE"], [[6.1, 7.1], [3.1, 4.1], [0.85, 1.85]])
    np.testing.assert_allclose(distortion["VAE"], [[100.5, 101.5], [101, 102], [104, 105]])


def test_data_sets_have_rate_distortion_planes_of_their_own(drawn):
    calls = drawn(plots, "rate_distortion")
    numbers.rate_distortion(make_inputs(None, expand(Config(), {"dataset": ("tiny", "wide"), "kl_weight": (1.0, 2.0)})))
    assert [list(call[1]) for call in calls] == [["VAE, dataset tiny"], ["VAE, dataset wide"]]


def test_the_ladder_has_its_rungs_for_each_dimension_and_model(drawn):
    calls = drawn(plots, "sweep_curve")
    configs = expand(Config(), {"latent_dim": (2, 16), "model": ("ae", "vae"), "seed": (0, 1)})
    drawing = numbers.ladder(make_inputs(None, configs))
    assert [call[4].split(" ")[0] for call in calls] == ["Fréchet", "Fréchet", "coverage", "coverage"]
    for _, rungs, lines, *_ in calls[:2]:
        assert list(rungs) == list(inputs.RUNGS.values())
        assert list(lines) == ["AE", "VAE"]
        np.testing.assert_array_equal(lines["VAE"], np.tile([[300.0], [30.0], [7.0], [2.0]], (1, 2)))
    assert [ax.get_title() for ax in drawing.figure.axes[:2]] == ["2 dimensions", "16 dimensions"]
    assert [ax.get_yscale() for ax in drawing.figure.axes] == ["log", "log", "linear", "linear"]
    assert numbers.ladder(make_inputs(None, configs, values={})) is None
    many = numbers.ladder(make_inputs(None, expand(Config(), {"latent_dim": (2, 4, 8, 16)}))).figure.axes
    turned = [{label.get_rotation() for label in axes[-1].get_xticklabels()} for axes in (drawing.figure.axes, many)]
    assert turned == [{0.0}, {90.0}]  # of many panels names do not fit side by side


def test_kls_are_sorted_in_each_run_from_three_dimensions_on(drawn):
    calls = drawn(plots, "sweep_curve")
    configs = expand(Config(), {"latent_dim": (2, 3), "kl_weight": (0.5, 1.0, 4.0), "seed": (0, 1)})
    numbers.kl_per_dimension(make_inputs(None, configs))
    ((_, ranks, values, *_),) = calls
    assert ranks == ["1", "2", "3"]
    assert list(values) == ["VAE, kl_weight 0.5", "VAE, kl_weight 1", "VAE, kl_weight 4"]
    np.testing.assert_allclose(values["VAE, kl_weight 4"], np.transpose([[1, 0.75, 0.1], [1.75, 1, 0.1]]))
    assert numbers.kl_per_dimension(make_inputs(None, [c for c in configs if c.latent_dim == 2])) is None


def test_heat_maps_have_the_mean_and_the_spread_of_their_cell_and_bright_is_better(drawn):
    calls = drawn(plots, "heat_map")
    grid = {"model": ("ae", "vae"), "latent_dim": (2, 8), "kl_weight": (0.5, 1.0, 4.0), "seed": (0, 1)}
    configs = expand(Config(), grid)
    values = {c: {"test_active_units": -c.kl_weight, "prior_frechet": 10 * c.latent_dim + 2 * c.seed} for c in configs}
    for config in configs:
        if config.model == "ae":
            values[config] = {"prior_frechet": config.latent_dim}
    del values[configs[-1]]  # the last cell has one seed
    asked = ("test_active_units", "prior_frechet")
    drawing = numbers.heat_maps(dataclasses.replace(make_inputs(None, configs, values=values), heat_maps=asked))
    units, frechet = calls
    assert (units[2], units[3]) == (["2", "8"], ["0.5", "1", "4"])  # the AE has no such number
    assert frechet[3] == ["AE", "0.5", "1", "4"]
    np.testing.assert_array_equal(units[1][:, :, 0], -np.array([[0.5, 1, 4]] * 2))
    np.testing.assert_array_equal(
        frechet[1], [[[2, 2], *[[20, 22]] * 3], [[8, 8], [80, 82], [80, 82], [80, np.nan]]]
    )  # fmt: skip
    texts = [text.get_text() for text in drawing.figure.axes[1].texts]
    assert texts[1:4] + texts[5:] == ["21.0\n± 1.4"] * 3 + ["81.0\n± 1.4"] * 2 + ["80.0"] or texts == [
        "2\n± 0", *["21\n± 1"] * 3, "8\n± 0", *["81\n± 1"] * 2, "80",
    ]  # fmt: skip
    shades = [np.dot(ax.images[0].to_rgba([low, high])[:, :3], [0.3, 0.6, 0.1])
              for ax, low, high in zip(drawing.figure.axes[:2], (-4, 21), (-0.5, 81), strict=True)]  # fmt: skip
    assert shades[0][0] < shades[0][1]
    assert shades[1][0] > shades[1][1]  # a small distance is better
    assert numbers.heat_maps(make_inputs(None, configs[:2])) is None


def test_data_sets_have_heat_maps_of_their_own(drawn):
    calls = drawn(plots, "heat_map")
    grid = {"dataset": ("tiny", "wide"), "latent_dim": (2, 8), "kl_weight": (0.5, 1.0)}
    configs = expand(Config(), grid)
    values = {config: {"prior_frechet": 1.0 if config.dataset == "tiny" else 2.0} for config in configs}
    drawing = numbers.heat_maps(make_inputs(None, configs, values=values))
    assert [call[1].mean() for call in calls] == [1.0, 2.0]
    assert [ax.get_title() for ax in drawing.figure.axes[:2]] == ["VAE, dataset tiny", "VAE, dataset wide"]


# From an experiment to files.


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_a_title_and_a_caption(name):
    entry = FIGURES[name]
    assert "\n" not in entry.title
    assert not entry.title.endswith(".")
    assert len(entry.caption.split()) > 15
    assert "  " not in entry.caption


@pytest.fixture
def experiment(tmp_path, coarse_figures):
    """An experiment with three trained runs and one that is missing, coarsely drawn."""
    made = Experiment(
        name="e", question="?", base=SMALL, grid={"dataset": ("tiny", "one image"), "model": ("ae", "vae")},
        figures=("samples", "latent_space"),
    )  # fmt: skip
    for config in made.configs[:-1]:
        write_run(tmp_path, config)
    return made


def draw(experiment, workdir, **arguments):
    rows = {config: measured(config) for config in experiment.configs}
    return figures.draw(experiment, Results(experiment.configs, rows, {}), workdir, **arguments)


def test_draw_leaves_a_png_and_a_pdf_of_every_figure(experiment, tmp_path):
    seen = []
    pictures, failures, files, _ = draw(experiment, tmp_path, progress=lambda *what: seen.append(what))
    assert [picture.name for picture in pictures] == list(experiment.figures)
    assert failures == []
    assert seen == [(0, 2, "samples"), (1, 2, "latent_space"), (2, 2, "")]
    assert sorted(files) == sorted(f"figures/{path.name}" for path in (tmp_path / "figures").iterdir())
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"{name}.{suffix}" for name in experiment.figures for suffix in ("png", "pdf")
    }
    for picture in pictures:
        with Image.open(tmp_path / "figures" / f"{picture.name}.png") as image:
            assert np.ptp(np.asarray(image.convert("L"))) > 100
        assert (tmp_path / "figures" / f"{picture.name}.pdf").read_bytes().startswith(b"%PDF")
    assert pictures[1].title == "Latent space"
    assert pictures[1].caption.startswith("Codes (posterior means) of test images")


def test_figures_of_a_sweep_are_drawn_before_those_that_are_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "render", lambda figure, formats: dict.fromkeys(formats, b"drawn"))
    grid = {"dataset": ("tiny",), "latent_dim": (2, 3), "kl_weight": (0.5, 1.0)}
    made = Experiment(name="e", question="?", base=SMALL, grid=grid, figures=("samples", "sweep"))
    for config in made.configs:
        write_run(tmp_path, config)
    pictures, failures, _, _ = draw(made, tmp_path)
    assert failures == []
    assert [p.name for p in pictures] == ["rate_distortion", "heat_maps", "samples", "sweep"]
    (tmp_path / "figures" / "hero.png").write_text("of an earlier launch")
    fewer = made.override({"latent_dim": (2,), "kl_weight": (1.0,)})
    assert [p.name for p in draw(fewer, tmp_path).pictures] == ["samples"]
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {"samples"}


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ({"model": ("ae", "vae"), "seed": (0, 1)}, set()),
        ({"dataset": ("tiny", "wide"), "model": ("ae", "vae")}, set()),
        ({"model": ("ae", "vae"), "latent_dim": (2, 3)}, {"sweep"}),
        ({"learning_rate": (1e-3, 1e-2)}, {"sweep"}),
        ({"kl_weight": (1.0, 2.0)}, {"sweep", "rate_distortion"}),
    ],
)
def test_a_figure_says_which_grids_it_fits(grid, expected):
    configs = expand(SMALL, grid)
    assert {name for name, entry in FIGURES.items() if entry.when and entry.when(configs)} == expected


@pytest.mark.parametrize("error", [UserError("the disk is full"), ZeroDivisionError("of\nthis")])
def test_a_figure_that_fails_is_recorded_and_does_not_stop_the_others(experiment, tmp_path, monkeypatch, error):
    for suffix in ("png", "pdf"):
        path = tmp_path / "figures" / f"latent_space.{suffix}"
        path.parent.mkdir(exist_ok=True)
        path.write_text("of an earlier launch")

    def fail(inputs):
        raise error

    monkeypatch.setitem(FIGURES, "latent_space", FIGURES["latent_space"]._replace(draw=fail))
    for name in ("samples", "rate_distortion"):
        monkeypatch.setitem(FIGURES, name, FIGURES[name]._replace(draw=lambda inputs: panels.finish(Figure(), "")))
    names, seen = ("samples", "latent_space", "rate_distortion"), []
    experiment = dataclasses.replace(experiment, figures=names)
    pictures, failures, _, _ = draw(experiment, tmp_path, progress=lambda *what: seen.append(what))
    assert seen[-1] == (2, 3, "")  # as many as there are now
    assert [picture.name for picture in pictures] == ["samples", "rate_distortion"]
    (failure,) = failures
    expected = "the disk is full" if isinstance(error, UserError) else "ZeroDivisionError: of this"
    assert failure == ("latent_space", expected)
    assert not list((tmp_path / "figures").glob("latent_space.*"))


def test_what_the_display_of_progress_raises_ends_the_drawing(experiment, tmp_path):
    def stop(*what):
        raise UserError("stop")

    with pytest.raises(UserError, match="stop"):
        draw(experiment, tmp_path, progress=stop)


def test_nothing_is_drawn_of_runs_that_are_not_trained(tmp_path):
    made = Experiment(name="e", question="?", figures=tuple(FIGURES))
    assert draw(made, tmp_path) == ([], [], [], [])
    assert list(tmp_path.iterdir()) == []


def test_a_new_figure_is_one_decorated_function(monkeypatch, experiment, tmp_path):
    monkeypatch.setitem(FIGURES, "new", None)

    @panels.figure
    def new(inputs):
        """A new one.

        It says what to
        look for.
        """
        return decodes.samples(inputs)._replace(facts="3 runs.")

    pictures, failures, _, _ = draw(dataclasses.replace(experiment, figures=("new",)), tmp_path)
    assert failures == []
    assert pictures == [("new", "A new one", "It says what to look for. 3 runs.", ("png", "pdf"))]


def test_only_what_is_asked_for_is_drawn_in_the_formats_that_are_asked_for(experiment, tmp_path):
    (tmp_path / "figures").mkdir()
    for name, suffix in itertools.product(experiment.figures, ("png", "pdf")):
        (tmp_path / "figures" / f"{name}.{suffix}").write_text("of an earlier launch")
    options, seen = Options(only_figures=("latent_space", "rate_distortion"), figure_format=("svg",)), []
    drawn = draw(experiment, tmp_path, options=options, progress=lambda *what: seen.append(what))
    assert [(picture.name, picture.suffixes) for picture in drawn.pictures] == [("latent_space", ("png", "svg"))]
    assert seen[-1] == (1, 1, "")  # there is no KL weight to draw the other against
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"latent_space.png", "latent_space.svg"}
    assert "</svg>" in (tmp_path / "figures" / "latent_space.svg").read_text()


# The animation.


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """An AE and a VAE of three KL weights, whose other seed and dimensions are not in the animation."""
    workdir = tmp_path_factory.mktemp("weights")
    grid = {"dataset": ("tiny",), "model": ("ae", "vae"), "kl_weight": (0.0, 1.0, 4.0, 0.5), "seed": (1, 0)}
    configs = [*expand(SMALL, grid), *expand(SMALL, {**grid, "latent_dim": (3,)})]
    for config in configs:
        write_run(workdir, config)
    return make_inputs(workdir, configs)


def test_the_animation_goes_from_the_model_without_a_weight_to_the_largest(weights):
    path = animation.path(weights)
    assert [(c.model, c.latent_dim, c.seed) for c in path] == [("ae", 2, 0), *[("vae", 2, 0)] * 3]
    assert [config.kl_weight for config in path[1:]] == [0.5, 1, 4]
    without = dataclasses.replace(weights, configs=[c for c in weights.configs if c.model == "vae"])
    assert [config.kl_weight for config in animation.path(without)] == [0, 0.5, 1, 4]
    judged, shown = ([c for c in weights.configs if (c.kl_weight == 4) == is_shown] for is_shown in (False, True))
    assert animation.path(dataclasses.replace(weights, configs=judged, shown=shown)) == path
    few = dataclasses.replace(weights, configs=[c for c in weights.configs if c.kl_weight in (1, 4)])
    with pytest.raises(UserError, match="fewer than 3 KL weights"):
        animation.path(few)


def test_planes_of_the_animation_are_turned_with_their_posteriors_and_draws(weights):
    """One cloud of codes, turned by another angle at each weight: all of it must lie where it lies at the last."""
    shown, random = dataclasses.replace(weights), np.random.default_rng(0)
    configs, cloud = animation.path(shown), random.normal(size=(40, 2)) * [3, 1]
    turns = [np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]) for t in 0.7 * np.arange(len(configs))]
    for config, turn in zip(configs, turns, strict=True):
        logvar = None if config.model == "ae" else random.normal(size=(40, 2)).astype(np.float32)
        shown._codes[config] = runs.Codes((cloud @ turn.T).astype(np.float32), logvar)
    z = np.random.default_rng(0).standard_normal((6, 6, 2), np.float32).reshape(36, 2)
    for config, turn, stop in zip(configs, turns, animation._stops(shown, configs), strict=True):
        rotation, logvar = turns[-1] @ turn.T, shown.codes(config).logvar
        np.testing.assert_allclose(stop.places, cloud @ turns[-1].T, atol=1e-5)
        covariance = 0 * stop.spread if logvar is None else rotation @ (np.exp(logvar)[:, :, None] * rotation.T)
        np.testing.assert_allclose(stop.spread @ stop.spread, covariance, rtol=1e-4, atol=1e-5)
        decoded = shown.run(config).decode((z @ rotation).astype(np.float32))  # what lies at R z after the turn is z
        np.testing.assert_allclose(stop.tiles.reshape(36, 4, 4), decoded, atol=1e-5)


def test_the_animation_is_small_and_moves_on_fixed_axes_and_nothing_else_has_three_weights(weights, monkeypatch):
    monkeypatch.setattr(animation, "DPI", 30)
    monkeypatch.setattr(animation, "STEPS", 3)
    limits, draw_plane = [], animation._draw_plane
    monkeypatch.setattr(
        animation,
        "_draw_plane",
        lambda ax, *args: draw_plane(ax, *args) or limits.append((ax.get_xlim(), ax.get_ylim())),
    )
    with Image.open(io.BytesIO(animation.animate(weights))) as image:
        assert (image.format, image.n_frames) == ("WEBP", 3 * animation.STEPS + 1)
        durations, pixels = [], []
        for frame in range(image.n_frames):
            image.seek(frame)
            pixels.append(np.asarray(image.convert("L"), float))
            durations.append(image.info["duration"])
    assert len(set(limits)) == 1
    assert durations[0] == durations[animation.STEPS] == animation.PAUSE
    assert durations[1] == animation.STEP
    assert np.abs(pixels[0] - pixels[animation.STEPS]).max() > 100  # the slider's knob is elsewhere


def test_posteriors_of_the_animation_are_ellipses_along_their_axes():
    stop = animation.Stop(np.array([[1.0, 2.0]]), np.array([[[1.5, 0.5], [0.5, 1.5]]]), np.zeros((1, 1, 4, 4)))
    ax = style.new_figure(1, 1, 4, 4)[1][0, 0]
    animation._draw_plane(ax, stop, style.CLASS_COLORS[:1], 5)
    (ellipse,) = (each for each in ax.collections if hasattr(each, "get_angles"))
    wide = int(np.argmax([ellipse.get_widths()[0], ellipse.get_heights()[0]]))
    assert sorted([ellipse.get_widths()[0], ellipse.get_heights()[0]]) == pytest.approx([2, 4])  # twice the sd
    assert (ellipse.get_angles()[0] + 90 * wide) % 180 == pytest.approx(45)
    np.testing.assert_array_equal(ellipse.get_offsets(), [[1, 2]])


def test_the_animation_is_written_where_it_is_asked_for(weights, monkeypatch):
    monkeypatch.setattr(figures, "render", lambda figure, formats: dict.fromkeys(formats, b"drawn"))
    monkeypatch.setattr(animation, "animate", lambda inputs: b"moving")
    made = Experiment(name="e", question="?", base=SMALL, grid={"dataset": ("tiny",), "kl_weight": (0.5, 1.0, 4.0)})
    path = weights.workdir / "figures" / "kl_weight.webp"
    options = Options(only_figures=("manifold",))
    assert draw(made, weights.workdir, options=options._replace(animate=True)).files[-1] == "figures/kl_weight.webp"
    assert path.read_bytes() == b"moving"
    draw(made, weights.workdir, options=options)
    assert not path.exists()  # it may be of other runs


DRAWING = """
import hashlib
from vae_jax.report.figures import numbers, plots, style
with style.in_style():
    figure, axes = style.new_figure(1, 1, 4, 3)
    plots.training_curve(axes[0, 0], {"AE": numbers.np.eye(3)}, "KL", {"AE": style.Look("red", "-", "o")})
    digest = hashlib.sha256(b"".join(style.render(figure, ("png", "pdf", "svg")).values())).hexdigest()
"""
ENDING = """
import sys
assert "matplotlib.pyplot" not in sys.modules
print(digest)
"""


def test_figures_do_not_depend_on_the_users_backend_and_settings(tmp_path):
    """A notebook exports its backend to every process it starts; a user may have any look, and these tests have one."""
    (tmp_path / "look").write_text("text.usetex: True\naxes.facecolor: red\nlines.linewidth: 9\npdf.compression: 0\n")
    extra = {"MPLBACKEND": "module://no_such_module.backend_inline", "MATPLOTLIBRC": str(tmp_path / "look")}
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", DRAWING + ENDING], cwd=ROOT, env=os.environ | extra, text=True,
        capture_output=True,
    )  # fmt: skip
    here: dict[str, Any] = {}
    exec(DRAWING, here)
    assert (found.stdout, found.stderr, found.returncode) == (f"{here['digest']}\n", "", 0)
