"""The copies that are in the repository.

A copy is two snapshots: the dump, and then the record of what it holds, whose tags say all that a list shows. A dump
that has no record never counts.
"""

import argparse
import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from copies import evidence
from copies.config import Config
from copies.repository import MISSING, Repository, RepositoryError, Say, Snapshot

DUMP, RECORD = "dump", "record"
"""The tags of the two, and the names of the file in each."""

CAME, MOMENT = "came", "%Y-%m-%dT%H:%M:%SZ"
"""The tag of what was brought from another repository, with when that was."""

_BY_HAND = "by-hand"


@dataclass(frozen=True)
class Copy:
    """A whole copy. `size` is the dump's, in bytes, before restic compressed it; `seconds` is how long it took.

    `came` is when it was brought here from another repository, None for one that was made here.
    """

    dump: str
    record: str
    taken: dt.datetime
    size: int
    rows: int
    seconds: float
    version: str
    by_hand: bool
    came: dt.datetime | None = None

    @property
    def id(self) -> str:
        """What people call it."""
        return self.dump[:8]

    @property
    def day(self) -> dt.date:
        """The day that it is the copy of, in UTC."""
        return self.taken.astimezone(dt.UTC).date()

    def json(self) -> dict[str, Any]:
        """Return what is told of it."""
        shown = {name: getattr(self, name) for name in ("size", "rows", "seconds", "version", "by_hand")}
        return {"id": self.id, "taken": f"{self.taken:%Y-%m-%dT%H:%M:%SZ}", "day": self.day.isoformat(), **shown}

    @property
    def tags(self) -> list[str]:
        """The tags of its record, which `copies` understands."""
        said = [f"dump={self.dump}", *(f"{name}={getattr(self, name)}" for name in ("rows", "seconds", "version"))]
        return [RECORD, *said, *([_BY_HAND] if self.by_hand else [])]


def moment(text: str) -> dt.datetime:
    """Return the time that a tag says."""
    return dt.datetime.strptime(text, MOMENT).replace(tzinfo=dt.UTC)


def run(config: Config, _wanted: argparse.Namespace, say: Say) -> dict[str, Any]:
    """Return the copies, and the proofs that they restore.

    Raises:
        RepositoryError: they can't be listed.
    """
    repository = Repository(config, say)
    repository.reach()
    try:
        snapshots = repository.snapshots()
    except RepositoryError as error:
        if error.code != MISSING:
            raise
        snapshots = []  # the first copy makes it
    proofs = evidence.listed(snapshots)
    return {"copies": [each.json() for each in copies(snapshots)], "proofs": proofs}


def copies(snapshots: Collection[Snapshot]) -> list[Copy]:
    """Return the copies that are whole, newest first."""
    dumps = {each.id: each for each in snapshots if DUMP in each.tags}
    whole = [
        Copy(
            dump=said["dump"],
            record=each.id,
            taken=each.time,
            size=dumps[said["dump"]].size,
            rows=int(said["rows"]),
            seconds=float(said["seconds"]),
            version=said["version"],
            by_hand=_BY_HAND in each.tags,
            came=moment(said[CAME]) if CAME in said else None,
        )
        for each in snapshots
        if RECORD in each.tags and (said := each.values)["dump"] in dumps
    ]
    return sorted(whole, key=lambda copy: (copy.taken, copy.id), reverse=True)


def halves(snapshots: Collection[Snapshot]) -> Sequence[Snapshot]:
    """Return the dumps without a record, and the records without a dump."""
    parts = {part for copy in copies(snapshots) for part in (copy.dump, copy.record)}
    return [each for each in snapshots if {DUMP, RECORD} & {*each.tags} and each.id not in parts]
