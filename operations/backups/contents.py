"""What the databases of an environment hold: the program of the copies, which is where the data is, is asked."""

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import linode_api4

from components import labels, outfit
from components.settings import Stack
from operations import clouds, engine, guards, sandbox
from operations.backups import reach
from operations.backups.reach import Private, Program
from operations.console import say
from operations.errors import Failed, Refused
from operations.project import Project

SHOWN = "%Y-%m-%d %H:%M:%S UTC"
OF_ROWS = frozenset({"tables", "sequences", "contents of large objects"})
"""Sections of a record that differ with every row."""
DRIFT = dt.timedelta(minutes=10)
"""How far the clocks of those who copy may be ahead."""
THINGS = ("relations", "sequences", "functions", "types", "large objects")
"""Sections of a record in which an empty database has nothing."""
_CERTIFICATE = "other-ca.pem"


@dataclass(frozen=True)
class Contents:
    """The databases of one environment, by generation, as the stack's ops server reaches them."""

    project: Project
    stack: Stack
    environment: str
    program: Program

    @classmethod
    def of(cls, project: Project, stack: Stack, environment: str) -> "Contents | None":
        """Return them; None where nothing reaches them: an environment without copies."""
        if environment not in reach.environments(project, stack):
            return None
        return cls(project, stack, environment, reach.program(project, stack))

    def copies(self) -> Sequence[Mapping[str, Any]]:
        """Return what is known of every copy, newest first.

        Raises:
            Failed: the copies can't be listed.
        """
        return list(self._answer("list")["copies"])

    def copy(self, identity: str) -> Mapping[str, Any]:
        """Return what is known of a copy.

        Raises:
            Refused: there is no such copy.
            Failed: the copies can't be listed.
        """
        known = self.copies()
        found = next((each for each in known if each["id"] == identity), None)
        if found is None:
            there = ", ".join(f"{each['id']} ({each['taken']})" for each in known[:10]) or "none"
            raise Refused(f"{self.project.stack}: {self.environment} has no copy {identity}; there are {there}")
        return dict(found)

    def silence(self, generation: int) -> str:
        """Return why a database does not answer; nothing where it does."""
        try:
            answer = self.program(self.environment, "answer", "--database", self._private(generation))
        except Failed as error:
            return str(error.message)
        return str(answer.found.get("reason", ""))

    def record(self, generation: int) -> Mapping[str, Any]:
        """Return the record of what a database holds now.

        Raises:
            Failed: it does not answer.
        """
        return self._answer("record", "--database", self._private(generation))

    def fill(self, generation: int, copy: str) -> Mapping[str, Any]:
        """Restore a copy into an empty database; return what was compared.

        Raises:
            Failed: it can't be restored, or is not what the copy recorded.
        """
        return self._answer("restore", "--copy", copy, "--into", self._private(generation))

    def clear(self, generation: int) -> None:
        """Empty a database that never served.

        Raises:
            Failed: it can't be emptied.
        """
        self._answer("clear", "--database", self._private(generation))

    def end_others(self, generation: int) -> None:
        """End all other sessions of a database.

        Raises:
            Failed: it does not answer.
        """
        self._answer("end-others", "--database", self._private(generation))

    def differences(self, generation: int, record: Mapping[str, Any]) -> list[str]:
        """Return in words, after the section of the record, where a database is not as that says.

        Raises:
            Failed: it does not answer.
        """
        answer = self.program(
            self.environment,
            *("compare", "--record", Private(json.dumps(record)), "--database", self._private(generation)),
        )
        return [str(each) for each in answer.found["differences"]]

    def _answer(self, *arguments: reach.Argument) -> Mapping[str, Any]:
        answer = self.program(self.environment, *arguments)
        if answer.code:
            raise Failed(f"{self.project.stack}: {self.environment}: {answer.found.get('reason') or answer.found}")
        return dict(answer.found)

    def _private(self, generation: int) -> Private:
        """Return the file that says how to connect to a database."""
        label = labels.database(self.stack.label, self.stack.environments[self.environment].label, generation)
        if label not in self._databases:
            raise Failed(f"{self.project.stack}: {label} is not there; {self.project.task('up')}")
        found = outfit.connection(self._databases[label])
        parameters = {name: str(found[name]) for name in ("host", "port", "user", "password")}
        parameters |= {"dbname": found["name"], "sslmode": "verify-full", "sslrootcert": _CERTIFICATE}
        if self.project.sandbox:
            played = sandbox.data(self.project.root, say).databases.get(label)
            if played is None:
                raise Failed(f"{self.project.stack}: nothing serves {label}; ./inv sandbox.status")
            parameters |= {"hostaddr": played.hostaddr, "port": str(played.port), "sslmode": played.sslmode}
        return Private(json.dumps(parameters), {_CERTIFICATE: found["ca_cert"]})

    @cached_property
    def _databases(self) -> Mapping[str, Mapping[str, Any]]:
        """What the state says of the stack's databases, by label, as it was when the first of them was asked."""
        return {
            each["outputs"]["label"]: each["outputs"]
            for each in engine.resources(self.project, show_secrets=True)
            if each["type"] == guards.DATABASE and not each.get("delete")
        }


def past(
    copies: Iterable[Mapping[str, Any]], now: dt.datetime, since: dt.datetime | None = None
) -> list[Mapping[str, Any]]:
    """Return the copies but those of a time to come: a clock was wrong, or somebody would have them be the newest.

    With `since`, those of before are left out too: they are of another site's time. Clocks may differ a little.
    """
    return [each for each in copies if taken(each) <= now + DRIFT and (since is None or taken(each) >= since - DRIFT)]


def taken(copy: Mapping[str, Any]) -> dt.datetime:
    """Return when a copy was taken."""
    return dt.datetime.fromisoformat(copy["taken"])


def is_empty(record: Mapping[str, Any]) -> bool:
    """Whether a database holds nothing, by its record."""
    return not any(record["sections"][section] for section in THINGS)


def rows(record: Mapping[str, Any]) -> dict[str, int]:
    """Return the number of rows by table."""
    return {name: int(each["rows"]) for name, each in record["sections"]["tables"].items()}


def row_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, int | None, int | None]]:
    """Yield the tables that do not have as many rows in one record as in another, with both numbers; None: no table."""
    before, after = rows(old), rows(new)
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield name, before.get(name), after.get(name)


def now(project: Project) -> dt.datetime:
    """Return the clouds' time."""
    return sandbox.now(project.root) if project.sandbox else dt.datetime.now(dt.UTC)


def require_restorable(project: Project, label: str, at: dt.datetime) -> dt.datetime:
    """Return the clouds' time, where a database can be had as it was at another one.

    Raises:
        Refused: it can't; with the times of which it can.
        Failed: the cloud does not answer.
    """
    client, current = clouds.connect(project).platform, now(project)
    try:
        found = [each for each in clouds.pages(client, "/databases/postgresql/instances") if each["label"] == label]
    except (linode_api4.ApiError, linode_api4.UnexpectedResponseError, OSError) as error:
        raise Failed(f"{project.stack}: Linode does not say how far back {label} can go: {error}") from None
    if not found:
        raise Refused(f"{project.stack}: Linode has no database {label}; restore a copy of it")
    oldest = found[0].get("oldest_restore_time")
    if oldest is None:
        raise Refused(f"{project.stack}: {label} has no backup yet; repeat it later")
    first = dt.datetime.fromisoformat(oldest).replace(tzinfo=dt.UTC)
    if not first <= at <= current:
        raise Refused(
            f"{project.stack}: {label} can be had as it was from {first:{SHOWN}} to now, {current:{SHOWN}}, and not of "
            f"{at:{SHOWN}}"
        )
    return current
