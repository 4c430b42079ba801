"""Zones and their settings. Every zone has every setting always: they are changed, never made or deleted."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from typing_extensions import TypedDict

from sandbox import ids
from sandbox.cloudflare import accounts, rules
from sandbox.model import Body, Change, Field, Kind, Model, Problem
from sandbox.store import Record, Transaction

NAME = rules.ZONE
SETTING = "cloudflare.zone_setting"
_SWITCH = ("on", "off")

# Each setting's default and the values it takes (None: a document of its own).
SETTINGS: dict[str, tuple[Any, tuple[Any, ...] | None]] = {
    "ssl": ("full", ("off", "flexible", "full", "strict")),
    "min_tls_version": ("1.0", ("1.0", "1.1", "1.2", "1.3")),
    "tls_1_3": ("on", ("on", "off", "zrt")),
    "tls_client_auth": ("off", _SWITCH),
    "always_use_https": ("off", _SWITCH),
    "automatic_https_rewrites": ("on", _SWITCH),
    "opportunistic_encryption": ("on", _SWITCH),
    "http2": ("on", _SWITCH),
    "http3": ("on", _SWITCH),
    "0rtt": ("off", _SWITCH),
    "websockets": ("on", _SWITCH),
    "ipv6": ("on", _SWITCH),
    "brotli": ("on", _SWITCH),
    "browser_check": ("on", _SWITCH),
    "security_level": ("medium", ("off", "essentially_off", "low", "medium", "high", "under_attack")),
    "development_mode": ("off", _SWITCH),
    "always_online": ("off", _SWITCH),
    "security_header": (
        {
            "strict_transport_security": {
                "enabled": False,
                "max_age": 0,
                "include_subdomains": False,
                "preload": False,
                "nosniff": False,
            }
        },
        None,
    ),
}


class _TransportSecurity(TypedDict, total=False):
    enabled: bool
    max_age: int
    include_subdomains: bool
    preload: bool
    nosniff: bool


class _SecurityHeader(TypedDict):
    strict_transport_security: _TransportSecurity


def _value(change: Change) -> Iterator[Problem]:
    _, choices = SETTINGS[change.body["setting_id"]]
    value = change.body["value"]
    good = isinstance(value, dict) if choices is None else value in choices
    if not good:
        yield Problem(f"Invalid value for zone setting {change.body['setting_id']}", code=1007)


def _complete(change: Change) -> None:
    if change.before is None:
        change.body |= {"id": change.body["setting_id"], "editable": True}


def _present(_: Transaction, record: Record) -> Body:
    account = accounts.describe(record.account)
    return {
        **record.body,
        "account": {"id": account["id"], "name": account["name"]},
        "activated_on": record.body["created_on"],
        "development_mode": 0,
        "meta": {"cdn_only": False, "dns_only": False, "foundation_dns": False, "phishing_detected": False, "step": 2},
        "name_servers": ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"],
        "original_dnshost": None,
        "original_name_servers": None,
        "original_registrar": None,
        "owner": {"id": None, "email": None, "type": "user"},
        "permissions": ["#zone:read", "#zone:edit"],
        "plan": {"id": ids.hexadecimal("plan", "business"), "name": "Business Website", "legacy_id": "business"},
    }


def ensure(model: Model, account: str, names: Iterable[str], *others: Callable[[str], tuple[str, Body]]) -> None:
    """Makes the zones that are missing, with their settings and what `others` say belongs to a zone."""
    known = {zone["name"] for zone in model.select(account, NAME)}
    for name in (name for name in names if name not in known):
        zone = model.create(account, NAME, {"name": name})
        for setting, (default, _) in SETTINGS.items():
            model.create(account, SETTING, {"zone_id": zone["id"], "setting_id": setting, "value": default})
        for other in others:
            model.create(account, *other(zone["id"]))


KINDS = (
    Kind(
        NAME,
        fields={"name": Field(required=True, fixed=True)},
        key=lambda body: str(body["name"]),
        taken=Problem("An active zone already exists", code=1061),
        complete=lambda change: change.body.update({"status": "active", "type": "full", "paused": False}),
        present=_present,
        **rules.STYLE,
    ),
    Kind(
        SETTING,
        fields={
            "zone_id": Field(required=True, fixed=True),
            "setting_id": Field(required=True, fixed=True),
            "value": Field(str | _SecurityHeader, required=True),
        },
        key=lambda body: f"{body['zone_id']}/{body['setting_id']}",
        taken=Problem("The zone has that setting already"),
        rules=(_value,),
        complete=_complete,
        parent=rules.in_zone,
        **{**rules.STYLE, "make_id": None, "stamps": ("modified_on", "modified_on")},
    ),
)
