"""The jitted train step and epoch, for one run or many at once. Pure: nothing here touches the disk or the clock.

Every function takes a leading `runs` axis of size R: runs that agree in the static fields of their Configs are one
compiled program, and a single run is a sweep of one. What a step needs is (Config, state, epoch): each key is made
from the run's seed and the epoch, so that nothing else has to be kept to go on exactly where a run stopped.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from vae_jax.config import Config
from vae_jax.models import Autoencoder, Params, decode, encode
from vae_jax.objectives import LIKELIHOODS, OBJECTIVES, Terms, binarize


class Hyperparameters(NamedTuple):
    """The dynamic fields of a Config: numbers inside the compiled program."""

    kl_weight: Array  # float32[R]
    kl_warmup_epochs: Array  # float32[R]
    free_bits: Array  # float32[R], nats per latent dimension
    learning_rate: Array  # float32[R]
    weight_decay: Array  # float32[R]
    seed: Array  # uint32[R]


class TrainState(NamedTuple):
    """What a gradient step changes."""

    params: Params
    opt_state: optax.OptState
    step: Array  # int32[R], gradient steps done
    alive: Array  # bool[R]; False for a run that diverged and is frozen


class Metrics(NamedTuple):
    """Means over images, in nats per image; `loss` is the full objective, whatever the KL weight is warmed up to."""

    loss: Array  # float32[R]
    distortion: Array  # float32[R]
    rate: Array  # float32[R]


def hyperparameters(configs: Sequence[Config]) -> Hyperparameters:
    """The dynamic fields of R Configs, each stacked over the runs."""
    return Hyperparameters(
        *(
            jnp.array([getattr(config, name) for config in configs], jnp.uint32 if name == "seed" else jnp.float32)
            for name in Hyperparameters._fields
        )
    )


@partial(jax.jit, static_argnames=("model", "mesh"))
def init_states(model: Autoencoder, numbers: Hyperparameters, *, mesh: Mesh | None = None) -> TrainState:
    """Initial parameters and optimizer state of each run, drawn from its seed."""

    def init(_: None, numbers: Hyperparameters) -> TrainState:
        init_key, _, _ = _run_keys(numbers.seed)
        params = model.init(init_key, jnp.zeros((1, *model.image_shape)))["params"]
        opt_state = make_optimizer(model.config, numbers, steps_per_epoch=1).init(params)
        return TrainState(params, opt_state, jnp.zeros((), jnp.int32), jnp.ones((), bool))

    return _map_runs(init, None, (numbers,), mesh, runs_at_once=1)


@partial(jax.jit, static_argnames=("model", "mesh", "runs_at_once"), donate_argnames="states")
def train_epoch(
    model: Autoencoder, images: Array, states: TrainState, numbers: Hyperparameters, epoch: Array,
    *, mesh: Mesh | None = None, runs_at_once: int = 1,
) -> tuple[TrainState, Metrics]:  # fmt: skip
    """One pass of each run over all images, as one compiled program.

    A run whose loss or parameters stop being finite is frozen: it keeps the state from before this epoch, the last that
    was finite, for good, and its metrics are NaN from then on. Its neighbours do not notice.

    Args:
        model: whose Config names the static fields of all runs.
        images: uint8[N, H, W], on each device once for all runs.
        states: donated.
        numbers: the runs' dynamic fields.
        epoch: int32[], epochs done before this one.
        mesh: devices (axis `runs`) that share the runs out evenly; None for the default device alone. Runs are
            independent, so that no device ever waits for another.
        runs_at_once: how many runs a device vectorizes together; the rest follow in a loop. One is best on a CPU, whose
            caches hold one network; as many as fit in memory on an accelerator.

    Returns:
        The new states, and means over the epoch's images, each with the parameters before its step.
    """

    def train(images: Array, old: TrainState, numbers: Hyperparameters) -> tuple[TrainState, Metrics]:
        _, train_key, _ = _run_keys(numbers.seed)
        shuffle_key, steps_key = jax.random.split(jax.random.fold_in(train_key, epoch))
        order, weights = batches(shuffle_key, images.shape[0], model.config.batch_size)
        num_steps = order.shape[0]

        def step(state: TrainState, inputs: tuple[Array, Array, Array]) -> tuple[TrainState, Metrics]:
            index, indices, weights = inputs
            key = jax.random.fold_in(steps_key, index)
            return train_step(model, state, numbers, images[indices], weights, key, steps_per_epoch=num_steps)

        new, sums = jax.lax.scan(step, old, (jnp.arange(num_steps), order, weights))
        means = jax.tree.map(lambda sum_: jnp.sum(sum_) / images.shape[0], sums)
        alive = old.alive & _all_finite((new.params, means))
        state = jax.tree.map(lambda after, before: jnp.where(alive, after, before), new, old)
        metrics = jax.tree.map(lambda mean: jnp.where(alive, mean, jnp.nan), means)
        return state._replace(alive=alive), metrics

    return _update_runs(train, images, states, numbers, mesh, runs_at_once)


@partial(jax.jit, static_argnames=("model", "mesh", "runs_at_once"))
def evaluate(
    model: Autoencoder, images: Array, params: Params, numbers: Hyperparameters,
    *, mesh: Mesh | None = None, runs_at_once: int = 1,
) -> Metrics:  # fmt: skip
    """Means over all images, nats per image, z (and dynamic pixels) drawn with a key that is the run's for ever.

    Args:
        model: whose Config names the static fields of all runs.
        images: uint8[N, H, W].
        params: with a leading runs axis.
        numbers: the runs' dynamic fields.
        mesh: as in `train_epoch`.
        runs_at_once: as in `train_epoch`.
    """

    def evaluate_run(images: Array, params: Params, numbers: Hyperparameters) -> Metrics:
        _, _, evaluation_key = _run_keys(numbers.seed)
        order, weights = batches(None, images.shape[0], model.config.batch_size)

        def step(_: None, inputs: tuple[Array, Array, Array]) -> tuple[None, Metrics]:
            index, indices, weights = inputs
            key = jax.random.fold_in(evaluation_key, index)
            terms = objective_terms(model, params, numbers, images[indices], key, numbers.kl_weight)
            return None, _weighted_sums(terms, numbers, weights)

        _, sums = jax.lax.scan(step, None, (jnp.arange(order.shape[0]), order, weights))
        return jax.tree.map(lambda sum_: jnp.sum(sum_) / images.shape[0], sums)

    return _map_runs(evaluate_run, images, (params, numbers), mesh, runs_at_once)


def train_step(
    model: Autoencoder, state: TrainState, numbers: Hyperparameters, images: Array, weights: Array, key: Array,
    *, steps_per_epoch: int,
) -> tuple[TrainState, Metrics]:  # fmt: skip
    """One gradient step of one run (no runs axis) on the mean loss over the batch.

    Args:
        model: whose Config names the static fields.
        state: of this run.
        numbers: of this run.
        images: uint8[B, H, W].
        weights: float32[B], 1 for an image that counts and 0 for padding.
        key: consumed by ε and the drawing of binary pixels.
        steps_per_epoch: gradient steps in an epoch, which the schedules count in.

    Returns:
        The new state, and the *sums* of the metrics over the images that count.
    """
    warmup_steps = numbers.kl_warmup_epochs * steps_per_epoch
    warmup = jnp.clip(state.step / jnp.maximum(warmup_steps, 1e-9), 0.0, 1.0)
    kl_weight = numbers.kl_weight * jnp.where(warmup_steps > 0, warmup, 1.0)

    def mean_loss(params: Params) -> tuple[Array, Terms]:
        terms = objective_terms(model, params, numbers, images, key, kl_weight)
        return jnp.sum(weights * terms.loss) / jnp.sum(weights), terms

    gradients, terms = jax.grad(mean_loss, has_aux=True)(state.params)
    optimizer = make_optimizer(model.config, numbers, steps_per_epoch)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    return TrainState(params, opt_state, state.step + 1, state.alive), _weighted_sums(terms, numbers, weights)


def objective_terms(
    model: Autoencoder, params: Params, numbers: Hyperparameters, images: Array, key: Array, kl_weight: Array
) -> Terms:
    """The objective's per-example terms for uint8[B, H, W] images, at that KL weight."""
    config = model.config
    sample_key, binarize_key = jax.random.split(key)
    pixels = binarize(config.binarization, images.astype(jnp.float32) / 255, binarize_key)
    return OBJECTIVES[config.model](
        partial(encode, model, params),
        partial(decode, model, params),
        LIKELIHOODS[config.likelihood],
        pixels,
        sample_key,
        kl_weight,
        numbers.free_bits,
    )


def batches(key: Array | None, num_images: int, batch_size: int) -> tuple[Array, Array]:
    """Each image once, in an order that the key draws (in their own order without one), in equal batches.

    Returns:
        indices int32[S, B] and weights float32[S, B]: the last batch is filled up with image 0 at weight 0, so that
        every image counts once and a short batch is a mean over its own images.
    """
    num_steps = -(-num_images // batch_size)
    order = jnp.arange(num_images) if key is None else jax.random.permutation(key, num_images)
    padding = num_steps * batch_size - num_images
    indices = jnp.pad(order, (0, padding)).reshape(num_steps, batch_size)
    weights = jnp.pad(jnp.ones(num_images), (0, padding)).reshape(num_steps, batch_size)
    return indices, weights


def make_optimizer(
    config: Config, numbers: Hyperparameters, steps_per_epoch: int
) -> optax.GradientTransformationExtraArgs:
    """The optax optimizer of one run; its numbers may be traced, so it is made anew inside each step."""
    learning_rate = make_schedule(config, numbers.learning_rate, steps_per_epoch)
    optimizers = {
        "adam": lambda: optax.adam(learning_rate),
        "adamw": lambda: optax.adamw(learning_rate, weight_decay=numbers.weight_decay),
        "rmsprop": lambda: optax.rmsprop(learning_rate),
        "sgd": lambda: optax.sgd(learning_rate, momentum=0.9),
    }
    clip = optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity()
    return optax.chain(clip, optimizers[config.optimizer]())


def make_schedule(config: Config, peak: Array, steps_per_epoch: int) -> optax.Schedule:
    """The learning rate after each number of gradient steps."""
    num_steps = config.num_epochs * steps_per_epoch
    match config.schedule:
        case "cosine":
            return optax.cosine_decay_schedule(peak, num_steps)
        case "warmup_cosine":
            warmup_steps = round(config.lr_warmup_epochs * steps_per_epoch)
            return optax.warmup_cosine_decay_schedule(0.0, peak, warmup_steps, num_steps)
        case _:
            return optax.constant_schedule(peak)


def _weighted_sums(terms: Terms, numbers: Hyperparameters, weights: Array) -> Metrics:
    loss = terms.distortion + numbers.kl_weight * terms.penalty
    return Metrics(*(jnp.sum(weights * values) for values in (loss, terms.distortion, terms.rate)))


def _run_keys(seed: Array) -> Array:
    """Three keys of a run: for its initial parameters, its training, and its evaluations."""
    return jax.random.split(jax.random.key(seed), 3)


def _all_finite(tree: Any) -> Array:
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]).all()


def _map_runs(function: Callable, shared: Any, runs: tuple, mesh: Mesh | None, runs_at_once: int) -> Any:
    """`function(shared, *run)` for each run of the leading axis, whose size is a multiple of the mesh's."""

    def on_a_device(shared: Any, runs: tuple) -> Any:
        # With a batch size of one, jax.lax.map would still vectorize (over one run), which costs XLA its best kernels.
        batch_size = runs_at_once if runs_at_once > 1 else None
        return jax.lax.map(lambda run: function(shared, *run), runs, batch_size=batch_size)

    return _on_devices(on_a_device, shared, runs, mesh)


def _update_runs(
    function: Callable, shared: Any, states: TrainState, numbers: Hyperparameters, mesh: Mesh | None, runs_at_once: int
) -> tuple[TrainState, Metrics]:
    """As `_map_runs`, for a function whose first result is the new state: written over the old one.

    `jax.lax.map` would collect the new states beside the old ones, which takes memory for as many runs again.
    """

    def on_a_device(shared: Any, runs: tuple[TrainState, Hyperparameters]) -> tuple[TrainState, Metrics]:
        states, numbers = runs
        num_runs = numbers.seed.shape[0]

        def update(states: TrainState, start: Array | int, size: int) -> tuple[TrainState, Metrics]:
            runs = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, start, size), (states, numbers))
            new, metrics = _vectorize(function, size)(shared, *runs)
            states = jax.tree.map(
                lambda leaf, part: jax.lax.dynamic_update_slice_in_dim(leaf, part, start, 0), states, new
            )
            return states, metrics

        starts = jnp.arange(0, num_runs - runs_at_once + 1, runs_at_once)
        states, metrics = jax.lax.scan(partial(update, size=runs_at_once), states, starts)
        metrics = jax.tree.map(jnp.ravel, metrics)
        if rest := num_runs % runs_at_once:
            states, last = update(states, num_runs - rest, rest)
            metrics = jax.tree.map(lambda *parts: jnp.concatenate(parts), metrics, last)
        return states, metrics

    return _on_devices(on_a_device, shared, (states, numbers), mesh)


def _vectorize(function: Callable, size: int) -> Callable:
    """`function(shared, *run)` for as many runs at once; over one, vmap would cost XLA its best kernels."""
    if size > 1:
        return jax.vmap(function, (None, 0, 0))

    def of_one(shared: Any, *runs: Any) -> Any:
        result = function(shared, *jax.tree.map(lambda leaf: leaf[0], runs))
        return jax.tree.map(lambda leaf: leaf[None], result)

    return of_one


def _on_devices(function: Callable, shared: Any, runs: tuple, mesh: Mesh | None) -> Any:
    """`function(shared, runs)` on each device of the mesh with its share of the runs."""
    if mesh is None:
        return function(shared, runs)
    specs = PartitionSpec(), PartitionSpec(mesh.axis_names)
    return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=specs[1], check_vma=False)(shared, runs)
