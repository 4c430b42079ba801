"""Rules that are a table: what a property of a kind has to be."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from policies.resource import UNKNOWN, Resource
from policies.rule import Context, ResourceRule


@dataclass(frozen=True)
class Required:
    """A property that has to be said, and to be this value.

    `given` limits it to resources with other values, and `unless` leaves some out.
    """

    kind: str
    name: str
    value: Any
    given: Mapping[str, Collection[Any]] = field(default_factory=dict)
    unless: Callable[[Resource, Context], bool] = lambda *_: False

    def problems(self, resource: Resource, context: Context) -> Iterator[str]:
        """Yield what is wrong with a resource of any kind."""
        if resource.kind != self.kind or any(resource.get(name) not in some for name, some in self.given.items()):
            return
        if self.unless(resource, context):
            return
        value = resource.get(self.name)
        if value is not UNKNOWN and value != self.value:
            yield f"its `{self.name}` is {'not set' if value is None else repr(value)}; write {self.value!r}"


def rule(name: str, promise: str, *required: Required) -> ResourceRule:
    """Return the rule that all of these hold."""

    def check(resource: Resource, context: Context) -> Iterator[str]:
        for each in required:
            yield from each.problems(resource, context)

    return ResourceRule(name, promise, check)
