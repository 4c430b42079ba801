"""The engine's door and the API's open onto one world, and obey the same rules."""

from datetime import datetime
from typing import Any

import grpc
import pytest
from linode_api4 import Instance, LinodeClient
from pulumi.runtime.proto import provider_pb2

from sandbox.engine.values import decode, encode
from tests.sandbox.api.box import Box
from tests.sandbox.api.linode.client import PASSWORD, REGION, refused, server
from tests.sandbox.door import Door, urn

INSTANCE = "linode:index/instance:Instance"
DATABASE = "linode:index/databasePostgresqlV2:DatabasePostgresqlV2"
DEVICE = "linode:index/firewallDevice:FirewallDevice"
FIREWALL = "linode:index/firewall:Firewall"


def _inputs(**changes: Any) -> dict[str, Any]:
    given = {"label": "doors-1", "region": REGION, "type": "g6-standard-1", "image": "linode/debian12"}
    return given | {"rootPass": PASSWORD, "privateIp": True, "backupsEnabled": True} | changes


def test_what_one_door_made_the_other_shows_changes_and_deletes(box: Box, client: LinodeClient) -> None:
    with Door(box.folder) as door:
        made = door.create(INSTANCE, _inputs())
        found = client.load(Instance, int(made.id))
        assert found.label == "doors-1"
        assert found.ipv4 == decode(made.properties)["ipv4s"]
        found.tags = ["role-api"]
        found.save()
        state = decode(door.read(INSTANCE, made.id).properties)
        assert state["tags"] == ["role-api"]
        found.delete()
        assert door.read(INSTANCE, made.id, _inputs(), state).id == ""


def test_a_schedule_that_was_set_and_a_backup_that_was_taken_are_in_the_engines_state(
    box: Box, client: LinodeClient
) -> None:
    with Door(box.folder) as door:
        made = door.create(INSTANCE, _inputs(label="doors-2"))
        (first,) = decode(made.properties)["backups"]
        assert first["schedules"] == [{"day": "Scheduling", "window": "Scheduling"}]
        assert (first["enabled"], first["available"]) == (True, False)
        body = {"backups": {"schedule": {"day": "Sunday", "window": "W4"}}}
        client.put(f"/linode/instances/{made.id}", data=body)
        client.load(Instance, int(made.id)).snapshot("now")
        (found,) = decode(door.read(INSTANCE, made.id).properties)["backups"]
        assert found["schedules"] == [{"day": "Sunday", "window": "W4"}]
        assert found["available"] is True


def test_the_engine_sees_what_was_switched_off_and_turns_it_on_again(box: Box, client: LinodeClient) -> None:
    inputs = _inputs(label="doors-3", booted=True)
    with Door(box.folder) as door:
        made = door.create(INSTANCE, inputs)
        client.load(Instance, int(made.id)).shutdown()
        state = decode(door.read(INSTANCE, made.id, inputs, decode(made.properties)).properties)
        assert (state["status"], state["booted"]) == ("offline", False)
        _update(door, made.id, inputs | {"booted": False}, inputs, state)
    assert client.load(Instance, int(made.id)).status == "running"
    wanted = {"entity.type": "linode", "entity.id": int(made.id), "+order_by": "id", "+order": "asc"}
    actions = [event["action"] for event in client.get("/account/events", filters=wanted)["data"]]
    assert actions == ["linode_create", "linode_boot", "linode_shutdown", "linode_boot"]


def test_backups_that_one_door_cancelled_the_other_can_not_enable_for_a_day(box: Box, client: LinodeClient) -> None:
    inputs = _inputs(label="doors-4")
    with Door(box.folder) as door:
        made = door.create(INSTANCE, inputs)
        client.load(Instance, int(made.id)).cancel_backups()
        state = decode(door.read(INSTANCE, made.id, inputs, decode(made.properties)).properties)
        assert state["backupsEnabled"] is False
        with pytest.raises(grpc.RpcError, match="Please wait 24 hours before reactivating backups for this Linode"):
            _update(door, made.id, inputs | {"backupsEnabled": False}, inputs, state)


def test_a_label_is_one_label_at_both_doors(box: Box, client: LinodeClient) -> None:
    server(client, "doors-5")
    with Door(box.folder) as door, pytest.raises(grpc.RpcError, match="Label must be unique among your linodes"):
        door.create(INSTANCE, _inputs(label="doors-5"))


def test_a_device_that_one_door_made_the_other_finds(box: Box, client: LinodeClient) -> None:
    guarded = server(client, "doors-6")
    with Door(box.folder) as door:
        wall = door.create(FIREWALL, {"label": "doors", "inboundPolicy": "DROP", "outboundPolicy": "ACCEPT"})
        device = door.create(DEVICE, {"firewallId": int(wall.id), "entityId": guarded.id})
        assert decode(device.properties)["firewallId"] == int(wall.id)
        assert [found.id for found in guarded.firewalls()] == [int(wall.id)]
        assert door.read(DEVICE, f"{wall.id},{device.id}").id == device.id
    client.delete(f"/networking/firewalls/{wall.id}/devices/{device.id}")
    assert guarded.firewalls() == []


def test_a_fork_is_made_through_the_engine_too(box: Box, client: LinodeClient) -> None:
    source = client.database.postgresql_create("doors-db", REGION, "postgresql/16", "g6-dedicated-2")
    when = f"{source.oldest_restore_time.isoformat()}Z"
    inputs = {
        "label": "doors-fork",
        "region": REGION,
        "type": "g6-dedicated-2",
        "engineId": "postgresql/16",
        "forkSource": source.id,
        "forkRestoreTime": when,
    }
    with Door(box.folder) as door:
        made = door.create(DATABASE, inputs)
        state = decode(made.properties)
        assert (state["engine"], state["engineId"]) == ("postgresql", "postgresql/16")
        assert (state["forkSource"], state["forkRestoreTime"]) == (source.id, when)
        assert door.diff(DATABASE, inputs, inputs, state) == {}
        with pytest.raises(grpc.RpcError, match="restore_time must be between"):
            door.create(DATABASE, inputs | {"label": "doors-old", "forkRestoreTime": "2020-01-01T00:00:00Z"})
    found = client.get(f"/databases/postgresql/instances/{made.id}")
    assert found["fork"] == {"source": source.id, "restore_time": source.oldest_restore_time.isoformat()}
    assert datetime.fromisoformat(found["created"]) >= source.created


def test_a_condition_is_seen_through_both_doors(box: Box, client: LinodeClient) -> None:
    made = server(client, "doors-7")
    box.wrong(regions_down=[REGION])
    with Door(box.folder) as door:
        assert decode(door.read(INSTANCE, str(made.id)).properties)["status"] == "offline"
    box.wrong()
    assert refused(made.boot) == [(None, f"Linode {made.id} already booted.")]


def _update(door: Door, identity: str, old: dict[str, Any], new: dict[str, Any], state: dict[str, Any]) -> Any:
    request = provider_pb2.UpdateRequest(
        id=identity, urn=urn(INSTANCE), olds=encode(state), old_inputs=encode(old), news=encode(new)
    )
    return door.rpc.Update(request)
