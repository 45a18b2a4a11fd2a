"""The languages of the page: each has every text, and says what other rooms say in English."""

import re
import string
from pathlib import Path

import pytest

from vae_jax.claims.claims import BY_CONSTRUCTION, CLAIMS
from vae_jax.claims.summary import SUMMARY
from vae_jax.claims.verdicts import VERDICTS
from vae_jax.config import LANGUAGES
from vae_jax.launch import catalog
from vae_jax.measure.measurements import MEASUREMENTS
from vae_jax.report import page
from vae_jax.report.figures.panels import FIGURES
from vae_jax.report.page.language import Language
from vae_jax.report.page.texts import terms
from vae_jax.report.page.texts.explorer import EXPLORER
from vae_jax.report.page.texts.page import PAGE
from vae_jax.report.page.texts.story import STORY

FOLDER = Path(page.__file__).parent
SENTENCES = (*BY_CONSTRUCTION, *(claim.text for claim in CLAIMS))
TRANSLATED = [code for code in LANGUAGES if code != "en"]
# Names, symbols and units that are the same in Korean.
PROPER = (
    "PyTorch", "Keras", "AE", "VAE", r"N\(0, [I1]\)", "ELBO", "KL", r"q\(z", r"\| x\)", r"p\(x", "SHA-256", "PNG",
    "JavaScript", "float16", "MNIST", "Shift", "Home", "nats?", "log_var", "log2?", "exp", r"Ghosh et al\. 2020",
    "Lakens 2017", "Kingma & Welling 2014", "test_not_a_likelihood_…", "[pABzkt]",
)  # fmt: skip


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("texts", [PAGE, STORY, EXPLORER], ids=["page", "story", "explorer"])
def test_every_language_has_every_text(texts):
    assert tuple(texts) == LANGUAGES
    english = texts["en"]
    for other in texts.values():
        assert other.keys() == english.keys()
        assert all(text.strip() for text in other.values())
        assert {name: placeholders(text) for name, text in other.items()} == {
            name: placeholders(text) for name, text in english.items()
        }


def all_korean() -> list[str]:
    found = [text for texts in (PAGE, STORY, EXPLORER) for text in texts["ko"].values()]
    tables = (terms.QUESTIONS, terms.SENTENCES, terms.LABELS, terms.UNITS, terms.ERRORS, terms.NOTES, terms.FIGURES)
    return found + [text for table in tables for text in table["ko"].values()]


def test_korean_has_no_english_left_but_proper_terms():
    allowed = re.compile(rf"\{{\w+\}}|(?<![A-Za-z])(?:{'|'.join(PROPER)})(?![A-Za-z])")
    left = {text: re.findall("[A-Za-z]+", allowed.sub("", text)) for text in all_korean()}
    assert {text: words for text, words in left.items() if words} == {}


def test_every_text_of_the_story_is_used():
    source = "".join((FOLDER / name).read_text(encoding="utf-8") for name in ("story.html", "story.py"))
    used = set(re.findall(r"\bs\.(\w+)|texts\[\"(\w+)|\"(numbers_\w+)\"", source))
    assert {n for n in STORY["en"] if not n.startswith("draw_row_")} == {
        name for found in used for name in found if name
    }


def test_every_text_of_the_page_is_used():
    sources = [*FOLDER.glob("*.html"), *FOLDER.glob("*.py")]
    source = "".join(path.read_text(encoding="utf-8") for path in sources if path.name != "explorer.html")
    named = set(re.findall(r"\bt\.(\w+)|[\"'](\w+)[\"']", source))
    used = {name for pair in named for name in pair if name}
    composed = ("verdict_", "split_")  # with what is judged, and the name of a split
    counted = re.compile(r"(runs|seeds)_(one|many)")
    assert {n for n in PAGE["en"].keys() - used if not n.startswith(composed) and not counted.fullmatch(n)} == set()
    for kind in VERDICTS:
        assert Language("ko").verdict(kind) != Language("en").verdict(kind) == kind


@pytest.mark.parametrize("code", TRANSLATED)
def test_what_verdict_tables_say_is_translated(code):
    assert terms.SENTENCES[code].keys() == set(SENTENCES)
    for sentence in SENTENCES:
        assert placeholders(terms.SENTENCES[code][sentence]) == placeholders(sentence)
    shown = {*SUMMARY, *(claim.measurement for claim in CLAIMS)}
    assert shown <= terms.LABELS[code].keys() <= MEASUREMENTS.keys()
    units, over = ({getattr(MEASUREMENTS[name], what) for name in shown} - {""} for what in ("unit", "error"))
    assert units <= terms.UNITS[code].keys()
    assert over <= terms.ERRORS[code].keys()
    assert terms.FIGURES[code].keys() == FIGURES.keys()


@pytest.mark.parametrize("code", TRANSLATED)
def test_the_questions_of_experiments_are_translated(code):
    ours = {catalog.load(name).question for name in catalog.names() if not name.startswith("published/")}
    assert terms.QUESTIONS[code].keys() == ours
    assert Language(code).question("Why?") is None
    assert Language("en").question("Why?") == "Why?"


@pytest.mark.parametrize("code", TRANSLATED)
def test_the_notes_of_verdicts_are_translated(code):
    """The words are those of verdicts.py: a note that is worded anew is found here."""
    source = (Path(page.__file__).parents[2] / "claims" / "verdicts.py").read_text(encoding="utf-8")
    notes = [
        "one seed: no interval, no verdict", "a run has no finite number", "differs, by less than matters",
        "not after the correction; about 9 seeds would resolve it", "over 100 seeds would resolve it",
        "the CV-VAE does not reconstruct: it gains -3 % of what the best gains",
        "51 % of the RAE’s reconstructions are implausible",
    ]  # fmt: skip
    for note in notes:
        for part in note.split("; "):
            assert any(
                words in source for words in re.split(r"-?\d+|CV-VAE|RAE|the |about |over ", part) if len(words) > 9
            )
            assert not re.search("[A-Za-z]", re.sub("CV-VAE|RAE", "", Language(code).note(part))), part
        assert Language("en").note(note) == note
    assert Language("ko").note(notes[-2]) == "CV-VAE가 재구성하지 못함: 가장 좋은 모델이 얻는 것의 -3 %"
