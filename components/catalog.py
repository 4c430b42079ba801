"""What the clouds offer: regions with capabilities and jurisdiction, plans with prices, images, engines.

Prices are US dollars a month before tax. They are the provider's recorded base prices, which hold for every
region listed here; plans: recorded 2024-07, databases: 2025-01, balancers and object storage: 2025-08.
Capabilities were recorded 2026-07. A real `up` meets the live ones; this page is what settings are checked with.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType


@dataclass(frozen=True)
class Jurisdiction:
    """A place in law that data does not leave.

    `probe_regions` are the Cloudflare regions from which its origins are probed, by their codes. One, because more are
    bought (cloudflare-docs, load-balancing plans), and of two the majority that makes an origin healthy is both.
    """

    name: str
    probe_regions: tuple[str, ...]


@dataclass(frozen=True)
class Region:
    """A Linode data center. `copy_region` is where copies of its databases go unless a stack says otherwise."""

    jurisdiction: str
    object_storage: bool
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
        "us": Jurisdiction("United States", ("ENAM",)),
        "eu": Jurisdiction("European Union", ("WEU",)),
    }
)

# London and Oslo are listed to be refused by name: they look like the EU and are not in it.
REGIONS: Mapping[str, Region] = MappingProxyType(
    {
        "us-central": Region("us", object_storage=False, copy_region="us-ord"),
        "us-ord": Region("us", object_storage=True, copy_region="us-iad"),
        "us-iad": Region("us", object_storage=True, copy_region="us-ord"),
        "us-lax": Region("us", object_storage=True),
        "us-mia": Region("us", object_storage=True),
        "us-sea": Region("us", object_storage=True),
        "eu-central": Region("eu", object_storage=False, copy_region="de-fra-2"),
        "de-fra-2": Region("eu", object_storage=True, copy_region="fr-par"),
        "fr-par": Region("eu", object_storage=True, copy_region="de-fra-2"),
        "nl-ams": Region("eu", object_storage=False),
        "it-mil": Region("eu", object_storage=False),
        "es-mad": Region("eu", object_storage=False),
        "se-sto": Region("eu", object_storage=False),
        "eu-west": Region("gb", object_storage=False),
        "gb-lon": Region("gb", object_storage=False),
        "no-osl-1": Region("no", object_storage=False),
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

NODE_BALANCER_PRICE = Decimal(10)
OBJECT_STORAGE_PRICE = Decimal(5)  # an account that holds at least one bucket

# Cloudflare accounts that are not Enterprise hold this many pools and as many load balancers.
MAX_POOLS = 20
PLACEMENT_GROUP_SIZE = 5
# The database's own names on a new cluster of the managed service.
DATABASE_NAME = "defaultdb"
