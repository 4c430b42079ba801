"""Copies are made a day, and the thirty newest days are kept."""

import datetime as dt
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from psycopg.errors import LockNotAvailable

from copies import config, copy, listing, record, state
from copies.copy import CopyError
from copies.listing import DUMP, RECORD
from copies.repository import RepositoryError
from tests.copies import place as places
from tests.copies import proxy as proxies
from tests.copies.place import Place, finished

# More than a pipe holds, so that pg_dump is there for as long as restic reads.
TABLE = "create table orders as select id, md5(id::text) as word from generate_series(1, 5000) id"
DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with places.made(tmp_path_factory.mktemp("copies"), TABLE) as place:
        yield place


@pytest.fixture
def place(shop: Place) -> Iterator[Place]:
    """The module's, well again, whatever a test did to it."""
    shop.proxy.well()
    shop.configure()
    yield shop
    shop.proxy.well()


def test_forty_five_runs_on_a_moved_clock_leave_exactly_thirty_days(place: Place, exhaustive: bool) -> None:
    first = dt.datetime.now(dt.UTC).replace(hour=12, microsecond=0)
    days = [first + number * DAY for number in range(45)]
    seeded = 0 if exhaustive else 41
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(place.seed, days[:seeded]))
    for day in days[seeded:]:
        place.make(day)
    kept = listing.copies(place.repository.snapshots())
    assert [each.taken for each in kept] == list(reversed(days[15:]))
    assert len(place.repository.snapshots()) == 60
    place.repository.check()

    # A copy by hand takes the place of its own day, and of no other.
    later = days[-1] + dt.timedelta(hours=2)
    assert place.make(later).by_hand
    assert [each.taken for each in listing.copies(place.repository.snapshots())] == [later, *reversed(days[15:-1])]
    # What a job that stood still finds again is as it was: only days with a copy count.
    month_later = later + 30 * DAY
    place.make(month_later)
    assert [each.taken for each in listing.copies(place.repository.snapshots())] == [
        month_later,
        later,
        *reversed(days[16:-1]),
    ]
    place.repository.forget([each.id for each in place.repository.snapshots()])


def test_a_day_has_one_copy_with_the_dump_and_the_record_of_what_it_holds(place: Place) -> None:
    made = place.run("copy")
    assert made.code == 0, made.said
    [found] = listing.copies(place.repository.snapshots())
    assert made.found == found.json()
    assert found.rows == 5000
    assert found.size == len(dump := place.repository.read(found.dump, DUMP))
    assert dump.startswith(b"PGDMP")
    recorded = json.loads(place.repository.read(found.record, RECORD))
    assert {name: recorded[name] for name in ("id", "rows", "size", "taken")} == {
        name: made.found[name] for name in ("id", "rows", "size", "taken")
    }
    assert recorded["dump"] == found.dump
    now = record.take(config.read(place.config).database)
    assert recorded["record"]["sections"]["tables"] == now["sections"]["tables"]

    again = place.run("copy")
    assert (again.code, again.found) == (0, made.found)
    assert place.copies() == [found.id]


def test_while_a_copy_is_made_rows_come_and_go_and_nobody_empties_a_table(place: Place) -> None:
    with record.snapshot(config.read(place.config).database) as snapshot:
        snapshot.lock()
        with pytest.raises(LockNotAvailable):
            place.cluster.execute(place.database, "set lock_timeout = '10ms'; truncate orders")
        place.cluster.execute(place.database, "insert into orders values (0, '')")
        assert snapshot.take()["rows"] == 5000
    place.cluster.execute(place.database, "delete from orders where id = 0")


def test_no_secret_is_in_an_argument_list_or_in_what_is_said(place: Place) -> None:
    seen: set[str] = set()

    def look(_method: str, _path: str) -> None:
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:  # it has ended
                continue

    place.proxy.answer = look
    done = place.run("copy", "--by-hand")
    assert done.code == 0
    assert any("pg_dump --format=custom" in line and "tcp_user_timeout=60000" in line for line in seen)
    assert any(" backup --stdin" in line for line in seen)
    written = json.loads(place.config.read_text())
    for secret in (written["key"], written["repository"]["secret_key"], place.database["password"]):
        assert not [line for line in (*seen, done.said, json.dumps(done.found)) if secret in line]


def test_two_ops_servers_at_once_leave_one_copy_of_the_day(place: Place) -> None:
    files = [place.configure(place.folder / f"ops-{number}.json", patience=30) for number in (1, 2)]
    done = [finished(process) for process in [place.start("copy", "--by-hand", file=file) for file in files]]
    assert [each.code for each in done] == [0, 0], done
    assert set(place.copies()) < {each.found["id"] for each in done}
    assert len(place.copies()) == 1
    place.repository.check()


def test_one_server_makes_one_copy_at_a_time(place: Place) -> None:
    with state.held(place.config.with_suffix(".lock"), print):
        waiting = place.start("copy", "--by-hand")
        assert waiting.stderr
        assert "another process holds" in waiting.stderr.readline()
        place.proxy.requests.clear()
    assert finished(waiting).code == 0
    assert place.proxy.requests


@pytest.mark.parametrize(
    "jump", [400 * DAY, -400 * DAY, dt.timedelta(minutes=-11)], ids=["behind", "ahead", "a little"]
)
def test_a_clock_that_jumps_makes_no_copy_and_forgets_none(place: Place, jump: dt.timedelta) -> None:
    before = place.copies()
    place.proxy.clock = jump
    done = place.run("copy", "--by-hand")
    assert done.code == 1
    assert "the clock says" in done.said
    place.proxy.well()
    assert place.copies() == before


def test_an_older_pg_dump_is_refused_with_what_to_install(place: Place) -> None:
    program = place.folder / "old" / "pg_dump"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 14.9'\n")
    program.chmod(0o755)
    place.configure(programs=str(program.parent))
    done = place.run("copy", "--by-hand")
    major = place.cluster.programs.major
    assert done.code == 1
    assert f"{program} is of version 14, the server of {major}: install postgresql-{major}" in done.said


def test_a_repository_is_made_on_first_use_and_missed_when_it_is_gone(place: Place) -> None:
    aside = place.folder / "aside"
    place.bucket.rename(aside)
    place.bucket.mkdir()
    gone = place.run("copy")
    assert gone.code == 1
    assert "there is no repository" in gone.said

    place.config.with_suffix(".state").unlink()
    place.proxy.answer = lambda method, path: proxies.DENIED if (method, path[-7:]) == ("PUT", "/config") else None
    assert place.run("copy").code == 1
    place.proxy.well()
    half = place.run("copy")
    assert half.code == 1
    assert "a job was killed while it made it: empty the bucket" in half.said
    shutil.rmtree(place.bucket / "keys")

    made = place.run("copy")
    assert made.code == 0, made.said
    assert "making the repository" in made.said
    assert place.copies() == [made.found["id"]]
    shutil.rmtree(place.bucket)
    aside.rename(place.bucket)


def test_another_key_and_another_bucket_are_said(place: Place) -> None:
    place.configure(key="another")
    assert "the key does not open it" in place.run("copy").said
    place.configure(repository={"url": f"s3:{place.proxy.url}/another"})
    assert "there is no such bucket" in place.run("copy").said
    assert not place.bucket.with_name("another").exists()


def test_a_half_that_is_old_is_forgotten_with_the_next_copy(place: Place) -> None:
    now = dt.datetime.now(dt.UTC)
    old = place.repository.save(b"half", DUMP, [DUMP], now - 2 * DAY)
    young = place.repository.save(b"half", DUMP, [DUMP], now - dt.timedelta(hours=1))
    assert place.run("copy", "--by-hand").code == 0
    left = {each.id for each in place.repository.snapshots()}
    assert young in left
    assert old not in left


def test_without_a_clock_of_the_store_there_is_no_copy(place: Place) -> None:
    place.proxy.answer = lambda _method, _path: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(RepositoryError, match="can't be reached"):
        copy.make(config.read(place.config), dt.datetime.now(dt.UTC), by_hand=True, known=True, say=print)
    place.proxy.well()
    with pytest.raises(CopyError, match="the clock says"):
        copy.make(config.read(place.config), dt.datetime.now(dt.UTC) - DAY, by_hand=True, known=True, say=print)
