"""Clients that ask throughout a drill: those that docs/clients.md shows, led to the sandbox's front."""

import http.client
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from examples.message_client import Api, Client, RefusedError, UnreachableError
from operations.errors import why
from operations.failover.drill.measures import Attempt
from sandbox.machines import Endpoint

BETWEEN = 0.2  # seconds, at most, from one message to a client's next

Note = Callable[[str, str, float, int], None]
"""Takes a call's host, key and beginning, and its status; 0 for no answer."""


@dataclass(frozen=True)
class Name:
    """A host name of a role, as its clients know it; the messages of a stateful one are rows of a database."""

    host: str
    role: str
    environment: str
    stateful: bool


class Clients:
    """Clients of a front.

    `attempts` is what they have seen, and `died` are errors of which one ended early; both grow while they ask.
    """

    def __init__(self, front: Endpoint, metadata_host: str) -> None:
        self._front, self._metadata_host = front, metadata_host
        self._over = threading.Event()
        self.attempts: list[Attempt] = []
        self.died: list[str] = []

    @contextmanager
    def asking(self, names: Sequence[Name], each: int) -> Iterator[None]:
        """Have so many clients ask each name for as long as the block; each finishes its message at the end."""
        threads = [threading.Thread(target=self._live, args=(name,)) for name in names for _ in range(each)]
        with ExitStack() as ends:
            for thread in threads:
                thread.start()
                ends.callback(thread.join)
            ends.callback(self._over.set)
            yield

    def _live(self, name: Name) -> None:
        try:
            self._ask(name)
        except Exception as error:  # noqa: BLE001 (whoever asks less than the others would fail less)
            self.died.append(why(error))

    def _ask(self, name: Name) -> None:
        api = Api(name.host, self._metadata_host, name.environment, name.role)
        client = Client(api, connect=partial(_Through, self._front, self._note))
        conversation = client.begin()
        while not self._over.wait(random.uniform(0, BETWEEN)):  # noqa: S311 (nothing secret is drawn)
            with suppress(RefusedError, UnreachableError):  # every call is noted
                client.send(conversation, "", uuid.uuid4().hex)

    def _note(self, host: str, key: str, began: float, status: int) -> None:
        self.attempts.append(Attempt(host, key, began, time.time(), status))


class _Through(http.client.HTTPConnection):
    """A connection to a host through the front, which tells of each message's call how it ended."""

    def __init__(self, front: Endpoint, note: Note, host: str, timeout: float) -> None:
        super().__init__(front.host, front.port, timeout=timeout)
        self._name, self._note = host, note
        self._called: tuple[str, float] | None = None

    def request(  # type: ignore[override]
        self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a request for the host."""
        key = (headers or {}).get("Idempotency-Key")
        self._called = (key, time.time()) if key else None
        try:
            super().request(method, url, body, {**(headers or {}), "Host": self._name})
        except OSError:
            self._end(0)
            raise

    def getresponse(self) -> http.client.HTTPResponse:
        """Return the answer's beginning."""
        try:
            answer = super().getresponse()
        except (OSError, http.client.HTTPException):
            self._end(0)
            raise
        self._end(answer.status)
        return answer

    def _end(self, status: int) -> None:
        if self._called:
            self._note(self._name, *self._called, status)
