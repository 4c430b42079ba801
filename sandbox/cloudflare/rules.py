"""What several of Cloudflare's services share."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from sandbox import ids
from sandbox.model import Body, Change, Problem

ZONE = "cloudflare.zone"
# How Cloudflare's objects differ from Linode's: their ids, and the names and form of their times.
STYLE: dict[str, Any] = {
    "make_id": ids.hexadecimal,
    "stamps": ("created_on", "modified_on"),
    "time": lambda now: now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
}
_HOST = re.compile(
    r"(?=.{1,253}$)(?:\*\.)?(?:[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?)(?:\.[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?)*"
)


def in_zone(body: Body) -> tuple[str, object]:
    """The parent of what belongs to a zone."""
    return ZONE, body["zone_id"]


def name_in_zone(change: Change) -> Iterator[Problem]:
    """The name is a host name, and the zone's own or below it."""
    zone = change.other(ZONE, change.body["zone_id"])
    name = str(change.body["name"])
    if zone and not (name == zone.body["name"] or name.endswith(f".{zone.body['name']}")):
        yield Problem(f"must be in the zone {zone.body['name']}", "name")
    elif not is_host(name):
        yield Problem("is not a valid host name", "name")


def own_account(change: Change) -> Iterator[Problem]:
    """The account in the path is the token's."""
    if change.body["account_id"] != change.account:
        yield Problem("Authentication error", code=10_000)


def is_host(name: str) -> bool:
    """Whether it is a host name."""
    return _HOST.fullmatch(name) is not None


def is_version(address: str, version: int) -> bool:
    """Whether it is an address of that IP version."""
    try:
        return ipaddress.ip_address(address).version == version
    except ValueError:
        return False


def checked_often_enough(change: Change, least: int) -> Iterator[Problem]:
    """An interval in seconds that its timeouts and retries fit."""
    body = change.body
    if not least <= body["interval"] <= 3_600:  # noqa: PLR2004
        yield Problem(f"must be between {least} and 3600", "interval")
    elif body["timeout"] * (body["retries"] + 1) >= body["interval"]:
        yield Problem("must be larger than (retries + 1) * timeout", "interval")
