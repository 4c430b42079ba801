"""A real HAProxy: started, told what to do while it runs, and succeeded by another with the same sockets.

A new configuration is a new process that takes over the old one's listening sockets, so that no connection is refused;
the old one goes on with what it has until that is over. Everything of it is in the working directory of who runs it: a
socket's path has 107 bytes at most.
"""

import os
import socket
import subprocess
import time
from pathlib import Path

from sandbox import children
from sandbox.process import SandboxError
from toolchain.debian import Tools

SOCKET, STATE = "haproxy.sock", "haproxy.state"
_CONFIGURATION, _LOG = "haproxy.cfg", "haproxy.log"
_READY_WITHIN = 5.0

GLOBAL = f"""\
global
    stats socket unix@{SOCKET} mode 600 level admin expose-fd listeners
    server-state-file {STATE}
    hard-stop-after 300s
    nbthread 1
"""
"""How every configuration begins."""


class Haproxy:
    """The HAProxy of a folder, in which its owner works; its standard output is added to `output`, if that is given."""

    def __init__(self, folder: Path, tools: Tools, output: str = _LOG) -> None:
        self._folder, self._tools = folder, tools
        # One open file for all of them, which know where it ends: HAProxy takes O_APPEND away.
        self._output = (folder / output).open("ab")
        self._current: subprocess.Popen[bytes] | None = None
        self._ending: list[subprocess.Popen[bytes]] = []

    @property
    def runs(self) -> bool:
        """Whether there is one, and it has not died."""
        self._ending = [each for each in self._ending if each.poll() is None]
        return self._current is not None and self._current.poll() is None

    def replace(self, text: str) -> None:
        """Has a new process take over with a configuration; with none, only ends the old one.

        Raises SandboxError where HAProxy does not take it.
        """
        before = self._current if self.runs else None
        (self._folder / STATE).write_text(self.ask("show servers state") if before else "1\n")
        self._current = self._start(text, before) if text else None
        if before and self._current is None:
            before.terminate()
        if before:
            self._ending.append(before)

    def ask(self, command: str) -> str:
        """What it says to a command; nothing where none listens."""
        try:
            with socket.socket(socket.AF_UNIX) as admin:
                admin.settimeout(2)
                admin.connect(SOCKET)
                admin.sendall(f"{command}\n".encode())
                return b"".join(iter(lambda: admin.recv(65536), b"")).decode()
        except OSError:
            return ""

    def end(self) -> None:
        """Ends it, and what it has under way."""
        for each in (*self._ending, *([self._current] if self._current else [])):
            each.kill()
            each.wait()
        self._output.close()

    def _start(self, text: str, before: "subprocess.Popen[bytes] | None") -> "subprocess.Popen[bytes]":
        (self._folder / _CONFIGURATION).write_text(text)
        succession = ["-x", SOCKET, "-sf", str(before.pid)] if before else []
        with (self._folder / _LOG).open("ab") as log:
            started = subprocess.Popen(
                [str(self._tools.path("haproxy")), "-db", "-f", _CONFIGURATION, *succession],
                cwd=self._folder,
                env={**os.environ, **self._tools.environment},
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=log,
                preexec_fn=children.tied(os.getpid()),  # noqa: PLW1509 - this process has no other thread
            )
        until = time.monotonic() + _READY_WITHIN
        while f"Pid: {started.pid}\n" not in self.ask("show info"):
            if started.poll() is not None or time.monotonic() > until:
                raise SandboxError(f"HAProxy does not take its configuration: see {self._folder / _LOG}")
            time.sleep(0.01)
        return started
