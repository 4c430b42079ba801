"""Rules about whom resources name: the stack's own."""

from dataclasses import replace
from typing import Any

import pytest

from policies.resource import UNKNOWN, Resource
from policies.rules import STACK_RULES
from tests.policies.asking import context, found_in_stack, named

BALANCER = named("linode:NodeBalancer", "balancer", ipv4="198.51.100.1", ipv6="2001:db8::1")
SERVER = named("linode:Instance", "server", ipv4s=["198.51.100.2", "192.168.130.2"], tags=["role:api"])
OPS = named("linode:Instance", "ops", ipv4s=["198.51.100.3"], ipv6="2001:db8::3/128", tags=["role:ops"])
UNMADE = named("linode:Instance", "ops", ipv4s=UNKNOWN, tags=["role:ops"])
POOL = named("cloudflare:LoadBalancerPool", "pool")


def ssh(*sources: Any, of: Resource | None = None) -> Resource:
    """Return a firewall that admits these to SSH, whose unknown ones come from a resource."""
    rule = {"action": "ACCEPT", "ports": "22", "ipv4s": [*sources]}
    return named("linode:Firewall", "it", {"inbounds": [of.urn]} if of else {}, inbounds=[rule])


def pool(address: Any, *of: Resource) -> Resource:
    origins = [{"name": "here", "address": address}]
    return named("cloudflare:LoadBalancerPool", "it", {"origins": [each.urn for each in of]}, origins=origins)


def record(address: Any, *of: Resource, type_: str = "A") -> Resource:
    return named("cloudflare:DnsRecord", "it", {"content": [each.urn for each in of]}, type=type_, content=address)


def check(address: Any, *of: Resource) -> Resource:
    return named("cloudflare:Healthcheck", "it", {"address": [each.urn for each in of]}, address=address)


def test_the_name_of_the_metadata_leads_nowhere_as_a_worker_answers_it() -> None:
    own, other = (
        replace(record("100::", type_="AAAA"), properties={"type": "AAAA", "content": "100::", "name": name})
        for name in ("failover.chat-tonic-us.example", "api.chat-tonic-us.example")
    )
    assert found_in_stack("origins", own) == []
    ((_, what),) = found_in_stack("origins", other)
    assert what.startswith("`content` has 100::, which is not a balancer's of this stack")


def allowed(address: Any, *of: Resource) -> Resource:
    urns = [each.urn for each in of]
    return named("linode:DatabaseAccessControls", "it", {"allowLists": urns}, allowLists=[address])


@pytest.mark.parametrize(
    ("rule", "about"),
    [
        ("origins", pool("198.51.100.1", BALANCER)),
        ("origins", pool(UNKNOWN, BALANCER)),
        ("origins", record("198.51.100.1")),
        ("origins", record("2001:db8:0::1", type_="AAAA")),
        ("origins", record("any text", type_="TXT")),
        ("origins", check(UNKNOWN, BALANCER)),
        ("database-access", allowed("198.51.100.2/32")),
        ("database-access", allowed("198.51.100.3/32")),
        ("database-access", allowed(UNKNOWN, SERVER)),
        ("ssh", ssh("198.51.100.3/32")),
        ("ssh", ssh("2001:db8::3/128")),
        ("ssh", ssh("203.0.113.0/24", "203.0.113.9/32")),
        ("ssh", ssh(UNKNOWN, of=OPS)),
    ],
)
def test_the_stacks_own_addresses_pass_known_or_not(rule: str, about: Resource) -> None:
    assert found_in_stack(rule, BALANCER, SERVER, OPS, about) == []


@pytest.mark.parametrize(
    ("rule", "about", "says"),
    [
        ("origins", pool("198.51.100.99"), "`origins` has 198.51.100.99, which is not a balancer's of this stack"),
        ("origins", pool("198.51.100.2", SERVER), "`origins` has 198.51.100.2, which is not a balancer's"),
        ("origins", pool(UNKNOWN, SERVER), "`origins` will have an address that is not a balancer's of this stack"),
        ("origins", pool(UNKNOWN), "`origins` will have an address that is not a balancer's of this stack"),
        ("origins", record("elsewhere", type_="CNAME"), "`content` has elsewhere, which is not a balancer's"),
        ("origins", check("198.51.100.99"), "`address` has 198.51.100.99, which is not a balancer's"),
        ("database-access", allowed("198.51.100.99/32"), "`allowLists` has 198.51.100.99/32, which is not a server's"),
        ("database-access", allowed(UNKNOWN, BALANCER), "`allowLists` will have an address that is not a server's"),
        ("ssh", ssh("198.51.100.2/32"), "`inbounds` has 198.51.100.2/32, which is not the ops server's"),
        ("ssh", ssh(UNKNOWN, of=SERVER), "`inbounds` will have an address that is not the ops server's"),
    ],
)
def test_strange_addresses_are_refused_known_or_not(rule: str, about: Resource, says: str) -> None:
    ((name, what),) = found_in_stack(rule, BALANCER, SERVER, OPS, about)
    assert name == "it"
    assert what.startswith(says)


def test_an_address_that_is_written_out_is_not_that_of_a_server_still_to_be_made() -> None:
    ((_, what),) = found_in_stack("ssh", UNMADE, ssh("198.51.100.3/32"))
    assert what == "`inbounds` has 198.51.100.3/32, which is not the ops server's of this stack; leave it out"


@pytest.mark.parametrize("name", ["defaultPools", "fallbackPool", "regionPools"])
@pytest.mark.parametrize("id_", ["0123", UNKNOWN])
def test_load_balancers_use_pools_of_the_stack(name: str, id_: object) -> None:
    value = {"defaultPools": [id_], "fallbackPool": id_, "regionPools": {"WNAM": [id_]}}[name]
    of_own = named("cloudflare:LoadBalancer", "it", {name: [POOL.urn]}, **{name: value})
    assert found_in_stack("pools", POOL, of_own) == []
    elsewhere = named("cloudflare:LoadBalancer", "it", {name: [BALANCER.urn]}, **{name: value})
    refusal = [("it", f"`{name}` names a pool that this stack does not declare; use its own pools")]
    assert found_in_stack("pools", POOL, BALANCER, elsewhere) == refusal


def test_a_pool_that_is_written_out_beside_an_own_one_is_refused() -> None:
    both = named("cloudflare:LoadBalancer", "it", {"defaultPools": [POOL.urn]}, defaultPools=[UNKNOWN, "0123"])
    ((_, what),) = found_in_stack("pools", POOL, both)
    assert what.startswith("`defaultPools` names a pool that this stack does not declare")


def test_what_the_cloud_fills_in_about_pools_passes() -> None:
    filled = named("cloudflare:LoadBalancer", "it", popPools=UNKNOWN, regionPools={}, countryPools=None)
    assert found_in_stack("pools", filled) == []


@pytest.mark.parametrize(
    ("name", "address", "passes"),
    [
        ("us-prod-api-us-standby", "198.51.100.7", True),
        ("us-prod-api-us-standby", "198.51.100.8", False),
        ("us-prod-chat-us-standby", "198.51.100.7", False),
        ("us-prod-api", "198.51.100.7", False),
    ],
)
def test_a_pool_of_another_site_leads_to_the_address_that_settings_have_for_its_name(
    name: str, address: str, *, passes: bool
) -> None:
    failover = context().settings.failover
    assert failover
    site = failover.sites["us-standby"].model_copy(update={"addresses": {"production": {"api": "198.51.100.7"}}})
    moved = failover.model_copy(update={"sites": {"us-standby": site}})
    asked = replace(context(), settings=context().settings.model_copy(update={"failover": moved}))
    pool = named("cloudflare:LoadBalancerPool", "it", origins=[{"name": "us-standby", "address": address}])
    pool = replace(pool, properties={**pool.properties, "name": name})
    (check,) = (each.check for each in STACK_RULES if each.name == "origins")
    assert [what for _, what in check([BALANCER, pool], asked)] == (
        [] if passes else [f"`origins` has {address}, which is not a balancer's of this stack; leave it out"]
    )
