"""Asking for what only people know: each value comes from the environment, or from somebody at the terminal."""

import getpass
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from operations.console import has_terminal, say
from operations.errors import Failed, Refused

FILE = "_FILE"
"""A variable's name with this behind it names a file that holds the value."""

_NOBODY = f"these are missing, and there is no terminal to ask on; set the variables, or with {FILE} the files' names:"


@dataclass(frozen=True)
class Question:
    """A value that is missing.

    `variable` gives it in the environment. `take` uses it, or raises ValueError, and it is asked for again; the
    error does not repeat a secret. `lines`: it has several lines, so people name a file. `hint` is said before it
    is asked for. `usual` is what Enter stands for. `twice`: nobody could tell later that it was mistyped.
    """

    what: str
    variable: str
    take: Callable[[str], None]
    secret: bool = False
    lines: bool = False
    hint: str = ""
    usual: str = ""
    twice: bool = False


def settle(questions: Sequence[Question], environment: Mapping[str, str]) -> None:
    """Have every question answered, in order; each answer is used before the next question.

    Raises:
        Refused: a value is missing and nobody is there to ask, or one in the environment is wrong; all are named.
        Failed: the person at the terminal ended it.
    """
    require(questions, environment)
    for each in questions:
        if (found := given(each.variable, environment)) is not None:
            try:
                each.take(found)
            except ValueError as error:
                raise Refused(f"{each.variable}: {error}") from None
        elif has_terminal():
            _ask(each)
        else:
            each.take(each.usual)


def require(questions: Sequence[Question], environment: Mapping[str, str]) -> None:
    """Refuse to begin where something is missing and nobody is there to ask.

    Raises:
        Refused: with all that is missing.
    """
    if not has_terminal() and (problems := [*_unanswered(questions, environment)]):
        raise Refused("\n".join([_NOBODY, *dict.fromkeys(problems)]))


def _unanswered(questions: Sequence[Question], environment: Mapping[str, str]) -> Iterator[str]:
    for each in questions:
        if not each.usual and given(each.variable, environment) is None:
            yield f"  {each.variable}: {each.what}"


def given(variable: str, environment: Mapping[str, str]) -> str | None:
    """Return a variable's value, or what is in the file that it names; None where neither is there.

    Raises:
        Refused: that file can't be read.
    """
    if named := environment.get(variable + FILE):
        try:
            return Path(named).expanduser().read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError):
            raise Refused(f"{variable}{FILE} names {named}, which can't be read") from None
    return environment.get(variable) or None


def _ask(question: Question) -> None:
    if question.hint:
        say(question.hint)
    while True:
        try:
            question.take(_typed(question) or question.usual)
        except ValueError as error:
            say(f"{error}")
        except EOFError:
            raise Failed(f"the {question.what} is missing; {question.variable} gives it as well") from None
        else:
            return


def _typed(question: Question) -> str:
    """Return what was typed, or what is in the file that was named.

    Raises:
        ValueError: that file can't be read, or it was to be typed twice and was not the same.
    """
    shown = f"{question.what[0].upper()}{question.what[1:]}"
    if question.lines:
        shown += " (name the file)"
    shown += f" [{question.usual}]: " if question.usual else ": "
    ask = getpass.getpass if question.secret and not question.lines else input
    typed = ask(shown).strip()
    if question.twice and ask("The same again: ").strip() != typed:
        raise ValueError("that was something else")
    if not question.lines or not typed:
        return typed
    try:
        return Path(typed).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{typed} can't be read ({error})") from None
