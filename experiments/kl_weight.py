"""Sweeps the weight of the KL term of a VAE, at 2 and at 16 latent dimensions.

    python -m experiments.launch --experiment=kl_weight

Expected (mnist_5k, 30 epochs, seed 0; nats per image at KL weights 0.1, 1, 8): with 2 dimensions rate 9.5, 5.5, 2.4
and distortion 157.1, 156.2, 165.4; with 16 dimensions rate 51.1, 21.9, 4.0 and distortion 81.1, 91.2, 148.1. It takes
about 4 minutes on 2 cores.
"""

from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="kl_weight",
    question="What does a VAE gain and lose as its KL term weighs more?",
    base=Config(model="vae", learning_rate=3e-3, schedule="cosine", batch_size=64, num_epochs=30),
    grid={"latent_dim": (2, 16), "kl_weight": (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)},
    figures=(
        "rate_distortion", "heat_maps", "dose_response", "kl_per_dimension", "training_curves", "reconstructions",
        "latent_space", "manifold_by_kl_weight", "manifold", "holes", "plausibility", "samples_by_kl_weight",
        "samples", "interpolations"),
)  # fmt: skip
