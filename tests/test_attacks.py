"""What fools a measure: every primary number of runs whose codes, training, decoder or labels were tampered with.

    python tests/test_attacks.py

prints the table of docs/method.md, in half a minute. The runs are those of the quickstart at 2 dimensions, seed 0.
"""

import string
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from vae_jax.claims.claims import CLAIMS, PRICE
from vae_jax.claims.results import Results
from vae_jax.claims.verdicts import NOT_JUDGED, judge
from vae_jax.config import Config, Options
from vae_jax.launch import sweeps
from vae_jax.measure import judges, likelihood
from vae_jax.measure.density import evaluate_density
from vae_jax.measure.latents import evaluate_latents
from vae_jax.measure.samples import draw_samplers, evaluate_samples
from vae_jax.model.networks import init_params
from vae_jax.training import runs
from vae_jax.workdir import run_dir

QUICKSTART = Config(hidden_dims=(512,), learning_rate=5e-3, schedule="cosine", batch_size=64, num_epochs=12)
NUM_SAMPLES = 1_000
PRIMARIES = [claim.measurement for claim in CLAIMS if claim.measurement != "mig"]  # digits have no known factors
SHOWN = (*PRIMARIES, "negentropy", "gaussian_coverage", "reconstruction_implausible")


def rescale(params, scale):
    """Multiplies each dimension of the codes and their noise by float32[D], and has the decoder divide by as much."""
    encoder, decoder = params["encoder"], params["decoder"]
    encoder["mean"] = {name: leaf * scale for name, leaf in encoder["mean"].items()}
    if "logvar" in encoder:
        encoder["logvar"]["bias"] = encoder["logvar"]["bias"] + 2 * np.log(scale)
    decoder["hidden_0"]["kernel"] = decoder["hidden_0"]["kernel"] / scale[:, None]


ATTACKS: dict[str, tuple[dict[str, Any], Any]] = {
    "AE": ({"model": "ae"}, None),
    "AE, codes × 10": ({"model": "ae"}, (10, 10)),
    "AE, one axis × 10, the other ÷ 10": ({"model": "ae"}, (10, 0.1)),
    "AE, untrained": ({"model": "ae"}, "untrained"),
    "AE, constant decoder": ({"model": "ae"}, "mean image"),
    "AE, permuted labels": ({"model": "ae"}, "labels"),
    "AE, 2 epochs": ({"model": "ae", "num_epochs": 2}, None),
    "VAE": ({"model": "vae"}, None),
    "VAE, codes × 10": ({"model": "vae"}, (10, 10)),
    "VAE, collapsed (KL weight 60)": ({"model": "vae", "kl_weight": 60.0}, None),
    "VAE, 2 epochs": ({"model": "vae", "num_epochs": 2}, None),
}
"""By name: what the run is trained with, and what is done to it afterwards, such as the scale of its codes."""


def measure(folder):
    """Trains the runs and returns the numbers of each attack by its name."""
    configs = {name: replace(QUICKSTART, **fields) for name, (fields, _) in ATTACKS.items()}
    failures = sweeps.train_and_evaluate([*dict.fromkeys(configs.values())], folder, Options(evaluate="never"))
    assert failures == []
    data = runs.load_dataset(QUICKSTART)
    instrument = judges.load_or_train(data)
    return {
        name: numbers(runs.load_run(run_dir(folder, configs[name])), data, instrument, change)
        for name, (_, change) in ATTACKS.items()
    }


def numbers(run, data, instrument, change):
    params = jax.tree.map(np.array, run.params)
    if change == "untrained":
        params = jax.tree.map(np.array, init_params(run.program.network, jax.random.key(0)))
    elif change == "mean image":
        mean = np.mean(data.train.images / 255, axis=0).clip(1 / 510, 1 - 1 / 510).ravel()
        kernel = np.zeros_like(params["decoder"]["logits"]["kernel"])
        params["decoder"]["logits"] = {"kernel": kernel, "bias": np.float32(np.log(mean / (1 - mean)))}
    elif change == "labels":
        random = np.random.default_rng(0)
        train, test = (part._replace(labels=random.permutation(part.labels)) for part in (data.train, data.test))
        data = data._replace(train=train, test=test)
    elif change:
        rescale(params, np.float32(change))
    run = runs.trained_run(run.config, run.program, params)
    samplers = draw_samplers(run, data.train.images, NUM_SAMPLES, seed=0)
    pixels, train_pixels = (likelihood.evaluation_pixels(run, part.images) for part in (data.test, data.train))
    return {
        "mean_image_distortion": likelihood.mean_image_distortion(run.config.likelihood, pixels, train_pixels),
        "test_distortion": float(likelihood.elbo_terms(run, pixels).distortion.mean()),
        **evaluate_density(run, data.train.images),
        **evaluate_samples(run, data, instrument, samplers),
        **evaluate_latents(run, data, samplers["gaussian"]),
    }


def gain(numbers, best):
    """The nats over the mean training image, as a share of what the best gains."""
    return (numbers["mean_image_distortion"] - numbers["test_distortion"]) / (
        best["mean_image_distortion"] - best["test_distortion"]
    )


def not_judged(table, name):
    """The primary numbers that get no verdict where this run is compared with a sound one of the other model."""
    is_ae = name.startswith("AE")
    pair = {"ae": table[name if is_ae else "AE"], "vae": table["VAE" if is_ae else name]}
    rows = {Config(model=m): {n: None if x != x else x for n, x in row.items()} for m, row in pair.items()}
    judged = {row.claim.measurement for row in judge(Results(tuple(rows), rows, {})) if row.verdict != NOT_JUDGED}
    return set(PRIMARIES) - judged


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return measure(tmp_path_factory.mktemp("attacks"))


@pytest.mark.parametrize("model", ["AE", "VAE"])
def test_codes_times_ten_change_what_n_0_i_samples_and_nothing_else(table, model):
    """The decodes are the same up to rounding, so that one image in a thousand may be judged otherwise."""
    sound, attacked = table[model], table[f"{model}, codes × 10"]
    assert attacked["prior_gap"] > 4 * sound["prior_gap"]
    for name in sound.keys() - {name for name in sound if name.startswith("prior_")} - {"kl_prior_knn"}:
        assert attacked[name] == pytest.approx(sound[name], rel=2e-3, abs=2e-3), name
    assert not_judged(table, f"{model}, codes × 10") == set()


def test_stretched_axes_change_what_n_0_i_samples_and_nothing_else_but_by_other_draws(table):
    """The principal axes are others, and so are draws of the Gaussian and directions of steps."""
    sound, attacked = table["AE"], table["AE, one axis × 10, the other ÷ 10"]
    assert attacked["prior_gap"] > 4 * sound["prior_gap"]
    for name in ("midpoint_implausible_excess", "knn_accuracy_whitened", "test_distortion", "negentropy",
                 "gaussian_hole_mass", "standardized_frechet"):  # fmt: skip
        assert attacked[name] == pytest.approx(sound[name], rel=2e-3, abs=2e-3), name
    # 1,000 samples: redrawing them moves a Fréchet distance by 1.5 %, and 1,000 steps their change by some 2 %.
    assert attacked["gaussian_frechet"] == pytest.approx(sound["gaussian_frechet"], rel=0.06)
    assert attacked["step_0_3_change"] == pytest.approx(sound["step_0_3_change"], rel=0.08)


HOLLOW = ("AE, untrained", "AE, constant decoder", "VAE, collapsed (KL weight 60)")


@pytest.mark.parametrize("name", HOLLOW)
def test_who_does_not_reconstruct_fools_the_excess_and_is_not_judged(table, name):
    sound, attacked = table[name[: name.index(",")]], table[name]
    assert attacked["midpoint_implausible_excess"] == pytest.approx(0, abs=0.01)
    # Coverage, beside which they are shown, and the Fréchet distance itself tell.
    assert attacked["gaussian_coverage"] < 0.01
    assert attacked["gaussian_frechet"] > 2 * sound["gaussian_frechet"]
    assert attacked["test_distortion"] > sound["test_distortion"] + 20
    assert not_judged(table, name) == set(PRIMARIES) - {PRICE.measurement}


@pytest.mark.parametrize("name", HOLLOW[1:])
def test_who_decodes_all_codes_alike_has_no_gap(table, name):
    assert abs(table[name]["prior_gap"]) < 1 < table[name[: name.index(",")]]["prior_gap"]


@pytest.mark.parametrize("name", ["AE, untrained", "VAE, collapsed (KL weight 60)"])
def test_codes_without_content_are_smooth_and_gaussian(table, name):
    sound, attacked = table[name[: name.index(",")]], table[name]
    assert attacked["gaussian_hole_mass"] == pytest.approx(0.05, abs=0.01)
    assert attacked["negentropy"] < 0.05 < sound["negentropy"]
    # And not without end, as where steps are held against the spread of mean codes alone.
    assert attacked["step_0_3_change"] < sound["step_0_3_change"]


def test_a_constant_decoder_has_no_steps_and_leaves_what_is_of_codes_alone(table):
    sound, attacked = table["AE"], table["AE, constant decoder"]
    assert np.isnan(attacked["step_0_3_change"])
    for name in ("gaussian_hole_mass", "knn_accuracy_whitened", "negentropy"):
        assert attacked[name] == sound[name]


def test_permuted_labels_are_seen_by_clusters_alone(table):
    sound, attacked = table["AE"], table["AE, permuted labels"]
    assert attacked["knn_accuracy_whitened"] == pytest.approx(0.1, abs=4 * np.sqrt(0.1 * 0.9 / 1000))
    assert {name for name in sound if attacked[name] != sound[name]} == {
        "knn_accuracy_whitened", "knn_accuracy_whitened_error",
    }  # fmt: skip


@pytest.mark.parametrize("model", ["AE", "VAE"])
def test_two_epochs_make_small_steps(table, model):
    """A half-trained model has a smooth decoder, but worse samples and reconstructions."""
    sound, attacked = table[model], table[f"{model}, 2 epochs"]
    assert attacked["step_0_3_change"] < sound["step_0_3_change"] - 0.02
    assert attacked["gaussian_frechet"] > sound["gaussian_frechet"]
    assert attacked["gaussian_coverage"] < sound["gaussian_coverage"]
    assert gain(attacked, table["AE"]) < 0.8


def markdown(table):
    """The table of docs/method.md."""
    letters = dict(zip(PRIMARIES, string.ascii_lowercase, strict=False))
    heads = [*letters.values(), "negentropy", "coverage", "rejected", "gain", "judged"]
    lines = [["", *heads], ["---"] * (len(heads) + 1)]
    for name, row in table.items():
        missing = not_judged(table, name)
        judged = {0: "yes", len(PRIMARIES) - 1: letters[PRICE.measurement]}.get(len(missing)) or "all but " + ", ".join(
            letter for measurement, letter in letters.items() if measurement in missing
        )
        shown = [
            f"{row[n]:.0f}" if "frechet" in n or "gap" in n or "distortion" in n else f"{row[n]:.3f}" for n in SHOWN
        ]
        lines.append([name, *shown, f"{gain(row, table['AE']):.2f}", judged])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(markdown(measure(Path(folder))))
