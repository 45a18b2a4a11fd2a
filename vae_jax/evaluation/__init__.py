"""A trained run to numbers, once: evaluation.json beside its parameters."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vae_jax.config import Config
from vae_jax.data import Dataset
from vae_jax.evaluation.classifier import Classifier, load_or_train
from vae_jax.evaluation.latents import evaluate_latents
from vae_jax.evaluation.likelihood import evaluate_likelihood
from vae_jax.evaluation.samples import draw_samplers, evaluate_samples
from vae_jax.files import write_json
from vae_jax.interrupts import Stop
from vae_jax.runs import load_dataset, load_run
from vae_jax.workdir import is_evaluated, is_trained, read_metrics, run_dir

NUM_SAMPLES = 1000  # images of each sampler


def evaluate_due(
    configs: Sequence[Config], workdir: Path, *, data_dir: str | None = None, stop: Stop | None = None
) -> None:  # fmt: skip
    """Evaluates the trained runs that have no evaluation yet, on the test split.

    Raises:
        UserError: a data set is not there, a file of a run is damaged, or the workdir cannot be written.
        StoppedError: `stop` is set, which is looked up before each run.
    """
    stop = stop or Stop()
    for config in configs:
        stop.check()
        folder = run_dir(workdir, config)
        if is_trained(folder) and not is_evaluated(folder):
            evaluate_run(folder, data_dir=data_dir)


def evaluate_run(folder: Path, *, data_dir: str | None = None, num_likelihood_samples: int = 500) -> dict[str, Any]:
    """Evaluates the trained run in WORKDIR/runs/NAME, writes its evaluation.json and returns the numbers.

    The data set's classifier is kept in WORKDIR/classifiers, so that all runs of a workdir have the same. A run that
    diverged has no numbers but `diverged_epoch`: its parameters are the last finite ones, and not what was asked for.
    """
    run = load_run(folder)
    history = read_metrics(folder)
    numbers: dict[str, Any] = {}
    if diverged := [row["epoch"] for row in history if row.get("diverged")]:
        numbers["diverged_epoch"] = diverged[0]
        write_json(folder / "evaluation.json", numbers)
        return numbers
    dataset = load_dataset(run.config.dataset, validation_fraction=run.config.validation_fraction, data_dir=data_dir)
    numbers |= evaluate_likelihood(run, dataset.test.images, num_samples=num_likelihood_samples)
    if dataset.train.labels is not None:
        classifier = load_classifier(dataset, folder.parent.parent)
        samplers = draw_samplers(run, dataset.train.images, NUM_SAMPLES, seed=0)
        numbers |= evaluate_samples(run, dataset, classifier, samplers)
        numbers |= evaluate_latents(
            run, dataset, lambda images: classifier.predict(images)[1], lambda images: classifier.predict(images)[0],
            samplers,
        )  # fmt: skip
    write_json(folder / "evaluation.json", numbers)
    return numbers


def load_classifier(dataset: Dataset, workdir: Path) -> Classifier:
    """The classifier that judges this data set's images in a workdir; trained where it is not there yet."""
    return load_or_train(dataset, workdir / "classifiers")
