"""The parts of an evaluation: what is computed of a run, from which images."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vae_jax.measure import instruments, judges
from vae_jax.measure.density import evaluate_density
from vae_jax.measure.factors import evaluate_factors
from vae_jax.measure.latents import evaluate_latents
from vae_jax.measure.likelihood import evaluate_likelihood
from vae_jax.measure.samples import draw_measured, evaluate_samples
from vae_jax.training.runs import dataset_of, load_run
from vae_jax.workdir import read_metrics


def of_run(
    folder: Path, data_dir: str | None, num_likelihood_samples: int
) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Yields the parts of the evaluation of the run in this folder, by name; the failure of one leaves the others.

    Raises:
        UserError: the run, or the data set that it was trained on, cannot be loaded.
    """
    run = load_run(folder)
    diverged = [row["epoch"] for row in read_metrics(folder) if row.get("diverged")]
    if diverged:
        yield "metrics", lambda: {"diverged_epoch": diverged[0]}
        return
    dataset = dataset_of(run, data_dir)
    test, train = dataset.test.images, dataset.train.images
    yield "likelihood", lambda: evaluate_likelihood(run, test, train, num_samples=num_likelihood_samples)
    yield "density of the codes", lambda: evaluate_density(run, train)
    if dataset.test.factors is not None:
        yield "factors", lambda: evaluate_factors(run, dataset)
    samplers = draw_measured(run, dataset)
    if judges.is_classifiable(dataset):
        judge = judges.load_or_train(dataset, folder.parents[1] / instruments.FOLDER)
        yield "samples", lambda: evaluate_samples(run, dataset, judge, samplers)
    yield "latent space", lambda: evaluate_latents(run, dataset, samplers["gaussian"])
