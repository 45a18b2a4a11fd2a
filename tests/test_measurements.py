"""Every number has one entry, every entry is complete, and the glossary is that of the entries."""

import keyword

import pytest

from scripts import glossary
from vae_jax.claims.claims import CLAIMS, PRICE
from vae_jax.claims.summary import SUMMARY
from vae_jax.measure.entry import Measurement
from vae_jax.measure.measurements import MEASUREMENTS
from vae_jax.measure.samples import SAMPLERS


def test_no_number_is_a_key_of_the_record():
    assert not {"evaluation", "failed"} & set(MEASUREMENTS)


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_an_entry_is_complete(name):
    entry = MEASUREMENTS[name]
    assert entry.label
    assert "{" not in entry.heading + entry.meaning + entry.error
    assert entry.meaning[0] in "-l" or entry.meaning[0].isupper()  # a formula may begin with -log or log
    assert entry.meaning.endswith(".")
    assert entry.better in ("higher", "lower", None)
    assert entry.kind in (float, int, bool, list)


def test_every_number_is_a_column_that_pandas_takes():
    """`frame.test_mse`: an identifier, no keyword, and nothing that a DataFrame has already."""
    pandas = pytest.importorskip("pandas")
    for name in MEASUREMENTS:
        assert name.isidentifier(), name
        assert not keyword.iskeyword(name), name
        assert not hasattr(pandas.DataFrame, name), name


def test_labels_tell_measurements_apart():
    assert len({entry.label for entry in MEASUREMENTS.values()}) == len(MEASUREMENTS)


def test_the_loop_over_samplers_fills_in_each_sampler():
    for sampler, samples in SAMPLERS.items():
        entry = MEASUREMENTS[f"{sampler}_frechet"]
        assert entry.heading == f"Fréchet distance of {samples} (squared feature distance)"
        assert (entry.better, MEASUREMENTS[f"{sampler}_coverage"].better) == ("lower", "higher")
    gaps = [name for name in MEASUREMENTS if name.endswith("_gap")]
    assert gaps == ["prior_gap", "standardized_gap"]  # the two that know nothing of how the dimensions hang together
    assert MEASUREMENTS["negentropy"].heading == "KL of all codes to their own Gaussian (nats)"
    assert MEASUREMENTS["diverged_epoch"].heading == "diverged in epoch"  # no unit, no brackets


def test_what_is_claimed_has_an_entry_whose_better_direction_is_the_claimed_one_but_for_the_price():
    for claim in CLAIMS:
        entry = MEASUREMENTS[claim.measurement]
        assert (entry.better == claim.says) == (claim is not PRICE), claim.measurement


def test_a_number_with_a_standard_error_is_followed_by_it():
    names = list(MEASUREMENTS)
    with_error = [name for name, entry in MEASUREMENTS.items() if entry.error]
    assert "test_elbo" in with_error
    for name in with_error:
        error = MEASUREMENTS[f"{name}_error"]
        assert names.index(f"{name}_error") == names.index(name) + 1
        assert error.unit == MEASUREMENTS[name].unit
        assert MEASUREMENTS[name].error in error.meaning


def test_what_is_summarized_has_an_entry():
    assert set(SUMMARY) <= set(MEASUREMENTS)


def test_the_facts_of_an_entry_are_what_it_states():
    entry = Measurement("label", "nats", "lower", "", "Meaning.", "A 2001, B")
    assert entry._replace(error="images").facts == [
        ("Unit", "nats."), ("Better", "lower."), ("Standard error over", "images."), ("Source", "A 2001, B."),
    ]  # fmt: skip
    assert Measurement("label", "", None, "", "Meaning.").facts == []
    assert Measurement("label", "", None, "", "Meaning.", "A 1994, What is it?").facts == [
        ("Source", "A 1994, What is it?"),
    ]  # fmt: skip


def test_the_glossary_is_current():
    """If this fails, run `python -m scripts.glossary`. A number that was added needs no line there."""
    written = glossary.PATH.read_text(encoding="utf-8").splitlines()
    assert written == [line for line in glossary.markdown().splitlines() if line in written]


def test_the_glossary_has_every_number_with_its_meaning():
    lines = glossary.markdown().splitlines()
    for name, entry in MEASUREMENTS.items():
        (line,) = [line for line in lines if line.startswith(f"- **`{name}`**")]
        assert entry.meaning in line
        assert all(fact in line for _, fact in entry.facts)


def test_the_command_writes_the_glossary(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(glossary, "PATH", tmp_path / "glossary.md")
    assert glossary.main(["glossary.py"]) == 0
    assert (tmp_path / "glossary.md").read_text(encoding="utf-8") == glossary.markdown()
    assert capsys.readouterr().out == f"{len(MEASUREMENTS)} numbers in {tmp_path}/glossary.md\n"
    assert glossary.main(["glossary.py", "extra"]) == 2
