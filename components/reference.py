"""What each configuration key means, read off the models: for messages, and for the reference in docs/."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from components.topology import Stack


@dataclass(frozen=True)
class Description:
    """A key's meaning, and the names of the keys that may stand beside it."""

    text: str
    siblings: tuple[str, ...]


def nearest(word: str, known: Iterable[object]) -> str:
    """Say which known word is nearest to one that is not, or which are known."""
    words = [str(each) for each in known]
    if close := difflib.get_close_matches(word, words, n=1, cutoff=0.5):
        return f"the nearest known one is '{close[0]}'"
    return f"known are {', '.join(words)}" if words else "none is known"


def describe(key: tuple[str, ...]) -> Description:
    """Describe a key; parts that are names or positions chosen by people are described by what they hold."""
    schema = _schema()
    text, siblings = schema.get("description", ""), ()
    node = schema
    for part in key:
        node = _resolve(node)
        properties = node.get("properties", {})
        siblings = tuple(properties)
        node = properties.get(part) or node.get("additionalProperties") or node.get("items") or {}
        if not isinstance(node, dict):
            node = {}
        text = node.get("description", text)
    return Description(text, siblings)


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield key, type and meaning of every key, a key with a name chosen by people as `<name>`."""
    yield from _rows((), _schema())


def markdown() -> str:
    """Return the reference as a Markdown table; docs/configuration.md holds it."""
    lines = ["| key | value | meaning |", "| --- | --- | --- |"]
    lines += [f"| `{key}` | {value} | {meaning} |" for key, value, meaning in rows()]
    return "\n".join(lines) + "\n"


def _rows(key: tuple[str, ...], node: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    node = _resolve(node)
    for name, child in node.get("properties", {}).items():
        here = (*key, name)
        yield ".".join(here), _type(child), child.get("description", "")
        inner = _resolve(child)
        if isinstance(named := inner.get("additionalProperties"), dict):
            yield from _rows((*here, "<name>"), named)
        else:
            yield from _rows(here, inner)


def _type(node: dict[str, Any]) -> str:
    inner = _resolve(node)
    words: str = inner.get("type", "")
    if "enum" in inner:
        words = " or ".join(f"`{value}`" for value in inner["enum"])
    elif words == "integer" and "minimum" in inner:
        words = f"{inner['minimum']} to {inner['maximum']}"
    elif words == "array":
        one = _type(inner["items"])
        words = f"list of {one}" if one.endswith("`") else f"list of {one}s"
    return {"object": "keys", "boolean": "true or false", "string": "text"}.get(words, words)


def _resolve(node: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference, and of alternatives take the one that is not null."""
    for alternative in node.get("anyOf", []):
        if alternative.get("type") != "null":
            return _resolve(alternative)
    if "$ref" in node:
        return _resolve(_schema()["$defs"][node["$ref"].rsplit("/", 1)[-1]])
    return node


@cache
def _schema() -> dict[str, Any]:
    return Stack.model_json_schema()
