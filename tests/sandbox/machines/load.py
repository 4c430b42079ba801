"""A load: clients that ask a balancer all the time, and what each of their requests came to."""

import http.client
import json
import threading
from collections import Counter
from types import TracebackType
from typing import Self

from sandbox.machines import Endpoint

# Seconds from an answer to a client's next request: without a pause the clients would keep a processor busy, and four
# of them still ask often enough to meet whatever fails for a few hundredths of a second.
_PAUSE = 0.05


class Load:
    """While it is entered, so many clients make requests; `failed` has what was no good answer, `answered` by whom.

    A client keeps its connection for `kept` requests, then makes a new one.
    """

    def __init__(self, at: Endpoint, clients: int = 4, kept: int = 3) -> None:
        self._at, self._kept = at, kept
        self._stop = threading.Event()
        self._guard = threading.Condition()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]
        self.answered: Counter[str] = Counter()
        self.failed: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def more(self, requests: int = 40, within: float = 20.0) -> Counter[str]:
        """Waits for so many answers more; who gave them."""
        with self._guard:
            assert not self.failed, f"{len(self.failed)} requests failed, first by {self.failed[0]}"
            before = self.answered.copy()
            self._guard.wait_for(lambda: self.failed or self.answered.total() >= before.total() + requests, within)
            return self.answered - before

    def _ask(self) -> None:
        while not self._stop.is_set():
            connection = http.client.HTTPConnection(self._at.host, self._at.port, timeout=10)
            for _ in range(self._kept):
                self._note(connection)
                self._stop.wait(_PAUSE)
            connection.close()

    def _note(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.request("GET", "/who")
            answer = connection.getresponse()
            said = answer.read()
            server, wrong = json.loads(said).get("server", ""), "" if answer.status == 200 else str(answer.status)
        except (OSError, http.client.HTTPException, ValueError) as error:
            server, wrong = "", repr(error)
        with self._guard:
            if wrong:
                self.failed.append(wrong)
            else:
                self.answered[server] += 1
            self._guard.notify_all()


def server_of(connection: http.client.HTTPConnection) -> str:
    """Which server answers on a connection."""
    connection.request("GET", "/who")
    return str(json.loads(connection.getresponse().read())["server"])
