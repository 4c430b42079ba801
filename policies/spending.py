"""What a stack may cost: `ceilings` of its configuration, against the prices of the catalog."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from components import catalog, cost
from components.topology import Ceilings
from policies.resource import UNKNOWN, Resource
from policies.rule import Context, ResourceRule, StackRule


@dataclass(frozen=True)
class Plans:
    """The plans of a kind: the key of the dearest that a stack may use, and the price by which plans are compared."""

    key: str
    ceiling: Callable[[Ceilings], str]
    price: Callable[[str], Decimal]


PLANS: Mapping[str, Plans] = {
    "linode:Instance": Plans("plan", lambda ceilings: ceilings.plan, lambda plan: catalog.PLANS[plan].price),
    "linode:DatabasePostgresqlV2": Plans(
        "database_plan",
        lambda ceilings: ceilings.database_plan,
        lambda plan: catalog.DATABASE_PLANS[plan].price_by_nodes[1],
    ),
}


def within_the_ceilings(resource: Resource, context: Context) -> Iterator[str]:
    """What a resource costs is known, and its plan is not above the largest that the stack may use."""
    plan = resource.get("type")
    if UNKNOWN in (plan, resource.get("clusterSize")):
        return
    try:
        cost.of_resource(resource.kind, resource.properties)
    except KeyError:
        yield f"the catalog has no price of a {resource.kind}{f', {plan}' if plan else ''}; use what it has, or add it"
        return
    if plans := PLANS.get(resource.kind):
        ceiling = plans.ceiling(context.settings.ceilings)
        if plans.price(plan) > plans.price(ceiling):
            yield f"its plan '{plan}' is above '{ceiling}'; use a smaller one, or raise `ceilings.{plans.key}`"


def within_the_budget(every: Sequence[Resource], context: Context) -> Iterator[tuple[None, str]]:
    """All resources together, as far as their plans are known, cost no more than the stack may."""
    together, _ = cost.of_resources((each.kind, each.all_known()) for each in every)
    if together > (ceiling := context.settings.ceilings.monthly):
        yield (
            None,
            f"all resources together cost {together:,.2f} dollars a month, and the stack may cost {ceiling:,}; "
            "declare less, or raise `ceilings.monthly`",
        )


RULES = (
    ResourceRule(
        "plans", "What costs money has a price in the catalog, and is not above `ceilings`.", within_the_ceilings
    ),
)
STACK_RULES = (StackRule("budget", "The stack costs no more a month than `ceilings.monthly`.", within_the_budget),)
