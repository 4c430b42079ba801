"""Rules about places: what they refuse, what they let pass, and what they leave to the update."""

from typing import Any

import pytest

from policies.resource import UNKNOWN, Resource
from tests.policies.asking import found, resource

KEY = {"bucketAccesses": [{"bucketName": "copies", "region": "us-ord"}, {"bucketName": "copies", "region": "fr-par"}]}


@pytest.mark.parametrize(
    ("about", "says"),
    [
        (resource("linode:Instance", region="eu-central"), "the region 'eu-central' is outside the jurisdiction 'us'"),
        (resource("linode:Instance", region="mars"), "the region 'mars' is outside the jurisdiction 'us'"),
        (resource("linode:NodeBalancer"), "it says no region, and the provider would choose one"),
        (resource("linode:ObjectStorageKey", **KEY), "the region 'fr-par' is outside"),
        (resource("linode:ObjectStorageKey", regions=["us-ord", "gb-lon"]), "the region 'gb-lon' is outside"),
        (resource("cloudflare:LoadBalancerPool", checkRegions=["ENAM", "WEU"]), "it is probed from 'WEU'"),
        (resource("cloudflare:Healthcheck"), "it says no `check_regions`"),
    ],
)
def test_what_is_outside_the_jurisdiction_is_refused(about: Resource, says: str) -> None:
    (what,) = found("jurisdiction", about)
    assert says in what


@pytest.mark.parametrize(
    "about",
    [
        resource("linode:Instance", region="us-iad"),
        resource("linode:Instance", region=UNKNOWN),
        resource("linode:FirewallDevice", entityId=1),
        resource("linode:ObjectStorageKey", bucketAccesses=UNKNOWN),
        resource("cloudflare:LoadBalancerPool", checkRegions=["ENAM"]),
        resource("cloudflare:LoadBalancerPool", checkRegions=[UNKNOWN]),
        resource("cloudflare:DnsRecord"),
    ],
)
def test_what_is_inside_or_not_yet_known_passes(about: Resource) -> None:
    assert found("jurisdiction", about) == []


def test_europe_is_outside_for_a_stack_of_the_states_and_inside_for_its_own() -> None:
    server = resource("linode:Instance", region="de-fra-2")
    assert len(found("jurisdiction", server, "us-central")) == 1
    assert found("jurisdiction", server, "eu-frankfurt") == []


def test_a_bucket_is_apart_from_the_databases() -> None:
    bucket = resource("linode:ObjectStorageBucket", region="us-central")
    (what,) = found("copies", bucket, "us-central")
    assert what == "it is in 'us-central', as the databases are whose copies it keeps; use another region"
    assert found("copies", bucket, "eu-frankfurt") == []  # another rule's matter
    assert found("copies", resource("linode:ObjectStorageBucket", region=UNKNOWN)) == []


@pytest.mark.parametrize(
    ("name", "own", "key"), [("zoneId", "e", "cloudflareZoneId"), ("accountId", "d", "cloudflareAccountId")]
)
def test_what_is_at_cloudflare_is_in_the_stacks_own_zone_and_account(name: str, own: str, key: str) -> None:
    assert found("zone", resource("cloudflare:LoadBalancer", **{name: "f" * 32})) == [
        f"its `{name}` is '{'f' * 32}', and the stack's is '{own * 32}'; use the stack's `chat-tonic:{key}`"
    ]
    assert found("zone", resource("cloudflare:LoadBalancer", **{name: own * 32})) == []
    assert found("zone", resource("cloudflare:LoadBalancer", **{name: UNKNOWN})) == []
    assert found("zone", resource("linode:Instance", **{name: "f" * 32})) == []


@pytest.mark.parametrize(
    ("routing", "refused"),
    [
        (None, False),
        (UNKNOWN, False),
        ({"failoverAcrossPools": UNKNOWN}, False),
        ({"failoverAcrossPools": False}, False),
        ({"failoverAcrossPools": True}, True),
    ],
)
def test_a_request_is_not_retried_in_another_sites_pool(routing: Any, *, refused: bool) -> None:
    says = ["its `adaptive_routing` has `failover_across_pools` on; leave it out, or write False"]
    assert found("steering", resource("cloudflare:LoadBalancer", adaptiveRouting=routing)) == says * refused


@pytest.mark.parametrize(
    ("about", "says"),
    [
        (
            resource("linode:ObjectStorageBucket", region="us-central"),
            "'us-central' has no object storage; these have: us-ord, us-iad, us-lax, us-mia, us-sea",
        ),
        (resource("linode:Vpc", region="us-central"), "'us-central' has no VPCs; these have: us-ord, us-iad"),
        (resource("linode:NodeBalancer", region="us-central", vpcs=[{"subnetId": 1}]), "'us-central' has no VPCs"),
        (
            resource("linode:DatabasePostgresqlV2", region="us-central", privateNetwork={"vpcId": UNKNOWN}),
            "'us-central' has no VPCs",
        ),
    ],
)
def test_what_a_region_does_not_have_is_refused_in_it(about: Resource, says: str) -> None:
    (what,) = found("capabilities", about)
    assert what.startswith(says)


@pytest.mark.parametrize(
    "about",
    [
        resource("linode:ObjectStorageBucket", region="us-ord"),
        resource("linode:ObjectStorageBucket", region=UNKNOWN),
        resource("linode:NodeBalancer", region="us-central"),
        resource("linode:DatabasePostgresqlV2", region="us-ord", privateNetwork={"vpcId": 1}),
    ],
)
def test_what_a_region_has_or_may_have_passes(about: Resource) -> None:
    assert found("capabilities", about) == []
