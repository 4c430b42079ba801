"""Account events: what an account is told of everything that happens to its objects.

What takes a while is told once, when it begins, with its end: its status and progress follow from the clock.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from sandbox.model import Body, arrives
from sandbox.store import Record, Transaction

SCHEDULED, STARTED, FINISHED, FAILED, NOTIFICATION = "scheduled", "started", "finished", "failed", "notification"


@dataclass(frozen=True)
class Entity:
    """How events name the objects of a kind: the word for them, and their address."""

    type: str
    url: str

    def of(self, record: Record) -> Body:
        """One of them."""
        label = str(record.body.get("label") or record.body.get("port", ""))
        return {"id": record.body["id"], "type": self.type, "label": label, "url": self.url.format(**record.body)}


@dataclass(frozen=True)
class Span:
    """From when to when something lasts (seconds since 1970), and whether it fails in the end."""

    begins: float
    ends: float
    fails: bool = False


def tell(tx: Transaction, account: str, action: str, about: tuple[Body, ...], lasts: Span | None = None) -> None:
    """Tells of an action, at one moment or one that lasts, `about` an entity, and a second one where there is one."""
    entity, second = (*about, None)[:2]
    assert entity is not None  # there is always one  # noqa: S101
    body: Body = {"action": action, "created": tx.now.strftime("%Y-%m-%dT%H:%M:%S")}
    body |= {"entity": entity, "secondary_entity": second, "lasts": lasts and asdict(lasts)}
    tx.give_notice(account, named(entity["type"], entity["id"]), body)


def named(entity_type: str, identity: object) -> str:
    """The name under which what an entity's events are found."""
    return f"{entity_type}/{identity}"


def life(
    prefix: str, entity: Entity, *, slow: tuple[str, ...] = (), within: tuple[str, str, Entity] | None = None
) -> Callable[[Transaction, Record, str], None]:
    """A kind's `notices`: each action as `PREFIX_ACTION`; `slow` ones last until the object has arrived.

    What is `within` an object of another kind (the field with that one's id, its kind, how events name it) is that
    one's event, and its second entity.
    """

    def notices(tx: Transaction, record: Record, action: str) -> None:
        now = tx.now.timestamp()
        about: tuple[Body, ...] = (entity.of(record),)
        lasts = Span(now, max(now, arrives(record.private))) if action in slow else None
        if within:
            name, kind, outer = within
            other = tx.get(kind, record.body[name])
            assert other is not None  # what is within something goes with it, and before it  # noqa: S101
            about = (outer.of(other), *about)
        tell(tx, record.account, f"{prefix}_{action}", about, lasts)

    return notices


def shown(tx: Transaction, account: str, notice: Body) -> Body:
    """An event as the API presents it now."""
    known = {name: value for name, value in notice.items() if name != "lasts"}
    lasts = notice["lasts"] and Span(**notice["lasts"])
    return {
        **known,
        **_progress(tx.now.timestamp(), lasts),
        "username": account,
        "seen": False,
        "read": False,
        "rate": None,
        "message": "",
    }


def _progress(now: float, lasts: Span | None) -> Body:
    if lasts is None:
        return {"status": NOTIFICATION, "percent_complete": None, "duration": None, "time_remaining": None}
    whole, passed = lasts.ends - lasts.begins, max(0.0, now - lasts.begins)
    if now >= lasts.ends:
        status = FAILED if lasts.fails else FINISHED
        return {"status": status, "percent_complete": 100, "duration": whole, "time_remaining": 0}
    status = STARTED if now >= lasts.begins else SCHEDULED
    percent = int(100 * passed / whole)
    return {"status": status, "percent_complete": percent, "duration": passed, "time_remaining": None}
