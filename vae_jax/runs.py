"""The host loop: trains the runs that are due, group by group, and gives trained runs back from disk."""

import functools
import math
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from tqdm import tqdm

from vae_jax import data, models, training
from vae_jax.checkpoints import export_params, import_params
from vae_jax.config import Config, ConfigError, group, static_part
from vae_jax.files import UserError, write_json
from vae_jax.models import Autoencoder, Params, make_model
from vae_jax.objectives import Posterior, binarize, pixel_mean
from vae_jax.training import Metrics
from vae_jax.workdir import is_trained, read_config, run_dir, write_metrics

LINES_PER_GROUP = 10  # of plain progress, where there is no terminal to draw a bar on
CHUNK = 2000  # images that go through a network at once outside training

load_dataset = functools.lru_cache(maxsize=4)(data.load)


class Codes(NamedTuple):
    """What an encoder says of N images, as NumPy arrays."""

    mean: np.ndarray  # float32[N, D]
    logvar: np.ndarray | None  # float32[N, D]; None for an AE


class TrainedRun(NamedTuple):
    """A run with its parameters, and its two halves as functions of NumPy arrays."""

    config: Config
    params: Params
    encode: Callable[[np.ndarray], Codes]  # uint8[N, H, W] to Codes of float32[N, D]
    decode: Callable[[np.ndarray], np.ndarray]  # float32[N, D] to mean pixels float32[N, H, W] in [0, 1]
    model: Autoencoder

    @property
    def name(self) -> str:
        """The run's name."""
        return self.config.name


def train_due(
    configs: Sequence[Config], workdir: Path, *, data_dir: str | None = None, tensorboard: bool = False
) -> None:
    """Trains what is not trained yet; runs that are one compiled program train together.

    Raises:
        UserError: a data set is not there, or the workdir cannot be written.
    """
    due = [config for config in configs if not is_trained(run_dir(workdir, config))]
    groups = group(due)
    for index, members in enumerate(groups):
        _train_group(members, workdir, f"group {index + 1}/{len(groups)}", data_dir, tensorboard)


def load_run(run: Path) -> TrainedRun:
    """A trained run from its folder.

    Raises:
        UserError: it is not trained to its end, or a file of it is damaged.
    """
    config = read_config(run)
    path = run / "params.safetensors"
    config_of_params, params, image_shape = import_params(path)
    try:
        model = make_model(static_part(config), image_shape)
        fits = config == config_of_params and _have_shapes_of(model, params)
    except ConfigError:  # a size that the architecture does not take
        fits = False
    if not fits:
        raise UserError(f"{path} is not of the Config beside it; delete {run} and launch again")
    return trained_run(config, model, params)


def trained_run(config: Config, model: Autoencoder, params: Params) -> TrainedRun:
    """A run in memory: its Config, the model of that Config, and parameters without a runs axis."""
    return TrainedRun(config, params, partial(_encode_all, model, params), partial(_decode_all, model, params), model)


def _train_group(configs: Sequence[Config], workdir: Path, title: str, data_dir: str | None, tensorboard: bool) -> None:
    config = static_part(configs[0])
    dataset = load_dataset(config.dataset, validation_fraction=config.validation_fraction, data_dir=data_dir)
    train_images = jax.device_put(dataset.train.images)
    validation_images = jax.device_put(dataset.validation.images)
    mean_pixel = float(dataset.train.images.mean()) / 255 if config.mean_bias else None
    model = make_model(config, dataset.train.images.shape[1:], mean_pixel)
    numbers = training.hyperparameters(configs)
    states = training.init_states(model, numbers)
    folders = [_fresh_folder(run_dir(workdir, config), config) for config in configs]
    histories: list[list[dict[str, Any]]] = [[] for _ in configs]
    loggers = [_event_writer(folder) for folder in folders] if tensorboard else []
    progress = _Progress(title, configs, len(train_images))
    for epoch in range(config.num_epochs):
        start = time.perf_counter()
        states, train = training.train_epoch(model, train_images, states, numbers, np.int32(epoch))
        jax.block_until_ready(train)
        # Runs of a group take turns on the device, so a run's time is its share.
        seconds = (time.perf_counter() - start) / len(configs)
        clock = {"seconds": seconds, "images_per_second": len(train_images) / seconds}
        metrics = {"train": train}
        if len(validation_images):
            metrics["validation"] = training.evaluate(model, validation_images, states.params, numbers)
        alive = np.asarray(states.alive)
        for index, folder in enumerate(folders):
            row = {"epoch": epoch + 1} | metrics_row(configs[index], metrics, index) | clock
            if not alive[index]:
                row["diverged"] = True
            histories[index].append(row)
            write_metrics(folder, histories[index])
        for logger, history in zip(loggers, histories, strict=False):
            _log_events(logger, history[-1])
        progress.update(epoch + 1, [history[-1] for history in histories])
    for logger in loggers:
        logger.close()
    params = jax.device_get(states.params)
    for index, folder in enumerate(folders):
        own = jax.tree.map(lambda leaf, index=index: leaf[index], params)
        export_params(folder / "params.safetensors", configs[index], own, model.image_shape)


def metrics_row(config: Config, metrics: dict[str, Metrics], index: int) -> dict[str, float | None]:
    """`{split}_loss`, `_distortion`, and for a VAE `_rate` and `_elbo`, nats per image; None if not finite."""
    row: dict[str, float | None] = {}
    for split, values in metrics.items():
        loss, distortion, rate = (float(value[index]) for value in values)
        row[f"{split}_loss"], row[f"{split}_distortion"] = loss, distortion
        if config.model == "vae":
            row[f"{split}_rate"], row[f"{split}_elbo"] = rate, -(distortion + rate)
    return {name: value if value is not None and math.isfinite(value) else None for name, value in row.items()}


def _fresh_folder(folder: Path, config: Config) -> Path:
    # What a cut-off run left behind is from another attempt: the run starts over.
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
    write_json(folder / "config.json", config.to_dict())
    return folder


class _Progress:
    """A bar on a terminal, some plain lines elsewhere; numbers are means over the group's runs."""

    def __init__(self, title: str, configs: Sequence[Config], num_images: int) -> None:
        self.num_epochs = configs[0].num_epochs
        self.num_images = num_images * len(configs)
        self.title = f"{title}: {configs[0].name}" + (f" and {len(configs) - 1} more" if len(configs) > 1 else "")
        self.bar = tqdm(total=self.num_epochs, desc=self.title, unit="epoch", disable=None)

    def update(self, epoch: int, rows: list[dict[str, Any]]) -> None:
        """Shows the group's rows of this epoch."""
        rows = [{name: math.nan if value is None else value for name, value in row.items()} for row in rows]
        parts = [
            f"{name} {sum(row[f'train_{name}'] for row in rows) / len(rows):.2f}"
            for name in ("loss", "distortion", "rate")
            if all(f"train_{name}" in row for row in rows)
        ]
        parts.append(f"{self.num_images / sum(row['seconds'] for row in rows):,.0f} images/s")
        if not self.bar.disable:
            self.bar.set_postfix_str(", ".join(parts))
            self.bar.update()
            if epoch == self.num_epochs:
                self.bar.close()
        elif epoch == self.num_epochs or epoch % max(1, self.num_epochs // LINES_PER_GROUP) == 0:
            print(f"{self.title}: epoch {epoch}/{self.num_epochs}, {', '.join(parts)}", file=sys.stderr, flush=True)


def _event_writer(folder: Path) -> Any:
    # The optional dependency of an option; the launcher has checked that it is there.
    from tensorboardX import SummaryWriter

    return SummaryWriter(str(folder / "tensorboard"))


def _log_events(writer: Any, row: dict[str, Any]) -> None:
    for name, value in row.items():
        if name != "epoch" and value is not None:
            writer.add_scalar(name, value, row["epoch"])


def _have_shapes_of(model: Autoencoder, params: Params) -> bool:
    images = jax.ShapeDtypeStruct((1, *model.image_shape), jnp.float32)
    expected = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    shapes, found = (jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), tree) for tree in (expected, params))
    return shapes == found


@partial(jax.jit, static_argnames="model")
def _encode(model: Autoencoder, params: Params, images: Array) -> Posterior:
    # Pixels that are drawn anew at each step in training are drawn once and for all here.
    key = jax.random.key(0)
    pixels = binarize(model.config.binarization, images.astype(jnp.float32) / 255, key)
    return models.encode(model, params, pixels)


@partial(jax.jit, static_argnames="model")
def _decode(model: Autoencoder, params: Params, z: Array) -> Array:
    return pixel_mean(model.config.likelihood, models.decode(model, params, z))


def _encode_all(model: Autoencoder, params: Params, images: np.ndarray) -> Codes:
    chunks = [_encode(model, params, images[start : start + CHUNK]) for start in range(0, len(images), CHUNK)]
    return Codes(*jax.tree.map(lambda *parts: np.concatenate(parts), *chunks))


def _decode_all(model: Autoencoder, params: Params, z: np.ndarray) -> np.ndarray:
    z = np.asarray(z, np.float32)
    return np.concatenate([_decode(model, params, z[start : start + CHUNK]) for start in range(0, len(z), CHUNK)])
