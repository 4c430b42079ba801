"""Configuration folders for tests: the committed files, copied and changed key by key."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from components import document

ROOT = Path(__file__).parent.parent
STACKS = ("eu-frankfurt", "eu-standby", "test", "us-central", "us-standby")
REMOVED = object()


class _Plain(yaml.SafeDumper):
    """Writes a value that stands twice out twice, as people would."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def copy_of_the_committed_files(folder: Path) -> Path:
    """Copy the platform file and every stack file into a folder, and return it."""
    folder.mkdir(exist_ok=True)
    for path in (ROOT / "platform.yaml", *(ROOT / f"Pulumi.{stack}.yaml" for stack in STACKS)):
        shutil.copy(path, folder)
    return folder


def leave_only(folder: Path, *stacks: str) -> None:
    """Take away the files of all other stacks, and what those that stay say of them as sites."""
    for stack in STACKS:
        if stack not in stacks:
            (folder / f"Pulumi.{stack}.yaml").unlink(missing_ok=True)
        elif "failover" in (folder / f"Pulumi.{stack}.yaml").read_text():
            change_stack(folder, stack, {"failover": REMOVED})


def git(folder: Path, *arguments: str) -> str:
    """Run git in a checkout, as nobody; return what it prints."""
    nobody = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")
    ended = subprocess.run(["git", *nobody, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return ended.stdout.strip()


def change_platform(folder: Path, changes: Mapping[str, Any]) -> None:
    """Set keys of the platform file, named with dots; REMOVED takes one away."""
    _change(folder / "platform.yaml", (), changes)


def change_stack(folder: Path, stack: str, changes: Mapping[str, Any]) -> None:
    """Set keys of a stack's differences, named with dots; REMOVED takes one away."""
    _change(folder / f"Pulumi.{stack}.yaml", ("config", "chat-tonic:stack"), changes)


def _change(path: Path, top: tuple[str, ...], changes: Mapping[str, Any]) -> None:
    content = document.read(path)
    for dotted, value in changes.items():
        place = content
        *parents, last = (*top, *dotted.split("."))
        for part in parents:
            if place.get(part) is None:
                place[part] = {}
            place = place[part]
        if value is REMOVED:
            place.pop(last)
        else:
            place[last] = value
    path.write_text(yaml.dump(content, Dumper=_Plain, sort_keys=False))
