"""A single training run: the blog model's VAE unless flags say otherwise.

    python -m experiments.launch --experiment=train --model=vae --latent_dim=2

Expected (mnist_5k, seed 0): see the table in README.md. About 10 s of training on 2 cores.
"""

from vae_jax.config import Experiment

EXPERIMENT = Experiment(
    name="train",
    question="What does this one model do?",
    figures=(
        "training_curves",
        "reconstructions",
        "latent_space",
        "manifold",
        "samples",
        "interpolations",
        "traversals",
    ),
)
