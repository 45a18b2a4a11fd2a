"""Turns an autoencoder into a variational one, one ingredient at a time: a pull to 0, noise, noise that is learned.

    python -m experiments.launch --experiment=ingredients

The four models share network, initial parameters, batches and seeds. RAE is the AE with a pull of its codes to 0 (and a
decay of its decoder's weights, without which larger weights undo the pull); CV-VAE adds noise of one size to the codes;
VAE learns the size. RAE and CV-VAE are those of Ghosh et al. 2020 (arXiv:1903.12436). Noise of 0.2 suits both sizes:
after 50 epochs with seed 0, the CV-VAE's validation ELBO with 2 dimensions is -163.9, -163.4 and -163.8 at 0.05, 0.1
and 0.2 (the VAE's -162.4), and with 16 it is -120.4, -115.9, -115.9 and -120.8 at 0.1, 0.2, 0.3 and 0.5 (the VAE's
-114.4).

Expected (mnist_5k, 50 epochs, mean ± sd over seeds 0 to 4):

| dims | measurement                             | AE            | RAE           | CV-VAE        | VAE           |
| ---- | --------------------------------------- | ------------- | ------------- | ------------- | ------------- |
| 2    | Fréchet distance of N(0, I) samples     | 441 ± 51      | 281 ± 49      | 405 ± 38      | 321 ± 29      |
| 2    | change of the decode over 0.1 sd        | 0.104 ± 0.007 | 0.043 ± 0.004 | 0.037 ± 0.004 | 0.048 ± 0.005 |
| 2    | negentropy of the codes, nats           | 0.47 ± 0.10   | 0.31 ± 0.03   | 0.18 ± 0.03   | 0.25 ± 0.04   |
| 2    | distortion of the mean code, nats       | 157.0 ± 1.7   | 157.2 ± 1.5   | 156.2 ± 1.4   | 157.6 ± 1.1   |
| 2    | cost of the noise, nats                 | 0             | 0             | 2.31 ± 0.24   | 0.85 ± 0.25   |
| 16   | Fréchet distance of N(0, I) samples     | 680 ± 27      | 56.7 ± 4.7    | 90.4 ± 3.9    | 94.1 ± 3.5    |
| 16   | the same of a mixture fitted to codes   | 11.3 ± 1.4    | 14.8 ± 1.3    | 14.3 ± 3.1    | 15.5 ± 3.3    |
| 16   | negentropy of the codes, nats           | 4.58 ± 0.09   | 4.41 ± 0.07   | 3.13 ± 0.03   | 2.43 ± 0.04   |
| 16   | distortion of the mean code, nats       | 83.4 ± 0.3    | 83.2 ± 0.3    | 83.0 ± 0.2    | 83.3 ± 0.3    |
| 16   | cost of the noise, nats                 | 0             | 0             | 6.16 ± 0.11   | 7.61 ± 0.37   |

So the pull alone brings samples of N(0, I) near the data, and no price in reconstruction is resolved. Noise costs
distortion at drawn codes, and at 16 dimensions it shapes the codes like a Gaussian. Learning its size shapes them
further there; five seeds do not resolve whether it makes the samples better.
"""

from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="ingredients",
    question="Which ingredient of a variational autoencoder does what: the pull to 0, the noise, or that the noise is "
    "learned?",
    base=Config(hidden_dims=(512,), learning_rate=3e-3, schedule="cosine", batch_size=64, num_epochs=30),
    grid={"latent_dim": (2, 16), "model": ("ae", "rae", "cv_vae", "vae"), "seed": (0, 1, 2, 3, 4)},
    figures=(
        "training_curves", "reconstructions", "latent_space", "posteriors", "manifold", "holes", "plausibility",
        "samples", "samplers", "interpolations", "kl_per_dimension"),
)  # fmt: skip
