"""What two sites are compared by (F3): a stack's settings without those that are its own, and since when they hold.

Pure: the program keeps the settings of a stack in its output `settings`, with their history; operations compare the
outputs of two stacks. Nothing else of a stack crosses a border for that, and none of it is secret.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from components import settings
from components.topology import Stack

OUTPUT = "settings"

Values = Mapping[str, Any]
"""Values by the dotted keys of the configuration: `environments.production.groups.api.count`."""

Record = Mapping[str, Sequence[Sequence[Any]]]
"""By key, the values that it had, each with the time from which on, the newest last: `[[3, "2026-11-22T18:00:00Z"]]`.

None is the value of a key that was taken away.
"""

KEPT = 20
"""The most values of a key that are remembered."""

_ITS_OWN = {
    "label",
    "jurisdiction",
    "region",
    "zone",
    "admin_sources",
    "lifetime",
    "parity",
    "failover",
    "standby",
    "voice",
}


def comparable(stack: Stack) -> dict[str, Any]:
    """Return the settings that two sites may be expected to share.

    A group's generations are compared by their operating system images. Of alarms counts only whether there are
    any, and of copies how many are kept and when they are made: addresses and places are a site's own. So are the
    generations of a database.
    """
    document = stack.model_dump(mode="json", exclude=_ITS_OWN | {"generations"})
    document["alarms"] = stack.alarms is not None
    if stack.copies is not None:
        document["copies"] = stack.copies.model_dump(mode="json", exclude={"region", "second"})
    for environment in document["environments"].values():
        for key in ("generations", "serving", "forks", "restored"):
            del environment["database"][key]
    for environment, roles in settings.generations(stack).items():
        for role, images in roles.items():
            document["environments"][environment]["groups"][role]["generations"] = images
    return dict(_flat((), document))


def record(values: Values, before: Record, now: dt.datetime) -> dict[str, list[list[Any]]]:
    """Return the record that follows the one before: a value that stays keeps its time."""
    since = written(now)
    made = {}
    for key in sorted({*values, *before}):
        entries = [list(entry) for entry in before.get(key, ())]
        if not entries or entries[-1][0] != values.get(key):
            entries.append([values.get(key), since])
        made[key] = entries[-KEPT:]
    return made


def current(record: Record) -> dict[str, Any]:
    """Return the newest value of every key."""
    return {key: entries[-1][0] for key, entries in record.items()}


def differs_since(key: str, one: Record, other: Record) -> dt.datetime:
    """Return since when a key has not once been the same in two records, of both of which it is true now.

    That is never before both stacks were there; and of a key that changed more often than is remembered, the earliest
    time that is.
    """
    both = max(begins(one), begins(other))
    times = sorted({_time(entry[1]) for each in (one, other) for entry in each.get(key, ())}, reverse=True)
    since = times[0]
    for time in times:
        if _at(time, one.get(key, ())) == _at(time, other.get(key, ())):
            break
        since = time
    return max(since, both)


def begins(record: Record) -> dt.datetime:
    """Return the earliest time in a record."""
    return min(_time(entry[1]) for entries in record.values() for entry in entries)


def written(time: dt.datetime) -> str:
    """Return a time as a record has it: UTC, to the second."""
    return time.astimezone(dt.UTC).strftime(_TIME)


_TIME = "%Y-%m-%dT%H:%M:%SZ"


def _time(text: str) -> dt.datetime:
    return dt.datetime.strptime(text, _TIME).replace(tzinfo=dt.UTC)


def _at(time: dt.datetime, entries: Sequence[Sequence[Any]]) -> Any:
    return next((value for value, since in reversed(entries) if _time(since) <= time), None)


def _flat(key: tuple[str, ...], value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, each in value.items():
            yield from _flat((*key, name), each)
    else:
        yield ".".join(key), value
