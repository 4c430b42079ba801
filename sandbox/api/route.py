"""What a route is, and the routes of a kind's whole life."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sandbox.model import Body, Kind, Model, Refused, not_found


@dataclass(frozen=True)
class Call:
    """One request: who asks, and for what. `path` holds the path's parts by name, `filter` what X-Filter said."""

    model: Model
    account: str
    scopes: frozenset[str]
    path: Mapping[str, str]
    query: Mapping[str, str]
    filter: Body
    body: Body


@dataclass(frozen=True)
class Page:
    """A part of a list: where it begins, how many may be in it, and how many there are in all."""

    items: list[Body]
    number: int
    size: int
    total: int


@dataclass(frozen=True)
class Raw:
    """An answer that is no JSON, and its Content-Type."""

    text: str
    content_type: str


@dataclass(frozen=True)
class Route:
    """A method and a path (`/v4/regions/{region}`), the scope that it needs ("" for none), and what answers.

    `handle` returns the answer's body: a `Page` for a list, `Raw` for what is no JSON, whatever the API says of an
    object otherwise.
    """

    method: str
    path: str
    does: str
    handle: Callable[[Call], Any]
    scope: str = ""


def a(noun: str) -> str:
    """The noun with its article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


Pager = Callable[[Call, Callable[[int, int], tuple[list[Body], int]], Callable[[], Iterable[Body]]], Page]
"""Cuts the page out that a call asks for: from a function (start, count) that reads a part, or from the whole."""


@dataclass(frozen=True)
class Collection:
    """Objects of a kind at an address: `path` lists and makes them, `path/{id}` is one.

    `plural` is the noun's, where that is not with an s, and `named` the field that is the natural key, where one is.
    `above` are the parts of the path that are fields of each object. `unchangeable` are fields that an update skips.
    `replaces`: an update gives the whole object, as Cloudflare's PUT does; PATCH then changes parts. `shows` makes of
    an object what is answered wherever it is asked for, `tells` what is answered when it was made or changed,
    `deleted` when it was deleted, `missing` when it is not there.
    """

    path: str
    kind: Kind
    noun: str
    reads: str
    writes: str
    pager: Pager
    plural: str = ""
    named: str = ""
    above: Mapping[str, str] = field(default_factory=dict)
    unchangeable: frozenset[str] = frozenset()
    verbs: frozenset[str] = frozenset({"list", "create", "read", "update", "patch", "delete"})
    replaces: bool = False
    shows: Callable[[Body], Body] = lambda found: found
    tells: Callable[[Body], Any] = lambda found: found
    deleted: Callable[[Body], Any] = lambda _: {}
    missing: Refused = field(default_factory=not_found)

    def routes(self) -> Iterator[Route]:
        """The routes of the kind's life."""
        one = f"{self.path}/{{id}}"
        known = {
            "list": (Route("GET", self.path, f"lists {self.plural or f'{self.noun}s'}", self._list, self.reads),),
            "create": (Route("POST", self.path, f"makes {a(self.noun)}", self._create, self.writes),),
            "read": (Route("GET", one, f"shows {a(self.noun)}", self._read, self.reads),),
            "update": (self._put(one),),
            "patch": (Route("PATCH", one, f"changes {a(self.noun)}", self._change, self.writes),) * self.replaces,
            "delete": (Route("DELETE", one, f"deletes {a(self.noun)}", self._delete, self.writes),),
        }
        for verb, routes in known.items():
            if verb in self.verbs:
                yield from routes

    def _put(self, one: str) -> Route:
        if self.replaces:
            return Route("PUT", one, f"replaces {a(self.noun)}", self._replace, self.writes)
        return Route("PUT", one, f"changes {a(self.noun)}", self._change, self.writes)

    def find(self, call: Call) -> Body:
        """The object that the path names. Raises Refused where there is none there."""
        with suppress(Refused):
            found = call.model.read(call.account, self.kind.name, call.path["id"])
            if found.items() >= self._fields(call).items():
                return found
        raise self.missing

    def _fields(self, call: Call) -> Body:
        """The fields that the path says."""
        return {name: self._value(name, call.path[part]) for part, name in self.above.items()}

    def _value(self, name: str, text: str) -> Any:
        if self.kind.fields[name].shape is not int:
            return text
        if not (text.isascii() and text.isdigit()):
            raise not_found()
        return int(text)

    def _list(self, call: Call) -> Page:
        parent = None
        if self.kind.parent and self.above:
            kind, identity = self.kind.parent(self._fields(call))
            call.model.read(call.account, kind, identity)
            parent = f"{kind}/{identity}"

        def part(start: int, count: int) -> tuple[list[Body], int]:
            found, total = call.model.page(call.account, self.kind.name, parent, start, count)
            return [*map(self.shows, found)], total

        def whole() -> Iterable[Body]:
            wanted = {**call.query, **call.filter}.get(self.named)
            if parent is None and isinstance(wanted, str):  # the natural key: no need to read the others
                return map(self.shows, call.model.find(call.account, self.kind.name, wanted))
            return part(0, -1)[0]

        return self.pager(call, part, whole)

    def _create(self, call: Call) -> Any:
        return self.tells(call.model.create(call.account, self.kind.name, {**call.body, **self._fields(call)}))

    def _read(self, call: Call) -> Body:
        return self.shows(self.find(call))

    def _change(self, call: Call) -> Any:
        self.find(call)
        given = {name: value for name, value in call.body.items() if name not in self.unchangeable}
        return self._updated(call, given)

    def _replace(self, call: Call) -> Any:
        self.find(call)
        # What is not given is emptied: the model refuses that where it is required.
        free = (name for name, rule in self.kind.fields.items() if not rule.fixed)
        return self._updated(call, {**dict.fromkeys(free), **call.body})

    def _updated(self, call: Call, given: Body) -> Any:
        whole = {**given, **self._fields(call)}
        return self.tells(call.model.update(call.account, self.kind.name, call.path["id"], whole))

    def _delete(self, call: Call) -> Any:
        found = self.find(call)
        call.model.delete(call.account, self.kind.name, call.path["id"])
        return self.deleted(found)
