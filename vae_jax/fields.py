"""The fields of `Config`: their documentation, their checks, and their text on a command line.

Standard library only, so that flags and `--help` answer at once.
"""

import dataclasses
import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

MAX_RANGE = 10_000  # values that a range on a command line stands for

# What a field takes, by the type of its default: in Python, and on a command line.
_IN_PYTHON = {bool: "True or False", str: "a str", int: "an int", float: "a number", tuple: "a tuple of ints, each"}
_AS_FLAG = {bool: "true | false", str: "text", int: "a whole number", float: "a number",
            tuple: "whole numbers joined by x, each"}  # fmt: skip

# What other projects call the fields of `Config`, and what they and version 0.1.0 call the launcher's flags.
_OTHER_NAMES = {
    "activation": "act activation_fn nonlinearity",
    "architecture": "arch network",
    "batch_size": "batch batchsize bs",
    "adam_b2": "adam_beta2 b2 beta2",
    "adam_epsilon": "adam_eps eps epsilon",
    "clip_norm": "clip grad_clip max_grad_norm",
    "dataset": "data ds",
    "num_epochs": "epoch epochs max_epochs n_epochs num_train_epochs",
    "kl_weight": "beta gamma kl kl_coef kld_weight lambda",
    "kl_warmup_epochs": "anneal_epochs beta_warmup kl_anneal",
    "decoder_l2": "decoder_weight_decay gen_reg_weight l2",
    "free_bits": "free_nats",
    "importance_samples": "iwae_samples k num_importance_samples",
    "initialization": "init initializer kernel_init",
    "lr_factor": "decay_factor lr_decay lr_gamma",
    "milestones": "lr_milestones lr_steps",
    "noise_sd": "noise noise_std sigma",
    "patience": "early_stopping early_stopping_patience",
    "pixel_max": "max_pixel max_value pixel_scale white",
    "latent_dim": "code_dim dim latent latent_size latents n_latent z z_dim zdim",
    "hidden_dims": "hidden hidden_sizes layers units width",
    "learning_rate": "lr step_size",
    "schedule": "lr_schedule scheduler",
    "lr_warmup_epochs": "warmup warmup_epochs",
    "optimizer": "opt",
    "likelihood": "loss recon_loss",
    "seed": "random_seed seeds",
    "validation_fraction": "val_split",
    "weight_decay": "wd",
    "cluster": "coordinator distributed num_processes process_id scheduler_address",
    "experiment": "config exp",
    "num_likelihood_samples": "num_samples",
    "workdir": "dir logdir out outdir output output_dir save_dir",
}
ALIASES = {alias: name for name, aliases in _OTHER_NAMES.items() for alias in aliases.split()}

# Control characters would break one-line messages; half a surrogate pair cannot be written as UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


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
        choices: the values of a str field; empty if it takes any text.
        bounds: the least and the greatest number, both included; for a tuple, of each of its numbers.
        unit: the unit of the number.
        symbol: the letters that stand for the field in a run's name; empty if only the hash of the name covers it.
        dynamic: whether the field is a number inside the compiled program. Every other field is a part of the
            program's shapes or structure.
        used: whether a run of this Config reads the field. If not, `canonical` sets it to its default.
    """
    metadata = {"doc": doc, "choices": choices, "bounds": bounds, "unit": unit, "symbol": symbol, "dynamic": dynamic}
    return dataclasses.field(default=default, metadata=metadata | {"used": used})


def check_value(field: "dataclasses.Field[Any]", value: Any) -> Any:
    """Checks a value, and returns it in the field's type.

    An int passes for a float, a list for a tuple, and a NumPy scalar or array for the Python value it holds.

    Raises:
        ConfigError: the type is wrong, a number is out of bounds or NaN, or a text is not among the choices.
    """
    plain = _to_python(value)
    if not _is_valid(field, plain):
        shown = value.tolist() if hasattr(value, "tolist") else value
        raise ConfigError(f"{field.name} must be {_describe(field, _IN_PYTHON)}, not {shown!r}{_hint(field, shown)}")
    # -0.0 equals 0.0, but would give the run another name.
    return float(plain) + 0.0 if isinstance(field.default, float) else plain


def _to_python(value: Any) -> Any:
    if hasattr(value, "tolist"):  # of NumPy's scalars and arrays, without importing NumPy
        value = value.tolist()
    return tuple(map(_to_python, value)) if isinstance(value, list | tuple) else value


def _is_valid(field: "dataclasses.Field[Any]", value: Any) -> bool:
    kind, choices, bounds = type(field.default), field.metadata["choices"], field.metadata["bounds"]
    if kind is bool:
        return isinstance(value, bool)
    if choices:
        return value in choices
    if kind is str:
        return isinstance(value, str) and value == value.strip() != "" and not _UNPRINTABLE.search(value)
    if (kind is tuple) != isinstance(value, tuple):
        return False
    numbers, kinds = value if kind is tuple else (value,), (int, float) if kind is float else (int,)
    return all(type(number) in kinds and bounds[0] <= number <= bounds[1] for number in numbers)


def describe_flag(field: "dataclasses.Field[Any]") -> str:
    """Describes what the field takes on a command line, as in `"a whole number from 1 to 4096"`."""
    return " | ".join(field.metadata["choices"]) or _describe(field, _AS_FLAG)


def _describe(field: "dataclasses.Field[Any]", words: dict[type, str]) -> str:
    if choices := field.metadata["choices"]:
        return " or ".join(map(repr, choices))
    kind, bounds = words[type(field.default)], field.metadata["bounds"]
    return f"{kind} from {bounds[0]:.9g} to {bounds[1]:.10g}" if bounds else kind


def _hint(field: "dataclasses.Field[Any]", value: Any) -> str:
    return nearest(value, field.metadata["choices"]) if isinstance(value, str) else ""


def parse_value(field: "dataclasses.Field[Any]", text: str) -> Any:
    """Parses one value from the text of a flag; the inverse of `format_value`.

    Raises:
        ConfigError: the text is no value of this field.
    """
    kind: type = type(field.default)
    text = text.strip()
    value: Any = text
    try:
        if kind is bool:
            value = {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        elif kind is tuple:
            value = () if text == "none" else tuple(map(int, text.split("x")))
        elif kind in (int, float):
            value = kind(text)
        return check_value(field, value)
    except (KeyError, ValueError):
        message = f"{field.name} must be {describe_flag(field)}, not {text!r}{_hint(field, text)}"
        raise ConfigError(message) from None


def format_value(value: Any) -> str:
    """Formats a value as the text of a flag: `512x256`, `true`, the shortest digits that read back equal."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "none"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def parse_values(field: "dataclasses.Field[Any]", text: str) -> tuple[Any, ...]:
    r"""Parses a comma-separated list of values; `\,` is a comma inside a value. The inverse of `format_values`.

    Among whole numbers, `0..9` stands for all from 0 to 9.

    Raises:
        ConfigError: a part of the text is no value of this field, or a range falls or is too long.
    """
    parts = [""]
    for token in re.findall(r"\\[\\,]|.", text, re.DOTALL):
        if token == ",":
            parts.append("")
        else:
            parts[-1] += token[-1]
    return tuple(value for part in parts for value in _parse_part(field, part))


def _parse_part(field: "dataclasses.Field[Any]", text: str) -> Sequence[Any]:
    if type(field.default) is not int or ".." not in text:
        return (parse_value(field, text),)
    first, last = (parse_value(field, end) for end in text.split("..", 1))
    if first > last:
        raise ConfigError(f"{field.name} takes ranges that rise, as {last}..{first}, not {text.strip()!r}")
    if last - first >= MAX_RANGE:
        raise ConfigError(f"{field.name} takes ranges of at most {MAX_RANGE} values, not {text.strip()!r}")
    return range(first, last + 1)


def format_values(values: Sequence[Any]) -> str:
    """Formats values as the comma-separated list that `parse_values` reads."""
    return ",".join(re.sub(r"[\\,]", r"\\\g<0>", format_value(value)) for value in values)


def suggest(name: str, known: Iterable[str]) -> str | None:
    """Returns the known name that `name` probably means: the one it is an alias of, or the most similar, or None."""
    name, known = str(name).lower().replace("-", "_"), list(known)
    if ALIASES.get(name) in known:
        return ALIASES[name]
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns `"; did you mean 'x'?"` for the known name that `name` probably means, or ""."""
    match = suggest(name, known)
    return f"; did you mean {match!r}?" if match else ""
