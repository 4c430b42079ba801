"""The kinds of Cloudflare's objects that have a life at an address: listed, made, shown, changed, deleted."""

from collections.abc import Mapping
from typing import Any

from sandbox import cloudflare
from sandbox.api import listing
from sandbox.api.route import Collection
from sandbox.cloudflare import alerting, dns, health_checks, load_balancing, origin_pulls, workers, zones
from sandbox.model import Body, Kind, Problem, Refused

PREFIX = "/client/v4"
ACCOUNT, ZONE = f"{PREFIX}/accounts/{{account}}", f"{PREFIX}/zones/{{zone}}"
# The fields of an object that its address says already are not in its answer.
_OF_ACCOUNT, _OF_ZONE = {"account": "account_id"}, {"zone": "zone_id"}
_KINDS: Mapping[str, Kind] = {kind.name: kind for kind in cloudflare.KINDS}
_ALL_AT_ONCE = listing.cloudflare(None)


def _shown(found: Body) -> Body:
    return {name: value for name, value in found.items() if name not in ("account_id", "zone_id")}


def _listed(found: Body) -> Body:
    return {name: value for name, value in _shown(found).items() if name not in ("content", "script_name")}


def _identity(found: Body) -> Body:
    return {"id": found["id"]}


def _withdrawn(found: Body) -> Body:
    return {**_shown(found), "status": "pending_deletion"}


def _lives(path: str, kind: str, noun: str, scope: str, **more: Any) -> Collection:
    reads, writes = f"{scope} Read", f"{scope} Write"
    answers = {"shows": _shown, "tells": _shown, "deleted": _identity, "pager": _ALL_AT_ONCE}
    return Collection(path, _KINDS[kind], noun, reads, writes, **{**answers, "replaces": True, **more})


COLLECTIONS = (
    _lives(
        f"{PREFIX}/zones",
        zones.NAME,
        "zone",
        "Zone",
        named="name",
        pager=listing.cloudflare((5, 50), 20),
        verbs=frozenset({"list", "read"}),
    ),
    _lives(
        f"{ZONE}/dns_records",
        dns.NAME,
        "DNS record",
        "DNS",
        above=_OF_ZONE,
        pager=listing.cloudflare((5, 5_000_000), 100),
        missing=Refused(404, Problem("Record does not exist.", code=81_044)),
    ),
    _lives(f"{ZONE}/load_balancers", load_balancing.LOAD_BALANCER, "load balancer", "Load Balancers", above=_OF_ZONE),
    _lives(
        f"{ZONE}/healthchecks",
        health_checks.NAME,
        "health check",
        "Health Checks",
        above=_OF_ZONE,
        pager=listing.cloudflare((5, 1_000), 25),
    ),
    _lives(
        f"{ZONE}/origin_tls_client_auth",
        origin_pulls.CERTIFICATE,
        "origin pull certificate",
        "SSL and Certificates",
        above=_OF_ZONE,
        verbs=frozenset({"list", "create", "read", "delete"}),
        deleted=_withdrawn,
    ),
    _lives(
        f"{ACCOUNT}/load_balancers/pools",
        load_balancing.POOL,
        "pool",
        "Load Balancing: Monitors And Pools",
        above=_OF_ACCOUNT,
        named="name",
    ),
    _lives(
        f"{ACCOUNT}/load_balancers/monitors",
        load_balancing.MONITOR,
        "monitor",
        "Load Balancing: Monitors And Pools",
        above=_OF_ACCOUNT,
    ),
    _lives(
        f"{ACCOUNT}/alerting/v3/policies",
        alerting.NAME,
        "notification policy",
        "Notifications",
        above=_OF_ACCOUNT,
        verbs=frozenset({"list", "create", "read", "update", "delete"}),
        tells=_identity,
        plural="notification policies",
    ),
    _lives(
        f"{ZONE}/workers/routes",
        workers.ROUTE,
        "Workers route",
        "Workers Routes",
        above=_OF_ZONE,
        verbs=frozenset({"list", "create", "read", "update", "delete"}),
        missing=Refused(404, Problem("Route not found.", code=10_007)),
    ),
    _lives(
        f"{ACCOUNT}/workers/scripts",
        workers.SCRIPT,
        "Worker",
        "Workers Scripts",
        above=_OF_ACCOUNT,
        shows=_listed,
        verbs=frozenset({"list", "delete"}),
        deleted=lambda _: None,
        missing=Refused(404, Problem("This Worker does not exist on your account.", code=10_007)),
    ),
)
