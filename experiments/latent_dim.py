"""Sweeps the number of latent dimensions of an AE and of a VAE.

    vae-jax --experiment=latent_dim

The recipe is that of `recipe`.
"""

from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="latent_dim",
    question="How many latent dimensions are enough, for an autoencoder and for a variational autoencoder?",
    base=Config(hidden_dims=(512,), learning_rate=5e-3, schedule="cosine", batch_size=64, num_epochs=12),
    grid={"model": ("ae", "vae"), "latent_dim": (2, 4, 8, 16, 32), "seed": (0, 1, 2)},
    figures=(
        "sweep", "ladder", "training_curves", "kl_per_dimension", "reconstructions", "latent_space", "samples",
        "samplers", "interpolations", "traversals"),
)  # fmt: skip
