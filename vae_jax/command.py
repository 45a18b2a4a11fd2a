"""What the command lines share: flags, `--help`, exit codes, and one line on standard error for what is wrong."""

import io
import os
import select
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags

from vae_jax import session
from vae_jax.errors import UserError
from vae_jax.fields import ConfigError, suggest

RUN_TIME_ERROR, USAGE_ERROR, INTERRUPTED, READER_GONE = 1, 2, 130, 141  # the last two as a shell reports signals


def run(
    doc: str | None, values: flags.FlagValues, body: Callable[[flags.FlagValues, list[str]], None],
    argv: Sequence[str] | None,
) -> int:  # fmt: skip
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


def parse(values: flags.FlagValues, argv: Sequence[str]) -> list[str]:
    """Parses a command line into the defined flags, and returns the arguments that are no flags.

    Raises:
        flags.Error: a flag is unknown, in which case one is suggested, or has an invalid value.
    """
    try:
        return list(values(argv)[1:])
    except flags.UnrecognizedFlagError as error:
        negated = (f"no{name}" for name in values if values[name].boolean)
        match = suggest(error.flagname, [*values, *negated])
        hint = f"; did you mean --{match}?" if match else ""
        raise flags.Error(f"unknown flag --{error.flagname}{hint}") from None
    except ValueError as error:  # absl's, of --noflag=value and of a --flagfile that is not text
        raise flags.Error(str(error)) from error


def refuse(positional: Sequence[str]) -> None:
    """Raises flags.Error if there is an argument that is no flag."""
    if positional:
        raise flags.Error(f"{positional[0]!r} is not a flag; write --name=value")


def guard(name: str, work: Callable[[], None]) -> int:
    """Calls `work`, and turns its errors into one line on standard error that starts with the program's name.

    Returns:
        The exit code: 0; 1 for an error at run time; 2 for wrong usage; 130 after SIGINT (Ctrl-C); 141 if the reader
        of standard output is gone, as in `... --list | head -1`.
    """
    _prepare_streams()
    try:
        work()
        sys.stdout.flush()
        return 0
    except (flags.Error, ConfigError) as error:
        code, message = USAGE_ERROR, f"{error} (see --help)"
    except UserError as error:
        code, message = RUN_TIME_ERROR, str(error)
    except OSError as error:
        if _discard_broken_output() and isinstance(error, BrokenPipeError):
            return READER_GONE
        code, message = RUN_TIME_ERROR, str(error)
    except KeyboardInterrupt:
        code, message = INTERRUPTED, "stopped by SIGINT"
    session.say(f"{name}: {' '.join(message.splitlines())}")
    return code


def _prepare_streams() -> None:
    """Opens the null device in place of each standard stream that is closed, as by `2>&-`.

    Otherwise the next file that is opened would get the stream's number, and with it what libraries write there.
    """
    for number, (name, mode) in enumerate([("stdin", "r"), ("stdout", "w"), ("stderr", "w")]):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest number that is free: this one
        stream = getattr(sys, name)
        if stream is None or stream.closed:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may lack a character; that is no reason to fail


def _discard_broken_output() -> bool:
    """Returns whether standard output is closed, and discards what is still to be written to it."""
    try:
        descriptor = sys.stdout.fileno()
    except (AttributeError, ValueError):  # closed, or a notebook's
        return False
    poll = select.poll()
    poll.register(descriptor, 0)  # reports errors only
    try:
        sys.stdout.flush()
        is_broken = any(event & select.POLLERR for _, event in poll.poll(0))
    except OSError:
        is_broken = True
    if is_broken:  # the interpreter flushes once more as it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return is_broken
