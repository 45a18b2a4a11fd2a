"""The errors that a person is shown, and how any error becomes one line. Standard library only."""


class UserError(Exception):
    """A problem the user can fix; one line says what is wrong and what to do."""


class DamagedError(Exception):
    """A file is not what this program wrote; the message continues after its path."""


class MismatchError(Exception):
    """A file is whole, but its arrays are not the expected ones; the message continues after its path."""


def one_line(error: BaseException) -> str:
    """Returns the first line of an error's message, cut to 200 characters, or the error's kind if it says nothing."""
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__


def with_kind(error: BaseException) -> str:
    """Returns an error as one line that also names its kind, such as `KeyError: 'z'`; a UserError speaks for itself."""
    kind, line = type(error).__name__, one_line(error)
    return line if isinstance(error, UserError) or line == kind else f"{kind}: {line}"
