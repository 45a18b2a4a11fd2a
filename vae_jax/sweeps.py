"""The host loop: deals the runs that are due out to an executor, in chunks, and collects failures.

Where a chunk is trained and evaluated is the executor's business: by default this process's devices, with `--cluster` a
Dask cluster, or any `concurrent.futures.Executor` whose workers see the same workdir. Workers write only the folders of
their runs, and those files are a function of each run's Config, so a worker that is lost costs time and no result.
"""

import contextlib
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

import jax

from vae_jax import checkpoints, chunks, evaluation
from vae_jax.chunks import Watch, program_of
from vae_jax.config import Config, Options, group
from vae_jax.runs import check_identity, identity_of, load_dataset
from vae_jax.session import Progress, Stop, StoppedError
from vae_jax.workdir import DataIdentity, UserError, is_evaluated, is_trained, read_identity, run_dir, write_json

DEFAULTS = Options()
ATTEMPTS = 3  # of a chunk, before its runs count as failed


class Failure(NamedTuple):
    """A run that could not be trained or evaluated."""

    run: str
    reason: str  # one line


class Chunk(NamedTuple):
    """Runs of one program that a device trains together; `upcoming` is the next chunk, if of another program."""

    configs: Sequence[Config]
    identity: DataIdentity
    upcoming: Sequence[Config] = ()


class LocalDevices(ThreadPoolExecutor):
    """An executor over this process's devices: each thread computes on a device of its own."""

    _bound = threading.local()

    def __init__(self) -> None:
        devices = jax.local_devices()
        free = queue.SimpleQueue[Any]()
        for device in devices:
            free.put(device)
        super().__init__(len(devices), "device", lambda: setattr(self._bound, "device", free.get()))

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Schedules fn(*args, **kwargs) on the next free device."""

        def on_device() -> Any:
            with jax.default_device(self._bound.device):
                return fn(*args, **kwargs)

        return super().submit(on_device)


def check(
    configs: Sequence[Config], workdir: Path, data_dir: str | None, record: Any = None
) -> dict[Config, DataIdentity]:
    """Checks before any work that every run can be trained on its data set.

    Args:
        configs: of the experiment.
        workdir: where each run's folder is.
        data_dir: folder of the prepared data sets.
        record: of the last launch in the workdir, for runs of version 0.1.0, which do not identify their data.

    Returns:
        The identity of each run's data set.

    Raises:
        UserError: a data set is missing, damaged or too small, or is not the one a run in the workdir was trained on.
        ConfigError: an architecture does not take the images of a data set.
    """
    identities = {}
    for config in configs:
        dataset = load_dataset(config, data_dir)
        program_of(config, dataset)
        identities[config] = identity_of(dataset)
        folder = run_dir(workdir, config)
        if (folder / "config.json").exists():
            identity = read_identity(folder) or _recorded(record, config, identities[config])
            check_identity(config.name, identity, dataset)
    return identities


def train_and_evaluate(
    configs: Sequence[Config], workdir: Path, options: Options = DEFAULTS, *, executor: Executor | None = None,
    stop: Stop | None = None, progress: Progress | None = None, identities: dict[Config, DataIdentity] | None = None,
) -> list[Failure]:  # fmt: skip
    """Trains the runs that are not trained yet, and evaluates those that have no current evaluation.

    Args:
        configs: of the experiment.
        workdir: where each run's folder is; no other launch may write there.
        options: how to train and evaluate.
        executor: where chunks are computed; None for this process's devices.
        stop: polled between epochs and evaluations.
        progress: the display to report to.
        identities: of the runs' data sets, as `check` returns them; None to call it.

    Returns:
        The runs that failed. Their failure is recorded in the workdir, and all others are done.

    Raises:
        UserError, ConfigError: as `check`, or the connection to the executor is lost.
        StoppedError: a stop was requested; all that is needed to resume is saved.
    """
    stop, progress = stop or Stop(), progress or Progress()
    identities = identities or check(configs, workdir, options.data_dir)
    due = [config for config in configs if _is_due(run_dir(workdir, config), options)]
    _say_stale(due, workdir, options, progress)
    progress.begin(**_work(due, workdir, identities, options))
    pool = executor or LocalDevices()
    watch = None if executor else Watch(stop, progress)
    pending: dict[Future[Any], tuple[Chunk, int]] = {}

    def submit(chunk: Chunk, attempt: int) -> None:
        pending[pool.submit(work, chunk, workdir, options, watch)] = chunk, attempt

    failures: list[Failure] = []
    try:
        for chunk in _chunks(due, identities, workdir, options, is_local=executor is None):
            submit(chunk, 1)
        while pending:
            if stop.asked:
                _cancel(pending, wait_for_running=executor is None)
                stop.check()
            done, _ = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
            for future in done:
                chunk, attempt = pending.pop(future)
                if future.cancelled():
                    raise UserError("the cluster is gone; launch again to finish its runs")
                error = future.exception()
                if error is None:
                    failures += future.result()
                    if executor:
                        _count(chunk, progress, options)
                elif isinstance(error, StoppedError):
                    raise error
                elif attempt < ATTEMPTS and not isinstance(error, UserError):
                    submit(chunk, attempt + 1)
                else:
                    failures += _record_failure(chunk, workdir, error)
    finally:
        if executor is None:
            pool.shutdown(wait=False, cancel_futures=True)
    return failures


def work(chunk: Chunk, workdir: Path, options: Options, watch: Watch | None = None) -> list[Failure]:
    """Trains a chunk, then evaluates its runs; a worker calls this.

    Returns:
        The runs that could not be evaluated.

    Raises:
        UserError: the chunk could not be trained.
        StoppedError: a stop was requested.
    """
    configs, failures = chunk.configs, []
    if options.train:
        unfinished = sum(not is_trained(run_dir(workdir, config)) for config in configs)
        chunks.train(configs, chunk.identity, workdir, options, watch, chunk.upcoming)
        if watch:
            watch.progress.trained(unfinished)
    for config in configs:
        folder = run_dir(workdir, config)
        if not _needs_evaluation(folder, options):
            continue
        if watch:
            watch.stop.check()
            watch.progress.evaluating()
        numbers = evaluation.evaluate_run(
            folder, data_dir=options.data_dir, num_likelihood_samples=options.num_likelihood_samples
        )
        if "failed" in numbers:
            failures.append(Failure(config.name, f"evaluation: {numbers['failed']}"))
        if watch:
            watch.progress.evaluated()
    return failures


def _count(chunk: Chunk, progress: Progress, options: Options) -> None:
    """Counts a chunk that a worker of another process has finished."""
    if options.train:
        progress.skip(sum(chunk.identity.counts["train"] * config.num_epochs for config in chunk.configs))
        progress.trained(len(chunk.configs))
    if options.evaluate != "never":
        progress.evaluated(len(chunk.configs))


def _is_due(folder: Path, options: Options) -> bool:
    return (options.train and not is_trained(folder)) or _needs_evaluation(folder, options)


def _needs_evaluation(folder: Path, options: Options) -> bool:
    if options.evaluate == "never" or not is_trained(folder):
        return False
    return options.evaluate == "again" or not evaluation.is_current(folder)


def _say_stale(due: Sequence[Config], workdir: Path, options: Options, progress: Progress) -> None:
    folders = [run_dir(workdir, config) for config in due]
    stale = [f for f in folders if options.evaluate == "due" and is_trained(f) and is_evaluated(f)]
    if stale:
        progress.say(f"{len(stale)} evaluations are not of this version, or failed; evaluating these runs again")


def _chunks(
    due: Sequence[Config], identities: dict[Config, DataIdentity], workdir: Path, options: Options, is_local: bool
) -> list[Chunk]:
    """Divides the due runs into chunks: runs to train by program, and each run that is only to be evaluated alone."""
    to_train = [c for c in due if options.train and not is_trained(run_dir(workdir, c))]
    parts: list[list[Config]] = []
    for members in group(to_train):
        size = _runs_at_once(len(members), options, is_local)
        parts += [members[start : start + size] for start in range(0, len(members), size)]
    parts += [[config] for config in due if config not in set(to_train)]
    programs = [group(part)[0][0] for part in parts]
    result = []
    for index, part in enumerate(parts):
        later = parts[index + 1] if is_local and index + 1 < len(parts) else []
        trains = bool(later) and not is_trained(run_dir(workdir, later[0])) and options.train
        other = trains and len(group([programs[index], programs[index + 1]])) > 1
        result.append(Chunk(part, identities[part[0]], later if other else ()))
    return result


def _runs_at_once(num_runs: int, options: Options, is_local: bool) -> int:
    if options.runs_per_device:
        return options.runs_per_device
    if not is_local or jax.default_backend() == "cpu":
        return 1
    return -(-num_runs // jax.local_device_count())


def _work(
    due: Sequence[Config], workdir: Path, identities: dict[Config, DataIdentity], options: Options
) -> dict[str, int]:
    """Returns the arguments of `Progress.begin`."""
    to_train = [c for c in due if options.train and not is_trained(run_dir(workdir, c))]
    images = done = 0
    for config in to_train:
        num_images = identities[config].counts["train"]
        images += num_images * config.num_epochs
        done += num_images * max(checkpoints.epochs(run_dir(workdir, config)), default=0)
    to_evaluate = 0 if options.evaluate == "never" else len(due)
    return {"to_train": len(to_train), "to_evaluate": to_evaluate, "images": images, "images_done": done}


def _cancel(pending: dict[Future[Any], Any], wait_for_running: bool) -> None:
    for future in pending:
        future.cancel()
    if wait_for_running:
        running = [future for future in pending if not future.cancelled()]
        wait(running)


def _record_failure(chunk: Chunk, workdir: Path, error: BaseException) -> list[Failure]:
    """Records that a chunk's runs could not be trained."""
    lines = str(error).splitlines() or [""]
    reason = lines[0] if isinstance(error, UserError) else f"{type(error).__name__}: {lines[0]}".rstrip(": ")
    failures = [Failure(c.name, reason) for c in chunk.configs if not is_trained(run_dir(workdir, c))]
    for failure in failures:
        with contextlib.suppress(UserError):  # the disk may be full
            write_json(workdir / "runs" / failure.run / "failed.json", {"failed": failure.reason})
    return failures or [Failure(chunk.configs[0].name, reason)]


def _recorded(record: Any, config: Config, identity: DataIdentity) -> DataIdentity | None:
    """Returns the identity of a data set with the digest that the last launch recorded, if it did."""
    with contextlib.suppress(KeyError, TypeError):
        return identity._replace(sha256=str(record["data"][config.dataset]["sha256"]))
    return None
