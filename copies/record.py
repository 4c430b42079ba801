"""What a database holds, taken in one snapshot: what a restored copy is compared with.

Rows are counted and summed up in the server, a pass a table: the sum of a hash of each row, whatever their order. Where
a type's own hash does not say all (a number's scale and sign, -0.0, an array's bounds), the hash is of its binary or
text form. Neither depends on the session: its settings are fixed here.

Sequences stand outside of snapshots. Theirs is a span: from before the dump reads them to after it.
"""

import argparse
import datetime as dt
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from copies import catalog, config

FORMAT = 1
"""Goes up when records of before can't be compared with records of now."""

_SETTINGS = {
    "search_path": "pg_catalog",
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
    "xmlbinary": "base64",
    "quote_all_identifiers": "off",
    "row_security": "off",  # a table that is not read whole is an error
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "transaction_timeout": "0",
    "client_connection_check_interval": "5s",  # nobody sums up for a process that was killed
}

ALONE = {
    "max_parallel_workers_per_gather": "8",
    "min_parallel_table_scan_size": "0",
    "parallel_setup_cost": "0",
    "parallel_tuple_cost": "0",
}
"""Settings for a server that does nothing else."""

_WHOLE = set(
    "bool char bytea int2 int4 int8 oid xid8 name uuid date time timetz timestamp timestamptz macaddr"  # noqa: SIM905
    " macaddr8 inet cidr pg_lsn".split()
)
"""Types of PostgreSQL whose hash says all that is in a value."""

_TEXTS = {"text", "varchar"}
"""Types that have values in common in some collations."""

_SENT = {
    "float4": "float4send",
    "float8": "float8send",
    "numeric": "numeric_send",
    "interval": "interval_send",
    "bpchar": "bpcharsend",
    "money": "cash_send",
}
"""Types whose hash does not, and what gives their binary form, which is faster than text."""

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that is held; `name` is for `pg_dump --snapshot`."""

    name: str
    _connection: Connection
    _positions: Mapping[str, list[Any]]

    @property
    def major(self) -> int:
        """The server's major version."""
        return self._connection.info.server_version // 10000

    def lock(self) -> None:
        """Let nobody empty or rewrite a table from now on, which a snapshot does not outlive. Rows may come and go."""
        if tables := [name for name, _ in _ask(self._connection, catalog.TABLES)]:
            self._connection.execute("set local lock_timeout = '10min'")
            self._connection.execute(f"lock table only {', only '.join(tables)} in access share mode".encode())

    def abort(self) -> None:
        """Make whoever takes the record in another thread fail at once."""
        with suppress(psycopg.Error, OSError):
            self._connection.cancel()
        with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(self._connection.fileno())) as wire:
            wire.shutdown(socket.SHUT_RDWR)

    def take(self) -> dict[str, Any]:
        """Return the record, as plain data for JSON. May run in a thread beside the dump."""
        connection = self._connection
        things = {name: _shapes(_section(connection, query)) for name, query in catalog.SECTIONS.items()}
        tables = dict(_tables(connection))
        ((objects, checksum),) = _ask(connection, catalog.LARGE_OBJECTS)
        ((version,),) = _ask(connection, "show server_version")
        ((locale,),) = _ask(connection, catalog.LOCALE)
        return {
            "format": FORMAT,
            "taken": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "server": {"major": self.major, "version": version.split()[0]},
            "locale": locale,
            "rows": sum(int(table["rows"]) for table in tables.values()),
            "sections": {
                **things,
                "sequences": self._sequences(),
                "tables": tables,
                "contents of large objects": {"all": {"number": objects, "checksum": checksum}},
            },
        }

    def end(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return the record with where the sequences are now: to be called once the dump has ended."""
        sequences = record["sections"]["sequences"]
        positions = _positions(self._connection, sequences)
        ended = {name: {**facts, "until": positions[name]} for name, facts in sequences.items()}
        return {**record, "sections": {**record["sections"], "sequences": ended}}

    def _sequences(self) -> dict[str, Any]:
        found = _section(self._connection, catalog.SEQUENCES)
        begun = {name: self._positions[name] for name in found}
        return {name: {**facts, "from": begun[name], "until": begun[name]} for name, facts in found.items()}


@contextmanager
def snapshot(database: Mapping[str, Any], settings: Mapping[str, str] | None = None) -> Iterator[Snapshot]:
    """Hold a snapshot of the database that these libpq parameters reach.

    Raises:
        psycopg.Error: as the connection does, now and later.
    """
    with psycopg.connect(make_conninfo(**config.connecting(database))) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        positions = _settled(connection, settings or {})
        ((exported,),) = _ask(connection, "select pg_export_snapshot()")
        yield Snapshot(exported, connection, positions)


def take(database: Mapping[str, Any], settings: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the record of what a database holds now, read with these settings on top of ours.

    Raises:
        psycopg.Error: as the connection does.
    """
    with snapshot(database, settings) as held:
        return held.take()


def run(config_: config.Config, wanted: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Record what a live database holds: the one of the file that is wanted, else of the configuration."""
    database = config.database(wanted.database) if wanted.database else config_.database
    say(f"reading {database['dbname']} of {database['host']}")
    return take(database)


def _settled(connection: Connection, settings: Mapping[str, str]) -> dict[str, list[Any]]:
    """Fix the settings of a transaction, those that its server has, and return the sequences' positions."""
    for name, value in {**_SETTINGS, **settings}.items():
        connection.execute("select set_config(name, %s, true) from pg_settings where lower(name) = %s", [value, name])
    return _positions(connection, _section(connection, catalog.SEQUENCES))


def _positions(connection: Connection, sequences: Iterable[str]) -> dict[str, list[Any]]:
    """Return the last value of each sequence, and whether it was given out already."""
    return {name: [*_ask(connection, f"select last_value, is_called from {name}")[0]] for name in sequences}  # noqa: S608


def _tables(connection: Connection) -> Iterator[tuple[str, dict[str, Any]]]:
    types = {oid: Type(*facts) for oid, *facts in _ask(connection, catalog.TYPES)}
    for name, columns in _ask(connection, catalog.TABLES):
        row = ", ".join(hashable(column, oid, types) for column, oid in columns or ())
        checksum = f"coalesce(sum(hash_record_extended(row({row}), 0)), 0)::text"
        ((rows, total),) = _ask(connection, f"select count(*), {checksum} from only {name}")  # noqa: S608
        yield name, {"rows": rows, "checksum": total}


@dataclass(frozen=True)
class Type:
    """A type, and what it is made of: of the domain's base, and of an array's elements, the number (0: none)."""

    name: str
    builtin: bool
    base: int
    element: int
    quoted: str


def hashable(column: str, oid: int, types: Mapping[int, Type]) -> str:
    """Return the expression of a column whose hash says all that is in it."""
    kind = types[oid]
    while kind.base:
        kind = types[kind.base]
        column = f"({column})::{kind.quoted}"
    element = types.get(kind.element)
    if kind.builtin and kind.name in _WHOLE:
        return column
    if kind.builtin and kind.name in _TEXTS:
        return f'{column} collate "C"'
    if kind.builtin and kind.name in _SENT:
        return f"{_SENT[kind.name]}({column})"
    if (
        kind.builtin
        and kind.name.startswith("_")
        and element
        and element.name in {*_WHOLE, *_TEXTS, *_SENT, "json", "jsonb"}
    ):
        return f"array_send({column})"
    return f"({column})::text"


def _shapes(value: Any) -> Any:
    if isinstance(value, dict):
        if [*value] == ["shape"]:
            return value["shape"] and catalog.shape(value["shape"])
        return {key: _shapes(each) for key, each in value.items()}
    return value


def _section(connection: Connection, query: str) -> dict[str, Any]:
    return dict(_ask(connection, query))


def _ask(connection: Connection, query: str) -> list[Any]:
    """Return all rows. The names in a query are the server's own, which has quoted them."""
    return connection.execute(query.encode()).fetchall()
