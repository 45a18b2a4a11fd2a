"""One writer in a workdir, told by the kernel and by name."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from vae_jax import lock
from vae_jax.files import UserError
from vae_jax.interrupts import Stop

HOLD = """
import sys, time
from pathlib import Path
from vae_jax import lock
with lock.hold(Path(sys.argv[1]), int(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def other():
    """Makes another process hold a lock; `let_go` ends it in good order, `kill` without a word."""
    with contextlib.ExitStack() as stack:

        def start(workdir, index=0):
            command = [sys.executable, "-c", HOLD, str(workdir), str(index)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout.readline() == "held\n"
            return process

        yield start


def let_go(process):
    process.communicate("\n", timeout=60)


def kill(process):
    process.kill()
    process.wait(timeout=60)


def test_a_lock_names_its_process_and_is_gone_afterwards(tmp_path):
    with lock.hold(tmp_path / "new"):
        owner = json.loads((tmp_path / "new" / "lock-0.json").read_text())
        assert (owner["host"], owner["pid"]) == (socket.gethostname(), os.getpid())
        assert owner["since"]
    assert not (tmp_path / "new").exists()  # nothing came of it
    with lock.hold(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_workdir_in_use_is_refused_by_name_and_left_alone(tmp_path, other):
    process = other(tmp_path)
    with pytest.raises(UserError, match=rf"in use \(process {process.pid} on .* since"), lock.hold(tmp_path):
        pass
    assert (tmp_path / "lock-0.json").exists()
    let_go(process)
    with lock.hold(tmp_path):
        pass


@pytest.mark.parametrize("index", [0, 1])
def test_a_stale_lock_is_taken_over_with_a_warning(tmp_path, capsys, index, other):
    process = other(tmp_path, index)
    kill(process)
    assert (tmp_path / f"lock-{index}.json").exists()
    with lock.hold(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == ["lock-0.json"]
    assert f"process {process.pid} on" in capsys.readouterr().err


def test_a_second_process_of_a_living_launch_is_in_use_too(tmp_path, other):
    other(tmp_path, 1)
    with pytest.raises(UserError, match="in use"), lock.hold(tmp_path):
        pass


def test_the_lock_of_another_host_is_never_taken(tmp_path):
    (tmp_path / "lock-0.json").write_text('{"host": "elsewhere", "pid": 1, "since": "today"}')
    with pytest.raises(UserError, match=r"process 1 on elsewhere.*delete"), lock.hold(tmp_path):
        pass


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"host": 3}', "\0" * 20_000])
def test_a_lock_that_says_nothing_is_decided_by_the_kernel(tmp_path, content):
    (tmp_path / "lock-0.json").write_text(content)
    if content == '{"host": 3}':
        with pytest.raises(UserError, match="in use"), lock.hold(tmp_path):
            pass
        return
    with lock.hold(tmp_path):
        assert json.loads((tmp_path / "lock-0.json").read_text())["pid"] == os.getpid()


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "outside").write_text("mine")
    (tmp_path / "workdir").mkdir()
    (tmp_path / "workdir" / "lock-0.json").symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match=r"^cannot write .*lock-0.json: "), lock.hold(tmp_path / "workdir"):
        pass
    assert (tmp_path / "outside").read_text() == "mine"


def test_waiting_ends_when_the_other_has_left_or_is_gone(tmp_path, capsys, other):
    process = other(tmp_path, 1)
    leaver = threading.Timer(0.5, let_go, [process])
    leaver.start()
    lock.wait_for(tmp_path, 1, Stop())
    leaver.join()
    assert capsys.readouterr().err == ""
    process = other(tmp_path, 1)
    kill(process)
    lock.wait_for(tmp_path, 1, Stop())
    assert "is gone; launch again for its runs" in capsys.readouterr().err
    assert not (tmp_path / "lock-1.json").exists()
