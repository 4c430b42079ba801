"""An instance's backups: automatic ones, one a day, and one snapshot that is taken by hand.

Which automatic ones there are follows from when backups were enabled, the schedule and the clock: nothing runs in the
background. What is kept of them with their instance is when that was, and the snapshots.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from typing_extensions import TypedDict

from sandbox import ids
from sandbox.linode import catalog, disks
from sandbox.model import Action, Body, Change, Field, Problem, moment, not_found, state
from sandbox.store import Record, Transaction

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WINDOWS = tuple(f"W{hour}" for hour in range(0, 24, 2))
_CHOOSING = "Scheduling"  # what the schedule says until the service has chosen one
_CHOSEN_IN = 3_600.0  # seconds
_TAKES, _SNAPSHOT_TAKES = 900.0, 300.0  # seconds that an automatic backup, and a snapshot, are pending
_DAY = 86_400.0
KEPT = 14 * _DAY  # seconds that the weekly ones are kept
BLOCKED = _DAY  # seconds until backups that were cancelled can be enabled again
STATE = "backup"  # where an instance keeps what is said above
RESTORED = "restored"  # where one keeps which backup its disks are of

BUSY = Problem("Linode busy.")
_DISABLED = Problem("Backups are not enabled for this Linode.")
_WAIT = Problem("Please wait 24 hours before reactivating backups for this Linode.")


class _Schedule(TypedDict, total=False):
    day: str | None
    window: str | None


class Settings(TypedDict, total=False):
    """What an update of an instance may say of its backups; whether they are enabled is read only."""

    enabled: bool | None
    schedule: _Schedule | None


@dataclass(frozen=True)
class _Run:
    """An automatic backup: when it began, and whether it is the chosen weekday's."""

    at: float
    weekly: bool

    @property
    def ends(self) -> float:
        return self.at + _TAKES


def allowed(change: Change) -> Iterator[Problem]:
    """Rule: backups are offered in the region, enabled not too soon, and the schedule is one."""
    kept = change.private.get(STATE) or {}
    wanted = bool(change.value("backups_enabled"))
    if wanted and not catalog.offers(change.body["region"], "Backups"):
        yield Problem(f"The region {change.body['region']} does not offer Backups", "backups_enabled")
    if wanted and change.tx.now.timestamp() < kept.get("cancelled", -BLOCKED) + BLOCKED:
        yield _WAIT
    given = _given(change)
    for name, choices in (("day", DAYS), ("window", WINDOWS)):
        if given.get(name, choices[0]) not in choices:
            yield Problem(f"Must be one of {', '.join(choices)}", f"backups.schedule.{name}")
    if given and not wanted:
        yield _DISABLED


def follow(change: Change, *, moved: bool) -> None:
    """Brings what is kept up to what the instance's fields say now; one that `moved` left its backups behind."""
    kept, now = change.private.get(STATE) or {}, change.tx.now.timestamp()
    wanted = bool(change.value("backups_enabled"))
    if wanted and (moved or "since" not in kept):
        kept = {"since": now, "schedules": [[now + _CHOSEN_IN, *_chosen(change.id)]], "snapshots": []}
    elif not wanted and "since" in kept:
        kept = {"cancelled": now}
    given = _given(change)
    if given and "since" in kept:
        day, window = (given.get(name, old) for name, old in zip(_Schedule.__annotations__, _last(kept), strict=True))
        past = [entry for entry in kept["schedules"] if entry[0] < now]
        if not past or past[-1][1:] != [day, window]:
            kept = {**kept, "schedules": [*past, [now, day, window]]}
    change.private[STATE] = kept


def shown(now: datetime, identity: str, private: Body) -> Body:
    """What an instance's own answer says of its backups."""
    kept, seconds = private.get(STATE) or {}, now.timestamp()
    if "since" not in kept:
        none = {"day": None, "window": None}
        return {"enabled": False, "available": False, "schedule": none, "last_successful": None}
    chosen = kept["schedules"][0][0] <= seconds
    day, window = _last(kept) if chosen else (_CHOOSING, _CHOOSING)
    runs = _runs(seconds, identity, kept)
    ends = [next((run.ends for run in runs if run.ends <= seconds), 0.0)]
    ends += [snapshot["ends"] for snapshot in kept["snapshots"] if snapshot["ends"] <= seconds]
    last = max(ends)
    return {
        "enabled": True,
        "available": bool(last),
        "schedule": {"day": day, "window": window},
        "last_successful": _stamp(last) if last else None,
    }


def listed(tx: Transaction, record: Record) -> Body:
    """All backups of an instance, in the form that their list has."""
    kept, now = record.private.get(STATE) or {}, tx.now.timestamp()
    automatic = [_automatic(record, run, now) for run in _kept(now, _runs(now, record.id, kept))]
    snapshots = {snapshot["ends"] <= now: _snapshot(record, snapshot, now) for snapshot in kept.get("snapshots", ())}
    return {
        "automatic": automatic,
        "snapshot": {"current": snapshots.get(True), "in_progress": snapshots.get(False)},
    }


def find(tx: Transaction, record: Record, identity: object) -> Body:
    """One backup of an instance. Raises Refused where there is none."""
    known = listed(tx, record)
    for backup in (*known["automatic"], *known["snapshot"].values()):
        if backup and str(backup["id"]) == str(identity):
            found: Body = backup
            return found
    raise not_found()


def known(tx: Transaction, record: Record) -> list[int]:
    """The ids of an instance's backups, those that are being taken as well."""
    found = listed(tx, record)
    return [each["id"] for each in (*found["automatic"], *found["snapshot"].values()) if each]


def _enable(change: Change) -> Iterator[Problem]:
    change.set("backups_enabled", True)
    yield from allowed(change)


def _cancel(change: Change) -> Iterable[Problem]:
    change.set("backups_enabled", False)
    return ()


def _take(change: Change) -> Iterator[Problem]:
    kept, now = change.private.get(STATE) or {}, change.tx.now.timestamp()
    if "since" not in kept:
        yield _DISABLED
    elif state(change.tx, change.private) or _is_taking(kept, now):
        yield BUSY
    else:
        taken = {"id": ids.number("backup", change.id, f"{now}"), "label": change.given["label"], "at": now}
        taken |= {"ends": change.tx.after(_SNAPSHOT_TAKES), **_contents(change.private)}
        change.private[STATE] = {**kept, "snapshots": [*kept["snapshots"][-1:], taken]}


def _restore(change: Change) -> Iterator[Problem]:
    source, given = change.other(change.kind.name, change.given["source"]), change.given
    if source is None:
        raise not_found()
    backup = find(change.tx, source, given["backup"])
    size = sum(disk["size"] for disk in backup["disks"])
    room = change.body["specs"]["disk"] - (0 if given["overwrite"] else disks.used(change.private))
    if not backup["available"]:
        yield Problem("This backup is not available yet.")
    elif backup["region"] != change.body["region"]:
        yield Problem("A backup can only be restored to a Linode in its own region.", "linode_id")
    elif size > room:
        yield Problem(f"The backup needs {size} MB; {max(0, room)} MB are not allocated.", "linode_id")
    elif _is_taking(change.private.get(STATE) or {}, change.tx.now.timestamp()):
        yield BUSY
    else:
        if given["overwrite"]:
            change.private |= {"disks": [], "configs": []}
        disks.add(change, backup["disks"], next(iter(backup["configs"]), "Restored"))
        change.private[RESTORED] = {"instance": source.id, "backup": backup["id"]}


ENABLE = Action("backups_enable", _enable)
CANCEL = Action("backups_cancel", _cancel)
SNAPSHOT = Action("snapshot", _take, {"label": Field(length=(1, 255))})
RESTORE = Action(
    "restore",
    _restore,
    {"source": Field(int, required=True), "backup": Field(int, required=True), "overwrite": Field(bool, default=False)},
)


def _given(change: Change) -> dict[str, Any]:
    """The day and window that a change asks for; an answer that is sent back as it came asks for none."""
    schedule = (change.given.get("backups") or {}).get("schedule") or {}
    return {name: value for name, value in schedule.items() if value not in (None, _CHOOSING)}


def _chosen(identity: str) -> tuple[str, str]:
    number = ids.number("backup window", identity)
    return DAYS[number % 7], WINDOWS[number // 7 % 12]


def _last(kept: Body) -> tuple[str, str]:
    _, day, window = kept["schedules"][-1]
    return day, window


def _runs(now: float, identity: str, kept: Body) -> Iterator[_Run]:
    """Every automatic backup that began in the days that are kept, newest first."""
    delay = ids.number("backup delay", identity) % 3_600
    until, oldest = now, now - KEPT - _DAY
    for start, day, window in reversed(kept.get("schedules", ())):
        date = moment(until).date()
        while (at := _begins(date, window) + delay) >= max(start, oldest):
            if at <= until:
                yield _Run(at, DAYS[date.weekday()] == day)
            date -= timedelta(days=1)
        until = min(until, start)


def _begins(date: Any, window: str) -> float:
    return datetime.combine(date, time(int(window[1:])), moment(0).tzinfo).timestamp()


def _kept(now: float, runs: Iterable[_Run]) -> list[_Run]:
    """Of these, newest first, what is still there: what is being taken, the newest, and the weekly ones."""
    known = list(runs)
    done = [run for run in known if run.ends <= now]
    weekly = [run for run in done[1:] if run.weekly and now - run.at < KEPT]
    return [*(run for run in known if run.ends > now), *done[:1], *weekly]


def _is_taking(kept: Body, now: float) -> bool:
    return any(snapshot["ends"] > now for snapshot in kept.get("snapshots", ()))


def _contents(private: Body) -> Body:
    names = ("label", "size", "filesystem")
    return {
        "configs": [config["label"] for config in private.get("configs", ())],
        "disks": [{name: disk[name] for name in names} for disk in private.get("disks", ())],
    }


def _automatic(record: Record, run: _Run, now: float) -> Body:
    made = {"id": ids.number("backup", record.id, f"{run.at}"), "label": None, "at": run.at, "ends": run.ends}
    return _backup(record, "auto", {**made, **_contents(record.private)}, now)


def _snapshot(record: Record, taken: Body, now: float) -> Body:
    return _backup(record, "snapshot", taken, now)


def _backup(record: Record, kind: str, made: Body, now: float) -> Body:
    done = made["ends"] <= now
    return {
        "id": made["id"],
        "region": record.body["region"],
        "type": kind,
        "status": "successful" if done else "pending",
        "available": done,
        "created": _stamp(made["at"]),
        "updated": _stamp(made["ends"] if done else made["at"]),
        "finished": _stamp(made["ends"]) if done else None,
        "label": made["label"],
        "configs": made["configs"] if done else [],
        "disks": made["disks"] if done else [],
    }


def _stamp(seconds: float) -> str:
    return moment(seconds).strftime("%Y-%m-%dT%H:%M:%S")
