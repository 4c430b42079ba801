"""What a killed engine leaves of a state that is kept in files: its lock, and attributes that are half written.

A backend of files has a file a lock, without a lease (pkg/v3/backend/diy/lock.go). It puts a checkpoint into its place
at once, but not the file of attributes beside it (gocloud.dev/blob/fileblob), and half of one keeps the engine from
reading the checkpoint. Other backends have no such files, and only the engine can read their locks: it says who holds
one, and the command that removes it.
"""

import datetime as dt
import json
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from components import settings
from operations.errors import Failed
from operations.project import Project

Say = Callable[[str], None]

CLOCKS_APART = 2.0
"""Seconds by which the times of a process and of a file may differ on one host."""


def mend(project: Project, say: Say) -> None:
    """Remove half written attributes of the stack's checkpoint, where no engine is writing them: it needs none."""
    if project.state is None or any(not _is_dead(lock) for lock in _locks(project.state, project.stack).values()):
        return
    for attributes in (project.state / ".pulumi" / "stacks" / settings.PROJECT).glob(f"{project.stack}.json*.attrs"):
        if not _read(attributes):
            attributes.unlink(missing_ok=True)
            say(f"{project.stack}: removed {attributes}, which a killed run left half written")


def release_dead_lock(project: Project, say: Say) -> None:
    """Take away the lock of an engine that was killed: of this host, and no longer there.

    That one alone, which the engine's own `cancel` can't: another run may have its lock there by now.

    Raises:
        Failed: somebody holds another lock.
    """
    for path, lock in _locks(project.state, project.stack).items() if project.state else ():
        if not _is_dead(lock):
            who = f"{lock.get('username')}@{lock.get('hostname')} (pid {lock.get('pid')}) since {lock.get('timestamp')}"
            raise Failed(
                f"{project.stack}: it is locked by {who}; wait for its end. Where nothing of it runs any more, "
                f"`pulumi cancel --stack {project.stack}` takes the lock away ({path})"
            )
        for file in (path, path.with_name(f"{path.name}.attrs")):
            file.unlink(missing_ok=True)
        say(f"{project.stack}: released the lock of a run that was killed (process {lock['pid']})")


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
        os.kill(lock["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _began_after(lock["pid"], str(lock.get("timestamp")))


def _began_after(pid: int, timestamp: str) -> bool:
    """Whether the process is younger than the lock, so that it only has the number of the one that took it."""
    try:
        booted = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
        # The name, in parentheses, may hold blanks; the start is the 22nd field, in ticks since the boot (proc(5)).
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        began = int(booted.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
        return began > dt.datetime.fromisoformat(timestamp).timestamp() + CLOCKS_APART
    except (OSError, ValueError, StopIteration):
        return False
