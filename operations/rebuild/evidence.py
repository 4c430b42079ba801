"""What a rebuild leaves: each step with its time, the time to recover, the data lost, what was compared."""

import datetime as dt
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rich.table import Table

from operations import evidence
from operations.environments.report import length

RECOVERED, FAILED = "recovered", "failed"


class Evidence:
    """What is written down while a region is built; `found` is all of it, as JSON has it. Times are UTC, ISO 8601."""

    def __init__(self, **known: Any) -> None:
        self.found: dict[str, Any] = {
            "kind": "rebuild",
            "began": evidence.now(),
            **known,
            "steps": [],
            "result": FAILED,
        }
        self._clock = time.monotonic()

    def step(self, name: str) -> AbstractContextManager[None]:
        """Time a step, and say how long it took."""
        return evidence.step(name, self.found["steps"])

    def collapsed(self, taken: list[str], now: dt.datetime) -> None:
        """Begin to count: from here on nothing serves, and what is newer than the copies is lost.

        `taken` are the times of the copies, `now` is the clouds' own.
        """
        self._clock = time.monotonic()
        lost = max((now - dt.datetime.fromisoformat(each) for each in taken), default=dt.timedelta())
        self.found["data_lost_seconds"] = round(max(lost.total_seconds(), 0.0))

    def recovered(self) -> None:
        """Stop counting: everything serves again."""
        self.found["seconds_to_recover"] = round(time.monotonic() - self._clock, 1)

    def end(self, reason: str = "") -> None:
        """Write down how it ended: well where there is no reason."""
        self.found |= {"ended": evidence.now(), "result": FAILED if reason else RECOVERED}
        if reason:
            self.found["reason"] = reason

    def table(self) -> Table:
        """Return it for people."""
        shown = Table("Step", title=f"{self.found['stack']}: rebuilt from {self.found['commit'][:12]}")
        shown.add_column("Seconds", justify="right")
        for each in self.found["steps"]:
            shown.add_row(each["name"], f"{each['seconds']:.1f}")
        shown.add_section()
        for name, key in (("time to recover", "seconds_to_recover"), ("data lost", "data_lost_seconds")):
            if key in self.found:
                seconds = self.found[key]
                shown.add_row(f"{name}: {length(dt.timedelta(seconds=seconds))}", f"{seconds:.1f}")
        return shown

    def publish(self, root: Path) -> Path:
        """Write it into the folder that is kept with the repository; return the file."""
        return evidence.publish(root, self.found)
