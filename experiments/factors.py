"""Asks whether single dimensions follow single factors of the images: AE beside VAEs of rising KL weight, on `shapes`.

    vae-jax --experiment=factors

The images are generated from five known factors: shape, size, x, y and hue, here as brightness. Ten dimensions are
twice as many, so that a factor may take two, as hues on a circle might, and some may stay unused. The claim about
single factors is judged at each KL weight against the AE, by the mutual information gap; docs/method.md says why, and
what fools it.

Time set the number of epochs, and the lowest validation loss the rate (seed 30, nats an image):

| rate | 1e-3 | 2e-3 | 4e-3 | 8e-3 | 1.6e-2 |
| --- | --- | --- | --- | --- | --- |
| AE | 42.55 | 40.23 | 39.10 | 38.28 | 39.29 |
| VAE of weight 4 | 79.31 | 76.17 | 75.84 | 74.06 | 74.14 |

Measured with `--seed=100..109`: …
"""

from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="factors",
    question="Do single dimensions of a VAE follow single factors of the images, more than those of an AE?",
    base=Config(
        dataset="shapes", channels="grey", latent_dim=10, hidden_dims=(512,), learning_rate=8e-3, schedule="cosine",
        batch_size=64, num_epochs=30,
    ),
    grid={"model": ("ae", "vae"), "kl_weight": (1.0, 4.0, 16.0), "seed": tuple(range(10))},
    figures=(
        "factor_map", "traversals", "sweep", "rate_distortion", "kl_per_dimension", "reconstructions", "samples",
        "training_curves",
    ),
)  # fmt: skip
