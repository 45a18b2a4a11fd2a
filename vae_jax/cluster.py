"""A Dask cluster as an executor. Dask schedules chunks, notices dead workers, retries, balances, and has a dashboard.

Workers need this package, the data sets, and the workdir under the same path as the launch.
"""

import contextlib
import logging
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any

from vae_jax import environment
from vae_jax.workdir import UserError

TIMEOUT = "10s"  # to reach the scheduler


@contextlib.contextmanager
def connect(address: str) -> Iterator[Executor]:
    """Connects to a Dask scheduler and gives its executor.

    Args:
        address: HOST:PORT, tcp://HOST:PORT, or the path of a scheduler file.

    Raises:
        UserError: no scheduler answers at the address.
    """
    from distributed import Client, WorkerPlugin  # an optional dependency; the launcher checks that it is installed

    class Isolated(WorkerPlugin):
        """Makes a worker, also one that joins later, ignore the variables that the launch ignores."""

        def setup(self, worker: Any) -> None:
            environment.isolate()

    # They log tracebacks of a lost connection, which the launch reports in a line.
    for name in [*logging.root.manager.loggerDict, "tornado", "asyncio"]:
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    where = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
    with contextlib.ExitStack() as stack:
        try:
            client = Client(**where, timeout=TIMEOUT, set_as_default=False)
            stack.callback(_close, client)
            client.register_plugin(Isolated(), name="vae_jax")  # before a task imports JAX
            workers = client.scheduler_info(n_workers=-1)["workers"]
        except (OSError, ValueError, TypeError, ImportError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            message = f"no Dask scheduler answers at {address} ({reason}); start one with: dask scheduler"
            raise UserError(message) from error
        if not workers:
            print(f"{address} has no workers yet; start some with: dask worker {address}", file=sys.stderr)
        # Not pure: the same chunk submitted again is computed again, and writes the same files.
        yield client.get_executor(pure=False)


def _close(client: Any) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        client.close(timeout=2)
