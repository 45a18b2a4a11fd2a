"""Launches an experiment: trains its runs, evaluates them, draws its figures and writes report.html.

    vae-jax --experiment=ae_vs_vae
    vae-jax --experiment=train --latent_dim=2,8,32 --kl_weight=0.5,1,4 --seed=0..2
    vae-jax --workdir=runs/ae_vs_vae --train=false --evaluate=again

Finished runs are not trained again: the same command continues where it was interrupted.
"""

import contextlib
import os
import platform
import shlex
import sys
import textwrap
import time
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl.flags import FlagValues

from vae_jax import command, environment, session, source
from vae_jax.config import Experiment, Options, static_part
from vae_jax.errors import UserError
from vae_jax.files import exists, remove_leftovers
from vae_jax.launch import catalog, flags, plan
from vae_jax.models import MODELS
from vae_jax.session import Stop, StoppedError
from vae_jax.workdir import WRITTEN, check_workdir, is_evaluated, is_trained, read_experiment, run_dir, write_record

if typing.TYPE_CHECKING:
    from vae_jax.claims.results import Results

PROGRAM, DEFAULT_EXPERIMENT = "vae-jax", "ae_vs_vae"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: as `command.guard`, 143 after SIGTERM, 129 after SIGHUP."""
    argv = list(sys.argv if argv is None else argv)
    try:
        return command.guard(PROGRAM, lambda: _main(argv))
    except StoppedError as error:
        session.say(f"Stopped by {error}. Nothing is lost: the same command continues from here.")
        return error.exit_code


def _main(argv: list[str]) -> None:
    values = flags.parse(argv)
    if values.help:
        return print(flags.help_text(__doc__ or "", values))
    if values.version:
        return print(_versions())
    if values.list:
        return print("\n".join(f"{name:25} {catalog.load(name).question}" for name in catalog.names()))
    from vae_jax import data  # NumPy takes long to import, which --help must not wait for
    from vae_jax.data import arrays
    from vae_jax.data.identity import check_runs, load_dataset

    ignored = environment.isolate()  # before the first Config imports JAX
    own, workdir = _find(values)
    experiment = own.override(flags.overrides(values))
    options = flags.options(values)
    catalog.check_figures([*experiment.figures, *(options.only_figures or ())])
    if options.heat_maps:
        catalog.check_numbers(options.heat_maps)
    if options.animate:
        catalog.check_animation(experiment)
    is_array = arrays.NAME in flags.overrides(values).get("dataset", ())
    for name in dict.fromkeys(config.dataset for config in experiment.configs):
        if name != arrays.NAME or is_array or options.train:  # finished runs on arrays can be drawn
            data.check_name(name)
    for line in flags.repetitions(values):
        session.say(f"{PROGRAM}: {line}")
    if not options.train and not any(is_trained(run_dir(workdir, config)) for config in experiment.configs):
        raise UserError(f"{workdir} holds no trained run of {experiment.name}; launch without --train=false")
    if values.dry_run:  # refuses what the launch would refuse
        check_workdir(workdir, experiment)
        check_runs(experiment.configs, workdir, options.data_dir)
        datasets = [load_dataset(config, options.data_dir) for config in experiment.configs]
        return print("\n".join(plan.describe(own, experiment, workdir, datasets)))
    if ignored:
        session.say(f"{PROGRAM}: ignoring {', '.join(ignored)}: results depend on flags only")
    text = shlex.join([PROGRAM, *argv[1:]]).encode(errors="backslashreplace").decode()
    session.run(lambda stop: _launch(experiment, workdir, options, text, stop))
    return None


def _versions() -> str:
    """The versions of this program and of what it computes with."""
    found = {name: source.version(name) for name in ("vae-jax", "jax", "jaxlib", "flax")}
    texts = [f"{name} {version}" for name, version in found.items() if version]  # a checkout may not be installed
    return ", ".join([*texts, f"Python {platform.python_version()}", f"source {source.digest()[:12]}"])


def _find(values: FlagValues) -> tuple[Experiment, Path]:
    """Finds the experiment, before flags override it, and its folder."""
    # No shell expands the ~ of --workdir=~/runs.
    workdir = Path(os.path.expanduser(values.workdir)) if values.workdir else None
    if values.experiment is None and workdir and exists(workdir / "experiment.json"):
        own = read_experiment(workdir)
    else:
        own = catalog.load(DEFAULT_EXPERIMENT if values.experiment is None else values.experiment)
    return own, workdir or Path("runs", own.name)


@environment.own_settings()
def _launch(experiment: Experiment, workdir: Path, options: Options, text: str, stop: Stop) -> None:
    """Trains, evaluates, draws and reports, in the only launch of this workdir; without training, draws beside it."""
    from vae_jax.claims import results
    from vae_jax.data import arrays
    from vae_jax.launch import compilation

    def finish() -> None:
        write_record(workdir, experiment, record | {"wall_seconds": round(time.monotonic() - start, 1)})

    start = time.monotonic()
    progress, failed, is_beside = session.Progress(), list[tuple[str, str]](), False
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(session.hold(workdir))
        except session.InUseError as error:
            if options.train:
                raise
            is_beside = True
            progress.say(f"{error.reason}: evaluating nothing, drawing what is finished")
        stack.callback(progress.close)
        compilation.use_cache(options.compilation_cache)
        before = check_workdir(workdir, experiment)
        if not is_beside:
            record, failed = _train(experiment, workdir, options, text, before, stop, progress)
        found = results.collect(workdir, experiment.configs, experiment.shown)
        if not is_beside:
            results.write_csv(workdir / "results.csv", found)
        with session.hold(workdir, session.DRAWING, stop.check):
            failed += _draw(experiment, workdir, options, found, stop, progress, None if is_beside else finish)
    print(_ending(workdir, found))
    if failed:
        more = f" ({len(failed) - 1} more: see the report)" if len(failed) > 1 else ""
        raise UserError(f"{failed[0][0]} failed: {failed[0][1]}{more}")
    able = [config for config in found.configs if config.dataset != arrays.NAME]
    left = sum(not is_trained(run_dir(workdir, config)) for config in able)
    if left and not is_beside:
        print(f"{left} of {len(found.configs)} runs are not trained; launch without --train=false to train them")


def _train(
    experiment: Experiment, workdir: Path, options: Options, text: str, before: dict[str, Any], stop: Stop,
    progress: session.Progress,
) -> tuple[dict[str, Any], list[tuple[str, str]]]:  # fmt: skip
    """Trains and evaluates what is due; returns the record of this launch, and the runs that failed and why."""
    from vae_jax.claims import results
    from vae_jax.data import arrays
    from vae_jax.data.identity import check_runs, load_dataset, remarks
    from vae_jax.launch import cluster, provenance, sweeps

    configs = [config for config in experiment.configs if config.dataset != arrays.NAME]  # whose runs are only drawn
    with session.hold(workdir, session.DRAWING, stop.check):  # who draws beside launches has temporary files
        remove_leftovers(workdir, WRITTEN)
    identities = check_runs(configs, workdir, options.data_dir)
    datasets = [(config, load_dataset(config, options.data_dir)) for config in configs]
    said = [f"{dataset.name}: not used: {dataset.unused}" for _, dataset in datasets if dataset.unused]
    said += [remark for config, dataset in datasets for remark in remarks(config, dataset)]
    for line in dict.fromkeys(said):
        progress.say(line)
    with cluster.connect(options.cluster, progress) if options.cluster else contextlib.nullcontext() as executor:
        record = provenance.start(experiment, text, options.data_dir, before, workdir)
        write_record(workdir, experiment, record)
        progress.say(f"{experiment.name}: {plan.counts(experiment.configs, workdir)}")
        table = results.LiveCsv(workdir, experiment.configs)
        firsts = {static_part(config): config for config in reversed(configs) if config not in experiment.shown}
        awaited = [run_dir(workdir, config) for config in firsts.values()]
        if len(awaited) in (1, len(configs)) or exists(workdir / "report.html"):
            awaited = []

        def meanwhile() -> None:
            table.update()
            if awaited and all(map(is_evaluated, awaited)):
                awaited.clear()
                _first_report(experiment, workdir, options, progress)

        try:
            failed = sweeps.train_and_evaluate(
                configs, workdir, options, executor=executor, stop=stop, progress=progress, identities=identities,
                meanwhile=meanwhile,
            )  # fmt: skip
        except BaseException:
            table.update(now=True)  # also what has finished before a stop
            raise
    return record, [*failed]


def _first_report(experiment: Experiment, workdir: Path, options: Options, progress: session.Progress) -> None:
    """Writes the page of the runs that are evaluated so far, without figures."""
    from vae_jax.claims import results
    from vae_jax.report import made, page

    found = results.collect(workdir, experiment.configs, experiment.shown)
    made.forget(workdir)
    path = page.write(experiment, workdir, found, [], options.data_dir, options.language)
    progress.say(f"First report, of one seed and without figures: {path.resolve().as_uri()}")


def _draw(
    experiment: Experiment, workdir: Path, options: Options, found: "Results", stop: Stop, progress: session.Progress,
    finish: Callable[[], None] | None,
) -> list[tuple[str, str]]:  # fmt: skip
    """Draws figures, calls `finish`, if it is given, writes the page; returns the figures that failed and why.

    Where nothing would change, what is there is kept.
    """
    # Whose libraries take long to import, which training must not wait for.
    from vae_jax.claims import verdicts
    from vae_jax.data import arrays
    from vae_jax.report import figures, made, page

    def show(done: int, total: int, name: str) -> None:
        stop.check()
        progress.drawing(done, total, name)

    verdicts.write_tables(workdir / "tables", verdicts.judge(found), verdicts.describe_others(found))
    # A page that is written beside a launch lacks the launch's time.
    drawn_as = options.only_figures, options.figure_format, options.heat_maps, options.animate
    now = made.digest(experiment, workdir, found, options.language, finish is None, *drawn_as)
    if options.figures == "due" and made.is_current(workdir, now):
        progress.say("Pictures and report are those of these runs already; --figures=again makes them again")
        if finish:
            finish()
        return []
    made.forget(workdir)
    drawn = figures.draw(experiment, found, workdir, options, show)
    if any(config.dataset == arrays.NAME for config in found.configs):
        progress.say(_left_out(drawn.left_out))
    if finish:
        finish()
    page.write(experiment, workdir, found, drawn.pictures, options.data_dir, options.language)
    if not drawn.failures:
        made.record(workdir, now, [*drawn.files, "report.html"])
    return drawn.failures


def _left_out(figures: Sequence[str]) -> str:
    """Says in one line what of runs on arrays is not drawn, as it needs their images."""
    named = f"; the figures {', '.join(figures)}" if figures else ""
    what = f"new evaluations; the live parts of the page{named}"
    return f"Left out, as they need the images of array:, which are in no file: {what}"


def _ending(workdir: Path, found: "Results") -> str:
    """The answer, the table, where the report is, and how to load a run of the model that it is about in a notebook."""
    from vae_jax.claims import summary, verdicts
    from vae_jax.claims.answer import answer

    def wrapped(text: str) -> str:  # never within a path, which someone may copy
        return textwrap.fill(text, session.COLUMNS, break_long_words=False, break_on_hyphens=False)

    sentences = [wrapped(text) for text in answer(found, verdicts.judge(found)).sentences]
    table = [summary.format_table(summary.summarize(found))]
    lines = [f"Report: {(workdir / 'report.html').resolve().as_uri()}"]
    if trained := [config for config in found.configs if is_trained(run_dir(workdir, config))]:
        run = run_dir(workdir, max(trained, key=lambda config: list(MODELS).index(config.model)))
        lines.append(f"In a notebook: vae_jax.load_run({str(run.resolve())!r})")
    return "\n\n".join(["\n".join(part) for part in (sentences, table, lines) if part])


def command_line() -> None:
    """The entry point: ends the process with the exit code of `main`."""
    code = main()
    if code > 128:  # an ordinary exit would wait for a compilation that nobody needs any more
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)
