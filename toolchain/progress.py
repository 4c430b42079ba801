"""Long commands: their progress shown while they run, what they printed kept for when they fail."""

import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from toolchain.cache import Say

TICK = 0.25
"""Seconds between two looks at a command."""

PLAIN_INTERVAL = 15.0
"""Seconds between two lines of progress where standard error is no terminal."""

TAIL = 10
"""Lines of a failed command's output that its error quotes."""


class CommandError(Exception):
    """A command failed, stood still for too long or is not there; `str()` says which, with its last lines."""


@dataclass(frozen=True)
class Command:
    """A command that takes a while.

    `title` says what it does. `measure` makes a few words of the lines it has printed so far; without a
    change in those words for `patience` seconds it is given up. `environment` is added to this process's.
    """

    title: str
    arguments: Sequence[str | Path]
    measure: Callable[[Sequence[str]], str] = lambda _: ""
    patience: float = math.inf
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None

    def run(self, say: Say) -> None:
        """Run the command in its folder to its end, its progress shown.

        On a terminal that is one line, rewritten; elsewhere `say` gets a line every PLAIN_INTERVAL. Whatever
        ends this early ends all processes that the command started. Raises CommandError, and
        KeyboardInterrupt on SIGTERM and SIGHUP too.
        """
        say(self.title)
        with tempfile.TemporaryFile() as output, _interruptible():
            process = self._start(output)
            try:
                self._follow(process, output, say)
            finally:
                _end(process)
                _rewrite("")
            if process.returncode:
                printed = [line for line in _lines(output) if line.strip()][-TAIL:]
                raise CommandError("\n".join([f"{self.title}: exit code {process.returncode}", *printed]))

    def _start(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self.arguments,
                cwd=self.folder,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise CommandError(f"{self.title}: {error}") from error

    def _follow(self, process: subprocess.Popen[bytes], output: IO[bytes], say: Say) -> None:
        seen = ""
        began = told = changed = time.monotonic()
        while process.poll() is None:
            time.sleep(TICK)
            now = time.monotonic()
            state = self.measure(_lines(output))
            if state != seen:
                seen, changed = state, now
            elif now - changed > self.patience:
                raise CommandError(f"{self.title}: nothing came for {self.patience:g} s")
            text = f"  {now - began:.0f} s  {state}"
            _rewrite(text)
            if now - told >= PLAIN_INTERVAL and not sys.stderr.isatty():
                told = now
                say(text)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP interrupt this process as Ctrl-C does: a build would outlive it for minutes."""
    if threading.current_thread() is not threading.main_thread():
        yield  # where Python lets nobody set a handler
        return
    deadly = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    for number in deadly:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in deadly:
            signal.signal(number, signal.SIG_DFL)


def _rewrite(text: str) -> None:
    """Put `text` in place of the terminal's current line; nothing where standard error is no terminal."""
    if sys.stderr.isatty():
        print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)


def _lines(output: IO[bytes]) -> list[str]:
    """Return what the command has printed; read at an offset, as the file's own position is the command's."""
    size = os.fstat(output.fileno()).st_size
    return os.pread(output.fileno(), size, 0).decode(errors="replace").splitlines()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing of the command running: it and its children are a process group of their own."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, how)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            continue
