"""The steps of a restore, each of which looks first whether it is done: a run that was cut off goes on by them.

What was begun is in tags of the server whose backup it is: no state knows the new one until it has its place. The
new one has a label that there is once in the account, so a second one is never made.
"""

import base64
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from components import catalog, user_data
from operations import engine, recovery, updates
from operations.console import say
from operations.errors import Failed, Refused
from operations.project import Project
from operations.recovery import Moved
from operations.servers import apply as applying
from operations.servers import fleet as fleets
from operations.servers import kept, reach, rolling
from operations.servers.births import BORN_WITHIN
from operations.servers.fleet import Fleet, Member
from operations.servers.linodes import OFFLINE, Body, Exchange, Linodes
from operations.servers.nodes import DRAIN, Nodes
from operations.servers.remote import ScriptError, Unreachable
from operations.servers.roll import Retirement
from operations.servers.rolling import Roll

BESIDE, IN_PLACE = "restore", "restore-in-place"
OVER, DISKS = "restore-over", "restore-disks"
"""Tags of the server whose backup is restored: how, with the backup's id; over which disks; how many it has."""


@dataclass(frozen=True)
class Journal:
    """What a server's tags say of a restore that is under way."""

    backup: int
    in_place: bool
    exchange: Exchange | None

    @classmethod
    def of(cls, tags: Iterable[str]) -> "Journal | None":
        """Return what tags say, or None where nothing is under way.

        Raises:
            Refused: somebody wrote one by hand.
        """
        said: dict[str, list[int]] = {}
        for tag in _of_journal(tags):
            name, _, number = tag.partition(":")
            if not number.isdecimal():
                raise Refused(f"tag '{tag}': it is not of a restore, which says a number; take it off at Linode")
            said.setdefault(name, []).append(int(number))
        for how in (BESIDE, IN_PLACE):
            if how in said:
                exchange = Exchange(frozenset(said.get(OVER, ())), said[DISKS][0]) if DISKS in said else None
                return cls(said[how][0], how == IN_PLACE, exchange)
        return None


@dataclass(frozen=True)
class Case:
    """A server that is restored, as a fleet of its own; its resources in the state; and the server with the backup.

    `node` is the URN of its node, where it has a balancer; `databases` are those that it reaches. `goes_on`: a run
    before this one was cut off.
    """

    fleet: Fleet
    linodes: Linodes
    resource: Mapping[str, Any]
    device: Mapping[str, Any]
    node: str | None
    databases: tuple[int, ...]
    source: Body
    backup: int
    in_place: bool
    goes_on: bool

    @property
    def project(self) -> Project:
        """Its stack's place."""
        return self.fleet.project

    @property
    def member(self) -> Member:
        """The server itself."""
        return self.fleet.members[0]

    @property
    def label(self) -> str:
        """Its label, whichever of the two has it by now."""
        return self.member.label

    @property
    def is_moved(self) -> bool:
        """Whether the state has the new server already."""
        return bool(str(self.source["id"]) != self.resource["id"])


def replacement(case: Case, agreed: updates.Agreed) -> int:
    """Restore beside the server, and have the new one take its place; return the exit code."""
    if not case.is_moved:
        _note(case, BESIDE)
        new = _made(case)
        device = case.linodes.guard(new["id"], int(case.device["inputs"]["firewallId"]))
        _fill(case, new["id"])
        case.linodes.boot(new["id"])
        _admit_to_databases(case, new)
        if problem := _problem(case.fleet, replace(case.member, address=_public(new))):
            raise Failed(
                f"{case.label}: the restored server ({_public(new)}) is not healthy ({problem}), and has taken "
                "nobody's place; `--backup ID` restores another one to it"
            )
        _take_out(case)
        _rename(case, new)
        recovery.move(
            case.project,
            {
                case.resource["urn"]: Moved(
                    str(new["id"]), {"metadatas": [{"userData": engine.secret(_birth(case.member))}]}
                ),
                case.device["urn"]: Moved(str(device), {"entityId": new["id"]}),
            },
        )
        say(f"{case.label}: the state has server {new['id']} for it now")
    if code := updates.bring_up(case.project, agreed):
        return code
    if code := _put_back(fleets.load(case.project, case.fleet.stack).only(case.label)):
        return code
    if case.node:
        recovery.read(case.project, [case.node])  # while it was updated, it was drained
    place = case.linodes.named(case.label)
    _close(case, *([f"{kept.TAG}:{place['id']}"] if place else []))
    was = kept.label(case.label, case.source["id"])
    say(f"{case.label}: restored. {was} is kept, off, with its backups, and billed:")
    say(f"  `{case.project.task('servers.restore')} {was} --delete` deletes it, once nobody needs it")
    return 0


def in_place(case: Case) -> int:
    """Restore over the server itself; return the exit code.

    Raises:
        Refused: a backup of it is being taken; nothing was changed.
        Failed: a step failed.
    """
    target, journal = case.source["id"], Journal.of(case.linodes.get(case.source["id"])["tags"])
    exchange = journal.exchange if journal and journal.backup == case.backup else None
    if not (exchange and case.linodes.is_begun(target, exchange)):
        if case.linodes.is_backed_up_now(target):
            raise Refused(f"{case.label}: a backup of it is being taken, so none can be restored; repeat it after that")
        _note(case, IN_PLACE)
        _exchange(case, target)
        _take_out(case)
    try:
        _fill(case, target)
    except Failed:
        _serve_again(case, target)
        raise
    case.linodes.boot(case.source["id"])
    if code := _put_back(case.fleet):
        return code
    _close(case)
    say(f"{case.label}: restored")
    return 0


def _serve_again(case: Case, target: int) -> None:
    """Boot a server whose disks are the old ones still, for the restore over it was refused."""
    if _exchange(case, target).old == {*case.linodes.disks(target)} and case.linodes.get(target)["status"] == OFFLINE:
        case.linodes.boot(target)
        again = f"`{case.project.task('servers.apply')}` puts it back into its balancer"
        say(f"{case.label}: nothing on its disks was changed, and it runs again; {again}")


def _note(case: Case, how: str) -> None:
    """Note at the cloud what is begun; another backup than a run before this one took begins anew."""
    there = case.linodes.get(case.source["id"])["tags"]
    mine = f"{how}:{case.backup}"
    if mine not in there:
        case.linodes.tag(case.source["id"], mine, remove=_of_journal(there))


def _close(case: Case, *add: str) -> None:
    there = case.linodes.get(case.source["id"])["tags"]
    case.linodes.tag(case.source["id"], *add, remove=_of_journal(there))


def _of_journal(tags: Iterable[str]) -> list[str]:
    return [tag for tag in tags if tag.partition(":")[0] in (BESIDE, IN_PLACE, OVER, DISKS)]


def _made(case: Case) -> Body:
    """Return the new server, made unless it is there: with no disk, so nothing of it runs before its firewall is on."""
    label, inputs = f"{case.label}-next", case.resource["inputs"]
    is_renamed = case.source["label"] != case.label
    if found := case.linodes.named(label) or (case.linodes.named(case.label) if is_renamed else None):
        if sorted(found["tags"]) != sorted(inputs["tags"]):
            raise Failed(f"{found['label']}: a server of that name is there, and not of a restore; rename it")
        return found
    given: dict[str, Any] = {
        "label": label,
        "region": inputs["region"],
        "type": inputs["type"],
        "tags": inputs["tags"],
        "private_ip": inputs["privateIp"],
        "backups_enabled": inputs["backupsEnabled"],
        "disk_encryption": inputs["diskEncryption"],
        "interface_generation": inputs["interfaceGeneration"],
        # To cloud-init on the restored disk this is a new server: it writes the files of its user data once more,
        # and would make itself another host key if it were told none.
        "metadata": {"user_data": _birth(case.member)},
        "booted": False,
    }
    if group := (inputs.get("placementGroup") or {}).get("id"):
        case.linodes.leave(case.source["id"], int(group))  # it has room for no more than are declared
        given["placement_group"] = {"id": int(group)}
    made = case.linodes.make(given)
    say(f"{case.label}: made {label} ({made['id']}, {_public(made)})")
    return made


def _exchange(case: Case, target: int) -> Exchange:
    """Return which disks give way to how many, as it was before any did: noted at the cloud, for a run to go on."""
    journal = Journal.of(case.linodes.get(case.source["id"])["tags"])
    if journal and journal.exchange:
        return journal.exchange
    backups = {each["id"]: each for each in case.linodes.backups(case.source["id"])}
    if case.backup not in backups:
        raise Failed(f"{case.label}: backup {case.backup} is gone by now; `--backup ID` takes another")
    exchange = Exchange(frozenset(case.linodes.disks(target)), len(backups[case.backup]["disks"]))
    case.linodes.tag(case.source["id"], f"{DISKS}:{exchange.new}", *(f"{OVER}:{each}" for each in exchange.old))
    return exchange


def _fill(case: Case, target: int) -> None:
    """Restore the backup to a server, unless that is done."""
    say(f"{case.label}: restoring backup {case.backup} to server {target}, which takes a while")
    case.linodes.restore(case.source["id"], case.backup, target, _exchange(case, target))


def _admit_to_databases(case: Case, new: Body) -> None:
    """Let the new server reach the databases that the old one reaches; the `up` to come shuts the old one out."""
    for each in case.databases:
        case.linodes.admit(each, f"{_public(new)}/32")


def _problem(fleet: Fleet, member: Member) -> str:
    """Wait until a server answers over SSH with its pinned key, and its application does; say what is wrong, if not."""
    endpoint, patience = reach.endpoints(fleet.project)(member), rolling.patience(fleet)
    until = time.monotonic() + (patience.healthy if fleet.project.sandbox else BORN_WITHIN)
    while True:
        with rolling.connected(member, endpoint) as remote:
            try:
                remote.run("true")
                problem = rolling.health(member, remote) or ""
            except Unreachable as reason:
                problem = f"no SSH: {reason}"
            except ScriptError as reason:
                problem = f"a command failed: {reason}"
        if not problem or time.monotonic() > until:
            return problem
        time.sleep(patience.asks)


def _take_out(case: Case) -> None:
    """Take the server out of its balancer, drained where it can be waited for, and off."""
    nodes = Nodes(case.fleet)
    if node := nodes.of(case.member.group).get(case.label):
        endpoints, patience = reach.endpoints(case.project), rolling.patience(case.fleet)
        loop = Roll(case.fleet, lambda *_: Retirement(), endpoints, patience=patience, admit=False)
        if not all(each.good for each in loop.run()):
            if node.mode != DRAIN:
                nodes.set(node, DRAIN)
            say(f"{case.label}: it is out of its balancer all the same")
    case.linodes.shut_down(case.source["id"])


def _rename(case: Case, new: Body) -> None:
    """Give the new server the label; the old one keeps its disks and backups under another."""
    if case.linodes.get(case.source["id"])["label"] == case.label:
        case.linodes.change(case.source["id"], label=kept.label(case.label, case.source["id"]))
    if new["label"] != case.label:
        case.linodes.change(new["id"], label=case.label)


def _put_back(fleet: Fleet) -> int:
    """Bring the server, which is out of its balancer, to what it is to hold, and put it back; return the exit code."""
    (member,) = fleet.members
    if problem := _problem(fleet, replace(member, health=None)):
        raise Failed(f"{member.label}: the restored server does not answer: {problem}")
    endpoints = reach.endpoints(fleet.project)
    if Nodes(fleet).of(member.group):
        with rolling.connected(member, endpoints(member)) as remote:
            rolling.claim(remote)
    outcomes = Roll(fleet, applying.look, endpoints, patience=rolling.patience(fleet)).run()
    return 0 if all(each.good for each in outcomes) else engine.FAILED


def _birth(member: Member) -> str:
    """Return the user data with which a server is born now, as Linode takes it."""
    pack = user_data.compressed if isinstance(member.wanted, user_data.OpsServer) else str.encode
    return base64.b64encode(pack(user_data.render(member.wanted))).decode()


def _public(server: Body) -> str:
    return catalog.public_address(server["ipv4"])
