"""The command line: flags are the Config, exit codes, messages of one line, and a launch from end to end."""

import contextlib
import csv
import dataclasses
import importlib
import importlib.metadata
import json
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote, unquote, urlparse

import flax.traverse_util
import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_config import values_of
from test_fields import joined

import vae_jax
from vae_jax import session, source
from vae_jax.config import FIELDS, Config, expand
from vae_jax.data.identity import identity_of, load_dataset
from vae_jax.fields import ConfigError, format_value
from vae_jax.launch import catalog, launcher, provenance, sweeps
from vae_jax.launch import flags as launch_flags
from vae_jax.measure import instruments, judges
from vae_jax.report.figures import FIGURES
from vae_jax.workdir import WRITTEN, DataIdentity, is_trained, read_experiment, run_dir, write_config, write_record

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = (
    "ae_vs_vae", "factors", "fast_recipe", "ingredients", "kl_weight", "latent_dim", "recipe", "train",
    "published/iwae_table_1", "published/jaanli", "published/pythae_vae", "published/pytorch_example",
    "published/svae_normal",
)  # fmt: skip


@pytest.fixture
def run_main(capsys):
    """Calls the launcher; returns its exit code and what it wrote to stdout and stderr."""

    def run(*flags):
        code = launcher.main(["launch.py", *map(str, flags)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def tiny_file(tiny_experiment, tmp_path):
    """The tiny experiment as a user's own file, in a folder with a space in its name."""
    path = tmp_path / "my experiments" / "tiny.py"
    path.parent.mkdir()
    path.write_text(
        f"from vae_jax.config import Config, Experiment\n\nEXPERIMENT = Experiment(name='tiny', question='Why?', "
        f"base={tiny_experiment.base!r}, grids={tiny_experiment.grids!r}, figures={tiny_experiment.figures!r})\n"
    )
    return path


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """A launch in a process of its own; paths have spaces. Gives its workdir, its flags, and the finished process.

    The user's cache has a judge, whose numbers are made up.
    """
    folder = tmp_path_factory.mktemp("end to end")
    random, counts = np.random.default_rng(0), {"train": 60, "test": 20}
    content = {f"x_{split}": random.integers(0, 256, (n, 8, 8), np.uint8) for split, n in counts.items()}
    np.savez(folder / "digits.npz", **content, **{f"y_{split}": np.arange(n) % 3 for split, n in counts.items()})
    (folder / "own.py").write_text(
        "from vae_jax.config import Config, Experiment\n"
        "EXPERIMENT = Experiment(name='own', question='Why <not>?', base=Config(num_epochs=9),\n"
        "    grid={'model': ('ae', 'vae')}, figures=('training_curves', 'latent_space'))\n"
    )
    dataset, network = load_dataset(Config(dataset=f"npz:{folder}/digits.npz")), judges.Network(3)
    shapes = jax.eval_shape(network.init, jax.random.key(0), np.zeros((1, 8, 8), np.float32))["params"]
    judge = {"held_out": np.sort(random.normal(size=10)).astype(np.float32)}
    for name, leaf in flax.traverse_util.flatten_dict(shapes, sep="/").items():
        judge[name] = random.normal(scale=0.1, size=leaf.shape).astype(np.float32)
    instruments.load_or_train(dataset.name, identity_of(dataset), 0, lambda: (judge, 0.5))
    flags = [f"--experiment={folder}/own.py", f"--dataset={dataset.name}", "--num_epochs=2", "--hidden_dims=none",
             "--seed=0,1", "--num_likelihood_samples=5", f"--workdir={folder}/work dir"]  # fmt: skip
    process = subprocess.run(
        [sys.executable, "-m", "vae_jax", *flags], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    return folder / "work dir", flags, process


@pytest.fixture
def copied(launched, tmp_path, coarse_figures):
    """A copy of the launched workdir, coarsely drawn from here on."""
    return shutil.copytree(launched[0], tmp_path / "copied")


@pytest.fixture
def finished(copied, monkeypatch):
    """A copy of the launched workdir in which no run may be trained or evaluated."""

    def fail(*args, **kwargs):
        raise AssertionError("trained or evaluated again")

    monkeypatch.setattr(sweeps, "work", fail)
    return copied


def is_one_line(message):
    return message.startswith("vae-jax: ") and message.endswith("\n") and message.count("\n") == 1


@given(st.data())
def test_every_field_is_a_flag_and_a_list_is_a_grid(data):
    names = data.draw(st.lists(st.sampled_from(sorted(FIELDS)), unique=True, max_size=4))
    expected = {name: tuple(data.draw(st.lists(values_of(FIELDS[name]), min_size=1, max_size=3))) for name in names}
    values = launch_flags.parse(["launch.py", *(f"--{name}={joined(expected[name])}" for name in names)])
    assert launch_flags.overrides(values) == expected


def test_flags_override_the_experiment(run_main, tmp_path):
    flags = ["--experiment=kl_weight", "--latent_dim=3", "--kl_weight=0.5,2", "--hidden_dims=none,8x4"]
    code, out, _ = run_main(*flags, f"--workdir={tmp_path}", "--dry_run")
    given = {"latent_dim": (3,), "kl_weight": (0.5, 2.0), "hidden_dims": ((), (8, 4))}
    configs = expand(catalog.load("kl_weight").base, {"model": ("ae", "vae"), "seed": (0, 1, 2)} | given)
    assert len(configs) == 2 * 3 + 2 * 2 * 3  # an AE has no weight
    assert code == 0
    runs = [line for line in out.splitlines() if line.startswith("to do ")]
    assert sorted(runs) == sorted(f"to do    {config.name}" for config in configs)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--latent_dims=3"], "unknown flag --latent_dims; did you mean '--latent_dim'?"),
        (["--lr", "0.1"], "unknown flag --lr; did you mean '--learning_rate'?"),
        (["--kl-weight=1"], "did you mean '--kl_weight'?"),
        (["--output_dir=x"], "did you mean '--workdir'?"),
        (["--xyzzy=1"], "unknown flag --xyzzy (see --help)"),
        (["--latent_dim=0"], "latent_dim must be a whole number from 1 to 4096, not 0"),
        (["--latent_dim=2,x"], "latent_dim must be a whole number from 1 to 4096, not 'x'"),
        (["--learning_rate=nan"], "learning_rate must be a number from"),
        (["--seed="], "seed must be a whole number"),
        (["--mean_bias=maybe"], "mean_bias must be true or false, not 'maybe'"),
        (["--likelihood=bernouli"], "did you mean 'bernoulli'"),
        (["--schedule=warmup_cosine", "--num_epochs=1"], "lr_warmup_epochs (1) must be less than num_epochs (1)"),
        (["--experiment=ae_vs_va"], "unknown experiment 'ae_vs_va'; did you mean 'ae_vs_vae'?"),
        (
            ["--experiment="],
            "choose ae_vs_vae, factors, fast_recipe, ingredients, kl_weight, latent_dim, recipe, train, ",
        ),
        (["--experiment=nowhere/e.py"], "there is no experiment file nowhere/e.py"),
        (["--dataset=mnst"], "did you mean 'mnist'"),
        (["--dataset=idx:"], "dataset must be"),
        (["ae_vs_vae"], "'ae_vs_vae' is not a flag; write --name=value"),
        (["--", "--seed=1"], "'--seed=1' is not a flag"),
        (["--tensorboard=maybe"], "flag --tensorboard=maybe: ('Non-boolean argument"),
        (["--seed=9..0"], "seed takes ranges that rise, of at most 10000 values, not '9..0'"),
        (["--seed=0..9999", "--latent_dim=1..4096"], "at most 100000 combinations of values, not 81920000"),
        (["--no-mean-bias"], "unknown flag --no-mean-bias; did you mean '--nomean_bias'?"),
        (["--no-train"], "did you mean '--notrain'?"),
        (["--nomean_bias=1"], "--nomean_bias=1 does not take an argument"),
        (["--notrain=1"], "--notrain=1 does not take an argument"),
        (["--evaluate=neve"], "flag --evaluate=neve: value should be one of <due|again|never>"),
        (["--num_likelihood_samples=0"], "num_likelihood_samples"),
        (["--runs_per_device=0"], "runs_per_device"),
        (["--checkpoint_every_seconds=-1"], "checkpoint_every_seconds"),
        (["--workdir="], "--workdir is empty"),
        (["--data_dir="], "--data_dir is empty"),
        (["--seed=1\n2"], "seed must be a whole number"),
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
        ("EXPERIMENT = ", "own.py: SyntaxError: invalid syntax (own.py, line 2)"),
        ("raise RuntimeError('no\\n way')", "own.py, line 2: RuntimeError: no way"),
        ("import sys; sys.exit()", "own.py, line 2: SystemExit"),
        ("x = 1", "defines no EXPERIMENT"),
        ("EXPERIMENT = 3", "defines no EXPERIMENT"),
        ("EXPERIMENT = Experiment(name='e')", "line 2: TypeError: Experiment.__init__() missing 1 required"),
        ("EXPERIMENT = Experiment(name=3, question='?')", "line 2: name must be a str that can name a folder, not 3"),
        ("EXPERIMENT = Experiment(name='e', question='?', base=None)", "line 2: AttributeError: "),
        ("EXPERIMENT = Experiment(name='e', question='?', grid=3)", "grid must be a dict"),
        ("EXPERIMENT = Experiment(name='e', question='?', grid={'seed': ()})", "must be a list of one or more values"),
        ("EXPERIMENT = Experiment(name='e', question='?', grid={'beta': (1,)})", "did you mean 'kl_weight'?"),
        ("\n\nBASE = Config(beta=4)", "line 4: unknown field 'beta'; did you mean 'kl_weight'?"),
        ("BASE = Config(hidden_dims=64)", "line 2: hidden_dims must be whole numbers, "),
        ("EXPERIMENT = Experiment(name='e', question='?', figures=('sample',))", "did you mean 'samples'"),
        ("EXPERIMENT = Experiment(name='e', question='?', figures=('x',))", "unknown figure 'x'; choose from "),
    ],
)
def test_a_wrong_experiment_file_is_exit_code_2(run_main, tmp_path, content, message):
    path = tmp_path / "own.py"
    path.write_text(f"from vae_jax.config import Config, Experiment\n{content}\n")
    for dry_run in ((), ("--dry_run",)):
        code, out, err = run_main(f"--experiment={path}", f"--workdir={tmp_path / 'workdir'}", *dry_run)
        assert (code, out) == (2, "")
        assert is_one_line(err)
        assert message in err
    assert not (tmp_path / "workdir").exists()


NEIGHBOUR = """
from __future__ import annotations
from dataclasses import dataclass

@dataclass
class Width:
    units: int = 8
"""


def test_an_experiment_file_may_define_dataclasses_and_import_its_neighbours(run_main, tmp_path, monkeypatch):
    """Also where the file is called as a module of the standard library, and its path is relative."""
    (tmp_path / "neighbour_of_this_test.py").write_text(NEIGHBOUR)
    (tmp_path / "random.py").write_text(
        f"{NEIGHBOUR}\nimport neighbour_of_this_test as other\nfrom vae_jax.config import Config, Experiment\n"
        "widths = ((Width().units,), (other.Width(16).units,))\n"
        "EXPERIMENT = Experiment(name='wide', question='?', grid={'hidden_dims': widths})\n"
    )
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    code, out, err = run_main("--experiment=random.py", "--dry_run")
    assert (code, err) == (0, "")
    assert "varies   hidden_dims: 8, 16" in out
    assert sys.path == path
    assert sys.modules["random"].__file__ != str(tmp_path / "random.py")
    (tmp_path / "neighbour_of_this_test.py").unlink()
    (tmp_path / "random.py").write_text("import os\nimport no_neighbour\n")
    code, _, err = run_main("--experiment=random.py", "--dry_run")
    assert (code, sys.path) == (2, path)
    assert err == "vae-jax: random.py, line 2: ModuleNotFoundError: No module named 'no_neighbour' (see --help)\n"


def test_figures_are_known_by_their_source():
    assert sorted(catalog.figure_names()) == sorted(FIGURES)


def test_the_shipped_experiments_name_known_figures():
    assert catalog.names() == list(SHIPPED)
    for name in SHIPPED:
        catalog.check_figures(catalog.load(name).figures)


def test_an_experiment_file_may_be_at_home(run_main, tiny_file, monkeypatch):
    monkeypatch.setenv("HOME", str(tiny_file.parent))
    code, out, _ = run_main("--experiment=~/tiny.py", "--dry_run")
    assert code == 0
    assert out.startswith("tiny: Why?\n")


def test_what_is_not_there_or_not_right_is_one_line_and_exit_code_1(run_main, tiny_experiment, tmp_path):
    (tmp_path / "file").write_text("")
    write_record(tmp_path / "tiny", tiny_experiment, {})
    (tmp_path / "home" / "Documents").mkdir(parents=True)
    (tmp_path / "home" / "Documents" / "thesis.tex").write_text("")
    idx = tmp_path / "idx"
    idx.mkdir()
    cases = {
        f"mnist is not prepared in {tmp_path}": ["--dataset=mnist", f"--data_dir={tmp_path}"],
        "train-images-idx3-ubyte (or .gz) is not there": [f"--dataset=idx:{idx}"],
        f"cannot write {tmp_path}/file/below/lock.json: Not a directory": [f"--workdir={tmp_path}/file/below"],
        "cannot write /proc/new/lock.json: No such file or directory": ["--workdir=/proc/new"],
        f"cannot write {tmp_path}/file/lock.json: ": [f"--workdir={tmp_path}/file"],
        "holds experiment 'tiny', not 'ae_vs_vae'; choose another --workdir": [f"--workdir={tmp_path}/tiny"],
        "home holds no experiment, but Documents, which another program may have left": [f"--workdir={tmp_path}/home"],
    }
    before = sorted((tmp_path / "tiny").rglob("*"))
    for message, flags in cases.items():
        workdir = [] if any(flag.startswith("--workdir") for flag in flags) else [f"--workdir={tmp_path}/new"]
        code, out, err = run_main("--experiment=ae_vs_vae", *workdir, *flags)
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
    assert sorted((tmp_path / "tiny").rglob("*")) == before


def test_a_workdir_has_one_writer(run_main, launched):
    workdir, flags, _ = launched
    with session.hold(workdir):
        before = sorted(workdir.rglob("*"))
        for given in (flags, [flags[-1], "--evaluate=again"]):
            code, out, err = run_main(*given)
            assert (code, out) == (1, "")
            assert is_one_line(err)
            assert f"{workdir} is in use (process {os.getpid()} on " in err
        assert sorted(workdir.rglob("*")) == before


def written(workdir):
    return {path: path.stat().st_mtime_ns for path in workdir.rglob("*") if path.is_file()}


def changes(workdir, before):
    """The first parts of the paths of files that were written since."""
    return {path.relative_to(workdir).parts[0] for path, time in written(workdir).items() if before.get(path) != time}


def test_beside_a_launch_what_is_finished_is_drawn(finished, run_main, monkeypatch):
    """Once the launch has finished another run it is drawn again, and whoever draws at that moment is waited for."""
    draw = [f"--workdir={finished}", "--train=false", "--only_figures=training_curves", "--evaluate=again"]
    drawn = {"figures", "tables", "report.html", "made.json"}
    last, away = run_dir(finished, read_experiment(finished).configs[-1]), finished / "away"
    last.rename(away)
    writing = finished / "runs" / "ae" / f".params.safetensors.{'0' * 12}.tmp"
    writing.parent.mkdir()
    writing.write_text("half")
    with session.hold(finished), contextlib.ExitStack() as other:
        before = written(finished)
        code, out, err = run_main(*draw)
        assert (code, "not trained" in out) == (0, False)
        line, *lines = err.splitlines()
        owner = re.escape(f"{finished} is in use (process {os.getpid()} on ")
        assert re.fullmatch(rf"{owner}.*\): evaluating nothing, drawing what is finished", line)
        assert lines == ["drawing 0/1 training_curves", "drawn 1/1"]
        assert changes(finished, before) == drawn
        away.rename(last)
        other.enter_context(session.hold(finished, session.DRAWING))
        before, waited = written(finished), []
        monkeypatch.setattr(session.time, "sleep", lambda _: waited.append(changes(finished, before)) or other.close())
        assert run_main(*draw)[0] == 0
        assert waited == [set()]
        assert changes(finished, before) == drawn
        assert writing.exists()
    before = written(finished)
    assert run_main(*draw[:3])[0] == 0  # the page now has the time of a launch
    assert changes(finished, before) == {"experiment.json", "results.csv", *drawn}
    assert not writing.exists()


def test_what_has_finished_before_a_stop_is_in_the_table(finished, run_main, monkeypatch):
    configs = read_experiment(finished).configs
    saved = run_dir(finished, configs[0]) / "evaluation.json"
    content = saved.read_text()
    saved.unlink()

    def interrupt(*args, stop, **kwargs):
        saved.write_text(content)
        os.kill(os.getpid(), signal.SIGTERM)
        while True:
            stop.check()

    monkeypatch.setattr(sweeps, "train_and_evaluate", interrupt)
    (finished / "results.csv").unlink()
    assert run_main(f"--workdir={finished}")[0] == 143
    rows = csv.DictReader((finished / "results.csv").read_text().splitlines())
    assert [row["run"] for row in rows] == [config.name for config in configs]


def test_an_interrupt_says_how_to_continue(run_main, tiny_file, tmp_path, monkeypatch):
    def interrupt(*args, stop, **kwargs):
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            stop.check()

    monkeypatch.setattr(sweeps, "train_and_evaluate", interrupt)
    code, _, err = run_main(f"--experiment={tiny_file}", f"--workdir={tmp_path / 'workdir'}")
    assert code == 130
    assert "the same command continues" in err
    assert (tmp_path / "workdir" / "experiment.json").exists()


@pytest.mark.parametrize("flags", [[], ["--dry_run"]])
def test_an_address_that_is_none_is_one_line_before_any_work(run_main, tmp_path, flags):
    code, out, err = run_main("--cluster=sched.jso", f"--workdir={tmp_path / 'workdir'}", *flags)
    assert (code, out) == (1, "")
    assert is_one_line(err)
    assert "sched.jso is neither HOST:PORT nor a file" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flag", "package", "extra"),
    [("--tensorboard", "tensorboardX", "tensorboard"), ("--cluster=tcp://host:8786", "distributed", "cluster")],
)
def test_an_extra_needs_its_package_only_when_it_is_asked_for(run_main, monkeypatch, flag, package, extra):
    asked = []
    monkeypatch.setattr(launch_flags.importlib.util, "find_spec", asked.append)
    assert run_main("--dry_run")[0] == 0
    assert asked == []
    code, out, err = run_main(flag, "--dry_run")
    assert (code, out, asked) == (2, "", [package])
    assert is_one_line(err)
    assert f"pip install 'vae-jax[{extra}]'" in err


def options_of(*flags):
    return launch_flags.options(launch_flags.parse(["launch.py", *flags]))


def test_options_have_the_documented_defaults():
    assert options_of() == launch_flags.Options()
    text = launch_flags.help_text("", launch_flags.define_flags())
    for name in ("checkpoint_every_seconds", "train", "evaluate", "tensorboard"):
        described = text.split(f"  --{name} ")[1].split("\n  --")[0]
        assert f"default: {format_value(launch_flags.Options._field_defaults[name])}" in described


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--evaluate=again"], {"evaluate": "again"}), (["--evaluate=never"], {"evaluate": "never"}),
        (["--notrain"], {"train": False}), (["--train=False"], {"train": False}), (["--train"], {"train": True}),
        (["--tensorboard"], {"tensorboard": True}), (["--data_dir=a"], {"data_dir": "a"}),
        (["--num_likelihood_samples=5000"], {"num_likelihood_samples": 5000}),
        (["--runs_per_device=3"], {"runs_per_device": 3}),
        (["--checkpoint_every_seconds=0.5"], {"checkpoint_every_seconds": 0.5}),
        (["--language=ko"], {"language": "ko"}), (["--animate"], {"animate": True}),
        (["--only_figures=hero,ladder"], {"only_figures": ("hero", "ladder")}),
        (["--figure_format=svg,pdf"], {"figure_format": ("svg", "pdf")}),
        (["--heat_maps=test_elbo"], {"heat_maps": ("test_elbo",)}),
    ],
)  # fmt: skip
def test_options_are_values(flags, expected):
    assert options_of(*flags) == launch_flags.Options(**expected)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--only_figures=hreo,ladder", "unknown figure 'hreo'; did you mean 'hero'?"),
        ("--only_figures=", "--only_figures is empty"),
        ("--figure_format=pfd", "--figure_format is of png, pdf, svg, not 'pfd'; did you mean 'pdf'?"),
        ("--heat_maps=test_elob", "unknown number 'test_elob' in --heat_maps; did you mean 'test_elbo'?"),
        ("--heat_maps=test_kl_per_dimension", "unknown number 'test_kl_per_dimension'"),  # it is a list of numbers
        ("--animate", "--animate needs 3 KL weights of a model at 2 dimensions"),
    ],
)
def test_figures_that_cannot_be_drawn_are_exit_code_2_before_anything_is_trained(
    run_main, tiny_experiment, tmp_path, monkeypatch, flag, message
):
    monkeypatch.setattr(catalog, "load", lambda name: tiny_experiment)
    code, out, err = run_main("--experiment=tiny", f"--workdir={tmp_path / 'workdir'}", "--dry_run", flag)
    assert (code, out) == (2, "")
    assert is_one_line(err)
    assert message in err


def test_an_animation_needs_weights_that_runs_use(tiny_experiment):
    grid = {"model": ("ae", "vae"), "kl_weight": (0.5, 1.0, 4.0)}
    catalog.check_animation(tiny_experiment.override(grid))
    for values in ({"model": ("ae",)}, {"latent_dim": (3,)}, {"kl_weight": (0.5, 1.0)}):
        with pytest.raises(ConfigError, match="--animate needs 3"):
            catalog.check_animation(tiny_experiment.override({**grid, **values}))


BOOLEAN_FIELDS = [name for name, field in FIELDS.items() if isinstance(field.default, bool)]


@pytest.mark.parametrize("name", BOOLEAN_FIELDS)
def test_a_field_that_is_true_or_false_works_as_a_bare_flag(name):
    def parsed(flag):
        return launch_flags.overrides(launch_flags.parse(["launch.py", flag]))

    assert parsed(f"--{name}") == parsed(f"--{name}=true") == {name: (True,)}
    assert parsed(f"--no{name}") == parsed(f"--{name}=false") == {name: (False,)}
    assert parsed(f"--{name}=true,false") == {name: (True, False)}


def test_a_range_is_a_grid(run_main):
    code, out, _ = run_main("--experiment=train", "--seed=0..2,7", "--mean_bias", "--dry_run", "--workdir=nowhere")
    assert code == 0
    assert "varies   seed: 0, 1, 2, 7\n" in out
    assert "changed  mean_bias: false -> true\n" in out
    assert "4 runs of 1 program, 0 trained, in nowhere\n" in out


def test_the_version_is_one_line_that_names_what_numbers_depend_on(run_main):
    code, out, err = run_main("--version")
    assert (code, err, out.count("\n")) == (0, "", 1)
    found = dict(part.rsplit(maxsplit=1) for part in out.strip().split(", "))
    installed = {name: importlib.metadata.version(name) for name in ("vae-jax", "jax", "jaxlib", "flax")}
    python = ".".join(map(str, sys.version_info[:3]))
    assert found == installed | {"Python": python, "source": source.digest()[:12]}


def test_help_describes_every_flag_with_its_default(run_main):
    code, out, err = run_main("--help")
    assert (code, err) == (0, "")
    assert run_main("-h") == (code, out, err)
    assert max(map(len, out.splitlines())) <= 120
    described = {text.split()[0]: " ".join(text.split()[1:]) for text in out.split("\n  --")[1:]}
    assert set(described) == {name for name in launch_flags.define_flags() if name != "h"}
    for name, field in FIELDS.items():
        assert field.metadata["doc"] in described[name]
        assert field.metadata["unit"] in described[name]
        assert described[name].endswith(f"; default: {format_value(field.default)}")
    assert "or ae_vs_vae" in described["experiment"]


def test_the_list_has_every_experiment_and_its_question(run_main):
    code, out, _ = run_main("--list")
    assert code == 0
    assert dict(line.split(maxsplit=1) for line in out.splitlines()) == {
        name: catalog.load(name).question for name in SHIPPED
    }


def test_a_published_table_is_an_experiment_in_a_folder(run_main, tmp_path):
    flags = ["--dataset=mnist_5k", f"--workdir={tmp_path}"]
    code, out, _ = run_main("--experiment=published/pytorch_example", *flags, "--dry_run")
    assert code == 0
    assert out.startswith("pytorch_example: Does the VAE of the PyTorch examples reach")
    code, _, err = run_main("--experiment=published/pytorch_exmaple", "--dry_run")
    assert code == 2
    assert "unknown experiment 'published/pytorch_exmaple'; did you mean 'published/pytorch_example'?" in err


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.startswith("published/")])
def test_a_published_table_says_what_was_published_and_what_is_measured(name):
    module = importlib.import_module(f"vae_jax.experiments.{name.replace('/', '.')}")
    header = module.__doc__
    assert f"--experiment={name}" in header
    for part in ("Published: ", "Setting: ", "Measured: ", "Cost: "):
        assert f"\n{part}" in header
    assert module.EXPERIMENT.name == name.removeprefix("published/")
    assert f"--dataset={module.EXPERIMENT.base.dataset}" in header


def test_a_flag_given_twice_is_reported(run_main):
    flags = ["--seed=1", "--experiment=train", "--seed=3,2", "--kl_weight=1"]
    code, out, err = run_main(*flags, "--dry_run")
    assert (code, err) == (0, "vae-jax: --seed given 2 times; using the last\n")
    assert "varies   seed: 3, 2\n" in out
    *_, err = run_main(*flags, "--seed=4", "--notrain", "--train", "--dry_run")
    assert [line.split(";")[0] for line in err.splitlines()] == [
        "vae-jax: --train given 2 times", "vae-jax: --seed given 3 times",
    ]  # fmt: skip


def dry_run(run_main, *flags):
    code, out, err = run_main(*flags, "--dry_run", "--workdir=nowhere")
    assert (code, err) == (0, "")
    return out.splitlines()


def test_a_dry_run_shows_what_varies_and_what_was_changed(run_main):
    flags = ["--latent_dim=2,8", "--hidden_dims=512x256", "--model=ae", "--kl_weight=4", "--num_epochs=20"]
    lines = dry_run(run_main, "--experiment=ae_vs_vae", *flags)
    assert lines[1:8] == [
        "varies   latent_dim: 2, 8",
        "varies   seed: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        "changed  model: ae, vae -> ae",
        "changed  hidden_dims: 512 -> 512x256",
        "changed  latent_dim: 2, 16 -> 2, 8",
        "changed  kl_weight: 1, 0.1, 0.25, 0.5, 2, 4, 8 -> 4 (no run reads it)",
        "changed  num_epochs: 12 -> 20",
    ]
    size = "images of 28 x 28 pixels, 1 channel, 10 classes"
    assert lines[8] == f"data     mnist_5k: 3667 train, 333 validation, 1000 test {size}"
    assert lines[9] == "20 runs of 2 programs, 0 trained, in nowhere"
    assert lines[10].startswith("about ")  # tests/test_plan.py
    assert len(lines) == 11 + 20


def test_a_dry_run_shows_each_data_set_and_split_once(run_main, write_npz):
    names = [write_npz(), write_npz(num_train=9, num_test=1, shape=(5, 4), labels=False, name="other")]
    flags = [f"--dataset={','.join(names)}", "--validation_fraction=0,0.25", "--seed=0,1"]
    lines = dry_run(run_main, "--experiment=train", *flags)
    first, second = "8 test images of 8 x 8 pixels, 1 channel, 3 classes", "1 test images of 5 x 4 pixels, 1 channel"
    assert [line for line in lines if line.startswith("data ")] == [
        f"data     {names[0]}: 24 train, 0 validation, {first} (NPZ file with uint8 pixels)",
        f"data     {names[0]}: 18 train, 6 validation, {first} (NPZ file with uint8 pixels)",
        f"data     {names[1]}: 9 train, 0 validation, {second}, no labels (NPZ file with uint8 pixels)",
        f"data     {names[1]}: 7 train, 2 validation, {second}, no labels (NPZ file with uint8 pixels)",
    ]


def test_a_dry_run_refuses_what_the_launch_refuses(run_main, write_npz, tiny_experiment, tmp_path):
    tiny = write_npz(shape=(3, 4), name="tiny")
    np.savez(tmp_path / "flat.npz", x_train=np.zeros((9, 15), np.uint8), x_test=np.zeros((9, 15), np.uint8))
    np.savez(tmp_path / "few.npz", images=np.full((4, 8, 8), 255, np.uint8))
    folder = tmp_path / "changed"
    config = Config(dataset=write_npz())
    write_config(run_dir(folder, config), config, DataIdentity("0", None, {}))
    write_record(tmp_path / "other", tiny_experiment, {})
    cases = {
        "nowhere.npz is not there": ["--dataset=npz:nowhere.npz"],
        "cannot list nowhere": ["--dataset=idx:nowhere"],
        "mnist is not prepared": ["--dataset=mnist", f"--data_dir={tmp_path}"],
        "has too few images (4)": [f"--dataset=npz:{tmp_path}/few.npz"],
        "leaves 1 of 1 train images": [f"--dataset={write_npz(num_train=1, name='one')}"],
        "has uint8 elements of shape 9 x 15": [f"--dataset=npz:{tmp_path}/flat.npz"],
        "conv_features=32x64 needs images of at least 4 x 4 pixels, not 3 x 4": [
            f"--dataset={tiny}",
            "--architecture=mlp,conv",
        ],
        "patience needs validation images": ["--patience=0,3", "--validation_fraction=0"],
        "was trained on other data": [f"--dataset={config.dataset}", f"--workdir={folder}"],
        "holds experiment 'tiny', not 'train'": [f"--workdir={tmp_path}/other"],
        "holds no trained run of train": ["--train=false"],
    }
    for message, flags in cases.items():
        workdir = [] if any(flag.startswith("--workdir") for flag in flags) else [f"--workdir={tmp_path}/new"]
        before = sorted(tmp_path.rglob("*"))
        dry = run_main("--experiment=train", *workdir, *flags, "--dry_run")
        assert sorted(tmp_path.rglob("*")) == before
        assert message in dry[2]
        assert is_one_line(dry[2])
        assert dry == run_main("--experiment=train", *workdir, *flags)


def test_a_dry_run_tells_two_networks_from_one_of_two_layers(run_main):
    lines = dry_run(run_main, "--experiment=train", "--hidden_dims=512,256")
    message = "varies   hidden_dims: 512, 256 (2 networks of one hidden layer; write 512x256 for one network of 2)"
    assert message in lines
    assert "changed  hidden_dims: 512 -> 512, 256" in lines
    assert "2 runs of 2 programs, 0 trained, in nowhere" in lines
    assert not any("networks" in line for line in dry_run(run_main, "--experiment=train", "--hidden_dims=512x256,64"))
    lines = dry_run(run_main, "--experiment=train", "--hidden_dims=512x256")
    assert "1 run of 1 program, 0 trained, in nowhere" in lines


def test_a_dry_run_shows_what_is_trained_and_touches_nothing(run_main, tiny_experiment, tiny_file, tmp_path):
    workdir = tmp_path / "trained"
    configs = tiny_experiment.override({"seed": (1, 2)}).configs
    identity = identity_of(load_dataset(configs[0]))
    for config in (configs[0], configs[2]):
        write_config(run_dir(workdir, config), config, identity)
        for file in ("metrics.jsonl", "params.safetensors"):
            (run_dir(workdir, config) / file).touch()
    write_record(workdir, tiny_experiment, {})
    before = sorted(workdir.rglob("*"))
    code, out, _ = run_main(f"--experiment={tiny_file}", f"--workdir={workdir}", "--seed=1,2", "--dry_run")
    assert code == 0
    states = ("trained", "to do  ")
    counts, _, *runs = out.splitlines()[-6:]
    assert [counts, *runs] == [
        f"4 runs of 2 programs, 2 trained, in {workdir}",
        *(f"{states[config.seed - 1]}  {config.name}" for config in configs),
    ]
    assert sorted(workdir.rglob("*")) == before
    run_main(f"--workdir={tmp_path}/new", "--dry_run")
    assert not (tmp_path / "new").exists()
    write_config(run_dir(workdir, configs[2]), configs[2], identity._replace(sha256="0"))
    code, _, err = run_main(f"--workdir={workdir}", "--seed=1,2", "--dry_run")
    assert code == 1
    assert f"{configs[2].name} was trained on other data: the pixels of mnist_5k have changed" in err


def test_a_workdir_knows_its_experiment(run_main, tiny_experiment, tmp_path):
    write_record(tmp_path, tiny_experiment, {})
    code, out, _ = run_main(f"--workdir={tmp_path}", "--dry_run", "--seed=0,1,2")
    assert code == 0
    assert out.startswith("tiny: Does it run?\n")
    assert f"6 runs of 2 programs, 0 trained, in {tmp_path}\n" in out
    # Without a record, and without --workdir, it is the default.
    assert run_main(f"--workdir={tmp_path}/new", "--dry_run")[1].startswith("ae_vs_vae: ")
    assert run_main("--dry_run")[1].startswith("ae_vs_vae: ")
    # A name takes precedence; the launch then refuses the workdir of another experiment.
    assert run_main(f"--workdir={tmp_path}", "--experiment=train")[0] == 1


def test_without_training_there_must_be_a_trained_run(run_main, tiny_experiment, tmp_path):
    write_record(tmp_path, tiny_experiment, {})
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run_main(f"--workdir={tmp_path}", "--train=false")
    assert (code, out) == (1, "")
    assert err == f"vae-jax: {tmp_path} holds no trained run of tiny; launch without --train=false\n"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("changes", [{"figures": "sample"}, {"base": {"schedule": "warmup_cosine", "num_epochs": 1}}])
def test_an_edited_record_is_one_line(run_main, tiny_experiment, tmp_path, changes):
    write_record(tmp_path, tiny_experiment, {})
    record = json.loads((tmp_path / "experiment.json").read_text())
    (tmp_path / "experiment.json").write_text(json.dumps(record | changes))
    code, out, err = run_main(f"--workdir={tmp_path}")
    assert (code, out) == (1, "")
    assert is_one_line(err)
    assert f"{tmp_path}/experiment.json is damaged (" in err


def test_a_figure_that_is_no_more_is_one_line(run_main, tiny_experiment, tmp_path):
    write_record(tmp_path, dataclasses.replace(tiny_experiment, figures=("sample",)), {})
    code, out, err = run_main(f"--workdir={tmp_path}")
    assert (code, out) == (2, "")
    assert is_one_line(err)


def test_workdirs_lie_in_runs_by_default_and_may_be_at_home(run_main, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert "1 run of 1 program, 0 trained, in runs/train\n" in run_main("--dry_run", "--experiment=train")[1]
    assert f", in {tmp_path}/home/a\n" in run_main("--dry_run", "--workdir=~/a")[1]


def test_a_launch_leaves_every_file(launched):
    workdir, flags, process = launched
    assert process.returncode == 0, process.stderr
    assert "Warning" not in process.stderr
    assert "Traceback" not in process.stderr
    assert process.stderr.count("First report, of one seed and without figures: file://") == 1
    data = f"npz:{workdir.parent}/digits.npz"
    configs = expand(Config(dataset=data, num_epochs=2, hidden_dims=()), {"model": ("ae", "vae"), "seed": (0, 1)})
    assert read_experiment(workdir).configs == configs
    of_a_run = ("config.json", "evaluation.json", "metrics.jsonl", "params.safetensors")
    expected = {f"runs/{config.name}/{name}" for config in configs for name in of_a_run}
    expected |= {
        f"figures/{name}.{suffix}" for name in ("training_curves", "latent_space") for suffix in ("png", "pdf")
    }
    expected |= {"experiment.json", "results.csv", "report.html"}
    assert expected <= {str(path.relative_to(workdir)) for path in workdir.rglob("*") if path.is_file()}
    assert {path.name for path in workdir.iterdir()} == WRITTEN
    record = json.loads((workdir / "experiment.json").read_text())
    assert shlex.split(record["command"]) == ["vae-jax", *flags]
    assert record["runs"] == [config.name for config in configs]
    assert record["data"][data]["splits"] == [
        {"validation_fraction": 1 / 12, "counts": {"train": 55, "validation": 5, "test": 20}}
    ]
    assert record["device"]["platform"] == "cpu"
    assert 0 < record["wall_seconds"] < 300
    assert "Why &lt;not&gt;?" in (workdir / "report.html").read_text()


def test_a_launch_prints_its_numbers_and_where_its_report_is(launched):
    workdir, _, process = launched
    sentences, table, *_, ending = process.stdout.split("\n\n")
    *_, header, ae, vae = table.splitlines()
    assert header.split()[:2] == ["model", "seeds"]
    assert [line.split()[:2] for line in (ae, vae)] == [["ae", "2"], ["vae", "2"]]
    assert "no difference between VAE and AE is resolved" in " ".join(sentences.split())
    report, notebook = ending.splitlines()
    assert report == f"Report: file://{quote(str(workdir))}/report.html"
    assert Path(unquote(urlparse(report.removeprefix("Report: ")).path)).samefile(workdir / "report.html")
    assert "work%20dir" in report
    vaes = [config for config in read_experiment(workdir).configs if config.model == "vae"]
    run = workdir / "runs" / vaes[0].name
    assert notebook == f"In a notebook: vae_jax.load_run({str(run)!r})"
    config, *_ = eval(notebook.removeprefix("In a notebook: "), {"vae_jax": vae_jax})
    assert config == vaes[0]
    html = (workdir / "report.html").read_text()
    assert (" ".join(sentences.split()).split(".")[0]) in html
    assert "Not judged, as a model does not reconstruct: samples" in html
    rows = list(csv.DictReader((workdir / "results.csv").read_text().splitlines()))
    assert [(row["model"], row["seed"]) for row in rows] == [("ae", "0"), ("ae", "1"), ("vae", "0"), ("vae", "1")]
    losses = [float(row["test_loss"]) for row in rows[:2]]
    assert f"{sum(losses) / 2:.2f} ± {abs(losses[0] - losses[1]) / 2**0.5:.2f}" in ae


def test_a_launch_in_another_process_gives_the_same_parameters(launched, tmp_path):
    configs = [config for config in read_experiment(launched[0]).configs if config.model == "vae"]
    sweeps.train_and_evaluate(configs, tmp_path, sweeps.Options(evaluate="never"))
    for config in configs:
        paths = [run_dir(workdir, config) / "params.safetensors" for workdir in (launched[0], tmp_path)]
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_same_command_does_nothing_twice(launched, finished, run_main, monkeypatch):
    before = written(finished)
    monkeypatch.setattr(time, "time", lambda: 0.0)  # a clock that is set
    code, out, err = run_main(*launched[1][:-1], f"--workdir={finished}")
    assert code == 0
    assert err.startswith(f"own: 4 runs of 2 programs, 4 trained, in {finished}\n")
    assert err.endswith("--figures=again makes them again\n")
    assert out.split("Report:")[0] == launched[2].stdout.split("Report:")[0]
    assert 0 < json.loads((finished / "experiment.json").read_text())["wall_seconds"] < 300
    assert written(finished).keys() == before.keys()
    assert changes(finished, before) == {"experiment.json", "results.csv", "tables"}


def test_figures_and_report_are_drawn_again(finished, run_main):
    before = written(finished)
    for path in (finished / "figures").iterdir():
        path.unlink()
    (finished / "report.html").unlink()
    code, out, _ = run_main(f"--workdir={finished}", "--train=false", "--language=ko")
    assert code == 0
    assert f"\nReport: file://{quote(str(finished))}/report.html\n" in out
    assert '<html lang="ko">' in (finished / "report.html").read_text(encoding="utf-8")
    assert written(finished).keys() == before.keys()
    made = {"experiment.json", "results.csv", "tables", "report.html", "figures", "made.json"}
    assert changes(finished, before) == made


def test_a_damaged_run_is_one_line(run_main, copied):
    path = run_dir(copied, read_experiment(copied).configs[0]) / "params.safetensors"
    path.write_bytes(b"no parameters")
    (path.parent / "evaluation.json").unlink()
    assert is_trained(path.parent)
    code, _, err = run_main(f"--workdir={copied}")
    assert code == 1
    assert is_one_line(err.splitlines(keepends=True)[-1])  # after the lines of progress
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
