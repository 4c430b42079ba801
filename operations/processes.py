"""Whether a process of this host still works, from its number."""

import datetime as dt
import os
from pathlib import Path

CLOCKS_APART = 2.0
"""Seconds by which the times of a process and of a file may differ on one host."""

_ENDED = ("Z", "X")
"""States of a process that has ended, and that its parent has not asked about yet (proc(5)): it holds nothing."""


def is_alive(pid: int, since: dt.datetime | None = None) -> bool:
    """Whether a process works, and did already at a time: a younger one only has the number of one that has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        # The name, in parentheses, may hold blanks; after it stands the state, and 19 fields on the start, in ticks.
        said = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        booted = next(line for line in Path("/proc/stat").read_text(encoding="utf-8").splitlines() if "btime " in line)
        began = int(booted.split()[1]) + int(said[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, StopIteration):
        return True  # this system does not say
    return said[0] not in _ENDED and (since is None or began <= since.timestamp() + CLOCKS_APART)
