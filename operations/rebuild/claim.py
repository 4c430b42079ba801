"""Whose a stack is that is built beside a living one: a drill marks its own, and destroys no other."""

import datetime as dt
import os
import socket

from operations import engine, notes, processes
from operations.console import say
from operations.errors import Refused
from operations.project import Project

TAG = "drill"
LONGEST = dt.timedelta(hours=12)
"""How long a drill of another host is taken to be under way."""


def require_free(project: Project) -> None:
    """See that no stack has the name, or one that a drill left, which is over.

    Raises:
        Refused: the stack is somebody else's, or of a drill that may be under way.
        Failed: the engine does not answer.
    """
    if engine.answer(project, "stack", "output", "--json")[0] == engine.STACK_NOT_FOUND:
        return
    mark = notes.read(project, TAG)
    if not mark:
        if engine.resources(project):
            raise Refused(
                f"{project.stack}: a stack of this name has resources and is no drill's, which would destroy them"
            )
        return
    whose = f"the drill of process {mark['pid']} on {mark['host']}, of {mark['since']}"
    if _may_live(mark):
        raise Refused(
            f"{project.stack}: {whose} may be under way; wait for its end, which is that of its process, or on another "
            f"host {LONGEST.total_seconds() / 3600:.0f} hours after its beginning"
        )
    say(f"{project.stack}: what {whose} left is DESTROYED first")


def mark(project: Project) -> None:
    """Mark the stack as this process's.

    Raises:
        Failed: the engine does not answer.
    """
    since = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    notes.write(project, TAG, {"host": socket.gethostname(), "pid": os.getpid(), "since": since})


def _may_live(mark: dict[str, str]) -> bool:
    if mark["host"] != socket.gethostname():
        return dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(mark["since"]) < LONGEST
    return int(mark["pid"]) != os.getpid() and processes.is_alive(int(mark["pid"]))
