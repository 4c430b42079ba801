"""Cloudflare's Workers: the module of each script that has a route, run by Node.js.

A changed script is a new process at an address of its own, which takes over once it listens. A Worker here answers what
it is asked: it has no bindings, and asks nobody itself.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox import children
from sandbox.addresses import loopback
from sandbox.ids import digest
from toolchain import debian
from toolchain.debian import Tools

PORT = 8787
_AGAIN_AFTER = 2.0  # seconds
_RUNNER = Path(__file__).with_name("worker.mjs")


@dataclass(frozen=True)
class _Running:
    address: str
    process: "subprocess.Popen[bytes]"
    began: float

    @property
    def is_over(self) -> bool:
        """Whether it has ended by itself, and not just now: another one may do better."""
        return self.process.poll() is not None and time.monotonic() > self.began + _AGAIN_AFTER


def ensure(say: Callable[[str], None]) -> Tools:
    """Returns Node.js: the system's, else Debian's, downloaded on first use. Raises CommandError."""
    if shutil.which("node"):
        return Tools((Path("/"),), {"PATH": os.environ["PATH"]})
    return debian.package("nodejs", say)


class Workers:
    """The Workers of a sandbox, whose files are in the folder `own`."""

    def __init__(self, own: Path) -> None:
        self._own = own
        self._running: dict[str, list[_Running]] = {}  # the newest last, by script
        self._said: dict[str, str] = {}

    def follow(self, scripts: Mapping[str, str]) -> dict[str, str]:
        """Runs these scripts (code by name), and no others; where those listen that do."""
        for name in self._running.keys() - scripts.keys():
            self._end(self._running.pop(name))
        for name, code in scripts.items():
            known = self._running.setdefault(name, [])
            address = loopback(self._own, "worker", f"{name} {digest(code).hex()}")
            if not known or known[-1].address != address or known[-1].is_over:
                known.append(self._start(name, code, address))
            if known[-1].address == self._said.get(name):  # the edge asks it by now
                self._end(known[:-1])
                del known[:-1]
        self._said = {
            name: each.address for name, known in self._running.items() for each in known if _listens(each.address)
        }
        return self._said

    @property
    def are_current(self) -> bool:
        """Whether all that is answered is by the scripts as they are."""
        return all(known[-1].address == self._said.get(name) for name, known in self._running.items())

    def end(self) -> None:
        """Ends them all."""
        for known in self._running.values():
            self._end(known)

    def _start(self, name: str, code: str, address: str) -> _Running:
        module = self._own / f"{name}.mjs"
        module.write_text(code)
        tools = ensure(print)
        with (self._own / "workers.log").open("ab") as log:
            started = subprocess.Popen(
                [str(tools.path("node")), str(_RUNNER), str(module), address, str(PORT)],
                env={**os.environ, **tools.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=children.tied(os.getpid()),  # noqa: PLW1509 - this process has no other thread
            )
        return _Running(address, started, time.monotonic())

    @staticmethod
    def _end(ended: Sequence[_Running]) -> None:
        for each in ended:
            each.process.kill()
            each.process.wait()


def _listens(address: str) -> bool:
    try:
        socket.create_connection((address, PORT), timeout=1).close()
    except OSError:
        return False
    return True
