"""A PostgreSQL for a while: fresh, in a private folder, reached through a socket there and by nobody else."""

import contextlib
import fcntl
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg

from copies import processes

USER = "drill_superuser"
"""Its superuser: no role of a copy is called so."""

_PREFIX = "chat-tonic-drill-"
_BIG = "/var/tmp"  # noqa: S108 (/tmp may be in memory; the folder in it is private)
_ACCOUNTS = ("postgres", "nobody")
_STARTED_WITHIN = 120.0

_SETTINGS = {
    "autovacuum": "off",
    "checkpoint_timeout": "1d",
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "log_min_messages": "fatal",  # nobody reads them
    "maintenance_work_mem": "256MB",
    "max_wal_senders": "0",
    "max_wal_size": "64GB",
    "shared_buffers": "256MB",
    "synchronous_commit": "off",
    "wal_level": "minimal",
}
"""Nothing of it has to outlive a crash."""


_VALUE = re.compile(r': "[^"]*"$')
"""What an error of PostgreSQL's repeats of the data, at its end; the lines with more of it are not told either."""


class ServerError(Exception):
    """It does not work; `str()` says why."""


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Make a private folder with room for a database, gone afterwards; also those go that killed drills left."""
    base = Path(os.environ.get("TMPDIR", _BIG))
    for left in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), _held(left):
            shutil.rmtree(left)
    with _made(base) as made:
        try:
            if owner := account():
                os.chown(made, *owner)
            yield made
        finally:
            shutil.rmtree(made)


@contextlib.contextmanager
def _made(base: Path) -> Iterator[Path]:
    """Make a folder and hold it, which nobody has taken for a killed drill's before it was held."""
    while True:
        made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(_held(made))
            except OSError:
                continue
            if made.exists():
                yield made
                return


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def account() -> processes.User | None:
    """Return who runs PostgreSQL where we are root, whom it refuses."""
    if os.geteuid():
        return None
    known = {each.pw_name: each for each in pwd.getpwall()}
    found = next(known[name] for name in _ACCOUNTS if name in known)
    return found.pw_uid, found.pw_gid


def initialise(programs: Path, data: Path) -> "subprocess.Popen[bytes]":
    """Start to make the server's folder; `finish` waits for it."""
    options = ["--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    return processes.start([programs / "initdb", f"--pgdata={data}", *options], {}, user=account())


def finish(process: "subprocess.Popen[bytes]", name: str) -> None:
    """Wait for the end of one of PostgreSQL's programs.

    Raises:
        ServerError: it failed; with what it said, but for values, which are of somebody's rows.
    """
    try:
        said = process.communicate()[1].decode(errors="replace")
    finally:
        processes.end(process)
    if process.returncode:
        told = [_VALUE.sub("", line) for line in said.splitlines() if "rror:" in line or "ERROR" in line]
        raise ServerError(f"{name} failed: {' '.join(' '.join(told).split())[:500]}")


@contextlib.contextmanager
def running(programs: Path, data: Path, more: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """Run the server; yield what reaches its database `postgres`.

    Raises:
        ServerError: it does not start.
    """
    settings = {**_SETTINGS, "unix_socket_directories": str(data.parent), **(more or {})}
    options = [f"-c{name}={value}" for name, value in settings.items()]
    process = processes.start([programs / "postgres", "-D", data, *options], {}, user=account())
    reached = {"host": str(data.parent), "user": USER, "dbname": "postgres"}
    try:
        _await(process, reached)
        yield reached
    finally:
        process.send_signal(signal.SIGQUIT)
        process.communicate()


def _await(process: "subprocess.Popen[bytes]", reached: Mapping[str, Any]) -> None:
    until = time.monotonic() + _STARTED_WITHIN
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(**reached).close()
            return
        time.sleep(0.05)
    raise ServerError("PostgreSQL does not start")
