"""Programs that this one runs: none outlives it, however it ends, and none is told a secret in its arguments."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_FOREIGN = ("AWS_", "PG", "RESTIC_")
"""What the caller's environment says to these programs is not what the configuration says."""

_PATIENCE = 3.0


User = tuple[int, int]
"""A user's number, and that of his group."""


def start(
    arguments: Sequence[str | Path],
    environment: Mapping[str, str],
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
    user: User | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a program, as another user if one is given, that the kernel kills when this thread ends, be it by SIGKILL.

    Raises FileNotFoundError, which names the program.
    """
    if not shutil.which(arguments[0]):
        raise FileNotFoundError(f"{arguments[0]} is not on this machine")
    own = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *_as(user), "--", *arguments],
        env={**own, "LC_ALL": "C", "TZ": "UTC", **environment},
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


def _as(user: User | None) -> list[str]:
    return [f"--reuid={user[0]}", f"--regid={user[1]}", "--clear-groups"] if user else []


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a program: asked first, so that restic takes its lock away; it then goes on to wait for input."""
    for ask in (process.terminate, process.kill):
        if process.poll() is not None:
            return
        ask()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            continue
