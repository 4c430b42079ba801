"""DNS records."""

from collections.abc import Iterator

from typing_extensions import TypedDict

from sandbox.cloudflare import rules
from sandbox.model import Change, Field, Kind, Number, Problem

NAME = "cloudflare.dns_record"
TYPES = ("A", "AAAA", "CNAME", "TXT", "MX", "NS", "PTR", "CAA", "SRV", "HTTPS", "SVCB", "TLSA", "SSHFP", "URI")
_PROXIABLE = ("A", "AAAA", "CNAME")
_AUTOMATIC = 1  # a TTL of 1 is the cloud's own choice, and the only one for proxied records
_TTL = (60, 86_400)  # seconds


class _Settings(TypedDict, total=False):
    ipv4_only: bool
    ipv6_only: bool
    flatten_cname: bool


def _content(change: Change) -> Iterator[Problem]:
    body = change.body
    kind, content = body["type"], body["content"] or ""
    good = {
        "A": lambda: rules.is_version(content, 4),
        "AAAA": lambda: rules.is_version(content, 6),
        "CNAME": lambda: rules.is_host(content),
    }
    if not content:
        yield Problem(f"Content for {kind} record is required.", "content", 9_005)
    elif kind in good and not good[kind]():
        yield Problem(f"Content for {kind} record is invalid.", "content", 9_005)
    if body["proxied"] and kind not in _PROXIABLE:
        yield Problem(f"{kind} records can't be proxied.", "proxied", 9_004)
    if body["proxied"] and body["ttl"] != _AUTOMATIC:
        yield Problem("must be set to 1 when `proxied` is true", "ttl", 9_041)
    elif body["ttl"] != _AUTOMATIC and not _TTL[0] <= body["ttl"] <= _TTL[1]:
        yield Problem(f"must be between {_TTL[0]} and {_TTL[1]} seconds, or 1 for Automatic.", "ttl", 9_021)


def _conflicts(change: Change) -> Iterator[Problem]:
    body = change.body
    for other in change.tx.linked("record", f"{body['zone_id']}/{body['name']}"):
        if other.id != change.id and "CNAME" in (body["type"], other.body["type"]):
            said = f"An A, AAAA, or CNAME record with that host already exists: {other.body['type']} {body['name']}."
            yield Problem(said, code=81_053)


def _complete(change: Change) -> None:
    body = change.body
    body |= {"proxiable": body["type"] in _PROXIABLE, "meta": {}}
    body["settings"] = body["settings"] or {}


KINDS = (
    Kind(
        NAME,
        fields={
            "zone_id": Field(required=True, fixed=True),
            "name": Field(required=True),
            "type": Field(required=True, fixed=True, choices=TYPES),
            "content": Field(required=True),
            "ttl": Field(Number, default=_AUTOMATIC),
            "proxied": Field(bool, default=False),
            "priority": Field(Number, within=(0, 65_535)),
            "comment": Field(length=(0, 100)),
            "tags": Field(list[str], default=(), normal=sorted),
            "settings": Field(_Settings),
        },
        key=lambda body: "{zone_id}/{name}/{type}/{content}".format(**body),
        taken=Problem("An identical record already exists.", code=81_058),
        rules=(rules.name_in_zone, _content, _conflicts),
        complete=_complete,
        parent=rules.in_zone,
        links=lambda body: (("record", f"{body['zone_id']}/{body['name']}"),),
        limit=3_500,
        over_limit=Problem("Record quota exceeded.", code=81_045),
        **rules.STYLE,
    ),
)
