"""`evaluation`: the parts of the evaluation of a VAE with two latent dimensions, over a data set's test images."""

import tempfile
from pathlib import Path

from scripts.benchmark.measuring import seconds
from vae_jax import data
from vae_jax.config import Config, Options
from vae_jax.launch import sweeps
from vae_jax.measure import NUM_SAMPLES, parts
from vae_jax.workdir import run_dir


def benchmark(dataset: str, num_epochs: int) -> str:
    """Trains a run, evaluates it once to compile and to train the judge, and times a second evaluation."""
    config = Config(dataset=dataset, latent_dim=2, num_epochs=num_epochs)
    with tempfile.TemporaryDirectory() as folder:
        sweeps.train_and_evaluate([config], Path(folder), Options(evaluate="never"))
        for _ in range(2):
            found = list(parts.of_run(run_dir(Path(folder), config), None, NUM_SAMPLES))
            times = {part: seconds(compute) for part, compute in found}
    count, total = len(data.load(dataset).test.images), sum(times.values())
    lines = [f"  {part:28} {time:8.4g} s  {time / total:.2f}" for part, time in {"all": total, **times}.items()]
    return "\n".join([f"evaluation, s and share ({count:,} test images, z = 2)", *lines])
