"""What the clouds offer: regions with capabilities and jurisdiction, plans with prices, images, engines.

Prices are US dollars a month before tax. They are the provider's recorded base prices, which hold for every
region listed here; plans: recorded 2024-07, databases: 2025-01, balancers and object storage: 2025-08.
Capabilities were recorded 2026-07. A real `up` meets the live ones; this page is what settings are checked with.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType


@dataclass(frozen=True)
class Jurisdiction:
    """A place in law that data does not leave.

    `probe_regions` are the Cloudflare regions from which its origins are probed, by their codes. One, because more are
    bought (cloudflare-docs, load-balancing plans), and of two the majority that makes an origin healthy is both.
    `probed_from` are all that a stack may choose of.
    """

    name: str
    probe_regions: tuple[str, ...]
    probed_from: tuple[str, ...]


@dataclass(frozen=True)
class Region:
    """A Linode data center. `copy_region` is where copies of its databases go unless a stack says otherwise."""

    jurisdiction: str
    object_storage: bool
    vpcs: bool = False
    copy_region: str | None = None


@dataclass(frozen=True)
class Plan:
    """A server plan: its price and the price of its daily backups, dollars a month."""

    price: Decimal
    backups: Decimal


@dataclass(frozen=True)
class DatabasePlan:
    """A database plan: dollars a month by number of nodes; a number that is missing is not offered."""

    price_by_nodes: Mapping[int, Decimal] = field(default_factory=dict)


def _plan(price: str, backups: str) -> Plan:
    return Plan(Decimal(price), Decimal(backups))


def _database(**prices: str) -> DatabasePlan:
    return DatabasePlan(MappingProxyType({int(nodes.lstrip("n")): Decimal(p) for nodes, p in prices.items()}))


JURISDICTIONS: Mapping[str, Jurisdiction] = MappingProxyType(
    {
        "us": Jurisdiction("United States", ("ENAM",), ("ENAM", "WNAM")),
        "eu": Jurisdiction("European Union", ("WEU",), ("EEU", "WEU")),
    }
)

# London and Oslo are listed to be refused by name: they look like the EU and are not in it.
REGIONS: Mapping[str, Region] = MappingProxyType(
    {
        "us-central": Region("us", object_storage=False, copy_region="us-ord"),
        "us-ord": Region("us", object_storage=True, vpcs=True, copy_region="us-iad"),
        "us-iad": Region("us", object_storage=True, vpcs=True, copy_region="us-ord"),
        "us-lax": Region("us", object_storage=True, vpcs=True),
        "us-mia": Region("us", object_storage=True, vpcs=True),
        "us-sea": Region("us", object_storage=True, vpcs=True),
        "eu-central": Region("eu", object_storage=False, copy_region="de-fra-2"),
        "de-fra-2": Region("eu", object_storage=True, vpcs=True, copy_region="fr-par"),
        "fr-par": Region("eu", object_storage=True, vpcs=True, copy_region="de-fra-2"),
        "nl-ams": Region("eu", object_storage=False, vpcs=True),
        "it-mil": Region("eu", object_storage=False, vpcs=True),
        "es-mad": Region("eu", object_storage=False, vpcs=True),
        "se-sto": Region("eu", object_storage=False, vpcs=True),
        "eu-west": Region("gb", object_storage=False),
        "gb-lon": Region("gb", object_storage=False, vpcs=True),
        "no-osl-1": Region("no", object_storage=False, vpcs=True),
    }
)

PLANS: Mapping[str, Plan] = MappingProxyType(
    {
        "g6-nanode-1": _plan("5", "2"),
        "g6-standard-1": _plan("12", "2.50"),
        "g6-standard-2": _plan("24", "5"),
        "g6-standard-4": _plan("48", "10"),
        "g6-standard-6": _plan("96", "20"),
        "g6-dedicated-2": _plan("36", "5"),
        "g6-dedicated-4": _plan("72", "10"),
    }
)

DATABASE_PLANS: Mapping[str, DatabasePlan] = MappingProxyType(
    {
        "g6-nanode-1": _database(n1="16", n3="37"),
        "g6-standard-1": _database(n1="32", n3="74"),
        "g6-standard-2": _database(n1="63", n3="147"),
        "g6-standard-4": _database(n1="126", n3="294"),
        "g6-dedicated-2": _database(n1="68", n2="143", n3="206"),
        "g6-dedicated-4": _database(n1="136", n2="285", n3="410"),
        "g6-dedicated-8": _database(n1="273", n2="590", n3="819"),
    }
)

# The engines recorded begin at 13; its community maintains no version before 15 any more.
POSTGRESQL_VERSIONS = (15, 16, 17)
SERVER_IMAGES = ("linode/debian12", "linode/debian13")
OPS_IMAGES = ("linode/debian13",)  # copies need its restic, 0.18; Debian 12 has 0.14

NODE_BALANCER_PRICE = Decimal(10)
OBJECT_STORAGE_PRICE = Decimal(5)  # an account that holds at least one bucket

SMALLEST_PLAN = "g6-nanode-1"
SMALLEST_DATABASE_PLAN = "g6-nanode-1"

NOWHERE = "100::"
"""The address of a name that a Worker answers: the discard prefix (RFC 6666)."""

# Cloudflare accounts that are not Enterprise hold this many pools and as many load balancers.
MAX_POOLS = 20
PLACEMENT_GROUP_SIZE = 5
# The database's own names on a new cluster of the managed service.
DATABASE_NAME = "defaultdb"

_PRIVATE = ipaddress.ip_network("192.168.128.0/17")  # from which a data center gives private addresses


def public_address(addresses: Iterable[str]) -> str:
    """Return the public one of a server's IPv4 addresses, which the cloud lists in no order."""
    return next(address for address in addresses if ipaddress.ip_address(address) not in _PRIVATE)


# NodeBalancers reach their backends, and only theirs, from this network of the data center.
BALANCER_NETWORK = "192.168.255.0/24"

# From which Cloudflare connects to origins, as www.cloudflare.com/ips lists it (recorded 2025-08). The program asks
# Cloudflare itself; one that is new there is to be added here by somebody who has looked.
CLOUDFLARE_NETWORKS = (
    "103.21.244.0/22",
    "103.22.200.0/22",
    "103.31.4.0/22",
    "104.16.0.0/13",
    "104.24.0.0/14",
    "108.162.192.0/18",
    "131.0.72.0/22",
    "141.101.64.0/18",
    "162.158.0.0/15",
    "172.64.0.0/13",
    "173.245.48.0/20",
    "188.114.96.0/20",
    "190.93.240.0/20",
    "197.234.240.0/22",
    "198.41.128.0/17",
    "2400:cb00::/32",
    "2405:8100::/32",
    "2405:b500::/32",
    "2606:4700::/32",
    "2803:f800::/32",
    "2a06:98c0::/29",
    "2c0f:f248::/32",
)


def kind_of(token: str) -> str:
    """Return what tables call a type of resource: `linode:Instance` for `linode:index/instance:Instance`."""
    package, _, rest = token.partition(":")
    return f"{package}:{rest.rpartition(':')[2]}"
