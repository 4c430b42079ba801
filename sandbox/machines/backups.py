"""What the backups of machines hold: a copy of the files, made as soon as the model has the backup.

Nothing changes while the clouds' clock is moved forward, so a copy has what there was when its backup was taken.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from sandbox.machines.images import PULLED
from sandbox.machines.packages import INSTALLED

FOLDER = ".backups"
_NO_FILES = ("proc", "run", "tmp")  # a boot makes them anew
_BESIDE = (INSTALLED, PULLED)


def follow(folder: Path, known: Iterable[int], machine: Path) -> None:
    """Has the folder hold a copy for each backup of a machine that is known, and for no other."""
    wanted = {str(each) for each in known}
    there = {each.name for each in folder.iterdir()} if folder.exists() else set()
    for gone in there - wanted:
        shutil.rmtree(folder / gone, ignore_errors=True)
    for new in wanted - there if (machine / "root").exists() else ():
        _take(machine, folder / new)


def put(copy: Path, machine: Path) -> None:
    """Puts the files of a backup into the folder of a machine that is off."""
    shutil.copytree(copy, machine, symlinks=True, dirs_exist_ok=True)
    for name in _NO_FILES:
        (machine / "root" / name).mkdir(mode=0o700)


def _take(machine: Path, into: Path) -> None:
    draft = into.parent / f".{into.name}"
    shutil.rmtree(draft, ignore_errors=True)
    root = str(machine / "root")
    try:
        shutil.copytree(root, draft / "root", symlinks=True, ignore=lambda at, _: _NO_FILES if at == root else ())
        for each in _BESIDE:
            if (machine / each).exists():
                shutil.copy2(machine / each, draft)
    except (OSError, shutil.Error):  # a file went away meanwhile: it is tried again at the next look
        return
    draft.rename(into)
