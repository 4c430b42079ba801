"""The engine door, spoken to as the engine does: what it refuses, what it plans, what it answers."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from sandbox import process, store
from sandbox.engine import cloudflare, linode
from sandbox.engine.resource import Resource
from sandbox.engine.values import UNKNOWN, decode, encode
from tests.sandbox.bodies import ACCOUNT, ZONE, ZONE_ID
from tests.sandbox.door import Door, urn

INSTANCE = "linode:index/instance:Instance"
FIREWALL = "linode:index/firewall:Firewall"
BALANCER = "linode:index/nodeBalancer:NodeBalancer"
NODE = "linode:index/nodeBalancerNode:NodeBalancerNode"
CONFIG = "linode:index/nodeBalancerConfig:NodeBalancerConfig"
GROUP = "linode:index/placementGroup:PlacementGroup"
DATABASE = "linode:index/databasePostgresqlV2:DatabasePostgresqlV2"
BUCKET = "linode:index/objectStorageBucket:ObjectStorageBucket"
KEY = "linode:index/objectStorageKey:ObjectStorageKey"
POOL = "cloudflare:index/loadBalancerPool:LoadBalancerPool"
MONITOR = "cloudflare:index/loadBalancerMonitor:LoadBalancerMonitor"
RECORD = "cloudflare:index/dnsRecord:DnsRecord"
SETTING = "cloudflare:index/zoneSetting:ZoneSetting"

SERVER: dict[str, Any] = {
    "label": "api-1",
    "region": "us-central",
    "type": "g6-standard-1",
    "image": "linode/debian12",
    "rootPass": "correct horse battery",
    "privateIp": True,
    "metadatas": [{"userData": "I2Nsb3VkLWNvbmZpZwo="}],
    "tags": ["role-api", "environment-test"],
}
POLICIES = {"inboundPolicy": "DROP", "outboundPolicy": "ACCEPT"}
CHECKED = {"nodebalancerId": 7, "port": 443}
NAMED = {"nodebalancerId": 7, "configId": 8, "label": "api-1", "address": "192.168.130.1:443"}


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One sandbox for all the tests of this file: each makes what it needs under a name of its own."""
    folder = tmp_path_factory.mktemp("door")
    process.start(folder, [ZONE])
    yield folder
    process.stop(folder)


@pytest.fixture
def platform(box: Path) -> Iterator[Door]:
    with Door(box) as door:
        yield door


@pytest.fixture
def edge(box: Path) -> Iterator[Door]:
    with Door(box, "cloudflare") as door:
        yield door


def refused(error: pytest.ExceptionInfo[grpc.RpcError]) -> str:
    return str(error.value.details())


@pytest.mark.parametrize(
    ("token", "inputs", "reason"),
    [
        (
            INSTANCE,
            SERVER | {"regon": "us-central"},
            "Invalid or unknown key; did you mean region?. Examine values at 'it.regon'.",
        ),
        (
            INSTANCE,
            SERVER | {"metadatas": [{"userdata": "x"}]},
            "Invalid or unknown key; did you mean user_data?. Examine values at 'it.metadatas[0].userdata'.",
        ),
        (
            INSTANCE,
            {"label": "api-1"},
            'Missing required argument. The argument "region" is required, but no definition was found. '
            "Examine values at 'it.region'.",
        ),
        (
            INSTANCE,
            SERVER | {"label": "ab"},
            "Invalid Attribute Value Length. Attribute label string length must be between 3 and 50, got: 2. "
            "Examine values at 'it.label'.",
        ),
        (
            INSTANCE,
            SERVER | {"rootPass": "hunter2"},
            "Invalid Attribute Value Length. Attribute rootPass string length must be between 11 and 128, got: 7. "
            "Examine values at 'it.rootPass'.",
        ),
        (
            INSTANCE,
            SERVER | {"region": ["us-central"]},
            "expected a string, got a list. Examine values at 'it.region'.",
        ),
        (INSTANCE, SERVER | {"tags": "web"}, "expected a list, got a word. Examine values at 'it.tags'."),
        (
            INSTANCE,
            SERVER | {"swapSize": "big"},
            "expected a whole number, got a word. Examine values at 'it.swapSize'.",
        ),
        (
            INSTANCE,
            SERVER | {"privateIp": "maybe"},
            "expected true or false, got a word. Examine values at 'it.privateIp'.",
        ),
        (
            INSTANCE,
            SERVER | {"kernel": "linode/latest"},
            "The sandbox does not serve this property. Examine values at 'it.kernel'.",
        ),
        (
            INSTANCE,
            SERVER | {"placementGroup": {"id": 7, "compliantOnly": True}},
            "The sandbox does not serve this property. Examine values at 'it.placementGroup.compliantOnly'.",
        ),
        (
            BALANCER,
            {"region": "us-central", "clientConnThrottle": 21},
            "Invalid Attribute Value. Attribute clientConnThrottle value must be between 0 and 20, got: 21. "
            "Examine values at 'it.clientConnThrottle'.",
        ),
        (
            CONFIG,
            CHECKED | {"port": 65_536},
            "Invalid Attribute Value. Attribute port value must be between 1 and 65535, got: 65536. "
            "Examine values at 'it.port'.",
        ),
        (
            CONFIG,
            CHECKED | {"protocol": "udp"},
            'Invalid Attribute Value Match. Attribute protocol value must be one of: ["http" "https" "tcp"], '
            "got: \"udp\". Examine values at 'it.protocol'.",
        ),
        (
            NODE,
            NAMED | {"weight": -5},
            "Invalid Attribute Value. Attribute weight value must be between 1 and 255, got: -5. "
            "Examine values at 'it.weight'.",
        ),
        (
            FIREWALL,
            {"label": "web", **POLICIES, "inbounds": [{"label": "web", "action": "PASS", "protocol": "TCP"}]},
            'Invalid Attribute Value Match. Attribute action value must be one of: ["ACCEPT" "DROP"], got: "PASS". '
            "Examine values at 'it.inbounds[0].action'.",
        ),
        (
            POOL,
            {"accountId": ACCOUNT, "name": "api", "origins": [{"weight": 1.5}]},
            "Invalid Attribute Value. Attribute weight value must be between 0.000000 and 1.000000, got: 1.5. "
            "Examine values at 'it.origins[0].weight'.",
        ),
        (
            RECORD,
            {"zoneId": ZONE_ID, "name": "api", "type": "B", "ttl": 1},
            "Examine values at 'it.type'.",
        ),
    ],
)
def test_what_the_official_plugin_refuses_at_preview_is_refused_at_preview(
    platform: Door, edge: Door, token: str, inputs: dict[str, Any], reason: str
) -> None:
    door = edge if token.startswith("cloudflare") else platform
    failures = door.check(token, inputs)
    assert len(failures) == 1
    assert failures[0].endswith(reason)
    assert "hunter2" not in failures[0]


@pytest.mark.parametrize(
    ("token", "inputs"),
    [
        (INSTANCE, SERVER | {"region": "mars-1", "type": "g9-huge", "image": "linode/dos6"}),
        (CONFIG, CHECKED | {"checkInterval": -1}),
        (NODE, NAMED | {"address": "nowhere"}),
        (GROUP, {"label": "api-a", "region": "us-central", "placementGroupType": "affinity"}),
        (
            DATABASE,
            {"label": "main", "engineId": "oracle/8", "region": "us-central", "type": "x", "allowLists": ["everyone"]},
        ),
        (
            FIREWALL,
            {
                "label": "web",
                **POLICIES,
                "inbounds": [
                    {"label": "web", "action": "DROP", "protocol": "TCP", "ports": "99999", "ipv4s": ["here"]}
                ],
            },
        ),
        (MONITOR, {"accountId": ACCOUNT, "interval": -60, "port": 70_000}),
        (POOL, {"accountId": ACCOUNT, "name": "api", "origins": [{"name": "a", "address": "300.1.1.1"}]}),
        (RECORD, {"zoneId": ZONE_ID, "name": "api", "type": "A", "content": "words", "ttl": 3}),
    ],
)
def test_what_the_official_plugin_lets_through_at_preview_fails_only_when_it_is_made(
    platform: Door, edge: Door, token: str, inputs: dict[str, Any]
) -> None:
    door = edge if token.startswith("cloudflare") else platform
    assert door.check(token, inputs) == []
    assert door.preview(token, inputs)
    with pytest.raises(grpc.RpcError) as error:
        door.create(token, inputs)
    assert refused(error).startswith("Error creating a")


def test_a_refusal_of_the_api_is_told_as_the_plugin_tells_it(platform: Door) -> None:
    with pytest.raises(grpc.RpcError) as error:
        platform.create(BALANCER, {"region": "mars-1"})
    assert refused(error) == "Error creating a Linode NodeBalancer: [400] [region] region is not valid"


def test_numbers_and_words_stand_for_one_another_as_in_the_plugins(platform: Door) -> None:
    taken = platform.taken(CONFIG, {"nodebalancerId": "7", "port": "443", "checkPassive": "true"})
    assert taken == {"nodebalancerId": 7, "port": 443, "checkPassive": True}


def test_unknown_values_pass_every_check(platform: Door) -> None:
    inputs = {"nodebalancerId": UNKNOWN, "configId": UNKNOWN, "label": UNKNOWN, "address": UNKNOWN, "weight": UNKNOWN}
    assert platform.check(NODE, inputs) == []


def test_a_preview_knows_what_the_program_says_and_leaves_open_what_the_cloud_will_say(platform: Door) -> None:
    outputs = platform.preview(INSTANCE, SERVER | {"label": UNKNOWN})
    assert outputs["region"] == "us-central"
    assert outputs["tags"] == SERVER["tags"]
    assert outputs["label"] is UNKNOWN
    assert outputs["ipAddress"] is UNKNOWN
    assert outputs["status"] is UNKNOWN
    assert outputs["stackscriptId"] is None
    assert outputs["migrationType"] == "cold"


EVERY = (*linode.RESOURCES, *cloudflare.RESOURCES)


@pytest.mark.parametrize("resource", EVERY, ids=lambda resource: resource.token.rpartition(":")[2])
def test_the_tables_name_only_properties_that_the_sdk_has(resource: Resource) -> None:
    schema = resource.schema
    known = set(schema.inputs) | set(schema.outputs)
    tops = {path.partition(".")[0] for path in (*resource.names, *resource.singles, *resource.checks, *resource.chosen)}
    named = {*tops, *resource.sets, *resource.replaces, *resource.fills, *resource.derived, *resource.only_written}
    assert named | {*resource.normal, *resource.secrets, *resource.above} <= known
    for pattern in resource.unserved:
        assert pattern.partition(".")[0].rstrip("*") in "".join(schema.inputs), pattern


# The arguments that make another object (facts of the clouds' own API; the rest is changed in place).
REPLACES = [
    (INSTANCE, "image", "linode/debian13", True),
    (INSTANCE, "rootPass", "another horse battery", True),
    (INSTANCE, "metadatas", [{"userData": "eA=="}], True),
    (INSTANCE, "authorizedKeys", ["ssh-ed25519 AAAA"], True),
    (INSTANCE, "diskEncryption", "disabled", True),
    (INSTANCE, "interfaceGeneration", "linode", True),
    (INSTANCE, "region", "eu-central", False),
    (INSTANCE, "type", "g6-standard-2", False),
    (INSTANCE, "label", "api-9", False),
    (INSTANCE, "tags", ["role-web"], False),
    (INSTANCE, "backupsEnabled", True, False),
    (INSTANCE, "placementGroup", {"id": 7}, False),
]


@pytest.mark.parametrize(("token", "name", "value", "replaces"), REPLACES)
def test_a_change_of_an_instance_is_an_update_or_another_instance(
    platform: Door, token: str, name: str, value: Any, replaces: bool
) -> None:
    old = platform.taken(token, SERVER | {"label": f"diff-{name.lower()}-{replaces}"})
    made = platform.create(token, old)
    found = platform.diff(token, old, old | {name: value}, decode(made.properties))
    platform.delete(token, made.id)
    assert {path.partition("[")[0].partition(".")[0] for path in found} == {name}
    assert all(kind.endswith("_replace") == replaces for kind in found.values())


def test_a_diff_names_the_place_of_a_change_inside_a_list(edge: Door) -> None:
    origins = [{"name": name, "address": "198.18.0.1", "weight": 1} for name in ("a", "b")]
    old = edge.taken(POOL, {"accountId": ACCOUNT, "name": "place", "origins": origins})
    state = decode(edge.create(POOL, old).properties)
    assert edge.diff(POOL, old, old, state) == {}
    changed = [origins[0], origins[1] | {"weight": 0.5}]
    assert edge.diff(POOL, old, old | {"origins": changed}, state) == {"origins[1].weight": "update"}
    longer = [*origins, {"name": "c", "address": "198.18.0.3"}]
    assert edge.diff(POOL, old, old | {"origins": longer}, state) == {"origins[2]": "add"}
    assert edge.diff(POOL, old, old | {"origins": origins[:1]}, state) == {"origins[1]": "delete"}


def test_origins_that_are_not_sorted_differ_forever_as_in_the_cloud(edge: Door) -> None:
    origins = [{"name": name, "address": "198.18.0.1"} for name in ("z", "a")]
    inputs = edge.taken(POOL, {"accountId": ACCOUNT, "name": "unsorted", "origins": origins})
    state = decode(edge.create(POOL, inputs).properties)
    assert edge.diff(POOL, inputs, inputs, state) == {"origins[0].name": "update", "origins[1].name": "update"}


def test_lists_without_an_order_and_addresses_without_a_mask_are_no_difference(platform: Door) -> None:
    inputs = platform.taken(
        DATABASE,
        {
            "label": "set",
            "engineId": "postgresql/16",
            "region": "us-central",
            "type": "g6-dedicated-2",
            "allowLists": ["198.51.100.7", "192.0.2.0/24"],
        },
    )
    state = decode(platform.create(DATABASE, inputs).properties)
    assert state["allowLists"] == ["198.51.100.7/32", "192.0.2.0/24"]
    assert platform.diff(DATABASE, inputs, inputs, state) == {}
    turned = inputs | {"allowLists": ["192.0.2.0/24", "198.51.100.7/32"]}
    assert platform.diff(DATABASE, inputs, turned, state) == {}


def test_what_the_program_no_longer_says_is_the_clouds_choice_or_taken_away(platform: Door) -> None:
    inputs = platform.taken(INSTANCE, SERVER | {"label": "said-no-more", "backupsEnabled": True})
    state = decode(platform.create(INSTANCE, inputs).properties)
    chosen = {name: value for name, value in inputs.items() if name not in ("backupsEnabled", "tags")}
    assert platform.diff(INSTANCE, inputs, chosen, state) == {}
    without_password = {name: value for name, value in inputs.items() if name != "rootPass"}
    assert platform.diff(INSTANCE, inputs, without_password, state) == {"rootPass": "delete_replace"}


def test_an_unknown_value_counts_as_a_change(platform: Door) -> None:
    state = decode(platform.create(BALANCER, {"region": "us-central", "label": "unknown-label"}).properties)
    inputs = {"region": "us-central", "label": "unknown-label"}
    assert platform.diff(BALANCER, inputs, inputs | {"label": UNKNOWN}, state) == {"label": "update"}
    assert platform.diff(BALANCER, inputs, inputs | {"region": UNKNOWN}, state) == {"region": "update_replace"}


def test_secrets_come_back_marked_secret_and_are_not_read_back_from_the_cloud(platform: Door) -> None:
    inputs = platform.taken(INSTANCE, SERVER | {"label": "secret-1"})
    made = platform.create(INSTANCE, inputs)
    mark = "4dabf18193072939515e22adb298388d"
    for name in ("rootPass", "metadatas"):
        assert mark in made.properties.fields[name].struct_value.fields
    refreshed = platform.read(INSTANCE, made.id, inputs, decode(made.properties))
    assert decode(refreshed.properties) == decode(made.properties)
    imported = decode(platform.read(INSTANCE, made.id).properties)
    assert (imported["rootPass"], imported["metadatas"], imported["hasUserData"]) == (None, None, True)


def test_reading_what_changed_out_of_band_shows_it_and_its_difference(edge: Door) -> None:
    inputs = edge.taken(SETTING, {"zoneId": ZONE_ID, "settingId": "websockets", "value": "on"})
    state = decode(edge.create(SETTING, inputs).properties)
    changed = edge.taken(SETTING, inputs | {"value": "off"})
    edge.create(SETTING, changed)
    read = edge.read(SETTING, "websockets", inputs, state)
    assert decode(read.inputs)["value"] == "off"
    assert edge.diff(SETTING, inputs, inputs, decode(read.properties)) == {"value": "update"}


def test_reading_what_is_gone_gives_no_id(platform: Door) -> None:
    made = platform.create(FIREWALL, {"label": "gone", **POLICIES})
    platform.delete(FIREWALL, made.id)
    assert platform.read(FIREWALL, made.id, {"label": "gone"}, {"label": "gone"}).id == ""
    platform.delete(FIREWALL, made.id)  # gone already is as good as deleted


def test_importing_takes_the_plugins_own_ids(platform: Door, edge: Door) -> None:
    balancer = platform.create(BALANCER, {"region": "us-central", "label": "imported"})
    config = platform.create(CONFIG, {"nodebalancerId": balancer.id, "port": 443})
    read = platform.read(CONFIG, f"{balancer.id},{config.id}")
    assert read.id == config.id
    assert decode(read.inputs)["port"] == 443
    assert platform.read(CONFIG, f"7,{config.id}").id == ""
    record = edge.create(
        RECORD, {"zoneId": ZONE_ID, "name": f"imported.{ZONE}", "type": "A", "content": "198.18.0.9", "ttl": 60}
    )
    assert edge.read(RECORD, f"{ZONE_ID}/{record.id}").id == record.id


def test_a_key_can_not_be_imported(box: Path) -> None:
    with Door(box, token=process.tokens(box).linode_copies) as copies:
        copies.create(BUCKET, {"label": "for-a-key", "region": "us-ord"})
        access = [{"bucketName": "for-a-key", "region": "us-ord", "permissions": "read_only"}]
        made = copies.create(KEY, {"label": "no-import", "bucketAccesses": access})
        assert len(decode(made.properties)["secretKey"]) == 40
        state = decode(made.properties)
        assert decode(copies.read(KEY, made.id, state, state).properties)["secretKey"] == state["secretKey"]
        with pytest.raises(grpc.RpcError) as error:
            copies.read(KEY, made.id)
    assert refused(error) == f"resource {KEY} does not support import"


def test_a_wrong_linode_token_is_refused_when_the_plugin_first_asks(box: Path) -> None:
    with pytest.raises(grpc.RpcError) as error, Door(box, token="wrong"):  # noqa: S106
        pass
    assert refused(error) == "Error connecting to the API: [401] Invalid Token"


def test_a_wrong_cloudflare_token_is_refused_only_when_something_is_made(box: Path) -> None:
    record = {"zoneId": ZONE_ID, "name": ZONE, "type": "A", "content": "198.18.0.9", "ttl": 60}
    with Door(box, "cloudflare", token="wrong") as door:  # noqa: S106
        assert door.preview(RECORD, record)
        with pytest.raises(grpc.RpcError, match="Invalid API Token"):
            door.create(RECORD, record)


def test_two_providers_of_one_package_work_for_their_own_accounts(box: Path, platform: Door) -> None:
    with Door(box, token=process.tokens(box).linode_copies) as copies:
        made = copies.create(FIREWALL, {"label": "of-copies", **POLICIES})
        assert platform.read(FIREWALL, made.id, {}, {"label": "of-copies"}).id == ""
        assert copies.read(FIREWALL, made.id, {}, {"label": "of-copies"}).id == made.id


def test_types_and_lookups_that_are_not_served_are_named(platform: Door, edge: Door) -> None:
    with pytest.raises(grpc.RpcError) as error:
        platform.check("linode:index/volume:Volume", {})
    assert refused(error) == "the sandbox does not serve the resource type linode:index/volume:Volume"
    with pytest.raises(grpc.RpcError) as error:
        edge.rpc.Invoke(provider_pb2.InvokeRequest(tok="cloudflare:index/getZone:getZone"))
    assert refused(error) == "the sandbox does not serve the lookup cloudflare:index/getZone:getZone"


def test_the_address_ranges_of_cloudflare_are_answered_in_the_sdks_shape(edge: Door) -> None:
    answered = edge.rpc.Invoke(provider_pb2.InvokeRequest(tok="cloudflare:index/getIpRanges:getIpRanges"))
    ranges = decode(getattr(answered, "return"))
    assert set(ranges) == {"etag", "ipv4Cidrs", "ipv6Cidrs", "jdcloudCidrs", "networks"}
    assert (len(ranges["ipv4Cidrs"]), len(ranges["ipv6Cidrs"])) == (15, 7)


def test_a_zones_setting_outlives_its_resource_as_in_the_cloud(edge: Door) -> None:
    inputs = {"zoneId": ZONE_ID, "settingId": "http3", "value": "off"}
    made = edge.create(SETTING, inputs)
    assert made.id == "http3"
    edge.rpc.Delete(provider_pb2.DeleteRequest(urn=urn(SETTING), id="http3", properties=made.properties))
    assert decode(edge.read(SETTING, f"{ZONE_ID}/http3").properties)["value"] == "off"


def test_it_takes_the_clouds_own_time_when_told_to_and_in_parallel(folder: Path) -> None:
    process.start(folder, latency=0.01)
    inputs = SERVER | {"label": "x"}
    with Door(folder) as door:
        began = time.monotonic()
        calls = [
            door.rpc.Create.future(
                provider_pb2.CreateRequest(urn=urn(INSTANCE), properties=encode(inputs | {"label": f"api-{number}"}))
            )
            for number in range(20)
        ]
        for call in calls:
            call.result()
        assert 0.6 <= time.monotonic() - began < 6  # 60 s scaled by 0.01; one after another it would be 12 s


def test_a_cancelled_connection_says_what_it_made_and_no_other_is_touched(folder: Path) -> None:
    process.start(folder, latency=1.0)
    with Door(folder) as cut, Door(folder) as other:
        calm = other.rpc.Create.future(
            provider_pb2.CreateRequest(urn=urn(FIREWALL), properties=encode({"label": "calm", **POLICIES}))
        )
        request = provider_pb2.CreateRequest(urn=urn(INSTANCE), properties=encode(SERVER | {"label": "cut-short"}))
        threading.Timer(0.3, lambda: cut.rpc.Cancel(empty_pb2.Empty())).start()
        with pytest.raises(grpc.RpcError) as error:
            cut.rpc.Create(request)
        assert calm.result().id
    details = dict(error.value.trailing_metadata())
    made = [record for record in store.objects(process.file_of(folder)) if record.key == "cut-short"]
    assert len(made) == 1
    assert made[0].id.encode() in details["grpc-status-details-bin"]
