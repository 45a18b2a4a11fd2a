"""The errors that a person is shown, and how any error becomes one line. Standard library only."""


class UserError(Exception):
    """A problem the user can fix; one line says what is wrong and what to do."""


class DamagedError(Exception):
    """A file is not what this program wrote; the message continues after its path."""


class MismatchError(Exception):
    """A file is whole, but its arrays are not the expected ones; the message continues after its path."""


def one_line(error: BaseException) -> str:
    """Returns an error as one line: a UserError's message, and of any other its kind and up to 300 characters."""
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text[:300]}".removesuffix(": ")


def reason(error: BaseException) -> str:
    """Returns what an error says, as one line to quote in another message; its kind if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
