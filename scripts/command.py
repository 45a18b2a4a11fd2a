"""What the scripts' command lines share: flags, --help, and one line on standard error for what is wrong."""

import sys
from collections.abc import Callable, Sequence

from absl import flags

from vae_jax.config import ConfigError
from vae_jax.files import UserError


def run(
    doc: str, values: flags.FlagValues, body: Callable[[flags.FlagValues, list[str]], None], argv: Sequence[str] | None
) -> int:
    """Parses `argv` (None for the process's own) and runs `body(values, positional)`.

    Returns:
        The exit code: 0; 1 for a UserError, ConfigError or OSError; 2 for a flags.Error, whoever raises it.
    """
    argv = list(sys.argv if argv is None else argv)
    name = argv[0].rpartition("/")[2].removesuffix(".py")
    flags.DEFINE_boolean("help", False, "print this", short_name="h", flag_values=values)
    try:
        positional = values(argv)[1:]
        if values.help:
            print(f"{doc}\n{values.get_help(include_special_flags=False)}")
        else:
            body(values, positional)
    except flags.Error as error:
        print(f"{name}: {error} (see --help)", file=sys.stderr)
        return 2
    except (UserError, ConfigError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    return 0


def refuse(positional: Sequence[str]) -> None:
    """Raises flags.Error for an argument that is no flag."""
    if positional:
        raise flags.Error(f"{positional[0]!r} is not a flag; write --name=value")
