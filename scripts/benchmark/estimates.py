"""The log-likelihood, and a whole evaluation."""

import math
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from scripts.benchmark.measuring import Row, Table, seconds, table
from scripts.benchmark.peak import matmul_peak
from vae_jax import data
from vae_jax.config import Config, Options
from vae_jax.launch import sweeps
from vae_jax.measure import NUM_SAMPLES, parts
from vae_jax.measure.marginal import sampled_bounds
from vae_jax.model.networks import init_params
from vae_jax.model.programs import make_program
from vae_jax.training.runs import TrainedRun, trained_run
from vae_jax.workdir import run_dir


def benchmark_likelihood(dataset: str, num_samples: int, num_images: int, repeats: int) -> Table:
    """Times the importance-sampled bound of a 784-512-20 VAE, against a plain loop in PyTorch."""
    images = data.load(dataset, validation_fraction=0.0).test.images
    pixels = np.resize(images, (num_images, *images.shape[1:])) / np.float32(255)
    config = Config(latent_dim=20)
    program = make_program(config, images.shape[1:])
    run = trained_run(config, program, init_params(program.network, jax.random.key(0)))
    values = {
        "vae_jax": lambda: sampled_bounds(run, pixels, num_samples, jax.random.key(2))[0].mean(),
        "PyTorch, a loop over images": lambda: _torch_bound(run, pixels, num_samples),
    }
    losses = {name: -float(value()) for name, value in values.items()}  # compiles
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    measures: dict[str, Callable[[], float]] = {name: lambda v=value: seconds(v) for name, value in values.items()}
    found = table("likelihood", "s", measures, repeats, losses=losses)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    num_weights = sum(layer["kernel"].size for layer in run.params["decoder"].values())
    speed = 2 * num_weights * num_samples * num_images / found.rows[0].seconds
    note = f"{num_images} images, k = {num_samples}; ours {speed / matmul_peak():.2f} of the peak of matrix products"
    return found._replace(note=f"{note}; memory grew by {memory:.2f} GiB")


def _torch_bound(run: TrainedRun, pixels: np.ndarray, num_samples: int) -> float:
    """The bound as one would write it: an image at a time."""
    import torch
    from torch.nn import functional

    params = jax.tree.map(lambda leaf: torch.from_numpy(np.array(leaf)), run.params)

    def linear(x: Any, layer: Any) -> Any:
        return x @ layer["kernel"] + layer["bias"]

    encoder, decoder = params["encoder"], params["decoder"]
    total = 0.0
    with torch.no_grad():
        for image in torch.from_numpy(pixels.reshape(len(pixels), -1)):
            hidden = torch.relu(linear(image, encoder["hidden_0"]))
            mean, logvar = linear(hidden, encoder["mean"]), linear(hidden, encoder["logvar"])
            eps = torch.randn(num_samples, len(mean))
            z = mean + torch.exp(logvar / 2) * eps
            logits = linear(torch.relu(linear(z, decoder["hidden_0"])), decoder["logits"])
            target = image.expand_as(logits)
            nll = functional.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1)
            log_weights = -nll - 0.5 * (z.square() - eps.square() - logvar).sum(1)
            total += float(torch.logsumexp(log_weights, 0)) - math.log(num_samples)
    return total / len(pixels)


def benchmark_evaluation(dataset: str, num_epochs: int, num_images: int) -> Table:
    """Times the parts of the evaluation of a VAE with two latent dimensions, compiled, one after the other."""
    config = Config(dataset=dataset, latent_dim=2, num_epochs=num_epochs)
    with tempfile.TemporaryDirectory() as folder:
        sweeps.train_and_evaluate([config], Path(folder), Options(evaluate="never"))
        place = run_dir(Path(folder), config)
        full = parts.dataset_of
        parts.dataset_of = lambda run, data_dir: _first(full(run, data_dir), num_images)  # type: ignore[assignment]
        try:
            for _, compute in parts.of_run(place, None, NUM_SAMPLES):
                compute()  # compiles, and trains the networks that measure
            found = list(parts.of_run(place, None, NUM_SAMPLES))
            times = {part: seconds(compute) for part, compute in found}
        finally:
            parts.dataset_of = full
    total = sum(times.values())
    rows = [
        Row(part, time, time / total, (time / total, time / total)) for part, time in [("all", total), *times.items()]
    ]
    return Table("evaluation", "s", rows, f"{num_images} test images, z = 2, {dataset.partition(':')[0]}")


def _first(dataset: data.Dataset, num_images: int) -> data.Dataset:
    images, labels = dataset.test
    test = data.Split(images[:num_images], None if labels is None else labels[:num_images])
    return dataset._replace(test=test)
