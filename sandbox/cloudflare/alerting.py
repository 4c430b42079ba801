"""Notification policies: which alerts go to whom."""

from collections.abc import Iterator

from typing_extensions import TypedDict

from sandbox.cloudflare import rules
from sandbox.model import Change, Field, Kind, Problem

NAME = "cloudflare.notification_policy"


class _Receiver(TypedDict):
    id: str


class _Mechanisms(TypedDict, total=False):
    email: list[_Receiver] | None
    pagerduty: list[_Receiver] | None
    webhooks: list[_Receiver] | None


ALERTS = (
    "load_balancing_health_alert",
    "load_balancing_pool_enablement_alert",
    "health_check_status_notification",
    "real_origin_monitoring",
)


def _mechanisms(change: Change) -> Iterator[Problem]:
    entries = [(name, entry) for name, given in change.body["mechanisms"].items() for entry in given or ()]
    if not entries:
        yield Problem("at least one mechanism is required", "mechanisms", 17_103)
    for name, entry in entries:
        local, _, host = entry["id"].partition("@")
        if name == "email" and not (local and "." in host and rules.is_host(host)):
            yield Problem(f"{entry['id']} is not an e-mail address", "mechanisms.email", 17_103)


KINDS = (
    Kind(
        NAME,
        fields={
            "account_id": Field(required=True, fixed=True),
            "name": Field(required=True, length=(1, 256)),
            "alert_type": Field(required=True, choices=ALERTS),
            "mechanisms": Field(_Mechanisms, required=True),
            "description": Field(default=""),
            "enabled": Field(bool, default=True),
            "filters": Field(dict[str, list[str]]),
            "alert_interval": Field(),
        },
        key=lambda body: str(body["name"]),
        rules=(rules.own_account, _mechanisms),
        limit=200,
        over_limit=Problem("You have reached your limit of notification policies", code=17_104),
        **{**rules.STYLE, "stamps": ("created", "modified")},
    ),
)
