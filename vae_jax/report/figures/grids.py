"""Rows and columns of settings."""

import math
from collections.abc import Callable, Hashable, Sequence

from vae_jax.config import Config, varying_fields
from vae_jax.models import MODEL_FIELDS, MODELS
from vae_jax.report.figures.inputs import Inputs, values_of

MAX_COLUMNS = 4  # of settings that differ in one way, which make no grid


def names_of(inputs: Inputs, configs: Sequence[Config], without: Sequence[str] = ()) -> dict[Config, tuple[str, str]]:
    """Returns the names of the row and of the column in which a grid of settings has each run.

    Columns are models and the fields of single models, such as `VAE, kl_weight 4`; rows are what all models share, such
    as `latent_dim 8`. Where that makes one column, the shared field with most values becomes the columns.
    Fields of `without` are in no name.
    """
    across = _column_fields(configs, without)
    several = len({config.model for config in inputs.configs}) > 1
    names = {}
    for config in configs:
        fields = inputs.fields(config, without)
        model = [] if several or not across & set(fields) else ["model"]
        column = inputs.label(config, [*model, *without, *(name for name in fields if name not in across)])
        names[config] = (inputs.label(config, ["model", *without, *across]), column)
    return names


def arrange(inputs: Inputs, configs: Sequence[Config]) -> list[list[Config | None]]:
    """Arranges runs in the rows and columns of `names_of`, None where there is no run; a long single row is broken."""
    names, across = names_of(inputs, configs), _column_fields(configs)
    order = {name: values_of(configs, name) for name in varying_fields(configs) if name in across}

    def place(config: Config) -> list[int]:
        at = [values.index(getattr(config, name)) if config.uses(name) else -1 for name, values in order.items()]
        return [list(MODELS).index(config.model), *at]

    rows = list(dict.fromkeys(row for row, _ in names.values()))
    if len(rows) > 1:
        columns = list(dict.fromkeys(names[config][1] for config in sorted(configs, key=place)))
        runs = {name: config for config, name in reversed(names.items())}
        return [[runs.get((row, column)) for column in columns] for row in rows]
    width = math.ceil(len(configs) / max(1, math.ceil(len(configs) / MAX_COLUMNS)))  # 5 are 3 and 2
    line: list[Config | None] = [*configs, *[None] * (-len(configs) % max(1, width))]
    return [line[start : start + width] for start in range(0, len(line), width)] if line else []


def grouped(configs: Sequence[Config], key: Callable[[Config], Hashable]) -> list[list[Config]]:
    """Groups runs that are alike in something, such as their data set, in order of first appearance."""
    groups: dict[Hashable, list[Config]] = {}
    for config in configs:
        groups.setdefault(key(config), []).append(config)
    return list(groups.values())


def _column_fields(configs: Sequence[Config], without: Sequence[str] = ()) -> frozenset[str]:
    """Returns the fields that, beside the model, make the columns."""
    varying = [name for name in varying_fields(configs) if name not in ("model", "seed", *without)]
    if len({config.model for config in configs}) > 1 or MODEL_FIELDS & set(varying) or not varying:
        return MODEL_FIELDS
    # Rows are latent dimensions wherever something else can be columns.
    return MODEL_FIELDS | {max(reversed(varying), key=lambda n: (n != "latent_dim", len(values_of(configs, n))))}
