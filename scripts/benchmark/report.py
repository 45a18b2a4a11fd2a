"""What a benchmark leaves: benchmark.json and a picture."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.benchmark.measuring import Table
from vae_jax.workdir import UserError, read_json, write_bytes, write_json


def machine() -> dict[str, Any]:
    """Returns the kind of this machine."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        flags = ""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processor": platform.machine(), "cores": cores, "avx512": " avx512f" in flags}


def write(folder: Path, tables: Sequence[Table]) -> None:
    """Writes benchmark.json, which keeps the tables of other benchmarks, and benchmark.png with all of them.

    Raises:
        UserError: a file cannot be written.
    """
    try:
        before = read_json(folder / "benchmark.json")["tables"]
    except (UserError, LookupError, TypeError):  # there is none yet, or it is damaged
        before = {}
    now = {
        f"{table.name} {table.note.partition(';')[0]}".strip(): {
            "unit": table.unit,
            "rows": [row._asdict() for row in table.rows],
        }
        for table in tables
    }
    found = {"machine": machine(), "tables": before | now}
    write_json(folder / "benchmark.json", found)
    write_bytes(folder / "benchmark.png", _picture(found["tables"]))


def _picture(tables: dict[str, Any]) -> bytes:
    """Draws a bar per contestant, with the spread of its ratio to the first."""
    from vae_jax.report.figures import style

    with style.in_style():
        figure, axes = style.new_figure(len(tables), 1, 8, 1 + 1.6 * len(tables))
        for ax, (name, table) in zip(axes[:, 0], tables.items(), strict=True):
            rows = table["rows"]
            ratios = [row["ratio"] for row in rows]
            spread = [[abs(row["ratio"] - row["spread"][end]) for row in rows] for end in (0, 1)]
            ax.barh(range(len(rows)), ratios, xerr=spread, color=style.SERIES_COLORS[0])
            ax.set_yticks(range(len(rows)), [f"{row['name']}, {row['seconds']:.3g} s" for row in rows])
            ax.invert_yaxis()
            ax.set_title(name)
        axes[-1, 0].set_xlabel("time, as a multiple of the first row's (median, least and greatest of the rounds)")
        return style.render(figure)["png"]
