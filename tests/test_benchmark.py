"""The benchmarks compare like with like, in turn."""

import numpy as np
import pytest

from scripts.benchmark import __main__ as benchmark
from scripts.benchmark import conv, evaluation, measuring, sweep, train
from vae_jax.errors import UserError
from vae_jax.measure import judges


def test_contestants_take_turns_and_ratios_are_of_one_round():
    calls = []
    times = {"ours": iter([1.0, 2.0, 4.0]), "theirs": iter([2.0, 6.0, 8.0])}
    found = measuring.alternate({name: lambda name=name: calls.append(name) or next(times[name]) for name in times}, 3)
    assert calls == ["ours", "theirs"] * 3
    assert found == {"ours": [1.0, 2.0, 4.0], "theirs": [2.0, 6.0, 8.0]}
    title, ours, theirs = measuring.table("s a step", found, {"theirs": "; slow"}).splitlines()
    assert title == "s a step"
    assert ours.split() == ["ours", "2", "s", "x", "1.00", "(1.00", "to", "1.00)"]
    assert theirs.split() == ["theirs", "6", "s", "x", "2.00", "(2.00", "to", "3.00);", "slow"]


@pytest.mark.parametrize(("other", "fits"), [(103.9, True), (96.1, True), (104.1, False), (float("nan"), False)])
def test_a_loss_that_is_not_the_first_contestants_is_marked(other, fits):
    def steps(loss):
        while True:
            yield loss

    _, ours, theirs = measuring.race("s", {"ours": steps(100.0), "theirs": steps(other)}, 1).splitlines()
    assert ours.endswith("; loss 100.00")
    assert theirs.endswith(f"; loss {other:.2f}" if fits else f"; loss {other:.2f}, ANOTHER ONE")


def test_what_is_not_installed_is_skipped_in_one_line(capsys):
    def steps(library):
        __import__(library)
        while True:
            yield 1.0

    race = {"ours": steps("math"), "a": steps("no_such_library"), "b": steps("no_such_library")}
    assert len(measuring.race("s", race, 1).splitlines()) == 2
    assert capsys.readouterr().out == "skipped: a, b: No module named 'no_such_library' (extra bench)\n"


@pytest.mark.usefixtures("cheap_compilation")
def test_ours_and_a_loop_of_steps_are_the_same_training():
    """The same network from the same parameters: after a few steps the losses differ by the order of images only."""
    images = np.random.default_rng(0).integers(0, 256, (256, 8, 8, 3), np.uint8)
    dense = [train.ours(images, train.CONFIG), train.flax_epochs(images, train.CONFIG)]
    for contestants in (dense, list(conv.contestants(images).values())[:2]):  # PyTorch is not installed for tests
        ours, other = (next(epochs) for epochs in contestants)
        assert measuring.is_same(ours, other)


def test_a_launch_of_another_checkout_runs_its_code_and_says_what_failed(tmp_path):
    package = tmp_path / "checkout" / "vae_jax"
    package.mkdir(parents=True)
    (package / "__main__.py").write_text("import sys; print(*sys.argv[1:], file=open('flags', 'w')); sys.exit(0)")
    assert 0 < sweep.seconds_of_launch(package.parent, "npz:a,b.npz", ["--seed=0"]) < 60
    flags = (package.parent / "flags").read_text().split()
    assert [flags[1], *flags[3:]] == ["--dataset=npz:a\\,b.npz", "--evaluate=never", "--num_epochs=20", "--seed=0"]
    (package / "__main__.py").write_text("raise SystemExit('no room')")
    with pytest.raises(UserError, match="ended with 1: no room"):
        sweep.launch(package.parent, "mnist_5k", tmp_path / "sweep", [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["speed"], "name one benchmark: train, conv, evaluation, sweep, versions"),
        ([], "name one benchmark"), (["versions"], "--other=DIR"), (["train", "--epochs=0"], "--epochs=0"),
    ],
)  # fmt: skip
def test_wrong_usage(arguments, said, capsys):
    assert benchmark.main(["benchmark", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("cheap_compilation")
def test_an_evaluation_is_divided_into_its_parts(write_npz, capsys, monkeypatch):
    """The time of each is that of its second evaluation; what a part computes is not computed here."""
    monkeypatch.setattr(judges, "load_or_train", lambda *_: None)
    times = iter([9.0] * 4 + [1.0, 2.0, 3.0, 4.0])
    monkeypatch.setattr(evaluation, "seconds", lambda _: next(times))
    dataset = write_npz(num_train=40, num_test=16)
    assert benchmark.main(["benchmark", "evaluation", f"--dataset={dataset}", "--epochs=1"]) == 0
    lines = capsys.readouterr().out.splitlines()[-6:]
    assert "(16 test images, z = 2)" in lines[0]
    parts = ["likelihood", "density of the codes", "samples", "latent space"]
    assert [line[2:30].strip() for line in lines[1:]] == ["all", *parts]
    assert [line[30:].split() for line in lines[1:]] == [
        ["10", "s", "1.00"], *([f"{part}", "s", f"0.{part}0"] for part in (1, 2, 3, 4)),
    ]  # fmt: skip
    assert next(times, None) is None
