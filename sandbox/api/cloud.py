"""What the door has to know of each cloud: its prefix, its routes, who may come in, and the form of its answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.api.route import Call, Page, Route
from sandbox.model import Body, Refused


@dataclass(frozen=True)
class Access:
    """What a token opens: an account, and in it what its scopes say ("*" for everything)."""

    account: str
    scopes: frozenset[str]


@dataclass(frozen=True)
class Cloud:
    """One cloud's API.

    `missing`, `wrong_method`, `too_large`, `malformed` and `failed` are its answers for requests that reach no route;
    `forbidden` for a token without the scope, `busy` for too many requests. `answer` gives the body for what a route
    returned. `rate_headers` and `scope_headers` go with every answer to a token that is let in.
    """

    name: str
    prefix: str
    routes: tuple[Route, ...]
    page: Callable[[Page], Body]
    answer: Callable[[Any], Any]
    error: Callable[[Refused], Body]
    admit: Callable[[str, Mapping[str, Access]], Access]
    allows: Callable[[Call, str], bool]
    forbidden: Refused
    missing: Refused
    wrong_method: Refused
    malformed: Refused
    too_large: Refused
    too_many: Refused
    failed: Refused
    filtered: bool  # whether its lists take the header X-Filter
    rate: int
    window: int  # seconds
    rate_headers: Callable[[int, int, int], Mapping[str, str]]
    scope_headers: Callable[[Access], Mapping[str, str]] = lambda _: {}
