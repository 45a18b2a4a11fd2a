"""The report of an experiment, report.html: one file that holds its figures, fetches nothing and opens offline."""

import functools
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from vae_jax.claims import judge_claims
from vae_jax.config import Experiment
from vae_jax.measurements import MEASUREMENTS
from vae_jax.page.facts import command, data_names, device, number, provenance, wall_time
from vae_jax.page.images import Embedded, embed
from vae_jax.page.verdicts import group_verdicts, summary_notes
from vae_jax.results import DASH, Results, glossary, summarize
from vae_jax.workdir import Picture, read_record, write_text

TEMPLATE = jinja2.Template(
    Path(__file__).with_name("template.html").read_text(encoding="utf-8"),
    autoescape=True,  # names, captions and the record come from outside
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write(experiment: Experiment, workdir: Path, results: Results, pictures: Sequence[Picture]) -> Path:
    """Writes WORKDIR/report.html and returns its path.

    Args:
        experiment: whose runs these are.
        workdir: holds experiment.json and the figures.
        results: of the experiment's runs.
        pictures: the figures in WORKDIR/figures, in the order of the page.

    Raises:
        UserError: experiment.json or a figure is missing or damaged, or the workdir cannot be written.
    """
    figures = [(picture, embed(workdir / "figures" / f"{picture.name}.png")) for picture in pictures]
    write_text(workdir / "report.html", render(experiment, read_record(workdir), results, figures))
    return workdir / "report.html"


def render(
    experiment: Experiment,
    record: Mapping[str, Any],
    results: Results,
    figures: Sequence[tuple[Picture, Embedded]],
) -> str:
    """Returns the page.

    Args:
        experiment: whose runs these are.
        record: the content of experiment.json; a dash stands for what is missing or has the wrong type.
        results: of the experiment's runs.
        figures: each with its image, in the order of the page.
    """
    summary = summarize(results)
    page = TEMPLATE.render(
        name=experiment.name,
        question=experiment.question,
        command=command(record),
        counts=_counts(results),
        data=data_names(record),
        wall_time=wall_time(record),
        device=device(record),
        verdict_tables=group_verdicts(judge_claims(results), results),
        figure_of={picture.name: index for index, (picture, _) in enumerate(figures, 1)},
        summary=summary,
        numeric=[all(map(_is_number, cells)) for cells in zip(*summary.rows, strict=True)],
        summary_notes=summary_notes(results, summary),
        failures=results.failures,
        diverged=results.diverged,
        figures=figures,
        runs=_runs(results),
        glossary=glossary(results.measured),
        dash=DASH,
        provenance=provenance(record),
        quote=functools.partial(urllib.parse.quote, safe="", errors="replace"),
    )
    # A command line may hold bytes that are no UTF-8. Python carries them as surrogates, which cannot be written.
    return page.encode(errors="replace").decode()


def _counts(results: Results) -> str:
    """`6 runs`, `6 runs (4 evaluated, 1 diverged, 1 failed)`."""
    total, evaluated = len(results.configs), len(results.rows)
    others = [(len(results.diverged), "diverged"), (len(results.failures), "failed")]
    notes = [f"{count} {what}" for count, what in others if count]
    if evaluated < total:
        notes = [f"{evaluated} evaluated", *notes]
    runs = f"{total} {'run' if total == 1 else 'runs'}"
    return f"{runs} ({', '.join(notes)})" if notes else runs


def _runs(results: Results) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """The name of each evaluated run, `diverged` or nothing, and everything measured but lists."""
    names = [name for name in results.measured if MEASUREMENTS[name].kind is not list]
    return [
        (
            config.name,
            "diverged" if "diverged_epoch" in row else "",
            [(name, number(row.get(name))) for name in names],
        )
        for config, row in results.evaluated
    ]


def _is_number(cell: str) -> bool:
    try:
        float(cell.split(" ")[0])
    except ValueError:
        return cell == DASH
    return True
