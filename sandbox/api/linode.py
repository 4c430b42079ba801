"""Linode's REST API, version 4."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sandbox import linode
from sandbox.api import listing
from sandbox.api.cloud import Access, Cloud
from sandbox.api.route import Call, Collection, Page, Route
from sandbox.linode import catalog, databases, firewalls, instances, node_balancers, object_storage, placement_groups
from sandbox.model import Body, Kind, Problem, Refused, not_found

PREFIX = "/v4"
_KINDS: Mapping[str, Kind] = {kind.name: kind for kind in linode.KINDS}
_FORBIDDEN = Refused(403, Problem("Your OAuth token is not authorized to use this endpoint."))
_NOT_WRITTEN = frozenset({"backups_enabled", "booted", "disk_encryption", "image", "interface_generation", "metadata"})


def _collection(path: str, kind: str, noun: str, scope: str, **more: Any) -> Collection:
    return Collection(
        f"{PREFIX}{path}",
        _KINDS[kind],
        noun,
        f"{scope}:read_only",
        f"{scope}:read_write",
        listing.linode,
        **{"named": "label", **more},
    )


INSTANCES = _collection(
    "/linode/instances",
    instances.NAME,
    "instance",
    "linodes",
    unchangeable=_NOT_WRITTEN | {"placement_group", "private_ip", "region", "swap_size", "type"},
)
COLLECTIONS = (
    INSTANCES,
    _collection("/placement/groups", placement_groups.NAME, "placement group", "linodes"),
    _collection("/networking/firewalls", firewalls.NAME, "firewall", "firewall", unchangeable=frozenset({"rules"})),
    _collection("/nodebalancers", node_balancers.NAME, "NodeBalancer", "nodebalancers"),
    _collection(
        "/nodebalancers/{nodebalancer}/configs",
        node_balancers.CONFIG,
        "NodeBalancer configuration",
        "nodebalancers",
        named="",
        above={"nodebalancer": "nodebalancer_id"},
    ),
    _collection(
        "/nodebalancers/{nodebalancer}/configs/{config}/nodes",
        node_balancers.NODE,
        "NodeBalancer node",
        "nodebalancers",
        named="",
        above={"nodebalancer": "nodebalancer_id", "config": "config_id"},
    ),
    _collection("/databases/postgresql/instances", databases.NAME, "PostgreSQL database", "databases"),
    _collection("/object-storage/keys", object_storage.KEY, "object storage key", "object_storage", named=""),
)


def _listed(items: Callable[[], Iterable[Body]]) -> Callable[[Call], Page]:
    return lambda call: listing.linode(call, *listing.given(items()))


def _table(name: str) -> Callable[[], Iterable[Body]]:
    return lambda: catalog.table(name).values()


def _entry(name: str) -> Callable[[Call], Body]:
    def find(call: Call) -> Body:
        found = catalog.table(name).get(call.path["id"])
        if found is None:
            raise not_found()
        return found

    return find


CATALOG = tuple(
    route
    for path, table, noun in (
        ("/regions", "regions", "region"),
        ("/linode/types", "types", "plan"),
        ("/images", "images", "image"),
        ("/databases/types", "database_types", "database plan"),
        ("/databases/engines", "database_engines", "database engine"),
    )
    for route in (
        Route("GET", f"{PREFIX}{path}", f"lists {noun}s", _listed(_table(table))),
        Route("GET", f"{PREFIX}{path}/{{id:path}}", f"shows a {noun}", _entry(table)),
    )
)

ROUTES: tuple[Route, ...] = (*(route for each in COLLECTIONS for route in each.routes()), *CATALOG)


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
    routes=ROUTES,
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
    rate=1_840,
    window=60,
    rate_headers=lambda limit, left, reset: {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(left),
        "X-RateLimit-Reset": str(reset),
    },
)
