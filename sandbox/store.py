"""The file in which the sandbox keeps both clouds: objects, what links them, and a log of every event.

SQLite in WAL mode: what was committed is in the file when the process is killed right after. A transaction holds
the write lock from its start (BEGIN IMMEDIATE), so a check and the write that follows it can't be parted.
"""

import json
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

VERSION = 3
APPLICATION = 0x43545342  # "CTSB" in the file's header: a file of another program is never taken for ours

SCHEMA = f"""
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
CREATE TABLE object (
    kind TEXT NOT NULL, id TEXT NOT NULL, account TEXT NOT NULL, key TEXT NOT NULL, parent TEXT,
    body TEXT NOT NULL, private TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX object_key ON object (kind, account, key);
CREATE INDEX object_parent ON object (parent, kind);
CREATE TABLE link (
    relation TEXT NOT NULL, target TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (relation, target, kind, id)
) WITHOUT ROWID;
CREATE INDEX link_source ON link (kind, id);
CREATE TABLE birth (
    kind TEXT NOT NULL, account TEXT NOT NULL, key TEXT NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (kind, account, key)
) WITHOUT ROWID;
CREATE TABLE tally (
    kind TEXT NOT NULL, account TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (kind, account)
) WITHOUT ROWID;
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, account TEXT NOT NULL, action TEXT NOT NULL,
    kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL
);
CREATE TABLE notice (
    id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, entity TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX notice_account ON notice (account, id);
CREATE INDEX notice_entity ON notice (account, entity, id);
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class StoreError(Exception):
    """The file can't be used; it was left as it was found. The text says why and what to do."""


@dataclass(frozen=True)
class Record:
    """One object: `body` is what the API answers, `private` what it keeps but answers elsewhere or never.

    `key` is the natural key within the account, `parent` is "kind/id" of the object it belongs to.
    """

    kind: str
    id: str
    account: str
    key: str
    parent: str | None
    body: dict[str, Any]
    private: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """One line of the log; `body` is the object after the event (before it, for a delete)."""

    seq: int
    time: str
    account: str
    action: str
    kind: str
    id: str
    body: dict[str, Any]


class Transaction:
    """The file as one transaction sees and changes it, at one moment: `now`, by the clouds' own clock.

    Where the planner could take a worse index than the one meant (it knows no sizes), the query names it.
    """

    def __init__(self, connection: sqlite3.Connection, latency: float = 0.0) -> None:
        self._sql = connection
        self._latency = latency
        self.now = datetime.now(UTC) + timedelta(seconds=float(self.setting("ahead", 0.0)))

    def after(self, seconds: float) -> float:
        """The time (seconds since 1970) at which what takes the cloud that long and begins now will be done."""
        return self.now.timestamp() + seconds * self._latency

    def move(self, seconds: float) -> datetime:
        """Moves the clouds' clock forward; the time after."""
        ahead = float(self.setting("ahead", 0.0)) + seconds
        self.set("ahead", ahead)
        self.set("moves", [*self.setting("moves", []), (self.now.timestamp() - ahead + seconds, ahead)])
        self.now += timedelta(seconds=seconds)
        return self.now

    def real(self, moment: datetime) -> float:
        """When, by this machine's clock (seconds since 1970), it was that time in the clouds; or had gone past it."""
        found = moment.timestamp()
        for moved, ahead in self.setting("moves", []):
            if moment.timestamp() >= moved + ahead:
                found = moment.timestamp() - ahead
            elif found > moved:
                return float(moved)  # the clock was moved over it
        return found

    def setting(self, name: str, default: Any = None) -> Any:
        """What is set under a name for the clouds as a whole."""
        row = self._sql.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else default

    def set(self, name: str, value: Any) -> None:
        """Sets something for the clouds as a whole."""
        self._sql.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, json.dumps(value)))

    def give_notice(self, account: str, entity: str, body: dict[str, Any]) -> None:
        """Tells an account what happens to an entity ("type/id")."""
        row = (account, entity, json.dumps(body))
        self._sql.execute("INSERT INTO notice (account, entity, body) VALUES (?, ?, ?)", row)

    def notices(
        self, account: str, entity: str | None = None, since: str | None = None, start: int = 0, count: int = -1
    ) -> list[dict[str, Any]]:
        """Some of what an account was told, newest first, each with its id: all, or of one entity, or since a time."""
        wanted = {" AND entity = ?": entity, " AND json_extract(body, '$.created') >= ?": since}
        tests = {test: value for test, value in wanted.items() if value is not None}
        query = f"{_NOTICES}{''.join(tests)} ORDER BY id DESC LIMIT ? OFFSET ?"
        found = self._sql.execute(query, (account, *tests.values(), count, start))
        return [{"id": number, **json.loads(body)} for number, body in found]

    def notice(self, account: str, number: int) -> dict[str, Any] | None:
        """What an account was told under that id."""
        found = self._sql.execute(f"{_NOTICES} AND id = ?", (account, number)).fetchone()
        return {"id": found[0], **json.loads(found[1])} if found else None

    def notice_count(self, account: str) -> int:
        """How many notices an account has."""
        return int(self._sql.execute("SELECT count(*) FROM notice WHERE account = ?", (account,)).fetchone()[0])

    def get(self, kind: str, identity: object) -> Record | None:
        """The object of that kind with that id."""
        row = self._sql.execute(f"{_SELECT} WHERE kind = ? AND id = ?", (kind, str(identity))).fetchone()
        return _record(row) if row else None

    def find(self, kind: str, account: str, key: str) -> list[Record]:
        """The objects of an account with that natural key."""
        query = f"{_SELECT} INDEXED BY object_key WHERE kind = ? AND account = ? AND key = ?"
        return [_record(row) for row in self._sql.execute(query, (kind, account, key))]

    def select(self, kind: str, account: str) -> list[Record]:
        """An account's objects of a kind, ordered by natural key."""
        query = f"{_SELECT} INDEXED BY object_key WHERE kind = ? AND account = ? ORDER BY key"
        return [_record(row) for row in self._sql.execute(query, (kind, account))]

    def everyones(self, kind: str) -> list[Record]:
        """The objects of a kind, of all accounts, ordered by account and natural key."""
        query = f"{_SELECT} INDEXED BY object_key WHERE kind = ? ORDER BY account, key"
        return [_record(row) for row in self._sql.execute(query, (kind,))]

    def page(self, kind: str, account: str, parent: str | None, start: int, count: int) -> list[Record]:
        """Some of an account's objects of a kind, of one parent ("kind/id") or of all, by natural key."""
        above, values = (" AND parent = ?", (parent,)) if parent else ("", ())
        index = "object_parent" if parent else "object_key"
        # The index alone tells which they are; only those are read whole.
        which = f"INDEXED BY {index} WHERE kind = ? AND account = ?{above} ORDER BY key LIMIT ? OFFSET ?"
        # Of the project's own words only; what was asked for is in the values.
        query = f"{_SELECT} WHERE kind = ? AND id IN (SELECT id FROM object {which}) ORDER BY key"  # noqa: S608
        return [_record(row) for row in self._sql.execute(query, (kind, kind, account, *values, count, start))]

    def size(self, kind: str, account: str, parent: str | None) -> int:
        """How many objects of a kind an account has, of one parent or of all."""
        if not parent:
            return self.count(kind, account)
        query = "SELECT count(*) FROM object INDEXED BY object_parent WHERE parent = ? AND kind = ? AND account = ?"
        return int(self._sql.execute(query, (parent, kind, account)).fetchone()[0])

    def children(self, kind: str, identity: object) -> list[Record]:
        """What belongs to an object, ordered by kind and natural key."""
        query = f"{_SELECT} WHERE parent = ? ORDER BY kind, key"
        return [_record(row) for row in self._sql.execute(query, (f"{kind}/{identity}",))]

    def count(self, kind: str, account: str) -> int:
        """How many objects of a kind an account has: kept in a tally, as counting ten thousand takes a while."""
        row = self._sql.execute("SELECT count FROM tally WHERE kind = ? AND account = ?", (kind, account)).fetchone()
        return int(row[0]) if row else 0

    def linked(self, relation: str, target: object) -> Iterator[Record]:
        """The objects that are linked to `target`."""
        query = "SELECT kind, id FROM link WHERE relation = ? AND target = ?"
        for kind, identity in self._sql.execute(query, (relation, str(target))).fetchall():
            record = self.get(kind, identity)
            if record:
                yield record

    def births(self, kind: str, account: str, key: str) -> int:
        """How many objects were ever made with that natural key: a second one is another object."""
        query = "SELECT next FROM birth WHERE kind = ? AND account = ? AND key = ?"
        row = self._sql.execute(query, (kind, account, key)).fetchone()
        return int(row[0]) if row else 0

    def born(self, kind: str, account: str, key: str) -> None:
        """Counts one more object made with that natural key."""
        given = (kind, account, key, self.births(kind, account, key) + 1)
        self._sql.execute("INSERT OR REPLACE INTO birth VALUES (?, ?, ?, ?)", given)

    def put(self, record: Record, links: Iterable[tuple[str, object]], action: str) -> None:
        """Writes an object with its links and logs it as `action` ("create" or "update")."""
        self._sql.execute(
            "INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(record.kind, record.id, record.account, record.key, record.parent),
                *(json.dumps(record.body), json.dumps(record.private)),
            ),
        )
        if action == "create":
            self._tally(record, 1)
        self._unlink(record)
        rows = [(relation, str(target), record.kind, record.id) for relation, target in links]
        self._sql.executemany("INSERT OR IGNORE INTO link VALUES (?, ?, ?, ?)", rows)
        self._log(record, action)

    def remove(self, record: Record) -> None:
        """Takes an object away and logs it."""
        self._sql.execute("DELETE FROM object WHERE kind = ? AND id = ?", (record.kind, record.id))
        self._tally(record, -1)
        self._unlink(record)
        self._log(record, "delete")

    def _tally(self, record: Record, more: int) -> None:
        given = (record.kind, record.account, self.count(record.kind, record.account) + more)
        self._sql.execute("INSERT OR REPLACE INTO tally VALUES (?, ?, ?)", given)

    def _unlink(self, record: Record) -> None:
        self._sql.execute("DELETE FROM link WHERE kind = ? AND id = ?", (record.kind, record.id))

    def _log(self, record: Record, action: str) -> None:
        self._sql.execute(
            "INSERT INTO event (time, account, action, kind, id, body) VALUES (?, ?, ?, ?, ?, ?)",
            (
                *(self.now.isoformat(), record.account, action, record.kind, record.id),
                json.dumps(record.body),
            ),
        )


class Store:
    """The open file. One process at a time opens it to write: `server` holds a lock while it does.

    `latency` scales the time that the clouds take (0: none). Raises StoreError when the file is damaged, of another
    version or another program's.
    """

    def __init__(self, file: Path, latency: float = 0.0) -> None:
        self._guard = threading.RLock()
        self._latency = latency
        if file.exists():
            _examine(file)
        else:
            _make(file)
        self._sql = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._sql.execute("PRAGMA journal_mode = WAL")
        self._sql.execute("PRAGMA synchronous = NORMAL")  # a killed process loses nothing; only the host can

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All or nothing, and alone: what it read is still so when it writes."""
        with self._guard:
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(self._sql, self._latency)
            except BaseException:
                self._sql.execute("ROLLBACK")
                raise
            self._sql.execute("COMMIT")

    def close(self) -> None:
        """Closes the file; nothing is lost without it."""
        with self._guard:
            self._sql.close()


def objects(file: Path) -> list[Record]:
    """Every object in a file, also while a sandbox has it open; for tests and reports."""
    return _query(file, lambda sql: [_record(row) for row in sql.execute(f"{_SELECT} ORDER BY kind, account, key")])


def events(file: Path, after: int = 0) -> list[Event]:
    """The log of a file from the event after `after`, oldest first, also while a sandbox has it open."""
    query = "SELECT seq, time, account, action, kind, id, body FROM event WHERE seq > ? ORDER BY seq"
    return _query(file, lambda sql: [_event(row) for row in sql.execute(query, (after,))])


_NOTICES = "SELECT id, body FROM notice WHERE account = ?"
_SELECT = "SELECT kind, id, account, key, parent, body, private FROM object"


def _record(row: tuple[Any, ...]) -> Record:
    kind, identity, account, key, parent, body, private = row
    return Record(kind, identity, account, key, parent, json.loads(body), json.loads(private))


def _event(row: tuple[Any, ...]) -> Event:
    seq, time, account, action, kind, identity, body = row
    return Event(seq, time, account, action, kind, identity, json.loads(body))


def _query(file: Path, ask: Callable[[sqlite3.Connection], list[Any]]) -> list[Any]:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return ask(connection)
    finally:
        connection.close()


def _make(file: Path) -> None:
    """Makes an empty file, whole at once: a process killed here leaves none, or a good one."""
    unfinished = file.with_name(f"{file.name}.new")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    connection = sqlite3.connect(unfinished)
    try:
        connection.executescript(f"BEGIN IMMEDIATE;{SCHEMA}COMMIT;")
    finally:
        connection.close()
    unfinished.rename(file)


def _examine(file: Path) -> None:
    """Refuses a file that is not whole and ours. It works on a copy: SQLite's own opening would already repair."""
    with file.open("rb") as opened:
        header = opened.read(100)
    remedy = "Reset the sandbox to begin with an empty one."
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):  # noqa: PLR2004
        raise StoreError(f"{file} is damaged: it is no SQLite file. {remedy}")
    version, application = int.from_bytes(header[60:64]), int.from_bytes(header[68:72])
    if application != APPLICATION:
        raise StoreError(f"{file} is not a sandbox's file. {remedy}")
    if version != VERSION:
        raise StoreError(f"{file} is of version {version}, this sandbox reads version {VERSION}. {remedy}")
    with tempfile.TemporaryDirectory() as folder:
        for part in (file, file.with_name(f"{file.name}-wal")):
            if part.exists():
                shutil.copy(part, folder)
        try:
            connection = sqlite3.connect(Path(folder, file.name))
            try:
                found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            finally:
                connection.close()
        except sqlite3.DatabaseError as error:
            found = str(error)
    if found != "ok":
        raise StoreError(f"{file} is damaged: {found}. {remedy}")
