"""Linode's rules, in the model: both doors obey them. Each refusal is the API's own error."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sandbox import linode
from sandbox.linode import databases, firewalls, instances, node_balancers, object_storage, placement_groups
from sandbox.model import Body, Model, Refused
from tests.sandbox import bodies
from tests.sandbox.bodies import Cloud


@pytest.fixture
def cloud(model: Model) -> Cloud:
    return Cloud(model, "platform")


@pytest.fixture
def other_account(model: Model) -> Cloud:
    return Cloud(model, "copies")


def refusal(call: Callable[[], Any]) -> list[tuple[str | None, str]]:
    with pytest.raises(Refused) as refused:
        call()
    assert refused.value.status == 400
    body = linode.error_body(refused.value)
    return [(error.get("field"), error["reason"]) for error in body["errors"]]


@pytest.mark.parametrize(
    ("kind", "body", "field", "reason"),
    [
        (instances.NAME, bodies.instance(region=None), "region", "region is required"),
        (instances.NAME, bodies.instance(region="mars-1"), "region", "region is not valid"),
        (instances.NAME, bodies.instance(type="g9-huge-1"), "type", "A valid plan type by that ID was not found"),
        (
            instances.NAME,
            bodies.instance(type="g7-premium-2"),
            "type",
            "The region us-central does not offer Premium Plans",
        ),
        (instances.NAME, bodies.instance(image="linode/dos6"), "image", "image is not valid"),
        (instances.NAME, bodies.instance(root_pass=None), "root_pass", "root_pass is required"),
        (
            instances.NAME,
            bodies.instance(root_pass="short"),  # noqa: S106
            "root_pass",
            "Root pass must be between 11 and 128 characters",
        ),
        (instances.NAME, bodies.instance(label="ab"), "label", "Label must be between 3 and 64 characters"),
        (instances.NAME, bodies.instance(label="a--b"), "label", linode.rules.LABEL_SAYS),
        (instances.NAME, bodies.instance(label="-api"), "label", linode.rules.LABEL_SAYS),
        (instances.NAME, bodies.instance(tags=["ab"]), "tags", "Tags must be between 3 and 50 characters"),
        (
            instances.NAME,
            bodies.instance(metadata={"user_data": "no base64!"}),
            "metadata.user_data",
            "user_data must be Base64-encoded",
        ),
        (
            instances.NAME,
            bodies.instance(metadata={"user_data": "AAAA" * 30_000}),
            "metadata.user_data",
            "decoded user_data must not exceed 65535 bytes",
        ),
        (
            instances.NAME,
            bodies.instance(interface_generation="linode"),
            "private_ip",
            "Linodes with Linode interfaces can't have a private IPv4 address",
        ),
        (
            instances.NAME,
            bodies.instance(placement_group={"id": 7}),
            "placement_group.id",
            "A valid placement group by that ID was not found",
        ),
        (
            placement_groups.NAME,
            bodies.placement_group(label="a_b"),
            "label",
            "Label must include only ASCII letters, numbers, and dashes",
        ),
        (
            placement_groups.NAME,
            bodies.placement_group(region="no-osl-1"),
            "region",
            "The region no-osl-1 does not offer Placement Group",
        ),
        (
            placement_groups.NAME,
            bodies.placement_group(placement_group_type="affinity:local"),
            "placement_group_type",
            "placement_group_type is not valid: must be one of anti_affinity:local",
        ),
        (
            node_balancers.NAME,
            bodies.node_balancer(client_conn_throttle=21),
            "client_conn_throttle",
            "Client conn throttle must be between 0 and 20",
        ),
        (
            node_balancers.NAME,
            bodies.node_balancer(region="no-osl-1"),
            "region",
            "The region no-osl-1 does not offer NodeBalancers",
        ),
        (databases.NAME, bodies.database(engine="postgresql/9"), "engine", "engine is not valid"),
        (
            databases.NAME,
            bodies.database(type="g6-standard-2"),
            "cluster_size",
            "cluster_size is not valid: g6-standard-2 is offered with 1, 3 nodes",
        ),
        (databases.NAME, bodies.database(type="g6-dedicated-999"), "type", "type is not valid"),
        (
            databases.NAME,
            bodies.database(allow_list=["192.0.2.0/24", "everyone"]),
            "allow_list",
            "Invalid IP address or range: everyone",
        ),
        (
            databases.NAME,
            bodies.database(updates={"day_of_week": 8}),
            "updates.day_of_week",
            "day_of_week is not valid: 8",
        ),
        (
            object_storage.BUCKET,
            bodies.bucket(region="us-central"),
            "region",
            "The region us-central does not offer Object Storage",
        ),
        (
            object_storage.BUCKET,
            bodies.bucket(label="Upper"),
            "label",
            "Label must hold only lower-case letters, digits, dashes and periods",
        ),
        (
            object_storage.BUCKET,
            bodies.bucket(endpoint_type="E2"),
            "endpoint_type",
            "The region us-ord has no endpoint E2",
        ),
        (
            object_storage.KEY,
            bodies.bucket_key(),
            "bucket_access.bucket_name",
            "There is no bucket copies-us in us-ord",
        ),
        (
            object_storage.KEY,
            {"label": "key", "regions": ["us-west"]},
            "regions",
            "The region us-west does not offer Object Storage",
        ),
    ],
)
def test_a_wrong_field_is_refused_by_name_and_nothing_is_made(
    cloud: Cloud, kind: str, body: Body, field: str, reason: str
) -> None:
    assert refusal(lambda: cloud.make(kind, body)) == [(field, reason)]
    assert cloud.model.select(cloud.account, kind) == []


def test_all_wrong_fields_are_named_at_once(cloud: Cloud) -> None:
    wrong = bodies.node_balancer(label="ab", client_conn_throttle=-1)
    assert [field for field, _ in refusal(lambda: cloud.make(node_balancers.NAME, wrong))] == [
        "label",
        "client_conn_throttle",
    ]


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        (instances.NAME, bodies.instance(), "Label must be unique among your linodes"),
        (placement_groups.NAME, bodies.placement_group(), "Label must be unique among your placement groups"),
        (firewalls.NAME, bodies.firewall(), "Label must be unique among your firewalls"),
        (node_balancers.NAME, bodies.node_balancer(), "Label must be unique among your NodeBalancers"),
        (databases.NAME, bodies.database(), "Label must be unique among your databases"),
    ],
)
def test_a_label_is_taken_once_an_account_and_free_again_after_deletion(
    cloud: Cloud, other_account: Cloud, kind: str, body: Body, reason: str
) -> None:
    first = cloud.make(kind, body)
    assert refusal(lambda: cloud.make(kind, body)) == [("label", reason)]
    assert other_account.make(kind, body)["id"] != first["id"]
    second = cloud.make(kind, body | {"label": "another"})
    assert refusal(lambda: cloud.change(kind, second["id"], label=body["label"])) == [("label", reason)]
    cloud.drop(kind, first["id"])
    assert cloud.make(kind, body)["id"] not in (first["id"], second["id"])


def test_an_object_of_another_account_is_not_found(cloud: Cloud, other_account: Cloud) -> None:
    made = cloud.make(instances.NAME, bodies.instance())
    calls: list[Callable[[], Any]] = [
        lambda: other_account.get(instances.NAME, made["id"]),
        lambda: other_account.change(instances.NAME, made["id"], label="mine-now"),
        lambda: other_account.drop(instances.NAME, made["id"]),
    ]
    for call in calls:
        with pytest.raises(Refused) as refused:
            call()
        assert refused.value.status == 404
        assert linode.error_body(refused.value) == {"errors": [{"reason": "Not found"}]}


def test_an_instance_is_answered_as_the_api_does_without_its_password_and_user_data(cloud: Cloud) -> None:
    made = cloud.make(instances.NAME, bodies.instance())
    assert made["tags"] == ["environment-test", "role-api"]
    assert made["specs"] == {
        "disk": 51200,
        "memory": 2048,
        "vcpus": 1,
        "gpus": 0,
        "transfer": 2000,
        "accelerated_devices": 0,
    }
    assert made["backups"] == {
        "enabled": True,
        "available": False,
        "schedule": {"day": "Scheduling", "window": "Scheduling"},
        "last_successful": None,
    }
    assert made["has_user_data"] is True
    assert [address.split(".")[0] for address in made["ipv4"]] == ["198", "192"]
    whole = cloud.model.read_whole("platform", instances.NAME, made["id"])
    assert [disk["size"] for disk in whole["disks"]] == [51200 - 512, 512]
    assert not {"root_pass", "metadata", "authorized_keys"} & whole.keys()


def test_the_same_names_get_the_same_ids_and_addresses_whatever_the_order(cloud: Cloud, tmp_path: Path) -> None:
    second = bodies.new_model(tmp_path / "second")
    names = [f"api-{number}" for number in range(5)]
    made = {name: cloud.make(instances.NAME, bodies.instance(label=name)) for name in names}
    for name in reversed(names):
        again = Cloud(second, "platform").make(instances.NAME, bodies.instance(label=name))
        same = ("id", "ipv4", "ipv6", "host_uuid")
        assert {field: again[field] for field in same} == {field: made[name][field] for field in same}


def test_a_placement_group_holds_five_of_its_region_and_is_kept_while_it_does(cloud: Cloud) -> None:
    group = cloud.make(placement_groups.NAME, bodies.placement_group())
    placed = {"placement_group": {"id": group["id"]}}
    members = [cloud.make(instances.NAME, bodies.instance(label=f"api-{n}", **placed)) for n in range(5)]
    assert refusal(lambda: cloud.make(instances.NAME, bodies.instance(label="api-5", **placed))) == [
        ("placement_group.id", "The placement group has no room for another Linode")
    ]
    elsewhere = bodies.instance(label="api-6", region="us-ord", **placed)
    assert refusal(lambda: cloud.make(instances.NAME, elsewhere))[0] == (
        "placement_group.id",
        "The placement group is in another region",
    )
    shown = cloud.get(placement_groups.NAME, group["id"])["members"]
    assert sorted(member["linode_id"] for member in shown) == sorted(member["id"] for member in members)
    assert refusal(lambda: cloud.drop(placement_groups.NAME, group["id"])) == [
        (None, "Placement group must be empty: unassign its Linodes first")
    ]
    cloud.change(instances.NAME, members[0]["id"], placement_group=None)
    for member in members[1:]:
        cloud.drop(instances.NAME, member["id"])
    cloud.drop(placement_groups.NAME, group["id"])


def test_a_resized_instance_has_its_new_plans_specs_and_keeps_its_addresses(cloud: Cloud) -> None:
    made = cloud.make(instances.NAME, bodies.instance())
    resized = cloud.change(instances.NAME, made["id"], type="g6-standard-4")
    assert resized["specs"]["vcpus"] == 4
    assert resized["ipv4"] == made["ipv4"]


@pytest.mark.parametrize(("kind", "body"), [(instances.NAME, bodies.instance()), (databases.NAME, bodies.database())])
def test_an_update_brings_nothing_into_the_answer_that_was_not_there(cloud: Cloud, kind: str, body: Body) -> None:
    made = cloud.make(kind, body)
    assert cloud.change(kind, made["id"], label="another").keys() == made.keys()
    assert not {"credentials", "ssl", "disks", "root_pass", "metadata"} & made.keys()


def test_a_migrated_instance_gets_addresses_of_its_new_region(cloud: Cloud) -> None:
    made = cloud.make(instances.NAME, bodies.instance())
    moved = cloud.change(instances.NAME, made["id"], region="eu-central")
    assert moved["ipv4"] != made["ipv4"]
    assert len(moved["ipv4"]) == 2


def test_a_private_address_can_be_added_and_not_removed(cloud: Cloud) -> None:
    made = cloud.make(instances.NAME, bodies.instance(private_ip=False))
    assert len(made["ipv4"]) == 1
    assert len(cloud.change(instances.NAME, made["id"], private_ip=True)["ipv4"]) == 2
    assert refusal(lambda: cloud.change(instances.NAME, made["id"], private_ip=False)) == [
        ("private_ip", "A private IP address can't be removed")
    ]


def test_backups_that_are_switched_off_are_gone(cloud: Cloud) -> None:
    made = cloud.make(instances.NAME, bodies.instance())
    assert cloud.change(instances.NAME, made["id"], backups_enabled=False)["backups"]["enabled"] is False


@pytest.mark.parametrize(
    ("wrong", "field", "reason"),
    [
        ({"ports": "0"}, "ports", "Must be up to 15 ports and ranges from 1 to 65535, separated by commas"),
        ({"ports": "90-80"}, "ports", "Must be up to 15 ports and ranges from 1 to 65535, separated by commas"),
        ({"ports": "http"}, "ports", "Must be up to 15 ports and ranges from 1 to 65535, separated by commas"),
        (
            {"ports": ",".join(map(str, range(1, 17)))},
            "ports",
            "Must be up to 15 ports and ranges from 1 to 65535, separated by commas",
        ),
        ({"protocol": "ICMP"}, "ports", "Ports are only allowed for TCP and UDP"),
        ({"action": "PASS"}, "action", "Must be one of ACCEPT, DROP"),
        ({"addresses": {"ipv4": ["10.0.0.0/33"]}}, "addresses.ipv4", "Must be a valid IPv4 network: 10.0.0.0/33"),
        ({"addresses": {"ipv4": ["10.0.0.1"]}}, "addresses.ipv4", "Must be a valid IPv4 network: 10.0.0.1"),
        ({"addresses": {"ipv6": ["10.0.0.0/8"]}}, "addresses.ipv6", "Must be a valid IPv6 network: 10.0.0.0/8"),
        ({"addresses": {}}, "addresses", "Must have 1 to 255 addresses"),
        ({"addresses": {"ipv4": [f"10.0.{n}.0/24" for n in range(256)]}}, "addresses", "Must have 1 to 255 addresses"),
    ],
)
def test_a_wrong_firewall_rule_is_refused(cloud: Cloud, wrong: Body, field: str, reason: str) -> None:
    body = bodies.firewall(bodies.firewall_rule(), bodies.firewall_rule(**wrong))
    assert refusal(lambda: cloud.make(firewalls.NAME, body)) == [(f"rules.inbound[1].{field}", reason)]


def test_a_firewall_has_at_most_25_rules(cloud: Cloud) -> None:
    good = [bodies.firewall_rule(ports=str(port)) for port in range(1, 26)]
    made = cloud.make(firewalls.NAME, bodies.firewall(*good))
    rules = made["rules"] | {"outbound": [bodies.firewall_rule()]}
    assert refusal(lambda: cloud.change(firewalls.NAME, made["id"], rules=rules)) == [
        ("rules", "A maximum of 25 rules is allowed")
    ]


def test_the_version_of_a_firewalls_rules_counts_their_changes(cloud: Cloud) -> None:
    made = cloud.make(firewalls.NAME, bodies.firewall(bodies.firewall_rule()))
    assert made["rules"]["version"] == 1
    assert cloud.change(firewalls.NAME, made["id"], tags=["web"])["rules"]["version"] == 1
    changed = bodies.firewall(bodies.firewall_rule(ports="22"))["rules"]
    assert cloud.change(firewalls.NAME, made["id"], rules=changed)["rules"]["version"] == 2


def _guard(cloud: Cloud, firewall: Body, kind: str, entity: Body) -> Body:
    body = {"firewall_id": firewall["id"], "entity": {"type": kind, "id": entity["id"]}}
    return cloud.make(firewalls.DEVICE, body)


def test_an_entity_has_one_active_firewall(cloud: Cloud) -> None:
    server = cloud.make(instances.NAME, bodies.instance())
    first, second = (cloud.make(firewalls.NAME, bodies.firewall(label=label)) for label in ("first", "second"))
    off = cloud.make(firewalls.NAME, bodies.firewall(label="off", status="disabled"))
    _guard(cloud, first, "linode", server)
    _guard(cloud, off, "linode", server)
    assert refusal(lambda: _guard(cloud, second, "linode", server)) == [
        ("id", f"linode {server['id']} already has an active firewall assigned")
    ]


def test_a_device_guards_something_that_exists(cloud: Cloud) -> None:
    firewall = cloud.make(firewalls.NAME, bodies.firewall())
    assert refusal(lambda: _guard(cloud, firewall, "linode", {"id": 7})) == [
        ("id", "A valid linode by that ID was not found")
    ]
    assert refusal(lambda: _guard(cloud, firewall, "volume", {"id": 7})) == [
        ("type", "type is not valid: must be one of linode, nodebalancer")
    ]


def test_devices_go_with_what_they_guard_and_with_their_firewall(cloud: Cloud) -> None:
    server, balancer = (
        cloud.make(instances.NAME, bodies.instance()),
        cloud.make(node_balancers.NAME, bodies.node_balancer()),
    )
    firewall = cloud.make(firewalls.NAME, bodies.firewall())
    _guard(cloud, firewall, "linode", server)
    guard = _guard(cloud, firewall, "nodebalancer", balancer)
    assert {entity["type"] for entity in cloud.get(firewalls.NAME, firewall["id"])["entities"]} == {
        "linode",
        "nodebalancer",
    }
    cloud.drop(instances.NAME, server["id"])
    assert [entity["type"] for entity in cloud.get(firewalls.NAME, firewall["id"])["entities"]] == ["nodebalancer"]
    cloud.drop(firewalls.NAME, firewall["id"])
    with pytest.raises(Refused, match="Not found"):
        cloud.get(firewalls.DEVICE, guard["id"])


def _balanced(cloud: Cloud) -> tuple[Body, Body, Body]:
    server = cloud.make(instances.NAME, bodies.instance())
    balancer = cloud.make(node_balancers.NAME, bodies.node_balancer())
    return server, balancer, cloud.make(node_balancers.CONFIG, bodies.node_balancer_config(balancer))


def test_a_config_of_a_port_alone_has_the_apis_defaults(cloud: Cloud) -> None:
    balancer = cloud.make(node_balancers.NAME, bodies.node_balancer())
    made = cloud.make(node_balancers.CONFIG, {"nodebalancer_id": balancer["id"]})
    recorded = {
        "port": 80,
        "protocol": "http",
        "algorithm": "roundrobin",
        "stickiness": "none",
        "check": "none",
        "check_timeout": 30,
        "check_attempts": 3,
        "check_path": "",
        "check_body": "",
        "check_passive": True,
        "proxy_protocol": "none",
        "cipher_suite": "recommended",
        "ssl_commonname": "",
        "ssl_fingerprint": "",
        "ssl_cert": None,
        "ssl_key": None,
        "nodes_status": {"up": 0, "down": 0},
    }
    assert {name: made[name] for name in recorded} == recorded


@pytest.mark.parametrize(
    ("wrong", "field", "reason"),
    [
        (
            {"protocol": "https", "proxy_protocol": "none"},
            "ssl_cert",
            "ssl_cert and ssl_key are required for protocol https",
        ),
        ({"protocol": "http"}, "proxy_protocol", "proxy_protocol is only available for protocol tcp"),
        ({"check": "http"}, "check_path", "check_path is required for check http"),
        ({"check_timeout": 10}, "check_timeout", "check_timeout must be less than check_interval"),
        ({"check_interval": 1}, "check_interval", "Check interval must be between 2 and 3600"),
        ({"port": 443}, "port", "Port must be unique among the configs of a NodeBalancer"),
    ],
)
def test_a_wrong_config_is_refused(cloud: Cloud, wrong: Body, field: str, reason: str) -> None:
    _, balancer, _ = _balanced(cloud)
    body = bodies.node_balancer_config(balancer, **{"port": 80} | wrong)
    assert refusal(lambda: cloud.make(node_balancers.CONFIG, body)) == [(field, reason)]


def test_a_configs_certificate_is_never_answered(cloud: Cloud) -> None:
    balancer = cloud.make(node_balancers.NAME, bodies.node_balancer())
    secure = {"protocol": "https", "proxy_protocol": "none", "ssl_cert": "CERT", "ssl_key": "KEY"}
    made = cloud.make(node_balancers.CONFIG, bodies.node_balancer_config(balancer, **secure))
    assert (made["ssl_cert"], made["ssl_key"]) == ("<REDACTED>", "<REDACTED>")


def test_a_node_is_the_private_address_of_a_server_in_the_balancers_region(cloud: Cloud, other_account: Cloud) -> None:
    server, _, config = _balanced(cloud)
    private = server["ipv4"][1]
    made = cloud.make(node_balancers.NODE, bodies.node(config, f"{private}:443"))
    assert made["status"] == "UP"
    says = "Must be the private IPv4 address of one of your Linodes in us-central"
    abroad = cloud.make(instances.NAME, bodies.instance(label="api-2", region="eu-central"))
    strangers = other_account.make(instances.NAME, bodies.instance(label="api-3"))
    for address in (server["ipv4"][0], abroad["ipv4"][1], strangers["ipv4"][1], "192.168.130.300", "web"):
        body = bodies.node(config, f"{address}:443")
        assert refusal(partial(cloud.make, node_balancers.NODE, body)) == [("address", says)]
    for port in ("", ":0", ":https", ":65536"):
        body = bodies.node(config, f"{private}{port}")
        assert refusal(partial(cloud.make, node_balancers.NODE, body)) == [
            ("address", "Must be an address and a port from 1 to 65535: 192.168.130.1:443")
        ]
    assert refusal(lambda: cloud.make(node_balancers.NODE, bodies.node(config, f"{private}:443"))) == [
        ("address", "Address must be unique among the nodes of a config")
    ]


def test_a_config_counts_its_nodes_that_are_up(cloud: Cloud) -> None:
    server, _, config = _balanced(cloud)
    cloud.make(node_balancers.NODE, bodies.node(config, f"{server['ipv4'][1]}:443"))
    assert cloud.get(node_balancers.CONFIG, config["id"])["nodes_status"] == {"up": 1, "down": 0}
    cloud.change(instances.NAME, server["id"], booted=False)
    assert cloud.get(node_balancers.CONFIG, config["id"])["nodes_status"] == {"up": 0, "down": 1}


def test_a_balancer_takes_its_configs_and_nodes_along(cloud: Cloud) -> None:
    server, balancer, config = _balanced(cloud)
    cloud.make(node_balancers.NODE, bodies.node(config, f"{server['ipv4'][1]}:443"))
    cloud.drop(node_balancers.NAME, balancer["id"])
    assert cloud.model.select("platform", node_balancers.CONFIG) == []
    assert cloud.model.select("platform", node_balancers.NODE) == []


def test_a_database_writes_its_allow_list_with_masks_and_its_window_in_full(cloud: Cloud) -> None:
    made = cloud.make(
        databases.NAME, bodies.database(allow_list=["192.0.2.1", "198.51.100.0/24"], updates={"hour_of_day": 4})
    )
    assert made["allow_list"] == ["192.0.2.1/32", "198.51.100.0/24"]
    assert made["updates"] == {"frequency": "weekly", "duration": 4, "day_of_week": 7, "hour_of_day": 4, "pending": []}
    assert made["hosts"]["standby"] == f"replica-{made['hosts']['primary']}"
    assert list(made["members"].values()) == ["primary", "failover"]


def test_a_bucket_lives_on_an_endpoint_of_its_region_and_its_name_is_one_in_the_whole_cloud(
    cloud: Cloud, other_account: Cloud
) -> None:
    made = cloud.make(object_storage.BUCKET, bodies.bucket())
    assert (made["hostname"], made["endpoint_type"]) == ("copies-us.us-ord-1.linodeobjects.com", "E1")
    assert refusal(lambda: other_account.make(object_storage.BUCKET, bodies.bucket())) == [
        ("label", "Bucket already exists")
    ]


def test_a_keys_secret_is_told_once(cloud: Cloud) -> None:
    cloud.make(object_storage.BUCKET, bodies.bucket())
    made = cloud.make(object_storage.KEY, bodies.bucket_key())
    assert len(made["secret_key"]) == 40
    assert made["limited"] is True
    assert cloud.get(object_storage.KEY, made["id"])["secret_key"] == object_storage.REDACTED


def test_what_is_only_read_at_creation_cannot_be_changed(cloud: Cloud) -> None:
    made = cloud.make(placement_groups.NAME, bodies.placement_group())
    assert refusal(lambda: cloud.change(placement_groups.NAME, made["id"], region="us-ord")) == [
        ("region", "region cannot be changed")
    ]
    assert cloud.change(placement_groups.NAME, made["id"], region="us-central", label="api-b")["label"] == "api-b"


def test_an_account_has_its_limits(cloud: Cloud) -> None:
    for number in range(100):
        cloud.make(placement_groups.NAME, bodies.placement_group(label=f"group-{number}"))
    assert refusal(lambda: cloud.make(placement_groups.NAME, bodies.placement_group())) == [
        (None, "Maximum number of placement groups reached")
    ]
