"""A place for copies: a bucket with a repository, reached through a proxy, a database, and the program."""

import datetime as dt
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copies import config, copy, listing
from copies.listing import DUMP, RECORD, Copy
from copies.repository import Repository
from tests import restic, s3
from tests.configuration import ROOT
from tests.copies import cluster as clusters
from tests.copies import proxy as proxies
from tests.copies.cluster import Cluster
from tests.copies.proxy import Proxy
from toolchain import tools

BUCKET = "copies"
PATIENCE = 2
"""Seconds for which a store that fails is tried again."""


@dataclass(frozen=True)
class Done:
    """How a command ended, what it printed, and what it said meanwhile."""

    code: int
    found: Any
    said: str


@dataclass
class Place:
    """The place. `config` is the configuration's file, `database` how the copied database is reached."""

    folder: Path
    store: s3.Server
    proxy: Proxy
    cluster: Cluster
    database: dict[str, Any]

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.folder / "production.json"

    @property
    def bucket(self) -> Path:
        """The folder that the bucket is."""
        return self.store.folder / BUCKET

    @property
    def repository(self) -> Repository:
        """The repository."""
        return Repository(config.read(self.config))

    def configure(self, file: Path | None = None, **keys: Any) -> Path:
        """Write a configuration with these keys changed; return its file."""
        keys["repository"] = {
            "url": f"s3:{self.proxy.url}/{BUCKET}",
            "access_key": self.store.environment["AWS_ACCESS_KEY_ID"],
            "secret_key": self.store.environment["AWS_SECRET_ACCESS_KEY"],
            "region": s3.REGION,
            **keys.get("repository", {}),
        }
        written = {
            "stack": "us-central",
            "environment": "production",
            "version": self.cluster.programs.major,
            "database": self.database,
            "key": restic.KEY,
            "hour": 0,
            "programs": str(self.cluster.programs.folder),
            "restic": str(tools.ensure("restic", print)),
            "patience": PATIENCE,
            **keys,
        }
        file = file or self.config
        file.touch(0o600)
        file.write_text(json.dumps(written))
        return file

    def start(self, *arguments: str, file: Path | None = None) -> "subprocess.Popen[str]":
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "copies", "--config", file or self.config, *arguments],
            cwd=ROOT,
            env={**os.environ, **self.cluster.programs.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, file: Path | None = None) -> Done:
        """Run a command to its end."""
        return finished(self.start(*arguments, file=file))

    def make(self, now: dt.datetime | None = None) -> Copy:
        """Make a copy by hand, on a day when everybody's clock says so."""
        if now:
            self.proxy.clock = now - dt.datetime.now(dt.UTC)
        when = now or dt.datetime.now(dt.UTC)
        return copy.make(config.read(self.config), when, by_hand=True, known=True, say=print)

    def seed(self, taken: dt.datetime) -> None:
        """Put a copy of an earlier day there, without asking the database."""
        dump = self.repository.save(b"a dump", DUMP, [DUMP], taken)
        tags = Copy(dump, "", taken, 6, 0, 0.1, "15.1", by_hand=False).tags
        self.repository.save(b"{}", RECORD, tags, taken)

    def copies(self) -> list[str]:
        """The ids of the copies that are whole, newest first."""
        return [copy.id for copy in listing.copies(self.repository.snapshots())]


def finished(process: "subprocess.Popen[str]") -> Done:
    """Wait for the end of a command."""
    printed, said = process.communicate(timeout=120)
    return Done(process.returncode, json.loads(printed) if printed else None, said)


@contextmanager
def made(
    folder: Path, script: str, settings: Mapping[str, str] | None = None, major: int | None = None
) -> Iterator[Place]:
    """Make a place with a repository that is empty, and a database that a script fills."""
    with (
        s3.served(folder / "s3", BUCKET) as store,
        proxies.before(store.url) as proxy,
        clusters.running(major or clusters.MAJORS["with TLS"](), settings) as cluster,
    ):
        database = cluster.database(f"shop_{secrets.token_hex(2)}", script)
        place = Place(folder, store, proxy, cluster, database)
        restic.make(place.bucket)
        place.configure()
        yield place
