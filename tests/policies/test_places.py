"""Rules about places: what they refuse, what they let pass, and what they leave to the update."""

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
