"""What the services' routes are made of."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sandbox import linode
from sandbox.api import listing
from sandbox.api.route import Call, Collection, Page, Route
from sandbox.model import Action, Body, Kind, Problem, Refused, not_found

PREFIX = "/v4"
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in linode.KINDS}


def collection(path: str, kind: str, noun: str, scope: str, *, hides: Iterable[str] = (), **more: Any) -> Collection:
    """The objects of a kind at an address, for tokens of that scope; answers have all of their fields but `hides`."""
    shows = without(*hides)
    return Collection(
        f"{PREFIX}{path}",
        KINDS[kind],
        noun,
        f"{scope}:read_only",
        f"{scope}:read_write",
        listing.linode,
        **{"named": "label", "shows": shows, "tells": shows, **more},
    )


def served(routes: Iterable[Route], *unserved: str) -> Iterator[Route]:
    """These routes; who wants something made with one of these fields is refused: it would not be what was wanted."""
    for route in routes:
        yield replace(route, handle=_guarded(route.handle, unserved)) if route.method == "POST" else route


def _guarded(handle: Callable[[Call], Any], unserved: Iterable[str]) -> Callable[[Call], Any]:
    def answer(call: Call) -> Any:
        given = [name for name in unserved if call.body.get(name)]
        if given:
            raise Refused(400, *(Problem("The sandbox does not serve this field", name) for name in given))
        return handle(call)

    return answer


def without(*names: str) -> Callable[[Body], Body]:
    """An answer that lacks these fields."""
    return lambda found: {name: value for name, value in found.items() if name not in names}


def reads(path: str, does: str, handle: Callable[[Call], Any], scope: str = "") -> Route:
    """A route that reads, for tokens that may read in that scope ("" for any token)."""
    return Route("GET", f"{PREFIX}{path}", does, handle, scope and f"{scope}:read_only")


def writes(method: str, path: str, does: str, handle: Callable[[Call], Any], scope: str) -> Route:
    """A route that changes something, for tokens that may write in that scope."""
    return Route(method, f"{PREFIX}{path}", does, handle, f"{scope}:read_write")


def acts(kind: str, action: Action, answer: Callable[[Body], Body] = lambda _: {}) -> Callable[[Call], Body]:
    """Does something to the object that the path names."""
    return lambda call: answer(call.model.act(call.account, kind, call.path["id"], action, call.body))


def listed(call: Call, items: Iterable[Body]) -> Page:
    """A page of a list that is in memory already."""
    return listing.linode(call, *listing.given(items))


def entry(items: Iterable[Body], identity: str, key: str = "id") -> Body:
    """The one of these with that id. Raises Refused where there is none."""
    found = next((item for item in items if str(item[key]) == identity), None)
    if found is None:
        raise not_found()
    return found
