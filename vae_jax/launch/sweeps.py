"""The host loop: deals the runs that are due out to an executor, in chunks, and collects failures.

Where a chunk is trained and evaluated is the executor's business: by default this process's devices, with `--cluster` a
Dask cluster, or any `concurrent.futures.Executor` whose workers see the same workdir. Workers write only the folders of
their runs, and those files are a function of each run's Config, so a worker that is lost costs time and no result.
"""

import contextlib
import functools
import itertools
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

import jax

from vae_jax import environment, measure, session, source
from vae_jax.config import Config, Options, canonical, group, static_part
from vae_jax.data.arrays import gather, on_arrays
from vae_jax.data.identity import check_runs, given
from vae_jax.errors import UserError, one_line
from vae_jax.files import remove_leftovers, write_json
from vae_jax.session import Progress, Stop, StoppedError
from vae_jax.training import checkpoints, chunks
from vae_jax.training.chunks import KEPT_PROGRAMS, Watch
from vae_jax.training.resolve import Chunk, Due
from vae_jax.workdir import DataIdentity, is_evaluated, is_trained, run_dir

DEFAULTS = Options()
ATTEMPTS = 3  # of a chunk, before its runs count as failed


class Failure(NamedTuple):
    """A run that could not be trained or evaluated."""

    run: str
    reason: str  # one line


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


@environment.own_settings()
def train_and_evaluate(
    configs: Sequence[Config], workdir: Path, options: Options = DEFAULTS, *, executor: Executor | None = None,
    stop: Stop | None = None, progress: Progress | None = None, identities: dict[Config, DataIdentity] | None = None,
    meanwhile: Callable[[], object] = lambda: None, **arrays: Any,
) -> list[Failure]:  # fmt: skip
    """Trains the runs that are not trained yet, and evaluates those that have no current evaluation.

    Args:
        configs: of the experiment.
        workdir: where each run's folder is; no other launch may write there.
        options: how to train and evaluate.
        executor: where chunks are computed; None for this process's devices.
        stop: polled between epochs and evaluations.
        progress: the display to report to.
        identities: of the runs' data sets, as `check_runs` returns them; None to call it.
        meanwhile: called about ten times a second as long as runs are trained or evaluated.
        **arrays: `images`, `labels`, `test_images` and `test_labels` of all runs, as `vae_jax.train` takes them; not
            with an executor.

    Returns:
        The runs that failed, also because the executor broke or takes nothing any more. Their failure is recorded in
        the workdir, and all others are done.

    Raises:
        UserError, ConfigError: as `check_runs`, or the connection to the executor is lost.
        StoppedError: a stop was requested; all that is needed to resume is saved.
    """
    if own := gather(**arrays):
        if executor:
            raise UserError("images in memory are in this process only; save them for npz:FILE, or pass no executor")
        with given(own):
            return train_and_evaluate(
                [on_arrays(config) for config in configs], workdir, options, stop=stop, progress=progress,
                meanwhile=meanwhile,
            )  # fmt: skip
    stop, progress = stop or Stop(), progress or Progress()
    identities = identities or check_runs(configs, workdir, options.data_dir)
    if options.num_likelihood_samples is None:
        used = measure.samples_in_use(run_dir(workdir, config) for config in configs)
        options = options._replace(num_likelihood_samples=used)
    dealt = _chunks(configs, identities, workdir, options, is_local=executor is None)
    _begin(progress, dealt, options)
    if executor is None and options.evaluate != "never":
        measure.prepare()
    watch, expected = (None, source.installation()) if executor else (Watch(stop, progress), None)
    call = functools.partial(work, options=options, watch=watch, expected=expected)
    failures = []
    for chunk, outcome in _outcomes(dealt, call, executor, stop, meanwhile):
        if isinstance(outcome, BaseException):
            failures += _record_failure(chunk, outcome)
            continue
        failures += outcome
        if executor:
            _count(chunk, progress, options)
    if executor:
        remove_leftovers(workdir, ["runs"])  # of workers that were lost while they wrote
    return failures


def _outcomes(
    dealt: Sequence[Chunk], call: Callable[[Chunk], list[Failure]], executor: Executor | None, stop: Stop,
    meanwhile: Callable[[], object],
) -> Iterator[tuple[Chunk, list[Failure] | BaseException]]:  # fmt: skip
    """Has chunks computed, and yields each with what `call` returned of it, or with the error that it ended with.

    An error that a user need not act on may be chance, such as a worker that was killed: the chunk is tried again.
    """
    pool = executor or LocalDevices()
    todo = [(chunk, 1) for chunk in dealt]
    pending: dict[Future[Any], tuple[Chunk, int]] = {}
    try:
        while todo or pending:
            while todo:
                chunk, attempt = todo.pop(0)
                try:
                    pending[pool.submit(call, chunk)] = chunk, attempt
                except Exception as error:  # an executor is anyone's; each has its own when it is broken or shut down
                    yield chunk, error
            if stop.asked:
                running = [future for future in pending if not future.cancel()]
                wait(running if executor is None else [])  # local chunks save what they need to resume
                stop.check()
            done, _ = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
            meanwhile()
            for future in done:
                chunk, attempt = pending.pop(future)
                if future.cancelled():
                    raise UserError("the cluster or executor is gone; launch again to finish its runs")
                raised = future.exception()
                if isinstance(raised, StoppedError):
                    raise raised
                if raised is None or isinstance(raised, UserError) or attempt == ATTEMPTS:
                    yield chunk, raised or future.result()
                else:
                    todo.append((chunk, attempt + 1))
    finally:
        if executor is None:
            pool.shutdown(wait=False, cancel_futures=True)


def train_one(config: Config, workdir: Path, data_dir: str | None = None) -> Path:
    """Trains one run, unless it is trained, and returns its folder.

    Raises:
        UserError, ConfigError: as `train_and_evaluate`, or the run failed, or the workdir is in use.
    """
    config, stop, progress = canonical(config), Stop(), Progress(max_lines=4)
    options = Options(data_dir=data_dir, evaluate="never")
    with session.hold(workdir):
        try:
            failures = train_and_evaluate([config], workdir, options, stop=stop, progress=progress)
        except KeyboardInterrupt:
            stop.signum = signal.SIGINT  # or the thread that trains would go on after the notebook's cell has ended
            raise
        finally:
            progress.close()
    if failures:
        raise UserError(f"{config.name} failed: {failures[0].reason}")
    return run_dir(workdir, config)


@environment.own_settings()
def work(
    chunk: Chunk, options: Options, watch: Watch | None = None, expected: Mapping[str, str | None] | None = None
) -> list[Failure]:  # fmt: skip
    """Trains a chunk, then evaluates its runs; a worker calls this, which must have the `expected` installation.

    Returns:
        The runs that could not be evaluated.

    Raises:
        UserError: the chunk could not be trained.
        StoppedError: a stop was requested.
    """
    if expected and (difference := source.difference(source.installation(), expected)):
        raise UserError(f"its worker has another installation ({difference}); install the same, and launch again")
    watch, failures = watch or Watch(Stop(), Progress()), []
    if options.train:
        chunks.train(chunk, options, watch)
    for config, folder, _ in chunk.runs:
        if not _needs_evaluation(folder, options):
            continue
        watch.stop.check()
        watch.progress.doing("evaluating")
        assert options.num_likelihood_samples is not None  # `train_and_evaluate` has filled it in
        numbers = measure.evaluate_run(
            folder, data_dir=options.data_dir, num_likelihood_samples=options.num_likelihood_samples
        )
        if "failed" in numbers:
            failures.append(Failure(config.name, f"evaluation: {numbers['failed']}"))
        watch.progress.evaluated()
    return failures


def _needs_evaluation(folder: Path, options: Options) -> bool:
    if options.evaluate == "never" or not is_trained(folder):
        return False
    assert options.num_likelihood_samples is not None
    return options.evaluate == "again" or not measure.is_current(folder, options.num_likelihood_samples)


def _chunks(
    configs: Sequence[Config], identities: dict[Config, DataIdentity], workdir: Path, options: Options, is_local: bool
) -> list[Chunk]:
    """Deals the due runs out: those to train by program, and after them one by one those only to evaluate.

    The first runs of all programs go before the others, so that models can be compared soon; but not where so many
    programs are not kept compiled.
    """
    runs = {config: Due(config, run_dir(workdir, config), identities[config]) for config in configs}
    trained = {config: is_trained(run.folder) for config, run in runs.items()}
    programs: list[list[list[Config]]] = []
    for members in group(config for config in configs if options.train and not trained[config]):
        size = _runs_at_once(len(members), options, is_local)
        programs.append([members[start : start + size] for start in range(0, len(members), size)])
    in_turn = [part for parts in programs for part in parts]
    if len(programs) * jax.local_device_count() <= KEPT_PROGRAMS:
        in_turn = [parts[0] for parts in programs] + [part for parts in programs for part in parts[1:]]
    dealt = []
    for part, after in itertools.zip_longest(in_turn, in_turn[1:]):
        is_other = is_local and after and static_part(after[0]) != static_part(part[0])
        dealt.append(Chunk([runs[config] for config in part], after if is_other else ()))
    evaluable = [run for config, run in runs.items() if trained[config] and _needs_evaluation(run.folder, options)]
    return dealt + [Chunk([run]) for run in evaluable]


def _runs_at_once(num_runs: int, options: Options, is_local: bool) -> int:
    if options.runs_per_device:
        return options.runs_per_device
    if not is_local or jax.default_backend() == "cpu":
        return 1
    return -(-num_runs // jax.local_device_count())


def _begin(progress: Progress, dealt: Sequence[Chunk], options: Options) -> None:
    """Starts the display of these chunks, and says which evaluations are repeated because they are not current."""
    to_train = to_evaluate = images = done = stale = 0
    for config, folder, identity in itertools.chain.from_iterable(chunk.runs for chunk in dealt):
        to_evaluate += options.evaluate != "never"
        if is_trained(folder):
            stale += options.evaluate == "due" and is_evaluated(folder)
            continue
        to_train += 1
        images += identity.counts["train"] * config.num_epochs
        done += identity.counts["train"] * checkpoints.epochs_done(folder)
    if stale:
        progress.say(
            f"{stale} evaluations failed, or are of other code, instruments or sample counts than today's; "
            "evaluating these runs again"
        )
    progress.begin(to_train, to_evaluate, images, done)


def _count(chunk: Chunk, progress: Progress, options: Options) -> None:
    """Counts a chunk that another process has finished."""
    if options.train:
        images = sum(run.identity.counts["train"] * run.config.num_epochs for run in chunk.runs)
        progress.trained(len(chunk.runs), images)
    if options.evaluate != "never":
        progress.evaluated(len(chunk.runs))


def _record_failure(chunk: Chunk, error: BaseException) -> list[Failure]:
    """Records that a chunk's runs could not be trained, or handed over."""
    reason = one_line(error)
    untrained = [run for run in chunk.runs if not is_trained(run.folder)]
    for run in untrained:
        with contextlib.suppress(UserError):  # the disk may be full
            write_json(run.folder / "failed.json", {"failed": reason})
    return [Failure(run.config.name, reason) for run in untrained or chunk.runs[:1]]
