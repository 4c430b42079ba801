"""What a stack may cost: `ceilings` of its configuration, against the prices of the catalog."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from components import catalog
from policies.resource import UNKNOWN, Resource
from policies.rule import Context, ResourceRule, StackRule

# Of the provider's resources, those that are in no bill by themselves.
FREE = frozenset(
    {
        "linode:DatabaseAccessControls",
        "linode:Firewall",
        "linode:FirewallDevice",
        "linode:NodeBalancerConfig",
        "linode:NodeBalancerNode",
        "linode:ObjectStorageBucket",  # an account pays once, see below
        "linode:ObjectStorageKey",
        "linode:PlacementGroup",
    }
)


def _server(server: Resource) -> Decimal | None:
    plan = catalog.PLANS.get(server.get("type"))
    return plan.price + (plan.backups if server.get("backupsEnabled") else 0) if plan else None


def _database(database: Resource) -> Decimal | None:
    plan = catalog.DATABASE_PLANS.get(database.get("type"))
    return plan.price_by_nodes.get(database.get("clusterSize") or 1) if plan else None


def _balancer(balancer: Resource) -> Decimal | None:
    return catalog.NODE_BALANCER_PRICE if balancer.get("type") in (None, UNKNOWN, "common") else None


PRICES: Mapping[str, Callable[[Resource], Decimal | None]] = {
    "linode:Instance": _server,
    "linode:DatabasePostgresqlV2": _database,
    "linode:NodeBalancer": _balancer,
}
"""Dollars a month of a resource, or None where the catalog has no price for it."""


def within_the_ceilings(resource: Resource, context: Context) -> Iterator[str]:
    """A plan has a price that is known, and not above that of the largest plan that the stack may use."""
    if not resource.kind.startswith("linode:") or resource.kind in FREE:
        return
    if UNKNOWN in (resource.get("type"), resource.get("clusterSize")):
        return
    if resource.kind not in PRICES:
        yield f"nobody has said what a {resource.kind} costs; add it to PRICES or to FREE in policies/spending.py"
        return
    if PRICES[resource.kind](resource) is None:
        yield "the catalog has no price for it, so nobody knows what it adds to the bill; use a plan that it has"
        return
    ceilings, plan = context.settings.ceilings, resource.get("type")
    for kind, key, ceiling, price in (
        ("linode:Instance", "plan", ceilings.plan, lambda name: catalog.PLANS[name].price),
        ("linode:DatabasePostgresqlV2", "database_plan", ceilings.database_plan, _of_one_node),
    ):
        if resource.kind == kind and price(plan) > price(ceiling):
            yield f"its plan '{plan}' is above '{ceiling}'; use a smaller one, or raise `ceilings.{key}`"


def _of_one_node(plan: str) -> Decimal:
    return catalog.DATABASE_PLANS[plan].price_by_nodes[1]


def monthly(every: Sequence[Resource]) -> Decimal:
    """Return what resources cost a month together, as far as their plans are known."""
    prices = (PRICES[each.kind](each) for each in every if each.kind in PRICES)
    storage = any(each.kind == "linode:ObjectStorageBucket" for each in every)
    return sum(filter(None, prices), catalog.OBJECT_STORAGE_PRICE if storage else Decimal(0))


def within_the_budget(every: Sequence[Resource], context: Context) -> Iterator[tuple[None, str]]:
    """All resources together cost no more than the stack may."""
    cost, ceiling = monthly(every), context.settings.ceilings.monthly
    if cost > ceiling:
        yield (
            None,
            f"all resources together cost {cost:,.2f} dollars a month, and the stack may cost {ceiling:,}; "
            "declare less, or raise `ceilings.monthly`",
        )


RULES = (
    ResourceRule(
        "plans", "What costs money has a price in the catalog, and is not above `ceilings`.", within_the_ceilings
    ),
)
STACK_RULES = (StackRule("budget", "The stack costs no more a month than `ceilings.monthly`.", within_the_budget),)
