"""Compares one network as an autoencoder (AE) and as a variational autoencoder (VAE), with 2 and with 16 dimensions.

    vae-jax --experiment=ae_vs_vae

Seven claims are judged at 2 dimensions with ten seeds and at 16 with five; docs/method.md says how. The path of the KL
weight from the AE (0) to 8 is shown for one seed, and not judged. The recipe is that of `recipe`.

Measured with `--seed=100..109`, ten seeds at both dimensions, none of which any choice had seen: AE, VAE, their
difference with its 95 % interval, and the verdict after Holm's correction of all 14 rows.

| | 2 dimensions | 16 dimensions |
| --- | --- | --- |
| (a) gap | 29.1, 13.7, -15.3 [-29.1, -1.6] not resolved | 218.1, 49.9, -168.1 [-173.1, -163.2] supported |
| (b) Gaussian | 148.7, 161.8, 13.0 [1.5, 24.5] not resolved | 49.2, 59.5, 10.3 [8.9, 11.7] contradicted |
| (c) holes | 0.199, 0.102, -0.096 [-0.144, -0.048] supported | 0.902, 0.382, -0.520 [-0.561, -0.479] supported |
| (d) steps | 0.515, 0.278, -0.237 [-0.313, -0.161] supported | 0.162, 0.115, -0.047 [-0.050, -0.044] supported |
| (e) midpoints | 0.038, 0.051, 0.013 [-0.023, 0.048] not resolved | 0.134, 0.208, 0.074 [0.067, 0.081] contradicted |
| (f) kNN | 0.564, 0.545, -0.018 [-0.040, 0.004] not resolved | 0.932, 0.928, -0.004 [-0.009, 0.002] level |
| (g) price | 156.0, 157.4, 1.4 [0.4, 2.4] not resolved | 82.6, 99.2, 16.5 [15.6, 17.4] supported |

Fréchet distance and coverage of samples, by what is known of the codes:

| | N(0, I) | mean and covariance | mixture of ten | the codes |
| --- | --- | --- | --- | --- |
| AE, 2 | 175.6, 0.09 | 148.7, 0.14 | 146.6, 0.14 | 146.5, 0.14 |
| VAE, 2 | 173.8, 0.11 | 161.8, 0.12 | 159.9, 0.13 | 160.0, 0.13 |
| AE, 16 | 232.5, 0.06 | 49.2, 0.37 | 20.4, 0.78 | 14.4, 0.90 |
| VAE, 16 | 80.3, 0.31 | 59.5, 0.37 | 34.9, 0.69 | 30.4, 0.76 |
"""

from vae_jax.config import Config, Experiment, Shown

EXPERIMENT = Experiment(
    name="ae_vs_vae",
    question="What does turning an autoencoder into a variational autoencoder do to its latent space, and what does it "
    "cost?",
    base=Config(hidden_dims=(512,), learning_rate=5e-3, schedule="cosine", batch_size=64, num_epochs=12),
    grids=(
        {"latent_dim": (2,), "model": ("ae", "vae"), "seed": tuple(range(10))},
        {"latent_dim": (16,), "model": ("ae", "vae"), "seed": tuple(range(5))},
        Shown(latent_dim=(2,), model=("vae",), kl_weight=(0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0), seed=(0,)),
    ),
    figures=(
        "hero", "ladder", "samples", "reconstructions", "posteriors", "latent_space", "manifold", "holes",
        "interpolations", "kl_per_dimension", "training_curves",
    ),
)  # fmt: skip
