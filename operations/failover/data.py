"""The data of a move: the newest that there is of each database, brought into one of the site that is to serve.

That is a copy made now, once nobody writes any more, where the database answers; else the last copy there is. Linode
offers forks, but does not say that one may be in another data center than its source, nor that one of this very moment
has all that was written; a copy is compared, table by table.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from components import labels
from components.settings import Stack
from operations import engine, guards
from operations.backups import contents, reach, writers
from operations.backups.contents import SHOWN, Contents
from operations.backups.restore import MAX_GENERATION
from operations.console import say
from operations.errors import Failed, Refused
from operations.failover.sites import Site
from operations.rebuild import data as rebuilt

_DATABASE, _ACCESS = guards.DATABASE, "linode:index/databaseAccessControls:DatabaseAccessControls"

MOST = 2
"""Databases that an environment may have."""


@dataclass(frozen=True)
class Bringing:
    """One environment's data on its way: from the site that serves to a database, by generation, of another one.

    `last_copy`: the last copy is brought, also where the database answers. `since` is from when the source serves: its
    copies of before are not of what customers have there.
    """

    source: Site
    to: Site
    environment: str
    generation: int
    last_copy: bool = False
    since: dt.datetime | None = None

    @property
    def name(self) -> str:
        """What to begin a line with."""
        return f"{self.to.name}: {self.environment}"

    @property
    def serves(self) -> int:
        """The generation of the source that serves."""
        return self.source.stack.environments[self.environment].database.serves

    @property
    def old(self) -> str:
        """The label of the source's database."""
        return _label(self.source, self.environment)

    @property
    def new(self) -> str:
        """The label of the one that takes the data."""
        return _label(self.to, self.environment, self.generation)


def require_copies(site: Site, declared: Stack, environment: str) -> None:
    """Refuse an environment whose data nothing reaches.

    Raises:
        Refused: it has no copies at this site, or is not there at all.
    """
    settings = declared.environments.get(environment)
    if settings is None or declared.copies is None or declared.ops is None or not settings.database.copies:
        raise Refused(
            f"{site.name}: {environment} needs an ops server and copies of its database at each site: its data moves "
            "by these"
        )


def is_there(site: Site, environment: str, generation: int) -> bool:
    """Whether a site, of the size that it has now, has a database of a generation, by its state.

    Raises:
        Failed: the engine does not answer.
    """
    known = {each["inputs"]["label"] for each in engine.resources(site.project) if each["type"] == _DATABASE}
    return environment in site.stack.environments and _label(site, environment, generation) in known


def room(site: Site, declared: Stack, environment: str) -> int:
    """Return the generation of a site's database that takes the data: an empty one, or the next.

    One that does not say whether it is empty may hold something.

    Raises:
        Refused: there are two, and both may hold something.
    """
    database, of = declared.environments[environment].database, declared.environments[environment].label
    known = {each["inputs"]["label"] for each in engine.resources(site.project) if each["type"] == _DATABASE}
    there = {each: labels.database(declared.label, of, each) for each in database.generations}
    for generation in sorted(there, key=lambda each: each != database.serves):
        if there[generation] not in known or _is_empty(site, declared, environment, generation):
            return generation
    if len(there) < MOST:
        return database.serves % MAX_GENERATION + 1
    spare = next(each for each in database.generations if each != database.serves)
    raise Refused(
        f"{site.name}: {' and '.join(there.values())} both may hold something, and nothing is written over: delete "
        f"{there[spare]}, which does not serve, by its name first (docs/restores.md)"
    )


def _is_empty(site: Site, declared: Stack, environment: str, generation: int) -> bool:
    """Whether a database says that it holds nothing. It may be there although the site's mode says that none is."""
    try:  # of what the file declares: its mode may be about what is to be there, and not about what is
        held = Contents(site.project, declared, environment, reach.program(site.project, declared))
        return contents.is_empty(held.record(generation))
    except (Refused, Failed) as error:
        label = labels.database(declared.label, declared.environments[environment].label, generation)
        say(f"{site.name}: {label} is left as it is, as it does not say whether it is empty: {error.message}")
        return False


def require_held(site: Site, environments: Iterable[str]) -> None:
    """Refuse a site whose databases that serve do not hold anything yet.

    Raises:
        Refused: one holds nothing, or does not say what it holds.
        Failed: what is there can't be asked.
    """
    for environment in environments:
        serves = site.stack.environments[environment].database.serves if environment in site.stack.environments else 0
        if is_there(site, environment, serves):
            held = Contents.of(site.project, site.stack, environment)
            if held and not contents.is_empty(held.record(serves)):
                continue
        raise Refused(
            f"{site.name}: {environment}: --data-is-there: no database there holds anything; "
            f"`{site.project.task('backups.restore')} --environment {environment} --copy ID` first"
        )


def bring(moved: Bringing, *, lossless: bool) -> None:
    """Fill the database; it holds then what the source does, checked by checksum, or the last copy of that.

    Nobody writes into either any more. `lossless`: nothing less than all of it will do.

    Raises:
        Refused: the source does not answer, and all of it is wanted; or there is no copy.
        Failed: it can't be filled, or differs.
    """
    source, to = moved.source, moved.to
    opened = reach.with_copies_of(to.project, to.stack, source.project, source.stack)
    held = Contents(to.project, to.stack, moved.environment, reach.program(to.project, to.stack, opened))
    theirs = None if moved.last_copy else _answering(moved)
    if theirs is None and lossless:
        raise Refused(
            f"{moved.name}: {moved.old} does not answer, and every row of it is wanted; "
            f"`{source.project.task('failover.engage')} --to {to.name} --last-copy` moves with the last one of it"
        )
    if theirs:
        _close(moved, theirs)  # it may not have answered when it was to be closed
    copy = _copied(moved, theirs) if theirs else _last(moved, held)

    def filled() -> Mapping[str, Any]:
        held.clear(moved.generation)  # a run that was cut off may have begun to fill it
        return held.fill(moved.generation, str(copy["id"]))

    rebuilt.when_reached(filled, on_sandbox=to.project.sandbox)  # a database that was just made lets nobody in yet
    say(f"{moved.name}: {moved.new} holds what the copy {copy['id']} recorded")
    if theirs:
        _require_same(moved, held, theirs.record(moved.serves))


def stop(moved: Bringing, *, lossless: bool) -> None:
    """Stop whoever writes at the source, as far as it can be reached; its database lets in nobody any more.

    Also where all were stopped: a server that reboots starts its applications by itself, and customers' requests may
    reach servers that we don't. `lossless`: nothing less than all of it will do.

    Raises:
        Failed: somebody may go on writing into a database of which nothing is given up.
    """
    source, name = moved.source, f"{moved.source.name}: {moved.environment}"
    try:
        silent = writers.stop(source.project, source.stack, moved.environment)
    except (Refused, Failed) as error:
        silent = [str(error.message)]
    left = f": {', '.join(silent)} could not be stopped" if silent else ""
    theirs = _answering(moved)
    try:
        _close(moved, theirs)
    except (Refused, Failed) as error:
        if silent and (lossless or (theirs and not moved.last_copy)):
            raise Failed(
                f"{name}: {', '.join(silent)} could not be stopped, and {moved.old} can't be closed either: "
                f"{error.message}. Somebody may go on writing: repeat it"
                + ("" if lossless else ", or say --last-copy, and what was written since that is lost")
            ) from None
        say(f"{name}: {moved.old} could not be closed: {error.message}{left}")
    else:
        say(f"{name}: {moved.old} lets nobody in any more but the ops server{left}")


def _close(moved: Bringing, theirs: Contents | None) -> None:
    """Have the source's database let nobody in but the ops server; where it answers, who is in is put out.

    Raises:
        Refused, Failed: Linode refuses it, or does not answer.
    """
    ops = f"{engine.outputs(moved.source.project)['ops']}/32"
    rebuilt.let_in(moved.source.project, moved.old, [ops], wait=theirs is not None)
    if theirs:
        theirs.end_others(moved.serves)


def open_again(site: Site, environment: str) -> None:
    """Have a site's database let in whom its stack lets in: it may have been a source that `stop` closed.

    Raises:
        Failed: Linode refuses it, or does not answer; or the state has no such database.
    """
    label = _label(site, environment)
    found = [each for each in engine.resources(site.project) if not each.get("delete")]
    databases = {each["inputs"]["label"]: each["id"] for each in found if each["type"] == _DATABASE}
    admitted = {str(each["inputs"]["databaseId"]): each["inputs"] for each in found if each["type"] == _ACCESS}
    if (settings := admitted.get(databases.get(label, ""))) is None:
        raise Failed(
            f"{site.name}: its state does not say whom {label} lets in; `{site.project.task('up')}`, and repeat"
        )
    rebuilt.let_in(site.project, label, settings["allowLists"])


def _label(site: Site, environment: str, generation: int | None = None) -> str:
    """Return the label of a site's database: of the one that serves, or of a generation."""
    settings = site.stack.environments[environment]
    return labels.database(site.stack.label, settings.label, generation or settings.database.serves)


def _reached(site: Site, environment: str) -> Contents | None:
    try:
        return Contents.of(site.project, site.stack, environment)
    except (Refused, Failed) as error:
        say(f"{site.name}: {environment}: {error.message}")
        return None


def _answering(moved: Bringing) -> Contents | None:
    """Return the databases of the source, if the one that serves answers."""
    held = _reached(moved.source, moved.environment)
    why = held.silence(moved.serves) if held else "nothing reaches it"
    if why:
        say(f"{moved.name}: {moved.old} does not answer: {why}")
        return None
    return held


def _copied(moved: Bringing, theirs: Contents) -> Mapping[str, Any]:
    """Return a copy of the source that is made now."""
    try:
        return dict(theirs.program(moved.environment, "copy", "--by-hand").found)
    except Failed as failed:
        raise Failed(
            f"{failed.message}; {moved.old} answers, so nothing of it is given up: "
            "repeat it, or say --last-copy, and what was written since that is lost"
        ) from None


def _last(moved: Bringing, held: Contents) -> Mapping[str, Any]:
    """Return the last copy of the source."""
    known = contents.past(held.copies(), dt.datetime.now(dt.UTC), moved.since)  # the clock by which copies are made
    if not known:
        raise Refused(no_copy(moved.source, moved.to, moved.environment, moved.since))
    taken = contents.taken(known[0])
    say(f"{moved.name}: what was written since the copy {known[0]['id']} of {taken:{SHOWN}} is LOST")
    return known[0]


def no_copy(source: Site, to: Site, environment: str, since: dt.datetime | None) -> str:
    """Return what to do where the database that serves has no copy of its own; `since` a move, if there was one."""
    label = _label(source, environment)
    if since is None:
        return f"{source.name}: {environment}: there is no copy of {label}, so there is nothing to bring without it"
    restore, engage = to.project.task("backups.restore"), to.project.task("failover.engage")
    return (
        f"{source.name}: {environment}: there is no copy of {label} since it serves, and older ones are of another "
        f"time. What {to.name} had before remains: `{restore} --environment {environment} --copy ID` with its own last "
        f"copy, then `{engage} --to {to.name} --data-is-there`"
    )


def _require_same(moved: Bringing, held: Contents, record: Mapping[str, Any]) -> None:
    changed = [
        each for each in held.differences(moved.generation, record) if each.partition(":")[0] in contents.OF_ROWS
    ]
    ours, theirs = moved.new, moved.old
    if changed:
        raise Failed(
            f"{moved.name}: {ours} does not hold what {theirs} does: {'; '.join(changed)}. Somebody writes there: find "
            "out who, and repeat it"
        )
    tables = record["sections"]["tables"]
    rows = sum(contents.rows(record).values())
    say(f"{moved.name}: {ours} holds every row of {theirs}: {len(tables)} tables, {rows} rows, by checksum")
