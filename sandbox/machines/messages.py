"""What the application of a role with a database keeps there: messages, each once by its idempotency key."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

from sandbox import data

_ANSWERS_WITHIN = 3.0  # seconds, as an application would wait
_TABLE = (
    "CREATE TABLE IF NOT EXISTS messages "
    "(id bigserial PRIMARY KEY, key text NOT NULL UNIQUE, text text NOT NULL, made timestamptz NOT NULL DEFAULT now())"
)
# A key that is there already gives the row that it was given at first.
_ADDED = (
    "INSERT INTO messages (key, text) VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING id"
)


class Messages:
    """The messages in the database that an environment (libpq's variables) names, on a server whose `/` is `root`."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self._root, self._environment = root, environment
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._turn = asyncio.Lock()

    async def add(self, key: str, text: str) -> int | None:
        """Adds a message; its row's id once it is committed, None where the database does not answer."""
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN), self._turn:
                return await self._add(key, text)
        except (psycopg.Error, OSError):  # TimeoutError is one of these
            if self._connection:
                with suppress(psycopg.Error):
                    await self._connection.close()
                self._connection = None
            return None

    async def _add(self, key: str, text: str) -> int | None:
        at = self._reached()
        connection = self._connection = self._connection or await self._connect(at)
        try:
            found = await connection.execute(_ADDED, (key, text))
        except psycopg.errors.UndefinedTable:
            with suppress(psycopg.errors.UniqueViolation, psycopg.errors.DuplicateTable):  # another server was first
                await connection.execute(_TABLE)
            found = await connection.execute(_ADDED, (key, text))
        row = await found.fetchone()
        return int(row[0]) if row else None

    def _reached(self) -> data.Database:
        """Where the database is that lets this server in; asked each time, as an open connection is cut off too."""
        held = data.status(self._root.parents[2])
        databases = held.databases.values() if held else ()
        at = next((each for each in databases if each.host == self._environment["PGHOST"]), None)
        if at is None or self._root.parent.name not in at.admits:
            raise psycopg.OperationalError("no such database runs, or it does not let this server in")
        return at

    async def _connect(self, at: data.Database) -> psycopg.AsyncConnection[Any]:
        said = self._environment
        return await psycopg.AsyncConnection.connect(
            host=said["PGHOST"],
            hostaddr=at.hostaddr,
            port=said["PGPORT"],
            dbname=said["PGDATABASE"],
            user=said["PGUSER"],
            password=said["PGPASSWORD"],
            # As it is given, where this machine's PostgreSQL serves TLS.
            sslmode=said["PGSSLMODE"] if at.sslmode != "disable" else at.sslmode,
            sslrootcert=f"{self._root}{said['PGSSLROOTCERT']}",
            autocommit=True,
        )
