"""The VAEs with a normal prior that Davidson et al. 2018 (arXiv:1804.00891) compare their hyperspherical ones with.

    python -m vae_jax.data.prepare --dataset=mnist
    vae-jax --experiment=published/svae_normal --num_likelihood_samples=500

Published: log p(x) with 500 importance samples, Table 1, rows N-VAE: -135.73, -110.21, -93.84, -88.90 and -88.93 nats
at 2, 5, 10, 20 and 40 dimensions (ELBO -137.08 at 2, of a distortion of 129.84 and a rate of 7.24; -98.36 at 10, of
78.93 and 19.44).
Setting: 784-256-128-z with ReLU, Adam at 0.001, batches of 64, pixels redrawn at each step, stopped early on the
validation loss. Ours: a validation set of 10,000 images (a sixth), so 50,000 to train on, and a patience of 50 epochs.
Known differences: the authors' code (github.com/nicola-decao/s-vae-pytorch, examples/mnist.py) takes a softplus as the
standard deviation, ours does not; the paper may warm the KL term up (from memory), ours does not.
Measured: test_log_likelihood_sampled at 2, 5, 10, 20 dimensions: not run yet.
Cost: estimated from an epoch, half an hour to an hour a seed on 2 cores.
"""

from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="svae_normal",
    question="Do VAEs of 2 to 20 latent dimensions reach the log p(x) that Davidson et al. 2018 publish?",
    base=Config(
        dataset="mnist", validation_fraction=1 / 6, binarization="dynamic", hidden_dims=(256, 128), optimizer="adam",
        learning_rate=1e-3, batch_size=64, num_epochs=500, patience=50,
    ),
    grid={"latent_dim": (2, 5, 10, 20), "seed": (0, 1, 2)},
    figures=("sweep", "training_curves", "kl_per_dimension", "reconstructions", "samples"),
)  # fmt: skip
