"""What a rule is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from components.settings import Stack
from policies.resource import Resource


@dataclass(frozen=True)
class Context:
    """The stack that a run is for: its name, its settings as the program reads them, and its ids at Cloudflare."""

    stack: str
    settings: Stack
    zone_id: str | None = None
    account_id: str | None = None


@dataclass(frozen=True)
class ResourceRule:
    """A rule about one resource, asked before that is made or changed: nothing that breaks it ever exists.

    `check` yields what is wrong and what to do instead.
    """

    name: str
    promise: str
    check: Callable[[Resource, Context], Iterator[str]]


@dataclass(frozen=True)
class StackRule:
    """A rule about more than one resource, asked at the end of a preview, so before an update, and of an update.

    `check` yields the resource, or None for the stack, with what is wrong and what to do instead.
    """

    name: str
    promise: str
    check: Callable[[Sequence[Resource], Context], Iterator[tuple[Resource | None, str]]]
