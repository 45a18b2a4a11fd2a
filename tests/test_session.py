"""A launch: one per workdir, signals that stop it without loss, and its display."""

import contextlib
import errno
import fcntl
import io
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from vae_jax import session
from vae_jax.errors import UserError
from vae_jax.session import MAX_LINES, InUseError, Progress, Stop, StoppedError

HOLD = """
import sys
from pathlib import Path
from vae_jax import session
with session.hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def other():
    """Makes another process hold a workdir; the test ends it."""
    with contextlib.ExitStack() as stack:

        def start(workdir):
            command = [sys.executable, "-c", HOLD, str(workdir)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout.readline() == "held\n"
            return process

        yield start


def test_the_lock_names_its_process_and_is_gone_afterwards(tmp_path):
    with session.hold(tmp_path / "new"):
        owner = json.loads((tmp_path / "new" / "lock.json").read_text())
        assert (owner["host"], owner["pid"]) == (socket.gethostname(), os.getpid())
        assert owner["since"]
    assert not (tmp_path / "new").exists()  # nothing was written to it
    with session.hold(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "kept").mkdir()
    with session.hold(tmp_path / "kept" / "a" / "b"):
        pass
    assert list((tmp_path / "kept").iterdir()) == []  # nor are folders left that were made for it


def test_a_workdir_in_use_is_refused_by_name_and_left_alone(tmp_path, other):
    process = other(tmp_path)
    message = rf"^{tmp_path} is in use \(process {process.pid} on .* since .*\); wait for it, or choose"
    with pytest.raises(UserError, match=message), session.hold(tmp_path):
        pass
    assert json.loads((tmp_path / "lock.json").read_text())["pid"] == process.pid
    process.communicate("\n", timeout=60)
    with session.hold(tmp_path):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path, other):
    process = other(tmp_path)
    process.kill()
    process.wait(timeout=60)
    assert (tmp_path / "lock.json").exists()
    with session.hold(tmp_path):
        assert json.loads((tmp_path / "lock.json").read_text())["pid"] == os.getpid()


def test_who_draws_waits_for_another_who_draws_beside_the_launch(tmp_path):
    done = []
    with session.hold(tmp_path), contextlib.ExitStack() as other:
        other.enter_context(session.hold(tmp_path, session.DRAWING))

        def wait():
            done.append("wait")
            if len(done) == 2:
                other.close()

        with session.hold(tmp_path, session.DRAWING, wait):
            done.append("draw")
            assert (tmp_path / session.DRAWING).exists()
        assert done == ["wait", "wait", "draw"]
    assert list(tmp_path.iterdir()) == []


def test_a_workdir_in_use_by_whom_nobody_can_tell(tmp_path, other):
    other(tmp_path)
    (tmp_path / "lock.json").write_text('["\\n"]')
    with pytest.raises(UserError, match=r"\(process \? on \? since \?\)"), session.hold(tmp_path):
        pass


@pytest.mark.parametrize("made_anew", [False, True])
def test_a_lock_that_its_holder_deletes_before_it_is_free_is_no_lock(tmp_path, monkeypatch, made_anew):
    """Who has opened the file of a launch that ends holds what nobody sees; a third may hold another of its name."""
    path, flock = tmp_path / "lock.json", fcntl.flock

    def late(handle, how):
        monkeypatch.setattr(fcntl, "flock", flock)
        path.unlink()
        if made_anew:
            path.write_text("of a third")
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(InUseError), session.hold(tmp_path):
        pass
    assert path.exists() == made_anew
    monkeypatch.setattr(fcntl, "flock", late)
    path.touch()
    with session.hold(tmp_path, wait=lambda: None):  # the second time it has the file of this name
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "outside").write_text("mine")
    (tmp_path / "workdir").mkdir()
    (tmp_path / "workdir" / "lock.json").symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match=r"^cannot write .*lock\.json: "), session.hold(tmp_path / "workdir"):
        pass
    assert (tmp_path / "outside").read_text() == "mine"


def test_a_workdir_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    message = r"^cannot write .*lock\.json: .*; choose another"
    with pytest.raises(UserError, match=message), session.hold(tmp_path / "file" / "workdir"):
        pass


@pytest.fixture(autouse=True)
def hangups_count():
    """Processes that are started here get SIGHUP, also where the tests themselves run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


WORK = """
import sys, time
from vae_jax import session
session.PATIENCE = {patience}

def work(stop):
    print("begun", flush=True)
    while not stop.asked:
        time.sleep(0.01)
    print("asked", flush=True)
    {then}
    stop.check()

try:
    session.run(work)
except session.StoppedError as error:
    sys.exit(error.exit_code)
"""


def start(then="pass", patience=60, prefix=(), stdin=None):
    command = [*prefix, sys.executable, "-c", WORK.format(then=then, patience=patience)]
    process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_first_signal_lets_the_work_stop(signum, code):
    process = start("print('saved', flush=True)")
    process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "asked\nsaved\n")
    assert "once more stops at once" in err


TERMINAL = """
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
with open(terminal, "rb") as shown:
    assert shown.readline() == b"begun\\r\\n"
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_terminal_that_is_closed_lets_the_work_stop(tmp_path):
    """The system then sends SIGHUP, and writing to the terminal fails from there on."""
    saved = tmp_path / "saved"
    then = f"print('lost', file=sys.stderr, flush=True); open({str(saved)!r}, 'w').close()"
    command = [sys.executable, "-c", TERMINAL, WORK.format(then=then, patience=60)]
    assert (subprocess.run(command, timeout=60).returncode, saved.exists()) == (129, True)


def test_nohup_is_respected():
    process = start("print('saved', flush=True)", prefix=("nohup",))
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "asked\nsaved\n")


@pytest.mark.parametrize(("first", "code"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143)])
def test_a_second_hangup_is_not_impatience(first, code):
    process = start("sys.stdin.readline()", stdin=subprocess.PIPE)
    process.send_signal(first)
    assert process.stdout.readline() == "asked\n"
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate("\n", timeout=60)
    assert (process.returncode, "Stopped at once" in err) == (code, False)


def test_the_second_signal_stops_at_once():
    process = start("time.sleep(1000)")
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "asked\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped at once" in err


def test_work_that_does_not_stop_is_ended():
    process = start("time.sleep(1000)", patience=0.2)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "No stop within" in err


def test_work_that_is_saving_is_waited_for():
    process = start("stop.reached.set(); time.sleep(1); print('saved', flush=True)", patience=0.2)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "asked\nsaved\n")


def test_errors_of_the_work_are_raised():
    def work(stop):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        session.run(work)


def test_a_stop_without_a_request_stops_nothing():
    stop = Stop()
    stop.check()
    stop.signum = signal.SIGINT
    with pytest.raises(StoppedError, match="SIGINT"):
        stop.check()


def lines_of(capsys):
    return capsys.readouterr().err.splitlines()


def test_progress_shows_training_and_evaluation_in_few_lines_of_80_columns(capsys):
    progress = Progress()
    progress.begin(to_train=2, to_evaluate=3, images=2_000, images_done=0)
    progress.doing("compiling")
    for _ in range(2):
        for _ in range(1000):
            progress.epoch({"train_loss": 151.2345}, 1, 1e-6)
        progress.trained(1)
        progress.doing("evaluating")
        progress.evaluated()
    progress.doing("evaluating")
    progress.evaluated()
    progress.close()
    lines = lines_of(capsys)
    assert len(lines) <= MAX_LINES + 1
    assert max(map(len, lines)) < 80
    assert lines[0].startswith("training: trained 0/2, evaluated 0/3,")
    assert lines[0].endswith(", loss 151.2")
    assert any(line.startswith("evaluating: trained") or "evaluated 1/3" in line for line in lines)
    assert lines[-1] == "trained 2/2, evaluated 3/3, 100 %"


def test_progress_of_a_resumed_run_starts_where_it_was(capsys):
    progress = Progress()
    progress.begin(to_train=1, to_evaluate=0, images=1000, images_done=500)
    progress.epoch({"train_loss": 1.0}, 100, 0.1)
    assert " 60 %" in lines_of(capsys)[0]


def test_the_time_left_is_that_of_what_this_launch_has_done_so_far(capsys, monkeypatch):
    """From 50 % to 75 % in 100 seconds, so 100 are left; the half that an earlier launch has done took none of them."""
    now = iter([1000.0])
    monkeypatch.setattr(session.time, "monotonic", lambda: next(now, 1100.0))
    progress = Progress()
    progress.begin(to_train=1, to_evaluate=0, images=1000, images_done=500)
    progress.epoch({"train_loss": 1.0}, 250, 0.1)
    assert " 75 %, 01:40 left" in lines_of(capsys)[0]


def test_progress_counts_runs_that_stop_early_or_train_elsewhere(capsys):
    progress = Progress()
    progress.begin(to_train=2, to_evaluate=0, images=1000, images_done=0)
    progress.trained(1, 500)
    progress.trained(1, 500)
    first, last = lines_of(capsys)
    assert first.startswith("trained 1/2, 50 %")
    assert last == "trained 2/2, 100 %"


class Display(io.StringIO):
    """What stderr may be; from some moment on it is gone, and writing fails with this error."""

    error = None

    def __init__(self, is_terminal):
        super().__init__()
        self.isatty = lambda: is_terminal

    def write(self, text):
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        return super().write(text)


@pytest.mark.parametrize(
    ("is_terminal", "error"), [(True, errno.EIO), (False, errno.EPIPE), (False, errno.ENOSPC), (False, errno.EIO)]
)
def test_a_display_that_is_gone_stops_no_work(monkeypatch, is_terminal, error):
    display, progress = Display(is_terminal), Progress()
    monkeypatch.setattr(sys, "stderr", display)
    progress.begin(to_train=1, to_evaluate=1, images=200, images_done=0)
    progress.epoch({"train_loss": 1.0}, 100, 0.1)
    assert "loss 1" in display.getvalue()
    display.error = error
    progress.epoch({"train_loss": 1.0}, 100, 0.1)
    progress.say("a line")
    progress.evaluated()
    progress.drawing(0, 1, "hero")
    progress.close()


def test_progress_shows_where_the_work_is_done(capsys):
    progress = Progress()
    progress.where("no workers")  # before there is anything to show
    progress.begin(2, 0, 200, 0)
    progress.where("2 workers, 1 paused: memory 84 %")
    progress.trained(1, 100)
    progress.where("2 workers")
    progress.trained(1, 100)
    progress.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("trained 1/2; 2 workers, 1 paused: memory 84 %, 50 %")
    assert lines[1] == "trained 2/2; 2 workers, 100 %"


def test_progress_with_nothing_to_do_is_silent(capsys):
    progress = Progress()
    progress.begin(to_train=0, to_evaluate=0, images=0, images_done=0)
    progress.close()
    assert lines_of(capsys) == []


def test_progress_shows_what_is_being_drawn(capsys):
    progress = Progress()
    for done in range(3):
        progress.drawing(done, 2, "latent_space" if done < 2 else "")
    progress.drawing(1, 2)  # one has nothing to show
    progress.close()
    assert lines_of(capsys) == ["drawing 0/2 latent_space", "drawn 2/2", "drawn 1/2"]


@pytest.mark.parametrize("is_closed", [False, True])
def test_progress_without_standard_error_is_silent(capsys, monkeypatch, is_closed):
    stream = io.StringIO() if is_closed else None
    if stream:
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    progress = Progress()
    progress.begin(1, 0, 10, 0)
    progress.say("a line")
    progress.epoch({"train_loss": 1.0}, 10, 1.0)
    progress.trained(1)
    progress.drawing(1, 1, "a figure")
    progress.close()
    session.say("another")
    monkeypatch.undo()
    assert capsys.readouterr() == ("", "")
