"""Runs are read once; tables have mean ± sd over seeds by hand, marks where means compare, dashes where none is."""

import csv
import dataclasses

import pytest

from vae_jax.claims import results
from vae_jax.claims.results import LiveCsv, Results, collect, write_csv
from vae_jax.claims.summary import SUMMARY, Table, explain_spread, format_table, rounded, spread, summarize
from vae_jax.config import FIELDS, Config, Experiment
from vae_jax.errors import UserError
from vae_jax.fields import format_value
from vae_jax.files import write_json
from vae_jax.measure.measurements import MEASUREMENTS
from vae_jax.workdir import DataIdentity, run_dir, write_config, write_metrics, write_timing

EXPERIMENT = Experiment(
    name="e", question="?", base=Config(), grid={"model": ("ae", "vae"), "kl_weight": (0.5, 1.0), "seed": (0, 1)}
)  # fmt: skip
AE0, AE1, WEAK0, WEAK1, VAE0, VAE1 = EXPERIMENT.configs


def numbers(distortion, rate=None):
    """What evaluation.json holds of a run."""
    of_a_vae = {} if rate is None else {"test_rate": rate, "test_elbo": -distortion - rate, "test_active_units": 2}
    return {"test_distortion": distortion, "test_mse": 0.04, **of_a_vae}


def with_rows(rows, reasons=None):
    """Results with the numbers of each Config, whose runs may have failed."""
    return Results((*rows, *(reasons or {})), rows, reasons or {})


@pytest.fixture
def workdir(tmp_path):
    """Of six runs, one is not trained, one diverged, and one failed."""
    evaluations = {
        AE0: numbers(100.0), AE1: numbers(103.0), WEAK0: numbers(144.75, 6.5), WEAK1: {"failed": "a NaN in the codes"},
        VAE0: {"diverged_epoch": 3},
    }  # fmt: skip
    for config, evaluation in evaluations.items():
        write_json(run_dir(tmp_path, config) / "evaluation.json", {"evaluation": "0f", **evaluation})
    return tmp_path


def train(workdir, config, elbo=-150.5):
    """Writes the files of a trained run."""
    folder = run_dir(workdir, config)
    write_config(folder, config, DataIdentity("0f", None, {"train": 1}))
    row = {"train_loss": 1.0, "validation_elbo": elbo, "validation_distortion": -elbo - 6.0}
    write_metrics(folder, [{"epoch": epoch, **row} for epoch in range(1, config.num_epochs + 1)])
    write_timing(folder, [{"epoch": epoch, "seconds": 0.5} for epoch in range(1, config.num_epochs + 1)])
    (folder / "params.safetensors").write_bytes(b"")
    return folder


def test_collect_reads_what_every_run_has(workdir):
    found = collect(workdir, EXPERIMENT.configs)
    assert list(found.rows) == [AE0, AE1, WEAK0, VAE0]
    assert found.rows[AE0] == numbers(100.0)
    assert found.rows[WEAK0] == numbers(144.75, 6.5)
    assert not {VAE1, WEAK1} & found.rows.keys()
    assert found.reasons == {WEAK1: "a NaN in the codes"}
    assert found.diverged == {VAE0: 3}
    assert found.measured == [
        "test_distortion", "test_mse", "test_rate", "test_elbo", "test_active_units", "diverged_epoch",
    ]  # fmt: skip
    assert collect(workdir / "nowhere", EXPERIMENT.configs).rows == {}


MADE = {"source": "a", "judge": "c"}
BOUND = {"num_likelihood_samples": 500}


@pytest.mark.parametrize(
    ("change", "left_out"),
    [
        ({}, []),
        ({AE1: MADE | {"judge": "other"}}, [AE1]),
        ({AE1: MADE | {"source": "other"}}, [AE1]),
        ({AE1: {}}, [AE1]),
        ({WEAK1: MADE | {"num_likelihood_samples": 1}, AE1: MADE | BOUND}, [WEAK1]),
    ],
)
def test_numbers_of_different_instruments_never_meet(change, left_out, tmp_path):
    """What makes the fewer evaluations is left out; a diverged run, of which nothing is measured, never is."""
    usual = {AE0: MADE, AE1: MADE, WEAK0: MADE | BOUND, WEAK1: MADE | BOUND, VAE0: MADE | BOUND}
    for config, made_by in (usual | change).items():
        write_json(run_dir(tmp_path, config) / "evaluation.json", {"evaluation": made_by, **numbers(100.0)})
    write_json(run_dir(tmp_path, VAE1) / "evaluation.json", {"evaluation": {"source": "a"}, "diverged_epoch": 3})
    found = collect(tmp_path, EXPERIMENT.configs)
    assert list(found.reasons) == left_out
    assert found.rows.keys() | set(left_out) == set(EXPERIMENT.configs)
    assert found.rows[AE0] == numbers(100.0)
    assert all("evaluated by other" in reason for reason in found.reasons.values())


def test_the_numbers_of_training_are_the_last_elbo_and_the_time(workdir):
    for config in (WEAK0, VAE0):
        train(workdir, config)
    found = collect(workdir, EXPERIMENT.configs)
    assert found.rows[WEAK0]["validation_elbo"] == -150.5
    assert found.rows[WEAK0]["validation_distortion"] == 144.5
    assert found.rows[WEAK0]["train_seconds"] == 25.0  # 50 epochs
    # The parameters of a diverged run are not those that were asked for, so it has no ELBO.
    assert found.rows[VAE0] == {"diverged_epoch": 3, "train_seconds": 25.0}


def test_the_elbo_of_a_run_that_stopped_early_is_that_of_the_epoch_it_kept(tmp_path):
    config = Config(num_epochs=9, patience=2)
    folder = train(tmp_path, config)
    losses = [None, 150.0, 155.0, 150.0]  # of equal epochs, the first is kept; None is no number
    rows = [
        {"epoch": e, "train_loss": 1.0, "validation_loss": loss, "validation_elbo": -e}
        for e, loss in enumerate(losses, 1)
    ]
    write_metrics(folder, [*rows[:-1], rows[-1] | {"stopped": True}])
    write_timing(folder, [{"epoch": epoch, "seconds": 0.5} for epoch in range(1, 5)])
    write_json(folder / "evaluation.json", {"evaluation": "0f"})
    assert collect(tmp_path, [config]).rows[config]["validation_elbo"] == -2


def test_files_are_read_once(workdir, monkeypatch):
    found = collect(workdir, EXPERIMENT.configs)
    monkeypatch.setattr(results.disk, "read_json", None)  # would fail if it were called
    assert len(found.rows) == 4
    assert len(summarize(found).rows) == 3


def test_a_run_whose_training_failed_has_a_reason(tmp_path):
    write_json(run_dir(tmp_path, AE0) / "failed.json", {"failed": "out of memory"})
    found = collect(tmp_path, [AE0, AE1])
    assert (found.reasons, found.rows) == ({AE0: "out of memory"}, {})
    train(tmp_path, AE0)  # a later launch
    assert collect(tmp_path, [AE0, AE1]).reasons == {}


def test_a_failure_without_a_reason_is_a_failure(tmp_path):
    write_json(run_dir(tmp_path, AE0) / "evaluation.json", {"failed": ""})
    assert collect(tmp_path, [AE0]).reasons == {AE0: "unknown reason"}


def test_a_run_of_which_a_part_failed_has_no_numbers(tmp_path):
    write_json(run_dir(tmp_path, AE0) / "evaluation.json", {**numbers(100.0), "failed": "samples: out of memory"})
    found = collect(tmp_path, [AE0])
    assert (found.rows, found.reasons) == ({}, {AE0: "samples: out of memory"})


def test_what_is_no_measurement_is_left_out(tmp_path):
    write_json(run_dir(tmp_path, AE0) / "evaluation.json", {"evaluation": "0f", "step_0.1_change": 1.0, "new": [1]})
    assert collect(tmp_path, [AE0]).rows[AE0] == {}


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "3", '{"test_loss": "low"}', '{"test_loss": true}', '{"test_loss": [1]}', '{"test_loss": 1e300}',
     '{"test_kl_per_dimension": 1}', '{"test_kl_per_dimension": ["a"]}',
     '{"failed": 3}', '{"failed": null}', "[" * 9999],
)  # fmt: skip
@pytest.mark.parametrize("file", ["evaluation.json", "failed.json"])
def test_a_damaged_file_is_one_line(workdir, content, file):
    config = AE0 if file == "evaluation.json" else VAE1
    path = run_dir(workdir, config) / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    with pytest.raises(UserError, match=f"^{path} is damaged .*; delete it and launch again") as error:
        collect(workdir, EXPERIMENT.configs)
    assert "\n" not in str(error.value)


def test_an_evaluation_may_hold_lists_and_nothing(tmp_path):
    row = {"test_kl_per_dimension": [0.5, 0.25], "test_active_units": 2, "test_loss": None}
    write_json(run_dir(tmp_path, AE0) / "evaluation.json", row)
    assert collect(tmp_path, [AE0]).rows[AE0] == row


SCALARS = [name for name, entry in MEASUREMENTS.items() if entry.kind is not list]


def rows_of(workdir):
    """The rows of results.csv without their empty cells."""
    with open(workdir / "results.csv", newline="") as file:
        return [{name: cell for name, cell in row.items() if cell} for row in csv.DictReader(file)]


def test_columns_keep_their_names(workdir):
    """Users' scripts read them: numbers may be added, but these are neither renamed nor removed."""
    write_csv(workdir / "results.csv", collect(workdir, EXPERIMENT.configs))
    assert {
        "run", "failed", "model", "latent_dim", "kl_weight", "seed", "test_loss", "test_distortion", "test_rate",
        "test_elbo", "test_mse", "test_active_units", "prior_gap", "gaussian_frechet", "gaussian_hole_mass",
        "step_0_3_change", "midpoint_implausible_excess", "knn_accuracy_whitened", "train_seconds", "diverged_epoch",
    } <= set((workdir / "results.csv").read_text().splitlines()[0].split(","))  # fmt: skip


def test_csv_has_a_row_per_run_with_every_field_it_reads_and_the_reason_of_a_failure(workdir):
    write_csv(workdir / "results.csv", collect(workdir, EXPERIMENT.configs))
    header = (workdir / "results.csv").read_text().splitlines()[0].split(",")
    assert header == ["run", *FIELDS, *SCALARS, "failed"]
    assert len(set(header)) == len(header)
    rows = rows_of(workdir)
    for row, config in zip(rows, (AE0, AE1, WEAK0, WEAK1, VAE0), strict=True):
        fields = {name: format_value(getattr(config, name)) for name in FIELDS if config.uses(name)}
        assert {name: row.pop(name) for name in fields} == fields  # an AE has no kl_weight
        assert row.pop("run") == config.name
    assert rows == [
        {"test_distortion": "100.0", "test_mse": "0.04"},
        {"test_distortion": "103.0", "test_mse": "0.04"},
        {"test_distortion": "144.75", "test_mse": "0.04", "test_rate": "6.5", "test_elbo": "-151.25",
         "test_active_units": "2"},
        {"failed": "a NaN in the codes"},
        {"diverged_epoch": "3"},
    ]  # fmt: skip


def test_tables_of_two_sweeps_can_be_put_together(tmp_path):
    lines = []
    for config in (Config(model="ae", hidden_dims=(8, 4)), Config(latent_dim=3, mean_bias=True)):
        write_csv(tmp_path / "results.csv", with_rows({config: numbers(100.0)}))
        lines.append((tmp_path / "results.csv").read_text().splitlines())
    assert lines[0][0] == lines[1][0]
    first, second = csv.DictReader([*lines[0], *lines[1][1:]])
    assert [(row["model"], row["hidden_dims"], row["mean_bias"]) for row in (first, second)] == [
        ("ae", "8x4", "false"), ("vae", "512", "true"),
    ]  # fmt: skip


def test_a_table_is_kept_up_to_date_while_runs_finish(tmp_path, monkeypatch):
    clock, written = [100.0], []
    monkeypatch.setattr(results.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(results, "write_csv", lambda path, found: written.append(path) or write_csv(path, found))
    table = LiveCsv(tmp_path, EXPERIMENT.configs)

    def finish(config, content):
        write_json(run_dir(tmp_path, config) / "evaluation.json", content)

    def update(seconds, now=False):
        """The distortions in the table after some time, and whether it was written."""
        clock[0] += seconds
        written.clear()
        table.update(now)
        return [row.get("test_distortion") for row in rows_of(tmp_path)], len(written)

    table.update()
    assert written == []  # nothing has finished
    finish(AE0, numbers(1.0))
    table.update()
    assert written == []  # too early to look again
    assert update(results.EVERY_SECONDS) == (["1.0"], 1)
    finish(AE1, numbers(2.0))
    assert update(results.EVERY_SECONDS / 2) == (["1.0"], 0)
    finish(WEAK0, numbers(3.0))
    assert update(results.EVERY_SECONDS / 2) == (["1.0", "2.0", "3.0"], 1)
    assert update(results.EVERY_SECONDS) == (["1.0", "2.0", "3.0"], 0)
    finish(VAE0, {"failed": "out of memory"})
    assert update(0.0, now=True) == (["1.0", "2.0", "3.0", None], 1)
    finish(VAE1, {"test_loss": "damaged"})
    assert update(results.EVERY_SECONDS) == (["1.0", "2.0", "3.0", None], 0)  # the launch's end says so
    finish(VAE1, numbers(4.0))
    assert update(results.EVERY_SECONDS) == (["1.0", "2.0", "3.0", None, "4.0"], 1)


def test_a_table_that_takes_long_to_make_is_made_less_often(tmp_path, monkeypatch):
    clock, made = [0.0], []

    def slow(workdir, configs):
        clock[0] += 2.0
        made.append(clock[0])
        return Results((), {}, {})

    monkeypatch.setattr(results.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(results, "collect", slow)
    table = LiveCsv(tmp_path, EXPERIMENT.configs)
    for second in range(100):
        write_json(run_dir(tmp_path, AE0) / "evaluation.json", numbers(float(second)))
        clock[0] += 1.0
        table.update()
    assert made == [3.0, 43.0, 83.0]  # a twentieth of the time


def test_csv_keeps_commas_lines_and_every_digit_and_leaves_lists_out(tmp_path):
    config, other = Config(dataset='idx:a,"b"', model="ae"), Config(model="ae")
    found = with_rows({config: {"test_loss": 0.1 + 0.2, "test_kl_per_dimension": [1.0]}}, {other: "two\nlines"})
    write_csv(tmp_path / "results.csv", found)
    first, second = rows_of(tmp_path)
    assert (first["dataset"], first["test_loss"]) == ('idx:a,"b"', "0.30000000000000004")
    assert "test_kl_per_dimension" not in first
    assert second["failed"] == "two\nlines"


def test_no_runs_are_tables_without_rows(tmp_path):
    empty = Results(EXPERIMENT.configs, {}, {})
    write_csv(tmp_path / "results.csv", empty)
    assert (tmp_path / "results.csv").read_text() == ",".join(["run", *FIELDS, *SCALARS, "failed"]) + "\n"
    assert format_table(summarize(empty)).split("model", 1)[1].split()[:4] == ["kl_weight", "seeds", "test", "ELBO"]


def test_the_summary_leads_with_what_may_be_compared():
    assert SUMMARY[:4] == ("test_elbo", "prior_frechet", "test_active_units", "test_distortion")
    assert "test_loss" not in SUMMARY


def test_the_summary_is_a_row_per_setting_and_what_is_missing_is_a_dash(workdir):
    table = summarize(collect(workdir, EXPERIMENT.configs))
    assert table.columns == ["model", "kl_weight", "seeds", *(MEASUREMENTS[name].label for name in SUMMARY)]
    assert table.units[:5] == ["", "", "", "nats per image", "squared feature distance"]
    assert table.rows == [
        # (100 + 103) / 2, and sqrt((1.5² + 1.5²) / (2 - 1)) = 2.1213
        ["ae", "–", "2", "–", "–", "–", "101.5 ± 2.1", "–", "0.04 ± 0", "–"],
        ["vae", "0.5", "2 (1 failed)", "-151.2", "–", "2", "144.8", "6.5", "0.04", "–"],
        ["vae", "1", "1 (1 diverged)", "–", "–", "–", "–", "–", "–", "–"],
    ]


def test_a_diverged_seed_leaves_no_mean_and_a_failed_seed_is_counted():
    diverged = summarize(with_rows({VAE0: numbers(150.0, 5.0), VAE1: {"diverged_epoch": 1}}))
    assert diverged.rows[0][1:3] == ["2 (1 diverged)", "–"]
    assert set(diverged.rows[0][2:]) == {"–"}
    all_failed = summarize(with_rows({AE0: numbers(100.0)}, {VAE0: "x", VAE1: "y"}))
    assert all_failed.rows[1][1:] == ["2 (2 failed)", *["–"] * len(SUMMARY)]


def best(rows, column):
    """The values of the settings that are marked in a column of the summary."""
    table = summarize(with_rows(rows))
    index = table.columns.index(MEASUREMENTS[column].label)
    return [table.rows[row][index] for row, marked in sorted(table.best) if marked == index]


def test_the_best_value_of_a_column_is_marked_in_the_direction_of_the_measurement():
    rows = {
        dataclasses.replace(VAE0, kl_weight=weight): {
            "test_elbo": elbo, "prior_frechet": frechet, "test_active_units": 2, "test_rate": frechet,
        }
        for weight, elbo, frechet in ((0.5, -160.0, 400.0), (1.0, -150.0, 300.0), (2.0, -155.0, 350.0))
    }  # fmt: skip
    assert best(rows, "test_elbo") == ["-150"]  # higher is better
    assert best(rows, "prior_frechet") == ["300"]  # lower is better
    assert best(rows, "test_active_units") == best(rows, "test_rate") == []  # no direction


def test_the_best_is_that_of_the_means():
    rows = {
        dataclasses.replace(VAE0, kl_weight=weight, seed=seed): {"test_elbo": elbo}
        for weight, elbos in ((1.0, (-100.0, -160.0)), (2.0, (-120.0, -130.0)))
        for seed, elbo in enumerate(elbos)
    }
    assert best(rows, "test_elbo") == ["-125.0 ± 7.1"]


@pytest.mark.parametrize(
    "changes",
    [{"dataset": "mnist"}, {"validation_fraction": 0.5}, {"binarization": "dynamic"}, {"likelihood": "gaussian"}],
    ids=str,
)
def test_numbers_of_other_images_or_densities_are_not_compared(changes):
    other = dataclasses.replace(VAE0, **changes)
    rows = {VAE0: {"test_elbo": -150.0}, other: {"test_elbo": 900.0}}
    assert best(rows, "test_elbo") == []
    rows |= {dataclasses.replace(config, latent_dim=8): {"test_elbo": -140.0} for config in (VAE0, other)}
    assert best(rows, "test_elbo") == ["900", "-140"]  # one in each group


def test_nothing_is_marked_on_a_tie_or_beside_a_dash():
    tied = {VAE0: {"test_elbo": -150.001}, WEAK0: {"test_elbo": -150.0009}}
    assert best(tied, "test_elbo") == []
    alone = {AE0: numbers(100.0), VAE0: {"test_elbo": -150.0}, WEAK0: {"test_elbo": None}}
    assert best(alone, "test_elbo") == []


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1.0, 2.0, 4.0], "2.3 ± 1.5"),  # sqrt((16 + 1 + 25) / 9 / 2)
        ([0.1, 0.3], "0.20 ± 0.14"), ([-0.5], "-0.5"), ([-163.94], "-163.9"), ([7], "7"), ([0.0], "0"),
        ([455.2, 420.4], "438 ± 25"), ([0.0391, 0.0392], "0.039150 ± 0.000071"), ([2, 2], "2 ± 0"),
        ([1e100, 3e100], "2e+100 ± 1.4e+100"), ([1e-9, 3e-9], "2e-09 ± 1.4e-09"),
        ([], "–"), ([None], "–"), ([1.0, None], "–"), ([1.0, float("nan")], "–"), ([float("inf")], "–"),
    ],
)  # fmt: skip
def test_mean_and_sample_standard_deviation(values, text):
    assert spread("test_rate", [{"test_rate": value} for value in values]) == text


@pytest.mark.parametrize(
    ("values", "errors", "text"),
    [
        ([-162.9, -164.9], [1.5, 1.7], "-163.9 ± 1.4 (± 1.6)"),
        ([-162.9, -164.9], [1.0, 3.0], "-163.9 ± 1.4 (± 2.2)"),  # sqrt((1² + 3²) / 2)
        ([-163.9], [1.59], "-163.9 (± 1.6)"),
        ([-163.9, -163.9], [1.59, 1.59], "-163.9 ± 0.0 (± 1.6)"),
        ([-163.9, -163.8], [12.0, 12.0], "-164 ± 0.07 (± 12)"),  # 0.07 is not 0
        ([-162.9, -164.9], [1.5, None], "-163.9 ± 1.4"),  # one run's error is not everyone's
        ([-162.9, -164.9], [None, None], "-163.9 ± 1.4"),
        ([-162.9, None], [1.5, 1.5], "–"),
        ([0.1, 0.3], [0.0, 0.0], "0.20 ± 0.14"),  # exact for its images
    ],
)
def test_a_number_has_a_spread_over_seeds_and_one_over_images(values, errors, text):
    rows = [{"test_elbo": value, "test_elbo_error": error} for value, error in zip(values, errors, strict=True)]
    assert spread("test_elbo", rows) == text


def test_the_legend_says_what_the_spreads_are():
    both = "Mean ± standard deviation over seeds (± standard error over test images)."
    assert explain_spread([("test_elbo", "1.0 ± 0.1 (± 0.2)"), ("test_rate", "3.0 ± 0.1"), ("test_rate", "–")]) == both
    assert explain_spread([("test_elbo", "1.0 ± 0.1")]) == "Mean ± standard deviation over seeds."
    assert explain_spread([("test_elbo", "1.0 (± 0.2)")]) == "One seed (± standard error over test images)."
    assert explain_spread([("test_elbo", "1.0"), ("test_elbo", "–")]) == explain_spread([]) == ""


def test_a_spread_over_images_alone_is_not_taken_for_one_over_seeds():
    table = summarize(with_rows({VAE0: {"test_elbo": -150.0, "test_elbo_error": 1.5}}))
    assert table.rows[0][2:4] == ["-150.0 (± 1.5)", "–"]
    assert table.spread == "One seed (± standard error over test images)."
    assert "One seed (± standard error over test images). Units: " in " ".join(format_table(table).split())


@pytest.mark.parametrize(
    ("number", "reach", "text"),
    [(-8.0, 0.3, "-8.00"), (123.456, 12.0, "123"), (0.5, 0.0, "0.5"), (1.0, 1e-15, "1"), (5.5e7, 1e7, "5.5e+07")],
)
def test_a_number_is_rounded_to_its_spread(number, reach, text):
    assert rounded(number, reach) == text


def test_plain_text_is_aligned_and_marks_the_best():
    table = Table(
        ["model", "test distortion"], ["", "nats per image"], [["ae", "1.5"], ["vae", "–"]], 1, frozenset({(0, 1)})
    )  # fmt: skip
    assert format_table(table).split("\n") == [
        "             test",
        "model  distortion",
        "   ae        1.5*",
        "  vae          –",
        "",
        "Units: test distortion (nats per image). An asterisk marks the best among comparable rows.",
    ]


def test_plain_text_has_100_columns_and_what_does_not_fit_stands_below_with_the_settings():
    rows = [["ae", *(f"{number}.25 ± 1.5" for number in range(1000, 1010))], ["vae", *["–"] * 10]]
    table = Table(["model", *(f"long heading {i}" for i in range(10))], ["", *["s"] * 5, *[""] * 5], rows, 1)
    text = format_table(table)
    assert max(map(len, text.split("\n"))) <= 100
    first, second, units = text.split("\n\n")
    for block in (first, second):
        assert [line.split()[0] for line in block.split("\n")[-3:]] == ["model", "ae", "vae"]
    cells = [cell for block in (first, second) for cell in block.split("\n")[-2].split("  ") if "±" in cell]
    assert [cell.strip() for cell in cells] == rows[0][1:]
    assert units.startswith("Units: long heading 0 (s), ")


def test_a_setting_is_described_by_what_it_reads():
    fields = ("latent_dim", "kl_weight")
    assert results.describe(Config(model="ae", latent_dim=8), fields) == "latent_dim 8"
    assert results.describe(Config(latent_dim=8), fields) == "latent_dim 8, kl_weight 1"
    assert results.describe(Config(), ()) == ""


def test_runs_that_differ_in_their_seeds_only_are_a_setting_and_their_numbers_are_in_the_order_of_seeds():
    configs = [Config(latent_dim=dims, seed=seed) for seed in (2, 0, 1) for dims in (8, 2)]
    eight, two = results.grouped(configs, results.setting_of)
    assert [(config.latent_dim, config.seed) for config in eight] == [(8, 2), (8, 0), (8, 1)]
    assert {config.latent_dim for config in two} == {2}
    found = with_rows({config: {"test_rate": float(config.seed)} for config in eight if config.seed})
    assert found.numbers("test_rate", eight) == [1.0, 2.0]
    assert found.numbers("test_elbo", eight) == [None, None]
    assert len(results.grouped(configs, lambda config: results.setting_of(config, ("latent_dim",)))) == 1


def test_the_fields_that_tell_settings_apart_are_those_of_a_models_own_runs():
    configs = [Config(model="ae", seed=0), Config(kl_weight=0.5), Config(kl_weight=2.0, seed=1)]
    assert results.fields_by_model(configs) == {"ae": [], "vae": ["kl_weight"]}
