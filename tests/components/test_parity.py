"""What two sites are compared by: which settings, and since when they differ."""

import datetime as dt
from pathlib import Path
from typing import Any

from hypothesis import given, strategies

from components import parity, settings
from tests.components.test_program import committed, inputs_of
from tests.configuration import ROOT, STACKS, change_platform, copy_of_the_committed_files
from tests.recording import run

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
API = "environments.internal.groups.api"


def at(minute: int) -> dt.datetime:
    return NOON + dt.timedelta(minutes=minute)


def recorded(changes: dict[int, Any]) -> parity.Record:
    """Return the record of a stack that came up at noon, with the values of `key` by the minute after it."""
    record: parity.Record = {}
    for minute in sorted({0, *changes}):
        held = [value for each, value in sorted(changes.items()) if each <= minute]
        record = parity.record({"other": 1, **({"key": held[-1]} if held else {})}, record, at(minute))
    return record


def test_the_us_and_the_eu_share_all_settings_but_the_hours_of_reboots_and_backups() -> None:
    shared = {name: parity.comparable(settings.load(ROOT, name)) for name in ("us-central", "eu-frankfurt")}
    us, eu = shared.values()
    assert us.keys() == eu.keys()
    assert {key: (us[key], eu[key]) for key in us if us[key] != eu[key]} == {
        "reboots.hour": (7, 1),
        "backups.hour": (4, 22),
    }
    api = "environments.production.groups.api"
    assert (us[f"{api}.count"], us[f"{api}.generations.1"]) == (3, "linode/debian12")
    assert us["roles.api.image"].startswith("registry.chat-tonic.example/api@sha256:")
    assert (us["environments.production.database.version"], us["copies.kept"], us["alarms"]) == (16, 30, True)


def test_what_is_a_sites_own_is_not_compared() -> None:
    for name in STACKS:
        stack = settings.load(ROOT, name)
        values = parity.comparable(stack)
        own = {"label", "jurisdiction", "region", "zone", "admin_sources", "parity", "lifetime", "generations"}
        assert not own & {key.partition(".")[0] for key in values}
        said = str(list(values.values()))
        for text in (stack.region, stack.zone, *stack.admin_sources, "support-board", "on-call"):
            assert text is None or text not in said


def test_a_value_that_stays_keeps_its_time_and_one_that_goes_is_remembered() -> None:
    first = parity.record({"a": 1, "b": [2]}, {}, at(0))
    second = parity.record({"a": 1.0, "c": "x"}, first, at(5))
    assert second == {
        "a": [[1, "2026-11-22T12:00:00Z"]],
        "b": [[[2], "2026-11-22T12:00:00Z"], [None, "2026-11-22T12:05:00Z"]],
        "c": [["x", "2026-11-22T12:05:00Z"]],
    }
    assert parity.record({"a": 1, "c": "x"}, second, at(9)) == second
    assert parity.current(second) == {"a": 1, "b": None, "c": "x"}


def test_a_record_remembers_the_newest_values_only() -> None:
    record = recorded(dict(enumerate(range(parity.KEPT + 5))))
    assert [value for value, _ in record["key"]] == list(range(5, parity.KEPT + 5))


changes = strategies.dictionaries(strategies.integers(0, 9), strategies.integers(1, 3), max_size=6)


@given(changes, changes)
def test_a_key_differs_since_the_last_time_it_was_the_same(ours: dict[int, int], theirs: dict[int, int]) -> None:
    one, other = recorded(ours), recorded(theirs)

    def same(minute: int) -> bool:
        held = [[value for each, value in sorted(side.items()) if each <= minute] for side in (ours, theirs)]
        return held[0][-1:] == held[1][-1:]

    if same(9):
        return
    since = next((minute for minute in range(9, 0, -1) if same(minute - 1)), 0)
    assert parity.differs_since("key", one, other) == at(since)


def test_a_difference_is_no_older_than_the_younger_of_the_two_stacks() -> None:
    young = parity.record({"key": 2}, {}, at(60))
    assert parity.differs_since("key", recorded({0: 1}), young) == at(60)


def test_the_program_keeps_the_settings_of_before_and_since_when_they_hold(tmp_path: Path) -> None:
    program, inputs = committed("test")
    before = {**program.exports, parity.OUTPUT: {key: [[value, "2026-01-01T00:00:00Z"]] for key, value in
              parity.comparable(settings.load(ROOT, "test")).items()}}  # fmt: skip
    assert run("test", inputs, deployed=before).exports[parity.OUTPUT] == before[parity.OUTPUT]

    root = copy_of_the_committed_files(tmp_path / "root")
    change_platform(root, {f"{API}.count": 2})
    after = run("test", inputs_of(root, "test"), root, deployed=before).exports[parity.OUTPUT]
    changed = after.pop(f"{API}.count")
    assert changed[0] == [1, "2026-01-01T00:00:00Z"]
    assert (changed[1][0], len(changed)) == (2, 2)
    assert after == {key: entries for key, entries in before[parity.OUTPUT].items() if key != f"{API}.count"}
