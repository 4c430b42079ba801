"""The real program, for every committed stack file: what it declares, and what it must not."""

import base64
import gzip
import json
import random
import re
from collections import Counter
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
import yaml

from components import cost, settings
from components.user_data.contents import BORN_WITH
from operations import throwaway
from sandbox.process import Tokens
from tests.configuration import ROOT, change_platform, change_stack, copy_of_the_committed_files
from tests.recording import CA_CERTIFICATE, RANGES, Program, Registered, run

SECRETS = ("linode:token", "chat-tonic:originKey", "chat-tonic:registryPassword", "chat-tonic:pullKey")

PROBES = {"expectedCodes": "200", "interval": 60, "timeout": 5, "retries": 2, "consecutiveDown": 2, "consecutiveUp": 3}


def inputs_of(root: Path, stack: str) -> dict[str, str]:
    loaded = settings.load(root, stack)
    tokens = Tokens("a" * 64, "b" * 64, "c" * 40, "f" * 64, "d" * 32, {loaded.zone or "": "e" * 32})
    keys = [each.key for each in settings.required_inputs(loaded)]
    return throwaway.renew(loaded, tokens, keys, kept={}, login="ssh-ed25519 AAAA operations@sandbox")


@cache
def committed(stack: str) -> tuple[Program, dict[str, str]]:
    inputs = inputs_of(ROOT, stack)
    return run(stack, inputs), inputs


def named(program: Program, name: str) -> Registered:
    (found,) = [each for each in program.resources if each.name == name]
    return found


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        (
            "us-central",
            {"Instance": 15, "PlacementGroup": 8, "NodeBalancer": 8, "NodeBalancerConfig": 8, "NodeBalancerNode": 14,
             "DatabasePostgresqlV2": 2, "DatabaseAccessControls": 2, "ObjectStorageBucket": 4, "ObjectStorageKey": 4,
             "LoadBalancerMonitor": 4, "LoadBalancerPool": 4, "DnsRecord": 6, "Healthcheck": 4,
             "NotificationPolicy": 3, "ZoneSetting": 3, "AuthenticatedOriginPullsCertificate": 1,
             "AuthenticatedOriginPullsSettings": 1, "WorkersScript": 1, "WorkersRoute": 1},
        ),
        (
            "test",
            {"Instance": 4, "PlacementGroup": 4, "NodeBalancer": 4, "NodeBalancerConfig": 4, "NodeBalancerNode": 4,
             "DatabasePostgresqlV2": 1, "DatabaseAccessControls": 1, "ObjectStorageBucket": 0, "ObjectStorageKey": 0,
             "LoadBalancerMonitor": 0, "LoadBalancerPool": 0, "DnsRecord": 0, "Healthcheck": 0,
             "NotificationPolicy": 0, "ZoneSetting": 0, "AuthenticatedOriginPullsCertificate": 0,
             "AuthenticatedOriginPullsSettings": 0, "WorkersScript": 0, "WorkersRoute": 0},
        ),
    ],
)  # fmt: skip
def test_a_stack_has_exactly_what_its_file_says(stack: str, expected: dict[str, int]) -> None:
    program, _ = committed(stack)
    counted = Counter(each.type.rsplit(":", 1)[-1] for each in program.resources)
    assert {kind: counted[kind] for kind in expected} == expected
    clouds = {each.type.split(":")[0] for each in program.resources}
    assert clouds == ({"linode", "pulumi", "chat-tonic"} | ({"cloudflare"} if stack != "test" else set()))


def test_frankfurt_is_the_us_in_another_jurisdiction() -> None:
    ours = {
        stack: Counter(each.type for each in committed(stack)[0].resources) for stack in ("us-central", "eu-frankfurt")
    }
    assert ours["us-central"] == ours["eu-frankfurt"]


@pytest.mark.parametrize("stack", ["us-central", "eu-frankfurt", "test"])
def test_every_child_is_inside_its_component_and_named_after_it(stack: str) -> None:
    program, _ = committed(stack)
    by_urn = {each.urn: each for each in program.resources}
    for each in program.resources:
        if each.type in ("pulumi:pulumi:Stack", "chat-tonic:region:Region"):
            continue
        parent = by_urn[each.parent]
        assert parent.type.startswith("chat-tonic:"), each.urn
        assert each.name.startswith(f"{parent.name}-"), (each.name, parent.name)


@pytest.mark.parametrize(
    ("stack", "jurisdiction"),
    [
        ("us-central", {"us-central", "us-ord", "us-iad"}),
        ("eu-frankfurt", {"eu-central", "de-fra-2", "fr-par"}),
        ("test", {"us-central"}),
    ],
)
def test_nothing_is_outside_the_jurisdiction(stack: str, jurisdiction: set[str]) -> None:
    program, _ = committed(stack)
    regions = {each.inputs["region"] for each in program.resources if "region" in each.inputs}
    assert regions == jurisdiction
    for balancer in program.of("NodeBalancer"):
        assert balancer.inputs["region"], "the provider's default is us-east"
    probed = {region for each in program.of("LoadBalancerPool") for region in each.inputs["checkRegions"]}
    assert probed == {"us-central": {"ENAM"}, "eu-frankfurt": {"WEU"}, "test": set()}[stack]


@pytest.mark.parametrize("stack", ["us-central", "eu-frankfurt", "test"])
def test_exactly_databases_and_buckets_are_protected(stack: str) -> None:
    program, _ = committed(stack)
    protected = {each.urn for each in program.resources if each.protect}
    assert protected == {
        e.urn for e in program.resources if e.type.endswith((":DatabasePostgresqlV2", ":ObjectStorageBucket"))
    }


@pytest.mark.parametrize("stack", ["us-central", "eu-frankfurt", "test"])
def test_every_server_is_backed_up_encrypted_and_reached_by_legacy_interfaces(stack: str) -> None:
    program, inputs = committed(stack)
    for server in program.of("Instance"):
        wanted = {"backupsEnabled": True, "diskEncryption": "enabled", "privateIp": True, "watchdogEnabled": True,
                  "interfaceGeneration": "legacy_config",
                  "image": "linode/debian13" if "ops" in server.name else "linode/debian12"}  # fmt: skip
        assert {key: server.inputs.get(key) for key in wanted} == wanted
        assert server.inputs["tags"] == sorted(server.inputs["tags"])
        assert set(server.ignore_changes) == {"authorizedKeys", "image", "metadatas"}
        assert server.inputs["authorizedKeys"] == inputs["chat-tonic:authorizedKeys"].splitlines()
        for absent in ("rootPass", "firewallId", "interfaces", "stackscriptId"):
            assert absent not in server.inputs


@pytest.mark.parametrize("stack", ["us-central", "eu-frankfurt", "test"])
def test_no_more_than_five_servers_share_a_strict_placement_group(stack: str) -> None:
    program, _ = committed(stack)
    for group in program.of("PlacementGroup"):
        assert group.inputs["placementGroupType"] == "anti_affinity:local"
        assert group.inputs["placementGroupPolicy"] == "strict"
    placed = [each for each in program.of("Instance") if "ops" not in each.name]
    assert max(Counter(each.inputs["placementGroup"]["id"] for each in placed).values()) <= 5


def test_eleven_servers_of_a_role_take_three_placement_groups(tmp_path: Path) -> None:
    root = copy_of_the_committed_files(tmp_path / "root")
    change_stack(root, "test", {"environments.internal.groups.api.count": 11})
    program = run("test", inputs_of(root, "test"), root)
    groups = [each.inputs["placementGroup"]["id"] for each in program.of("Instance") if "-api-" in each.name]
    assert sorted(Counter(groups).values()) == [1, 5, 5]
    labels = [each.inputs["label"] for each in program.of("PlacementGroup") if "-api-" in each.name]
    assert labels == ["test-int-api-g1-p1", "test-int-api-g1-p2", "test-int-api-g1-p3"]
    nodes = [each.inputs["label"] for each in program.of("NodeBalancerNode") if "-api-" in each.name]
    assert sorted(nodes) == sorted(f"test-int-api-g1-{number}" for number in range(1, 12))


@pytest.mark.parametrize("stack", ["us-central", "eu-frankfurt", "test"])
def test_every_server_and_balancer_is_behind_a_firewall_that_goes_with_it(stack: str) -> None:
    program, _ = committed(stack)
    behind = {each.deleted_with for each in program.of("FirewallDevice")}
    assert behind == {each.urn for kind in ("Instance", "NodeBalancer") for each in program.of(kind)}
    devices = {each.urn for each in program.of("FirewallDevice") if each.inputs["entityType"] == "nodebalancer"}
    for config in program.of("NodeBalancerConfig"):
        assert config.dependencies & devices, "a balancer's configuration waits for its firewall"


@pytest.mark.parametrize("stack", ["us-central", "eu-frankfurt", "test"])
def test_firewalls_drop_all_but_the_doors_that_are_declared(stack: str) -> None:
    program, _ = committed(stack)
    admin = settings.load(ROOT, stack).admin_sources
    cloudflare = {"ipv4s": sorted(RANGES["ipv4Cidrs"]), "ipv6s": sorted(RANGES["ipv6Cidrs"])}
    for firewall in program.of("linode:index/firewall:Firewall"):
        assert (firewall.inputs["inboundPolicy"], firewall.inputs["outboundPolicy"]) == ("DROP", "ACCEPT")
        assert "outbounds" not in firewall.inputs
        doors = {each["label"]: each for each in firewall.inputs["inbounds"]}
        for door in doors.values():
            assert (door["action"], door["protocol"]) == ("ACCEPT", "TCP")
            assert not {"0.0.0.0/0", "::/0"} & {*door.get("ipv4s", []), *door.get("ipv6s", [])}
        if firewall.name.endswith("-lb-firewall"):
            assert doors.keys() == {"https"}
            sources = {key: sorted(doors["https"].get(key, [])) for key in cloudflare}
            # A move proves a site from where people are, so they are let in where it is published, too.
            public = cloudflare if stack != "test" else {"ipv4s": [], "ipv6s": []}
            assert sources == {"ipv4s": sorted([*public["ipv4s"], *admin]), "ipv6s": public["ipv6s"]}
        elif firewall.name.endswith("-ops-firewall"):
            assert [(d["ports"], d["ipv4s"]) for d in doors.values()] == [("22", list(admin))]
        else:
            assert doors.keys() == {"balancers", "ssh"}
            assert (doors["balancers"]["ports"], doors["balancers"]["ipv4s"]) == ("443", ["192.168.255.0/24"])
            ops = [f"{program.exports['ops']}/32"] if stack != "test" else []
            assert (doors["ssh"]["ports"], doors["ssh"]["ipv4s"]) == ("22", [*admin, *ops])


@pytest.mark.parametrize("stack", ["us-central", "eu-frankfurt", "test"])
def test_a_balancer_passes_tls_on_to_its_own_servers(stack: str) -> None:
    program, _ = committed(stack)
    for config in program.of("NodeBalancerConfig"):
        wanted = {"port": 443, "protocol": "tcp", "proxyProtocol": "v2", "check": "connection",
                  "checkInterval": 5, "checkTimeout": 3, "checkAttempts": 2}  # fmt: skip
        assert {key: config.inputs.get(key) for key in wanted} == wanted
        assert not {"sslCert", "sslKey"} & config.inputs.keys()
    for node in program.of("NodeBalancerNode"):
        assert re.fullmatch(r"192\.168\.\d+\.\d+:443", node.inputs["address"])
        assert node.inputs["mode"] == "accept"
        assert node.ignore_changes == ("mode",)
        environment_and_role = node.parent.rsplit("::", 1)[-1].removeprefix("region-").removesuffix("-lb")
        assert f"region-{environment_and_role}-lb-" in node.name


def test_the_database_admits_exactly_the_servers_that_need_it() -> None:
    program, _ = committed("us-central")
    servers = program.exports["servers"]
    for environment, expected in servers.items():
        access = named(program, f"region-{environment}-database-access")
        wanted = [server["address"] for role in ("api", "chat", "customer-service") for server in expected[role]]
        assert sorted(access.inputs["allowLists"]) == sorted(f"{a}/32" for a in [*wanted, program.exports["ops"]])
        database = named(program, f"region-{environment}-database-cluster")
        assert "allowLists" not in database.inputs
        assert "allowLists" in database.ignore_changes
    production = named(program, "region-production-database-cluster").inputs
    assert (production["engineId"], production["type"], production["clusterSize"]) == (
        "postgresql/16",
        "g6-dedicated-2",
        3,
    )
    assert production["updates"] == {"dayOfWeek": 7, "duration": 4, "frequency": "weekly", "hourOfDay": 7}
    program, _ = committed("test")
    wanted = [
        server["address"]
        for role in ("api", "chat", "customer-service")
        for server in program.exports["servers"]["internal"][role]
    ]
    assert sorted(named(program, "region-internal-database-access").inputs["allowLists"]) == sorted(
        f"{a}/32" for a in wanted
    )


def test_a_second_database_has_a_name_of_its_own_and_only_the_one_that_serves_admits_servers(tmp_path: Path) -> None:
    folder = copy_of_the_committed_files(tmp_path / "configuration")
    settled = named(committed("us-central")[0], "region-bot-testing-database-cluster")
    for serving in (1, 2):
        database = {"generations": [2, 1], "serving": serving, "forks": {2: {"of": 1, "at": "2026-11-22t18.00.00z"}}}
        change_stack(folder, "us-central", {"environments.bot-testing.database": database})
        program = run("us-central", inputs_of(folder, "us-central"), folder)
        one, two = (named(program, f"region-bot-testing-database{name}-cluster") for name in ("", "-g2"))
        assert one.inputs == settled.inputs
        assert (one.inputs["label"], two.inputs["label"]) == ("us-bots-db", "us-bots-db-g2")
        assert one.urn in two.dependencies
        assert two.inputs["forkSource"]
        assert two.inputs["forkRestoreTime"] == "2026-11-22T18:00:00Z"
        assert {"forkSource", "forkRestoreTime"} <= set(two.ignore_changes)
        ops = f"{program.exports['ops']}/32"
        servers = program.exports["servers"]["bot-testing"]
        writers = [f"{each['address']}/32" for role in servers if role != "web-chat" for each in servers[role]]
        admitted = {
            generation: sorted(named(program, f"region-bot-testing-database{name}-access").inputs["allowLists"])
            for generation, name in ((1, ""), (2, "-g2"))
        }
        assert admitted == {serving: sorted([*writers, ops]), 3 - serving: [ops]}
        assert program.exports["databases"]["bot-testing"] == {"generations": [2, 1], "serving": serving}


@pytest.mark.parametrize(
    ("stack", "first", "second"), [("us-central", "us-ord", "us-iad"), ("eu-frankfurt", "de-fra-2", "fr-par")]
)
def test_copies_are_the_copies_accounts_and_the_ops_servers_key_reaches_the_first_bucket_only(
    stack: str, first: str, second: str
) -> None:
    program, _ = committed(stack)
    (provider,) = program.of("pulumi:providers:linode")
    assert provider.secrets == {"token"}
    buckets, keys = program.of("ObjectStorageBucket"), program.of("ObjectStorageKey")
    of_the_account = {each.urn for each in program.resources if each.provider.startswith(provider.urn)}
    assert of_the_account == {each.urn for each in (*buckets, *keys)}
    names = [f"{stack[:2]}-{label}-copies" for label in ("prod", "bots")]
    assert {each.inputs["label"]: (each.inputs["region"], each.inputs["acl"]) for each in buckets} == {
        f"chat-tonic-{name}{which}": (region, "private")
        for name in names
        for which, region in (("", first), ("-second", second))
    }
    accesses = {
        each.inputs["label"]: {(a["bucketName"], a["region"], a["permissions"]) for a in each.inputs["bucketAccesses"]}
        for each in keys
    }
    own = {name: {(f"chat-tonic-{name}", first, "read_write")} for name in names}
    seconds = {
        f"{name}-second": {
            (f"chat-tonic-{name}", first, "read_only"),
            (f"chat-tonic-{name}-second", second, "read_write"),
        }
        for name in names
    }
    assert accesses == own | seconds


def test_the_ops_server_is_born_with_what_tells_that_copies_fail_and_no_key_of_second_copies() -> None:
    program, inputs = committed("us-central")
    (metadata,) = named(program, "region-ops-server").inputs["metadatas"]
    text = gzip.decompress(base64.b64decode(metadata["userData"]))
    files = {each["path"]: each["content"] for each in yaml.safe_load(text)["write_files"]}
    state = {name: program.state[named(program, f"region-production-{name}").urn]
             for name in ("database-cluster", "copies-key", "copies-second-key")}  # fmt: skip
    assert json.loads(files["/etc/chat-tonic/copies/production.json"]) == {
        "stack": "us-central",
        "environment": "production",
        "version": 16,
        "database": {
            "host": state["database-cluster"]["hostPrimary"],
            "port": "18319",
            "dbname": "defaultdb",
            "user": "akmadmin",
            "password": state["database-cluster"]["rootPassword"],
            "sslmode": "verify-full",
            "sslrootcert": "/etc/chat-tonic/copies/production.pem",
            "connect_timeout": "30",
        },
        "repository": {
            "url": "s3:https://us-ord-1.storage.example/chat-tonic-us-prod-copies",
            "region": "us-ord",
            "access_key": state["copies-key"]["accessKey"],
            "secret_key": state["copies-key"]["secretKey"],
        },
        "key": inputs["chat-tonic:copiesKey"],
        "kept": 30,
        "hour": 5,
        "queries": [],
        "alarm": {
            "smtp": inputs["chat-tonic:smtp"],
            "from": "alarms@chat-tonic-us.example",
            "to": ["support-board@chat-tonic.example", "on-call@chat-tonic.example"],
        },
    }
    assert files["/etc/chat-tonic/copies/production.pem"] == CA_CERTIFICATE
    assert "/etc/chat-tonic/copies/bot-testing.json" in files
    assert not [path for path, content in files.items() if state["copies-second-key"]["secretKey"] in content]
    assert {path for path in files if path.startswith("/usr/local/lib/")} == {
        f"/usr/local/lib/chat-tonic/copies/{module}.py" for module in BORN_WITH
    }


def test_names_are_balanced_in_production_and_proxied_for_bots() -> None:
    program, _ = committed("us-central")
    zone = "chat-tonic-us.example"
    roles = ("api", "chat", "customer-service", "web-chat")
    assert program.exports["hosts"] == {
        "production": {role: f"{role}.{zone}" for role in roles},
        "bot-testing": {role: f"bots-{role}.{zone}" for role in roles},
    }
    balancers = program.of("cloudflare:index/loadBalancer:LoadBalancer")
    assert sorted(each.inputs["name"] for each in balancers) == sorted(f"{role}.{zone}" for role in roles)
    for each in balancers:
        assert each.inputs["defaultPools"] == [each.inputs["fallbackPool"]], "the last resort is the site's own pool"
        assert (each.inputs["proxied"], each.inputs["steeringPolicy"]) == (True, "off")
        affinity = "cookie" if "web-chat" in each.name else "none"
        assert each.inputs["sessionAffinity"] == affinity
        assert ("sessionAffinityTtl" in each.inputs) == (affinity == "cookie")
        assert not {"regionPools", "popPools", "countryPools"} & each.inputs.keys()
    for monitor in program.of("LoadBalancerMonitor"):
        (host,) = monitor.inputs["header"]["Host"]
        assert {key: monitor.inputs[key] for key in PROBES} == PROBES
        assert (monitor.inputs["type"], monitor.inputs["path"], monitor.inputs["probeZone"]) == (
            "https",
            "/healthz",
            zone,
        )
        assert host.endswith(f".{zone}")
    for record in (each for each in program.of("DnsRecord") if "-metadata-" not in each.name):
        assert (record.inputs["type"], record.inputs["proxied"], record.inputs["ttl"]) == ("A", True, 1)
        assert record.inputs["name"].startswith("bots-")
    for check in program.of("Healthcheck"):
        assert (check.inputs["type"], check.inputs["tcpConfig"]) == (
            "TCP",
            {"method": "connection_established", "port": 443},
        )
        assert "httpConfig" not in check.inputs


def test_alarms_go_to_the_board_and_to_those_on_call() -> None:
    program, _ = committed("us-central")
    policies = {each.inputs["alertType"]: each.inputs for each in program.of("NotificationPolicy")}
    assert policies.keys() == {
        "load_balancing_health_alert",
        "load_balancing_pool_enablement_alert",
        "health_check_status_notification",
    }
    for policy in policies.values():
        assert [each["id"] for each in policy["mechanisms"]["emails"]] == [
            "on-call@chat-tonic.example",
            "support-board@chat-tonic.example",
        ]
    assert len(policies["load_balancing_health_alert"]["filters"]["poolIds"]) == 4
    assert len(policies["health_check_status_notification"]["filters"]["healthCheckIds"]) == 4


def test_the_zone_is_strict_and_presents_our_certificate() -> None:
    program, inputs = committed("us-central")
    values = {each.inputs["settingId"]: each.inputs["value"] for each in program.of("ZoneSetting")}
    assert values == {"ssl": "strict", "min_tls_version": "1.2", "always_use_https": "on"}
    (certificate,) = program.of("AuthenticatedOriginPullsCertificate")
    assert certificate.inputs["certificate"] == inputs["chat-tonic:pullCertificate"]
    assert certificate.secrets == {"privateKey"}
    (pulls,) = program.of("AuthenticatedOriginPullsSettings")
    assert pulls.inputs["enabled"] is True
    assert certificate.urn in pulls.dependencies


@pytest.mark.parametrize("stack", ["us-central", "eu-frankfurt", "test"])
def test_a_secret_is_only_ever_in_inputs_that_are_secret(stack: str) -> None:
    program, inputs = committed(stack)
    secret = {key: value for key, value in inputs.items() if key in SECRETS or "hostKey" in key or "Token" in key}
    for each in program.resources:
        visible = {
            key: value for key, value in each.inputs.items() if key not in {p.split(".")[0] for p in each.secrets}
        }
        for key, value in secret.items():
            assert value not in str(visible), f"{key} is visible in {each.urn}"
        if each.type.endswith(":Instance"):
            assert each.secrets == {"metadatas.0.userData"}
    assert not [key for key, value in secret.items() if value.strip() in str(program.outputs)]


def test_user_data_holds_what_a_server_needs_at_birth() -> None:
    program, inputs = committed("us-central")
    (user_data,) = named(program, "region-production-api-g1-1").inputs["metadatas"]
    text = base64.b64decode(user_data["userData"]).decode()
    assert text.startswith("#cloud-config\n")
    assert "us-prod-api-g1-1" in text
    assert "api.chat-tonic-us.example" in text
    assert inputs["chat-tonic:registryPassword"] not in str(program.exports)


def test_servers_of_a_site_of_another_jurisdiction_answer_to_the_fronts_name_too(tmp_path: Path) -> None:
    root = copy_of_the_committed_files(tmp_path / "root")
    names = ["web-chat.chat-tonic-us.example"]
    change_stack(root, "eu-frankfurt", {"environments.production.groups.web-chat.serves": names})
    program = run("eu-frankfurt", inputs_of(root, "eu-frankfurt"), root)
    (metadata,) = named(program, "region-production-web-chat-g1-1").inputs["metadatas"]
    text = base64.b64decode(metadata["userData"]).decode()
    assert "host web-chat.chat-tonic-eu.example web-chat.chat-tonic-us.example" in text


def test_environments_share_no_object_of_linode_and_no_name() -> None:
    program, _ = committed("us-central")
    # A balancer's node has its server's label; every other label is unique in the account.
    labels = [
        (each.type, each.inputs["label"])
        for each in program.resources
        if each.type.startswith("linode:") and "label" in each.inputs
    ]
    assert len(labels) == len(set(labels))
    for each in program.resources:
        if "bot-testing" in each.name:
            assert not [urn for urn in each.dependencies if "region-production" in urn]


def test_objects_without_a_label_carry_the_digest_of_their_urn() -> None:
    program, _ = committed("us-central")
    described = [each.inputs["description"] for each in program.of("LoadBalancerMonitor")]
    described += [each.inputs["comment"] for each in program.of("DnsRecord")]
    digests = [text[text.index("[id ") : text.index("]") + 1] for text in described]
    assert len(set(digests)) == 10


def test_a_second_generation_stands_beside_the_first(tmp_path: Path) -> None:
    root = copy_of_the_committed_files(tmp_path / "root")
    change_platform(root, {"generations.2": "linode/debian13"})
    change_stack(root, "test", {"environments.internal.groups.api.generations": [1, 2]})
    program = run("test", inputs_of(root, "test"), root, deployed=committed("test")[0].exports)
    images = {each.inputs["label"]: each.inputs["image"] for each in program.of("Instance") if "-api-" in each.name}
    assert images == {"test-int-api-g1-1": "linode/debian12", "test-int-api-g2-1": "linode/debian13"}
    nodes = [each.inputs["label"] for each in program.of("NodeBalancerNode") if "-api-" in each.name]
    assert sorted(nodes) == ["test-int-api-g1-1", "test-int-api-g2-1"]


def test_the_program_refuses_to_swap_generations_before_it_declares_anything(tmp_path: Path) -> None:
    root = copy_of_the_committed_files(tmp_path / "root")
    change_platform(root, {"generations.2": "linode/debian13"})
    change_stack(root, "test", {"environments.internal.groups.api.generations": [2]})
    with pytest.raises(settings.ConfigurationError, match="adds 2 and removes 1 in one step"):
        run("test", inputs_of(root, "test"), root, deployed=committed("test")[0].exports)


def test_the_program_refuses_a_missing_input_before_it_declares_anything() -> None:
    inputs = inputs_of(ROOT, "test")
    del inputs["chat-tonic:originCertificate"]
    with pytest.raises(Exception, match="Missing required configuration variable 'chat-tonic:originCertificate'"):
        run("test", inputs)


def test_inputs_that_no_server_can_be_made_of_fail_the_preview_already() -> None:
    inputs = inputs_of(ROOT, "test")
    body = base64.encodebytes(random.Random(0).randbytes(12_000)).decode()  # as hard to compress as a certificate is
    inputs["chat-tonic:originCertificate"] = f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"
    with pytest.raises(Exception, match=r"user data of test-int-[a-z-]+-g1-1"):
        run("test", inputs, preview=True)


@pytest.mark.parametrize("key", ["chat-tonic:originKey", "chat-tonic:hostKey-internal"])
def test_a_secret_of_the_wrong_form_fails_the_preview_and_is_not_repeated(key: str) -> None:
    inputs = inputs_of(ROOT, "test") | {key: "hunter2-is-no-key"}
    with pytest.raises(Exception, match=f"{key}: its value is no") as caught:
        run("test", inputs, preview=True)
    assert "hunter2" not in str(caught.value)


def test_a_preview_with_unknown_values_declares_the_same_resources() -> None:
    known, inputs = committed("test")
    unknown = run("test", inputs, preview=True)
    assert {each.urn for each in unknown.resources} == {each.urn for each in known.resources}


@pytest.mark.parametrize("stack", ["us-central", "test"])
def test_its_resources_cost_what_its_configuration_says(stack: str) -> None:
    program, _ = committed(stack)
    of_resources = cost.of_resources((each.type, each.inputs) for each in program.resources)
    assert of_resources == (cost.total(settings.load(ROOT, stack)), ())


def test_a_plan_without_a_price_is_named_and_the_rest_is_counted() -> None:
    server, database = "linode:index/instance:Instance", "linode:index/databasePostgresqlV2:DatabasePostgresqlV2"
    resources = [(server, {"type": "g6-nanode-1"}), (server, {"type": "g9-new"}), (database, {"type": "g6-nanode-1"})]
    assert cost.of_resources(resources) == (Decimal(5), ("DatabasePostgresqlV2, g6-nanode-1", "Instance, g9-new"))
