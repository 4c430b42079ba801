"""Backups: automatic ones by the clock, one snapshot, and what becomes of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from linode_api4 import Backup, Instance, LinodeClient

from sandbox.linode import backups
from tests.sandbox.api.box import Box
from tests.sandbox.api.linode.client import refused, server

DAY, HOUR = 86_400, 3_600
NONE: dict[str, Any] = {"automatic": [], "snapshot": {"current": None, "in_progress": None}}


def _list(client: LinodeClient, instance: Instance) -> Any:
    return client.get(f"/linode/instances/{instance.id}/backups")


def _shown(client: LinodeClient, instance: Instance) -> Any:
    return client.get(f"/linode/instances/{instance.id}")["backups"]


def _now(box: Box) -> datetime:
    return datetime.fromisoformat(box.control("GET", "/clock").json()["now"])


def _until(box: Box, weekday: str, hour: int, minute: int = 0) -> None:
    """Moves the clock to the next such time."""
    now = _now(box)
    days = (backups.DAYS.index(weekday) - now.weekday()) % 7
    then = now.replace(hour=hour, minute=minute, second=0, microsecond=0) + timedelta(days=days)
    box.move(((then if then > now else then + timedelta(days=7)) - now).total_seconds())


def _schedule(client: LinodeClient, instance: Instance, day: str, window: str) -> None:
    client.put(f"/linode/instances/{instance.id}", data={"backups": {"schedule": {"day": day, "window": window}}})


def test_a_schedule_is_chosen_by_the_service_after_a_while_unless_one_is_set(box: Box, client: LinodeClient) -> None:
    left, told = (server(client, f"chosen-{number}", backups_enabled=True) for number in range(2))
    waiting = {"day": "Scheduling", "window": "Scheduling"}
    assert _shown(client, left) == {
        "enabled": True,
        "available": False,
        "schedule": waiting,
        "last_successful": None,
    }
    _schedule(client, told, "Sunday", "W4")
    assert _shown(client, told)["schedule"] == {"day": "Sunday", "window": "W4"}
    box.move(2 * HOUR)
    chosen = _shown(client, left)["schedule"]
    assert chosen["day"] in backups.DAYS
    assert chosen["window"] in backups.WINDOWS
    assert _shown(client, told)["schedule"] == {"day": "Sunday", "window": "W4"}


def test_what_was_read_can_be_sent_back_and_changes_nothing(client: LinodeClient) -> None:
    for made in (server(client, "echo-1", backups_enabled=True), server(client, "echo-2")):
        found = client.load(Instance, made.id)
        assert found.save()
        assert _shown(client, made) == made._raw_json["backups"]


def test_a_backup_begins_in_the_window_is_pending_and_then_successful(box: Box, client: LinodeClient) -> None:
    _until(box, "Tuesday", 13)
    made = server(client, "daily-1", backups_enabled=True)
    _schedule(client, made, "Wednesday", "W12")
    _until(box, "Wednesday", 11, 59)
    assert _list(client, made) == NONE
    for _ in range(13):  # it begins within the first hour, and takes a quarter of one
        box.move(HOUR / 12)
        pending = [each for each in _list(client, made)["automatic"] if each["status"] == "pending"]
        if pending:
            break
    (backup,) = pending
    assert (backup["type"], backup["available"], backup["finished"], backup["disks"]) == ("auto", False, None, [])
    begun = datetime.fromisoformat(backup["created"]).replace(tzinfo=UTC)
    assert (begun.hour, begun.date()) == (12, _now(box).date())
    box.move(HOUR)
    (done, *older) = _list(client, made)["automatic"]
    assert (done["id"], done["status"], done["available"]) == (backup["id"], "successful", True)
    assert done["region"] == "us-central"
    assert done["disks"] == [
        {"label": "Debian 12 Disk", "size": 51200 - 512, "filesystem": "ext4"},
        {"label": "512 MB Swap Image", "size": 512, "filesystem": "swap"},
    ]
    assert done["configs"] == ["My Debian 12 Disk Profile"]
    assert older == []
    shown = _shown(client, made)
    assert (shown["available"], shown["last_successful"]) == (True, done["finished"])
    assert client.load(Backup, done["id"], made.id).status == "successful"


def test_the_newest_is_kept_and_the_weekly_ones_of_fourteen_days(box: Box, client: LinodeClient) -> None:
    _until(box, "Monday", 12)
    made = server(client, "weekly-1", backups_enabled=True)
    _schedule(client, made, "Monday", "W0")
    seen: set[int] = set()
    for _ in range(30):
        box.move(DAY)
        found = _list(client, made)["automatic"]
        now = _now(box).replace(tzinfo=None)
        begun = [datetime.fromisoformat(backup["created"]) for backup in found if backup["status"] == "successful"]
        assert begun == sorted(begun, reverse=True)
        assert len(begun) <= 3
        assert now - begun[0] < timedelta(days=1, hours=1)
        for older in begun[1:]:
            assert (older.strftime("%A"), now - older < timedelta(days=14)) == ("Monday", True)
        seen.add(len(begun))
    assert seen == {1, 2, 3}
    assert len({backup["id"] for backup in found}) == len(found)


def test_a_changed_schedule_leaves_what_was_taken_before_it(box: Box, client: LinodeClient) -> None:
    _until(box, "Friday", 0)
    made = server(client, "moved-1", backups_enabled=True)
    _schedule(client, made, "Friday", "W6")
    _until(box, "Friday", 9)
    (taken,) = _list(client, made)["automatic"]
    _schedule(client, made, "Friday", "W6")  # as it is
    assert _list(client, made)["automatic"] == [taken]
    _schedule(client, made, "Tuesday", "W20")
    assert [backup["id"] for backup in _list(client, made)["automatic"]] == [taken["id"]]
    box.move(DAY)
    (newest, weekly) = _list(client, made)["automatic"]
    assert weekly["id"] == taken["id"]
    assert newest["created"][11:13] == "20"


def test_a_snapshot_is_the_only_one_and_is_replaced_by_the_next(slow_box: Box, slow_client: LinodeClient) -> None:
    made = server(slow_client, "snap-1", backups_enabled=True)
    assert refused(lambda: made.snapshot("early")) == [(None, "Linode busy.")]
    slow_box.move(120)
    first = made.snapshot("first")
    assert (first.type, first.status, first.label, first.available) == ("snapshot", "pending", "first", False)
    assert _list(slow_client, made)["snapshot"] == {"current": None, "in_progress": first._raw_json}
    assert refused(lambda: made.snapshot("second")) == [(None, "Linode busy.")]
    assert refused(lambda: first.restore_to(made, overwrite=True)) == [(None, "This backup is not available yet.")]
    slow_box.move(301)
    done = _list(slow_client, made)["snapshot"]
    assert (done["current"]["id"], done["current"]["status"], done["in_progress"]) == (first.id, "successful", None)
    assert _shown(slow_client, made)["available"] is True
    second = made.snapshot("second")
    both = _list(slow_client, made)["snapshot"]
    assert (both["current"]["id"], both["in_progress"]["id"]) == (first.id, second.id)
    slow_box.move(301)
    last = _list(slow_client, made)["snapshot"]
    assert (last["current"]["id"], last["in_progress"]) == (second.id, None)
    path = f"/linode/instances/{made.id}/backups/{first.id}"
    assert refused(lambda: slow_client.get(path), 404) == [(None, "Not found")]


def test_a_backup_is_restored_onto_another_instance_in_the_place_of_its_disks(client: LinodeClient) -> None:
    source = server(client, "from-1", backups_enabled=True)
    target = server(client, "onto-1", image="linode/ubuntu24.04")
    abroad = server(client, "onto-2", region="eu-central")
    taken = source.snapshot("keep")
    before = [disk.id for disk in target.disks]
    assert refused(lambda: taken.restore_to(target)) == [
        ("linode_id", "The backup needs 51200 MB; 0 MB are not allocated.")
    ]
    assert refused(lambda: taken.restore_to(abroad, overwrite=True)) == [
        ("linode_id", "A backup can only be restored to a Linode in its own region.")
    ]
    path = f"/linode/instances/{source.id}/backups/{taken.id}/restore"
    assert refused(lambda: client.post(path, data={"overwrite": True})) == [("linode_id", "linode_id is required")]
    assert refused(lambda: client.post(path, data={"linode_id": 7}), 404) == [(None, "Not found")]
    assert [disk.id for disk in target.disks] == before
    assert taken.restore_to(target, overwrite=True)
    restored = client.load(Instance, target.id)
    assert [(disk.label, disk.size) for disk in restored.disks] == [
        ("Debian 12 Disk", 51200 - 512),
        ("512 MB Swap Image", 512),
    ]
    assert [config.label for config in restored.configs] == ["My Debian 12 Disk Profile"]
    assert set(before).isdisjoint(disk.id for disk in restored.disks)
    assert restored.status == "offline"
    assert restored.ipv4 == target.ipv4
    assert restored.boot()


def test_a_backup_is_restored_into_room_that_is_free(client: LinodeClient) -> None:
    source = server(client, "from-2", backups_enabled=True)
    empty = client.linode.instance_create("g6-standard-2", "us-central", label="onto-3")
    assert source.snapshot("keep").restore_to(empty)
    assert len(client.load(Instance, empty.id).disks) == 2


def test_cancelled_backups_are_gone_and_come_back_after_a_day_at_the_earliest(box: Box, client: LinodeClient) -> None:
    made = server(client, "cancel-1", backups_enabled=True)
    made.snapshot("gone")
    box.move(2 * DAY)
    assert len(_list(client, made)["automatic"]) >= 1
    assert made.cancel_backups()
    assert _list(client, made) == NONE
    assert _shown(client, made) == {
        "enabled": False,
        "available": False,
        "schedule": {"day": None, "window": None},
        "last_successful": None,
    }
    wait = [(None, "Please wait 24 hours before reactivating backups for this Linode.")]
    assert refused(made.enable_backups) == wait
    assert refused(lambda: made.snapshot("no")) == [(None, "Backups are not enabled for this Linode.")]
    assert refused(lambda: _schedule(client, made, "Sunday", "W4")) == [
        (None, "Backups are not enabled for this Linode.")
    ]
    box.move(23 * HOUR)
    assert refused(made.enable_backups) == wait
    box.move(HOUR)
    assert made.enable_backups()
    assert _list(client, made) == NONE
    assert _shown(client, made)["enabled"] is True


def test_backups_are_gone_with_their_instance_and_not_anothers(client: LinodeClient) -> None:
    made, other = (server(client, f"owner-{number}", backups_enabled=True) for number in range(2))
    taken = made.snapshot("mine")
    path = f"/linode/instances/{other.id}/backups/{taken.id}"
    assert refused(lambda: client.get(path), 404) == [(None, "Not found")]
    made.delete()
    assert refused(lambda: _list(client, made), 404) == [(None, "Not found")]
    again = server(client, "owner-0", backups_enabled=True)
    assert again.id != made.id
    assert _list(client, again) == NONE


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        ({"day": "Someday"}, "day"),
        ({"window": "W5"}, "window"),
        ({"window": 4}, "window"),
        ({"day": ["Sunday"]}, "day"),
    ],
)
def test_a_schedule_that_is_none_is_refused(client: LinodeClient, schedule: dict[str, Any], field: str) -> None:
    made = server(client, f"wrong-{schedule}".translate(str.maketrans("", "", "{}[]': ")), backups_enabled=True)
    body = {"backups": {"schedule": schedule}}
    ((name, _),) = refused(lambda: client.put(f"/linode/instances/{made.id}", data=body))
    assert name == f"backups.schedule.{field}"
    assert _shown(client, made)["schedule"]["day"] == "Scheduling"
