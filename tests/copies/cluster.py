"""A real PostgreSQL on the loopback, of a major version: with TLS where its programs can, else without."""

import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.operations import certificates
from toolchain import postgresql

HERE = Path(__file__).parent

HOST = "database.chat-tonic.example"
"""What it is called: `hostaddr` says the loopback, so that the name in its certificate counts."""

ADMIN = "akmadmin"
"""As on managed PostgreSQL: no superuser, but it may make roles and databases."""

_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "'127.0.0.1'",
    "logging_collector": "off",
    "max_connections": "50",
    "shared_buffers": "'64MB'",
}


MAJORS: dict[str, Callable[[], int]] = {"with TLS": lambda: postgresql.with_tls(print), "without": lambda: 18}
"""Two versions, of which one serves TLS: Debian's or Ubuntu's, and one that the tests bring."""


@dataclass
class Cluster:
    """A running one. `superuser` and `admin` are libpq parameters without a database."""

    programs: postgresql.Programs
    folder: Path
    port: int
    password: str

    @property
    def superuser(self) -> dict[str, str]:
        """Connects as `postgres`, who may do all."""
        return {**self._reached, "user": "postgres"}

    @property
    def admin(self) -> dict[str, str]:
        """Connects as ADMIN."""
        return {**self._reached, "user": ADMIN}

    @property
    def _reached(self) -> dict[str, str]:
        where = {"host": HOST, "hostaddr": "127.0.0.1", "port": str(self.port), "password": self.password}
        tls = {"sslmode": "verify-full", "sslrootcert": str(self.folder / "server.pem")}
        return {**where, **(tls if self.programs.tls else {"sslmode": "disable"})}

    def database(self, name: str, *scripts: str, owner: str = "postgres") -> dict[str, str]:
        """Make a database, run scripts in it as its owner, and return how he connects to it."""
        with psycopg.connect(make_conninfo(**self.superuser, dbname="postgres"), autocommit=True) as connection:
            made = sql.SQL("create database {} owner {} template template0")
            connection.execute(made.format(sql.Identifier(name), sql.Identifier(owner)))
        parameters = {**(self.superuser if owner == "postgres" else self.admin), "dbname": name}
        self.execute(parameters, *scripts)
        return parameters

    def execute(self, parameters: Mapping[str, Any], *scripts: str) -> None:
        """Run scripts, one after the other."""
        with psycopg.connect(make_conninfo(**parameters), autocommit=True) as connection:
            for script in scripts:
                connection.execute(script.encode())

    def sampled(self, name: str = "app", owner: str = "postgres") -> dict[str, str]:
        """Make the roles, and the sample database as its owner would; return how he connects to it."""
        self.execute({**self.superuser, "dbname": "postgres"}, (HERE / "roles.sql").read_text())
        more = "extensions" if "hstore" in self.programs.extensions else "vectors"
        scripts = ("sample", more) if more == "extensions" or owner == "postgres" else ("sample",)
        return self.database(name, *((HERE / f"{script}.sql").read_text() for script in scripts), owner=owner)

    def run(self, program: str, *arguments: str | Path, **options: Any) -> str:
        """Run one of its programs as the user that it runs as; return what it printed."""
        done = self.programs.run(program, *arguments, **postgresql.unprivileged(), **options)
        return str(done.stdout)

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        log = self.folder / "log"
        self.run("pg_ctl", "-D", self.folder / "data", "-l", log, "-w", "--silent", "start", capture_output=False)

    def stop(self, mode: str = "immediate") -> None:
        """Stop it, and wait until it has ended."""
        self.run("pg_ctl", "-D", self.folder / "data", "-m", mode, "-w", "--silent", "stop")


@contextmanager
def running(major: int, settings: Mapping[str, str] | None = None, arguments: Sequence[str] = ()) -> Iterator[Cluster]:
    """Run one, with settings and arguments of initdb on top, in a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="chat-tonic-postgresql-"))
    try:
        programs = postgresql.find(major, print).within(folder)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        cluster = Cluster(programs, folder, port, secrets.token_urlsafe(20))
        _make(cluster, {**_SETTINGS, **(settings or {})}, arguments)
        cluster.start()
        try:
            cluster.execute(
                {**cluster.superuser, "dbname": "postgres"},
                f"create role {ADMIN} login createdb createrole password '{cluster.password}'",
            )
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder)


def _make(cluster: Cluster, settings: Mapping[str, str], arguments: Sequence[str]) -> None:
    folder, data = cluster.folder, cluster.folder / "data"
    word = folder / "word"
    word.write_text(cluster.password)
    certificates.serving(folder / "server.pem", [HOST])
    (folder / "server.pem").chmod(0o600)
    user = postgresql.unprivileged()
    if user:
        for each in (folder, word, folder / "server.pem"):
            os.chown(each, user["user"], user["group"])
    options = ["--username=postgres", f"--pwfile={word}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
    cluster.run("initdb", "-D", data, *options, "--no-sync", *arguments)
    word.unlink()
    files = {"ssl": "on", "ssl_cert_file": f"'{folder}/server.pem'", "ssl_key_file": f"'{folder}/server.pem'"}
    lines = {**settings, "port": str(cluster.port), "unix_socket_directories": f"'{folder}'"}
    lines |= files if cluster.programs.tls else {}
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.writelines(f"{name} = {value}\n" for name, value in lines.items())
