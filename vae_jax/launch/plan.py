"""The dry run: prints what a launch would do."""

import itertools
import math
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vae_jax.config import FIELDS, Config, Experiment, Options, group, varying_fields
from vae_jax.fields import format_value
from vae_jax.workdir import is_trained, run_dir

if typing.TYPE_CHECKING:
    from vae_jax.data import Dataset


PRODUCTS_PER_SECOND = 6e10  # multiplications of training on two CPU cores; an accelerator is far faster
EVALUATION_SECONDS = 1.5  # of a run, on two CPU cores
START_SECONDS = 30.0  # of a launch: compiling, training the instruments, drawing
CONV_CHANNELS = (32, 64)  # of the two convolutions of architecture=conv


def is_done(workdir: Path, config: Config) -> bool:
    """Whether the run is trained."""
    return is_trained(run_dir(workdir, config))


def describe(own: Experiment, experiment: Experiment, workdir: Path, datasets: Iterable["Dataset"]) -> list[str]:
    """Describes a launch in lines of text.

    Args:
        own: the experiment.
        experiment: the experiment with the fields of the command line.
        workdir: of the launch; does not have to exist.
        datasets: of the runs.
    """
    done = {config: is_done(workdir, config) for config in experiment.configs}
    lines = [f"{experiment.name}: {experiment.question}"]
    for name in varying_fields(list(done)):
        values = _values(experiment, name)
        lines.append(f"{'varies':8} {name}: {_join(values)}{_list_hint(values)}")
    for name in FIELDS:
        before, after = _values(own, name), _values(experiment, name)
        if before != after:
            unread = "" if any(config.uses(name) for config in done) else " (no run reads it)"
            lines.append(f"{'changed':8} {name}: {_join(before)} -> {_join(after)}{unread}")
    datasets = list(datasets)
    lines += dict.fromkeys(f"{'data':8} {dataset.describe()}" for dataset in datasets)
    counts = f"{_count(len(done), 'run')} of {_count(len(group(done)), 'program')}, {sum(done.values())} trained"
    lines.append(f"{counts}, in {workdir}")
    if left := [config for config, trained in done.items() if not trained]:
        lines.append(_estimate(left, {dataset.name: dataset for dataset in datasets}))
    return lines + [f"{'trained' if trained else 'to do':8} {config.name}" for config, trained in done.items()]


def summary(experiment: Experiment, workdir: Path, options: Options) -> str:
    """Says in one sentence what a launch is about to do, and where."""
    configs = experiment.configs
    left = [config for config in configs if not is_done(workdir, config)]
    runs = _count(len(configs), "run")
    if not left:
        training = f"{runs}, all trained"
    else:
        training = f"training {len(left)} of {runs}" if options.train else f"{runs}, {len(left)} not trained"
    programs = f" ({_count(len(group(left)), 'program')})" if left and options.train else ""
    where = f" on the cluster at {options.cluster}" if options.cluster else ""
    evaluating = "" if options.evaluate == "never" else ", evaluating"
    # How many figures there will be depends on what the runs have to show.
    return f"{experiment.name}: {training}{programs}{where}{evaluating}, drawing, in {workdir}"


def _estimate(configs: Sequence[Config], datasets: Mapping[str, "Dataset"]) -> str:
    """Says about how long these runs take on two CPU cores, and how much of the disk."""
    seconds, numbers = START_SECONDS, 0
    for config in configs:
        images = datasets[config.dataset].train.images
        weights, products = _size(config, images.shape[1:])
        numbers += weights
        # A backward pass multiplies twice as much as a forward pass.
        seconds += 3 * products * len(images) * config.num_epochs / PRODUCTS_PER_SECOND + EVALUATION_SECONDS
    time = (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.0f} h"
    )
    return f"about {time} on two CPU cores, and {max(1, round(4e-6 * numbers))} MB of parameters"


def _size(config: Config, image_shape: tuple[int, ...]) -> tuple[int, int]:
    """Returns how many weights a run's network has, and how many multiplications an image takes both ways."""
    pixels = math.prod(image_shape)
    first, second = CONV_CHANNELS
    kernels, windows = (9 * first, 9 * first * second), (pixels // 4, pixels // 16)
    is_conv = config.architecture == "conv"
    widths = [second * windows[1] if is_conv else pixels, *config.hidden_dims, config.latent_dim]
    dense = sum(a * b for a, b in itertools.pairwise(widths))
    passes = 1 + max(1, config.importance_samples)  # of the encoder, and of the decoder for each draw
    conv = sum(kernels) if is_conv else 0
    conv_products = sum(kernel * count for kernel, count in zip(kernels, windows, strict=True)) if is_conv else 0
    return 2 * (dense + conv), passes * (dense + conv_products)


def _values(experiment: Experiment, name: str) -> tuple[Any, ...]:
    return experiment.values(name)


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
