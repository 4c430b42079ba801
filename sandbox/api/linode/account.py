"""The account, who asks, and the events."""

from typing import Any

from sandbox import ids
from sandbox.api import listing
from sandbox.api.linode.common import reads
from sandbox.api.route import Call, Page, Route
from sandbox.linode import catalog, events
from sandbox.model import Body, not_found
from sandbox.store import Transaction

_DIGITS = 18  # of the largest number that an event may have


def _account(call: Call) -> Body:
    offered = {name for region in catalog.table("regions").values() for name in region["capabilities"]}
    return {
        **dict.fromkeys(("address_1", "address_2", "city", "country", "first_name", "last_name"), ""),
        **dict.fromkeys(("phone", "state", "tax_id", "zip"), ""),
        **_identity(call),
        "company": f"{call.account} (sandbox)",
        "euuid": ids.host_uuid("account", call.account).upper(),
        "capabilities": sorted(offered),
        "active_promotions": [],
        "active_since": None,
        "balance": 0,
        "balance_uninvoiced": 0,
        "billing_source": "linode",
        "credit_card": None,
    }


def _profile(call: Call) -> Body:
    return {
        **_identity(call),
        "username": call.account,
        "uid": ids.number("user", call.account),
        "authentication_type": "password",
        "authorized_keys": [],
        "email_notifications": True,
        "ip_whitelist_enabled": False,
        "lish_auth_method": "password_keys",
        "referrals": {"code": "", "completed": 0, "credit": 0, "pending": 0, "total": 0, "url": ""},
        "restricted": False,
        "timezone": "UTC",
        "two_factor_auth": True,
        "verified_phone_number": None,
    }


def _identity(call: Call) -> Body:
    return {"email": f"{call.account}@sandbox.example"}


def _list(call: Call) -> Page:
    """Newest first, unless the filter says otherwise; what it says of the entity and the time spares reading others."""

    def read(**wanted: Any) -> list[Body]:
        def question(tx: Transaction) -> list[Body]:
            return [events.shown(tx, call.account, notice) for notice in tx.notices(call.account, **wanted)]

        return call.model.ask(question)

    def part(start: int, count: int) -> tuple[list[Body], int]:
        total = call.model.ask(lambda tx: tx.notice_count(call.account))
        return read(start=start, count=count), total

    def whole() -> list[Body]:
        kind, identity, created = (call.filter.get(name) for name in ("entity.type", "entity.id", "created"))
        since = created.get("+gte") if isinstance(created, dict) else None
        named = isinstance(kind, str) and isinstance(identity, int | str)
        found = read(
            entity=events.named(str(kind), identity) if named else None,
            since=since if isinstance(since, str) else None,
        )
        return found[::-1] if call.filter.get("+order") == "asc" else found

    return listing.linode(call, part, whole)


def _one(call: Call) -> Body:
    text = call.path["id"]
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else 0

    def question(tx: Transaction) -> Body | None:
        notice = tx.notice(call.account, number)
        return notice and events.shown(tx, call.account, notice)

    found = call.model.ask(question)
    if found is None:
        raise not_found()
    return found


ROUTES: tuple[Route, ...] = (
    reads("/account", "shows the account", _account, "account"),
    reads("/profile", "shows who asks", _profile, "account"),
    reads("/account/events", "lists events", _list, "events"),
    reads("/account/events/{id}", "shows an event", _one, "events"),
)
