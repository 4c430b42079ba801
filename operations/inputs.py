"""Setting the inputs of a stack through the engine, which encrypts the secret ones."""

import os

from components.settings import Input
from operations import edits, engine
from operations.project import Project


def put(project: Project, needed: Input, value: str) -> None:
    """Set an input in the stack's file; the engine works on a copy, as it may be interrupted.

    Raises:
        Failed: the engine refuses.
    """
    path = project.stack_file
    draft = path.with_name(f".{path.name}.{os.getpid()}.yaml")
    try:
        draft.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
        secrecy = "--secret" if needed.secret else "--plaintext"
        engine.ask(project, "config", "set", secrecy, "--raw", "--config-file", str(draft), needed.key, text=value)
        edits.write(path, draft.read_text(encoding="utf-8"))
    finally:
        draft.unlink(missing_ok=True)
