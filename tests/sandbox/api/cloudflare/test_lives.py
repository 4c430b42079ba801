"""The whole life of every kind, by the official client: made, shown, listed, replaced, changed, deleted, gone."""

from datetime import datetime
from typing import Any

import cloudflare
import pytest
from cloudflare import Cloudflare

from tests.sandbox import bodies
from tests.sandbox.api.box import Box
from tests.sandbox.bodies import ACCOUNT, ZONE, ZONE_ID

_ORIGINS: Any = [{"name": name, "address": "198.18.0.1"} for name in ("zulu", "alpha")]


def _gone(call: Any, code: int = 1001) -> None:
    with pytest.raises(cloudflare.NotFoundError) as refused:
        call()
    assert [error.code for error in refused.value.errors] == [code]


def test_the_life_of_a_dns_record(client: Cloudflare) -> None:
    records = client.dns.records
    made: Any = records.create(
        zone_id=ZONE_ID, name=f"a.{ZONE}", type="A", content="198.18.0.1", ttl=1, proxied=True, comment="first"
    )
    assert isinstance(made.created_on, datetime)
    assert (made.name, made.proxied, made.proxiable, made.comment, made.tags) == (f"a.{ZONE}", True, True, "first", [])
    assert not hasattr(made, "zone_id")
    assert records.get(made.id, zone_id=ZONE_ID) == made
    assert [found.id for found in records.list(zone_id=ZONE_ID)] == [made.id]
    replaced: Any = records.update(made.id, zone_id=ZONE_ID, name=f"a.{ZONE}", type="A", content="198.18.0.2", ttl=300)
    assert (replaced.id, replaced.content, replaced.ttl) == (made.id, "198.18.0.2", 300)
    assert (replaced.proxied, replaced.comment) == (False, None), (
        "what a replacement does not say is as it was at first"
    )
    changed: Any = records.edit(made.id, zone_id=ZONE_ID, name=f"a.{ZONE}", type="A", ttl=300, comment="second")
    assert (changed.content, changed.comment) == ("198.18.0.2", "second")
    assert changed.modified_on > changed.created_on
    deleted = records.delete(made.id, zone_id=ZONE_ID)
    assert deleted is not None
    assert deleted.id == made.id
    _gone(lambda: records.get(made.id, zone_id=ZONE_ID), 81_044)
    _gone(lambda: records.delete(made.id, zone_id=ZONE_ID), 81_044)
    assert records.list(zone_id=ZONE_ID).result == []


def test_the_lives_of_a_monitor_a_pool_and_a_load_balancer(client: Cloudflare) -> None:
    monitors, pools, balancers = client.load_balancers.monitors, client.load_balancers.pools, client.load_balancers
    monitor = monitors.create(account_id=ACCOUNT, type="https", port=443, header={"Host": [f"api.{ZONE}"]})
    assert (monitor.path, monitor.expected_codes, monitor.interval) == ("/", "200", 60)
    assert monitor.id is not None
    pool = pools.create(account_id=ACCOUNT, name="us-api", origins=_ORIGINS, monitor=monitor.id)
    assert pool.id is not None
    assert [origin.name for origin in pool.origins or ()] == ["alpha", "zulu"]
    balancer = balancers.create(
        zone_id=ZONE_ID, name=f"api.{ZONE}", default_pools=[pool.id], fallback_pool=pool.id, proxied=True
    )
    assert balancer.id is not None
    assert (balancer.zone_name, balancer.steering_policy, balancer.session_affinity) == (ZONE, "off", "none")
    assert not hasattr(pool, "account_id")

    assert monitors.get(monitor.id, account_id=ACCOUNT) == monitor
    assert pools.get(pool.id, account_id=ACCOUNT) == pool
    assert balancers.get(balancer.id, zone_id=ZONE_ID) == balancer
    assert [found.id for found in monitors.list(account_id=ACCOUNT)] == [monitor.id]
    assert [found.id for found in pools.list(account_id=ACCOUNT, monitor=monitor.id)] == [pool.id]
    assert pools.list(account_id=ACCOUNT, monitor="none").result == []
    assert [found.id for found in balancers.list(zone_id=ZONE_ID)] == [balancer.id]

    used: Any = [
        *pools.references.get(pool.id, account_id=ACCOUNT),
        *monitors.references.get(monitor.id, account_id=ACCOUNT),
    ]
    assert [(each.reference_type, each.resource_type, each.resource_name) for each in used] == [
        ("referrer", "load_balancer", f"api.{ZONE}"),
        ("referrer", "pool", "us-api"),
    ]

    assert monitors.edit(monitor.id, account_id=ACCOUNT, interval=90).interval == 90
    replaced = monitors.update(monitor.id, account_id=ACCOUNT, type="tcp", port=443)
    assert (replaced.type, replaced.interval) == ("tcp", 60)
    assert pools.edit(pool.id, account_id=ACCOUNT, enabled=False).enabled is False
    assert pools.update(pool.id, account_id=ACCOUNT, name="us-api", origins=_ORIGINS).enabled is True
    changed = balancers.edit(balancer.id, zone_id=ZONE_ID, session_affinity="cookie", session_affinity_ttl=1800)
    assert (changed.session_affinity, changed.proxied) == ("cookie", True)
    plain = balancers.update(
        balancer.id, zone_id=ZONE_ID, name=f"api.{ZONE}", default_pools=[pool.id], fallback_pool=pool.id
    )
    assert (plain.session_affinity, plain.proxied) == ("none", False)

    assert balancers.delete(balancer.id, zone_id=ZONE_ID).id == balancer.id
    assert pools.delete(pool.id, account_id=ACCOUNT).id == pool.id
    assert monitors.delete(monitor.id, account_id=ACCOUNT).id == monitor.id
    _gone(lambda: balancers.get(balancer.id or "", zone_id=ZONE_ID))
    _gone(lambda: pools.get(pool.id or "", account_id=ACCOUNT))
    _gone(lambda: monitors.get(monitor.id or "", account_id=ACCOUNT))


def test_what_is_in_use_is_kept(client: Cloudflare) -> None:
    monitor = client.load_balancers.monitors.create(account_id=ACCOUNT)
    pool: Any = client.load_balancers.pools.create(
        account_id=ACCOUNT, name="us-api", origins=_ORIGINS, monitor=monitor.id or ""
    )
    client.load_balancers.create(zone_id=ZONE_ID, name=f"api.{ZONE}", default_pools=[pool.id], fallback_pool=pool.id)
    for call in (
        lambda: client.load_balancers.pools.delete(pool.id, account_id=ACCOUNT),
        lambda: client.load_balancers.monitors.delete(monitor.id or "", account_id=ACCOUNT),
    ):
        with pytest.raises(cloudflare.APIStatusError) as refused:
            call()
        assert refused.value.status_code == 412
        assert [error.code for error in refused.value.errors] == [1005]


def test_the_life_of_a_health_check(client: Cloudflare) -> None:
    checks: Any = client.healthchecks
    made = checks.create(zone_id=ZONE_ID, name="bots-api", address="198.18.0.1", type="TCP", tcp_config={"port": 443})
    assert (made.interval, made.retries, made.status) == (60, 2, "healthy")
    assert (made.tcp_config.method, made.tcp_config.port, made.http_config) == ("connection_established", 443, None)
    assert checks.get(made.id, zone_id=ZONE_ID) == made
    assert [found.id for found in checks.list(zone_id=ZONE_ID)] == [made.id]
    changed = checks.edit(made.id, zone_id=ZONE_ID, name="bots-api", address="198.18.0.1", suspended=True)
    assert (changed.status, changed.type) == ("suspended", "TCP")
    replaced = checks.update(made.id, zone_id=ZONE_ID, name="bots-api", address="198.18.0.1")
    assert (replaced.type, replaced.suspended, replaced.http_config.path) == ("HTTP", False, "/")
    assert replaced.tcp_config is None
    assert checks.delete(made.id, zone_id=ZONE_ID).id == made.id
    _gone(lambda: checks.get(made.id, zone_id=ZONE_ID))


def test_the_life_of_a_notification_policy(client: Cloudflare, box: Box) -> None:
    policies: Any = client.alerting.policies
    wanted = {
        "account_id": ACCOUNT,
        "name": "pool health",
        "alert_type": "load_balancing_health_alert",
        "mechanisms": {"email": [{"id": f"board@{ZONE}"}]},
        "enabled": True,
    }
    made = policies.create(**wanted, filters={"pool_id": ["one"]})
    assert set(made.to_dict()) == {"id"}
    found = policies.get(made.id, account_id=ACCOUNT)
    assert (found.name, found.filters.pool_id, found.mechanisms.email[0].id) == (
        "pool health",
        ["one"],
        f"board@{ZONE}",
    )
    assert isinstance(found.created, datetime)
    assert [each.id for each in policies.list(account_id=ACCOUNT)] == [made.id]
    assert set(policies.update(made.id, **{**wanted, "name": "pools"}).to_dict()) == {"id"}
    replaced = policies.get(made.id, account_id=ACCOUNT)
    assert (replaced.name, replaced.filters) == ("pools", None)
    refused = box.ask("cloudflare", "PATCH", f"/accounts/{ACCOUNT}/alerting/v3/policies/{made.id}", json={})
    assert refused.status_code == 405
    assert policies.delete(made.id, account_id=ACCOUNT).success is True
    _gone(lambda: policies.get(made.id, account_id=ACCOUNT))


def test_the_life_of_an_origin_pull_certificate_and_its_key_is_never_read_back(client: Cloudflare, box: Box) -> None:
    pulls: Any = client.origin_tls_client_auth.zone_certificates
    certificate, key = bodies.certificate()
    made = pulls.create(zone_id=ZONE_ID, certificate=certificate, private_key=key)
    assert (made.issuer, made.status, made.certificate) == ("CN=pull", "active", certificate)
    assert pulls.get(made.id, zone_id=ZONE_ID).to_dict() == made.to_dict()
    assert [found.id for found in pulls.list(zone_id=ZONE_ID)] == [made.id]
    for path in ("", f"/{made.id}"):
        said = box.ask("cloudflare", "GET", f"/zones/{ZONE_ID}/origin_tls_client_auth{path}").text
        assert "private_key" not in said
        assert "PRIVATE KEY" not in said
    assert b"PRIVATE KEY" not in box.running.file.read_bytes()
    assert pulls.delete(made.id, zone_id=ZONE_ID).status == "pending_deletion"
    _gone(lambda: pulls.get(made.id, zone_id=ZONE_ID))


def test_the_lives_of_a_worker_and_its_route(client: Cloudflare) -> None:
    scripts, routes = client.workers.scripts, client.workers.routes
    wanted = bodies.worker()
    for text in (wanted["content"], wanted["content"].replace("é", "ü\n")):  # an upload makes, and it replaces
        made = scripts.update(
            "us-failover",
            account_id=ACCOUNT,
            metadata={"main_module": "failover.mjs", "compatibility_date": "2026-01-01"},
            files=[("failover.mjs", text.encode(), "application/javascript+module")],
        )
        assert (made.id, made.has_modules) == ("us-failover", True)
        read = scripts.content.get("us-failover", account_id=ACCOUNT)
        assert read.read().decode().split("\r\n\r\n", 1)[1].split("\r\n--")[0] == text
    settings: Any = scripts.script_and_version_settings.get("us-failover", account_id=ACCOUNT)
    assert (settings.compatibility_date, settings.bindings) == ("2026-01-01", [])
    assert [found.id for found in scripts.list(account_id=ACCOUNT)] == ["us-failover"]

    route: Any = routes.create(zone_id=ZONE_ID, pattern=f"failover.{ZONE}/*", script="us-failover")
    assert routes.get(route.id, zone_id=ZONE_ID).to_dict() == route.to_dict()
    assert [found.pattern for found in routes.list(zone_id=ZONE_ID)] == [f"failover.{ZONE}/*"]
    assert routes.update(route.id, zone_id=ZONE_ID, pattern=f"failover.{ZONE}/*").script is None
    routes.delete(route.id, zone_id=ZONE_ID)
    _gone(lambda: routes.get(route.id, zone_id=ZONE_ID), 10_007)
    scripts.delete("us-failover", account_id=ACCOUNT)
    _gone(lambda: scripts.content.get("us-failover", account_id=ACCOUNT), 10_007)
    assert scripts.list(account_id=ACCOUNT).result == []


@pytest.mark.parametrize(
    ("metadata", "code"), [({"main_module": "other.mjs"}, 10_021), ({"main_module": "a.mjs", "tags": ["a"]}, 1_002)]
)
def test_a_worker_whose_form_is_wrong_or_not_served_is_refused(client: Cloudflare, metadata: Any, code: int) -> None:
    with pytest.raises(cloudflare.BadRequestError) as refused:
        client.workers.scripts.update("a", account_id=ACCOUNT, metadata=metadata, files=[("a.mjs", b"")])
    assert [error.code for error in refused.value.errors] == [code]


def test_a_zone_pulls_with_its_own_certificate_when_told_to(client: Cloudflare) -> None:
    settings: Any = client.origin_tls_client_auth.settings
    assert settings.get(zone_id=ZONE_ID).enabled is False
    assert settings.update(zone_id=ZONE_ID, enabled=True).enabled is True
    assert settings.get(zone_id=ZONE_ID).enabled is True
    assert settings.update(zone_id=ZONE_ID, enabled=False).enabled is False


def test_a_zones_settings_are_read_and_changed(client: Cloudflare, box: Box) -> None:
    settings: Any = client.zones.settings
    assert settings.get("ssl", zone_id=ZONE_ID).value == "full"
    assert settings.edit("ssl", zone_id=ZONE_ID, value="strict").value == "strict"
    found = box.ask("cloudflare", "GET", f"/zones/{ZONE_ID}/settings").json()["result"]
    assert {"id": "ssl", "value": "strict"}.items() <= next(each for each in found if each["id"] == "ssl").items()
    assert all(set(each) == {"id", "value", "editable", "modified_on"} for each in found)
    with pytest.raises(cloudflare.BadRequestError) as refused:
        settings.edit("ssl", zone_id=ZONE_ID, value="tight")
    assert [error.code for error in refused.value.errors] == [1007]
    header = {"strict_transport_security": {"enabled": True, "max_age": 86_400}}
    assert settings.edit("security_header", zone_id=ZONE_ID, value=header).value.to_dict() == header
    settings.edit("ssl", zone_id=ZONE_ID, value="full")
    _gone(lambda: settings.get("weather", zone_id=ZONE_ID))


def test_zones_and_the_account_are_only_read(client: Cloudflare, box: Box) -> None:
    (zone,) = client.zones.list(name=ZONE)
    assert (zone.id, zone.name, zone.status, zone.account.id) == (ZONE_ID, ZONE, "active", ACCOUNT)
    assert client.zones.get(zone_id=ZONE_ID) == zone
    assert client.zones.list(name="elsewhere.example").result == []
    assert [found.id for found in client.zones.list(account={"id": ACCOUNT})] == [ZONE_ID]
    assert client.zones.list(account={"id": "another"}).result == []
    (account,) = client.accounts.list()
    assert account.id == ACCOUNT
    assert client.accounts.get(account_id=ACCOUNT) == account
    for method, path in (("POST", "/zones"), ("DELETE", f"/zones/{ZONE_ID}"), ("POST", "/accounts")):
        assert box.ask("cloudflare", method, path, json={}).status_code == 405


def test_a_token_is_verified(client: Cloudflare) -> None:
    found = client.user.tokens.verify()
    assert found is not None
    assert (found.status, len(found.id)) == ("active", 32)


def test_the_address_ranges_are_those_that_the_engine_is_told(client: Cloudflare) -> None:
    found: Any = client.ips.list()
    assert "173.245.48.0/20" in found.ipv4_cidrs
    assert "2400:cb00::/32" in found.ipv6_cidrs
