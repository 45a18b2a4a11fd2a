"""Every number has one entry, every entry is complete, and the glossary is that of the entries."""

import keyword

import pytest

from scripts import glossary
from vae_jax.measurements import MEASUREMENTS, RECORD_KEYS, SAMPLERS, Measurement
from vae_jax.results import SUMMARY


def test_no_number_is_a_key_of_the_record():
    assert not set(MEASUREMENTS) & set(RECORD_KEYS)


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_an_entry_is_complete(name):
    entry = MEASUREMENTS[name]
    assert entry.label
    assert "{" not in entry.label + entry.meaning + entry.margin_reason + entry.error
    assert entry.meaning[0] in "-l" or entry.meaning[0].isupper()  # a formula may begin with -log or log
    assert entry.meaning.endswith(".")
    assert entry.better in ("higher", "lower", None)
    assert entry.kind in (float, int, bool, list)
    assert (entry.margin is None) == (entry.margin_reason == "")
    assert entry.margin is None or (entry.margin > 0 and entry.margin_reason[-1] == ".")


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
    assert set(SAMPLERS) == {"prior", "gaussian", "mixture", "aggregate"}
    entry = MEASUREMENTS["prior_frechet"]
    assert (entry.heading, entry.better, entry.figure) == (
        "Fréchet distance of N(0, I) samples (squared feature distance)", "lower", "samples",
    )  # fmt: skip
    assert MEASUREMENTS["mixture_implausible"].figure == "plausibility"
    assert MEASUREMENTS["mixture_frechet"].figure == "samplers"
    assert MEASUREMENTS["mmd_prior"].heading == "MMD² of all codes to N(0, I)"  # no unit, no brackets


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
    entry = Measurement("label", "nats", "lower", "", "Meaning.", "A 2001, B", margin=0.5, margin_reason="Because.")
    assert entry._replace(error="images").facts == [
        ("Unit", "nats."), ("Better", "lower."), ("Differences matter from", "0.5. Because."),
        ("Standard error over", "images."), ("Source", "A 2001, B."),
    ]  # fmt: skip
    assert Measurement("label", "", None, "", "Meaning.").facts == []
    assert Measurement("label", "", None, "", "Meaning.", "A 1994, What is it?").facts == [
        ("Source", "A 1994, What is it?"),
    ]  # fmt: skip


def test_the_glossary_is_current():
    """If this fails, run `python -m scripts.glossary`."""
    assert glossary.PATH.read_text(encoding="utf-8") == glossary.markdown()


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
