"""The way back of a move that has moved no traffic: the site that served goes on, the other one forgets the data."""

from dataclasses import replace

from invoke.exceptions import Exit

from components.topology import Moving
from operations import console
from operations.backups import writers
from operations.backups.contents import Contents
from operations.console import say
from operations.errors import NotBegun, Refused
from operations.failover import data, front, journal, move
from operations.failover.move import Asked
from operations.failover.sites import Sites


def back(sites: Sites, asked: Asked) -> int:
    """Have the site serve that did, as long as no traffic moved; return the exit code.

    What was made at the other one stays, without the data.

    Raises:
        Refused: no move is under way, or traffic moved.
        NotBegun: somebody said no.
        Failed: a step failed.
    """
    if sites.moving is None:
        raise Refused(f"{sites.front.name}: no move is under way; {sites.active.name} serves the stateful names")
    moving, front_name = sites.moving, sites.front.name
    asked = replace(asked, lossless=moving.lossless)
    if not asked.yes and not console.agrees(f"{front_name}: have {moving.source} go on serving?"):
        raise NotBegun(f"{front_name}: declined; nothing was changed")
    front.settle(sites.front)
    if _has_moved(sites, moving.to):
        finish = move.task(sites, sites.members[moving.to], asked)
        raise Refused(
            f"{front_name}: traffic goes to {moving.to} already, which may have rows of its own by now. `{finish}` "
            "finishes this; then the way back is a move of its own"
        )
    journal.require_current(sites)
    if sites.active.name == moving.to:
        # What clients may have been told already they are told anew: the number never goes back.
        active = None if moving.source == sites.home.name else moving.source
        sites = sites.written(active=active, version=sites.failover.version + 1)
    # Whatever the file says by now: a run that was cut off, this way or that, may have left pools that are held back.
    front.update(sites.front, with_others=True)
    site, again = sites.members[moving.source], f"{move.task(sites, sites.members[moving.to], asked)} --back"
    for environment in sites.environments():
        data.open_again(site, environment)
        writers.start(site.project, site.stack, environment, again)
    _cleared(sites, moving)
    sites = journal.ended(sites)
    say(f"{front_name}: {moving.source} serves the stateful names")
    return move.finished(move.told(sites))


def _cleared(sites: Sites, moving: Moving) -> None:
    """Have the other site be as its file says, with the databases empty again that were to take the data.

    What can't be done there is said: it is what a site that is lost does not need.
    """
    site = sites.members[moving.to]
    try:
        begun = {each: it for each, it in moving.databases.items() if data.is_there(site, each, it)}
        move.bring_up(sites, site.name)
        for environment, generation in begun.items():
            try:
                writers.stop(site.project, site.stack, environment)
                if held := Contents.of(site.project, site.stack, environment):
                    held.clear(generation)
            finally:
                data.open_again(site, environment)
                writers.start(site.project, site.stack, environment, site.project.task("servers.apply"))
    except Exit as error:
        say(f"{site.name}: it is not as it was before the move: {error.message}; `{site.project.task('up')}`")


def _has_moved(sites: Sites, to: str) -> bool:
    """Whether traffic of a stateful name goes to a site by now."""
    there = front.serving(sites.front)
    return any(there.get(name.host) == to for name in sites.names() if name.stateful)
