"""The registry of models. A model differs from the others only in its encoder's head and its objective.

Standard library only, so that flags and `--help` can read it without importing JAX.
"""

from typing import Literal, NamedTuple


class Model(NamedTuple):
    """One model. Adding one takes an entry in `MODELS` and the function it names in `objectives.py`."""

    title: str
    """Its name in tables and figures."""
    objective: str
    """The function of `vae_jax.objectives` that trains it."""
    noise: Literal["none", "fixed", "learned"]
    """Of its codes: none (the code of an image is a point), of one fixed size, or of a size the encoder learns."""
    fields: tuple[str, ...] = ()
    """The `Config` fields that only some models read and this one does."""
    baselines: tuple[str, ...] = ()
    """The models it is compared with, where an experiment has them."""

    @property
    def has_variance(self) -> bool:
        """Whether the encoder outputs a log-variance beside the mean."""
        return self.noise == "learned"


MODELS = {
    "ae": Model("AE", "ae_objective", noise="none"),
    "vae": Model(
        "VAE",
        "vae_objective",
        noise="learned",
        fields=("kl_weight", "kl_warmup_epochs", "free_bits"),
        baselines=("ae",),
    ),
}

MODEL_FIELDS = frozenset(name for model in MODELS.values() for name in model.fields)
"""The `Config` fields that not every model reads."""
