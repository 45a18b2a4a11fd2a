"""The registry of models. A model differs from the others only in its encoder's head and its objective.

Standard library only, so that flags and `--help` need not wait for JAX. The models themselves stand in
`vae_jax.model.objectives`, each a function under `@model`.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar

Noise = Literal["none", "fixed", "learned"]
Function = TypeVar("Function", bound=Callable[..., Any])


class Model(NamedTuple):
    """One model, as `@model` registers it."""

    title: str
    """Its name in tables and figures."""
    objective: Callable[..., Any]
    """Maps a `Batch` to the `Terms` that train it."""
    noise: Noise
    """The noise of its codes: none (an image's code is a point), of the fixed size `noise_sd`, or of a size that the
    encoder learns for each image."""
    fields: tuple[str, ...] = ()
    """The `Config` fields that only some models read and this one does."""
    baselines: tuple[str, ...] = ()
    """The models it is compared with, where an experiment has them: the first that it has."""
    depth: int = 0
    """Length of the longest chain of baselines that leads to it; 0 without a baseline."""

    @property
    def has_variance(self) -> bool:
        """Whether q(z | x) is a Gaussian, of a fixed or of a learned variance, rather than a point."""
        return self.noise != "none"


MODELS: dict[str, Model] = {}
"""All models by name, as soon as a `Config` was made: in rising depth, so that a baseline stands before what is
compared with it, and the model that an experiment is about comes last."""

MODEL_FIELDS: set[str] = set()
"""The `Config` fields that not every model reads."""


def model(
    name: str, *, title: str, noise: Noise, fields: tuple[str, ...] = (), baselines: tuple[str, ...] = ()
) -> Callable[[Function], Function]:
    """Registers the function that it decorates as the objective of a model; see `Model` for the arguments.

    A model stands before others of its depth that are there already: it does not take their place at the end.

    Raises:
        ValueError: a baseline is not registered yet, or another model has this name.
    """
    if name in MODELS:
        raise ValueError(f"there is a model {name!r} already")
    if unknown := set(baselines) - MODELS.keys():
        raise ValueError(f"the baselines of model {name!r} must be registered before it, unlike {sorted(unknown)}")
    depth = 1 + max((MODELS[baseline].depth for baseline in baselines), default=-1)

    def register(objective: Function) -> Function:
        after = {other: MODELS.pop(other) for other in list(MODELS) if MODELS[other].depth >= depth}
        MODELS[name] = Model(title, objective, noise, fields, baselines, depth)
        MODELS.update(after)
        MODEL_FIELDS.update(fields)
        return objective

    return register


def load_models() -> dict[str, Model]:
    """Returns `MODELS` with all models in it; the first call imports JAX."""
    import vae_jax.model.objectives  # noqa: F401

    return MODELS
