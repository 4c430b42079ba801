"""The stateful names move to another site: the newest data there is, then their traffic."""

from pathlib import Path

from operations import updates
from operations.failover import move, takeback
from operations.failover.move import Asked

TASK = "failover.engage"


def engage(root: Path, wanted: str, asked: Asked) -> int:
    """Move the stateful names of a front to another of its sites, go on with that, or go back; return the exit code.

    Raises:
        Refused: there is no such site, or it can't serve them.
        NotBegun: somebody said no.
        Failed: a step failed.
    """
    updates.require_consent(f"{TASK} {wanted}{asked.options}", on_sandbox=asked.on_sandbox, yes=asked.yes)
    sites = asked.read(root, wanted)
    if asked.back:
        return takeback.back(sites, asked)
    under_way = sites.moving.to if sites.moving and asked.to in ("", sites.moving.to) else ""
    return move.go(sites, sites.members[under_way] if under_way else sites.destination(asked.to), asked)
