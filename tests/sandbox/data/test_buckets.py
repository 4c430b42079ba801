"""Buckets are real: each key does there what the model lets it, and what is in one is there until it is deleted."""

import pytest

from sandbox import data
from tests.sandbox.data.conftest import BUCKETS, Holdings

OPEN, CLOSED, NOT_THERE = 200, 403, 404

Keys = dict[str, dict[str, object]]


@pytest.fixture(scope="module", autouse=True)
def keys(held: Holdings) -> Keys:
    for label in ("keep", "other"):
        held.ask("POST", "/object-storage/buckets", {"label": label, "region": BUCKETS})
    made = {
        "writes": held.key("writes", "keep"),
        "reads": held.key("reads", "keep", "read_only"),
        "other's": held.key("others", "other"),
        "all": held.key("all", None),
        "unknown": {"access_key": "A" * 20, "secret_key": "b" * 40},
    }
    held.play()
    assert held.s3(made["writes"], "PUT", "keep/an/object", "its content") == (OPEN, "")
    return made


@pytest.mark.parametrize(
    ("key", "may"),
    [
        ("writes", (OPEN, OPEN, OPEN, 204)),
        ("reads", (OPEN, OPEN, CLOSED, CLOSED)),
        ("other's", (CLOSED, CLOSED, CLOSED, CLOSED)),
        ("all", (OPEN, OPEN, OPEN, 204)),
        ("unknown", (CLOSED, CLOSED, CLOSED, CLOSED)),
    ],
)
def test_a_key_does_what_the_model_lets_it_and_no_more(
    held: Holdings, keys: Keys, key: str, may: tuple[int, ...]
) -> None:
    assert held.s3(keys["writes"], "PUT", "keep/another", "one")[0] == OPEN
    read, *others = (
        held.s3(keys[key], "GET", "keep/an/object"),
        held.s3(keys[key], "GET", "keep/?list-type=2"),
        held.s3(keys[key], "PUT", "keep/another", "changed"),
        held.s3(keys[key], "DELETE", "keep/another"),
    )
    assert (read[0], *(status for status, _ in others)) == may
    assert (read[1] == "its content") == (read[0] == OPEN)


@pytest.mark.parametrize("path", ["keep?policy", "keep?acl", "keep", "made-beside-the-model"])
@pytest.mark.parametrize(("key", "method"), [("writes", "PUT"), ("writes", "DELETE"), ("reads", "PUT")])
def test_a_limited_key_changes_no_bucket(held: Holdings, keys: Keys, key: str, method: str, path: str) -> None:
    assert held.s3(keys[key], method, path, "{}")[0] in (CLOSED, NOT_THERE, 405, 409)
    assert held.s3(keys["writes"], "GET", "keep/an/object") == (OPEN, "its content")


def test_a_key_that_is_deleted_opens_nothing_any_more(held: Holdings) -> None:
    key = held.key("for-a-while", "keep", "read_only")
    held.play()
    assert held.s3(key, "GET", "keep/an/object")[0] == OPEN
    held.ask("DELETE", f"/object-storage/keys/{key['id']}")
    held.play()
    assert held.s3(key, "GET", "keep/an/object")[0] == CLOSED


def test_a_deleted_bucket_takes_its_objects_along(held: Holdings, keys: Keys) -> None:
    assert held.s3(keys["all"], "PUT", "other/an/object", "of the first")[0] == OPEN
    held.ask("DELETE", f"/object-storage/buckets/{BUCKETS}/other")
    assert "other" not in held.play().buckets
    assert held.s3(keys["all"], "GET", "other/an/object")[0] == NOT_THERE
    held.ask("POST", "/object-storage/buckets", {"label": "other", "region": BUCKETS})
    held.play()
    assert held.s3(keys["all"], "GET", "other/an/object")[0] == NOT_THERE
    assert held.s3(keys["all"], "GET", "other/?list-type=2")[0] == OPEN


def test_buckets_of_a_region_that_is_down_are_not_reached_and_whole_afterwards(held: Holdings, keys: Keys) -> None:
    at = held.play().buckets["keep"]
    held.box.wrong(regions_down=[BUCKETS])
    assert held.play().buckets == {}
    assert [each for each in held.processes() if at.url.removeprefix("http://") in each] == []
    held.box.wrong()
    assert held.play().buckets["keep"] == at
    assert held.s3(keys["reads"], "GET", "keep/an/object") == (OPEN, "its content")


def test_objects_stay_when_all_is_stopped_and_started(held: Holdings, keys: Keys) -> None:
    held.box.stop()
    assert (data.status(held.folder), held.processes()) == (None, [])
    held.box.start()
    held.play()
    assert held.s3(keys["reads"], "GET", "keep/an/object") == (OPEN, "its content")


def test_no_list_of_processes_and_no_status_shows_a_secret(held: Holdings, keys: Keys) -> None:
    shown = [*held.processes(), (held.folder / data.FOLDER / data.STATUS).read_text()]
    assert any("versitygw" in each for each in shown)
    assert [each for key in keys.values() for each in shown if str(key["secret_key"]) in each] == []
