"""What the command lines share: flags, `--help`, exit codes, and one line on standard error for what is wrong."""

import io
import os
import select
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from absl import flags

from vae_jax.fields import ConfigError, closest
from vae_jax.workdir import UserError

RUN_TIME_ERROR, USAGE_ERROR, INTERRUPTED, READER_GONE = 1, 2, 130, 141  # the last two as a shell reports signals


def run(
    doc: str | None,
    values: flags.FlagValues,
    body: Callable[[flags.FlagValues, list[str]], None],
    argv: Sequence[str] | None,
) -> int:
    """Parses `argv` (the process's own if None), prints `--help` or calls `body(values, positional)`.

    Returns:
        The exit code; see `guard`.
    """
    argv = list(sys.argv if argv is None else argv)
    flags.DEFINE_boolean("help", False, "print this help", short_name="h", flag_values=values)

    def work() -> None:
        positional = parse(values, argv)
        if values.help:
            print(f"{doc or ''}\n{values.get_help(include_special_flags=False)}")
        else:
            body(values, positional)

    return guard(program(argv), work)


def program(argv: Sequence[str]) -> str:
    """Returns the name of the program for its messages."""
    return Path(argv[0]).name.removesuffix(".py")


def parse(
    values: flags.FlagValues, argv: Sequence[str], suggest: Callable[[str], str | None] | None = None
) -> list[str]:
    """Parses flags into `values`.

    Args:
        values: the defined flags.
        argv: the command line.
        suggest: maps an unknown flag to the one that was probably meant; the most similar name by default.

    Returns:
        The arguments that are no flags.

    Raises:
        flags.Error: a flag is unknown or has an invalid value.
    """
    try:
        return list(values(argv)[1:])
    except flags.UnrecognizedFlagError as error:
        match = suggest(error.flagname) if suggest else closest(error.flagname, values)
        raise flags.Error(
            f"unknown flag --{error.flagname}" + (f"; did you mean --{match}?" if match else "")
        ) from None
    except ValueError as error:  # absl's, of --noflag=value and of a --flagfile that is not text
        raise flags.Error(str(error)) from error


def refuse(positional: Sequence[str]) -> None:
    """Raises flags.Error if there is an argument that is no flag."""
    if positional:
        raise flags.Error(f"{positional[0]!r} is not a flag; write --name=value")


def guard(name: str, work: Callable[[], None]) -> int:
    """Calls `work`, and turns its errors into one line on standard error.

    Args:
        name: the name of the program, which starts the line.
        work: what the command line does.

    Returns:
        The exit code: 0; 1 for an error at run time; 2 for wrong usage; 130 after SIGINT (Ctrl-C); 141 if the reader
        of standard output is gone, as in `... --list | head -1`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may lack a character; that is no reason to fail
    try:
        work()
        if sys.stdout is not None:
            sys.stdout.flush()
    except (flags.Error, ConfigError) as error:
        return _fail(name, f"{error} (see --help)", USAGE_ERROR)
    except UserError as error:
        return _fail(name, str(error), RUN_TIME_ERROR)
    except OSError as error:
        if _discard_output() and isinstance(error, BrokenPipeError):
            return READER_GONE
        return _fail(name, str(error), RUN_TIME_ERROR)
    except KeyboardInterrupt:
        return _fail(name, "stopped by SIGINT", INTERRUPTED)
    return 0


def _fail(name: str, message: str, exit_code: int) -> int:
    print(f"{name}: {' '.join(message.splitlines())}", file=sys.stderr)
    return exit_code


def _discard_output() -> bool:
    """Discards unwritten output if standard output is broken, and returns whether it is."""
    try:
        if sys.stdout is None or not _is_broken(sys.stdout):
            return False
    except ValueError:  # it is no file, but a notebook's
        return False
    # The interpreter flushes once more as it exits.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _is_broken(stream: TextIO) -> bool:
    poll = select.poll()
    poll.register(stream.fileno(), 0)  # reports errors only
    try:
        stream.flush()
    except OSError:
        return True
    return any(event & select.POLLERR for _, event in poll.poll(0))
