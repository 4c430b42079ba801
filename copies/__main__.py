"""The commands. JSON on standard output, progress on standard error.

They end with 0 done, 1 failed, 2 wrong use or configuration, 3 overdue, of which everybody is told.
"""

import argparse
import importlib
import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from copies import alarm, config, state
from copies.alarm import AlarmError
from copies.config import Config, ConfigError

Command = Callable[[Config, argparse.Namespace], int]

OVERDUE = 3
"""Not 1, with which Python itself ends where something goes wrong."""

FAILURES = (("copies.copy", "CopyError"), ("copies.repository", "RepositoryError"), ("psycopg", "Error"))
"""What a command may fail with, by module."""


class Interrupted(BaseException):
    """A signal asks this program to end."""


def say(text: str) -> None:
    """Report progress."""
    print(text, file=sys.stderr, flush=True)


def told(config_: Config, wanted: argparse.Namespace) -> int:
    """Tell that the job failed, once until there is a copy again."""
    with state.held(wanted.config.with_suffix(".state"), say) as known:
        alarm.tell(config_, known, "job", wanted.text)
        show({"told": known["told"]["job"]})
    return 0


def elsewhere(module: str, code: int = 1) -> Command:
    """Return the command of a module that a server may not have: `run(config, wanted, say)` gives what to show.

    Where that has a `reason`, it ends with `code`. It is imported when it is called: an alarm does without.
    """

    def run(config_: Config, wanted: argparse.Namespace) -> int:
        found = importlib.import_module(f"copies.{module}").run(config_, wanted, say)
        show(found)
        return code if found.get("reason") else 0

    return run


def failures() -> tuple[type[BaseException], ...]:
    """Return what a command may fail with, of which each says why: of other modules, once they are imported."""
    modules = ((sys.modules.get(module), name) for module, name in FAILURES)
    return AlarmError, ImportError, OSError, *(getattr(module, name) for module, name in modules if module)


def show(found: Mapping[str, Any]) -> None:
    """Print a result."""
    print(json.dumps(found), flush=True)


FILE: dict[str, Any] = {"type": Path, "metavar": "FILE"}
COMMANDS: dict[str, tuple[Command, str, dict[str, Any]]] = {
    "copy": (
        elsewhere("copy"),
        "make today's copy",
        {"--by-hand": {"action": "store_true", "help": "also where there is one"}},
    ),
    "list": (elsewhere("listing"), "list the copies and the proofs that they restore", {}),
    "check": (elsewhere("check", OVERDUE), "tell when the copies are overdue", {}),
    "drill": (elsewhere("drill"), "prove that a copy restores", {"--copy": {"metavar": "ID"}}),
    "restore": (
        elsewhere("restore"),
        "restore a copy into an empty database",
        {"--copy": {"metavar": "ID", "required": True}, "--into": {**FILE, "required": True}},
    ),
    "answer": (elsewhere("answer"), "say whether a database answers", {"--database": FILE}),
    "record": (elsewhere("record"), "record what is in a database", {"--database": FILE}),
    "compare": (
        elsewhere("compare"),
        "compare a database with a record",
        {"--record": {**FILE, "required": True}, "--database": FILE},
    ),
    "clear": (
        elsewhere("clear"),
        "empty a database that a copy was not restored into to the end",
        {"--database": {**FILE, "required": True}},
    ),
    "end-others": (
        elsewhere("end"),
        "end all other sessions of a database",
        {"--database": {**FILE, "required": True}},
    ),
    "pull": (
        elsewhere("pull"),
        "bring the newest copy of another repository, or one of it",
        {"--from": {**FILE, "dest": "source", "required": True}, "--copy": {"metavar": "ID"}, "--keep": FILE},
    ),
    "alarm": (told, "tell the board and those on call", {"text": {"metavar": "TEXT"}}),
}


@contextmanager
def interruptible() -> Iterator[None]:
    """Let the signals that ask this program to end raise Interrupted, so that it ends what it started first."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        raise Interrupted(signal.Signals(number).name)

    before = {each: signal.signal(each, interrupt) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = argparse.ArgumentParser(prog="copies", description="Copies of a database, and proof that they restore.")
    parser.add_argument("--config", required=True, **FILE)
    commands = parser.add_subparsers(required=True)
    for name, (run, text, options) in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=run)
        for option, given in options.items():
            command.add_argument(option, **given)
    wanted = parser.parse_args(arguments)
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns of connections that are cut, which we do ourselves
    try:
        with interruptible():
            code: int = wanted.run(config.read(wanted.config), wanted)
    except ConfigError as error:
        say(f"copies: {error}")
        return 2
    except Interrupted as error:
        say(f"copies: interrupted by {error}")
        return 1
    except failures() as error:
        say(f"copies: {' '.join(str(error).split())}")
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
