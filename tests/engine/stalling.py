"""A sandbox that takes no write after one that is named: `python -m tests.engine.stalling ACTION KIND ID FOLDER`.

So a test can kill it right after that write was acknowledged, however busy the machine is.
"""

import sys
import threading
from collections.abc import Iterable
from typing import ClassVar

from sandbox import __main__, store

TARGET = tuple(sys.argv[1:4])


class Stalling(store.Transaction):
    """Waits for ever where another transaction than the one with the named write wants to write."""

    reached: ClassVar["Stalling | None"] = None

    def put(self, record: store.Record, links: Iterable[tuple[str, object]], action: str) -> None:
        self._stall()
        super().put(record, links, action)

    def remove(self, record: store.Record) -> None:
        self._stall()
        super().remove(record)

    def _stall(self) -> None:
        if Stalling.reached not in (None, self):
            threading.Event().wait()

    def _log(self, record: store.Record, action: str) -> None:
        super()._log(record, action)
        if (action, record.kind, record.id) == TARGET:
            Stalling.reached = self


if __name__ == "__main__":
    store.Transaction = Stalling  # type: ignore[misc]
    sys.argv[1:] = sys.argv[4:]
    sys.exit(__main__.main())
