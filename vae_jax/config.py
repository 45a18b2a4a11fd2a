"""What defines a run, and a grid of runs. Standard library only, so that it imports in milliseconds.

A run is a `Config`; an experiment is a question, a base `Config` and a grid of values over it.
"""

import dataclasses
import difflib
import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any


class ConfigError(ValueError):
    """A value that no run can have; the message is one line that names the field and what it takes."""


def _field(
    default: Any,
    doc: str,
    *,
    choices: tuple[str, ...] = (),
    bounds: tuple[float, float] | None = None,
    unit: str = "",
    dynamic: bool = False,
    used: Callable[["Config"], bool] = lambda config: True,
) -> Any:
    """A `Config` field that documents and checks itself.

    Args:
        default: the value where nothing else is said; its type is the field's type.
        doc: one sentence for `--help`.
        choices: the names a str field takes; empty for any text.
        bounds: the least and the greatest number (for `hidden_dims`, of each width), both included.
        unit: the unit of the number.
        dynamic: whether it is a number inside the compiled program (and not a part of its shape or structure), so
            that runs which differ in it train together.
        used: whether a run of this Config reads the field at all; where not, `canonical` sets it to its default.
    """
    metadata = {"doc": doc, "choices": choices, "bounds": bounds, "unit": unit, "dynamic": dynamic, "used": used}
    return dataclasses.field(default=default, metadata=metadata)


def _is_vae(config: "Config") -> bool:
    return config.model == "vae"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that defines a run: the same Config always gives the same parameters.

    Raises:
        ConfigError: a value of the wrong type, out of its bounds, or not among the choices.
    """

    # What is learned from.
    dataset: str = _field(
        "mnist_5k", "mnist_5k, mnist, fashion_mnist, kmnist, binarized_mnist, or idx:DIR (four IDX files)"
    )
    validation_fraction: float = _field(
        1 / 12, "share of the train split held out for validation; 0 for none", bounds=(0.0, 0.9)
    )
    binarization: str = _field(
        "none",
        "pixels as they are, cut at 1/2, or drawn anew at each step with the grey value as probability",
        choices=("none", "threshold", "dynamic"),
    )

    # The model.
    model: str = _field("vae", "autoencoder or variational autoencoder", choices=("ae", "vae"))
    architecture: str = _field(
        "mlp", "dense layers, or two strided 3x3 convolutions (32, 64) before them", choices=("mlp", "conv")
    )
    hidden_dims: tuple[int, ...] = _field(
        (512,), "widths of the encoder's dense layers, as 512 or 512x256; the decoder mirrors them", bounds=(1, 65536)
    )
    latent_dim: int = _field(2, "dimensions of the latent space", bounds=(1, 4096))
    activation: str = _field(
        "relu", "non-linearity of the hidden layers", choices=("relu", "tanh", "gelu", "silu", "elu", "leaky_relu")
    )
    mean_bias: bool = _field(False, "start the decoder's output bias at the train set's mean pixel")

    # The objective.
    likelihood: str = _field(
        "bernoulli",
        "p(image | z): its negative logarithm is the reconstruction loss",
        choices=("bernoulli", "continuous_bernoulli", "gaussian", "learned_gaussian"),
    )
    kl_weight: float = _field(
        1.0, "weight of the KL term (beta of the beta-VAE)", bounds=(0.0, 1e6), dynamic=True, used=_is_vae
    )
    kl_warmup_epochs: float = _field(
        0.0, "the KL weight rises linearly from 0 over this time", bounds=(0.0, 1e6), unit="epochs", dynamic=True,
        used=_is_vae,
    )  # fmt: skip
    free_bits: float = _field(
        0.0, "KL of a latent dimension that costs nothing", bounds=(0.0, 1e3), unit="nats per dimension", dynamic=True,
        used=_is_vae,
    )  # fmt: skip

    # The optimization.
    optimizer: str = _field(
        "adam", "gradient descent rule (sgd has momentum 0.9)", choices=("adam", "adamw", "rmsprop", "sgd")
    )
    learning_rate: float = _field(1e-3, "peak step size", bounds=(1e-9, 1e6), dynamic=True)
    schedule: str = _field(
        "constant", "course of the learning rate; cosine ends at 0", choices=("constant", "cosine", "warmup_cosine")
    )
    lr_warmup_epochs: float = _field(
        1.0, "linear rise of the learning rate before the cosine", bounds=(0.0, 1e6), unit="epochs",
        used=lambda config: config.schedule == "warmup_cosine",
    )  # fmt: skip
    weight_decay: float = _field(
        1e-4, "decoupled weight decay", bounds=(0.0, 1e3), dynamic=True, used=lambda config: config.optimizer == "adamw"
    )
    clip_norm: float = _field(0.0, "greatest global norm of a gradient; 0 for no clipping", bounds=(0.0, 1e9))
    batch_size: int = _field(128, "images per gradient step", bounds=(1, 1_000_000), unit="images")
    num_epochs: int = _field(50, "passes over the train split", bounds=(1, 1_000_000), unit="epochs")
    seed: int = _field(0, "of the initial parameters, the order of the data and the noise", bounds=(0, 2**31 - 1),
                       dynamic=True)  # fmt: skip

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, check_value(field, getattr(self, field.name)))
        if self.schedule == "warmup_cosine" and self.lr_warmup_epochs >= self.num_epochs:
            raise ConfigError(
                f"lr_warmup_epochs ({self.lr_warmup_epochs:g}) must be less than num_epochs ({self.num_epochs})"
            )

    @property
    def name(self) -> str:
        """The run's readable name and a hash of the whole canonical Config: `vae-z2-kl1-s0-1a2b3c4d`."""
        kl = f"-kl{self.kl_weight:g}" if self.model == "vae" else ""
        digest = hashlib.sha256(json.dumps(canonical(self).to_dict(), sort_keys=True).encode()).hexdigest()
        return f"{self.model}-z{self.latent_dim}{kl}-s{self.seed}-{digest[:8]}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values by field name; `hidden_dims` is a list."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Config":
        """The inverse of `to_dict`; fields that are absent have their defaults.

        Raises:
            ConfigError: not a mapping, an unknown field, or a value that the field does not take.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"a Config is a mapping of fields to values, not {type(values).__name__}")
        for name in values:
            field_named(name)
        fields: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
        return cls(**fields)


FIELDS = {field.name: field for field in dataclasses.fields(Config)}


def field_named(name: str) -> "dataclasses.Field[Any]":
    """The `Config` field of that name.

    Raises:
        ConfigError: there is none; the message suggests the nearest.
    """
    if name not in FIELDS:
        raise ConfigError(f"unknown field {name!r}{nearest(name, FIELDS)}")
    return FIELDS[name]


def nearest(name: str, known: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for the known name most like `name`, or an empty text where none is alike."""
    matches = difflib.get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def describe_type(field: "dataclasses.Field[Any]") -> str:
    """What the field takes, for messages and for `--help`: `"a whole number from 1 to 4096"`."""
    if choices := field.metadata["choices"]:
        return " | ".join(choices)
    if isinstance(field.default, bool):
        return "true | false"
    if isinstance(field.default, str):
        return "text"
    low, high = field.metadata["bounds"]
    kind = {tuple: "whole numbers joined by x, each", int: "a whole number", float: "a number"}[type(field.default)]
    return f"{kind} from {low:.9g} to {high:.10g}"


def check_value(field: "dataclasses.Field[Any]", value: Any) -> Any:
    """`value` in the field's type (a whole number is a float too).

    Raises:
        ConfigError: a wrong type, a number out of bounds (NaN is), or a text that is not among the choices.
    """
    kind: type = type(field.default)
    if kind is float and type(value) is int:
        try:
            value = float(value)
        except OverflowError:
            value = math.inf
    valid = type(value) is kind
    if valid and (bounds := field.metadata["bounds"]):
        numbers = value if kind is tuple else (value,)
        valid = all(type(number) is not bool and isinstance(number, (int, float)) for number in numbers)
        valid = valid and all(bounds[0] <= number <= bounds[1] for number in numbers)
        valid = valid and (kind is not tuple or all(type(number) is int for number in numbers))
    if valid and kind is str:
        choices = field.metadata["choices"]
        valid = value in choices if choices else bool(value.strip())
    if not valid:
        hint = nearest(value, field.metadata["choices"]) if isinstance(value, str) else ""
        raise ConfigError(f"{field.name} must be {describe_type(field)}, not {value!r}{hint}")
    return value


def parse_value(field: "dataclasses.Field[Any]", text: str) -> Any:
    """The field's value from the text of a flag; `format_value` is the inverse.

    Raises:
        ConfigError: the text is not a value of this field.
    """
    kind: type = type(field.default)
    text = text.strip()
    value: Any = text
    try:
        if kind is bool:
            value = {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        elif kind is tuple:
            value = () if text == "none" else tuple(int(width) for width in text.split("x"))
        elif kind in (int, float):
            value = kind(text)
    except (KeyError, ValueError):
        raise ConfigError(f"{field.name} must be {describe_type(field)}, not {text!r}") from None
    return check_value(field, value)


def format_value(value: Any) -> str:
    """A field's value as the text of a flag: shortest digits that read back equal, `512x256`, `true`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "none"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def canonical(config: Config) -> Config:
    """The Config with every field that its run ignores at its default, so that equal runs have equal Configs."""
    unused: dict[str, Any] = {
        name: field.default for name, field in FIELDS.items() if not field.metadata["used"](config)
    }
    return dataclasses.replace(config, **unused)


def expand(base: Config, grid: Mapping[str, Sequence[Any]]) -> tuple[Config, ...]:
    """Every combination of the grid's values over `base`, canonical, each run once, the last field fastest.

    Raises:
        ConfigError: an unknown field, or a value that its field does not take.
    """
    for name in grid:
        field_named(name)
    combinations = itertools.product(*grid.values())
    configs = (dataclasses.replace(base, **dict(zip(grid, values, strict=True))) for values in combinations)
    return tuple(dict.fromkeys(canonical(config) for config in configs))


def static_part(config: Config) -> Config:
    """The Config with its dynamic fields at their defaults: equal for runs that are the same compiled program."""
    dynamic: dict[str, Any] = {name: field.default for name, field in FIELDS.items() if field.metadata["dynamic"]}
    return dataclasses.replace(config, **dynamic)


def group(configs: Iterable[Config]) -> list[list[Config]]:
    """Runs that train as one program: equal in all but the dynamic fields, in order of first appearance."""
    groups: dict[Config, list[Config]] = {}
    for config in configs:
        groups.setdefault(static_part(config), []).append(config)
    return list(groups.values())


def varying_fields(configs: Sequence[Config]) -> tuple[str, ...]:
    """Names of the fields in which the runs differ, in the order of `Config`."""
    return tuple(name for name in FIELDS if len({getattr(config, name) for config in configs}) > 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """A question, and the runs and figures that answer it: data only.

    `base` and `grid` say which runs (see `expand`); `figures` names functions of `vae_jax.gallery`.
    """

    name: str
    question: str
    base: Config = Config()
    grid: Mapping[str, Sequence[Any]] = dataclasses.field(default_factory=dict)
    figures: tuple[str, ...] = ()

    @property
    def configs(self) -> tuple[Config, ...]:
        """The experiment's runs."""
        return expand(self.base, self.grid)

    def override(self, values: Mapping[str, Sequence[Any]]) -> "Experiment":
        """The experiment with other values for some fields: one value fixes a field, several are its grid.

        Raises:
            ConfigError: an unknown field, no value, or a value that its field does not take.
        """
        grid = {name: choices for name, choices in self.grid.items() if name not in values}
        fixed = {}
        for name, choices in values.items():
            checked = [check_value(field_named(name), choice) for choice in choices]
            if not checked:
                raise ConfigError(f"{name} needs a value")
            if len(checked) == 1:
                fixed[name] = checked[0]
            else:
                grid[name] = checked
        return dataclasses.replace(self, base=dataclasses.replace(self.base, **fixed), grid=grid)
