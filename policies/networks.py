"""Networks and addresses, as properties have them."""

import ipaddress
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse(text: str) -> Network | None:
    """Return the network, of one address where no prefix is written, or None for a text that is neither."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def inside(network: Network, outer: Iterable[str]) -> bool:
    """Whether a network lies inside one of others."""
    around = map(ipaddress.ip_network, outer)
    return any(network.version == each.version and network.subnet_of(each) for each in around)  # type: ignore[arg-type]


def is_address(network: Network | None) -> bool:
    """Whether a network is a single address."""
    return network is not None and network.num_addresses == 1
