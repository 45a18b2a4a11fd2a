"""Chooses how long and how fast the project's experiments train: by validation loss against time, and by nothing else.

    vae-jax --experiment=recipe

Each recipe trains about as long as 12 epochs in batches of 64. The one with the lowest validation loss, as a mean over
both models, both dimensions and seeds 30 to 32, is the recipe of `ae_vs_vae`, `ingredients`, `kl_weight` and
`latent_dim`: rate 5e-3 in batches of 64. These means are, in nats an image:

| rate | 2e-3 | 3e-3 | 4e-3 | 5e-3 | 7e-3 |
| --- | --- | --- | --- | --- | --- |
| batches of 64, 12 epochs | 135.60 | 132.39 | 131.35 | 130.94 | 133.11 |
| batches of 128, 16 epochs | 139.43 | 135.74 | 133.95 | 132.66 | 133.05 |
"""

from vae_jax.config import Config, Experiment

RATES = (2e-3, 3e-3, 4e-3, 5e-3, 7e-3)
RUNS = {"model": ("ae", "vae"), "latent_dim": (2, 16), "seed": (30, 31, 32), "learning_rate": RATES}

EXPERIMENT = Experiment(
    name="recipe",
    question="Which recipe has the lowest validation loss for its time?",
    base=Config(hidden_dims=(512,), schedule="cosine"),
    grids=(
        RUNS | {"batch_size": (64,), "num_epochs": (12,)},
        RUNS | {"batch_size": (128,), "num_epochs": (16,)},
    ),
    figures=("training_curves",),
)
