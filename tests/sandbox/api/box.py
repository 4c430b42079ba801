"""A running sandbox as tests of the API door use it: its addresses, its tokens, its control."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from sandbox import process
from tests.sandbox.bodies import ZONE
from tests.sandbox.conftest import kill

LINODE, CLOUDFLARE = "linode", "cloudflare"


class Box:
    """A sandbox in a folder; it may be stopped, killed and started again, at the same port or another."""

    def __init__(self, folder: Path, latency: float = 0.0) -> None:
        self.folder = folder
        self._latency = latency
        self._http = httpx.Client(timeout=30)
        self.start()

    def start(self) -> None:
        self.running = process.start(self.folder, [ZONE], self._latency)
        self.tokens = process.tokens(self.folder)

    def stop(self) -> None:
        process.stop(self.folder)

    def kill(self) -> None:
        kill(self.running)

    def url(self, cloud: str) -> str:
        return {LINODE: self.running.linode_url, CLOUDFLARE: self.running.cloudflare_url}[cloud]

    def token(self, cloud: str) -> str:
        return {LINODE: self.tokens.linode_platform, CLOUDFLARE: self.tokens.cloudflare}[cloud]

    def ask(self, cloud: str, method: str, path: str, **options: Any) -> httpx.Response:
        """One request with the cloud's own token, or with the headers given."""
        headers = {"Authorization": f"Bearer {self.token(cloud)}", **options.pop("headers", {})}
        return self._http.request(method, f"{self.url(cloud)}{path}", headers=headers, **options)

    def control(self, method: str, path: str, body: Any = None, token: str | None = None) -> httpx.Response:
        """One request to the sandbox's own addresses."""
        headers = {"Authorization": f"Bearer {self.tokens.control if token is None else token}"}
        address = f"{self.running.control_url}{path}"
        return self._http.request(method, address, json=body, headers=headers)

    def fail(self, *faults: dict[str, Any]) -> None:
        """Puts these faults in the place of all others."""
        assert self.control("PUT", "/faults", list(faults)).status_code == 200

    def struck(self) -> list[int]:
        """How often each fault has struck."""
        return [fault["struck"] for fault in self.control("GET", "/faults").json()]

    def wrong(self, **conditions: Sequence[str]) -> None:
        """Sets what is wrong in the clouds."""
        assert self.control("PUT", "/conditions", conditions).status_code == 200

    def move(self, seconds: float) -> None:
        """Moves the clouds' clock."""
        assert self.control("POST", "/clock", {"by": seconds}).status_code == 200

    def restricted(self, cloud: str, account: str, *scopes: str) -> str:
        """A token that may do only what its scopes say."""
        made = self.control("POST", "/tokens", {"cloud": cloud, "account": account, "scopes": scopes})
        return str(made.json()["token"])

    def log(self, word: str = "", within: float = 5.0) -> list[str]:
        """The log's lines that hold a word: what was answered may be logged a moment later."""
        until = time.monotonic() + within
        while True:
            lines = [line for line in (self.folder / "sandbox.log").read_text().splitlines() if word in line]
            if lines or time.monotonic() > until:
                return lines
            time.sleep(0.02)
