"""What is remembered beside the configuration file, and what one process holds at a time."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def held(file: Path, say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Hold a file while others wait, and keep in it what is put into the dictionary that it gives.

    The kernel lets go of it when the process ends, however it ends.
    """
    with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), "r+") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process holds {file}; waiting for it")
            fcntl.flock(opened, fcntl.LOCK_EX)
        before = opened.read()
        try:
            known: dict[str, Any] = json.loads(before or "{}")
        except ValueError:  # written half: less is known then
            known = {}
        try:
            yield known
        finally:  # also where an alarm reached somebody, and not all
            if (after := json.dumps(known)) != (before or "{}"):
                opened.seek(0)
                opened.write(after)
                opened.truncate()
