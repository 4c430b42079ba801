"""How one of the SDKs' resource types stands for an object of the model: names, shapes, and what its life is.

Everything is data in `Resource`; the functions here read it. A property path is written with dots and without list
positions: `origins.weight`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from sandbox.engine import sdk
from sandbox.engine.checks import Check
from sandbox.engine.sdk import Property, Schema, Type
from sandbox.engine.values import UNKNOWN
from sandbox.model import Body, Model

Properties = dict[str, Any]
_REDACTED = ("[REDACTED]", "<REDACTED>")  # what the API answers instead of a secret that it holds


class Life:
    """What the plugin does for create, read, update and delete: plainly that, to the object itself."""

    def create(self, model: Model, account: str, kind: str, body: Body) -> Body:
        """Makes the object; returns what the API answers."""
        return model.create(account, kind, body)

    def read(self, model: Model, account: str, kind: str, identity: str) -> Body:
        """The object and what the API answers below its address."""
        return model.read_whole(account, kind, identity)

    def update(self, model: Model, account: str, kind: str, identity: str, body: Body) -> None:
        """Changes the fields in `body`."""
        model.update(account, kind, identity, body)

    def delete(self, model: Model, account: str, kind: str, identity: str) -> None:
        """Deletes the object."""
        model.delete(account, kind, identity)


@dataclass(frozen=True)
class Seconds:
    """How long the cloud takes, in seconds: the time until the plugin has seen the work done."""

    create: float
    update: float
    delete: float


@dataclass(frozen=True)
class Resource:
    """One resource type.

    `names`: the API's name of a property where it is not the SDK's Python name; dotted where the API nests it.
    `singles`: lists in the SDK that are one object in the API. `sets`: lists whose order means nothing.
    `replaces`: changes that make a new object. `fills`: what the plugin itself fills in.
    `derived`: outputs computed from what the API answered. `only_written`: never read back.
    `chosen`: properties inside an object that the cloud sets where they are not given. `unserved`: the inputs that the
    sandbox does not know (patterns of paths). `normal`: the API's spelling of a value.
    `secrets`: outputs that are secret beside those that the SDK says.
    `identify`: the resource's id, from what the API answered; `locate`: the object's id, from the resource's id and
    its outputs. `above`: the outputs that come before the id when importing, in that order.
    """

    token: str
    module: str
    kind: str
    noun: str
    seconds: Seconds
    names: Mapping[str, str] = field(default_factory=dict)
    singles: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset()
    replaces: frozenset[str] = frozenset()
    fills: Mapping[str, Any] = field(default_factory=dict)
    derived: Mapping[str, Callable[[Body], Any]] = field(default_factory=dict)
    only_written: frozenset[str] = frozenset()
    chosen: frozenset[str] = frozenset()
    unserved: frozenset[str] = frozenset()
    checks: Mapping[str, Check] = field(default_factory=dict)
    normal: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    to_body: Callable[[Body], Body] = lambda body: body
    identify: Callable[[Body], str] = lambda body: str(body["id"])
    locate: Callable[[str, Properties], str] = lambda identity, _: identity
    above: tuple[str, ...] = ()
    separator: str = ","
    importable: bool = True
    life: Life = field(default_factory=Life)

    @cached_property
    def schema(self) -> Schema:
        """The types of the installed SDK."""
        package, _, name = self.token.partition(":")
        return sdk.schema(f"pulumi_{package}", self.module, name.rpartition(":")[2])

    @property
    def secret_outputs(self) -> frozenset[str]:
        """The outputs that are secret whatever they were made of."""
        return self.schema.secrets | self.secrets

    def is_computed(self, path: str) -> bool:
        """Whether an input that is not given is the cloud's to choose."""
        top = path.partition(".")[0]
        return (top in self.schema.outputs and self.schema.outputs[top].required) or path in self.chosen

    def body(self, inputs: Properties) -> Body:
        """What the plugin sends to the API for these inputs."""
        return self.to_body(self._sent_object("", self.schema.inputs, inputs))

    def fields(self, names: Iterable[str]) -> set[str]:
        """The API's top-level fields that these inputs are in."""
        return {self._api_name(self.schema.inputs[name], name).partition(".")[0] for name in names}

    def serves(self, path: str) -> bool:
        """Whether the sandbox knows an input."""
        return not any(fnmatchcase(path, pattern) for pattern in self.unserved)

    def _sent(self, path: str, kind: Type, value: Any) -> Any:
        if kind.form == "list" and kind.item is not None:
            items = [self._sent(path, kind.item, item) for item in value]
            return next(iter(items), None) if path in self.singles else items
        if kind.form == "object" and kind.properties is not None:
            return self._sent_object(f"{path}.", kind.properties, value)
        return value

    def _sent_object(self, above: str, properties: Mapping[str, Property], given: Properties) -> Body:
        body: Body = {}
        for name, value in given.items():
            if value is not None:
                described, path = properties[name], above + name
                _place(body, self._api_name(described, path), self._sent(path, described.type, value))
        return body

    def _api_name(self, described: Property, path: str) -> str:
        return self.names.get(path, described.python)

    def outputs(self, document: Body, kept: Properties) -> Properties:
        """The resource's outputs for what the API answered; what it never answers stays as it is in `kept`."""
        return {name: self._output(name, described, document, kept) for name, described in self.schema.outputs.items()}

    def _output(self, name: str, described: Property, document: Body, kept: Properties) -> Any:
        if name in self.derived:
            return self.derived[name](document)
        found = _find(document, self._api_name(described, name))
        if found is _ABSENT or found in _REDACTED or name in self.only_written:
            return kept.get(name, self.fills.get(name))
        return self._received(name, described.type, found)

    def _received(self, path: str, kind: Type, value: Any) -> Any:
        if value is None:
            return [] if kind.form == "list" and self.is_computed(path) else None
        if kind.form == "list" and kind.item is not None:
            values = [value] if path in self.singles else value
            return [self._received(path, kind.item, item) for item in values]
        if kind.form == "object" and kind.properties is not None:
            items = {
                name: self._received_below(f"{path}.{name}", described, value)
                for name, described in kind.properties.items()
            }
            return {name: item for name, item in items.items() if item is not None}
        return value

    def _received_below(self, path: str, described: Property, value: Body) -> Any:
        found = _find(value, self._api_name(described, path))
        return None if found is _ABSENT else self._received(path, described.type, found)

    def preview(self, inputs: Properties) -> Properties:
        """The outputs before anything is made: what inputs say, null where nobody will say, else unknown."""
        return {
            name: inputs[name] if name in inputs else UNKNOWN if described.required else self.fills.get(name)
            for name, described in self.schema.outputs.items()
        }


def now(made: Body, whole: Body) -> Body:
    """An object as it is now, with what only the answer to its creation showed."""
    return {**made, **{name: value for name, value in whole.items() if value not in _REDACTED}}


_ABSENT = object()


def _place(body: Body, path: str, value: Any) -> None:
    *above, last = path.split(".")
    for name in above:
        body = body.setdefault(name, {})
    body[last] = value


def _find(body: Body, path: str) -> Any:
    value: Any = body
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return _ABSENT
        value = value[name]
    return value
