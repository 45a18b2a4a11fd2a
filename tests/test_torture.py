"""The harness itself: it sees what differs, and a launch that is killed ends as if it was not."""

import shutil

import pytest
import torture

from vae_jax.workdir import write_record


def test_a_kill(capsys, monkeypatch):
    smaller = "--model=ae --hidden_dims=none --num_epochs=10 --evaluate=never --only_figures=training_curves"
    monkeypatch.setattr(torture, "FLAGS", [*torture.FLAGS, *smaller.split()])
    assert torture.main(["--kills=1", "--seed=16"]) == 0
    out = capsys.readouterr().out
    assert "1 kills survived" in out
    assert "; 0 differences found" in out


def csv(seconds, loss):
    return f"run,train_seconds,test_loss\na,{seconds},{loss}\n"


@pytest.mark.parametrize(
    ("name", "content", "is_seen"),
    [
        ("runs/a/params.safetensors", "1", True),
        ("runs/a/timing.jsonl", "1", False),
        ("report.html", "1", False),
        ("results.csv", csv(3.5, 7), False),
        ("results.csv", csv(2.5, 8), True),
        ("new", "", True),
    ],
)
def test_what_differs_is_seen_but_for_the_clock(tiny_experiment, tmp_path, name, content, is_seen):
    expected, found = tmp_path / "expected", tmp_path / "found"
    write_record(expected, tiny_experiment, {"started": "today", "data": {}})
    (expected / "runs" / "a").mkdir(parents=True)
    for file in ("runs/a/params.safetensors", "runs/a/timing.jsonl", "report.html"):
        (expected / file).write_text("0")
    (expected / "results.csv").write_text(csv(2.5, 7))
    shutil.copytree(expected, found)
    write_record(found, tiny_experiment, {"started": "tomorrow", "data": {}})
    assert torture.compare(expected, found) == []
    (found / name).write_text(content)
    assert [name in difference for difference in torture.compare(expected, found)] == [True] * is_seen
