"""What the command lines share: exit codes, one line for what is wrong, and what becomes of standard output."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags

from vae_jax import command
from vae_jax.errors import UserError
from vae_jax.fields import ConfigError

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (None, 0, ""),
        (UserError("no such\nrun"), 1, "tool: no such run\n"),
        (FileNotFoundError(2, "No such file", "a"), 1, "tool: [Errno 2] No such file: 'a'\n"),
        (flags.Error("no flag"), 2, "tool: no flag (see --help)\n"),
        (ConfigError("no value"), 2, "tool: no value (see --help)\n"),
        (KeyboardInterrupt(), 130, "tool: stopped by SIGINT\n"),
    ],
)
def test_exit_codes(capsys, error, code, message):
    def work():
        if error:
            raise error

    assert command.guard("tool", work) == code
    assert capsys.readouterr() == ("", message)


def test_an_error_of_ours_is_no_usage_error(capsys):
    with pytest.raises(ZeroDivisionError):
        command.guard("tool", lambda: print(1 / 0))


def test_run_parses_flags(capsys):
    def run(*arguments):
        values = flags.FlagValues()
        flags.DEFINE_string("name", "nobody", "whom to greet", values)
        body = lambda values, positional: print(values.name, positional)  # noqa: E731
        return command.run("Greets.", values, body, ["bin/greet.py", *arguments]), *capsys.readouterr()

    assert run("--name=you", "x") == (0, "you ['x']\n", "")
    assert run("--nane=you") == (2, "", "greet: unknown flag --nane; did you mean '--name'? (see --help)\n")
    code, out, err = run("-h")
    assert (code, err) == (0, "")
    assert out.startswith("Greets.\n")
    assert "whom to greet" in out


def shell(script, **environment):
    """Runs a shell command that may use `launch`; returns its exit code, stdout and stderr."""
    return subprocess.run(
        ["bash", "-c", f'launch() {{ "$python" -m vae_jax "$@"; }}; {script}'],
        env=os.environ | {"python": sys.executable, "PYTHONPATH": str(ROOT)} | environment,
        stdin=subprocess.DEVNULL, capture_output=True, timeout=600,
    )  # fmt: skip


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_nobody_reads_ends_quietly(unbuffered):
    # `true` reads nothing: the pipe is closed before or while the launcher writes.
    done = shell("launch --help | true; echo ${PIPESTATUS[0]}", PYTHONUNBUFFERED=unbuffered)
    assert (done.stdout, done.stderr) == (b"141\n", b"")
    done = shell("launch --list >&-", PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (0, b"")


CLOSED = ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"]
WORK = """
import os, sys, tempfile
from vae_jax import command
from vae_jax import session

def work():
    with tempfile.TemporaryFile() as file:
        assert file.fileno() > 2  # or it would hold what libraries write to a stream
    print("answer")
    session.say("message")
    os.system("echo child >&2")

sys.exit(command.guard("tool", work))
"""


@pytest.mark.parametrize("closed", CLOSED)
def test_a_closed_stream_is_the_null_device(closed):
    done = shell(f'exec "$python" -c "$work" {closed}', work=WORK)
    out = b"" if ">&-" in closed.replace("2>&-", "") else b"answer\n"
    err = b"" if "2>&-" in closed else b"message\nchild\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, out, err)


def test_messages_that_cannot_be_written_stop_nothing():
    done = shell('"$python" -c "$work" 2>/dev/full', work=WORK)
    assert (done.returncode, done.stdout) == (0, b"answer\n")
    assert shell("launch --no_flag 2>/dev/full").returncode == 2


def test_a_launch_with_closed_streams(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(
        "from vae_jax.config import Experiment\n"
        "EXPERIMENT = Experiment(name='own', question='?', figures=('training_curves',))\n"
    )
    what = f"--experiment={path} --model=ae --hidden_dims=none --num_epochs=1"
    done = shell(f"launch {what} --workdir={tmp_path / 'work'} --evaluate=never {CLOSED[-1]}")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (tmp_path / "work" / "report.html").exists()
    assert list(tmp_path.glob("work/runs/*/params.safetensors"))


def test_a_terminal_may_lack_characters(tmp_path):
    path = tmp_path / "é.py"
    path.write_text(
        "from vae_jax.config import Experiment\nEXPERIMENT = Experiment(name='ä', question='±?')\n", encoding="utf-8"
    )
    flags = f"--experiment={path} --dry_run --workdir=nowhere"
    for settings in ({"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        done = shell(f"launch {flags}", **settings)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.startswith((b"?: ??\n", b"\xc3\xa4: \xc2\xb1?\n"))
        assert b"1 run of 1 program" in done.stdout
    done = shell(f"launch --experiment=no{path}", PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert done.stderr.startswith(b"vae-jax: there is no experiment file no")
    assert done.stderr.count(b"\n") == 1


def test_a_folder_that_cannot_be_written_is_one_line():
    done = shell("cd /proc && launch --dry_run && launch --train=false")
    assert done.returncode == 1
    assert b"0 trained, in runs/ae_vs_vae\n" in done.stdout
    assert done.stderr.count(b"\n") == 1
