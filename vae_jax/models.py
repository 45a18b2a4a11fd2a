"""The registry of models. A model differs from the others only in its encoder's head and its objective.

Standard library only, so that flags and `--help` can read it without importing JAX.
"""

from typing import NamedTuple


class Model(NamedTuple):
    """One model. Adding one takes an entry in `MODELS` and the function it names in `objectives.py`."""

    title: str
    """Its name in tables and figures."""
    objective: str
    """The function of `vae_jax.objectives` that trains it."""
    has_variance: bool
    """Whether the encoder outputs a log-variance beside the mean."""
    fields: tuple[str, ...] = ()
    """The `Config` fields that only some models read and this one does."""
    baseline: str | None = None
    """The model it is compared with."""


MODELS = {
    "ae": Model("AE", "ae_objective", has_variance=False),
    "vae": Model(
        "VAE",
        "vae_objective",
        has_variance=True,
        fields=("kl_weight", "kl_warmup_epochs", "free_bits"),
        baseline="ae",
    ),
}

MODEL_FIELDS = frozenset(name for model in MODELS.values() for name in model.fields)
"""The `Config` fields that not every model reads."""
