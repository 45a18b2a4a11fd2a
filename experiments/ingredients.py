"""Turns an autoencoder into a variational one, one ingredient at a time: a pull to 0, noise, noise that is learned.

    python -m experiments.launch --experiment=ingredients

The four models share network, initial parameters, batches and seeds. RAE is the AE with a pull of its codes to 0 (and a
decay of its decoder's weights, without which larger weights undo the pull); CV-VAE adds noise of one size to the codes;
VAE learns the size. RAE and CV-VAE are those of Ghosh et al. 2020 (arXiv:1903.12436). Noise of 0.2 suits both sizes:
after 50 epochs with seed 0, the CV-VAE's validation ELBO with 2 dimensions is -163.9, -163.4 and -163.8 at 0.05, 0.1
and 0.2 (the VAE's -162.4), and with 16 it is -120.4, -115.9, -115.9 and -120.8 at 0.1, 0.2, 0.3 and 0.5 (the VAE's
-114.4).

Expected (mnist_5k, 50 epochs, mean ± sd over seeds 0 to 4): not run yet.
"""

from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="ingredients",
    question="Which ingredient of a variational autoencoder does what: the pull to 0, the noise, or that the noise is "
    "learned?",
    base=Config(hidden_dims=(512,), learning_rate=1e-3, batch_size=128, num_epochs=50),
    grid={"latent_dim": (2, 16), "model": ("ae", "rae", "cv_vae", "vae"), "seed": (0, 1, 2, 3, 4)},
    figures=(
        "training_curves", "reconstructions", "latent_space", "posteriors", "manifold", "holes", "plausibility",
        "samples", "samplers", "interpolations", "kl_per_dimension"),
)  # fmt: skip
