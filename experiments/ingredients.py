"""Turns an autoencoder into a variational one, one ingredient at a time: a pull to 0, noise, noise that is learned.

    python -m experiments.launch --experiment=ingredients

The four models share network, initial parameters, batches and seeds. RAE is the AE with a pull of its codes to 0 (and a
decay of its decoder's weights, without which larger weights undo the pull); CV-VAE adds noise of one size to the codes;
VAE learns the size. RAE and CV-VAE are those of Ghosh et al. 2020 (arXiv:1903.12436). Noise of 0.2 suits both sizes:
after 50 epochs at a constant rate of 0.001 with seed 0, the CV-VAE's validation ELBO with 2 dimensions is -163.9,
-163.4 and -163.8 at 0.05, 0.1 and 0.2 (the VAE's -162.4), and with 16 it is -120.4, -115.9, -115.9 and -120.8 at 0.1,
0.2, 0.3 and 0.5 (the VAE's -114.4).

Expected (mnist_5k, 30 epochs, mean ± sd over seeds 0 to 4):

| dims | measurement                             | AE            | RAE           | CV-VAE        | VAE           |
| ---- | --------------------------------------- | ------------- | ------------- | ------------- | ------------- |
| 2    | Fréchet distance of N(0, I) samples     | 218 ± 30      | 169 ± 26      | 252 ± 27      | 178 ± 22      |
| 2    | change of the decode over 0.1 sd        | 0.108 ± 0.014 | 0.046 ± 0.004 | 0.038 ± 0.004 | 0.046 ± 0.004 |
| 2    | negentropy of the codes, nats           | 0.57 ± 0.13   | 0.33 ± 0.05   | 0.15 ± 0.01   | 0.21 ± 0.03   |
| 2    | distortion of the mean code, nats       | 153.6 ± 2.0   | 155.6 ± 1.7   | 154.6 ± 0.7   | 154.2 ± 1.0   |
| 2    | cost of the noise, nats                 | 0             | 0             | 2.25 ± 0.05   | 0.93 ± 0.05   |
| 16   | Fréchet distance of N(0, I) samples     | 577 ± 24      | 33.8 ± 3.9    | 71.4 ± 4.7    | 69.5 ± 2.9    |
| 16   | the same of a mixture fitted to codes   | 7.4 ± 0.5     | 7.9 ± 1.2     | 8.5 ± 1.4     | 9.8 ± 1.7     |
| 16   | negentropy of the codes, nats           | 4.47 ± 0.07   | 4.27 ± 0.04   | 3.05 ± 0.04   | 2.41 ± 0.06   |
| 16   | distortion of the mean code, nats       | 81.1 ± 0.3    | 81.4 ± 0.3    | 81.1 ± 0.3    | 83.1 ± 0.4    |
| 16   | cost of the noise, nats                 | 0             | 0             | 6.16 ± 0.10   | 7.52 ± 0.17   |

So at 16 dimensions the pull alone brings samples of N(0, I) near the data, at no price in reconstruction; noise takes
them away again, and shapes the codes like a Gaussian; learning its size shapes them further, and costs 2 nats even at
the mean code. At 2 dimensions each of the three makes small steps smoother, and five seeds do not tell them apart.
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
