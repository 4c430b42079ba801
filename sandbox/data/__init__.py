"""Real PostgreSQL and S3 servers in the place of the sandbox's databases and buckets, for who has to work on data.

`start` has a PostgreSQL cluster run for each database of the model, and an S3 server for each host that has buckets,
and keeps them as the model has them:

    databases   with the modelled name, port, user, password and certificate; a fork is restored to its point in time
    buckets     with the modelled keys, each of which opens what it may and nothing else

`host` follows the model, `cluster` is one database, `gateway` one S3 server. Light to import: tasks do.
"""
# ruff: noqa: PLC0415

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import locks, process
from sandbox.process import SandboxError

FOLDER = "data"
STATUS = "status.json"
READY_WITHIN = 300.0  # seconds; it needs a few, and a fork as long as what is written takes to be read


@dataclass(frozen=True)
class Database:
    """Where a database listens: libpq takes `hostaddr` for the address, and still checks that it is `host`.

    `sslmode` is "verify-full", or "disable" where this machine's build of that version can't serve TLS. `programs` is
    the folder with its own programs (pg_dump ...), `environment` what they need besides one's own. `admits` are the ids
    of the servers that its allow list names; who plays them obeys it.
    """

    host: str
    hostaddr: str
    port: int
    version: int
    sslmode: str
    programs: Path
    environment: Mapping[str, str]
    admits: Sequence[str]


@dataclass(frozen=True)
class Bucket:
    """Where a bucket's S3 host is served, and the region that requests are signed for. Objects are at `url`/NAME."""

    url: str
    region: str


@dataclass(frozen=True)
class Data:
    """What runs: databases by label, buckets by name."""

    databases: Mapping[str, Database]
    buckets: Mapping[str, Bucket]


def start(folder: Path, say: Callable[[str], None]) -> Data:
    """Starts what plays a folder's databases and buckets, unless it runs; returns once all in the model is up.

    Raises SandboxError where no sandbox runs, or they do not come up; CommandError where the programs can't be had.
    """
    from sandbox import following
    from toolchain import postgresql, tools

    tools.ensure("versitygw", say)

    found: set[int] = set()

    def is_ready(control: following.Control) -> bool:
        holdings, told = control.ask("/holdings"), _told(folder)
        for version in {each["version"] for each in (holdings or {"databases": ()})["databases"]} - found:
            postgresql.find(version, say)
            found.add(version)
        if told and told["troubles"]:
            raise SandboxError("; ".join(told["troubles"]))
        return bool(holdings and told and told["of"] == digest(holdings))

    following.start(folder, process.DATA, READY_WITHIN, is_ready)
    return status(folder) or Data({}, {})


def stop(folder: Path) -> None:
    """Stops what plays a folder's databases and buckets, if it runs; what they hold stays. Raises SandboxError."""
    process.stop_follower(folder, process.DATA)


def status(folder: Path) -> Data | None:
    """The databases and buckets of a folder's sandbox that are up now, if they run."""
    told = _told(folder)
    if told is None:
        return None
    return Data(
        {label: Database(**{**each, "programs": Path(each["programs"])}) for label, each in told["databases"].items()},
        {name: Bucket(**each) for name, each in told["buckets"].items()},
    )


def remove(folder: Path) -> None:
    """Stops what plays a folder's databases and buckets, and removes all that they hold. Raises SandboxError."""
    from sandbox.data import home

    stop(folder)
    shutil.rmtree(home.of(folder), ignore_errors=True)
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def digest(holdings: Any) -> str:
    """What tells one answer of the model from another, and none of its secrets."""
    return hashlib.sha256(json.dumps(holdings, sort_keys=True).encode()).hexdigest()


def _told(folder: Path) -> dict[str, Any] | None:
    if locks.holder(folder / process.DATA.lock) is None:
        return None
    try:
        return dict(json.loads((folder / FOLDER / STATUS).read_text()))
    except FileNotFoundError:
        return None
