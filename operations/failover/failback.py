"""The stateful names go home: with every row that was written meanwhile, or not at all."""

from dataclasses import replace
from pathlib import Path

from operations import updates
from operations.errors import Refused
from operations.failover import move, takeback
from operations.failover.move import Asked

TASK = "failover.failback"


def failback(root: Path, wanted: str, asked: Asked) -> int:
    """Move the stateful names of a front to its primary site again, go on with that, or go back; return the exit code.

    Raises:
        Refused: they are there, or not every row can come along.
        NotBegun: somebody said no.
        Failed: a step failed, or a table differs.
    """
    updates.require_consent(f"{TASK} {wanted}{asked.options}", on_sandbox=asked.on_sandbox, yes=asked.yes)
    sites = asked.read(root, wanted)
    if asked.back:
        return takeback.back(sites, asked)
    if sites.moving is None and sites.active.name == sites.home.name:
        raise Refused(f"{sites.front.name}: {sites.home.name} serves the stateful names, and is the primary")
    return move.go(sites, sites.home, replace(asked, lossless=True))
