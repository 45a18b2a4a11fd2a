"""Sweeps the weight of the KL term of a VAE beside an AE, at 2 and at 16 latent dimensions.

    vae-jax --experiment=kl_weight

The recipe is that of `recipe`.
"""

from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="kl_weight",
    question="What does a VAE gain and lose as its KL term weighs more?",
    base=Config(hidden_dims=(512,), learning_rate=5e-3, schedule="cosine", batch_size=64, num_epochs=12),
    grid={
        "model": ("ae", "vae"), "latent_dim": (2, 16), "kl_weight": (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0),
        "seed": (0, 1, 2),
    },
    figures=(
        "rate_distortion", "heat_maps", "dose_response", "ladder", "kl_per_dimension", "training_curves",
        "reconstructions", "latent_space", "manifold_by_kl_weight", "manifold", "holes", "plausibility",
        "samples_by_kl_weight", "samples", "interpolations"),
)  # fmt: skip
