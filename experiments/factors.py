"""Asks whether single dimensions follow single factors of the images: AE beside VAEs of rising KL weight, on `shapes`.

    vae-jax --experiment=factors

The images are small coloured shapes, generated from five known factors: shape, size, x, y and hue. Ten dimensions are
twice as many, so that a factor may take two, as hues on a circle might, and some may stay unused. The claim about
single factors is judged at each KL weight against the AE, by the mutual information gap; docs/method.md says why, and
what fools it. With `--channels=grey` hues are brightness.

The Bernoulli's cross-entropy is a common loss, and no density of colours. Gaussians, which are densities, were tried
first, by validation loss alone: at a fixed variance of 1 the AE stays at the mean image from a rate of 2e-3 on, and a
learned one is still shrinking after 30 epochs, as fast as the rate allows.

Time set the number of epochs, and the lowest validation loss the rate (seed 30, nats an image):

| rate | 2e-3 | 4e-3 | 8e-3 | 1.6e-2 | 3.2e-2 |
| --- | --- | --- | --- | --- | --- |
| AE | 94.34 | 89.59 | 86.87 | 85.79 | 102.62 |
| VAE of weight 4 | 169.31 | 163.79 | 160.19 | 158.88 | 184.68 |

Measured with `--seed=100..109`: …
"""

from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="factors",
    question="Do single dimensions of a VAE follow single factors of the images, more than those of an AE?",
    base=Config(
        dataset="shapes", latent_dim=10, hidden_dims=(256,), learning_rate=1.6e-2, schedule="cosine", batch_size=64,
        num_epochs=30,
    ),
    grid={"model": ("ae", "vae"), "kl_weight": (1.0, 4.0, 16.0), "seed": tuple(range(10))},
    figures=(
        "factor_map", "traversals", "sweep", "rate_distortion", "kl_per_dimension", "reconstructions", "samples",
        "training_curves",
    ),
)  # fmt: skip
