"""Runs that a device trains together, and the cost of checkpoints."""

import math
import statistics
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jax
import numpy as np

from scripts.benchmark.measuring import medians, seconds
from vae_jax import data
from vae_jax.config import Config, expand
from vae_jax.launch import sweeps
from vae_jax.model.programs import make_program
from vae_jax.training import step
from vae_jax.workdir import read_timing, run_dir


def benchmark_group(dataset: str, counts: Sequence[int], num_epochs: int) -> None:
    """Prints the speed of so many runs that a device trains together, and their memory."""
    split = data.load(dataset, validation_fraction=Config().validation_fraction).train
    print(f"data set on the device: {split.images.nbytes / 2**20:.1f} MiB ({len(split.images)} images)")
    first = math.nan
    for count in counts:
        configs = expand(Config(dataset=dataset, num_epochs=num_epochs), {"seed": tuple(range(count))})
        with tempfile.TemporaryDirectory() as folder:
            sweeps.train_and_evaluate(configs, Path(folder), sweeps.Options(evaluate="never", runs_per_device=count))
            rows = read_timing(run_dir(Path(folder), configs[0])) or []
        whole = count * statistics.median(row["seconds"] for row in rows)  # a row has the run's share of its chunk
        first = whole if math.isnan(first) else first
        print(f"{count:3} runs: {count * len(split.images) / whole:,.0f} images/s over all runs", end="; ")
        print(f"{whole / first:.2f} x the time of {counts[0]}; memory {_memory_of_group(configs, split.images)}")


def _memory_of_group(configs: Sequence[Config], images: np.ndarray) -> str:
    """Returns the memory of a compiled epoch, by XLA's own account."""
    program, hyperparameters = make_program(configs[0], images.shape[1:]), step.hyperparameters(configs)
    states = jax.eval_shape(lambda numbers: step.init_states(program, numbers), hyperparameters)
    lowered = step.train_epoch.lower(program, images, states, hyperparameters, np.int32(0))
    found = lowered.compile().memory_analysis()
    arguments, temporary = (size / 2**20 for size in (found.argument_size_in_bytes, found.temp_size_in_bytes))
    each = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(states)) / len(configs) / 2**20
    shared = arguments - len(configs) * each
    return f"{shared:.1f} MiB once + {len(configs)} x {each:.1f} MiB of state + {temporary:.1f} MiB temporary"


def benchmark_checkpoints(dataset: str) -> None:
    """Prints the cost of a checkpoint: trainings that save after every epoch and never, alternating, medians."""
    num_epochs = 20

    def train(interval: float) -> float:
        options = sweeps.Options(evaluate="never", checkpoint_every_seconds=interval)
        configs = [Config(dataset=dataset, num_epochs=num_epochs)]
        with tempfile.TemporaryDirectory() as folder:
            return seconds(lambda: sweeps.train_and_evaluate(configs, Path(folder), options))

    without, with_all = medians([partial(train, math.inf), partial(train, 0.0)], 5)
    each = (with_all - without) / (num_epochs - 1)
    print(f"{without:.2f} s without checkpoints, {with_all:.2f} s with up to {num_epochs - 1}", end="; ")
    print(f"{each:.3f} s each; one a minute slows training by {100 * each / 60:.2f} %")
