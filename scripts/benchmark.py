"""Speed as ratios measured in one call, never as a timed test.

    python -m scripts.benchmark train [--dataset=idx:DIR] [--epochs=5]
    python -m scripts.benchmark likelihood [--num_samples=5000] [--num_images=10000]
    python -m scripts.benchmark sweep
    python -m scripts.benchmark group [--runs=1,8,32,90] [--epochs=5]
    python -m scripts.benchmark checkpoints
    python -m scripts.benchmark versions --other=DIR [--repeats=3]

train: seconds per epoch of 60,000 images of the 784-512-2 VAE at batch 128, ours against a hand-written PyTorch loop
over a tensor in memory (extra `bench`), both warm, alternating, medians; and both training losses.
likelihood: the importance-sampled bound of a 784-512-20 VAE, as a share of the float32 matrix-product peak that the
same machine reaches in the same call.
sweep: 30 runs (5 KL weights, 2 latent sizes, 3 seeds; 20 epochs) as one sweep, against a process for each; and the
speed of training as a share of the matrix-product peak, beside the speed of a step's products alone.
group: images per second of 784-512-2 VAEs that a device trains together, for each number of runs, and their memory.
checkpoints: a run that saves after every epoch, against one that does not; the share of one checkpoint a minute.
versions: this version against the checkout of another in DIR: an epoch of one run, and the sweep, alternating.
"""

import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from scripts import command
from vae_jax import data, sweeps, training
from vae_jax.config import Config, expand
from vae_jax.evaluation.marginal import importance_sampled
from vae_jax.networks import init_params
from vae_jax.programs import make_program
from vae_jax.runs import trained_run
from vae_jax.workdir import UserError, read_timing, run_dir

NUM_IMAGES = 60_000
SWEEP = ["--latent_dim=2,16", "--kl_weight=0.25,0.5,1,2,4", "--seed=0,1,2", "--num_epochs=20"]
ROOT = Path(__file__).resolve().parents[1]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 0, 1 at run time, 2 for wrong usage."""
    values = flags.FlagValues()
    flags.DEFINE_string("dataset", "mnist_5k", "its images, repeated up to the number that is timed", values)
    flags.DEFINE_integer("epochs", 5, "train, group: timed epochs of each", lower_bound=1, flag_values=values)
    flags.DEFINE_list("runs", ["1", "8", "32", "90"], "group: numbers of runs", values)
    flags.DEFINE_integer("num_samples", 500, "likelihood: samples per image", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("num_images", 2000, "likelihood: images", lower_bound=1, flag_values=values)
    flags.DEFINE_string("other", None, "versions: the checkout of another version", values)
    flags.DEFINE_integer("repeats", 3, "versions: launches of each", lower_bound=1, flag_values=values)
    return command.run(__doc__, values, _benchmark, argv)


def _benchmark(values: flags.FlagValues, positional: list[str]) -> None:
    match positional:
        case ["train"]:
            benchmark_train(values.dataset, values.epochs)
        case ["likelihood"]:
            benchmark_likelihood(values.dataset, values.num_samples, values.num_images)
        case ["sweep"]:
            benchmark_sweep(values.dataset)
        case ["group"]:
            if not all(text.isdecimal() and int(text) > 0 for text in values.runs):
                raise flags.Error("--runs takes numbers from 1 on")
            benchmark_group(values.dataset, [int(text) for text in values.runs], values.epochs)
        case ["checkpoints"]:
            benchmark_checkpoints(values.dataset)
        case ["versions"]:
            if not values.other:
                raise flags.Error("--other=DIR names the checkout of another version")
            benchmark_versions(values.dataset, Path(values.other), values.repeats)
        case _:
            raise flags.Error("name one benchmark: train, likelihood, sweep, group, checkpoints or versions")


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def _medians(measures: Sequence[Callable[[], float]], repeats: int) -> list[float]:
    """Measures in turn, as the speed of a shared machine changes from moment to moment, and returns the medians."""
    rounds = [[measure() for measure in measures] for _ in range(repeats)]
    return [statistics.median(found) for found in zip(*rounds, strict=True)]


def benchmark_train(dataset: str, num_epochs: int) -> None:
    """Prints seconds per epoch of both, their ratio, and their losses."""
    images = data.load(dataset, validation_fraction=0.0).train.images
    images = np.resize(images, (NUM_IMAGES, *images.shape[1:]))
    contestants = {"vae_jax": _our_epochs(images), "pytorch": _torch_epochs(images)}
    losses = {name: next(epochs) for name, epochs in contestants.items()}  # the first epoch compiles and warms up

    def train(name: str) -> float:
        return _seconds(lambda: losses.update({name: next(contestants[name])}))

    medians = _medians([partial(train, name) for name in contestants], num_epochs)
    for (name, loss), median in zip(losses.items(), medians, strict=True):
        print(f"{name:8} {median:.2f} s per epoch (median of {num_epochs}), train loss {loss:.2f} nats per image")
    print(f"ratio    {medians[0] / medians[1]:.2f}")


def benchmark_likelihood(dataset: str, num_samples: int, num_images: int) -> None:
    """Prints the speed of the importance-sampled bound as a share of the matrix-product peak, and its memory."""
    images = data.load(dataset, validation_fraction=0.0).test.images
    pixels = np.resize(images, (num_images, *images.shape[1:])) / np.float32(255)
    config = Config(latent_dim=20)
    program = make_program(config, images.shape[1:])
    params = init_params(program.network, jax.random.key(0))
    run = trained_run(config, program, params)
    importance_sampled(run, pixels, num_samples)  # compiles
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_before = matmul_peak()
    start = time.perf_counter()
    bound = importance_sampled(run, pixels, num_samples)
    seconds = time.perf_counter() - start
    peak = max(peak_before, matmul_peak())
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    num_weights = sum(layer["kernel"].size for layer in params["decoder"].values())
    speed = 2 * num_weights * num_samples * num_images / seconds
    print(f"{num_images} images, k = {num_samples}: {seconds:.1f} s, bound {bound.values.mean():.2f} nats (untrained)")
    print(f"{speed / 1e9:.0f} GFLOP/s in matrix products of the decoder, peak {peak / 1e9:.0f} GFLOP/s")
    print(f"share of the peak {speed / peak:.2f}; resident memory grew by {memory:.2f} GiB while timed")


def benchmark_sweep(dataset: str) -> None:
    """Prints the time of 30 runs trained as one sweep and in a process each, and the speed of training one of them."""
    together = _seconds_of_sweep(ROOT, dataset, SWEEP)
    alone = sum(
        _seconds_of_sweep(ROOT, dataset, [f"--latent_dim={dim}", f"--kl_weight={weight}", f"--seed={seed}", SWEEP[-1]])
        for dim in (2, 16)
        for weight in (0.25, 0.5, 1, 2, 4)
        for seed in (0, 1, 2)
    )
    print(f"30 runs: as one sweep {together:.1f} s, in a process each {alone:.1f} s; ratio {together / alone:.2f}")
    base = Config(dataset=dataset)
    images = data.load(dataset, validation_fraction=base.validation_fraction).train.images
    epochs, flops = _our_epochs(images), len(images) * _flops_per_image(base, images.shape[1:])
    next(epochs)  # compiles
    shapes = (images[0].size, base.hidden_dims[0], base.batch_size)
    measures = lambda: flops / _seconds(lambda: next(epochs)), matmul_peak, lambda: _speed_of_step_products(*shapes)
    speed, peak, product = _medians(measures, 10)
    print(f"training: {speed / 1e9:.0f} GFLOP/s in matrix products, peak {peak / 1e9:.0f}", end="; ")
    print(f"share of the peak {speed / peak:.2f}; of a step's products alone {speed / product:.2f}")


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
        seconds = count * statistics.median(row["seconds"] for row in rows)  # a row has the run's share of its chunk
        first = seconds if math.isnan(first) else first
        print(f"{count:3} runs: {count * len(split.images) / seconds:,.0f} images/s over all runs", end="; ")
        print(f"{seconds / first:.2f} x the time of {counts[0]}; memory {_memory_of_group(configs, split.images)}")


def _memory_of_group(configs: Sequence[Config], images: np.ndarray) -> str:
    """Returns the memory of a compiled epoch, by XLA's own account."""
    program, hyperparameters = make_program(configs[0], images.shape[1:]), training.hyperparameters(configs)
    states = jax.eval_shape(lambda numbers: training.init_states(program, numbers), hyperparameters)
    lowered = training.train_epoch.lower(program, images, states, hyperparameters, np.int32(0))
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
            return _seconds(lambda: sweeps.train_and_evaluate(configs, Path(folder), options))

    without, with_all = _medians([partial(train, math.inf), partial(train, 0.0)], 5)
    each = (with_all - without) / (num_epochs - 1)
    print(f"{without:.2f} s without checkpoints, {with_all:.2f} s with up to {num_epochs - 1}", end="; ")
    print(f"{each:.3f} s each; one a minute slows training by {100 * each / 60:.2f} %")


def benchmark_versions(dataset: str, other: Path, repeats: int) -> None:
    """Prints the medians of this version and another, launched alternately, and their ratio."""
    measures = [
        measure
        for checkout in (ROOT, other.expanduser().resolve())
        for measure in (
            partial(_seconds_of_epoch, checkout, dataset),
            partial(_seconds_of_sweep, checkout, dataset, SWEEP),
        )
    ]
    epoch, sweep, other_epoch, other_sweep = _medians(measures, repeats)
    for what, this, that in (
        ("an epoch of 784-512-2", epoch, other_epoch),
        ("the sweep of 30 runs", sweep, other_sweep),
    ):
        print(f"{what}: this {this:.3f} s, other {that:.3f} s (medians of {repeats}); ratio {this / that:.2f}")


def _seconds_of_epoch(checkout: Path, dataset: str) -> float:
    """Launches a run of 20 epochs in a process of its own and returns the median time of its epochs."""
    with tempfile.TemporaryDirectory() as folder:
        _launch(checkout, dataset, Path(folder, "sweep"), ["--num_epochs=20"])
        (path,) = Path(folder, "sweep").glob("runs/*/timing.jsonl")
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    return statistics.median(row["seconds"] for row in rows)


def _seconds_of_sweep(checkout: Path, dataset: str, grid: Sequence[str]) -> float:
    """Returns the time of a launch that trains these runs, from the start of its process to its end."""
    with tempfile.TemporaryDirectory() as folder:
        return _seconds(lambda: _launch(checkout, dataset, Path(folder, "sweep"), grid))


def _launch(checkout: Path, dataset: str, workdir: Path, grid: Sequence[str]) -> None:
    experiment = workdir.with_name("bare.py")  # without figures
    experiment.write_text(
        "from vae_jax.config import Experiment\n\nEXPERIMENT = Experiment(name='bare', question='How fast?')\n"
    )
    dataset = dataset.replace(",", "\\,")
    done = subprocess.run(
        [sys.executable, "-m", "experiments.launch", f"--experiment={experiment}", f"--dataset={dataset}",
         f"--workdir={workdir}", "--evaluate=false", *grid],
        cwd=checkout, env=os.environ | {"PYTHONPATH": str(checkout)}, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        raise UserError(f"the launch in {checkout} ended with {done.returncode}: {done.stderr[-500:]}")


def _flops_per_image(config: Config, image_shape: tuple[int, int]) -> int:
    """Floating-point operations of matrix products, forward and backward; the images need no gradient."""
    network = make_program(config, image_shape).network
    params = jax.eval_shape(lambda: init_params(network, jax.random.key(0)))
    sizes = {(half, name): layer["kernel"].size for half in params for name, layer in params[half].items()}
    return 6 * sum(sizes.values()) - 2 * sizes["encoder", "hidden_0"]


@jax.jit
def _step_products(x: Any, h: Any, w_in: Any, w_out: Any) -> Any:
    # Encoder forward and weights' gradient; decoder forward, hidden layer's and weights' gradient.
    return x @ w_in, x.T @ h, h @ w_out, x @ w_out.T, h.T @ x


def _speed_of_step_products(num_pixels: int, width: int, batch_size: int) -> float:
    """The five large products of a gradient step, with nothing between them, FLOP/s."""
    shapes = (batch_size, num_pixels), (batch_size, width), (num_pixels, width), (width, num_pixels)
    operands = [jax.random.normal(jax.random.key(index), shape) for index, shape in enumerate(shapes)]
    return 5 * 2 * math.prod((batch_size, num_pixels, width)) / _best_seconds(lambda: _step_products(*operands), 50)


def matmul_peak(size: int = 2048, repeats: int = 8) -> float:
    """The best of some float32 matrix products of this device, FLOP/s."""
    a = jax.random.normal(jax.random.key(0), (size, size))
    return 2 * size**3 / _best_seconds(lambda: jnp.matmul(a, a), repeats)


def _best_seconds(function: Callable[[], Any], repeats: int) -> float:
    jax.block_until_ready(function())  # compiles
    return min(_seconds(function) for _ in range(repeats))


def _our_epochs(images: np.ndarray) -> Iterator[float]:
    """Trains a run of the 784-512-2 VAE, an epoch at a time; yields its loss."""
    program = make_program(Config(), images.shape[1:])
    hyperparameters = training.hyperparameters([Config()])
    states = training.init_states(program, hyperparameters)
    on_device = jax.device_put(images)
    for epoch in range(Config().num_epochs):
        states, metrics = training.train_epoch(program, on_device, states, hyperparameters, np.int32(epoch))
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
            total += float(loss.detach())
        yield total / len(x)


if __name__ == "__main__":
    sys.exit(main())
