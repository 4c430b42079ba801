"""Every class of error, as the official client sees it, and what it does about it."""

from collections.abc import Iterator
from typing import Any

import cloudflare
import pytest
from cloudflare import Cloudflare

from tests.sandbox.api.box import CLOUDFLARE, Box
from tests.sandbox.bodies import ACCOUNT, ZONE, ZONE_ID

_RECORDS = f"/client/v4/zones/{ZONE_ID}/dns_records"
_RECORD: Any = {"zone_id": ZONE_ID, "name": f"a.{ZONE}", "type": "A", "content": "198.18.0.1", "ttl": 1}


def _as(box: Box, token: str, retries: int = 0) -> Cloudflare:
    return Cloudflare(api_token=token, base_url=box.url(CLOUDFLARE), max_retries=retries)


@pytest.fixture
def patient(box: Box) -> Iterator[Cloudflare]:
    """The client with its own second tries."""
    with _as(box, box.token(CLOUDFLARE), retries=2) as made:
        yield made


def _codes(error: pytest.ExceptionInfo[cloudflare.APIStatusError]) -> list[int | None]:
    return [each.code for each in error.value.errors]


def test_400_for_what_is_not_valid(client: Cloudflare) -> None:
    with pytest.raises(cloudflare.BadRequestError) as refused:
        client.dns.records.create(**{**_RECORD, "content": "words"})
    assert _codes(refused) == [9_005]
    assert refused.value.errors[0].message == "content: Content for A record is invalid."


def test_400_and_401_for_a_token_that_is_none(box: Box) -> None:
    with _as(box, "wrong") as stranger, pytest.raises(cloudflare.AuthenticationError) as refused:
        stranger.zones.list()
    assert _codes(refused) == [1_000]
    for header, code in (("", 9_106), ("Basic words", 6_003), ("Bearer", 6_003)):
        answer = box.ask(CLOUDFLARE, "GET", "/zones", headers={"Authorization": header})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, code)


def test_403_for_a_token_without_the_scope(box: Box) -> None:
    token = box.restricted(CLOUDFLARE, ACCOUNT, "DNS Read", "Load Balancers Write")
    with _as(box, token) as reader:
        assert reader.dns.records.list(zone_id=ZONE_ID).result == []
        assert reader.load_balancers.list(zone_id=ZONE_ID).result == [], "who may write may read"
        for call in (
            lambda: reader.dns.records.create(**_RECORD),
            reader.zones.list,
            lambda: reader.load_balancers.pools.list(account_id=ACCOUNT),
        ):
            with pytest.raises(cloudflare.PermissionDeniedError) as refused:
                call()
            assert _codes(refused) == [10_000]
        assert reader.user.tokens.verify() is not None


def test_403_for_an_account_that_is_not_the_tokens(client: Cloudflare) -> None:
    another = "0" * 32
    for call in (
        lambda: client.accounts.get(account_id=another),
        lambda: client.load_balancers.pools.list(account_id=another),
        lambda: client.alerting.policies.get("none", account_id=another),
    ):
        with pytest.raises(cloudflare.PermissionDeniedError) as refused:
            call()
        assert _codes(refused) == [10_000]


def test_404_for_a_zone_that_is_not_the_accounts(client: Cloudflare) -> None:
    for call in (
        lambda: client.dns.records.list(zone_id="0" * 32),
        lambda: client.zones.get(zone_id="0" * 32),
        lambda: client.zones.settings.get("ssl", zone_id="0" * 32),
        lambda: client.origin_tls_client_auth.settings.get(zone_id="0" * 32),
    ):
        with pytest.raises(cloudflare.NotFoundError):
            call()


def test_404_for_an_object_of_another_zone(client: Cloudflare) -> None:
    made: Any = client.dns.records.create(**_RECORD)
    with pytest.raises(cloudflare.NotFoundError):
        client.dns.records.get(made.id, zone_id="0" * 32)


def test_405_for_a_method_that_an_address_has_not(box: Box) -> None:
    answer = box.ask(CLOUDFLARE, "POST", "/ips")
    assert (answer.status_code, answer.json()["success"]) == (405, False)


def test_429_is_waited_for_as_long_as_it_says(box: Box, patient: Cloudflare) -> None:
    box.fail({"what": "error", "where": f"GET {_RECORDS}", "status": 429, "retry_after": 1, "count": 1})
    assert patient.dns.records.list(zone_id=ZONE_ID).result == []
    assert box.struck() == [1]


def test_429_that_stays_says_when_to_come_again(box: Box, client: Cloudflare) -> None:
    box.fail({"what": "error", "status": 429, "retry_after": 7})
    with pytest.raises(cloudflare.RateLimitError) as refused:
        client.zones.list()
    assert refused.value.response.headers["retry-after"] == "7"
    assert _codes(refused) == [10_429]


def test_500_is_tried_again_and_nothing_was_done_before(box: Box, patient: Cloudflare, client: Cloudflare) -> None:
    box.fail({"what": "error", "where": f"POST {_RECORDS}", "count": 1})
    patient.dns.records.create(**_RECORD)
    assert len(client.dns.records.list(zone_id=ZONE_ID).result) == 1
    box.fail({"what": "error", "where": f"GET {_RECORDS}"})
    with pytest.raises(cloudflare.InternalServerError):
        client.dns.records.list(zone_id=ZONE_ID)


def test_a_connection_that_is_closed_before_the_work_leaves_nothing(box: Box, client: Cloudflare) -> None:
    box.fail({"what": "close_before", "where": f"POST {_RECORDS}", "count": 1})
    with pytest.raises(cloudflare.APIConnectionError):
        client.dns.records.create(**_RECORD)
    assert client.dns.records.list(zone_id=ZONE_ID).result == []


def test_a_connection_that_is_closed_after_the_work_leaves_it_done(box: Box, client: Cloudflare) -> None:
    box.fail({"what": "close_after", "where": f"POST {_RECORDS}", "count": 1})
    with pytest.raises(cloudflare.APIConnectionError):
        client.dns.records.create(**_RECORD)
    assert len(client.dns.records.list(zone_id=ZONE_ID).result) == 1
    with pytest.raises(cloudflare.BadRequestError) as refused:
        client.dns.records.create(**_RECORD)
    assert _codes(refused) == [81_058]


def test_every_answer_says_how_many_requests_are_left(box: Box) -> None:
    first, second = (box.ask(CLOUDFLARE, "GET", "/ips").headers["ratelimit"] for _ in range(2))
    left = [int(said.split("r=")[1].split(";")[0]) for said in (first, second)]
    assert left[0] - left[1] == 1
