"""SIGINT and SIGTERM: the first asks the work to stop where nothing is lost, the second stops at once."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 10.0  # seconds that the work has to come to a point where it can stop


class StoppedError(Exception):
    """The work was asked to stop, and did; `exit_code` is what a shell expects of the signal: 130 or 143."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


class Stop:
    """Whether the work is asked to stop, which it looks up where it could go on later without a loss."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self.reached = threading.Event()  # such a point: from now on the work is waited for

    @property
    def asked(self) -> bool:
        """Whether the work is asked to stop."""
        return self.signum is not None

    def check(self) -> None:
        """Raises StoppedError if the work is asked to stop."""
        if self.signum is not None:
            raise StoppedError(self.signum)


def run(work: Callable[[Stop], None]) -> None:
    """Runs the work in a thread of its own, so that signals are answered also while it is inside a long computation.

    The first SIGINT or SIGTERM sets `stop`; the work looks at it between its steps and raises StoppedError. Where it
    does not within `PATIENCE` seconds, or at a second signal, the process ends at once with the signal's exit code.

    Raises:
        StoppedError: the work stopped as it was asked to.
        Exception: whatever the work raises.
    """
    stop, done, raised = Stop(), threading.Event(), list[BaseException]()

    def target() -> None:
        try:
            work(stop)
        except BaseException as error:
            raised.append(error)
        done.set()

    def ask(signum: int, _: Any) -> None:
        if stop.asked:
            _exit(signum, "Stopped at once.")
        stop.signum = signum

    before = {signum: signal.signal(signum, ask) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        threading.Thread(target=target, name="work", daemon=True).start()
        while not stop.asked and not done.wait(0.1):
            pass
        if stop.asked:
            print("\nStopping after this epoch; once more stops at once.", file=sys.stderr, flush=True)
            asked = time.monotonic()
            while not done.wait(0.1):
                if time.monotonic() - asked > PATIENCE and not stop.reached.is_set():
                    _exit(stop.signum or signal.SIGTERM, f"This takes longer than {PATIENCE:.0f} s: not waited for.")
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    if raised:
        raise raised[0]


def _exit(signum: int, reason: str) -> None:
    # An ordinary exit would wait for the threads of the computation that nobody wants to wait for.
    print(f"{reason} The same command goes on from the last checkpoint.", file=sys.stderr, flush=True)
    os._exit(128 + signum)
