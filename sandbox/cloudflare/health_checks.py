"""Standalone health checks: they watch and report; they steer nothing, and present no client certificate."""

from collections.abc import Iterator
from typing import Literal

from typing_extensions import TypedDict

from sandbox.cloudflare import probes, rules
from sandbox.model import Body, Change, Field, Kind, Problem, is_address
from sandbox.store import Record, Transaction

NAME = "cloudflare.health_check"
LEAST_INTERVAL = 5  # seconds
REGIONS = ("WNAM", "ENAM", "WEU", "EEU", "NSAM", "SSAM", "OC", "ME", "NAF", "SAF", "IN", "SEAS", "NEAS", "ALL_REGIONS")


class _Http(TypedDict, total=False):
    method: Literal["GET", "HEAD"]
    path: str
    port: int
    expected_codes: list[str] | None
    expected_body: str | None
    follow_redirects: bool
    allow_insecure: bool
    header: dict[str, list[str]] | None


class _Tcp(TypedDict, total=False):
    method: Literal["connection_established"]
    port: int


_HTTP: Body = {
    "method": "GET",
    "path": "/",
    "port": 80,
    "expected_codes": ["200"],
    "expected_body": "",
    "follow_redirects": False,
    "allow_insecure": False,
    "header": None,
}
_TCP: Body = {"method": "connection_established", "port": 80}


def regions(body: Body) -> list[str]:
    """The regions from which is probed. Without any, Cloudflare chooses them: here, one does."""
    return [*(body["check_regions"] or REGIONS[:1])]


def _check(change: Change) -> Iterator[Problem]:
    yield from rules.checked_often_enough(change, LEAST_INTERVAL)
    body = change.body
    if not is_address(body["address"]) and not rules.is_host(body["address"]):
        yield Problem("is not a valid address", "address")
    for region in body["check_regions"] or ():
        if region not in REGIONS:
            yield Problem(f"{region} is not a region", "check_regions")
    if body["type"] == "TCP" and body["http_config"]:
        yield Problem("may not be set for type TCP", "http_config")
    if body["type"] != "TCP" and body["tcp_config"]:
        yield Problem(f"may not be set for type {body['type']}", "tcp_config")
    port = (body["tcp_config"] or body["http_config"] or {}).get("port")
    if port is not None and not 1 <= port <= 65_535:  # noqa: PLR2004
        yield Problem("must be between 1 and 65535", "port")


def _complete(change: Change) -> None:
    body = change.body
    if body["type"] == "TCP":
        body["tcp_config"] = {**_TCP, **(body["tcp_config"] or {})}
    else:
        body["http_config"] = {**_HTTP, **(body["http_config"] or {})}
    change.private["first_result"] = change.tx.after(body["interval"])


def _present(tx: Transaction, record: Record) -> Body:
    """With what its probes found; "unknown" until the first of them came back."""
    body = record.body
    found = probes.findings(tx, record.id, regions(body), body["address"], body["name"]).values()
    healthy = probes.most([each["healthy"] for each in found])
    reasons = [each["failure_reason"] for each in found if not each["healthy"]]
    status, reason = ("healthy", "") if healthy else ("unhealthy", reasons[0])
    if body["suspended"]:
        status, reason = "suspended", ""
    elif tx.now.timestamp() < record.private["first_result"] or any(map(probes.is_unknown, found)):
        status, reason = "unknown", ""
    return {**body, "status": status, "failure_reason": reason}


KINDS = (
    Kind(
        NAME,
        fields={
            "zone_id": Field(required=True, fixed=True),
            "name": Field(required=True, pattern=r"[a-zA-Z0-9_-]+", says="only letters, digits, _ and - are allowed"),
            "address": Field(required=True),
            "type": Field(choices=("HTTP", "HTTPS", "TCP"), default="HTTP"),
            "interval": Field(int, default=60),
            "retries": Field(int, within=(0, 5), default=2),
            "timeout": Field(int, within=(1, 10), default=5),
            "consecutive_fails": Field(int, within=(1, 10), default=1),
            "consecutive_successes": Field(int, within=(1, 10), default=1),
            "check_regions": Field(list[str]),
            "description": Field(default=""),
            "suspended": Field(bool, default=False),
            "http_config": Field(_Http),
            "tcp_config": Field(_Tcp),
        },
        key=lambda body: f"{body['zone_id']}/{body['name']}",
        taken=Problem("a health check with that name already exists", "name"),
        rules=(_check,),
        complete=_complete,
        present=_present,
        parent=rules.in_zone,
        limit=50,
        over_limit=Problem("You have reached your limit of health checks", code=1006),
        **rules.STYLE,
    ),
)
