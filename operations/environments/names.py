"""What a test environment may be called, whose it is, and how long it lives."""

import datetime as dt
import getpass
import re
import subprocess
from pathlib import Path

from components import labels, settings
from operations.errors import Refused

TEST = "test"
"""The stack that environments are made from."""

LONGEST = dt.timedelta(days=14)
USUAL = dt.timedelta(hours=8)
FORM = r"[a-z0-9]{1,7}"  # a balancer node's label takes no more, with the longest of the roles' names in it
OWNER_LENGTH = 31
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def stack_of(name: str) -> str:
    """Return the name of an environment's stack."""
    return f"{settings.TEST_ENVIRONMENT}{name}"


def label_of(name: str) -> str:
    """Return the label of an environment's stack: no two names have one, and no other stack has such a one."""
    return f"{labels.TEST_ENVIRONMENT}{name}"


def check(root: Path, name: str) -> None:
    """Refuse a name that is another's, or that labels have no room for.

    Raises:
        Refused: with what to choose instead.
    """
    if name in _reserved(root):
        raise Refused(f"'{name}' is a reserved name; choose one of your own, such as your first name")
    if not re.fullmatch(FORM, name):
        raise Refused(f"'{name}' is no environment's name; choose 1 to 7 characters a-z, 0-9")


def lifetime(ttl: str) -> dt.timedelta:
    """Return how long a time to live is: `90m`, `8h`, `2d`.

    Raises:
        Refused: it is not written so, or too long.
    """
    found = re.fullmatch(r"([1-9]\d{0,5})([smhd])", ttl)
    if not found:
        raise Refused(f"--ttl {ttl}: write a number and one of s, m, h, d, such as 8h")
    length = dt.timedelta(**{_UNITS[found[2]]: int(found[1])})
    if length > LONGEST:
        raise Refused(f"--ttl {ttl}: {LONGEST.days}d is the longest; run `env.up` again when it is nearly over")
    return length


def owner(root: Path, given: str | None) -> str:
    """Return who is at work: who was given, else by git's e-mail address, else by the machine's user.

    Raises:
        Refused: nobody can be told.
    """
    who = given or _from_git(root).partition("@")[0] or getpass.getuser()
    written = re.sub(r"[^a-z0-9.-]+", "-", who.lower()).strip(".-")[:OWNER_LENGTH]
    if not written:
        raise Refused(f"'{who}' can't stand in a tag; say whose it is with --owner")
    return written


def _reserved(root: Path) -> set[str]:
    """Return what names of stacks, their environments and their labels are."""
    taken = {"all", "ops"}
    for name in settings.stack_names(root):
        taken.add(name)
        try:
            stack = settings.load(root, name)
        except settings.ConfigurationError:
            continue  # it is reported when that stack is asked for
        taken.add(stack.label)
        for environment, each in stack.environments.items():
            taken |= {environment, each.label}
    return taken


def _from_git(root: Path) -> str:
    try:
        asked = subprocess.run(
            ["git", "config", "user.email"], cwd=root, capture_output=True, encoding="utf-8", check=False
        )
    except OSError:
        return ""
    return asked.stdout.strip()
