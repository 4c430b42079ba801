"""Ids and addresses are derived, and of ranges that are routed nowhere."""

import ipaddress
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from sandbox import ids

names = st.text(max_size=40)


@given(names, names)
def test_the_same_name_always_gives_the_same_id_and_another_name_another(one: str, other: str) -> None:
    assert ids.number("kind", one) == ids.number("kind", one)
    assert (ids.hexadecimal("kind", one) == ids.hexadecimal("kind", other)) == (one == other)


@given(names)
def test_linode_ids_have_ten_digits_and_cloudflare_ids_thirty_two(name: str) -> None:
    assert len(str(ids.number(name))) == 10
    assert len(ids.hexadecimal(name)) == 32
    assert int(ids.hexadecimal(name), 16) >= 0


@given(names)
def test_public_addresses_are_of_the_benchmark_range_and_never_a_network_or_broadcast_address(name: str) -> None:
    address = ipaddress.IPv4Address(ids.public_ipv4(name))
    assert address in ipaddress.IPv4Network("198.18.0.0/15")
    assert 1 <= int(address) % 256 <= 254


@given(names)
def test_private_addresses_are_linodes_own_and_none_of_the_balancers(name: str) -> None:
    address = ipaddress.IPv4Address(ids.private_ipv4(name))
    assert address in ipaddress.IPv4Network("192.168.128.0/17")
    assert address not in ipaddress.IPv4Network("192.168.255.0/24")


@given(names)
def test_ipv6_addresses_are_of_the_documentation_range(name: str) -> None:
    assert ipaddress.IPv6Address(ids.public_ipv6(name)) in ipaddress.IPv6Network("2001:db8::/32")


def test_further_candidates_follow_in_one_order() -> None:
    first = list(islice(ids.candidates(ids.number, "kind", "name"), 3))
    assert len(set(first)) == 3
    assert list(islice(ids.candidates(ids.number, "kind", "name", start=1), 2)) == first[1:]
