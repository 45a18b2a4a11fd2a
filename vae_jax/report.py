"""A finished workdir to report.html: one file that holds its pictures, fetches nothing and opens offline."""

import base64
import functools
import io
import math
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from PIL import Image

from vae_jax import results
from vae_jax.config import Experiment
from vae_jax.evaluation.claims import Verdict
from vae_jax.files import UserError, write_text
from vae_jax.results import Table
from vae_jax.workdir import Picture, read_record

TEMPLATE = jinja2.Template(
    Path(__file__).with_suffix(".html").read_text(encoding="utf-8"),
    autoescape=True,  # names, captions and the record come from outside
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
DASH = "–"
MOST_PIXELS = (1800, 8000)  # width and height of an embedded picture; the whole one lies beside the report
WEBP_QUALITY = 90  # a quarter to a half of the bytes of lossless, and no difference to be seen
CSS_PIXELS_PER_PIXEL = 96 / 300  # figures are saved at 300 dpi; at their size in inches all have text of one size


class Embedded(NamedTuple):
    """An image as a data URI, with the size in CSS pixels at which it is shown."""

    uri: str
    width: int
    height: int


def write(experiment: Experiment, workdir: Path, pictures: Sequence[Picture]) -> Path:
    """Writes WORKDIR/report.html from experiment.json, the runs' evaluations and the figures; returns its path.

    Raises:
        UserError: a figure is missing, a file is damaged, or the workdir cannot be written.
    """
    configs = experiment.configs
    rows = results.collect(workdir, configs)
    page = render(
        experiment.name,
        experiment.question,
        len(configs),
        read_record(workdir),
        results.judge_claims(configs, rows),
        results.summarize(configs, rows),
        rows,
        [(picture, embed(workdir / "figures" / f"{picture.name}.png")) for picture in pictures],
    )
    write_text(workdir / "report.html", page)
    return workdir / "report.html"


def render(
    name: str,
    question: str,
    num_runs: int,
    record: Mapping[str, Any],
    verdicts: Sequence[Verdict],
    summary: Table,
    rows: Sequence[Mapping[str, Any]],
    figures: Sequence[tuple[Picture, Embedded]],
) -> str:
    """The page.

    Args:
        name: of the experiment.
        question: that it answers.
        num_runs: in its grid, evaluated or not.
        record: the content of experiment.json; what it lacks, or has in another type, is a dash.
        verdicts: `results.judge_claims` of the rows.
        summary: `results.summarize` of the rows.
        rows: `results.collect`, a dict per evaluated run.
        figures: each with its image, in the order of the page.
    """
    page = TEMPLATE.render(
        name=name,
        question=question,
        command=_text(record.get("command")),
        num_runs=num_runs,
        data=", ".join(_mapping(record.get("data"))) or DASH,
        wall_time=_duration(record.get("wall_seconds")),
        device=_device(record),
        claims=_by_claim(verdicts),
        settings=any(verdict.setting for verdict in verdicts),
        figure_of={picture.name: index + 1 for index, (picture, _) in enumerate(figures)},
        not_a_likelihood=any(name.startswith("test_not_a_likelihood") for row in rows for name in row),
        floors=sorted({_text(row["frechet_floor"]) for row in rows if row.get("frechet_floor") is not None}),
        summary=summary,
        numeric=[all(map(_is_number, cells)) for cells in zip(*summary.rows, strict=True)],
        figures=figures,
        runs=[(row["run"], _numbers(row, rows)) for row in rows],
        provenance=_provenance(record),
        quote=functools.partial(urllib.parse.quote, safe="", errors="replace"),
    )
    # A command line may hold bytes that are no UTF-8; Python carries them as surrogates, which no file takes.
    return page.encode(errors="replace").decode()


def embed(path: Path) -> Embedded:
    """The image file as a compact data URI.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        with Image.open(path) as file:
            image = file.convert("RGBA")
    except FileNotFoundError:
        raise UserError(f"the figure {path} is missing; launch again to draw it") from None
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises at damaged files
        raise UserError(f"the figure {path} cannot be read ({error}); launch again to draw it") from error
    width, height = (round(side * CSS_PIXELS_PER_PIXEL) for side in image.size)
    image.thumbnail(MOST_PIXELS)
    content = io.BytesIO()
    image.save(content, "WEBP", quality=WEBP_QUALITY)
    return Embedded(f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}", width, height)


def _text(value: Any) -> str:
    """A value of a JSON file; a dash where it is neither text nor a finite number."""
    if type(value) is float and math.isfinite(value):
        return f"{value:.6g}"
    return str(value) if type(value) is int or (isinstance(value, str) and value.strip()) else DASH


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _by_claim(verdicts: Sequence[Verdict]) -> list[tuple[str, list[tuple[Verdict, str]]]]:
    """Each claim with its verdicts, and the difference of each as text."""
    claims: dict[str, list[tuple[Verdict, str]]] = {}
    for verdict in verdicts:
        interval = f"[{verdict.low:.3g}, {verdict.high:.3g}]" if verdict.low <= verdict.high else "[–]"
        claims.setdefault(verdict.claim, []).append((verdict, f"{verdict.difference:.3g} {interval}"))
    return list(claims.items())


def _is_number(cell: str) -> bool:
    try:
        return cell == DASH or not math.isnan(float(cell.split(" ± ")[0]))
    except ValueError:
        return False


def _duration(seconds: Any) -> str:
    """`12.3 s`, `3 min 5 s`, `2 h 10 min`; a dash where it is no time."""
    if type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
        return DASH
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _device(record: Mapping[str, Any]) -> str:
    """`cpu`, `2 × NVIDIA H100 (gpu)`."""
    device = _mapping(record.get("device"))
    kind, platform, count = (_text(device.get(name)) for name in ("kind", "platform", "count"))
    named = kind if platform in (kind, DASH) else f"{kind} ({platform})"
    return named if count in ("1", DASH) else f"{count} × {named}"


def _numbers(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What one run has of everything that the runs have, a dash for the rest; lists stay in the files."""
    longest_first = sorted(rows, key=len, reverse=True)  # so that a VAE's rate stands between its neighbours
    names = [name for each in longest_first for name, value in each.items() if not isinstance(value, list | dict)]
    return [(name, _text(row.get(name))) for name in dict.fromkeys(names) if name != "run"]


def _provenance(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Terms and what is known of them: the data, then the program, then the machine."""
    facts = []
    for name, origin in _mapping(record.get("data")).items():
        origin = _mapping(origin)
        counts = ", ".join(f"{_text(count)} {split}" for split, count in _mapping(origin.get("counts")).items())
        source = _text(origin.get("content", origin.get("source")))
        facts += [
            ("Data set", f"{name}: {counts or DASH} images"),
            ("Source", f"{source}, version {_text(origin.get('version'))}"),
            ("SHA-256 of the pixels", _text(origin.get("sha256"))),
        ]
    versions = _mapping(record.get("versions"))
    machine = _mapping(record.get("machine"))
    facts += [
        ("Versions", ", ".join(f"{name} {_text(version)}" for name, version in versions.items()) or DASH),
        ("Commit", re.sub(r"\+$", " with changes", _text(record.get("git_commit")))),
        ("Device", _device(record)),
        ("Machine", f"{_text(machine.get('system'))}, {_text(machine.get('processor'))}"),
        ("Launched", _text(record.get("started"))),
        ("Wall time", _duration(record.get("wall_seconds"))),
    ]
    return facts
