"""The whole life of every kind of object, through the official client."""

from datetime import timedelta

import pytest
from linode_api4 import (
    ApiError,
    Firewall,
    FirewallDevice,
    Instance,
    LinodeClient,
    NodeBalancer,
    NodeBalancerConfig,
    NodeBalancerNode,
    ObjectStorageBucket,
    ObjectStorageKeys,
    PlacementGroup,
    PostgreSQLDatabase,
)

from tests.sandbox.api.linode.client import PASSWORD, REGION, refused, server

RULES = {
    "inbound_policy": "DROP",
    "outbound_policy": "ACCEPT",
    "inbound": [
        {
            "action": "ACCEPT",
            "protocol": "TCP",
            "ports": "443",
            "label": "https",
            "addresses": {"ipv4": ["192.0.2.0/24"]},
        }
    ],
    "outbound": [],
}


def _gone(client: LinodeClient, kind: type, *identity: object) -> None:
    with pytest.raises(ApiError) as raised:
        client.load(kind, *identity)
    assert raised.value.status == 404


def test_an_instance_is_made_shown_changed_and_deleted(client: LinodeClient) -> None:
    made = server(client, "life-1", tags=["role-api"], metadata={"user_data": "I2Nsb3VkLWNvbmZpZwo="})
    assert made.status == "running"
    assert made.has_user_data is True
    assert not {"root_pass", "metadata", "private_ip"} & made._raw_json.keys()
    found = client.load(Instance, made.id)
    assert found._raw_json == made._raw_json
    found.label, found.tags = "life-one", ["role-bots", "another"]
    assert found.save()
    again = client.load(Instance, made.id)
    assert (again.label, again.tags) == ("life-one", ["another", "role-bots"])
    assert again.ipv4 == made.ipv4
    again.delete()
    _gone(client, Instance, made.id)


def test_an_instance_has_disks_a_profile_that_boots_from_them_and_addresses(client: LinodeClient) -> None:
    made = server(client, "parts-1")
    root, swap = made.disks
    assert [(disk.label, disk.filesystem, disk.size, disk.status) for disk in (root, swap)] == [
        ("Debian 12 Disk", "ext4", 51200 - 512, "ready"),
        ("512 MB Swap Image", "swap", 512, "ready"),
    ]
    (profile,) = made.configs
    assert (profile.devices.sda.id, profile.devices.sdb.id, profile.devices.sdc) == (root.id, swap.id, None)
    assert client.get(f"/linode/instances/{made.id}/disks/{root.id}")["label"] == "Debian 12 Disk"
    addresses = made.ips
    assert [address.address for address in addresses.ipv4.public] == made.ipv4[:1]
    assert [address.address for address in addresses.ipv4.private] == made.ipv4[1:]
    assert addresses.ipv4.private[0].subnet_mask == "255.255.128.0"
    assert addresses.ipv6.slaac.address == made.ipv6.removesuffix("/128")
    assert addresses.ipv6.link_local.address.startswith("fe80::")


def test_an_instance_without_an_image_is_off_and_has_nothing_to_boot_from(client: LinodeClient) -> None:
    made = client.linode.instance_create("g6-nanode-1", REGION, label="empty-1")
    assert made.status == "offline"
    assert (len(made.disks), len(made.configs)) == (0, 0)
    assert refused(made.boot) == [(None, "There is no configuration profile to boot.")]


def test_an_instance_is_switched_off_and_on_and_restarted(client: LinodeClient) -> None:
    made = server(client, "power-1")
    assert refused(made.boot) == [(None, f"Linode {made.id} already booted.")]
    for action, then in ((made.shutdown, "offline"), (made.boot, "running"), (made.reboot, "running")):
        assert action()
        assert client.load(Instance, made.id).status == then


def test_a_resized_instance_has_the_new_plan_and_a_disk_that_fills_it(client: LinodeClient) -> None:
    made = server(client, "size-1")
    assert made.resize("g6-standard-2")
    grown = client.load(Instance, made.id)
    assert (grown.type.id, grown.specs.memory, grown.status) == ("g6-standard-2", 4096, "running")
    assert sum(disk.size for disk in grown.disks) == 81920
    assert refused(lambda: grown.resize("g6-nanode-1", allow_auto_disk_resize=False)) == [
        (None, "Linode has allocated more disk than the new service plan allows. Delete or resize disks smaller.")
    ]
    assert refused(lambda: grown.resize("g9-huge")) == [("type", "A valid plan type by that ID was not found")]
    assert client.load(Instance, made.id)._raw_json == grown._raw_json


def test_a_rebuilt_instance_keeps_its_id_and_addresses_and_has_other_disks(client: LinodeClient) -> None:
    made = server(client, "rebuild-1", metadata={"user_data": "QQ=="}, disk_encryption="disabled")
    before = {disk.id for disk in made.disks}
    assert made.rebuild("linode/ubuntu24.04", root_pass=PASSWORD)
    after = client.load(Instance, made.id)
    assert (after.image.id, after.ipv4, after.has_user_data) == ("linode/ubuntu24.04", made.ipv4, True)
    assert [disk.label for disk in after.disks] == ["Ubuntu 24.04 LTS Disk", "512 MB Swap Image"]
    assert before.isdisjoint(disk.id for disk in after.disks)
    assert after.disk_encryption == "disabled"
    assert len(after.configs) == 1
    assert refused(lambda: made.rebuild("linode/dos6", root_pass=PASSWORD)) == [("image", "image is not valid")]


def test_a_placement_group_takes_instances_in_and_lets_them_go_all_or_none(client: LinodeClient) -> None:
    group = client.placement.group_create("group-1", REGION, "anti_affinity:local", "strict")
    first, second = (server(client, f"placed-{number}") for number in range(2))
    abroad = server(client, "placed-abroad", region="eu-central")
    assert refused(lambda: group.assign([first, abroad])) == [
        ("linodes", f"Linode {abroad.id} is not in the placement group's region")
    ]
    assert client.load(PlacementGroup, group.id).members == []
    group.assign([first, second])
    assert {member.linode_id for member in group.members} == {first.id, second.id}
    assert client.load(Instance, first.id).placement_group.id == group.id
    assert refused(group.delete) == [(None, "Placement group must be empty: unassign its Linodes first")]
    group.unassign([first, second])
    assert group.members == []
    assert client.load(Instance, first.id).placement_group is None
    assert refused(lambda: group.unassign([first])) == [
        ("linodes", f"A valid Linode by the ID {first.id} was not found")
    ]
    group.label = "group-one"
    group.save()
    assert client.load(PlacementGroup, group.id).label == "group-one"
    group.delete()
    _gone(client, PlacementGroup, group.id)


def test_a_sixth_instance_does_not_come_into_a_placement_group(client: LinodeClient) -> None:
    group = client.placement.group_create("group-5", REGION, "anti_affinity:local", "strict")
    servers = [server(client, f"crowd-{number}") for number in range(6)]
    assert refused(lambda: group.assign(servers)) == [("linodes", "The placement group has no room for another Linode")]
    group.assign(servers[:5])
    assert len(group.members) == 5


def test_a_firewall_its_rules_and_its_devices(client: LinodeClient) -> None:
    made = client.networking.firewall_create("wall-1", RULES, tags=["role-api"])
    guarded = server(client, "guarded-1")
    balancer = client.nodebalancers.create(REGION, label="guarded-balancer")
    device = made.device_create(guarded.id)
    assert device._raw_json == {
        "id": device.id,
        "entity": {
            "id": guarded.id,
            "type": "linode",
            "label": "guarded-1",
            "url": f"/v4/linode/instances/{guarded.id}",
        },
        "created": device._raw_json["created"],
        "updated": device._raw_json["updated"],
    }
    made.device_create(balancer.id, type="nodebalancer")
    assert {entry.entity.type for entry in client.load(Firewall, made.id).devices} == {"linode", "nodebalancer"}
    assert [firewall.id for firewall in guarded.firewalls()] == [made.id]
    assert [firewall.id for firewall in balancer.firewalls()] == [made.id]
    assert client.load(FirewallDevice, device.id, made.id).entity.label == "guarded-1"
    rules = made.get_rules()
    assert rules["inbound"][0]["ports"] == "443"
    rules["inbound"][0]["ports"] = "443,8443"
    made.update_rules(rules)
    assert (made.rules.inbound[0].ports, made.rules.version) == ("443,8443", 2)
    device.delete()
    assert guarded.firewalls() == []
    made.delete()
    assert balancer.firewalls() == []
    _gone(client, Firewall, made.id)


def test_a_device_of_another_firewall_is_not_there(client: LinodeClient) -> None:
    first, second = (client.networking.firewall_create(f"wall-{name}", RULES) for name in ("a", "b"))
    device = first.device_create(server(client, "guarded-2").id)
    _gone(client, FirewallDevice, device.id, second.id)
    path = f"/networking/firewalls/{second.id}/devices/{device.id}"
    assert refused(lambda: client.delete(path), 404) == [(None, "Not found")]
    assert [entry.id for entry in client.load(Firewall, first.id).devices] == [device.id]


def test_a_node_balancer_its_configurations_and_nodes(client: LinodeClient) -> None:
    backend = server(client, "backend-1")
    balancer = client.nodebalancers.create(REGION, label="balancer-1", client_conn_throttle=5)
    config = balancer.config_create(
        port=443, protocol="tcp", proxy_protocol="v2", check="connection", check_interval=40
    )
    node = config.node_create("backend-1", f"{backend.ipv4[1]}:443", mode="accept", weight=100)
    assert node.status == "UP"
    node.mode = "drain"
    node.save()
    (found,) = client.load(NodeBalancerConfig, config.id, balancer.id).nodes
    assert (found.id, found.mode, found.weight) == (node.id, "drain", 100)
    config.algorithm = "leastconn"
    config.save()
    (shown,) = client.load(NodeBalancer, balancer.id).configs
    assert (shown.algorithm, shown.nodes_status.up, shown.nodes_status.down) == ("leastconn", 1, 0)
    backend.shutdown()
    assert client.load(NodeBalancerNode, node.id, (config.id, balancer.id)).status == "DOWN"
    node.delete()
    assert len(client.load(NodeBalancerConfig, config.id, balancer.id).nodes) == 0
    balancer.label = "balancer-one"
    balancer.save()
    assert client.load(NodeBalancer, balancer.id).label == "balancer-one"
    balancer.delete()
    _gone(client, NodeBalancer, balancer.id)
    _gone(client, NodeBalancerConfig, config.id, balancer.id)


def test_a_database_is_made_changed_and_deleted_and_tells_its_password_elsewhere(client: LinodeClient) -> None:
    made = client.database.postgresql_create("main-1", REGION, "postgresql/16", "g6-dedicated-2", cluster_size=2)
    assert (made.engine, made.version, made.status) == ("postgresql", "16", "active")
    assert made.credentials.username == "akmadmin"
    assert made.ssl.ca_certificate
    assert made.credentials.password not in str(made._raw_json)
    made.allow_list = ["192.0.2.7"]
    made.label = "main-one"
    made.save()
    changed = client.load(PostgreSQLDatabase, made.id)
    assert (changed.allow_list, changed.label) == (["192.0.2.7/32"], "main-one")
    assert [found.id for found in client.database.postgresql_instances()] == [made.id]
    (listed,) = client.database.instances()
    assert listed.instance_uri == f"/v4/databases/postgresql/instances/{made.id}"
    assert listed.instance.credentials.password == made.credentials.password
    made.delete()
    _gone(client, PostgreSQLDatabase, made.id)


def test_a_fork_has_what_its_source_has_and_is_another_database(client: LinodeClient) -> None:
    source = client.database.postgresql_create(
        "source-1", REGION, "postgresql/16", "g6-dedicated-2", allow_list=["192.0.2.0/24"]
    )
    when = source.oldest_restore_time
    fork = client.database.postgresql_fork(source.id, when, label="source-1-again")
    assert (fork.fork.source, fork.fork.restore_time) == (source.id, when.isoformat())
    assert (fork.label, fork.type, fork.region, fork.allow_list) == (
        *("source-1-again", "g6-dedicated-2", REGION),
        ["192.0.2.0/24"],
    )
    assert fork.hosts.primary != source.hosts.primary
    assert fork.credentials.password != source.credentials.password
    for wrong in (when - timedelta(days=1), when + timedelta(days=1)):
        ((field, reason),) = refused(lambda wrong=wrong: client.database.postgresql_fork(source.id, wrong, label="no"))
        assert field == "label"
        ((field, reason),) = refused(lambda wrong=wrong: client.database.postgresql_fork(source.id, wrong))
        assert (field, reason) == ("fork.restore_time", f"restore_time must be between {when.isoformat()} and now")
    assert refused(lambda: client.database.postgresql_fork(7, when)) == [
        ("fork.source", "A valid database by that ID was not found")
    ]
    assert {found.label for found in client.database.postgresql_instances()} == {"source-1", "source-1-again"}


def test_buckets_are_named_by_region_and_label(client: LinodeClient) -> None:
    made = client.object_storage.bucket_create("us-ord", "copies-1")
    assert (made.hostname, made.endpoint_type, made.cluster) == (
        *("copies-1.us-ord-1.linodeobjects.com", "E1"),
        "us-ord-1",
    )
    client.object_storage.bucket_create("us-mia", "copies-2")
    assert {bucket.label for bucket in client.object_storage.buckets()} == {"copies-1", "copies-2"}
    assert [bucket.label for bucket in client.object_storage.buckets_in_region("us-mia")] == ["copies-2"]
    assert (made.access_get().acl, made.access_get().cors_enabled) == ("private", False)
    assert made.access_update(acl="public-read")
    assert made.access_get().acl == "public-read"
    assert refused(lambda: made.access_update(acl="everyone"))[0][0] == "acl"
    made.delete()
    _gone(client, ObjectStorageBucket, "copies-1", "us-ord")


def test_a_region_that_the_client_takes_for_a_cluster_is_that_region(client: LinodeClient) -> None:
    with pytest.warns(DeprecationWarning, match="cluster"):
        made = client.object_storage.bucket_create("de-fra-2", "copies-eu")
    assert (made.region, made.hostname) == ("de-fra-2", "copies-eu.de-fra-1.linodeobjects.com")


def test_a_key_tells_its_secret_once(client: LinodeClient) -> None:
    client.object_storage.bucket_create("us-ord", "locked-1")
    access = client.object_storage.bucket_access("us-ord", "locked-1", "read_write")
    made = client.object_storage.keys_create("writer", [access])
    assert len(made.secret_key) == 40
    found = client.load(ObjectStorageKeys, made.id)
    assert (found.secret_key, found.limited) == ("[REDACTED]", True)
    found.label = "writer-of-copies"
    found.save()
    keys = client.object_storage.keys()
    assert [key.label for key in keys] == ["writer-of-copies"]
    found.delete()
    assert len(client.object_storage.keys()) == 0


def test_what_linode_offers_is_listed_and_shown(client: LinodeClient) -> None:
    regions = {region.id: region for region in client.regions()}
    assert "VPCs" not in regions["us-central"].capabilities
    assert client.get("/linode/types/g6-standard-1")["memory"] == 2048
    assert client.get("/images/linode/debian12")["label"] == "Debian 12"
    assert client.get("/databases/engines/postgresql/16")["version"] == "16"
    plans = {(entry.region, entry.plan): entry.available for entry in client.regions.availability()}
    assert plans["us-central", "g7-premium-2"] is False
    assert plans["us-ord", "g7-premium-2"] is True
    assert {entry.region for entry in regions["us-central"].availability} == {"us-central"}
    assert regions["us-central"].vpc_availability.available is False
    endpoints = {(found.region, found.endpoint_type) for found in client.object_storage.endpoints()}
    assert {("us-ord", "E1"), ("us-ord", "E3")} <= endpoints
    assert not [region for region, _ in endpoints if region == "us-central"]
    assert refused(lambda: client.get("/regions/mars-1"), 404) == [(None, "Not found")]


def test_the_account_and_who_asks_are_told(client: LinodeClient) -> None:
    assert client.profile().username == "platform"
    assert "Managed Databases" in client.account().capabilities
