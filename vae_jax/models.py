"""The registry of models. A model differs from the others only in its encoder's head and its objective.

Standard library only, so that flags and `--help` can read it without importing JAX.
"""

from typing import Literal, NamedTuple


class Model(NamedTuple):
    """One model. Adding one takes an entry in `MODELS` and the function it names in `objectives.py`."""

    title: str
    """Its name in tables and figures."""
    objective: str
    """The function of `vae_jax.model.objectives` that trains it."""
    noise: Literal["none", "fixed", "learned"]
    """The noise of its codes: none (an image's code is a point), of the fixed size `noise_sd`, or of a size that the
    encoder learns for each image."""
    fields: tuple[str, ...] = ()
    """The `Config` fields that only some models read and this one does."""
    baselines: tuple[str, ...] = ()
    """The models it is compared with, where an experiment has them."""

    @property
    def has_variance(self) -> bool:
        """Whether q(z | x) is a Gaussian, of a fixed or of a learned variance, rather than a point."""
        return self.noise != "none"


# In the order in which an autoencoder becomes a variational one: one ingredient at a time.
MODELS = {
    "ae": Model("AE", "ae_objective", noise="none"),
    "rae": Model(
        "RAE",
        "rae_objective",
        noise="none",
        fields=("kl_weight", "kl_warmup_epochs", "decoder_l2"),
        baselines=("ae",),
    ),
    "cv_vae": Model(
        "CV-VAE",
        "cv_vae_objective",
        noise="fixed",
        fields=("kl_weight", "kl_warmup_epochs", "noise_sd"),
        baselines=("ae", "rae"),
    ),
    "vae": Model(
        "VAE",
        "vae_objective",
        noise="learned",
        fields=("kl_weight", "kl_warmup_epochs", "free_bits", "importance_samples"),
        baselines=("ae", "cv_vae"),
    ),
}

MODEL_FIELDS = frozenset(name for model in MODELS.values() for name in model.fields)
"""The `Config` fields that not every model reads."""
