"""Sweeps the number of latent dimensions of an AE and of a VAE.

    python -m experiments.launch --experiment=latent_dim

Expected (mnist_5k, 30 epochs, seed 0; test loss in nats per image at 2, 4, 8, 16, 32 dimensions): AE 151.7, 124.8,
97.7, 80.8, 70.7; VAE 161.7, 136.9, 120.6, 113.0, 112.9, as a VAE stops using dimensions. It takes about 3 minutes on
2 cores.
"""

from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="latent_dim",
    question="How many latent dimensions are enough, for an autoencoder and for a variational autoencoder?",
    base=Config(learning_rate=3e-3, schedule="cosine", batch_size=64, num_epochs=30),
    grid={"model": ("ae", "vae"), "latent_dim": (2, 4, 8, 16, 32)},
    figures=(
        "sweep", "training_curves", "kl_per_dimension", "reconstructions", "latent_space", "samples", "samplers",
        "interpolations", "traversals"),
)  # fmt: skip
