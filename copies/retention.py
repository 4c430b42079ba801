"""Which copies are kept. Nothing here asks a clock: who decides is told the time by somebody who has checked it."""

import datetime as dt
from collections.abc import Collection

from copies.listing import Copy
from copies.repository import Snapshot

LOOSE = dt.timedelta(days=1)
"""A half may be of a copy that is being made, by this server or another, but not for longer."""

BACK = dt.timedelta(days=14)
"""How long a copy that was brought back is left alone, however old it is: somebody wants to restore it."""


def forgotten(copies: Collection[Copy], halves: Collection[Snapshot], now: dt.datetime, kept: int) -> set[str]:
    """Return the snapshots to forget, so that the newest copy of each of the `kept` newest days is left.

    Days without a copy count for nothing, so a job that stood still forgets nothing. What is of a later day than today
    was taken by a clock that was wrong, or this one is: it takes nobody's place, and is left alone. So is what was
    brought back from the second copies lately.
    """
    back = [copy for copy in copies if copy.came and now - copy.came <= BACK]
    today = now.astimezone(dt.UTC).date()
    made = [copy for copy in copies if copy not in back]
    newest = {copy.day: copy for copy in sorted(made, key=lambda copy: (copy.taken, copy.id))}
    days = sorted((day for day in newest if day <= today), reverse=True)[:kept]
    staying = back + [copy for copy in made if copy.day > today] + [newest[day] for day in days]
    leaving = [copy for copy in copies if copy not in staying]
    return {
        *(part for copy in leaving for part in (copy.record, copy.dump)),
        *(half.id for half in halves if now - half.time > LOOSE),
    }
