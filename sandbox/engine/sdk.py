"""What a resource's inputs and outputs look like, read from the installed SDKs' own types: never a copied list.

Only the modules of the resources are imported, without running their packages' `__init__`, which would import some
two thousand others (`pulumi_cloudflare`: 2 s, 160 MB).
"""

import collections.abc
import importlib
import importlib.util
import inspect
import re
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pulumi
from pulumi import _types as pulumi_types


@dataclass(frozen=True)
class Type:
    """A property's type: `form` is str, int, float, bool, any, list, map or object.

    `item` is the type of a list's or map's values, `properties` those of an object.
    """

    form: str
    item: "Type | None" = None
    properties: "Mapping[str, Property] | None" = None


@dataclass(frozen=True)
class Property:
    """A property by the engine's `name` and its `python` name.

    `required` says of an input that it must be given; of an output that the cloud always has a value for it, which
    is so for what is computed: an input whose output is required needs not be given to be known.
    """

    name: str
    python: str
    type: Type
    required: bool


@dataclass(frozen=True)
class Schema:
    """The inputs and outputs of a resource, and those of them that the SDK calls secret."""

    inputs: Mapping[str, Property]
    outputs: Mapping[str, Property]
    secrets: frozenset[str]


def schema(package: str, module: str, resource: str) -> Schema:
    """Reads the types of a resource: `schema("pulumi_linode", "instance", "Instance")`."""
    imported = _module(package, module)
    arguments = getattr(imported, f"{resource}InitArgs", None) or getattr(imported, f"{resource}Args")
    cls = getattr(imported, resource)
    secret = re.search(r"additional_secret_outputs=\[(.*?)\]", inspect.getsource(imported))
    return Schema(
        inputs=_input_properties(arguments),
        outputs=_resource_properties(cls),
        secrets=frozenset(re.findall(r'"(\w+)"', secret[1]) if secret else ()),
    )


def result(package: str, module: str, name: str) -> Mapping[str, Property]:
    """Reads the properties of what a lookup returns, by the name of the result's class."""
    return _output_properties(getattr(_module(package, module), name))


def _module(package: str, module: str) -> types.ModuleType:
    if package in sys.modules:
        return importlib.import_module(f"{package}.{module}")
    sys.modules[package] = _bare_package(package)
    try:
        return importlib.import_module(f"{package}.{module}")
    finally:
        del sys.modules[package]  # whoever imports the whole package later gets the whole one


@cache
def _bare_package(package: str) -> types.ModuleType:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"{package} is not installed", name=package)
    bare = types.ModuleType(package)
    bare.__path__ = list(spec.submodule_search_locations)
    bare.__spec__ = spec
    return bare


@cache
def _input_properties(cls: type) -> Mapping[str, Property]:
    names = pulumi_types.input_type_py_to_pulumi_names(cls)
    kinds = pulumi_types.input_type_types(cls)
    given = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    return {
        name: Property(name, python, _type(kinds[name]), given[python].default is inspect.Parameter.empty)
        for python, name in names.items()
    }


def _resource_properties(cls: type) -> Mapping[str, Property]:
    kinds = pulumi_types.resource_types(cls)
    names = pulumi_types.resource_py_to_pulumi_names(cls)
    return {
        name: Property(name, python, _type(kinds[name]), _is_required(cls, python)) for python, name in names.items()
    }


@cache
def _output_properties(cls: type) -> Mapping[str, Property]:
    kinds = pulumi_types.output_type_types(cls)
    names = pulumi_types._pulumi_to_py_names_from_py_properties(cls)  # noqa: SLF001 (the SDK offers no public one)
    return {
        name: Property(name, python, _type(kinds[name]), _is_required(cls, python)) for name, python in names.items()
    }


def _is_required(cls: type, python: str) -> bool:
    returned = getattr(cls, python).fget.__annotations__["return"]
    return "Optional[" not in str(returned)


_SCALARS = {str: Type("str"), bool: Type("bool"), int: Type("int"), float: Type("float"), Any: Type("any")}


def _type(annotation: Any) -> Type:
    bare = _bare(annotation)
    if bare in _SCALARS:
        return _SCALARS[bare]
    origin, arguments = typing.get_origin(bare), typing.get_args(bare)
    if origin is collections.abc.Sequence:
        return Type("list", item=_type(arguments[0]))
    if origin is collections.abc.Mapping:
        return Type("map", item=_type(arguments[1]))
    if pulumi_types.is_input_type(bare):
        return Type("object", properties=_input_properties(bare))
    if pulumi_types.is_output_type(bare):
        return Type("object", properties=_output_properties(bare))
    raise TypeError(f"the sandbox does not know the SDK's type {annotation}")


def _bare(annotation: Any) -> Any:
    """The type inside Input[...] and Optional[...], which are unions with awaitables, outputs and None."""
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation
    wrappers = (collections.abc.Awaitable, pulumi.Output)
    kept = [
        member
        for member in typing.get_args(annotation)
        if member is not type(None) and typing.get_origin(member) not in wrappers and not typing.is_typeddict(member)
    ]
    return _bare(kept[0])
