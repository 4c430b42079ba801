"""A server restored from a backup of its provider's: which backup, what is lost, and whether somebody agrees."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from components import catalog, reference
from operations import clouds, console, engine, guards, runs, stacks, updates
from operations.clouds import Clouds
from operations.console import say
from operations.errors import NotBegun, Refused
from operations.project import Project
from operations.servers import fleet as fleets
from operations.servers import kept
from operations.servers.fleet import Fleet
from operations.servers.linodes import QUICK, Body, Linodes, Waits
from operations.servers.restoring import Case, Journal, in_place, replacement

_NODE = "linode:index/nodeBalancerNode:NodeBalancerNode"
_ACCESS = "linode:index/databaseAccessControls:DatabaseAccessControls"
_TASK = "servers.restore"


@dataclass(frozen=True)
class Asked:
    """What was said on the command line: which server, from which backup (None: the newest), and how.

    `delete`: the server is one that was replaced, and is deleted.
    """

    server: str
    backup: int | None = None
    in_place: bool = False
    delete: bool = False
    yes: bool = False
    local_state: bool = False
    on_sandbox: bool = False

    @property
    def options(self) -> str:
        """Return what stands behind the stack's name when it is written again."""
        backup = f" --backup {self.backup}" if self.backup else ""
        return f" {self.server}{backup}{' --in-place' * self.in_place}{' --delete' * self.delete}"


def restore(root: Path, wanted: str, asked: Asked) -> int:
    """Restore a server of a stack, or go on where a run was cut off; return the exit code.

    Raises:
        Refused: it is unknown, or has no backup that fits, or something else is under way.
        NotBegun: somebody said no.
        Failed: the engine, a cloud or the server does not do what it has to.
    """
    chosen = stacks.select(root, wanted)
    if len(chosen) > 1:
        raise Refused(f"{_TASK}: name one stack: the server's")
    updates.require_consent(f"{_TASK} {wanted}{asked.options}", on_sandbox=asked.on_sandbox, yes=asked.yes)
    (project,) = runs.for_servers(root, chosen, on_sandbox=asked.on_sandbox, local_state=asked.local_state)
    updates.settle(project)
    if asked.delete:
        return _delete(project, asked)
    case = _case(fleets.load(project, chosen[project.stack]), asked)
    backups = {each["id"]: each for each in case.linodes.backups(case.source["id"])}
    console.show(_backups(case, [*backups.values()]))
    console.show(_plan(case, backups.get(case.backup)))
    _require_agreement(case, asked)
    code = engine.FAILED
    try:
        code = in_place(case) if case.in_place else replacement(case, updates.Agreed(asked.yes, asked.local_state))
    finally:
        if code:
            say(f"{case.label}: not finished; `{project.task(_TASK)}{asked.options}` goes on with it")
    return code


def choose(backups: Sequence[Body], wanted: int | None, server: Body, room: int) -> Body:
    """Return the backup that is wanted of a server's, or the newest that can be restored into `room` (MB).

    Raises:
        Refused: there is none, it can't be restored, or it needs more room.
    """
    label, usable = server["label"], [each for each in backups if is_usable(each)]
    known = ", ".join(str(each["id"]) for each in usable) or "none yet"
    if wanted is None and not usable:
        raise Refused(f"{label}: no backup of it can be restored yet")
    found = next((each for each in backups if each["id"] == wanted), None) if wanted else max(usable, key=_finished)
    if found is None:
        raise Refused(f"{label}: it has no backup {wanted}; those that can be restored are {known}")
    if not is_usable(found):
        raise Refused(f"{label}: backup {wanted} is '{found['status']}'; those that can be restored are {known}")
    if found["region"] != server["region"]:
        raise Refused(f"{label}: backup {found['id']} is in {found['region']}, and it is in {server['region']}")
    if (needed := _size(found)) > room:
        raise Refused(
            f"{label}: backup {found['id']} needs {needed:,} MB of disk, and its plan has {room:,}; "
            "choose a newer backup, or a larger plan first (a new generation: docs/servers.md)"
        )
    return found


def is_usable(backup: Body) -> bool:
    """Whether a backup can be restored."""
    return bool(backup["status"] == "successful" and backup["available"])


def _case(fleet: Fleet, asked: Asked) -> Case:
    """Find the server in the state and at its cloud, and what a run that was cut off left there."""
    project, linodes = fleet.project, _linodes(fleet.project, fleet.clouds)
    labels = [member.label for member in fleet.members]
    if asked.server not in labels:
        raise Refused(f"{project.stack}: it has no server '{asked.server}'; {reference.nearest(asked.server, labels)}")
    resources = [each for each in engine.resources(project) if not each.get("delete")]
    resource = next(
        (each for each in resources if each["type"] == guards.SERVER and each["inputs"].get("label") == asked.server),
        None,
    )
    device = next(
        (
            each
            for each in resources
            if each["type"] == kept.DEVICE
            and resource
            and (each["inputs"]["entityType"], int(each["inputs"]["entityId"])) == ("linode", int(resource["id"]))
        ),
        None,
    )
    if resource is None or device is None:
        raise Refused(
            f"{asked.server}: the state lacks it, or its place behind its firewall; `{project.task('up')}` first"
        )
    node = next(
        (each["urn"] for each in resources if each["type"] == _NODE and each["inputs"]["label"] == asked.server), None
    )
    address = f"{catalog.public_address(resource['outputs']['ipv4s'])}/32"
    databases = tuple(
        int(each["inputs"]["databaseId"])
        for each in resources
        if each["type"] == _ACCESS and address in each["inputs"]["allowLists"]
    )
    there = linodes.all()
    known = [each for each in there if each["label"] in (asked.server, kept.label(asked.server, each["id"]))]
    found = [(each, journal) for each in known if (journal := Journal.of(each["tags"]))]
    source, journal = next(
        iter(found), (next((each for each in there if str(each["id"]) == resource["id"]), None), None)
    )
    if source is None:
        raise Refused(
            f"{asked.server}: it is not at Linode any more, and its backups went with it; `{project.task('drift')}`"
        )
    if journal and asked.in_place != journal.in_place:
        how = "over the server itself (--in-place)" if journal.in_place else "beside it"
        raise Refused(f"{asked.server}: a restore {how} is under way; go on with that first")
    is_moved = str(source["id"]) != resource["id"]
    wanted = asked.backup or (journal.backup if journal else None)
    if journal and journal.backup != wanted and (is_moved or source["label"] != asked.server):
        raise Refused(f"{asked.server}: backup {journal.backup} took its place already; go on without --backup")
    if not (journal and journal.backup == wanted and journal.exchange):
        named = {**source, "label": asked.server}
        room = linodes.room(str(source["type"] if asked.in_place else resource["inputs"]["type"]))
        wanted = choose(linodes.backups(source["id"]), wanted, named, room)["id"]
    assert wanted is not None  # chosen, or the journal's  # noqa: S101
    goes_on = journal is not None
    alone = fleet.only(asked.server)
    return Case(alone, linodes, resource, device, node, databases, source, wanted, asked.in_place, goes_on)


def _linodes(project: Project, opened: Clouds) -> Linodes:
    return Linodes(opened.platform, QUICK if project.sandbox else Waits())


def _backups(case: Case, backups: Sequence[Body]) -> Table:
    shown = Table("Backup", "Kind", "Taken (UTC)", "MB", "Status", "", title=f"{case.label}: its backups")
    for each in sorted(backups, key=_finished, reverse=True):
        taken = each["finished"] or each["created"]
        status = each["status"] if is_usable(each) else f"{each['status']}, can't be restored"
        mark = "this one" if each["id"] == case.backup else ""
        shown.add_row(str(each["id"]), each["type"], taken.replace("T", " "), f"{_size(each):,}", status, mark)
    return shown


def _plan(case: Case, backup: Body | None) -> Table:
    since = f"{_finished(backup).replace('T', ' ')} UTC" if backup else "the backup, which is gone by now"
    shown = Table("", "What happens", title=f"{case.label}: restored from backup {case.backup}")
    if case.goes_on:
        shown.add_row("under way", "a run was cut off: what it did is not done again")
    shown.add_row("lost", f"all that was written on its disk since {since}; databases are not on it")
    if case.in_place:
        shown.add_row("over itself", "it is drained and shut down, and its disks are DELETED; address and backups stay")
    else:
        was = kept.label(case.label, case.source["id"])
        shown.add_row("new", "a server beside it, of the same plan, with another address, behind the same firewall")
        shown.add_row("once healthy", "takes its place: label, balancer, databases' allow lists, state (one `up`)")
        shown.add_row("kept", f"{was}: off, with its disks and backups, and billed, until it is deleted by name")
    shown.add_row("then", "servers.apply, for the backup is older than the configuration")
    return shown


def _require_agreement(case: Case, asked: Asked) -> None:
    if case.in_place and not (asked.yes and asked.on_sandbox):
        if not console.has_terminal():
            raise Refused(f"{case.label}: restoring over it needs a terminal, to type its name on")
        console.require_name(case.label, f"{case.label}: all that is on its disks is deleted.")
    elif not asked.yes and not console.agrees(f"{case.label}: restore it?"):
        raise NotBegun(f"{case.label}: declined; nothing was changed")


def _delete(project: Project, asked: Asked) -> int:
    """Delete a server that was replaced, with its backups."""
    linodes = _linodes(project, clouds.connect(project))
    found = {each["label"]: each for each in linodes.all() if kept.is_kept(each, project.stack)}
    server = found.get(asked.server)
    if server is None:
        raise Refused(f"{asked.server}: no server that was replaced; {reference.nearest(asked.server, found)}")
    if Journal.of(server["tags"]):
        raise Refused(f"{asked.server}: it is not replaced yet; go on with its restore first")
    if not (asked.yes and asked.on_sandbox):
        if not console.has_terminal():
            raise Refused(f"{asked.server}: deleting it needs a terminal, to type its name on")
        console.require_name(asked.server, f"{asked.server}: its disks and all its backups will be deleted.")
    linodes.delete(server["id"])
    say(f"{asked.server}: deleted, with its backups")
    return 0


def _finished(backup: Body) -> str:
    return str(backup["finished"] or backup["created"])


def _size(backup: Body) -> int:
    return sum(disk["size"] for disk in backup["disks"])
