"""Talking to the person at the terminal: what is not a task's result goes to standard error."""

import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from operations.errors import Refused

WIDTH = 120
"""Columns of a table that goes to a file or a log."""


def say(text: str) -> None:
    """Print a line to standard error, at once."""
    print(text, file=sys.stderr, flush=True)


def has_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def require_name(name: str, consequence: str) -> None:
    """Have somebody type a name to agree to a consequence.

    Raises:
        Refused: another name was typed, or none.
    """
    say(consequence)
    try:
        typed = input(f"Type its name, {name}, to agree: ")
    except EOFError:
        typed = ""
    if typed.strip() != name:
        raise Refused(f"{name}: that was not its name; nothing was changed")


def agrees(question: str, details: Callable[[], object] | None = None) -> bool:
    """Ask somebody at the terminal; whether the answer is yes. `details` shows more, and the question comes again."""
    while True:
        try:
            answer = input(f"{question} [y/N{'/details' if details else ''}] ").strip().lower()
        except EOFError:
            return False
        if details is None or answer not in ("d", "details"):
            return answer in ("y", "yes")
        details()


def show(table: Table) -> None:
    """Print a table to standard output: as wide as the terminal, or as WIDTH where there is none.

    What is longer than its column goes on below: a name that is cut could not be typed.
    """
    for column in table.columns:
        column.overflow = "fold"
    width = None if sys.stdout.isatty() else WIDTH
    Console(width=width).print(table)
