"""Processes that follow a sandbox's model: they have real things play what it only says, and end with it.

`start` starts one and waits until what it plays is as the model has it; `main` is such a process, and `run` its life.
"""

import argparse
import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from sandbox import locks, process
from sandbox.process import Follower, SandboxError
from toolchain.progress import CommandError

_LOOKS_EVERY = 0.2  # seconds
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


class GoneError(Exception):
    """The sandbox does not run."""


class Control:
    """A connection to the sandbox of a folder, kept open."""

    def __init__(self, folder: Path) -> None:
        running = process.status(folder)
        if running is None:
            raise GoneError
        self._folder, self._running = folder, running
        self._headers = {"Authorization": f"Bearer {process.tokens(folder).control}"}
        self._http = http.client.HTTPConnection("127.0.0.1", running.api_port, timeout=10)

    def ask(self, path: str, document: Any = None) -> Any:
        """What is at an address; or what is answered to a document that is put there. Raises GoneError."""
        try:
            method, body = ("GET", None) if document is None else ("PUT", json.dumps(document))
            self._http.request(method, f"/sandbox{path}", body, self._headers)
            answer = self._http.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException):
            self._http.close()  # the next request connects anew
            if process.status(self._folder) != self._running:
                raise GoneError from None
            return None
        return json.loads(said) if answer.status == 200 else None  # noqa: PLR2004


class Host(Protocol):
    """What does a follower's work."""

    def look(self) -> None:
        """Brings everything to what the model says now. Raises GoneError."""

    def end(self) -> None:
        """Ends everything."""


def start(folder: Path, follower: Follower, within: float, is_ready: Callable[[Control], bool]) -> None:
    """Starts the follower of a folder's sandbox, unless it runs, and returns once it is ready.

    Raises SandboxError where no sandbox runs, the follower ends, or it is not ready `within` seconds.
    """
    if process.status(folder) is None:
        raise SandboxError(f"no sandbox runs in {folder}: start it first")
    with locks.open_private(folder / follower.log, os.O_APPEND) as log:
        began = log.tell()
        started = None
        if not locks.is_held(folder / follower.lock):
            started = process.spawn(follower.module, [str(folder.resolve())], log)
    until = time.monotonic() + within
    try:
        control = Control(folder)
        while time.monotonic() < until:
            if is_ready(control):
                return
            if started and started.poll() is not None and not locks.is_held(folder / follower.lock):
                said = (folder / follower.log).read_bytes()[began:].decode(errors="replace").strip()
                raise SandboxError(said or f"the {follower.name} ended at once with code {started.returncode}")
            time.sleep(0.05)
    except GoneError:
        raise SandboxError(f"the sandbox in {folder} was stopped") from None
    raise SandboxError(f"the {follower.name} are not all up after {within:.0f} s: see {folder / follower.log}")


def main(follower: Follower, description: str | None, follow: Callable[[Path], None]) -> int:
    """Has the folder that is said on the command line be followed, until stopped or the sandbox is; 1 when it can't."""
    parser = argparse.ArgumentParser(prog=f"python -m {follower.module}", description=description)
    parser.add_argument("folder", type=Path, help="the sandbox's own")
    try:
        follow(parser.parse_args().folder.resolve())
    except (SandboxError, CommandError) as error:
        print(f"{follower.module.rpartition('.')[2]}: {error}", file=sys.stderr)
        return 1
    return 0


def run(folder: Path, follower: Follower, make: Callable[[Control], Host]) -> None:
    """Has a host follow the sandbox in a folder until told to stop, or until there is no sandbox any more.

    This process has one thread, so that it may fork, and learns of its children's ends at once. Raises SandboxError
    where another one follows it, or there is no sandbox.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    with locks.hold(folder / follower.lock) or _refuse(folder, follower) as lock:
        try:
            control = Control(folder)
        except GoneError:
            raise SandboxError(f"no sandbox runs in {folder}: start it first") from None
        host = make(control)
        locks.announce(lock, {"pid": os.getpid()})
        try:
            while True:
                host.look()
                received = signal.sigtimedwait(_SIGNALS, _LOOKS_EVERY)
                if received and received.si_signo != signal.SIGCHLD:
                    break
        except GoneError:
            pass
        finally:
            host.end()


def _refuse(folder: Path, follower: Follower) -> Any:
    raise SandboxError(f"the {follower.name} of {folder} run already")
