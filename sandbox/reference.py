"""What the sandbox serves, read off its tables: for the reference in docs/."""

from collections.abc import Callable, Iterable, Mapping
from typing import get_args

from sandbox.api import cloudflare as cloudflare_api
from sandbox.api import control
from sandbox.api import linode as linode_api
from sandbox.api.cloud import Cloud
from sandbox.engine import cloudflare, linode
from sandbox.engine.resource import Resource
from sandbox.faults import MEANINGS, What
from sandbox.model import CONDITIONS


def resource_types() -> str:
    """The engine door's resource types, with the inputs that it refuses."""
    return _table(("resource type", "not served"), map(_resource, (*linode.RESOURCES, *cloudflare.RESOURCES)))


def lookups() -> str:
    """The engine door's lookups."""
    return _table(("lookup",), ((f"`{token}`",) for token in cloudflare.LOOKUPS))


def routes(cloud: Cloud) -> str:
    """A cloud's routes at the API door."""
    known = sorted(cloud.routes, key=lambda route: route.path)
    rows = ((f"`{route.method}`", f"`{_path(route.path)}`", route.does, route.scope or "any") for route in known)
    return _table(("method", "path", "what it does", "scope"), rows)


def addresses() -> str:
    """The sandbox's own addresses."""
    rows = ((f"`{at.method}`", f"`{control.PREFIX}{at.path}`", at.does) for at in control.ADDRESSES)
    return _table(("method", "path", "what it does"), rows)


def faults() -> str:
    """What may go wrong with a call."""
    return _table(("`what`", "the call"), ((f"`{what}`", MEANINGS[what]) for what in get_args(What)))


def conditions() -> str:
    """What may be wrong in the clouds."""
    return _table(("condition", "a list of"), ((f"`{name}`", meaning) for name, meaning in CONDITIONS.items()))


TABLES: Mapping[str, Callable[[], str]] = {
    "resource types": resource_types,
    "lookups": lookups,
    "linode": lambda: routes(linode_api.CLOUD),
    "cloudflare": lambda: routes(cloudflare_api.CLOUD),
    "control": addresses,
    "faults": faults,
    "conditions": conditions,
}
"""The tables of docs/sandbox.md, by the marks that they stand between."""


def _resource(resource: Resource) -> tuple[str, str]:
    return f"`{resource.token}`", ", ".join(f"`{name}`" for name in sorted(resource.unserved))


def _path(path: str) -> str:
    return path.replace(":path}", "}")


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = [*heads]
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    for name, table in TABLES.items():
        print(f"<!-- {name} -->\n{table()}<!-- /{name} -->\n")
