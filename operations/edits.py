"""Changing single values of the files that people write, so that all else in them stays, and writing files whole."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import yaml


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


def with_section(text: str, name: str, key: str, value: str) -> str:
    """Return YAML text with a section of one key at its end."""
    return f"{text.rstrip()}\n{name}:\n  {key}: {_scalar(value)}\n"


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all; who may read it stays as it was."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.chmod(path.stat().st_mode)
    draft.replace(path)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def _scalar(value: str) -> str:
    """Return a text as YAML; bare where that means the same."""
    try:
        is_bare = yaml.safe_load(value) == value
    except yaml.YAMLError:
        is_bare = False
    return value if is_bare and "#" not in value and ": " not in value else json.dumps(value)
