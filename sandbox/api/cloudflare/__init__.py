"""Cloudflare's REST API, version 4."""

from collections.abc import Mapping
from typing import Any

from sandbox import cloudflare
from sandbox.api.cloud import Access, Cloud
from sandbox.api.cloudflare import lives, others, workers
from sandbox.api.route import Call, Page, Route
from sandbox.model import Body, Problem, Refused

# Where a path has both a fixed part and an id in one place, the fixed one is asked first.
ROUTES: tuple[Route, ...] = (
    *others.ROUTES,
    *workers.ROUTES,
    *(route for each in lives.COLLECTIONS for route in each.routes()),
)


def _page(page: Page) -> Body:
    pages = max(1, -(-page.total // page.size))
    info = {"page": page.number, "per_page": page.size, "count": len(page.items)}
    return {**_answer(page.items), "result_info": {**info, "total_count": page.total, "total_pages": pages}}


def _answer(found: Any) -> Body:
    return {"success": True, "errors": [], "messages": [], "result": found}


def _admit(authorization: str, accounts: Mapping[str, Access]) -> Access:
    if not authorization:
        raise Refused(400, Problem("Missing X-Auth-Key, X-Auth-Email or Authorization headers", code=9_106))
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
    prefix=lives.PREFIX,
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
    filtered=False,
    rate=1_200,
    window=300,
    rate_headers=lambda limit, left, reset: {
        "Ratelimit": f'"default";r={left};t={max(0, reset)}',
        "Ratelimit-Policy": f'"default";q={limit};w=300',
    },
)
