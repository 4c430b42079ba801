"""Work trees of git: the files of a commit in a folder of their own, which ends with the work in it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from operations import processes
from operations.errors import Refused


def git(root: Path, *arguments: str, otherwise: str = "") -> str:
    """Return what git says, without the end of the line.

    Raises:
        Refused: git fails; with `otherwise`, else with what it said.
    """
    ended = subprocess.run(["git", *arguments], cwd=root, capture_output=True, encoding="utf-8", check=False)
    if ended.returncode:
        raise Refused(otherwise or f"`git {' '.join(arguments)}` failed: {ended.stderr.strip()}")
    return ended.stdout.strip()


@contextmanager
def at(root: Path, commit: str, purpose: str) -> Iterator[Path]:
    """Yield a folder with the files of a commit; it, and git's knowledge of it, end with the block.

    Raises:
        Refused: git can't make it.
    """
    for left in _left(root):
        shutil.rmtree(left, ignore_errors=True)
    git(root, "worktree", "prune")
    prefix = f"chat-tonic-{purpose}-{os.getpid()}-"
    place = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
    with terminable(), place as made:
        folder = Path(made, "checkout")
        git(root, "worktree", "add", "--quiet", "--detach", str(folder), commit)
        try:
            yield folder
        finally:
            git(root, "worktree", "remove", "--force", "--force", str(folder))


def _left(root: Path) -> Iterator[Path]:
    """Yield the folders of work trees whose process was killed: its number is in the folder's name."""
    for line in git(root, "worktree", "list", "--porcelain").splitlines():
        found = re.fullmatch(r"worktree (.*/chat-tonic-[a-z]+-(\d+)-[^/]*)/checkout", line)
        if found and not processes.is_alive(int(found[2])):
            yield Path(found[1])


@contextmanager
def terminable() -> Iterator[None]:
    """Have SIGTERM end the block like an error, so that it cleans up."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
