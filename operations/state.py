"""What a killed engine leaves of a state that is kept in files: its lock, and attributes that are half written.

A backend of files has a file a lock, without a lease (pkg/v3/backend/diy/lock.go). It puts a checkpoint into its place
at once, but not the file of attributes beside it (gocloud.dev/blob/fileblob), and half of one keeps the engine from
reading the checkpoint. Other backends, such as a team's bucket, have no such files, and only the engine can read their
locks: it is asked, and taking a lock away is left to people, as the engine takes every one that it finds.
"""

import datetime as dt
import json
import re
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from components import settings
from operations import console, engine, processes
from operations.errors import Failed
from operations.project import Project

Say = Callable[[str], None]

_LOCK = re.compile(
    r"^\s*(?P<place>\S+): created by (?P<username>.+)@(?P<hostname>\S+) \(pid (?P<pid>\d+)\) at (?P<timestamp>\S+)$",
    re.MULTILINE,
)
"""How the engine tells of a lock (pkg/v3/backend/diy/lock.go)."""

ATTEMPTS, PAUSE = 20, 0.1  # seconds


def mend(project: Project, say: Say) -> None:
    """Remove half written attributes of checkpoints, where no engine is writing them: it needs none.

    Those of all stacks, for with half of one it does not even say which stacks there are.
    """
    if project.state is None:
        return
    for attributes in (project.state / ".pulumi" / "stacks" / settings.PROJECT).glob("*.json*.attrs"):
        stack = attributes.name.partition(".json")[0]
        if not _read(attributes) and all(_is_dead(lock) for lock in _locks(project.state, stack).values()):
            attributes.unlink(missing_ok=True)
            say(f"{stack}: removed {attributes}, which a killed run left half written")


def stacks(project: Project) -> list[str]:
    """Return the names of all stacks that the backend has.

    Raises:
        Failed: the engine does not say.
    """
    mend(project, console.say)
    asked = ("stack", "ls", "--json")
    for _ in range(ATTEMPTS - 1):
        code, output, _ = engine.answer(project, *asked)
        if code == 0:
            break
        time.sleep(PAUSE)  # another stack's run may be writing its attributes at this moment
    else:
        output = engine.ask(project, *asked)
    return [each["name"].rpartition("/")[2] for each in json.loads(output)]


def require_free_lock(project: Project, say: Say) -> None:
    """Refuse to go on while somebody holds the stack's lock; a dead one in a folder is taken away.

    A dead lock is that of an engine of this host that was killed. That one alone is taken away, which the engine's own
    `cancel` can't: another run may have its lock there by now.

    Raises:
        Failed: somebody holds it, or nobody can take it away but people.
    """
    if project.state is None:
        for place, lock in _told(project):
            raise Failed(_locked(project, lock, place))
        return
    for path, lock in _locks(project.state, project.stack).items():
        if not _is_dead(lock):
            raise Failed(_locked(project, lock, str(path)))
        for file in (path, path.with_name(f"{path.name}.attrs")):
            file.unlink(missing_ok=True)
        say(f"{project.stack}: released the lock of a run that was killed (process {lock['pid']})")


def _locked(project: Project, lock: Mapping[str, Any], place: str) -> str:
    who = f"{lock.get('username')}@{lock.get('hostname')} (pid {lock.get('pid')}) since {lock.get('timestamp')}"
    cancel = f"`pulumi cancel --stack {project.stack}` takes the lock away ({place})"
    if _is_dead(lock):
        return f"{project.stack}: it is locked by {who}, which was killed on this host; {cancel}, then repeat this"
    return f"{project.stack}: it is locked by {who}; wait for its end. Where nothing of it runs any more, {cancel}"


def _told(project: Project) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the places and contents of locks that only the engine can read.

    It reads them where it takes the lock itself. Giving a stack its own name is what it refuses right after that,
    having changed nothing; where it says something else, the next command will say it too.
    """
    _, _, errors = engine.answer(project, "stack", "rename", project.stack)
    return [(lock["place"], {**lock.groupdict(), "pid": int(lock["pid"])}) for lock in _LOCK.finditer(errors)]


def _locks(state: Path, stack: str) -> dict[Path, Mapping[str, Any]]:
    folder = state / ".pulumi" / "locks" / "organization" / settings.PROJECT / stack
    return {path: _read(path) for path in folder.glob("*.json")}


def _read(path: Path) -> Mapping[str, Any]:
    """Return what one of the backend's small files says; nothing of one that is gone meanwhile, or not whole."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _is_dead(lock: Mapping[str, Any]) -> bool:
    if lock.get("hostname") != socket.gethostname() or not isinstance(lock.get("pid"), int):
        return False
    try:
        taken = dt.datetime.fromisoformat(str(lock.get("timestamp")))
    except ValueError:
        taken = None
    return not processes.is_alive(lock["pid"], taken)
