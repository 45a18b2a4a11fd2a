"""A launch of several processes, on one machine or many, that share a workdir and a list of runs.

Runs are independent, so that all that the processes ever do together is to agree on who trains what. They meet through
`jax.distributed`, which finds the others on SLURM, GKE and TPU pods by itself, and part before they train: from then on
each is a JAX program of its own devices, and none dies with another.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

# No public function tells a process's index without starting the devices, which would tie the processes together.
from jax._src.distributed import global_state

from vae_jax import lock
from vae_jax.config import Config, group
from vae_jax.files import UserError
from vae_jax.interrupts import Stop

KEY, FAILED = "vae_jax/due", "(failed)"
PATIENCE_MS = 60_000  # for process 0, which looks through the workdir


class Job(NamedTuple):
    """One process among those of its launch."""

    rank: int = 0
    size: int = 1


ALONE = Job()


def join(coordinator: str | None, process_id: int | None, num_processes: int | None) -> Job:
    """Meets the other processes of this launch. Before anything else of JAX is used.

    Args:
        coordinator: HOST:PORT of process 0; like the others, None where the cluster tells.
        process_id: of this process, from 0.
        num_processes: of this launch.

    Raises:
        UserError: the others are not found.
    """
    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM from us
    try:
        jax.distributed.initialize(coordinator, num_processes, process_id)
    except (RuntimeError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"--distributed: {reason}; name --coordinator, --process_id and --num_processes") from error
    return Job(global_state.process_id, global_state.num_processes)


@contextlib.contextmanager
def sharing(
    workdir: Path, configs: Sequence[Config], begin: Callable[[], Sequence[Config]], job: Job
) -> Iterator[list[Config]]:  # fmt: skip
    """Holds the workdir's lock, and gives the part of the due runs that this process trains.

    Args:
        workdir: which all processes see.
        configs: of the experiment.
        begin: called by process 0 when it has the lock; returns the due runs. It must not start JAX's devices, which
            would wait for those of the other processes.
        job: of this process.

    Raises:
        UserError: another launch writes to the workdir; or whatever `begin` raises.
    """
    with contextlib.ExitStack() as stack:
        if job.rank == 0:
            try:
                stack.enter_context(lock.hold(workdir))
                due = list(begin())
            except BaseException:
                if job.size > 1:
                    _say(FAILED)
                    _part()
                raise
            if job.size > 1:
                _say(*(config.name for config in due))
        else:
            names = _hear()
            due = [config for config in configs if config.name in names]
            stack.enter_context(lock.hold(workdir, job.rank))
        if job.size > 1:
            _part()  # with all the locks taken
        yield share(due, job)


def wait_for_others(workdir: Path, job: Job, stop: Stop) -> None:
    """Process 0 waits until the others have left `sharing` or are gone; a line on stderr says so of each that is."""
    for rank in range(1, job.size):
        lock.wait_for(workdir, rank, stop)


def share(configs: Sequence[Config], job: Job) -> list[Config]:
    """The part of these runs that a process trains: contiguous in the order of groups, so that few are divided."""
    in_order = [config for members in group(configs) for config in members]
    start, end = (len(in_order) * rank // job.size for rank in (job.rank, job.rank + 1))
    return in_order[start:end]


def _client() -> Any:
    return global_state.client


def _say(*words: str) -> None:
    _client().key_value_set(KEY, " ".join(words))


def _hear() -> set[str]:
    """The names that process 0 says."""
    try:
        words = set(_client().blocking_key_value_get(KEY, PATIENCE_MS).split())
    except RuntimeError as error:
        raise UserError(f"--distributed: no word from process 0 ({str(error).splitlines()[0]})") from error
    if FAILED in words:
        _part()
        raise UserError("process 0 could not begin (its message says why)")
    return words


def _part() -> None:
    """Waits for the other processes to come here, and becomes a program of its own."""
    jax.distributed.shutdown()
    # What JAX makes of its devices from now on must not wait for processes that may be gone.
    global_state.process_id, global_state.num_processes = 0, 1
