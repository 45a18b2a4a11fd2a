"""Latent dimensions: how many are enough, for an AE and for a VAE.

python -m experiments.launch --experiment=latent_dim
"""

from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="latent_dim",
    question="How many latent dimensions are enough, for an autoencoder and for a variational autoencoder?",
    base=Config(num_epochs=50),
    grid={"model": ("ae", "vae"), "latent_dim": (2, 4, 8, 16, 32)},
    figures=(
        "sweep",
        "training_curves",
        "kl_per_dimension",
        "reconstructions",
        "latent_space",
        "samples",
        "samplers",
        "interpolations",
        "traversals",
    ),
)
