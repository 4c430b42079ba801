"""What a command on a machine is: its arguments in, an exit code and two texts out, as a shell sees it."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int = 0
    output: str = ""
    errors: str = ""


Command = Callable[[Sequence[str]], Awaitable[Ended]]


def unknown(program: str, arguments: Sequence[str]) -> Ended:
    """The end of a command that is used in a way that nothing here plays."""
    return Ended(2, errors=f"{program}: not modelled in the sandbox: {' '.join([program, *arguments])}\n")


def parted(arguments: Sequence[str], valued: Collection[str] = ()) -> tuple[dict[str, str], list[str]]:
    """The options among the arguments, with their values, and the words.

    The value of a `valued` option is the word after it, or follows its letter; of a long one, what follows `=`.
    """
    options: dict[str, str] = {}
    words: list[str] = []
    left = list(arguments)
    while left:
        each = left.pop(0)
        if not each.startswith("-") or each == "-":
            words.append(each)
        elif each in valued:
            options[each] = left.pop(0) if left else ""
        elif not each.startswith("--") and each[:2] in valued:
            options[each[:2]] = each[2:].removeprefix("=")
        else:
            name, _, value = each.partition("=")
            options[name] = value
    return options, words
