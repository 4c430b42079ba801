"""Firewalls, their rules, and the devices that they guard."""

from sandbox.api.linode.common import collection, reads, served, without, writes
from sandbox.api.route import Call, Route
from sandbox.linode import firewalls
from sandbox.model import Body, Problem, Refused

_ONE, _DEVICES, _SCOPE = "/networking/firewalls/{id}", "/networking/firewalls/{firewall}/devices", "firewall"

FIREWALLS = collection("/networking/firewalls", firewalls.NAME, "firewall", _SCOPE, unchangeable=frozenset({"rules"}))
DEVICES = collection(
    _DEVICES,
    firewalls.DEVICE,
    "firewall device",
    _SCOPE,
    hides=("firewall_id",),
    named="",
    above={"firewall": "firewall_id"},
    verbs=frozenset({"list", "read", "delete"}),
)


def _rules(call: Call) -> Body:
    rules: Body = FIREWALLS.find(call)["rules"]
    return rules


def _set_rules(call: Call) -> Body:
    given = {"rules": call.body}
    changed = call.model.update(call.account, firewalls.NAME, call.path["id"], given, "rules_update")
    rules: Body = changed["rules"]
    return rules


def _add_device(call: Call) -> Body:
    given = {name: call.body[name] for name in ("id", "type") if call.body.get(name) is not None}
    missing = [name for name in ("id", "type") if name not in given]
    firewall = call.model.read(call.account, firewalls.NAME, call.path["firewall"])
    if missing:
        raise Refused(400, *(Problem(f"{name} is required", name) for name in missing))
    body = {"firewall_id": firewall["id"], "entity": given}
    return without("firewall_id")(call.model.create(call.account, firewalls.DEVICE, body))


ROUTES: tuple[Route, ...] = (
    *served(FIREWALLS.routes(), "devices"),
    *DEVICES.routes(),
    reads(f"{_ONE}/rules", "shows a firewall's rules", _rules, _SCOPE),
    writes("PUT", f"{_ONE}/rules", "replaces a firewall's rules", _set_rules, _SCOPE),
    writes("POST", _DEVICES, "adds a firewall device", _add_device, _SCOPE),
)
