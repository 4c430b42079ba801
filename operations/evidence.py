"""What drills leave: JSON that is kept with the repository, and steps with their times."""

import datetime as dt
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from operations.console import say

FOLDER = Path("docs/evidence")


@contextmanager
def step(name: str, steps: list[dict[str, Any]]) -> Iterator[None]:
    """Time a step, say when it began and how long it took, and add it to what was done."""
    at, began = now(), time.monotonic()
    say(f"-- {name}, {at}")
    try:
        yield
    finally:
        seconds = round(time.monotonic() - began, 1)
        steps.append({"name": name, "began": at, "seconds": seconds})
        say(f"-- {name}: {seconds:.1f} s")


def publish(root: Path, found: Mapping[str, Any]) -> Path:
    """Write evidence, of a `kind`, a `stack` and when it `began`, into the folder that is kept; return the file."""
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    moment = found["began"].replace(":", "").replace("-", "")
    file = root / FOLDER / f"{found['kind']}-{found['stack']}-{moment}.json"
    file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return file


def now() -> str:
    """Return the time, UTC, as ISO 8601 has it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
