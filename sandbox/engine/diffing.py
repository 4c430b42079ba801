"""What a change of inputs means: nothing, an update in place, or another object."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from sandbox.engine.resource import Properties, Resource
from sandbox.engine.sdk import Type
from sandbox.engine.values import UNKNOWN

_POSITION = re.compile(r"\[\d+\]")
_NONE = object()  # no value at that position of a list


@dataclass(frozen=True)
class Difference:
    """One differing property: its path as the engine writes it (`origins[0].weight`) and add, delete or update."""

    path: str
    kind: str

    @property
    def top(self) -> str:
        """The top-level property it is in."""
        return self.path.split(".")[0].split("[")[0]


def differences(resource: Resource, state: Properties, old: Properties, new: Properties) -> Iterator[Difference]:
    """Where the cloud, as `state` has it, is not as the `new` inputs say; `old` are the inputs before.

    An input that is not given asks for nothing, if the cloud chooses it itself; otherwise it asks for none.
    """
    for name in resource.schema.inputs:
        held, wanted = state.get(name), new.get(name)
        if wanted is not None:
            yield from _compare(resource, name, held, wanted, old.get(name))
        elif not _is_empty(held) and not resource.is_computed(name):
            yield Difference(name, "delete")


def _compare(resource: Resource, at: str, held: Any, wanted: Any, old: Any) -> Iterator[Difference]:
    if isinstance(wanted, dict) and isinstance(held, dict):
        yield from _compare_objects(resource, at, held, wanted, old if isinstance(old, dict) else {})
    elif isinstance(wanted, list) and isinstance(held, list) and at not in resource.sets:
        yield from _compare_lists(resource, at, held, wanted, old if isinstance(old, list) else [])
    elif wanted is UNKNOWN or not _is_same(resource, at, held, wanted):
        yield Difference(at, "add" if held is None else "update")


def _compare_objects(
    resource: Resource, at: str, held: Properties, wanted: Properties, old: Properties
) -> Iterator[Difference]:
    for name, value in wanted.items():
        yield from _compare(resource, f"{at}.{name}", held.get(name), value, old.get(name))
    for name in old:  # what the program gave and gives no more
        where = _POSITION.sub("", f"{at}.{name}")
        if name not in wanted and not _is_empty(held.get(name)) and not resource.is_computed(where):
            yield Difference(f"{at}.{name}", "delete")


def _compare_lists(
    resource: Resource, at: str, held: list[Any], wanted: list[Any], old: list[Any]
) -> Iterator[Difference]:
    for position, (has, wants, had) in enumerate(zip_longest(held, wanted, old, fillvalue=_NONE)):
        where = f"{at}[{position}]"
        if wants is not _NONE and has is not _NONE:
            yield from _compare(resource, where, has, wants, had)
        elif wants is not _NONE or has is not _NONE:
            yield Difference(where, "add" if has is _NONE else "delete")


def _is_same(resource: Resource, at: str, held: Any, wanted: Any) -> bool:
    if held is None:
        return _is_empty(wanted)
    if at in resource.normal:
        held, wanted = resource.normal[at](held), resource.normal[at](wanted)
    if at in resource.sets and isinstance(held, list) and isinstance(wanted, list):
        return sorted(map(_canonical, held)) == sorted(map(_canonical, wanted))
    return bool(held == wanted)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def _is_empty(value: Any) -> bool:
    """Whether a plugin takes it for not given."""
    return value in (None, "", False, 0) or value in ([], {})


def refreshed(resource: Resource, old: Properties, outputs: Properties) -> Properties:
    """The inputs that would have made what the cloud now holds: the old ones, except where it differs."""
    return {
        name: outputs.get(name) if any(_compare(resource, name, outputs.get(name), value, value)) else value
        for name, value in old.items()
    }


def imported(resource: Resource, outputs: Properties) -> Properties:
    """The inputs that would make what the cloud holds, when there are none yet."""
    return {
        name: pruned
        for name, described in resource.schema.inputs.items()
        if resource.serves(name) and name not in resource.only_written
        for pruned in [_prune(described.type, outputs.get(name))]
        if not _is_empty(pruned)
    }


def _prune(kind: Type, value: Any) -> Any:
    if isinstance(value, dict) and kind.properties is not None:
        kept = {
            name: _prune(kind.properties[name].type, item) for name, item in value.items() if name in kind.properties
        }
        return {name: item for name, item in kept.items() if item is not None}
    if isinstance(value, list) and kind.item is not None:
        return [_prune(kind.item, item) for item in value]
    return value
