"""What is remembered beside a stack's state: its tags in the backend, each of them JSON. No update touches them."""

import json
from typing import Any

from operations import engine
from operations.project import Project


def read(project: Project, name: str) -> dict[str, Any]:
    """Return the note of a name; nothing where there is none.

    Raises:
        Failed: the engine does not answer.
    """
    tags = json.loads(engine.ask(project, "stack", "tag", "ls", "--json").strip() or "{}")
    return dict(json.loads(tags.get(name) or "{}"))


def write(project: Project, name: str, note: dict[str, Any]) -> None:
    """Remember a note in the place of the one that was there.

    Raises:
        Failed: the engine does not answer.
    """
    engine.ask(project, "stack", "tag", "set", name, json.dumps(note))
