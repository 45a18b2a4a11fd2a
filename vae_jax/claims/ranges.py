"""Settings of a sweep in words: contiguous ranges along its main field, `from KL weight 1 on (2 dimensions)`."""

import itertools
from collections.abc import Collection, Mapping, Sequence

from vae_jax.claims.results import grouped
from vae_jax.claims.summary import Translate

Setting = Mapping[str, str]  # the values of the fields that tell settings apart, by the fields' names

VALUES = {"kl_weight": "KL weight {value}", "latent_dim": "{value} dimensions"}
"""How a field's value is said; any other is said by the field's name."""


def main_field(settings: Sequence[Setting]) -> str:
    """Returns the field with the most values, the last of such; empty if nothing tells the settings apart."""
    fields = dict.fromkeys(name for setting in settings for name in setting)
    return max(reversed(fields), key=lambda name: len({setting.get(name) for setting in settings}), default="")


def values_of(settings: Sequence[Setting], name: str) -> list[str]:
    """Returns the values of a field, in the order of their size if all are numbers, and else as they come."""
    values = list(dict.fromkeys(setting[name] for setting in settings if name in setting))
    return sorted(values, key=float) if _are_numbers(values) else values


def _are_numbers(values: Sequence[str]) -> bool:
    try:
        return bool([float(value) for value in values])
    except ValueError:
        return False


def named(name: str, value: str, _: Translate) -> str:
    """Returns `KL weight 2`, `16 dimensions` or `batch_size 64`."""
    return _(VALUES[name], value=value) if name in VALUES else f"{name} {value}"


def others(setting: Setting, field: str, _: Translate) -> str:
    """Names the values of a setting but for one field's, `16 dimensions, KL weight 2`."""
    return ", ".join(named(name, value, _) for name, value in setting.items() if name != field)


def where(settings: Sequence[Setting], chosen: Collection[int], _: Translate = str.format) -> str:
    """Says which of the settings are chosen, by their indices.

    Returns:
        Contiguous ranges of the main field, `up to KL weight 0.5`, each with the other fields' values where it is true
        of some of them only; empty if all are chosen.
    """
    if len(chosen) == len(settings):
        return ""
    field = main_field(settings)
    values = values_of(settings, field)
    parts = dict[str, list[str]]()  # other fields' values, by the ranges along the main field
    groups = grouped(range(len(settings)), lambda index: others(settings[index], field, _))
    for group in groups:
        at = {settings[index].get(field): index in chosen for index in group}
        row = [value for value in values if value in at]
        if ranges := _ranges(field, row, [at[value] for value in row], _):
            parts.setdefault(ranges, []).append(others(settings[group[0]], field, _))
    texts = []
    for ranges, limited in parts.items():
        limits = "; ".join(filter(None, limited)) if len(limited) < len(groups) else ""
        everywhere = ranges == _("everywhere")
        texts.append(_("at {values}", values=limits) if everywhere else f"{ranges} ({limits})" if limits else ranges)
    return ", ".join(texts)


def _ranges(field: str, values: Sequence[str], are_chosen: Sequence[bool], _: Translate) -> str:
    """Runs of neighbours along the values, as text; empty if none is chosen."""
    if all(are_chosen):
        return _("everywhere")
    names = [named(field, value, _) for value in values]
    if not _are_numbers(values):
        chosen = ", ".join(itertools.compress(names, are_chosen))
        return _("at {values}", values=chosen) if chosen else ""
    found = []
    for is_run, group in itertools.groupby(range(len(values)), lambda index: are_chosen[index]):
        first, *_middle, last = [*group] * 2
        if not is_run:
            continue
        if first == last:
            found.append(_("at {values}", values=names[first]))
        elif first == 0:
            found.append(_("up to {value}", value=names[last]))
        elif last == len(values) - 1:
            found.append(_("from {value} on", value=names[first]))
        else:
            found.append(_("from {value} to {last}", value=names[first], last=values[last]))
    return ", ".join(found)
