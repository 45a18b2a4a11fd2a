"""The report of an experiment, report.html: one file that holds its figures, fetches nothing and opens offline."""

import base64
import functools
import hashlib
import io
import re
import textwrap
import urllib.parse
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup
from PIL import Image

from vae_jax.claims.answer import answer
from vae_jax.claims.choice import CRITERIA, choose
from vae_jax.claims.results import Results, csv_of
from vae_jax.claims.summary import DASH, SUMMARY, explain_spread, summarize
from vae_jax.claims.sweeps import Answer
from vae_jax.claims.verdicts import describe_others, judge
from vae_jax.config import FIELDS, Experiment, varying_fields
from vae_jax.data import noun_of
from vae_jax.errors import UserError
from vae_jax.files import write_text
from vae_jax.measure.measurements import MEASUREMENTS
from vae_jax.models import MODELS
from vae_jax.report.page import explorer, first, story, tables, terms
from vae_jax.report.page import record as facts
from vae_jax.report.page.language import Language
from vae_jax.workdir import Picture, read_record

MAX_BYTES = 8_000_000  # of the page, whatever its images and networks are
EXPLORER_BYTES = 150_000  # of the page, for the scripts of an explorer and for texts in place of what is left out
MAX_SIZE = (1800, 8000)  # width and height of an embedded image, pixels; the whole figure lies beside the report
WEBP_QUALITY = 80  # side by side nobody tells it from 90, at two thirds of the bytes; dots and thin lines stay sharp
OPEN_FIGURES = 2  # the first; the others open with a click
MAX_ALT = 240  # characters of the text that stands for a figure
CSS_PIXELS_PER_PIXEL = 96 / 300  # figures are saved at 300 dpi; at their size in inches all have text of one size

FOLDER = Path(__file__).parent
SHARED = (
    "language.js", "hash.js", "noise.js", "look.js", "digits.js", "network.js", "plane.js", "pad.js", "panel.js",
    "save.js",
)  # fmt: skip  # in this order, in one element
SCRIPTS = (*SHARED, "first.js", "explorer.js", "story.js")
NO_ANSWER = Answer()
POLICY = "content-security-policy"  # stands in the template for the policy, which needs the hashes of what is rendered


def _read(*names: str) -> Markup:
    return Markup("".join((FOLDER / name).read_text(encoding="utf-8") for name in names))


_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER),
    autoescape=True,  # names, captions and the record come from outside
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATE = _environment.get_template("template.html")
TEMPLATE.globals.update({
    "POLICY": POLICY,
    "scripts": _read(*SHARED),
    "first_style": _read("first.css"),
    "first_script": _read("first.js"),
    "explorer_style": _read("explorer.css"),
    "explorer_script": _read("explorer.js"),
    "claims_style": _read("claims.css"),
    "story_style": _read("story.css"),
    "story_script": _read("story.js"),
    "CRITERIA": CRITERIA, "DASH": DASH,
    "OPEN_FIGURES": OPEN_FIGURES, "SUMMARY": SUMMARY, "MEASUREMENTS": MEASUREMENTS, "MODELS": MODELS,
    "facts": facts, "tables": tables, "explain_spread": explain_spread,
    "quote": functools.partial(urllib.parse.quote, safe="", errors="replace"),
})  # fmt: skip


class Embedded(NamedTuple):
    """An image as a data URI."""

    uri: str  # empty for an image that the page leaves out
    width: int  # at which it is shown, CSS pixels
    height: int


def write(
    experiment: Experiment, workdir: Path, results: Results, pictures: Sequence[Picture], data_dir: str | None = None,
    language: str = "en",
) -> Path:  # fmt: skip
    """Writes WORKDIR/report.html from experiment.json, the results and the pictures, and returns its path.

    `data_dir` is where prepared data sets are; without a run's data set the page has no explorer. `language` is one of
    `config.LANGUAGES`. What `MAX_BYTES` do not hold is left out: networks of the explorer, the largest first, and if
    they are not enough, the largest pictures.

    Raises:
        UserError: experiment.json or a figure is missing or damaged, or the workdir cannot be written.
    """
    with ThreadPoolExecutor() as pool:  # Pillow's work is done outside Python's lock
        embedded = pool.map(embed, [workdir / "figures" / f"{picture.name}.png" for picture in pictures])
        figures = list(zip(pictures, embedded, strict=True))
    sentences = answer(results, judge(results), Language(language))
    seen = first.build(results, workdir, data_dir)
    page = functools.partial(
        render, experiment, read_record(workdir), results, answer=sentences, seen=seen, language=language
    )
    room = MAX_BYTES - len(page(figures).encode()) - EXPLORER_BYTES
    looks = explorer.looks_of(results, workdir)
    live = explorer.build(results, workdir, data_dir, looks, max_bytes=room)
    write_text(workdir / "report.html", page(_fitting(figures, -room), live))
    return workdir / "report.html"


def render(
    experiment: Experiment, record: Mapping[str, Any], results: Results, figures: Sequence[tuple[Picture, Embedded]],
    live: Mapping[str, Any] | None = None, answer: Answer = NO_ANSWER, language: str = "en",
    seen: Mapping[str, Any] | None = None,
) -> str:  # fmt: skip
    """Returns the page; a dash stands for what is missing in the record, or has the wrong type there.

    `live` is what `explorer.build` returns, `answer` answers the question in the language, and `seen` is what
    `first.build` returns.
    """
    nouns = {noun_of(config.dataset) for config in results.configs}
    _, summary = Language(language, nouns.pop() if len(nouns) == 1 else "image"), summarize(results)
    is_too_large, live = live is not None and not live["runs"], live if live and live["runs"] else None
    settings = summary.columns[: summary.num_settings]
    columns = [
        j for j in range(len(summary.columns)) if j < len(settings) or any(row[j] != DASH for row in summary.rows)
    ]
    # The number of seeds is no field.
    numeric = [name not in FIELDS or type(FIELDS[name].default) in (int, float) for name in settings]
    page = TEMPLATE.render(
        experiment=experiment, record=record, results=results, summary=summary, figures=figures,
        first=seen, explorer=live, is_too_large=is_too_large, size=f"{MAX_BYTES / 1e6:g} MB",
        answer=answer, choices=choose(results), _=_, translations=_in_scripts(_),
        varying=[name for name in varying_fields(results.configs) if name != "seed"],
        english=Markup("" if language == "en" else ' lang="en"'),  # of what other rooms say in English only
        counts=_counts(results, _),
        columns=columns, num_settings=len(settings), csv=_csv(results),
        translated=functools.partial(_translated, _),
        headings=[*settings[:-1], _("seeds"), *(_(MEASUREMENTS[name].label) for name in SUMMARY)],
        numbers=[cell for row in summary.rows for cell in zip(SUMMARY, row[len(settings) :], strict=True)],
        has_dash=any(row[column] == DASH for row in summary.rows for column in columns),
        numeric=numeric + [True] * (len(summary.columns) - len(settings)),
        verdict_tables=tables.arrange(judge(results), describe_others(results), _),
        floors=_floors(results),
        alt=_alt,
        in_colour=live is not None and any(len(images["shape"]) > 2 for images in live["images"]),
        story=story.build(results, live, _),
        titles={picture.name: picture.title for picture, image in figures},
        figure_of={picture.name: index for index, (picture, image) in enumerate(figures, 1)},
        scalars=[name for name in results.measured if MEASUREMENTS[name].kind is not list],
    )  # fmt: skip
    # A command line may hold bytes that are no UTF-8. Python carries them as surrogates, which cannot be written.
    return _with_policy(terms.explain(page.encode(errors="replace").decode(), _))


def _with_policy(page: str) -> str:
    """Fills in the Content-Security-Policy: nothing but the page's own styles and scripts, and images in it.

    Text from outside is escaped, so that every `<style>` and `<script>` is the template's.
    """

    def hashes(tag: str) -> str:
        contents = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in contents)
        return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"

    policy = f"default-src 'none'; img-src data:; style-src {hashes('style')}; script-src {hashes('script')}"
    return page.replace(f'content="{POLICY}"', f"content=\"{policy}; base-uri 'none'; form-action 'none'\"", 1)


def embed(path: Path) -> Embedded:
    """Reads an image file and compresses it into a data URI.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with Image.open(path) as file:
            image = file.convert("RGBA")
    except FileNotFoundError:
        raise UserError(f"the figure {path} is missing; launch again to draw it") from None
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for damaged files
        raise UserError(f"the figure {path} cannot be read ({error}); launch again to draw it") from error
    width, height = (round(side * CSS_PIXELS_PER_PIXEL) for side in image.size)
    image.thumbnail(MAX_SIZE)
    content = io.BytesIO()
    image.save(content, "WEBP", quality=WEBP_QUALITY)
    return Embedded(f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}", width, height)


def _fitting(figures: Sequence[tuple[Picture, Embedded]], excess: int) -> list[tuple[Picture, Embedded]]:
    """Empties the largest images until they are so many bytes less."""
    left_out: set[str] = set()
    for picture, image in sorted(figures, key=lambda figure: -len(figure[1].uri)):
        if excess > 0:
            left_out.add(picture.name)
            excess -= len(image.uri)
    return [(picture, image._replace(uri="") if picture.name in left_out else image) for picture, image in figures]


def _alt(picture: Picture) -> str:
    """Says what a figure shows: its title, and its caption as far as a listener has patience."""
    return textwrap.shorten(f"{picture.title}: {picture.caption}", MAX_ALT, placeholder=" …")


def _in_scripts(_: Language) -> dict[str, str]:
    """The translations of the texts of the scripts, and the nouns in them."""
    scripts = _read(*SCRIPTS)
    return {english: text for english, text in _.translations.items() if f'"{english}"' in scripts} | _.nouns


def _translated(_: Language, text: str) -> Markup | str:
    """A text of another room, such as a caption; marked as English where a part of it has no translation."""
    found = _.whole(text)
    return Markup('<span lang="en">{}</span>').format(text) if found is None else found


def _csv(results: Results) -> str:
    """results.csv as a data URI, so that a page that was mailed holds every number."""
    content = base64.b64encode(csv_of(results).encode()).decode("ascii")
    return f"data:text/csv;base64,{content}"


def _counts(results: Results, _: Language) -> str:
    """`6 runs`, `6 runs (4 evaluated, 1 diverged, 1 failed)`."""
    total, evaluated = len(results.configs), len(results.rows)
    counts = {
        "{n} evaluated": evaluated % total if total else 0,
        "{n} diverged": len(results.diverged),
        "{n} failed": len(results.reasons),
    }
    notes = [_(text, n=count) for text, count in counts.items() if count]
    return _.plural("{n} run", "{n} runs", total) + (f" ({', '.join(notes)})" if notes else "")


def _floors(results: Results) -> dict[str, str]:
    """By data set: how far its training images are from its test images."""
    floors: dict[str, set[str]] = {}
    for config, row in results.rows.items():
        if row.get("frechet_floor") is not None:
            floors.setdefault(config.dataset, set()).add(f"{row['frechet_floor']:.3g}")
    return {dataset: ", ".join(sorted(values)) for dataset, values in floors.items()}
