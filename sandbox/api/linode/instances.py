"""Instances, what is on them, what can be done to them, and their backups."""

import ipaddress
from typing import Any

from sandbox.api.linode.common import KINDS, acts, collection, entry, listed, reads, served, writes
from sandbox.api.route import Call, Page, Route
from sandbox.linode import backups, disks, firewalls, instances
from sandbox.model import Body, Field, Problem, Refused, owned
from sandbox.store import Record, Transaction

_PATH, _ONE, _SCOPE = "/linode/instances", "/linode/instances/{id}", "linodes"
# Fields that have addresses of their own, or are only read when an instance is made: an update skips them.
_SKIPPED = frozenset(
    {
        *("authorized_keys", "authorized_users", "backups_enabled", "booted", "disk_encryption", "image"),
        *("interface_generation", "metadata", "placement_group", "private_ip", "region", "root_pass", "swap_size"),
        "type",
    }
)

_DOES = {"boot": "boots", "reboot": "reboots", "shutdown": "shuts down", "resize": "resizes", "rebuild": "rebuilds"}
_UNSERVED = (
    *("backup_id", "boot_size", "firewall_id", "interfaces", "ipv4", "kernel", "network_helper"),
    *("stackscript_data", "stackscript_id"),
)

INSTANCES = collection(_PATH, instances.NAME, "instance", _SCOPE, unchangeable=_SKIPPED)


def _record(tx: Transaction, call: Call) -> Record:
    return owned(tx, call.account, instances.NAME, call.path["id"])


def _whole(call: Call) -> Body:
    return call.model.read_whole(call.account, instances.NAME, call.path["id"])


def _disks(call: Call) -> list[Body]:
    whole = _whole(call)
    return disks.shown(whole, whole)


def _profiles(call: Call) -> list[Body]:
    return disks.profiles(_whole(call))


def _addresses(call: Call) -> Body:
    found = _whole(call)
    common = {"linode_id": found["id"], "region": found["region"], "interface_id": None}
    four = [_ipv4(address, common) for address in found["ipv4"]]
    slaac = found["ipv6"].partition("/")[0]
    return {
        "ipv4": {
            "public": [address for address in four if address["public"]],
            "private": [address for address in four if not address["public"]],
            "shared": [],
            "reserved": [],
            "vpc": [],
        },
        "ipv6": {
            "slaac": _ipv6(slaac, common, public=True),
            "link_local": _ipv6(_link_local(slaac), common, public=False),
            "global": [],
        },
    }


def _ipv4(address: str, common: Body) -> Body:
    public = ipaddress.ip_address(address) not in _PRIVATE
    network = ipaddress.ip_network(f"{address}/{24 if public else 17}", strict=False)
    return common | {
        "address": address,
        "type": "ipv4",
        "public": public,
        "prefix": network.prefixlen,
        "subnet_mask": str(network.netmask),
        "gateway": str(network.network_address + 1) if public else None,
        "rdns": f"{address.replace('.', '-')}.ip.linodeusercontent.com" if public else None,
        "reserved": False,
        "vpc_nat_1_1": None,
    }


_PRIVATE = ipaddress.ip_network("192.168.128.0/17")
_LINK_LOCAL = int(ipaddress.IPv6Address("fe80::"))


def _ipv6(address: str, common: Body, *, public: bool) -> Body:
    mask = "ffff:ffff:ffff:ffff::"
    return common | {
        "address": address,
        "type": "ipv6",
        "public": public,
        "prefix": 64,
        "subnet_mask": mask,
        "gateway": "fe80::1",
        "rdns": None,
    }


def _link_local(address: str) -> str:
    host = int(ipaddress.IPv6Address(address)) & (2**64 - 1)
    return str(ipaddress.IPv6Address(_LINK_LOCAL | host))


def _firewalls(call: Call) -> Page:
    def question(tx: Transaction) -> list[Body]:
        found = firewalls.of(tx, instances.ENTITY.type, _record(tx, call).id)
        return [KINDS[firewalls.NAME].present(tx, firewall) for firewall in found]

    return listed(call, call.model.ask(question))


def _backups(call: Call) -> Body:
    return call.model.ask(lambda tx: backups.listed(tx, _record(tx, call)))


def _backup(call: Call) -> Body:
    return call.model.ask(lambda tx: backups.find(tx, _record(tx, call), call.path["backup"]))


def _snapshot(call: Call) -> Body:
    call.model.act(call.account, instances.NAME, call.path["id"], backups.SNAPSHOT, call.body)
    snapshots = _backups(call)["snapshot"]
    taken: Body = snapshots["in_progress"] or snapshots["current"]
    return taken


_TARGET, _REQUIRED = Field(int), Problem("linode_id is required", "linode_id")


def _restore(call: Call) -> Body:
    """Onto the instance that the body names, which need not be the one whose backup it is."""
    backup = _backup(call)
    given: dict[str, Any] = {"source": int(call.path["id"]), "backup": backup["id"]}
    target = call.body.get("linode_id")
    if target is None:
        raise Refused(400, _REQUIRED)
    _TARGET.read("linode_id", target)
    call.model.act(
        call.account, instances.NAME, target, backups.RESTORE, given | {"overwrite": call.body.get("overwrite")}
    )
    return {}


ROUTES: tuple[Route, ...] = (
    *served(INSTANCES.routes(), *_UNSERVED),
    *(
        writes(
            "POST",
            f"{_ONE}/{action.name}",
            f"{_DOES[action.name]} an instance",
            acts(instances.NAME, action, (lambda found: found) if action.name == "rebuild" else (lambda _: {})),
            _SCOPE,
        )
        for action in instances.ACTIONS
    ),
    reads(f"{_ONE}/disks", "lists an instance's disks", lambda call: listed(call, _disks(call)), _SCOPE),
    reads(
        f"{_ONE}/disks/{{disk}}",
        "shows an instance's disk",
        lambda call: entry(_disks(call), call.path["disk"]),
        _SCOPE,
    ),
    reads(f"{_ONE}/configs", "lists an instance's profiles", lambda call: listed(call, _profiles(call)), _SCOPE),
    reads(
        f"{_ONE}/configs/{{config}}",
        "shows an instance's profile",
        lambda call: entry(_profiles(call), call.path["config"]),
        _SCOPE,
    ),
    reads(f"{_ONE}/ips", "shows an instance's addresses", _addresses, _SCOPE),
    reads(f"{_ONE}/firewalls", "lists an instance's firewalls", _firewalls, _SCOPE),
    reads(f"{_ONE}/backups", "lists an instance's backups", _backups, _SCOPE),
    writes("POST", f"{_ONE}/backups", "takes a snapshot", _snapshot, _SCOPE),
    writes("POST", f"{_ONE}/backups/enable", "enables backups", acts(instances.NAME, backups.ENABLE), _SCOPE),
    writes("POST", f"{_ONE}/backups/cancel", "cancels backups", acts(instances.NAME, backups.CANCEL), _SCOPE),
    reads(f"{_ONE}/backups/{{backup}}", "shows a backup", _backup, _SCOPE),
    writes("POST", f"{_ONE}/backups/{{backup}}/restore", "restores a backup", _restore, _SCOPE),
)
