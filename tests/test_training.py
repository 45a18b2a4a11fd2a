"""Training: every image once, unbiased short batches, keys, schedules, determinism, and runs that do not mix."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vae_jax.experiments.published import iwae_table_1

from vae_jax.config import FIELDS, Config
from vae_jax.measure import likelihood
from vae_jax.model import objectives
from vae_jax.model.networks import QUICK_COMPILATION
from vae_jax.model.programs import make_program
from vae_jax.models import MODELS
from vae_jax.training import step
from vae_jax.training.runs import trained_run

pytestmark = pytest.mark.usefixtures("cheap_compilation")

CONFIG = Config(hidden_dims=(), batch_size=8, num_epochs=4)
IMAGES = np.random.default_rng(0).integers(0, 256, (21, 6, 6), np.uint8)  # 21 = 8 + 8 + 5: the last batch is short


def train(configs, epochs=2, images=IMAGES):
    """Trains runs of one program for some epochs; returns program, hyperparameters, states and last metrics."""
    program = make_program(configs[0], images.shape[1:])
    hyperparameters = step.hyperparameters(configs)
    states = step.init_states(program, hyperparameters)
    for epoch in range(epochs):
        states, metrics = step.train_epoch(program, images, states, hyperparameters, np.int32(epoch))
    return program, hyperparameters, states, metrics


batches = jax.jit(step.batches, static_argnums=(1, 2))


def equal(a, b):
    return jax.tree.all(jax.tree.map(np.array_equal, a, b))


def run_of(tree, index):
    return jax.tree.map(lambda leaf: np.asarray(leaf)[index], tree)


def initial(config):
    """Returns the program of a run, its hyperparameters, and its state before training."""
    program, hyperparameters = make_program(config, IMAGES.shape[1:]), step.hyperparameters([config])
    return program, hyperparameters, step.init_states(program, hyperparameters)


@settings(max_examples=12)  # each new pair of sizes is a new program to compile
@given(st.integers(1, 200), st.integers(1, 64), st.integers(0, 2**31 - 1))
def test_every_image_once_an_epoch(num_images, batch_size, seed):
    indices, weights = batches(jax.random.key(seed), num_images, batch_size)
    batch_size = min(batch_size, num_images)  # a larger batch would be padding
    assert indices.shape == weights.shape == (-(-num_images // batch_size), batch_size)
    counted = np.asarray(indices)[np.asarray(weights) == 1]
    np.testing.assert_array_equal(np.sort(counted), np.arange(num_images))
    assert weights.sum() == num_images


def test_the_order_is_drawn_anew_each_epoch():
    orders = [np.asarray(batches(jax.random.key(seed), 500, 10)[0]) for seed in (0, 1)]
    assert not np.array_equal(*orders)
    in_order, _ = batches(None, 20, 8)
    np.testing.assert_array_equal(in_order.reshape(-1)[:20], np.arange(20))


def test_same_seed_same_run_bit_for_bit_and_another_seed_another():
    _, _, first, metrics = train([CONFIG])
    _, _, again, metrics_again = train([CONFIG])
    _, _, other, _ = train([dataclasses.replace(CONFIG, seed=1)])
    assert equal(first, again)
    assert equal(metrics, metrics_again)
    assert not equal(first.params, other.params)


def test_runs_trained_together_are_the_runs_alone():
    configs = [
        dataclasses.replace(CONFIG, seed=seed, kl_weight=kl_weight, learning_rate=rate)
        for seed, kl_weight, rate in ((0, 1.0, 1e-3), (1, 4.0, 1e-3), (0, 0.5, 1e-2))
    ]
    _, _, together, _ = train(configs)
    for index, config in enumerate(configs):
        _, _, alone, _ = train([config])
        # vmap sums in another order: 6 steps of Adam at float32 agree to about 1e-5 of a step of 1e-2.
        close = jax.tree.map(
            lambda a, b: np.allclose(a, b, rtol=1e-3, atol=1e-5),
            run_of(together.params, index), run_of(alone.params, 0),
        )  # fmt: skip
        assert jax.tree.all(close)


@pytest.fixture
def traced_anew(monkeypatch):
    """Traces the training of this test, with what it replaces, apart from that of other tests."""
    train_epoch = step.train_epoch.__wrapped__
    monkeypatch.setattr(step, "train_epoch", jax.jit(lambda *inputs: train_epoch(*inputs), static_argnums=0))


@pytest.fixture
def spied(monkeypatch, traced_anew):
    """Records the images and ε of each call of the VAE's objective, in order."""
    calls = []
    objective = objectives.vae_objective

    def spy(batch):
        eps_key = jax.random.wrap_key_data(jax.random.key_data(batch.key))
        zeros = jnp.zeros((len(batch.images), 2))
        eps = objectives.reparameterize(eps_key, zeros, zeros)  # the objective draws the same from the same key
        record = functools.partial(jax.debug.callback, lambda *values: calls.append(tuple(map(np.asarray, values))))
        record(batch.images, eps, ordered=True)
        return objective(batch)

    monkeypatch.setitem(MODELS, "vae", MODELS["vae"]._replace(objective=spy))
    return calls


def test_eps_and_dynamic_binarization_differ_by_example_by_step_and_by_epoch_and_threshold_does_not(spied):
    grey = np.full(IMAGES.shape, 128, np.uint8)
    train([dataclasses.replace(CONFIG, binarization="dynamic")], epochs=2, images=grey)
    jax.effects_barrier()
    assert len(spied) == 2 * 3
    eps = np.concatenate([call[1] for call in spied]).reshape(-1)
    assert len(np.unique(eps)) == len(eps) == 2 * 3 * 8 * 2
    binary = np.concatenate([call[0] for call in spied])
    assert set(np.unique(binary)) == {0.0, 1.0}
    assert len(np.unique(binary, axis=0)) == len(binary) == 2 * 3 * 8
    spied.clear()
    train([dataclasses.replace(CONFIG, binarization="threshold")], images=grey)
    jax.effects_barrier()
    assert all(np.all(call[0] == 1) for call in spied)


def test_kl_weight_rises_linearly_over_its_warmup(monkeypatch, traced_anew):
    weights = []
    loss = objectives.Terms.loss

    def spy(terms, warmup=1.0):
        if not isinstance(warmup, float):
            jax.debug.callback(lambda value: weights.append(float(value)), warmup, ordered=True)
        return loss(terms, warmup)

    monkeypatch.setattr(objectives.Terms, "loss", spy)
    train([dataclasses.replace(CONFIG, kl_weight=6.0, kl_warmup_epochs=2.0)], epochs=3)
    jax.effects_barrier()
    np.testing.assert_allclose(weights, np.array([0, 1, 2, 3, 4, 5, 6, 6, 6]) / 6, rtol=1e-6)
    weights.clear()
    train([dataclasses.replace(CONFIG, kl_weight=6.0)], epochs=1)
    jax.effects_barrier()
    assert weights == [1, 1, 1]  # without a warmup also in the first step


def test_reported_loss_is_the_full_objective_during_warmup():
    _, _, _, metrics = train([dataclasses.replace(CONFIG, kl_weight=6.0, kl_warmup_epochs=100.0)], epochs=1)
    np.testing.assert_allclose(metrics.loss, metrics.distortion + 6 * metrics.rate, rtol=1e-6)


@functools.partial(jax.jit, static_argnames="program")
def gradient_and_step(program, state, numbers):
    """Returns the gradient of the loss that a step on all images reports, and the parameters after that step."""

    def reported(params):
        before = state._replace(params=params)
        inputs = IMAGES, jnp.ones(len(IMAGES)), jax.random.key(9)
        after, sums = step.train_step(program, before, numbers, *inputs, steps_per_epoch=1)
        return sums.loss / len(IMAGES), after.params

    return jax.grad(reported, has_aux=True)(state.params)


@pytest.mark.parametrize("change", [{"kl_weight": 0.0}, {"free_bits": 100.0}])
def test_training_minimizes_the_loss_it_reports(change):
    """With the gradient at the initial parameters: SGD at rate 1 moves them by minus the gradient of the loss."""
    config = dataclasses.replace(CONFIG, batch_size=21, optimizer="sgd", learning_rate=1.0, binarization="none")
    config = dataclasses.replace(config, **change)
    program, hyperparameters, states = initial(config)
    before = run_of(states, 0)
    gradients, after = gradient_and_step(program, before, run_of(hyperparameters, 0))
    moved = jax.tree.map(np.subtract, before.params, after)
    close = jax.tree.map(lambda a, b: np.allclose(a, b, rtol=1e-3, atol=1e-5), moved, gradients)  # float32 differences
    assert jax.tree.all(close)


def compare_means(batch):
    """An autoencoder whose codes are pulled, as a batch, to a mean of 0, as a model that knows the prior may do."""
    network, images = batch.network, batch.images
    z = network.encode(images).mean
    mean = batch.weights @ z / jnp.sum(batch.weights)
    penalty = jnp.broadcast_to(100 * jnp.sum(jnp.square(mean)), batch.weights.shape)
    distortion = network.nll(network.decode(z), images)
    return objectives.Terms(distortion, jnp.zeros_like(distortion), penalty)


@pytest.fixture
def comparing(monkeypatch):
    """Makes the AE compare its batches as a whole."""
    monkeypatch.setitem(MODELS, "ae", MODELS["ae"]._replace(objective=compare_means))


def step_with_and_without_padding():
    """A step on 21 images padded to 32 equals a step on exactly those 21."""
    config = dataclasses.replace(CONFIG, model="ae", optimizer="sgd", learning_rate=0.01)  # an AE has no noise
    program, hyperparameters, states = initial(config)
    state, numbers = run_of(states, 0), run_of(hyperparameters, 0)
    train_step = jax.jit(functools.partial(step.train_step, program, steps_per_epoch=1))
    results = []
    for indices, weights in (
        (np.arange(21), np.ones(21)),
        (np.r_[np.arange(21), np.zeros(11, int)], np.arange(32) < 21),
    ):
        arguments = IMAGES[indices], jnp.float32(weights), jax.random.key(0)
        results.append(train_step(state, numbers, *arguments))
    (exact, exact_sums), (padded, padded_sums) = results
    close = jax.tree.map(lambda a, b: np.allclose(a, b, rtol=1e-5, atol=1e-6), padded.params, exact.params)
    assert jax.tree.all(close)  # the order of a float32 sum differs
    np.testing.assert_allclose(padded_sums.loss, exact_sums.loss, rtol=1e-5)


def test_a_short_batch_is_the_mean_over_its_own_images():
    step_with_and_without_padding()


@pytest.mark.usefixtures("comparing")
def test_images_that_fill_up_a_batch_do_not_change_what_is_said_of_the_batch():
    step_with_and_without_padding()


def test_losses_are_means_over_images_whatever_the_batches():
    ae = dataclasses.replace(CONFIG, model="ae")
    program, numbers, states = initial(ae)
    whole = [
        step.evaluate(make_program(dataclasses.replace(ae, batch_size=size), (6, 6)), IMAGES,
                          states.params, numbers).loss
        for size in (1, 8, 64)  # 64 are all images at once
    ]  # fmt: skip
    np.testing.assert_allclose(whole, np.broadcast_to(whole[0], (3, 1)), rtol=1e-5)
    x = IMAGES / 255
    apply = jax.jit(program.network.apply)
    logits = np.asarray(apply({"params": run_of(states.params, 0)}, jnp.float32(x)).logits, np.float64)
    expected = np.mean(np.sum(np.logaddexp(0, logits) - x * logits, axis=(1, 2)))
    np.testing.assert_allclose(whole[0][0], expected, rtol=1e-5)
    _, _, _, metrics = train([dataclasses.replace(ae, learning_rate=1e-9)], epochs=1)  # so is a training's
    np.testing.assert_allclose(metrics.loss, [expected], rtol=1e-5)


def test_evaluations_repeat():
    program, numbers, states, _ = train([CONFIG])
    first, second = (step.evaluate(program, IMAGES, states.params, numbers) for _ in range(2))
    assert equal(first, second)


def test_schedules():
    def rates(schedule, **kwargs):
        config = dataclasses.replace(CONFIG, schedule=schedule, num_epochs=10, **kwargs)
        return np.array([step.make_schedule(config, jnp.float32(0.5), 4)(count) for count in range(41)])

    t = np.arange(41)
    np.testing.assert_allclose(rates("constant"), 0.5)
    np.testing.assert_allclose(rates("cosine"), 0.25 * (1 + np.cos(np.pi * t / 40)), rtol=1e-5, atol=1e-7)
    steps = rates("multistep", milestones=(1, 3, 100), lr_factor=0.2)  # of 4 gradient steps an epoch
    np.testing.assert_allclose(steps, 0.5 * np.r_[np.ones(4), np.full(8, 0.2), np.full(29, 0.04)], rtol=1e-6)
    part = rates("warmup_cosine", lr_warmup_epochs=1.75)  # of an epoch, 7 steps in all
    np.testing.assert_allclose(part[:8], 0.5 * t[:8] / 7, rtol=1e-6)
    np.testing.assert_allclose(part[7:], 0.25 * (1 + np.cos(np.pi * (t[7:] - 7) / 33)), rtol=1e-5, atol=1e-7)
    warm = rates("warmup_cosine", lr_warmup_epochs=2.0)
    np.testing.assert_allclose(warm[:9], 0.5 * t[:9] / 8, rtol=1e-6)
    np.testing.assert_allclose(warm[8:], 0.25 * (1 + np.cos(np.pi * (t[8:] - 8) / 32)), rtol=1e-5, atol=1e-7)


def test_the_milestones_of_the_iwae_paper_are_its_stages():
    """Stage i = 0, ..., 7 lasts 3^i epochs at a rate of 0.001 · 10^(-i/7)."""
    config = iwae_table_1.EXPERIMENT.base
    assert config.num_epochs == 364
    rates = step.make_schedule(config, jnp.float32(config.learning_rate), 1)
    expected = [1e-3 * 10 ** (-stage / 7) for stage in range(8) for _ in range(3**stage)]
    np.testing.assert_allclose(jax.vmap(rates)(jnp.arange(len(expected))), expected, rtol=1e-5)


def test_every_schedule_and_optimizer_takes_traced_numbers():
    """As a sweep gives them, which a test of values does not see."""
    params = {"w": jnp.zeros(2)}
    for schedule in FIELDS["schedule"].metadata["choices"]:
        for optimizer in FIELDS["optimizer"].metadata["choices"]:
            config = dataclasses.replace(CONFIG, schedule=schedule, optimizer=optimizer, milestones=(1,))

            def update(numbers, config=config):
                made = step.make_optimizer(config, numbers, 4)
                return made.update(params, made.init(params), params)

            jax.eval_shape(update, run_of(step.hyperparameters([config]), 0))


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("adam", lambda: optax.adam(0.1, b2=0.9, eps=0.01)),
        ("adamw", lambda: optax.adamw(0.1, b2=0.9, eps=0.01, weight_decay=0.3)),
        ("rmsprop", lambda: optax.rmsprop(0.1)), ("sgd", lambda: optax.sgd(0.1, momentum=0.9)),
    ],
)  # fmt: skip
def test_optimizers_are_optax_with_the_numbers_of_the_run(name, oracle):
    config = dataclasses.replace(
        CONFIG, optimizer=name, learning_rate=0.1, weight_decay=0.3, adam_b2=0.9, adam_epsilon=0.01
    )
    optimizer = step.make_optimizer(config, run_of(step.hyperparameters([config]), 0), 1)
    params = {"w": jnp.array([1.0, -2.0])}
    state, expected_state = optimizer.init(params), oracle().init(params)
    for gradient in ([0.5, 1.0], [-3.0, 0.1]):
        updates, state = optimizer.update({"w": jnp.array(gradient)}, state, params)
        expected, expected_state = oracle().update({"w": jnp.array(gradient)}, expected_state, params)
        np.testing.assert_allclose(updates["w"], expected["w"], rtol=1e-6)


def test_models_of_one_seed_start_from_the_same_parameters():
    """Bit for bit, but for the head of the log-variance, which only some models have."""
    starts = {}
    for model in MODELS:
        config = dataclasses.replace(CONFIG, model=model)
        states = step.init_states(make_program(config, (6, 6)), step.hyperparameters([config]))
        starts[model] = states.params
    for params in starts.values():
        params["encoder"].pop("logvar", None)
        assert equal(params, starts["ae"])


def test_a_pull_and_a_decay_and_a_noise_of_nothing_are_the_autoencoder():
    """An epoch of each, ending at the same parameters."""
    changes = ({"model": "ae"}, {"model": "rae", "kl_weight": 0.0, "decoder_l2": 0.0},
               {"model": "cv_vae", "kl_weight": 0.0, "noise_sd": 1e-6})  # fmt: skip
    ae, rae, cv_vae = (train([dataclasses.replace(CONFIG, **change)], epochs=1)[2].params for change in changes)
    close = jax.tree.map(lambda a, b, c: np.allclose(a, b, atol=1e-6) and np.allclose(a, c, atol=1e-4), ae, rae, cv_vae)
    assert jax.tree.all(close)  # the noise moves a code by 1e-6, and Adam a weight by up to 1e-3 a step


@pytest.mark.parametrize("count", [1, 2])
def test_the_best_epoch_is_kept_and_ends_a_run_that_does_not_improve(count):
    """With losses that a test makes up, for a run alone and for two together; the second is 10 nats above."""
    patience = 3
    params, ages = {"w": np.zeros((count, 3), np.float32)}, np.zeros(count, np.int32)
    best = step.Best(params, np.full(count, np.inf, np.float32), ages)
    states, seen = step.TrainState(params, (), ages, np.ones(count, bool), best), []
    # The best of the first four is the second, not the third, which is no lower; three epochs without.
    for epoch, loss in enumerate([9.0, 5.0, 5.0, 7.0, np.nan, 1.0, 0.5], 1):
        states = states._replace(params={"w": np.full((count, 3), epoch, np.float32)})
        losses = np.float32([loss + 10 * run for run in range(count)])
        states = states._replace(best=step.keep_best(states, losses, patience))
        seen.append(step.is_going(states, patience).tolist())
    assert seen == [[going] * count for going in (True, True, True, True, False, False, False)]
    np.testing.assert_array_equal(states.best.loss, [5.0 + 10 * run for run in range(count)])
    np.testing.assert_array_equal(states.best.age, [patience] * count)  # of the epoch that ended the run
    np.testing.assert_array_equal(step.final_params(states)["w"], np.full((count, 3), 2))
    assert step.final_params(states._replace(best=None)) is states.params


def with_rates(*rates):
    """Runs of one program that may diverge, and may stop early."""
    return [dataclasses.replace(CONFIG, optimizer="sgd", patience=2, learning_rate=rate) for rate in rates]


def test_a_run_that_was_stopped_is_frozen_and_has_not_diverged():
    configs = with_rates(1e-3, 1e-3, 1e-4)
    program, numbers = make_program(configs[0], (6, 6)), step.hyperparameters(configs)
    before = step.init_states(program, numbers)
    assert equal(before.best, step.Best(before.params, np.full(3, np.inf), np.zeros(3)))
    before = before._replace(best=before.best._replace(age=np.array([2, 1, 0], np.int32)))
    copy = jax.tree.map(np.array, before)
    after, metrics = step.train_epoch(program, IMAGES, before, numbers, np.int32(0))
    assert equal(run_of(after, 0), run_of(copy, 0))
    for index in (1, 2):
        assert not equal(run_of(after.params, index), run_of(copy.params, index))
    np.testing.assert_array_equal(after.alive, [True, True, True])
    np.testing.assert_array_equal(np.isfinite(metrics.loss), [False, True, True])


def test_gradients_are_clipped_by_their_global_norm():
    config = dataclasses.replace(CONFIG, optimizer="sgd", learning_rate=0.1, clip_norm=2.0)
    optimizer = step.make_optimizer(config, run_of(step.hyperparameters([config]), 0), 1)
    params = {"w": jnp.zeros(2)}
    updates, _ = optimizer.update({"w": jnp.array([30.0, 40.0])}, optimizer.init(params), params)
    np.testing.assert_allclose(updates["w"], [-0.12, -0.16], rtol=1e-6)  # the step is shorter than what is clipped


@pytest.mark.parametrize(
    ("architecture", "model", "likelihood"),
    [
        ("mlp", "vae", "continuous_bernoulli"), ("mlp", "rae", "gaussian"), ("mlp", "cv_vae", "bernoulli"),
        ("conv", "ae", "bernoulli"), ("conv", "vae", "learned_gaussian"),
    ],
)  # fmt: skip
def test_training_lowers_the_loss(architecture, model, likelihood):
    rows = np.tile(np.arange(8, dtype=np.uint8)[:, None, None] * 36, (1, 8, 8))  # eight even shades
    config = Config(
        architecture=architecture, model=model, likelihood=likelihood, hidden_dims=(), conv_features=(8,),
        batch_size=4, num_epochs=30, learning_rate=3e-3,
    )  # fmt: skip
    trained, numbers, states, first = train([config], epochs=1, images=rows)
    for epoch in range(1, 12):
        states, last = step.train_epoch(trained, rows, states, numbers, np.int32(epoch))
    assert np.isfinite(last.loss)
    assert last.loss < first.loss


def test_a_run_that_diverges_is_frozen_and_the_others_are_not_affected():
    configs, sound = with_rates(1e-3, 1e6, 1e-4), with_rates(1e-3, 1e-5, 1e-4)
    _, _, together, metrics = train(configs, epochs=3)
    _, _, expected, _ = train(sound, epochs=3)
    np.testing.assert_array_equal(together.alive, [True, False, True])
    np.testing.assert_array_equal(np.isfinite(metrics.loss), [True, False, True])
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(together.params))
    for index in (0, 2):
        assert equal(run_of(together, index), run_of(expected, index))
    # The frozen state is the one from before the epoch in which the run diverged, here the second.
    _, _, before, _ = train(configs, epochs=1)
    last = run_of(before, 1)
    assert last.alive
    assert equal(run_of(together, 1), last._replace(alive=False))


def test_a_run_whose_parameters_overflow_after_its_last_finite_loss_has_diverged():
    """One batch: its loss is of the parameters before the step, which here adds a momentum of infinity."""
    config = dataclasses.replace(CONFIG, optimizer="sgd", batch_size=len(IMAGES))
    program, numbers, before = initial(config)
    leaves, structure = jax.tree.flatten(jax.tree.map(np.array, before.opt_state))
    of_floats = [np.issubdtype(leaf.dtype, np.floating) for leaf in leaves]
    assert any(of_floats)
    for leaf, is_float in zip(leaves, of_floats, strict=True):
        leaf[...] = np.inf if is_float else leaf
    before = before._replace(opt_state=jax.tree.unflatten(structure, leaves))
    copy = jax.tree.map(np.array, before)
    after, metrics = step.train_epoch(program, IMAGES, before, numbers, np.int32(0))
    np.testing.assert_array_equal(after.alive, [False])
    np.testing.assert_array_equal(metrics.loss, [np.nan])
    assert equal(after.params, copy.params)


IMAGE_BYTES = 60_000 * 28 * 28


def lowered(config, count, num_images):
    """Returns an epoch of so many runs on images of 28 x 28 pixels, not compiled, and the bytes of their states."""
    program, hyperparameters = make_program(config, (28, 28)), step.hyperparameters([config] * count)
    states = jax.eval_shape(functools.partial(step.init_states, program), hyperparameters)
    images = jax.ShapeDtypeStruct((num_images, 28, 28), np.uint8)
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(states))
    return step.train_epoch.lower(program, images, states, hyperparameters, np.int32(0)), size


def test_runs_trained_together_share_their_images_and_new_states_are_written_over_the_old_ones():
    """Seven more runs take less memory than one more copy of the images."""
    sizes = []
    for count in (1, 8):
        epoch, of_states = lowered(Config(model="ae", hidden_dims=()), count, 60_000)
        found = epoch.compile().memory_analysis()
        assert found.alias_size_in_bytes >= of_states
        sizes.append(found.argument_size_in_bytes + found.temp_size_in_bytes + found.output_size_in_bytes)
    assert sizes[0] > IMAGE_BYTES
    assert sizes[1] - sizes[0] < IMAGE_BYTES


def test_a_batch_larger_than_the_data_set_takes_no_more_memory():
    """It is the program of a batch of all images."""
    exact, larger = (lowered(Config(model="ae", batch_size=size), 1, 60)[0].as_text() for size in (60, 200_000))
    assert exact == larger


def test_parameters_are_the_same_bits_however_quickly_their_program_is_compiled():
    """Those of a dense layer, which are uniform, and of a convolution, which are normal."""
    config = Config(architecture="conv", model="ae", conv_features=(8,), hidden_dims=())
    program, hyperparameters = make_program(config, (28, 28)), step.hyperparameters([config])
    drawing = step.init_states.lower(program, hyperparameters)
    slowly, quickly = drawing.compile({"xla_backend_optimization_level": "3"}), drawing.compile(QUICK_COMPILATION)
    expected, found = slowly(hyperparameters), quickly(hyperparameters)
    assert jax.tree.all(jax.tree.map(np.array_equal, expected, found))


@pytest.fixture
def cleared():
    """Forgets the programs of evaluations with another objective, those of other tests and then its own."""
    jax.clear_caches()
    yield
    jax.clear_caches()


@pytest.mark.usefixtures("cleared", "comparing")
def test_an_evaluation_says_of_each_batch_what_its_own_images_are():
    """21 images in batches of 8, 8 and 5: each image has the penalty of its batch, in float64 NumPy from the codes."""
    config = dataclasses.replace(CONFIG, model="ae")
    program, numbers, states = initial(config)
    found = step.evaluate(program, IMAGES, states.params, numbers)
    run = trained_run(config, program, run_of(states.params, 0))
    z = run.encode(IMAGES).mean.astype(np.float64)
    penalties = [100 * np.square(z[start : start + 8].mean(axis=0)).sum() for start in (0, 8, 16)]
    expected = np.repeat(penalties, [8, 8, 5])
    np.testing.assert_allclose((found.loss - found.distortion)[0], expected.mean(), rtol=1e-3)  # of 500 nats in float32
    terms = likelihood.elbo_terms(run, likelihood.evaluation_pixels(run, IMAGES))
    np.testing.assert_allclose(terms.penalty, expected, rtol=1e-5)
    numbers = likelihood.evaluate_likelihood(run, IMAGES, IMAGES, num_samples=1)
    np.testing.assert_allclose(numbers["test_loss"], found.loss[0], rtol=1e-6)
