"""How time and memory grow with images, width, latent dimensions, runs, and the workers of a cluster."""

import contextlib
import functools
import importlib.util
import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scripts.benchmark.launches import ROOT, launch_of
from scripts.benchmark.measuring import seconds
from vae_jax import data
from vae_jax.workdir import UserError, write_bytes

AXES: dict[str, tuple[int, ...]] = {
    "images": (5_000, 20_000, 60_000),
    "hidden_dims": (128, 512, 2048),
    "latent_dim": (2, 16, 128),
    "runs": (1, 4, 16, 64),
}
NUM_IMAGES = 5_000  # on the other axes
NUM_EPOCHS = 4
WORKERS = (1, 2)
CLUSTER_RUNS = 8


class Point(NamedTuple):
    """One measurement."""

    value: int  # on the axis
    seconds: float  # an epoch of all runs, or the whole sweep on a cluster
    gibibytes: float | None = None  # the launch's greatest resident memory


def benchmark_scaling(dataset: str, folder: Path, axes: Mapping[str, Sequence[int]] = AXES) -> None:
    """Prints time and memory along each axis, and writes them as folder/scaling.json and .png."""
    images = data.load(dataset, validation_fraction=0.0).train.images
    found = {axis: _along(axis, values, functools.partial(_point, images, axis)) for axis, values in axes.items()}
    if importlib.util.find_spec("distributed"):
        axis = "workers of a cluster"
        found[axis] = _along(axis, WORKERS, functools.partial(_cluster_point, images))
    else:
        print("skipped: distributed is not installed (extra cluster)")
    write_bytes(folder / "scaling.json", json.dumps(found, indent=1).encode())
    write_bytes(folder / "scaling.png", _picture(found))


def _along(axis: str, values: Sequence[int], measure: Callable[[int], Point]) -> list[Point]:
    """Measures and prints the points of an axis, one after the other."""
    points: list[Point] = []
    for value in values:
        point = measure(value)
        points.append(point)
        memory = "" if point.gibibytes is None else f", {point.gibibytes:.2f} GiB"
        ratios = f"x {value / values[0]:g} of it takes x {point.seconds / points[0].seconds:.2f}"
        print(f"{axis} {value}: {point.seconds:.3g} s{memory}; {ratios}", flush=True)
    return points


def _point(images: np.ndarray, axis: str, value: int) -> Point:
    """Trains in a process of its own; returns the median time of an epoch and the process's memory."""
    flags = {"images": [], "runs": [f"--seed={','.join(map(str, range(value)))}"]}.get(axis, [f"--{axis}={value}"])
    with tempfile.TemporaryDirectory() as folder:
        dataset = _resized(images, value if axis == "images" else NUM_IMAGES, Path(folder))
        workdir = Path(folder, "sweep")
        launch = launch_of(ROOT, dataset, workdir, [f"--num_epochs={NUM_EPOCHS}", *flags])
        process = subprocess.Popen(**launch, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise UserError(f"a launch with {axis} {value} ended with {process.returncode}")
        files = Path(folder, "sweep").glob("runs/*/timing.jsonl")
        times = [[json.loads(line)["seconds"] for line in path.read_text().splitlines()] for path in files]
    return Point(value, sum(map(statistics.median, times)), usage.ru_maxrss / 2**20)


def _cluster_point(images: np.ndarray, workers: int) -> Point:
    """Times a sweep on a local cluster, whose workers have a core each where the system can say so."""
    from distributed import Client, LocalCluster

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        cluster = stack.enter_context(
            LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None)
        )
        client = stack.enter_context(Client(cluster))
        if hasattr(os, "sched_setaffinity"):  # before XLA starts a thread for each core that it may use
            for address, core in zip(client.scheduler_info()["workers"], sorted(os.sched_getaffinity(0)), strict=False):
                client.run(os.sched_setaffinity, 0, {core}, workers=[address])
        address = f"--cluster={cluster.scheduler_address}"
        dataset = _resized(images, NUM_IMAGES, Path(folder))

        def train(name: str, seeds: Sequence[int], num_epochs: int) -> float:
            flags = [f"--seed={','.join(map(str, seeds))}", f"--num_epochs={num_epochs}", address]
            launch = launch_of(ROOT, dataset, Path(folder, name), flags)
            return seconds(lambda: subprocess.run(**launch, check=True, capture_output=True))

        train("warm", range(workers), 1)  # workers import, and compile
        return Point(workers, train("sweep", range(CLUSTER_RUNS), 20))


def _resized(images: np.ndarray, count: int, folder: Path) -> str:
    """Writes a data set of so many training images, repeated where there are fewer, and returns its name."""
    path = folder / "images.npz"
    np.savez(path, x_train=np.resize(images, (count, *images.shape[1:])), x_test=images[:100])
    return f"npz:{path}"


def _picture(found: Mapping[str, Sequence[Point]]) -> bytes:
    """Draws time and memory against each axis, as multiples of the first point's, beside the proportional line."""
    from matplotlib.ticker import LogLocator

    from vae_jax.report.figures import style

    with style.in_style():
        figure, axes = style.new_figure(1, len(found), 2.6 * len(found), 2.9)
        for ax, (axis, points) in zip(axes[0], found.items(), strict=True):
            first = points[0]
            values = [point.value for point in points]
            slope = -1 if axis.startswith("workers") else 1
            ideal = [(value / first.value) ** slope for value in values]
            ax.plot(values, ideal, color="0.6", linestyle=":", label="in proportion")
            times = [point.seconds / first.seconds for point in points]
            ax.plot(values, times, color=style.SERIES_COLORS[0], marker="o", label="time")
            if first.gibibytes:
                memory = [(point.gibibytes or 0) / first.gibibytes for point in points]
                ax.plot(values, memory, color=style.SERIES_COLORS[1], linestyle="--", marker="s", label="memory")
            label = axis.replace(" of a", "\nof a")
            ax.set(xscale="log", yscale="log", xlabel=label, title=f"from {first.seconds:.2g} s")
            ax.set_xticks(values, [f"{value:,}" for value in values])
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter("{x:g}")
            ax.minorticks_off()
        axes[0, 0].set_ylabel("multiple of the first point's")
        axes[0, 0].legend()
        return style.render(figure)["png"]
