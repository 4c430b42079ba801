"""The site that serves the stateful names stays the primary: a decision, written into the configuration."""

from collections.abc import Sequence
from pathlib import Path

from invoke.exceptions import Exit

from operations import console, notes, updates
from operations.backups import writers
from operations.console import say
from operations.errors import NotBegun, Refused
from operations.failover import data, front, journal, move
from operations.failover.move import Asked
from operations.failover.sites import Site

TASK = "failover.keep"

NOTE = "keep"
"""The note beside the front's state of the site that is to be the primary, until the front is so."""


def keep(root: Path, wanted: str, asked: Asked) -> int:
    """Have the site that serves be the primary, and the one that was its standby; return the exit code.

    Raises:
        Refused: a move is under way, or the front can't be changed.
        NotBegun: somebody said no.
        Failed: the front can't be brought to it, or nobody can be told.
    """
    updates.require_consent(f"{TASK} {wanted}{asked.options}", on_sandbox=asked.on_sandbox, yes=asked.yes)
    sites = asked.read(root, wanted)
    if sites.moving:
        raise Refused(f"{sites.front.name}: a move to {sites.moving.to} is under way; finish it first")
    journal.require_current(sites)
    active, home = sites.active, sites.home
    if active.name == home.name and not notes.read(sites.front.project, NOTE):
        up = sites.front.project.task("up")
        say(
            f"{sites.front.name}: nothing to keep: {home.name} is the primary; what waits in this stack, `{up}` changes"
        )
        return move.finished(move.told(sites))  # a run that was cut off may not have
    if active.name != home.name:
        front.require_updatable(sites.front, with_others=asked.with_other_changes)
    if not asked.yes and not console.agrees(
        f"{sites.front.name}: have {active.name} be the primary, and other sites its standby?"
    ):
        raise NotBegun(f"{sites.front.name}: declined; nothing was changed")
    notes.write(sites.front.project, NOTE, {"home": active.name})
    if active.name != home.name:
        sites = sites.written(home=None if active.name == sites.front.name else active.name, active=None)
    front.update(sites.front, with_others=asked.with_other_changes)
    notes.write(sites.front.project, NOTE, {})
    say(f"{sites.front.name}: {active.name} is the primary")
    for site in sites.members.values():
        if site.name != active.name:
            _start(site, sites.environments())
    return move.finished(move.told(sites))


def _start(site: Site, environments: Sequence[str]) -> None:
    """Have a standby's applications run with its own database, as a move away from it stopped them; or say why not."""
    for environment in environments:
        if environment not in site.stack.environments:
            continue
        if not data.is_there(site, environment, site.stack.environments[environment].database.serves):
            continue
        try:
            data.open_again(site, environment)
            writers.start(site.project, site.stack, environment, site.project.task("servers.apply"))
        except Exit as error:
            say(f"{site.name}: {environment}: its applications don't run: {error.message}")
