"""Changing single values of the files that people write, so that all else in them stays, and writing files whole."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from invoke.exceptions import Exit

T = TypeVar("T")


def replaced(text: str, key: Sequence[str], value: str) -> str:
    """Return YAML text in which a key that holds one word or text holds another.

    Raises:
        KeyError: there is no such key.
    """
    node = yaml.compose(text, yaml.SafeLoader)
    for part in key:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = {name.value: below for name, below in pairs}[part]
    if node is None:
        raise KeyError(key)
    return text[: node.start_mark.index] + _scalar(value) + text[node.end_mark.index :]


def with_values(text: str, place: Sequence[str], values: Mapping[str, Any]) -> str:
    """Return YAML text in which keys below a place hold these values, made where they are missing; None takes one away.

    Raises:
        KeyError: the text has nothing of the place.
    """
    for name, value in values.items():
        text = _without(text, (*place, name)) if value is None else _with(text, (*place, name), value)
    return text


def with_section(text: str, name: str, key: str, value: str) -> str:
    """Return YAML text with a section of one key at its end."""
    return f"{text.rstrip()}\n{name}:\n  {key}: {_scalar(value)}\n"


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all; who may read it stays as it was."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.chmod(path.stat().st_mode)
    draft.replace(path)


def tried(path: Path, text: str, read: Callable[[], T]) -> T:
    """Write a file whole, and return what is read then; where that is refused, the file is as it was."""
    before = path.read_text(encoding="utf-8")
    write(path, text)
    try:
        return read()
    except Exit:
        write(path, before)
        raise


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def _with(text: str, key: Sequence[str], value: Any) -> str:
    parents, node = _nodes(text, key)
    name, *below = key[len(parents) - 1 :]
    if node is None:
        for each in reversed(below):
            value = {each: value}
        if not isinstance(parents[-1], yaml.MappingNode):  # nothing is there yet
            node, value = parents[-1], {name: value}
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:  # what is on the key's line stays, a comment
        at = next(text.index(":", each.end_mark.index) for each, below in parents[-1].value if below is node) + 1
        return f"{text[:at]} {_flow(value)}{text[at : node.start_mark.index].rstrip()}{text[_end(node) :]}"
    if node is not None:
        blank = "" if text[node.start_mark.index - 1].isspace() else " "
        return text[: node.start_mark.index] + blank + _flow(value) + text[_end(node) :]
    mapping, pair = parents[-1], f"{name}: {_flow(value)}"
    if mapping.flow_style:
        at = _end(mapping.value[-1][1]) if mapping.value else mapping.end_mark.index - 1
        return text[:at] + (", " if mapping.value else "") + pair + text[at:]
    at = text.find("\n", _end(mapping) - 1)
    at = len(text) if at < 0 else at
    return f"{text[:at]}\n{' ' * mapping.start_mark.column}{pair}{text[at:]}"


def _without(text: str, key: Sequence[str]) -> str:
    parents, node = _nodes(text, key)
    if node is None:
        return text
    mapping = parents[-1]
    index = next(index for index, (name, _) in enumerate(mapping.value) if name.value == key[-1])
    name, value = mapping.value[index]
    if len(mapping.value) == 1:  # an empty mapping is no block
        return text[: mapping.start_mark.index] + "{}" + text[_end(mapping) :]
    if not mapping.flow_style:
        end = text.find("\n", _end(value) - 1)
        return text[: text.rfind("\n", 0, name.start_mark.index) + 1] + ("" if end < 0 else text[end + 1 :])
    if index:
        return text[: _end(mapping.value[index - 1][1])] + text[_end(value) :]
    return text[: name.start_mark.index] + text[mapping.value[1][0].start_mark.index :]


def _nodes(text: str, key: Sequence[str]) -> tuple[list[Any], yaml.Node | None]:
    """Return the nodes that hold each part of a key, as far as there are any, and the node of the whole key, or None.

    Raises:
        KeyError: there is nothing of it.
    """
    node, parents = yaml.compose(text, yaml.SafeLoader), []
    for part in key:
        if node is None:
            raise KeyError(tuple(key))
        parents.append(node)
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = {name.value: below for name, below in pairs}.get(part)
        if node is None:
            break
    return parents, node


def _end(node: yaml.Node) -> int:
    """Return where a node's text ends: a block's own mark stands behind the blank lines and comments after it."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(node, yaml.MappingNode) else last
    return int(node.end_mark.index)


def _flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    written: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
    return written.removesuffix("\n").removesuffix("\n...")


def _scalar(value: str) -> str:
    """Return a text as YAML; bare where that means the same."""
    try:
        is_bare = yaml.safe_load(value) == value
    except yaml.YAMLError:
        is_bare = False
    return value if is_bare and "#" not in value and ": " not in value else json.dumps(value)
