"""Incidents, remembered in files: what is wrong for a while has a message when it begins, and one when it is over.

A folder has a file an incident, which is written whole or not at all: what is known of it, and those of its messages
that are not delivered yet. So whatever ends a process, a message is either not made, and the next run makes it, or is
kept until it is delivered. The file goes when its incident is over and told.
"""

import datetime as dt
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from operations.errors import Failed
from toolchain import cache

Say = Callable[[str], None]
Clock = Callable[[], dt.datetime]


def now() -> dt.datetime:
    """Return the time."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Incident:
    """Something that is wrong now.

    `key` tells it from others for as long as it lasts: `drift us-central`. `what` is one line that begins with the
    stack or environment; `details` are the facts, without secrets; `do` is what to do, with the command; `ends`
    completes "it is over when".
    """

    key: str
    what: str
    do: str
    ends: str
    details: str = ""


@dataclass(frozen=True)
class Message:
    """What is to be delivered of an incident. `told` are the addresses that have it."""

    id: str
    date: str
    subject: str
    text: str
    answers: str = ""
    told: tuple[str, ...] = ()


@dataclass
class _Record:
    """A file's content. `scope` is that of the updates which can end the incident."""

    key: str
    scope: str
    what: str
    since: str
    over: bool = False
    unsent: list[Message] = field(default_factory=list)

    @property
    def id(self) -> str:
        """What names the incident, and no other one of its key."""
        since = dt.datetime.fromisoformat(self.since)
        return f"{_digest(self.key)}.{since:%Y%m%d%H%M%S%f}"


class Book:
    """The incidents of a folder, which one process holds at a time."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock

    def update(self, scope: str, current: Sequence[Incident]) -> None:
        """Take in all that is wrong now in a scope: what is new begins, and what is not there any more is over.

        Raises:
            Failed: a file can't be read.
        """
        known = {record.key: record for record in self._records()}
        for incident in current:
            record = known.get(incident.key)
            if record is None or record.over:
                self._begin(scope, incident, record.unsent if record else [])
        keys = {incident.key for incident in current}
        for record in known.values():
            if record.scope == scope and record.key not in keys and not record.over:
                self._end(record)

    def unsent(self) -> list[Message]:
        """Return the messages that wait for delivery, the oldest first.

        Raises:
            Failed: a file can't be read.
        """
        return sorted((each for record in self._records() for each in record.unsent), key=lambda each: each.date)

    def note(self, message: Message, told: Sequence[str], *, all_told: bool) -> None:
        """Remember who has got a message; it waits no longer when all have.

        Raises:
            Failed: a file can't be read.
        """
        record = next(each for each in self._records() if message in each.unsent)
        place = record.unsent.index(message)
        record.unsent[place : place + 1] = [] if all_told else [replace(message, told=(*message.told, *told))]
        self._write(record)

    def _begin(self, scope: str, incident: Incident, unsent: Sequence[Message]) -> None:
        time = self._clock()
        record = _Record(incident.key, scope, incident.what, time.isoformat())
        paragraphs = (
            incident.what,
            incident.details.strip("\n"),
            f"Since {_minute(time)}.",
            f"What to do: {incident.do}",
            f"It is over when {incident.ends}; a message will say so. Until then there is no other.",
        )
        text = "\n\n".join(each for each in paragraphs if each) + "\n"
        record.unsent = [*unsent, Message(record.id, time.isoformat(), incident.what, text)]
        self._write(record)

    def _end(self, record: _Record) -> None:
        time, since = self._clock(), dt.datetime.fromisoformat(record.since)
        record.over = True
        text = f"Over: {record.what}\n\nIt began {_minute(since)}, and was found over {_minute(time)}.\n"
        over = Message(f"{record.id}.over", time.isoformat(), f"over: {record.what}", text, answers=record.id)
        record.unsent.append(over)
        self._write(record)

    def _records(self) -> Iterator[_Record]:
        for path in sorted(self._folder.glob("*.json")):
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                unsent = [Message(**{**each, "told": tuple(each["told"])}) for each in content.pop("unsent")]
                yield _Record(**content, unsent=unsent)
            except (OSError, ValueError, TypeError, KeyError):
                raise Failed(f"{path} remembers an incident and can't be read; remove it, to be told again") from None

    def _write(self, record: _Record) -> None:
        path = self._folder / f"{_digest(record.key)}.json"
        if record.over and not record.unsent:
            path.unlink()
            return
        write(path, json.dumps(asdict(record), indent=1).encode())


@contextmanager
def held(folder: Path, say: Say, clock: Clock = now) -> Iterator[Book]:
    """Hold the incidents of a folder, which only its owner can read; `say` is told once where another process does.

    Raises:
        Failed: the folder can't be made.
    """
    try:
        for each in (*reversed(folder.parents), folder):
            each.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise Failed(f"{folder} can't be made, so nothing can be remembered there: {error}") from None
    with cache.held(folder, say):
        yield Book(folder, clock)


def write(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all, also where the machine stops."""
    draft = path.with_name(".draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _minute(time: dt.datetime) -> str:
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
