"""A Dask cluster as an executor. Dask schedules chunks, notices dead workers, retries, balances, and has a dashboard.

Workers need this installation, the data sets, and the workdir under the same path as the launch. A chunk asks for a
resource that only those workers have which were compared with the launch, so no other worker ever trains.
"""

import asyncio
import contextlib
import json
import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from vae_jax import environment, source
from vae_jax.errors import UserError, one_line
from vae_jax.files import read_bytes, sha256
from vae_jax.session import Progress

TIMEOUT = 10.0  # seconds to reach the scheduler, and a worker
POLL = 2.0  # seconds between two looks at the workers
_OTHER = "another installation ({}); install the same, and start it again"


def locate(address: str) -> str:
    """Returns the address of a scheduler from HOST:PORT, tcp://HOST:PORT, or the path of a scheduler file.

    Raises:
        UserError: it is none of these.
    """
    path, found = os.path.expanduser(address), address
    if os.path.isfile(path):
        found = ""
        with contextlib.suppress(ValueError, LookupError, TypeError):
            found = str(json.loads(read_bytes(Path(path)))["address"])
    match = re.fullmatch(r"(\w+://)?(\[[\w:.%]+\]|[\w.-]+):([0-9]{1,5})", found)
    if not match or not 0 < int(match[3]) < 1 << 16:
        what = "neither HOST:PORT nor a file" if found == address else "not the file of a Dask scheduler"
        raise UserError(f"{address} is {what}; give the address of a Dask scheduler, or its --scheduler-file")
    return found


@contextlib.contextmanager
def connect(address: str, progress: Progress) -> Iterator[Executor]:
    """Connects to a Dask scheduler, compares its workers with this process, and gives its executor.

    Args:
        address: as `locate` takes it.
        progress: shows the workers, and what the launch waits for.

    Raises:
        UserError: the address is none, no scheduler answers there, or a worker has another installation.
    """
    from distributed import Client  # an optional dependency; the launcher checks that it is installed
    from distributed.versions import VersionMismatchWarning

    class OwnClient(Client):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            try:
                super().__init__(*args, **kwargs)
            except (ValueError, TypeError):
                self.status = "closed"  # or it would wait for 20 s as it is deleted, and print a traceback
                raise

    # They log tracebacks of a lost connection, which the launch reports in a line.
    for name in [*logging.root.manager.loggerDict, "tornado", "asyncio"]:
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore", VersionMismatchWarning)  # a table; what matters is compared below
    with contextlib.ExitStack() as stack:
        try:
            client = OwnClient(locate(address), timeout=TIMEOUT, set_as_default=False)
            stack.callback(_close, client)
            workers = Workers(client, address)
            difference, refused = client.sync(_difference, client), workers.look()
        except (OSError, ValueError, TypeError, ImportError) as error:
            message = f"no Dask scheduler answers at {address} ({one_line(error)}); start one with: dask scheduler"
            raise UserError(message) from error
        if difference:
            raise UserError(f"the scheduler at {address} has {_OTHER.format(difference)}")
        if refused:
            raise UserError(refused[0] + (f" ({len(refused) - 1} more differ)" if refused[1:] else ""))
        ended = threading.Event()
        progress.where(workers.describe())
        progress.say(f"{address}: {workers.lack() or workers.describe()}")
        watch = threading.Thread(target=workers.watch, args=(progress, ended), name="workers", daemon=True)
        watch.start()
        stack.callback(watch.join, timeout=1)
        stack.callback(ended.set)
        # Not pure: the same chunk submitted again is computed again, and writes the same files.
        yield client.get_executor(pure=False, resources={_resource(): 1})


class Workers:
    """The workers of a cluster: which of them may compute chunks, and what they do."""

    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address
        self._infos: dict[str, dict[str, Any]] = {}  # by address: what the scheduler knows of a worker
        # By folder: a worker that is started again may have the address of the one before, but not its folder.
        self._refused = set[str]()

    def look(self) -> list[str]:
        """Asks the scheduler for its workers, and admits those that are new if they have this installation.

        Returns:
            A line for each new worker that has another.
        """
        self._infos = self._client.scheduler_info(n_workers=-1).get("workers", {})
        new = [
            address
            for address, info in self._infos.items()
            if _resource() not in info["resources"] and info["local_directory"] not in self._refused
        ]
        differences = self._client.sync(_compare, self._client, new) if new else {}
        others = {address: difference for address, difference in differences.items() if difference}
        self._refused |= {self._infos[address]["local_directory"] for address in others}
        return [f"worker {address} has {_OTHER.format(difference)}" for address, difference in others.items()]

    def watch(self, progress: Progress, ended: threading.Event) -> None:
        """Admits workers that join, shows them, and says when there is none that can compute, until `ended` is set."""
        lacked = self.lack()
        while not ended.wait(POLL):
            # A scheduler that is lost cancels what it was to compute, and a launch that ends closes the connection.
            with contextlib.suppress(Exception, asyncio.CancelledError):
                for line in self.look():
                    progress.say(line)
                progress.where(self.describe())
                if (lack := self.lack()) and lack != lacked:
                    progress.say(f"{self._address}: {lack}")
                lacked = lack

    def describe(self) -> str:
        """Says which workers there are, such as `2 workers, 1 paused, 1 with another installation`."""
        paused = sum(info["status"] == "paused" for info in self._infos.values())
        others = sum(info["local_directory"] in self._refused for info in self._infos.values())
        parts = [f"{len(self._infos)} worker{'' if len(self._infos) == 1 else 's'}" if self._infos else "no workers"]
        parts += [f"{paused} paused"] if paused else []
        parts += [f"{others} with another installation"] if others else []
        return ", ".join(parts)

    def lack(self) -> str:
        """Says what to do if no worker can compute anything; "" if one can."""
        able = [info for info in self._infos.values() if info["local_directory"] not in self._refused]
        if not able:
            start = f"start some with: dask worker {self._address}, or see the logs of those that do not join"
            return f"{self.describe()}; {start}"
        is_paused = all(info["status"] == "paused" for info in able)
        return f"{self.describe()}; what is paused starts nothing: give it a larger --memory-limit" if is_paused else ""


async def _compare(client: Any, addresses: list[str]) -> dict[str, str | None]:
    """Returns in what each worker differs, as `_difference` does."""
    differences = await asyncio.gather(*(_difference(client, address) for address in addresses))
    return dict(zip(addresses, differences, strict=True))


async def _difference(client: Any, worker: str | None = None) -> str | None:
    """Returns in what a worker, or else the scheduler, differs from this process; None if it does not answer."""
    expected = source.installation()
    try:
        if worker:
            answers = await asyncio.wait_for(client.run(_admit, expected, workers=[worker]), TIMEOUT)
            return source.difference(answers[worker], expected)
        return source.difference(
            await asyncio.wait_for(client.run_on_scheduler(source.installation), TIMEOUT), expected
        )
    except OSError:
        return None
    except Exception as error:  # whatever it raises
        reason = one_line(error).removeprefix("Exception: ")
    try:  # another Python may not be able to read the question, but any says which one it is
        versions = await asyncio.wait_for(client.get_versions(), TIMEOUT)
        host = (versions["workers"][worker] if worker else versions["scheduler"])["host"]
    except (OSError, KeyError):
        return reason
    python = ".".join(host["python"].split(".")[:2])
    return source.difference({**expected, "Python": python}, expected) or reason


async def _admit(expected: Mapping[str, str | None], dask_worker: Any) -> Mapping[str, str | None]:
    """Lets a worker compute chunks if its installation is the expected one; it runs beside the worker's tasks.

    Returns:
        The worker's installation.
    """
    own = source.installation()
    if own == expected:
        environment.isolate()  # before a chunk imports JAX
        resource, state = _resource(), dask_worker.state
        await dask_worker.set_resources(**{resource: state.nthreads})
        # The scheduler looks for chunks that found no worker only when one starts to run.
        if dask_worker.status.name == "running":
            running = dask_worker.status
            dask_worker.status = type(running).paused
            dask_worker.status = running
    return own


def _resource() -> str:
    """The name of what a worker of this process's installation has."""
    return f"vae_jax-{sha256(json.dumps(source.installation()))[:16]}"


def _close(client: Any) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        client.close(timeout=2)
