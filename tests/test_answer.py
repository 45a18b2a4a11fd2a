"""The answer is two sentences that say what the numbers and verdicts say and no more, in every language."""

from dataclasses import replace

import pytest
from test_verdicts import changed, pair, results_of

from vae_jax.claims.answer import answer
from vae_jax.claims.intervals import difference, mean_of
from vae_jax.claims.verdicts import judge
from vae_jax.config import Config
from vae_jax.report.page.language import Language

JITTER = (-0.1, 0.1)  # of two seeds


def told(results, _=str.format):
    return answer(results, judge(results), _)


def sentences(results, _=str.format):
    found = list(told(results, _).sentences)
    assert 1 <= len(found) <= 2
    assert len(" ".join(found).split()) <= 60
    return found


def at_dimensions(**margins):
    rows = {}
    for dims, margin in margins.items():
        rows |= {replace(config, latent_dim=int(dims[1:])): row for config, row in pair(margin).rows.items()}
    return results_of(rows)


def swept(**settings):
    """Runs of two seeds by their settings: each a Config and its numbers."""
    rows = {}
    for config, numbers in settings["runs"]:
        for seed, jitter in enumerate(JITTER):
            rows[replace(config, seed=seed)] = {name: value + jitter for name, value in numbers.items()}
    return results_of(rows)


def one_seed(results):
    return results_of({config: row for config, row in results.rows.items() if config.seed == 0})


def test_what_is_supported_is_gained_and_the_price_is_told():
    gained, paid = sentences(pair(3.0))
    assert gained.startswith(
        "At 2 dimensions, beside the AE, the VAE has N(0, I) samples nearer those of its codes (Fréchet"
    )
    assert gained.count("[") == 1
    verdict = judge(pair(3.0))[-1]
    low, high = verdict.estimate.interval()
    value = f"+{verdict.estimate.value:.2f} [{low:.2f}, {high:.2f}]"
    assert paid == f"It pays with worse reconstructions ({value} nats an image)."


def test_what_is_contradicted_is_said_as_plainly():
    first, second = sentences(pair(-3.0))
    assert "better reconstructions (-3.00 [-3.18, -2.82] nats an image)" in first
    assert second.startswith("It pays with N(0, I) samples farther from those of its codes")


def test_it_is_about_the_largest_dimension_and_the_rest_about_each():
    found = told(at_dimensions(z2=3.0, z16=-3.0))
    assert found.sentences[0].startswith("At 16 dimensions")
    rest = " ".join(found.rest)
    assert rest.index("At latent_dim 2, beside the AE, the VAE has N(0, I) samples") < rest.index(
        "At latent_dim 16, against"
    )


def test_what_is_level_or_not_resolved_or_not_judged_is_folded():
    nothing = "At 2 dimensions, no difference between VAE and AE is resolved."
    assert sentences(pair(0.0)) == sentences(pair(0.9, scale=12.0)) == [nothing]
    assert told(pair(0.0)).rest[0].startswith("No difference that matters: samples of N(0, I), samples of a fitted")
    assert told(pair(0.9, scale=12.0)).rest[0].startswith("Not resolved: samples")
    judged = changed(pair(3.0), "vae", reconstruction_implausible=0.9)
    assert told(judged).rest[-1] == "Not judged, as a model does not reconstruct: images between codes."


def test_one_seed_has_numbers_and_says_so():
    first, second = sentences(pair(3.0, seeds=1))
    assert first.startswith("At 2 dimensions, VAE / AE: samples of N(0, I)")
    assert "reconstruction 153 / 150" in first
    assert second == "One seed: no interval, no verdict."


def weights(*distortions, dims=16):
    values = zip((0.5, 1.0, 2.0), distortions, strict=True)
    return swept(runs=[
        (Config(latent_dim=dims, kl_weight=weight), {"test_distortion": value, "gaussian_hole_mass": 9 - 3 * weight})
        for weight, value in values
    ])  # fmt: skip


def test_kl_weights_say_what_is_gained_and_lost_between_which():
    first, second = sentences(weights(80.0, 90.0, 120.0))
    assert first.startswith("At 16 dimensions, KL weight 1 instead of 0.5 brings the VAE fewer holes (-1.50 [")
    cost = difference([80 + jitter for jitter in JITTER], [90 + jitter for jitter in JITTER])
    low, high = cost.interval()
    assert first.endswith(f", and costs +{cost.value:.2f} [{low:.2f}, {high:.2f}] nats of distortion.")
    assert second.startswith("From 1 to 2, it brings fewer holes, and costs +30.00 [")
    worse = weights(80.0, 90.0, 120.0)
    rows = {c: row | {"gaussian_hole_mass": c.kl_weight + 0.1 * c.seed} for c, row in worse.rows.items()}
    assert "brings the VAE nothing that is resolved, and costs" in sentences(results_of(rows))[0]
    alone = sentences(one_seed(worse))
    assert alone[0] == ("At 16 dimensions, the distortion of the VAE, in nats an image, is 79.9 at weight 0.5, 89.9 at "
                        "weight 1 and 119.9 at weight 2.")  # fmt: skip
    assert alone[1] == "One seed: no interval, no verdict."


def test_a_weight_at_which_a_model_does_not_reconstruct_is_left_out():
    values = {0.5: 80.0, 1.0: 85.0, 2.0: 90.0, 4.0: 145.0}  # of which the last gains 5 of 70 nats
    runs = [
        (Config(latent_dim=16, kl_weight=weight), {"test_distortion": value, "mean_image_distortion": 150.0})
        for weight, value in values.items()
    ]
    first, second = sentences(swept(runs=runs))
    assert "KL weight 1 instead of 0.5" in first
    assert second.startswith("From 1 to 2, it brings")


def dimensions(**distortions):
    return swept(runs=[
        (Config(model=model, latent_dim=dims), {"test_distortion": value})
        for model, values in distortions.items()
        for dims, value in zip((2, 4, 8), values, strict=True)
    ])  # fmt: skip


def test_dimensions_say_how_many_are_enough_for_each_model():
    vae, ae = sentences(dimensions(ae=(90.0, 70.0, 60.0), vae=(100.0, 80.0, 81.0)))
    assert vae.startswith("The VAE has enough with 4 dimensions: 8 change its distortion by +1.00 [")
    assert ae.startswith("The AE still gains with 8 dimensions, the most tried: -10.00 [")
    (vae,) = sentences(dimensions(vae=(100.0, 101.0, 80.0)))  # what helps later on is needed
    assert "still gains with 8" in vae
    (alone,) = sentences(one_seed(dimensions(vae=(100.0, 80.0, 81.0))))
    assert alone == ("With 2, 4 and 8 dimensions, the distortion of the VAE is 99.9, 79.9 and 80.9 nats an image (one "
                     "seed: no interval, no verdict).")  # fmt: skip


def test_ingredients_say_which_does_what():
    """Each number moves most with one of them, whatever the names of the experiment and of the settings are."""
    numbers = {
        "ae": (200.0, 0.9, 5.0, 80.0), "rae": (50.0, 0.8, 4.0, 82.0), "cv_vae": (55.0, 0.7, 1.0, 90.0),
        "vae": (54.0, 0.1, 0.9, 99.0),
    }  # fmt: skip
    names = ("prior_gap", "gaussian_hole_mass", "step_0_3_change", "test_distortion")
    rows = {
        Config(model=model, latent_dim=16, seed=seed): {
            name: value * (1 + 0.001 * seed) for name, value in zip(names, values, strict=True)
        }
        for model, values in numbers.items()
        for seed in (0, 1)
    }
    what, costs = sentences(results_of(rows))
    parts = (
        "the pull to 0 gives N(0, I) samples nearer",
        "noise gives smaller changes",
        "learning its size gives fewer holes",
    )
    pull, noise, learned = map(what.index, parts)
    assert what.startswith("At 16 dimensions, the pull")
    assert pull < noise < learned
    assert costs.startswith("In this order, they cost +2.00 [")
    assert len(told(results_of(rows)).rest) == 3


def test_it_is_about_the_last_model():
    results = pair(3.0)
    rows = {**results.rows, **{replace(c, model="rae"): row for c, row in results.rows.items() if c.model == "vae"}}
    rows = {config: row for config, row in rows.items() if config.seed == 0}
    assert "VAE / AE" in sentences(results_of(rows))[0]


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_single_run_says_what_it_is(seeds):
    rows = {Config(latent_dim=8, seed=seed): {"test_elbo": -100.0 - seed} for seed in range(seeds)}
    low, high = mean_of([-100.0 - seed for seed in range(3)]).interval()
    value = {
        1: "-100 nats an image (one seed: no interval, no verdict)",
        3: f"-101.0 [{low:.1f}, {high:.1f}] nats an image",
    }
    assert sentences(results_of(rows)) == [
        f"Trained on mnist_5k, the VAE of 8 dimensions has a test ELBO of {value[seeds]}."
    ]
    assert told(results_of({}, [Config()])).sentences == []


def test_an_answer_in_another_language_is_composed_of_the_same_sentences():
    gained, paid = told(pair(3.0), Language("ko")).sentences
    assert gained.startswith(
        "2차원에서 AE와 비교한 VAE의 장점: N(0, I) 표본이 자기 코드의 표본에 더 가까움(프레셰 거리 "
    )
    assert paid == "그 대가: 재구성이 더 나쁨(이미지당 +3.00 [2.82, 3.18] nat)."
