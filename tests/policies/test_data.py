"""Rules about what holds data."""

from dataclasses import replace

import pytest

from policies.resource import UNKNOWN
from tests.policies.asking import found, resource


@pytest.mark.parametrize("kind", ["linode:DatabasePostgresqlV2", "linode:ObjectStorageBucket", "linode:Volume"])
def test_what_holds_data_is_protected(kind: str) -> None:
    assert found("protection", resource(kind)) == [
        "it holds data and an update could delete it; declare it with `protect=True`"
    ]
    assert found("protection", replace(resource(kind), protected=True)) == []


def test_a_server_needs_no_protection() -> None:
    assert found("protection", resource("linode:Instance")) == []


@pytest.mark.parametrize(
    ("rule", "kind", "name", "good", "bad"),
    [
        ("backups", "linode:Instance", "backupsEnabled", True, False),
        ("encryption", "linode:Instance", "diskEncryption", "enabled", "disabled"),
        ("encryption", "linode:Volume", "encryption", "enabled", "disabled"),
        ("closed", "linode:Firewall", "inboundPolicy", "DROP", "ACCEPT"),
        ("closed", "linode:ObjectStorageBucket", "acl", "private", "public-read"),
        ("closed", "cloudflare:LoadBalancer", "proxied", True, False),
        ("closed", "cloudflare:AuthenticatedOriginPullsSettings", "enabled", True, False),
    ],
)
def test_a_required_value_is_refused_where_it_differs_or_is_not_said(
    rule: str, kind: str, name: str, good: object, bad: object
) -> None:
    assert found(rule, resource(kind, **{name: bad})) == [f"its `{name}` is {bad!r}; write {good!r}"]
    assert found(rule, resource(kind)) == [f"its `{name}` is not set; write {good!r}"]
    assert found(rule, resource(kind, **{name: good})) == []
    assert found(rule, resource(kind, **{name: UNKNOWN})) == []
    assert found(rule, resource("linode:NodeBalancerNode", **{name: bad})) == []


def test_addresses_are_published_through_cloudflare_and_texts_are_nobodys_door() -> None:
    assert found("closed", resource("cloudflare:DnsRecord", type="A", proxied=False)) == [
        "its `proxied` is False; write True"
    ]
    assert found("closed", resource("cloudflare:DnsRecord", type="A", proxied=True)) == []
    assert found("closed", resource("cloudflare:DnsRecord", type="TXT")) == []


def test_a_zone_asks_origins_for_a_valid_certificate() -> None:
    setting = {"settingId": "ssl", "value": "flexible"}
    assert found("closed", resource("cloudflare:ZoneSetting", **setting)) == [
        "its `value` is 'flexible'; write 'strict'"
    ]
    assert found("closed", resource("cloudflare:ZoneSetting", settingId="min_tls_version", value="1.2")) == []


@pytest.mark.parametrize("accesses", [{}, {"bucketAccesses": []}, {"regions": ["us-ord"]}])
def test_a_key_that_names_no_bucket_is_refused(accesses: dict[str, object]) -> None:
    assert found("keys", resource("linode:ObjectStorageKey", **accesses)) == [
        "it opens every bucket of the account; name those that it is for in `bucket_accesses`"
    ]


@pytest.mark.parametrize("accesses", [UNKNOWN, [{"bucketName": "copies", "region": "us-ord"}]])
def test_a_key_that_names_its_buckets_passes(accesses: object) -> None:
    assert found("keys", resource("linode:ObjectStorageKey", bucketAccesses=accesses)) == []
