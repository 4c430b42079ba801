"""One database: a PostgreSQL cluster with its modelled user, and with what a fork of it is restored from.

Its folder, which is there once it is whole, holds `data`, the cluster itself; `base.tar.gz`, a copy of it from before
anybody could connect; and `wal`, all that was written since. A fork is its source's base, to which PostgreSQL's own
point-in-time recovery applies what its source has written. Nobody can connect as superuser.
"""

import gzip
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox import authority, children
from toolchain import postgresql
from toolchain.postgresql import Programs

Wanted = Mapping[str, Any]

_SUPERUSER = "postgres"
_SEGMENT = 4  # MB of write-ahead log in a file
_BASE = "base.tar.gz"
_CERTIFICATE, _KEY = "server.crt", "server.key"
_NO_TARGET = "recovery ended before configured recovery target was reached"

# Small, and not safe from a power cut: that is this machine's. What was written is linked into `wal` instead of copied,
# so PostgreSQL may not use its files again.
_COMMON = f"""\
listen_addresses = '{{address}}'
port = {{port}}
unix_socket_directories = ''
max_connections = 40
shared_buffers = 16MB
min_wal_size = {2 * _SEGMENT}MB
max_wal_size = 256MB
fsync = off
full_page_writes = off
wal_recycle = off
wal_init_zero = off
wal_level = replica
max_wal_senders = 0
max_logical_replication_workers = 0
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
"""

_SERVING = """\
ssl = {ssl}
archive_mode = on
archive_command = 'test -e ../wal/%f || ln %p ../wal/%f'
"""

# It listens, as it has to, but lets nobody in: that is how initdb left `pg_hba.conf` in a base.
_RECOVERING = """\
hot_standby = off
archive_mode = off
restore_command = 'ln ../restored/%f %p'
recovery_target_action = 'promote'
"""

_CREATED = """\
CREATE ROLE {user} LOGIN CREATEROLE CREATEDB PASSWORD '{password}';
CREATE DATABASE {database} OWNER {user};
"""
_FORKED = "ALTER ROLE {user} PASSWORD '{password}';\n"


class Cluster:
    """The cluster in a folder, and what it says. `wanted` is what the model says of its database."""

    def __init__(self, folder: Path, programs: Programs, address: str, log: Path) -> None:
        self.folder, self.programs, self.address, self.log = folder, programs, address, log
        self._tls = programs.tls

    @property
    def is_whole(self) -> bool:
        """Whether it was ever made, to the end."""
        return self.folder.exists()

    def is_up(self, server: int) -> bool:
        """Whether the process that is its server takes connections."""
        return _is_ready(self.folder / "data", server)

    @property
    def sslmode(self) -> str:
        """How libpq may connect."""
        return "verify-full" if self._tls else "disable"

    def make(self, wanted: Wanted, source: Path | None) -> int:
        """Has a process make it, as a fork of the cluster in another folder where one is given; its id."""
        return children.fork(lambda: self._as_user(lambda: self._make(wanted, source)))

    def serve(self, wanted: Wanted) -> int:
        """Has a process be its server; its id. It stops at once when this process ends."""
        _disown(self.folder / "data")
        return children.fork(lambda: self._as_user(lambda: self._serve(wanted), signal.SIGQUIT))

    def _as_user(self, work: Callable[[], None], how: int = signal.SIGKILL) -> None:
        """Does some work as a user that PostgreSQL takes: who may not even reach a module that is not imported yet."""
        parent = os.getppid()
        children.say_into(self.log)
        user = postgresql.unprivileged()
        if user:
            os.setgroups(user["extra_groups"])
            os.setgid(user["group"])
            os.setuid(user["user"])
        os.chdir("/")
        children.tied(parent, how)()
        work()

    def _configure(self, data: Path, wanted: Wanted, settings: str = "") -> None:
        common = _COMMON.format(address=self.address, port=wanted["port"])
        _put(data / "postgresql.conf", common + settings)

    def _serve(self, wanted: Wanted) -> None:
        data = self.folder / "data"
        certificate, key = authority.issue(wanted["hosts"], *wanted["authority"])
        _put(data / _CERTIFICATE, certificate)
        _put(data / _KEY, key)
        ssl = "on" if self._tls else "off"
        self._configure(data, wanted, _SERVING.format(ssl=ssl))
        _put(data / "pg_hba.conf", f"host{'ssl' if self._tls else ''} all all 127.0.0.0/8 scram-sha-256\n")
        program = self.programs.folder / "postgres"
        os.execve(program, [str(program), "-D", str(data)], self._environment)  # noqa: S606

    def _make(self, wanted: Wanted, source: Path | None) -> None:
        new = self.folder.with_name(f"{self.folder.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        (new / "wal").mkdir()
        data = new / "data"
        if source:
            self._recover(new, source, wanted)
        else:
            settings = ("--encoding=UTF8", "--locale=C", f"--wal-segsize={_SEGMENT}", "--auth=reject", "--no-sync")
            self._run("initdb", "-D", data, "-U", _SUPERUSER, *settings)
            self._configure(data, wanted)
        said = (_FORKED if source else _CREATED).format(
            user=wanted["credentials"]["username"],
            password=wanted["credentials"]["password"],
            database=wanted["name"],
        )
        self._run("postgres", "--single", "-D", data, _SUPERUSER, input=said)
        with gzip.open(new / _BASE, "wb", 1) as packed, tarfile.open(fileobj=packed, mode="w|") as base:
            base.add(data, "data")
        new.rename(self.folder)

    def _recover(self, new: Path, source: Path, wanted: Wanted) -> None:
        """Makes a cluster what its source was at a time: all of it, where it has written nothing afterwards."""
        data, restored = new / "data", new / "restored"
        with gzip.open(source / _BASE) as packed, tarfile.open(fileobj=packed, mode="r|") as base:
            base.extractall(new)  # noqa: S202 - it is our own; and Debian 12's Python knows no filter
        # What is written now first: it may be the next to be in `wal`.
        shutil.copytree(source / "data" / "pg_wal", restored, ignore=shutil.ignore_patterns("archive_status"))
        for segment in (source / "wal").iterdir():
            (restored / segment.name).unlink(missing_ok=True)
            os.link(segment, restored / segment.name)
        until = datetime.fromtimestamp(wanted["restored_to"], UTC).isoformat(" ", "microseconds")
        target = f"recovery_target_time = '{until}'\n"
        (data / "recovery.signal").touch()
        for settings in (_RECOVERING + target, _RECOVERING):
            self._configure(data, wanted, settings)
            said = self._run_until_ready(data, new / "log")
            if _NO_TARGET not in said:
                break
        print(said, flush=True)
        if (data / "recovery.signal").exists():
            raise RuntimeError("the source's data can't be restored")
        shutil.rmtree(restored)

    def _run_until_ready(self, data: Path, log: Path) -> str:
        """Runs a server until it is ready, or ends by itself; what it said."""
        with log.open("wb") as output:
            server = subprocess.Popen(
                [self.programs.folder / "postgres", "-D", data],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=children.tied(os.getpid(), signal.SIGQUIT),  # noqa: PLW1509 - there is one thread
            )
            while server.poll() is None and not _is_ready(data, server.pid):
                time.sleep(0.02)
            if server.poll() is None:
                server.send_signal(signal.SIGINT)
                server.wait()
        return log.read_text(errors="replace")

    def _run(self, program: str, *arguments: str | Path, **options: Any) -> None:
        subprocess.run(
            [self.programs.folder / program, *arguments],
            env=self._environment,
            check=True,
            encoding="utf-8",
            preexec_fn=children.tied(os.getpid()),
            **{"stdin": subprocess.DEVNULL, **options} if "input" not in options else options,
        )

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": os.defpath, "LC_ALL": "C", **self.programs.environment}


def _put(file: Path, text: str) -> None:
    """Writes a file that only its owner reads."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.write(text)


def _is_ready(data: Path, server: int) -> bool:
    """Whether that process, the server of a cluster, says that it takes connections."""
    try:
        lines = (data / "postmaster.pid").read_text().split()
    except FileNotFoundError:
        return False
    return lines[:1] == [str(server)] and lines[-1] == "ready"


def _disown(data: Path) -> None:
    """Removes what says that a server runs, where the process is another: PostgreSQL would believe it."""
    file = data / "postmaster.pid"
    try:
        server = file.read_text().split()[0]
        if not Path(f"/proc/{server}/cwd").samefile(data):
            file.unlink()
    except (OSError, IndexError):  # there is no such process
        return
