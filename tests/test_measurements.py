"""Every number has one entry, and every entry is complete."""

import pytest

from vae_jax.claims import CLAIMS, DOSE_RESPONSE
from vae_jax.measurements import MEASUREMENTS, RECORD_KEYS, SAMPLERS
from vae_jax.results import SUMMARY

OF_SAMPLERS = (
    "frechet", "frechet_relative", "frechet_over_floor", "kid", "kid_error", "precision", "recall", "density",
    "coverage", "confidence", "class_entropy",
)  # fmt: skip
SHARES = ("implausible", "implausible_error", "implausible_excess", "implausible_excess_error")
OF_LIKELIHOODS = (
    "sampled", "sampled_error", "sampled_resolved", "samples", "images", "exact", "exact_error", "exact_resolved",
)  # fmt: skip
EVALUATED = {
    "test_loss", "test_distortion", "test_mse", "test_rate", "test_elbo", "test_mutual_information",
    "test_marginal_kl", "test_kl_per_dimension", "test_active_units", "test_posterior_kl",
    *(f"test_{kind}_{name}" for kind in ("log_likelihood", "not_a_likelihood") for name in OF_LIKELIHOODS),
    "posterior_width", "codes_outside_2sd", "mmd_prior", "kl_prior_knn", "knn_accuracy", "silhouette", "nmi",
    "cycle_error", *(f"step_{length}_{what}" for length in ("0_1", "0_3", "1_0") for what in ("change", "flips")),
    "reconstruction_implausible", "reconstruction_implausible_error",
    *(f"{name}_{what}" for name in ("prior", "gaussian", "mixture", "aggregate", "midpoint") for what in SHARES),
    *(f"{sampler}_{name}" for sampler in ("prior", "gaussian", "mixture", "aggregate") for name in OF_SAMPLERS),
    "classifier_accuracy", "frechet_floor",
}  # fmt: skip


def test_every_number_has_an_entry_and_every_entry_is_a_number():
    assert set(MEASUREMENTS) == EVALUATED | {"diverged_epoch", "validation_elbo", "train_seconds"}
    assert not set(MEASUREMENTS) & set(RECORD_KEYS)


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_an_entry_is_complete(name):
    entry = MEASUREMENTS[name]
    assert name.isidentifier()
    assert entry.label
    assert "{" not in entry.label + entry.meaning
    assert entry.meaning[0] in "-l" or entry.meaning[0].isupper()  # a formula may begin with -log or log
    assert entry.meaning.endswith(".")
    assert entry.better in ("higher", "lower", None)
    assert entry.kind in (float, int, bool, list)


def test_labels_tell_measurements_apart():
    assert len({entry.label for entry in MEASUREMENTS.values()}) == len(MEASUREMENTS)


def test_the_loop_over_samplers_fills_in_each_sampler():
    assert set(SAMPLERS) == {"prior", "gaussian", "mixture", "aggregate"}
    entry = MEASUREMENTS["prior_frechet"]
    assert (entry.heading, entry.better, entry.figure) == (
        "Fréchet distance of N(0, I) samples (squared feature distance)", "lower", "samples",
    )  # fmt: skip
    assert MEASUREMENTS["mixture_implausible"].figure == "plausibility"
    assert MEASUREMENTS["mixture_frechet"].figure == "samplers"
    assert MEASUREMENTS["mmd_prior"].heading == "MMD² of all codes to N(0, I)"  # no unit, no brackets


def test_what_is_judged_and_summarized_has_an_entry():
    judged = [name for claim in (*CLAIMS, DOSE_RESPONSE) for name in claim.says]
    assert {*judged, *SUMMARY} <= set(MEASUREMENTS)
