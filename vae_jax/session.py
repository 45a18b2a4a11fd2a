"""One launch: its lock on the workdir, its answer to SIGINT, SIGTERM and SIGHUP, and its progress display."""

import contextlib
import fcntl
import io
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from vae_jax.errors import UserError
from vae_jax.files import exists, read_json

PATIENCE = 10.0  # seconds the work has to reach a point where it can stop
MAX_LINES = 20  # of progress, where there is no terminal to draw a bar on
COLUMNS = 79
DRAWING = "drawing.json"  # lock of who draws, in a launch or beside one


class InUseError(UserError):
    """Another process holds the lock; `reason` says which."""

    def __init__(self, path: Path) -> None:
        self.reason = f"{path.parent} is in use ({_owner(path)})"
        super().__init__(f"{self.reason}; wait for it, or choose another --workdir")


@contextlib.contextmanager
def hold(workdir: Path, name: str = "lock.json", wait: Callable[[], object] | None = None) -> Iterator[None]:
    """Makes this process the only launch in a workdir, or the only one that draws there, with the name `DRAWING`.

    The lock is the kernel's, so it ends with the process, however that ends.

    Args:
        workdir: of the launch.
        name: of the lock's file.
        wait: called again and again while another process holds the lock; None to raise at once.

    Raises:
        InUseError: another process holds the lock.
        UserError: the workdir cannot be written.
    """
    path = workdir / name
    new = [folder for folder in (workdir, *workdir.parents) if not exists(folder)]
    while True:
        try:
            handle = _acquire(path)
            break
        except InUseError:
            if wait is None:
                raise
            wait()
            time.sleep(0.1)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # the workdir may have vanished
            path.unlink()
            for folder in new:
                folder.rmdir()  # stops at the first that holds something
        os.close(handle)


def _acquire(path: Path) -> int:
    """Opens and locks the file, and writes this process's name to it."""
    owner = {"host": socket.gethostname(), "pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
    handle = -1
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Writing through a link would overwrite its target.
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_ino != os.stat(path).st_ino:
            raise FileNotFoundError  # its holder has just deleted it
        os.truncate(handle, 0)
        os.write(handle, (json.dumps(owner) + "\n").encode())
    except OSError as error:
        if handle >= 0:
            os.close(handle)
        if isinstance(error, BlockingIOError) or (handle >= 0 and isinstance(error, FileNotFoundError)):
            raise InUseError(path) from None
        raise UserError(f"cannot write {path}: {error.strerror or error}; choose another --workdir") from error
    return handle


def _owner(path: Path) -> str:
    owner: Any = None
    with contextlib.suppress(UserError):
        owner = read_json(path, max_bytes=10_000)
    values = owner if isinstance(owner, dict) else {}
    # The file may hold anything, and an error message is one line.
    texts = (str(values.get(name, "?")) for name in ("pid", "host", "since"))
    pid, host, since = (text if text.isprintable() else "?" for text in texts)
    return f"process {pid} on {host} since {since}"


class StoppedError(Exception):
    """The work stopped on request; `exit_code` is what a shell expects of the signal: 130, 143 or 129."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


class Stop:
    """A stop request, polled where work can later resume without loss."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self.reached = threading.Event()  # set once the work saves what it needs to resume, which may take a while

    @property
    def asked(self) -> bool:
        """Whether a stop is requested."""
        return self.signum is not None

    def check(self) -> None:
        """Raises StoppedError if a stop is requested."""
        if self.signum is not None:
            raise StoppedError(self.signum)


def run(work: Callable[[Stop], None]) -> None:
    """Runs the work in a thread, so that signals are answered even inside a long computation.

    The first SIGINT, SIGTERM or SIGHUP sets the `Stop` that the work polls. If the work does not reach a point where it
    can stop within `PATIENCE` seconds, or at a second signal, the process exits at once with the signal's exit code. A
    second SIGHUP does not count: shell and system may each send one. Where SIGHUP is ignored, as by nohup, it stays so.

    Raises:
        StoppedError: the work stopped on request.
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
        if signum == signal.SIGHUP:
            _leave_terminal()
        elif stop.asked:
            _exit(signum, "Stopped at once.")
        stop.signum = stop.signum or signum

    signals = [signal.SIGINT, signal.SIGTERM]
    signals += [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN else []
    before = {signum: signal.signal(signum, ask) for signum in signals}
    try:
        threading.Thread(target=target, name="work", daemon=True).start()
        while not stop.asked and not done.wait(0.1):
            pass
        if stop.asked:
            say("\nStopping after this epoch; once more stops at once.")
            asked = time.monotonic()
            while not done.wait(0.1):
                if time.monotonic() - asked > PATIENCE and not stop.reached.is_set():
                    _exit(stop.signum or signal.SIGTERM, f"No stop within {PATIENCE:.0f} s: exiting.")
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    if raised:
        raise raised[0]


def _exit(signum: int, reason: str) -> None:
    # An ordinary exit would wait for the computation's threads.
    say(f"{reason} The same command resumes from the last checkpoint.")
    os._exit(128 + signum)


def say(text: str, end: str = "\n") -> None:
    """Prints on stderr; a reader that is gone, or a full disk, is no reason to stop the work."""
    with contextlib.suppress(OSError, ValueError):
        print(text, end=end, file=_stderr(), flush=True)


def _stderr() -> TextIO:
    """Returns standard error; if the process has none or has closed it, as a daemon may, a buffer that nobody reads."""
    return io.StringIO() if sys.stderr is None or sys.stderr.closed else sys.stderr


def _leave_terminal() -> None:
    """Sends what is printed from now on nowhere, if it went to a terminal that is gone, where writing fails."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            os.write(descriptor, b"")
            continue
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


class Progress:
    """The display of a whole launch: a bar on a terminal, at most `max_lines` lines and a few more elsewhere.

    Training and evaluation count half each. Methods may be called from several threads.
    """

    def __init__(self, max_lines: int = MAX_LINES) -> None:
        self._max_lines = max_lines
        self._lock = threading.RLock()
        self._bar: tqdm | None = None
        self._to_train = self._trained = self._to_evaluate = self._evaluated = 0
        self._total_images = self._images = self._lines = 0
        self._doing, self._details, self._where = "", list[str](), ""

    def begin(self, to_train: int, to_evaluate: int, images: int, images_done: int) -> None:
        """Starts to show so many runs to train and to evaluate, and the images they see, up to their checkpoints."""
        self._to_train, self._to_evaluate = to_train, to_evaluate
        self._total_images, self._images = images, images_done
        self._start, self._start_fraction = time.monotonic(), self._fraction()
        columns = min(COLUMNS, shutil.get_terminal_size().columns - 1)
        self._bar = tqdm(total=1.0, file=_stderr(), disable=None, ncols=columns, bar_format="{desc}|{bar}|{postfix}")
        self._lines = int(self._start_fraction * self._max_lines)

    def doing(self, what: str, details: Sequence[str] = ()) -> None:
        """Says what is being done now: compiling, training or evaluating."""
        with self._lock:
            self._doing, self._details = what, list(details)
            self._show()

    def where(self, where: str) -> None:
        """Says where the work is done, until it changes."""
        with self._lock:
            self._where = where
            self._show()

    def epoch(self, row: Mapping[str, Any], num_images: int, seconds: float) -> None:
        """Counts the images that some runs saw in an epoch, and shows a row of their metrics.jsonl."""
        with self._lock:
            self._images += num_images
            loss = row.get("train_loss")
            losses = [] if loss is None else [f"loss {loss:.4g}"]
            self.doing("training", [*losses, f"{num_images / seconds / 1000:,.0f}k images/s"])

    def trained(self, count: int, images_elsewhere: int = 0) -> None:
        """Counts trained runs, and images not seen here: those after a divergence, or seen in another process."""
        with self._lock:
            self._trained += count
            self._images += images_elsewhere
            self._show()

    def evaluated(self, count: int = 1) -> None:
        """Counts evaluated runs."""
        with self._lock:
            self._evaluated += count
            self.doing("")

    def drawing(self, done: int, total: int, name: str = "") -> None:
        """Shows how many figures are done and which one is next; without a name, how many were drawn in the end."""
        self.close()
        text = f"drawing {done}/{total} {name}"[:COLUMNS] if name else f"drawn {done}/{total}"
        if _stderr().isatty():
            say(f"\r\x1b[K{text}", end="" if name else "\n")
        elif done == 0 or not name:
            say(text)

    def say(self, text: str) -> None:
        """Prints a line on stderr, above the bar."""
        with contextlib.suppress(OSError, ValueError):
            tqdm.write(text, file=_stderr())

    def close(self) -> None:
        """Ends the bar and leaves its last state on the terminal."""
        with self._lock:
            if self._bar is not None:
                self._bar.close()
            self._bar = None

    def _fraction(self) -> float:
        parts = [self._images / self._total_images] if self._total_images else []
        parts += [self._evaluated / self._to_evaluate] if self._to_evaluate else []
        return min(1.0, sum(parts) / max(1, len(parts)))

    def _show(self) -> None:
        if self._bar is None:
            return
        fraction, elapsed = self._fraction(), time.monotonic() - self._start
        head = [f"trained {self._trained}/{self._to_train}"] if self._to_train else []
        head += [f"evaluated {self._evaluated}/{self._to_evaluate}"] if self._to_evaluate else []
        text = f"{self._doing}: {', '.join(head)}" if self._doing else ", ".join(head)
        text += f"; {self._where}" if self._where else ""
        tail = f"{100 * fraction:.0f} %"
        if fraction < 1 and (done := fraction - self._start_fraction) > 0.005:
            tail += f", {tqdm.format_interval(elapsed * (1 - fraction) / done)} left"
        if not self._bar.disable:
            self._bar.n = fraction
            self._bar.set_description_str(f"{text} ", refresh=False)
            self._bar.set_postfix_str(f" {self._with_details(tail, self._bar.ncols - len(text) - 14)}", refresh=False)
            self._bar.refresh()
        elif int(fraction * self._max_lines) > self._lines:
            self._lines = int(fraction * self._max_lines)
            say(self._with_details(f"{text}, {tail}", COLUMNS))

    def _with_details(self, text: str, columns: int) -> str:
        for detail in self._details:
            if len(text) + len(detail) + 2 <= columns:
                text += f", {detail}"
        return text
