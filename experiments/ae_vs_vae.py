"""Compares one network as an autoencoder (AE) and as a variational autoencoder (VAE), with 2 and with 16 dimensions.

    python -m experiments.launch --experiment=ae_vs_vae

Seven claims are judged at 2 dimensions with ten seeds and at 16 with five; docs/method.md says how. The path of the KL
weight from the AE (0) to 8 is shown for one seed, and not judged. The recipe is that of `recipe`.
"""

from vae_jax.config import Config, Experiment, Shown

EXPERIMENT = Experiment(
    name="ae_vs_vae",
    question="What does turning an autoencoder into a variational autoencoder do to its latent space, and what does it "
    "cost?",
    base=Config(hidden_dims=(512,), learning_rate=5e-3, schedule="cosine", batch_size=64, num_epochs=12),
    grids=(
        {"latent_dim": (2,), "model": ("ae", "vae"), "seed": tuple(range(10))},
        {"latent_dim": (16,), "model": ("ae", "vae"), "seed": tuple(range(5))},
        Shown(latent_dim=(2,), model=("vae",), kl_weight=(0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0), seed=(0,)),
    ),
    figures=(
        "hero", "ladder", "training_curves", "reconstructions", "latent_space", "posteriors", "manifold",
        "manifold_by_kl_weight", "holes", "plausibility", "samples", "samplers", "interpolations", "kl_per_dimension",
    ),
)  # fmt: skip
