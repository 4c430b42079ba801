"""What a plugin refuses at preview: unknown, missing and mistyped properties, and values out of range.

The texts are those of the official plugins, so that a program's author meets the same ones in the sandbox.
"""

import difflib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sandbox.engine.sdk import Property, Type
from sandbox.engine.values import UNKNOWN

# What is wrong with a value of the attribute that is named, or None. It is asked of each value of a list, of the type
# that the SDK says, and never of an unknown one.
Check = Callable[[str, Any], str | None]


def length(least: int, most: int) -> Check:
    """A string of that many characters."""

    def check(name: str, value: Any) -> str | None:
        if least <= len(value) <= most:
            return None
        return (
            f"Invalid Attribute Value Length. Attribute {name} string length must be between {least} and {most}, "
            f"got: {len(value)}"  # the length, never the value: it may be a password
        )

    return check


def between(least: int, most: int) -> Check:
    """A number in that range."""

    def check(name: str, value: Any) -> str | None:
        if least <= value <= most:
            return None
        return f"Invalid Attribute Value. Attribute {name} value must be between {least} and {most}, got: {value}"

    return check


def one_of(*choices: str) -> Check:
    """One of these words."""

    def check(name: str, value: Any) -> str | None:
        if value in choices:
            return None
        known = " ".join(json.dumps(choice) for choice in choices)
        said = f"Attribute {name} value must be one of: [{known}], got: {json.dumps(value)}"
        return f"Invalid Attribute Value Match. {said}"

    return check


class Inspection:
    """One look at a resource's inputs: `failures` are (where, reason).

    `checks` are by property path (`origins.weight`); `serves` says whether the sandbox knows the property at a path.
    """

    def __init__(self, checks: Mapping[str, Check], serves: Callable[[str], bool]) -> None:
        self._checks = checks
        self._serves = serves
        self.failures: list[tuple[str, str]] = []

    def object(self, properties: Mapping[str, Property], given: Mapping[str, Any], path: str = "", at: str = "") -> Any:
        """The properties of an object, each of the type it must have."""
        taken = {}
        for name, value in given.items():
            below, where = _join(path, name), _join(at, name)
            if name not in properties:
                self._fail(where, f"Invalid or unknown key{_nearest(name, properties)}")
            elif value is not None and not self._serves(below):
                self._fail(where, "The sandbox does not serve this property")
            elif value is not None:
                taken[name] = self._value(properties[name].type, value, below, where)
        for name, described in properties.items():
            if described.required and given.get(name) is None:
                said = f'The argument "{described.python}" is required, but no definition was found.'
                self._fail(_join(at, name), f"Missing required argument. {said}")
        return taken

    def _value(self, kind: Type, value: Any, path: str, at: str) -> Any:
        if value is UNKNOWN or kind.form == "any":
            return value
        if kind.form == "object" and kind.properties is not None and isinstance(value, dict):
            return self.object(kind.properties, value, path, at)
        if kind.form == "map" and kind.item is not None and isinstance(value, dict):
            return {name: self._value(kind.item, item, path, f"{at}.{name}") for name, item in value.items()}
        if kind.form == "list" and kind.item is not None and isinstance(value, list):
            return [self._value(kind.item, item, path, f"{at}[{position}]") for position, item in enumerate(value)]
        taken = _scalar(kind.form, value)
        if taken is None:
            self._fail(at, f"expected {_EXPECTED[kind.form]}, got {_describe(value)}")
            return value
        reason = self._checks[path](path.rpartition(".")[2], taken) if path in self._checks else None
        if reason:
            self._fail(at, reason)
        return taken

    def _fail(self, at: str, reason: str) -> None:
        self.failures.append((at, reason))


def _join(above: str, name: str) -> str:
    return f"{above}.{name}" if above else name


_EXPECTED = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "map": "a map",
    "object": "an object",
}


def _scalar(form: str, value: Any) -> Any:
    """The value as that type, or None. Like the plugins, numbers and words stand for one another where they can."""
    if not isinstance(value, str | int | float):
        return None
    return _SCALARS[form](value)


def _string(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _boolean(value: str | float) -> bool | None:
    return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value))


def _number(value: str | float) -> int | float | None:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else number


def _whole(value: str | float) -> int | None:
    number = _number(value)
    return number if isinstance(number, int) else None


_SCALARS: dict[str, Callable[[str | float], Any]] = {
    "str": _string,
    "bool": _boolean,
    "int": _whole,
    "float": _number,
    **dict.fromkeys(("list", "map", "object"), lambda _: None),
}


def _describe(value: Any) -> str:
    kinds = {
        type(None): "null",
        bool: "true or false",
        str: "a word",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return kinds[type(value)]


def _nearest(name: str, properties: Mapping[str, Property]) -> str:
    spellings = {spelling: known.python for known in properties.values() for spelling in (known.name, known.python)}
    found = difflib.get_close_matches(name, spellings, n=1)
    return f"; did you mean {spellings[found[0]]}?" if found else ""


def examine(failures: list[tuple[str, str]], urn: str) -> Iterator[str]:
    """The texts of failures as the plugins end them: with where to look."""
    name = urn.rpartition("::")[2]
    for path, reason in failures:
        yield f"{reason.rstrip('.')}. Examine values at '{name}.{path}'."
