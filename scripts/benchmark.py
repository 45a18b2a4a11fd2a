"""Speed as ratios measured in one call, never as a timed test.

    python -m scripts.benchmark train [--dataset=idx:DIR] [--epochs=5]
    python -m scripts.benchmark likelihood [--num_samples=5000] [--num_images=10000]
    python -m scripts.benchmark sweep
    python -m scripts.benchmark group [--runs=1,8,32,90] [--epochs=5]
    python -m scripts.benchmark checkpoints [--runs=30]

train: seconds per epoch of 60,000 images of the 784-512-2 VAE at batch 128, ours against a hand-written PyTorch loop
over a tensor in memory (extra `bench`), both warm, alternating, medians; and both training losses.
likelihood: the importance-sampled bound of a 784-512-20 VAE, as a share of the float32 matrix-product peak that the
same machine reaches in the same call.
sweep: 30 runs (5 KL weights, 2 latent sizes, 3 seeds; 20 epochs) as one sweep, against a process for each; and the
speed of a group as a share of the matrix-product peak, beside what the products of a step reach alone.
group: images per second of 784-512-2 VAEs that train as one program, for each number of runs, and the memory of it.
checkpoints: a group that is saved as often as can be written, against one that is not; the share of one save a minute.
"""

import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from absl import flags

from scripts import command
from vae_jax.config import Config, expand, static_part
from vae_jax.workdir import run_dir

NUM_IMAGES = 60_000


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 0, 1 at run time, 2 for wrong usage."""
    values = flags.FlagValues()
    flags.DEFINE_string("dataset", "mnist_5k", "its images, repeated up to the number that is timed", values)
    flags.DEFINE_integer("epochs", 5, "train, group: timed epochs of each", lower_bound=1, flag_values=values)
    flags.DEFINE_list("runs", None, "group, checkpoints: numbers of runs", values)
    flags.DEFINE_integer("num_samples", 500, "likelihood: samples per image", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("num_images", 2000, "likelihood: images", lower_bound=1, flag_values=values)
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
            benchmark_group(values.dataset, _counts(values.runs or ["1", "8", "32", "90"]), values.epochs)
        case ["checkpoints"]:
            benchmark_checkpoints(values.dataset, _counts(values.runs or ["30"]))
        case _:
            raise flags.Error("name one benchmark: train, likelihood, sweep, group or checkpoints")


def _counts(texts: Sequence[str]) -> list[int]:
    if not all(text.isdecimal() and int(text) > 0 for text in texts):
        raise flags.Error("--runs takes numbers from 1 on")
    return [int(text) for text in texts]


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


def benchmark_likelihood(dataset: str, num_samples: int, num_images: int) -> None:
    """Prints the speed of the importance-sampled bound as a share of the matrix-product peak, and its memory."""
    import jax

    from vae_jax import data
    from vae_jax.evaluation.likelihood import importance_sampled
    from vae_jax.models import make_model
    from vae_jax.runs import trained_run

    images = data.load(dataset, validation_fraction=0.0).test.images
    pixels = np.resize(images, (num_images, *images.shape[1:])) / np.float32(255)
    model = make_model(Config(latent_dim=20), images.shape[1:])
    params = jax.jit(model.init)(jax.random.key(0), pixels[:1])["params"]
    run = trained_run(model.config, model, params)
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
    """Prints the time of 30 runs trained as one sweep and in a process each, and the speed of training a group."""
    from vae_jax import data

    base = Config(dataset=dataset, num_epochs=20)
    grid = {"latent_dim": (2, 16), "kl_weight": (0.25, 0.5, 1.0, 2.0, 4.0), "seed": (0, 1, 2)}
    configs = expand(base, grid)
    with tempfile.TemporaryDirectory() as folder:
        together = _seconds_of_process(configs, Path(folder, "swept"))
        alone = sum(_seconds_of_process([config], Path(folder, "single")) for config in configs)
    print(f"{len(configs)} runs: as one sweep {together:.1f} s, in a process each {alone:.1f} s", end="; ")
    print(f"ratio {together / alone:.2f}")
    group = configs[: len(configs) // 2]
    images = data.load(dataset, validation_fraction=base.validation_fraction).train.images
    epochs, flops = _our_epochs(images, group), len(group) * len(images) * _flops_per_image(base, images.shape[1:])
    next(epochs)  # compiles
    training, peaks, products = [], [], []
    for _ in range(10):  # a shared machine is not as fast at any moment
        start = time.perf_counter()
        next(epochs)
        training.append(flops / (time.perf_counter() - start))
        peaks.append(matmul_peak())
        products.append(_speed_of_step_products(images[0].size, base.hidden_dims[0], base.batch_size))
    speed, peak, product = (statistics.median(values) for values in (training, peaks, products))
    print(f"{len(group)} runs training: {speed / 1e9:.0f} GFLOP/s in matrix products, peak {peak / 1e9:.0f}", end="; ")
    print(f"share of the peak {speed / peak:.2f}; of the products of a step alone {product / peak:.2f}")


def benchmark_group(dataset: str, counts: Sequence[int], num_epochs: int) -> None:
    """Prints the speed of groups of so many runs, the ratio of their times to the first's, and their memory."""
    from vae_jax import data, sweeps
    from vae_jax.workdir import read_timing

    split = data.load(dataset, validation_fraction=Config().validation_fraction).train
    print(f"data set on the device: {split.images.nbytes / 2**20:.1f} MiB ({len(split.images)} images)")
    first = math.nan
    for count in counts:
        configs = expand(Config(dataset=dataset, num_epochs=num_epochs), {"seed": tuple(range(count))})
        with tempfile.TemporaryDirectory() as folder:
            sweeps.train_due(configs, Path(folder))
            rows = read_timing(run_dir(Path(folder), configs[0]))
        seconds = count * statistics.median(
            row["seconds"] for row in rows or []
        )  # a row has the run's share of its group
        first = seconds if math.isnan(first) else first
        print(f"{count:3} runs: {count * len(split.images) / seconds:,.0f} images/s over all runs", end="; ")
        print(f"{seconds / first:.2f} x the time of {counts[0]}; memory {_memory_of_group(configs, split.images)}")


def _memory_of_group(configs: Sequence[Config], images: np.ndarray) -> str:
    """What the compiled epoch of a group takes, by XLA's own account."""
    import jax

    from vae_jax import training
    from vae_jax.models import make_model

    model, numbers = make_model(configs[0], images.shape[1:]), training.hyperparameters(configs)
    states = jax.eval_shape(lambda numbers: training.init_states(model, numbers), numbers)
    at_once = 1 if jax.default_backend() == "cpu" else len(configs)
    lowered = training.train_epoch.lower(model, images, states, numbers, np.int32(0), runs_at_once=at_once)
    found = lowered.compile().memory_analysis()
    arguments, temporary = (size / 2**20 for size in (found.argument_size_in_bytes, found.temp_size_in_bytes))
    each = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(states)) / len(configs) / 2**20
    shared = arguments - len(configs) * each
    return f"{shared:.1f} MiB once + {len(configs)} x {each:.1f} MiB of state + {temporary:.1f} MiB temporary"


def benchmark_checkpoints(dataset: str, counts: Sequence[int]) -> None:
    """Prints what a checkpoint costs: trainings with as many as can be written and with none, alternating, medians."""
    from vae_jax import sweeps

    base, repeats = Config(dataset=dataset, num_epochs=20), 3
    for count in counts:
        configs = expand(base, {"seed": tuple(range(count))})
        seconds: dict[float, list[float]] = {math.inf: [], 0.0: []}
        saves = 0
        for _ in range(repeats):
            for interval, times in seconds.items():
                with tempfile.TemporaryDirectory() as folder, _counted_saves() as save:
                    start = time.perf_counter()
                    sweeps.train_due(configs, Path(folder), sweeps.Options(checkpoint_every_seconds=interval))
                    times.append(time.perf_counter() - start)
                    saves += save.call_count
        without, with_all = (statistics.median(times) for times in seconds.values())
        each = (with_all - without) / (saves / repeats)
        print(f"{count} runs: {without:.1f} s without checkpoints", end=", ")
        print(f"{with_all:.1f} s with {saves / repeats:.0f}", end="; ")
        print(f"{each:.2f} s each; one a minute slows training by {100 * each / 60:.1f} %")


def _counted_saves() -> Any:
    from vae_jax.checkpoints import Saver

    return mock.patch.object(Saver, "save", autospec=True, side_effect=Saver.save)


def _seconds_of_process(configs: Sequence[Config], workdir: Path) -> float:
    """The time of a process that trains these runs, from its start to its end."""
    program = (
        "import json, sys; from pathlib import Path; from vae_jax.config import Config; from vae_jax import sweeps; "
        "sweeps.train_due([Config.from_dict(values) for values in json.load(sys.stdin)], Path(sys.argv[1]))"
    )
    values = json.dumps([config.to_dict() for config in configs])
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program, workdir], input=values, text=True, check=True, capture_output=True)
    return time.perf_counter() - start


def _flops_per_image(config: Config, image_shape: tuple[int, int]) -> int:
    """Floating-point operations of matrix products, forward and backward; the images need no gradient."""
    import jax

    from vae_jax.models import make_model

    model = make_model(config, image_shape)
    params = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, *image_shape), np.float32))["params"]
    sizes = {(half, name): layer["kernel"].size for half in params for name, layer in params[half].items()}
    return 6 * sum(sizes.values()) - 2 * sizes["encoder", "hidden_0"]


def _speed_of_step_products(num_pixels: int, width: int, batch_size: int) -> float:
    """The five large products of a gradient step, with nothing between them, FLOP/s."""
    import jax

    shapes = (batch_size, num_pixels), (batch_size, width), (num_pixels, width), (width, num_pixels)
    operands = [jax.random.normal(jax.random.key(index), shape) for index, shape in enumerate(shapes)]

    products = jax.jit(_step_products)  # of the same function each time, which is compiled once
    return 5 * 2 * math.prod((batch_size, num_pixels, width)) / _best_seconds(lambda: products(*operands), 50)


def _step_products(x: Any, h: Any, w_in: Any, w_out: Any) -> Any:
    # Encoder forward and weights' gradient; decoder forward, hidden layer's and weights' gradient.
    return x @ w_in, x.T @ h, h @ w_out, x @ w_out.T, h.T @ x


def matmul_peak(size: int = 2048, repeats: int = 8) -> float:
    """The best of some float32 matrix products of this device, FLOP/s."""
    import jax
    import jax.numpy as jnp

    a = jax.random.normal(jax.random.key(0), (size, size))
    product = jax.jit(jnp.matmul)
    return 2 * size**3 / _best_seconds(lambda: product(a, a), repeats)


def _best_seconds(function: Callable[[], Any], repeats: int) -> float:
    import jax

    jax.block_until_ready(function())  # compiles
    best = math.inf
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function())
        best = min(best, time.perf_counter() - start)
    return best


def _our_epochs(images: np.ndarray, configs: Sequence[Config] = (Config(),)) -> Iterator[float]:
    """Trains a group of runs, an epoch each time; gives the first run's loss."""
    import jax

    from vae_jax import training
    from vae_jax.models import make_model

    model = make_model(static_part(configs[0]), images.shape[1:])
    numbers = training.hyperparameters(configs)
    states = training.init_states(model, numbers)
    on_device = jax.device_put(images)
    for epoch in range(configs[0].num_epochs):
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
            total += float(loss.detach())
        yield total / len(x)


if __name__ == "__main__":
    sys.exit(main())
