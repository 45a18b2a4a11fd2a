"""What a launch would do: for `--dry_run`, and the first line of a launch."""

import itertools
import math
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vae_jax.config import FIELDS, Config, Experiment, group, varying_fields
from vae_jax.fields import format_value
from vae_jax.workdir import is_trained, run_dir

if typing.TYPE_CHECKING:
    from vae_jax.data import Dataset

PRODUCTS_PER_SECOND = 6e10  # multiplications of training on two CPU cores; an accelerator is far faster
EVALUATION_SECONDS = 1.5  # of a run, on two CPU cores
START_SECONDS = 30.0  # of a launch: compiling, training the instruments, drawing


def describe(own: Experiment, experiment: Experiment, workdir: Path, datasets: Sequence["Dataset"]) -> list[str]:
    """Describes a launch in lines of text.

    Args:
        own: the experiment.
        experiment: the experiment with the fields of the command line.
        workdir: of the launch; does not have to exist.
        datasets: of the runs.
    """
    from vae_jax.data.identity import remarks  # NumPy takes long to import, which --help must not wait for

    done = {config: is_trained(run_dir(workdir, config)) for config in experiment.configs}
    lines = [f"{experiment.name}: {experiment.question}"]
    for name in varying_fields(list(done)):
        values = experiment.values(name)
        lines.append(f"{'varies':8} {name}: {_join(values)}{_list_hint(values)}")
    for name in FIELDS:
        if (before := own.values(name)) != (after := experiment.values(name)):
            unread = "" if any(config.uses(name) for config in done) else " (no run reads it)"
            lines.append(f"{'changed':8} {name}: {_join(before)} -> {_join(after)}{unread}")
    lines += dict.fromkeys(f"{'data':8} {dataset.describe()}" for dataset in datasets)
    pairs = zip(experiment.configs, datasets, strict=True)
    lines += dict.fromkeys(f"{'note':8} {remark}" for config, dataset in pairs for remark in remarks(config, dataset))
    lines.append(counts(experiment.configs, workdir))
    if left := [config for config, trained in done.items() if not trained]:
        lines.append(_estimate(left, {dataset.name: dataset for dataset in datasets}))
    return lines + [f"{'trained' if trained else 'to do':8} {config.name}" for config, trained in done.items()]


def counts(configs: Sequence[Config], workdir: Path) -> str:
    """Says how many runs a launch has, and how many of them are trained."""
    trained = sum(is_trained(run_dir(workdir, config)) for config in configs)
    runs, programs = _count(len(configs), "run"), _count(len(group(configs)), "program")
    return f"{runs} of {programs}, {trained} trained, in {workdir}"


def _estimate(configs: Sequence[Config], datasets: Mapping[str, "Dataset"]) -> str:
    """Says about how long these runs take on two CPU cores, and how much of the disk."""
    seconds, numbers = START_SECONDS, 0
    for config in configs:
        images = datasets[config.dataset].train.images
        weights, products = _size(config, images.shape[1:])
        numbers += weights
        # A backward pass multiplies twice as much as a forward pass.
        seconds += 3 * products * len(images) * config.num_epochs / PRODUCTS_PER_SECOND + EVALUATION_SECONDS
    size, unit = next(((size, unit) for size, unit in ((3600, "h"), (60, "min")) if seconds >= 2 * size), (1, "s"))
    megabytes = max(1, round(4e-6 * numbers))
    return f"about {seconds / size:.0f} {unit} on two CPU cores, and {megabytes} MB of parameters"


def _size(config: Config, image_shape: tuple[int, ...]) -> tuple[int, int]:
    """Returns how many weights a run's network has, and how many multiplications an image takes both ways."""
    pixels, channels, conv, conv_products = math.prod(image_shape[:2]), math.prod(image_shape[2:]), 0, 0
    for features in config.conv_features if config.architecture == "conv" else ():
        kernel, pixels = 9 * channels * features, pixels // 4
        conv, conv_products, channels = conv + kernel, conv_products + kernel * pixels, features
    widths = [channels * pixels, *config.hidden_dims, config.latent_dim]
    dense = sum(a * b for a, b in itertools.pairwise(widths))
    passes = 1 + max(1, config.importance_samples)  # of the encoder, and of the decoder for each draw
    return 2 * (dense + conv), passes * (dense + conv_products)


def _list_hint(values: tuple[Any, ...]) -> str:
    """Says how to write one network of several layers, where networks of one layer each may not have been meant."""
    if all(isinstance(value, tuple) and len(value) == 1 for value in values):
        joined = format_value(sum(values, ()))
        return f" ({len(values)} networks of one hidden layer; write {joined} for one network of {len(values)})"
    return ""


def _join(values: tuple[Any, ...]) -> str:
    return ", ".join(map(format_value, values))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
