"""Sweeps the number of latent dimensions of an AE and of a VAE.

    vae-jax --experiment=latent_dim

The recipe is that of `recipe`.

Measured with `--seed=100..102`, mnist_5k, AE | VAE: distortion in nats, Fréchet distances of samples by what is known
of the codes; holes are `gaussian_hole_mass`, steps `step_0_3_change`, kNN `knn_accuracy_whitened`.

| dimensions | distortion | N(0, I) | Gaussian | codes | holes | steps | kNN |
| --- | --- | --- | --- | --- | --- | --- | --- |
| 2 | 156, 158 | 175, 177 | 143, 169 | 140, 171 | 0.21, 0.11 | 0.59, 0.28 | 0.58, 0.53 |
| 4 | 127, 132 | 155, 104 | 76, 92 | 66, 79 | 0.32, 0.23 | 0.30, 0.19 | 0.78, 0.78 |
| 8 | 101, 109 | 247, 83 | 48, 62 | 28, 41 | 0.59, 0.40 | 0.21, 0.15 | 0.90, 0.89 |
| 16 | 82.6, 98.8 | 237, 80 | 49, 59 | 14, 30 | 0.91, 0.41 | 0.16, 0.11 | 0.93, 0.93 |
| 32 | 74.5, 102 | 221, 85 | 54, 62 | 10, 33 | 0.93, 0.58 | 0.13, 0.11 | 0.92, 0.93 |

The VAE has enough with 16: more make its reconstructions worse, while the AE's still improve at 32. Samples of either
model's Gaussian are best at 8 to 16. N(0, I) samples the VAE better from 4 on; the AE's scale is arbitrary.
"""

from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="latent_dim",
    question="How many latent dimensions are enough, for an autoencoder and for a variational autoencoder?",
    base=Config(hidden_dims=(512,), learning_rate=5e-3, schedule="cosine", batch_size=64, num_epochs=12),
    grid={"model": ("ae", "vae"), "latent_dim": (2, 4, 8, 16, 32), "seed": (0, 1, 2)},
    figures=(
        "sweep", "ladder", "training_curves", "kl_per_dimension", "reconstructions", "latent_space", "samples",
        "interpolations", "traversals"),
)  # fmt: skip
