"""What a stack costs a month, from its configuration or its resources; no cloud is asked. US dollars before tax."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from components import catalog
from components.topology import Stack

HOURS_OF_A_MONTH = Decimal(730)
AN_HOUR_OF_A_MONTH = Decimal("0.0015")


@dataclass(frozen=True)
class Line:
    """One kind of thing: how many, and dollars a month for each and for all."""

    item: str
    count: int
    each: Decimal

    @property
    def total(self) -> Decimal:
        """Dollars a month for all of them."""
        return self.count * self.each


def monthly(stack: Stack) -> tuple[Line, ...]:
    """Return what a stack is made of and what it costs a month; Cloudflare's plan is not in it (facts not public)."""
    return tuple(line for line in _lines(stack) if line.count)


def total(stack: Stack) -> Decimal:
    """Return dollars a month for the whole stack."""
    return sum((line.total for line in monthly(stack)), Decimal(0))


def of_resources(resources: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[Decimal, tuple[str, ...]]:
    """Return dollars a month for resources, each by its type and its inputs, and what the catalog has no price of."""
    together, unknown, buckets = Decimal(0), set(), False
    for type_, inputs in resources:
        kind = catalog.kind_of(type_)
        buckets = buckets or kind == "linode:ObjectStorageBucket"
        try:
            together += of_resource(kind, inputs)
        except KeyError:
            unknown.add(f"{kind.rpartition(':')[2]}, {inputs.get('type')}")
    return together + (catalog.OBJECT_STORAGE_PRICE if buckets else 0), tuple(sorted(unknown))


def of_resource(kind: str, inputs: Mapping[str, Any]) -> Decimal:
    """Return dollars a month for a resource of a kind (`linode:Instance`), without what an account pays for once.

    Raises:
        KeyError: the catalog has no price for it.
    """
    return _PRICES[kind](inputs) if kind.startswith("linode:") and kind not in FREE else Decimal(0)


def over(monthly: Decimal, hours: Decimal) -> Decimal:
    """Return the dollars for what costs so much a month and was there so long: hours that were begun, up to a month's.

    The provider's prices an hour are this part of those a month (a g6-nanode-1: 0.0075 of 5; recorded 2024-07).
    """
    months, rest = divmod(hours, HOURS_OF_A_MONTH)
    return monthly * (months + min(rest.to_integral_value(ROUND_CEILING) * AN_HOUR_OF_A_MONTH, Decimal(1)))


def _lines(stack: Stack) -> Iterator[Line]:
    for name, _, role, group in stack.groups():
        servers = group.count * len(group.generations)
        plan = catalog.PLANS[group.plan]
        yield Line(f"{name}: {role} servers, {group.plan}", servers, plan.price)
        yield Line(f"{name}: {role} servers' backups", servers, plan.backups)
    for name, environment in stack.environments.items():
        yield Line(f"{name}: NodeBalancers", len(environment.groups), catalog.NODE_BALANCER_PRICE)
        database = environment.database
        price = catalog.DATABASE_PLANS[database.plan].price_by_nodes[database.nodes]
        yield Line(f"{name}: PostgreSQL, {database.nodes} of {database.plan}", len(database.generations), price)
    if stack.ops is not None:
        plan = catalog.PLANS[stack.ops.plan]
        yield Line(f"ops server, {stack.ops.plan}", 1, plan.price)
        yield Line("ops server's backups", 1, plan.backups)
    if any(environment.database.copies for environment in stack.environments.values()):
        yield Line("object storage for copies", 1, catalog.OBJECT_STORAGE_PRICE)


def _server(inputs: Mapping[str, Any]) -> Decimal:
    plan = catalog.PLANS[inputs["type"]]
    return plan.price + (plan.backups if inputs.get("backupsEnabled") else 0)


def _database(inputs: Mapping[str, Any]) -> Decimal:
    return catalog.DATABASE_PLANS[inputs["type"]].price_by_nodes[inputs["clusterSize"]]


def _balancer(inputs: Mapping[str, Any]) -> Decimal:
    return {"common": catalog.NODE_BALANCER_PRICE}[inputs.get("type") or "common"]


_PRICES: Mapping[str, Callable[[Mapping[str, Any]], Decimal]] = {
    "linode:DatabasePostgresqlV2": _database,
    "linode:Instance": _server,
    "linode:NodeBalancer": _balancer,
}

FREE = frozenset(
    {
        "linode:DatabaseAccessControls",
        "linode:Firewall",
        "linode:FirewallDevice",
        "linode:NodeBalancerConfig",
        "linode:NodeBalancerNode",
        "linode:ObjectStorageBucket",  # an account pays for the first one, see above
        "linode:ObjectStorageKey",
        "linode:PlacementGroup",
    }
)
"""Kinds of Linode's resources that are in no bill by themselves. One that is neither here nor priced is unknown."""
