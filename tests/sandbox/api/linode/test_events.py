"""Events: what an account is told, and that the client's own polling sees it."""

from typing import Any

import pytest
from linode_api4 import Event, LinodeClient
from linode_api4.polling import EventError

from tests.sandbox.api.box import Box
from tests.sandbox.api.linode.client import PASSWORD, REGION, client_of, refused, server, status


def _actions(client: LinodeClient, entity_type: str, identity: int) -> list[str]:
    wanted = {"entity.type": entity_type, "entity.id": identity, "+order_by": "created", "+order": "asc"}
    return [event["action"] for event in client.get("/account/events", filters=wanted)["data"]]


def test_everything_that_happens_to_an_instance_is_told_in_its_order(client: LinodeClient) -> None:
    made = server(client, "told-1")
    made.shutdown()
    made.boot()
    made.reboot()
    made.resize("g6-standard-2")
    made.rebuild("linode/debian12", root_pass=PASSWORD)
    made.enable_backups()
    made.snapshot("before")
    made.cancel_backups()
    made.tags = ["role-api"]
    made.save()
    made.delete()
    assert _actions(client, "linode", made.id) == [
        *("linode_create", "linode_boot", "linode_shutdown", "linode_boot", "linode_reboot"),
        *("linode_resize", "linode_boot", "linode_rebuild", "linode_boot"),
        *("backups_enable", "linode_snapshot", "backups_cancel", "linode_update", "linode_delete"),
    ]


def test_what_happens_to_other_objects_is_told_too(client: LinodeClient) -> None:
    backend = server(client, "told-2")
    wall = client.networking.firewall_create("told-wall", {"inbound_policy": "DROP", "outbound_policy": "DROP"})
    device = wall.device_create(backend.id)
    wall.update_rules({"inbound_policy": "ACCEPT", "outbound_policy": "ACCEPT"})
    device.delete()
    wall.delete()
    balancer = client.nodebalancers.create(REGION, label="told-balancer")
    balancer.config_create(port=80, check_interval=40).node_create("told-2", f"{backend.ipv4[1]}:80")
    database = client.database.postgresql_create("told-db", REGION, "postgresql/16", "g6-dedicated-2")
    group = client.placement.group_create("told-group", REGION, "anti_affinity:local", "strict")
    group.assign([backend])
    assert _actions(client, "firewall", wall.id) == [
        *("firewall_create", "firewall_device_add", "firewall_rules_update", "firewall_device_remove"),
        "firewall_delete",
    ]
    assert _actions(client, "nodebalancer", balancer.id) == [
        *("nodebalancer_create", "nodebalancer_config_create", "nodebalancer_node_create"),
    ]
    assert _actions(client, "database", database.id) == ["database_create"]
    assert _actions(client, "placement_group", group.id) == ["placement_group_create", "placement_group_assign"]


def test_an_event_is_shown_with_its_entity_and_for_its_own_account_only(box: Box, client: LinodeClient) -> None:
    made = server(client, "told-3")
    event = client.get("/account/events")["data"][0]
    assert event["entity"] == {
        "id": made.id,
        "type": "linode",
        "label": "told-3",
        "url": f"/v4/linode/instances/{made.id}",
    }
    assert (event["action"], event["status"], event["percent_complete"]) == ("linode_boot", "finished", 100)
    assert client.load(Event, event["id"])._raw_json == event
    copies = client_of(box, box.tokens.linode_copies)
    assert copies.get("/account/events")["results"] == 0
    for path in (event["id"], 10**30, "x", 0):
        assert refused(lambda path=path: copies.get(f"/account/events/{path}"), 404) == [(None, "Not found")]


def test_the_clients_poller_sees_the_next_event_of_an_entity(client: LinodeClient) -> None:
    made = server(client, "polled-1")
    poller = client.polling.event_poller_create("linode", "linode_reboot", entity_id=made.id)
    made.reboot()
    event = poller.wait_for_next_event_finished(timeout=5, interval=1)
    assert (event.action, event.status, event.entity.id) == ("linode_reboot", "finished", made.id)
    client.polling.wait_for_entity_free("linode", made.id, timeout=5, interval=1)


def test_events_since_a_time_are_those_and_no_older_ones(slow_box: Box, slow_client: LinodeClient) -> None:
    client = slow_client
    old = server(client, "old-1")
    slow_box.move(3_600)
    new = server(client, "new-1")
    since = client.get(f"/linode/instances/{new.id}")["created"]
    found = client.get("/account/events", filters={"created": {"+gte": since}, "action": "linode_create"})["data"]
    assert [event["entity"]["id"] for event in found] == [new.id]
    assert old.id != new.id


def test_an_event_starts_proceeds_and_finishes_by_the_clock(slow_box: Box, slow_client: LinodeClient) -> None:
    client = slow_client
    made = server(client, "slow-1")
    wanted = {"entity.type": "linode", "entity.id": made.id, "+order_by": "id", "+order": "asc"}

    def seen() -> list[tuple[Any, ...]]:
        events = client.get("/account/events", filters=wanted)["data"]
        return [(event["action"], event["status"], event["percent_complete"] // 10) for event in events]

    assert seen() == [("linode_create", "started", 0), ("linode_boot", "scheduled", 0)]
    slow_box.move(13)
    assert seen() == [("linode_create", "started", 5), ("linode_boot", "scheduled", 0)]
    slow_box.move(13)
    assert seen() == [("linode_create", "finished", 10), ("linode_boot", "started", 0)]
    slow_box.move(40)
    assert seen() == [("linode_create", "finished", 10), ("linode_boot", "finished", 10)]
    assert client.load(Event, client.get("/account/events", filters=wanted)["data"][0]["id"]).duration == 25.0


def test_a_server_that_does_not_boot_ends_offline_and_its_event_failed(box: Box, client: LinodeClient) -> None:
    made = server(client, "broken-1")
    box.wrong(unbootable=["broken-1", "broken-2"])
    poller = client.polling.event_poller_create("linode", "linode_reboot", entity_id=made.id)
    made.reboot()
    with pytest.raises(EventError):
        poller.wait_for_next_event_finished(timeout=5, interval=1)
    assert status(client, made) == "offline"
    assert status(client, server(client, "broken-2")) == "offline"
    box.wrong()
    made.boot()
    assert status(client, made) == "running"
