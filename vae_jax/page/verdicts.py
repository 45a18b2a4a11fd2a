"""Verdicts as tables, and notes that explain exactly the rows above them."""

from collections.abc import Sequence
from typing import NamedTuple

from vae_jax.claims import ONE_SEED, Verdict
from vae_jax.measurements import CODE_SD, MEASUREMENTS, NATS, Measurement
from vae_jax.models import MODELS
from vae_jax.results import DASH, Results, Table

MANY_INTERVALS = 20  # rows of which one is expected to look resolved by chance, at 95 %


class VerdictRow(NamedTuple):
    """One verdict, with what the page shows beside it."""

    verdict: Verdict
    entry: Measurement
    figure: str
    """The figure that shows it, drawn or not."""
    difference: str
    """The difference with its interval."""


class VerdictTable(NamedTuple):
    """The verdicts of one kind."""

    title: str
    headings: list[str]
    """Of the columns with numbers before the difference."""
    difference: str
    """Heading of the difference."""
    has_settings: bool
    claims: list[tuple[str, list[VerdictRow]]]
    notes: list[str]


def group_verdicts(verdicts: Sequence[Verdict], results: Results) -> list[VerdictTable]:
    """Groups verdicts into a table for each model and baseline, and one for each model's slopes over the KL weight."""
    groups: dict[tuple[str, str | None], list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault((verdict.model, verdict.baseline), []).append(verdict)
    return [_table(model, baseline, group, results) for (model, baseline), group in groups.items()]


def summary_notes(results: Results, summary: Table) -> list[str]:
    """Returns sentences that explain the summary table."""
    cells = [cell for row in summary.rows for cell in row]
    units = {unit for column, unit in enumerate(summary.units) if any(row[column] != DASH for row in summary.rows)}
    notes = []
    if any("±" in cell for cell in cells):
        notes.append("Mean ± standard deviation over seeds.")
    if NATS in units:
        notes.append(
            "Nats are summed over the pixels and the latent dimensions of an image, and averaged over images. The ELBO "
            "is -(distortion + rate) whatever the KL weight was in training."
        )
    if any(row[summary.columns.index("seeds")].endswith("failed)") for row in summary.rows):
        notes.append("A failed run has no numbers; a row shows those of its other seeds.")
    if results.diverged:
        notes.append("A row with a diverged run has no mean, because the other seeds cannot stand for it.")
    if summary.best:
        notes.append(
            "Bold: the best mean among the rows whose images, binarization and likelihood are the same, which is not a "
            "test of the difference."
        )
    if any("test_not_a_likelihood" in name for name in results.measured):
        notes.append(
            "The Bernoulli cross-entropy of grey pixels is a loss and not a likelihood: what would be a log-likelihood "
            "is named test_not_a_likelihood_…"
        )
    if DASH in cells:
        notes.append("A dash stands for a setting or number that a model does not have, or that is not finite.")
    return notes


def _table(model: str, baseline: str | None, verdicts: Sequence[Verdict], results: Results) -> VerdictTable:
    claims: dict[str, list[VerdictRow]] = {}
    for verdict in verdicts:
        entry = MEASUREMENTS[verdict.measurement]
        interval = f"[{verdict.low:.3g}, {verdict.high:.3g}]" if verdict.low <= verdict.high else f"[{DASH}]"
        figure = "dose_response" if baseline is None else entry.figure
        row = VerdictRow(verdict, entry, figure, f"{verdict.difference:.3g} {interval}")
        claims.setdefault(verdict.claim, []).append(row)
    title = MODELS[model].title
    has_settings = any(verdict.setting for verdict in verdicts)
    if baseline is None:
        notes = _slope_notes(title, verdicts, results)
        return VerdictTable(
            f"{title} over the KL weight", [], "slope per doubling", has_settings, [*claims.items()], notes
        )
    other = MODELS[baseline].title
    return VerdictTable(
        f"{title} compared with {other}", [other, title], f"{title} − {other}", has_settings, [*claims.items()],
        _comparison_notes(title, other, verdicts, results),
    )  # fmt: skip


def _comparison_notes(model: str, baseline: str, verdicts: Sequence[Verdict], results: Results) -> list[str]:
    notes = [
        f"A claim is supported if the 95 % interval (Welch's, over seeds) of {model} − {baseline} lies on the side the "
        "claim says, contradicted if it lies on the other side, and not resolved if it contains 0."
    ]
    if any(verdict.reason == ONE_SEED for verdict in verdicts):
        notes.append("With one seed there is no interval, and nothing is resolved.")
    return notes + _shared_notes(verdicts, results)


def _slope_notes(model: str, verdicts: Sequence[Verdict], results: Results) -> list[str]:
    notes = [
        f"The slope is that of a least-squares line through the {model}'s runs over log2 of the KL weight. A claim is "
        "supported if the 95 % t-interval of the slope lies on the side the claim says, contradicted if it lies on the "
        "other side, and not resolved if it contains 0. The response need not be a straight line for the sign of its "
        "slope to mean something."
    ]
    if any(verdict.reason == ONE_SEED for verdict in verdicts):
        notes.append(
            "With one seed per KL weight, the scatter around the line measures how far the response is from a straight "
            "line and not how seeds differ, so there is no interval and nothing is resolved."
        )
    if any(config.uses("kl_weight") and config.kl_weight == 0 for config in results.configs):
        notes.append("Runs with KL weight 0, which has no logarithm, are left out.")
    return notes + _shared_notes(verdicts, results)


def _shared_notes(verdicts: Sequence[Verdict], results: Results) -> list[str]:
    names = {verdict.measurement for verdict in verdicts}
    notes = []
    if sum(not verdict.reason for verdict in verdicts) >= MANY_INTERVALS:
        notes.append("Each row has its own interval: of twenty rows about nothing, one is expected to look resolved.")
    if any(MEASUREMENTS[name].unit == CODE_SD or name.startswith("step_") for name in names):
        notes.append("Standard deviations of a latent space are those of its codes, after whitening.")
    if any(name.endswith("_frechet") for name in names):
        notes.append(_frechet_note(results))
    return notes


def _frechet_note(results: Results) -> str:
    """What Fréchet distances may be compared with, and how small they can become."""
    floors: dict[str, set[str]] = {}
    for config, row in results.evaluated:
        if (floor := row.get("frechet_floor")) is not None:
            floors.setdefault(config.dataset, set()).add(f"{floor:.3g}")
    note = "Fréchet distances are comparable only in the features of the same classifier."
    for dataset, values in floors.items():
        where = f" ({dataset})" if len(floors) > 1 else ""
        floor = ", ".join(sorted(values))
        note += f" Training images are themselves {floor} from the test images{where}: expect no less of samples."
    return note
