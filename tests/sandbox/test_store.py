"""The file: what is refused, what is logged, and that no question needs a look at every object."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from sandbox import store
from sandbox.store import VERSION, Record, Store, StoreError


def _record(number: int) -> Record:
    return Record("kind", str(number), "account", f"name-{number}", "parent/1", {"id": number}, {"kept": True})


def _filled(file: Path, count: int = 3) -> bytes:
    opened = Store(file)
    with opened.transaction() as tx:
        for number in range(count):
            tx.put(_record(number), [("uses", "target")], "create")
    opened.close()
    return file.read_bytes()


def test_an_object_is_found_by_id_by_key_by_parent_and_by_link(tmp_path: Path) -> None:
    _filled(tmp_path / "file")
    with Store(tmp_path / "file").transaction() as tx:
        assert tx.get("kind", 1) == _record(1)
        assert tx.find("kind", "account", "name-1") == [_record(1)]
        assert tx.children("parent", 1) == [_record(0), _record(1), _record(2)]
        assert list(tx.linked("uses", "target")) == [_record(0), _record(1), _record(2)]
        assert tx.count("kind", "account") == 3
        assert tx.count("kind", "another") == 0


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    opened = Store(tmp_path / "file")

    def fail_after_writing() -> None:
        with opened.transaction() as tx:
            tx.put(_record(1), [], "create")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail_after_writing()
    assert store.objects(tmp_path / "file") == []
    assert store.events(tmp_path / "file") == []


def test_the_log_says_what_became_of_each_object_in_order(tmp_path: Path) -> None:
    opened = Store(tmp_path / "file")
    with opened.transaction() as tx:
        tx.put(_record(1), [], "create")
    with opened.transaction() as tx:
        tx.put(_record(1), [], "update")
        tx.remove(_record(1))
    logged = store.events(tmp_path / "file")
    assert [(event.seq, event.action, event.kind, event.id, event.body) for event in logged] == [
        (1, "create", "kind", "1", {"id": 1}),
        (2, "update", "kind", "1", {"id": 1}),
        (3, "delete", "kind", "1", {"id": 1}),
    ]
    assert [event.seq for event in store.events(tmp_path / "file", after=2)] == [3]


def test_what_it_holds_is_private_to_its_owner(tmp_path: Path) -> None:
    _filled(tmp_path / "file")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda _: b"", "is damaged: it is no SQLite file"),
        (lambda whole: whole[:50], "is damaged: it is no SQLite file"),
        (lambda whole: b"x" + whole[1:], "is damaged: it is no SQLite file"),
        (lambda whole: whole[: len(whole) // 2], "is damaged"),
        (lambda whole: whole[:4096] + b"\xff" * 4096 + whole[8192:], "is damaged"),
        (
            lambda whole: whole[:60] + (99).to_bytes(4) + whole[64:],
            f"is of version 99, this sandbox reads version {VERSION}",
        ),
        (lambda whole: whole[:68] + bytes(4) + whole[72:], "is not a sandbox's file"),
    ],
    ids=["empty", "cut short", "another format", "half", "a page overwritten", "another version", "another program"],
)
def test_a_file_that_is_not_whole_and_ours_is_refused_and_left_as_it_is(
    tmp_path: Path, damage: Callable[[bytes], bytes], says: str
) -> None:
    file = tmp_path / "file"
    damaged = damage(_filled(file, 100))
    file.write_bytes(damaged)
    with pytest.raises(StoreError, match=says):
        Store(file)
    assert file.read_bytes() == damaged
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_file_whose_making_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "file.new").write_bytes(b"half a file")
    Store(tmp_path / "file").close()
    assert store.objects(tmp_path / "file") == []


def test_a_time_of_a_clock_that_was_moved_is_found_on_this_machines(tmp_path: Path) -> None:
    with Store(tmp_path / "file").transaction() as tx:
        began = tx.now
        for step in (60.0, 3600.0):
            tx.move(step)
        ahead = {
            second: tx.real(began + timedelta(seconds=second)) - began.timestamp() for second in (-9, 30, 99, 3669)
        }
    # Before it was moved, twice a time that it was moved over, and afterwards.
    assert ahead == pytest.approx({-9: -9, 30: 0, 99: 0, 3669: 9}, abs=0.001)


def test_no_question_of_a_call_looks_at_more_than_its_answer(tmp_path: Path) -> None:
    _filled(tmp_path / "file")
    asked: list[str] = []
    opened = Store(tmp_path / "file")
    with opened.transaction() as tx:
        tx._sql.set_trace_callback(asked.append)
        tx.get("kind", 1)
        tx.find("kind", "account", "name-1")
        tx.count("kind", "account")
        tx.children("parent", 1)
        list(tx.linked("uses", "target"))
        tx.born("kind", "account", "name-1")
        tx.put(_record(1), [("uses", "target")], "update")
        tx.remove(_record(1))
        tx._sql.set_trace_callback(None)
        questions = [each for each in asked if each.startswith(("SELECT", "DELETE"))]
        plans = {tx._sql.execute(f"EXPLAIN QUERY PLAN {each}").fetchone()[3] for each in questions}
    assert plans == {
        "SEARCH object USING PRIMARY KEY (kind=? AND id=?)",
        "SEARCH object USING INDEX object_key (kind=? AND account=? AND key=?)",
        "SEARCH tally USING PRIMARY KEY (kind=? AND account=?)",
        "SEARCH object USING INDEX object_parent (parent=?)",
        "SEARCH link USING PRIMARY KEY (relation=? AND target=?)",
        "SEARCH link USING COVERING INDEX link_source (kind=? AND id=?)",
        "SEARCH birth USING PRIMARY KEY (kind=? AND account=? AND key=?)",
    }
