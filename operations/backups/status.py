"""What there is to restore from, and how old it is: of every server, of every database, and the proof that it restores.

What is judged is the newest of each kind; one that is older than is allowed has to be seen to by somebody.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import linode_api4
from rich.filesize import decimal
from rich.table import Column, Table

from components import labels
from components.settings import Stack
from operations import clouds, engine, runs, sandbox, stacks
from operations.alarms import Job
from operations.backups import reach, second
from operations.backups.contents import past
from operations.environments.report import length
from operations.errors import Failed, Refused
from operations.incidents import Incident
from operations.project import Project
from operations.servers.fleet import OPS

GOOD, WARNING, OVERDUE = "good", "warning", "overdue"
DAILY = dt.timedelta(hours=26)
"""The oldest that the newest of what is made daily may be: a day, and the time that one takes."""
WEEKLY = dt.timedelta(days=8)
SPARE = 3
"""Days of which the copy may be missing: a job that failed, or a server that was away."""
PROVED, PROVED_SOON = dt.timedelta(days=180), dt.timedelta(days=150)
"""The oldest that a proof may be, and from when on it is said that a new one is due."""

_DATABASE = "linode:index/databasePostgresqlV2:DatabasePostgresqlV2"
_SNAPSHOT = "take a snapshot of it in Linode's Cloud Manager"
_SUPPORT = "ask Linode's support why there are no backups"
_STYLES = {GOOD: "", WARNING: "yellow", OVERDUE: "red"}


@dataclass(frozen=True)
class Row:
    """One kind of what there is to restore something from.

    `of` is the label of a server or database, `environment` is empty for what belongs to none. `at` is the time of the
    newest one, `state` one of GOOD, WARNING, OVERDUE, `says` more about it and `do` what to do. `more` are figures.
    """

    of: str
    environment: str
    what: str
    at: dt.datetime | None = None
    state: str = GOOD
    says: str = ""
    do: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)


def report(root: Path, wanted: str, environment: str = "", *, on_sandbox: bool) -> tuple[int, dict[str, list[Row]]]:
    """Return the rows by stack; and 1 where anything is overdue.

    Raises:
        Refused: the configuration is wrong, or a stack has nothing yet.
        Failed: the engine or a cloud does not answer.
    """
    chosen = stacks.select(root, wanted)
    found = {
        project.stack: [
            row for row in _Look(project, chosen[project.stack]).rows() if environment in ("", row.environment)
        ]
        for project in runs.for_clouds(root, chosen, on_sandbox=on_sandbox)
    }
    is_overdue = any(row.state == OVERDUE for rows in found.values() for row in rows)
    return engine.FAILED if is_overdue else 0, found


def tell(job: Job, found: Mapping[str, Sequence[Row]]) -> None:
    """Report what is overdue, or soon will be: an incident for each kind in an environment."""
    for stack, rows in found.items():
        wrong: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            if row.state != GOOD:
                wrong.setdefault((row.environment, row.what), []).append(row)
        incidents = [
            Incident(
                f"backups {stack} {environment} {what}",
                f"{' '.join(filter(None, (stack, environment)))}: {what} {_worst(those)} ({len(those)} found)",
                f"{those[0].do}. `{job.command(f'backups.status {stack}')}` shows all.",
                "nothing of that kind is",
                "\n".join(f"  {row.of}: {row.says}" for row in those),
            )
            for (environment, what), those in wrong.items()
        ]
        job.report(stack, f"backups {stack}", incidents)


def data(found: Mapping[str, Sequence[Row]]) -> dict[str, list[dict[str, Any]]]:
    """Return the report for programs; times are UTC, ISO 8601."""
    return {
        stack: [{**asdict(row), "at": row.at and row.at.isoformat()} for row in rows] for stack, rows in found.items()
    }


def table(found: Mapping[str, Sequence[Row]]) -> Table:
    """Return the report for people."""
    shown = Table(Column("Of", no_wrap=True), "What", "Newest", "State", "What to do")
    for stack, rows in found.items():
        if not rows:
            shown.add_row(stack, "", "", "nothing is there")
        for row in rows:
            at = row.at.strftime("%Y-%m-%d %H:%M UTC") if row.at else ""
            told = row.do if row.state != GOOD else ""
            shown.add_row(row.of, row.what, at, f"{row.state}: {row.says}", told, style=_STYLES[row.state])
        shown.add_section()
    return shown


def _worst(rows: Iterable[Row]) -> str:
    return "is overdue" if any(row.state == OVERDUE for row in rows) else "will be overdue soon"


class _Look:
    """A look at what a stack has."""

    def __init__(self, project: Project, stack: Stack) -> None:
        self._project, self._stack = project, stack
        self._outputs = engine.outputs(project)
        if not self._outputs.get("servers"):
            raise Refused(f"{project.stack}: it has no servers yet; {project.task('up')}")
        self._platform = clouds.connect(project).platform
        self._now = sandbox.now(project.root) if project.sandbox else dt.datetime.now(dt.UTC)
        """The clouds' time."""

    def rows(self) -> Iterator[Row]:
        """Yield all of it."""
        yield from self._servers()
        databases = self._known("/databases/postgresql/instances")
        wanted = {each["outputs"]["label"] for each in engine.resources(self._project) if each["type"] == _DATABASE}
        for label in sorted(wanted):
            yield self._window(label, databases.get(label))
        if with_copies := reach.environments(self._project, self._stack):
            program = reach.program(self._project, self._stack)
            for environment in with_copies:
                ours = [each for name, each in databases.items() if self._owner(name) == environment]
                born = min((each["created"] for each in ours), default="")
                yield from self._copies(environment, _time(born), program)

    def _servers(self) -> Iterator[Row]:
        there = self._known("/linode/instances")
        for environment, roles in self._outputs["servers"].items():
            for server in (server for servers in roles.values() for server in servers):
                yield self._backup(server["label"], environment, there.get(server["label"]))
        if self._outputs.get("ops"):
            label = labels.label("server", self._stack.label, OPS)
            yield self._backup(label, "", there.get(label))

    def _backup(self, label: str, environment: str, server: Mapping[str, Any] | None) -> Row:
        row = Row(label, environment, "the provider's backup", do=f"{_SNAPSHOT}, and {_SUPPORT}")
        if server is None:
            return replace(row, state=OVERDUE, says="there is no such server", do=self._task("drift"))
        backups = server["backups"]
        if not backups["enabled"]:
            return replace(row, state=OVERDUE, says="its backups are off", do=self._task("up"))
        return judged(replace(row, at=_time(backups["last_successful"])), _time(server["created"]), self._now)

    def _window(self, label: str, database: Mapping[str, Any] | None) -> Row:
        row = Row(label, self._owner(label), "the provider's restorable window", do=_SUPPORT)
        if database is None:
            return replace(row, state=OVERDUE, says="there is no such database", do=self._task("drift"))
        oldest = _time(database["oldest_restore_time"])
        if oldest is None:
            return judged(row, _time(database["created"]), self._now)
        more = {"oldest": oldest.isoformat()}
        return replace(row, at=self._now, says=f"{length(self._now - oldest)} back", more=more)

    def _copies(self, environment: str, born: dt.datetime | None, program: reach.Program) -> Iterator[Row]:
        settings = self._stack.environments[environment]
        label = labels.database(self._stack.label, settings.label, settings.database.serves)
        now = dt.datetime.now(dt.UTC)  # the clock by which copies are made
        copies = Row(label, environment, "the copies", do=self._task("backups.copy"))
        bring = f"{self._task('backups.copy')[:-1]} --second`"
        try:
            found = program(environment, "list").found
        except Failed as error:
            yield replace(copies, state=OVERDUE, says=str(error), do=self._task("servers.list"))
        else:
            known = past(found["copies"], now)
            more = f"find out what deleted copies (docs/security.md, After a theft); {bring} has others"
            kept = self._stack.copies.kept if self._stack.copies else 0
            wanted = expected(kept, self._copied_since(settings.label, born), now)
            yield complete(judged(_counted(copies, known), born, now), known, wanted, more)
            proof = Row(label, environment, "the proof that they restore", do=self._task("backups.drill"))
            yield judged(_proved(proof, found["proofs"]), born, now, PROVED, PROVED_SOON)
        again = Row(label, environment, "the second copies", do=bring)
        try:
            brought = second.program(self._project, self._stack)(environment, "list").found["copies"]
        except (Failed, Refused) as error:
            yield replace(again, state=OVERDUE, says=f"they can't be listed: {error.message}")
        else:
            yield judged(_counted(again, past(brought, now)), born, now, WEEKLY)

    def _copied_since(self, environment: str, born: dt.datetime | None) -> dt.datetime | None:
        """Return since when an environment's database has copies: both it and their bucket were there."""
        bucket = labels.copies_bucket(self._stack.label, environment)
        made = [
            _time(each.get("created"))
            for each in engine.resources(self._project)
            if each["type"] == second.BUCKET and each["outputs"].get("label") == bucket
        ]
        return max(filter(None, (born, *made)), default=None)

    def _known(self, path: str) -> dict[str, Mapping[str, Any]]:
        try:
            return {each["label"]: each for each in clouds.pages(self._platform, path)}
        except (linode_api4.ApiError, linode_api4.UnexpectedResponseError, OSError) as error:
            raise Failed(f"{self._project.stack}: Linode does not say what there is: {error}") from None

    def _owner(self, label: str) -> str:
        """Return the environment that a database's label names."""
        ours = {each.label: name for name, each in self._stack.environments.items()}
        stack, _, rest = label.partition("-")
        return ours.get(rest.partition("-")[0], "") if stack == self._stack.label else ""

    def _task(self, verb: str) -> str:
        return f"`{self._project.task(verb)}`"


def expected(kept: int, since: dt.datetime | None, now: dt.datetime) -> int:
    """Return of how many days there should be a copy, where they are made since a time. More is no fault."""
    return min(kept, max(0, (now - (since or now)).days - 1))


def complete(row: Row, copies: Sequence[Mapping[str, Any]], wanted: int, do: str) -> Row:
    """Return the row of the copies: overdue where too few days have one, as nothing but age makes them fewer."""
    days = len({copy["day"] for copy in copies})
    if row.state != GOOD or days >= wanted - SPARE:
        return row
    return replace(row, state=OVERDUE, says=f"of {days} days, and there should be {wanted}: {row.says}", do=do)


def judged(
    row: Row,
    born: dt.datetime | None,
    now: dt.datetime,
    allowed: dt.timedelta = DAILY,
    soon: dt.timedelta | None = None,
) -> Row:
    """Return a row with its state: by the age of the newest one or, where there is none, of what it is of."""
    age = now - (row.at or born or now)
    state = OVERDUE if age > allowed else WARNING if age > (soon or allowed) else GOOD
    if row.at:
        says = f"{length(age)} old"
    else:
        says = f"none yet: it is {length(age)} old itself" if state == GOOD else "there is none"
    return replace(row, state=state, says=", ".join(filter(None, (says, row.says))))


def _counted(row: Row, copies: Sequence[Mapping[str, Any]]) -> Row:
    if not copies:
        return row
    newest, oldest = _time(copies[0]["taken"]), _time(copies[-1]["taken"])
    bytes_ = sum(each["size"] for each in copies)
    more = {"number": len(copies), "oldest": copies[-1]["taken"], "newest_size": copies[0]["size"], "size": bytes_}
    says = f"{len(copies)} since {oldest:%Y-%m-%d}, {decimal(copies[0]['size'])} the newest, {decimal(bytes_)} all"
    return replace(row, at=newest, says=says, more=more)


def _proved(row: Row, proofs: Sequence[Mapping[str, Any]]) -> Row:
    if not proofs:
        return row
    return replace(row, at=_time(proofs[0]["at"]), says=f"of the copy {proofs[0]['copy']['id']}")


def _time(said: str | None) -> dt.datetime | None:
    """Return a time that a cloud says, in UTC; None where it says none."""
    if not said:
        return None
    found = dt.datetime.fromisoformat(said)
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
