"""Cloudflare's REST API, version 4."""

from collections.abc import Mapping
from typing import Any

from sandbox import cloudflare
from sandbox.api import listing
from sandbox.api.cloud import Access, Cloud
from sandbox.api.route import Call, Collection, Page, Route
from sandbox.cloudflare import alerting, dns, health_checks, ip_ranges, load_balancing, zones
from sandbox.model import Body, Kind, Problem, Refused

PREFIX = "/client/v4"
_KINDS: Mapping[str, Kind] = {kind.name: kind for kind in cloudflare.KINDS}
_ACCOUNT, _ZONE = {"account": "account_id"}, {"zone": "zone_id"}


def _collection(path: str, kind: str, noun: str, scope: str, **more: Any) -> Collection:
    return Collection(
        f"{PREFIX}{path}",
        _KINDS[kind],
        noun,
        f"{scope} Read",
        f"{scope} Write",
        listing.cloudflare,
        replaces=True,
        deleted=lambda identity: {"id": identity},
        **more,
    )


COLLECTIONS = (
    _collection("/zones", zones.NAME, "zone", "Zone", named="name", verbs=frozenset({"list", "read"})),
    _collection("/zones/{zone}/dns_records", dns.NAME, "DNS record", "DNS", above=_ZONE),
    _collection(
        "/zones/{zone}/load_balancers", load_balancing.LOAD_BALANCER, "load balancer", "Load Balancers", above=_ZONE
    ),
    _collection("/zones/{zone}/healthchecks", health_checks.NAME, "health check", "Health Checks", above=_ZONE),
    _collection(
        "/accounts/{account}/load_balancers/pools",
        load_balancing.POOL,
        "pool",
        "Load Balancing: Monitors And Pools",
        above=_ACCOUNT,
        named="name",
    ),
    _collection(
        "/accounts/{account}/load_balancers/monitors",
        load_balancing.MONITOR,
        "monitor",
        "Load Balancing: Monitors And Pools",
        above=_ACCOUNT,
    ),
    _collection(
        "/accounts/{account}/alerting/v3/policies",
        alerting.NAME,
        "notification policy",
        "Notifications",
        above=_ACCOUNT,
    ),
)


def _verify(call: Call) -> Body:
    return {"id": call.account, "status": "active"}


ROUTES: tuple[Route, ...] = (
    *(route for each in COLLECTIONS for route in each.routes()),
    Route("GET", f"{PREFIX}/ips", "lists Cloudflare's address ranges", lambda _: dict(ip_ranges.ADDRESSES)),
    Route("GET", f"{PREFIX}/user/tokens/verify", "says whether a token is good", _verify),
)


def _page(page: Page) -> Body:
    pages = -(-page.total // page.size)
    info = {"page": page.number, "per_page": page.size, "count": len(page.items)}
    return {**_answer(page.items), "result_info": {**info, "total_count": page.total, "total_pages": pages}}


def _answer(found: Any) -> Body:
    return {"success": True, "errors": [], "messages": [], "result": found}


def _admit(authorization: str, accounts: Mapping[str, Access]) -> Access:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused(400, Problem("Invalid request headers", code=6_003))
    if token.strip() not in accounts:
        raise Refused(401, Problem("Invalid API Token", code=1_000))
    return accounts[token.strip()]


def _allows(call: Call, scope: str) -> bool:
    if call.path.get("account", call.account) != call.account:
        return False
    area, _, level = scope.rpartition(" ")
    enough = {f"{area} Write", "*"} | ({scope} if level == "Read" else set())
    return not enough.isdisjoint(call.scopes)


CLOUD = Cloud(
    name="cloudflare",
    prefix=PREFIX,
    routes=ROUTES,
    page=_page,
    answer=_answer,
    error=cloudflare.error_body,
    admit=_admit,
    allows=_allows,
    forbidden=Refused(403, Problem("Authentication error", code=10_000)),
    missing=Refused(404, Problem("No route for that URI", code=7_000)),
    wrong_method=Refused(405, Problem("Method not allowed for this authentication scheme", code=10_405)),
    malformed=Refused(400, Problem("Could not parse input JSON", code=6_007)),
    too_large=Refused(413, Problem("Request body is too large", code=10_413)),
    too_many=Refused(429, Problem("Rate limited. Please wait and consider throttling your request speed", code=10_429)),
    failed=Refused(500, Problem("Internal server error", code=10_500)),
    rate=1_200,
    window=300,
    rate_headers=lambda limit, left, reset: {
        "Ratelimit": f'"default";r={left};t={max(0, reset)}',
        "Ratelimit-Policy": f'"default";q={limit};w=300',
    },
)
