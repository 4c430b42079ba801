"""A drill: a copy is restored into a fresh PostgreSQL and compared with its record; the evidence is kept."""

import argparse
import datetime as dt
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from copies import compare, dump, evidence, listing, processes, record, roles, server
from copies.config import Config
from copies.copy import DRIFT
from copies.listing import Copy
from copies.repository import Repository, RepositoryError, Say
from copies.server import ServerError

DATABASE = "restored"

_ROOM = 3
"""How many times the size of the dump a drill needs: for itself, and for the database with its indexes."""


class DrillError(Exception):
    """The copy is not proved; `str()` says why."""


REASONS = (DrillError, RepositoryError, ServerError, psycopg.Error, OSError)
"""What may be wrong with a copy, or with where it is restored."""


@dataclass
class Watch:
    """Takes the time of each part, in seconds."""

    seconds: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a part."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - began, 2)

    def total(self) -> dict[str, float]:
        """Return all, and the time since the beginning."""
        return {**self.seconds, "total": round(time.monotonic() - self.began, 2)}


def run(config: Config, wanted: argparse.Namespace, say: Say) -> dict[str, Any]:
    """Prove that a copy restores, the newest if none is named; return the evidence, with a `reason` if it is none."""
    now, watch = dt.datetime.now(dt.UTC), Watch()
    repository = Repository(config, say)
    found: dict[str, Any] = {
        "format": 1,
        "at": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "stack": config.stack,
        "environment": config.environment,
        "result": evidence.FAILED,
        "copy": {"id": wanted.copy or "newest"},
        "versions": {"program": evidence.program()},
    }
    try:
        found["versions"]["restic"] = _version([config.restic, "version"])
        copy = chosen(repository, wanted.copy)
        found["copy"] = {**copy.json(), "age_hours": round((now - copy.taken) / dt.timedelta(hours=1), 1)}
        _Proof(config, repository, copy, watch, say).take(found)
        found["result"] = evidence.PROVED
    except REASONS as error:
        found["reason"] = " ".join(str(error).split())
    found["seconds"] = watch.total()
    if "taken" in found["copy"]:
        try:
            evidence.keep(repository, found, now)
        except RepositoryError as error:  # a proof that nobody can look up is none
            reason = found.get("reason") or f"the evidence can't be kept: {error}"
            found |= {"result": evidence.FAILED, "reason": reason}
    say(f"{config.name}: {found['result']}{': ' + found['reason'] if 'reason' in found else ''}")
    return found


def chosen(repository: Repository, wanted: str | None) -> Copy:
    """Return a copy by its id, or the newest.

    Raises:
        DrillError: there is none, or it has no record.
        RepositoryError: the repository can't be read.
    """
    now = repository.reach()
    snapshots = repository.snapshots()
    copies = listing.copies(snapshots)
    past = (each for each in copies if wanted or each.taken <= now + DRIFT)
    if found := next((each for each in past if wanted in (None, each.id, each.dump)), None):
        return found
    if any(each.id.startswith(wanted or "-") for each in listing.halves(snapshots)):
        raise DrillError(f"the copy {wanted} has no record of what it holds: it never counted, and can't be proved")
    raise DrillError(f"there is no copy {wanted}" if wanted else "there are no copies")


def expected(config: Config, repository: Repository, copy: Copy) -> tuple[dict[str, Any], Config]:
    """Return the record of a copy, and the configuration with PostgreSQL's programs of its major version.

    Raises:
        DrillError: the record is none, or there are no such programs.
        RepositoryError: it can't be read.
    """
    try:
        saved = json.loads(repository.read(copy.record, listing.RECORD))
        if saved["dump"] != copy.dump or saved["record"]["format"] != record.FORMAT:
            raise DrillError(
                f"the record of the copy {copy.id} is of another dump, or of another version of this program"
            )
        found: dict[str, Any] = saved["record"]
    except (ValueError, KeyError, TypeError):
        raise DrillError(f"the record of the copy {copy.id} is none") from None
    major = found["server"]["major"]
    own = config if config.programs else replace(config, version=major)
    version = _version([own.program("pg_restore"), "--version"])
    if int(version.split(".")[0]) != major:
        raise DrillError(
            f"the copy is of PostgreSQL {major}, and {own.program('pg_restore').parent} has {version}: "
            f"install postgresql-{major}"
        )
    return found, own


def fetch(repository: Repository, copy: Copy, into: Path) -> None:
    """Write a copy's dump to a file.

    Raises:
        RepositoryError: it can't be read.
        DrillError: it is not whole, or there is no room for it.
    """
    free = shutil.disk_usage(into.parent).free
    if free < _ROOM * copy.size:
        raise DrillError(f"{into.parent} has room for {free} bytes; the copy needs {_ROOM * copy.size} to be restored")
    with into.open("wb") as file:
        if owner := server.account():
            os.fchown(file.fileno(), *owner)
        reading = repository.reading(copy.dump, listing.DUMP, file)
        try:
            reading.finish()
        finally:
            reading.end()
    if into.stat().st_size != copy.size:
        raise DrillError(f"the dump is truncated: {into.stat().st_size} of {copy.size} bytes")


@dataclass(frozen=True)
class _Proof:
    """What is to be proved, and how it is told."""

    config: Config
    repository: Repository
    copy: Copy
    watch: Watch
    say: Say

    def take(self, found: dict[str, Any]) -> None:
        """Add to the evidence what was found. Raises one of REASONS where it proves nothing."""
        before, config = expected(self.config, self.repository, self.copy)
        programs = config.program("initdb").parent
        with server.folder() as folder:
            data, file = folder / "data", folder / "dump"
            self._tell(f"fetching the copy {self.copy.id}, {self.copy.size} bytes")
            making = server.initialise(programs, data)
            try:
                with self.watch.part("fetch"):
                    fetch(self.repository, self.copy, file)
                    server.finish(making, "initdb")
            finally:
                processes.end(making)
            with server.running(programs, data) as reached:
                self._tell(f"restoring it into PostgreSQL {before['server']['major']}")
                with self.watch.part("restore"):
                    database = _prepared(reached, before)
                    dump.restore(programs, file, database, dump.contents(programs, file), user=server.account())
                self._tell("comparing it with its record")
                with self.watch.part("compare"):
                    self._compare(before, record.take(database, record.ALONE), found)
                with self.watch.part("queries"):
                    self._ask(database, found)

    def _compare(self, before: Mapping[str, Any], after: Mapping[str, Any], found: dict[str, Any]) -> None:
        found["versions"]["postgres"] = after["server"]["version"]
        found["compared"] = compare.counted(before)
        if wrong := compare.differences(before, after):
            raise DrillError(f"the restored database differs: {compare.summary(wrong)}")

    def _ask(self, database: Mapping[str, Any], found: dict[str, Any]) -> None:
        found["queries"] = list(_answers(self.config, database))
        if failed := [each["sql"] for each in found["queries"] if not each["as_expected"]]:
            raise DrillError(f"queries gave other than they should: {'; '.join(failed)}")

    def _tell(self, what: str) -> None:
        self.say(f"{self.config.name}: {what}")


def _prepared(reached: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    with psycopg.connect(**reached, autocommit=True) as connection:
        roles.make(connection, before)
        _create(connection, before["locale"])
    database = {**reached, "dbname": DATABASE}
    with psycopg.connect(**database, autocommit=True) as connection:
        roles.set_up(connection, before)
    return database


def _create(connection: record.Connection, locale: Mapping[str, Any]) -> None:
    """Make the database, in the locale of the copy's where this machine has that one, else in C.UTF-8."""
    icu = locale.get("daticulocale") or locale.get("datlocale")
    theirs = {"lc_collate": locale["datcollate"], "lc_ctype": locale["datctype"]}
    own = {
        "c": theirs,
        "i": {**theirs, "locale_provider": "icu", "icu_locale": icu},
        "b": {**theirs, "locale_provider": "builtin", "builtin_locale": icu},
    }[locale["datlocprovider"]]
    tries = [own, {"lc_collate": "C", "lc_ctype": "C.UTF-8"}, {"lc_collate": "C", "lc_ctype": "C"}]
    for each in tries:
        words = sql.SQL(" ").join(sql.SQL(f"{name} {{}}").format(sql.Literal(value)) for name, value in each.items())
        text = sql.SQL("create database {} template template0 encoding {} {}")
        try:
            encoding = sql.Literal(locale["encoding"])
            connection.execute(text.format(sql.Identifier(DATABASE), encoding, words))
        except (
            psycopg.errors.WrongObjectType,
            psycopg.errors.InvalidParameterValue,
            psycopg.errors.FeatureNotSupported,
        ):
            if each is tries[-1]:
                raise
        else:
            return


def _answers(config: Config, database: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Run the configured queries. Evidence leaves the jurisdiction: what they gave is not in it."""
    with psycopg.connect(**database) as connection:
        connection.read_only = True
        for query in config.queries:
            with connection.transaction():
                connection.execute("set local statement_timeout = '10min'")
                answer = connection.pgconn.exec_(query.sql.encode())
                given = answer.get_value(0, 0) if (answer.ntuples, answer.nfields) == (1, 1) else None
                yield {"sql": query.sql, "as_expected": given == query.expects.encode()}


def _version(command: list[Any]) -> str:
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return str(re.findall(r"\d+(?:\.\d+)+", said)[0])
    except (OSError, subprocess.CalledProcessError, IndexError):
        raise DrillError(f"{command[0]} is not there, or does not work: install it") from None
