"""Lists: pages of hundreds, filters, order; and the kinds whose lists come whole."""

from typing import Any

import pytest
from cloudflare import BadRequestError, Cloudflare

from tests.sandbox.api.box import CLOUDFLARE, Box
from tests.sandbox.bodies import ACCOUNT, ZONE, ZONE_ID

_MANY = 520


def _fill(box: Box, count: int) -> None:
    for number in range(count):
        body = {"name": f"n-{number:03}.{ZONE}", "type": "A", "content": "198.18.0.1", "ttl": 60 + number % 3}
        assert box.ask(CLOUDFLARE, "POST", f"/zones/{ZONE_ID}/dns_records", json=body).status_code == 200


def test_more_records_than_any_page_holds_are_all_listed_once(client: Cloudflare, box: Box) -> None:
    _fill(box, _MANY)
    records = client.dns.records
    for options in ({}, {"per_page": 7}, {"per_page": 5_000}):
        listed: Any = [found.name for found in records.list(zone_id=ZONE_ID, **options)]  # type: ignore[arg-type]
        assert listed == [f"n-{number:03}.{ZONE}" for number in range(_MANY)]
    page = box.ask(CLOUDFLARE, "GET", f"/zones/{ZONE_ID}/dns_records").json()
    assert page["result_info"] == {"page": 1, "per_page": 100, "count": 100, "total_count": 520, "total_pages": 6}
    assert records.list(zone_id=ZONE_ID, page=7).result == []
    chosen: Any = [found.name for found in records.list(zone_id=ZONE_ID, name={"contains": "N-01"}, per_page=5)]
    assert chosen == [f"n-01{digit}.{ZONE}" for digit in range(10)]


@pytest.fixture
def few(box: Box) -> None:
    path = f"/zones/{ZONE_ID}/dns_records"
    for name, kind, content, comment in (
        ("b", "A", "198.18.0.2", "Board"),
        ("a", "A", "198.18.0.1", None),
        ("c", "TXT", "words", "second"),
    ):
        body = {"name": f"{name}.{ZONE}", "type": kind, "content": content, "comment": comment}
        assert box.ask(CLOUDFLARE, "POST", path, json=body).status_code == 200


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"type": "A"}, "ab"),
        ({"name": {"exact": f"a.{ZONE}"}}, "a"),
        ({"name": {"startswith": "b."}}, "b"),
        ({"name": {"endswith": ZONE}}, "abc"),
        ({"content": {"contains": "WORD"}}, "c"),
        ({"comment": {"absent": "true"}}, "a"),
        ({"comment": {"present": "true"}}, "bc"),
        ({"comment": {"exact": "board"}}, "b"),
        ({"proxied": False}, "abc"),
        ({"proxied": True}, ""),
        ({"type": "TXT", "content": {"exact": "198.18.0.1"}}, ""),
        ({"type": "TXT", "content": {"exact": "198.18.0.1"}, "match": "any"}, "ac"),
        ({"order": "name", "direction": "desc"}, "cba"),
        ({"order": "content"}, "abc"),
    ],
)
def test_records_are_filtered_and_ordered(client: Cloudflare, asked: dict[str, Any], found: str) -> None:
    listed: Any = client.dns.records.list(zone_id=ZONE_ID, **asked)
    assert "".join(record.name[0] for record in listed) == found


def test_what_is_no_field_is_skipped(box: Box) -> None:
    assert len(box.ask(CLOUDFLARE, "GET", "/zones?weather=fine").json()["result"]) == 1


def test_the_other_clouds_header_means_nothing(box: Box) -> None:
    assert box.ask(CLOUDFLARE, "GET", "/zones", headers={"X-Filter": "{"}).status_code == 200


def test_kinds_that_are_not_paged_come_whole(client: Cloudflare) -> None:
    for number in range(25):
        client.load_balancers.monitors.create(account_id=ACCOUNT, description=f"monitor {number}")
    assert len(client.load_balancers.monitors.list(account_id=ACCOUNT).result) == 25


@pytest.mark.parametrize("asked", ["page=0", "page=x", "page=-1", "page=1e3", "per_page=4", "per_page=51", "page="])
def test_pages_that_are_none_are_refused(box: Box, asked: str) -> None:
    refused = box.ask(CLOUDFLARE, "GET", f"/zones?{asked}")
    assert refused.status_code == 400
    assert refused.json()["success"] is False


def test_the_client_sees_a_refused_page_as_such(client: Cloudflare) -> None:
    with pytest.raises(BadRequestError):
        client.zones.list(per_page=51)
