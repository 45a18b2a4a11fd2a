"""Tables: one row per evaluated run, mean ± sd over seeds by hand, dashes where a model has no such number."""

import csv

import pytest

from vae_jax.config import Config, Experiment
from vae_jax.files import UserError, write_json
from vae_jax.results import SUMMARY_COLUMNS, Table, collect, format_table, mean_sd, summarize, write_csv
from vae_jax.workdir import run_dir

EXPERIMENT = Experiment(
    name="e", question="?", base=Config(), grid={"model": ("ae", "vae"), "kl_weight": (0.5, 1.0), "seed": (0, 1)}
)  # fmt: skip
AE0, AE1, WEAK0, WEAK1, VAE0, VAE1 = EXPERIMENT.configs


def numbers(loss, rate=None):
    """What an evaluation says of a run."""
    of_a_vae = {} if rate is None else {"test_rate": rate, "test_elbo": -loss}
    return {"test_loss": loss, "test_distortion": loss - (rate or 0), **of_a_vae, "test_mse": 0.04, "train_seconds": 3}


@pytest.fixture
def workdir(tmp_path):
    """Five of the six runs are evaluated, one of them with a loss that was not finite."""
    evaluations = {
        AE0: numbers(100.0), AE1: numbers(103.0), WEAK0: numbers(151.25, 6.5), VAE0: numbers(150.0, 5.0),
        VAE1: {**numbers(150.0, 6.0), "test_loss": None},
    }  # fmt: skip
    for config, evaluation in evaluations.items():
        write_json(run_dir(tmp_path, config) / "evaluation.json", evaluation)
    return tmp_path


def test_a_row_per_evaluated_run_with_what_varies_and_its_numbers(workdir):
    rows = collect(workdir, EXPERIMENT.configs)
    assert [row["run"] for row in rows] == [config.name for config in (AE0, AE1, WEAK0, VAE0, VAE1)]
    assert rows[0] == {"run": AE0.name, "model": "ae", "seed": "0", **numbers(100.0)}  # an AE has no kl_weight
    assert rows[2] == {"run": WEAK0.name, "model": "vae", "kl_weight": "0.5", "seed": "0", **numbers(151.25, 6.5)}
    assert collect(workdir / "nowhere", EXPERIMENT.configs) == []


def test_the_model_is_told_even_where_it_does_not_vary(workdir):
    assert collect(workdir, [AE0]) == [{"run": AE0.name, "model": "ae", **numbers(100.0)}]


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"test_loss": "low"}', '{"test_loss": true}', "[" * 9999])
def test_a_damaged_evaluation_is_a_user_error(workdir, content):
    path = run_dir(workdir, AE0) / "evaluation.json"
    path.write_text(content)
    with pytest.raises(UserError, match=f"^{path} is damaged .*; delete it and launch again"):
        collect(workdir, EXPERIMENT.configs)


def test_an_evaluation_may_hold_lists(workdir):
    """For figures; tables leave them out."""
    write_json(run_dir(workdir, AE0) / "evaluation.json", {**numbers(100.0), "active": [0.5, 0.25], "by": {"a": 1}})
    row, *_ = collect(workdir, [AE0])
    assert row["active"] == [0.5, 0.25]


def test_csv_reads_back_with_empty_cells_for_what_a_run_has_not(workdir):
    rows = collect(workdir, EXPERIMENT.configs)
    write_csv(workdir / "results.csv", rows)
    text = (workdir / "results.csv").read_text()
    assert text.splitlines()[0] == (
        "run,model,kl_weight,seed,test_loss,test_distortion,test_rate,test_elbo,test_mse,train_seconds"
    )
    back = list(csv.DictReader(text.splitlines()))
    assert [{name: cell for name, cell in row.items() if cell} for row in back] == [
        {name: str(value) for name, value in row.items() if value is not None} for row in rows
    ]


def test_csv_keeps_commas_and_every_digit(tmp_path):
    write_csv(tmp_path / "results.csv", [{"dataset": 'idx:a,"b"', "test_loss": 0.1 + 0.2}])
    with open(tmp_path / "results.csv", newline="") as file:
        assert list(csv.DictReader(file)) == [{"dataset": 'idx:a,"b"', "test_loss": "0.30000000000000004"}]


def test_no_runs_are_tables_without_rows(tmp_path):
    write_csv(tmp_path / "results.csv", [])
    assert (tmp_path / "results.csv").read_text().strip() == ""
    assert format_table(summarize(EXPERIMENT.configs, [])).startswith("model  kl_weight  seeds  loss (nats)")


def test_the_summary_is_a_row_per_setting_and_what_is_missing_is_a_dash(workdir):
    table = summarize(EXPERIMENT.configs, collect(workdir, EXPERIMENT.configs))
    assert table.columns == ["model", "kl_weight", "seeds", *SUMMARY_COLUMNS.values()]
    assert table.rows == [
        # (100 + 103) / 2, and sqrt((1.5² + 1.5²) / (2 - 1)) = 2.1213
        ["ae", "–", "2", "101.50 ± 2.12", "101.50 ± 2.12", "–", "–", "0.0400 ± 0.0000", "3.00"],
        ["vae", "0.5", "1", "151.25", "144.75", "6.50", "-151.25", "0.0400", "3.00"],
        # A loss that is not finite has no mean; (5 + 6) / 2 and sqrt(0.5² + 0.5²) = 0.7071.
        ["vae", "1", "2", "–", "144.50 ± 0.71", "5.50 ± 0.71", "-150.00 ± 0.00", "0.0400 ± 0.0000", "3.00"],
    ]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1.0, 2.0, 4.0], "2.33 ± 1.53"),  # sqrt((16 + 1 + 25) / 9 / 2)
        ([0.1, 0.3], "0.2000 ± 0.1414"), ([-0.5], "-0.5000"), ([-3.0], "-3.00"), ([7], "7.00"), ([0.0], "0.0000"),
        ([], "–"), ([None], "–"), ([1.0, None], "–"), ([1.0, float("nan")], "–"), ([float("inf")], "–"),
    ],
)  # fmt: skip
def test_mean_and_sample_standard_deviation(values, text):
    assert mean_sd(values) == text


def test_plain_text_is_aligned_to_the_right():
    table = Table(["model", "loss (nats)"], [["ae", "101.50 ± 2.12"], ["vae", "–"]])
    assert format_table(table).split("\n") == ["model    loss (nats)", "   ae  101.50 ± 2.12", "  vae              –"]
