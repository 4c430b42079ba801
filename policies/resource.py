"""A resource as the rules see it: plain values, and a mark where one is not known yet."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf import json_format, struct_pb2
from pulumi_policy import deserialize, proxy


class Unknown:
    """A value that only the update will know; a rule passes it over in a preview and meets it in the update."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = Unknown()
_MARKS = frozenset(value for name, value in vars(proxy).items() if name.startswith("UNKNOWN_"))


@dataclass(frozen=True)
class Resource:
    """One resource of a stack.

    `kind` is `package:Type`. `properties` are its inputs before it is made, its outputs when the stack is looked at as
    a whole. `sources` are, by property, the URNs of the resources that the value comes from (of a whole stack only).
    `secrets` are the texts in it that no message may repeat.
    """

    kind: str
    name: str
    properties: Mapping[str, Any]
    urn: str = ""
    protected: bool = False
    sources: Mapping[str, Collection[str]] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()

    def get(self, name: str) -> Any:
        """Return a property: None where it is not set, UNKNOWN where only the update knows it."""
        return self.properties.get(name)

    def all_known(self) -> dict[str, Any]:
        """Return the properties but those that only the update knows."""
        return {name: value for name, value in self.properties.items() if value is not UNKNOWN}

    def known(self, name: str) -> list[Any]:
        """Return what is known of a property that is a list; nothing where it is not set."""
        value = self.get(name)
        return [each for each in value if each not in (None, UNKNOWN)] if isinstance(value, list) else []


def read(struct: struct_pb2.Struct) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the properties in the engine's message, and the texts among them that are secret."""
    wire = json_format.MessageToDict(struct)
    return {name: _plain(value) for name, value in wire.items()}, frozenset(_secrets(wire, within=False))


def _plain(value: Any) -> Any:
    match value:
        case str() if value in _MARKS:
            return UNKNOWN
        case {deserialize.SPECIAL_SIG_KEY: deserialize.SPECIAL_SECRET_SIG}:
            return _plain(value.get("value"))
        case dict():
            return {name: _plain(each) for name, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case float() if value.is_integer():
            return int(value)
    return value


def _secrets(value: Any, *, within: bool) -> Iterator[str]:
    match value:
        case {deserialize.SPECIAL_SIG_KEY: deserialize.SPECIAL_SECRET_SIG}:
            yield from _secrets(value.get("value"), within=True)
        case dict():
            for each in value.values():
                yield from _secrets(each, within=within)
        case list():
            for each in value:
                yield from _secrets(each, within=within)
        case str() if within and value and value not in _MARKS:
            yield value
