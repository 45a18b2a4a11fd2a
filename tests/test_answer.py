"""The answer says what its verdicts say and no more, in every language."""

import dataclasses
import string

import pytest
from test_verdicts import pair, results_of

from vae_jax import answer_texts
from vae_jax.answer import FITTED, GAINS, PRICES, SAMPLES, answer
from vae_jax.answer_texts import LANGUAGES
from vae_jax.claims import AS_GOOD, CLAIMS
from vae_jax.config import Config
from vae_jax.measurements import MEASUREMENTS
from vae_jax.verdicts import CONTRADICTED, LEVEL, NOT_RESOLVED, SUPPORTED, judge_claims

SAYS = {name: says for claim in CLAIMS for name, says in claim.says.items()}
SMOOTH, PRICE, NOISE = GAINS[0], *PRICES
NAMES = (SAMPLES, *GAINS, *PRICES, FITTED)


def told(results, language="en"):
    return answer(results, judge_claims(results), language)


def favourable(margins=3.0, **others):
    """Differences, in margins, that support every claim; `others` replaces some."""
    signs = {"higher": margins, "lower": -margins, AS_GOOD: 0.0}
    return {name: signs[SAYS[name]] for name in NAMES} | others


def shift(results, difference, **changes):
    """The runs of another setting, with their numbers moved; results hold both."""
    moved = {
        dataclasses.replace(config, **changes): {name: number + difference for name, number in row.items()}
        for config, row in results.rows.items()
    }
    return results_of({**results.rows, **moved})


# The texts.


def leaves(value, path=()):
    """Every text of a language by where it stands."""
    if isinstance(value, str):
        return {path: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {key: text for name, part in items for key, text in leaves(part, (*path, name)).items()}


def placeholders(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def texts_of(language):
    fields = {name: value for name, value in LANGUAGES[language]._asdict().items() if name != "counts"}
    return leaves(fields)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_language_has_every_text_with_the_placeholders_of_english(language):
    texts, english = texts_of(language), texts_of("en")
    assert texts.keys() == english.keys()
    for key, text in texts.items():
        assert text.strip(), key
        # What is said of the price alone does not name the baseline in every language.
        assert placeholders(text) - {"baseline"} == placeholders(english[key]) - {"baseline"}, key


def test_korean_is_korean():
    for key, text in texts_of("ko").items():
        if placeholders(text) <= {"what", "model", "baseline", "value", "other"} and key != ("separator",):
            assert any("가" <= letter <= "힣" for letter in text), key


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_verdict_that_is_possible_has_a_statement(language):
    assert set(LANGUAGES[language].statements) == set(NAMES)
    for name, statements in LANGUAGES[language].statements.items():
        possible = {SUPPORTED, CONTRADICTED, LEVEL, NOT_RESOLVED} - ({LEVEL} if SAYS[name] == AS_GOOD else set())
        assert set(statements) == possible


# What is said.


def test_three_sentences_say_what_is_bought_and_what_it_costs():
    assert told(pair(favourable())) == [
        "The VAE’s samples from N(0, I) are nearer to real images than the AE’s (Fréchet distance 235.0 against "
        "250.0).",
        "A small step in the latent space changes the VAE’s decode less than the AE’s (0.9400 against 1.0000 of the "
        "variance of decodes).",
        "The price: even from its mean codes, the VAE reconstructs worse than the AE (distortion 53.00 against 50.00 "
        "nats per image); "
        "drawing a code costs the VAE 26.50 nats of reconstruction per image; with a mixture of Gaussians fitted to "
        "its codes, the AE samples as well as the VAE (Fréchet distance 250.0 against 250.0).",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "margins", "verdict", "words"),
    [
        (SAMPLES, 3.0, CONTRADICTED, "farther from real images than the AE’s"),
        (SAMPLES, 0.1, LEVEL, "no difference that matters (Fréchet"),
        (SMOOTH, 3.0, CONTRADICTED, "changes the VAE’s decode more than"),
        (SMOOTH, 0.1, LEVEL, "as much as the AE’s, with no difference that matters"),
        (PRICE, -3.0, CONTRADICTED, "From its mean codes, the VAE reconstructs better"),
        (
            PRICE,
            0.1,
            LEVEL,
            "From its mean codes, the VAE reconstructs as well as the AE, with no difference",
        ),
        (FITTED, -3.0, CONTRADICTED, "ven with a mixture of Gaussians fitted to its codes, the AE samples worse"),
    ],
)
def test_a_contradicted_claim_is_turned_round_and_a_level_one_is_no_difference(name, margins, verdict, words):
    differences = {name: margins}
    results = pair(differences)
    assert [row.verdict for row in judge_claims(results)] == [verdict]
    (sentence,) = told(results)
    assert words in sentence
    assert "The price" not in sentence
    assert "resolve" not in sentence


@pytest.mark.parametrize(("seeds", "words"), [(1, "one seed does not resolve"), (2, "two seeds do not resolve")])
def test_what_is_not_resolved_is_said_to_be_so_with_the_number_of_seeds(seeds, words):
    rows = {
        config: {name: number * (1 + 0.9 * config.seed * (config.model == "vae")) for name, number in row.items()}
        for config, row in pair(favourable(), seeds=seeds).rows.items()
    }
    results = results_of(rows)
    assert {row.verdict for row in judge_claims(results)} == {NOT_RESOLVED}
    sentences = told(results)
    assert len(sentences) == 3
    for part in "; ".join(sentences).split("; "):
        assert part.lower().startswith(words)
    assert "price" not in " ".join(sentences)


def test_a_missing_number_leaves_the_statement_open():
    results = pair({SAMPLES: -3.0})
    results.rows[Config(model="vae", seed=1)][SAMPLES] = None
    assert told(results) == [
        "A run without a finite number leaves open whether the VAE’s samples from N(0, I) are nearer to real images "
        "than the AE’s (Fréchet distance – against 250.0)."
    ]


def test_what_is_resolved_comes_before_what_is_not():
    results = pair(favourable())
    for config, row in results.rows.items():
        if config.model == "vae":
            row[SAMPLES] = 250.0 + (-1) ** config.seed * 100.0
    first, second, _ = told(results)
    assert first.startswith("A small step")
    assert second.startswith("Five seeds do not resolve whether the VAE’s samples from N(0, I)")
    nothing = told(results_of({config: {SAMPLES: row[SAMPLES]} for config, row in results.rows.items()}))
    assert nothing[0].startswith("Five seeds do not resolve whether the VAE’s samples")


def test_the_gain_is_the_one_that_is_supported_most_firmly_where_smoothness_is_not():
    assert told(pair(favourable(**{SMOOTH: -1.5})))[1].startswith("A small step")  # which is the least firm
    told_of_gain = told(pair(favourable(**{SMOOTH: 0.1, "silhouette": 0.1})))[1]
    assert told_of_gain.startswith("The VAE’s codes are shaped more like a Gaussian")
    assert "step" not in told_of_gain
    differences = dict.fromkeys(GAINS, 0.1)
    assert told(pair(differences))[0].startswith("A small step in the latent space changes the VAE’s decode as much")


def test_no_gain_hides_that_smoothness_is_contradicted_and_no_price_that_another_is_negative():
    _, gain, price = told(pair(favourable(**{SMOOTH: 3.0, PRICE: -3.0})))
    assert "; a small step in the latent space changes the VAE’s decode more than the AE’s" in gain
    assert price.startswith("The price: drawing a code costs the VAE")
    assert "; from its mean codes, the VAE reconstructs better than the AE" in price


def test_samples_that_are_nowhere_near_are_said_to_be_so():
    results = pair({SAMPLES: -3.0, "prior_frechet_over_floor": -3.0})
    assert told(results)[0].endswith("(Fréchet distance 235.0 against 250.0); neither model’s are near.")
    for config, row in results.rows.items():
        row["prior_frechet_over_floor"] /= 20 if config.model == "vae" else 1
    assert "neither" not in told(results)[0]


def test_settings_are_named_or_counted():
    results = pair({SAMPLES: -3.0, NOISE: 3.0})
    same = told(shift(results, 100.0, latent_dim=16))
    assert same[0] == (
        "In each of two settings, the VAE’s samples from N(0, I) are nearer to real images than the AE’s "
        "(Fréchet distance 235.0 to 335.0 against 250.0 to 350.0)."
    )
    assert same[1].startswith("The price: in each of two settings, drawing a code costs the VAE 26.50 to 126.50 nats")
    turned = {
        dataclasses.replace(config, latent_dim=16, model={"ae": "vae", "vae": "ae"}[config.model]): row
        for config, row in pair({SAMPLES: -3.0}).rows.items()
    }
    mixed = told(results_of({**pair({SAMPLES: -3.0}).rows, **turned}))
    assert mixed == [
        "At latent_dim 2, the VAE’s samples from N(0, I) are nearer to real images than the AE’s (Fréchet distance "
        "235.0 "
        "against 250.0); at latent_dim 16, the VAE’s samples from N(0, I) are farther from real images than the AE’s "
        "(Fréchet distance 250.0 against 235.0)."
    ]
    third = shift(results_of({**pair({SAMPLES: -3.0}).rows, **turned}), 0.0, hidden_dims=(8,))
    assert told(third)[0].startswith("In two of four settings, the VAE’s samples from N(0, I) are nearer")


def test_of_several_models_the_answer_is_about_the_two_that_lie_farthest_apart():
    two, rows = pair({SAMPLES: -3.0}).rows, {}
    for model in ("rae", "cv_vae"):
        rows |= {dataclasses.replace(c, model=model): {SAMPLES: row[SAMPLES] + 400} for c, row in two.items()}
    rows |= two
    assert told(results_of(rows)) == told(pair({SAMPLES: -3.0}))


# Without a comparison.


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("vae", "Trained on mnist_5k, the VAE has a test ELBO of -160.2 nats per image."),
        ("ae", "Trained on mnist_5k, the AE has a test distortion of 150.2 nats per image."),
    ],
)
def test_a_single_run_is_described_by_its_main_number(model, text):
    numbers = {"test_elbo": -160.2} if model == "vae" else {}
    assert told(results_of({Config(model=model): {"test_distortion": 150.2, **numbers}})) == [text]


def test_a_sweep_of_one_model_is_described_by_the_range_of_its_main_number():
    rows = {Config(kl_weight=weight): {"test_elbo": -160.2 - weight} for weight in (1.0, 2.0, 4.0)}
    assert told(results_of(rows)) == [
        "Trained on mnist_5k in three settings, the VAE has a test ELBO of -164.2 to -161.2 nats per image."
    ]


def test_nothing_is_said_of_runs_without_numbers():
    assert told(results_of({}, [Config()])) == []
    assert told(results_of({Config(): {"test_elbo": None}})) == []


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_no_placeholder_is_left_in_any_language(language):
    for results in (
        pair(favourable()), pair(0.1, names=NAMES), pair(favourable(-3.0)), pair(favourable(), seeds=1),
        shift(pair(favourable()), 100.0, latent_dim=16), results_of({Config(): {"test_elbo": -160.2}}),
    ):  # fmt: skip
        sentences = told(results, language)
        assert sentences
        for sentence in sentences:
            assert sentence.endswith(".")
            assert not set(sentence) & set("{}")


def test_statements_are_about_measurements():
    assert set(answer_texts.ENGLISH.statements) <= set(MEASUREMENTS)
