"""Where the clusters' files are: in the sandbox's own folder, or, as PostgreSQL refuses root, in one of another user.

That user can't reach a folder that only root can. So under root they are in /var/tmp, each sandbox's in a folder of its
own, which says whose it is: once that sandbox's folder is gone, it goes too.
"""

import os
import shutil
import stat
from pathlib import Path

from sandbox import ids
from sandbox.data import FOLDER
from sandbox.process import SandboxError
from toolchain import postgresql

_SHARED, _NAME = Path("/var/tmp"), "chat-tonic-sandbox-"  # noqa: S108 - whose a folder in it is, is checked
_OWNER = "of"


def of(folder: Path) -> Path:
    """Where the files of a sandbox's clusters are."""
    if not postgresql.unprivileged():
        return folder / FOLDER / "clusters"
    return _SHARED / f"{_NAME}{ids.digest('home', str(folder.resolve())).hex()[:16]}"


def ensure(folder: Path) -> Path:
    """The same, made for the user that PostgreSQL runs as; and what was left of sandboxes that are gone is removed.

    Raises SandboxError where somebody else has made it.
    """
    home, user = of(folder), postgresql.unprivileged().get("user", os.geteuid())
    if not user or home.parent != _SHARED:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return home
    for left in _SHARED.glob(f"{_NAME}*"):
        if _is_ours(left, user) and not Path((left / _OWNER).read_text()).exists():
            shutil.rmtree(left, ignore_errors=True)
    try:
        home.mkdir(mode=0o700)
        (home / _OWNER).write_text(str(folder.resolve()))
        os.chown(home, user, -1)
    except FileExistsError:
        if not _is_ours(home, user):
            raise SandboxError(f"{home} is not the sandbox's own, or not whole: remove it") from None
    return home


def _is_ours(home: Path, user: int) -> bool:
    found = home.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == user and (home / _OWNER).is_file()
