"""The command line: flags are the Config, exit codes, messages of one line, and a launch from end to end."""

import csv
import json
import os
import shlex
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_config import values_of

import experiments
from experiments import launch
from scripts import evaluate as evaluate_script
from scripts import figures as figures_script
from vae_jax import evaluation, gallery, lock, provenance, sweeps
from vae_jax.config import FIELDS, Config, expand, format_value
from vae_jax.workdir import OF_A_LAUNCH, is_trained, read_experiment, run_dir

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run_main(capsys):
    """Calls a `main`; gives back its exit code and what it wrote to stdout and stderr."""

    def run(*flags, main=launch.main):
        code = main([f"{main.__module__.split('.')[-1]}.py", *map(str, flags)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def tiny_file(tiny_experiment, tmp_path):
    """The tiny experiment as a user's own file, in a folder with a space in its name."""
    path = tmp_path / "my experiments" / "tiny.py"
    path.parent.mkdir()
    path.write_text(
        f"from vae_jax.config import Config, Experiment\n\nEXPERIMENT = Experiment(name='tiny', question='Why?', "
        f"base={tiny_experiment.base!r}, grid={tiny_experiment.grid!r}, figures={tiny_experiment.figures!r})\n"
    )
    return path


def is_one_line(message, program="launch.py"):
    return message.startswith(f"{program}: ") and message.endswith("\n") and message.count("\n") == 1


@given(st.data())
def test_every_field_is_a_flag_and_a_list_is_a_grid(data):
    names = data.draw(st.lists(st.sampled_from(sorted(FIELDS)), unique=True, max_size=4))
    given_values = {name: tuple(data.draw(st.lists(values_of(FIELDS[name]), min_size=1, max_size=3))) for name in names}
    flags = launch.define_flags()
    flags(["launch.py", *(f"--{name}={','.join(map(format_value, given_values[name]))}" for name in names)])
    assert launch.override_values(flags) == given_values
    again = launch.define_flags()
    again(["launch.py", *(flags[name].serialize() for name in names)])
    assert launch.override_values(again) == given_values


def test_flags_override_the_experiment(run_main, tmp_path):
    flags = ["--experiment=kl_weight", "--latent_dim=3", "--kl_weight=0.5,2", "--hidden_dims=none,8x4"]
    code, out, _ = run_main(*flags, f"--workdir={tmp_path}", "--dry_run")
    grid = {"latent_dim": (3,), "hidden_dims": ((), (8, 4)), "kl_weight": (0.5, 2.0)}
    configs = expand(Config(num_epochs=50), grid)
    assert code == 0
    assert out.splitlines()[:-1] == [f"to do    {config.name}" for config in configs]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--latent_dims=3"], "Unknown command line flag 'latent_dims'. Did you mean: latent_dim"),
        (["--latent_dim=0"], "latent_dim must be a whole number from 1 to 4096, not 0"),
        (["--latent_dim=2,x"], "latent_dim must be a whole number from 1 to 4096, not 'x'"),
        (["--learning_rate=nan"], "learning_rate must be a number from"),
        (["--seed="], "seed must be a whole number"),
        (["--mean_bias=maybe"], "mean_bias must be true | false, not 'maybe'"),
        (["--likelihood=bernouli"], "did you mean 'bernoulli'"),
        (["--schedule=warmup_cosine", "--num_epochs=1"], "lr_warmup_epochs (1) must be less than num_epochs (1)"),
        (["--experiment=ae_vs_va"], "unknown experiment 'ae_vs_va'; did you mean 'ae_vs_vae'?"),
        (["--experiment="], "there are ae_vs_vae, kl_weight, latent_dim, train, or a path to a .py file"),
        (["--experiment=nowhere/e.py"], "there is no experiment file nowhere/e.py"),
        (["--dataset=mnst"], "did you mean 'mnist'"),
        (["--dataset=idx:"], "dataset must be"),
        (["ae_vs_vae"], "'ae_vs_vae' is not a flag; write --name=value"),
        (["--", "--seed=1"], "'--seed=1' is not a flag"),
        (["--tensorboard=maybe"], "tensorboard"),
        (["--flagfile=nowhere/flags"], "nowhere/flags"),
        (["--workdir"], "Missing value for flag --workdir"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(run_main, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = run_main(*flags)
    assert (code, out) == (2, "")
    assert is_one_line(err)
    assert message in err
    assert err.endswith(" (see --help)\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("EXPERIMENT = ", "does not load: SyntaxError"),
        ("raise RuntimeError('no')", "does not load: RuntimeError: no"),
        ("x = 1", "defines no EXPERIMENT"),
        ("EXPERIMENT = 3", "defines no EXPERIMENT"),
        ("EXPERIMENT = Experiment(name='e')", "does not load: TypeError"),
        ("EXPERIMENT = Experiment(name='e', question='?', base=None)", "base is a Config"),
        ("EXPERIMENT = Experiment(name='e', question='?', grid=3)", "grid a dict of lists"),
        ("EXPERIMENT = Experiment(name='e', question='?', grid={'seed': 3})", "grid a dict of lists"),
        ("EXPERIMENT = Experiment(name='e', question='?', grid={'seed': ()})", "has no runs"),
        ("EXPERIMENT = Experiment(name='e', question='?', grid={'beta': (1,)})", "unknown field 'beta'"),
        ("EXPERIMENT = Experiment(name='e', question='?', grid={'model': 'vae'})", "model must be ae | vae, not 'v'"),
        ("EXPERIMENT = Experiment(name='e', question='?', figures=('sample',))", "did you mean 'samples'"),
    ],
)
def test_a_wrong_experiment_file_is_exit_code_2(run_main, tmp_path, content, message):
    path = tmp_path / "own.py"
    path.write_text(f"from vae_jax.config import Config, Experiment\n{content}\n")
    code, out, err = run_main(f"--experiment={path}", f"--workdir={tmp_path / 'workdir'}")
    assert (code, out) == (2, "")
    assert is_one_line(err)
    assert message in err
    assert not (tmp_path / "workdir").exists()


def test_what_is_not_there_or_not_right_is_one_line_and_exit_code_1(run_main, tiny_workdir, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("")
    idx = tmp_path / "idx"
    idx.mkdir()
    cases = {
        f"mnist is not prepared in {tmp_path}": ["--dataset=mnist", f"--data_dir={tmp_path}"],
        "train-images-idx3-ubyte (or .gz) is not there": [f"--dataset=idx:{idx}"],
        f"cannot write {tmp_path}/file/below/lock-0.json: Not a directory": [f"--workdir={tmp_path}/file/below"],
        "cannot write /proc/new/lock-0.json: No such file or directory": ["--workdir=/proc/new"],
        f"cannot write {tmp_path}/file/lock-0.json: ": [f"--workdir={tmp_path}/file"],
        "holds experiment 'tiny', not 'ae_vs_vae'; choose another --workdir": [f"--workdir={tiny_workdir}"],
        "home is not empty and holds no experiment": [f"--workdir={tmp_path}/home"],
    }
    before = sorted(tiny_workdir.rglob("*"))
    for message, flags in cases.items():
        code, out, err = run_main(f"--workdir={tmp_path}/new", *flags)
        assert (code, out) == (1, ""), message
        assert is_one_line(err)
        assert message in err
    for stem in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        sizes = (50, 28, 28) if "images" in stem else (50,)
        header = struct.pack(f">{len(sizes) + 1}I", 0x800 + len(sizes), *sizes)
        (idx / f"{stem}-ubyte").write_bytes(header + b"\0" * 40)
    code, _, err = run_main(f"--workdir={tmp_path}/new", f"--dataset=idx:{idx}")
    assert code == 1
    assert is_one_line(err)
    assert "is cut short" in err
    assert not (tmp_path / "new").exists()
    assert sorted(tiny_workdir.rglob("*")) == before


def test_a_workdir_has_one_writer(run_main, tiny_workdir, tiny_file, tmp_path):
    workdir = shutil.copytree(tiny_workdir, tmp_path / "copied")
    run = run_dir(workdir, read_experiment(workdir).configs[0])
    with lock.hold(workdir):
        before = sorted(workdir.rglob("*"))
        for flags, main in (
            ([f"--experiment={tiny_file}", f"--workdir={workdir}"], launch.main),
            ([f"--workdir={workdir}"], figures_script.main),
            ([f"--run={run}"], evaluate_script.main),
        ):
            code, out, err = run_main(*flags, main=main)
            assert (code, out) == (1, "")
            assert is_one_line(err, f"{main.__module__.split('.')[-1]}{'.py' * (main is launch.main)}")
            assert f"{workdir} is in use (process {os.getpid()} on " in err
        assert sorted(workdir.rglob("*")) == before


def test_an_interrupt_says_how_to_go_on(run_main, tiny_file, tmp_path, monkeypatch):
    def interrupt(configs, workdir, options, stop):
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            stop.check()

    monkeypatch.setattr(sweeps, "train_due", interrupt)
    code, _, err = run_main(f"--experiment={tiny_file}", f"--workdir={tmp_path / 'workdir'}")
    assert code == 130
    assert "the same command goes on" in err
    assert (tmp_path / "workdir" / "experiment.json").exists()


def test_tensorboard_needs_its_package(run_main, monkeypatch):
    monkeypatch.setattr(launch.importlib.util, "find_spec", lambda name: None)
    code, _, err = run_main("--tensorboard", "--dry_run")
    assert code == 2
    assert "pip install 'vae-jax[tensorboard]'" in err


def test_help_tells_every_flag_with_its_default(run_main):
    code, out, err = run_main("--help")
    assert (code, err) == (0, "")
    assert run_main("-h") == (code, out, err)
    lines = {line.split()[0]: line for line in out.splitlines() if line.startswith("  --")}
    assert set(lines) == {f"--{name}" for name in (*FIELDS, *launch.define_flags()) if name != "h"}
    for name, field in FIELDS.items():
        assert field.metadata["doc"] in lines[f"--{name}"]
        assert field.metadata["unit"] in lines[f"--{name}"]
        assert lines[f"--{name}"].endswith(f"; default {format_value(field.default)}")
    assert lines["--experiment"].endswith("default ae_vs_vae")


def test_the_list_tells_every_experiment_and_its_question(run_main):
    code, out, _ = run_main("--list")
    assert code == 0
    assert dict(line.split(maxsplit=1) for line in out.splitlines()) == {
        name: experiments.load(name).question for name in ("ae_vs_vae", "kl_weight", "latent_dim", "train")
    }


def test_a_dry_run_tells_what_is_done_and_touches_nothing(run_main, tiny_experiment, tiny_file, tiny_workdir, tmp_path):
    code, out, _ = run_main(f"--experiment={tiny_file}", f"--workdir={tiny_workdir}", "--seed=1,2", "--dry_run")
    assert code == 0
    configs = tiny_experiment.override({"seed": (1, 2)}).configs
    states = ("trained", "to do  ")
    assert out.splitlines() == [
        *(f"{states[config.seed - 1]}  {config.name}" for config in configs),
        f"tiny: 4 runs, 2 trained, in {tiny_workdir}",
    ]
    run_main(f"--workdir={tmp_path}/new", "--dry_run")
    assert not (tmp_path / "new").exists()


def test_workdirs_lie_in_runs_by_default_and_may_be_at_home(run_main, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert run_main("--dry_run", "--experiment=train")[1].endswith("in runs/train\n")
    assert run_main("--dry_run", "--workdir=~/a")[1].endswith(f"in {tmp_path}/home/a\n")
    code, _, err = run_main("--workdir=~/a", main=figures_script.main)
    assert (code, err) == (1, f"figures: {tmp_path}/home/a holds no experiment (there is no experiment.json in it)\n")


@pytest.fixture(scope="module")
def launched(tiny_experiment, tmp_path_factory):
    """A launch in a process of its own; paths have spaces. Gives its workdir, its flags, and the finished process."""
    folder = tmp_path_factory.mktemp("end to end")
    (folder / "own.py").write_text(
        "from vae_jax.config import Config, Experiment\n"
        "EXPERIMENT = Experiment(name='own', question='Why <not>?', base=Config(num_epochs=9),\n"
        "    grid={'model': ('ae', 'vae')}, figures=('training_curves', 'latent_space'))\n"
    )
    flags = [f"--experiment={folder}/own.py", "--num_epochs=2", "--hidden_dims=8", "--seed=0,1",
             f"--workdir={folder}/work dir"]  # fmt: skip
    process = subprocess.run(
        [sys.executable, "-m", "experiments.launch", *flags], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    return folder / "work dir", flags, process


def test_a_launch_leaves_every_file(launched, tiny_experiment):
    workdir, flags, process = launched
    assert process.returncode == 0, process.stderr
    assert "Warning" not in process.stderr
    assert "Traceback" not in process.stderr
    of_a_run = ("config.json", "evaluation.json", "metrics.jsonl", "params.safetensors")
    expected = {f"runs/{config.name}/{name}" for config in tiny_experiment.configs for name in of_a_run}
    expected |= {f"figures/{name}.{suffix}" for name in tiny_experiment.figures for suffix in ("png", "pdf")}
    expected |= {"experiment.json", "results.csv", "report.html"}
    assert expected <= {str(path.relative_to(workdir)) for path in workdir.rglob("*") if path.is_file()}
    assert {path.name for path in workdir.iterdir()} == OF_A_LAUNCH - {"checkpoints", "lock-0.json"} | {
        "experiment.json"
    }
    assert read_experiment(workdir).configs == tiny_experiment.configs
    record = json.loads((workdir / "experiment.json").read_text())
    assert shlex.split(record["command"]) == ["python", "-m", "experiments.launch", *flags]
    assert record["runs"] == [config.name for config in tiny_experiment.configs]
    assert record["data"]["mnist_5k"]["counts"] == {"train": 3667, "validation": 333, "test": 1000}
    assert record["device"]["platform"] == "cpu"
    assert 0 < record["wall_seconds"] < 300
    assert "Why &lt;not&gt;?" in (workdir / "report.html").read_text()


def test_a_launch_prints_its_numbers_and_where_its_report_is(launched):
    workdir, _, process = launched
    header, ae, vae, *_ = process.stdout.splitlines()
    assert header.split()[:2] == ["model", "seeds"]
    assert [line.split()[:2] for line in (ae, vae)] == [["ae", "2"], ["vae", "2"]]
    assert process.stdout.endswith(f"\nReport: {workdir / 'report.html'}\n")
    rows = list(csv.DictReader((workdir / "results.csv").read_text().splitlines()))
    assert [(row["model"], row["seed"]) for row in rows] == [("ae", "0"), ("ae", "1"), ("vae", "0"), ("vae", "1")]
    losses = [float(row["test_loss"]) for row in rows[:2]]
    assert f"{sum(losses) / 2:.2f} ± {abs(losses[0] - losses[1]) / 2**0.5:.2f}" in ae


def test_a_launch_in_another_process_gives_the_same_parameters(launched, tiny_experiment, tiny_workdir):
    for config in tiny_experiment.configs:
        paths = [run_dir(workdir, config) / "params.safetensors" for workdir in (launched[0], tiny_workdir)]
        assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.fixture
def finished(launched, tmp_path, monkeypatch):
    """A copy of the launched workdir, coarsely drawn from here on, in which no run may be trained or evaluated."""

    def fail(*args, **kwargs):
        raise AssertionError("trained or evaluated again")

    monkeypatch.setattr(sweeps, "_compile", fail)
    monkeypatch.setattr(evaluation, "evaluate_run", fail)
    savefig = gallery.Figure.savefig
    monkeypatch.setattr(gallery.Figure, "savefig", lambda self, *args, **kw: savefig(self, *args, **{**kw, "dpi": 30}))
    return shutil.copytree(launched[0], tmp_path / "finished")


def written(workdir):
    return {path: path.stat().st_mtime_ns for path in workdir.rglob("*") if path.is_file()}


def test_the_same_command_does_nothing_twice(launched, finished, run_main):
    before = written(finished)
    code, out, err = run_main(*launched[1][:-1], f"--workdir={finished}")
    assert (code, err) == (0, "")
    assert out.split("Report:")[0] == launched[2].stdout.split("Report:")[0]
    after = written(finished)
    assert after.keys() == before.keys()
    assert {path.relative_to(finished).parts[0] for path in before if after[path] != before[path]} == {
        "experiment.json", "results.csv", "report.html", "figures",
    }  # fmt: skip


def test_figures_and_report_are_drawn_again(finished, run_main):
    before = written(finished)
    for path in (finished / "figures").iterdir():
        path.unlink()
    (finished / "report.html").unlink()
    code, out, err = run_main(f"--workdir={finished}", main=figures_script.main)
    assert (code, err) == (0, "")
    assert out == f"2 figures in {finished}/figures\nReport: {finished}/report.html\n"
    after = written(finished)
    assert after.keys() == before.keys()
    changed = {path.relative_to(finished).parts[0] for path in before if after[path] != before[path]}
    assert changed == {"report.html", "figures"}


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        ([], 2, "--workdir"), (["--workdr=x"], 2, "Did you mean: workdir"), (["x", "--workdir=x"], 2, "'x'"),
        (["--workdir=nowhere"], 1, "nowhere holds no experiment"),
    ],
)  # fmt: skip
def test_wrong_usage_of_the_figures_script(run_main, tmp_path, monkeypatch, flags, code, message):
    monkeypatch.chdir(tmp_path)
    assert run_main(*flags, main=figures_script.main)[0] == code
    _, out, err = run_main(*flags, main=figures_script.main)
    assert (out, message in err) == ("", True)
    assert is_one_line(err, "figures")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("changes", [{"figures": ["sample"]}, {"base": {"schedule": "warmup_cosine", "num_epochs": 1}}])
def test_an_experiment_that_is_no_more_is_one_line(run_main, tiny_workdir, tmp_path, changes):
    """Its experiment.json is of another version, or was edited."""
    record = json.loads((tiny_workdir / "experiment.json").read_text())
    (tmp_path / "experiment.json").write_text(json.dumps(record | changes))
    code, out, err = run_main(f"--workdir={tmp_path}", main=figures_script.main)
    assert (code, out) == (1, "")
    assert is_one_line(err, "figures")


def test_help_of_the_figures_script(run_main):
    code, out, err = run_main("--help", main=figures_script.main)
    assert (code, err) == (0, "")
    assert "--workdir" in out
    assert "without training" in out


def test_a_damaged_run_is_one_line(run_main, tiny_workdir, tiny_file, tmp_path):
    workdir = shutil.copytree(tiny_workdir, tmp_path / "copied")
    config = read_experiment(workdir).configs[0]
    path = run_dir(workdir, config) / "params.safetensors"
    path.write_bytes(b"no parameters")
    assert is_trained(path.parent)
    code, _, err = run_main(f"--experiment={tiny_file}", f"--workdir={workdir}")
    assert code == 1
    assert is_one_line(err)
    assert f"{path} is damaged" in err


def test_the_commit_is_that_of_this_code_and_not_of_a_project_around_it(tmp_path, monkeypatch):
    path = tmp_path / "site-packages" / "vae_jax" / "provenance.py"
    path.parent.mkdir(parents=True)
    path.write_text("")

    def git(*command):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *command], cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.setattr(provenance, "__file__", str(path))
    assert provenance._git_commit() is None
    git("init")
    git("commit", "--allow-empty", "--message=theirs")
    assert provenance._git_commit() is None
    git("add", ".")
    git("commit", "--message=ours")
    commit = provenance._git_commit()
    assert len(commit) == 40
    path.write_text("changed")
    assert provenance._git_commit() == commit + "+"
