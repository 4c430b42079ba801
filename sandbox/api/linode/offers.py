"""What Linode offers: regions and what is to be had there, plans, images, engines, endpoints."""

from collections.abc import Callable

from sandbox.api.linode.common import entry, listed, reads
from sandbox.api.route import Call, Page, Route, a
from sandbox.linode import catalog
from sandbox.model import Body


def _list(table: str) -> Callable[[Call], Page]:
    return lambda call: listed(call, catalog.table(table).values())


def _one(table: str) -> Callable[[Call], Body]:
    return lambda call: entry(catalog.table(table).values(), call.path["id"])


def _plans(region: str) -> list[Body]:
    """Which plans are to be had in a region: premium ones not everywhere."""
    premium = catalog.offers(region, "Premium Plans")
    return [
        {"region": region, "plan": plan["id"], "available": premium or plan["class"] != "premium"}
        for plan in catalog.table("types").values()
    ]


def _vpcs(region: str) -> Body:
    return {
        "region": region,
        "available": catalog.offers(region, "VPCs"),
        "available_ipv6_prefix_lengths": [],
    }


def _region(call: Call) -> str:
    return str(entry(catalog.table("regions").values(), call.path["id"])["id"])


def _everywhere(call: Call) -> Page:
    return listed(call, [plan for region in catalog.table("regions") for plan in _plans(region)])


def _endpoints(call: Call) -> Page:
    return listed(call, [found for region in catalog.table("regions") for found in catalog.endpoints(region)])


ROUTES: tuple[Route, ...] = (
    reads("/regions/availability", "lists which plans each region has", _everywhere),
    reads(
        "/regions/vpc-availability",
        "lists which regions have VPCs",
        lambda call: listed(call, map(_vpcs, catalog.table("regions"))),
    ),
    reads("/regions/{id}/availability", "lists which plans a region has", lambda call: _plans(_region(call))),
    reads("/regions/{id}/vpc-availability", "shows whether a region has VPCs", lambda call: _vpcs(_region(call))),
    reads("/object-storage/endpoints", "lists object storage endpoints", _endpoints, "object_storage"),
    *(
        route
        for path, table, noun in (
            ("/regions", "regions", "region"),
            ("/linode/types", "types", "plan"),
            ("/images", "images", "image"),
            ("/databases/types", "database_types", "database plan"),
            ("/databases/engines", "database_engines", "database engine"),
        )
        for route in (
            reads(path, f"lists {noun}s", _list(table)),
            reads(f"{path}/{{id:path}}", f"shows {a(noun)}", _one(table)),
        )
    ),
)
