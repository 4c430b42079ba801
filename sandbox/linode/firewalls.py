"""Cloud Firewalls, their rules, and the devices (instances, NodeBalancers) they guard."""

import hashlib
import ipaddress
import json
import re
from collections.abc import Iterator
from typing import Any

from typing_extensions import TypedDict

from sandbox.linode import events, instances, rules
from sandbox.model import Body, Change, Field, Kind, Problem
from sandbox.store import Record, Transaction

NAME = "linode.firewall"
DEVICE = "linode.firewall_device"
GUARDED = "guarded"  # the relation of a device to what its firewall guards, as "type/id"

# By a device's entity type: the kind it names, and the URL the API shows.
ENTITIES = {
    "linode": (instances.NAME, "/v4/linode/instances/{}"),
    "nodebalancer": ("linode.node_balancer", "/v4/nodebalancers/{}"),
}
ENTITY = events.Entity("firewall", "/v4/networking/firewalls/{id}")
RULES, ADDRESSES, PORTS = 25, 255, 15  # limits: rules a firewall (in and out), addresses and ports a rule


class _Addresses(TypedDict, total=False):
    ipv4: list[str] | None
    ipv6: list[str] | None


class _Rule(TypedDict, total=False):
    action: str
    protocol: str
    label: str | None
    description: str | None
    ports: str | None
    addresses: _Addresses | None


class _Rules(TypedDict, total=False):
    inbound: list[_Rule] | None
    inbound_policy: str
    outbound: list[_Rule] | None
    outbound_policy: str


class _Entity(TypedDict):
    id: int
    type: str


_POLICIES = ("ACCEPT", "DROP")
_PROTOCOLS = ("TCP", "UDP", "ICMP", "IPENCAP")
_WITH_PORTS = ("TCP", "UDP")


def _rules(change: Change) -> Iterator[Problem]:
    document = change.body["rules"]
    for policy in ("inbound_policy", "outbound_policy"):
        if document.get(policy) not in _POLICIES:
            yield Problem(f"Must be one of {', '.join(_POLICIES)}", f"rules.{policy}")
    for direction in ("inbound", "outbound"):
        for position, rule in enumerate(document.get(direction) or ()):
            yield from _rule(rule, f"rules.{direction}[{position}]")
    if sum(len(document.get(direction) or ()) for direction in ("inbound", "outbound")) > RULES:
        yield Problem(f"A maximum of {RULES} rules is allowed", "rules")


def _rule(rule: Body, where: str) -> Iterator[Problem]:
    for name, choices in (("action", _POLICIES), ("protocol", _PROTOCOLS)):
        if rule.get(name) not in choices:
            yield Problem(f"Must be one of {', '.join(choices)}", f"{where}.{name}")
    if rule.get("label") and not 3 <= len(rule["label"]) <= 32:  # noqa: PLR2004
        yield Problem("Label must be between 3 and 32 characters", f"{where}.label")
    if rule.get("ports") and rule.get("protocol") not in _WITH_PORTS:
        yield Problem("Ports are only allowed for TCP and UDP", f"{where}.ports")
    elif rule.get("ports") and not _are_ports(rule["ports"]):
        yield Problem(f"Must be up to {PORTS} ports and ranges from 1 to 65535, separated by commas", f"{where}.ports")
    yield from _addresses(rule.get("addresses") or {}, f"{where}.addresses")


def _addresses(addresses: Body, where: str) -> Iterator[Problem]:
    given = [(version, address) for version in ("ipv4", "ipv6") for address in addresses.get(version) or ()]
    for version, address in given:
        if not _is_range(address, version):
            yield Problem(f"Must be a valid {version.replace('ip', 'IP')} network: {address}", f"{where}.{version}")
    if not 1 <= len(given) <= ADDRESSES:
        yield Problem(f"Must have 1 to {ADDRESSES} addresses", where)


def _are_ports(text: str) -> bool:
    pieces = [piece.strip() for piece in text.split(",")]
    if len(pieces) > PORTS:
        return False
    for piece in pieces:
        found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", piece)
        if not found:
            return False
        first, last = int(found[1]), int(found[2] or found[1])
        if not 1 <= first <= last <= 65_535:  # noqa: PLR2004
            return False
    return True


def _is_range(address: str, version: str) -> bool:
    network = ipaddress.IPv4Network if version == "ipv4" else ipaddress.IPv6Network
    try:
        network(address, strict=False)
    except ValueError:
        return False
    return "/" in address


def _complete(change: Change) -> None:
    document = change.body["rules"]
    document = {name: value for name, value in document.items() if name not in ("version", "fingerprint")}
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:8]
    before = (change.before or {}).get("rules", {})
    same = before.get("fingerprint") == digest
    version = before.get("version", 0) + (0 if same else 1)
    change.body["rules"] = document | {"fingerprint": digest, "version": version}


def _present(tx: Transaction, record: Record) -> Body:
    return {**record.body, "entities": [device.body["entity"] for device in tx.children(NAME, record.id)]}


def _devices(tx: Transaction, record: Record) -> Body:
    return {"devices": [device.body for device in tx.children(NAME, record.id)]}


def of(tx: Transaction, entity_type: str, entity: object) -> list[Record]:
    """The firewalls that guard an instance or a NodeBalancer."""
    guards = tx.linked(GUARDED, f"{entity_type}/{entity}")
    found = (tx.get(NAME, device.body["firewall_id"]) for device in guards)
    return [record for record in found if record]


def _entity(change: Change) -> Iterator[Problem]:
    entity_type, entity = change.body["entity"].get("type"), change.body["entity"].get("id")
    kind, _ = ENTITIES.get(entity_type, ("", ""))
    if not kind:
        yield Problem(f"type is not valid: must be one of {', '.join(ENTITIES)}", "type")
        return
    if not change.other(kind, entity):
        yield Problem(f"A valid {entity_type} by that ID was not found", "id")
    firewall = change.other(NAME, change.body["firewall_id"])
    active = [other for other in of(change.tx, entity_type, entity) if other.body["status"] == "enabled"]
    if firewall and firewall.body["status"] == "enabled" and any(other.id != firewall.id for other in active):
        yield Problem(f"{entity_type} {entity} already has an active firewall assigned", "id")


def _device(change: Change) -> None:
    entity = change.body["entity"]
    kind, url = ENTITIES[entity["type"]]
    found = change.other(kind, entity["id"])
    assert found is not None  # _entity looked  # noqa: S101
    change.body["entity"] = entity | {"label": found.body["label"], "url": url.format(found.id)}


def _device_notices(tx: Transaction, record: Record, action: str) -> None:
    firewall = tx.get(NAME, record.body["firewall_id"])
    assert firewall is not None  # its devices go before it  # noqa: S101
    called = {"create": "firewall_device_add", "delete": "firewall_device_remove"}[action]
    events.tell(tx, record.account, called, (ENTITY.of(firewall), record.body["entity"]))


def _device_links(body: Body) -> Iterator[tuple[str, Any]]:
    entity = body["entity"]
    yield GUARDED, f"{entity['type']}/{entity['id']}"
    yield f"entity:{ENTITIES[entity['type']][0]}", entity["id"]


KINDS = (
    Kind(
        NAME,
        fields={
            "label": rules.label(3, 32, required=True),
            "rules": Field(_Rules, required=True),
            "status": Field(choices=("enabled", "disabled"), default="enabled"),
            "tags": rules.TAGS,
        },
        key=lambda body: str(body["label"]),
        taken=Problem("Label must be unique among your firewalls", "label"),
        rules=(_rules, rules.tags),
        complete=_complete,
        present=_present,
        beside=_devices,
        notices=events.life("firewall", ENTITY),
        limit=500,
        over_limit=Problem("Maximum number of firewalls reached"),
    ),
    Kind(
        DEVICE,
        fields={
            "firewall_id": Field(int, required=True, fixed=True),
            "entity": Field(_Entity, required=True, fixed=True),
        },
        key=lambda body: "{firewall_id}/{entity[type]}/{entity[id]}".format(**body),
        taken=Problem("The firewall is already assigned to this entity", "id"),
        rules=(_entity,),
        complete=_device,
        parent=lambda body: (NAME, body["firewall_id"]),
        links=_device_links,
        notices=_device_notices,
    ),
)
