"""The site that serves the stateful names stays the primary: a decision, written into the configuration."""

from pathlib import Path

from operations import console, updates
from operations.console import say
from operations.errors import NotBegun, Refused
from operations.failover import front, move
from operations.failover.move import Asked

TASK = "failover.keep"


def keep(root: Path, wanted: str, asked: Asked) -> int:
    """Have the site that serves be the primary, and the one that was its standby; return the exit code.

    Raises:
        Refused: a move is under way, or the front can't be changed.
        NotBegun: somebody said no.
        Failed: the front can't be brought to it, or nobody can be told.
    """
    updates.require_consent(f"{TASK} {wanted}", on_sandbox=asked.on_sandbox, yes=asked.yes)
    sites = asked.read(root, wanted)
    if sites.moving:
        raise Refused(f"{sites.front.name}: a move to {sites.moving.to} is under way; finish it first")
    active, home = sites.active, sites.home
    if active.name == home.name:
        up = sites.front.project.task("up")
        say(
            f"{sites.front.name}: nothing to keep: {home.name} is the primary; what waits in this stack, `{up}` changes"
        )
        return move.tell(sites)  # a run that was cut off may not have
    front.require_updatable(sites.front, with_others=asked.with_other_changes)
    if not asked.yes and not console.agrees(
        f"{sites.front.name}: have {active.name} be the primary, and {home.name} its standby?"
    ):
        raise NotBegun(f"{sites.front.name}: declined; nothing was changed")
    sites = sites.written(home=None if active.name == sites.front.name else active.name, active=None)
    front.update(sites.front, with_others=asked.with_other_changes)
    say(f"{sites.front.name}: {active.name} is the primary, and {home.name} its standby")
    return move.tell(sites)
