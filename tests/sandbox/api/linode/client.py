"""The official client, unmodified, and what tests do with it again and again."""

from typing import Any

import pytest
from linode_api4 import ApiError, Instance, LinodeClient

from tests.sandbox.api.box import Box

PASSWORD = "correct horse battery"  # noqa: S105
REGION = "us-central"


def client_of(box: Box, token: str, *, retry: bool = False) -> LinodeClient:
    return LinodeClient(token, base_url=box.running.linode_url, retry=retry)


def server(client: LinodeClient, label: str, **changes: Any) -> Instance:
    """A new instance with a private address."""
    given = {"image": "linode/debian12", "root_pass": PASSWORD, "label": label, "private_ip": True} | changes
    return client.linode.instance_create("g6-standard-1", given.pop("region", REGION), **given)


def status(client: LinodeClient, instance: Instance) -> str:
    """What it is doing now; the client's own object may remember."""
    return str(client.get(f"/linode/instances/{instance.id}")["status"])


def refused(call: Any, status: int = 400) -> list[tuple[str | None, str]]:
    """The field and reason of each error that the call is refused with."""
    with pytest.raises(ApiError) as raised:
        call()
    assert raised.value.status == status
    return [(error.get("field"), error["reason"]) for error in raised.value.json["errors"]]
