"""The weight of the KL term: what a VAE gains and loses by it, at 2 and at 16 latent dimensions.

python -m experiments.launch --experiment=kl_weight
"""

from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="kl_weight",
    question="What does a VAE gain and lose as its KL term weighs more?",
    base=Config(model="vae", num_epochs=50),
    grid={"latent_dim": (2, 16), "kl_weight": (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)},
    figures=(
        "rate_distortion",
        "dose_response",
        "kl_per_dimension",
        "training_curves",
        "reconstructions",
        "latent_space",
        "manifold",
        "holes",
        "samples",
        "interpolations",
    ),
)
