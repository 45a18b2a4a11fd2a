"""What a figure says is in its artists: the tests read the data back from them."""

import inspect
import re
from collections.abc import Callable, Iterator

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure

from vae_jax import figures

RNG = np.random.default_rng(0)
CODES = RNG.normal(size=(60, 2))
LABELS = np.arange(60) % 10
TILES = RNG.uniform(size=(5, 9, 6, 4))  # neither square nor of one parity, so that no axis passes for another

EXAMPLES: dict[str, Callable[[Axes | None], Axes]] = {
    "training_curve": lambda ax: figures.training_curve({"AE": RNG.normal(size=(3, 20))}, "nll (nats per image)", ax),
    "sweep_curve": lambda ax: figures.sweep_curve([0, 1, 4], {"VAE": np.eye(3)}, "kl_weight", "elbo", True, ax),
    "bars": lambda ax: figures.bars({"VAE": RNG.uniform(size=(3, 8))}, "dimension", "KL (nats per image)", ax),
    "rate_distortion": lambda ax: figures.rate_distortion({"VAE": np.eye(2)}, {"VAE": np.eye(2)}, ["1", "4"], ax),
    "latent_scatter": lambda ax: figures.latent_scatter(CODES, LABELS, ax, title="AE"),
    "posterior_ellipses": lambda ax: figures.posterior_ellipses(CODES, CODES - 4, LABELS, ax, title="VAE"),
    "hole_map": lambda ax: figures.hole_map(TILES[:, :, 0, 0], CODES, LABELS, (-3, 3, -3, 3), 0.5, ax, title="VAE"),
    "heat_map": lambda ax: figures.heat_map(np.eye(2), np.eye(2), ["2", "8"], ["1", "4"], "x", "y", "nats", ax),
    "image_grid": lambda ax: figures.image_grid(TILES, ax, list("abcde"), list("abcdefghi"), "title", "x", "y"),
    "reconstructions": lambda ax: figures.reconstructions(TILES[0], {"AE": TILES[1], "VAE": TILES[2]}, ax),
    "manifold": lambda ax: figures.manifold(TILES, np.linspace(-2, 2, 9), np.linspace(2, -2, 5), ax, "VAE"),
    "samples": lambda ax: figures.samples(TILES[0], ax, title="VAE"),
    "sheets": lambda ax: figures.sheets(TILES[None, None], ["latent_dim 2"], ["1"], "kl_weight", ax),
    "interpolations": lambda ax: figures.interpolations(TILES, ax, "VAE"),
    "traversals": lambda ax: figures.traversals(TILES, np.linspace(-2, 2, 9), ax, title="VAE"),
}


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


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
    drawing = {n for n, f in inspect.getmembers(figures, inspect.isfunction) if "ax" in inspect.signature(f).parameters}
    assert {name for name in drawing if not name.startswith("_")} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_draws_on_the_axes_it_is_given_and_nowhere_else_and_nothing_is_cut_off(name):
    with figures.style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.5), layout="compressed")
    before = dict(plt.rcParams)
    assert EXAMPLES[name](right) is right
    assert EXAMPLES[name](left) is left
    assert dict(plt.rcParams) == before
    figure.canvas.draw()
    assert plt.get_fignums() == [figure.number]
    box, page = figure.get_tightbbox(), figure.bbox_inches
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= page.x1
    assert box.y1 <= page.y1


@pytest.mark.parametrize("name", EXAMPLES)
def test_makes_a_figure_in_the_style_where_none_is_given(name):
    before = dict(plt.rcParams)
    ax = EXAMPLES[name](None)
    assert dict(plt.rcParams) == before
    assert isinstance(ax.figure, Figure)
    assert not ax.spines["top"].get_visible()
    assert ax.figure.get_layout_engine() is not None


def test_style_ends_with_its_context():
    before = dict(plt.rcParams)
    with figures.style():
        assert plt.rcParams["savefig.dpi"] == 300
    assert dict(plt.rcParams) == before


def test_series_and_classes_can_be_told_apart():
    series = {str(index): [[0.0, 1.0]] for index in range(20)}
    lines = figures.training_curve(series, "y").get_lines()
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 20
    first, second, third = (grey(line.get_color()) for line in lines[:3])
    assert min(abs(first - second), abs(second - third), abs(first - third)) > 0.15
    assert len({tuple(color) for color in figures.CLASS_COLORS}) == 10


# Curves and bars.


def test_training_curve_is_the_mean_at_each_epoch_in_a_band_of_one_sample_deviation():
    values = RNG.normal(size=(4, 7))
    ax = figures.training_curve({"AE": values, "VAE": values[:, :3] + 9}, "loss (nats per image)")
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
    assert texts(ax.get_legend().get_texts()) == ["AE", "VAE"]
    assert ax.get_legend().get_title().get_text() == "mean ± sd over seeds"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss (nats per image)")


@pytest.mark.parametrize("epochs", [1, 2, 3, 100])
def test_training_curve_ticks_are_whole_epochs(epochs):
    ax = figures.training_curve({"AE": np.ones((2, epochs))}, "y")
    low, high = ax.get_xlim()
    shown = [tick for tick in ax.get_xticks() if low <= tick <= high]
    assert shown
    assert all(tick == int(tick) and 1 <= tick <= epochs for tick in shown)


def test_training_curve_of_one_seed_has_no_band_and_of_one_epoch_a_marker():
    ax = figures.training_curve({"AE": [[3.0, 2.0]], "VAE": [[4.0]]}, "y")
    assert not any(len(band.get_paths()) for band in ax.collections)
    assert ax.get_legend().get_title().get_text() == ""
    assert [line.get_marker() for line in ax.get_lines()] == ["", "s"]


def test_training_curve_leaves_out_what_is_not_finite():
    ax = figures.training_curve({"AE": [[1.0, np.nan, np.inf], [3.0, 5.0, np.nan]]}, "y")
    np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), [2.0, 5.0, np.nan])


def test_sweep_curve_is_the_mean_with_error_bars_in_the_order_of_x():
    values = np.array([[1.0, 3.0, np.nan], [10.0, 20.0, 60.0], [5.0, np.nan, np.nan]])
    ax = figures.sweep_curve([4, 1, 2], {"VAE": values}, "latent_dim", "nll (nats per image)")
    line, _, (bars,) = ax.containers[0].lines
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 4])
    np.testing.assert_array_equal(line.get_ydata(), [30, 5, 2])
    by_x = {segment[0, 0]: segment[:, 1] for segment in bars.get_segments() if len(segment)}
    np.testing.assert_allclose(by_x[1], [30 - np.sqrt(700), 30 + np.sqrt(700)])
    np.testing.assert_allclose(by_x[4], [2 - np.sqrt(2), 2 + np.sqrt(2)])
    assert np.isnan(by_x.get(2, np.nan)).all()  # one seed has no deviation
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("latent_dim", "nll (nats per image)")


def test_sweep_curve_on_a_logarithmic_axis_has_its_ticks_at_the_values_and_a_place_for_0():
    ax = figures.sweep_curve([0, 0.1, 1, 10], {"VAE": np.ones((4, 2))}, "kl_weight", "elbo", logx=True)
    assert texts(ax.get_xticklabels()) == ["0", "0.1", "1", "10"]
    np.testing.assert_array_equal(ax.get_xticks(), [0, 0.1, 1, 10])
    places = ax.transData.transform([(x, 1) for x in (0, 0.1, 1, 10)])[:, 0]
    np.testing.assert_allclose(places[2] - places[1], places[3] - places[2])  # decades are of one length
    assert places[0] < places[1]


def test_bars_stand_side_by_side_at_whole_places():
    first, second = RNG.uniform(1, 2, size=(3, 4)), RNG.uniform(1, 2, size=(2, 4))
    ax = figures.bars({"AE": first, "VAE": second}, "latent dimension", "KL (nats per image)")
    left, right = (container for container in ax.containers if hasattr(container, "patches"))
    np.testing.assert_allclose([bar.get_height() for bar in left], first.mean(0))
    np.testing.assert_allclose([bar.get_height() for bar in right], second.mean(0))
    for place, (one, other) in enumerate(zip(left, right, strict=True), start=1):
        np.testing.assert_allclose(one.get_x() + one.get_width(), place)
        np.testing.assert_allclose(other.get_x(), place)
    whiskers = np.array(left.errorbar.lines[2][0].get_segments())[:, :, 1]
    np.testing.assert_allclose(whiskers.T, [first.mean(0) - first.std(0, ddof=1), first.mean(0) + first.std(0, ddof=1)])
    low, high = ax.get_xlim()
    assert [tick for tick in ax.get_xticks() if low <= tick <= high] == [1, 2, 3, 4]


def test_rate_distortion_has_seeds_means_and_labels():
    rate, distortion = np.array([[1.0, 3.0], [5.0, 6.0]]), np.array([[9.0, 8.0], [4.0, 2.0]])
    ax = figures.rate_distortion({"VAE": rate}, {"VAE": distortion}, ["4", "0.5"])
    seeds = ax.collections[0].get_offsets()
    np.testing.assert_array_equal(seeds, np.stack([rate.ravel(), distortion.ravel()], axis=1))
    (line,) = (line for line in ax.get_lines() if line.get_label() == "VAE")
    np.testing.assert_array_equal(line.get_xydata(), [[2.0, 8.5], [5.5, 3.0]])
    assert {text.get_text(): text.xy for text in ax.texts} == {"4": (2.0, 8.5), "0.5": (5.5, 3.0)}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("rate (nats per image)", "distortion (nats per image)")


def test_frontiers_of_shades_go_from_dark_to_light_as_the_number_rises():
    points = {f"latent_dim {dim}": np.full((2, 1), dim) for dim in (8, 2, 32)}
    ax = figures.rate_distortion(points, points, ["4", "1"], shades=[8, 2, 32])
    lines = {line.get_label(): line for line in ax.get_lines() if line.get_label() in points}
    dark, middle, light = (sum(to_rgb(lines[f"latent_dim {dim}"].get_color())) for dim in (2, 8, 32))
    assert dark < middle < light
    for scatter, line in zip(ax.collections, lines.values(), strict=True):
        assert to_rgb(line.get_color()) == tuple(scatter.get_facecolors()[0][:3])
    with pytest.raises(ValueError, match="shades"):
        figures.rate_distortion(points, points, ["4", "1"], shades=[8, 2])


def test_diagonals_of_the_rate_distortion_plane_are_of_equal_elbo_and_evenly_apart():
    ax = figures.rate_distortion({"VAE": [[1.0], [30.0]]}, {"VAE": [[90.0], [70.0]]}, ["4", "1"])
    diagonals = [line.get_xydata() for line in ax.get_lines() if line.get_label() != "VAE"]
    negative_elbo = np.array([points.sum(axis=1) for points in diagonals])
    np.testing.assert_allclose(negative_elbo[:, 0], negative_elbo[:, 1])
    (apart,) = set(np.diff(negative_elbo[:, 0]).round(9))
    assert f"equal ELBO, {apart:g} nats apart" in texts(ax.get_legend().get_texts())
    assert 90 < ax.get_ylim()[1] < 95  # the lines beyond the data do not widen the picture


# The latent plane.


def test_latent_scatter_shows_each_code_in_the_colour_of_its_class():
    ax = figures.latent_scatter(CODES, LABELS, title="AE", xlabel="principal component 1")
    points = ax.collections[0]
    np.testing.assert_array_equal(points.get_offsets(), CODES)
    np.testing.assert_allclose(points.get_facecolors()[:, :3], figures.CLASS_COLORS[LABELS, :3])
    assert points.get_rasterized()
    assert ax.get_aspect() == 1
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("AE", "principal component 1", "z₂")


def test_latent_scatter_without_labels_has_one_colour_and_no_numbers():
    ax = figures.latent_scatter(CODES)
    assert len(np.unique(ax.collections[0].get_facecolors(), axis=0)) == 1
    assert not ax.texts


def test_classes_are_named_at_their_medians():
    codes = np.array([[-3.0, 0.0], [-2.0, 1.0], [-1.0, 9.0], [3.0, 3.0], [np.nan, 0.0]])
    ax = figures.latent_scatter(codes, [7, 7, 7, 2, 2])
    assert {text.get_text(): text.get_position() for text in ax.texts[:2]} == {"7": (-2.0, 1.0), "2": (3.0, 3.0)}


def test_names_of_classes_at_one_place_do_not_cover_each_other():
    codes = RNG.normal(size=(1000, 2)) * 1e-3
    ax = figures.latent_scatter(codes, np.arange(1000) % 10)
    ax.figure.canvas.draw()
    places = np.array([text.get_position() for text in ax.texts])
    assert len(places) == 10
    distances = np.linalg.norm(places[:, None] - places, axis=-1)[~np.eye(10, dtype=bool)]
    assert distances.min() > 0.06 * ax.get_xlim()[1]
    assert np.abs(places).max() < 0.4  # and they are still near their classes


def test_latent_scatter_shares_a_limit_and_counts_what_is_beyond_it():
    ax = figures.latent_scatter([[0.0, 0.0], [4.9, -4.9], [5.1, 0.0], [0.0, -6.0], [np.nan, 0.0]], limit=5)
    assert ax.get_xlim() == ax.get_ylim() == (-5, 5)
    assert texts(ax.texts) == ["3 of 5 not shown"]


def test_latent_scatter_without_a_limit_shows_all_codes_and_the_circles():
    assert figures.latent_scatter([[0.1, 0.1]]).get_xlim() == pytest.approx((-2.1, 2.1))
    assert figures.latent_scatter([[0.1, -30.0]]).get_xlim() == pytest.approx((-31.5, 31.5))
    assert figures.latent_scatter([[0.1, -0.2]], prior_circle=False).get_ylim() == pytest.approx((-0.21, 0.21))


def test_prior_circles_have_radius_one_and_two():
    ax = figures.latent_scatter(CODES)
    radii = [np.linalg.norm(line.get_xydata(), axis=1) for line in ax.get_lines()]
    np.testing.assert_allclose(radii, np.outer([1, 2], np.ones(181)))
    assert texts(ax.get_legend().get_texts()) == ["N(0, I), 1 and 2 sd"]
    without = figures.latent_scatter(CODES, prior_circle=False)
    assert not without.get_lines()
    assert without.get_legend() is None


def test_posterior_ellipses_are_two_standard_deviations_wide():
    logvar = RNG.normal(size=(60, 2)) - 3
    ax = figures.posterior_ellipses(CODES, logvar, LABELS, limit=4)
    ellipses = ax.collections[0]
    np.testing.assert_allclose(ellipses.get_widths(), 2 * np.exp(logvar[:, 0] / 2))
    np.testing.assert_allclose(ellipses.get_heights(), 2 * np.exp(logvar[:, 1] / 2))
    np.testing.assert_array_equal(ellipses.get_offsets(), CODES)
    np.testing.assert_allclose(ellipses.get_facecolors()[:, :3], figures.CLASS_COLORS[LABELS, :3])
    assert ax.get_aspect() == 1
    assert ax.get_xlim() == ax.get_ylim() == (-4, 4)


def test_posterior_ellipses_are_drawn_in_units_of_z():
    ax = figures.posterior_ellipses([[0.0, 0.0]], [[0.0, 2 * np.log(0.5)]], limit=2, prior_circle=False)
    ax.collections[0].set(facecolors="black", edgecolors="none")
    ax.set_axis_off()
    ax.figure.canvas.draw()
    dark = np.asarray(ax.figure.canvas.buffer_rgba())[:, :, 0] < 128
    rows, columns = np.nonzero(dark)
    size = ax.get_window_extent().width / 4  # pixels per unit of z
    assert np.ptp(columns) == pytest.approx(2 * size, abs=3)
    assert np.ptp(rows) == pytest.approx(size, abs=3)


def test_posterior_ellipses_of_an_ae_are_its_bare_codes():
    ax = figures.posterior_ellipses(CODES, None, LABELS, limit=4, title="AE")
    twin = figures.latent_scatter(CODES, LABELS, limit=4, title="AE")
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), CODES)
    assert type(ax.collections[0]) is type(twin.collections[0])
    assert (ax.get_xlim(), ax.get_title(), texts(ax.texts)) == (twin.get_xlim(), twin.get_title(), texts(twin.texts))


def test_hole_map_has_its_first_row_at_the_top_and_its_line_at_the_threshold():
    distance = np.repeat([[4.0], [3.0], [2.0], [1.0], [0.0]], 3, axis=1)
    ax = figures.hole_map(distance, CODES, LABELS, (-1, 1, -1, 1), 3.0, title="VAE")
    image = ax.images[0]
    np.testing.assert_array_equal(image.get_array(), distance)
    assert image.origin == "upper"
    assert tuple(image.get_extent()) == (-1, 1, -1, 1)
    (line,) = (
        path for collection in ax.collections for path in collection.get_paths() if collection.get_array() is not None
    )
    np.testing.assert_allclose(line.vertices[:, 1], 0.4)  # the centre of the second of five rows
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), CODES)
    assert {text.get_text() for text in ax.texts} == set("0123456789")
    assert ax.get_xlim() == ax.get_ylim() == (-1, 1)
    (bar,) = ax.child_axes
    assert bar.get_ylabel() == "distance to the nearest real image\n(line at threshold 3)"
    marks = [path.vertices[:, 1] for collection in bar.collections for path in collection.get_paths()]
    assert any(np.array_equal(heights, [3, 3]) for heights in marks)


@pytest.mark.parametrize("fill", [1.0, np.nan])
def test_hole_map_says_where_the_threshold_is_nowhere_crossed(fill):
    ax = figures.hole_map(np.full((2, 2), fill), CODES, None, (-1, 1, -1, 1), 3.0, label="distance (nats)")
    assert len(ax.collections) == 1
    assert ax.child_axes[0].get_ylabel() == "distance (nats)\n(no line at threshold 3)"


# The heat map.


def test_heat_map_cells_say_mean_and_deviation():
    mean, sd = np.array([[152.34, -8.0], [np.nan, 99.96]]), np.array([[0.51, 1.0], [np.nan, np.nan]])
    ax = figures.heat_map(mean, sd, ["2", "8"], ["1", "4"], "kl_weight", "latent_dim", "elbo (nats per image)")
    cells = {text.get_position(): text.get_text() for text in ax.texts}
    assert cells == {(0, 0): "152.3\n± 0.5", (1, 0): "−8.0\n± 1.0", (0, 1): "–", (1, 1): "100.0"}
    np.testing.assert_array_equal(mosaic(ax), mean)
    (hatched,) = ax.patches
    assert (hatched.get_xy(), hatched.get_hatch()) == ((-0.5, 0.5), "///")
    assert (texts(ax.get_xticklabels()), texts(ax.get_yticklabels())) == (["1", "4"], ["2", "8"])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("kl_weight", "latent_dim")
    assert ax.child_axes[0].get_ylabel() == "elbo (nats per image)"


def test_heat_map_texts_are_readable_on_their_cells():
    ax = figures.heat_map([np.linspace(0, 1, 21)], None, ["a"], list(map(str, range(21))), "x", "y", "accuracy")
    for text, value in zip(ax.texts, np.linspace(0, 1, 21), strict=True):
        assert abs(grey(text.get_color()) - grey(ax.images[0].to_rgba(value))) > 0.4
    assert ax.texts[10].get_text() == "0.500"


# Mosaics.


def test_image_grid_places_each_tile_with_its_ticks_at_the_centre():
    rows, columns = list("abcde"), list("ABCDEFGHI")
    ax = figures.image_grid(TILES, None, rows, columns, "title", "x", "y", gap=2)
    assert mosaic(ax).shape == (5 * 6 + 4 * 2, 9 * 4 + 8 * 2)
    for r, y in enumerate(ax.get_yticks()):
        for c, x in enumerate(ax.get_xticks()):
            np.testing.assert_array_equal(tile_under(ax, x, y, 6, 4), TILES[r, c])
    assert np.isfinite(mosaic(ax)).sum() == TILES.size  # the gaps are transparent
    assert (texts(ax.get_yticklabels()), texts(ax.get_xticklabels())) == (rows, columns)
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("title", "x", "y")
    image = ax.images[0]
    assert (image.get_clim(), image.get_interpolation(), image.origin) == ((0, 1), "nearest", "upper")
    np.testing.assert_array_equal(image.to_rgba([0.0, 1.0])[:, :3], [[0, 0, 0], [1, 1, 1]])
    assert ax.get_aspect() == 1


def test_image_grid_without_labels_has_no_ticks():
    ax = figures.image_grid(TILES)
    assert len(ax.get_xticks()) == len(ax.get_yticks()) == 0


def test_reconstructions_stand_under_their_originals():
    ax = figures.reconstructions(TILES[0], {"AE": TILES[1], "VAE": TILES[2]})
    assert texts(ax.get_yticklabels()) == ["original", "AE", "VAE"]
    for row, y in enumerate(ax.get_yticks()):
        for k in range(9):
            np.testing.assert_array_equal(tile_under(ax, k * 5 + 1.5, y, 6, 4), TILES[row, k])


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]])
def test_manifold_grows_to_the_right_and_upwards_whatever_the_order(order):
    z1, z2 = np.linspace(-1.64, 1.64, 9), np.array([-2.0, -1.0, -0.04, 1.0, 2.0])
    ax = figures.manifold(TILES[order][:, ::-1], z1[::-1], z2[order], title="VAE")
    assert texts(ax.get_yticklabels()) == ["2.0", "1.0", "0.0", "−1.0", "−2.0"]
    assert texts(ax.get_xticklabels()) == ["−1.6", "", "−0.8", "", "0.0", "", "0.8", "", "1.6"]
    for y, row in zip(ax.get_yticks(), [4, 3, 2, 1, 0], strict=True):
        for x, column in zip(ax.get_xticks(), range(9), strict=True):
            np.testing.assert_array_equal(tile_under(ax, x, y, 6, 4), TILES[row, column])
    low, high = ax.get_ylim()
    assert low > high  # pixel rows count downwards, so that the first tick is the highest
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("VAE", "z₁", "z₂")


def test_samples_are_in_reading_order_and_the_rest_of_the_last_row_is_blank():
    ax = figures.samples(TILES[0], columns=4, title="VAE")
    picture = mosaic(ax)
    assert picture.shape == (3 * 6 + 2, 4 * 4 + 3)
    for index in range(9):
        top, left = index // 4 * 7, index % 4 * 5
        np.testing.assert_array_equal(picture[top : top + 6, left : left + 4], TILES[0, index])
    assert np.isnan(picture[14:, 5:]).all()
    assert mosaic(figures.samples(TILES[0, :3])).shape == (6, 3 * 4 + 2)  # no more columns than images


def test_interpolations_run_from_0_to_1():
    ax = figures.interpolations(TILES[:, :5])
    assert texts(ax.get_xticklabels()) == ["0", "0.25", "0.5", "0.75", "1"]
    np.testing.assert_array_equal(tile_under(ax, ax.get_xticks()[4], 2.5 + 7, 6, 4), TILES[1, 4])


def test_traversals_name_their_dimensions_and_values():
    ax = figures.traversals(TILES[:3, :5], [-2, -1, 0, 1, 2], dimensions=[0, 9, 122])
    assert texts(ax.get_yticklabels()) == ["z₁", "z₁₀", "z₁₂₃"]
    assert texts(ax.get_xticklabels()) == ["−2.0", "−1.0", "0.0", "1.0", "2.0"]
    np.testing.assert_array_equal(tile_under(ax, ax.get_xticks()[3], ax.get_yticks()[2], 6, 4), TILES[2, 3])
    assert texts(figures.traversals(TILES, np.zeros(9)).get_yticklabels()) == ["z₁", "z₂", "z₃", "z₄", "z₅"]


@pytest.mark.parametrize("count", [10, 11, 15, 20, 21])
def test_many_column_labels_are_thinned_evenly(count):
    labels = texts(figures.manifold(np.ones((1, count, 2, 2)), np.arange(count), [0.0]).get_xticklabels())
    shown = [index for index, label in enumerate(labels) if label]
    assert len(labels) == count
    assert 4 <= len(shown) <= 8
    assert shown[0] == 0
    assert len(set(np.diff(shown))) == 1
    assert count == 20 or shown[-1] == count - 1  # 19 steps divide into no fewer equal ones


# Shapes.

BAD = {
    "curves['AE'] must have shape [S, E], not [3]": lambda: figures.training_curve({"AE": np.ones(3)}, "y"),
    "curves['AE'] must have shape [S, E], not [0, 3]": lambda: figures.training_curve({"AE": np.ones((0, 3))}, "y"),
    "curves must hold at least one label": lambda: figures.training_curve({}, "y"),
    "x must have shape [X], not [1, 2]": lambda: figures.sweep_curve([[1, 2]], {"AE": np.ones((2, 1))}, "x", "y"),
    "values['AE'] must have shape [2, S], not [3, 2]": lambda: figures.sweep_curve(
        [1, 2], {"AE": np.ones((3, 2))}, "x", "y"
    ),
    "x must not be negative": lambda: figures.sweep_curve([-1, 2], {"AE": np.ones((2, 1))}, "x", "y", logx=True),
    "values['AE'] must have shape [S, D], not [2]": lambda: figures.bars({"AE": np.ones(2)}, "x", "y"),
    "rate['AE'] must have shape [1, S], not [2, 2]": lambda: figures.rate_distortion(
        {"AE": np.eye(2)}, {"AE": np.eye(2)}, ["1"]
    ),
    "distortion must have the labels of rate, ['AE'], not ['VAE']": lambda: figures.rate_distortion(
        {"AE": np.eye(2)}, {"VAE": np.eye(2)}, ["1", "2"]
    ),
    "distortion['AE'] must have shape [2, 2], not [2, 3]": lambda: figures.rate_distortion(
        {"AE": np.eye(2)}, {"AE": np.ones((2, 3))}, ["1", "2"]
    ),
    "codes must have shape [N, 2], not [4, 3]": lambda: figures.latent_scatter(np.ones((4, 3))),
    "labels must have shape [60], not [59]": lambda: figures.latent_scatter(CODES, LABELS[1:]),
    "mean must have shape [N, 2], not [2]": lambda: figures.posterior_ellipses([1, 2], [1, 2]),
    "logvar must have shape [60, 2], not [60, 1]": lambda: figures.posterior_ellipses(CODES, CODES[:, :1]),
    "distance must be at least 2 x 2": lambda: figures.hole_map([[1, 2]], CODES, None, (0, 1, 0, 1), 1),
    "mean must have shape [1, 2], not [2, 2]": lambda: figures.heat_map(
        np.eye(2), None, ["a"], ["b", "c"], "x", "y", "z"
    ),
    "sd must have shape [2, 2], not [2]": lambda: figures.heat_map(
        np.eye(2), [1, 2], ["a", "b"], ["c", "d"], "x", "y", "z"
    ),
    "images must have shape [R, C, H, W], not [5, 9, 6]": lambda: figures.image_grid(TILES[..., 0]),
    "row_labels must be 5 texts": lambda: figures.image_grid(TILES, row_labels=["a"]),
    "column_labels must be 9 texts": lambda: figures.image_grid(TILES, column_labels=["a"]),
    "originals must have shape [K, H, W], not [5, 9, 6, 4]": lambda: figures.reconstructions(TILES, {}),
    "rows['AE'] must have shape [9, 6, 4], not [8, 6, 4]": lambda: figures.reconstructions(
        TILES[0], {"AE": TILES[1, 1:]}
    ),
    "z1 must have shape [9], not [5]": lambda: figures.manifold(TILES, np.ones(5), np.ones(5)),
    "z2 must have shape [5], not [9]": lambda: figures.manifold(TILES, np.ones(9), np.ones(9)),
    "images must have shape [N, H, W], not [5, 9, 6, 4]": lambda: figures.samples(TILES),
    "images must have shape [R, T, H, W], not [9, 6, 4]": lambda: figures.interpolations(TILES[0]),
    "values must have shape [9], not [3]": lambda: figures.traversals(TILES, [1, 2, 3]),
    "row_labels must be 5 texts for images": lambda: figures.traversals(TILES, np.ones(9), dimensions=[1]),
}


@pytest.mark.parametrize("message", BAD)
def test_a_wrong_shape_is_an_error_that_names_it_before_anything_is_drawn(message):
    with pytest.raises(ValueError, match=re.escape(message)):
        BAD[message]()
    assert not plt.get_fignums()
