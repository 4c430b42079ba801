"""Every way in which the API says no, or says nothing at all; what was refused changed nothing."""

import time
from typing import Any

import httpx
import pytest
import requests
from linode_api4 import LinodeClient

from tests.sandbox import bodies
from tests.sandbox.api.box import LINODE, Box
from tests.sandbox.api.linode.client import client_of, refused, server


def _labels(client: LinodeClient) -> set[str]:
    return {instance.label for instance in client.linode.instances()}


def test_every_wrong_field_is_named_and_nothing_is_made(client: LinodeClient) -> None:
    before = _labels(client)
    found = refused(lambda: client.linode.instance_create("g6-nanode-1", "us-central", label="a", tags=[7]))
    assert [field for field, _ in found] == ["tags.0"]
    found = refused(lambda: client.nodebalancers.create("us-central", label="ab", client_conn_throttle=21))
    assert [field for field, _ in found] == ["label", "client_conn_throttle"]
    assert refused(lambda: server(client, "nowhere", region="mars-1")) == [("region", "region is not valid")]
    assert _labels(client) == before


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("/linode/instances", {"region": "us-central", "type": "g6-nanode-1", "backup_id": 7}),
        ("/linode/instances", {"region": "us-central", "type": "g6-nanode-1", "firewall_id": 7}),
        ("/networking/firewalls", {**bodies.firewall(), "devices": {"linodes": [7]}}),
        ("/nodebalancers", {"region": "us-central", "configs": [{"port": 80}]}),
        ("/databases/postgresql/instances", {**bodies.database(), "private_network": {"vpc_id": 7}}),
    ],
)
def test_a_field_that_is_not_served_is_refused_and_not_skipped(
    box: Box, client: LinodeClient, path: str, given: dict[str, Any]
) -> None:
    body = given | {"label": "unserved-1"}
    assert refused(lambda: client.post(path, data=body)) == [([*given][-1], "The sandbox does not serve this field")]
    assert box.ask(LINODE, "GET", path, headers={"X-Filter": '{"label": "unserved-1"}'}).json()["results"] == 0


def test_a_label_is_taken_once(client: LinodeClient) -> None:
    server(client, "taken-1")
    assert refused(lambda: server(client, "taken-1")) == [("label", "Label must be unique among your linodes")]


def test_a_token_that_is_none_is_refused(box: Box) -> None:
    assert refused(client_of(box, "nonsense").linode.instances, 401) == [(None, "Invalid Token")]


def test_a_token_does_what_its_scopes_say(box: Box, client: LinodeClient) -> None:
    made = server(client, "scoped-1")
    reader = client_of(box, box.restricted(LINODE, "platform", "linodes:read_only"))
    assert "scoped-1" in _labels(reader)
    said = [(None, "Your OAuth token is not authorized to use this endpoint.")]
    calls: list[Any] = [
        lambda: reader.post(f"/linode/instances/{made.id}/reboot"),
        lambda: reader.post(f"/linode/instances/{made.id}/backups", data={"label": "no"}),
        lambda: reader.delete(f"/linode/instances/{made.id}"),
        lambda: reader.get("/databases/postgresql/instances"),
        lambda: reader.get("/object-storage/buckets"),
        lambda: reader.get("/account/events"),
        lambda: reader.get("/profile"),
    ]
    for call in calls:
        assert refused(call, 401) == said
    assert client.get(f"/linode/instances/{made.id}")["updated"] == made._raw_json["updated"]
    writer = client_of(box, box.restricted(LINODE, "platform", "linodes:read_write"))
    assert writer.post(f"/linode/instances/{made.id}/reboot") == {}


def test_every_answer_says_what_the_token_may_do(box: Box) -> None:
    some = box.restricted(LINODE, "platform", "linodes:read_only", "events:read_only")
    for token, scopes in ((box.token(LINODE), "*"), (some, "events:read_only linodes:read_only")):
        for path in ("/linode/instances", "/linode/instances/7", "/databases/instances"):
            answer = box.ask(LINODE, "GET", path, headers={"Authorization": f"Bearer {token}"})
            assert answer.headers["X-OAuth-Scopes"] == scopes
    unknown = box.ask(LINODE, "GET", "/profile", headers={"Authorization": "Bearer nonsense"})
    assert "X-OAuth-Scopes" not in unknown.headers


def test_objects_of_another_account_are_not_found(box: Box, client: LinodeClient) -> None:
    made = server(client, "mine-1")
    wall = client.networking.firewall_create("mine-wall", {"inbound_policy": "DROP", "outbound_policy": "DROP"})
    database = client.database.postgresql_create("mine-db", "us-central", "postgresql/16", "g6-dedicated-2")
    copies = client_of(box, box.tokens.linode_copies)
    paths = [
        *(f"/linode/instances/{made.id}{part}" for part in ("", "/disks", "/ips", "/backups", "/firewalls")),
        *(f"/networking/firewalls/{wall.id}{part}" for part in ("", "/rules", "/devices")),
        *(f"/databases/postgresql/instances/{database.id}{part}" for part in ("", "/credentials", "/ssl")),
    ]
    for path in paths:
        assert refused(lambda path=path: copies.get(path), 404) == [(None, "Not found")]
    assert refused(lambda: copies.post(f"/linode/instances/{made.id}/shutdown"), 404) == [(None, "Not found")]
    assert client.get(f"/linode/instances/{made.id}")["status"] == "running"
    assert _labels(copies) == set()


@pytest.mark.parametrize("path", ["/nonsense", "/linode/instances/x", "/linode/instances/7/disks/8", "/regions/x"])
def test_what_does_not_exist_is_not_found(client: LinodeClient, path: str) -> None:
    assert refused(lambda: client.get(path), 404) == [(None, "Not found")]


def test_a_method_that_an_address_does_not_have_is_refused(client: LinodeClient) -> None:
    assert refused(lambda: client.delete("/regions"), 405) == [(None, "Method Not Allowed")]


def test_too_many_requests_are_asked_again_after_the_time_that_is_said(box: Box, client: LinodeClient) -> None:
    server(client, "throttled-1")
    box.fail({"what": "error", "where": "GET /v4/linode/instances", "status": 429, "retry_after": 1, "count": 1})
    answer = box.ask(LINODE, "GET", "/linode/instances")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert answer.json() == {"errors": [{"reason": "Too many requests"}]}
    box.fail({"what": "error", "where": "GET /v4/linode/instances", "status": 429, "retry_after": 1, "count": 1})
    began = time.monotonic()
    assert "throttled-1" in _labels(client_of(box, box.token(LINODE), retry=True))
    assert time.monotonic() - began >= 1
    assert box.struck() == [1]


def test_an_error_of_the_server_is_told_and_nothing_was_done(box: Box, client: LinodeClient) -> None:
    box.fail({"what": "error", "where": "POST /v4/linode/instances", "status": 500, "count": 1})
    assert refused(lambda: server(client, "failed-1"), 500) == [(None, "Internal Server Error")]
    assert "failed-1" not in _labels(client)
    server(client, "failed-1")


@pytest.mark.parametrize(("what", "is_made"), [("close_before", False), ("close_after", True)])
def test_a_connection_that_is_cut_leaves_the_work_undone_or_done(
    box: Box, client: LinodeClient, what: str, is_made: bool
) -> None:
    box.fail({"what": what, "where": "POST /v4/linode/instances", "count": 1})
    with pytest.raises(requests.ConnectionError):
        server(client, f"cut-{what}")
    assert (f"cut-{what}" in _labels(client)) is is_made


def test_a_body_that_is_no_json_object_is_refused(box: Box) -> None:
    for text in ("{", "[]", "3", '"x"', '{"label": NaN}'):
        answer = box.ask(LINODE, "POST", "/linode/instances", content=text)
        assert answer.status_code == 400


@pytest.fixture(scope="module")
def addresses(client: LinodeClient) -> list[tuple[str, str]]:
    """Every address that takes a body, of objects that exist."""
    one = server(client, "shapes-1", backups_enabled=True)
    wall = client.networking.firewall_create("shapes", {"inbound_policy": "DROP", "outbound_policy": "DROP"})
    group = client.placement.group_create("shapes", "us-central", "anti_affinity:local", "strict")
    balancer = client.nodebalancers.create("us-central", label="shapes")
    config = balancer.config_create(port=443, protocol="tcp", check_interval=40)
    node = config.node_create("shapes-1", f"{one.ipv4[1]}:443")
    database = client.database.postgresql_create("shapes", "us-central", "postgresql/16", "g6-dedicated-2")
    client.object_storage.bucket_create("us-ord", "shapes")
    key = client.object_storage.keys_create("shapes")
    taken = one.snapshot("shapes")
    instance, balancing = f"/linode/instances/{one.id}", f"/nodebalancers/{balancer.id}"
    return [
        *(
            ("POST", f"{instance}/{action}")
            for action in ("boot", "reboot", "shutdown", "resize", "rebuild", "backups")
        ),
        ("POST", f"{instance}/backups/{taken.id}/restore"),
        *(("POST", path) for path in ("/linode/instances", "/placement/groups", "/networking/firewalls")),
        *(("POST", f"/placement/groups/{group.id}/{action}") for action in ("assign", "unassign")),
        ("POST", f"/networking/firewalls/{wall.id}/devices"),
        *(
            ("POST", path)
            for path in ("/nodebalancers", f"{balancing}/configs", f"{balancing}/configs/{config.id}/nodes")
        ),
        *(("POST", path) for path in ("/databases/postgresql/instances", "/object-storage/buckets")),
        *(("POST", path) for path in ("/object-storage/keys", "/object-storage/buckets/us-ord/shapes/access")),
        *(("PUT", path) for path in (instance, f"/placement/groups/{group.id}", f"/networking/firewalls/{wall.id}")),
        ("PUT", f"/networking/firewalls/{wall.id}/rules"),
        *(("PUT", path) for path in (balancing, f"{balancing}/configs/{config.id}")),
        ("PUT", f"{balancing}/configs/{config.id}/nodes/{node.id}"),
        ("PUT", f"/databases/postgresql/instances/{database.id}"),
        *(("PUT", path) for path in (f"/object-storage/keys/{key.id}", "/object-storage/buckets/us-ord/shapes/access")),
    ]


_NAMES = (
    *("label", "region", "type", "image", "tags", "root_pass", "metadata", "backups", "alerts", "placement_group"),
    *("rules", "inbound", "outbound", "inbound_policy", "status", "id", "linodes", "linode_id", "overwrite", "port"),
    *("address", "mode", "weight", "engine", "fork", "updates", "allow_list", "cluster_size", "cluster", "acl"),
    *("bucket_access", "regions", "config_id", "booted", "private_ip", "disk_encryption", "engine_config"),
    *("placement_group_type", "check", "protocol", "algorithm", "cors_enabled", "entity", "migration_type"),
)
_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 10**30, 1.5, "", "x", "\x00", "é" * 300, [], [[]], [None], {}, {"id": []}, {"id": "x"}),
    *({"schedule": {"day": 3}}, {"source": {}}, {"source": 7, "restore_time": "soon"}, {"user_data": 7}),
    *([{"bucket_name": []}], {"ipv4": 3}, [{"addresses": 3}], [10**30]),
)


def test_whatever_a_field_holds_the_answer_is_no_error_of_the_server(
    box: Box, addresses: list[tuple[str, str]]
) -> None:
    whole = {
        "label": "whole-1",
        "region": "us-central",
        "type": "g6-nanode-1",
        "image": "linode/debian12",
        "root_pass": "correct horse battery",
    }
    with httpx.Client(headers={"Authorization": f"Bearer {box.token(LINODE)}"}) as http:
        for position, (method, path) in enumerate(addresses):
            for number, value in enumerate(_VALUES):
                every = dict.fromkeys(_NAMES, value)
                one = _NAMES[(position + number) % len(_NAMES)]
                for body in (every, whole | {one: value}, {one: value}):
                    answer = http.request(method, f"{box.running.linode_url}{path}", json=body)
                    assert answer.status_code in (200, 400, 404), (method, path, body, answer.text)


def test_a_refused_request_leaves_every_object_as_it_was(box: Box, client: LinodeClient) -> None:
    made = server(client, "same-1", backups_enabled=True)
    wall = client.networking.firewall_create("same-wall", bodies.firewall(bodies.firewall_rule())["rules"])
    whole = client.get(f"/linode/instances/{made.id}")
    path = f"/linode/instances/{made.id}"
    wrong: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", path, {"label": "-", "tags": ["role-other"]}),
        ("PUT", path, {"backups": {"schedule": {"day": "Someday"}}, "label": "other"}),
        ("POST", f"{path}/resize", {"type": "g9-huge"}),
        ("POST", f"{path}/rebuild", {"image": "linode/debian12"}),
        ("POST", f"{path}/boot", {"config_id": 7}),
        ("PUT", f"/networking/firewalls/{wall.id}/rules", {"inbound_policy": "DROP"}),
    ]
    for method, address, body in wrong:
        assert box.ask(LINODE, method, address, json=body).status_code == 400
    assert client.get(path) == whole
    assert wall.get_rules()["version"] == 1
