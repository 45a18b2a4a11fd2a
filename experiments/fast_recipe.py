"""Two published losses in seconds, on two CPU cores: dense layers, and a large rate that falls to 0 along a cosine.

    python -m vae_jax.data.prepare --dataset=mnist
    vae-jax --experiment=fast_recipe
    vae-jax --experiment=fast_recipe --hidden_dims=512x256 --latent_dim=2 --num_epochs=6

Published: test loss 105.59 of the PyTorch example (784-400-20, 10 epochs; see `published/pytorch_example`), and
training loss 146.95 of the Keras example (convolutions, 2 latent dimensions, 30 epochs of all 70,000 images).
Measured, mean ± sd over seeds 0 to 4, and seconds of training a seed: the first command reaches a test loss of
104.84 ± 0.28 in 15 s, the second one a training loss of 144.1 ± 1.0 in 18 s (its test loss is 144.8 ± 0.8). From the
shell's prompt to the end of a launch of one seed, with its figures, it is 23 and 26 s.
On the same machine the PyTorch example took 103 s to its 105.55, and the Keras example, with Keras 3 on PyTorch, would
take 1,990 s, as 100 steps took 12.1 s; with Keras 3 on JAX 10,000 s, since its convolutions are XLA's.
Difference: the second network is dense where that of the Keras example is convolutional.
"""

from vae_jax.config import Config, Experiment

EXPERIMENT = Experiment(
    name="fast_recipe",
    question="How fast does a VAE of dense layers reach the losses of the examples of PyTorch and Keras?",
    base=Config(
        dataset="mnist", validation_fraction=0.0, hidden_dims=(400,), latent_dim=20, learning_rate=3e-3,
        schedule="cosine", batch_size=128, num_epochs=8,
    ),
    grid={"seed": (0, 1, 2, 3, 4)},
    figures=("training_curves", "reconstructions", "samples"),
)  # fmt: skip
