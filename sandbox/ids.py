"""Ids and addresses, derived from what names an object, never from the order of calls.

Two runs of the same program from an empty file get the same ids and addresses, however their calls interleave.
All addresses are of ranges that are routed nowhere: RFC 2544 (IPv4), RFC 3849 (IPv6).
"""

import hashlib
import ipaddress
import uuid
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

PUBLIC_IPV4 = ipaddress.IPv4Network("198.18.0.0/15")
# Linode's private network is 192.168.128.0/17; its last /24 is where NodeBalancers call from.
PRIVATE_IPV4 = ipaddress.IPv4Network("192.168.128.0/17")
BALANCERS_IPV4 = ipaddress.IPv4Network("192.168.255.0/24")
PUBLIC_IPV6 = ipaddress.IPv6Network("2001:db8::/32")


def digest(*parts: str) -> bytes:
    """The 32 bytes that stand for `parts`."""
    return hashlib.sha256("\0".join(parts).encode()).digest()


def number(*parts: str) -> int:
    """A Linode id. Ten digits: among 10,000 objects of a kind a second candidate is hardly ever needed."""
    return 10**9 + int.from_bytes(digest(*parts)) % (9 * 10**9)


def hexadecimal(*parts: str) -> str:
    """A Cloudflare id: 32 hexadecimal digits."""
    return digest(*parts).hex()[:32]


def secret(*parts: str, length: int = 32) -> str:
    """What the cloud makes up itself (a database's password, a key's secret): letters and digits."""
    return hashlib.shake_256("\0".join(("secret", *parts)).encode()).hexdigest((length + 1) // 2)[:length]


def host_uuid(*parts: str) -> str:
    """The id of the physical host, 32 hexadecimal digits with dashes."""
    return str(uuid.UUID(bytes=digest("host", *parts)[:16]))


def public_ipv4(*parts: str) -> str:
    """A public address; never a network or broadcast address of a /24."""
    return _ipv4(PUBLIC_IPV4, digest("public", *parts))


def private_ipv4(*parts: str) -> str:
    """A private address that is none of the balancers'."""
    usable = PRIVATE_IPV4.num_addresses - BALANCERS_IPV4.num_addresses  # the balancers' are the last ones
    return _ipv4(PRIVATE_IPV4, digest("private", *parts), usable)


def public_ipv6(*parts: str) -> str:
    """A public IPv6 address."""
    host = int.from_bytes(digest("ipv6", *parts)[:12])
    return str(PUBLIC_IPV6.network_address + host)


def candidates(make: Callable[..., T], *parts: str, start: int = 0) -> Iterator[T]:
    """What `make` derives from `parts`, then the further ones to try in turn when that is taken."""
    attempt = start
    while True:
        yield make(*parts, str(attempt))
        attempt += 1


def _ipv4(network: ipaddress.IPv4Network, entropy: bytes, usable: int | None = None) -> str:
    blocks = (usable or network.num_addresses) // 256
    value = int.from_bytes(entropy)
    return str(network.network_address + 256 * (value % blocks) + 1 + (value // blocks) % 254)
