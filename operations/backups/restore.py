"""A database restored: a new one, made of a copy or as the old one was at a time, which then takes the old one's place.

The stack file is the journal: it has the new generation, what that comes from, and which generation serves; how far the
work is besides, the clouds say. So a run that was cut off goes on when it is repeated, or goes back. Nothing is ever
written into the old database, which stays until somebody deletes it by its name.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke.exceptions import Exit
from rich.table import Table

from components import labels, settings
from components.settings import STACK_KEY, Stack
from components.topology import Database
from operations import console, edits, engine, guards, runs, stacks, updates
from operations.backups import contents, reach, writers
from operations.backups.contents import SHOWN, Contents
from operations.console import say
from operations.errors import Failed, NotBegun, Refused
from operations.project import Project

TASK = "backups.restore"
MAX_GENERATION = 99


@dataclass(frozen=True)
class Asked:
    """What was said on the command line: what to restore from, a copy's id or a time; or to go back."""

    environment: str = ""
    copy: str = ""
    at: str = ""
    back: bool = False
    yes: bool = False
    on_sandbox: bool = False
    local_state: bool = False


@dataclass(frozen=True)
class Source:
    """What a new generation comes from: a copy, or the old one as it was at a time."""

    copy: str = ""
    at: dt.datetime | None = None

    def __str__(self) -> str:
        """Return it in words."""
        return f"the copy {self.copy}" if self.at is None else f"the provider's fork of {self.at:{SHOWN}}"

    @property
    def option(self) -> str:
        """The option that says it."""
        return f"--copy {self.copy}" if self.at is None else f"--at {self.at:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True)
class Journal:
    """What the stack file says of a restore: the new generation, the old one, what the new one comes from."""

    new: int
    old: int
    source: Source

    @classmethod
    def of(cls, database: Database) -> "Journal | None":
        """Return what is said of a database; None where that is nothing."""
        sources = {int(each): Source(copy) for each, copy in database.restored.items()}
        sources |= {int(each): Source(at=labels.moment_of(fork.at)) for each, fork in database.forks.items()}
        for new, source in sources.items():
            for old in set(database.generations) - {new}:
                return cls(new, old, source)
        return None


@dataclass(frozen=True)
class _Site:
    """One environment of a stack, as its files say now."""

    root: Path
    asked: Asked
    project: Project
    stack: Stack
    environment: str

    @classmethod
    def read(cls, root: Path, wanted: str, asked: Asked) -> "_Site":
        """Return it.

        Raises:
            Refused: the configuration is wrong, or it is not said which environment.
            Failed: the engine does not answer.
        """
        chosen = stacks.select(root, wanted)
        if len(chosen) != 1:
            raise Refused(f"{TASK} {wanted}: a database is restored in one stack at a time")
        (project,) = runs.for_up(root, chosen, on_sandbox=asked.on_sandbox, local_state=asked.local_state)
        stack = chosen[project.stack]
        names = list(stack.environments)
        name = asked.environment or (names[0] if len(names) == 1 else "")
        if name not in names:
            raise Refused(f"{project.stack}: --environment: say one of {', '.join(names)}")
        return cls(root, asked, project, stack, name)

    @property
    def name(self) -> str:
        """Stack and environment, to begin a line with."""
        return f"{self.project.stack}: {self.environment}"

    @property
    def database(self) -> Database:
        """The settings of its database."""
        return self.stack.environments[self.environment].database

    @property
    def key(self) -> str:
        """The key of these settings in the stack's file, and the file."""
        return f"environments.{self.environment}.database in {settings.stack_file(self.project.stack)}"

    @property
    def task(self) -> str:
        """The task, up to what it is to restore from."""
        return f"{self.project.task(TASK)} --environment {self.environment}"

    def label(self, generation: int) -> str:
        """Return a database's label."""
        return labels.database(self.stack.label, self.stack.environments[self.environment].label, generation)

    def has(self, generation: int) -> bool:
        """Whether the stack's state has a database."""
        databases = (each for each in engine.resources(self.project) if each["type"] == guards.DATABASE)
        return self.label(generation) in {each["inputs"]["label"] for each in databases}

    def written(self, **values: Any) -> "_Site":
        """Write keys of the database into the stack's file, None takes one away; return what the files say then.

        Raises:
            Refused: they would be wrong; the file is as it was.
        """
        path = self.root / settings.stack_file(self.project.stack)
        place = ("config", STACK_KEY, "environments", self.environment, "database")
        text = edits.with_values(path.read_text(encoding="utf-8"), place, values)
        return edits.tried(path, text, lambda: self.read(self.root, self.project.stack, self.asked))

    def up(self, *, yes: bool) -> None:
        """Bring the stack to what its files say.

        Raises:
            Refused, NotBegun: as `updates.bring_up`.
            Failed: it can't be done.
        """
        if code := updates.bring_up(self.project, updates.Agreed(yes, self.asked.local_state)):
            raise Failed(f"{self.project.stack}: the update ended with {code}; mend what it says above")

    def agree(self, question: str) -> None:
        """Ask, unless it was agreed to.

        Raises:
            NotBegun: somebody said no.
        """
        if not self.asked.yes and not console.agrees(f"{self.name}: {question}"):
            raise NotBegun(f"{self.name}: declined; nothing was changed")


def restore(root: Path, wanted: str, asked: Asked) -> int:
    """Restore a database, go on with that, or go back; return the exit code.

    Raises:
        Refused: it is not said what to restore, or that can't be had.
        NotBegun: somebody said no.
        Failed: a step failed.
    """
    if [bool(asked.copy), bool(asked.at), asked.back].count(True) != 1:
        raise Refused(
            f"{TASK} {wanted}: say one of --copy ID, --at TIME (UTC, such as 2026-11-22T18:00:00Z) and --back"
        )
    source = Source(asked.copy, _time(asked.at))
    option = "--back" if asked.back else source.option
    environment = f" --environment {asked.environment}" if asked.environment else ""
    updates.require_consent(f"{TASK} {wanted}{environment} {option}", on_sandbox=asked.on_sandbox, yes=asked.yes)
    site = _Site.read(root, wanted, asked)
    if asked.back:
        _go_back(site)
        return 0
    journal = Journal.of(site.database)
    if journal is None:
        site, journal = _begin(site, source)
    elif journal.source != source:
        raise Refused(
            f"{site.name}: {site.label(journal.new)} is there, of {journal.source}. "
            f"`{site.task} {journal.source.option}` goes on, `{site.task} --back` goes back; or delete one of "
            "them by its name (docs/restores.md)"
        )
    else:
        say(f"{site.name}: going on with {site.label(journal.new)}, of {source}")
    try:
        _go_on(site, journal)
    except Exit:
        say(f"{site.name}: not finished. `{site.task} {option}` goes on, `{site.task} --back` goes back.")
        raise
    _copy(site)
    return 0


def _copy(site: _Site) -> None:
    """Make a copy of the database that serves now, which has none yet.

    Raises:
        Failed: there is none; the restore is done all the same.
    """
    if site.environment not in reach.environments(site.project, site.stack):
        return
    try:
        site = site.read(site.root, site.project.stack, site.asked)  # what serves now
        made = reach.program(site.project, site.stack)(site.environment, "copy", "--by-hand").found
    except (Failed, Refused) as error:
        again = f"{site.project.task('backups.copy')} --environment {site.environment}"
        raise Failed(
            f"{site.name}: it is restored and serves, but has no copy yet: {error.message}; `{again}` makes one"
        ) from None
    say(f"{site.name}: {site.label(site.database.serves)} has a copy of its own, {made['id']}")


def _begin(site: _Site, source: Source) -> tuple[_Site, Journal]:
    """Show what will happen and what is lost, ask, and write the new generation into the stack's file.

    Raises:
        Refused: there are two databases already, or it can't be had.
        NotBegun: somebody said no.
        Failed: what is there can't be asked.
    """
    database = site.database
    old, new = database.serves, database.serves % MAX_GENERATION + 1
    if others := [site.label(each) for each in database.generations if each != old]:
        raise Refused(
            f"{site.name}: {site.label(old)} serves, and {others[0]} is there besides; delete that by its name first "
            "(docs/restores.md)"
        )
    lost = _lost(site, source)
    shown = Table("Step", "What", title=f"{site.name}: a database of {source}")
    shown.add_row("new", f"{site.label(new)} is written into {site.key}, and made of {source}")
    shown.add_row(
        "stopped", f"the applications of {site.environment} that use the database, once the new one is proved"
    )
    shown.add_row("cut over", f"{site.label(new)} admits the servers, {site.label(old)} none; they get the new address")
    shown.add_row("kept", f"{site.label(old)}, as it is then, until it is deleted by its name")
    shown.add_row("lost", f"{lost} Nobody sees it any more, but {site.label(old)} keeps it.", style="bold red")
    console.show(shown)
    site.agree("restore it?")
    origin: dict[str, Any] = {"forks": None, "restored": {new: source.copy}}
    if source.at:
        origin = {"forks": {new: {"of": old, "at": labels.moment(source.at)}}, "restored": None}
    return site.written(generations=[old, new], serving=old, **origin), Journal(new, old, source)


def _lost(site: _Site, source: Source) -> str:
    """Return in words what was written since what is restored, as far as that can be known before.

    Raises:
        Refused: it can't be restored.
        Failed: what is there can't be asked.
    """
    serves = site.database.serves
    if source.at:
        span = contents.require_restorable(site.project, site.label(serves), source.at) - source.at
        return f"All that was written since {source.at:{SHOWN}}, in {_span(span)}."
    held = Contents.of(site.project, site.stack, site.environment)
    if held is None:
        raise Refused(f"{site.name}: it has no copies; restore it as it was at a time: --at TIME")
    copy = held.copy(source.copy)
    taken = contents.taken(copy)
    lost = f"All that was written since {taken:{SHOWN}}, in {_span(contents.now(site.project) - taken)}."
    try:
        rows = sum(contents.rows(held.record(serves)).values())
    except Failed as failed:
        return f"{lost} How many rows can't be said: {failed.message}."
    return f"{lost} The copy has {copy['rows']} rows, and {site.label(serves)} has {rows} now."


def _go_on(site: _Site, journal: Journal) -> None:
    """Go through the steps that are left.

    Raises:
        Refused, NotBegun: the first update is not wanted.
        Failed: a step failed.
    """
    if site.database.serves == journal.old:
        deployed = (engine.outputs(site.project).get("databases") or {}).get(site.environment) or {}
        if deployed.get("serving") == journal.new:  # an older file: what would be cleared is what customers wrote
            raise Refused(
                f"{site.name}: {site.label(journal.new)} serves, and {site.key} says {journal.old}: the file is older "
                f"than what runs. Write `serving: {journal.new}` there, and repeat it"
            )
        was_there = site.has(journal.new)
        site.up(yes=site.asked.yes)
        held = Contents.of(site.project, site.stack, site.environment)
        if held and was_there and journal.source.copy:  # a run that was cut off may have begun to fill it
            held.clear(journal.new)
        record = _prove(site, journal, held) if held else {}
        writers.stop(site.project, site.stack, site.environment)
        if held and (changed := held.differences(journal.new, record)):
            raise Failed(f"{site.name}: somebody writes into {site.label(journal.new)}: {'; '.join(changed)}")
        site = site.written(serving=journal.new)
    else:  # a server that rebooted since a run was cut off here has started its own again
        writers.stop(site.project, site.stack, site.environment)
    site.up(yes=True)
    _start(site, f"{site.task} {journal.source.option}")
    say(f"{site.name}: {site.label(journal.new)} serves, of {journal.source}")
    _say_what_is_kept(site)


def _start(site: _Site, command: str) -> None:
    """Start the applications with the database that serves.

    Raises:
        Failed: not all of them have it, whoever is started by now.
    """
    if ill := writers.start(site.project, site.stack, site.environment, command):
        raise Failed(
            f"{site.name}: {', '.join(ill)}: not healthy with {site.label(site.database.serves)}, as it says above"
        )


def _prove(site: _Site, journal: Journal, held: Contents) -> dict[str, Any]:
    """Have the new database hold what it is to hold; return the record of that.

    Raises:
        Failed: it does not.
    """
    if journal.source.copy:
        held.fill(journal.new, journal.source.copy)
        say(f"{site.name}: {site.label(journal.new)} holds what {journal.source} recorded")
        return dict(held.record(journal.new))
    record = dict(held.record(journal.new))
    try:
        before = held.record(journal.old)
    except Failed as failed:
        say(f"{site.name}: it can't be compared with {site.label(journal.old)}: {failed.message}")
        return record
    shown = Table("Differs", site.label(journal.old), site.label(journal.new), title=f"{site.name}: rows by table")
    for table, old, new in contents.row_differences(before, record):
        shown.add_row(table, *("no such table" if each is None else str(each) for each in (old, new)))
    console.show(shown)
    for each in held.differences(journal.new, before):
        if each.partition(":")[0] not in contents.OF_ROWS:
            say(f"{site.name}: since then changed: {each}")
    return record


def _go_back(site: _Site) -> None:
    """Have the old database serve again; the new one is kept, where it was made.

    Raises:
        Refused: there is nothing to go back from.
        NotBegun: somebody said no.
        Failed: a step failed.
    """
    journal = Journal.of(site.database)
    if journal is None and len(site.database.generations) == 1:
        raise Refused(f"{site.name}: no restore is under way; {site.label(site.database.serves)} serves")
    if journal is not None:
        is_cut_over = site.database.serves == journal.new
        lost = f" What was written into {site.label(journal.new)} stays there." if is_cut_over else ""
        site.agree(f"have {site.label(journal.old)} serve again?{lost}")
        if is_cut_over:
            writers.stop(site.project, site.stack, site.environment)
        updates.settle(site.project)  # the making of the new one may have been cut off
        generations = [journal.old, *([journal.new] if site.has(journal.new) else [])]
        site = site.written(generations=generations, serving=journal.old, forks=None, restored=None)
    site.up(yes=site.asked.yes if journal is None else True)
    _start(site, f"{site.task} --back")
    say(f"{site.name}: {site.label(site.database.serves)} serves")
    _say_what_is_kept(site)


def _say_what_is_kept(site: _Site) -> None:
    for each in set(site.database.generations) - {site.database.serves}:
        sections = "'generations' and 'forks'" if site.database.forks else "'generations'"
        say(
            f"{site.name}: {site.label(each)} is kept. To delete it, leave {each} out of {sections} of {site.key}; "
            f"then {site.project.task('up')} --delete {site.label(each)}"
        )


def _time(text: str) -> dt.datetime | None:
    """Return a time, to the second; that of no zone is UTC. None for none.

    Raises:
        Refused: it is no time.
    """
    if not text:
        return None
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f"--at {text}: it is no time such as 2026-11-22T18:00:00Z") from None
    return (at if at.tzinfo else at.replace(tzinfo=dt.UTC)).astimezone(dt.UTC).replace(microsecond=0)


def _span(span: dt.timedelta) -> str:
    hours, minutes = divmod(int(span.total_seconds()) // 60, 60)
    return f"{hours} h {minutes} min"
