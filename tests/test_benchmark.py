"""The benchmarks compare like with like, in turn, and leave a table and a picture."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.benchmark import contestants, measuring, report, scaling
from vae_jax.errors import UserError

ROOT = Path(__file__).resolve().parents[1]


def test_contestants_take_turns_and_ratios_are_of_one_round():
    calls = []
    times = {"ours": iter([1.0, 2.0, 4.0]), "theirs": iter([2.0, 6.0, 8.0])}
    measures = {name: lambda name=name: calls.append(name) or next(times[name]) for name in times}
    found = measuring.table("race", "s", measures, repeats=3)
    assert calls == ["ours", "theirs"] * 3
    assert found.rows[0] == ("ours", 2.0, 1.0, (1.0, 1.0), None)
    assert found.rows[1] == ("theirs", 6.0, 2.0, (2.0, 3.0), None)
    assert "x 2.00 (2.00 to 3.00)" in found.text()


@pytest.mark.parametrize(("other", "fits"), [(101.9, True), (98.1, True), (102.1, False), (float("nan"), False)])
def test_losses_that_differ_are_not_compared(other, fits):
    def steps(loss):
        while True:
            yield loss

    race = {"ours": steps(100.0), "theirs": steps(other)}
    if fits:
        assert [row.loss for row in measuring.race("race", "s", race, 1).rows] == [100.0, other]
    else:
        with pytest.raises(UserError, match="theirs has a loss of"):
            measuring.race("race", "s", race, 1)


def test_a_table_and_a_picture_are_left_and_other_tables_are_kept(tmp_path):
    rows = [measuring.Row("ours", 1.0, 1.0, (1.0, 1.0)), measuring.Row("theirs", 2.0, 2.1, (1.9, 2.5), 3.0)]
    report.write(tmp_path, [measuring.Table("a", "s", rows)])
    report.write(tmp_path, [measuring.Table("b", "s", rows, "100 images; 3 GiB")])
    found = json.loads((tmp_path / "benchmark.json").read_text())
    assert found["tables"].keys() == {"a", "b 100 images"}
    assert found["tables"]["a"]["rows"][1]["ratio"] == 2.1
    assert found["machine"]["cores"] >= 1
    with Image.open(tmp_path / "benchmark.png") as image:
        assert np.ptp(np.asarray(image.convert("L"))) > 100


@pytest.mark.usefixtures("cheap_compilation")
def test_convolutions_of_flax_and_ours_are_the_same_step():
    """The same network from the same parameters: after a few steps the losses differ by the order of images only."""
    images = np.random.default_rng(0).integers(0, 256, (256, 8, 8), np.uint8)
    steps = contestants.conv_steps(images, 2)
    assert list(steps)[:2] == ["vae_jax", "flax's nn.Conv"]
    losses = {name: next(epochs) for name, epochs in steps.items()}
    measuring.check_losses(losses)


def test_an_unknown_benchmark_is_wrong_usage():
    done = subprocess.run(
        [sys.executable, "-m", "scripts.benchmark", "speed"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "name one benchmark: train, conv, likelihood, evaluation, again" in done.stderr


def test_scaling_tells_time_and_memory_as_multiples_of_the_first_point(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scaling, "_point", lambda images, axis, value: scaling.Point(value, 0.5 * value, 1 + value / 8))
    monkeypatch.setattr(scaling, "_cluster_point", lambda images, workers: scaling.Point(workers, 10.0 / workers))
    scaling.benchmark_scaling("mnist_5k", tmp_path, {"latent_dim": (2, 8)})
    said = capsys.readouterr().out
    assert "latent_dim 8: 4 s, 2.00 GiB; x 4 of it takes x 4.00" in said
    assert "workers of a cluster 2: 5 s; x 2 of it takes x 0.50" in said
    assert json.loads((tmp_path / "scaling.json").read_text())["latent_dim"][1] == [8, 4.0, 2.0]
    with Image.open(tmp_path / "scaling.png") as image:
        assert image.width > image.height


def test_a_data_set_is_resized_by_repeating_its_images(tmp_path):
    images = np.arange(3 * 16, dtype=np.uint8).reshape(3, 4, 4)
    arrays = np.load(scaling._resized(images, 7, tmp_path).removeprefix("npz:"))
    np.testing.assert_array_equal(arrays["x_train"], images[[0, 1, 2, 0, 1, 2, 0]])
