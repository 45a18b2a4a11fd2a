"""What the command lines share: flags, `--help`, exit codes, and one line on standard error for what is wrong."""

import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags

from vae_jax import session
from vae_jax.errors import UserError
from vae_jax.fields import ConfigError, nearest

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

    return guard(Path(argv[0]).name.removesuffix(".py"), work)


def parse(values: flags.FlagValues, argv: Sequence[str]) -> list[str]:
    """Parses a command line into the defined flags, and returns the arguments that are no flags.

    Raises:
        flags.Error: a flag is unknown, in which case one is suggested, or has an invalid value.
    """
    try:
        return list(values(argv)[1:])
    except flags.UnrecognizedFlagError as error:
        known = [*values, *(f"no{name}" for name in values if values[name].boolean)]
        message = f"unknown flag --{error.flagname}{nearest(error.flagname, known, dashes='--')}"
        raise flags.Error(message) from None
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
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass  # a standard stream is closed, whose number the next file would get, and with it what libraries print
    os.close(descriptor)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may lack a character; that is no reason to fail
    try:
        work()
        print(end="", flush=True)
        return 0
    except (flags.Error, ConfigError) as error:
        code, message = USAGE_ERROR, f"{error} (see --help)"
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # which Python flushes once more as it exits
        return READER_GONE
    except (UserError, OSError) as error:
        code, message = RUN_TIME_ERROR, str(error)
    except KeyboardInterrupt:
        code, message = INTERRUPTED, "stopped by SIGINT"
    session.say(f"{name}: {' '.join(message.splitlines())}")
    return code
