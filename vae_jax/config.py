"""What defines a run, and a grid of runs.

An experiment is a question, a base `Config` and a grid of values over it. Standard library only, so that importing it
takes milliseconds.
"""

import dataclasses
import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from vae_jax.fields import ConfigError, check_value, declare, format_value, nearest
from vae_jax.models import MODEL_FIELDS, MODELS, load_models

MAX_COMBINATIONS = 100_000  # of a grid; beyond it, making the Configs alone takes minutes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that defines a run: the same Config on the same images gives the same parameters.

    Raises:
        ConfigError: a value has the wrong type, is out of bounds, or is not among the choices.
    """

    # fmt: off
    # The data.
    dataset: str = declare("mnist_5k", "mnist_5k, mnist, fashion_mnist, kmnist, binarized_mnist, shapes (of known "
                           "factors), images:DIR (PNG, JPEG or WebP, in a folder for each class), idx:DIR (four IDX "
                           "files), npz:FILE or npy:FILE (NumPy arrays), csv:FILE (an image a line) or parquet:FILE "
                           "(as Hugging Face writes it)")
    validation_fraction: float = declare(
        1 / 12, "share of the training images held out for validation; 0 holds out none", bounds=(0.0, 0.9))
    pixel_max: float = declare(
        0.0, "what is white in the pixels of arrays, as of idx:DIR or npz:FILE; 0 for what their type says, 255 in "
        "integers and 1 in floats, or for black and white where integers have two values", bounds=(0.0, 1e9),
        used=lambda config: ":" in config.dataset and not config.dataset.startswith(("images:", "parquet:")))
    image_size: int = declare(
        0, "height and width of the images: crops each to its central square, and resamples that by area; 0 keeps them "
        "as they are", bounds=(0, 4096), unit="pixels")
    channels: str = declare(
        "", "grey makes images in colour grey (luma of Rec. 601); without it they are refused", choices=("", "grey"),
        used=lambda config: ":" in config.dataset or config.dataset == "shapes")
    binarization: str = declare(
        "none", "keeps pixels as they are, cuts them at 1/2, or redraws them at each step with the grey value as "
        "probability", choices=("none", "threshold", "dynamic"))

    # The model.
    model: str = declare(
        "vae", "ae (autoencoder), rae (regularized autoencoder), cv_vae (constant-variance VAE), vae, or the name of "
        "another @model in vae_jax/model/objectives.py")
    architecture: str = declare(
        "mlp", "dense layers, or two strided 3x3 convolutions (32 and 64 channels) followed by them",
        choices=("mlp", "conv"))
    hidden_dims: tuple[int, ...] = declare(
        (512,), "widths of the encoder's dense layers, such as 512 or 512x256 (none for no layer); the decoder mirrors "
        "them", bounds=(1, 65536))
    latent_dim: int = declare(2, "number of latent dimensions", bounds=(1, 4096), symbol="z")
    activation: str = declare("relu", "non-linearity of the hidden layers",
                              choices=("relu", "tanh", "gelu", "silu", "elu", "leaky_relu"))
    initialization: str = declare(
        "pytorch", "dense weights and biases uniform up to 1/sqrt(fan_in), or Glorot's uniform weights and zero biases",
        choices=("pytorch", "glorot"))
    mean_bias: bool = declare(False, "initializes the decoder's output bias from the mean of the training images")

    # The objective.
    likelihood: str = declare(
        "bernoulli", "p(image | z); its negative logarithm is the reconstruction loss",
        choices=("bernoulli", "continuous_bernoulli", "gaussian", "learned_gaussian"))
    kl_weight: float = declare(
        1.0, "weight of the KL term, the beta of the beta-VAE, or of the pull to 0 of rae and cv_vae",
        bounds=(0.0, 1e6), dynamic=True, symbol="kl")
    kl_warmup_epochs: float = declare(
        0.0, "time over which the weight of the penalty rises linearly from 0", bounds=(0.0, 1e6), unit="epochs",
        dynamic=True)
    free_bits: float = declare(0.0, "KL divergence below which a latent dimension costs nothing", bounds=(0.0, 1e3),
                               unit="nats per dimension", dynamic=True)
    importance_samples: int = declare(
        0, "draws of z per image in the importance-weighted bound of an IWAE, which trains the VAE; 0 trains it by the "
        "ELBO with the analytic KL", bounds=(0, 5000))
    noise_sd: float = declare(0.2, "standard deviation of the codes of cv_vae", bounds=(1e-6, 1e3))
    decoder_l2: float = declare(1e-3, "weight of the squared norm of the decoder's kernels in the loss of rae",
                                bounds=(0.0, 1e6), dynamic=True)

    # The optimization.
    optimizer: str = declare("adam", "update rule; sgd has momentum 0.9", choices=("adam", "adamw", "rmsprop", "sgd"))
    learning_rate: float = declare(1e-3, "peak learning rate", bounds=(1e-9, 1e6), dynamic=True)
    schedule: str = declare("constant", "how the learning rate changes; both cosines end at 0",
                            choices=("constant", "cosine", "warmup_cosine", "multistep"))
    lr_warmup_epochs: float = declare(
        1.0, "time over which the learning rate rises linearly before the cosine", bounds=(0.0, 1e6), unit="epochs",
        used=lambda config: config.schedule == "warmup_cosine")
    milestones: tuple[int, ...] = declare(
        (), "epochs after which multistep multiplies the learning rate by lr_factor, such as 30x60",
        bounds=(1, 1_000_000), used=lambda config: config.schedule == "multistep")
    lr_factor: float = declare(0.1, "what multistep multiplies the learning rate by at each milestone",
                               bounds=(1e-9, 1e3), used=lambda config: config.schedule == "multistep")
    adam_b2: float = declare(
        0.999, "decay of the mean squared gradient of adam and adamw", bounds=(0.0, 0.999999),
        used=lambda config: config.optimizer in ("adam", "adamw"))
    adam_epsilon: float = declare(
        1e-8, "what adam and adamw add to the root of the mean squared gradient", bounds=(1e-12, 1.0),
        used=lambda config: config.optimizer in ("adam", "adamw"))
    weight_decay: float = declare(1e-4, "decoupled weight decay of adamw", bounds=(0.0, 1e3), dynamic=True,
                                  used=lambda config: config.optimizer == "adamw")
    clip_norm: float = declare(0.0, "clips gradients to this global norm; 0 clips none", bounds=(0.0, 1e9))
    batch_size: int = declare(128, "images per gradient step", bounds=(1, 1_000_000), unit="images")
    num_epochs: int = declare(50, "passes over the training images", bounds=(1, 1_000_000), unit="epochs")
    patience: int = declare(
        0, "epochs without a lower validation loss after which a run stops; it keeps the parameters of its best "
        "epoch; 0 trains all epochs and keeps the last", bounds=(0, 1_000_000), unit="epochs")
    seed: int = declare(0, "seeds the initial parameters, the order of the images and the noise",
                        bounds=(0, 2**31 - 1), dynamic=True, symbol="s")
    # fmt: on

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, check_value(field, getattr(self, field.name)))
        if self.model not in (known := load_models()):
            raise ConfigError(f"model must be {' | '.join(known)}, not {self.model!r}{nearest(self.model, known)}")
        if self.schedule == "warmup_cosine" and self.lr_warmup_epochs >= self.num_epochs:
            raise ConfigError(
                f"lr_warmup_epochs ({self.lr_warmup_epochs:g}) must be less than num_epochs ({self.num_epochs})"
            )
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ConfigError(f"milestones must rise, unlike {format_value(self.milestones)}")
        if self.schedule == "multistep" and not self.milestones:
            raise ConfigError("schedule=multistep needs milestones, such as 30x60")
        if self.uses("importance_samples") and self.importance_samples:
            for name in ("kl_warmup_epochs", "free_bits"):  # they change the KL term, which the bound does not have
                if getattr(self, name):
                    raise ConfigError(f"importance_samples ({self.importance_samples}) cannot be combined with {name}")

    @property
    def name(self) -> str:
        """The run's name: what is readable, and a hash of the fields that are not at their defaults.

        For example `vae-z2-kl1-s0-1a2b3c4d`. A field that is added later, at its default, leaves the name as it is.
        """
        plain, parts = canonical(self), [self.model]
        for name, field in FIELDS.items():
            if (symbol := field.metadata["symbol"]) and self.uses(name):
                value = getattr(self, name)
                parts.append(f"{symbol}{value:g}" if isinstance(value, float) else f"{symbol}{value}")
        changed = {n: value for n, value in plain.to_dict().items() if getattr(plain, n) != FIELDS[n].default}
        return "-".join([*parts, hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:8]])

    def uses(self, name: str) -> bool:
        """Whether a run of this Config reads the field; the fields of `MODELS` belong to some models only."""
        of_model = name not in MODEL_FIELDS or name in MODELS[self.model].fields
        return bool(of_model and FIELDS[name].metadata["used"](self))

    def check_image_shape(self, shape: Sequence[int]) -> None:
        """Raises ConfigError unless the architecture takes images of this height and width, pixels."""
        if self.architecture == "conv" and min(shape[:2]) < 4:  # two halvings must leave a pixel
            raise ConfigError(f"architecture=conv needs images of at least 4 x 4 pixels, not {shape[0]} x {shape[1]}")

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-ready values by field name; tuples are lists."""
        values = {name: getattr(self, name) for name in FIELDS}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Config":
        """Makes the Config that `to_dict` describes; absent fields get their defaults.

        Raises:
            ConfigError: a field is unknown, or a value is invalid; or, of a file, it holds no fields at all.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"a Config has fields, unlike {values!r}")
        for name in values:
            field_named(name)
        return cls(**values)


FIELDS = {field.name: field for field in dataclasses.fields(Config)}
DYNAMIC_FIELDS = tuple(name for name, field in FIELDS.items() if field.metadata["dynamic"])


def field_named(name: str) -> "dataclasses.Field[Any]":
    """Returns the `Config` field of this name; raises ConfigError, which suggests one, if there is none."""
    if name not in FIELDS:
        raise ConfigError(f"unknown field {name!r}{nearest(name, FIELDS)}")
    return FIELDS[name]


def _at_defaults(config: Config, names: Iterable[str]) -> Config:
    defaults: dict[str, Any] = {name: FIELDS[name].default for name in names}
    return dataclasses.replace(config, **defaults)


def canonical(config: Config) -> Config:
    """Sets every field that the run ignores to its default, so that equal runs have equal Configs."""
    return _at_defaults(config, (name for name in FIELDS if not config.uses(name)))


def expand(base: Config, grid: Mapping[str, Sequence[Any]]) -> tuple[Config, ...]:
    """Returns every combination of the grid's values over `base`, canonical, each run once, the last field fastest.

    Raises:
        ConfigError: a value is invalid, or there are too many combinations.
    """
    if (count := math.prod(map(len, grid.values()))) > MAX_COMBINATIONS:
        raise ConfigError(f"a grid has at most {MAX_COMBINATIONS} combinations of values, not {count}")
    combinations = itertools.product(*grid.values())
    configs = (dataclasses.replace(base, **dict(zip(grid, values, strict=True))) for values in combinations)
    return tuple(dict.fromkeys(map(canonical, configs)))


def static_part(config: Config) -> Config:
    """Sets the dynamic fields to their defaults: the result is equal for runs that are the same compiled program."""
    return _at_defaults(config, DYNAMIC_FIELDS)


def group(configs: Iterable[Config]) -> list[list[Config]]:
    """Groups runs that are the same compiled program, in order of first appearance."""
    groups: dict[Config, list[Config]] = {}
    for config in configs:
        groups.setdefault(static_part(config), []).append(config)
    return list(groups.values())


def varying_fields(configs: Sequence[Config]) -> tuple[str, ...]:
    """Returns the names of the fields in which the runs differ, in the order of `Config`."""
    return tuple(name for name in FIELDS if len({getattr(config, name) for config in configs}) > 1)


class Shown(dict[str, Sequence[Any]]):
    """A grid whose runs are trained and drawn, but neither judged nor chosen nor mapped."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """A question, and the runs and figures that answer it: data only.

    Raises:
        ConfigError: an attribute has the wrong type, a field is unknown, a value is invalid, or there are no runs.
    """

    name: str  # of the folder of the results
    question: str
    base: Config = dataclasses.field(default_factory=Config)  # the values of the fields that are not in the grid
    grid: Mapping[str, Sequence[Any]] = dataclasses.field(default_factory=dict)  # values to try, by field; see `expand`
    grids: tuple[Mapping[str, Sequence[Any]], ...] = ()  # or several grids, whose union has the runs
    figures: tuple[str, ...] = ()  # names of functions under `@figure`

    def __post_init__(self) -> None:
        if not _is_folder_name(self.name):
            raise ConfigError(f"name must be a str that can name a folder, not {self.name!r}")
        if isinstance(self.figures, str):  # ("samples") without its comma
            raise ConfigError(f"figures must be a tuple of names, not {self.figures!r}")
        object.__setattr__(self, "figures", tuple(dict.fromkeys(self.figures)))
        if self.grid and self.grids:
            raise ConfigError("give grid or grids, not both")
        object.__setattr__(self, "grids", tuple(map(_check_grid, self.grids or (self.grid,))))
        object.__setattr__(self, "grid", {})
        for field in ("pixel_max", "image_size", "channels"):  # a data set would have several sets of pixels
            if len(self.values(field)) > 1:
                raise ConfigError(f"{field} takes one value, because all runs of an experiment see the same pixels")
        _ = self.configs  # fields may exclude each other

    @property
    def configs(self) -> tuple[Config, ...]:
        """The experiment's runs, each once."""
        return tuple(dict.fromkeys(config for grid in self.grids for config in expand(self.base, grid)))

    @property
    def shown(self) -> frozenset[Config]:
        """The runs that are in `Shown` grids only."""
        judged = {c for grid in self.grids if not isinstance(grid, Shown) for c in expand(self.base, grid)}
        return frozenset(self.configs) - judged

    def values(self, name: str) -> tuple[Any, ...]:
        """Returns the values of a field among the runs, as the grids and the base give them."""
        every = (grid.get(name, (getattr(self.base, name),)) for grid in self.grids)
        return tuple(dict.fromkeys(value for values in every for value in values))

    def override(self, values: Mapping[str, Sequence[Any]]) -> "Experiment":
        """Returns the experiment with other values for some fields, in each of its grids.

        Raises:
            ConfigError: a field is unknown, has no value, or a value is invalid.
        """
        values = _check_grid(values)
        fixed: dict[str, Any] = {name: choices[0] for name, choices in values.items() if len(choices) == 1}
        several = {name: choices for name, choices in values.items() if name not in fixed}
        kept = [{name: choices for name, choices in grid.items() if name not in values} for grid in self.grids]
        grids = tuple(
            Shown(other | several) if isinstance(grid, Shown) else other | several
            for grid, other in zip(self.grids, kept, strict=True)
        )
        return dataclasses.replace(self, base=dataclasses.replace(self.base, **fixed), grids=grids)


def _is_folder_name(name: Any) -> bool:
    is_plain = isinstance(name, str) and name.isprintable() and name == name.strip()
    # File systems take 255 bytes.
    return is_plain and 0 < len(name.encode()) <= 200 and name[0] not in ".-~" and not set(name) & set("/\\")


def _check_grid(grid: Any) -> dict[str, Sequence[Any]]:
    """Checks a grid, and returns it with tuples of values; a `Shown` one stays one."""
    if not isinstance(grid, Mapping):  # ({...}) without its comma is a tuple of names
        raise ConfigError(f"grid must be a dict that maps fields to lists of values, not {grid!r}")
    checked = dict[str, Sequence[Any]]()
    for name, values in grid.items():
        field = field_named(name)
        values = values.tolist() if hasattr(values, "tolist") else values  # of a NumPy array
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise ConfigError(f"grid[{name!r}] must be a list of one or more values, not {values!r}")
        checked[name] = tuple(check_value(field, value) for value in values)
    return Shown(checked) if isinstance(grid, Shown) else checked


LANGUAGES = ("en", "ko")  # of the report
LEAST_WEIGHTS = 3  # KL weights that make an animation
FIGURE_FORMATS = ("png", "pdf", "svg")  # of a figure; the page needs the first


class Options(NamedTuple):
    """What a launch does with its runs; nothing here changes a result but `num_likelihood_samples`."""

    data_dir: str | None = None  # folder of the prepared data sets; None for the default
    train: bool = True  # whether to train unfinished runs
    evaluate: str = "due"  # `due` evaluates what is not evaluated yet, `again` everything, `never` nothing
    figures: str = "due"  # `due` draws figures and page where they would change, `again` all
    only_figures: tuple[str, ...] | None = None  # names of the figures to draw; None for those of the experiment
    figure_format: tuple[str, ...] = ("pdf",)  # what is written beside each PNG, of FIGURE_FORMATS
    heat_maps: tuple[str, ...] | None = None  # names of the numbers that the figure heat_maps shows; None for its own
    animate: bool = False  # whether to animate the latent plane along the KL weight
    num_likelihood_samples: int | None = None  # per image, of the importance-sampled bound; None for those in use
    tensorboard: bool = False  # whether to write TensorBoard event files
    runs_per_device: int | None = None  # None for 1 on a CPU, and otherwise as many as fit in its memory
    checkpoint_every_seconds: float = 60.0  # the least time between two checkpoints of a run
    compilation_cache: str | None = None  # folder of compiled programs; `none` for no cache, None for the user's
    cluster: str | None = None  # address of the Dask scheduler whose workers train; None to train in this process
    language: str = "en"  # of the report, one of LANGUAGES
