"""Linode's REST API, version 4: one module a service."""

from collections.abc import Mapping

from sandbox import linode
from sandbox.api.cloud import Access, Cloud
from sandbox.api.linode import (
    account,
    balancers,
    databases,
    instances,
    networking,
    object_storage,
    offers,
    placement,
)
from sandbox.api.linode.common import PREFIX
from sandbox.api.route import Call, Page
from sandbox.model import Body, Problem, Refused, not_found

_FORBIDDEN = Refused(401, Problem("Your OAuth token is not authorized to use this endpoint."))
_SERVICES = (offers, account, instances, networking, placement, balancers, databases, object_storage)


def _page(page: Page) -> Body:
    pages = max(1, -(-page.total // page.size))
    return {"data": page.items, "page": page.number, "pages": pages, "results": page.total}


def _admit(authorization: str, accounts: Mapping[str, Access]) -> Access:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() not in ("bearer", "token") or token.strip() not in accounts:
        raise Refused(401, Problem("Invalid Token"))
    return accounts[token.strip()]


def _allows(call: Call, scope: str) -> bool:
    area, _, level = scope.partition(":")
    enough = {f"{area}:read_write", "*"} | ({scope} if level == "read_only" else set())
    return not enough.isdisjoint(call.scopes)


CLOUD = Cloud(
    name="linode",
    prefix=PREFIX,
    routes=tuple(route for service in _SERVICES for route in service.ROUTES),
    page=_page,
    answer=lambda found: found,
    error=linode.error_body,
    admit=_admit,
    allows=_allows,
    forbidden=_FORBIDDEN,
    missing=not_found(),
    wrong_method=Refused(405, Problem("Method Not Allowed")),
    malformed=Refused(400, Problem("Invalid JSON")),
    too_large=Refused(413, Problem("Request Entity Too Large")),
    too_many=Refused(429, Problem("Too many requests")),
    failed=Refused(500, Problem("Internal Server Error")),
    filtered=True,
    rate=1_840,
    window=60,
    scope_headers=lambda access: {"X-OAuth-Scopes": " ".join(sorted(access.scopes))},
    rate_headers=lambda limit, left, reset: {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(left),
        "X-RateLimit-Reset": str(reset),
    },
)
