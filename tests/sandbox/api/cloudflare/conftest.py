"""A sandbox for a module's tests, emptied of what the last test made, and the official client."""

from collections.abc import Iterator

import pytest
from cloudflare import Cloudflare

from tests.sandbox.api.box import CLOUDFLARE, Box


@pytest.fixture
def box(calm_box: Box) -> Iterator[Box]:
    """The sandbox, without faults and conditions."""
    yield calm_box
    _empty(calm_box)


@pytest.fixture
def client(box: Box) -> Iterator[Cloudflare]:
    """The official client as it comes, but without its own second tries."""
    with Cloudflare(api_token=box.token(CLOUDFLARE), base_url=box.url(CLOUDFLARE), max_retries=0) as made:
        yield made


def _empty(box: Box) -> None:
    """Deletes all that a test made, what uses others first."""
    zone, account = (
        f"/zones/{next(iter(box.tokens.zone_ids.values()))}",
        f"/accounts/{box.tokens.cloudflare_account_id}",
    )
    box.fail()
    for path in (
        f"{zone}/workers/routes",
        f"{account}/workers/scripts",
        f"{zone}/load_balancers",
        f"{zone}/dns_records?per_page=5000",
        f"{zone}/healthchecks",
        f"{zone}/origin_tls_client_auth",
        f"{account}/load_balancers/pools",
        f"{account}/load_balancers/monitors",
        f"{account}/alerting/v3/policies",
    ):
        for found in box.ask(CLOUDFLARE, "GET", path).json()["result"]:
            box.ask(CLOUDFLARE, "DELETE", f"{path.partition('?')[0]}/{found['id']}")
