"""The languages of the page: English where it is used, and in ko.json what is said in Korean in its place."""

import ast
import re
import string
from pathlib import Path

import pytest
from jinja2 import nodes
from markupsafe import Markup

from vae_jax.config import LANGUAGES
from vae_jax.launch import catalog
from vae_jax.measure.measurements import MEASUREMENTS
from vae_jax.report import page
from vae_jax.report.figures.panels import FIGURES
from vae_jax.report.page.language import Language

FOLDER = Path(page.__file__).parent
TRANSLATED = [code for code in LANGUAGES if code != "en"]


def blank(text: str) -> str:
    """A text without the names of what is filled in, and without what separates it from another part."""
    return re.sub(r"\{[^{}]*\}", "{}", text).strip("; ")


def names_in(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def in_python(path: Path) -> list[str]:
    """The strings of a module; what an f-string fills in stands in braces."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    whole = ["".join(getattr(part, "value", "{}") if isinstance(part, ast.Constant) else "{}" for part in node.values)
             for node in joined]  # fmt: skip
    constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [*whole, *(text for text in constants if isinstance(text, str))]


def in_template(path: Path) -> list[str]:
    tree = page.TEMPLATE.environment.parse(path.read_text(encoding="utf-8"))
    return [node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)]


def every_text() -> set[str]:
    """All strings of the program, without the names of what is filled in."""
    found = [text for entry in MEASUREMENTS.values() for text in (entry.label, entry.unit, entry.error, entry.meaning)]
    found += [text for entry in FIGURES.values() for text in (entry.title, entry.caption)]
    found += [catalog.load(name).question for name in catalog.names() if not name.startswith("published/")]
    for path in (FOLDER.parents[1]).rglob("*.py"):
        found += in_python(path)
    for path in FOLDER.glob("*.html"):
        found += in_template(path)
    for path in FOLDER.glob("*.js"):
        found += re.findall(r'"([^"\n]*)"', path.read_text(encoding="utf-8"))
    return set(map(blank, found))


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_translation_is_of_a_text_that_is_used(code):
    keys = Language(code).translations
    used = every_text()
    assert [english for english in keys if blank(english) not in used] == []


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_translation_fills_in_nothing_that_its_text_does_not(code):
    for english, translation in Language(code).translations.items():
        assert translation.strip()
        assert names_in(translation) <= names_in(english) | {"baseline"}, english  # its title is known to all of these


def test_without_a_translation_a_text_stays_english_as_a_whole():
    _ = Language("ko")
    assert _("{n} of {total} are nowhere", n=2, total=3) == "2 of 3 are nowhere"
    assert _("What is {this}?") == "What is {this}?"  # from outside: nothing is filled in
    assert _.composed("about 9 seeds; {no} words of ours") == "about 9 seeds; {no} words of ours"


def test_the_noun_of_the_data_set_stands_where_images_are_named():
    text = "Draw {an_image}: test {images} are near your {image} {n}"
    assert Language("en", "digit")(text, n=3) == "Draw a digit: test digits are near your digit 3"
    assert Language()(text, n=3) == "Draw an image: test images are near your image 3"
    assert Language("ko", "digit")("Draw {an_image} first") == "먼저 숫자를 그려 주세요"
    assert Language("ko")("Draw {an_image} first") == "먼저 이미지를 그려 주세요"


def test_a_text_of_sentences_is_translated_as_a_whole_or_not_at_all():
    _ = Language("ko")
    known = "The rate of each latent dimension."
    _.translations["{n} of {total} settings are shown."] = "설정 {total}개 중 {n}개."
    assert _.whole(known) == _.translations[known]
    assert _.whole(f"{known} 3 of 7 settings are shown.") == f"{_.translations[known]} 설정 7개 중 3개."
    assert _.whole(f"{known} Nobody translated this.") is None
    assert _.whole("Nobody translated this. The rate of each latent dimension.") is None
    assert Language().whole("As it is.") == "As it is."


def test_english_has_two_forms():
    forms = "{n} seed", "{n} seeds"
    assert [Language().plural(*forms, n) for n in (0, 1, 2)] == ["0 seeds", "1 seed", "2 seeds"]
    assert [Language("ko").plural(*forms, n) for n in (1, 2)] == ["시드 1개", "시드 2개"]


def test_markup_that_is_filled_in_stays_markup_and_nothing_else_becomes_it():
    text = Language()("{run} failed: {reason} <&", run=Markup("<b>a</b>"), reason="<b>")
    assert isinstance(text, Markup)
    assert text == "<b>a</b> failed: &lt;b&gt; &lt;&amp;"
    assert not isinstance(Language()("{run} failed", run="<b>"), Markup)


@pytest.mark.parametrize(
    ("note", "korean"),
    [
        ("one seed: no interval, no verdict", "시드가 하나라 구간도 판정도 없음"),
        ("not after the correction; about 9 seeds would resolve it",
         "보정하면 유의하지 않음; 시드가 약 9개면 판정 가능"),
        ("the CV-VAE does not reconstruct: it gains -3 % of what the best gains",
         "CV-VAE가 재구성하지 못함: 가장 좋은 모델이 얻는 것의 -3 %"),
        ("51 % of the RAE’s reconstructions are implausible", "RAE 재구성의 51 %가 그럴듯하지 않음"),
    ],
)  # fmt: skip
def test_a_note_of_a_verdict_is_translated_with_its_numbers(note, korean):
    assert Language("ko").composed(note) == korean
    assert Language("en").composed(note) == note
