"""Processes that do not outlive the one that started them, however that one ends."""

import ctypes
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15

MARK = "DESTDIR"
"""The variable by which what runs in a machine's sessions is found again: whose `/` it works on."""


def tied(parent: int) -> Callable[[], None]:
    """What a new process calls before anything else: the kernel then ends it when the process `parent` ends.

    It also lets through the signals that its parent has held back.
    """

    def tie() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before we had said so
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    return tie


def name(text: str) -> None:
    """Gives this process a name that process lists show (15 characters of it)."""
    _LIBC.prctl(_PR_SET_NAME, text.encode()[:15], 0, 0, 0)


def sweep(root: Path) -> None:
    """Ends what was started in a session on the machine whose `/` is `root`, or on any below that folder.

    A session's command is the child of an sshd; its own children are nobody's when that one is killed.
    """
    mark, own = f"{MARK}={root}".encode(), os.getuid()
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            if process.stat().st_uid != own:
                continue
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        if any(each == mark or each.startswith(mark + b"/") for each in variables):
            with suppress(ProcessLookupError):
                os.kill(int(process.name), signal.SIGKILL)
