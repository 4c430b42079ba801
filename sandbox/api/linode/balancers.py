"""NodeBalancers, their configurations and nodes, and the firewalls that guard them."""

from sandbox.api.linode.common import KINDS, collection, listed, reads, served
from sandbox.api.route import Call, Page, Route
from sandbox.linode import firewalls, node_balancers
from sandbox.model import Body, owned
from sandbox.store import Transaction

_PATH, _SCOPE, _HIDDEN = "/nodebalancers", "nodebalancers", ("created", "updated")

BALANCERS = collection(_PATH, node_balancers.NAME, "NodeBalancer", _SCOPE)
CONFIGS = collection(
    f"{_PATH}/{{nodebalancer}}/configs",
    node_balancers.CONFIG,
    "NodeBalancer configuration",
    _SCOPE,
    hides=_HIDDEN,
    named="",
    above={"nodebalancer": "nodebalancer_id"},
)
NODES = collection(
    f"{_PATH}/{{nodebalancer}}/configs/{{config}}/nodes",
    node_balancers.NODE,
    "NodeBalancer node",
    _SCOPE,
    hides=_HIDDEN,
    named="",
    above={"nodebalancer": "nodebalancer_id", "config": "config_id"},
)


def _firewalls(call: Call) -> Page:
    def question(tx: Transaction) -> list[Body]:
        balancer = owned(tx, call.account, node_balancers.NAME, call.path["id"])
        found = firewalls.of(tx, node_balancers.ENTITY.type, balancer.id)
        return [KINDS[firewalls.NAME].present(tx, firewall) for firewall in found]

    return listed(call, call.model.ask(question))


ROUTES: tuple[Route, ...] = (
    *served(BALANCERS.routes(), "configs", "firewall_id", "ipv4", "vpcs"),
    *CONFIGS.routes(),
    *NODES.routes(),
    reads(f"{_PATH}/{{id}}/firewalls", "lists a NodeBalancer's firewalls", _firewalls, _SCOPE),
)
