"""The second copies: the newest copy of another repository, brought into this one, where the other's word is no order.

Whoever can write to the other may empty it, or fill it with what only looks like copies. So one copy at a time is
brought, as plain data, and nothing here is forgotten for what is there: only for what came here since, and when, by the
clock of this store. restic's own `copy` would do neither, nor open two stores with a key and a region each.
"""

import argparse
import datetime as dt
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from copies import config, listing
from copies.config import Config
from copies.copy import DRIFT, CopyError
from copies.listing import CAME, DUMP, MOMENT, RECORD, Copy
from copies.repository import Repository, RepositoryError, Restic, Say, Snapshot, stored

STATE = "state"
"""The tag of what is kept beside the copies: the stack's own files, each by its name."""

DAYS, WEEKS = dt.timedelta(days=63), 8
"""How long what came is kept at least, and how many later weeks must have something before it goes."""

_LOOSE = dt.timedelta(days=1)
_OF, _NAME = "of", "name"
_PLAIN = re.compile(r"[\w.:=+ ()-]*")


def run(config_: Config, wanted: argparse.Namespace, say: Say) -> dict[str, Any]:
    """Bring the newest copy, or one by its id, and keep the files that `--keep` has, a text by name.

    Raises:
        CopyError, RepositoryError, ConfigError: nothing was brought; what is here stays.
    """
    first, second = Repository(config.read(wanted.source), say), Repository(config_, say)
    now = second.reach()
    second.prepare(known=False)
    came = now.strftime(MOMENT)
    for name, text in json.loads(wanted.keep.read_text()).items() if wanted.keep else ():
        second.save(text.encode(), name, [STATE, f"{_NAME}={name}", f"{CAME}={came}"], now)
    first.reach()
    there = (each for each in listing.copies(first.snapshots()) if each.taken <= now + DRIFT)
    copy = next((each for each in there if wanted.copy in (None, each.id)), None)
    if copy is None:
        raise CopyError(f"there is no copy {wanted.copy or 'to bring'}; what came before is kept")
    if _ours(copy, second.snapshots()):
        say(f"{config_.name}: the copy {copy.id} has come already")
    else:
        _bring(copy, first, second, came)
    leaving = forgotten(second.snapshots(), now)
    second.forget(leaving)
    if leaving:
        second.prune()
    found = second.snapshots()
    ours = next(each for each in listing.copies(found) if each.record == _ours(copy, found))
    return {"copy": ours.json(), "came": came, "kept": len(listing.copies(found)), "forgotten": len(leaving)}


def _ours(copy: Copy, snapshots: Sequence[Snapshot]) -> str:
    """Return the record that a copy of theirs has here; empty where it has not come."""
    return next((each.id for each in snapshots if RECORD in each.tags and each.values.get(_OF) == copy.dump), "")


def forgotten(snapshots: Sequence[Snapshot], now: dt.datetime) -> set[str]:
    """Return the snapshots to forget: those that came long enough ago, and after which enough others came."""
    ours = [each for each in snapshots if CAME in each.values]
    dumps = {copy.record: copy.dump for copy in listing.copies(ours)}
    kinds: dict[str, dict[str, dt.datetime]] = {}
    for each in ours:
        if each.id in dumps or STATE in each.tags:
            kinds.setdefault(each.values.get(_NAME, RECORD), {})[each.id] = _came(each)
    old = {one for arrivals in kinds.values() for one in arrivals if _is_over(one, arrivals, now)}
    halves = {each.id for each in listing.halves(ours) if now - _came(each) > _LOOSE}
    return old | {dumps[each] for each in old if each in dumps} | halves


def _is_over(one: str, arrivals: Mapping[str, dt.datetime], now: dt.datetime) -> bool:
    later = {at.isocalendar()[:2] for at in arrivals.values() if at > arrivals[one]}
    return now - arrivals[one] > DAYS and len(later - {arrivals[one].isocalendar()[:2]}) >= WEEKS


def _came(snapshot: Snapshot) -> dt.datetime:
    return listing.moment(snapshot.values[CAME])


def _bring(copy: Copy, first: Repository, second: Repository, came: str) -> None:
    tags = [tag for tag in copy.tags if not tag.startswith(f"{DUMP}=")]
    if not all(_PLAIN.fullmatch(tag) for tag in tags):  # a comma would end a tag, and begin one of theirs
        raise CopyError(f"the copy {copy.id} is none of ours: its tags are {tags}")
    record = json.loads(first.read(copy.record, RECORD))
    ours = f"{CAME}={came}"
    dump = _transferred(copy, first, second, [DUMP, ours])
    record |= {"id": dump[:8], DUMP: dump}
    second.save(json.dumps(record).encode(), RECORD, [*tags, f"{DUMP}={dump}", f"{_OF}={copy.dump}", ours], copy.taken)


def _transferred(copy: Copy, first: Repository, second: Repository, tags: Sequence[str]) -> str:
    """Store a dump here as it is read there, whole or not at all; return its id."""
    source, sink = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
    running = []
    try:
        storing = second.storing(DUMP, tags, copy.taken, source)
        running.append(storing)
        source.close()
        reading = first.reading(copy.dump, DUMP, sink)
        running.append(reading)
        _finish(reading, storing)
        sink.close()  # only now: the end of its input makes restic store a snapshot
        dump, size = stored(storing.finish())
    finally:
        for each in reversed(running):
            each.end()
        source.close()
        sink.close()
    if size != copy.size:
        raise CopyError(f"of the copy {copy.id}, {size} bytes came of {copy.size}")
    return dump


def _finish(reading: Restic, storing: Restic) -> None:
    try:
        reading.finish()
    except RepositoryError:
        if storing.process.poll() is not None:  # it has gone first, and says why
            storing.finish()
        raise
