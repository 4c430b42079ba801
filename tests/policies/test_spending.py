"""Rules about what a stack may cost."""

from typing import Any

import pytest

from policies.resource import UNKNOWN, Resource
from tests.policies.asking import found, found_in_stack, resource

DATABASE = "linode:DatabasePostgresqlV2"
UNPRICED = "the catalog has no price of a "


def server(plan: Any, **properties: Any) -> Resource:
    return resource("linode:Instance", type=plan, backupsEnabled=True, **properties)


@pytest.mark.parametrize(
    ("about", "says"),
    [
        (server("g6-standard-6"), "its plan 'g6-standard-6' is above 'g6-standard-4'; use a smaller one, or raise"),
        (server("g6-dedicated-4"), "its plan 'g6-dedicated-4' is above 'g6-standard-4'"),
        (
            server("g7-premium-2"),
            "the catalog has no price of a linode:Instance, g7-premium-2; use what it has, or add it",
        ),
        (resource("linode:Instance"), UNPRICED),
        (resource(DATABASE, type="g6-dedicated-8", clusterSize=1), "its plan 'g6-dedicated-8' is above"),
        (resource(DATABASE, type="g6-standard-1", clusterSize=2), UNPRICED),
        (resource("linode:NodeBalancer", type="premium"), UNPRICED),
        (resource("linode:LkeCluster"), "the catalog has no price of a linode:LkeCluster; use what it has, or add it"),
    ],
)
def test_plans_above_the_ceiling_and_without_a_price_are_refused(about: Resource, says: str) -> None:
    (what,) = found("plans", about)
    assert what.startswith(says)


@pytest.mark.parametrize(
    "about",
    [
        server("g6-standard-4"),
        server("g6-dedicated-2"),
        server(UNKNOWN),
        resource(DATABASE, type="g6-dedicated-4", clusterSize=3),
        resource(DATABASE, type=UNKNOWN, clusterSize=3),
        resource(DATABASE, type="g6-standard-1", clusterSize=UNKNOWN),
        resource("linode:NodeBalancer"),
        resource("linode:NodeBalancer", type=UNKNOWN),
        resource("linode:FirewallDevice"),
        resource("cloudflare:LoadBalancer"),
    ],
)
def test_plans_up_to_the_ceiling_and_free_kinds_pass(about: Resource) -> None:
    assert found("plans", about) == []


def test_a_stack_may_cost_its_ceiling_and_no_more() -> None:
    small = resource(DATABASE, type="g6-nanode-1", clusterSize=1)  # 16
    ceiling = [small, *[server("g6-standard-4")] * 3, resource("linode:NodeBalancer")]  # 16 + 3 x 58 + 10 = 200
    assert found_in_stack("budget", *ceiling, stack="test") == []
    above = [*ceiling, server("g6-nanode-1")]
    assert found_in_stack("budget", *above, stack="test") == [
        (
            None,
            "all resources together cost 207.00 dollars a month, and the stack may cost 200; declare less, or raise "
            "`ceilings.monthly`",
        )
    ]


def test_what_is_not_known_yet_is_counted_when_it_is() -> None:
    unknown = [server(UNKNOWN), resource(DATABASE, type="g6-dedicated-4", clusterSize=UNKNOWN)] * 50
    balancers = [resource("linode:NodeBalancer", type=UNKNOWN)] * 20
    assert found_in_stack("budget", *unknown, *balancers, stack="test") == []
    assert len(found_in_stack("budget", *unknown, *balancers, server("g6-nanode-1"), stack="test")) == 1
