"""Signals to a process of its own: the first asks, the second ends it, and patience has an end."""

import signal
import subprocess
import sys

import pytest

from vae_jax.interrupts import Stop, StoppedError

WORK = """
import sys, time
from vae_jax import interrupts
interrupts.PATIENCE = {patience}

def work(stop):
    print("begun", flush=True)
    while not stop.asked:
        time.sleep(0.01)
    print("asked", flush=True)
    {then}
    stop.check()

try:
    interrupts.run(work)
except interrupts.StoppedError as error:
    sys.exit(error.exit_code)
"""


def start(then="pass", patience=60):
    command = [sys.executable, "-c", WORK.format(then=then, patience=patience)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_lets_the_work_come_to_its_end(signum, code):
    process = start("print('saved', flush=True)")
    process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "asked\nsaved\n")
    assert "once more stops at once" in err


def test_the_second_signal_stops_at_once():
    process = start("time.sleep(1000)")
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "asked\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped at once" in err


def test_work_that_does_not_come_to_an_end_is_not_waited_for():
    process = start("time.sleep(1000)", patience=0.2)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "not waited for" in err


def test_work_that_is_saving_is_waited_for():
    process = start("stop.reached.set(); time.sleep(1); print('saved', flush=True)", patience=0.2)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "asked\nsaved\n")


def test_what_the_work_raises_is_raised():
    code = "from vae_jax import interrupts\ninterrupts.run(lambda stop: 1 / 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_a_stop_that_nobody_asked_for_stops_nothing():
    stop = Stop()
    stop.check()
    stop.signum = signal.SIGINT
    with pytest.raises(StoppedError, match="SIGINT"):
        stop.check()
