"""The answer says what its verdicts say and no more, in every language."""

from dataclasses import replace

from test_verdicts import changed, pair, results_of

from vae_jax.claims.answer import answer
from vae_jax.claims.verdicts import judge
from vae_jax.config import Config
from vae_jax.report.page.language import Language


def told(results, _=str.format):
    return answer(results, judge(results), _)


def at_dimensions(**margins):
    rows = {}
    for dims, margin in margins.items():
        rows |= {replace(config, latent_dim=int(dims[1:])): row for config, row in pair(margin).rows.items()}
    return results_of(rows)


def test_what_is_supported_is_gained_and_the_price_is_told():
    gained, price = told(pair(3.0))
    assert gained.startswith(
        "Beside the AE, the VAE has less to lose by sampling N(0, I) without a look at its codes ("
    )
    assert gained.endswith("and classes that cluster more.")
    assert price.startswith("The price: worse reconstructions (15")
    assert price.endswith("; difference 3.00 [2.82, 3.18]).")


def test_the_first_of_each_kind_has_its_numbers_and_interval():
    results = pair(3.0)
    verdict = judge(results)[-1]
    low, high = verdict.estimate.interval()
    (price,) = told(results)[1:]
    assert price.endswith(f"difference {verdict.estimate.value:.2f} [{low:.2f}, {high:.2f}]).")
    assert told(results)[0].count("[") == 1


def test_what_is_contradicted_is_said_as_plainly():
    lost, better = told(pair(-3.0))
    assert lost.startswith("Beside the AE, the VAE has more to lose by sampling N(0, I)")
    assert lost.endswith("against the claim.")
    assert better.startswith("Beside the AE, the VAE has better reconstructions (")


def test_what_is_level_or_not_resolved_or_not_judged_is_named():
    assert told(pair(0.0)) == [
        "No difference that matters: sampling without a look at the codes, samples of a fitted Gaussian, holes, small "
        "steps, images between codes, clusters and reconstruction."
    ]
    (text,) = told(pair(0.9, scale=12.0))
    assert text.startswith("Not resolved: sampling without")
    judged = changed(pair(3.0), "vae", reconstruction_implausible=0.9)
    assert told(judged)[-1] == "Not judged, as a model does not reconstruct: images between codes."


def test_one_seed_has_numbers_and_says_so():
    (text,) = told(pair(3.0, seeds=1))
    assert text.startswith("VAE against AE, one seed, so no interval and no verdict: sampling without")
    assert "reconstruction 153" in text


def test_one_seed_of_a_model_that_does_not_reconstruct_has_the_price_alone():
    results = pair(3.0, seeds=1)
    rows = {c: {**row, "test_distortion": row["mean_image_distortion"] - 1} if c.model == "vae" else row
            for c, row in results.rows.items()}  # fmt: skip
    numbers, not_judged = told(results._replace(rows=rows))
    assert numbers.startswith("VAE against AE, one seed, so no interval and no verdict: reconstruction")
    assert not_judged.startswith("Not judged, as a model does not reconstruct: sampling without")


def test_each_of_a_few_settings_has_its_sentences():
    text = " ".join(told(at_dimensions(z2=3.0, z16=-3.0)))
    assert text.index("At latent_dim 2, beside the AE, the VAE has less") < text.index("At latent_dim 16, beside")


def test_of_many_settings_it_is_counted_how_many():
    text = " ".join(told(at_dimensions(z2=3.0, z4=3.0, z8=3.0, z16=-3.0)))
    assert "fewer holes between its codes (in 3 of 4 settings)" in text
    assert "more holes between its codes (in 1 of 4 settings)" in text


def test_it_is_about_the_last_model():
    results = pair(3.0)
    rows = {**results.rows, **{replace(c, model="rae"): row for c, row in results.rows.items() if c.model == "vae"}}
    assert all("RAE" not in text for text in told(results_of(rows)))


def test_models_that_are_compared_with_nothing_are_told_one_by_one():
    rows = {Config(model="vae", latent_dim=dims, seed=seed): {"test_elbo": -dims - 100.0}
            for dims in (2, 4) for seed in (0, 1)}  # fmt: skip
    assert told(results_of(rows)) == ["Trained on mnist_5k, the VAE has a test ELBO of -104 to -102 nats per image."]
    assert told(results_of({}, [Config()])) == []


def test_an_answer_in_another_language_is_composed_of_the_same_sentences():
    gained, price = told(pair(3.0), Language("ko"))
    assert gained.startswith("AE 대비 VAE의 이득은 코드를 보지 않고 N(0, I)에서 뽑을 때 잃는 것이 적음(")
    assert gained.endswith("같은 클래스가 더 모여 있음.")
    assert price == "그 대가는 재구성이 더 나쁨(153.00, AE는 150.00, 차이 3.00 [2.82, 3.18])."
