"""The sandbox's own addresses, as its machines use them."""

import http.client
import json
from pathlib import Path
from typing import Any

from sandbox import process


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
