"""Making what a dump leaves to the server: roles, what they are members of, and the settings of roles and database."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
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
            until = sql.Literal(facts["valid until"])
            connection.execute(_composed("alter role {} valid until {}", sql.Identifier(name), until))
    for facts in record["sections"]["memberships"].values():
        join(connection, facts)


def create(connection: Connection, name: str, words: str) -> None:
    """Make a role with these attributes."""
    connection.execute(_composed(f"create role {{}} {words}", sql.Identifier(name)))


def join(connection: Connection, facts: Mapping[str, Any]) -> None:
    """Make a role a member of another, as it was."""
    names = [sql.Identifier(facts[each]) for each in ("role", "member")]
    options = {name.removesuffix("_option"): on for name, on in facts["options"].items()}
    if [*options] == ["admin"]:  # before PostgreSQL 16
        words = "with admin option" if options["admin"] else ""
    else:
        words = f"with {', '.join(f'{name} {on}' for name, on in options.items())}"
    connection.execute(_composed(f"grant {{}} to {{}} {words}", *names))


def set_up(connection: Connection, record: Mapping[str, Any], *, strict: bool = True) -> list[str]:
    """Give the connection's database the owner, privileges and settings of the one that was recorded.

    Return what the server refused, where that is no error by being not `strict`.
    """
    refused = []
    for statement in _statements(connection.info.dbname, record):
        try:
            connection.execute(statement)
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedObject) as error:
            if strict:
                raise
            refused.append(f"{statement.as_string(connection)}: {error.diag.message_primary}")
    return refused


def _statements(name: str, record: Mapping[str, Any]) -> Iterator[sql.Composed]:
    database = sql.Identifier(name)
    (facts,) = record["sections"]["database"].values()
    yield _composed(f"alter database {{}} owner to {facts['owner']}", database)
    yield _composed(f"revoke all on database {{}} from public, {facts['owner']}", database)
    for privilege in facts["privileges"]:
        whose, which, option = _GRANT.fullmatch(privilege).groups(default="")  # type: ignore[union-attr]
        yield _composed(f"grant {which} on database {{}} to {whose}{option and ' with grant option'}", database)
    for each in record["sections"]["settings"].values():
        where = [("role", each["role"])] if each["role"] else []
        where += [("in database" if where else "database", name)] if each["here"] else []
        alter = "alter " + (" ".join(f"{kind} {{}}" for kind, _ in where) or "role all")
        for setting in each["values"]:
            parameter, _, value = setting.partition("=")
            values = [part.strip().strip('"') for part in value.split(",")] if parameter in _LISTS else [value]
            names = [*(sql.Identifier(of) for _, of in where), sql.Identifier(*parameter.split("."))]
            yield _composed(f"{alter} set {{}} to {{}}", *names, sql.SQL(", ").join(map(sql.Literal, values)))


def _composed(text: str, *parts: sql.Composable) -> sql.Composed:
    """Return a statement. Its words are ours, or names that a server has quoted; its parts are put into it."""
    return sql.SQL(text).format(*parts)
