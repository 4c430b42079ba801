"""Processes that do not outlive the one that started them, however that one ends."""

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15

_FILES = 4096  # more than a process here has open
_ROUNDS = 20

MARK = "DESTDIR"
"""The variable by which what runs in a machine's sessions is found again: whose `/` it works on."""


def tied(parent: int, how: int = signal.SIGKILL) -> Callable[[], None]:
    """What a new process calls before anything else: the kernel then ends it, by a signal, when its `parent` ends.

    It also lets through the signals that its parent has held back. A process that becomes another user calls it anew.
    """

    def tie() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, how)
        if os.getppid() != parent:  # it was gone before we had said so
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    return tie


def fork(work: Callable[[], None]) -> int:
    """Starts a process that has no file of this one open, does some work, and does not outlive this one; its id.

    This process has no other thread.
    """
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        tied(parent)()
        os.closerange(3, _FILES)
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - it says so, and ends here: what follows is its parent's
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def say_into(file: Path) -> None:
    """Has what this process says from now on, on its standard output and error, go to the end of a file."""
    log = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def name(text: str) -> None:
    """Gives this process a name that process lists show (15 characters of it)."""
    _LIBC.prctl(_PR_SET_NAME, text.encode()[:15], 0, 0, 0)


def keep(folder: Path) -> int:
    """Starts a process that waits for the end of this one, however it ends, and then sweeps the folder; its id."""
    until_it_ends, _held = os.pipe()
    keeper = os.fork()
    if keeper:
        os.close(until_it_ends)  # `_held` stays open here, and nowhere else, as long as this process lives
        return keeper
    try:
        os.setsid()  # it is not meant by signals to the terminal's group
        os.dup2(until_it_ends, 3)
        os.closerange(4, _FILES)
        name("keeper")
        os.read(3, 1)
        sweep(folder)
    finally:
        os._exit(0)


def sweep(folder: Path) -> None:
    """Ends whatever works for the machines below a folder: what sessions started, and what logs into it.

    That is for what no other process answers for any more: the children of a session's command, and an sshd's own.
    """
    for _ in range(_ROUNDS):  # one of them may have started another meanwhile
        found = [*_workers(folder)]
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if not found:
            return


def _workers(folder: Path) -> Iterator[int]:
    mark, below = f"{MARK}={folder}/".encode(), f"{folder}/"
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            if process.stat().st_uid != os.getuid():
                continue
            variables = (process / "environ").read_bytes().split(b"\0")
            if any(each.startswith(mark) for each in variables) or str((process / "fd/2").readlink()).startswith(below):
                yield int(process.name)
        except OSError:  # it has ended meanwhile, or has no standard error
            continue
