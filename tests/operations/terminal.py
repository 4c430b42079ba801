"""A terminal with somebody at it: reads what a program shows, and types."""

import fcntl
import os
import pty
import select
import struct
import termios
import time
from collections.abc import Mapping
from pathlib import Path

CTRL_C = "\x03"
ENTER = "\r"


class Terminal:
    """A program that runs on a terminal of its own."""

    def __init__(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.shown = ""
        self._seen = 0
        self._pid, self._screen = pty.fork()
        if self._pid == 0:
            os.chdir(folder)
            os.execve(command[0], command, environment)  # noqa: S606 - the child becomes the program
        fcntl.ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))

    def wait_for(self, text: str, seconds: float = 180) -> None:
        """Read until the program has shown a text, after the one that was waited for last."""
        until = time.monotonic() + seconds
        while (at := self.shown.find(text, self._seen)) < 0:
            assert self._read(until - time.monotonic()), f"'{text}' was not shown:\n{self.shown[-4000:]}"
        self._seen = at + len(text)

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._screen, text.encode())

    def end(self, seconds: float = 180) -> int:
        """Read until the program has ended; return its exit code."""
        until = time.monotonic() + seconds
        while self._read(until - time.monotonic()):
            pass
        os.close(self._screen)
        _, status = os.waitpid(self._pid, 0)
        return os.waitstatus_to_exitcode(status)

    def _read(self, seconds: float) -> bool:
        """Read what is there or comes in time; False where nothing does, or the program has ended."""
        ready, _, _ = select.select([self._screen], [], [], max(seconds, 0))
        if not ready:
            return False
        try:
            read = os.read(self._screen, 65536)
        except OSError:  # Linux's way to say that nobody has the terminal open any more
            return False
        self.shown += read.decode(errors="replace")
        return bool(read)
