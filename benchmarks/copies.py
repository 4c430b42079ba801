"""What a copy and a drill cost more than the bare programs: pg_dump into restic, restic into pg_restore."""

import json
import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks.measuring import Memory, Run, in_turns
from benchmarks.report import Peak, Row, compared
from copies import config
from operations.console import say
from operations.errors import Failed
from tests import restic, s3
from tests.configuration import ROOT
from tests.copies import cluster as clusters
from tests.copies.cluster import Cluster
from toolchain import tools

VERSION = 16
LIMIT = 1.15
TIMES = 5
SMALL, LARGE = 1, 4
"""Sizes of the database, in GB."""

_TABLES = """
create table messages (id bigint generated always as identity primary key, room int not null, at timestamptz not null,
    author text, body text, meta jsonb, score numeric(12, 4), weight float8);
create table events (id bigint primary key, kind int, at timestamptz, subject uuid, amount numeric);
create table files (id bigint primary key, name text, content bytea);
create table pages (id bigint primary key, body text);
"""
_INDEXES = "create index on messages (room, at); create index on events (subject); analyze"

_MESSAGES, _EVENTS, _FILES, _PAGES = 1_000_000, 1_500_000, 8_000, 8_000
"""Rows a GB, indexes included."""


@dataclass(frozen=True)
class Site:
    """A database of a size, and an S3 server."""

    folder: Path
    store: s3.Server
    cluster: Cluster
    database: dict[str, str]

    def bucket(self) -> str:
        """Make a bucket with an empty repository; return its name."""
        name = f"copies-{secrets.token_hex(3)}"
        restic.make(self.store.folder / name)
        return name

    def copy(self, bucket: str) -> Run:
        """Make a copy with our program."""
        return self._ours("copy", "--by-hand", bucket=bucket)

    def drill(self, bucket: str) -> Run:
        """Prove the newest copy with our program."""
        return self._ours("drill", bucket=bucket)

    def bare_copy(self, bucket: str) -> Run:
        """Make a copy with the bare programs."""
        began = time.perf_counter()
        dump = self._start(["pg_dump", "-Fc", "-Z0"], config.variables(self.database))
        stored = self._start(["restic", "backup", "--quiet", "--stdin", "--no-cache"], self._keys(bucket), dump)
        _finish(stored, dump)
        return Run(time.perf_counter() - began)

    def bare_drill(self, bucket: str) -> Run:
        """Restore the newest copy with the bare programs, into a database of the server that runs already; drop it."""
        fresh = self.cluster.database(f"restored_{secrets.token_hex(3)}")
        file = self.folder / "dump"
        began = time.perf_counter()
        with file.open("wb") as dump:
            _finish(
                self._start(
                    ["restic", "dump", "--no-cache", "--tag=dump", "latest", "/dump"], self._keys(bucket), into=dump
                )
            )
        options = [f"--jobs={os.cpu_count() or 1}", "--exit-on-error", f"--dbname={fresh['dbname']}"]
        _finish(self._start(["pg_restore", *options, str(file)], config.variables(fresh)))
        # A drill ends with nothing left of what it restored; so does this.
        self.cluster.execute({**self.cluster.superuser, "dbname": "postgres"}, f"drop database {fresh['dbname']}")
        file.unlink()
        return Run(time.perf_counter() - began)

    def _ours(self, *arguments: str, bucket: str) -> Run:
        file = self.folder / f"{bucket}.json"
        keys = self._keys(bucket)
        written = {
            "stack": "us-central",
            "environment": "production",
            "version": VERSION,
            "database": self.database,
            "repository": {
                "url": keys["RESTIC_REPOSITORY"],
                "access_key": keys["AWS_ACCESS_KEY_ID"],
                "secret_key": keys["AWS_SECRET_ACCESS_KEY"],
                "region": s3.REGION,
            },
            "key": restic.KEY,
            "programs": str(self.cluster.programs.folder),
            "restic": str(tools.ensure("restic", say)),
        }
        file.write_text(json.dumps(written))
        began = time.perf_counter()
        command = [sys.executable, "-m", "copies", "--config", str(file), *arguments]
        process = self._start(command, self.cluster.programs.environment)
        with Memory(process.pid) as memory:
            _finish(process)
            return Run(time.perf_counter() - began, memory.engine, memory.program)

    def _keys(self, bucket: str) -> dict[str, str]:
        where = {"RESTIC_REPOSITORY": f"s3:{self.store.url}/{bucket}", "RESTIC_PASSWORD": restic.KEY}
        return {**where, **self.store.environment, "AWS_DEFAULT_REGION": s3.REGION}

    def _start(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        source: "subprocess.Popen[bytes] | None" = None,
        into: object = subprocess.PIPE,
    ) -> "subprocess.Popen[bytes]":
        known = {"restic": tools.ensure("restic", say)}
        program = known.get(command[0], self.cluster.programs.folder / command[0])
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [program, *command[1:]],
            cwd=ROOT,
            env={**os.environ, **self.cluster.programs.environment, **variables},
            stdin=source.stdout if source else subprocess.DEVNULL,
            stdout=into,  # type: ignore[call-overload]
            stderr=subprocess.PIPE,
        )
        return process


def run() -> Iterator[Row | Peak]:
    """Measure, and yield comparisons, and the peak memory of a copy at two sizes."""
    with _prepared(SMALL) as site:
        full = site.bucket()
        first = site.copy(full)
        yield _peak(SMALL, first)
        say("  copies into an empty repository:")
        fresh = {"ours": lambda: site.copy(site.bucket()), "bare": lambda: site.bare_copy(site.bucket())}
        done = in_turns(fresh, TIMES)
        yield compared(f"copy of {SMALL} GB, against pg_dump | restic", done["ours"], done["bare"], LIMIT)
        say("  copies into a repository that has the last one:")
        done = in_turns({"ours": lambda: site.copy(full), "bare": lambda: site.bare_copy(full)}, TIMES)
        yield compared("... again, nothing new", done["ours"], done["bare"], None)
        say("  drills:")
        done = in_turns({"ours": lambda: site.drill(full), "bare": lambda: site.bare_drill(full)}, TIMES)
        yield compared(f"drill of {SMALL} GB, against restic, pg_restore -j", done["ours"], done["bare"], LIMIT)
    with _prepared(LARGE) as site:
        yield _peak(LARGE, site.copy(site.bucket()))


def _peak(size: int, found: Run) -> Peak:
    return Peak(f"copy of {size} GB", {"python": found.engine, "restic or pg_dump": found.program})


@contextmanager
def _prepared(size: int) -> Iterator[Site]:
    folder = Path(tempfile.mkdtemp(prefix="chat-tonic-bench-"))
    try:
        with s3.served(folder / "s3") as store, clusters.running(VERSION, {"max_wal_size": "16GB"}) as cluster:
            database = cluster.database("filled", _TABLES)
            say(f"  filling a database with {size} GB")
            found = _fill(database, size)
            say(f"  it has {found / 1e9:.2f} GB")
            yield Site(folder, store, cluster, database)
    finally:
        shutil.rmtree(folder)


def _fill(database: Mapping[str, str], size: int) -> int:
    """Fill it with rows of all kinds, the same each time; return its size in bytes."""
    chance = random.Random(1)  # noqa: S311 (repeatable)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 11))) for _ in range(5000)]
    lines = [" ".join(chance.choices(words, k=25)) for _ in range(20_000)]

    def message(number: int) -> str:
        body = lines[chance.randrange(len(lines))]
        meta = f'{{"client": "{words[number % 50]}", "edited": false, "number": {number}}}'
        day = f"2026-{number % 12 + 1:02d}-{number % 28 + 1:02d} 12:00:00+00"
        author, score = f"user-{number % 5000}", f"{number % 9973}.25"
        return f"{number % 1000}\t{day}\t{author}\t{number} {body}\t{meta}\t{score}\t{chance.random()}"

    def event(number: int) -> str:
        return (
            f"{number}\t{number % 77}\t2026-01-01 00:00:00+00\t{chance.getrandbits(128):032x}\t{number % 997}.{number}"
        )

    def file(number: int) -> str:
        return f"{number}\tfile {number}\t\\\\x{chance.randbytes(30_000).hex()}"

    def page(number: int) -> str:
        return f"{number}\t{number} {' '.join(chance.choices(lines, k=150))}"

    filled = (
        ("messages (room, at, author, body, meta, score, weight)", message, _MESSAGES),
        ("events", event, _EVENTS),
        ("files", file, _FILES),
        ("pages", page, _PAGES),
    )
    with psycopg.connect(make_conninfo(**database), autocommit=True) as connection:
        for table, row, number in filled:
            with connection.cursor().copy(f"copy {table} from stdin".encode()) as copy:
                for each in range(number * size):
                    copy.write(f"{row(each)}\n")
        connection.execute(_INDEXES.encode())
        ((found,),) = connection.execute("select pg_database_size(current_database())").fetchall()
    return int(found)


def _finish(*processes: "subprocess.Popen[bytes]") -> None:
    for each in processes:
        said = each.communicate()[1]
        if each.returncode:
            raise Failed(f"`{each.args!r}` failed:\n{said.decode()}")
