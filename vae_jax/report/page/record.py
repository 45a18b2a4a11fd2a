"""The record of an experiment as text; a dash stands for what is missing or has the wrong type."""

import math
from collections.abc import Mapping
from typing import Any

from vae_jax.claims.summary import DASH
from vae_jax.report.page.language import Language

Record = Mapping[str, Any]
ENGLISH = Language()


def number(value: Any, _: Language = ENGLISH) -> str:
    """Formats a value of a JSON file: `yes` or `no`, text, or a finite number with six digits."""
    if type(value) is bool:
        return _("yes" if value else "no")
    if type(value) is float and math.isfinite(value):
        return f"{value:.6g}"
    return str(value) if type(value) is int or (isinstance(value, str) and value.strip()) else DASH


def data_names(record: Record) -> str:
    """Returns the names of the data sets, `mnist_5k, fashion_mnist`."""
    return ", ".join(_mapping(record.get("data"))) or DASH


def wall_time(record: Record, _: Language) -> str:
    """Formats the time the last launch took: `12.3 s`, `3 min 5 s`, `2 h 10 min`."""
    seconds: Any = record.get("wall_seconds")
    if type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
        return DASH
    if seconds < 59.95:
        return _("{seconds} s", seconds=f"{seconds:.1f}")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return _("{minutes} min {seconds} s", minutes=minutes, seconds=rest)
    return _("{hours} h {minutes} min", hours=minutes // 60, minutes=minutes % 60)


def device(record: Record) -> str:
    """Formats the device: `cpu`, `2 × NVIDIA H100 (gpu)`."""
    entry = _mapping(record.get("device"))
    kind, platform, count = (number(entry.get(name)) for name in ("kind", "platform", "count"))
    named = kind if platform in (kind, DASH) else f"{kind} ({platform})"
    return named if count in ("1", DASH) else f"{count} × {named}"


def provenance(record: Record, _: Language) -> list[tuple[str, str]]:
    """Returns terms and facts: about each data set, then about the program, then about the machine."""
    facts = []
    for name, entry in _mapping(record.get("data")).items():
        origin = _mapping(entry)
        source = number(origin.get("content", origin.get("source")))
        facts += [
            (_("Data set"), f"{name}: {_splits(origin.get('splits'), _)}"),
            (_("Source"), _("{source}, version {version}", source=source, version=number(origin.get("version")))),
            (_("SHA-256 of the pixels"), number(origin.get("sha256"))),
        ]
    versions, machine = _mapping(record.get("versions")), _mapping(record.get("machine"))
    commit = number(record.get("git_commit"))
    if commit.endswith("+"):
        commit = _("{commit} with changes", commit=commit.removesuffix("+"))
    return [
        *facts,
        (_("Versions"), ", ".join(f"{name} {number(version)}" for name, version in versions.items()) or DASH),
        (_("Commit"), commit),
        (_("Device"), device(record)),
        (_("Machine"), f"{number(machine.get('system'))}, {number(machine.get('processor'))}"),
        (_("Launched"), number(record.get("started"))),
        (_("Wall time"), wall_time(record, _)),
    ]


def _splits(splits: Any, _: Language) -> str:
    """`3667 train, 333 validation, 1000 test images`; several splits each with its validation_fraction."""
    texts = []
    for split in splits if isinstance(splits, list) else []:
        entry = _mapping(split)
        counts = ", ".join(
            _("{n} {split}", n=number(count), split=_(name)) for name, count in _mapping(entry.get("counts")).items()
        )
        fraction = f" (validation_fraction {number(entry.get('validation_fraction'))})" if len(splits) > 1 else ""
        texts.append(f"{_('{counts} images', counts=counts or DASH)}{fraction}")
    return "; ".join(texts) or DASH


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
