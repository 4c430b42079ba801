"""Files that a process holds while it runs, and in which it says who it is: they tell whether it lives.

The kernel lets go of a lock when its holder ends, however it ends, so who does not hold one is never taken for alive.
"""

import fcntl
import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any


def hold(file: Path) -> IO[str] | None:
    """The file, open, emptied and held until it is closed; None where another process that lives holds it."""
    lock = open_private(file, os.O_RDWR)
    until = time.monotonic() + 1.0
    while not _is_free(lock, fcntl.LOCK_EX):  # who asks for the holder has it for a moment, the holder for long
        if time.monotonic() < until and not _is_announced(lock):
            time.sleep(0.02)
            continue
        lock.close()
        return None
    lock.seek(0)
    lock.truncate()  # what an earlier one said of itself is no longer so
    return lock


def announce(lock: IO[str], known: dict[str, Any]) -> None:
    """Writes into the held file what its holder says of itself: its `pid`, and whatever else."""
    lock.write(json.dumps(known))
    lock.flush()


def holder(file: Path) -> dict[str, Any] | None:
    """What the file's holder says of itself; None where there is none, or it has said nothing yet."""
    try:
        with file.open("r+") as lock:
            said = "" if _is_free(lock) else lock.read()
    except FileNotFoundError:
        return None
    known: dict[str, Any] | None = json.loads(said) if said else None
    return known


def is_held(file: Path) -> bool:
    """Whether a process holds the file, also one that has said nothing yet."""
    with open_private(file, os.O_RDWR) as lock:
        return not _is_free(lock)


def end(file: Path, within: float) -> int | None:
    """Tells the file's holder to stop, and waits; the id of one that still runs after `within` seconds."""
    found = holder(file)
    if found is None:
        return None
    # Only who holds the lock wrote its id there, so it is the one that is meant and no stranger.
    with suppress(ProcessLookupError):
        os.kill(found["pid"], signal.SIGTERM)
    until = time.monotonic() + within
    while holder(file):
        if time.monotonic() > until:
            return int(found["pid"])
        time.sleep(0.02)
    return None


def open_private(file: Path, flags: int) -> IO[str]:
    """A file that only its owner reads, made where there is none."""
    return os.fdopen(os.open(file, flags | os.O_RDWR | os.O_CREAT, 0o600), "a+" if flags & os.O_APPEND else "r+")


def _is_announced(lock: IO[str]) -> bool:
    """Whether the lock names a process that lives: waiting for that one would only be taking over when it stops."""
    lock.seek(0)
    try:
        os.kill(json.loads(lock.read())["pid"], 0)
    except (ValueError, KeyError, TypeError, OSError):
        return False
    return True


def _is_free(lock: IO[str], how: int = fcntl.LOCK_SH) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
