"""The second copies, in real repositories: what came stays, whatever becomes of the first ones."""

import argparse
import datetime as dt
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from copies import config, listing, pull
from copies.copy import CopyError
from copies.listing import DUMP, RECORD, Copy
from copies.repository import Repository, RepositoryError, Snapshot
from tests import s3
from toolchain import tools

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
DAY, WEEK = dt.timedelta(days=1), dt.timedelta(weeks=1)


@dataclass
class Stores:
    """Two repositories, of which one is the other's second."""

    folder: Path
    server: s3.Server

    def config(self, bucket: str) -> Path:
        keys = self.server.environment
        said = {
            "stack": "us-central",
            "environment": "production",
            "version": 16,
            "database": {"host": "db", "dbname": "db", "user": "u", "password": "p", "sslmode": "verify-full"},
            "repository": {
                "url": f"s3:{self.server.url}/{bucket}",
                "access_key": keys["AWS_ACCESS_KEY_ID"],
                "secret_key": keys["AWS_SECRET_ACCESS_KEY"],
                "region": s3.REGION,
            },
            "key": "a key of both",
            "restic": str(tools.ensure("restic", print)),
        }
        file = self.folder / f"{bucket}.json"
        file.write_text(json.dumps(said))
        return file

    def repository(self, bucket: str) -> Repository:
        return Repository(config.read(self.config(bucket)))

    def put(self, text: str, taken: dt.datetime, version: str = "16.4") -> Copy:
        """Put a copy into the first repository."""
        first = self.repository("first")
        dump = first.save(text.encode(), DUMP, [DUMP], taken)
        copy = Copy(dump, "", taken, len(text), 3, 0.5, version, by_hand=False)
        first.save(json.dumps({**copy.json(), "dump": dump, "record": {}}).encode(), RECORD, copy.tags, taken)
        return copy

    def pull(self, **files: str) -> dict[str, Any]:
        keep = self.folder / "keep.json"
        keep.write_text(json.dumps(files))
        wanted = argparse.Namespace(source=self.config("first"), keep=keep if files else None, copy=None)
        return pull.run(config.read(self.config("second")), wanted, print)

    def second(self) -> list[Copy]:
        return listing.copies(self.repository("second").snapshots())


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    folder = tmp_path_factory.mktemp("stores")
    with s3.served(folder / "s3", "first", "second") as server:
        made = Stores(folder, server)
        made.repository("first").prepare(known=False)
        yield made


def test_the_newest_copy_comes_with_its_record_and_beside_it_what_is_to_be_kept(stores: Stores) -> None:
    stores.put("rows of yesterday", NOW - DAY)
    newest = stores.put("rows of today", NOW)
    stores.put("rows of a day to come", NOW + DAY)
    told = stores.pull(**{"us-central.json": "the state"})
    (came,) = stores.second()
    assert came.came == dt.datetime.fromisoformat(told["came"])  # by which retention knows it, when it is brought back
    assert (told["copy"]["id"], told["kept"], told["forgotten"]) == (came.id, 1, 0)
    second = stores.repository("second")
    assert newest.dump in second.snapshots(RECORD)[0].values["of"]
    assert (came.taken, came.rows, came.version, came.size) == (NOW, 3, "16.4", len("rows of today"))
    assert second.read(came.dump, DUMP) == b"rows of today"
    assert json.loads(second.read(came.record, RECORD))[DUMP] == came.dump
    (state,) = second.snapshots("state", "name=us-central.json")
    assert second.read(state.id, "us-central.json") == b"the state"
    assert stores.pull()["kept"] == 1  # nothing is brought twice


def test_a_thief_of_the_first_repository_takes_nothing_from_the_second(stores: Stores) -> None:
    before = stores.second()
    stores.repository("first").forget([each.id for each in stores.repository("first").snapshots()])
    with pytest.raises(CopyError, match="no copy to bring"):
        stores.pull()
    for _ in range(2):  # restic makes a second tag of what follows the comma
        stores.put("rows of a thief", NOW + dt.timedelta(minutes=2), version="16,came=2000-01-01T00:00:00Z")
    assert stores.pull()["forgotten"] == 0
    bogus, *others = stores.second()
    assert [each.dump for each in others] == [each.dump for each in before]
    (record,) = (each for each in stores.repository("second").snapshots(RECORD) if each.id == bogus.record)
    assert record.values["came"] != "2000-01-01T00:00:00Z"


def test_a_copy_that_breaks_off_does_not_come(stores: Stores) -> None:
    before = stores.second()
    stores.put(secrets.token_hex(200_000), NOW + dt.timedelta(minutes=3))
    packs = [each for each in (stores.server.folder / "first" / "data").rglob("*") if each.is_file()]
    largest = max(packs, key=lambda each: each.stat().st_size)
    largest.write_bytes(bytes(largest.stat().st_size))
    with pytest.raises(RepositoryError):
        stores.pull()
    assert stores.second() == before


def arrival(number: int, came: dt.datetime, *, taken: dt.datetime) -> list[Snapshot]:
    tag = f"came={came:%Y-%m-%dT%H:%M:%SZ}"
    dump = Snapshot(f"{number:04}d", taken, (DUMP, tag), 5)
    copy = Copy(dump.id, "", taken, 5, 1, 1.0, "16.4", by_hand=False)
    return [Snapshot(f"{number:04}r", taken, (*copy.tags, tag), 5), dump]


def test_what_came_goes_by_when_it_came_and_after_eight_later_weeks() -> None:
    # What they say of their own time counts for nothing: these all say the same.
    weekly = [each for week in range(30) for each in arrival(week, NOW - week * WEEK, taken=NOW + 900 * DAY)]
    left = {each.id for each in weekly} - pull.forgotten(weekly, NOW)
    assert left == {f"{week:04}{part}" for week in range(10) for part in "dr"}
    # A job that stood still for a year, and a clock that jumps, forget nothing.
    assert pull.forgotten(weekly[:16], NOW + 365 * DAY) == set()
    # However often somebody has it brought in the last weeks.
    daily = [each for day in range(100, 140) for each in arrival(day, NOW - (day - 100) * DAY, taken=NOW)]
    assert pull.forgotten([*weekly[:16], *daily], NOW) == set()
