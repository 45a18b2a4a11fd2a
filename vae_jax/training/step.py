"""The jitted train step and epoch of k runs as one compiled program. Pure: nothing here touches the disk or the clock.

Runs with equal static fields share a program, and every function takes them along a leading axis of size k. Each PRNG
key is made from the run's seed and the epoch, so a run continues exactly from (Config, state, epoch).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from vae_jax.config import DYNAMIC_FIELDS, Config
from vae_jax.model.networks import Params, init_params, make_key
from vae_jax.model.objectives import Hyperparameters, Terms
from vae_jax.model.programs import Program, objective_terms, observed_pixels


class Best(NamedTuple):
    """The best epoch so far of a run with early stopping, by its validation loss."""

    params: Params
    loss: Array  # float32[k], nats per image
    age: Array  # int32[k], epochs since then


class TrainState(NamedTuple):
    """What an epoch changes."""

    params: Params
    opt_state: optax.OptState
    step: Array  # int32[k], gradient steps done
    alive: Array  # bool[k]; False for a run that diverged and is frozen
    best: Best | None = None  # None without early stopping


class Metrics(NamedTuple):
    """Means over images, nats per image; `loss` is the full objective, also while its penalty is warmed up."""

    loss: Array  # float32[k]
    distortion: Array  # float32[k]
    rate: Array  # float32[k]


def hyperparameters(configs: Sequence[Config]) -> dict[str, Array]:
    """Stacks the dynamic fields of k Configs: uint32[k] for the seed, float32[k] for the others."""
    return {
        name: jnp.array([getattr(config, name) for config in configs], jnp.uint32 if name == "seed" else jnp.float32)
        for name in DYNAMIC_FIELDS
    }


@partial(jax.jit, static_argnames="program")
def init_states(program: Program, hyperparameters: Hyperparameters) -> TrainState:
    """Draws each run's initial parameters from its seed, and initializes its optimizer."""

    def init(hyperparameters: Hyperparameters) -> TrainState:
        init_key, _, _ = _run_keys(hyperparameters["seed"])
        params = init_params(program.network, init_key)
        opt_state = make_optimizer(program.config, hyperparameters, steps_per_epoch=1).init(params)
        zero = jnp.zeros((), jnp.int32)
        best = Best(params, jnp.full((), jnp.inf), zero) if program.config.patience else None
        return TrainState(params, opt_state, zero, jnp.ones((), bool), best)

    return _over_runs(init)(hyperparameters)


@partial(jax.jit, static_argnames="program", donate_argnames="states")
def train_epoch(
    program: Program, images: Array, states: TrainState, hyperparameters: Hyperparameters, epoch: Array
) -> tuple[TrainState, Metrics]:
    """Trains each run for one pass over all images.

    A run whose loss or parameters stop being finite is frozen for good: it keeps the state from before this epoch, its
    metrics are NaN from then on, and the other runs are not affected. So is a run that early stopping has ended.

    Args:
        program: the static part of all runs.
        images: uint8[N, *image_shape], shared by the runs.
        states: the runs' states; donated.
        hyperparameters: the runs' dynamic fields.
        epoch: int32[], epochs done before this one.

    Returns:
        The new states, and means over the epoch's images, each with the parameters before its step.
    """

    def train(old: TrainState, hyperparameters: Hyperparameters) -> tuple[TrainState, Metrics]:
        _, train_key, _ = _run_keys(hyperparameters["seed"])
        shuffle_key, steps_key = jax.random.split(jax.random.fold_in(train_key, epoch))
        order, weights = batches(shuffle_key, images.shape[0], program.config.batch_size)
        num_steps = order.shape[0]

        def step(state: TrainState, inputs: tuple[Array, Array, Array]) -> tuple[TrainState, Metrics]:
            index, indices, weights = inputs
            key = jax.random.fold_in(steps_key, index)
            return train_step(program, state, hyperparameters, images[indices], weights, key, steps_per_epoch=num_steps)

        going = is_going(old, program.config.patience)
        new, sums = jax.lax.scan(step, old, (jnp.arange(num_steps), order, weights))
        means = jax.tree.map(lambda sum_: jnp.sum(sum_) / images.shape[0], sums)
        kept = going & _all_finite((new.params, means))
        state = jax.tree.map(lambda after, before: jnp.where(kept, after, before), new, old)
        metrics = jax.tree.map(lambda mean: jnp.where(kept, mean, jnp.nan), means)
        return state._replace(alive=old.alive & (kept | ~going)), metrics

    return _over_runs(train)(states, hyperparameters)


def is_going(states: TrainState, patience: int) -> Array:
    """Returns which runs another epoch would train: those that neither diverged nor were stopped early, bool[k]."""
    return states.alive if states.best is None else states.alive & (states.best.age < patience)


@partial(jax.jit, static_argnames="patience")
def keep_best(states: TrainState, loss: Array, patience: int) -> Best:
    """Keeps the parameters of each run's best epoch.

    Args:
        states: the states after an epoch, of runs that stop early.
        loss: float32[k], the validation loss with these states, nats per image.
        patience: epochs without a lower loss after which a run stops.

    Returns:
        The new `best` of the states. That of a run that is not trained any more stays as it is.
    """

    def keep(state: TrainState, loss: Array) -> Best:
        assert state.best is not None
        going = is_going(state, patience)
        better = Best(state.params, loss, jnp.zeros((), jnp.int32))
        worse = state.best._replace(age=state.best.age + going)
        is_better = going & (loss < state.best.loss)
        return jax.tree.map(lambda new, old: jnp.where(is_better, new, old), better, worse)

    result: Best = _over_runs(keep)(states, loss)
    return result


def final_params(states: TrainState) -> Params:
    """Returns the parameters that runs end with: of the best epoch with early stopping, of the last one without."""
    return states.params if states.best is None else states.best.params


@partial(jax.jit, static_argnames="program")
def evaluate(program: Program, images: Array, params: Params, hyperparameters: Hyperparameters) -> Metrics:
    """Computes each run's means over all images, nats per image.

    z, and dynamically binarized pixels, are drawn with a key that depends on the run's seed only.

    Args:
        program: the static part of all runs.
        images: uint8[N, *image_shape], shared by the runs.
        params: the runs' parameters.
        hyperparameters: the runs' dynamic fields.
    """

    def evaluate_run(params: Params, hyperparameters: Hyperparameters) -> Metrics:
        _, _, evaluation_key = _run_keys(hyperparameters["seed"])
        order, weights = batches(None, images.shape[0], program.config.batch_size)

        def step(_: None, inputs: tuple[Array, Array, Array]) -> tuple[None, Metrics]:
            index, indices, weights = inputs
            sample_key, binarize_key = jax.random.split(jax.random.fold_in(evaluation_key, index))
            pixels = observed_pixels(program, images[indices], binarize_key)
            terms = objective_terms(program, params, hyperparameters, pixels, weights, sample_key)
            return None, _weighted_sums(terms, weights)

        _, sums = jax.lax.scan(step, None, (jnp.arange(order.shape[0]), order, weights))
        return jax.tree.map(lambda sum_: jnp.sum(sum_) / images.shape[0], sums)

    return _over_runs(evaluate_run)(params, hyperparameters)


def train_step(
    program: Program, state: TrainState, hyperparameters: Hyperparameters, images: Array, weights: Array, key: Array,
    *, steps_per_epoch: int,
) -> tuple[TrainState, Metrics]:  # fmt: skip
    """Takes one gradient step of one run (without the leading axis) on the mean loss over the batch.

    Args:
        program: the static part of the run.
        state: of this run.
        hyperparameters: of this run.
        images: uint8[B, *image_shape].
        weights: float32[B], 1 for an image that counts and 0 for padding.
        key: PRNG key for ε and dynamic binarization; consumed.
        steps_per_epoch: gradient steps per epoch, the unit of the schedules.

    Returns:
        The new state, and the *sums* of the metrics over the images that count.
    """
    sample_key, binarize_key = jax.random.split(key)
    pixels = observed_pixels(program, images, binarize_key)
    warmup_steps = hyperparameters["kl_warmup_epochs"] * steps_per_epoch
    warmup = jnp.clip(state.step / jnp.maximum(warmup_steps, 1e-9), 0.0, 1.0)
    warmup = jnp.where(warmup_steps > 0, warmup, 1.0)

    def mean_loss(params: Params) -> tuple[Array, Terms]:
        terms = objective_terms(program, params, hyperparameters, pixels, weights, sample_key)
        return jnp.sum(weights * terms.loss(warmup)) / jnp.sum(weights), terms

    gradients, terms = jax.grad(mean_loss, has_aux=True)(state.params)
    optimizer = make_optimizer(program.config, hyperparameters, steps_per_epoch)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    state = state._replace(params=params, opt_state=opt_state, step=state.step + 1)
    return state, _weighted_sums(terms, weights)


def batches(key: Array | None, num_images: int, batch_size: int) -> tuple[Array, Array]:
    """Divides the indices of all images into batches of equal size.

    Args:
        key: PRNG key for the order; consumed. None keeps the images' own order.
        num_images: N.
        batch_size: the most images per batch.

    Returns:
        indices int32[S, B] and weights float32[S, B]. The last batch is padded with image 0 at weight 0, so each image
        counts once and a short batch is the mean over its own images.
    """
    batch_size = min(batch_size, num_images)
    num_steps = -(-num_images // batch_size)
    order = jnp.arange(num_images) if key is None else jax.random.permutation(key, num_images)
    padding = num_steps * batch_size - num_images
    indices = jnp.pad(order, (0, padding)).reshape(num_steps, batch_size)
    weights = jnp.pad(jnp.ones(num_images), (0, padding)).reshape(num_steps, batch_size)
    return indices, weights


def make_optimizer(
    config: Config, hyperparameters: Hyperparameters, steps_per_epoch: int
) -> optax.GradientTransformationExtraArgs:
    """Makes one run's optimizer. Its hyperparameters may be traced, so each step makes it anew."""
    learning_rate = make_schedule(config, hyperparameters["learning_rate"], steps_per_epoch)
    adam = {"b2": config.adam_b2, "eps": config.adam_epsilon}
    optimizers = {
        "adam": lambda: optax.adam(learning_rate, **adam),
        "adamw": lambda: optax.adamw(learning_rate, **adam, weight_decay=hyperparameters["weight_decay"]),
        "rmsprop": lambda: optax.rmsprop(learning_rate),
        "sgd": lambda: optax.sgd(learning_rate, momentum=0.9),
    }
    clip = optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity()
    return optax.chain(clip, optimizers[config.optimizer]())


def make_schedule(config: Config, peak: Array, steps_per_epoch: int) -> optax.Schedule:
    """Makes the learning rate's schedule, a function of the gradient steps done."""
    num_steps = config.num_epochs * steps_per_epoch
    match config.schedule:
        case "cosine":
            return optax.cosine_decay_schedule(peak, num_steps)
        case "warmup_cosine":
            warmup_steps = round(config.lr_warmup_epochs * steps_per_epoch)
            relative = optax.warmup_cosine_decay_schedule(0.0, 1.0, warmup_steps, num_steps)  # takes no traced peak
            return lambda step: peak * relative(step)
        case "multistep":
            factors = {epoch * steps_per_epoch: config.lr_factor for epoch in config.milestones}
            return optax.piecewise_constant_schedule(peak, factors)
        case _:
            return optax.constant_schedule(peak)


def _weighted_sums(terms: Terms, weights: Array) -> Metrics:
    return Metrics(*(jnp.sum(weights * values) for values in (terms.loss(), terms.distortion, terms.rate)))


def _run_keys(seed: Array) -> Array:
    """Makes a run's three keys: for its initial parameters, its training, and its evaluations."""
    return jax.random.split(make_key(seed), 3)


def _all_finite(tree: Any) -> Array:
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]).all()


def _over_runs(function: Callable) -> Callable:
    """Maps a function of one run over the leading axis of its arguments."""

    def mapped(*runs: Any) -> Any:
        if len(jax.tree.leaves(runs)[0]) > 1:
            return jax.vmap(function)(*runs)
        # Even over a single run, vmap would keep XLA on a CPU from its fastest kernels.
        result = function(*jax.tree.map(lambda leaf: leaf[0], runs))
        return jax.tree.map(lambda leaf: leaf[None], result)

    return mapped
