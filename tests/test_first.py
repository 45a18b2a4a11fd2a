"""The first screen: what Python puts into it, and what a real browser makes of it."""

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any

import browser as chromium
import numpy as np
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from PIL import Image
from test_explorer import floats, make_run, make_workdir

from vae_jax import data, files
from vae_jax.claims.results import Results
from vae_jax.config import Config, Experiment, Shown
from vae_jax.measure.latents import matching_rotation
from vae_jax.measure.samples import draw_measured
from vae_jax.report import page
from vae_jax.report.page import explorer, first, path
from vae_jax.report.page.sheets import sheet
from vae_jax.report.page.weights import encode_array

pytestmark = pytest.mark.usefixtures("cheap_compilation")

WEIGHTS = (0.5, 1.0, 2.0)
SHAPE = (10, 12)
RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> str:
    """A data set of 10 x 12 pixels: a blot at one of five places, its class, on noise."""
    random = np.random.default_rng(0)
    content = {}
    for split, count in (("train", 120), ("test", 60)):
        images = random.integers(0, 40, (count, *SHAPE), np.uint8)
        labels = (np.arange(count) % 5).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[2:8, 2 * label : 2 * label + 3] = 230
        content |= {f"x_{split}": images, f"y_{split}": labels}
    file = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(file, **content)
    return f"npz:{file}"


@pytest.fixture(scope="module")
def experiment(digits) -> Experiment:
    """An AE and a VAE at 2 and at 3 dimensions, and the path of the KL weight at 2."""
    base = Config(dataset=digits, hidden_dims=(12,), num_epochs=1, validation_fraction=0.0)
    grids = ({"latent_dim": (2, 3), "model": ("ae", "vae"), "seed": (0, 1)}, Shown(kl_weight=WEIGHTS, seed=(0,)))
    return Experiment(name="drawn", question="What does it do?", base=base, grids=grids)


def numbers(config: Config) -> dict[str, float]:
    found = {"test_distortion": 40.0 + config.kl_weight + 10 * config.seed, "test_rate": 8.0 - config.kl_weight}
    for rung, sampler in enumerate(first.LADDER):
        vae = 5 * (config.model == "vae")
        found |= {
            f"{sampler}_frechet": 100.0 - 20 * rung + 2 * config.seed - vae,
            f"{sampler}_coverage": 0.2 * rung + 0.1,
        }
    return found


def results_of(experiment: Experiment) -> Results:
    rows = {config: numbers(config) for config in experiment.configs}
    return Results(experiment.configs, rows, {}, experiment.shown)


@pytest.fixture(scope="module")
def folder(experiment, tmp_path_factory) -> Path:
    return make_workdir(tmp_path_factory.mktemp("first"), experiment)


@pytest.fixture(scope="module")
def built(experiment, folder) -> dict[str, Any]:
    found = first.build(results_of(experiment), folder)
    assert found is not None
    return found


def tiles(packed: dict[str, Any]) -> np.ndarray:
    """The images of a sheet, [N, H, W] in 0 to 255."""
    whole = np.asarray(Image.open(io.BytesIO(base64.b64decode(packed["uri"].split(",")[1]))).convert("L"), float)
    (height, width), columns = packed["shape"], packed["columns"]
    cells = whole.reshape(-1, height, columns, width).swapaxes(1, 2)
    return cells.reshape(-1, height, width)[: packed["count"]]


# What Python puts into the page.


def test_the_draws_are_the_first_that_were_measured(built, digits, experiment):
    assert built["draws"]["dims"] == 3
    for shown, model in zip(built["draws"]["models"], ("ae", "vae"), strict=True):
        config = next(c for c in experiment.configs if (c.model, c.latent_dim, c.seed) == (model, 3, 0))
        run = make_run(config, SHAPE)
        samplers = draw_measured(run, data.load(digits, validation_fraction=0.0))
        expected = np.concatenate([run.decode(samplers[name][:16]) for name in first.LADDER])
        np.testing.assert_allclose(tiles(shown["sheet"]), 255 * expected, atol=0.51)
        frechet = [rung["frechet"] for rung in shown["ladder"]]
        assert frechet == [101.0 - 5 * (model == "vae") - 20 * rung for rung in range(4)]  # means of two seeds
        assert shown["seeds"] == 2


def test_the_draws_are_at_the_largest_dimension_that_both_models_have_and_near_weight_1(digits):
    base = Config(dataset=digits)
    grids = ({"model": ("ae",), "latent_dim": (2, 8, 32)}, {"latent_dim": (2, 8, 16), "kl_weight": (0.5, 1.5, 8.0)})
    ae, vae = first.compared(results_of(Experiment(name="e", question="?", base=base, grids=grids)))
    assert [(runs[0].model, runs[0].latent_dim) for runs in (ae, vae)] == [("ae", 8), ("vae", 8)]
    assert vae[0].kl_weight == 1.5
    (alone,) = first.compared(results_of(Experiment(name="e", question="?", grid={"latent_dim": (2, 5)})))
    assert alone[0].latent_dim == 5


def test_a_path_has_three_weights_of_one_seed_from_the_baseline_on():
    def weights(**grid: Any) -> list[float]:
        found = path.weights_of(Experiment(name="e", question="?", grid=grid).configs)
        assert len({(c.latent_dim, c.seed) for c in found.values()}) <= 1
        return list(found)

    both = ("ae", "vae")
    assert weights(model=both, kl_weight=(2.0, 1.0), latent_dim=(8, 2), seed=(0, 1)) == [0, 1, 2]
    assert weights(model=both, kl_weight=(1.0,)) == weights(kl_weight=(1.0, 2.0)) == []
    assert weights(kl_weight=(4.0, 1.0, 2.0)) == [1, 2, 4]
    assert weights(model=("ae", "cv_vae"), kl_weight=(0.0, 1.0)) == []  # its own weight 0 is no AE
    assert weights(model=both, kl_weight=(1.0, 2.0), latent_dim=(1,)) == []
    grid = {"model": both, "kl_weight": (1.0, 2.0), "latent_dim": (16, 2, 8)}
    found = path.weights_of(Experiment(name="e", question="?", grid=grid).configs)
    assert {config.latent_dim for config in found.values()} == {2}


@pytest.mark.parametrize("dims", [2, 5])
def test_codes_are_turned_to_the_reference_by_the_orthogonal_matrix_that_they_were_turned_by(dims):
    reference = RANDOM.normal(size=(200, dims)) * np.arange(1, dims + 1) + 0.5
    turn, _ = np.linalg.qr(RANDOM.normal(size=(dims, dims)))
    turn[:, 0] *= -np.sign(np.linalg.det(turn))  # a reflection
    found = matching_rotation(reference @ turn + 0.01 * RANDOM.normal(size=(200, dims)), reference)
    np.testing.assert_allclose(found, turn, atol=0.01)
    np.testing.assert_allclose(found @ found.T, np.eye(dims), atol=1e-12)


@pytest.mark.parametrize("dims", [2, 5])
def test_a_plane_sees_codes_posteriors_and_draws_in_the_same_way(dims):
    reference, codes = RANDOM.normal(size=(2, 300, dims)) * np.arange(1, dims + 1)
    _, plane = path.planes([reference, codes], reference)
    mean, logvar = RANDOM.normal(size=dims), RANDOM.uniform(-2, 1, dims)
    axes = plane.basis.T @ plane.turn
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-12)
    xx, xy, yy = plane.covariances(logvar[None])[0]
    np.testing.assert_allclose([[xx, xy], [xy, yy]], axes * np.exp(logvar) @ axes.T, rtol=1e-9)
    drawn = mean + np.exp(logvar / 2) * RANDOM.normal(size=(200_000, dims))
    np.testing.assert_allclose(np.cov(plane.places(drawn).T), [[xx, xy], [xy, yy]], rtol=0.05, atol=0.02)
    turned = RANDOM.normal(size=(8, dims))
    np.testing.assert_allclose(plane.places(plane.codes(turned)), turned @ plane.basis, atol=1e-5)
    if dims > 2:  # the two directions in which the reference's codes are widest
        np.testing.assert_allclose(np.abs(plane.basis[-2:]), [[0, 1], [1, 0]], atol=0.15)


def test_a_step_has_the_decodes_of_its_run_at_places_that_stay(built, experiment, digits):
    plane = built["plane"]
    assert [step["weight"] for step in plane["steps"]] == [0, *WEIGHTS]
    assert plane["steps"][plane["start"]]["weight"] == 1
    images = data.load(digits, validation_fraction=0.0).test.images
    reference = make_run(next(c for c in experiment.configs if c.name.startswith("vae-z2-kl1-s0")), SHAPE)
    for step, title in zip(plane["steps"], ("AE", "VAE", "VAE", "VAE"), strict=True):
        assert step["title"] == title
        (config,) = (
            c for c in experiment.configs
            if (c.latent_dim, c.seed) == (2, 0) and c.model == title.lower() and step["weight"] in (0, c.kl_weight)
        )  # fmt: skip
        run = make_run(config, SHAPE)
        codes = run.encode(images)
        turn = matching_rotation(codes.mean, reference.encode(images).mean)
        np.testing.assert_allclose(floats(step["places"]).reshape(-1, 2), codes.mean @ turn.T, atol=1e-4)
        eps = np.random.default_rng(0).standard_normal((8, 2))
        np.testing.assert_allclose(plane["draws"], eps, atol=1e-6)
        np.testing.assert_allclose(tiles(step["decodes"]), 255 * run.decode((eps @ turn).astype(np.float32)), atol=0.6)
        x0, y0, x1, y1 = plane["box"]
        corner = np.array([[x0 + (x1 - x0) / 2 / path.SIDE, y1 - (y1 - y0) / 2 / path.SIDE]])  # the upper left cell
        lossy = tiles(step["grid"])[0]
        assert np.abs(lossy - 255 * run.decode((corner @ turn).astype(np.float32))[0]).mean() < 8  # WebP loses a little
        assert (step["rate"] is None) == (title == "AE")
        assert len(floats(step["posteriors"])) == (0 if title == "AE" else 3 * path.POSTERIORS)


def test_a_box_that_would_be_empty_is_absent(experiment, folder):
    found = results_of(experiment)
    without_path = found._replace(rows={c: row for c, row in found.rows.items() if c not in found.shown})
    built = first.build(without_path, folder)
    assert built is not None
    assert built["plane"] is None
    html = page.render(experiment, {}, without_path, [], seen=built)
    assert 'data-role="draws"' in html
    assert 'data-role="plane"' not in html
    assert first.build(found._replace(rows={}), folder) is None


def test_without_a_judge_there_are_draws_and_no_numbers_of_them(experiment, folder, browser):
    found = results_of(experiment)
    bare = {c: {"test_distortion": 1.0} for c in experiment.configs if c not in found.shown}
    built = first.build(found._replace(rows=bare), folder)
    assert built is not None
    assert [model["ladder"] for model in built["draws"]["models"]] == [[], []]
    files.write_text(folder / "bare.html", page.render(experiment, {}, found, [], seen=built))
    tab = browser.new_page()
    tab.open((folder / "bare.html").as_uri())
    tab.wait("'ready' in document.getElementById('first').dataset")
    assert tab.messages == []
    said = tab.evaluate("document.querySelector('[data-role=draws]').textContent")
    assert "Nothing is known of the codes" in said
    assert "Fréchet" not in said


# In a browser.


@pytest.fixture(scope="module")
def painted(built) -> dict[str, Any]:
    """The same with codes that lie apart, and images of a few large blocks, which differ when they are smoothed."""

    def blocks(old: dict[str, Any]) -> dict[str, Any]:
        values = RANDOM.integers(0, 256, (old["count"], 2, 3), np.uint8)
        return sheet(values.repeat(5, axis=1).repeat(4, axis=2), old["columns"])

    models = [model | {"sheet": blocks(model["sheet"])} for model in built["draws"]["models"]]
    steps = [step | {name: blocks(step[name]) for name in ("decodes", "grid")} for step in built["plane"]["steps"]]
    for step in steps:
        step["places"] = encode_array(RANDOM.normal(0, 1.2, (60, 2)))
    return {"draws": built["draws"] | {"models": models}, "plane": built["plane"] | {"steps": steps}}


@pytest.fixture(scope="module")
def report(experiment, folder, painted) -> Path:
    found = results_of(experiment)
    live = explorer.build(found, folder)
    assert live is not None
    for content in live["runs"]:
        if content["model"] == "vae":  # runs that are not trained have the same codes, here as an AE and as a VAE
            codes = floats(content["mean"]).reshape(-1, content["latent_dim"]).astype(np.float64)
            codes[:, :2] = codes[:, :2] @ [[2.0, 0.5], [-0.3, 1.0]] + [1.0, -0.5]
            content["mean"] = encode_array(codes)
    files.write_text(folder / "first.html", page.render(experiment, {}, found, [], live, seen=painted))
    return folder / "first.html"


def opened(browser: chromium.Browser, report: Path, *size: int, state: str = "", **media: Any) -> chromium.Page:
    tab = browser.new_page()
    tab.open(report.as_uri() + state, *size, **media)
    tab.wait("['first', 'explorer'].every((id) => 'ready' in document.getElementById(id).dataset)")
    tab.settle()
    return tab


PAPER, INK = 0x17, 0xFF  # red of both, in the light theme


def shown(tab: chromium.Page, selector: str, among: np.ndarray, columns: int, count: int) -> list[int]:
    """Which of some images [N, H, W] of 0 to 255 each tile of a canvas shows, by the middles of their pixels."""
    width, red = tab.evaluate(f"""(() => {{
        const canvas = document.querySelector({json.dumps(selector)}), {{width, height}} = canvas;
        const {{data}} = canvas.getContext("2d").getImageData(0, 0, width, height);
        return [width, Array.from({{length: width * height}}, (_, i) => data[4 * i])];
    }})()""")
    canvas = np.reshape(red, (-1, width))
    side = (width - 3 * (columns - 1)) / columns
    scale, (height, wide) = side / max(SHAPE), SHAPE
    found = []
    for n in range(count):
        left, top = n % columns * (side + 3), n // columns * (side + 3)
        rows = (top + (side - scale * height) / 2 + (np.arange(height) + 0.5) * scale).astype(int)
        across = (left + (side - scale * wide) / 2 + (np.arange(wide) + 0.5) * scale).astype(int)
        off = np.abs(canvas[np.ix_(rows, across)] - (PAPER + (INK - PAPER) / 255 * among)).mean(axis=(1, 2))
        found.append(int(off.argmin()))
    return found


def choose(tab: chromium.Page, selector: str, value: Any = None) -> None:
    tab.evaluate(f"""(() => {{
        const input = document.querySelector({json.dumps(selector)});
        if (input.type === "radio") return input.click();
        input.value = {json.dumps(value)};
        input.dispatchEvent(new Event("input"));
    }})()""")
    tab.settle(6)


def test_the_ladder_changes_the_draws_and_their_numbers_and_a_link_keeps_it(browser, report, painted):
    tab = opened(browser, report)
    assert tab.messages == []
    models = painted["draws"]["models"]
    for rung, name in ((0, None), (2, "mixture")):
        if name:
            choose(tab, f'input[value="{name}"][name="fi-draws"]')
        for n, model in enumerate(models):
            expected = list(range(16 * rung, 16 * rung + 16))
            assert shown(tab, f'[data-draws="{n}"]', tiles(model["sheet"]), 4, 16) == expected
        caption = tab.evaluate("document.querySelector('[data-fi=draws-caption]').textContent")
        for model in models:
            numbers = model["ladder"][rung]
            assert f"{model['title']}: Fréchet distance {numbers['frechet']:.0f}, coverage" in caption
        marked = tab.evaluate("[...document.querySelectorAll('.fi-on')].map((each) => Number(each.dataset.rung))")
        assert marked == [rung] * 2
    assert "draws=mixture" in tab.evaluate("location.hash")
    again = opened(browser, report, state="#draws=mixture")
    assert again.evaluate("document.querySelector('input[name=fi-draws]:checked').value") == "mixture"
    assert shown(again, '[data-draws="1"]', tiles(models[1]["sheet"]), 4, 16) == list(range(32, 48))
    none = opened(
        browser, report, state="#draws=__proto__&weight=x&at=1&tool=%22%5D&point=nan,2&sampled=prior.-1&link="
    )
    assert none.messages == []
    assert none.evaluate("document.querySelector('input[name=fi-draws]:checked').value") == "prior"


def test_the_slider_moves_codes_draws_and_loss_terms_and_a_link_keeps_it(browser, report, painted):
    tab = opened(browser, report)
    steps = painted["plane"]["steps"]
    for n in (2, 0, 3):
        choose(tab, "[data-fi=slider]", n)
        tab.wait("document.querySelector('[data-fi=decodes]').width > 0")
        every = np.concatenate([tiles(step["decodes"]) for step in steps])
        assert shown(tab, "[data-fi=decodes]", every, 8, 8) == list(range(8 * n, 8 * n + 8))
        texts = tab.evaluate("[...document.querySelectorAll('[data-number]')].map((each) => each.textContent)")
        rate = steps[n]["rate"]
        assert texts == [f"{steps[n]['distortion']:.1f}", "none" if rate is None else f"{rate:.1f}"]
        widths = tab.evaluate(
            "[...document.querySelectorAll('[data-bar]')].map((each) => parseFloat(each.style.width))"
        )
        largest = max(step["distortion"] for step in steps)
        np.testing.assert_allclose(
            widths, [100 * steps[n]["distortion"] / largest, 100 * (rate or 0) / largest], atol=0.01
        )
    tab.wait("location.hash.includes('weight=2')")
    tab.evaluate("document.querySelector('[data-fi=plane]').focus()")
    tab.key("ArrowUp")
    tab.wait("/at=0\\.\\d+|at=-0\\.\\d+/.test(location.hash)")
    again = opened(browser, report, state="#weight=0.5&at=0.40,-0.30")
    assert again.evaluate("document.querySelector('[data-fi=weight]').textContent") == "0.5 (VAE)"
    x0, y0, x1, y1 = painted["plane"]["box"]
    column, row = int((0.4 - x0) / (x1 - x0) * path.SIDE), int((y1 + 0.3) / (y1 - y0) * path.SIDE)
    there = np.stack([tiles(step["grid"])[row * path.SIDE + column] for step in steps])
    assert shown(again, "[data-fi=point]", there, 1, 1) == [1]
    again.evaluate("document.querySelector('[data-fi=plane]').focus()")
    for _ in range(path.SIDE):
        again.key("ArrowUp")
    height, now = (y1 - y0) / path.SIDE, "parseFloat(location.hash.split('at=')[1].split(',')[1])"
    again.wait(f"{now} > {y1 - 0.4 * height}")
    assert again.evaluate(now) == pytest.approx(y1, abs=0.01)  # and no further


def test_posteriors_are_painted_where_their_covariances_say(browser, report, painted):
    """Axes of the ellipses of the canvas, whose y points down, against those of NumPy."""
    tab = opened(browser, report)
    tab.evaluate("""{
        window.seen = [];
        const {ellipse} = CanvasRenderingContext2D.prototype;
        CanvasRenderingContext2D.prototype.ellipse = function (...all) {
            if (this.canvas.dataset.fi === "plane") window.seen.push(all);
            ellipse.apply(this, all);
        };
    }""")
    choose(tab, "[data-fi=slider]", 3)
    width, height, found = tab.evaluate("""(() => {
        const {clientWidth, clientHeight} = document.querySelector("[data-fi=plane]");
        return [clientWidth, clientHeight, window.seen];
    })()""")
    step, (x0, y0, x1, y1) = painted["plane"]["steps"][3], painted["plane"]["box"]
    scale = min(width / (x1 - x0), height / (y1 - y0))
    places = floats(step["places"]).reshape(-1, 2)[: path.POSTERIORS]
    covariances = floats(step["posteriors"]).reshape(-1, 3)
    assert len(found) >= path.POSTERIORS
    for each, place, (xx, xy, yy) in zip(found[-path.POSTERIORS :], places, covariances, strict=True):
        px, py, a, b, angle, *_ = each
        expected = [width / 2 + (place[0] - (x0 + x1) / 2) * scale, height / 2 - (place[1] - (y0 + y1) / 2) * scale]
        np.testing.assert_allclose([px, py], expected, atol=1e-2)
        cosine, sine = np.cos(-angle), np.sin(-angle)
        axes = np.array([[cosine, -sine], [sine, cosine]]) * [a, b] / scale
        covariance = np.array([[xx, xy], [xy, yy]])
        least = 1 / scale  # a smaller radius is painted as one pixel
        values, vectors = np.linalg.eigh(covariance)
        covariance = vectors * np.maximum(values, least**2) @ vectors.T
        np.testing.assert_allclose(axes @ axes.T, covariance, rtol=1e-3, atol=1e-4)


def test_codes_have_the_colour_of_their_class(browser, report, painted):
    """A code that no other mark lies on, at the AE, whose codes have no ellipses."""
    tab = opened(browser, report, state="#weight=0&at=-9,-9")
    plane = painted["plane"]
    places = floats(plane["steps"][0]["places"]).reshape(-1, 2)
    marks = np.concatenate(
        [places, plane["draws"], [np.median(places[np.array(plane["labels"]) == k], 0) for k in range(5)]]
    )
    (x0, y0, x1, y1) = plane["box"]
    seen = ((places > [x0, y0]) & (places < [x1, y1])).all(axis=1)
    off_circles = np.min([np.abs(np.linalg.norm(places, axis=1) - radius) for radius in (1, 2)], axis=0)
    alone = (
        np.sort(np.linalg.norm(places[:, None] - marks, axis=2), axis=1)[:, 1] * np.minimum(1, off_circles * 10) * seen
    )
    n = int(alone.argmax())
    rgb, expected = tab.evaluate(f"""(() => {{
        const canvas = document.querySelector("[data-fi=plane]"), picture = new Plane.Picture(canvas);
        [picture.width, picture.height] = [canvas.clientWidth, canvas.clientHeight];
        picture.setBox({{x: {(x0 + x1) / 2}, y: {(y0 + y1) / 2}, halfX: {(x1 - x0) / 2}, halfY: {(y1 - y0) / 2}}});
        const [x, y] = picture.toPixel({places[n].tolist()});
        const pixel = canvas.getContext("2d").getImageData(Math.floor(x), Math.floor(y), 1, 1).data;
        return [[...pixel].slice(0, 3), Plane.classColor({plane["labels"][n]}, 5, "light")];
    }})()""")
    color = np.array([int(expected[i : i + 2], 16) for i in (1, 3, 5)])
    np.testing.assert_allclose(rgb, color, atol=6)


# Names of classes, which come from outside.

NAMES = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    '=1+1,"a"',
    "$x$",
    "Ankle boots with laces",
]
SPY = """(() => {
    window.texts = [];
    window.placed = [];
    const {fillText} = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
        window.texts.push(text);
        window.placed.push([this.canvas.dataset.fi, text, ...rest]);
        fillText.call(this, text, ...rest);
    };
    window.dispatchEvent(new Event("resize"));
})()"""


def test_names_of_classes_are_text_on_planes_in_lists_and_in_the_table(browser, experiment, folder, painted, tmp_path):
    found, names = results_of(experiment), dict(enumerate(NAMES))
    live = explorer.build(found, folder)
    assert live is not None
    live["images"][0]["names"] = names
    plane = painted["plane"] | {"names": names}
    html = page.render(experiment, {}, found, [], live, seen=painted | {"plane": plane})
    files.write_text(tmp_path / "named.html", html)
    tab = opened(browser, tmp_path / "named.html")
    assert tab.messages == []
    assert tab.evaluate("document.querySelectorAll('main img').length") == 0
    listed = "[...document.querySelectorAll('.ex-classes li')]"
    assert tab.evaluate(f"{listed}.map((item) => item.textContent)") == NAMES
    assert tab.evaluate(f"{listed}.map((item) => item.title)") == NAMES
    assert tab.evaluate("document.querySelector('[data-fi=plane]').title") == ", ".join(NAMES)
    shown_near = tab.evaluate("document.querySelector('.ex-near canvas').title")
    assert any(shown_near.startswith(name) for name in NAMES)
    tab.evaluate(SPY)
    tab.resize(1100, 800)
    tab.settle(6)
    # Cut off on the explorer's planes, on the first screen's, and not at all.
    assert {"<script>ale…", "<script>alert…", '=1+1,"a"'} <= set(tab.evaluate("window.texts"))
    with tab.tab.expect_download() as codes:
        tab.click('[data-ex="save-codes"]')
    rows = list(csv.DictReader(codes.value.path().read_text().splitlines()))
    assert {(row["label"], row["class"].removeprefix("'")) for row in rows} == {
        (str(label), name) for label, name in names.items()
    }
    assert all(row["class"][0] == "'" for row in rows if row["label"] == "2")  # no formula for a spreadsheet


def test_numbers_of_classes_are_listed_nowhere_but_on_the_planes(browser, report, painted):
    tab = opened(browser, report)
    assert tab.evaluate("document.querySelector('.ex-classes').hidden")
    tab.evaluate(SPY)
    tab.resize(1100, 800)
    tab.settle(6)
    assert set("01234") <= set(tab.evaluate("window.texts"))
    plane = painted["plane"]
    places, labels = floats(plane["steps"][plane["start"]]["places"]).reshape(-1, 2), np.array(plane["labels"])
    of_classes = [np.sort(places[labels == label], axis=0) for label in range(5)]
    medians = [codes[len(codes) // 2].tolist() for codes in of_classes]
    seen = {text: place for canvas, text, *place in tab.evaluate("window.placed") if canvas == "plane"}
    expected = tab.evaluate(f"""(() => {{
        const picture = new Plane.Picture(document.querySelector("[data-fi=plane]")), [x0, y0, x1, y1] = {plane["box"]};
        picture.fit();
        picture.setBox({{ x: (x0 + x1) / 2, y: (y0 + y1) / 2, halfX: (x1 - x0) / 2, halfY: (y1 - y0) / 2 }});
        return {medians}.map((at) => picture.toPixel(at));
    }})()""")
    np.testing.assert_allclose([seen[str(label)] for label in range(5)], expected, atol=0.01)


# The explorer, where models are moved through together.


def test_whitened_codes_have_mean_0_and_covariance_1(browser, report):
    tab = opened(browser, report)
    codes = RANDOM.normal(size=(50, 2)) @ [[2.0, 0.5], [-1.0, 0.3]] + [3, -1]
    found, back = tab.evaluate(f"""(() => {{
        const run = {{latentDim: 2, content: {{}}, mean: Float32Array.from({codes.ravel().tolist()})}};
        const view = new Plane.View(run), whitened = {codes.tolist()}.map((z) => view.whitened(view.project(z)));
        return [whitened, whitened.map((place) => view.placed(place))];
    }})()""")
    np.testing.assert_allclose(back, codes, atol=1e-4)
    np.testing.assert_allclose(np.mean(found, axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(np.transpose(found), bias=True), np.eye(2), atol=1e-4)
    values, vectors = np.linalg.eigh(np.cov(codes.T, bias=True))
    expected = (codes - codes.mean(axis=0)) @ (vectors / np.sqrt(values) @ vectors.T)  # no turn beside the scaling
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_move_goes_to_the_same_whitened_place_and_a_nudge_is_0_3_sd(browser, report):
    tab = opened(browser, report, state="#tool=nudge&point=0.25,-0.40")
    tab.evaluate("""{
        window.grids = {};
        const {setDifference} = Panel.Panel.prototype;
        Panel.Panel.prototype.setDifference = function () {
            setDifference.call(this);
            const {view, grids: {tiles}} = this;
            window.grids[this.model] = {
                places: [0, 1].map((n) => view.project(tiles[n].z)), seen: Array.from(view.places),
                images: tiles.map(({image}) => Array.from(image)),
            };
        };
    }""")
    tab.evaluate("document.querySelector('.ex-panel .ex-plane').focus()")
    tab.key("ArrowRight")
    tab.key("ArrowLeft")
    tab.settle(6)
    whitened = {}
    for model, grid in tab.evaluate("window.grids").items():
        seen = np.array(grid["seen"]).reshape(-1, 2)
        values, vectors = np.linalg.eigh(np.cov(seen.T, bias=True))
        whitened[model] = (np.array(grid["places"]) - seen.mean(axis=0)) @ (vectors / np.sqrt(values) @ vectors.T)
        np.testing.assert_allclose(whitened[model][1] - whitened[model][0], [0.3, 0], atol=1e-3)
        a, b, difference = np.array(grid["images"])
        np.testing.assert_allclose(difference, np.abs(a - b), atol=1e-6)
        assert difference.max() > 0
        if model == "ae":
            np.testing.assert_allclose(grid["places"][0], [0.25, -0.4], atol=0.01)  # that of the link
    np.testing.assert_allclose(whitened["ae"], whitened["vae"], atol=1e-3)
    assert tab.evaluate("document.querySelector('input[name=ex-tool]:checked').value") == "nudge"


def test_a_link_has_the_same_draws_again(browser, report):
    tab = opened(browser, report)
    for _ in range(2):
        tab.click("[data-ex=draw-prior]")
    tab.settle(6)
    grids = "[...document.querySelectorAll('.ex-grid')].map((canvas) => canvas.toDataURL())"
    tab.wait("location.hash.includes('sampled=prior.2')")
    again = opened(browser, report, state=tab.evaluate("location.hash"))
    again.settle(6)
    assert again.evaluate(grids) == tab.evaluate(grids)


def test_draws_alone_stand_beside_their_ladder(browser, experiment, painted, tmp_path):
    seen = {"draws": painted["draws"], "plane": None}
    files.write_text(tmp_path / "draws.html", page.render(experiment, {}, results_of(experiment), [], seen=seen))
    tab = browser.new_page()
    tab.open((tmp_path / "draws.html").as_uri())
    left, top, width, _ = tab.box('[data-role="draws"] .fi-pair')
    beside, ladder, *_ = tab.box(".fi-ladder")
    assert left + width < beside
    assert abs(ladder - top) < 40  # pixels


@pytest.mark.parametrize("dark", [False, True])
def test_the_first_screen_fits_and_has_no_barrier(browser, report, dark):
    """Question and both boxes at 1280 x 800, nothing wider than a phone, and what axe-core finds."""
    tab = opened(browser, report, dark=dark)
    bottoms = tab.evaluate(
        "[...document.querySelectorAll('[data-role]')].map((box) => box.getBoundingClientRect().bottom)"
    )
    assert len(bottoms) == 2
    assert max(bottoms) <= 800
    tab.tab.evaluate(AXE_SCRIPT)
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    parts = {"include": [["header"], ["#first"], ["#explorer"]]}
    options = {"runOnly": tags, "resultTypes": ["violations"]}
    found = tab.evaluate(f"axe.run({json.dumps(parts)}, {json.dumps(options)}).then((r) => r.violations)")
    assert [(each["id"], each["help"], [node["html"] for node in each["nodes"]]) for each in found] == []
    phone = opened(browser, report, 390, 844, dark=dark)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    order = phone.evaluate("['draws', 'plane'].map((name) => document.querySelector(`[data-role=${name}]`).offsetTop)")
    assert order == sorted(order)
    left, top, width, height = phone.box("[data-fi=plane]")
    phone.touch([(left + 0.3 * width, top + 0.3 * height)])
    phone.wait("location.hash.includes('at=')")
