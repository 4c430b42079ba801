"""Which stacks a task works on, and their settings."""

from pathlib import Path

from components import settings
from components.settings import Stack
from operations.errors import Refused

ALL = "all"


def select(root: Path, wanted: str) -> dict[str, Stack]:
    """Return the settings of the wanted stacks by name, in the order given, each once.

    `wanted` is one name, names joined by commas, or `all`: every stack that has a file in the folder, sorted.

    Raises:
        Refused: an unknown name (the nearest known one is named) or wrong configuration: every problem of
            every wanted stack at once.
    """
    names = settings.stack_names(root) if wanted == ALL else [name.strip() for name in wanted.split(",")]
    if not names:
        raise Refused(f"{root}: no stack file is here; write {settings.stack_file('<stack>')}")
    stacks: dict[str, Stack] = {}
    problems: dict[str, None] = {}  # what is wrong in platform.yaml is wrong for each stack, and said once
    for name in dict.fromkeys(names):
        try:
            stacks[name] = settings.load(root, name)
        except settings.ConfigurationError as error:
            problems.update(dict.fromkeys(map(str, error.problems)))
    if problems:
        raise Refused("\n".join(problems))
    return stacks
