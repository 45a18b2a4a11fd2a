"""Speed as ratios measured in one call, never as a timed test.

    python -m scripts.benchmark train [--dataset=idx:DIR] [--epochs=5]

train: seconds per epoch of 60,000 images of the 784-512-2 VAE at batch 128, ours against a hand-written PyTorch loop
over a tensor in memory (extra `bench`), both warm, alternating, medians; and both training losses.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from absl import flags

NUM_IMAGES = 60_000


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 0, or 2 for wrong usage."""
    values = flags.FlagValues()
    flags.DEFINE_string("dataset", "mnist_5k", "its train images, repeated up to 60,000", values)
    flags.DEFINE_integer("epochs", 5, "timed epochs of each", lower_bound=1, flag_values=values)
    flags.DEFINE_boolean("help", False, "print this", values, short_name="h")
    benchmarks = {"train": benchmark_train}
    try:
        positional = values(list(sys.argv if argv is None else argv))[1:]
        if not values.help and (len(positional) != 1 or positional[0] not in benchmarks):
            raise flags.Error(f"name one benchmark: {', '.join(benchmarks)}")
    except flags.Error as error:
        print(f"benchmark: {error} (see --help)", file=sys.stderr)
        return 2
    if values.help:
        print(f"{__doc__}\n{values.get_help()}")
        return 0
    benchmarks[positional[0]](values.dataset, values.epochs)
    return 0


def benchmark_train(dataset: str, num_epochs: int) -> None:
    """Prints seconds per epoch of both, their ratio, and their losses."""
    from vae_jax import data

    images = data.load(dataset, validation_fraction=0.0).train.images
    images = np.resize(images, (NUM_IMAGES, *images.shape[1:]))
    contestants = {"vae_jax": _our_epochs(images), "pytorch": _torch_epochs(images)}
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    losses = {name: next(epochs) for name, epochs in contestants.items()}  # the first epoch compiles and warms up
    for _ in range(num_epochs):
        for name, epochs in contestants.items():
            start = time.perf_counter()
            losses[name] = next(epochs)
            seconds[name].append(time.perf_counter() - start)
    for name, times in seconds.items():
        median, loss = statistics.median(times), losses[name]
        print(f"{name:8} {median:.2f} s per epoch (median of {num_epochs}), train loss {loss:.2f} nats per image")
    ratio = statistics.median(seconds["vae_jax"]) / statistics.median(seconds["pytorch"])
    print(f"ratio    {ratio:.2f}")


def _our_epochs(images: np.ndarray) -> Iterator[float]:
    import jax

    from vae_jax import training
    from vae_jax.config import Config
    from vae_jax.models import make_model

    config = Config()
    model = make_model(config, images.shape[1:])
    numbers = training.hyperparameters([config])
    states = training.init_states(model, numbers)
    on_device = jax.device_put(images)
    for epoch in range(config.num_epochs):
        states, metrics = training.train_epoch(model, on_device, states, numbers, np.int32(epoch))
        yield float(metrics.loss[0])


def _torch_epochs(images: np.ndarray) -> Iterator[float]:
    import torch
    from torch import nn

    torch.manual_seed(0)
    num_pixels = images[0].size
    encoder = nn.Sequential(nn.Linear(num_pixels, 512), nn.ReLU())
    mean_head, logvar_head = nn.Linear(512, 2), nn.Linear(512, 2)
    decoder = nn.Sequential(nn.Linear(2, 512), nn.ReLU(), nn.Linear(512, num_pixels))
    layers = nn.ModuleList([encoder, mean_head, logvar_head, decoder])
    optimizer = torch.optim.Adam(layers.parameters(), lr=1e-3)
    x = torch.from_numpy(images.reshape(len(images), -1).astype(np.float32) / 255)
    cross_entropy: Callable = nn.functional.binary_cross_entropy_with_logits
    while True:
        total = 0.0
        for indices in torch.randperm(len(x)).split(128):
            batch = x[indices]
            hidden = encoder(batch)
            mean, logvar = mean_head(hidden), logvar_head(hidden)
            z = mean + torch.exp(logvar / 2) * torch.randn_like(mean)
            distortion = cross_entropy(decoder(z), batch, reduction="sum")
            rate = -0.5 * (1 + logvar - logvar.exp() - mean.square()).sum()
            loss = distortion + rate
            optimizer.zero_grad()
            (loss / len(batch)).backward()
            optimizer.step()
            total += float(loss)
        yield total / len(x)


if __name__ == "__main__":
    sys.exit(main())
