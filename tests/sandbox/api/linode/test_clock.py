"""What takes the cloud a while takes that here, by the cloud's own clock; who is busy says so."""

from datetime import timedelta

from linode_api4 import Instance, LinodeClient, PostgreSQLDatabase

from tests.sandbox.api.box import Box
from tests.sandbox.api.linode.client import PASSWORD, REGION, refused, server, status

BUSY = [(None, "Linode busy.")]


def test_a_new_instance_is_provisioned_boots_and_runs(slow_box: Box, slow_client: LinodeClient) -> None:
    made = server(slow_client, "new-1")
    assert made.status == "provisioning"
    slow_box.move(30)
    assert status(slow_client, made) == "booting"
    slow_box.move(35)
    assert status(slow_client, made) == "running"


def test_an_instance_that_is_busy_does_nothing_else_meanwhile(slow_box: Box, slow_client: LinodeClient) -> None:
    made = server(slow_client, "busy-1")
    for action in (made.boot, made.reboot, made.shutdown, lambda: made.resize("g6-standard-2")):
        assert refused(action) == BUSY
    assert refused(lambda: made.rebuild("linode/debian12", root_pass=PASSWORD)) == BUSY
    made.label = "busy-one"
    made.save()
    slow_box.move(120)
    assert status(slow_client, made) == "running"
    assert slow_client.load(Instance, made.id).type.id == "g6-standard-1"
    made.shutdown()
    assert status(slow_client, made) == "shutting_down"
    slow_box.move(30)
    assert status(slow_client, made) == "offline"
    made.boot()
    assert status(slow_client, made) == "booting"
    slow_box.move(60)
    assert status(slow_client, made) == "running"


def test_an_instance_goes_through_what_resizing_and_rebuilding_take(slow_box: Box, slow_client: LinodeClient) -> None:
    made = server(slow_client, "long-1")
    slow_box.move(120)
    made.resize("g6-standard-2")
    assert status(slow_client, made) == "resizing"
    slow_box.move(250)
    assert status(slow_client, made) == "booting"
    slow_box.move(60)
    made.rebuild("linode/debian12", root_pass=PASSWORD)
    assert status(slow_client, made) == "rebuilding"
    slow_box.move(100)
    made.shutdown()
    slow_box.move(30)
    made.resize("g6-standard-1")
    slow_box.move(250)
    assert status(slow_client, made) == "offline"  # what was off is not started


def test_a_node_is_up_once_its_server_runs(slow_box: Box, slow_client: LinodeClient) -> None:
    backend = server(slow_client, "backend-1")
    balancer = slow_client.nodebalancers.create(REGION, label="clock-balancer")
    config = balancer.config_create(port=443, protocol="tcp", check_interval=40)
    node = config.node_create("backend-1", f"{backend.ipv4[1]}:443")
    path = f"/nodebalancers/{balancer.id}/configs/{config.id}"
    assert node.status == "DOWN"
    assert slow_client.get(path)["nodes_status"] == {"up": 0, "down": 1}
    slow_box.move(70)
    assert slow_client.get(path)["nodes_status"] == {"up": 1, "down": 0}


def test_a_database_takes_minutes_and_can_be_forked_from_then_on(slow_box: Box, slow_client: LinodeClient) -> None:
    client = slow_client
    made = client.database.postgresql_create("clock-db", REGION, "postgresql/16", "g6-dedicated-2")
    path = f"/databases/postgresql/instances/{made.id}"
    assert (made.status, made.oldest_restore_time) == ("provisioning", None)
    assert refused(lambda: made.credentials) == [(None, "The database must be active to see this.")]
    assert refused(lambda: client.put(path, data={"type": "g6-dedicated-4"})) == [
        (None, "Cannot update a database that is not active")
    ]
    poller = client.polling.event_poller_create("database", "database_create")
    poller.set_entity_id(made.id)
    assert poller.wait_for_next_event(timeout=5, interval=1).status == "started"
    slow_box.move(790)
    ready = client.load(PostgreSQLDatabase, made.id)
    assert ready.status == "active"
    assert ready.credentials.password
    first = ready.oldest_restore_time
    slow_box.move(3_600)
    client.put(path, data={"type": "g6-dedicated-4"})
    assert client.get(path)["status"] == "resizing"
    slow_box.move(1_000)
    assert (client.get(path)["status"], client.get(path)["oldest_restore_time"]) == ("active", first.isoformat())
    fork = client.database.postgresql_fork(made.id, first + timedelta(minutes=30), label="clock-fork")
    assert fork.status == "provisioning"
    assert fork.fork.restore_time == (first + timedelta(minutes=30)).isoformat()


def test_a_database_is_kept_for_fourteen_days(slow_box: Box, slow_client: LinodeClient) -> None:
    made = slow_client.database.postgresql_create("kept-db", REGION, "postgresql/16", "g6-dedicated-2")
    slow_box.move(20 * 86_400)
    found = slow_client.load(PostgreSQLDatabase, made.id)
    assert timedelta(days=5, hours=23) < found.oldest_restore_time - found.created < timedelta(days=6, hours=1)
    when = found.oldest_restore_time - timedelta(seconds=2)
    ((field, _),) = refused(lambda: slow_client.database.postgresql_fork(made.id, when, label="too-old"))
    assert field == "fork.restore_time"
