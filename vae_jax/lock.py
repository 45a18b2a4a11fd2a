"""One writer in a workdir: WORKDIR/lock-0.json says who it is (lock-1.json and so on in a launch of several processes).

The kernel's lock on the file tells whether its process still lives on this host; its content tells whose it is.
"""

import contextlib
import fcntl
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vae_jax.files import UserError, read_json
from vae_jax.interrupts import Stop

HEARTBEAT = 10.0  # seconds between two touches of a lock that is held
LOST = 120.0  # seconds without one after which a process on another host is given up


@contextlib.contextmanager
def hold(workdir: Path, index: int = 0) -> Iterator[None]:
    """Makes this process the writer in a workdir, or the one of this index in a launch of several processes.

    The lock of a process that is gone is taken over with a warning.

    Raises:
        UserError: another launch writes there, or the workdir cannot be written.
    """
    path, is_new = workdir / f"lock-{index}.json", not workdir.exists()
    handle = _acquire(path)
    released = threading.Event()
    try:
        if index == 0:
            for other in sorted(set(workdir.glob("lock-*.json")) - {path}):
                _remove_if_left_behind(other)
        threading.Thread(target=_beat, args=(handle, released), daemon=True).start()
        yield
    finally:
        released.set()
        with contextlib.suppress(OSError):  # the workdir may have vanished
            path.unlink()
            if is_new and not any(workdir.iterdir()):
                workdir.rmdir()  # nothing came of it
        os.close(handle)


def wait_for(workdir: Path, index: int, stop: Stop) -> None:
    """Waits until the process of this index has released its lock, is gone, or is not heard of for `LOST` seconds.

    Args:
        workdir: of the launch.
        index: of the other process.
        stop: ends the wait.

    Raises:
        StoppedError: `stop` is set.
    """
    path, seen, since = workdir / f"lock-{index}.json", None, time.monotonic()
    while (owner := _owner(path)) is not None:
        stop.check()
        with contextlib.suppress(OSError):
            if (beat := path.stat().st_mtime_ns) != seen:
                seen, since = beat, time.monotonic()
        gone = _is_free(path) if owner.get("host") == socket.gethostname() else time.monotonic() - since > LOST
        if gone:
            print(f"Process {index} ({_describe(owner)}) is gone; launch again for its runs", file=sys.stderr)
            with contextlib.suppress(OSError):
                path.unlink()
            return
        time.sleep(0.2)


def _acquire(path: Path) -> int:
    """The open file, with the kernel's lock on it and our name in it."""
    before = _owner(path)
    if before and before.get("host") not in (socket.gethostname(), None):
        raise _in_use(path, before, f"delete {path} if that process is gone")
    owner = {"host": socket.gethostname(), "pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Through a link, what it leads to would be overwritten.
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_ino != os.stat(path).st_ino:
            raise FileNotFoundError  # who held it has just deleted it
        os.truncate(handle, 0)
        os.write(handle, (json.dumps(owner) + "\n").encode())
    except OSError as error:
        os.close(handle)
        if isinstance(error, BlockingIOError | FileNotFoundError):
            raise _in_use(path, before or {}, "wait for it") from None
        raise _unwritable(path, error) from error
    if before is not None:
        _say_left_behind(path, before)
    return handle


def _remove_if_left_behind(path: Path) -> None:
    owner = _owner(path)
    if owner is None:
        return
    if owner.get("host") not in (socket.gethostname(), None):
        raise _in_use(path, owner, f"delete {path} if that process is gone")
    if not _is_free(path):
        raise _in_use(path, owner, "wait for it")
    _say_left_behind(path, owner)
    with contextlib.suppress(OSError):
        path.unlink()


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"cannot write {path}: {error.strerror or error}; choose another --workdir")


def _in_use(path: Path, owner: dict[str, Any], way_out: str) -> UserError:
    return UserError(f"{path.parent} is in use ({_describe(owner)}); {way_out}, or choose another --workdir")


def _say_left_behind(path: Path, owner: dict[str, Any]) -> None:
    print(f"{path} was left behind ({_describe(owner)}, which is gone); taking it over", file=sys.stderr)


def _beat(handle: int, released: threading.Event) -> None:
    while not released.wait(HEARTBEAT):
        with contextlib.suppress(OSError):  # a disk that is away for a moment
            os.utime(handle)


def _owner(path: Path) -> dict[str, Any] | None:
    """Whose lock it is: empty where it does not say, None where there is none."""
    try:
        owner = read_json(path, max_bytes=10_000)
    except UserError:
        owner = None
    return owner if isinstance(owner, dict) else {} if path.exists() else None


def _is_free(path: Path) -> bool:
    """Whether no living process of this host has the lock."""
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return True
    except OSError as error:
        raise UserError(f"cannot use {path}: {error.strerror or error}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise UserError(f"cannot use {path}: {error.strerror or error}") from error
    finally:
        os.close(handle)
    return True


def _describe(owner: dict[str, Any]) -> str:
    # The file may hold anything, and an error is one line.
    texts = (str(owner.get(name, "?")) for name in ("pid", "host", "since"))
    pid, host, since = (text if text.isprintable() else "?" for text in texts)
    return f"process {pid} on {host} since {since}"
