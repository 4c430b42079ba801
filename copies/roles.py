"""Making what a dump leaves to the server: roles, what they are members of, and the settings of roles and database."""

import re
from collections.abc import Mapping
from typing import Any

from psycopg import sql

from copies.record import Connection

_ATTRIBUTES = ("superuser", "inherit", "createrole", "createdb", "login", "replication", "bypassrls")

_LISTS = {"search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"}
"""Settings that are lists of names, which are kept as they would be written."""

_GRANT = re.compile(r'("(?:[^"]|"")*"|\S+) (\w+)( with grant)?')
"""A privilege as it is recorded: whose (quoted where that is needed), which, and whether it may be passed on."""


def make(connection: Connection, record: Mapping[str, Any]) -> None:
    """Make all roles of a record as they were, without passwords."""
    for name, facts in record["sections"]["roles"].items():
        words = [each if facts[each] else f"no{each}" for each in _ATTRIBUTES]
        create(connection, name, f"{' '.join(words)} connection limit {facts['connection limit']}")
        if facts["valid until"]:
            _execute(
                connection, "alter role {} valid until {}", sql.Identifier(name), sql.Literal(facts["valid until"])
            )
    for facts in record["sections"]["memberships"].values():
        join(connection, facts)


def create(connection: Connection, name: str, words: str) -> None:
    """Make a role with these attributes."""
    _execute(connection, f"create role {{}} {words}", sql.Identifier(name))


def join(connection: Connection, facts: Mapping[str, Any]) -> None:
    """Make a role a member of another, as it was."""
    names = [sql.Identifier(facts[each]) for each in ("role", "member")]
    options = {name.removesuffix("_option"): on for name, on in facts["options"].items()}
    if [*options] == ["admin"]:  # before PostgreSQL 16
        words = "with admin option" if options["admin"] else ""
    else:
        words = f"with {', '.join(f'{name} {on}' for name, on in options.items())}"
    _execute(connection, f"grant {{}} to {{}} {words}", *names)


def set_up(connection: Connection, record: Mapping[str, Any]) -> None:
    """Give the connection's database the owner, privileges and settings of the one that was recorded."""
    database = sql.Identifier(connection.info.dbname)
    (facts,) = record["sections"]["database"].values()
    _execute(connection, f"alter database {{}} owner to {facts['owner']}", database)
    _execute(connection, f"revoke all on database {{}} from public, {facts['owner']}", database)
    for privilege in facts["privileges"]:
        whose, which, option = _GRANT.fullmatch(privilege).groups(default="")  # type: ignore[union-attr]
        _execute(connection, f"grant {which} on database {{}} to {whose}{option and ' with grant option'}", database)
    for each in record["sections"]["settings"].values():
        where = [("role", each["role"])] if each["role"] else []
        where += [("in database" if where else "database", connection.info.dbname)] if each["here"] else []
        alter = "alter " + (" ".join(f"{kind} {{}}" for kind, _ in where) or "role all")
        for setting in each["values"]:
            name, _, value = setting.partition("=")
            values = [part.strip().strip('"') for part in value.split(",")] if name in _LISTS else [value]
            given = sql.SQL(", ").join(map(sql.Literal, values))
            names = [sql.Identifier(of) for _, of in where]
            _execute(connection, f"{alter} set {{}} to {{}}", *names, sql.Identifier(*name.split(".")), given)


def _execute(connection: Connection, text: str, *parts: sql.Composable) -> None:
    """Run a statement. Its words are ours, or names that a server has quoted; its parts are put into it."""
    connection.execute(sql.SQL(text).format(*parts))
