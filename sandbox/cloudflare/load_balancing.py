"""Load balancers, their pools and the monitors that watch the pools."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal, Required

from typing_extensions import TypedDict

from sandbox.cloudflare import probes, rules
from sandbox.model import Body, Change, Field, Kind, Number, Problem, is_address
from sandbox.store import Record, Transaction

LOAD_BALANCER = "cloudflare.load_balancer"
POOL = "cloudflare.pool"
MONITOR = "cloudflare.monitor"
LIMIT = 20  # load balancers and pools an account, endpoints a pool (without an Enterprise plan)
LEAST_INTERVAL = 15  # seconds between probes (the same)
AFFINITY_TTL = (1_800, 604_800)  # seconds
_EVERYWHERE = "ALL_REGIONS"
POOL_REGIONS = (
    "WNAM",
    "ENAM",
    "WEU",
    "EEU",
    "NSAM",
    "SSAM",
    "OC",
    "ME",
    "NAF",
    "SAF",
    "SAS",
    "SEAS",
    "NEAS",
    _EVERYWHERE,
)
STEERING = (
    "off",
    "geo",
    "random",
    "dynamic_latency",
    "proximity",
    "least_outstanding_requests",
    "least_connections",
    "",
)


class _Origin(TypedDict, total=False):
    name: Required[str]
    address: Required[str]
    enabled: bool
    weight: Number
    port: int
    header: dict[str, list[str]] | None
    virtual_network_id: str | None
    flatten_cname: bool


class _LoadShedding(TypedDict, total=False):
    default_percent: Number
    default_policy: Literal["random", "hash"]
    session_percent: Number
    session_policy: Literal["hash"]


class _OriginSteering(TypedDict, total=False):
    policy: Literal["random", "hash", "least_outstanding_requests", "least_connections"]


class _NotificationOptions(TypedDict, total=False):
    disable: bool | None
    healthy: bool | None


class _NotificationFilter(TypedDict, total=False):
    origin: _NotificationOptions | None
    pool: _NotificationOptions | None


class _AffinityAttributes(TypedDict, total=False):
    drain_duration: Number
    headers: list[str]
    require_all_headers: bool
    samesite: Literal["Auto", "Lax", "None", "Strict"]
    secure: Literal["Auto", "Always", "Never"]
    zero_downtime_failover: Literal["none", "temporary", "sticky"]


class _AdaptiveRouting(TypedDict, total=False):
    failover_across_pools: bool


class _LocationStrategy(TypedDict, total=False):
    mode: Literal["pop", "resolver_ip"]
    prefer_ecs: Literal["always", "never", "proximity", "geo"]


class _RandomSteering(TypedDict, total=False):
    default_weight: Number
    pool_weights: dict[str, Number]


class _FixedResponse(TypedDict, total=False):
    content_type: str
    location: str
    message_body: str
    status_code: int


_PoolsByPlace = dict[str, list[str]]


class _Overrides(TypedDict, total=False):
    adaptive_routing: _AdaptiveRouting
    country_pools: _PoolsByPlace
    default_pools: list[str]
    fallback_pool: str
    location_strategy: _LocationStrategy
    pool_default_weight: Number
    pool_weights: dict[str, Number]
    pools: list[str]
    pop_pools: _PoolsByPlace
    random_steering: _RandomSteering
    region_pools: _PoolsByPlace
    session_affinity: str
    session_affinity_attributes: _AffinityAttributes
    session_affinity_ttl: Number
    steering_policy: str
    ttl: Number


class _SteeringRule(TypedDict, total=False):
    condition: str
    disabled: bool
    fixed_response: _FixedResponse | None
    name: str
    overrides: _Overrides | None
    priority: int
    terminates: bool


_IN_USE = 1005


def _pools(body: Body) -> Iterator[str]:
    """Every pool a load balancer names."""
    yield body["fallback_pool"]
    yield from body["default_pools"]
    for name in ("region_pools", "country_pools", "pop_pools"):
        for pools in (body[name] or {}).values():
            yield from pools


def _balancer(change: Change) -> Iterator[Problem]:
    body = change.body
    if not body["default_pools"]:
        yield Problem("must name at least one pool", "default_pools")
    for pool in dict.fromkeys(_pools(body)):
        if not change.other(POOL, pool):
            yield Problem(f"could not find pool {pool}", "default_pools")
    if body["proxied"] and body["ttl"] is not None:
        yield Problem("may not be set with proxied", "ttl")
    weight = (body["random_steering"] or {}).get("default_weight", 1)
    if not 0 <= weight <= 1 or round(weight * 10, 6) % 1:
        yield Problem("must be between 0 and 1, in tenths", "random_steering.default_weight")
    ttl = body["session_affinity_ttl"]
    if ttl is not None and not AFFINITY_TTL[0] <= ttl <= AFFINITY_TTL[1]:
        yield Problem(f"must be between {AFFINITY_TTL[0]} and {AFFINITY_TTL[1]}", "session_affinity_ttl")


def _balancer_complete(change: Change) -> None:
    body = change.body
    zone = change.other(rules.ZONE, body["zone_id"])
    assert zone is not None  # the parent exists  # noqa: S101
    affinity = {"samesite": "Auto", "secure": "Auto", "drain_duration": 0, "zero_downtime_failover": "none"}
    filled = {
        "steering_policy": body["steering_policy"] or ("geo" if body["region_pools"] else "off"),
        "session_affinity_attributes": {**affinity, **(body["session_affinity_attributes"] or {})},
        "adaptive_routing": {"failover_across_pools": False, **(body["adaptive_routing"] or {})},
        "location_strategy": {"mode": "pop", "prefer_ecs": "proximity", **(body["location_strategy"] or {})},
        "random_steering": {"default_weight": 1, **(body["random_steering"] or {})},
    }
    change.body |= filled | {"zone_name": zone.body["name"]}


def _origins(change: Change) -> Iterator[Problem]:
    origins = change.body["origins"]
    if not 1 <= len(origins) <= LIMIT:
        yield Problem(f"must have 1 to {LIMIT} origins", "origins")
    if len({origin["name"] for origin in origins}) < len(origins):
        yield Problem("names must be unique within the pool", "origins")
    for origin in origins:
        address = origin["address"]
        # What ends in digits alone is meant as an IPv4 address, so a wrong one is no host name either.
        if not is_address(address) and (address.rpartition(".")[2].isdigit() or not rules.is_host(address)):
            yield Problem(f"{address} is not a valid address", "origins.address")
        if origin.get("port") is not None and not 0 <= origin["port"] <= 65_535:  # noqa: PLR2004
            yield Problem("must be between 0 and 65535", "origins.port")
        if not 0 <= origin.get("weight", 1) <= 1:
            yield Problem("must be between 0 and 1", "origins.weight")
    for region in change.body["check_regions"] or ():
        if region not in POOL_REGIONS:
            yield Problem(f"{region} is not a region", "check_regions")
    if change.body["monitor"] and not change.other(MONITOR, change.body["monitor"]):
        yield Problem(f"could not find monitor {change.body['monitor']}", "monitor")


def _pool_complete(change: Change) -> None:
    body = change.body
    defaults = {"enabled": True, "weight": 1}
    # The API answers sorted by name, whatever was sent: a program that lists them otherwise differs forever.
    origins = sorted(({**defaults, **origin} for origin in body["origins"]), key=lambda origin: origin["name"])
    shedding = {"default_percent": 0, "default_policy": "random", "session_percent": 0, "session_policy": "hash"}
    body |= {
        "origins": origins,
        "load_shedding": {**shedding, **(body["load_shedding"] or {})},
        "origin_steering": {"policy": "random", **(body["origin_steering"] or {})},
        "networks": ["cloudflare"],
        "disabled_at": None,
    }


def _pool_links(body: Body) -> Iterable[tuple[str, Any]]:
    return (("monitor", body["monitor"]),) if body["monitor"] else ()


def _pool_beside(tx: Transaction, record: Record) -> Body:
    return {"pop_health": _pool_health(tx, record), "references": _references(tx, record, "pool", "load_balancer")}


def checked(body: Body) -> list[Body]:
    """The origins of a pool that are probed."""
    return [origin for origin in body["origins"] if origin["enabled"]]


def regions(body: Body) -> list[str]:
    """The regions from which a pool is probed."""
    return [region for region in body["check_regions"] or POOL_REGIONS if region != _EVERYWHERE]


def watch(pool: str, origin: Body) -> str:
    """What the probes of a pool's origin are known by."""
    return f"{pool}/{origin['name']}"


def _pool_health(tx: Transaction, record: Record) -> Body:
    """What each region's probes find, by region; nothing where none are sent."""
    body = record.body
    if not (body["monitor"] and body["enabled"]):
        return {}
    found = [
        (
            origin["address"],
            probes.findings(tx, watch(record.id, origin), regions(body), origin["address"], origin["name"]),
        )
        for origin in checked(body)
    ]
    return {
        region: {
            "healthy": sum(said[region]["healthy"] for _, said in found) >= body["minimum_origins"],
            "origins": [{address: said[region]} for address, said in found],
        }
        for region in regions(body)
    }


def _references(tx: Transaction, record: Record, relation: str, kind: str) -> list[Body]:
    """What refers to an object, as it is listed."""
    known = {"reference_type": "referrer", "resource_type": kind}
    return [
        {**known, "resource_id": other.id, "resource_name": other.body["name"]}
        for other in tx.linked(relation, record.id)
    ]


def _probe(change: Change) -> Iterator[Problem]:
    yield from rules.checked_often_enough(change, LEAST_INTERVAL)
    body = change.body
    port = body["port"]
    if port is not None and not 0 <= port <= 65_535:  # noqa: PLR2004
        yield Problem("must be between 0 and 65535", "port")
    if body["type"] == "tcp" and not port:
        yield Problem("is required for monitors of type tcp", "port")


def _monitor_complete(change: Change) -> None:
    if change.body["type"] != "tcp":
        for name, default in (("method", "GET"), ("path", "/"), ("expected_codes", "200")):
            change.body[name] = change.body[name] or default


KINDS = (
    Kind(
        MONITOR,
        fields={
            "account_id": Field(required=True, fixed=True),
            "type": Field(choices=("http", "https", "tcp", "udp_icmp", "icmp_ping", "smtp"), default="http"),
            "interval": Field(int, default=60),
            "retries": Field(int, within=(0, 5), default=2),
            "timeout": Field(int, within=(1, 10), default=5),
            "method": Field(default=""),
            "path": Field(default=""),
            "port": Field(int),
            "expected_codes": Field(default=""),
            "expected_body": Field(default=""),
            "follow_redirects": Field(bool, default=False),
            "allow_insecure": Field(bool, default=False),
            "header": Field(dict[str, list[str]]),
            "consecutive_up": Field(int, within=(0, 10)),
            "consecutive_down": Field(int, within=(0, 10)),
            "probe_zone": Field(default=""),
            "description": Field(default=""),
        },
        key=lambda body: f"{body['description']}/{body['type']}/{body['path']}",
        rules=(rules.own_account, _probe),
        complete=_monitor_complete,
        beside=lambda tx, record: {"references": _references(tx, record, "monitor", "pool")},
        keeps={"monitor": (412, Problem("monitor is in use: it is referenced by a pool", code=_IN_USE))},
        limit=LIMIT * 3 // 2,
        over_limit=Problem("You have reached your limit of monitors", code=1006),
        **rules.STYLE,
    ),
    Kind(
        POOL,
        fields={
            "account_id": Field(required=True, fixed=True),
            "name": Field(required=True, pattern=r"[a-zA-Z0-9_-]+", says="only letters, digits, _ and - are allowed"),
            "origins": Field(list[_Origin], required=True),
            "description": Field(default=""),
            "enabled": Field(bool, default=True),
            "minimum_origins": Field(int, within=(0, LIMIT), default=1),
            "monitor": Field(),
            "check_regions": Field(list[str]),
            "latitude": Field(Number, within=(-90, 90)),
            "longitude": Field(Number, within=(-180, 180)),
            "load_shedding": Field(_LoadShedding),
            "origin_steering": Field(_OriginSteering),
            "notification_email": Field(default=""),
            "notification_filter": Field(_NotificationFilter),
        },
        key=lambda body: str(body["name"]),
        taken=Problem("a pool with that name already exists", "name"),
        rules=(rules.own_account, _origins),
        complete=_pool_complete,
        links=_pool_links,
        beside=_pool_beside,
        keeps={"pool": (412, Problem("pool is in use: it is referenced by a load balancer", code=_IN_USE))},
        limit=LIMIT,
        over_limit=Problem("You have reached your limit of pools", code=1006),
        **rules.STYLE,
    ),
    Kind(
        LOAD_BALANCER,
        fields={
            "zone_id": Field(required=True, fixed=True),
            "name": Field(required=True),
            "default_pools": Field(list[str], required=True),
            "fallback_pool": Field(required=True),
            "region_pools": Field(_PoolsByPlace, default={}),
            "country_pools": Field(_PoolsByPlace, default={}),
            "pop_pools": Field(_PoolsByPlace, default={}),
            "description": Field(default=""),
            "enabled": Field(bool, default=True),
            "proxied": Field(bool, default=False),
            "ttl": Field(Number),
            "steering_policy": Field(choices=STEERING),
            "session_affinity": Field(choices=("none", "cookie", "ip_cookie", "header", ""), default="none"),
            "session_affinity_ttl": Field(Number),
            "session_affinity_attributes": Field(_AffinityAttributes),
            "adaptive_routing": Field(_AdaptiveRouting),
            "location_strategy": Field(_LocationStrategy),
            "random_steering": Field(_RandomSteering),
            "networks": Field(list[str], default=("cloudflare",)),
            "rules": Field(list[_SteeringRule], default=()),
        },
        key=lambda body: str(body["name"]),
        taken=Problem("a load balancer with that name already exists", "name"),
        rules=(rules.name_in_zone, _balancer),
        complete=_balancer_complete,
        parent=rules.in_zone,
        links=lambda body: (("pool", pool) for pool in _pools(body)),
        limit=LIMIT,
        over_limit=Problem("You have reached your limit of load balancers", code=1006),
        **rules.STYLE,
    ),
)
