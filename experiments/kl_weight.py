"""Sweeps the weight of the KL term of a VAE beside an AE, at 2 and at 16 latent dimensions.

    vae-jax --experiment=kl_weight

The recipe is that of `recipe`.

Measured with `--seed=100..102`, mnist_5k at 16 dimensions: distortion, rate and ELBO in nats, Fréchet distances of
samples by what is known of the codes; holes are `gaussian_hole_mass`, steps `step_0_3_change`, kNN
`knn_accuracy_whitened`.

| KL weight | distortion | rate | ELBO | N(0, I) | Gaussian | codes | holes | steps | kNN | active units |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| AE | 82.6 | | | 237 | 48.7 | 14.2 | 0.91 | 0.162 | 0.93 | |
| 0.1 | 83.9 | 50.2 | -134 | 143 | 50.6 | 17.2 | 0.83 | 0.141 | 0.93 | 16 |
| 0.25 | 85.8 | 37.0 | -123 | 108 | 53.3 | 19.1 | 0.81 | 0.131 | 0.94 | 16 |
| 0.5 | 89.4 | 28.7 | -118 | 91 | 55.1 | 21.7 | 0.73 | 0.121 | 0.93 | 16 |
| 1 | 98.8 | 20.0 | -119 | 80 | 59.0 | 29.6 | 0.41 | 0.114 | 0.93 | 16 |
| 2 | 115 | 12.0 | -127 | 79 | 70.2 | 46.5 | 0.28 | 0.116 | 0.93 | 16 |
| 4 | 134 | 6.6 | -141 | 96 | 93.0 | 74.2 | 0.16 | 0.115 | 0.88 | 15 |
| 8 | 162 | 2.9 | -165 | 163 | 157 | 147 | 0.08 | 0.109 | 0.76 | 12.3 |

Samples of N(0, I) are nearest at weights 1 and 2; with the Gaussian of the codes known, every weight costs. Steps stop
shrinking at 1, holes do not. At 2 dimensions all weights up to 2 have distances of 177 to 183 (AE 175), distortions of
156 to 159 (AE 156), and steps that fall from 0.59 (AE) over 0.28 (1) to 0.17 (8). At weight 8 and 16 dimensions the
model no longer reconstructs by the bar of docs/method.md, and is not judged.
"""

from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="kl_weight",
    question="What does a VAE gain and lose as its KL term weighs more?",
    base=Config(hidden_dims=(512,), learning_rate=5e-3, schedule="cosine", batch_size=64, num_epochs=12),
    grid={
        "model": ("ae", "vae"), "latent_dim": (2, 16), "kl_weight": (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0),
        "seed": (0, 1, 2),
    },
    figures=(
        "rate_distortion", "heat_maps", "sweep", "ladder", "kl_per_dimension", "training_curves",
        "reconstructions", "posteriors", "latent_space", "manifold", "holes",
        "samples_by_kl_weight", "samples", "interpolations"),
)  # fmt: skip
