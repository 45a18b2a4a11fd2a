"""What figures are drawn from: an experiment's trained runs, their numbers, and the settings that are shown."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vae_jax.claims.results import setting_of
from vae_jax.config import FIELDS, Config, varying_fields
from vae_jax.data import Dataset, Split
from vae_jax.fields import format_value
from vae_jax.measure.subsets import block_means
from vae_jax.model.networks import chunk_size
from vae_jax.models import MODEL_FIELDS, MODELS
from vae_jax.training.runs import Codes, TrainedRun, dataset_of, load_run
from vae_jax.workdir import run_dir

MAX_PANELS = 12  # settings in one figure
MAX_SIDE = 128  # pixels of a decoded image that a figure can show
HEAT_MAPS = ("validation_elbo", "test_distortion", "prior_frechet")  # numbers that have one unless others are asked for
MAX_CODES = 5000  # test images that are encoded for a figure
RUNGS = {
    "prior": "nothing:\nN(0, I)", "gaussian": "mean and\ncovariance", "mixture": "mixture\nof ten",
    "aggregate": "the codes\nthemselves",
}  # fmt: skip
"""By the name of a sampler: what it knows of the model's codes."""
BATCH = 256  # codes that are decoded at once, or fewer: of one size, so that a decoder compiles once for all figures


class Chosen(NamedTuple):
    """The settings that one figure shows."""

    configs: list[Config]
    """The first seed of each setting. Settings that differ only in their model are neighbours, a baseline first."""
    note: str
    """`12 of 14 settings`, or empty if all are shown."""


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What an experiment's figures are drawn from. Runs are loaded once, when a figure asks for them."""

    configs: Sequence[Config]
    """The trained runs that the experiment judges."""
    numbers: Mapping[Config, Mapping[str, Any]]
    """The numbers of the evaluated runs."""
    base: Config
    """The experiment's base, whose values are always among those shown."""
    workdir: Path
    data_dir: str | None = None
    shown: Sequence[Config] = ()
    """The trained runs that are only shown, in figures of the KL weight's path."""
    heat_maps: Sequence[str] = HEAT_MAPS
    """The numbers that have heat maps."""
    _runs: dict[Config, TrainedRun] = dataclasses.field(default_factory=dict, init=False)
    _codes: dict[Config, Codes] = dataclasses.field(default_factory=dict, init=False)

    def run(self, config: Config) -> TrainedRun:
        """Loads a run, or returns it if it was loaded before."""
        if config not in self._runs:
            self._runs[config] = load_run(run_dir(self.workdir, config))
        return self._runs[config]

    def dataset(self, config: Config) -> Dataset:
        """Loads the data set a run was trained on."""
        return dataset_of(self.run(config), self.data_dir)

    def test(self, config: Config, most: int) -> Split:
        """Returns the first test images, no more than a picture can show."""
        return self.dataset(config).test.where(slice(most))

    def codes(self, config: Config) -> Codes:
        """Encodes the first test images, at most `MAX_CODES`, or returns their codes if they were encoded before."""
        if config not in self._codes:
            self._codes[config] = self.run(config).encode(self.test(config, MAX_CODES).images)
        return self._codes[config]

    def decode(self, config: Config, z: np.ndarray) -> np.ndarray:
        """Decodes codes float[..., D] to mean pixels float32[..., h, w] or [..., h, w, 3], as `shrunk` leaves them."""
        flat = z.reshape(-1, z.shape[-1])
        size = chunk_size(BATCH, self.dataset(config).test.images.shape[1:])
        batches = np.resize(flat, (-(-len(flat) // size), size, flat.shape[1]))  # fills the last one up
        decoded = np.concatenate([shrunk(self.run(config).decode(batch)) for batch in batches])[: len(flat)]
        return decoded.reshape(*z.shape[:-1], *decoded.shape[1:])

    def seeds(self, setting: Config) -> list[Config]:
        """Returns the trained runs of a setting."""
        return [config for config in self.configs if setting_of(config) == setting_of(setting)]

    def choose(
        self, configs: Sequence[Config] | None = None, most: int = MAX_PANELS, without: Sequence[str] = ()
    ) -> Chosen:
        """Chooses whole rows and columns of the grid of settings.

        Values are left out of the field that has most, evenly, until `most` settings are left. The first and the last
        value of each field stay as long as possible, and the base's value and all models always.

        Args:
            configs: the runs that the figure can show; None for all.
            most: settings in the figure.
            without: fields that make no setting, such as the one on the figure's axis.
        """
        firsts: dict[tuple[Any, ...], Config] = {}
        for config in self.configs if configs is None else configs:
            firsts.setdefault(setting_of(config, without), config)
        settings = list(firsts.values())
        fields = [name for name in varying_fields(settings) if name not in ("model", "seed", *without)]
        every = {name: values_of(settings, name) for name in fields}
        chosen, kept = dict(every), settings
        while len(kept) > most and any(len(values) > 1 for values in chosen.values()):
            longest = max(fields, key=lambda name: len(chosen[name]))
            chosen[longest] = spaced(every[longest], len(chosen[longest]) - 1, getattr(self.base, longest))
            kept = [c for c in settings if all(not c.uses(n) or getattr(c, n) in chosen[n] for n in fields)]

        def place(config: Config) -> tuple[Any, ...]:
            at = {n: every[n].index(getattr(config, n)) if config.uses(n) else -1 for n in fields}
            shared = [at[n] for n in fields if n not in MODEL_FIELDS]
            return (*shared, list(MODELS).index(config.model), *(at[n] for n in fields if n in MODEL_FIELDS))

        note = "" if len(kept) == len(settings) else f"{len(kept)} of {len(settings)} settings"
        return Chosen(sorted(kept, key=place), note)

    def label(self, config: Config, without: Sequence[str] = ()) -> str:
        """Returns what distinguishes a setting, but for some fields: `VAE, latent_dim 8`."""
        model = [] if "model" in without else [MODELS[config.model].title]
        return ", ".join([*model, *(f"{name} {self.value(config, name)}" for name in self.fields(config, without))])

    def fields(self, config: Config, without: Sequence[str] = ()) -> list[str]:
        """Returns the fields but `model` and `seed` that distinguish a setting from others, in the order of Config."""
        return [n for n in varying_fields(self.configs) if n not in ("model", "seed", *without) and config.uses(n)]

    def value(self, config: Config, field: str) -> str:
        """Returns a field's value as text; a data set in a folder has the folder's name, if no other has the same."""
        text = format_value(getattr(config, field))
        if field != "dataset":
            return text
        names = {other.dataset: other.dataset.rstrip("/").rpartition("/")[2] for other in self.configs}
        return names[text] if list(names.values()).count(names[text]) == 1 else text

    def note(self, config: Config) -> str:
        """Returns `diverged in epoch 3`, or an empty text for a run that did not diverge."""
        diverged = self.numbers.get(config, {}).get("diverged_epoch")
        return "" if diverged is None else f"diverged in epoch {diverged}"


def shrunk(images: np.ndarray) -> np.ndarray:
    """Averages images [N, H, W] or [N, H, W, 3] over blocks until they have at most `MAX_SIDE` pixels a side."""
    block = math.ceil(max(images.shape[1:3]) / MAX_SIDE)
    return images if block == 1 else block_means(images, block, block)


def spaced(values: Sequence[Any], most: int, keep: Any = None) -> list[Any]:
    """Chooses values evenly: the first, the last and `keep` stay, or `keep` and the farther end if `most` is 2."""
    if most >= len(values):
        return list(values)
    kept = values.index(keep) if keep in values else None
    if most == 1:
        return [values[len(values) // 2 if kept is None else kept]]
    indices = [round(index) for index in np.linspace(0, len(values) - 1, most)]
    if kept is not None and kept not in indices:
        # At least one end stays.
        replaceable = indices[1:-1] or [min(indices, key=lambda index: abs(index - kept))]
        indices.remove(min(replaceable, key=lambda index: abs(index - kept)))
        indices.append(kept)
    return [values[index] for index in sorted(indices)]


def is_number(field: str) -> bool:
    """Whether the field's values are numbers, which can be an axis."""
    return type(FIELDS[field].default) in (int, float)


def values_of(configs: Sequence[Config], field: str) -> list[Any]:
    """Returns the values of a field among the runs that use it, sorted if they are numbers."""
    values = list(dict.fromkeys(getattr(config, field) for config in configs if config.uses(field)))
    return sorted(values) if is_number(field) else values
