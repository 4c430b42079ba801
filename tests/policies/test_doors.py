"""Rules about who gets in."""

from typing import Any

import pytest

from components import catalog
from policies.resource import UNKNOWN, Resource
from sandbox.cloudflare.ip_ranges import ADDRESSES
from tests.policies.asking import found, found_in_stack, named, resource


def firewall(**rule: Any) -> Resource:
    """Return a firewall with one inbound rule, by default the one for SSH from a configured network."""
    inbound = {"label": "ssh", "action": "ACCEPT", "protocol": "TCP", "ports": "22", "ipv4s": ["203.0.113.0/24"]}
    return resource("linode:Firewall", inbounds=[inbound | rule])


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"ipv4s": ["0.0.0.0/0"]}, "its rule 'ssh' admits 0.0.0.0/0, which is the world"),
        ({"ipv4s": None, "ipv6s": ["::/0"]}, "its rule 'ssh' admits ::/0, which is the world"),
        ({"ipv4s": ["128.0.0.0/1"]}, "its rule 'ssh' admits 128.0.0.0/1, which is the world"),
        ({"ipv4s": ["0.0.0.0/0"], "ports": UNKNOWN}, "its rule 'ssh' admits 0.0.0.0/0, which is the world"),
        ({"ipv4s": [UNKNOWN, "0.0.0.0/0"]}, "its rule 'ssh' admits 0.0.0.0/0, which is the world"),
        ({"ipv4s": ["0.0.0.0/0"], "action": UNKNOWN}, "its rule 'ssh' admits 0.0.0.0/0, which is the world"),
        ({"ipv4s": ["anywhere"]}, "its rule 'ssh' admits 'anywhere', which is no network"),
        ({"ipv4s": None}, "its rule 'ssh' names no sources"),
        ({"ipv4s": ["198.51.100.0/24"]}, "its rule 'ssh' admits 198.51.100.0/24 to port 22, which is for the ops"),
        ({"ports": "443", "ipv4s": ["198.51.100.0/24"]}, "its rule 'ssh' admits 198.51.100.0/24 to port 443, which is"),
        ({"ports": "443", "ipv4s": ["198.51.100.7/32"]}, "its rule 'ssh' admits 198.51.100.7/32 to port 443, which is"),
        ({"ports": "5432"}, "its rule 'ssh' opens TCP 5432; open one of TCP 22, TCP 443"),
        ({"ports": "22,443"}, "its rule 'ssh' opens TCP 22,443"),
        ({"ports": None}, "its rule 'ssh' opens TCP on all ports"),
        ({"protocol": "UDP", "ports": "443"}, "its rule 'ssh' opens UDP 443"),
    ],
)
def test_a_firewall_lets_nobody_in_but_whom_a_door_is_for(rule: dict[str, Any], says: str) -> None:
    assert any(what.startswith(says) for what in found("doors", firewall(**rule)))


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"ipv4s": ["203.0.113.7/32"]},
        {"ipv4s": ["203.0.113.0/24", UNKNOWN]},
        {"ipv4s": UNKNOWN},
        {"ports": UNKNOWN},
        {"ports": "443", "ipv4s": [catalog.BALANCER_NETWORK]},
        {"ports": "443", "ipv4s": ADDRESSES["ipv4_cidrs"], "ipv6s": ADDRESSES["ipv6_cidrs"]},
        {"action": "DROP", "ipv4s": ["0.0.0.0/0"], "ports": None},
    ],
)
def test_doors_that_are_used_as_they_are_meant_pass(rule: dict[str, Any]) -> None:
    assert found("doors", firewall(**rule)) == []


def test_a_firewall_whose_rules_are_not_known_yet_passes() -> None:
    assert found("doors", resource("linode:Firewall", inbounds=UNKNOWN)) == []


def test_cloudflare_has_no_door_where_the_stack_publishes_nothing() -> None:
    behind = firewall(ports="443", ipv4s=["104.16.0.0/13"])
    assert found("doors", behind, "us-central") == []
    (what,) = found("doors", behind, "test")
    assert "admits 104.16.0.0/13 to port 443" in what


def test_a_single_address_reaches_ssh_only_where_there_is_an_ops_server() -> None:
    one = firewall(ipv4s=["198.51.100.7/32"])
    assert found("doors", one, "us-central") == []
    (what,) = found("doors", one, "test")
    assert "admits 198.51.100.7/32 to port 22" in what


def test_a_disabled_firewall_is_refused() -> None:
    assert found("doors", resource("linode:Firewall", disabled=True)) == [
        "it is disabled, so everything behind it is open; leave `disabled` out"
    ]
    assert found("doors", resource("linode:Firewall", disabled=UNKNOWN)) == []


@pytest.mark.parametrize("kind", ["linode:DatabaseAccessControls", "linode:DatabasePostgresqlV2"])
def test_a_database_is_reached_from_single_addresses(kind: str) -> None:
    assert found("allow-lists", resource(kind, allowLists=["198.51.100.7/32", "0.0.0.0/0", "198.51.100.0/24"])) == [
        "its allow list admits 0.0.0.0/0; write the addresses of servers, one by one",
        "its allow list admits 198.51.100.0/24; write the addresses of servers, one by one",
    ]
    assert found("allow-lists", resource(kind, allowLists=["198.51.100.7/32", UNKNOWN])) == []
    assert found("allow-lists", resource(kind, allowLists=UNKNOWN)) == []


def test_servers_and_balancers_are_behind_firewalls_also_while_no_id_is_known() -> None:
    server, balancer = named("linode:Instance", "server"), named("linode:NodeBalancer", "balancer")
    device = named("linode:FirewallDevice", "device", sources={"entityId": [server.urn]}, entityId=UNKNOWN)
    assert found_in_stack("firewalls", server, balancer, device) == [
        ("balancer", "no firewall is before it; declare a FirewallDevice for it")
    ]
    other = named("linode:FirewallDevice", "other", sources={"entityId": [balancer.urn]}, entityId=3)
    assert found_in_stack("firewalls", server, balancer, device, other) == []
