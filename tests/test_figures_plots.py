"""Plots: the tests read the drawn data back from matplotlib's artists."""

import inspect
import io
import re
from concurrent.futures import ThreadPoolExecutor

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from vae_jax.report.figures import images, planes, plots, style

RNG = np.random.default_rng(0)
CODES = RNG.normal(size=(60, 2))
LABELS = np.arange(60) % 10
DIGITS = {number: str(number) for number in range(10)}
CENTER, NAMES = np.zeros(2), ("z₁", "z₂")
TILES = RNG.uniform(size=(5, 9, 6, 4))  # neither square nor of one parity, so that no axis passes for another


def draw(function, *arguments, ax: Axes | None = None, **options) -> Axes:
    """Draws in the style on new axes, where lists of numbers stand for arrays; series look different."""
    arguments = [
        {label: np.asarray(value, float) for label, value in each.items()}
        if isinstance(each, dict) and all(isinstance(label, str) for label in each)  # and no names of classes
        else np.asarray(each, float) if isinstance(each, list) and isinstance(each[0], list)
        else each
        for each in arguments
    ]  # fmt: skip
    if "looks" in inspect.signature(function).parameters:
        series = next(each for each in arguments if isinstance(each, dict))
        looks = zip(series, style.SERIES_COLORS, style.SERIES_LINES, strict=False)
        options.setdefault("looks", {label: style.Look(color, *line) for label, color, line in looks})
    ax = style.new_figure(1, 1, 4.5, 4.5)[1][0, 0] if ax is None else ax
    with style.in_style():
        function(ax, *arguments, **options)
    return ax


EXAMPLES = {
    "training_curve": (plots.training_curve, {"AE": RNG.normal(size=(3, 20))}, "nll (nats per image)"),
    "sweep_curve": (plots.sweep_curve, [0, 1, 4], {"VAE": np.eye(3)}, "kl_weight", "elbo"),
    "rate_distortion": (plots.rate_distortion, {"VAE": np.eye(2)}, {"VAE": np.eye(2)}, ["1", "4"]),
    "latent_codes": (planes.latent_codes, CODES, LABELS, 3, NAMES, DIGITS),
    "posterior_ellipses": (planes.posterior_ellipses, CODES, CODES - 4, LABELS, 3, CENTER, DIGITS),
    "plane_map": (planes.plane_map, TILES[:, :, 0, 0], 0.5, (0, 1), CODES, LABELS, 3, DIGITS),
    "share_map": (plots.share_map, TILES[:2, :3, 0, 0], ["z₁", "z₂"], ["size", "x", "y"]),
    "heat_map": (plots.heat_map, TILES[:2, :2, 0], ["2", "8"], ["1", "4"], "x", "y", "nats", "higher"),
    "image_grid": (images.image_grid, TILES, list("abcde"), list("abcdefghi"), "x", "y"),
}


def texts(labels: list) -> list[str]:
    return [label.get_text() for label in labels]


def mosaic(ax: Axes) -> np.ndarray:
    """The picture's pixels, NaN where it is transparent."""
    return np.ma.filled(ax.images[0].get_array().astype(float), np.nan)


def tile_under(ax: Axes, x: float, y: float, height: int, width: int) -> np.ndarray:
    """The pixels of the tile whose centre is at a place of the axes."""
    left, top = x - (width - 1) / 2, y - (height - 1) / 2
    assert left == int(left)
    assert top == int(top)
    return mosaic(ax)[int(top) : int(top) + height, int(left) : int(left) + width]


def grey(color: object) -> float:
    return float(np.dot(to_rgba(color)[:3], (0.299, 0.587, 0.114)))


# Every function.


def test_every_drawing_function_has_an_example():
    functions = [pair for module in (images, planes, plots) for pair in inspect.getmembers(module, inspect.isfunction)]
    drawing = {
        name for name, function in functions if "ax" in inspect.signature(function).parameters and name[0] != "_"
    }
    assert drawing == {*EXAMPLES, "label_cells", "draw_prior"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_is_cut_off(name):
    figure, axes = style.new_figure(1, 2, 9, 4.5)
    for ax in axes[0]:
        draw(*EXAMPLES[name], ax=ax)
    figure.draw_without_rendering()
    box, page = figure.get_tightbbox(), figure.bbox_inches
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= page.x1
    assert box.y1 <= page.y1


def test_the_style_ends_with_its_context_and_does_not_depend_on_the_users():
    with matplotlib.rc_context({"text.usetex": True, "axes.facecolor": "red"}):
        before = dict(matplotlib.rcParams)
        with style.in_style():
            inside = dict(matplotlib.rcParams)
            assert (inside["savefig.bbox"], inside["text.usetex"], inside["axes.facecolor"]) == (
                "tight",
                False,
                "white",
            )
        assert dict(matplotlib.rcParams) == before


def test_equal_figures_have_equal_bytes_without_metadata():
    def content():
        with style.in_style():
            figure, axes = style.new_figure(1, 1, 2, 2)
            axes[0, 0].plot([1, 2])
            return style.render(figure, ("png", "pdf", "svg"))

    first, again = content(), content()
    assert first == again
    with Image.open(io.BytesIO(first["png"])) as image:
        assert set(image.info) == {"dpi"}
        assert image.info["dpi"] == pytest.approx((300, 300), rel=1e-3)  # PNG counts whole pixels per metre
    assert not any(word in first["pdf"] for word in (b"Producer", b"Creator", b"CreationDate"))
    assert b"</svg>" in first["svg"]
    assert b"<dc:date>" not in first["svg"]


def test_pictures_have_no_empty_margins_and_keep_their_colours():
    """A square of half an inch in the middle of a page of 4 x 2 inches."""
    figure = Figure(figsize=(4, 2))
    figure.add_artist(Rectangle((1.75 / 4, 0.75 / 2), 0.5 / 4, 0.5 / 2, facecolor="#ff0080", edgecolor="none"))
    with style.in_style():
        content = style.render(figure, ("png", "pdf"))
    with Image.open(io.BytesIO(content["png"])) as image:
        assert image.size == pytest.approx((0.7 * 300,) * 2, abs=2)  # with 0.1 inches on each side
        assert image.convert("RGB").getpixel((image.width // 2, image.height // 2)) == (255, 0, 128)
        square = np.asarray(image.convert("RGB"))[:, :, 1] < 128
        assert [np.ptp(places) + 1 for places in np.nonzero(square)] == pytest.approx([150, 150], abs=1)
    (box,) = re.findall(rb"/MediaBox \[([^\]]*)\]", content["pdf"])
    left, bottom, right, top = map(float, box.split())
    assert (right - left, top - bottom) == pytest.approx((0.7 * 72,) * 2, abs=0.5)  # points


def test_figures_can_be_drawn_in_threads():
    def content(_):
        with style.in_style():
            return style.render(draw(*EXAMPLES["image_grid"]).figure, ("png",))["png"]

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(content, range(4)))) == 1
        with style.in_style():  # the settings are global, so only one thread draws
            assert not pool.submit(style._lock.acquire, blocking=False).result()


def test_texts_are_no_formulas():
    """The name of a data set's folder may be anything."""
    with style.in_style():
        ax = draw(plots.training_curve, {"AE": [[1.0, 2.0]]}, "$\\nonsense{$ 한글")
        assert style.render(ax.figure, ("png",))["png"]


def test_classes_can_be_told_apart():
    assert len({tuple(color) for color in style.CLASS_COLORS}) == 10


def test_looks_are_those_that_are_given():
    looks = {"a": style.Look("red", ":", "^"), "b": style.Look("blue", "-", "o")}
    lines = draw(plots.training_curve, {"b": [[0.0, 1.0]], "a": [[1.0, 2.0]]}, "y", looks=looks).get_lines()
    assert [(line.get_color(), line.get_linestyle()) for line in lines] == [("blue", "-"), ("red", ":")]
    curve = draw(plots.sweep_curve, [1, 2], {"a": [[1.0], [2.0]]}, "x", "y", looks=looks).get_lines()[0]
    assert (curve.get_color(), curve.get_linestyle(), curve.get_marker()) == ("red", ":", "^")


# Curves.


def test_training_curve_is_the_mean_at_each_epoch_in_a_band_of_one_sample_deviation():
    values = RNG.normal(size=(4, 7))
    ax = draw(plots.training_curve, {"AE": values, "VAE": values[:, :3] + 9}, "loss (nats per image)")
    first, second = ax.get_lines()
    np.testing.assert_array_equal(first.get_xdata(), np.arange(1, 8))
    np.testing.assert_allclose(first.get_ydata(), values.mean(0))
    np.testing.assert_allclose(second.get_ydata(), values[:, :3].mean(0) + 9)
    assert all(
        to_rgba(line.get_color(), 0.2) == tuple(*band.get_facecolor())
        for line, band in zip(ax.lines, ax.collections, strict=True)
    )
    edges = ax.collections[0].get_paths()[0].vertices
    for epoch in range(1, 8):
        y = edges[edges[:, 0] == epoch, 1]
        mean, sd = values[:, epoch - 1].mean(), values[:, epoch - 1].std(ddof=1)
        np.testing.assert_allclose([y.min(), y.max()], [mean - sd, mean + sd])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss (nats per image)")


@pytest.mark.parametrize("epochs", [1, 2, 3, 100])
def test_training_curve_ticks_are_whole_epochs(epochs):
    ax = draw(plots.training_curve, {"AE": np.ones((2, epochs))}, "y")
    low, high = ax.get_xlim()
    shown = [tick for tick in ax.get_xticks() if low <= tick <= high]
    assert shown
    assert all(tick == int(tick) and 1 <= tick <= epochs for tick in shown)


def test_training_curve_of_one_seed_has_no_band_and_of_one_epoch_a_marker():
    ax = draw(plots.training_curve, {"AE": [[3.0, 2.0]], "VAE": [[4.0]]}, "y")
    assert not any(len(band.get_paths()) for band in ax.collections)
    assert [line.get_marker() for line in ax.get_lines()] == ["", "s"]


def test_training_curve_leaves_out_what_is_not_finite():
    ax = draw(plots.training_curve, {"AE": [[1.0, np.nan, np.inf], [3.0, 5.0, np.nan]]}, "y")
    np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), [2.0, 5.0, np.nan])


def test_sweep_curve_is_the_mean_with_error_bars():
    values = np.array([[10.0, 20.0, 60.0], [5.0, np.nan, np.nan], [1.0, 3.0, np.nan]])
    ax = draw(plots.sweep_curve, [1, 2, 4], {"VAE": values}, "latent_dim", "nll (nats per image)")
    line, _, (bars,) = ax.containers[0].lines
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 4])
    np.testing.assert_array_equal(line.get_ydata(), [30, 5, 2])
    by_x = {segment[0, 0]: segment[:, 1] for segment in bars.get_segments() if len(segment)}
    np.testing.assert_allclose(by_x[1], [30 - np.sqrt(700), 30 + np.sqrt(700)])
    np.testing.assert_allclose(by_x[4], [2 - np.sqrt(2), 2 + np.sqrt(2)])
    assert np.isnan(by_x.get(2, np.nan)).all()  # one seed has no deviation
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_xscale()) == ("latent_dim", "nll (nats per image)", "linear")
    assert list(ax.get_xticks()) == [1, 2, 4]


def test_sweep_curve_on_a_logarithmic_axis_has_its_ticks_at_the_values_and_a_place_for_0():
    ax = draw(plots.sweep_curve, [0, 0.1, 1, 10], {"VAE": np.ones((4, 2))}, "kl_weight", "elbo")
    assert texts(ax.get_xticklabels()) == ["0", "0.1", "1", "10"]
    np.testing.assert_array_equal(ax.get_xticks(), [0, 0.1, 1, 10])
    places = ax.transData.transform([(x, 1) for x in (0, 0.1, 1, 10)])[:, 0]
    np.testing.assert_allclose(places[2] - places[1], places[3] - places[2])  # decades are of one length
    assert places[0] < places[1]


def test_many_values_have_few_ticks_and_long_texts_are_turned():
    ax = draw(plots.sweep_curve, [*map(str, range(1, 65))], {"VAE": np.ones((64, 1))}, "dimension", "y")
    assert texts(ax.get_xticklabels()) == [str(rank) for rank in range(1, 65, 6)]
    turned = draw(plots.sweep_curve, [0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0], {"VAE": np.ones((8, 1))}, "x", "y")
    assert {label.get_rotation() for label in turned.get_xticklabels()} == {30.0}
    lines = draw(plots.sweep_curve, ["a word or two\nand as many"] * 3, {"VAE": np.ones((3, 1))}, "x", "y")
    assert {label.get_rotation() for label in lines.get_xticklabels()} == {0.0}


@pytest.mark.parametrize(("step", "whole"), [(1, True), (0.5, False)])
def test_whole_numbers_have_ticks_at_whole_numbers(step, whole):
    ax = draw(plots.sweep_curve, [1, 2], {"VAE": [[2.0], [2 + step]]}, "x", "active units")
    assert np.all(ax.get_yticks() % 1 == 0) == whole


def test_sweep_curve_of_texts_has_them_evenly_spaced():
    ax = draw(plots.sweep_curve, ["relu", "elu"], {"VAE": [[1.0], [2.0]]}, "activation", "elbo")
    assert dict(zip(texts(ax.get_xticklabels()), ax.get_xticks(), strict=True)) == {"relu": 0, "elu": 1}
    assert draw(plots.sweep_curve, [-1, 0, 9], {"VAE": np.ones((3, 1))}, "x", "y").get_xscale() == "linear"


def test_rate_distortion_has_seeds_means_and_labels():
    rate, distortion = np.array([[1.0, 3.0], [5.0, 6.0]]), np.array([[9.0, 8.0], [4.0, 2.0]])
    ax = draw(plots.rate_distortion, {"VAE": rate}, {"VAE": distortion}, ["4", "0.5"])
    seeds = ax.collections[0].get_offsets()
    np.testing.assert_array_equal(seeds, np.stack([rate.ravel(), distortion.ravel()], axis=1))
    (line,) = (line for line in ax.get_lines() if line.get_label() == "VAE")
    np.testing.assert_array_equal(line.get_xydata(), [[2.0, 8.5], [5.5, 3.0]])
    assert {text.get_text(): text.xy for text in ax.texts} == {"4": (2.0, 8.5), "0.5": (5.5, 3.0)}
    near = np.array([[1.0], [1.01], [5.0]])
    ax = draw(plots.rate_distortion, {"VAE": near}, {"VAE": near}, ["4", "2", "1"])
    assert texts(ax.texts) == ["4", "1"]  # one would cover the other
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("rate (nats per image)", "distortion (nats per image)")


def test_frontiers_of_shades_go_from_dark_to_light_as_the_number_rises():
    points = {f"latent_dim {dim}": np.full((2, 1), dim) for dim in (8, 2, 32)}
    ax = draw(plots.rate_distortion, points, points, ["4", "1"], shades=[8, 2, 32])
    lines = {line.get_label(): line for line in ax.get_lines() if line.get_label() in points}
    dark, middle, light = (sum(to_rgb(lines[f"latent_dim {dim}"].get_color())) for dim in (2, 8, 32))
    assert dark < middle < light
    for scatter, line in zip(ax.collections, lines.values(), strict=True):
        assert to_rgb(line.get_color()) == tuple(scatter.get_facecolors()[0][:3])


def test_diagonals_of_the_rate_distortion_plane_are_of_equal_elbo_and_evenly_apart():
    ax = draw(plots.rate_distortion, {"VAE": [[1.0], [30.0]]}, {"VAE": [[90.0], [70.0]]}, ["4", "1"])
    diagonals = [line.get_xydata() for line in ax.get_lines() if line.get_label() != "VAE"]
    negative_elbo = np.array([points.sum(axis=1) for points in diagonals])
    np.testing.assert_allclose(negative_elbo[:, 0], negative_elbo[:, 1])
    (apart,) = set(np.diff(negative_elbo[:, 0]).round(9))
    assert f"equal ELBO, {apart:g} nats apart" in texts(ax.get_legend().get_texts())
    assert 90 < ax.get_ylim()[1] < 95  # the lines beyond the data do not widen the picture


# The latent plane.


def draw_codes(codes, labels, limit, axis_labels=("z₁", "z₂"), classes=None, **options):
    labels = None if labels is None else np.asarray(labels)
    numbers = classes if classes is not None else [] if labels is None else np.unique(labels).tolist()
    classes = classes if isinstance(classes, dict) else {number: str(number) for number in numbers}
    return draw(planes.latent_codes, np.asarray(codes), labels, limit, axis_labels, classes, **options)


def draw_posteriors(codes, logvar, labels, limit, center=(0, 0), **options):
    return draw(planes.posterior_ellipses, codes, logvar, labels, limit, center, DIGITS, **options)


def draw_map(values, level=0.5, ends=(0, 1), limit=1, ax=None):
    return draw(planes.plane_map, values, level, ends, CODES, LABELS, limit, DIGITS, ax=ax)


def test_latent_codes_shows_each_code_in_the_colour_of_its_class():
    ax = draw_codes(CODES, LABELS, 3, axis_labels=("axis 1", "z₂"))
    points = ax.collections[0]
    np.testing.assert_array_equal(points.get_offsets(), CODES)
    np.testing.assert_allclose(points.get_facecolors()[:, :3], style.CLASS_COLORS[LABELS, :3])
    assert points.get_rasterized()
    assert ax.get_aspect() == 1
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("axis 1", "z₂")


def test_latent_codes_without_labels_has_one_colour_and_no_numbers():
    ax = draw_codes(CODES, None, 4)
    assert len(np.unique(ax.collections[0].get_facecolors(), axis=0)) == 1
    assert not ax.texts
    assert not draw_codes(CODES, np.arange(60), 4).texts  # too many classes
    assert not draw_codes(CODES, LABELS, 4, ax=style.new_figure(1, 1, 1.5, 1.5)[1][0, 0]).texts  # too narrow


def test_each_class_has_its_number_at_the_code_nearest_to_its_median():
    codes = [[-3, 0], [-2, -2], [-3, -1], [2, 2], [np.nan, 0], [9, 0], [2.5, 2], [1, 2]]
    ax = draw_codes(codes, [7, 7, 7, 2, 2, 2, 2, 2], 4)
    assert {text.get_text(): text.get_position() for text in ax.texts if len(text.get_text()) == 1} == {
        "2": (2, 2), "7": (-3, -1),
    }  # fmt: skip  # what is not finite, or beyond the limit, does not count


def test_numbers_of_classes_do_not_cover_each_other_and_stay_in_the_dense_half_of_their_class():
    codes = RNG.normal(size=(500, 2))
    labels = np.arange(500) % 10
    ax = draw_codes(codes, labels, 8)
    numbers = [text for text in ax.texts if len(text.get_text()) == 1]
    places = np.array([text.get_position() for text in numbers])
    assert 3 < len(numbers) <= 10
    apart = np.abs(places[:, None] - places)[~np.eye(len(places), dtype=bool)]
    size = 16 * planes.NAME_SIZE / (4.5 * 72)  # of a number in units of z, in a panel of at most 4.5 inches
    assert np.all((apart > size * np.array([0.75, 1])).any(axis=1))
    for text in numbers:
        own = codes[labels == int(text.get_text())]
        distances = np.linalg.norm(own - np.median(own, axis=0), axis=1)
        assert np.linalg.norm(text.get_position() - np.median(own, axis=0)) <= np.median(distances) + 1e-9


def test_long_names_are_cut_off_cover_no_other_and_stay_in_the_panel():
    codes = np.concatenate([np.random.default_rng(0).normal((-1.2, 0), 0.4, (300, 2)), [[2.8, 0]] * 3])
    labels = np.append(np.arange(300) % 6, [6] * 3)
    names = dict(
        enumerate(["Sneaker", "Sandal", "T-shirt/top", "$\\frac$", "<b>", "Bag", "incomprehensibilities of all"])
    )
    ax = draw_codes(codes, labels, 3, classes=names)
    FigureCanvasAgg(ax.figure).draw()
    boxes = {text.get_text(): text.get_window_extent() for text in ax.texts if text.get_text()[0] != "0"}
    (long,) = (text for text in boxes if text.endswith("…"))
    assert names[6].startswith(long[:-1])
    assert {"Sneaker", "T-shirt/top"} < set(boxes) < {*names.values(), long}
    panel = ax.get_window_extent()
    for text, box in boxes.items():
        assert panel.x0 - 1 <= box.x0 < box.x1 <= panel.x1 + 1
        assert not [other for other, its in boxes.items() if other != text and box.overlaps(its)]


def test_the_key_has_the_colours_of_the_classes():
    classes = {3: "T-shirt", 4: "4", 7: "a name that is too long for a key", 8: "_", 26: "T-shirt"}
    dots = planes.class_key(classes)
    assert [dot.get_label() for dot in dots] == ["T-shirt", "4", "a name that is too long…", "_", "T-shirt"]
    codes = draw_codes(CODES[:5], list(classes), 3).collections[0].get_facecolors()
    assert [to_rgb(dot.get_color()) for dot in dots] == [to_rgb(color) for color in codes]


def test_latent_codes_counts_what_is_beyond_its_limit():
    ax = draw_codes([[0.0, 0.0], [4.9, -4.9], [5.1, 0.0], [0.0, -6.0], [np.nan, 0.0]], None, 5)
    assert ax.get_xlim() == ax.get_ylim() == (-5, 5)
    assert texts(ax.texts) == ["3 of 5 not shown"]
    assert not draw_codes([[0.0, 0.0]], None, 5).texts


def test_a_class_has_one_colour_whatever_classes_a_panel_shows():
    every = draw_codes(CODES[:3], [1, 2, 26], 3, classes=range(1, 27)).collections[0].get_facecolors()
    some = draw_codes(CODES[:1], [26], 3, classes=range(1, 27)).collections[0].get_facecolors()
    np.testing.assert_array_equal(every[2], some[0])
    many = draw_codes(CODES[:26], range(1, 27), 3).collections[0].get_facecolors()
    assert len(np.unique(many, axis=0)) == 26


def test_a_prior_of_one_dimension_is_two_pairs_of_lines():
    ax = draw_codes(CODES, None, 3, prior_dims=1)
    assert sorted(line.get_xdata()[0] for line in ax.get_lines()) == [-2, -1, 1, 2]
    assert ax.get_legend_handles_labels()[1] == ["N(0, 1), 1 and 2 sd"]


@pytest.mark.parametrize(
    "ax", [draw_codes(CODES, None, 3), draw_posteriors(CODES, None, None, 3), draw_map(TILES[0, 0])]
)
def test_prior_circles_have_radius_one_and_two(ax):
    radii = [np.linalg.norm(line.get_xydata(), axis=1) for line in ax.get_lines()]
    np.testing.assert_allclose(radii, np.outer([1, 2], np.ones(181)))
    assert ax.get_legend_handles_labels()[1][0] == "N(0, I), 1 and 2 sd"


def test_posteriors_are_two_standard_deviations_wide_around_their_means():
    logvar = RNG.normal(size=(60, 2)) - 3
    ax = draw_posteriors(CODES, logvar, LABELS, 4, center=(1, -2))
    ellipses, means = ax.collections
    np.testing.assert_allclose(ellipses.get_widths(), 2 * np.exp(logvar[:, 0] / 2))
    np.testing.assert_allclose(ellipses.get_heights(), 2 * np.exp(logvar[:, 1] / 2))
    np.testing.assert_array_equal(ellipses.get_offsets(), CODES)
    np.testing.assert_array_equal(means.get_offsets(), CODES)
    np.testing.assert_allclose(ellipses.get_facecolors()[:, :3], style.CLASS_COLORS[LABELS, :3])
    assert ax.get_aspect() == 1
    assert (ax.get_xlim(), ax.get_ylim()) == ((-3, 5), (-6, 2))


def test_posteriors_without_variance_are_points_and_diverged_ones_are_left_out():
    (points,) = draw_posteriors(CODES, None, LABELS, 4).collections
    np.testing.assert_array_equal(points.get_offsets(), CODES)
    ellipses, _ = draw_posteriors([[0, 0], [np.nan, 0], [1, 1]], [[0, 0], [0, 0], [0, 9999]], None, 4).collections
    np.testing.assert_array_equal(ellipses.get_offsets(), [[0, 0]])


def test_posteriors_are_drawn_in_units_of_z():
    ax = draw_posteriors([[0.0, 0.0]], [[0.0, 2 * np.log(0.5)]], None, 2)
    ax.collections[0].set(facecolors="black", edgecolors="none")
    ax.collections[1].remove()
    ax.set_axis_off()
    for line in list(ax.get_lines()):
        line.remove()
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    dark = np.asarray(canvas.buffer_rgba())[:, :, 0] < 128
    rows, columns = np.nonzero(dark)
    size = ax.get_window_extent().width / 4  # pixels per unit of z
    assert np.ptp(columns) == pytest.approx(2 * size, abs=3)
    assert np.ptp(rows) == pytest.approx(size, abs=3)


def test_a_map_has_its_first_row_at_the_top_a_line_at_the_level_and_bright_is_more():
    values = np.repeat([[-9.0], [-2.0], [-1.0], [1.0], [2.0]], 3, axis=1)
    ax = draw_map(values, level=0, ends=(-4, 3))
    image = ax.images[0]
    np.testing.assert_array_equal(image.get_array(), values)
    assert (image.origin, tuple(image.get_extent()), image.get_clim()) == ("upper", (-1, 1, -1, 1), (-4, 3))
    (lines,) = (each for each in ax.collections if each.get_array() is not None)
    (line,) = (path for path in lines.get_paths() if len(path.vertices))
    np.testing.assert_allclose(line.vertices[:, 1], -0.2)  # half way between the third and the fourth of five rows
    dots = next(each for each in ax.collections if len(each.get_offsets()) == len(CODES))
    np.testing.assert_array_equal(dots.get_offsets(), CODES)
    assert ax.get_xlim() == ax.get_ylim() == (-1, 1)
    shades = [grey(image.to_rgba(value)) for value in (-4.0, -2.0, 0.0, 2.0)]
    assert np.all(np.diff(shades) > 0.05)


@pytest.mark.parametrize("fill", [-1.0, 1.0, np.nan, -np.inf])
def test_a_map_without_a_crossing_has_no_line(fill):
    ax = draw_map(np.full((2, 2), fill), level=0)
    assert all(each.get_array() is None for each in ax.collections)


def test_maps_share_one_colour_bar_that_marks_the_level():
    figure, axes = style.new_figure(1, 2, 9, 4.5)
    for ax in axes[0]:
        draw_map(np.array([[0, 0.3], [0.6, 1]]), ax=ax)
    planes.level_bar(axes[0], 0.5, "score")
    *_, bar = figure.axes
    assert len(figure.axes) == 3
    assert bar.get_ylabel() == "score"
    assert bar.get_ylim() == axes[0, 0].images[0].get_clim()
    assert any(list(line.get_ydata()) == [0.5, 0.5] for line in bar.get_lines())


# The heat map.


def test_heat_map_cells_say_mean_and_deviation():
    mean = np.array([[152.34, -8.0], [np.nan, 99.96]])
    pair = np.array([[0.51, 1.0], [np.nan, np.nan]]) / 2**0.5  # two seeds this far from their mean have that deviation
    values = np.stack([mean - pair, mean + pair, [[np.nan] * 2, [np.nan, 99.96]]], axis=2)
    ax = draw(
        plots.heat_map, values, ["2", "8"], ["1", "4"], "kl_weight", "latent_dim", "elbo (nats per image)", "higher"
    )
    cells = {text.get_position(): text.get_text() for text in ax.texts}
    assert cells == {(0, 0): "152.3\n± 0.5", (1, 0): "−8.0\n± 1.0", (0, 1): "–", (1, 1): "100.0"}
    np.testing.assert_allclose(mosaic(ax), mean)
    (hatched,) = ax.patches
    assert (hatched.get_xy(), hatched.get_hatch()) == ((-0.5, 0.5), "///")
    assert (texts(ax.get_xticklabels()), texts(ax.get_yticklabels())) == (["1", "4"], ["2", "8"])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("kl_weight", "latent_dim")
    assert ax.figure.axes[1].get_ylabel() == "elbo (nats per image)"


@pytest.mark.parametrize(("better", "brightest"), [("higher", 1.0), ("lower", 0.0), (None, 1.0)])
def test_brighter_cells_of_a_heat_map_are_better(better, brightest):
    ax = draw(plots.heat_map, [[[0.0], [1.0]]], ["a"], ["b", "c"], "x", "y", "z", better=better)
    shades = {value: grey(ax.images[0].to_rgba(value)) for value in (0.0, 1.0)}
    assert max(shades, key=shades.get) == brightest
    assert ax.figure.axes[1].yaxis_inverted() == (better == "lower")  # the best is at the top


def test_heat_map_texts_are_readable_on_their_cells():
    ax = draw(
        plots.heat_map,
        np.linspace(0, 1, 21).reshape(1, 21, 1),
        ["a"],
        [*map(str, range(21))],
        "x",
        "y",
        "accuracy",
        None,
    )
    for text, value in zip(ax.texts, np.linspace(0, 1, 21), strict=True):
        assert abs(grey(text.get_color()) - grey(ax.images[0].to_rgba(value))) > 0.4
    assert ax.texts[10].get_text() == "0.500"


# Mosaics.


def test_image_grid_places_each_tile_with_its_ticks_at_the_centre():
    rows, columns = list("abcde"), list("ABCDEFGHI")
    ax = draw(images.image_grid, TILES, rows, columns, "x", "y", gap=2)
    assert mosaic(ax).shape == (5 * 6 + 4 * 2, 9 * 4 + 8 * 2)
    for r, y in enumerate(ax.get_yticks()):
        for c, x in enumerate(ax.get_xticks()):
            np.testing.assert_allclose(tile_under(ax, x, y, 6, 4), TILES[r, c], rtol=1e-7)  # float32
    assert np.isfinite(mosaic(ax)).sum() == TILES.size  # the gaps are transparent
    assert (texts(ax.get_yticklabels()), texts(ax.get_xticklabels())) == (rows, columns)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "y")
    image = ax.images[0]
    assert (image.get_clim(), image.get_interpolation(), image.origin) == ((0, 1), "none", "upper")
    np.testing.assert_array_equal(image.to_rgba([0.0, 1.0])[:, :3], [[0, 0, 0], [1, 1, 1]])
    assert ax.get_aspect() == 1


def test_colours_are_painted_as_they_are_and_gaps_stay_transparent():
    tiles = np.random.default_rng(0).random((2, 3, 4, 5, 3))
    tiles[1, 2] = np.nan  # a blank one
    ax = draw(images.image_grid, tiles, gap=1, breaks=(1,))
    painted = mosaic(ax)
    assert painted.shape == (2 * 4 + 1, 3 * 5 + 2 + 5 // 3, 4)
    np.testing.assert_allclose(painted[5:, :5, :3], tiles[1, 0], rtol=1e-6)  # float32
    np.testing.assert_allclose(painted[:4, 7:12, :3], tiles[0, 1], rtol=1e-6)
    assert painted[..., 3].sum() == 5 * 4 * 5
    assert not painted[5:, 13:, 3].any()


def test_a_break_sets_columns_apart_and_ticks_stay_at_the_centres():
    ax = draw(images.image_grid, TILES, column_labels=list("ABCDEFGHI"), breaks=(1, 8))
    assert mosaic(ax).shape == (5 * 6 + 4, 9 * 4 + 8 + 2 * (4 // 3))
    for c, x in enumerate(ax.get_xticks()):
        np.testing.assert_allclose(tile_under(ax, x, 2.5, 6, 4), TILES[0, c], rtol=1e-7)
    assert np.diff(ax.get_xticks()).tolist() == [6, 5, 5, 5, 5, 5, 5, 6]


def test_image_grid_without_labels_has_no_ticks():
    ax = draw(images.image_grid, TILES)
    assert len(ax.get_xticks()) == len(ax.get_yticks()) == 0


def test_numbers_have_a_true_minus_sign_and_no_negative_zero():
    assert [plots.format_number(value, 1) for value in (-2.0, -0.04, 0.96)] == ["−2.0", "0.0", "1.0"]


def test_a_map_of_shares_has_one_scale_and_writes_long_names_upright():
    shares = np.array([[0.0, 0.9], [0.254, np.nan]])
    for names, rotation in ((["x", "size"], 0), (["orientation of it", "y"], 90)):
        ax = Figure().subplots()
        plots.share_map(ax, shares, ["z₁", "z₂"], names)
        texts = [(text.get_text(), text.get_color()) for text in ax.texts]
        assert texts == [
            ("0", "white"),
            ("90", "black"),
            ("25", "white"),
            ("–", "black"),
        ]  # on dark, bright, dark, none
        assert ax.images[0].get_clim() == (0, 1)
        assert {label.get_rotation() for label in ax.get_xticklabels()} == {rotation}
