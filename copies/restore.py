"""Restoring a copy into a database that is empty, and comparing the two.

On managed PostgreSQL nobody is a superuser: who restores makes the roles that are missing, becomes a member of those
who own something, and lets them make things where their own things are, for as long as it takes.
"""

import argparse
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from copies import compare, config, drill, dump, record, roles, server
from copies.config import Config
from copies.drill import DrillError
from copies.record import Connection
from copies.repository import Repository, Say

THINGS = ("relations", "sequences", "functions", "types", "large objects")
"""Sections that an empty database has nothing in."""

_WHOLE_SERVER = compare.ELSEWHERE | {"database"}
"""What a managed server has its own way with: told, and no reason to fail."""

_DATABASE_OWNER = "pg_database_owner"


def run(config_: Config, wanted: argparse.Namespace, say: Say) -> dict[str, Any]:
    """Restore a copy; return what was compared, and what somebody has to do by hand."""
    into = config.database(wanted.into)
    watch = drill.Watch()
    found: dict[str, Any] = {"copy": {"id": wanted.copy}, "into": f"{into['dbname']} of {into['host']}"}
    try:
        repository = Repository(config_, say)
        copy = drill.chosen(repository, wanted.copy)
        found["copy"] = copy.json()
        before, own = drill.expected(config_, repository, copy)
        given = record.take(into)
        _require_empty(before, given)
        with server.folder() as folder:
            say(f"{config_.name}: fetching the copy {copy.id}, {copy.size} bytes")
            with watch.part("fetch"):
                drill.fetch(repository, copy, folder / "dump")
            say(f"{config_.name}: restoring it into {found['into']}")
            with (
                watch.part("restore"),
                psycopg.connect(make_conninfo(**config.connecting(into)), autocommit=True) as connection,
            ):
                _Restoring(connection, before, own.program("pg_restore").parent, folder / "dump").run(into, found)
        say(f"{config_.name}: comparing")
        with watch.part("compare"):
            after = record.take(into)
        found["compared"] = compare.counted(before)
        found["differences"] = compare.differences(before, after, without=_WHOLE_SERVER, given=given)
        found["other"] = [
            line for line in compare.differences(before, after, given=given) if line.partition(":")[0] in _WHOLE_SERVER
        ]
        if found["differences"]:
            found["reason"] = f"what was restored differs: {compare.summary(found['differences'])}"
    except drill.REASONS as error:
        found["reason"] = " ".join(str(error).split())
    return {**found, "seconds": watch.total()}


def things(held: Mapping[str, Any]) -> list[str]:
    """Return what a database holds that an empty one does not, by a record."""
    return [f"{section}: {name}" for section in THINGS for name in held["sections"][section]]


def _require_empty(before: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    ours, theirs = (each["server"]["major"] for each in (before, given))
    if ours != theirs:
        raise DrillError(f"the database is of PostgreSQL {theirs}, the copy of PostgreSQL {ours}")
    if there := things(given):
        raise DrillError(f"the database is not empty: {compare.summary(there)}")


class _Restoring:
    """One restore, by whoever the connection's user is."""

    def __init__(self, connection: Connection, before: Mapping[str, Any], programs: Path, file: Path) -> None:
        self._connection = connection
        self._before = before
        self._programs = programs
        self._dump = file
        found = connection.execute(
            "select current_user, rolsuper from pg_roles where rolname = current_user"
        ).fetchall()
        ((self._me, self._mighty),) = found

    def run(self, into: Mapping[str, str], found: dict[str, Any]) -> None:
        """Restore it, and add to what was found the roles that were made, and what was refused."""
        found["roles without login"] = self._make_roles()
        joined = [] if self._mighty else self._join_owners()
        schemas, others = self._contents()
        dump.restore(self._programs, self._dump, into, schemas, user=None)
        lent = [] if self._mighty else self._lend()
        dump.restore(self._programs, self._dump, into, others, user=None)
        self._execute([f"revoke create on schema {schema} from {owner}" for schema, owner in lent])
        found["refused"] = roles.set_up(self._connection, self._before, strict=False)
        kept = {facts["role"] for facts in self._sections["memberships"].values() if facts["member"] == self._me}
        for role in {*joined} - kept:
            with suppress(psycopg.errors.InsufficientPrivilege):  # who makes a role in PostgreSQL 16 stays a member
                self._run("revoke {} from current_user", role)

    @property
    def _sections(self) -> Mapping[str, Any]:
        sections: Mapping[str, Any] = self._before["sections"]
        return sections

    def _make_roles(self) -> list[str]:
        """Make the roles that are missing. They can't log in: nobody knows their passwords here."""
        there = {name for (name,) in self._connection.execute("select rolname from pg_roles")}
        made = sorted(name for name in self._sections["roles"] if name not in there)
        for name in made:
            inherits = "inherit" if self._sections["roles"][name]["inherit"] else "noinherit"
            roles.create(self._connection, name, f"nologin {inherits}")
        for facts in self._sections["memberships"].values():
            if facts["member"] in made:
                with suppress(psycopg.errors.InsufficientPrivilege):
                    roles.join(self._connection, facts)
        return made

    def _join_owners(self) -> list[str]:
        """Become a member of all who own something; return of whom."""
        owners = {facts["owner"] for _, facts in self._owned()} - {_DATABASE_OWNER}
        asked = "select rolname from pg_roles where quote_ident(rolname) = any(%s) and not pg_has_role(oid, %s)"
        kind = "set" if self._connection.info.server_version >= 160000 else "member"  # noqa: PLR2004
        joined = [name for (name,) in self._connection.execute(asked, [sorted(owners), kind])]
        for name in joined:
            try:
                self._run("grant {} to current_user", name)
            except psycopg.errors.InsufficientPrivilege:
                raise DrillError(
                    f"{name} owns something in the copy, and {self._me} may not become it: grant {name} to {self._me}"
                ) from None
        return joined

    def _owned(self) -> list[tuple[str, Mapping[str, Any]]]:
        sections = ("schemas", "relations", "sequences", "functions", "types")
        return [(name, facts) for section in sections for name, facts in self._sections[section].items()]

    def _contents(self) -> tuple[list[str], list[str]]:
        """Return the dump's contents, schemas and others.

        Comments on extensions are left out: managed PostgreSQL owns these, and comments on them itself.
        """
        lines = dump.contents(self._programs, self._dump)
        lines = [line for line in lines if self._mighty or " COMMENT - EXTENSION " not in line]
        schemas = [line for line in lines if " SCHEMA - " in line and " ACL " not in line and " COMMENT " not in line]
        return schemas, [line for line in lines if line not in {*schemas}]

    def _lend(self) -> list[tuple[str, str]]:
        """Let owners make things in the schemas that theirs are in; return what was lent, and not theirs before."""
        known = {name: facts["owner"] for name, facts in self._sections["schemas"].items()}
        lent = set()
        for name, facts in self._owned():
            schema = next((each for each in known if name.startswith(f"{each}.")), "")
            if schema and facts["owner"] not in (known[schema], _DATABASE_OWNER):
                lent.add((schema, facts["owner"]))
        self._execute([f"grant create on schema {schema} to {owner}" for schema, owner in lent])
        recorded = {name: facts["privileges"] for name, facts in self._sections["schemas"].items()}
        return sorted((schema, owner) for schema, owner in lent if f"{owner} CREATE" not in recorded[schema])

    def _execute(self, statements: list[str]) -> None:
        for each in statements:
            self._connection.execute(each.encode())

    def _run(self, text: str, role: str) -> None:
        self._connection.execute(sql.SQL(text).format(sql.Identifier(role)))
