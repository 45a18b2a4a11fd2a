"""Turns an autoencoder into a variational one, one ingredient at a time: a pull to 0, noise, noise that is learned.

    vae-jax --experiment=ingredients

All models share network, initial parameters, batches and recipe. The pull is none or that of KL weight 1; the noise of
the codes is none, of one size, or of a size that the encoder learns. Each model is compared with the AE, which has
neither; without a pull, learned noise has nothing that keeps it, and goes. `rae` without its decay is the AE with a
pull, `cv_vae` is the constant-variance VAE of Ghosh et al. 2020 (arXiv:1903.12436).

Measured with `--seed=100..109`, mnist_5k: distortion and rate in nats, Fréchet distances of samples by what is known of
the codes, and what it is after standardizing them, without a look at their correlations; holes are
`gaussian_hole_mass`, steps `step_0_3_change`, midpoints `midpoint_implausible_excess`.

| 16 dimensions | distortion | rate | N(0, I) | standardized | Gaussian | mixture | codes | holes | steps | midpoints |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| no pull, no noise (AE) | 82.6 | | 232 | 72.5 | 49.2 | 20.4 | 14.4 | 0.90 | 0.162 | 0.134 |
| no pull, fixed noise | 83.0 | | 280 | 72.5 | 50.3 | 20.1 | 13.6 | 0.79 | 0.158 | 0.119 |
| no pull, learned noise | 82.5 | | 252 | 75.9 | 51.1 | 20.9 | 14.5 | 0.79 | 0.157 | 0.126 |
| pull, no noise (RAE) | 84.5 | | 56 | 70.3 | 57.2 | 26.6 | 21.1 | 0.89 | 0.148 | 0.242 |
| pull, fixed noise (CV-VAE) | 91.0 | 25.3 | 77 | 68.6 | 56.2 | 27.6 | 22.7 | 0.68 | 0.117 | 0.251 |
| pull, learned noise (VAE) | 99.2 | 19.8 | 80 | 66.1 | 59.5 | 34.9 | 30.4 | 0.38 | 0.115 | 0.208 |

- The pull puts the codes where N(0, I) samples: the gap to decodes of the codes falls from 218 to 35 without any noise.
  That is a matter of scale: between standardized codes it falls from 58 to 49 (RAE), 46 (CV-VAE) and 36 (VAE).
- Noise makes smaller steps and fewer holes, and with a pull far more so; without one it costs nothing.
- That it is learned takes the holes from 0.68 to 0.38, for 8 nats more.
- Samples of a fitted Gaussian, and midpoints, get worse with each pull.

At 2 dimensions steps get smaller with each ingredient (AE 0.52, RAE 0.34, fixed noise 0.41, with a pull 0.27, VAE 0.28)
and holes fewer (0.20, 0.15, 0.15, 0.10, 0.10); samples differ by less than what ten seeds resolve.
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
        "samples", "interpolations", "kl_per_dimension"),
)  # fmt: skip
