"""The fields of `Config`: their documentation, their checks, and their text on a command line.

Standard library only, so that flags and `--help` answer at once.
"""

import contextlib
import dataclasses
import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

MAX_RANGE = 10_000  # values that a range on a command line stands for

# What people type for a field or a flag out of habit.
ALIASES = {
    "batch": "batch_size", "beta": "kl_weight", "data": "dataset", "dim": "latent_dim", "epochs": "num_epochs",
    "layers": "hidden_dims", "loss": "likelihood", "lr": "learning_rate", "output_dir": "workdir", "z": "latent_dim",
}  # fmt: skip

# What a field takes, by the type of its default.
_KINDS = {
    bool: "true or false", str: "text", int: "a whole number", float: "a number",
    tuple: "whole numbers, as (512, 256) or 512x256, each",
}  # fmt: skip


class ConfigError(ValueError):
    """An invalid hyperparameter or experiment. The message is one line that names the field and what it takes."""


def declare(
    default: Any, doc: str, *, choices: tuple[str, ...] = (), bounds: tuple[float, float] | None = None,
    unit: str = "", symbol: str = "", dynamic: bool = False, used: Callable[[Any], bool] = lambda config: True,
) -> Any:  # fmt: skip
    """Declares a field of `Config`.

    Args:
        default: the default value; its type is the field's type.
        doc: one sentence for `--help`.
        choices: the values of a str field; empty if it takes any text. One that is empty is `none` on a command line.
        bounds: the least and the greatest number, both included; for a tuple, of each of its numbers.
        unit: the unit of the number.
        symbol: the letters that stand for the field in a run's name; empty if only the hash of the name covers it.
        dynamic: whether the field is a number inside the compiled program. Every other field is a part of the
            program's shapes or structure.
        used: whether a run of this Config reads the field. If not, `canonical` sets it to its default.
    """
    metadata = {"doc": doc, "choices": choices, "bounds": bounds, "unit": unit, "symbol": symbol, "dynamic": dynamic}
    return dataclasses.field(default=default, metadata=metadata | {"used": used})


def describe(field: "dataclasses.Field[Any]") -> str:
    """Describes what the field takes, as in `"a whole number from 1 to 4096"`."""
    kind, bounds = _KINDS[type(field.default)], field.metadata["bounds"]
    limits = f" from {bounds[0]:.9g} to {bounds[1]:.10g}" if bounds else ""
    return " | ".join(filter(None, field.metadata["choices"])) or kind + limits


def check_value(field: "dataclasses.Field[Any]", value: Any) -> Any:
    """Checks a value, and returns it in the field's type.

    An int passes for a float, a list for a tuple, and a NumPy scalar or array for the Python value it holds.

    Raises:
        ConfigError: the type is wrong, a number is out of bounds or NaN, or a text is not among the choices.
    """
    plain = _to_python(value)
    if not _is_valid(field, plain):
        hint = nearest(plain, field.metadata["choices"]) if isinstance(plain, str) else ""
        raise ConfigError(f"{field.name} must be {describe(field)}, not {plain!r}{hint}")
    # -0.0 equals 0.0, but would give the run another name.
    return float(plain) + 0.0 if isinstance(field.default, float) else plain


def _to_python(value: Any) -> Any:
    if hasattr(value, "tolist"):  # of NumPy's scalars and arrays, without importing NumPy
        value = value.tolist()
    return tuple(map(_to_python, value)) if isinstance(value, list | tuple) else value


def _is_valid(field: "dataclasses.Field[Any]", value: Any) -> bool:
    choices, bounds = field.metadata["choices"], field.metadata["bounds"]
    kind: Any = type(field.default)
    if choices:
        return value in choices
    if not (type(value) is kind or (kind is float and type(value) is int)):
        return False
    if kind is str:  # an error message is one line
        return bool(value) and value.isprintable() and value == value.strip()
    if kind is tuple:
        return all(type(number) is int and bounds[0] <= number <= bounds[1] for number in value)
    return kind is bool or bounds[0] <= value <= bounds[1]


def parse_value(field: "dataclasses.Field[Any]", text: str) -> Any:
    """Parses one value from the text of a flag; the inverse of `format_value`.

    Raises:
        ConfigError: the text is no value of this field.
    """
    kind: Any = type(field.default)
    value: Any = text.strip()
    if kind is bool:
        value = {"true": True, "false": False}.get(value.lower(), value)
    elif kind is tuple and value == "none":
        value = ()
    elif value == "none" and "" in field.metadata["choices"]:
        value = ""
    elif kind is not str:
        with contextlib.suppress(ValueError):  # `check_value` refuses the text
            value = tuple(map(int, value.split("x"))) if kind is tuple else kind(value)
    return check_value(field, value)


def format_value(value: Any) -> str:
    """Formats a value as the text of a flag: `512x256`, `true`, the shortest digits that read back equal."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "none"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value) or "none"


def parse_values(field: "dataclasses.Field[Any]", text: str) -> tuple[Any, ...]:
    r"""Parses a comma-separated list of values; `\,` is a comma inside a value.

    Among whole numbers, `0..9` stands for all from 0 to 9.

    Raises:
        ConfigError: a part of the text is no value of this field, or a range falls or is too long.
    """
    parts = [part.replace(r"\,", ",") for part in re.split(r"(?<!\\),", text)]
    return tuple(value for part in parts for value in _parse_part(field, part))


def _parse_part(field: "dataclasses.Field[Any]", text: str) -> Sequence[Any]:
    if type(field.default) is not int or ".." not in text:
        return (parse_value(field, text),)
    first, last = (parse_value(field, end) for end in text.split("..", 1))
    if not 0 <= last - first < MAX_RANGE:
        raise ConfigError(f"{field.name} takes ranges that rise, of at most {MAX_RANGE} values, not {text.strip()!r}")
    return range(first, last + 1)


def nearest(name: str, known: Iterable[str], dashes: str = "") -> str:
    """Returns `"; did you mean 'x'?"` for the known name that `name` is an alias of or most similar to, or ""."""
    name, known = str(name).lower().replace("-", "_"), list(known)
    match = [ALIASES[name]] if ALIASES.get(name) in known else difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {dashes + match[0]!r}?" if match else ""
