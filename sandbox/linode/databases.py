"""Managed PostgreSQL databases."""

import base64
import ipaddress
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Required

from typing_extensions import TypedDict

from sandbox import authority as certificates
from sandbox import ids
from sandbox.linode import catalog, events, rules
from sandbox.model import Body, Change, Course, Field, Kind, Problem, moment, state
from sandbox.store import Record, Transaction

NAME = "linode.database"
DATABASE = "defaultdb"  # what the service names the one that a new cluster has
PROVISIONING = "provisioning"
CREATED_IN, RESIZED_IN = 780.0, 900.0  # seconds
KEPT_DAYS = 14  # how far back a fork can go


class _Window(TypedDict, total=False):
    frequency: str
    duration: int
    day_of_week: int
    hour_of_day: int | None


class _Fork(TypedDict, total=False):
    source: Required[int]
    restore_time: str | None


ENTITY = events.Entity("database", "/v4/databases/postgresql/instances/{id}")
_TIME = "%Y-%m-%dT%H:%M:%S"
_FROM_SOURCE = ("region", "type", "engine", "cluster_size", "allow_list", "engine_config")
_UPDATES = {"frequency": "weekly", "duration": 4, "day_of_week": 7, "hour_of_day": 0}  # the API's own choice


def _origin(change: Change) -> Iterator[Problem]:
    """A fork has what its source has unless it is told otherwise; any other database is told everything."""
    fork = change.body["fork"]
    if change.before is None and fork is not None:
        source = change.other(NAME, fork["source"])
        if source is None:
            yield Problem("A valid database by that ID was not found", "fork.source")
            return
        yield from _restorable(change, source, fork)
        _inherit(change, source)
    for name in ("label", "region", "type", "engine"):
        if change.body[name] is None:
            yield Problem(f"{name} is required", name)


def _restorable(change: Change, source: Record, fork: Body) -> Iterator[Problem]:
    now, oldest, given = change.tx.now, _oldest(change.tx, source), fork.get("restore_time")
    try:
        wanted = datetime.fromisoformat(given or now.strftime(_TIME))
    except ValueError:
        yield Problem("restore_time is not a valid time", "fork.restore_time")
        return
    wanted = wanted.astimezone(UTC) if wanted.tzinfo else wanted.replace(tzinfo=UTC)
    if oldest is None or not datetime.fromisoformat(f"{oldest}+00:00") <= wanted <= now:
        yield Problem(f"restore_time must be between {oldest} and now", "fork.restore_time")
    fork["restore_time"] = wanted.strftime(_TIME)
    change.private["restored_to"] = change.tx.real(wanted if given else now)


def _inherit(change: Change, source: Record) -> None:
    had = {"label": f"{source.body['label']}-fork"[-32:], **{name: source.body[name] for name in _FROM_SOURCE}}
    change.body |= {name: value for name, value in had.items() if change.given.get(name) is None}


def _offered(change: Change) -> Iterator[Problem]:
    body = change.body
    plan = catalog.table("database_types").get(body["type"])
    sizes = [size["quantity"] for size in plan["engines"]["postgresql"]] if plan else []
    if plan is None:
        yield Problem("type is not valid", "type")
    elif body["cluster_size"] not in sizes:
        offered = ", ".join(str(size) for size in sizes)
        yield Problem(f"cluster_size is not valid: {body['type']} is offered with {offered} nodes", "cluster_size")
    if body["engine"] not in catalog.table("database_engines"):
        yield Problem("engine is not valid", "engine")


def _allow_list(change: Change) -> Iterator[Problem]:
    for address in change.body["allow_list"]:
        try:
            ipaddress.ip_network(address)
        except ValueError:
            yield Problem(f"Invalid IP address or range: {address}", "allow_list")


def with_masks(addresses: Iterable[str]) -> list[str]:
    """An allow list as the API writes it: an address is a range of one."""
    return [str(ipaddress.ip_network(address)) for address in addresses]


def _window(change: Change) -> Iterator[Problem]:
    window = {**_UPDATES, **(change.body["updates"] or {})}
    checks = {
        "frequency": window["frequency"] == "weekly",
        "duration": window["duration"] == 4,  # noqa: PLR2004 (hours: the only one there is)
        "day_of_week": window["day_of_week"] in range(1, 8),
        "hour_of_day": window["hour_of_day"] in range(24),
    }
    for name, good in checks.items():
        if not good:
            yield Problem(f"{name} is not valid: {window[name]}", f"updates.{name}")


def _course(change: Change) -> Course:
    if change.action == "create":
        return ((PROVISIONING, CREATED_IN),)
    return (("resizing", RESIZED_IN),) if change.action == "resize" else ()


def _present(tx: Transaction, record: Record) -> Body:
    body = record.body
    shown = {**body, "engine": body["engine"].partition("/")[0], "status": status(tx, record)}
    return shown | {"oldest_restore_time": _oldest(tx, record)}


def authority(record: Record) -> tuple[str, str]:
    """What the certificate authority of a database derives from: see `sandbox.authority`."""
    return NAME, record.id


def _beside(_: Transaction, record: Record) -> Body:
    certificate = certificates.certificate(*authority(record))
    return {"ssl": {"ca_certificate": base64.b64encode(certificate.encode()).decode()}}


def status(tx: Transaction, record: Record) -> str:
    """What a database is doing now: "active" when it can be used."""
    return state(tx, record.private) or str(record.body["status"])


def _oldest(tx: Transaction, record: Record) -> str | None:
    """The earliest time that a fork may be made of: its first backup, or the beginning of the days that are kept."""
    first, kept = moment(record.private["first_backup"]), tx.now - timedelta(days=KEPT_DAYS)
    return None if first > tx.now else max(first, kept).strftime(_TIME)


def _complete(change: Change) -> None:
    body = change.body
    body["updates"] = {**_UPDATES, **(body["updates"] or {}), "pending": []}
    if change.before is None:
        body |= {"encrypted": True, "ssl_connection": True, "platform": "rdbms-default", "status": "active"}
        body |= {"private_network": None, "oldest_restore_time": None}
        change.private["first_backup"] = change.tx.after(CREATED_IN)
        body["port"] = 10_000 + ids.number("port", change.id) % 20_000
        change.private["credentials"] = {"username": "akmadmin", "password": ids.secret(NAME, change.id, "password")}
    if change.action == "update" and change.changed("type", "cluster_size", "engine"):
        change.action = "resize"
    engine = catalog.table("database_engines")[body["engine"]]
    body["version"] = engine["version"]
    number = ids.number("host", change.id)
    host = f"a{number}-akamai-prod-{number % 10**7}-default.g2a.akamaidb.net"
    several = body["cluster_size"] > 1
    body["hosts"] = {"primary": host, "standby": f"replica-{host}" if several else None}
    members = [ids.public_ipv4(NAME, change.id, str(node)) for node in range(body["cluster_size"])]
    body["members"] = {address: "failover" if position else "primary" for position, address in enumerate(members)}


KINDS = (
    Kind(
        NAME,
        fields={
            "label": rules.label(3, 32),
            "region": Field(fixed=True),
            "type": Field(),
            "engine": Field(),
            "fork": Field(_Fork, fixed=True),
            "cluster_size": Field(int, default=1),
            "allow_list": Field(list[str], default=(), normal=with_masks),
            "updates": Field(_Window),
            "engine_config": Field(dict[str, object], default={}),
        },
        key=lambda body: str(body["label"]),
        taken=Problem("Label must be unique among your databases", "label"),
        rules=(_origin, rules.region_offers("Managed Databases"), _offered, _allow_list, _window),
        complete=_complete,
        course=_course,
        busy=Problem("Cannot update a database that is not active"),
        present=_present,
        beside=_beside,
        notices=events.life("database", ENTITY, slow=("create", "resize")),
        limit=100,
        over_limit=Problem("Maximum number of databases reached"),
    ),
)
