"""The VAE of the PyTorch examples: 784-400-20, grey pixels under a Bernoulli likelihood.

    python -m vae_jax.data.prepare --dataset=mnist
    vae-jax --experiment=published/pytorch_example

Published: test loss 105.59 nats after 10 epochs (a published log of github.com/pytorch/examples, vae/main.py). Grey
pixels make it a loss and no likelihood.
Setting: all 60,000 training images, Adam at 0.001, batches of 128, ten epochs, PyTorch's initialization. No known
difference, but that the example draws its test codes anew in every epoch.
Measured: test_loss 105.47 ± 0.12 (mean ± sd over seeds 0, 1, 2). Met.
Cost: two minutes a seed on one core that other work shared, and some minutes of evaluation.
"""

from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="pytorch_example",
    question="Does the VAE of the PyTorch examples reach its published test loss of 105.59 nats?",
    base=Config(
        dataset="mnist", validation_fraction=0.0, hidden_dims=(400,), latent_dim=20, optimizer="adam",
        learning_rate=1e-3, batch_size=128, num_epochs=10,
    ),
    grid={"seed": (0, 1, 2)},
    figures=("training_curves", "reconstructions", "samples"),
)  # fmt: skip
