"""How an operation ends early: invoke prints the message to standard error and ends with the code."""

import traceback

from invoke.exceptions import Exit


class Refused(Exit):
    """Wrong use or wrong configuration (exit code 2): nothing was changed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=2)


class NotBegun(Exit):
    """Somebody said no, or what was agreed to does not hold any more (exit code 1): nothing was changed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=1)


class Failed(Exit):
    """The work was begun and did not succeed (exit code 1)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=1)


def why(error: BaseException) -> str:
    """Return why something ended early; of an error that nobody foresaw, where it came from is shown as well."""
    if isinstance(error, Exit):
        return str(error.message)
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        return "it was interrupted"
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error}"
