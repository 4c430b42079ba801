"""Keeping secrets out of what is published: what the engine does not mask any more, because it moved, is told by value.

The engine masks a value for as long as the program marks it. One that lost its mark, or was put into another property,
is in a plan in clear; so are known the values that the stack's configuration and its state keep secret, whole, by
their lines, and in base64, as user data and keys are.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from typing import Any

from operations import engine
from operations.engine import SPECIAL
from operations.plans import SECRET
from operations.project import Project

SHORTEST = 8
"""Characters of the shortest value that is looked for; shorter ones are in everything."""
SHORTEST_LINE = 20
"""Of the shortest line of a longer one: keys and certificates are lines of 64; a blank or a brace is none."""
PIECE = 16
"""Characters of a piece of a key."""

_PLAINTEXT = "plaintext"


class Redactor:
    """Knows the secret values of a stack, and takes them out of what is shown.

    `values` are found whole or by their lines; `keys`, which are nothing but secret, also by pieces of them.
    """

    def __init__(self, values: Iterable[Any] = (), keys: Iterable[str] = ()) -> None:
        whole = [*keys]
        found = {needle for value in (*values, *whole) for needle in needles(value)}
        self._needles = sorted(found, key=len, reverse=True)  # of two that overlap, the longer goes
        self._pieces = {key[at : at + PIECE] for key in whole for at in range(len(key) - PIECE + 1)}

    def text(self, text: str) -> str:
        """Return a text with SECRET for each secret value in it; SECRET alone where it is base64 of one."""
        decoded = _decoded(text)
        if decoded and self._clear(decoded) != decoded:
            return SECRET
        return self._clear(text)

    def _clear(self, text: str) -> str:
        for needle in self._needles:
            text = text.replace(needle, SECRET)
        kept, end = "", 0
        for at in range(len(text) - PIECE + 1):
            if text[at : at + PIECE] in self._pieces:
                kept += text[end:at] + (SECRET if at >= end else "")
                end = at + PIECE
        return kept + text[end:]

    def value(self, value: Any) -> Any:
        """Return a value of a plan with all texts in it redacted."""
        if isinstance(value, dict):
            return {self.text(name): self.value(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return self.text(value) if isinstance(value, str) else value


def of(project: Project) -> Redactor:
    """Return what knows the secrets of a stack's configuration and state.

    Raises:
        Failed: the engine does not give them.
    """
    configuration = json.loads(engine.ask(project, "config", "--json", "--show-secrets"))
    keys = [str(each.get("value")) for each in configuration.values() if each.get("secret")]
    state = json.loads(engine.ask(project, "stack", "export", "--show-secrets"))
    return Redactor(secrets_of(state.get("deployment") or {}), keys)


def secrets_of(value: Any) -> Iterator[Any]:
    """Return the plain values of all that a state marks as secret."""
    if isinstance(value, dict):
        if SPECIAL in value and _PLAINTEXT in value:
            yield json.loads(value[_PLAINTEXT])
        else:
            for item in value.values():
                yield from secrets_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from secrets_of(item)


def needles(value: Any) -> Iterator[str]:
    """Return the texts by which a secret value is found: all texts in it, what they encode, and long lines of both."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from needles(item)
    elif isinstance(value, str):
        for text in {value, value.strip(), _decoded(value), base64.b64encode(value.encode()).decode()}:
            if len(text) >= SHORTEST:
                yield text
            yield from (line.strip() for line in text.splitlines() if len(line.strip()) >= SHORTEST_LINE)


def _decoded(text: str) -> str:
    """Return the text that a text is the base64 of, or an empty one."""
    try:
        return base64.b64decode(text, validate=True).decode() if len(text) >= SHORTEST else ""
    except (binascii.Error, ValueError):
        return ""
