"""A real Chromium without a window, spoken to over a pipe (DevTools protocol): it needs no port and no library."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toolchain import chromium

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)
# It hears on the file descriptor 3, and speaks on 4.
_START = """\
import fcntl, os, sys
for end, number in zip([fcntl.fcntl(int(each), fcntl.F_DUPFD, 10) for each in sys.argv[1:3]], (3, 4)):
    os.dup2(end, number)
os.execv(sys.argv[3], sys.argv[3:])
"""
_PATIENCE = 60


class Page:
    """One page. Chromium's answers come in the order of what was asked; what it tells besides is skipped."""

    def __init__(self, asks: int, answers: int) -> None:
        self._asks, self._answers = asks, os.fdopen(answers, "rb", buffering=0)
        self._rest, self._number, self._session = b"", 0, ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol; return its result."""
        self._number += 1
        asked = {"id": self._number, "method": method, "params": parameters}
        os.write(self._asks, json.dumps({**asked, **({"sessionId": self._session} if self._session else {})}).encode())
        os.write(self._asks, b"\0")
        while True:
            told = self._told()
            if told.get("id") == self._number:
                assert "error" not in told, told["error"]
                return told["result"]

    def open(self, address: str) -> None:
        """Go to an address, and wait until its page has loaded."""
        self.call("Page.enable")
        self.call("Page.navigate", url=address)
        while self._told().get("method") != "Page.loadEventFired":
            pass

    def run(self, script: str) -> Any:
        """Run a script with `await` in it, as a function's body; return what that returns."""
        ended = self.call(
            "Runtime.evaluate", expression=f"(async () => {{{script}}})()", awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in ended, ended["exceptionDetails"]
        return ended["result"].get("value")

    def _told(self) -> Any:
        while b"\0" not in self._rest:
            piece = self._answers.read(65_536)
            assert piece, "Chromium has ended"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


@contextmanager
def page(folder: Path, *flags: str) -> Iterator[Page]:
    """A Chromium with a new profile in a folder, and its page."""
    found = chromium.ensure(print)
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    ends = (str(theirs_in), str(theirs_out))
    command: Sequence[str] = (str(found.program), *_FLAGS, f"--user-data-dir={folder / 'profile'}", *flags)
    with (folder / "chromium.log").open("wb") as log:
        running = subprocess.Popen(
            [sys.executable, "-c", _START, *ends, *command],
            env={**os.environ, **found.environment, "HOME": str(folder)},
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        shown = Page(ours_out, ours_in)
        yield shown
        shown.call("Browser.close")
        running.wait(_PATIENCE)
    finally:
        running.kill()
        running.wait()
        os.close(ours_out)
