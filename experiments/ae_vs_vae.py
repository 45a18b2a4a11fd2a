"""Compares the 784-512-2-512-784 network as an autoencoder (AE) and as a variational autoencoder (VAE).

    python -m experiments.launch --experiment=ae_vs_vae

Expected (mnist_5k, 20 epochs, mean ± sd over seeds 0 to 4; nats per image): AE test loss 154.8 ± 1.6; VAE test loss
162.2 ± 0.7 = distortion 156.9 ± 0.7 + rate 5.28 ± 0.11. It takes about two minutes on 2 cores, evaluation and figures
included.

With a constant rate of 0.001, batches of 128 and 50 epochs the losses are 157.0 ± 1.7 and 164.1 ± 1.0. A rate of 0.005
gives lower ones still, 153.2 ± 0.8 and 159.9 ± 0.4, but AEs that differ more from seed to seed (Fréchet distance of
N(0, I) samples 223 ± 80), so that fewer claims are resolved. So it is with 12 epochs from 0.004, which take 16 s less
and end at 156.3 ± 1.5 and 163.2 ± 0.5.
"""

from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="ae_vs_vae",
    question="What does turning an autoencoder into a variational autoencoder do to its latent space, and what does it "
    "cost?",
    base=Config(
        hidden_dims=(512,), latent_dim=2, learning_rate=3e-3, schedule="cosine", batch_size=64, num_epochs=20,
    ),
    grid={"model": ("ae", "vae"), "seed": (0, 1, 2, 3, 4)},
    figures=(
        "hero", "training_curves", "reconstructions", "latent_space", "posteriors", "manifold", "holes",
        "plausibility", "samples", "samplers", "interpolations", "kl_per_dimension"),
)  # fmt: skip
