"""The commands. JSON on standard output, progress on standard error; 0 done, 1 failed, 2 wrong use or configuration."""

import argparse
import datetime as dt
import importlib
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from copies import alarm, config, copy, evidence, listing, processes, state
from copies.alarm import AlarmError
from copies.config import Config, ConfigError
from copies.copy import CopyError
from copies.repository import MISSING, Repository, RepositoryError

Command = Callable[[Config, argparse.Namespace], int]

OVERDUE = dt.timedelta(hours=26)

FAILURES = (CopyError, RepositoryError, AlarmError, psycopg.Error, OSError)
"""What a command may fail with: each says why."""


def say(text: str) -> None:
    """Report progress."""
    print(text, file=sys.stderr, flush=True)


def make(config_: Config, wanted: argparse.Namespace) -> int:
    """Make a copy, one process at a time, and say what is over with it."""
    remembered = wanted.config.with_suffix(".state")
    with state.held(wanted.config.with_suffix(".lock"), say):
        with state.held(remembered, say) as known:
            seen = known.get("repository") == config_.repository.url
        made = copy.make(config_, dt.datetime.now(dt.UTC), by_hand=wanted.by_hand, known=seen, say=say)
        show(made.json())
        with state.held(remembered, say) as known:
            known["repository"] = config_.repository.url
            try:
                alarm.over(config_, known, "job", "overdue")
            except AlarmError as error:  # the next copy tells it
                say(str(error))
    return 0


def listed(config_: Config, _wanted: argparse.Namespace) -> int:
    """List the copies and the proofs that they restore."""
    repository = Repository(config_, say)
    repository.reach()
    try:
        snapshots = repository.snapshots()
    except RepositoryError as error:
        if error.code != MISSING:
            raise
        snapshots = []  # the first copy makes it
    proofs = evidence.listed(snapshots)
    show({"copies": [each.json() for each in listing.copies(snapshots)], "proofs": proofs})
    return 0


def check(config_: Config, wanted: argparse.Namespace) -> int:
    """Tell when the newest copy is too old, by the store's clock, or can't be found."""
    repository = Repository(config_, say)
    try:
        now = repository.reach() + copy.DRIFT
        newest = next((each for each in listing.copies(repository.snapshots()) if each.taken <= now), None)
        late = newest is None or now - newest.taken > OVERDUE + copy.DRIFT
        last = f"the newest one is of {newest.taken:%Y-%m-%d %H:%M} UTC" if newest else "there is none"
        reason = f"the copy of the database is overdue: {last}" if late else ""
    except RepositoryError as error:
        newest, reason = None, f"whether there are copies of the database can't be seen: {error}"
    show({"newest": newest and newest.json(), "reason": reason})
    with state.held(wanted.config.with_suffix(".state"), say) as known:
        if reason:
            say(f"copies: {reason}")
            alarm.tell(config_, known, "overdue", reason)
        else:
            alarm.over(config_, known, "overdue")
    return int(bool(reason))


def told(config_: Config, wanted: argparse.Namespace) -> int:
    """Tell that the job failed, once until there is a copy again."""
    with state.held(wanted.config.with_suffix(".state"), say) as known:
        alarm.tell(config_, known, "job", wanted.text)
        show({"told": known["told"]["job"]})
    return 0


def elsewhere(module: str) -> Command:
    """Return the command of a module that a server may not have: `run(config, wanted, say)` gives what to show.

    Where that has a `reason`, it failed. It is imported when it is called: the daily copy does without.
    """

    def run(config_: Config, wanted: argparse.Namespace) -> int:
        found = importlib.import_module(f"copies.{module}").run(config_, wanted, say)
        show(found)
        return int(bool(found.get("reason")))

    return run


def show(found: Mapping[str, Any]) -> None:
    """Print a result."""
    print(json.dumps(found), flush=True)


FILE: dict[str, Any] = {"type": Path, "metavar": "FILE"}
COMMANDS: dict[str, tuple[Command, str, dict[str, Any]]] = {
    "copy": (make, "make today's copy", {"--by-hand": {"action": "store_true", "help": "also where there is one"}}),
    "list": (listed, "list the copies and the proofs that they restore", {}),
    "check": (check, "tell when the copies are overdue", {}),
    "drill": (elsewhere("drill"), "prove that a copy restores", {"--copy": {"metavar": "ID"}}),
    "restore": (
        elsewhere("restore"),
        "restore a copy into an empty database",
        {"--copy": {"metavar": "ID", "required": True}, "--into": {**FILE, "required": True}},
    ),
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
    "pull": (
        elsewhere("pull"),
        "bring the newest copy of another repository, or one of it",
        {"--from": {**FILE, "dest": "source", "required": True}, "--copy": {"metavar": "ID"}, "--keep": FILE},
    ),
    "alarm": (told, "tell the board and those on call", {"text": {"metavar": "TEXT"}}),
}


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
        with processes.interruptible():
            code: int = wanted.run(config.read(wanted.config), wanted)
    except ConfigError as error:
        say(f"copies: {error}")
        return 2
    except processes.Interrupted as error:
        say(f"copies: interrupted by {error}")
        return 1
    except FAILURES as error:
        say(f"copies: {' '.join(str(error).split())}")
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
