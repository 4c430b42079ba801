"""Cloudflare's rules, in the model: both doors obey them. Each refusal is the API's own error."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import cloudflare, process
from sandbox.cloudflare import alerting, dns, health_checks, load_balancing, origin_pulls, workers, zones
from sandbox.model import Body, Model, Refused
from sandbox.store import Store
from tests.sandbox import bodies
from tests.sandbox.bodies import ZONE, ZONE_ID, Cloud


@pytest.fixture
def cloud(model: Model) -> Cloud:
    return Cloud(model, process.CLOUDFLARE)


def refusal(call: Callable[[], Any], status: int = 400) -> list[tuple[int, str]]:
    with pytest.raises(Refused) as refused:
        call()
    assert refused.value.status == status
    body = cloudflare.error_body(refused.value)
    assert body.items() >= {"success": False, "messages": [], "result": None}.items()
    return [(error["code"], error["message"]) for error in body["errors"]]


@pytest.mark.parametrize(
    ("kind", "body", "code", "message"),
    [
        (load_balancing.MONITOR, bodies.monitor(interval=14), 1002, "interval: must be between 15 and 3600"),
        (load_balancing.MONITOR, bodies.monitor(interval=-60), 1002, "interval: must be between 15 and 3600"),
        (
            load_balancing.MONITOR,
            bodies.monitor(interval=15, timeout=6),
            1002,
            "interval: must be larger than (retries + 1) * timeout",
        ),
        (load_balancing.MONITOR, bodies.monitor(port=70_000), 1002, "port: must be between 0 and 65535"),
        (load_balancing.MONITOR, bodies.monitor(account_id="another"), 10_000, "Authentication error"),
        (load_balancing.POOL, bodies.pool(origins=[]), 1002, "origins: must have 1 to 20 origins"),
        (
            load_balancing.POOL,
            bodies.pool(origins=[{"name": "a", "address": "300.1.1.1"}]),
            1002,
            "origins.address: 300.1.1.1 is not a valid address",
        ),
        (load_balancing.POOL, bodies.pool(monitor="none"), 1002, "monitor: could not find monitor none"),
        (load_balancing.POOL, bodies.pool(name="us api"), 1002, "name: only letters, digits, _ and - are allowed"),
        (load_balancing.POOL, bodies.pool(check_regions=["MARS"]), 1002, "check_regions: MARS is not a region"),
        (
            load_balancing.LOAD_BALANCER,
            bodies.load_balancer({"id": "none"}),
            1002,
            "default_pools: could not find pool none",
        ),
        (
            load_balancing.LOAD_BALANCER,
            bodies.load_balancer({"id": "none"}, name="api.elsewhere.example"),
            1002,
            f"name: must be in the zone {ZONE}",
        ),
        (
            workers.SCRIPT,
            bodies.worker(script_name="Us failover"),
            1002,
            "script_name: Worker names are of lower-case letters, digits, dashes and underscores, 63 at most",
        ),
        (workers.SCRIPT, bodies.worker(account_id="another"), 10_000, "Authentication error"),
        (
            workers.ROUTE,
            bodies.route(pattern=f"failover.not{ZONE}/*"),
            10_022,
            f"Route pattern must include zone name {ZONE}",
        ),
        (
            workers.ROUTE,
            bodies.route(),
            10_019,
            "Cannot configure a route for a Worker which does not exist. "
            "Please ensure this Worker exists and try again.",
        ),
        (health_checks.NAME, bodies.health_check(interval=4), 1002, "interval: must be between 5 and 3600"),
        (
            health_checks.NAME,
            bodies.health_check(type="HTTPS"),
            1002,
            "tcp_config: may not be set for type HTTPS",
        ),
        (health_checks.NAME, bodies.health_check(check_regions=["SAS"]), 1002, "check_regions: SAS is not a region"),
        (dns.NAME, bodies.dns_record(content="api"), 9005, "content: Content for A record is invalid."),
        (dns.NAME, bodies.dns_record(content="2001:db8::1"), 9005, "content: Content for A record is invalid."),
        (dns.NAME, bodies.dns_record(ttl=300), 9041, "ttl: must be set to 1 when `proxied` is true"),
        (
            dns.NAME,
            bodies.dns_record(ttl=3, proxied=False),
            9021,
            "ttl: must be between 60 and 86400 seconds, or 1 for Automatic.",
        ),
        (dns.NAME, bodies.dns_record(name="api.elsewhere.example"), 1002, f"name: must be in the zone {ZONE}"),
        (
            dns.NAME,
            bodies.dns_record(type="TXT", content="words"),
            9004,
            "proxied: TXT records can't be proxied.",
        ),
        (
            alerting.NAME,
            bodies.notification_policy(mechanisms={}),
            17_103,
            "mechanisms: at least one mechanism is required",
        ),
        (
            alerting.NAME,
            bodies.notification_policy(mechanisms={"email": [{"id": "board"}]}),
            17_103,
            "mechanisms.email: board is not an e-mail address",
        ),
        (
            origin_pulls.CERTIFICATE,
            bodies.origin_certificate(certificate="words"),
            1408,
            "certificate: The certificate is not a PEM certificate",
        ),
        (
            origin_pulls.CERTIFICATE,
            bodies.origin_certificate(private_key="words"),
            1408,
            "private_key: The private key is not a PEM key",
        ),
    ],
)
def test_a_wrong_field_is_refused_with_its_code_and_nothing_is_made(
    cloud: Cloud, kind: str, body: Body, code: int, message: str
) -> None:
    assert refusal(lambda: cloud.make(kind, body)) == [(code, message)]
    assert cloud.model.select(cloud.account, kind) == []


def test_what_belongs_to_no_zone_of_the_account_is_not_found(cloud: Cloud) -> None:
    wrong = bodies.dns_record(zone_id="0" * 32)
    assert refusal(lambda: cloud.make(dns.NAME, wrong), status=404) == [(1001, "Not found")]


def test_pool_origins_are_answered_sorted_by_name_and_with_the_apis_defaults(cloud: Cloud) -> None:
    origins = [{"name": name, "address": "198.18.0.1"} for name in ("zulu", "alpha")]
    made = cloud.make(load_balancing.POOL, bodies.pool(origins=origins))
    assert made["origins"] == [
        {"enabled": True, "weight": 1, "name": name, "address": "198.18.0.1"} for name in ("alpha", "zulu")
    ]
    assert made["minimum_origins"] == 1


def test_a_monitor_without_fields_has_the_apis_defaults(cloud: Cloud) -> None:
    made = cloud.make(load_balancing.MONITOR, {"account_id": process.CLOUDFLARE})
    assert {name: made[name] for name in ("type", "interval", "timeout", "retries", "method", "path")} == {
        "type": "http",
        "interval": 60,
        "timeout": 5,
        "retries": 2,
        "method": "GET",
        "path": "/",
    }


def test_the_weight_of_pools_that_have_none_is_in_tenths(cloud: Cloud) -> None:
    pool = cloud.make(load_balancing.POOL, bodies.pool())
    wrong = bodies.load_balancer(pool, random_steering={"default_weight": 0.65})
    refused = refusal(lambda: cloud.make(load_balancing.LOAD_BALANCER, wrong))
    assert refused == [(1002, "random_steering.default_weight: must be between 0 and 1, in tenths")]


def test_what_is_in_use_is_kept(cloud: Cloud) -> None:
    monitor = cloud.make(load_balancing.MONITOR, bodies.monitor())
    pool = cloud.make(load_balancing.POOL, bodies.pool(monitor=monitor["id"]))
    balancer = cloud.make(load_balancing.LOAD_BALANCER, bodies.load_balancer(pool))
    assert refusal(lambda: cloud.drop(load_balancing.POOL, pool["id"]), status=412) == [
        (1005, "pool is in use: it is referenced by a load balancer")
    ]
    assert refusal(lambda: cloud.drop(load_balancing.MONITOR, monitor["id"]), status=412) == [
        (1005, "monitor is in use: it is referenced by a pool")
    ]
    cloud.drop(load_balancing.LOAD_BALANCER, balancer["id"])
    cloud.drop(load_balancing.POOL, pool["id"])
    cloud.drop(load_balancing.MONITOR, monitor["id"])


def test_a_pool_named_only_by_a_region_is_in_use_too(cloud: Cloud) -> None:
    pools = [cloud.make(load_balancing.POOL, bodies.pool(name=name)) for name in ("one", "two")]
    body = bodies.load_balancer(pools[0], region_pools={"WEU": [pools[1]["id"]]})
    made = cloud.make(load_balancing.LOAD_BALANCER, body)
    assert made["steering_policy"] == "geo"
    assert refusal(lambda: cloud.drop(load_balancing.POOL, pools[1]["id"]), status=412)[0][0] == 1005


def test_an_account_has_twenty_pools_and_twenty_load_balancers(cloud: Cloud) -> None:
    pools = [cloud.make(load_balancing.POOL, bodies.pool(name=f"pool-{number}")) for number in range(20)]
    assert refusal(lambda: cloud.make(load_balancing.POOL, bodies.pool())) == [
        (1006, "You have reached your limit of pools")
    ]
    for number in range(20):
        body = bodies.load_balancer(pools[number], name=f"api-{number}.{ZONE}")
        cloud.make(load_balancing.LOAD_BALANCER, body)
    assert refusal(lambda: cloud.make(load_balancing.LOAD_BALANCER, bodies.load_balancer(pools[0]))) == [
        (1006, "You have reached your limit of load balancers")
    ]


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        (load_balancing.POOL, bodies.pool(), 1002),
        (health_checks.NAME, bodies.health_check(), 1002),
        (dns.NAME, bodies.dns_record(), 81_058),
        (origin_pulls.CERTIFICATE, bodies.origin_certificate(), 1406),
    ],
)
def test_what_is_there_already_is_not_made_twice(cloud: Cloud, kind: str, body: Body, code: int) -> None:
    cloud.make(kind, body)
    assert refusal(lambda: cloud.make(kind, body))[0][0] == code


def test_a_name_has_a_cname_or_other_records(cloud: Cloud) -> None:
    cloud.make(dns.NAME, bodies.dns_record())
    cloud.make(dns.NAME, bodies.dns_record(content="198.18.0.2"))
    alias = bodies.dns_record(type="CNAME", content=f"api.{ZONE}")
    assert (
        refusal(lambda: cloud.make(dns.NAME, alias))
        == [(81_053, f"An A, AAAA, or CNAME record with that host already exists: A bots-api.{ZONE}.")] * 2
    )


def test_a_load_balancer_and_a_record_may_have_one_name(cloud: Cloud) -> None:
    pool = cloud.make(load_balancing.POOL, bodies.pool())
    cloud.make(dns.NAME, bodies.dns_record(name=f"api.{ZONE}"))
    assert cloud.make(load_balancing.LOAD_BALANCER, bodies.load_balancer(pool))["name"] == f"api.{ZONE}"


def test_a_health_check_knows_nothing_until_its_first_probe_came_back(tmp_path: Path) -> None:
    slow = Model(Store(tmp_path / "slow.sqlite", latency=1.0), cloudflare.KINDS)
    zones.ensure(slow, process.CLOUDFLARE, [ZONE], origin_pulls.settings_of)
    cloud = Cloud(slow, process.CLOUDFLARE)
    made = cloud.make(health_checks.NAME, bodies.health_check(interval=60))
    assert made["status"] == "unknown"
    slow.move(61)
    assert cloud.get(health_checks.NAME, made["id"])["status"] == "healthy"


def test_a_zones_settings_are_there_from_the_start_and_take_known_values_only(cloud: Cloud) -> None:
    setting = f"{ZONE_ID}/ssl"
    assert cloud.get(zones.SETTING, setting)["value"] == "full"
    assert cloud.change(zones.SETTING, setting, value="strict")["value"] == "strict"
    assert refusal(lambda: cloud.change(zones.SETTING, setting, value="tight")) == [
        (1007, "Invalid value for zone setting ssl")
    ]
    assert cloud.get(origin_pulls.SETTINGS, ZONE_ID)["enabled"] is False


def test_an_origin_pull_certificate_is_described_and_its_key_is_never_answered(cloud: Cloud) -> None:
    made = cloud.make(origin_pulls.CERTIFICATE, bodies.origin_certificate())
    assert (made["issuer"], made["serial_number"], made["status"]) == ("CN=pull", "7", "active")
    whole = cloud.model.read_whole(cloud.account, origin_pulls.CERTIFICATE, made["id"])
    assert "private_key" not in whole


def test_a_key_of_another_certificate_is_refused(cloud: Cloud) -> None:
    bodies.certificate.cache_clear()
    another = bodies.certificate()[1]
    bodies.certificate.cache_clear()
    wrong = bodies.origin_certificate(private_key=another)
    assert refusal(lambda: cloud.make(origin_pulls.CERTIFICATE, wrong)) == [
        (1408, "private_key: The private key does not belong to the certificate")
    ]
