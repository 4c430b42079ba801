"""Configuration that is wrong is refused before anything is created: which file, which key, what to write."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as hypothesis_settings

from components import settings
from components.settings import ConfigurationError, Problem
from components.topology import Lifetime, Stack
from tests.configuration import (
    REMOVED,
    ROOT,
    STACKS,
    change_platform,
    change_stack,
    copy_of_the_committed_files,
)

PRODUCTION = "environments.production"
API = f"{PRODUCTION}.groups.api"
PLATFORM = "platform.yaml"
STANDBY = "failover.sites.us-standby"
ADDRESSES = {"production": {"api": "192.0.2.7"}}
US = "Pulumi.us-central.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy_of_the_committed_files(tmp_path / "configuration")


def problems(folder: Path, stack: str = "us-central") -> tuple[Problem, ...]:
    with pytest.raises(ConfigurationError) as caught:
        settings.load(folder, stack)
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return caught.value.problems


def test_every_committed_stack_file_is_accepted() -> None:
    assert settings.stack_names(ROOT) == list(STACKS)
    loaded = {name: settings.load(ROOT, name) for name in STACKS}
    assert {name: stack.region for name, stack in loaded.items()} == {
        "us-central": "us-central",
        "us-standby": "us-ord",
        "eu-frankfurt": "eu-central",
        "eu-standby": "de-fra-2",
        "test": "us-central",
    }
    assert {name: list(stack.environments) for name, stack in loaded.items()} == {
        "us-central": ["production", "bot-testing"],
        "us-standby": ["production"],
        "eu-frankfurt": ["production", "bot-testing"],
        "eu-standby": ["production"],
        "test": ["internal"],
    }
    assert {name: stack.copy_region() for name, stack in loaded.items()} == {
        "us-central": "us-ord",
        "us-standby": "us-iad",
        "eu-frankfurt": "de-fra-2",
        "eu-standby": "fr-par",
        "test": None,
    }
    assert {name: stack.second_copy_region() for name, stack in loaded.items()} == {
        "us-central": "us-iad",
        "us-standby": "us-lax",
        "eu-frankfurt": "fr-par",
        "eu-standby": "fr-par",
        "test": None,
    }


def test_second_copies_stay_beside_the_first_where_the_jurisdiction_has_no_third_place(folder: Path) -> None:
    change_stack(folder, "eu-frankfurt", {"region": "de-fra-2"})
    stack = settings.load(folder, "eu-frankfurt")
    assert (stack.copy_region(), stack.second_copy_region()) == ("fr-par", "fr-par")


# What is changed in the platform file or the stack file, where it is reported, and a part of what is said.
WRONG_IN_THE_STACK_FILE: list[tuple[dict[str, Any], str, str]] = [
    ({"region": "us-centrall"}, "region", "unknown region 'us-centrall'"),
    ({"region": "eu-central"}, "region", "outside the jurisdiction 'us'"),
    ({"region": "gb-lon"}, "region", "outside the jurisdiction 'us'"),
    ({"jurisdiction": "uk"}, "jurisdiction", "'us' or 'eu'"),
    ({"copies": {"region": "de-fra-2"}}, "copies.region", "outside the jurisdiction"),
    ({"copies": {"region": "us-central"}}, "copies.region", "the databases' own region"),
    ({"region": "us-ord", "copies": {"region": "us-ord"}}, "copies.region", "the databases' own region"),
    ({"copies": {"region": "nowhere"}}, "copies.region", "unknown region 'nowhere'"),
    ({"copies": {"second": "fr-par"}}, "copies.second", "outside the jurisdiction"),
    ({"copies": {"second": "us-central"}}, "copies.second", "the databases' own region"),
    ({"copies": {"kept": 29}}, "copies.kept", "greater than or equal to 30"),
    ({"copies": {"hour": 7}}, "copies.hour", "the ops server may reboot from 7:00 to 11:00"),
    ({"backups.hour": 6}, "backups.hour", "would be backed up from 6:00 to 8:00"),
    ({"backups.hour": 5}, "backups.hour", "unknown hour in which the provider's windows begin '5'; known are 0, 2, 4"),
    ({"backups": {"hour": 22}, "reboots": {"hour": 22, "hours": 4}}, "backups.hour", "from 22:00 to 2:00"),
    ({f"{PRODUCTION}.database.queries": {"users": {"sql": "select 1"}}},
     f"{PRODUCTION}.database.queries.users.expects", "is missing: that value, as text"),
        ({"zone": "not a name"}, "zone", "is not a domain name"),
    ({"alarms": None}, "alarms", "needs 'alarms'"),
    ({"alarms.board": "nobody"}, "alarms.board", "not an e-mail address"),
    ({"label": "US"}, "label", "a label of 1 to 12 characters"),
    ({"label": "xtrial"}, "label", "those of test environments"),
    ({"lifetime": {"owner": "trial", "ends": "2026-11-22t18.00.00z"}}, "lifetime", "only a test environment has one"),
    ({"lifetime": {"owner": "Trial", "ends": "2026-11-22t18.00.00z"}}, "lifetime.owner", "not a name of a-z"),
    ({"lifetime": {"owner": "trial", "ends": "tomorrow"}}, "lifetime.ends", "is no time such as 2026-11-22t18.00.00z"),
    ({"label": "eu"}, "label", "also that of the stack 'eu-frankfurt'"),
    ({"zone": "chat-tonic-eu.example"}, "zone", "also that of the stack 'eu-frankfurt'"),
    ({"admin_sources": []}, "admin_sources", "at least 1 item"),
    ({"admin_sources": "203.0.113.0/24"}, "admin_sources", "valid array"),
    ({"admin_sources": ["203.0.113.7/24"]}, "admin_sources.0", "host bits set"),
    ({"admin_sources": ["203.0.113.7"]}, "admin_sources.0", "write the network, 203.0.113.7/32"),
    ({"admin_sources": ["300.0.0.0/8"]}, "admin_sources.0", "is no network"),
    ({"admin_sources": ["0.0.0.0/0"]}, "admin_sources.0", "the whole world"),
    ({"admin_sources": ["::/0"]}, "admin_sources.0", "the whole world"),
    ({"admin_sources": ["128.0.0.0/1"]}, "admin_sources.0", "wider than any network that is yours"),
    ({"admin_sources": ["2000::/3"]}, "admin_sources.0", "wider than any network that is yours"),
    ({"admin_sources": ["203.0.113.0/24", "203.0.113.0/24"]}, "admin_sources", "stands twice"),
    ({"admin_sources": ["203.0.113.0/24", "203.0.113.8/29"]}, "admin_sources", "lies inside '203.0.113.0/24'"),
    ({"environmets": {}}, "environmets", "the nearest known one is 'environments'"),
    ({"environments.prodution": {}}, "environments.prodution", "the nearest known one is 'production'"),
    ({"environments": ["production"]}, "environments", "should be an object"),
    ({"environments": REMOVED}, "environments", "is missing"),
    ({"environments": {}}, "environments", "is missing"),
    ({"region": REMOVED}, "region", "is missing: Linode data center"),
    ({f"{API}.count": 0}, f"{API}.count", "greater than or equal to 1, and it is 0"),
    ({f"{API}.count": -3}, f"{API}.count", "greater than or equal to 1, and it is -3"),
    ({f"{API}.count": 251}, f"{API}.count", "less than or equal to 250"),
    ({f"{API}.count": "3"}, f"{API}.count", "valid integer"),
    ({f"{API}.count": 2.5}, f"{API}.count", "valid integer"),
    ({f"{API}.count": True}, f"{API}.count", "valid integer"),
    ({f"{API}.plan": "g6-huge"}, f"{API}.plan", "unknown plan 'g6-huge'"),
    ({f"{API}.cuont": 3}, f"{API}.cuont", "the nearest known one is 'count'"),
    ({f"{API}.generations": []}, f"{API}.generations", "at least 1 item"),
    ({f"{API}.generations": [1, 1]}, f"{API}.generations", "stands twice"),
    ({f"{API}.generations": [7]}, f"{API}.generations", "generation 7 has no image"),
    ({f"{API}.host": "v1.api"}, f"{API}.host", "deeper than one level below the zone"),
    ({f"{API}.host": "api_"}, f"{API}.host", "no host name's label"),
    ({f"{PRODUCTION}.host_prefix": "v1."}, f"{PRODUCTION}.host_prefix", "deeper than one level"),
    ({f"{PRODUCTION}.groups.billing": {"count": 1, "plan": "g6-nanode-1", "generations": [1]}},
     f"{PRODUCTION}.groups.billing", "unknown role 'billing'"),
    ({f"{PRODUCTION}.label": "bots"}, f"{PRODUCTION}.label", "stands twice"),
    ({f"{PRODUCTION}.label": "ops"}, f"{PRODUCTION}.label", "the ops server's"),
    ({f"{PRODUCTION}.database.version": 14}, f"{PRODUCTION}.database.version", "unknown PostgreSQL version '14'"),
    ({f"{PRODUCTION}.database.plan": "g6-nano"}, f"{PRODUCTION}.database.plan", "unknown database plan"),
    ({f"{PRODUCTION}.database.nodes": 4}, f"{PRODUCTION}.database.nodes", "less than or equal to 3"),
    ({f"{PRODUCTION}.database.plan": "g6-standard-1", f"{PRODUCTION}.database.nodes": 2},
     f"{PRODUCTION}.database.nodes", "not offered with 2 nodes; it has 1 or 3"),
    ({f"{PRODUCTION}.database.maintenance.day": "someday"}, f"{PRODUCTION}.database.maintenance.day", "'monday'"),
    ({f"{PRODUCTION}.database.maintenance.hour": 24}, f"{PRODUCTION}.database.maintenance.hour", "equal to 23"),
    ({f"{PRODUCTION}.publish": "maybe"}, f"{PRODUCTION}.publish", "'load-balancer'"),
    ({"health.timeout": 10, "health.retries": 6}, "health.retries", "less than or equal to 5"),
    ({"health.interval": 5}, "health.interval", "greater than or equal to 60"),
    ({"health.codes": "OK"}, "health.codes", "is not HTTP status codes such as 200 or 2xx,301"),
    ({"health.probe_regions": ["WNAM", "WEU"]},
     "health.probe_regions", "'WEU' is none of Cloudflare's regions in 'us'; those are ENAM, WNAM"),
    ({"health.probe_regions": []}, "health.probe_regions", "at least 1 item"),
    ({"failover.detect_within": 134},
     "failover.detect_within", "a failure may take 135 s to be detected: 2 probes, one every 60 s"),
    ({"failover.home": "us-stanby"}, "failover.home", "there is no site 'us-stanby'; known are us-central, us-standby"),
    ({"failover.active": "eu-frankfurt"}, "failover.active", "there is no site 'eu-frankfurt'"),
    (
        {"failover.moving": {"source": "us-central", "to": "x", "databases": {}, "since": "2026-11-22t18.00.00z"}},
        "failover.moving.to",
        "there is no site 'x'",
    ),
    ({"failover.identifiers": {"x": {"integration": "1"}}}, "failover.identifiers.x", "there is no site 'x'"),
    ({"failover.sites.us-standby.region": "us-lax"},
     f"{STANDBY}.region", "the stack 'us-standby' is in 'us-ord'; write that"),
    ({"failover.sites.us-standby.region": "de-fra-2"}, f"{STANDBY}.region", "outside the jurisdiction 'us'"),
    ({f"{STANDBY}.addresses": {"production": {"api": "api.example"}}},
     f"{STANDBY}.addresses.production.api", "is no IPv4 address"),
    ({f"{STANDBY}.addresses": {"bot-testing": {"api": "192.0.2.7"}}},
     f"{STANDBY}.addresses.bot-testing.api", "api of bot-testing is not published as 'load-balancer'"),
    ({"failover.active": "us-standby", f"{STANDBY}.addresses": ADDRESSES},
     f"{STANDBY}.addresses", "the site is active, and has no address for chat of production"),
    ({"failover.sites.elsewhere": {"region": "us-lax"}},
     "failover.sites.elsewhere", "a site is another stack, and there is none 'elsewhere'"),
    ({"failover.sites.test": {"region": "us-central"}},
     "failover.sites.test", "the stack 'test' is no standby of this one"),
    ({"failover.sites.eu-frankfurt": {"region": "eu-central"}},
     "failover.sites.eu-frankfurt.region", "outside the jurisdiction 'us'"),
    ({"failover.sites.eu-frankfurt": {"region": "eu-central", "addresses": ADDRESSES}},
     "failover.sites.eu-frankfurt.region", "outside the jurisdiction 'us'"),
]  # fmt: skip

WRONG_IN_THE_PLATFORM_FILE: list[tuple[dict[str, Any], str, str]] = [
    ({"roles.api.image": "registry.chat-tonic.example/api:latest"}, "roles.api.image", "pinned by digest"),
    ({"roles.api.image": "registry.chat-tonic.example/api@sha256:abc"}, "roles.api.image", "64 hexadecimal digits"),
    ({"caddy": "docker.io/library/caddy:2"}, "caddy", "pinned by digest"),
    ({"roles.api.port": 443}, "roles.api.port", "greater than or equal to 1024"),
    ({"roles.api.port": 70000}, "roles.api.port", "less than or equal to 65535"),
    ({"roles.api.affinity": "zone"}, "roles.api.affinity", "'none' or 'site'"),
    ({"roles.Api": {}}, "roles.Api", "a name of a-z"),
    ({"roles.api.state": "stateless"}, "roles.api.state", "a role with 'database' is stateful"),
    ({"roles.api.sites": "active-active"}, "roles.api.sites", "served by one site at a time"),
    ({"roles.api.residency": "unrestricted"}, "roles.api.residency", "only a role that is stateless and without"),
    ({"generations.1": "linode/debian99"}, "generations.1", "unknown image 'linode/debian99'"),
    ({"generations.x": "linode/debian12"}, "generations.x", "is not a generation's number"),
    ({"health.timeout": 11}, "health.timeout", "less than or equal to 10"),
    ({"health.retries": 0}, "health.retries", "greater than or equal to 1"),
    ({"health.consecutive_up": 2}, "health.consecutive_up", "2 good probes bring a site back that 2 failed ones took"),
    ({"health.path": "healthz"}, "health.path", "an absolute path"),
    ({"balancer_check.timeout": 5}, "balancer_check.timeout", "not less than the interval of 5 s"),
    ({"registry.host": "-bad host-"}, "registry.host", "a host name"),
    ({f"{API}.count": REMOVED}, f"{API}.count", "is missing: servers in each generation"),
    ({"health": REMOVED}, "health", "is missing"),
    ({"regsitry": {}}, "regsitry", "the nearest known one is 'registry'"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "key", "what"), WRONG_IN_THE_STACK_FILE)
def test_what_is_wrong_in_a_stack_file_is_reported_there(
    folder: Path, changes: dict[str, Any], key: str, what: str
) -> None:
    change_stack(folder, "us-central", changes)
    found = problems(folder)
    assert [p for p in found if p.file == US and p.key == f"chat-tonic:stack.{key}" and what in p.what], found


# A change in the stack file whose contradiction is with a value of the platform file, and is reported at that value.
CONTRADICTIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"ops": None}, f"{PRODUCTION}.database.copies", "need 'ops'"),
    ({"copies": None}, f"{PRODUCTION}.database.copies", "need 'copies'"),
    ({"reboots.hour": 12, "copies.hour": 8}, f"{PRODUCTION}.database.maintenance.hour", "copied from 8:00 to 9:00"),
    ({"zone": None}, f"{PRODUCTION}.publish", "needs the stack's 'zone'"),
    ({"failover.host": "api"}, f"{PRODUCTION}.groups.api.host", "already that of the metadata"),
    ({f"{API}.host": "chat"}, f"{PRODUCTION}.groups.chat.host", "already that of api of production"),
    ({"environments.bot-testing.host_prefix": ""}, "environments.bot-testing.groups.api.host", "already that of"),
    ({"label": "unitedstates"}, f"{PRODUCTION}.groups.customer-service",
     "'unitedstates-prod-customer-service' has 34 characters where 3 to 32 are allowed"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "key", "what"), CONTRADICTIONS)
def test_a_contradiction_is_reported_at_the_platform_files_value(
    folder: Path, changes: dict[str, Any], key: str, what: str
) -> None:
    change_stack(folder, "us-central", changes)
    found = problems(folder)
    assert [p for p in found if p.file == PLATFORM and p.key == key and what in p.what], found


@pytest.mark.parametrize(("changes", "key", "what"), WRONG_IN_THE_PLATFORM_FILE)
def test_what_is_wrong_in_the_platform_file_is_reported_there(
    folder: Path, changes: dict[str, Any], key: str, what: str
) -> None:
    change_platform(folder, changes)
    found = problems(folder)
    assert [p for p in found if p.file == PLATFORM and p.key == key and what in p.what], found


def test_a_probe_with_its_retries_is_over_before_the_next_one(folder: Path) -> None:
    change_platform(folder, {"health.timeout": 10, "health.retries": 4, "health.interval": 60})
    settings.load(folder, "us-central")
    change_platform(folder, {"health.retries": 5})
    (problem,) = problems(folder)
    assert (problem.file, problem.key) == (PLATFORM, "health.timeout")
    assert "a probe takes up to 60 s (10 s, 5 retries), not less than the interval of 60 s" in problem.what


def test_everything_that_is_wrong_is_said_at_once(folder: Path) -> None:
    change_stack(
        folder,
        "us-central",
        {
            "region": "eu-central",
            "zoen": "x",
            f"{API}.count": 0,
            "environments.bot-testing.database.nodes": 2,
        },
    )
    change_platform(folder, {"caddy": "caddy:latest"})
    assert {(p.file, p.key) for p in problems(folder)} == {
        (US, "chat-tonic:stack.region"),
        (US, "chat-tonic:stack.zoen"),
        (US, f"chat-tonic:stack.{API}.count"),
        (PLATFORM, "caddy"),
        (US, "chat-tonic:stack.environments.bot-testing.database.nodes"),
    }


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"config: [", "it is not YAML: line 1"),
        (b"config:\n\tx: 1\n", "it is not YAML: line 2"),
        (b"\xff\xfe", "it is not UTF-8 (byte 0)"),
        (b"- a\n- b\n", "its top is a list"),
        (b"a: 1\nb: 2\na: 3\n", "line 3, column 1: the key 'a' stands twice"),
        (b"a: &x 1\nb: *x\n", "an alias (*name) is not understood here"),
        (b"true: 1\n", "neither a word nor a number"),
        (b"a: !!python/object:os.system x\n", "it is not YAML: line 1"),
        (b"[" * 5000, "nested too deeply"),
        (b"config: 3\n", "config: it holds no keys"),
        (b"config:\n  chat-tonic:stack: us\n", "chat-tonic:stack: holds no keys"),
        (b"", "chat-tonic:stack: is missing"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_by_name(folder: Path, content: bytes, what: str) -> None:
    (folder / US).write_bytes(content)
    (problem,) = problems(folder)
    assert problem.file == US
    assert what in str(problem)


def test_a_stack_without_a_file_names_the_nearest_that_has_one(folder: Path) -> None:
    (problem,) = problems(folder, "us-centrall")
    assert str(problem) == (
        "Pulumi.us-centrall.yaml: there is no stack 'us-centrall'; the nearest known one is 'us-central'"
    )


def test_pools_are_counted_over_all_stack_files(folder: Path) -> None:
    for stack in ("us-central", "eu-frankfurt"):
        change_stack(folder, stack, {"environments.bot-testing.publish": "load-balancer", "failover": None})
    settings.load(folder, "us-central")
    roles = {f"environments.production.groups.extra-{n}": {"count": 1, "plan": "g6-nanode-1", "generations": [1]}
             for n in range(5)}  # fmt: skip
    role = {"image": "r.example/x@sha256:" + "1" * 64, "port": 8080, "database": False, "affinity": "none"}
    change_platform(folder, {f"roles.extra-{n}": dict(role) for n in range(5)})
    change_stack(folder, "us-central", roles)
    (problem,) = problems(folder)
    assert problem.key == "chat-tonic:stack.environments"
    assert "21 pools over all stacks (eu-frankfurt 8, us-central 13), and an account holds 20" in problem.what


def test_another_site_has_a_pool_for_each_name_whether_it_has_addresses_or_not(folder: Path) -> None:
    change_stack(folder, "us-central", {"environments.bot-testing.publish": "load-balancer"})
    (problem,) = problems(folder)
    assert "24 pools over all stacks (eu-frankfurt 8, us-central 16), and an account holds 20" in problem.what


@pytest.mark.parametrize(
    ("changes", "key", "what"),
    [
        ({"standby.of": "us-centrl"},
         "standby.of", "is no other stack with names of its own; those are eu-frankfurt, us-central"),
        ({"standby.of": "us-standby"}, "standby.of", "is no other stack with names of its own"),
        ({"standby.of": "eu-standby"}, "standby.of", "is no other stack with names of its own"),
        ({"standby.of": "eu-frankfurt"}, "standby.of", "is in the jurisdiction 'eu'; a standby never leaves its own"),
        ({"standby.of": "eu-frankfurt"}, "zone", "'eu-frankfurt' has the zone 'chat-tonic-eu.example'; write that"),
        ({"standby": None}, "zone", "is also that of the stack 'us-central'; each has its own, and only a standby"),
        ({"region": "us-central"}, "region", "is also that of 'us-central', and would be lost with it"),
        ({f"{API}.host": "v1"}, f"{API}.host",
         "would answer to v1.chat-tonic-us.example, and 'us-central' sends api.chat-tonic-us.example there"),
        ({"failover": {"detect_within": 180}}, "failover", "a standby has no front"),
        ({"standby.mode": "cold"}, "standby.mode", "'pilot-light', 'warm' or 'active'"),
    ],
)  # fmt: skip
def test_a_standby_serves_the_names_of_another_stack_elsewhere_in_its_jurisdiction(
    folder: Path, changes: dict[str, Any], key: str, what: str
) -> None:
    change_stack(folder, "us-standby", changes)
    found = problems(folder, "us-standby")
    assert [p for p in found if p.key == f"chat-tonic:stack.{key}" and what in p.what], found


def test_a_site_of_another_jurisdiction_serves_only_what_may_leave(folder: Path) -> None:
    change_platform(folder, {"roles.web-chat.residency": "unrestricted"})
    far = {"region": "eu-central", "addresses": {"production": {"web-chat": "192.0.2.7"}}}
    change_stack(folder, "us-central", {"failover.sites.eu-frankfurt": far})
    assert [each.what.partition(";")[0] for each in problems(folder)] == [
        "servers of 'eu-frankfurt' don't answer to web-chat.chat-tonic-us.example"
    ]
    change_stack(folder, "eu-frankfurt", {f"{PRODUCTION}.groups.web-chat.serves": ["web-chat.chat-tonic-us.example"]})
    assert list(settings.load(folder, "us-central").sites("us-central")) == ["us-central", "us-standby", "eu-frankfurt"]
    change_stack(folder, "us-central", {"failover.sites.eu-frankfurt.addresses.production.api": "192.0.2.8"})
    (problem,) = problems(folder)
    assert problem.key == "chat-tonic:stack.failover.sites.eu-frankfurt.region"


def test_the_primary_is_this_site_until_it_is_decided_otherwise_and_serves_until_a_move(folder: Path) -> None:
    def who() -> tuple[str, str]:
        stack = settings.load(folder, "us-central")
        return stack.home("us-central"), stack.active("us-central")

    addresses = dict.fromkeys(("api", "chat", "customer-service"), "192.0.2.7")
    change_stack(folder, "us-central", {f"{STANDBY}.addresses": {"production": addresses}})
    assert who() == ("us-central", "us-central")
    change_stack(folder, "us-central", {"failover.active": "us-standby"})
    assert who() == ("us-central", "us-standby")
    change_stack(folder, "us-central", {"failover.active": None, "failover.home": "us-standby"})
    assert who() == ("us-standby", "us-standby")


def test_a_test_environments_file_is_none_of_the_committed_ones_and_no_two_share_a_label(folder: Path) -> None:
    (folder / "Pulumi.env-trial.yaml").write_bytes((folder / "Pulumi.test.yaml").read_bytes())
    lifetime = {"owner": "trial", "ends": "2026-11-22t18.00.00z"}
    change_stack(folder, "env-trial", {"label": "xtrial", "lifetime": lifetime})
    assert settings.stack_names(folder) == list(STACKS)
    assert settings.test_environments(folder) == ["env-trial"]
    assert settings.load(folder, "env-trial").lifetime == Lifetime(**lifetime)
    (folder / "Pulumi.env-load.yaml").write_bytes((folder / "Pulumi.env-trial.yaml").read_bytes())
    assert [each.what for each in problems(folder, "env-trial")] == [
        "the label 'xtrial' is also that of the stack 'env-load'; choose another"
    ]


def test_what_ends_by_itself_holds_nothing_that_anybody_relies_on(folder: Path) -> None:
    lifetime = {"owner": "trial", "ends": "2026-11-22t18.00.00z"}
    change_stack(folder, "us-central", {"label": "xtrial", "lifetime": lifetime})
    wanted = "a stack with a lifetime is closed, and is ended whole; set this to null"
    assert {each.key.rpartition(".")[2] for each in problems(folder) if each.what == wanted} == {
        "zone",
        "ops",
        "copies",
    }


def test_a_broken_neighbour_does_not_stop_a_stack(folder: Path) -> None:
    (folder / "Pulumi.eu-frankfurt.yaml").write_text("nonsense: [")
    assert settings.load(folder, "us-central").region == "us-central"


def test_a_generation_is_not_added_and_removed_in_one_step(folder: Path) -> None:
    change_platform(folder, {"generations.2": "linode/debian13"})
    deployed = {"generations": settings.generations(settings.load(folder, "us-central"))}
    change_stack(folder, "us-central", {f"{API}.generations": [2]})
    wanted = settings.load(folder, "us-central")
    with pytest.raises(ConfigurationError) as caught:
        settings.check_step("us-central", wanted, deployed)
    (problem,) = caught.value.problems
    assert (problem.file, problem.key) == (US, f"chat-tonic:stack.{API}.generations")
    assert "adds 2 and removes 1 in one step" in problem.what


def test_a_generation_is_added_beside_the_old_one_which_a_second_step_removes(folder: Path) -> None:
    change_platform(folder, {"generations.2": "linode/debian13"})
    steps = []
    for numbers in ([1], [1, 2], [2]):
        change_stack(folder, "us-central", {f"{API}.generations": numbers})
        steps.append(settings.load(folder, "us-central"))
    settings.check_step("us-central", steps[0], {})
    for before, after in itertools.pairwise(steps):
        settings.check_step("us-central", after, {"generations": settings.generations(before)})


def test_the_image_of_a_running_generation_does_not_change(folder: Path) -> None:
    deployed = {"generations": settings.generations(settings.load(folder, "us-central"))}
    change_platform(folder, {"generations.1": "linode/debian13"})
    with pytest.raises(ConfigurationError, match="put the new image into a new generation"):
        settings.check_step("us-central", settings.load(folder, "us-central"), deployed)


@pytest.mark.parametrize(
    ("wanted", "runs", "said"),
    [
        ({"version": 3, "active": "us-standby"}, {"version": 3.0, "active": "us-standby"}, None),
        ({"version": 4}, {"version": 3.0, "active": "us-standby"}, None),
        (
            {},
            {"version": 2.0, "active": "us-standby"},
            "version 1, by which us-central serves; what runs is version 2, by which us-standby serves",
        ),
        (
            {"version": 2},
            {"version": 2.0, "active": "us-standby"},
            "version 2, by which us-central serves; what runs is version 2, by which us-standby serves",
        ),
        (
            {"version": 2},
            {"version": 3.0, "active": "us-central"},
            "version 2, by which us-central serves; what runs is version 3, by which us-central serves",
        ),
        (None, {"version": 3.0, "active": "us-central"}, None),
        (
            None,
            {"version": 3.0, "active": "us-standby"},
            "the section is gone; what runs is version 3, by which us-standby serves",
        ),
    ],
)
def test_files_of_before_a_move_take_no_traffic_back(
    folder: Path, wanted: dict[str, Any] | None, runs: dict[str, Any], said: str | None
) -> None:
    us_central = settings.load(folder, "us-central")
    failover = us_central.failover and us_central.failover.model_copy(update=wanted)
    us_central = us_central.model_copy(update={"failover": None if wanted is None else failover})
    if said is None:
        settings.check_step("us-central", us_central, {"failover": runs})
        return
    with pytest.raises(ConfigurationError) as caught:
        settings.check_step("us-central", us_central, {"failover": runs})
    (problem,) = caught.value.problems
    assert (problem.file, problem.key) == (US, "chat-tonic:stack.failover.version")
    assert said in problem.what


DATABASE = f"{PRODUCTION}.database"


def of_databases(folder: Path, **changes: Any) -> Stack:
    change_stack(folder, "us-central", {f"{DATABASE}.{key}": value for key, value in changes.items()})
    return settings.load(folder, "us-central")


def test_what_is_said_of_a_database_is_said_of_one_that_there_is(folder: Path) -> None:
    fork = {"of": 3, "at": "2026-11-22t18.00.00z"}
    with pytest.raises(ConfigurationError) as caught:
        of_databases(folder, generations=[1, 2], serving=4, forks={2: fork, 5: fork}, restored={"6": "4f1c2ab0"})
    assert {each.key.removeprefix(f"chat-tonic:stack.{DATABASE}.") for each in caught.value.problems} == {
        "serving",
        "forks.2.of",
        "forks.5",
        "forks.5.of",
        "restored.6",
    }
    of_databases(folder, serving=2, forks={2: {**fork, "of": 1}}, restored={})


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        (([1], 1), ([1, 2], 1), None),
        (([1, 2], 1), ([1, 2], 2), None),
        (([1, 2], 2), ([1, 2], 1), None),
        (([1, 2], 2), ([2], 2), None),
        (([1], 1), ([1, 2], 2), "serving: generation 2 is not there yet; make it first, and let it serve then"),
        (([1, 2], 1), ([2], 2), "generations: generation 1 serves, and can't go; let another serve first"),
        (([1, 2], 2), ([2, 3], 2), "generations: adds 3 and removes 1 in one step; add the new one first, and remove "
                                   "the old when the servers use the new (docs/restores.md)"),
    ],
)  # fmt: skip
def test_a_database_is_never_left_before_another_one_serves(
    folder: Path, before: tuple[list[int], int], after: tuple[list[int], int], what: str | None
) -> None:
    deployed = {"databases": settings.databases(of_databases(folder, generations=before[0], serving=before[1]))}
    wanted = of_databases(folder, generations=after[0], serving=after[1])
    try:
        settings.check_step("us-central", wanted, deployed)
        said = None
    except ConfigurationError as error:
        said = str(error).removeprefix(f"{US}: chat-tonic:stack.{DATABASE}.")
    assert said == what


def test_the_inputs_of_a_stack_follow_from_what_it_has(folder: Path) -> None:
    keys = {name: [each.key for each in settings.missing_inputs(folder, name, settings.load(folder, name))]
            for name in ("test", "us-central", "us-standby")}  # fmt: skip
    assert keys["test"] == [
        "linode:token",
        "chat-tonic:authorizedKeys",
        "chat-tonic:registryPassword",
        "chat-tonic:originCertificate",
        "chat-tonic:originKey",
        "chat-tonic:pullCa",
        "chat-tonic:hostKey-internal",
    ]
    assert set(keys["us-central"]) - set(keys["test"]) == {
        "chat-tonic:copiesToken",
        "chat-tonic:copiesKey",
        "chat-tonic:smtp",
        "cloudflare:apiToken",
        "chat-tonic:cloudflareAccountId",
        "chat-tonic:cloudflareZoneId",
        "chat-tonic:pullCertificate",
        "chat-tonic:pullKey",
        "chat-tonic:hostKey-production",
        "chat-tonic:hostKey-bot-testing",
        "chat-tonic:hostKey-ops",
    }
    assert set(keys["us-standby"]) - set(keys["test"]) == {
        "chat-tonic:copiesToken",
        "chat-tonic:copiesKey",
        "chat-tonic:smtp",
        "cloudflare:apiToken",
        "chat-tonic:hostKey-production",
        "chat-tonic:hostKey-ops",
    }


def test_a_secret_in_clear_is_refused_and_not_repeated(folder: Path) -> None:
    path = folder / "Pulumi.test.yaml"
    path.write_text(path.read_text() + "  linode:token: hunter2\n")
    with pytest.raises(ConfigurationError) as caught:
        settings.refuse_wrong_inputs(folder, "test", settings.load(folder, "test"))
    assert "linode:token: it is a secret and stands in clear" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_real_run_refuses_the_committed_placeholders(folder: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings.refuse_placeholders(folder, "us-central", settings.load(folder, "us-central"))
    assert {(p.file, p.key) for p in caught.value.problems} == {
        (US, "chat-tonic:stack.zone"),
        (US, "chat-tonic:stack.alarms.board"),
        (US, "chat-tonic:stack.alarms.on_call"),
        (US, "chat-tonic:stack.admin_sources"),
        (PLATFORM, "registry.host"),
        (PLATFORM, "roles.api.image"),
        (PLATFORM, "roles.chat.image"),
        (PLATFORM, "roles.customer-service.image"),
        (PLATFORM, "roles.web-chat.image"),
    }


_YAML = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(max_size=8),
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text(max_size=8), inner),
    max_leaves=12,
)


@hypothesis_settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=strategies.sampled_from(["region", "zone", "alarms", "copies", "roles", "health", "environments", "nonsense",
                                 "admin_sources", "generations", "environments.production", API, f"{API}.generations"]),
    value=_YAML,
)  # fmt: skip
def test_nonsense_is_refused_in_words_or_accepted_but_never_a_crash(tmp_path: Path, key: str, value: Any) -> None:
    folder = copy_of_the_committed_files(tmp_path / "nonsense")
    change_stack(folder, "us-central", {key: value})
    try:
        settings.load(folder, "us-central")
    except ConfigurationError as error:
        assert all(problem.what for problem in error.problems)  # noqa: PT017 - being accepted is right too
