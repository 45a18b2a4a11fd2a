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
sweep: 30 runs (5 KL weights, 2 latent sizes, 3 seeds; 20 epochs) as one sweep, against a process for each.
group: images per second of 784-512-2 VAEs that train as one program, for each number of runs, and the memory of it.
checkpoints: epochs of a group that is saved as often as can be, or by default every minute, against one that is not.
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

import numpy as np
from absl import flags

from scripts import command
from vae_jax.config import Config, expand
from vae_jax.workdir import read_seconds, run_dir

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
    """Prints the time of 30 runs trained as one sweep, and of the same 30 in a process each."""
    base = Config(dataset=dataset, num_epochs=20)
    grid = {"latent_dim": (2, 16), "kl_weight": (0.25, 0.5, 1.0, 2.0, 4.0), "seed": (0, 1, 2)}
    configs = expand(base, grid)
    with tempfile.TemporaryDirectory() as folder:
        swept, single = Path(folder, "swept"), Path(folder, "single")
        together = _seconds_of_process(configs, swept)
        alone = sum(_seconds_of_process([config], single) for config in configs)
        flops = sum(_training_flops(swept, config) for config in configs)
        training = sum(read_seconds(run_dir(swept, config)) or math.nan for config in configs)
    speed, peak = flops / training, matmul_peak()
    print(f"{len(configs)} runs: as one sweep {together:.1f} s, in a process each {alone:.1f} s", end="; ")
    print(f"ratio {together / alone:.2f}")
    print(f"while training {speed / 1e9:.0f} GFLOP/s in matrix products, peak {peak / 1e9:.0f} GFLOP/s", end="; ")
    print(f"share of the peak {speed / peak:.2f}")


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
    """Prints what checkpoints cost: whole trainings with and without them, alternating, by the medians."""
    from vae_jax import sweeps

    base, repeats = Config(dataset=dataset, num_epochs=20), 3
    intervals = {"none": math.inf, "every minute": 60.0, "all the time": 0.0}
    for count in counts:
        configs = expand(base, {"seed": tuple(range(count))})
        seconds: dict[str, list[float]] = {name: [] for name in intervals}
        for _ in range(repeats):
            for name, interval in intervals.items():
                with tempfile.TemporaryDirectory() as folder:
                    start = time.perf_counter()
                    sweeps.train_due(configs, Path(folder), sweeps.Options(checkpoint_every_seconds=interval))
                    seconds[name].append(time.perf_counter() - start)
        without = statistics.median(seconds["none"])
        for name, times in seconds.items():
            slower = 100 * (statistics.median(times) / without - 1)
            print(f"{count} runs, checkpoints {name}: {statistics.median(times):.1f} s, {slower:+.1f} %")


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


def _training_flops(workdir: Path, config: Config) -> float:
    """Floating-point operations of a run's matrix products: forward, and backward but for the images' gradient."""
    from vae_jax import data
    from vae_jax.runs import load_run

    params = load_run(run_dir(workdir, config)).params
    sizes = {(half, name): layer["kernel"].size for half in params for name, layer in params[half].items()}
    per_image = 6 * sum(sizes.values()) - 2 * sizes["encoder", "hidden_0"]
    num_images = len(data.load(config.dataset, validation_fraction=config.validation_fraction).train.images)
    return per_image * num_images * config.num_epochs


def matmul_peak(size: int = 2048, repeats: int = 8) -> float:
    """The best of some float32 matrix products of this device, FLOP/s."""
    import jax
    import jax.numpy as jnp

    a = jax.random.normal(jax.random.key(0), (size, size))
    product = jax.jit(jnp.matmul)
    product(a, a).block_until_ready()
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        product(a, a).block_until_ready()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def _our_epochs(images: np.ndarray) -> Iterator[float]:
    import jax

    from vae_jax import training
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
            total += float(loss.detach())
        yield total / len(x)


if __name__ == "__main__":
    sys.exit(main())
