"""A small digit classifier, in whose features sets of images are compared and which says what a sample shows.

A Fréchet distance means nothing but within one feature space. So the classifier of a data set is trained once, kept as
a file, and known by the digest of its parameters. Inception's features, made for photographs, would say little of
digits; a classifier of the data set itself is the usual choice for them.
"""

import hashlib
import json
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
import safetensors
import safetensors.numpy
from jax import Array

from vae_jax.data import Dataset
from vae_jax.files import write_bytes
from vae_jax.models import Params, dense
from vae_jax.runs import CHUNK
from vae_jax.training import batches

FORMAT = 2  # of the file and of the training: whoever changes either counts on
HIDDEN_DIMS = (512, 128)  # the last one is the feature space
BATCH_SIZE = 128
LEARNING_RATE = 2e-3  # Adam's, from which a cosine falls to 0
MIN_EPOCHS = 20  # 99 % of MNIST's test images
MIN_STEPS = 3_000  # 96 % of mnist_5k's, whose epochs are short
MAX_SHIFT = 2  # pixels, each way: without it 3,667 images are learned by heart

_Flat = dict[str, np.ndarray]


class Classifier(NamedTuple):
    """A trained classifier of C classes with F features."""

    predict: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    """float32[N, H, W] in [0, 1] to features float32[N, F] and probabilities float32[N, C]."""
    accuracy: float  # share of the test images
    seed: int
    digest: str  # SHA-256 of its parameters


class _Network(nn.Module):
    """Dense layers: XLA's convolutions on a CPU would take minutes where these take seconds."""

    num_classes: int

    @nn.compact
    def __call__(self, images: Array) -> tuple[Array, Array]:
        """float32[B, H, W] in [0, 1] to features float32[B, F] and logits float32[B, C]."""
        x = images.reshape(images.shape[0], -1)
        for index, width in enumerate(HIDDEN_DIMS):
            x = nn.relu(dense(x, width, f"hidden_{index}"))
        return x, dense(x, self.num_classes, "logits")


class _State(NamedTuple):
    params: Params
    opt_state: optax.OptState


def load_or_train(dataset: Dataset, folder: Path, seed: int = 0) -> Classifier:
    """The data set's classifier: from its file in `folder`, or trained on the train split and written there.

    A file that is damaged, or of another data set, seed or version, is trained anew and written over. Training takes
    seconds, which a line on stderr announces. On one machine the same seed gives the same digest.

    Args:
        dataset: with labels.
        folder: of classifiers, made where it is missing; files of several data sets may lie there.
        seed: of the initial parameters, the order of the images and their shifts.

    Raises:
        ValueError: the data set has no labels.
        UserError: the file cannot be written.
    """
    labels = dataset.train.labels
    if labels is None or dataset.test.labels is None:
        raise ValueError(f"{dataset.name} has no labels, without which there is no classifier")
    network = _Network(int(labels.max()) + 1)
    identity = _identity(dataset, seed)
    counts = dataset.provenance["counts"]
    path = folder / f"classifier-{dataset.provenance['sha256'][:12]}-n{counts['train']}-s{seed}.safetensors"
    try:
        flat, accuracy = _read(path, _specification(network, dataset.train.images.shape[1:]), identity)
    except _UnusableError as reason:
        print(f"{path} {reason}: training the classifier of {dataset.name}", file=sys.stderr, flush=True)
        params = _train(network, dataset.train.images, labels, seed)
        _, probabilities = _predict_all(network, params, dataset.test.images / np.float32(255))
        accuracy = float(np.mean(probabilities.argmax(axis=1) == dataset.test.labels))
        flat = flax.traverse_util.flatten_dict(jax.tree.map(np.asarray, params), sep="/")
        _write(path, flat, accuracy, identity)
    predict = partial(_predict_all, network, flax.traverse_util.unflatten_dict(flat, sep="/"))
    return Classifier(predict, accuracy, seed, _digest(flat))


def _identity(dataset: Dataset, seed: int) -> dict[str, Any]:
    """All that the parameters depend on; the data set's own digest is of its pixels, so labels come extra."""
    labels = hashlib.sha256()
    for split in (dataset.train, dataset.test):
        labels.update(np.ascontiguousarray(split.labels, np.int32).data)
    data = {name: dataset.provenance[name] for name in ("sha256", "counts")} | {"labels": labels.hexdigest()}
    return {"format": FORMAT, "seed": seed, "data": data}


def _specification(network: _Network, image_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The shape of each parameter by its name in the file; all are float32."""
    params = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, *image_shape)))["params"]
    return {name: leaf.shape for name, leaf in flax.traverse_util.flatten_dict(params, sep="/").items()}


def _digest(flat: _Flat) -> str:
    digest = hashlib.sha256()
    for name in sorted(flat):
        digest.update(f"{name} {flat[name].shape}\n".encode())
        digest.update(np.ascontiguousarray(flat[name]).data)
    return digest.hexdigest()


class _UnusableError(Exception):
    """A file is not the one that is wanted; the message goes on after its path."""


def _read(path: Path, specification: dict[str, tuple[int, ...]], identity: dict[str, Any]) -> tuple[_Flat, float]:
    """Parameters and test accuracy from a file that nothing is believed of.

    Raises:
        _UnusableError: it is missing, damaged, or of something else.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            header = json.loads(file.metadata()["classifier"])
            if header["identity"] != identity:
                raise _UnusableError("is of other data, another seed or another version")
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            # Before anything is read: a file may say that it holds anything.
            found = {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()}
            if found != {name: (shape, "F32") for name, shape in specification.items()}:
                raise _UnusableError("is damaged: these are not its parameters")
            flat = {name: file.get_tensor(name) for name in slices}
        accuracy = float(header["accuracy"])
        if header != _header(flat, accuracy, identity) or not 0 <= accuracy <= 1:
            raise _UnusableError("is damaged: its numbers are not those that were written")
    except FileNotFoundError:
        raise _UnusableError("is not there yet") from None
    except (OSError, safetensors.SafetensorError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise _UnusableError(f"is damaged ({error})") from error
    return flat, accuracy


def _write(path: Path, flat: _Flat, accuracy: float, identity: dict[str, Any]) -> None:
    # One entry: several would be written in an order that changes, and equal classifiers have equal files.
    header = {"classifier": json.dumps(_header(flat, accuracy, identity))}
    # A transposed view would be written in the order of its memory.
    content = {name: np.ascontiguousarray(value) for name, value in flat.items()}
    write_bytes(path, safetensors.numpy.save(content, metadata=header))


def _header(flat: _Flat, accuracy: float, identity: dict[str, Any]) -> dict[str, Any]:
    header = {"identity": identity, "accuracy": accuracy, "digest": _digest(flat)}
    return header | {"sha256": hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()}


def _train(network: _Network, images: np.ndarray, labels: np.ndarray, seed: int) -> Params:
    """Parameters after as many epochs as `MIN_EPOCHS` and `MIN_STEPS` ask for."""
    init_key, train_key = jax.random.split(jax.random.key(seed))
    steps_per_epoch = math.ceil(len(images) / BATCH_SIZE)
    num_epochs = max(MIN_EPOCHS, math.ceil(MIN_STEPS / steps_per_epoch))
    num_steps = num_epochs * steps_per_epoch
    state = _init_state(network, num_steps, images.shape[1:], init_key)
    on_device = jax.device_put((images, labels.astype(np.int32)))
    for epoch in range(num_epochs):
        key = jax.random.fold_in(train_key, epoch)
        state = _train_epoch(network, num_steps, *on_device, state, key)
    return cast(Params, jax.device_get(state.params))


def _optimizer(num_steps: int) -> optax.GradientTransformationExtraArgs:
    return optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, num_steps))


@partial(jax.jit, static_argnames=("network", "num_steps", "image_shape"))
def _init_state(network: _Network, num_steps: int, image_shape: tuple[int, ...], key: Array) -> _State:
    params = network.init(key, jnp.zeros((1, *image_shape)))["params"]
    return _State(params, _optimizer(num_steps).init(params))


@partial(jax.jit, static_argnames=("network", "num_steps"), donate_argnames="state")
def _train_epoch(network: _Network, num_steps: int, images: Array, labels: Array, state: _State, key: Array) -> _State:
    """One pass over all images uint8[N, H, W], each shifted anew, with their labels int32[N]."""
    shuffle_key, shifts_key = jax.random.split(key)
    order, weights = batches(shuffle_key, images.shape[0], BATCH_SIZE)
    optimizer = _optimizer(num_steps)

    def step(state: _State, inputs: tuple[Array, Array, Array]) -> tuple[_State, None]:
        index, indices, weights = inputs
        pixels = _shifted(images[indices], jax.random.fold_in(shifts_key, index)).astype(jnp.float32) / 255

        def mean_loss(params: Params) -> Array:
            _, logits = _apply(network, params, pixels)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels[indices])
            return jnp.sum(weights * losses) / jnp.sum(weights)

        updates, opt_state = optimizer.update(jax.grad(mean_loss)(state.params), state.opt_state)
        return _State(optax.apply_updates(state.params, updates), opt_state), None

    state, _ = jax.lax.scan(step, state, (jnp.arange(order.shape[0]), order, weights))
    return state


def _shifted(images: Array, key: Array) -> Array:
    """The images [B, H, W], each moved by up to MAX_SHIFT pixels each way, on a background of 0."""
    border = (MAX_SHIFT, MAX_SHIFT)
    corners = jax.random.randint(key, (images.shape[0], 2), 0, 2 * MAX_SHIFT + 1)
    window = partial(jax.lax.dynamic_slice, slice_sizes=images.shape[1:])
    return jax.vmap(window)(jnp.pad(images, ((0, 0), border, border)), corners)


def _apply(network: _Network, params: Params, images: Array) -> tuple[Array, Array]:
    return cast(tuple[Array, Array], network.apply({"params": params}, images))


@partial(jax.jit, static_argnames="network")
def _predict(network: _Network, params: Params, images: Array) -> tuple[Array, Array]:
    features, logits = _apply(network, params, images)
    return features, jax.nn.softmax(logits)


def _predict_all(network: _Network, params: Params, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    chunks = [_predict(network, params, images[start : start + CHUNK]) for start in range(0, len(images), CHUNK)]
    features, probabilities = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    return features, probabilities
