"""A drill proves a copy, or says why it can't, and keeps evidence; a failed one never counts as proof."""

import json
import re
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from copies import evidence, listing, server
from copies.listing import DUMP, RECORD, Copy
from tests.copies import place as places
from tests.copies.place import Place


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with places.made(tmp_path_factory.mktemp("drill"), "") as place:
        place.database = place.cluster.sampled("sampled")
        place.configure()
        assert place.run("copy").code == 0
        yield place


@pytest.fixture(scope="module")
def whole(shop: Place) -> Copy:
    return listing.copies(shop.repository.snapshots())[0]


@pytest.fixture
def place(shop: Place) -> Iterator[Place]:
    yield shop
    shop.configure()


def proofs(place: Place) -> list[Any]:
    return evidence.listed(place.repository.snapshots())


QUERY = {"sql": "select count(*) from chat.customers", "expects": "20"}


def test_a_copy_that_restores_is_proved_and_the_evidence_is_kept(place: Place) -> None:
    place.configure(queries=[QUERY, {"sql": "select body from chat.everything where id = 100", "expects": "plain"}])
    (copy,) = place.run("list").found["copies"]
    done = place.run("drill")
    assert (done.code, done.found.get("reason")) == (0, None), done.said
    found = done.found
    assert (found["result"], found["copy"]["id"], found["copy"]["taken"]) == ("proved", copy["id"], copy["taken"])
    assert (found["stack"], found["environment"]) == ("us-central", "production")
    assert found["versions"]["postgres"].startswith(f"{place.cluster.programs.major}.")
    assert found["versions"].keys() == {"postgres", "restic", "program"}
    assert found["compared"]["rows"] == copy["rows"] > 600
    assert (found["compared"]["tables"], found["compared"]["contents of large objects"]) == (15, 3)
    assert [each["as_expected"] for each in found["queries"]] == [True, True]
    assert found["seconds"].keys() == {"fetch", "restore", "compare", "queries", "total"}
    assert "plain" not in json.dumps(found)
    assert [each["copy"]["id"] for each in proofs(place)] == [copy["id"]]


def spoil(place: Place, whole: Copy, **facts: Any) -> str:
    """Make a copy whose dump or record is another one than it should be; return its id."""
    dump = place.repository.read(whole.dump, DUMP)
    saved = json.loads(place.repository.read(whole.record, RECORD))
    found = saved["record"]
    facts.get("change", lambda _: None)(found)
    dumped = place.repository.save(facts.get("dump", lambda it: it)(dump), DUMP, [DUMP], whole.taken)
    copy = replace(whole, dump=dumped)
    kept = json.dumps({**copy.json(), "dump": dumped, "record": found} if "text" not in facts else facts["text"])
    if "record" not in facts:
        place.repository.save(kept.encode(), RECORD, copy.tags, whole.taken)
    return copy.id


def of_postgresql_13(found: dict[str, Any]) -> None:
    found["server"] = {"major": 13, "version": "13.1"}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"dump": lambda it: it[: len(it) // 2]}, "pg_restore failed: .*error: .*"),
        (
            {"dump": lambda it: it.replace(b"customer 7", b"customer 8")},
            "differs: tables: chat.customers: checksum: is",
        ),
        ({"dump": lambda _: b"nothing"}, "pg_restore failed: .*does not appear to be a valid archive"),
        ({"change": of_postgresql_13}, r"the copy is of PostgreSQL 13, and \S+ has 1\d\.\d+: install postgresql-13"),
        ({"record": None}, "the copy [0-9a-f]{8} has no record of what it holds"),
        ({"text": "nothing"}, "the record of the copy [0-9a-f]{8} is none"),
    ],
    ids=["truncated", "other content", "no dump", "other major version", "no record", "no JSON"],
)
def test_a_copy_that_is_not_what_it_should_be_is_no_proof(
    place: Place, whole: Copy, facts: dict[str, Any], reason: str
) -> None:
    before = proofs(place)
    done = place.run("drill", "--copy", spoil(place, whole, **facts))
    assert (done.code, done.found["result"]) == (1, "failed"), done.said
    assert re.search(reason, done.found["reason"]), done.found["reason"]
    assert proofs(place) == before


def test_queries_that_give_something_else_are_no_proof(place: Place, whole: Copy) -> None:
    wrong = [
        {"sql": "select count(*) from chat.customers", "expects": "21"},
        {"sql": "select 1 / 0", "expects": "1"},
        {"sql": "select id from chat.customers", "expects": "1"},
        {"sql": "delete from chat.orders returning 1", "expects": "1"},
    ]
    place.configure(queries=[QUERY, *wrong])
    before = proofs(place)
    done = place.run("drill", "--copy", whole.id)
    told = "; ".join(each["sql"] for each in wrong)
    assert (done.code, done.found["reason"]) == (1, f"queries gave other than they should: {told}")
    assert [each["as_expected"] for each in done.found["queries"]] == [True, *([False] * len(wrong))]
    assert proofs(place) == before


def test_with_another_key_nothing_is_proved(place: Place) -> None:
    place.configure(key="another")
    done = place.run("drill")
    assert (done.code, done.found["result"]) == (1, "failed")
    assert "the key does not open it" in done.found["reason"]


def test_a_copy_that_does_not_exist_is_named(place: Place) -> None:
    done = place.run("drill", "--copy", "12345678")
    assert (done.code, done.found["reason"]) == (1, "there is no copy 12345678")


def test_programs_that_are_not_there_are_named(place: Place, whole: Copy) -> None:
    place.configure(programs="/nowhere")
    done = place.run("drill", "--copy", whole.id)
    assert done.code == 1
    assert "/nowhere/pg_restore is not there" in done.found["reason"]


def test_an_object_in_the_bucket_that_is_damaged_is_no_proof(place: Place, whole: Copy) -> None:
    packs = sorted(
        (each for each in (place.bucket / "data").rglob("*") if each.is_file()), key=lambda at: at.stat().st_size
    )
    sound = packs[-1].read_bytes()
    before = proofs(place)
    try:
        for content in (sound[:-1000] + bytes(1000), sound[: len(sound) // 2]):
            packs[-1].write_bytes(content)
            done = place.run("drill", "--copy", whole.id)
            assert (done.code, done.found["result"]) == (1, "failed"), done.said
            assert done.found["reason"].startswith("the repository: ")
    finally:
        packs[-1].write_bytes(sound)
    assert proofs(place) == before


def test_a_drill_that_was_killed_leaves_nothing_once_the_next_has_run(
    place: Place, whole: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        monkeypatch.setenv("TMPDIR", name)
        process = place.start("drill", "--copy", whole.id)
        assert any("comparing" in line for line in process.stderr or ())
        process.kill()
        process.communicate()
        (left,) = folder.iterdir()
        assert left.stat().st_mode & 0o777 == 0o700
        assert place.run("drill", "--copy", whole.id).code == 0
        assert list(folder.iterdir()) == []


def test_drills_that_begin_and_end_at_once_leave_one_another_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def drill(_: int) -> int:
        with server.folder() as folder:
            for number in range(50):
                (folder / str(number)).touch()
            return len(list(folder.iterdir()))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(drill, range(80))) == {50}
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_while_it_was_copied_is_no_difference(place: Place) -> None:
    # The last one here: the copy takes the place of the day's, which is the one that the others drill.
    writing, ended = threading.Event(), threading.Event()

    def write() -> None:
        with psycopg.connect(make_conninfo(**place.database), autocommit=True) as connection:
            while not ended.is_set():
                connection.execute("insert into chat.everything (half, cost) values (nextval('chat.pinned') % 1000, 1)")
                connection.execute("update chat.everything set body = 'other' where id = 103")
                connection.execute("truncate chat.empty")
                connection.execute("insert into chat.empty values (1)")
                writing.set()
                ended.wait(0.3)

    with ThreadPoolExecutor() as pool:
        writer = pool.submit(write)
        try:
            writing.wait(60)
            copied = place.run("copy", "--by-hand")
        finally:
            ended.set()
        writer.result()
    assert copied.code == 0, copied.said
    done = place.run("drill", "--copy", copied.found["id"])
    assert (done.code, done.found.get("reason")) == (0, None)
