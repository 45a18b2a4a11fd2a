"""Turns an autoencoder into a variational one, one ingredient at a time: a pull to 0, noise, noise that is learned.

    vae-jax --experiment=ingredients

All models share network, initial parameters, batches and recipe. The pull is none or that of KL weight 1; the noise of
the codes is none, of one size, or of a size that the encoder learns. Each model is compared with the AE, which has
neither; without a pull, learned noise has nothing that keeps it, and goes. `rae` without its decay is the AE with a
pull, `cv_vae` is the constant-variance VAE of Ghosh et al. 2020 (arXiv:1903.12436).
"""

from vae_jax.config import Config, Experiment

SIZES = {"latent_dim": (2, 16), "seed": tuple(range(10))}

EXPERIMENT = Experiment(
    name="ingredients",
    question="Which ingredient of a variational autoencoder does what: the pull to 0, the noise, or that the noise is "
    "learned?",
    base=Config(
        hidden_dims=(512,), learning_rate=5e-3, schedule="cosine", batch_size=64, num_epochs=12, decoder_l2=0.0,
    ),
    grids=(
        SIZES | {"model": ("ae", "rae")},
        SIZES | {"model": ("cv_vae", "vae"), "kl_weight": (0.0, 1.0)},
    ),
    figures=(
        "ladder", "training_curves", "reconstructions", "latent_space", "posteriors", "manifold", "holes",
        "plausibility", "samples", "samplers", "interpolations", "kl_per_dimension"),
)  # fmt: skip
