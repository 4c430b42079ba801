"""The configuration that a region is built from again: the stack's own, elsewhere, or beside the living one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components import document, settings
from components.settings import Stack
from operations import edits
from operations.environments import files
from operations.errors import Refused

BESIDE = "-drill"
"""What the name of a stack ends with that is built beside a living one."""


@dataclass(frozen=True)
class Rebuilt:
    """The stack that is built: its name, its settings, and its differences from the platform file."""

    name: str
    stack: Stack
    differences: dict[str, Any]


def declare(root: Path, name: str, stack: Stack, *, region: str, beside: bool) -> Rebuilt:
    """Write the stack that is to be built into its stack file in a folder.

    In another region the copies stay where they are. One that is built beside the living stack has labels of its own,
    and nothing that is the living one's: no names, no alarms, no copies of its own. An environment has the database
    alone that serves: what that was a fork of is gone, and Linode has nothing of before its birth.

    Raises:
        Refused: no such stack can be, with every reason; or the name is that of a stack which is kept.
    """
    if beside and (root / settings.stack_file(name + BESIDE)).exists():
        raise Refused(f"{settings.stack_file(name + BESIDE)} is a stack's own; what is built beside is destroyed")
    environments: dict[str, Any] = {
        each: {"database": {"generations": [environment.database.serves]}}
        for each, environment in stack.environments.items()
    }
    above: dict[str, Any] = {"environments": environments}
    if region:
        kept = {"region": stack.copy_region(), "second": stack.second_copy_region()}
        above |= {"region": region, "copies": kept}
    if beside:
        above |= {"label": f"{stack.label}d", **dict.fromkeys(("zone", "alarms", "failover", "standby", "voice"))}
        for each in environments.values():
            each["publish"], each["database"]["copies"] = "none", False
    said = files.without_past(settings.differences(root, name))
    differences = settings.lay_over(said, above)
    name += BESIDE if beside else ""
    path = root / settings.stack_file(name)
    content = document.read(path) if path.exists() else {}
    config = {**(content.get("config") or {}), settings.STACK_KEY: differences}
    edits.write_private(path, yaml.safe_dump({**content, "config": config}, sort_keys=False))
    try:
        return Rebuilt(name, settings.load(root, name), differences)
    except settings.ConfigurationError as error:
        raise Refused(f"{name}: it can't be built like that: {error}") from None
