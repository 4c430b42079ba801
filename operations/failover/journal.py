"""The journal of a move: the front's stack file, and a note of it beside the front's state, for every checkout.

So files that are older than what runs, and a move that somebody else is at, are known before anything is done.
"""

import json

from components import settings
from components.topology import Moving
from operations import notes
from operations.errors import Refused
from operations.failover import front
from operations.failover.sites import Sites

NOTE = "move"
"""The note beside the front's state of the move that is under way."""


def require_current(sites: Sites) -> None:
    """Refuse a front's file that is older than what runs, as another checkout's: what it would clear, customers wrote.

    Raises:
        Refused: it is, with what it has to say; or a move is under way of which it does not know.
        Failed: the engine does not answer.
    """
    require_known(sites, sites.moving)
    there, active, version = front.serving(sites.front), sites.active.name, front.published(sites.front)
    known = {"", active, sites.moving.source if sites.moving else active}
    elsewhere = {there.get(name.host, "") for name in sites.names() if name.stateful} - known
    if not elsewhere and version <= sites.failover.version:
        return
    serves = min(elsewhere, default=active)
    values = {"active": serves, "version": max(version, sites.failover.version)}
    if serves != sites.front.name:
        values["sites"] = {serves: {"addresses": sites.addresses(sites.members[serves])}}
    file = settings.stack_file(sites.front.name)
    raise Refused(
        f"{file}: section 'failover': it is older than what runs: traffic goes to {serves}, and "
        f"clients were told version {version}. `git pull` probably has the newer files, of all sites. Else "
        f"write there {json.dumps(values)}, without 'moving', look at the other sites' files as well, and repeat it"
    )


def require_known(sites: Sites, moving: Moving | None) -> None:
    """Refuse where another move is under way than the journal says, in another checkout.

    Raises:
        Refused: one is; with how to know of it here.
        Failed: the engine does not answer.
    """
    known, file = notes.read(sites.front.project, NOTE), settings.stack_file(sites.front.name)
    if known and (moving is None or known["since"] != moving.since):
        raise Refused(
            f"{sites.front.name}: a move from {known['source']} to {known['to']} has begun {known['since']}, of which "
            f"{file} does not know: somebody is at it, or has its journal, which `git pull` may bring. If nobody has, "
            f"write {json.dumps({'moving': known})} into its section 'failover', and go on or `--back`"
        )


def noted(sites: Sites, moving: Moving) -> None:
    """Write down which move is under way: in the journal, and beside the state, where every checkout finds it.

    Raises:
        Refused: another one is; nothing is written.
        Failed: the engine does not answer.
    """
    require_known(sites, moving)  # somebody else may have been quicker to say yes
    written = moving.model_dump(exclude_defaults=True)
    sites.written(moving=written)
    notes.write(sites.front.project, NOTE, written)


def ended(sites: Sites) -> Sites:
    """Take the journal away, the note first: a run that is cut off in between goes on."""
    notes.write(sites.front.project, NOTE, {})
    return sites.written(moving=None)
