"""What a move of the stateful names would cost now: the data that would be lost, and the time that it would take."""

import datetime as dt
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operations import evidence
from operations.backups import reach
from operations.backups.contents import Contents, past, taken
from operations.backups.reach import Program
from operations.environments.report import length
from operations.errors import Failed, Refused
from operations.failover.drill.incidents import INCIDENTS
from operations.failover.sites import Site, Sites

FAILOVER, REBUILD = "failover", "rebuild"
"""Kinds of evidence that say how long a move takes, the nearer to it first."""

NO_COPY, NO_COPY_SINCE = "there is none", "there is none since it serves"
"""What is said where the copies were listed, and there are none, or none of the time since a move."""


@dataclass(frozen=True)
class Measured:
    """How long it took when it was done last: seconds, and when that was and what."""

    seconds: float
    at: str
    what: str

    def __str__(self) -> str:
        """Return it as a phrase."""
        return f"{length(dt.timedelta(seconds=self.seconds))}, as in {self.what} of {self.at}"


@dataclass(frozen=True)
class Cost:
    """What moving an environment's data from a site to another one would cost now.

    `silence` is why the database does not answer, empty where it does: then nothing would be lost. `copied` is when
    the newest copy was taken, and `unlisted` why no copy is known. `measured` is None where nothing was.
    """

    environment: str
    source: str
    to: str
    silence: str
    copied: dt.datetime | None
    unlisted: str
    measured: Measured | None

    def age(self, now: dt.datetime) -> dt.timedelta | None:
        """Return how old the newest copy is, by the clock by which copies are made; None where none is known."""
        return None if self.copied is None else max(now - self.copied, dt.timedelta())

    @property
    def has_none(self) -> bool:
        """Whether the copies were listed, and none counts."""
        return self.unlisted in (NO_COPY, NO_COPY_SINCE)

    def lost(self, now: dt.datetime) -> str:
        """Return what would be lost, for people."""
        if not self.silence:
            return f"nothing: the database of {self.source} answers"
        age = self.age(now)
        if age is None:
            return f"all: no copy is known: {self.unlisted}"
        return f"{length(age)}: all that was written since the copy of {self.copied:%Y-%m-%d %H:%M} UTC"

    def newest(self, now: dt.datetime) -> str:
        """Return how old the newest copy is, for people; or why none is known."""
        age = self.age(now)
        return self.unlisted if age is None else f"{length(age)} old, of {self.copied:%Y-%m-%d %H:%M} UTC"

    def takes(self) -> str:
        """Return how long it would take, for people."""
        return str(self.measured) if self.measured else "unknown: nothing was measured yet"


def now() -> dt.datetime:
    """Return the time by the clock by which copies are made."""
    return dt.datetime.now(dt.UTC)


def costs(sites: Sites, to: Site) -> Iterator[Cost]:
    """Yield what a move to a site would cost now, by environment. Whatever does not answer is said."""
    source, known = sites.active, measured(sites, to)
    for environment in sites.environments():
        copied, unlisted = _newest(source, to, environment, sites.since)
        silence = _silence(source, environment)
        yield Cost(environment, source.name, to.name, silence, copied, unlisted, known)


def measured(sites: Sites, to: Site) -> Measured | None:
    """Return how long it took when it was done last, on the same kind of clouds, by the evidence that is kept.

    That is the longest move of the last drill with the standby as much there as it is now, of those that nobody cut off
    or hindered. Else it is the last rebuild of one of the sites, which makes more than a move does.
    """
    place = "sandbox" if sites.front.project.sandbox else "real"
    for kind in (FAILOVER, REBUILD):
        for found in _kept(sites.root, kind, place, sites.members):
            seconds = _seconds(kind, found, to.stack.standby.mode if to.stack.standby else "active")
            if seconds:
                return Measured(seconds, found["began"][:10], "the drill" if kind == FAILOVER else "the rebuild")
    return None


def _kept(root: Path, kind: str, place: str, stacks: Collection[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the evidence of a kind about any of the stacks, the newest first."""
    files = (root / evidence.FOLDER).glob(f"{kind}-*.json")
    known = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    for found in sorted(known, key=lambda each: str(each["began"]), reverse=True):
        if found["place"] == place and found["stack"] in stacks:
            yield found


def _seconds(kind: str, found: Mapping[str, Any], mode: str) -> float:
    if kind == REBUILD:
        return float(found.get("seconds_to_recover", 0))
    hindered = {name for name, incident in INCIDENTS.items() if incident.cut or incident.faults}
    moves = [
        each.get("seconds_of_the_move", 0)
        for each in found["incidents"]
        if each["mode"] == mode and each["incident"] not in hindered
    ]
    return float(max(moves, default=0))


def _silence(site: Site, environment: str) -> str:
    """Return why a site's database does not answer; nothing where it does."""
    try:
        held = Contents.of(site.project, site.stack, environment)
    except (Refused, Failed) as error:
        return str(error.message)
    if held is None:
        return "it has no copies, so nothing reaches it"
    return held.silence(site.stack.environments[environment].database.serves)


def _newest(source: Site, to: Site, environment: str, since: dt.datetime | None) -> tuple[dt.datetime | None, str]:
    """Return when the newest copy of a site's database was taken, of since it serves; or why none is known.

    The bucket is elsewhere, so who lists it is first the site's own ops server, then the other's, then this machine.
    """

    def own() -> Program:
        return reach.program(source.project, source.stack)

    def elsewhere() -> Program:
        opened = reach.with_copies_of(to.project, to.stack, source.project, source.stack)
        return reach.program(to.project, to.stack, opened)

    def here() -> Program:
        return reach.answering(source.project, reach.here(reach.to_list(source.project, source.stack)))

    why = []
    for program in (own, elsewhere, here):
        try:
            known = past(Contents(source.project, source.stack, environment, program()).copies(), now(), since)
        except (Refused, Failed) as error:
            why.append(str(error.message))
        else:
            return (taken(known[0]), "") if known else (None, NO_COPY_SINCE if since else NO_COPY)
    return None, "; ".join(why)
