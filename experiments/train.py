"""Trains a single run, by default the VAE of `ae_vs_vae`.

    vae-jax --experiment=train --model=vae --latent_dim=2

Expected test loss (nats per image, mean ± sd with --seed=0,1,2; DIR holds the four MNIST files):

    158.41 ± 1.35   --hidden_dims=512x256 --num_epochs=30 …
    105.58 ± 0.23   --dataset=idx:DIR --validation_fraction=0 --hidden_dims=400 --latent_dim=20 --num_epochs=10 …
    152.54 ± 0.45   --dataset=idx:DIR --validation_fraction=0 --num_epochs=15 …

Without flags it takes about 20 seconds on 2 cores, evaluation and figures included.
"""

from vae_jax.config import Experiment

EXPERIMENT = Experiment(
    name="train",
    question="What does this one model do?",
    figures=(
        "training_curves", "reconstructions", "latent_space", "manifold", "samples", "interpolations", "traversals"),
)  # fmt: skip
